"""What a line or a plane says of the directions that it lies along."""

from collections.abc import Sequence
from math import isfinite
from typing import Any

import numpy as np
import torch
from torch import Tensor

from study.landscape.directions import Direction, cosine
from study.landscape.weights import Layout, Weights

PARALLEL = 1e-12
"""Eigenvalue of the axes' cosines, over the largest, below which they span a direction less."""


def describe_axes(theta: Weights, directions: Sequence[Direction]) -> dict[str, Any]:
    """Lengths and angles of the axes through θ*; JSON-able.

    Each direction states its `norm` and `relative_norm`, ‖δ‖/‖θ*‖ (None where θ* is zero); `gram` holds their
    inner products. Of two, `cosine` is that of their angle as they are, `raw_cosine` as it was before they
    were normalised; None where one is zero.
    """
    centre = theta.norm
    described = [
        {
            **direction.provenance,
            "norm": direction.norm,
            "relative_norm": direction.norm / centre if centre > 0 else None,
        }
        for direction in directions
    ]
    about: dict[str, Any] = {
        "center_norm": centre,
        "directions": described,
        "gram": [
            [float(one.flat.double() @ other.flat.double()) for other in directions] for one in directions
        ],
    }
    if len(directions) == 2:
        first, second = directions
        about["cosine"] = cosine(first.flat, second.flat)
        about["raw_cosine"] = raw_cosine(theta.layout, first, second)
    return about


def share_along(vector: Tensor, axes: Sequence[Tensor]) -> float | None:
    """‖Pv‖² / ‖v‖², P the orthogonal projection on the span of the axes; None if v is zero or not finite.

    By least squares in float64, from the axes' Gram matrix: right for axes of any length and at any angle,
    parallel ones included. A vector in the span has exactly 1.

    Args:
        vector: v, (P,).
        axes: (P,) each; one that is zero spans nothing.
    """
    rest = vector.double()
    whole = float(rest @ rest)
    units = [
        axis.double() / norm for axis in axes if (norm := float(torch.linalg.vector_norm(axis.double()))) > 0
    ]
    if not (isfinite(whole) and whole > 0):
        return None
    if units:
        cosines = np.array([[float(one @ other) for other in units] for one in units])
        along = np.array([float(unit @ rest) for unit in units])
        steps = np.linalg.pinv(cosines, rcond=PARALLEL, hermitian=True) @ along
        for step, unit in zip(steps, units, strict=True):
            rest = rest - float(step) * unit
    return min(max(1.0 - float(rest @ rest) / whole, 0.0), 1.0)


def raw_cosine(layout: Layout, first: Direction, second: Direction) -> float | None:
    """Cosine of the angle between two directions before they were normalised; None if either is zero.

    Taken one parameter at a time: what was drawn is drawn anew, and no whole vector is kept for it.
    """
    products = torch.zeros(3, dtype=torch.float64)
    pairs = zip(first.before_normalization(layout), second.before_normalization(layout), strict=True)
    for own, other in pairs:
        products += torch.stack([own @ other, own @ own, other @ other])
    product, own_square, other_square = products.tolist()
    norms = (own_square * other_square) ** 0.5
    return product / norms if norms > 0 else None
