"""The shapes on which a loss is read: lines and planes in weight space."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar, Literal, get_args

import torch
from torch import Tensor, nn

from study.landscape.directions import Direction, Normalization, cosine, random_direction
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
        end: for a line between two sets of weights, the second one.
    """

    origin: Weights
    bases: tuple[Tensor, ...]
    special: Mapping[str, Coordinates]
    provenance: Mapping[str, Any] = field(default_factory=dict)
    end: Weights | None = None

    axes: ClassVar[tuple[str, ...]] = ()

    def coefficients(self, coordinates: Coordinates) -> tuple[float, ...]:
        """The coefficients wₖ at `coordinates`: 1 for the origin, then the coordinates as they are."""
        return (1.0, *coordinates)

    def terms(self, coordinates: Coordinates) -> Terms:
        """The coefficients at `coordinates`, each with its vector."""
        return list(zip(self.coefficients(coordinates), self.bases, strict=True))

    def at(self, *coordinates: float) -> Weights:
        """The weights at `coordinates`, with the origin's buffers.

        Raises:
            ValueError: if there is not one coordinate an axis.
        """
        if len(coordinates) != len(self.axes):
            raise ValueError(f"coordinates must be {len(self.axes)} numbers, got {len(coordinates)}")
        flat = torch.empty_like(self.bases[0])
        mix(self.terms(coordinates), flat)
        return Weights(self.origin.layout, flat, self.origin.buffers)

    def buffers(self, coordinates: Coordinates, policy: BatchStatistics) -> dict[str, Tensor]:
        """The buffers that go with `coordinates` under `policy`.

        `interpolated` mixes the running statistics of the two ends of a line by its own coefficients, held
        within [0, 1]: outside, the mix of two variances can be negative.

        Raises:
            ValueError: if the policy is `interpolated` and the geometry has one set of weights only.
        """
        if policy != "interpolated":
            return self.origin.buffers
        if self.end is None:
            raise ValueError("batch_statistics 'interpolated' needs a line between two sets of weights")
        t = min(max(coordinates[0], 0.0), 1.0)
        if t in {0.0, 1.0}:  # the very bits of an end, whatever the other end holds
            return (self.origin if t == 0.0 else self.end).buffers
        mixed = {}
        for name, start in self.origin.buffers.items():
            end = self.end.buffers[name]
            mixed[name] = (1 - t) * start + t * end if start.is_floating_point() else start
        return mixed

    @property
    def default_batch_statistics(self) -> BatchStatistics:
        """`recomputed` between two sets of weights, `frozen` about one."""
        return "frozen" if self.end is None else "recomputed"

    def on(self, device: str) -> "Geometry":
        """The same geometry with its vectors and buffers on `device`."""
        return replace(
            self,
            origin=self.origin.on(device),
            bases=tuple(base.to(device) for base in self.bases),
            end=self.end.on(device) if self.end is not None else None,
        )

    @cached_property
    def digest(self) -> str:
        """SHA-256 over what gives a point its weights: the vectors, the buffers and how they are mixed."""
        total = hashlib.sha256(type(self).__qualname__.encode())
        for base in self.bases:
            total.update(base.detach().cpu().numpy().tobytes())
        for own in (self.origin, self.end):
            total.update(own.digest.encode() if own is not None else b"-")
        return total.hexdigest()


@dataclass(frozen=True)
class Line(Geometry):
    """A line in weight space, θ(α)."""

    axes: ClassVar[tuple[str, ...]] = ("alpha",)

    @classmethod
    def between(
        cls,
        start: nn.Module | Weights,
        end: nn.Module | Weights,
        names: tuple[str, str] = ("start", "end"),
    ) -> "Line":
        """The line θ(α) = (1 − α) θ₀ + α θ₁ (Goodfellow et al. 2014; equation 1 of the text).

        Args:
            start: θ₀, at α = 0.
            end: θ₁, at α = 1; the same architecture.
            names: of the two special points.

        Raises:
            ValueError: if the two have different parameters, or the special points one name.
        """
        if names[0] == names[1]:
            raise ValueError(f"the two ends must have different names, got {names[0]!r} twice")
        first, second = _weights(start), _weights(end)
        if first.layout != second.layout:
            raise ValueError("start and end must have the same parameters, in name, shape and dtype")
        difference = second.flat - first.flat
        return cls(
            origin=first,
            bases=(first.flat, second.flat),
            special={names[0]: (0.0,), names[1]: (1.0,)},
            provenance={
                "geometry": "line between",
                "start": first.digest,
                "end": second.digest,
                "start_norm": first.norm,
                "end_norm": second.norm,
                "distance": float(torch.linalg.vector_norm(difference, dtype=torch.float64)),
            },
            end=second,
        )

    @classmethod
    def through(cls, center: nn.Module | Weights, direction: Direction, name: str = "centre") -> "Line":
        """The line θ(α) = θ* + α δ (equation 2 of the text, in one dimension).

        Raises:
            ValueError: if the direction has not as many entries as θ*.
        """
        theta = _weights(center)
        _check_size(theta, direction)
        return cls(
            origin=theta,
            bases=(theta.flat, direction.flat),
            special={name: (0.0,)},
            provenance={"geometry": "line", "center": theta.digest, **_axis_provenance(theta, [direction])},
        )

    @classmethod
    def random(
        cls,
        center: nn.Module | Weights,
        *,
        normalization: Normalization = "filter",
        seed: int = 0,
        include_bias_and_norm: bool = False,
        name: str = "centre",
    ) -> "Line":
        """The line through θ* along a Gaussian direction; see `random_direction` for the arguments."""
        theta = _weights(center)
        delta = random_direction(
            theta, seed=seed, normalization=normalization, include_bias_and_norm=include_bias_and_norm
        )
        return cls.through(theta, delta, name)

    def coefficients(self, coordinates: Coordinates) -> tuple[float, ...]:
        """(1 − α, α) between two sets of weights, (1, α) along a direction."""
        (alpha,) = coordinates
        return (1.0 if self.end is None else 1.0 - alpha, alpha)


