"""One configured landscape of a trained network: evaluated, measured, checked against itself."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import cast

import pandas as pd

from study.analysis.over_directions import replicated, replicates, summarised
from study.config_evaluation import EvaluationConfig
from study.identity import NUMERICS_VERSION
from study.keys import hashed
from study.kinds import KINDS, LandscapeConfig, Trained
from study.landscape.eigenvalues import Eigenvalues
from study.landscape.evaluate import evaluate
from study.landscape.executors import Executor
from study.landscape.geometry import BatchStatistics, Geometry
from study.landscape.grid import Grid
from study.landscape.result import Landscape
from study.landscape.store import PointStore
from study.landscape.threads import using_threads
from study.models import ModelConfig
from study.reading import Reading
from study.record import POINTS
from study.self_checks import changed, self_checks, snapshot, stated_errors, worst_checks
from study.span import PATH_SHARE, path_share
from study.training.tasks import Task


@dataclass(frozen=True)
class Look:
    """A landscape with the numbers read off it.

    Attributes:
        landscape: of every split asked for.
        measures: by `<split>/<measure>`; not finite where a value within a measure's range is not.
    """

    landscape: Landscape
    measures: dict[str, float]


def look(
    config: LandscapeConfig,
    evaluation: EvaluationConfig,
    trained: Trained,
    executor: Executor,
    threads: int,
    store: PointStore | None = None,
    on_point: Callable[[int, int], None] | None = None,
) -> Look:
    """Evaluate a landscape, and check it: each of its replicates, where its directions are drawn repeatedly.

    Args:
        config: of the landscape.
        evaluation: how points are evaluated.
        trained: what is looked at; its model is left as it is.
        executor: who computes the points.
        threads: with which the geometry is made: its bits depend on them, so they are those of the training.
        store: of finished points.
        on_point: called with (points done, points in all).
    """
    seen = []
    for place, own in enumerate(config.draws):
        counted = None if on_point is None else partial(_counted, on_point, place, len(config.draws))
        seen.append(_look(own, evaluation, trained, executor, threads, store, counted))
    if len(seen) == 1:
        return seen[0]
    landscape = replicated([own.landscape for own in seen])
    return Look(landscape, summarised([own.measures for own in seen]))


def tables(landscape: Landscape) -> dict[str, pd.DataFrame]:
    """A row a point of the landscape (``) and of each companion, by the suffix of the file.

    Those of replicates are together in one table, which then has a column `replicate`, from 0.
    """
    own = replicates(landscape)
    if len(own) > 1:
        frames = [each.to_frame() for each in own]
        for place, frame in enumerate(frames):
            frame.insert(0, "replicate", place)
        return {"": pd.concat(frames, ignore_index=True)}
    beside = {f".{name}": other.to_frame() for name, other in landscape.companions.items()}
    return {"": landscape.to_frame(), **beside}


def _counted(on_point: Callable[[int, int], None], place: int, of: int, done: int, total: int) -> None:
    """Say how many points are done of several landscapes of as many points, from those of one of them."""
    on_point(place * total + done, of * total)


def _look(
    config: LandscapeConfig,
    evaluation: EvaluationConfig,
    trained: Trained,
    executor: Executor,
    threads: int,
    store: PointStore | None,
    on_point: Callable[[int, int], None] | None,
) -> Look:
    """One landscape; the arguments are those of `look`."""
    kind, before = KINDS[config.kind], snapshot(trained.model)
    with using_threads(threads):
        geometry = kind.geometry(config, trained)
        beside = kind.companions(config, trained, geometry)
    policy = cast(BatchStatistics, config.batch_statistics or geometry.default_batch_statistics)
    reading = Reading.of(trained.data, config.splits, config.examples, config.subset_seed, evaluation)

    def evaluated(
        geometry: Geometry, grid: Grid, tolerance: float | None = None, eigenvalues: Eigenvalues | None = None
    ) -> Landscape:
        return evaluate(
            trained.model,
            trained.data.task.loss,
            reading.batches,
            geometry,
            grid,
            loss_unit=trained.data.task.loss_unit,
            batch_statistics=policy,
            tolerance=tolerance,
            eigenvalues=eigenvalues,
            executor=executor,
            store=store,
            on_point=on_point,
            **reading.settings,
        )

    landscape = evaluated(geometry, kind.grid(config, geometry), config.tolerance, kind.eigenvalues(config))
    companions = {
        name: evaluated(other.geometry, other.grid, other.tolerance) for name, other in beside.items()
    }
    landscape = kind.completed(replace(landscape, companions=companions), config)
    measures = {
        f"{name}/{measure}": value
        for name in config.splits
        for measure, value in kind.measures(landscape.split(name), config).items()
    }
    if kind.straight and (share := path_share(geometry, trained)) is not None:
        measures |= {f"{name}/{PATH_SHARE}": share for name in config.splits}
    checks = self_checks(landscape, geometry, trained, reading, policy, executor)
    for name, own in companions.items():
        of_companion = self_checks(own, beside[name].geometry, trained, reading, policy, executor)
        checks = worst_checks(checks, of_companion)
    measures |= checks
    touched = float(changed(trained.model, before))
    for name in config.splits:
        measures[f"{name}/self_check_model"] = touched
        stated = stated_errors(landscape, name)
        measures |= {f"{name}/{measure}": value for measure, value in stated.items()}
    return Look(landscape, measures)


def point_store(
    output_dir: str, model: ModelConfig, code_digests: Mapping[str, str], task: Task
) -> PointStore:
    """Where finished points of a network are kept between starts, for every run in `output_dir`.

    Args:
        output_dir: as the run's.
        model: its network.
        code_digests: of its own code.
        task: what it was trained for, which says what loss is read.
    """
    about = {
        "loss": task.loss_name,
        "model": hashed(model),
        "code": dict(code_digests),
        "numerics": NUMERICS_VERSION,
    }
    return PointStore(Path(output_dir) / POINTS, about)
