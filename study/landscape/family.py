"""Families of weights: fixed vectors, mixed by coefficients that follow from coordinates."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, reduce
from typing import Any, ClassVar, Literal, get_args

import torch
from torch import Tensor

from study.landscape.grid import Coordinates
from study.landscape.weights import Weights

BatchStatistics = Literal["frozen", "interpolated", "recomputed"]
BATCH_STATISTICS: tuple[str, ...] = get_args(BatchStatistics)

Terms = list[tuple[float, Tensor]]
"""Coefficients with their vectors: what a point is the sum of."""


@dataclass(frozen=True)
class Geometry:
    """A family of weights θ(c) = Σₖ wₖ(c) bₖ: fixed vectors bₖ, mixed by coefficients of the coordinates c.

    Every point is computed from the vectors themselves, never by accumulated steps, and a vector whose
    coefficient is zero is left out: a special point has the very bits of the weights it stands for.

    Attributes:
        origin: layout and buffers; its vector is the first of `bases`.
        bases: the vectors bₖ, each (P,).
        special: name to coordinates of the points that are always evaluated.
        provenance: what the geometry depends on; JSON-able.
        others: where the geometry mixes sets of weights, those after the origin: `bases` are their vectors.
    """

    origin: Weights
    bases: tuple[Tensor, ...]
    special: Mapping[str, Coordinates]
    provenance: Mapping[str, Any] = field(default_factory=dict)
    others: tuple[Weights, ...] = ()

    axes: ClassVar[tuple[str, ...]] = ()
    own_buffers: ClassVar[bool] = False
    """Whether points differ in their frozen buffers: they are then evaluated one by one."""

    def coefficients(self, coordinates: Coordinates) -> tuple[float, ...]:
        """The coefficients wₖ at `coordinates`: 1 for the origin, then the coordinates as they are."""
        return (1.0, *coordinates)

    def shares(self, coordinates: Coordinates) -> tuple[float, ...]:
        """What each set of weights counts for in interpolated statistics: as much as in the weights."""
        return self.coefficients(coordinates)

    def terms(self, coordinates: Coordinates) -> Terms:
        """The coefficients at `coordinates`, each with its vector."""
        return list(zip(self.coefficients(coordinates), self.bases, strict=True))

    def at(self, *coordinates: float) -> Weights:
        """The weights at `coordinates`, with their frozen buffers: the origin's, or the point's own.

        Raises:
            ValueError: if there is not one coordinate an axis.
        """
        if len(coordinates) != len(self.axes):
            raise ValueError(f"coordinates must be {len(self.axes)} numbers, got {len(coordinates)}")
        flat = torch.empty_like(self.bases[0])
        mix(self.terms(coordinates), flat)
        return Weights(self.origin.layout, flat, self.buffers(coordinates, "frozen"))

    def buffers(self, coordinates: Coordinates, policy: BatchStatistics) -> dict[str, Tensor]:
        """The buffers that go with `coordinates` under `policy`.

        `interpolated` mixes the running statistics of the sets of weights by their `shares`, held
        between the sets: a negative one counts as zero, and the rest are scaled to the sum 1. Beyond the end
        of a line that is the end; outside, the mix of two variances can be negative.

        Raises:
            ValueError: if the policy is `interpolated` and the geometry has one set of weights only.
        """
        if policy != "interpolated":
            return self.origin.buffers
        if not self.others:
            needed = "a line between two sets of weights or a plane through three"
            raise ValueError(f"batch_statistics 'interpolated' needs {needed}")
        held = [max(weight, 0.0) for weight in self.shares(coordinates)]
        total = sum(held)
        own = zip(held, (self.origin, *self.others), strict=True)
        shares = [(weight / total, weights.buffers) for weight, weights in own if weight > 0.0]
        if len(shares) == 1:  # the very bits of one, whatever the others hold
            return shares[0][1]
        return {
            name: reduce(torch.add, [share * buffers[name] for share, buffers in shares])
            if buffer.is_floating_point()
            else buffer
            for name, buffer in self.origin.buffers.items()
        }

    @property
    def span(self) -> tuple[Tensor, ...]:
        """The vectors along which its points differ, each (P,): from the origin, whatever mixes them."""
        if self.others:
            return tuple(base - self.bases[0] for base in self.bases[1:])
        return self.bases[1:]

    @property
    def default_batch_statistics(self) -> BatchStatistics:
        """`recomputed` between sets of weights, `frozen` about one."""
        return "recomputed" if self.others else "frozen"

    def on(self, device: str) -> "Geometry":
        """The same geometry with its vectors and buffers on `device`."""
        return replace(
            self,
            origin=self.origin.on(device),
            bases=tuple(base.to(device) for base in self.bases),
            others=tuple(weights.on(device) for weights in self.others),
        )

    @cached_property
    def digest(self) -> str:
        """SHA-256 over what gives a point its weights: the vectors, the buffers and how they are mixed."""
        total = hashlib.sha256(self._mixed_by.encode())
        for base in self.bases:
            total.update(base.detach().cpu().numpy().tobytes())
        total.update(self.origin.digest.encode())
        total.update("".join(weights.digest for weights in self.others).encode() or b"-")
        return total.hexdigest()

    @property
    def _mixed_by(self) -> str:
        """What tells apart how coordinates become coefficients."""
        return type(self).__qualname__


def mix(terms: Terms, out: Tensor) -> None:
    """Put Σₖ wₖ bₖ into `out`, from the vectors themselves; one whose coefficient is zero is left out."""
    present = [(weight, base) for weight, base in terms if weight != 0.0]
    if not present:
        out.zero_()
        return
    (weight, base), *others = present
    if weight == 1.0 and others:  # one pass over memory less, and the same bits
        (first, vector), *others = others
        torch.add(base, vector, alpha=first, out=out)
    else:
        torch.mul(base, weight, out=out)
    for weight, base in others:
        out.add_(base, alpha=weight)
