"""A landscape held against the weights that it goes through, and what it says of its own errors."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from study.kinds import Trained
from study.landscape.executors import Executor, for_few
from study.landscape.geometry import BatchStatistics, Geometry
from study.landscape.grid import Coordinates
from study.landscape.plan import EvaluationPlan
from study.landscape.result import Landscape, Status
from study.landscape.statistics import layers_with_running_statistics
from study.landscape.survey import Survey
from study.landscape.task import Task
from study.landscape.weights import Weights
from study.reading import Reading
from study.training.loop import EVALUATION_BATCH, mean_loss

TOLERANCE = {
    "self_check": 0.0,
    "self_check_training": 1e-6,
    "self_check_repeated": 0.0,
    "self_check_model": 0.0,
}
"""The self-checks, and what each may be at most."""

REPEATED_CELLS = 2  # that are evaluated again, beside the first and the last special point


def self_checks(
    landscape: Landscape,
    geometry: Geometry,
    trained: Trained,
    reading: Reading,
    policy: BatchStatistics,
    executor: Executor,
) -> dict[str, float]:
    """How far a landscape is off at weights that are known: its centre, or its ends.

    By `<split>/<measure>`: `self_check`, against the same engine apart from the landscape, in the loss's
    unit, the largest over all sets of weights that it goes through; `self_check_training`, at the solution,
    or the last end, against the training loop, relative; `self_check_repeated`, the largest difference in any
    value of a few points that are evaluated again, special ones and cells; `batch_statistics_gap`, at the
    solution too, the loss under the landscape's policy less that under the stored statistics, where there
    are any.

    Args:
        landscape: that was evaluated.
        geometry: that it is over.
        trained: what is looked at.
        reading: the examples that were read.
        policy: what became of running statistics.
        executor: who computed the points.

    Returns:
        nothing where the landscape, a companion, goes through no set of weights whose buffers it has.
    """
    known = _known(geometry, policy)
    if not known:
        return {}
    anchor = trained.solution_name if trained.solution_name in known else list(known)[-1]
    weights = known[anchor]
    plan = EvaluationPlan(**landscape.provenance["plan"])  # smaller than the rule's where memory ran out

    def read(
        places: Geometry,
        points: Sequence[Coordinates],
        batch_statistics: BatchStatistics,
        plan: EvaluationPlan,
    ) -> dict[Coordinates, dict[str, float]]:
        """The values at points, by the engine as it was planned, apart from the landscape."""
        settings = {**reading.settings, "device": executor.device}
        loss = trained.data.task.loss
        task = Task.of(trained.model, loss, reading.batches, batch_statistics, **settings)
        with for_few(executor).open(Survey(replace(task, plan=plan), places, keep_examples=False)) as mapper:
            return {at: measured.values for at, measured in mapper(points)}

    def again(
        own: Weights, batch_statistics: BatchStatistics, plan: EvaluationPlan = plan
    ) -> dict[str, float]:
        """The values at known weights."""
        return read(Geometry(own, (own.flat,), {}), [()], batch_statistics, plan)[()]

    stored = again(weights, "frozen")
    # at a checkpoint, interpolated statistics are its own too
    alone: BatchStatistics = "recomputed" if policy == "recomputed" else "frozen"
    checked = {
        name: stored if name == anchor and alone == "frozen" else again(own, alone)
        for name, own in known.items()
    }
    as_trained = replace(plan, precision="float32", onednn=False)  # the arithmetic of the training loop
    exact = stored if plan == as_trained else again(weights, "frozen", as_trained)
    before = _few(landscape)
    repeated = read(geometry, list(before), policy, plan)
    task = trained.data.task
    model = _with_weights(trained.model, weights)
    found = {}
    for split, examples in reading.splits.items():
        loss = f"{split}/loss"
        by_training = mean_loss(model, examples, EVALUATION_BATCH, task).loss
        there = {name: landscape.points[name].values[loss] for name in known}
        apart = [abs(there[name] - values[loss]) for name, values in checked.items()]
        found[f"{split}/self_check"] = float(np.max(apart))
        found[f"{split}/self_check_training"] = abs(exact[loss] - by_training) / max(abs(by_training), 1e-12)
        found[f"{split}/self_check_repeated"] = max(
            _apart(value, before[at][name])
            for at, values in repeated.items()
            for name, value in values.items()
            if name.startswith(f"{split}/")
        )
        if layers_with_running_statistics(model):
            found[f"{split}/batch_statistics_gap"] = there[anchor] - stored[loss]
    return found


def snapshot(model: nn.Module) -> dict[str, Tensor]:
    """Copies of every parameter and buffer of a model, by name."""
    return {name: tensor.detach().clone() for name, tensor in _tensors(model).items()}


def changed(model: nn.Module, before: Mapping[str, Tensor]) -> int:
    """How many parameters and buffers have other bits than in a snapshot of the model, or are new or gone."""
    now = _tensors(model)
    shared = now.keys() & before.keys()
    return len(now.keys() ^ before.keys()) + sum(_differ(now[name], before[name]) for name in shared)


def broken_checks(name: str, values: Mapping[str, float]) -> list[str]:
    """The self-checks of a landscape that do not hold."""
    return [
        key
        for key, value in values.items()
        for check, tolerance in TOLERANCE.items()
        if key.startswith(f"{name}/") and key.endswith(f"/{check}") and not value <= tolerance
    ]


def worst_checks(found: Mapping[str, float], of_companion: Mapping[str, float]) -> dict[str, float]:
    """What `self_checks` found of a landscape, each check at its worst of it and of a companion."""
    worse = {
        key: float(np.max([value, found[key]]))  # not a number where one of them is
        for key, value in of_companion.items()
        if key.rpartition("/")[2] in TOLERANCE
    }
    return {**found, **worse}


def stated_errors(landscape: Landscape, split: str) -> dict[str, float]:
    """What the landscape and its companions say of their errors, as measures; nothing if all cells are exact.

    `interpolation_error`: the largest relative error of the cells that were drawn to measure it;
    `precision_error`: of the points that were drawn to hold bfloat16 against float32.
    """
    stated: dict[str, float] = {}

    def say(measure: str, by_loss: Mapping[str, Mapping[str, float]]) -> None:
        if by_loss.get(f"{split}/loss"):
            stated[measure] = max(stated.get(measure, 0.0), by_loss[f"{split}/loss"]["largest"])

    for own in (landscape, *landscape.companions.values()):
        say("interpolation_error", own.provenance.get("interpolation", {}).get("errors", {}))
        say("precision_error", own.provenance.get("precision_error", {}).get("relative", {}))
    return stated


def _known(geometry: Geometry, policy: BatchStatistics) -> dict[str, Weights]:
    """The special points that are sets of weights which a geometry goes through, with those weights.

    Under `frozen` statistics all points have the origin's, so that the others are not what they were.
    """
    sets = (geometry.origin,) if policy == "frozen" else (geometry.origin, *geometry.others)
    known: dict[str, Weights] = {}
    for name, at in geometry.special.items():
        present = [(id(base), weight) for weight, base in geometry.terms(at) if weight != 0]
        for own in sets:
            if present == [(id(own.flat), 1.0)]:
                known[name] = own
    return known


def _with_weights(model: nn.Module, weights: Weights) -> nn.Module:
    """A copy of the model that holds these weights."""
    model = copy.deepcopy(model)
    model.load_state_dict({**weights.buffers, **weights.named}, strict=False)
    return model


def _few(landscape: Landscape) -> dict[Coordinates, dict[str, float]]:
    """By coordinates, what a landscape says at its first and last special point, and at evaluated cells."""
    special = list(landscape.points.values())
    found = {point.coordinates: point.values for point in (special[0], special[-1])}
    cells = np.argwhere(np.isin(landscape.status, (Status.EVALUATED, Status.DIVERGED)))
    for place in range(1, REPEATED_CELLS + 1):
        cell = tuple(cells[len(cells) * place // (REPEATED_CELLS + 1)])
        at = tuple(float(axis[index]) for axis, index in zip(landscape.axes.values(), cell, strict=True))
        found.setdefault(at, {name: float(values[cell]) for name, values in landscape.values.items()})
    return found


def _apart(value: float, other: float) -> float:
    """|value − other|: 0 also where both are NaN, or the same infinity; infinite where only one is NaN."""
    if value == other or (value != value and other != other):
        return 0.0
    difference = abs(value - other)
    return difference if difference == difference else np.inf


def _tensors(model: nn.Module) -> dict[str, Tensor]:
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


def _differ(tensor: Tensor, other: Tensor) -> bool:
    """Whether two tensors differ in dtype, shape, device or bits."""
    one, two = (each.detach() for each in (tensor, other))
    if (one.dtype, one.shape, one.device) != (two.dtype, two.shape, two.device):
        return True
    return not torch.equal(*(each.contiguous().reshape(-1).view(torch.uint8) for each in (one, two)))
