"""A landscape as named arrays with dimensions, units and meanings: what netCDF and NumPy files hold."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from study.landscape.archive import packed
from study.landscape.result import Landscape, Status

if TYPE_CHECKING:
    import xarray as xr

MEANINGS = {
    "alpha": "step along the first direction",
    "beta": "step along the second direction",
    "update": "updates taken by the optimiser",
    "loss": "mean loss over the examples read",
    "loss_standard_error": "standard error of the loss, of the subset read for the whole split",
    "loss_interpolation_error": "95% of interpolated cells are within this of the exact loss",
    "loss_at_projection": "mean loss at the nearest point of the plane",
    "accuracy": "fraction of examples classified rightly",
    "distance": "L2 distance of the checkpoint from the plane",
    "quadratic": "loss predicted by slope and curvature at the centre",
    "smallest_eigenvalue": "smallest eigenvalue of the Hessian",
    "largest_eigenvalue": "largest eigenvalue of the Hessian",
    "eigenvalue_ratio": "|smallest / largest eigenvalue| of the Hessian",
}
"""What values and axes are, by their names."""

IN_LOSS_UNIT = ("loss", "loss_standard_error", "loss_interpolation_error", "loss_at_projection", "quadratic")
"""The values in the loss's unit."""

WITHOUT_UNIT = ("alpha", "beta", "update", "t", "accuracy", "eigenvalue_ratio")
"""The values and axes that are counts, fractions or multiples of a direction."""


class Variable(NamedTuple):
    """An array with what is to be known of it.

    Attributes:
        dimensions: the name of each.
        values: the array.
        attributes: `units`, `long_name` and the like.
    """

    dimensions: tuple[str, ...]
    values: np.ndarray
    attributes: dict[str, Any]


def variables(landscapes: Sequence[Landscape]) -> dict[str, Variable]:
    """The arrays of a landscape, or of its replicates, by name; no value is changed.

    The dimensions are, in this order and where there are several: `replicate`, `split`, then the axes of the
    grid (`alpha` along rows, `beta` along columns), or `point` for special points, whose coordinates and
    values are `point_alpha`, `point_loss` and so on. On lines, `example_loss` has the loss of each example,
    by split (`example_loss_train`).

    Args:
        landscapes: over one grid, with the same splits and special points; at least one. Their companions are
            not part of it.

    Raises:
        ValueError: if they are over other grids, or have other splits or points.
    """
    first, lead = landscapes[0], ("replicate",) if len(landscapes) > 1 else ()
    _check(landscapes)
    splits = [] if first.splits == [""] else first.splits
    found = {name: Variable((name,), axis, _about(name, first)) for name, axis in first.axes.items()}
    if lead:
        draws = np.arange(len(landscapes))
        found["replicate"] = Variable(lead, draws, {"long_name": "draw of the random directions"})
    if splits:
        found["split"] = Variable(("split",), np.array(splits), {"long_name": "examples read"})
    for base, by_split in _names(first.values, splits).items():
        own = [[_array(each.values, name, first.shape) for name in by_split] for each in landscapes]
        found[base] = _stacked(own, lead, base not in by_split, tuple(first.axes), _about(base, first))
    meanings = " ".join(status.name.lower() for status in Status)
    codes = np.array(list(Status), dtype=np.int8)
    about = {"long_name": "what is known of a cell", "flag_values": codes, "flag_meanings": meanings}
    found["status"] = _stacked([[each.status] for each in landscapes], lead, False, tuple(first.axes), about)
    return found | _points(landscapes, lead, splits) | _examples(landscapes, lead)


def to_xarray(*landscapes: Landscape, about: Mapping[str, Any] | None = None) -> "xr.Dataset":
    """A landscape as an xarray data set, with coordinates, units and meanings, and its provenance as JSON.

    Args:
        landscapes: one, or the replicates of one over the same grid; see `variables`.
        about: JSON-able; what else is to be known, beside the landscape's own provenance.
    """
    import xarray as xr

    text = np.array(as_json(provenance(landscapes, about or {})))
    meaning = {"long_name": "JSON: what the values depend on, of each replicate in order"}
    held = variables(landscapes) | {"provenance": Variable((), text, meaning)}
    return xr.Dataset(
        {name: (own.dimensions, own.values, own.attributes) for name, own in held.items()},
        attrs={"Conventions": "CF-1.11"},
    ).set_coords([name for name in held if name in {f"point_{axis}" for axis in landscapes[0].axes}])


