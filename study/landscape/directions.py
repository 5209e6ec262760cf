"""Directions in weight space: Gaussian ones and how they are normalised, differences, and computed ones."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from study.landscape.weights import Layout, Parameter, Weights

Normalization = Literal["filter", "layer", "model", "weight", "none"]
NORMALIZATIONS: tuple[str, ...] = get_args(Normalization)

ROUNDING = 4  # what is left of a vector below so many times its dtype's relative rounding is rounding alone


@dataclass(frozen=True)
class Gaussian:
    """A draw of standard normal entries, which depend on (seed, index, parameter name, shape) alone.

    Attributes:
        seed: the direction seed.
        index: which of the seed's draws: 0 for δ, 1 for η.
        include_bias_and_norm: whether biases and the parameters of normalization layers have entries too;
            theirs are zero otherwise.
    """

    seed: int
    index: int
    include_bias_and_norm: bool

    def moves(self, parameter: Parameter) -> bool:
        """Whether the entries of a parameter are drawn, and not zero."""
        return self.include_bias_and_norm or not parameter.is_bias_or_norm

    def entries(self, parameter: Parameter) -> Tensor:
        """The entries of one parameter, float64, of its shape."""
        if not self.moves(parameter):
            return torch.zeros(parameter.shape, dtype=torch.float64)
        key = f"direction|{self.seed}|{self.index}|{parameter.name}|{parameter.shape}"
        hashed = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") >> 1
        generator = torch.Generator().manual_seed(hashed)
        return torch.randn(parameter.shape, generator=generator, dtype=torch.float64)


@dataclass(frozen=True)
class Direction:
    """A vector in weight space, with what it depends on.

    Attributes:
        flat: the vector, (P,), in the layout of the weights it belongs to.
        provenance: kind, seed, normalization, …; JSON-able.
        drawn: what it was before it was normalised, for a Gaussian one: drawn anew where it is needed.
    """

    flat: Tensor
    provenance: dict[str, Any]
    drawn: Gaussian | None = None

    @property
    def norm(self) -> float:
        """L2 norm."""
        return float(torch.linalg.vector_norm(self.flat, dtype=torch.float64))

    def before_normalization(self, layout: Layout) -> Iterator[Tensor]:
        """The entries that it was made from, parameter by parameter, each flat and float64.

        They are its own unless it was drawn: no other direction is scaled but as a whole.
        """
        parts = self.flat.split([parameter.size for parameter in layout.parameters])
        for parameter, part in zip(layout.parameters, parts, strict=True):
            entries = part if self.drawn is None else self.drawn.entries(parameter).reshape(-1)
            yield entries.detach().cpu().double()


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
    drawn = Gaussian(seed, index, include_bias_and_norm)
    parts = []
    for parameter in weights.layout.parameters:
        entries = drawn.entries(parameter)
        if drawn.moves(parameter):  # weights that diverged do not reach what stays zero
            theta = weights.named[parameter.name].detach().cpu().double()
            entries = _scaled(entries, theta, parameter, normalization)
        parts.append(entries.reshape(-1))
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
        drawn=drawn,
    )


def difference(start: Weights, end: Weights) -> Direction:
    """The direction θ₁ − θ₀ from one set of weights to another, as it is: α = 1 is one whole way.

    Raises:
        ValueError: if the two have different parameters.
    """
    if start.layout != end.layout:
        raise ValueError("start and end must have the same parameters, in name, shape and dtype")
    return Direction(
        flat=end.flat - start.flat,
        provenance={"kind": "difference", "start": start.digest, "end": end.digest},
    )


def given(vector: Tensor, kind: str, provenance: Mapping[str, Any]) -> Direction:
    """A direction of unit L2 norm along a vector that was computed elsewhere.

    Args:
        vector: (P,), in the layout of the weights it belongs to: a gradient, an eigenvector of the Hessian.
        kind: what it is.
        provenance: what else it depends on; JSON-able. The norm that the vector had is added as `given_norm`.

    Raises:
        ValueError: if the vector is zero or not finite.
    """
    norm = _norm_of(vector, f"a direction of kind {kind!r}")
    return Direction(
        flat=(vector.detach().double() / norm).to(vector.dtype),
        provenance={**provenance, "kind": kind, "given_norm": norm},
    )


def orthogonalised(eta: Direction, delta: Direction) -> Direction:
    """η − ⟨η, δ⟩ δ / ‖δ‖², η without its part along δ, scaled to the L2 norm that η had.

    The cosine that η had with δ is added to its provenance as `cosine_before`.

    Raises:
        ValueError: if one of the two is zero or not finite, they have different sizes, or they are parallel
            to within the rounding of their entries.
    """
    if eta.flat.shape != delta.flat.shape:
        raise ValueError(f"η must have the {delta.flat.numel()} entries of δ, got {tuple(eta.flat.shape)}")
    norm = _norm_of(eta.flat, "η")
    along = delta.flat.double() / _norm_of(delta.flat, "δ")
    rest = eta.flat.double()
    for _ in range(2):  # what one pass leaves along δ by rounding matters where little else is left
        rest = rest - (rest @ along) * along
    left = float(torch.linalg.vector_norm(rest))
    if left <= ROUNDING * torch.finfo(eta.flat.dtype).eps * norm:
        raise ValueError(f"η must not be parallel to δ, but {left / norm:.2g} of its norm is left beside it")
    return Direction(
        flat=(rest * (norm / left)).to(eta.flat),
        provenance={**eta.provenance, "cosine_before": cosine(delta.flat, eta.flat)},
        drawn=eta.drawn,
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


def _norm_of(vector: Tensor, name: str) -> float:
    norm = float(torch.linalg.vector_norm(vector, dtype=torch.float64))
    if not (isfinite(norm) and norm > 0):
        raise ValueError(f"{name} must be finite and not zero, got one of L2 norm {norm}")
    return norm
