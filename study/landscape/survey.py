"""The points of one geometry, as whoever computes them holds them."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from study.landscape.evaluator import Evaluator, Measured
from study.landscape.geometry import Geometry
from study.landscape.grid import Coordinates
from study.landscape.task import Task

Measure = Callable[[Sequence[Coordinates]], list[Measured]]


@dataclass(frozen=True)
class Survey:
    """A task on a geometry. Each worker holds it once, and is told coordinates alone; it can be pickled.

    Attributes:
        task: what is measured at a point.
        geometry: where the points lie.
        keep_examples: whether the losses of the examples are kept, beside their mean.
    """

    task: Task
    geometry: Geometry
    keep_examples: bool

    @contextmanager
    def open(self) -> Iterator[Measure]:
        """Place everything on the plan's device, and give what measures points there."""
        geometry = self.geometry.on(self.task.plan.device)
        with Evaluator.open(self.task) as evaluator:

            def measure(points: Sequence[Coordinates]) -> list[Measured]:
                measured = evaluator.at(geometry, points)
                if self.keep_examples:
                    return measured
                return [replace(point, example_losses={}) for point in measured]

            yield measure

    def identity(self) -> dict[str, Any]:
        """All that the values depend on and that can be seen here; JSON-able."""
        return {
            **self.task.identity(),
            "geometry": self.geometry.digest,
            "keep_examples": self.keep_examples,
        }
