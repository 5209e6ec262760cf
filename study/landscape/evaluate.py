"""The loss over the points of a geometry."""

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from math import inf, isfinite
from typing import Any

import numpy as np
from torch import nn

from study.landscape.batches import Data
from study.landscape.eigenvalues import Eigenvalues
from study.landscape.evaluator import Measured
from study.landscape.executors import Executor, Mapper, Serial, for_few
from study.landscape.geometry import BatchStatistics, Geometry
from study.landscape.grid import Coordinates, Grid
from study.landscape.losses import Loss
from study.landscape.network import is_out_of_memory
from study.landscape.plan import Precision
from study.landscape.refine import FLOOR, refine
from study.landscape.result import NATS, Landscape, Point, is_loss
from study.landscape.store import FoundPoints, PointStore
from study.landscape.surface import Surface
from study.landscape.survey import Survey
from study.landscape.task import NO_MEMORY, Task

log = logging.getLogger(__name__)

PRECISION_SAMPLE = 8  # points at which a reduced precision is held against float32


def evaluate(
    model: nn.Module,
    loss: Loss,
    data: Data,
    geometry: Geometry,
    grid: Grid,
    *,
    loss_unit: str = NATS,
    population: Mapping[str, int] | int | None = None,
    batch_statistics: BatchStatistics | None = None,
    statistics_data: Any = None,
    micro_batch: int | None = None,
    precision: Precision = "float32",
    compile: bool = False,
    points_at_once: int | None = None,
    tolerance: float | None = None,
    eigenvalues: Eigenvalues | None = None,
    executor: Executor | None = None,
    store: PointStore | None = None,
    on_point: Callable[[int, int], None] | None = None,
) -> Landscape:
    """The loss of `model`'s architecture on `data`, over `grid` on `geometry`.

    The model comes back as it went in, also after an error. Every value is an exact mean over examples, in
    float64. Special points of the geometry are evaluated besides the grid. Where memory runs out, the
    landscape is begun again under a smaller plan.

    Args:
        model: gives the architecture; its own weights are not read. Dropout is off.
        loss: `loss(outputs, targets)`, a value per example, shape (N,); a scalar is taken as the mean of the
            batch, and then there is no standard error.
        data: batches of (inputs, targets), or a mapping from the name of a split to such batches. Read once.
        geometry: where in weight space.
        grid: at which coordinates.
        loss_unit: what the loss of an example is counted in, in words, for whoever shows it.
        population: the number of examples of which `data` is a random subset (for each split): the standard
            error then carries the finite-population correction. None: `data` is a sample of something larger.
        batch_statistics: for layers with running statistics; `frozen`, `interpolated` or `recomputed`. None:
            the geometry's default.
        statistics_data: training examples to recompute them from; None takes `data["train"]`.
        micro_batch: the most examples in one forward pass; None follows the plan's rule.
        precision: `float32`, or `bfloat16` for activations and the weights they are multiplied with; the
            provenance then states the error against float32 on a sample of points.
        compile: whether the forward pass goes through `torch.compile`.
        points_at_once: points that share one pass over the data, where running statistics are frozen and the
            geometry's points have the same; None follows the plan's rule.
        tolerance: evaluate only as many points as an interpolant of the logarithm of the loss needs to be
            right to this (0.01: 1% of the loss), and state the error that is measured afterwards; see
            `study.landscape.refine`. None evaluates every point.
        eigenvalues: also find the Hessian's extreme eigenvalues at each point: `smallest_eigenvalue`,
            `largest_eigenvalue` and `eigenvalue_ratio` stand among the values; needs curvlinops.
        executor: who computes the points; None is this process.
        store: keeps finished points, and gives back those it has.
        on_point: called with (points done, points in all) after each point.

    Raises:
        ValueError: if the data are empty or no pairs, the grid's axes or the model's parameters are not the
            geometry's, the loss has another shape, `batch_statistics`, `precision`, `points_at_once` or
            `tolerance` is out of range, eigenvalues are asked for with a tolerance or with recomputed
            statistics, or training examples are needed for recomputed statistics and not
            given.
        WorkerDiedError: if a worker died three times on one point; the others are in the store.
        MemoryError: if one example at a time is more than fits.
    """
    if tuple(grid.axes) != geometry.axes:
        raise ValueError(f"the grid must have the axes {geometry.axes}, got {tuple(grid.axes)}")
    if tolerance is not None and not 0 < tolerance < inf:
        raise ValueError(f"tolerance must be above 0 and finite, got {tolerance}")
    if tolerance is not None and eigenvalues is not None:
        raise ValueError(
            f"tolerance must be None with eigenvalues, which are not interpolated, got {tolerance}"
        )
    executor = executor or Serial()
    task = Task.of(
        model,
        loss,
        data,
        batch_statistics or geometry.default_batch_statistics,
        statistics_data=statistics_data,
        population=population,
        micro_batch=micro_batch,
        precision=precision,
        compile=compile,
        points_at_once=1 if geometry.own_buffers else points_at_once,
        device=executor.device,
    )
    while True:
        survey = Survey(task, geometry, len(grid.axes) == 1, eigenvalues)
        try:
            return _landscape(survey, grid, loss_unit, tolerance, executor, store, on_point)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            plan, smaller = task.plan, task.plan.smaller()
            if smaller is None:
                raise MemoryError(NO_MEMORY) from error
            log.warning(
                "memory ran out with %d points of %d examples at a time: beginning again with %d of %d, "
                "which micro_batch and points_at_once can ask for from the start",
                plan.points_at_once,
                plan.micro_batch,
                smaller.points_at_once,
                smaller.micro_batch,
            )
        task = replace(task, plan=smaller)


