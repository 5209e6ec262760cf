"""Directions in weight space: Gaussian ones, and how they are normalised."""

import hashlib
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from study.landscape.weights import Parameter, Weights

Normalization = Literal["filter", "layer", "model", "weight", "none"]
NORMALIZATIONS: tuple[str, ...] = get_args(Normalization)


@dataclass(frozen=True)
class Direction:
    """A vector in weight space, with what it depends on.

    Attributes:
        flat: the vector, (P,), in the layout of the weights it belongs to.
        provenance: kind, seed, normalization, …; JSON-able.
    """

    flat: Tensor
    provenance: dict[str, Any]

    @property
    def norm(self) -> float:
        """L2 norm."""
        return float(torch.linalg.vector_norm(self.flat, dtype=torch.float64))


def random_direction(
    weights: Weights,
    *,
    seed: int = 0,
    index: int = 0,
    normalization: Normalization = "filter",
    include_bias_and_norm: bool = False,
) -> Direction:
    """A Gaussian direction about `weights`, normalised.

    The entries before normalization depend on (seed, index, parameter name, shape) alone, so equal
    architectures share them whatever else differs, and two indices are two independent directions.

    Args:
        weights: θ*, the point that the direction starts from; normalization takes its norms.
        seed: the direction seed.
        index: which of the seed's directions: 0 for δ, 1 for η.
        normalization: `filter` (δ_ij / ‖δ_ij‖ · ‖θ*_ij‖; Li et al. 2018, section 4), `layer` (the same for
            each parameter tensor), `model` (for the whole vector; Im et al. 2016), `weight` (δ ⊙ |θ*|) or
            `none`.
        include_bias_and_norm: also move biases and the parameters of normalization layers, each tensor as
            one filter. Otherwise their direction is zero.

    Raises:
        ValueError: if `normalization` is none of these.
    """
    if normalization not in NORMALIZATIONS:
        raise ValueError(f"normalization must be one of {', '.join(NORMALIZATIONS)}, got {normalization!r}")
    parts = []
    for parameter in weights.layout.parameters:
        if parameter.is_bias_or_norm and not include_bias_and_norm:
            parts.append(torch.zeros(parameter.size, dtype=torch.float64))
            continue
        gaussian = _gaussian(parameter, seed, index)
        theta = weights.named[parameter.name].detach().cpu().double()
        parts.append(_scaled(gaussian, theta, parameter, normalization).reshape(-1))
    flat = torch.cat(parts)
    if normalization == "model":
        flat *= _ratio(torch.tensor(weights.norm, dtype=flat.dtype), torch.linalg.vector_norm(flat))
    return Direction(
        flat=flat.to(weights.flat),
        provenance={
            "kind": "gaussian",
            "seed": seed,
            "index": index,
            "normalization": normalization,
            "include_bias_and_norm": include_bias_and_norm,
        },
    )


def cosine(first: Tensor, second: Tensor) -> float | None:
    """Cosine of the angle between two flat vectors, in float64; None if either is zero."""
    first, second = first.double(), second.double()
    norms = torch.linalg.vector_norm(first) * torch.linalg.vector_norm(second)
    return float(first @ second / norms) if norms > 0 else None


def _scaled(gaussian: Tensor, theta: Tensor, parameter: Parameter, normalization: str) -> Tensor:
    match normalization:
        case "filter":
            return gaussian * _ratio(parameter.filter_norms(theta), parameter.filter_norms(gaussian))
        case "layer":
            return gaussian * _ratio(torch.linalg.vector_norm(theta), torch.linalg.vector_norm(gaussian))
        case "weight":
            return gaussian * theta.abs()
        case _:  # `model` is scaled once the whole vector stands, `none` never
            return gaussian


def _ratio(wanted: Tensor, present: Tensor) -> Tensor:
    """Wanted / present, and zero where both are: a filter of norm zero gets direction zero."""
    return torch.where(present > 0, wanted / torch.where(present > 0, present, 1.0), 0.0)


def _gaussian(parameter: Parameter, seed: int, index: int) -> Tensor:
    """Standard normal entries, float64, of the parameter's shape."""
    key = f"direction|{seed}|{index}|{parameter.name}|{parameter.shape}"
    hashed = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") >> 1
    generator = torch.Generator().manual_seed(hashed)
    return torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
