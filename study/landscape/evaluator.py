"""One point measured: weights put into a network, and every split read once."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils._pytree import tree_map

from study.landscape.batches import Data, MicroBatch, ResidentData, read_splits
from study.landscape.geometry import BATCH_STATISTICS, BatchStatistics, Geometry
from study.landscape.grid import Coordinates
from study.landscape.plan import (
    EvaluationPlan,
    Precision,
    arguments,
    is_out_of_memory,
    writes_to_inputs,
)
from study.landscape.point import PointWeights
from study.landscape.statistics import BATCH, layers_with_running_statistics, recompute
from study.landscape.weights import Layout, Weights

NO_MEMORY = "memory runs out with one example at a time"

Loss = Callable[[Any, Any], Tensor]


@dataclass(frozen=True)
class Measured:
    """What one pass over the splits gave.

    Attributes:
        values: `loss` (mean per example, in the loss's unit: nats for cross-entropy), `accuracy` (a
            fraction), `loss_standard_error` (as the loss); the split stands before them where there are
            several. A value that is no number is NaN.
        example_losses: by split, the loss of each example, (N,) float32; absent for a scalar loss, and where
            they are not asked for.
    """

    values: dict[str, float]
    example_losses: dict[str, np.ndarray] = field(default_factory=dict)


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
        copies_inputs: whether the model needs a copy of its inputs, as it writes to them.
    """

    model: nn.Module
    layout: Layout
    loss: Loss
    splits: dict[str, ResidentData]
    plan: EvaluationPlan
    policy: BatchStatistics
    statistics: ResidentData | None
    population: dict[str, int]
    copies_inputs: bool

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
        if batch_statistics != "frozen" and layers_with_running_statistics(model):
            points_at_once = 1  # each point has statistics of its own
        first = next(iter(splits.values()))

        def tried(count: int) -> tuple[EvaluationPlan, bool]:
            """The plan, and whether the model writes to its inputs, from a pass of so many examples."""
            example = first.head(count)
            plan = EvaluationPlan.by_rule(
                model,
                example,
                micro_batch,
                precision=precision,
                compile=compile,
                points_at_once=points_at_once,
                channels_last=statistics is None,  # gathered in it, they have other bits on other threads
                device=device,
            )
            return plan, writes_to_inputs(model, example)

        with _evaluating(model):
            try:
                plan, copies = tried(2)
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
                try:
                    plan, copies = tried(1)
                except (MemoryError, RuntimeError) as again:
                    raise MemoryError(NO_MEMORY) if is_out_of_memory(again) else again from again
        return cls(model, layout, loss, splits, plan, batch_statistics, statistics, dict(population), copies)

    @contextmanager
    def open(self) -> Iterator["Evaluator"]:
        """Hold the model in evaluation mode, and the data as the plan says, ready to be measured."""
        with _evaluating(self.model):
            yield Evaluator(self)

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