@dataclass(frozen=True)
class Plane(Geometry):
    """A plane in weight space, θ(α, β) = θ* + α δ + β η."""

    axes: ClassVar[tuple[str, ...]] = ("alpha", "beta")

    @classmethod
    def through(
        cls, center: nn.Module | Weights, delta: Direction, eta: Direction, name: str = "centre"
    ) -> "Plane":
        """The plane through θ* that δ (along α) and η (along β) span.

        Raises:
            ValueError: if a direction has not as many entries as θ*.
        """
        theta = _weights(center)
        _check_size(theta, delta)
        _check_size(theta, eta)
        axes = _axis_provenance(theta, [delta, eta])
        return cls(
            origin=theta,
            bases=(theta.flat, delta.flat, eta.flat),
            special={name: (0.0, 0.0)},
            provenance={
                "geometry": "plane",
                "center": theta.digest,
                **axes,
                "cosine": cosine(delta.flat, eta.flat),
            },
        )

    @classmethod
    def random(
        cls,
        center: nn.Module | Weights,
        *,
        normalization: Normalization = "filter",
        seed: int = 0,
        include_bias_and_norm: bool = False,
        name: str = "centre",
    ) -> "Plane":
        """The plane through θ* along two Gaussian directions (Li et al. 2018; equation 2 of the text).

        See `random_direction` for the arguments.
        """
        theta = _weights(center)
        delta, eta = (
            random_direction(
                theta,
                seed=seed,
                index=index,
                normalization=normalization,
                include_bias_and_norm=include_bias_and_norm,
            )
            for index in (0, 1)
        )
        return cls.through(theta, delta, eta, name)


@dataclass(frozen=True)
class Scaling(Geometry):
    """The surface of the text's Listing 6 as written, θ(α, β) = α θ* + α β θ* = α (1 + β) θ*.

    It has two coordinates but one degree of freedom: no base point, no random direction. θ* lies at (1, 0),
    and everywhere on α (1 + β) = 1.
    """

    axes: ClassVar[tuple[str, ...]] = ("alpha", "beta")

    @classmethod
    def of(cls, center: nn.Module | Weights, name: str = "centre") -> "Scaling":
        """The multiples of θ*."""
        theta = _weights(center)
        return cls(
            origin=theta,
            bases=(theta.flat,),
            special={name: (1.0, 0.0)},
            provenance={"geometry": "scaling", "center": theta.digest, "center_norm": theta.norm},
        )

    def coefficients(self, coordinates: Coordinates) -> tuple[float, ...]:
        """(α (1 + β),)."""
        alpha, beta = coordinates
        return (alpha * (1.0 + beta),)


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


def _weights(source: nn.Module | Weights) -> Weights:
    return source if isinstance(source, Weights) else Weights.of(source)


def _check_size(theta: Weights, direction: Direction) -> None:
    if direction.flat.shape != theta.flat.shape:
        raise ValueError(
            f"a direction must have {theta.flat.numel()} entries, got {tuple(direction.flat.shape)}"
        )


def _axis_provenance(theta: Weights, directions: list[Direction]) -> dict[str, Any]:
    def describe(direction: Direction) -> dict[str, Any]:
        relative = direction.norm / theta.norm if theta.norm > 0 else None
        return {**direction.provenance, "norm": direction.norm, "relative_norm": relative}

    return {"center_norm": theta.norm, "directions": [describe(direction) for direction in directions]}
