"""Neural-network loss landscapes: train, map, compare.

As a library, on your own model and data::

    from study import Grid, Line, Plane, evaluate, plot

    plane = Plane.random(model, normalization="filter", seed=0)
    surface = evaluate(model, loss, data, plane, Grid.square(radius=1.0, points=51))
    surface.values["loss"]  # (51, 51), mean nats per example, rows alpha, columns beta
    plot(surface)  # a figure, with a caption; a notebook shows it
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from study.analysis.curve_finding import find_curve
    from study.analysis.matching import align
    from study.figures.plot import plot
    from study.landscape.allocator import keep_freed_memory
    from study.landscape.curve import Curve
    from study.landscape.direction_files import load_direction, save_direction
    from study.landscape.directions import Direction, difference, given, orthogonalised, random_direction
    from study.landscape.eigenpairs import top_eigenpairs
    from study.landscape.eigenvalues import Eigenvalues
    from study.landscape.evaluate import evaluate
    from study.landscape.executors import Joblib, Ray, Serial
    from study.landscape.geometry import Line, Plane
    from study.landscape.grid import Grid
    from study.landscape.hessian import Objective
    from study.landscape.result import Landscape, Status
    from study.landscape.store import PointStore
    from study.landscape.trajectory import principal_plane
    from study.landscape.weights import Weights

__version__ = "0.1.0"

_HOMES = {
    "Curve": "landscape.curve",
    "Direction": "landscape.directions",
    "Eigenvalues": "landscape.eigenvalues",
    "Grid": "landscape.grid",
    "Joblib": "landscape.executors",
    "Landscape": "landscape.result",
    "Line": "landscape.geometry",
    "Objective": "landscape.hessian",
    "Plane": "landscape.geometry",
    "PointStore": "landscape.store",
    "Ray": "landscape.executors",
    "Serial": "landscape.executors",
    "Status": "landscape.result",
    "Weights": "landscape.weights",
    "align": "analysis.matching",
    "difference": "landscape.directions",
    "evaluate": "landscape.evaluate",
    "find_curve": "analysis.curve_finding",
    "given": "landscape.directions",
    "keep_freed_memory": "landscape.allocator",
    "load_direction": "landscape.direction_files",
    "orthogonalised": "landscape.directions",
    "plot": "figures.plot",
    "principal_plane": "landscape.trajectory",
    "random_direction": "landscape.directions",
    "save_direction": "landscape.direction_files",
    "top_eigenpairs": "landscape.eigenpairs",
}

__all__ = [
    "Curve",
    "Direction",
    "Eigenvalues",
    "Grid",
    "Joblib",
    "Landscape",
    "Line",
    "Objective",
    "Plane",
    "PointStore",
    "Ray",
    "Serial",
    "Status",
    "Weights",
    "align",
    "difference",
    "evaluate",
    "find_curve",
    "given",
    "keep_freed_memory",
    "load_direction",
    "orthogonalised",
    "plot",
    "principal_plane",
    "random_direction",
    "save_direction",
    "top_eigenpairs",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used (PEP 562): `import study` alone loads nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module 'study' has no attribute {name!r}")
    return getattr(import_module(f"study.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