def _landscape(
    survey: Survey,
    grid: Grid,
    loss_unit: str,
    tolerance: float | None,
    executor: Executor,
    store: PointStore | None,
    on_point: Callable[[int, int], None] | None,
) -> Landscape:
    geometry = survey.geometry
    found = store.open(survey.identity()) if store is not None else nullcontext()
    with found as kept, executor.open(survey) as mapper:
        points = _Points(mapper, kept, on_point)
        if tolerance is None:
            points.at([*geometry.special.values(), *grid.coordinates])
            cells = np.argwhere(np.ones(grid.shape))
            surface = Surface.of(grid.shape, cells, points.at(grid.coordinates))
        else:
            points.at(list(geometry.special.values()))
            surface = refine(grid, points.known, points.at, tolerance)
        provenance = {**survey.task.describe(), **geometry.provenance, "loss_unit": loss_unit}
        if survey.task.plan.precision != "float32":
            provenance["precision_error"] = _precision_error(survey, points.known, executor)
    if surface.estimate is not None:
        provenance["interpolation"] = surface.estimate
    return Landscape(
        axes=dict(grid.axes),
        values=surface.values,
        status=surface.status,
        points={name: Point(at, points.known[at].values) for name, at in geometry.special.items()},
        example_losses=surface.example_losses,
        provenance=provenance,
    )


class _Points:
    """Points of a survey, each computed once: what was found in the store, and what workers measure.

    Args:
        mapper: measures points.
        kept: the store's, if there is one.
        on_point: as `evaluate`'s.
    """

    def __init__(
        self, mapper: Mapper, kept: FoundPoints | None, on_point: Callable[[int, int], None] | None
    ) -> None:
        self.known: dict[Coordinates, Measured] = {}
        self._mapper = mapper
        self._kept = kept
        self._on_point = on_point

    def at(self, points: Sequence[Coordinates]) -> list[Measured]:
        """The values at points, in their order."""
        asked = [point for point in dict.fromkeys(points) if point not in self.known]
        total = len(self.known) + len(asked)
        missing = []
        for point in asked:
            if self._kept is not None and point in self._kept.measured:
                self._take(point, self._kept.measured[point], total)
            else:
                missing.append(point)
        for point, measured in self._mapper(missing):
            if self._kept is not None:
                self._kept.add(point, measured)
            self._take(point, measured, total)
        return [self.known[point] for point in points]

    def _take(self, point: Coordinates, measured: Measured, total: int) -> None:
        self.known[point] = measured
        if self._on_point is not None:
            self._on_point(len(self.known), total)


def _precision_error(
    survey: Survey, known: Mapping[Coordinates, Measured], executor: Executor
) -> dict[str, Any]:
    """How far losses are from those in float32, on points drawn from those evaluated; JSON-able."""
    points = sorted(known)
    drawn = np.random.default_rng(0).permutation(len(points))[:PRECISION_SAMPLE]
    sample = [points[at] for at in drawn]
    plan = replace(survey.task.plan, precision="float32")
    exact = replace(survey, task=replace(survey.task, plan=plan), eigenvalues=None)
    with for_few(executor).open(exact) as mapper:
        right = dict(mapper(sample))
    errors: dict[str, Any] = {}
    for name in (name for name in right[sample[0]].values if is_loss(name)):
        pairs = [(known[point].values[name], right[point].values[name]) for point in sample]
        relative = [abs(low - high) / max(abs(high), FLOOR) for low, high in pairs if isfinite(high)]
        errors[name] = {"largest": max(relative), "median": float(np.median(relative))} if relative else {}
    return {"points": len(sample), "relative": errors}
