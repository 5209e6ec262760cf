"""One configured landscape of a trained network: evaluated, measured, checked against itself."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

from torch.nn import functional

from study.config import ModelConfig
from study.config_evaluation import EvaluationConfig
from study.identity import NUMERICS_VERSION
from study.keys import hashed
from study.kinds import KINDS, LandscapeConfig, Trained
from study.landscape.evaluate import evaluate
from study.landscape.executors import Executor, for_few
from study.landscape.geometry import BatchStatistics, Geometry
from study.landscape.grid import Grid
from study.landscape.plan import EvaluationPlan
from study.landscape.result import Landscape
from study.landscape.statistics import layers_with_running_statistics
from study.landscape.store import PointStore
from study.landscape.survey import Survey
from study.landscape.task import Task
from study.record import POINTS
from study.training.data import DataSet, Examples
from study.training.loop import EVALUATION_BATCH, mean_loss

LOSS = partial(functional.cross_entropy, reduction="none")  # plain, whatever the network was trained with


@dataclass(frozen=True)
class Look:
    """A landscape with the numbers read off it.

    Attributes:
        landscape: of every split asked for.
        measures: by `<split>/<measure>`; not finite where a value within a measure's range is not.
    """

    landscape: Landscape
    measures: dict[str, float]


@dataclass(frozen=True)
class Reading:
    """The examples that a landscape is read on.

    Attributes:
        splits: by name, the fixed random subset of each; the whole split if it is no larger.
        batches: the same, as `evaluate` takes them.
        settings: what else `evaluate` takes of them.
    """

    splits: dict[str, Examples]
    batches: dict[str, Any]
    settings: dict[str, Any]

    @classmethod
    def of(
        cls,
        data: DataSet,
        names: Sequence[str],
        examples: int | None,
        subset_seed: int,
        evaluation: EvaluationConfig,
    ) -> "Reading":
        """What is read of the splits `names` of `data`: `examples` of each, or all where it is None."""
        whole = {name: getattr(data, name) for name in names}
        count = {name: len(split) if examples is None else examples for name, split in whole.items()}
        splits = {
            name: split.take(min(count[name], len(split)), subset_seed) for name, split in whole.items()
        }
        gathered = data.train.take(min(evaluation.statistics_examples, len(data.train)), subset_seed)
        return cls(
            splits=splits,
            batches={name: [(split.inputs, split.targets)] for name, split in splits.items()},
            settings={
                "statistics_data": [(gathered.inputs, gathered.targets)],
                "micro_batch": evaluation.micro_batch,
                "precision": evaluation.precision,
                "compile": evaluation.compile,
                "points_at_once": evaluation.points_at_once,
                "population": {name: len(split) for name, split in whole.items()},
            },
        )


def look(
    config: LandscapeConfig,
    evaluation: EvaluationConfig,
    trained: Trained,
    executor: Executor,
    store: PointStore | None = None,
    on_point: Callable[[int, int], None] | None = None,
) -> Look:
    """Evaluate a landscape, and check it.

    Args:
        config: of the landscape.
        evaluation: how points are evaluated.
        trained: what is looked at; its model is left as it is.
        executor: who computes the points.
        store: of finished points.
        on_point: called with (points done, points in all).
    """
    kind, model = KINDS[config.kind], trained.model
    geometry = kind.geometry(config, trained)
    policy = cast(BatchStatistics, config.batch_statistics or geometry.default_batch_statistics)
    reading = Reading.of(trained.data, config.splits, config.examples, config.subset_seed, evaluation)
    splits, batches, settings = reading.splits, reading.batches, reading.settings

    def evaluated(geometry: Geometry, grid: Grid) -> Landscape:
        return evaluate(
            model,
            LOSS,
            batches,
            geometry,
            grid,
            batch_statistics=policy,
            tolerance=config.tolerance,
            executor=executor,
            store=store,
            on_point=on_point,
            **settings,
        )

    landscape = evaluated(geometry, kind.grid(config, geometry))
    companions = {
        name: evaluated(other.geometry, other.grid)
        for name, other in kind.companions(config, trained, geometry).items()
    }
    landscape = kind.completed(replace(landscape, companions=companions), config)
    measures = {
        f"{name}/{measure}": value
        for name in splits
        for measure, value in kind.measures(landscape.split(name), config).items()
    }
    at_solution = landscape.points[trained.solution_name].values

    plan = EvaluationPlan(**landscape.provenance["plan"])  # smaller than the rule's where memory ran out
    here = Geometry(trained.solution, (trained.solution.flat,), {})

    def again(batch_statistics: BatchStatistics, plan: EvaluationPlan = plan) -> dict[str, float]:
        """The solution's own values, by the engine as it was planned, apart from the landscape."""
        task = Task.of(model, LOSS, batches, batch_statistics, device=executor.device, **settings)
        task = replace(task, plan=plan)
        with for_few(executor).open(Survey(task, here, keep_examples=False)) as mapper:
            ((_coordinates, measured),) = mapper([()])
        return measured.values

    stored = again("frozen")  # at a checkpoint, interpolated statistics are its own too
    checked = again(policy) if policy == "recomputed" else stored
    as_trained = replace(plan, precision="float32", linear="torch")  # the arithmetic of the training loop
    exact = stored if plan == as_trained else again("frozen", as_trained)
    for name, examples in splits.items():
        by_training = mean_loss(model, examples, EVALUATION_BATCH).loss
        measures |= {
            f"{name}/self_check": abs(at_solution[f"{name}/loss"] - checked[f"{name}/loss"]),
            f"{name}/self_check_training": abs(exact[f"{name}/loss"] - by_training)
            / max(abs(by_training), 1e-12),
        }
        if layers_with_running_statistics(model):
            gap = at_solution[f"{name}/loss"] - stored[f"{name}/loss"]
            measures[f"{name}/batch_statistics_gap"] = gap
        measures |= {f"{name}/{measure}": value for measure, value in stated_errors(landscape, name).items()}
    return Look(landscape, measures)


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


def point_store(output_dir: str, model: ModelConfig, code_digests: Mapping[str, str]) -> PointStore:
    """Where finished points of a network are kept between starts, for every run in `output_dir`.

    Args:
        output_dir: as the run's.
        model: its network.
        code_digests: of its own code.
    """
    about = {
        "loss": "cross-entropy",
        "model": hashed(model),
        "code": dict(code_digests),
        "numerics": NUMERICS_VERSION,
    }
    return PointStore(Path(output_dir) / POINTS, about)
