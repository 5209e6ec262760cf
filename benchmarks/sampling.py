"""Adaptive evaluation against the truth and against Learner2D of `adaptive`; `make bench MNIST=FOLDER`.

Each surface is evaluated at every point of its grid, with a store, so that this may be interrupted. Then the
engine's own choice of points is replayed on those values, and Learner2D chooses as many points, and more,
until it is as right: its points lie anywhere, so the network is evaluated at them. Errors are those of
log(L + ε), held against every cell that was not evaluated.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from math import expm1
from pathlib import Path
from typing import Any

import numpy as np
from adaptive import Learner2D
from adaptive.runner import simple

from benchmarks.contestants import LOSS
from benchmarks.problem import Problem, mnist_problem
from benchmarks.tables import ROOT, put_between
from benchmarks.trained import trained
from study import Grid, Landscape, Plane, PointStore, Status, evaluate, keep_freed_memory
from study.landscape.evaluator import Evaluator, Measured
from study.landscape.grid import Coordinates
from study.landscape.refine import FLOOR, refine
from study.landscape.task import Task

TOLERANCE = 0.01
MOST = 2.0  # Learner2D may take so many times the points of the whole grid


@dataclass(frozen=True)
class Case:
    """A surface.

    Attributes:
        title: in the table.
        network: its name.
        normalization: of the directions.
        reach: the grid spans [−reach, reach]², but for `shift`.
        shift: of the grid along both axes.
        learner: whether Learner2D is tried on it.
    """

    title: str
    network: str
    normalization: Any
    reach: float
    shift: float = 0.0
    learner: bool = False

    @property
    def grid(self) -> Grid:
        """51 × 51 points."""
        axis = (self.shift - self.reach, self.shift + self.reach, 51)
        return Grid.rectangle(axis, axis)


CASES = (
    Case("2-conv, filter-normalised, [−1, 1]²", "two_conv", "filter", 1.0, learner=True),
    Case("2-conv, not normalised, [−20, 20]²", "two_conv", "none", 20.0),
    Case("2-conv, partly not finite, 10⁸ [−2, 4]²", "two_conv", "none", 3e8, 1e8),
    Case("MLP, filter-normalised, [−1, 1]²", "mlp", "filter", 1.0),
    Case("20 layers without skip connections, filter-normalised, [−1, 1]²", "plain20", "filter", 1.0),
)


def main() -> None:
    """Measure every case, and write the table into the documentation."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sampling")
    parser.add_argument("--root", required=True, help="folder that holds MNIST/raw")
    parser.add_argument("--out", type=Path, default=Path("outputs/benchmarks"), help="folder of the results")
    parser.add_argument("--images", type=int, default=1_000, help="test images that a point reads")
    asked = parser.parse_args()
    keep_freed_memory()
    rows = [
        f"| surface of 51 × 51 points, {asked.images:,} images | sampled by | points | fewer by "
        "| stated error | true 95th percentile | largest true error |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for case in CASES:
        model = trained(case.network, asked.root, asked.out / "networks")
        problem = mnist_problem(model, asked.root, asked.images)
        plane = Plane.random(model, normalization=case.normalization, seed=0)
        store = PointStore(asked.out / "points", {"network": case.network})
        data = [(problem.inputs, problem.targets)]
        truth = evaluate(model, LOSS, data, plane, case.grid, store=store)
        own = replay(truth)
        rows.append(row(case.title, "this engine", own))
        print(rows[-1], flush=True)
        if case.learner:
            for sampled in learnt(problem, plane, truth, own):
                rows.append(row(case.title, "Learner2D", sampled))
                print(rows[-1], flush=True)
    put_between(ROOT / "docs" / "scaling.md", "sampling", "\n".join(rows))


@dataclass(frozen=True)
class Sampled:
    """How right a surface is.

    Attributes:
        points: evaluated.
        stated: the error that the surface says it has; None if it says nothing.
        percentile: the true one, the 95th of all cells that were not evaluated.
        largest: of them.
    """

    points: int
    stated: float | None
    percentile: float
    largest: float


def replay(truth: Landscape) -> Sampled:
    """The engine's adaptive evaluation of a surface whose every value is known."""
    places = [{float(at): place for place, at in enumerate(axis)} for axis in truth.axes.values()]

    def measure(points: Sequence[Coordinates]) -> list[Measured]:
        cells = [tuple(of[at] for of, at in zip(places, point, strict=True)) for point in points]
        return [Measured({"loss": float(truth.values["loss"][cell])}) for cell in cells]

    special = {point.coordinates: Measured({"loss": point.values["loss"]}) for point in truth.points.values()}
    found = refine(Grid(truth.axes), special, measure, TOLERANCE)
    assert found.estimate is not None
    between = found.status == Status.INTERPOLATED
    stated = found.estimate["errors"]["loss"]["largest"] if between.any() else 0.0
    return held(found.values["loss"], truth, between, found.estimate["evaluated"], stated)


def learnt(problem: Problem, plane: Plane, truth: Landscape, own: Sampled) -> list[Sampled]:
    """Learner2D's linear interpolant of log(L + ε): at as many points, then doubled until it is as right."""
    task = Task.of(problem.model, LOSS, [(problem.inputs, problem.targets)])
    (low, *_, high), _ = truth.axes["alpha"], truth.axes["beta"]
    with Evaluator.open(task) as evaluator:

        def value(point: tuple[float, float]) -> float:
            loss = evaluator.at(plane, [(float(point[0]), float(point[1]))])[0].values["loss"]
            return float(np.log(loss + FLOOR))

        learner = Learner2D(value, [(float(low), float(high))] * 2)
        found: list[Sampled] = []
        points = own.points
        while points <= MOST * truth.status.size:
            simple(learner, npoints_goal=points)
            mesh = np.meshgrid(*truth.axes.values(), indexing="ij")
            guessed = np.exp(learner.interpolator(scaled=False)(*mesh)) - FLOOR
            everywhere = np.ones(truth.shape, dtype=bool)
            found.append(held(guessed.reshape(truth.shape), truth, everywhere, points, None))
            if found[-1].percentile <= own.percentile:
                break
            points *= 2
        return found


def held(
    guessed: np.ndarray, truth: Landscape, between: np.ndarray, points: int, stated: float | None
) -> Sampled:
    """Guessed cells held against the true ones."""
    if not between.any():
        return Sampled(points, stated, 0.0, 0.0)
    true = truth.values["loss"][between]
    with np.errstate(invalid="ignore"):
        error = np.abs(np.log(guessed[between] + FLOOR) - np.log(true + FLOOR))
    error = np.where(np.isfinite(true), error, np.inf)
    return Sampled(points, stated, float(np.quantile(error, 0.95)), float(error.max()))


def row(title: str, by: str, sampled: Sampled) -> str:
    """A row of the table."""
    stated = "–" if sampled.stated is None else _percent(sampled.stated)
    fewer = f"{51 * 51 / sampled.points:.1f}×"
    cells = [
        title,
        by,
        f"{sampled.points:,}",
        fewer,
        stated,
        _percent(sampled.percentile),
        _percent(sampled.largest),
    ]
    return "| " + " | ".join(cells) + " |"


def _percent(error: float) -> str:
    if error >= 1:
        return f"a factor of {np.exp(error):.2g}"
    return f"{100 * expm1(error):.0f}%" if error > 0.1 else f"{100 * expm1(error):.2g}%"


if __name__ == "__main__":
    main()
