"""Weight matching: the hidden units of one network in the order in which they come closest to another's."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

from study.analysis.symmetry import (
    Group,
    Member,
    Permutations,
    parameters_of,
    permutation_groups,
    permute,
)
from study.landscape.weights import Weights


@dataclass(frozen=True)
class Matching:
    """What weight matching found.

    Attributes:
        permutations: an order of the end's units for each group.
        distance_before: ‖θ₀ − θ₁‖, the L2 norm over all parameters; buffers do not count.
        distance_after: the same once the end is permuted; never larger.
        sweeps: passes over all groups until nothing improved, that last one counted.
    """

    permutations: Permutations
    distance_before: float
    distance_after: float
    sweeps: int

    @property
    def moved(self) -> float:
        """Share of the units that get another place, from 0 to 1; 0 where there are none."""
        places = [order != torch.arange(len(order)) for order in self.permutations.values()]
        return float(torch.cat(places).double().mean()) if places else 0.0


@dataclass(frozen=True)
class Aligned(Matching):
    """A matching that was carried out.

    Attributes:
        weights: the end, permuted with its buffers: the same function as before.
    """

    weights: Weights


def align(
    model: nn.Module, start: Weights, end: Weights, example: Any, *, seed: int = 0, orders: int = 1
) -> Aligned:
    """The weights `end` with their hidden units permuted to lie close to `start`.

    Args:
        model: the network of both; left as it was.
        start: θ₀, which stays.
        end: θ₁, which is permuted, with its running statistics.
        example: inputs of two examples, as the model is called with.
        seed: see `match_weights`.
        orders: see `match_weights`.

    Raises:
        ValueError: see `permutation_groups` and `match_weights`.
    """
    found = match_weights(start, end, permutation_groups(model, example), seed=seed, orders=orders)
    return Aligned(**vars(found), weights=permute(end, found.permutations))


def match_weights(
    start: Weights, end: Weights, groups: Sequence[Group], *, seed: int = 0, orders: int = 1
) -> Matching:
    """Permutations π of the units of `end` that bring ‖θ₀ − π(θ₁)‖ down to a local minimum.

    Coordinate descent over the groups: with all others held, the order of one is a linear assignment problem,
    solved exactly (Ainsworth et al. 2022, section 3.2, algorithm 1). A group that lies along two dims of one
    tensor makes it a quadratic one; then the assignment to its linear part is taken where it improves.

    Args:
        start: θ₀.
        end: θ₁, of the same network.
        groups: its symmetries.
        seed: of the orders in which the groups are visited, a new one each sweep.
        orders: how often to begin anew with other orders; the closest is kept.

    Raises:
        ValueError: if the two have different parameters, some that are not finite, or `orders` is below 1.
    """
    if start.layout != end.layout:
        raise ValueError("start and end must have the same parameters, in name, shape and dtype")
    for name, weights in (("start", start), ("end", end)):
        if not weights.flat.isfinite().all():
            raise ValueError(f"the weights to match must be finite, those of {name} are not")
    if orders < 1:
        raise ValueError(f"orders must be at least 1, got {orders}")
    pair = _Pair.of(start, end, groups)
    generator = torch.Generator().manual_seed(seed)
    squared, permutations, sweeps = min(
        (pair.descend(generator) for _ in range(orders)), key=lambda found: found[0]
    )
    unmoved = {group: torch.arange(group.size) for group in groups}
    return Matching(permutations, math.sqrt(pair.squared(unmoved)), math.sqrt(squared), sweeps)


@dataclass(frozen=True)
class _Pair:
    """Two sets of weights, float64, with the groups that lie along the dims of each tensor.

    Attributes:
        start: parameters by name, that stay.
        end: those that are permuted.
        members: for each group, where it lies among them.
        along: for each parameter, its dims with the group along each.
    """

    start: Mapping[str, Tensor]
    end: Mapping[str, Tensor]
    members: Mapping[Group, list[Member]]
    along: Mapping[str, list[tuple[Member, Group]]]

    @classmethod
    def of(cls, start: Weights, end: Weights, groups: Sequence[Group]) -> "_Pair":
        first, second = (
            {name: tensor.detach().cpu().double() for name, tensor in parameters_of(weights).items()}
            for weights in (start, end)
        )
        members = {group: [one for one in group.members if one.tensor in first] for group in groups}
        along: dict[str, list[tuple[Member, Group]]] = {name: [] for name in first}
        for group, own in members.items():
            for member in own:
                along[member.tensor].append((member, group))
        return cls(first, second, members, along)

    def descend(self, generator: torch.Generator) -> tuple[float, Permutations, int]:
        """From the order as it is to one that no group improves: its squared distance, itself, the sweeps."""
        groups = list(self.members)
        current = {group: torch.arange(group.size) for group in groups}
        parts = {name: self._part(name, current) for name in self.along}
        sweeps, improved = 0, True
        while improved:
            sweeps, improved = sweeps + 1, False
            for number in torch.randperm(len(groups), generator=generator).tolist():
                group = groups[number]
                tried = {**current, group: self._assigned(group, current)}
                changed = {one.tensor: self._part(one.tensor, tried) for one in self.members[group]}
                if math.fsum((parts | changed).values()) < math.fsum(parts.values()):
                    current, parts, improved = tried, parts | changed, True
        return math.fsum(parts.values()), current, sweeps

    def squared(self, permutations: Permutations) -> float:
        """The squared distance under `permutations`."""
        return math.fsum(self._part(name, permutations) for name in self.along)

    def _part(self, name: str, permutations: Permutations) -> float:
        """What one tensor adds to the squared distance."""
        moved = _ordered(self.end[name], self.along[name], permutations)
        return float(((self.start[name] - moved) ** 2).sum())

    def _assigned(self, group: Group, permutations: Permutations) -> Tensor:
        """The order of one group that maximises the inner product of the two, all other orders held."""
        gain = torch.zeros(group.size, group.size, dtype=torch.float64)
        for member in self.members[group]:
            others = [entry for entry in self.along[member.tensor] if entry[0] != member]
            moved = _ordered(self.end[member.tensor], others, permutations)
            units = [
                tensor.movedim(member.dim, 0).reshape(group.size, -1)
                for tensor in (self.start[member.tensor], moved)
            ]
            gain += units[0] @ units[1].T
        return torch.from_numpy(linear_sum_assignment(gain.numpy(), maximize=True)[1]).long()


def _ordered(tensor: Tensor, along: Iterable[tuple[Member, Group]], permutations: Permutations) -> Tensor:
    for member, group in along:
        tensor = tensor.index_select(member.dim, member.indices(permutations[group]))
    return tensor
