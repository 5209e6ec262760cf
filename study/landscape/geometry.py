"""The shapes on which a loss is read: lines and planes in weight space."""

from dataclasses import dataclass, replace
from typing import ClassVar, Self

import torch
from torch import Tensor, nn

from study.landscape.axes import describe_axes
from study.landscape.directions import Direction, Normalization, orthogonalised, random_direction
from study.landscape.family import BATCH_STATISTICS, BatchStatistics, Geometry
from study.landscape.grid import Coordinates
from study.landscape.triangle import Triangle
from study.landscape.weights import Weights

__all__ = ["BATCH_STATISTICS", "BatchStatistics", "Geometry", "Line", "Plane", "Scaling"]


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
    ) -> Self:
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
            others=(second,),
        )

    @classmethod
    def through(cls, center: nn.Module | Weights, direction: Direction, name: str = "centre") -> "Line":
        """The line θ(α) = θ* + α δ (equation 2 of the text, in one dimension).

        Raises:
            ValueError: if the direction has not as many entries as θ*.
        """
        theta = _weights(center)
        delta = _fitted(theta, direction)
        return cls(
            origin=theta,
            bases=(theta.flat, delta.flat),
            special={name: (0.0,)},
            provenance={"geometry": "line", "center": theta.digest, **describe_axes(theta, [delta])},
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
        return (1.0 - alpha if self.others else 1.0, alpha)


@dataclass(frozen=True)
class Plane(Geometry):
    """A plane in weight space, θ(α, β) = θ* + α δ + β η, or through three sets of weights.

    Attributes:
        triangle: where the three lie, for a plane through three.
    """

    triangle: Triangle | None = None

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
        delta, eta = _fitted(theta, delta), _fitted(theta, eta)
        return cls(
            origin=theta,
            bases=(theta.flat, delta.flat, eta.flat),
            special={name: (0.0, 0.0)},
            provenance={
                "geometry": "plane",
                "center": theta.digest,
                **describe_axes(theta, [delta, eta]),
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
        orthogonal: bool = False,
        name: str = "centre",
    ) -> "Plane":
        """The plane through θ* along two Gaussian directions (Li et al. 2018; equation 2 of the text).

        See `random_direction` for the arguments.

        Args:
            center: θ*.
            normalization: how the directions are scaled to the weights.
            seed: the direction seed.
            include_bias_and_norm: whether biases and normalization layers move.
            orthogonal: whether η, once normalised, is made orthogonal to δ; the norm of the whole of it is
                kept, those of its filters are not.
            name: of the special point at θ*.

        Raises:
            ValueError: see `random_direction`, and `orthogonalised` where it is asked for.
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
        return cls.through(theta, delta, orthogonalised(eta, delta) if orthogonal else eta, name)

    @classmethod
    def through_points(
        cls,
        first: nn.Module | Weights,
        second: nn.Module | Weights,
        third: nn.Module | Weights,
        names: tuple[str, str, str] = ("first", "second", "third"),
    ) -> "Plane":
        """The plane through three sets of weights, on orthonormal axes (Garipov et al. 2018; see `Triangle`).

        The first lies at (0, 0), the second at (‖w₂ − w₁‖, 0); each point is a mix of the three, so that each
        of them has its very bits at its own coordinates.

        Args:
            first: w₁.
            second: w₂; the same architecture.
            third: w₃; the same architecture.
            names: of the three special points.

        Raises:
            ValueError: if they have different parameters, their names are not three, or see `Triangle.of`.
        """
        if len(set(names)) != 3:
            raise ValueError(f"the three points must have different names, got {', '.join(map(repr, names))}")
        points = [_weights(point) for point in (first, second, third)]
        if any(point.layout != points[0].layout for point in points):
            raise ValueError("the three points must have the same parameters, in name, shape and dtype")
        origin, *others = points
        triangle = Triangle.of(origin.flat, *(point.flat for point in others))
        return cls(
            origin=origin,
            bases=tuple(point.flat for point in points),
            special=dict(zip(names, triangle.corners, strict=True)),
            provenance={
                "geometry": "plane through three points",
                "center_norm": origin.norm,
                "points": [
                    {"name": name, "digest": point.digest, "norm": point.norm, "coordinates": list(corner)}
                    for name, point, corner in zip(names, points, triangle.corners, strict=True)
                ],
                **triangle.describe(),
            },
            others=tuple(others),
            triangle=triangle,
        )

    def coefficients(self, coordinates: Coordinates) -> tuple[float, ...]:
        """The barycentric coefficients between three sets of weights, (1, α, β) along two directions."""
        return super().coefficients(coordinates) if self.triangle is None else self.triangle.mix(*coordinates)

    @property
    def _mixed_by(self) -> str:
        return super()._mixed_by + (f" {self.triangle}" if self.triangle is not None else "")


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

    @property
    def span(self) -> tuple[Tensor, ...]:
        """The one vector along which its points differ, θ*."""
        return self.bases

    def coefficients(self, coordinates: Coordinates) -> tuple[float, ...]:
        """(α (1 + β),)."""
        alpha, beta = coordinates
        return (alpha * (1.0 + beta),)


def _weights(source: nn.Module | Weights) -> Weights:
    return source if isinstance(source, Weights) else Weights.of(source)


def _fitted(theta: Weights, direction: Direction) -> Direction:
    """The direction in the dtype and on the device of θ*."""
    if direction.flat.shape != theta.flat.shape:
        raise ValueError(
            f"a direction must have {theta.flat.numel()} entries, got {tuple(direction.flat.shape)}"
        )
    return replace(direction, flat=direction.flat.to(theta.flat))
