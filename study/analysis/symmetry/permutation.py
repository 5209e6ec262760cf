"""The permutation symmetries of a network: hidden units whose order does not matter to what it computes."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from study.analysis.symmetry.equivariance import PERMUTED
from study.analysis.symmetry.following import Group, free_groups
from study.analysis.symmetry.tensors import holding, tensors_of
from study.landscape.weights import Weights

Permutations = Mapping[Group, Tensor]
"""An order, int64 (size,), for each group: unit i becomes the one that was at order[i]."""


def permutation_groups(model: nn.Module, example: Any) -> tuple[Group, ...]:
    """The permutation symmetries of `model` in evaluation mode (Ainsworth et al. 2022, section 2).

    The network is traced (torch.fx), and what each operation does to an order is followed from the weights to
    the outputs. Inputs and outputs keep their order; so does all that an operation touches for which there is
    no rule: a symmetry may be missed, but none is claimed that is not there.

    Args:
        model: any network that torch.fx can trace; left as it was.
        example: inputs of two examples, as the model is called with (`free_groups`).

    Returns:
        The groups, in the order of the parameters that they first appear in.

    Raises:
        ValueError: if torch.fx cannot trace the network.
    """
    return free_groups(model, example, PERMUTED)


def permute(weights: Weights, permutations: Permutations) -> Weights:
    """The weights with their units in another order: the same function, at another point of weight space.

    Args:
        weights: of the network that the groups belong to.
        permutations: an order for each group; groups that are not named keep theirs.

    Raises:
        ValueError: if an order is no permutation of its group, or the group's tensors are not these weights'.
    """
    tensors = tensors_of(weights)
    for group, order in permutations.items():
        if not torch.equal(order.sort().values, torch.arange(group.size)):
            raise ValueError(f"an order must be a permutation of {group.size} units, got {order.tolist()}")
        group.check(tensors)
        for member in group.members:
            tensor = tensors[member.tensor]
            tensors[member.tensor] = tensor.index_select(member.dim, member.indices(order).to(tensor.device))
    return holding(weights, tensors)


def inverse(permutations: Permutations) -> dict[Group, Tensor]:
    """The permutations that undo these."""
    return {group: order.argsort() for group, order in permutations.items()}


def random_permutations(groups: Sequence[Group], seed: int) -> dict[Group, Tensor]:
    """Uniformly random orders, which depend on the seed and the sizes of the groups alone."""
    generator = torch.Generator().manual_seed(seed)
    return {group: torch.randperm(group.size, generator=generator) for group in groups}
