"""Neural-network loss landscapes: train, map, compare.

As a library, on your own model and data::

    from study import Grid, Line, Plane, evaluate

    plane = Plane.random(model, normalization="filter", seed=0)
    surface = evaluate(model, loss, data, plane, Grid.square(radius=1.0, points=51))
    surface.values["loss"]  # (51, 51), mean nats per example, rows alpha, columns beta
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from study.landscape.allocator import keep_freed_memory
    from study.landscape.directions import Direction, random_direction
    from study.landscape.evaluate import evaluate
    from study.landscape.executors import Joblib, Ray, Serial
    from study.landscape.geometry import Line, Plane
    from study.landscape.grid import Grid
    from study.landscape.result import Landscape, Status
    from study.landscape.store import PointStore
    from study.landscape.weights import Weights

__version__ = "0.1.0"

_HOMES = {
    "Direction": "directions",
    "Grid": "grid",
    "Joblib": "executors",
    "Landscape": "result",
    "Line": "geometry",
    "Plane": "geometry",
    "PointStore": "store",
    "Ray": "executors",
    "Serial": "executors",
    "Status": "result",
    "Weights": "weights",
    "evaluate": "evaluate",
    "keep_freed_memory": "allocator",
    "random_direction": "directions",
}

__all__ = [
    "Direction",
    "Grid",
    "Joblib",
    "Landscape",
    "Line",
    "Plane",
    "PointStore",
    "Ray",
    "Serial",
    "Status",
    "Weights",
    "evaluate",
    "keep_freed_memory",
    "random_direction",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used (PEP 562): `import study` alone loads nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module 'study' has no attribute {name!r}")
    return getattr(import_module(f"study.landscape.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
