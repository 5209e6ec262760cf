"""A landscape held against the weights that it goes through, and what it says of its own errors."""

import copy
from dataclasses import replace

from torch import nn

from study.kinds import Trained
from study.landscape.executors import Executor, for_few
from study.landscape.geometry import BatchStatistics, Geometry
from study.landscape.plan import EvaluationPlan
from study.landscape.result import Landscape
from study.landscape.statistics import layers_with_running_statistics
from study.landscape.survey import Survey
from study.landscape.task import Task
from study.landscape.weights import Weights
from study.reading import Reading
from study.training.loop import EVALUATION_BATCH, mean_loss


def self_checks(
    landscape: Landscape,
    geometry: Geometry,
    trained: Trained,
    reading: Reading,
    policy: BatchStatistics,
    executor: Executor,
) -> dict[str, float]:
    """How far a landscape is off at weights that are known: the solution, or the last end of it.

    By `<split>/<measure>`: `self_check`, against the same engine apart from the landscape, in the loss's
    unit; `self_check_training`, against the training loop, relative; `batch_statistics_gap`, the loss under
    the landscape's policy less that under the stored statistics, where there are any.

    Args:
        landscape: that was evaluated.
        geometry: that it is over.
        trained: what is looked at.
        reading: the examples that were read.
        policy: what became of running statistics.
        executor: who computed the points.
    """
    name, weights = _anchor(geometry, trained.solution_name, policy)
    there = landscape.points[name].values
    plan = EvaluationPlan(**landscape.provenance["plan"])  # smaller than the rule's where memory ran out
    here = Geometry(weights, (weights.flat,), {})

    def again(batch_statistics: BatchStatistics, plan: EvaluationPlan = plan) -> dict[str, float]:
        """The values at those weights, by the engine as it was planned, apart from the landscape."""
        settings = {**reading.settings, "device": executor.device}
        loss = trained.data.task.loss
        task = Task.of(trained.model, loss, reading.batches, batch_statistics, **settings)
        with for_few(executor).open(Survey(replace(task, plan=plan), here, keep_examples=False)) as mapper:
            ((_coordinates, measured),) = mapper([()])
        return measured.values

    stored = again("frozen")  # at a checkpoint, interpolated statistics are its own too
    checked = again(policy) if policy == "recomputed" else stored
    as_trained = replace(plan, precision="float32", onednn=False)  # the arithmetic of the training loop
    exact = stored if plan == as_trained else again("frozen", as_trained)
    task = trained.data.task
    model = _with_weights(trained.model, weights)
    found = {}
    for split, examples in reading.splits.items():
        loss = f"{split}/loss"
        by_training = mean_loss(model, examples, EVALUATION_BATCH, task).loss
        found[f"{split}/self_check"] = abs(there[loss] - checked[loss])
        found[f"{split}/self_check_training"] = abs(exact[loss] - by_training) / max(abs(by_training), 1e-12)
        if layers_with_running_statistics(model):
            found[f"{split}/batch_statistics_gap"] = there[loss] - stored[loss]
    return found


def stated_errors(landscape: Landscape, split: str) -> dict[str, float]:
    """What the landscape says of its own errors, as measures; nothing where every cell is exact.

    `interpolation_error`: the largest relative error of the cells that were drawn to measure it;
    `precision_error`: of the points that were drawn to hold bfloat16 against float32.
    """
    stated = {}
    interpolation = landscape.provenance.get("interpolation", {}).get("errors", {})
    if f"{split}/loss" in interpolation:
        stated["interpolation_error"] = interpolation[f"{split}/loss"]["largest"]
    precision = landscape.provenance.get("precision_error", {}).get("relative", {})
    if precision.get(f"{split}/loss"):
        stated["precision_error"] = precision[f"{split}/loss"]["largest"]
    return stated


def _anchor(geometry: Geometry, preferred: str, policy: BatchStatistics) -> tuple[str, Weights]:
    """A special point that is one of the sets of weights that a geometry goes through, and those weights.

    Under `frozen` statistics all points have the origin's, so that the others are not what they were.
    """
    sets = (geometry.origin,) if policy == "frozen" else (geometry.origin, *geometry.others)
    known: dict[str, Weights] = {}
    for name, at in geometry.special.items():
        present = [(id(base), weight) for weight, base in geometry.terms(at) if weight != 0]
        for own in sets:
            if present == [(id(own.flat), 1.0)]:
                known[name] = own
    return (preferred, known[preferred]) if preferred in known else known.popitem()


def _with_weights(model: nn.Module, weights: Weights) -> nn.Module:
    """A copy of the model that holds these weights."""
    model = copy.deepcopy(model)
    model.load_state_dict({**weights.buffers, **weights.named}, strict=False)
    return model
