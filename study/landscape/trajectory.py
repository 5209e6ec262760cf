"""Checkpoints of a training projected on a plane, with what the plane leaves out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from study.landscape.directions import Direction
from study.landscape.geometry import Plane
from study.landscape.weights import Weights, check_layouts

Center = Literal["solution", "mean"]
CENTERS: tuple[Center, ...] = get_args(Center)

FEWEST = 3  # checkpoints that may span a plane
RANDOM_SEED = 0  # of the directions of the random plane, the same for every training
BLOCK = 2**22  # float64 entries of all checkpoints that are held at once, 32 MiB
FLATTEST = 1e-12
"""Second over first variance, below which float64 products of the checkpoints hold no second direction."""


@dataclass(frozen=True)
class Trajectory:
    """The K checkpoints of a training, seen from their plane of largest variance through the solution.

    Attributes:
        plane: through θ*, the last checkpoint; its axes are the first two principal components, each of unit
            L2 norm, so that coordinates are distances in weight space.
        center: what the components of the axes are about.
        coordinates: (α, β) of each checkpoint's nearest point on the plane, (K, 2) float64.
        distances: of each checkpoint from that point, (K,) float64.
        shares: about each centre, the fraction of the variance that each component explains, (K − 1,)
            float64, largest first.
        random_walk: the same of a random walk of as many steps: what a claim must beat.
        random_plane: the share of the variance about the solution that lies in the plane of two random
            filter-normalised directions, Σ‖projection of θᵢ − θ*‖² / Σ‖θᵢ − θ*‖² (Li et al. 2018, section
            7.1), in [0, 1].
    """

    plane: Plane
    center: Center
    coordinates: np.ndarray
    distances: np.ndarray
    shares: dict[Center, np.ndarray]
    random_walk: dict[Center, np.ndarray]
    random_plane: float


def principal_plane(
    checkpoints: Sequence[Weights], center: Center = "solution", name: str = "solution"
) -> Trajectory:
    """The plane of the first two principal components of checkpoints, and where they lie on and off it.

    The components come from the products of the checkpoints' differences from θ*, a K × K matrix in float64
    that is summed over blocks of entries: memory for a few vectors is all that is needed besides the
    checkpoints. Every parameter counts as it is, unnormalised. The first checkpoint's coordinates are not
    negative. The plane's provenance has, as `trajectory`, all that a `Trajectory` holds.

    Args:
        checkpoints: K of them, in the order of the training; the last is θ*.
        center: `solution`, for the singular vectors of the matrix M of differences θᵢ − θ* (Li et al. 2018,
            section 7); `mean`, for the components of the checkpoints about their mean, which is what
            principal component analysis makes of M. The plane goes through θ* all the same.
        name: of the special point at (0, 0).

    Raises:
        ValueError: if there are fewer than 3 checkpoints, they differ in their parameters, hold values that
            are not finite, or lie on one line or in one point, or `center` is neither of the two.
    """
    if center not in CENTERS:
        raise ValueError(f"center must be one of {', '.join(CENTERS)}, got {center!r}")
    if len(checkpoints) < FEWEST:
        raise ValueError(f"a trajectory needs at least {FEWEST} checkpoints, got {len(checkpoints)}")
    check_layouts(checkpoints)
    solution = checkpoints[-1]
    products = _products(checkpoints)
    components = {about: _components(products, about) for about in CENTERS}
    shares = {about: own for about, (own, _vectors) in components.items()}
    flats = _axes(checkpoints, products, components[center][1][:, :2])
    delta, eta = (
        Direction(
            flat.to(solution.flat),
            {"kind": "principal component", "index": index, "center": center, "share": float(share)},
        )
        for index, (flat, share) in enumerate(zip(flats, shares[center][:2], strict=True))
    )
    plane = Plane.through(solution, delta, eta, name)
    coordinates, distances = project(checkpoints, plane)
    random_walk = {about: random_walk_shares(len(checkpoints) - 1, about) for about in CENTERS}
    random = Plane.random(solution, seed=RANDOM_SEED, include_bias_and_norm=True)
    _at, off = project(checkpoints, random)
    random_plane = max(1.0 - float((off**2).sum() / products.trace()), 0.0)  # negative but by rounding
    about_it = {
        "center": center,
        "coordinates": coordinates.tolist(),
        "distances": distances.tolist(),
        "shares": {about: values.tolist() for about, values in shares.items()},
        "random_walk": {about: values.tolist() for about, values in random_walk.items()},
        "random_plane": random_plane,
    }
    plane = replace(plane, provenance={**plane.provenance, "trajectory": about_it})
    return Trajectory(plane, center, coordinates, distances, shares, random_walk, random_plane)


def project(checkpoints: Sequence[Weights], plane: Plane) -> tuple[np.ndarray, np.ndarray]:
    """The nearest point of a plane to each checkpoint, and how far it is.

    By least squares, in float64: right for axes of any length and at any angle.

    Returns:
        Coordinates (α, β) of the nearest points, (K, 2), in steps along the plane's axes, and L2 distances
        from them, (K,).

    Raises:
        ValueError: if a checkpoint has other parameters than the plane, or its axes are parallel or zero.
    """
    check_layouts([plane.origin, *checkpoints])
    axes = torch.stack([axis.double() for axis in plane.bases[1:]])
    products = (axes @ axes.T).cpu().numpy()
    if not np.linalg.det(products) > FLATTEST * products[0, 0] * products[1, 1]:
        raise ValueError(f"the axes of the plane must not be parallel or zero, their products are {products}")
    coordinates, distances = [], []
    for difference in _differences(checkpoints, plane.origin.flat):
        at = np.linalg.solve(products, (axes @ difference).cpu().numpy())
        for step, axis in zip(at, axes, strict=True):
            difference.sub_(axis, alpha=float(step))
        coordinates.append(at)
        distances.append(float(torch.linalg.vector_norm(difference)))
    return np.array(coordinates), np.array(distances)


def random_walk_shares(steps: int, center: Center) -> np.ndarray:
    """Fractions of its variance that the principal components of a random walk explain, largest first.

    Of steps + 1 points, in the limit of many more dimensions than steps: there the steps are orthogonal and
    of one length, whatever their distribution, and the components are those of the walk's covariance in
    time. Its eigenvalues are 1 / (4 sin² φₖ) with φₖ = kπ / (2 (steps + 1)) about the mean, and
    φₖ = (2k − 1) π / (2 (2 steps + 1)) about an end, for k = 1 … steps. For many steps the shares tend to
    6 / (π² k²), which is 61%, 15%, …, and to 8 / (π² (2k − 1)²), 81%, 9%, … . Antognini & Sohl-Dickstein
    2018 (arXiv:1806.08805) prove the former.

    Returns:
        The shares, (steps,) float64; their sum is 1.

    Raises:
        ValueError: if there is not at least one step, or `center` is neither `solution` nor `mean`.
    """
    if center not in CENTERS:
        raise ValueError(f"center must be one of {', '.join(CENTERS)}, got {center!r}")
    if steps < 1:
        raise ValueError(f"a random walk needs at least 1 step, got {steps}")
    k = np.arange(1, steps + 1)
    angles = k / (steps + 1) if center == "mean" else (2 * k - 1) / (2 * steps + 1)
    variances = np.sin(angles * np.pi / 2) ** -2
    return variances / variances.sum()


def _products(checkpoints: Sequence[Weights]) -> np.ndarray:
    """Inner products of the differences from the last checkpoint, (K, K) float64."""
    count = len(checkpoints)
    total = np.zeros((count, count))
    for block in _blocks(checkpoints):
        total += (block @ block.T).cpu().numpy()
    if not np.isfinite(total).all():
        raise ValueError("checkpoints must be finite, they hold values that are not")
    return total


def _blocks(checkpoints: Sequence[Weights]) -> Iterator[Tensor]:
    """The differences from the last checkpoint, a block of entries at a time, (K, at most BLOCK / K)."""
    size, width = checkpoints[0].layout.size, max(BLOCK // len(checkpoints), 1)
    for start in range(0, size, width):
        rows = torch.stack([checkpoint.flat[start : start + width].double() for checkpoint in checkpoints])
        yield rows - rows[-1]


def _components(products: np.ndarray, center: Center) -> tuple[np.ndarray, np.ndarray]:
    """Shares of the principal components, (K − 1,), and the checkpoints' coefficients in each, (K, K − 1).

    Args:
        products: inner products of the checkpoints' differences from one of them, (K, K).
        center: what the components are about.
    """
    if center == "mean":
        products = products - products.mean(axis=0)
        products = products - products.mean(axis=1, keepdims=True)
    values, vectors = np.linalg.eigh(products)
    # largest first, without the one that is zero: the differences from a point among them, or from their mean
    variances = np.clip(values[:0:-1], 0.0, None)  # negative but by rounding
    if not variances[1] > FLATTEST * variances[0]:
        raise ValueError(
            f"the {len(products)} checkpoints must span a plane, they lie on one line or in one point "
            f"(the first two variances are {variances[0]:.3g} and {variances[1]:.3g})"
        )
    return variances / variances.sum(), vectors[:, :0:-1]


def _axes(checkpoints: Sequence[Weights], products: np.ndarray, vectors: np.ndarray) -> list[Tensor]:
    """Components as vectors of weight space, (P,) float64 each, of unit norm.

    Args:
        checkpoints: K of them.
        products: of their differences from the last one.
        vectors: their coefficients in each component, (K, 2); about the mean these add up to zero, so that
            it does not matter from where the differences are taken.
    """
    mixing = vectors * np.where(products[0] @ vectors < 0, -1.0, 1.0)  # the first checkpoint's side
    flat = checkpoints[-1].flat
    axes = [torch.zeros_like(flat, dtype=torch.float64) for _ in range(vectors.shape[1])]
    for difference, weights in zip(_differences(checkpoints, flat), mixing, strict=True):
        for axis, weight in zip(axes, weights, strict=True):
            axis.add_(difference, alpha=float(weight))
    return [axis / torch.linalg.vector_norm(axis) for axis in axes]


def _differences(checkpoints: Sequence[Weights], origin: Tensor) -> Iterator[Tensor]:
    """Each checkpoint less the origin, (P,) float64: one tensor, filled anew each time."""
    base = origin.double()
    difference = torch.empty_like(base)  # set aside once: freed ones of this size are not always used again
    for checkpoint in checkpoints:
        yield difference.copy_(checkpoint.flat).sub_(base)
