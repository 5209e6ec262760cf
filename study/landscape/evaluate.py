"""The loss over the points of a geometry: the hot loop."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from study.landscape.batches import Data, MicroBatch, ResidentData, read_splits
from study.landscape.geometry import BATCH_STATISTICS, BatchStatistics, Geometry
from study.landscape.grid import Coordinates, Grid
from study.landscape.plan import EvaluationPlan, arguments, image_filters
from study.landscape.result import Landscape, Point, Status
from study.landscape.statistics import BATCH, layers_with_running_statistics, recompute
from study.landscape.weights import Layout, Weights

Loss = Callable[[Any, Any], Tensor]


@dataclass(frozen=True)
class Measured:
    """What one pass over the splits gave.

    Attributes:
        values: `loss` (mean per example, in the loss's unit: nats for cross-entropy), `accuracy` (a
            fraction), `loss_standard_error` (as the loss); the split stands before them where there are
            several.
        example_losses: by split, the loss of each example, (N,) float64; absent for a scalar loss.
    """

    values: dict[str, float]
    example_losses: dict[str, np.ndarray]


def evaluate(
    model: nn.Module,
    loss: Loss,
    data: Data,
    geometry: Geometry,
    grid: Grid,
    *,
    population: Mapping[str, int] | int | None = None,
    batch_statistics: BatchStatistics | None = None,
    statistics_data: Any = None,
    micro_batch: int | None = None,
    on_point: Callable[[int, int], None] | None = None,
) -> Landscape:
    """The loss of `model`'s architecture on `data`, over `grid` on `geometry`.

    The model comes back as it went in, also after an error. Every value is an exact mean over examples, in
    float64. Special points of the geometry are evaluated besides the grid.

    Args:
        model: gives the architecture; its own weights are not read. Dropout is off.
        loss: `loss(outputs, targets)`, a value per example, shape (N,); a scalar is taken as the mean of the
            batch, and then there is no standard error.
        data: batches of (inputs, targets), or a mapping from the name of a split to such batches. Read once.
        geometry: where in weight space.
        grid: at which coordinates.
        population: the number of examples of which `data` is a random subset (for each split): the standard
            error then carries the finite-population correction. None: `data` is a sample of something larger.
        batch_statistics: for layers with running statistics; `frozen`, `interpolated` or `recomputed`. None:
            the geometry's default.
        statistics_data: training examples to recompute them from; None takes `data["train"]`.
        micro_batch: the most examples in one forward pass; None follows the plan's rule.
        on_point: called with (points done, points in all) after each point.

    Raises:
        ValueError: if the data are empty or no pairs, the grid's axes or the model's parameters are not the
            geometry's, the loss has another shape, `batch_statistics` is no policy, or training examples are
            needed for recomputed statistics and not given.
    """
    if tuple(grid.axes) != geometry.axes:
        raise ValueError(f"the grid must have the axes {geometry.axes}, got {tuple(grid.axes)}")
    policy = batch_statistics or geometry.default_batch_statistics
    with Evaluator.open(model, loss, data, policy, statistics_data, micro_batch, population) as evaluator:
        total = len(grid.coordinates) + len(geometry.special)
        done = 0

        def measure(coordinates: Coordinates) -> Measured:
            nonlocal done
            measured = evaluator.at(geometry, coordinates)
            done += 1
            if on_point is not None:
                on_point(done, total)
            return measured

        special = {name: measure(coordinates) for name, coordinates in geometry.special.items()}
        cells = [measure(coordinates) for coordinates in grid.coordinates]
        return _landscape(geometry, grid, cells, special, evaluator.describe(), keep=len(grid.axes) == 1)


@dataclass
class Evaluator:
    """A model and its data, held ready to be measured at any weights. Use `Evaluator.open`.

    Attributes:
        model: in evaluation mode while the evaluator is open.
        layout: of the model's parameters, which the weights measured must share.
        loss: of outputs and targets.
        splits: the data, placed as the plan says.
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
    _buffer: Tensor | None = field(default=None, repr=False)

    @classmethod
    @contextmanager
    def open(
        cls,
        model: nn.Module,
        loss: Loss,
        data: Data,
        batch_statistics: BatchStatistics = "frozen",
        statistics_data: Any = None,
        micro_batch: int | None = None,
        population: Mapping[str, int] | int | None = None,
    ) -> Iterator["Evaluator"]:
        """An evaluator of `model` on `data`; see `evaluate` for the arguments.

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
        modes = [(layer, layer.training) for layer in model.modules()]
        try:
            model.eval()
            plan = EvaluationPlan.by_rule(model, next(iter(splits.values())).head(2), micro_batch)
            yield cls(
                model=model,
                layout=layout,
                loss=loss,
                splits={name: split.placed(plan) for name, split in splits.items()},
                plan=plan,
                policy=batch_statistics,
                statistics=statistics.placed(plan) if statistics is not None else None,
                population=dict(population),
            )
        finally:
            for layer, training in modes:
                layer.training = training

    def at(self, geometry: Geometry, coordinates: Coordinates) -> Measured:
        """Measure the point of `geometry` at `coordinates`."""
        if self._buffer is None:
            self._buffer = torch.empty_like(geometry.bases[0])
        geometry.write(coordinates, self._buffer)
        return self.measure(
            Weights(geometry.origin.layout, self._buffer, geometry.buffers(coordinates, self.policy))
        )

    @torch.inference_mode()
    def measure(self, weights: Weights) -> Measured:
        """Measure the model with these weights on every split.

        Raises:
            ValueError: if the loss has neither the shape (N,) nor is a scalar, or the weights are not of the
                model's architecture.
        """
        if weights.layout != self.layout:  # functional_call would silently take the model's own parameters
            raise ValueError("the model must have the parameters of the weights, in name, shape and dtype")
        parameters = weights.layout.views(weights.flat)
        if self.plan.channels_last:
            for name in image_filters(self.model):
                if name in parameters:  # not one that is tied to another, or parametrised
                    parameters[name] = parameters[name].contiguous(memory_format=torch.channels_last)
        if self.statistics is not None:
            buffers = recompute(
                self.model, weights.buffers, lambda fresh: self._gather({**parameters, **fresh})
            )
        else:
            buffers = {name: buffer.clone() for name, buffer in weights.buffers.items()}
        state = {**parameters, **buffers}
        values: dict[str, float] = {}
        example_losses: dict[str, np.ndarray] = {}
        for name, split in self.splits.items():
            measured, losses = self._measure_split(state, split, self.population.get(name))
            prefix = f"{name}/" if name else ""
            values |= {prefix + key: value for key, value in measured.items()}
            if losses is not None:
                example_losses[name] = losses
        return Measured(values, example_losses)

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

    def _gather(self, state: dict[str, Tensor]) -> None:
        assert self.statistics is not None
        for batch in self.statistics.micro_batches(replace(self.plan, micro_batch=BATCH)):
            functional_call(self.model, state, *arguments(batch.inputs))

    def _measure_split(
        self, state: dict[str, Tensor], split: ResidentData, population: int | None
    ) -> tuple[dict[str, float], np.ndarray | None]:
        count = len(split)
        losses = np.empty(count)
        correct: np.ndarray | None = np.empty(count)
        per_example = True
        for batch in split.micro_batches(self.plan):
            outputs = functional_call(self.model, state, *arguments(batch.inputs))
            value = _checked(self.loss(outputs, batch.targets), batch)
            per_example = per_example and value.ndim > 0
            losses[batch.start : batch.stop] = value.expand(batch.size).double().cpu().numpy()
            if correct is not None and _is_classification(outputs, batch.targets):
                hit = (outputs.argmax(dim=1) == batch.targets).double().cpu().numpy()
                correct[batch.start : batch.stop] = hit
            else:
                correct = None
        with np.errstate(invalid="ignore", over="ignore"):
            measured = {"loss": float(losses.sum() / count)}
            if correct is not None:
                undefined = np.isnan(losses).any()  # outputs that are no numbers have no largest one
                measured["accuracy"] = float("nan") if undefined else float(correct.sum() / count)
            if not per_example:
                return measured, None
            measured["loss_standard_error"] = standard_error(losses, population)
        return measured, losses


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


def _landscape(
    geometry: Geometry,
    grid: Grid,
    cells: list[Measured],
    special: dict[str, Measured],
    provenance: dict[str, Any],
    keep: bool,
) -> Landscape:
    names = list(cells[0].values)
    values = {name: np.array([cell.values[name] for cell in cells]).reshape(grid.shape) for name in names}
    losses = [array for name, array in values.items() if name == "loss" or name.endswith("/loss")]
    finite = np.logical_and.reduce([np.isfinite(array) for array in losses])
    return Landscape(
        axes=dict(grid.axes),
        values=values,
        status=np.where(finite, Status.EVALUATED, Status.DIVERGED).astype(np.int8),
        points={name: Point(geometry.special[name], measured.values) for name, measured in special.items()},
        example_losses={
            split: np.stack([cell.example_losses[split] for cell in cells]).astype(np.float32)
            for split in (cells[0].example_losses if keep else {})
        },
        provenance={**provenance, **geometry.provenance},
    )


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