def to_npz(*landscapes: Landscape, about: Mapping[str, Any] | None = None) -> bytes:
    """A landscape as an `.npz` file that needs no pickle: the arrays of `variables`, by their names.

    `provenance` is JSON: that of the landscape, `about`, and the dimensions and meanings of every array.

    Args:
        landscapes: one, or the replicates of one over the same grid; see `variables`.
        about: JSON-able; what else is to be known, beside the landscape's own provenance.
    """
    held = variables(landscapes)
    described = {name: {"dimensions": list(own.dimensions)} | own.attributes for name, own in held.items()}
    said = as_json(provenance(landscapes, about or {}) | {"arrays": described})
    return packed({name: own.values for name, own in held.items()} | {"provenance": np.array(said)})


def as_json(content: Any) -> str:
    """JSON of what may hold NumPy's numbers."""
    return json.dumps(content, ensure_ascii=False, default=lambda own: own.tolist())


def _check(landscapes: Sequence[Landscape]) -> None:
    first = landscapes[0]
    for own in landscapes[1:]:
        alike = own.shape == first.shape and list(own.axes) == list(first.axes)
        alike &= own.splits == first.splits and list(own.points) == list(first.points)
        if not alike or any(not np.array_equal(own.axes[name], first.axes[name]) for name in first.axes):
            raise ValueError("landscapes must be over one grid, with the same splits and special points")


def _names(values: Mapping[str, Any], splits: Sequence[str]) -> dict[str, list[str]]:
    """By the plain name of each value, its names for the splits; a value of no split has its own alone."""
    found: dict[str, list[str]] = {}
    for name in values:
        split, slash, base = name.partition("/")
        if slash and split in splits:
            found[base] = [f"{each}/{base}" for each in splits]
        else:
            found[name] = [name]
    return found


def _array(values: Mapping[str, np.ndarray], name: str, shape: tuple[int, ...]) -> np.ndarray:
    """A value, NaN throughout where a split has no such value."""
    return values[name] if name in values else np.full(shape, np.nan)


def _stacked(
    arrays: Sequence[Sequence[np.ndarray]],
    lead: tuple[str, ...],
    by_split: bool,
    dimensions: tuple[str, ...],
    about: dict[str, Any],
) -> Variable:
    """One variable of the arrays of each replicate and, within it, of each split."""
    whole = np.array(arrays)
    whole = whole if by_split else whole[:, 0]
    named = (*lead, *(("split",) if by_split else ()), *dimensions)
    return Variable(named, whole if lead else whole[0], about)


def _points(
    landscapes: Sequence[Landscape], lead: tuple[str, ...], splits: Sequence[str]
) -> dict[str, Variable]:
    """The names, coordinates and values of the special points."""
    first, dimension = landscapes[0], ("point",)
    if not first.points:
        return {}
    found = {"point": Variable(dimension, np.array(list(first.points)), {"long_name": "special point"})}
    places = np.array([point.coordinates for point in first.points.values()], dtype=np.float64)
    for column, name in enumerate(first.axes):
        found[f"point_{name}"] = Variable(dimension, places[:, column], _about(name, first))
    held = {name: None for own in landscapes for point in own.points.values() for name in point.values}
    for base, by_split in _names(held, splits).items():
        own = [
            [
                np.array([point.values.get(name, np.nan) for point in each.points.values()])
                for name in by_split
            ]
            for each in landscapes
        ]
        found[f"point_{base}"] = _stacked(own, lead, base not in by_split, dimension, _about(base, first))
    return found


def _examples(landscapes: Sequence[Landscape], lead: tuple[str, ...]) -> dict[str, Variable]:
    """The losses of single examples; those of the first replicate where the others have none."""
    first, found = landscapes[0], {}
    for split, losses in first.example_losses.items():
        end = f"_{split}" if split else ""
        dimensions = (*first.axes, f"example{end}")
        about = {"long_name": "loss of each example, in the order of the data", "units": first.loss_unit}
        kept = [own.example_losses[split] for own in landscapes if split in own.example_losses]
        if lead and len(kept) == len(landscapes):
            found[f"example_loss{end}"] = Variable((*lead, *dimensions), np.array(kept), about)
        else:
            found[f"example_loss{end}"] = Variable(dimensions, losses, about)
    return found


def _about(name: str, landscape: Landscape) -> dict[str, Any]:
    """Unit and meaning of a value or an axis, where they are known."""
    about = {"long_name": MEANINGS[name]} if name in MEANINGS else {}
    if name in IN_LOSS_UNIT:
        return about | {"units": landscape.loss_unit}
    return about | ({"units": "1"} if name in WITHOUT_UNIT else {})


def provenance(landscapes: Sequence[Landscape], about: Mapping[str, Any]) -> dict[str, Any]:
    """What values depend on: what is given, and the provenance of each landscape in order."""
    return {**about, "landscapes": [own.provenance for own in landscapes]}
