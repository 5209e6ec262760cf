"""The rescaling symmetries of a network: hidden units whose scale does not matter to what it computes."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from study.analysis.symmetry.following import Group, Member, free_groups
from study.analysis.symmetry.homogeneity import RESCALED
from study.analysis.symmetry.tensors import holding, tensors_of
from study.landscape.weights import Weights

Factors = Mapping[Group, Tensor]
"""Positive factors, (size,), for each group: what the activation of each unit is multiplied by."""


def rescaling_groups(model: nn.Module, example: Any) -> tuple[Group, ...]:
    """The rescaling symmetries of `model` in evaluation mode (Dinh et al. 2017, section 3, definition 5).

    ReLU is positively homogeneous: multiplying a hidden unit's incoming weights and bias by c > 0 and
    dividing its outgoing weights by c leaves the function as it was. Behind a batch normalization it is that
    layer's weight and bias that are multiplied. As with permutations (`permutation_groups`), one may be
    missed, but none is claimed that is not there: grouped convolutions, attention, and weights that are not
    those of a linear or convolution layer keep their scale.

    Args:
        model: any network that torch.fx can trace; left as it was.
        example: inputs of two examples, as the model is called with (`free_groups`).

    Returns:
        The groups of units that have both incoming and outgoing weights.

    Raises:
        ValueError: if torch.fx cannot trace the network.
    """
    parameters = dict(model.named_parameters())

    def side(members: Iterable[Member]) -> set[bool]:
        return {_comes_in(member) for member in members if member.tensor in parameters}

    return tuple(
        group
        for group in free_groups(model, example, RESCALED)
        if all(member.tensor in parameters for member in group.members) and len(side(group.members)) == 2
    )


def alike_factors(groups: Iterable[Group], factor: float) -> dict[Group, Tensor]:
    """One factor for every unit of these groups: their activations are then `factor` times what they were."""
    return {group: torch.full((group.size,), factor, dtype=torch.float64) for group in groups}


def rescale(weights: Weights, factors: Factors) -> Weights:
    """The weights with their units at another scale: the same function, at another point of weight space.

    Args:
        weights: of the network that the groups belong to.
        factors: for each group; groups that are not named keep their scale. A power of two changes the
            function by no bit, another by what rounding the weights does.

    Raises:
        ValueError: if a factor is not positive and finite, they are not one a unit, or the group's tensors
            are not these weights'.
    """
    tensors = tensors_of(weights)
    for group, own in factors.items():
        if own.shape != (group.size,) or not bool(((own > 0) & own.isfinite()).all()):
            raise ValueError(f"factors must be {group.size} positive numbers, got {own.tolist()}")
        group.check(tensors)
        for member in group.members:
            tensor = tensors[member.tensor]
            along = own.double().repeat_interleave(member.block)
            scale = along if _comes_in(member) else 1 / along
            shape = [-1 if dim == member.dim else 1 for dim in range(tensor.ndim)]
            scaled = tensor.double() * scale.to(tensor.device).view(shape)
            tensors[member.tensor] = scaled.to(tensor.dtype)
    return holding(weights, tensors)


def _comes_in(member: Member) -> bool:
    """Whether a member makes its units: rows of weights, and biases; columns take them in."""
    return member.dim == 0
