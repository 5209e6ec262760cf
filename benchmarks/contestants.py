"""All that is timed: the peers, and this engine in each of its manners."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch.nn import functional

from benchmarks.peers import PEERS
from benchmarks.problem import Problem
from study import Grid, Joblib, Landscape, Plane, evaluate

LOSS = partial(functional.cross_entropy, reduction="none")
ENGINE: dict[str, Mapping[str, Any]] = {
    "this engine": {},
    "this engine, compiled": {"compile": True},
    "this engine, bfloat16": {"precision": "bfloat16"},
    "this engine, adaptive": {"tolerance": 0.01},
    "this engine, 1 worker of 1 thread": {"executor": Joblib(1)},
    "this engine, 2 workers of 1 thread": {"executor": Joblib(2)},
}
"""By name in the tables, what `evaluate` is told."""


@dataclass(frozen=True)
class Timing:
    """How long a plane took.

    Attributes:
        points: evaluated.
        seconds: for all of it.
        per_point: seconds of one more point. A peer is one call: its share of the whole.
    """

    points: int
    seconds: float
    per_point: float

    @property
    def once(self) -> float:
        """Seconds that a plane takes besides its points."""
        return self.seconds - self.points * self.per_point


def time_plane(name: str, problem: Problem, steps: int) -> Timing:
    """Time a contestant on a plane of `steps` × `steps` points."""
    started = time.perf_counter()
    if name in PEERS:
        points = PEERS[name](problem, steps).size
        seconds = time.perf_counter() - started
        return Timing(points, seconds, seconds / points)
    ends: list[float] = []
    surface(problem, steps, on_point=lambda _done, _total: ends.append(time.perf_counter()), **ENGINE[name])
    seconds = time.perf_counter() - started
    return Timing(len(ends), seconds, (ends[-1] - ends[0]) / (len(ends) - 1))


def surface(problem: Problem, steps: int, **settings: Any) -> Landscape:
    """The filter-normalised random plane of this engine, `steps` × `steps` points on [−1, 1]²."""
    plane = Plane.random(problem.model, normalization="filter", seed=0)
    data = [(problem.inputs, problem.targets)]
    return evaluate(problem.model, LOSS, data, plane, Grid.square(1.0, steps), **settings)
