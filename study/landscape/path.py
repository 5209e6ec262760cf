"""The checkpoints of a training, one after the other."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import ClassVar

import numpy as np
from torch import Tensor

from study.landscape.geometry import BatchStatistics, Geometry
from study.landscape.grid import Coordinates, Grid
from study.landscape.weights import Weights, check_layouts


@dataclass(frozen=True, kw_only=True)
class Path(Geometry):
    """The checkpoints of a training by their update numbers: every point is a checkpoint, to the bit.

    What lies between two checkpoints is not known, and is no point of it.

    Attributes:
        checkpoints: in the order of the training; each with its own buffers, which `frozen` keeps.
        updates: the number of updates taken at each.
    """

    checkpoints: tuple[Weights, ...]
    updates: tuple[int, ...]

    axes: ClassVar[tuple[str, ...]] = ("update",)
    own_buffers: ClassVar[bool] = True

    @classmethod
    def through(
        cls, checkpoints: Sequence[Weights], updates: Sequence[int], name: str = "solution"
    ) -> "Path":
        """The path through checkpoints.

        Args:
            checkpoints: in the order of the training; the last is the solution.
            updates: of each.
            name: of the last, the special point.

        Raises:
            ValueError: if there are fewer than 2 checkpoints or not one update number for each, the numbers
                do not increase, or the checkpoints differ in their parameters.
        """
        if len(checkpoints) < 2 or len(checkpoints) != len(updates):
            raise ValueError(
                "a path needs at least 2 checkpoints with an update number each, "
                f"got {len(checkpoints)} and {len(updates)}"
            )
        if any(later <= earlier for earlier, later in pairwise(updates)):
            raise ValueError(f"update numbers must increase, got {list(updates)}")
        check_layouts(checkpoints)
        return cls(
            origin=checkpoints[0],
            bases=tuple(checkpoint.flat for checkpoint in checkpoints),
            special={name: (float(updates[-1]),)},
            provenance={
                "geometry": "path",
                "updates": list(updates),
                "checkpoints": [checkpoint.digest for checkpoint in checkpoints],
            },
            checkpoints=tuple(checkpoints),
            updates=tuple(updates),
        )

    @property
    def grid(self) -> Grid:
        """The update numbers of all checkpoints."""
        return Grid({"update": np.array(self.updates, dtype=np.float64)})

    def coefficients(self, coordinates: Coordinates) -> tuple[float, ...]:
        """1 for the checkpoint at that update number, 0 for all others.

        Raises:
            ValueError: if there is no checkpoint at it.
        """
        at = self._at(coordinates)
        return tuple(float(place == at) for place in range(len(self.checkpoints)))

    def buffers(self, coordinates: Coordinates, policy: BatchStatistics) -> dict[str, Tensor]:
        """The checkpoint's own.

        Raises:
            ValueError: if the policy is `interpolated`, or there is no checkpoint at that update number.
        """
        if policy == "interpolated":
            raise ValueError("batch_statistics must be frozen or recomputed on a path, got 'interpolated'")
        return self.checkpoints[self._at(coordinates)].buffers

    def on(self, device: str) -> "Path":
        """The same path with its checkpoints on `device`."""
        moved = tuple(checkpoint.on(device) for checkpoint in self.checkpoints)
        bases = tuple(checkpoint.flat for checkpoint in moved)
        return replace(self, origin=moved[0], bases=bases, checkpoints=moved)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the checkpoints, their buffers and update numbers."""
        own = [type(self).__qualname__, *(checkpoint.digest for checkpoint in self.checkpoints)]
        return hashlib.sha256("|".join([*own, *map(str, self.updates)]).encode()).hexdigest()

    def _at(self, coordinates: Coordinates) -> int:
        (update,) = coordinates
        if update not in self.updates:
            raise ValueError(f"update must be a checkpoint's, one of {list(self.updates)}, got {update:g}")
        return self.updates.index(int(update))
