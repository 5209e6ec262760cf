"""The points of one geometry, as whoever computes them holds them."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any

from study.landscape.eigenvalues import EigenvalueReader, Eigenvalues
from study.landscape.evaluator import Evaluator, Measured
from study.landscape.geometry import Geometry
from study.landscape.grid import Coordinates
from study.landscape.task import Task
from study.landscape.weights import Weights

Measure = Callable[[Sequence[Coordinates]], list[Measured]]


@dataclass(frozen=True)
class Survey:
    """A task on a geometry. Each worker holds it once, and is told coordinates alone; it can be pickled.

    Attributes:
        task: what is measured at a point.
        geometry: where the points lie.
        keep_examples: whether the losses of the examples are kept, beside their mean.
        eigenvalues: how the Hessian's extreme eigenvalues are found at each point; None leaves them out.
    """

    task: Task
    geometry: Geometry
    keep_examples: bool
    eigenvalues: Eigenvalues | None = None

    @contextmanager
    def open(self) -> Iterator[Measure]:
        """Place everything on the plan's device, and give what measures points there."""
        geometry = self.geometry.on(self.task.plan.device)
        reader = EigenvalueReader(self.task, self.eigenvalues) if self.eigenvalues is not None else None
        with Evaluator.open(self.task) as evaluator:

            def measure(points: Sequence[Coordinates]) -> list[Measured]:
                measured = evaluator.at(geometry, points)
                if not self.keep_examples:
                    measured = [replace(point, example_losses={}) for point in measured]
                if reader is None:
                    return measured
                read = [reader.at(self._weights(geometry, at)) for at in points]
                return [
                    replace(point, values={**point.values, **own})
                    for point, own in zip(measured, read, strict=True)
                ]

            yield measure

    def _weights(self, geometry: Geometry, at: Coordinates) -> Weights:
        return replace(geometry.at(*at), buffers=geometry.buffers(at, self.task.policy))

    def identity(self) -> dict[str, Any]:
        """All that the values depend on and that can be seen here; JSON-able."""
        return {
            **self.task.identity(),
            "geometry": self.geometry.digest,
            "keep_examples": self.keep_examples,
            "eigenvalues": asdict(self.eigenvalues) if self.eigenvalues is not None else None,
        }
