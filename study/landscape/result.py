"""The result of an evaluation: values on a grid, with status, standard errors and provenance."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from study.landscape.archive import pack, unpack, write

FORMAT = "landscape/1"
NATS = "nats"  # of the cross-entropy; the unit of a loss of which nothing else is said


class Status(IntEnum):
    """What is known of a grid cell. No value ever stands for a status."""

    MISSING = 0
    EVALUATED = 1
    INTERPOLATED = 2
    DIVERGED = 3  # evaluated, and some loss there is not finite


@dataclass(frozen=True)
class Point:
    """A special point of a geometry (centre, endpoint, checkpoint), evaluated wherever the grid lies.

    Attributes:
        coordinates: one number an axis, in the units of the grid.
        values: as `Landscape.values`, a number each.
    """

    coordinates: tuple[float, ...]
    values: dict[str, float]


@dataclass(frozen=True)
class Landscape:
    """The loss, and what was measured with it, over a grid.

    Attributes:
        axes: name to coordinates, in order: `alpha` (A,) along rows, then `beta` (B,) along columns.
        values: name to an array of the grid's shape, (A,) or (A, B), float64. `loss` is the mean over
            examples in `loss_unit`, `loss_standard_error` its standard error (of the subset for the mean of
            the whole split), `accuracy` a fraction. Where several splits were evaluated, each name has its
            split before it: `train/loss`. Where cells are interpolated, `loss_interpolation_error` bounds the
            95th percentile of their error, in the loss's unit; it is zero at an evaluated cell.
        status: `Status` of each cell, int8, of the grid's shape.
        points: the special points by name.
        example_losses: on lines, by split (`""` where the data had no name), the loss of each example at each
            grid point, (A, N) float32, in data-set order, NaN where it is interpolated; empty otherwise.
        provenance: what the values depend on; JSON-able.
        companions: by name, landscapes that this one is read beside: a straight line beside a curve, the
            weights on an optimiser's path beside their projections on a plane.
    """

    axes: dict[str, np.ndarray]
    values: dict[str, np.ndarray]
    status: np.ndarray
    points: dict[str, Point] = field(default_factory=dict)
    example_losses: dict[str, np.ndarray] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)
    companions: dict[str, "Landscape"] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, array in {**self.values, "status": self.status}.items():
            if array.shape != self.shape:
                raise ValueError(f"{name!r} must have the grid's shape {self.shape}, got {array.shape}")

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of points along each axis."""
        return tuple(len(axis) for axis in self.axes.values())

    @property
    def loss_unit(self) -> str:
        """What the loss of an example is counted in, in words."""
        return self.provenance.get("loss_unit", NATS)

    @property
    def splits(self) -> list[str]:
        """Names of the splits evaluated; `[""]` where the data had no name."""
        return [name.removesuffix("loss").removesuffix("/") for name in self.values if is_loss(name)]

    def split(self, name: str) -> "Landscape":
        """The landscape of one split, with plain value names (`loss`, `accuracy`, …), and its companions'.

        Values that belong to no split stay. Its status speaks of that split alone: a cell is diverged where
        that split's loss is not finite.

        Raises:
            ValueError: if that split was not evaluated.
        """
        if name not in self.splits:
            raise ValueError(f"split must be one of {self.splits}, got {name!r}")
        if name == "":
            return self
        prefix = name + "/"

        def own(values: dict[str, Any]) -> dict[str, Any]:
            return {
                key.removeprefix(prefix): item
                for key, item in values.items()
                if key.startswith(prefix) or "/" not in key
            }

        values = own(self.values)
        status = self.status.copy()
        status[(status == Status.DIVERGED) & np.isfinite(values["loss"])] = Status.EVALUATED
        return Landscape(
            axes=self.axes,
            values=values,
            status=status,
            points={key: Point(point.coordinates, own(point.values)) for key, point in self.points.items()},
            example_losses={"": self.example_losses[name]} if name in self.example_losses else {},
            provenance={**self.provenance, "split": name},
            companions={key: other.split(name) for key, other in self.companions.items()},
        )

    def to_frame(self) -> pd.DataFrame:
        """A row for each grid cell, rows of the grid first, then one for each special point.

        Columns: the axes, the values, `status` (its name in lower case) and `point` (the special point's
        name, empty for a grid cell).
        """
        mesh = np.meshgrid(*self.axes.values(), indexing="ij")
        columns: dict[str, Any] = {name: grid.ravel() for name, grid in zip(self.axes, mesh, strict=True)}
        columns |= {name: array.ravel() for name, array in self.values.items()}
        columns["status"] = [Status(code).name.lower() for code in self.status.ravel()]
        columns["point"] = ""
        cells = pd.DataFrame(columns)
        if not self.points:
            return cells
        return pd.concat([cells, pd.DataFrame(list(self._point_rows()))], ignore_index=True)

    def _point_rows(self) -> Iterator[dict[str, Any]]:
        for name, point in self.points.items():
            losses = [value for key, value in point.values.items() if is_loss(key)]
            status = Status.EVALUATED if np.isfinite(losses).all() else Status.DIVERGED
            coordinates = dict(zip(self.axes, point.coordinates, strict=True))
            yield {**coordinates, **point.values, "status": status.name.lower(), "point": name}

    def to_bytes(self) -> bytes:
        """The `.npz` file as bytes; equal landscapes give equal bytes."""
        header = {
            "axes": list(self.axes),
            "points": {
                name: {"coordinates": list(point.coordinates), "values": point.values}
                for name, point in self.points.items()
            },
            "provenance": self.provenance,
        }
        arrays = {f"axis/{name}": axis for name, axis in self.axes.items()}
        arrays |= {f"value/{name}": array for name, array in self.values.items()}
        arrays |= {f"example_losses/{name}": array for name, array in self.example_losses.items()}
        arrays |= {
            f"companion/{name}": np.frombuffer(other.to_bytes(), np.uint8)
            for name, other in self.companions.items()
        }
        return pack(FORMAT, header, {"status": self.status, **arrays})

    @classmethod
    def from_bytes(cls, data: bytes) -> "Landscape":
        """Read what `to_bytes` wrote.

        Raises:
            ValueError: if the bytes are no landscape, or one of another format.
        """
        header, arrays = unpack(FORMAT, data)

        def group(prefix: str) -> dict[str, np.ndarray]:
            return {
                name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)
            }

        return cls(
            axes={name: arrays[f"axis/{name}"] for name in header["axes"]},
            values=group("value/"),
            status=arrays["status"],
            points={
                name: Point(tuple(point["coordinates"]), point["values"])
                for name, point in header["points"].items()
            },
            example_losses=group("example_losses/"),
            provenance=header["provenance"],
            companions={name: cls.from_bytes(own.tobytes()) for name, own in group("companion/").items()},
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the landscape to `path`, atomically; `.npz` is added to a name that does not end in it."""
        write(path, self.to_bytes())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Landscape":
        """Read a landscape from `path`.

        Raises:
            ValueError: naming the file, if it holds no landscape.
        """
        try:
            return cls.from_bytes(Path(path).read_bytes())
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error


def is_loss(name: str) -> bool:
    """Whether the value of that name is the loss of a split."""
    return name == "loss" or name.endswith("/loss")
