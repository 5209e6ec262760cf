"""One point measured: weights put into a network, and every split read once."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from study.landscape.batches import ResidentData
from study.landscape.geometry import Geometry
from study.landscape.grid import Coordinates
from study.landscape.linear import OneDnnLinear
from study.landscape.losses import check_labels, check_mean, checked_loss
from study.landscape.network import call_with, tied_names
from study.landscape.point import PointWeights
from study.landscape.statistics import BATCH, recompute
from study.landscape.task import Task, evaluating
from study.landscape.weights import Layout, Weights


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


class Evaluator:
    """A task with its data placed and its working memory set aside. Use `Evaluator.open`."""

    @classmethod
    @contextmanager
    def open(cls, task: Task) -> Iterator["Evaluator"]:
        """Hold the task's model in evaluation mode, and its data as the plan says, ready to be measured."""
        with evaluating(task.model):
            yield cls(task)

    def __init__(self, task: Task) -> None:
        self.task = task
        plan = task.plan
        self._splits = {name: split.placed(plan) for name, split in task.splits.items()}
        self._statistics = task.statistics.placed(plan) if task.statistics is not None else None
        self._weights = PointWeights(task.model, task.layout, plan)
        self._tied = tied_names(task.model)
        self._mean_is_checked = False
        self._forward = self._call
        if plan.compile:
            torch.compiler.reset()  # earlier networks count towards the limit of what is compiled
            self._forward = torch.compile(self._call, dynamic=False)

    def at(self, geometry: Geometry, points: Sequence[Coordinates]) -> list[Measured]:
        """Measure points of `geometry`, as many at once as the plan says.

        Where fewer are left, the last is measured beside itself: the bits of a point depend on how many share
        a pass, and so not on which.

        Raises:
            ValueError: if the geometry's weights are not of the model's architecture.
        """
        self._check(geometry.origin.layout)
        measured: list[Measured] = []
        at_once = self.task.plan.points_at_once
        for start in range(0, len(points), at_once):
            part = points[start : start + at_once]
            for place in range(at_once):
                self._weights.fill(geometry.terms(part[min(place, len(part) - 1)]), place)
            measured += self._measure(geometry.buffers(part[0], self.task.policy))[: len(part)]
        return measured

    def measure(self, weights: Weights) -> Measured:
        """Measure the model with these weights.

        Raises:
            ValueError: if they are not of the model's architecture.
        """
        self._check(weights.layout)
        for place in range(self.task.plan.points_at_once):
            self._weights.fill([(1.0, weights.flat)], place)
        return self._measure(weights.buffers)[0]

    def _check(self, layout: Layout) -> None:
        if layout != self.task.layout:  # the model's own parameters would silently be taken
            raise ValueError("the model must have the parameters of the weights, in name, shape and dtype")

    @torch.inference_mode()
    def _measure(self, buffers: dict[str, Tensor]) -> list[Measured]:
        """Measure the points whose weights are filled in on every split."""
        with self._precision(), self._linear():
            parameters = self._weights.parameters()
            if self._statistics is not None:
                buffers = recompute(
                    self.task.model, buffers, lambda fresh: self._gather({**parameters, **fresh})
                )
            else:
                buffers = {name: buffer.clone() for name, buffer in buffers.items()}
            of_splits = {name: self._read(split, parameters, buffers) for name, split in self._splits.items()}
        measured = []
        for place in range(self.task.plan.points_at_once):
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
        self, split: ResidentData, parameters: dict[str, Tensor], buffers: dict[str, Tensor]
    ) -> list[tuple[np.ndarray, np.ndarray | None, bool]]:
        """For each point: the loss of each example, (N,) float64; 1 where it is classified right, where that
        makes sense; and whether the loss is one value an example.
        """
        count = self.task.plan.points_at_once
        shape = (count, len(split))
        device = self.task.plan.device
        losses = torch.empty(shape, dtype=torch.float64, device=device)
        correct: Tensor | None = torch.empty(shape, dtype=torch.float64, device=device)
        per_example = True
        version = split.version
        for batch in split.micro_batches(self.task.plan):
            here = slice(batch.start, batch.stop)
            for place, outputs in enumerate(self._outputs(parameters, buffers, batch.inputs)):
                if correct is not None and _is_classification(outputs, batch.targets):
                    check_labels(batch.targets, batch.start)
                    correct[place, here] = (outputs.argmax(dim=1) == batch.targets).double()
                else:
                    correct = None
                losses[place, here] = value = self._loss(outputs, batch.targets, batch.size)
                per_example = per_example and value.ndim > 0
        if split.version != version:
            raise ValueError(
                "the model must write to its inputs always or never, and the loss to no target: some changed"
            )
        right = correct.cpu().numpy() if correct is not None else [None] * count
        return [(own, hit, per_example) for own, hit in zip(losses.cpu().numpy(), right, strict=True)]

    def _loss(self, outputs: Any, targets: Any, examples: int) -> Tensor:
        """The loss of each example, or the mean of them, which the first is seen to be."""
        value = checked_loss(self.task.loss(outputs, targets), examples)
        if value.ndim == 0 and not self._mean_is_checked:
            check_mean(self.task.loss, outputs, targets, value)
            self._mean_is_checked = True
        return value

    def _outputs(
        self, parameters: dict[str, Tensor], buffers: dict[str, Tensor], inputs: Any
    ) -> Iterator[Any]:
        """What the model gives for a micro-batch, at each point; in float32 at least."""
        count = self.task.plan.points_at_once
        if count == 1:
            together = [self._forward(parameters, buffers, inputs)]
        else:
            stacked = torch.vmap(self._forward, in_dims=(0, None, None))(parameters, buffers, inputs)
            together = [tree_map(lambda leaf, at=at: leaf[at], stacked) for at in range(count)]
        for outputs in together:
            yield tree_map(_widened, outputs) if self.task.plan.precision != "float32" else outputs

    def _call(self, parameters: dict[str, Tensor], buffers: dict[str, Tensor], inputs: Any) -> Any:
        return call_with(self.task.model, {**parameters, **buffers}, inputs, self._tied)

    def _gather(self, state: dict[str, Tensor]) -> None:
        assert self._statistics is not None
        for batch in self._statistics.micro_batches(replace(self.task.plan, micro_batch=BATCH)):
            call_with(self.task.model, state, batch.inputs, self._tied)

    def _linear(self) -> AbstractContextManager[Any]:
        return OneDnnLinear() if self.task.plan.linear_by_onednn else nullcontext()

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


def _is_classification(outputs: Any, targets: Any) -> bool:
    return (
        isinstance(outputs, Tensor)
        and isinstance(targets, Tensor)
        and outputs.ndim == 2
        and outputs.shape[1] > 1
        and targets.ndim == 1
        and not targets.is_floating_point()
        and len(outputs) == len(targets)
    )


def _widened(leaf: Any) -> Any:
    return leaf.float() if isinstance(leaf, Tensor) and leaf.dtype == torch.bfloat16 else leaf
