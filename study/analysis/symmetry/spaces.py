"""Which dims of a network's tensors must be permuted alike: spaces of units, tied or fixed."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Axis:
    """What lies along a dim: entry i · block + r is the r-th of unit i of a space.

    Attributes:
        space: its number.
        block: consecutive entries that belong to one unit: H · W for channels that were flattened, else 1.
    """

    space: int
    block: int = 1


Axes = tuple[Axis | None, ...]
"""What lies along each dim of a tensor; None where nothing may be permuted."""


class Spaces:
    """Sets of units, each with a permutation of its own until it is tied to another or fixed.

    A union-find whose links carry blocks: a space of n · b entries that is tied to one of n units may from
    then on be permuted in blocks of b only.
    """

    def __init__(self) -> None:
        self._sizes: list[int] = []
        self._links: list[Axis | None] = []
        self._fixed: list[bool] = []

    def new(self, size: int) -> Axis | None:
        """An axis over a new space of `size` units; None for a single one, which cannot be permuted."""
        if size == 1:
            return None
        self._sizes.append(size)
        self._links.append(None)
        self._fixed.append(False)
        return Axis(len(self._sizes) - 1)

    def fix(self, *axes: Axis | None) -> None:
        """Let nothing be permuted along `axes`."""
        for axis in axes:
            if axis is not None:
                self._fixed[self._resolve(axis).space] = True

    def tie(self, first: Axis | None, second: Axis | None) -> None:
        """Let the entries along two dims of one size be permuted alike only.

        Where the blocks of neither are blocks of the other, both are fixed.
        """
        if first is None or second is None:
            self.fix(first, second)
            return
        fine, coarse = sorted(map(self._resolve, (first, second)), key=lambda axis: axis.block)
        if fine == coarse:
            return
        ratio, rest = divmod(coarse.block, fine.block)
        if rest or fine.space == coarse.space:
            self.fix(fine, coarse)
            return
        self._links[fine.space] = Axis(coarse.space, ratio)
        self._fixed[coarse.space] |= self._fixed[fine.space]

    def free(self, axis: Axis | None) -> Axis | None:
        """`axis` in terms of the space that it was tied to in the end; None if that is fixed."""
        if axis is None:
            return None
        found = self._resolve(axis)
        return None if self._fixed[found.space] else found

    def size(self, axis: Axis) -> int:
        """Number of units of the space of an axis, as it stands."""
        return self._sizes[axis.space]

    def _resolve(self, axis: Axis) -> Axis:
        while (link := self._links[axis.space]) is not None:
            axis = Axis(link.space, link.block * axis.block)
        return axis


def in_blocks(axis: Axis | None, block: int) -> Axis | None:
    """The axis of a dim in which each entry along `axis` has become `block` consecutive ones."""
    return None if axis is None else Axis(axis.space, axis.block * block)