class Evaluator:
    """A task with its data placed and its working memory set aside. Use `Task.open`."""

    def __init__(self, task: Task) -> None:
        self.task = task
        plan = task.plan
        self._splits = {name: split.placed(plan) for name, split in task.splits.items()}
        self._statistics = task.statistics.placed(plan) if task.statistics is not None else None
        self._weights = PointWeights(task.model, task.layout, plan)
        self._forward = self._call
        if plan.compile:
            self._forward = torch.compile(self._call, dynamic=False)

    def at(self, geometry: Geometry, points: Sequence[Coordinates]) -> list[Measured]:
        """Measure points of `geometry`, as many at once as the plan says.

        Raises:
            ValueError: if the geometry's weights are not of the model's architecture.
        """
        self._check(geometry.origin.layout)
        measured: list[Measured] = []
        at_once = self.task.plan.points_at_once
        for start in range(0, len(points), at_once):
            part = points[start : start + at_once]
            for place, coordinates in enumerate(part):
                self._weights.fill(geometry.terms(coordinates), place)
            measured += self._measure(geometry.buffers(part[0], self.task.policy), len(part))
        return measured

    def measure(self, weights: Weights) -> Measured:
        """Measure the model with these weights.

        Raises:
            ValueError: if they are not of the model's architecture.
        """
        self._check(weights.layout)
        self._weights.fill([(1.0, weights.flat)], 0)
        return self._measure(weights.buffers, 1)[0]

    def _check(self, layout: Layout) -> None:
        if layout != self.task.layout:  # functional_call would silently take the model's own parameters
            raise ValueError("the model must have the parameters of the weights, in name, shape and dtype")

    @torch.inference_mode()
    def _measure(self, buffers: dict[str, Tensor], count: int) -> list[Measured]:
        """Measure the points whose weights are filled in, `count` of them, on every split."""
        with self._precision():
            parameters = self._weights.parameters(count)
            if self._statistics is not None:
                buffers = recompute(
                    self.task.model, buffers, lambda fresh: self._gather({**parameters, **fresh})
                )
            else:
                buffers = {name: buffer.clone() for name, buffer in buffers.items()}
            of_splits = {
                name: self._read(split, parameters, buffers, count) for name, split in self._splits.items()
            }
        measured = []
        for place in range(count):
            values: dict[str, float] = {}
            example_losses: dict[str, np.ndarray] = {}
            for name, several in of_splits.items():
                losses, correct, per_example = several[place]
                prefix = f"{name}/" if name else ""
                own = _means(losses, correct, per_example, self.task.population.get(name))
                values |= {prefix + key: value for key, value in own.items()}
                if per_example:
                    with np.errstate(over="ignore"):  # a loss beyond float32 is infinite there
                        example_losses[name] = losses.astype(np.float32)
            measured.append(Measured(values, example_losses))
        return measured

    def _read(
        self, split: ResidentData, parameters: dict[str, Tensor], buffers: dict[str, Tensor], count: int
    ) -> list[tuple[np.ndarray, np.ndarray | None, bool]]:
        """For each point: the loss of each example, (N,) float64; 1 where it is classified right, where that
        makes sense; and whether the loss is one value an example.
        """
        shape = (count, len(split))
        device = self.task.plan.device
        losses = torch.empty(shape, dtype=torch.float64, device=device)
        correct: Tensor | None = torch.empty(shape, dtype=torch.float64, device=device)
        per_example = True
        version = split.version
        for batch in split.micro_batches(self.task.plan, copied=self.task.copies_inputs):
            here = slice(batch.start, batch.stop)
            for place, outputs in enumerate(self._outputs(parameters, buffers, batch.inputs, count)):
                value = _checked(self.task.loss(outputs, batch.targets), batch)
                per_example = per_example and value.ndim > 0
                losses[place, here] = value
                if correct is not None and _is_classification(outputs, batch.targets):
                    correct[place, here] = (outputs.argmax(dim=1) == batch.targets).double()
                else:
                    correct = None
        if split.version != version:
            raise ValueError(
                "the model must write to its inputs always or never, it did so for some examples"
            )
        right = correct.cpu().numpy() if correct is not None else [None] * count
        return [(own, hit, per_example) for own, hit in zip(losses.cpu().numpy(), right, strict=True)]

    def _outputs(
        self, parameters: dict[str, Tensor], buffers: dict[str, Tensor], inputs: Any, count: int
    ) -> Iterator[Any]:
        """What the model gives for a micro-batch, at each point; in float32 at least."""
        if self.task.plan.points_at_once == 1:
            together = [self._forward(parameters, buffers, inputs)]
        else:
            stacked = torch.vmap(self._forward, in_dims=(0, None, None))(parameters, buffers, inputs)
            together = [tree_map(lambda leaf, at=at: leaf[at], stacked) for at in range(count)]
        for outputs in together:
            yield tree_map(_widened, outputs) if self.task.plan.precision != "float32" else outputs

    def _call(self, parameters: dict[str, Tensor], buffers: dict[str, Tensor], inputs: Any) -> Any:
        return functional_call(self.task.model, {**parameters, **buffers}, *arguments(inputs))

    def _gather(self, state: dict[str, Tensor]) -> None:
        assert self._statistics is not None
        plan = replace(self.task.plan, micro_batch=BATCH)
        for batch in self._statistics.micro_batches(plan, copied=self.task.copies_inputs):
            functional_call(self.task.model, state, *arguments(batch.inputs))

    def _precision(self) -> torch.autocast:
        kind = torch.device(self.task.plan.device).type
        return torch.autocast(kind, torch.bfloat16, enabled=self.task.plan.precision == "bfloat16")


def standard_error(losses: np.ndarray, population: int | None) -> float:
    """Standard error of the mean of `losses`, (N,), in their unit.

    s/√N, times √(1 − N/population) where the examples are a simple random subset of `population`
    (Cochran 1977, section 2.6); NaN for one example of more, or where a loss is not finite.
    """
    count = len(losses)
    if population == count:
        return 0.0 if np.isfinite(losses).all() else float("nan")
    if count < 2 or not np.isfinite(losses).all():
        return float("nan")
    correction = 1.0 if population is None else 1.0 - count / population
    return float(np.sqrt(losses.var(ddof=1) / count * correction))


def _means(
    losses: np.ndarray, correct: np.ndarray | None, per_example: bool, population: int | None
) -> dict[str, float]:
    """The values of a split, from those of its examples."""
    count = len(losses)
    with np.errstate(invalid="ignore", over="ignore"):
        measured = {"loss": float(losses.sum() / count)}
        if correct is not None:
            undefined = np.isnan(losses).any()  # outputs that are no numbers have no largest one
            measured["accuracy"] = float("nan") if undefined else float(correct.sum() / count)
        if per_example:
            measured["loss_standard_error"] = standard_error(losses, population)
    return {name: value if value == value else float("nan") for name, value in measured.items()}  # one NaN


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """Within, every layer is in evaluation mode; then each is as it was."""
    modes = [(layer, layer.training) for layer in model.modules()]
    try:
        model.eval()
        yield
    finally:
        for layer, training in modes:
            layer.training = training


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


def _checked(value: Any, batch: MicroBatch) -> Tensor:
    """The loss of each example, or the batch's mean."""
    if not isinstance(value, Tensor) or value.shape not in {(), (batch.size,)}:
        raise ValueError(
            f"the loss must be a scalar or have shape ({batch.size},), one value an example, got "
            + (f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__)
        )
    return value


def _is_classification(outputs: Any, targets: Any) -> bool:
    return (
        isinstance(outputs, Tensor)
        and isinstance(targets, Tensor)
        and outputs.ndim == 2
        and outputs.shape[1] > 1
        and targets.ndim == 1
        and not targets.is_floating_point()
    )


def _widened(leaf: Any) -> Any:
    return leaf.float() if isinstance(leaf, Tensor) and leaf.dtype == torch.bfloat16 else leaf
