"""What is measured: a network and the data it is read on, checked and planned."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn

from study.landscape.batches import Data, ResidentData, read_splits
from study.landscape.geometry import BATCH_STATISTICS, BatchStatistics
from study.landscape.losses import Loss
from study.landscape.network import is_out_of_memory
from study.landscape.plan import EvaluationPlan, Precision
from study.landscape.statistics import layers_with_running_statistics
from study.landscape.weights import Layout

NO_MEMORY = "memory runs out with one example at a time"


@dataclass(frozen=True)
class Task:
    """A network and the data it is read on: all that a value depends on, besides weights. It can be pickled.

    Attributes:
        model: the architecture.
        layout: of the model's parameters, which the weights measured must share.
        loss: of outputs and targets.
        splits: the data.
        plan: how a point is evaluated.
        policy: what becomes of running statistics.
        statistics: training examples to recompute them from.
        population: by split, the number of examples it was drawn from.
    """

    model: nn.Module
    layout: Layout
    loss: Loss
    splits: dict[str, ResidentData]
    plan: EvaluationPlan
    policy: BatchStatistics
    statistics: ResidentData | None
    population: dict[str, int]

    @classmethod
    def of(
        cls,
        model: nn.Module,
        loss: Loss,
        data: Data,
        batch_statistics: BatchStatistics = "frozen",
        *,
        statistics_data: Any = None,
        population: Mapping[str, int] | int | None = None,
        micro_batch: int | None = None,
        precision: Precision = "float32",
        compile: bool = False,
        points_at_once: int | None = None,
        device: str | None = None,
    ) -> "Task":
        """The task of measuring `model` on `data`; see `evaluate` for the arguments.

        Raises:
            ValueError: see `evaluate`.
        """
        if batch_statistics not in BATCH_STATISTICS:
            choices = ", ".join(BATCH_STATISTICS)
            raise ValueError(f"batch_statistics must be one of {choices}, got {batch_statistics!r}")
        if getattr(loss, "reduction", None) == "sum":
            raise ValueError("the loss must be per example or a batch's mean, got one with reduction 'sum'")
        layout = Layout.of(model)
        splits = read_splits(data)
        if not isinstance(population, Mapping):
            population = dict.fromkeys(splits, population) if population is not None else {}
        for name, size in population.items():
            if name in splits and size < len(splits[name]):
                raise ValueError(f"population must be at least the {len(splits[name])} examples, got {size}")
        statistics = _statistics(model, batch_statistics, splits, statistics_data)
        if batch_statistics == "interpolated" or statistics is not None:
            points_at_once = 1  # each point has buffers of its own
        planned = partial(
            EvaluationPlan.by_rule,
            micro_batch=micro_batch,
            precision=precision,
            compile=compile,
            points_at_once=points_at_once,
            channels_last=statistics is None,  # gathered in it, they have other bits on other threads
            device=device,
        )
        plan = _first_that_fits(model, next(iter(splits.values())), planned)
        return cls(model, layout, loss, splits, plan, batch_statistics, statistics, dict(population))

    def describe(self) -> dict[str, Any]:
        """What the values depend on besides geometry and grid; JSON-able."""
        return {
            "splits": {
                name: {"examples": len(split), "population": self.population.get(name)}
                for name, split in self.splits.items()
            },
            "batch_statistics": self.policy if layers_with_running_statistics(self.model) else "none kept",
            "plan": self.plan.describe(),
            "torch": torch.__version__,
        }

    def identity(self) -> dict[str, Any]:
        """As `describe`, with the digests of what is read: tasks that differ in it give other values."""
        return {
            **self.describe(),
            "data": {name: split.digest() for name, split in self.splits.items()},
            "statistics_data": self.statistics.digest() if self.statistics is not None else None,
            "processor": torch.backends.cpu.get_cpu_capability() if self.plan.device == "cpu" else "",
            "network": hashlib.sha256(repr(self.model).encode()).hexdigest(),
        }


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Within, every layer is in evaluation mode; then each is as it was."""
    modes = [(layer, layer.training) for layer in model.modules()]
    try:
        model.eval()
        yield
    finally:
        for layer, training in modes:
            layer.training = training


def _first_that_fits(
    model: nn.Module, split: ResidentData, planned: Callable[[nn.Module, Any], EvaluationPlan]
) -> EvaluationPlan:
    """The plan made from a pass of two examples, or of one if two are more than fit.

    Raises:
        MemoryError: if one is, too.
    """
    with evaluating(model):
        for count in (2, 1):
            try:
                return planned(model, split.head(count))
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
                reason = error
    raise MemoryError(NO_MEMORY) from reason


def _statistics(
    model: nn.Module, policy: BatchStatistics, splits: dict[str, ResidentData], given: Any
) -> ResidentData | None:
    """Training examples to recompute running statistics from, where that is asked for and makes sense."""
    if policy != "recomputed" or not layers_with_running_statistics(model):
        return None
    if given is not None:
        return ResidentData.read(given, "statistics_data")
    if "train" in splits:
        return splits["train"]
    raise ValueError("batch_statistics 'recomputed' needs statistics_data, batches of training examples")
