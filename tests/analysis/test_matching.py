"""Weight matching against the permutation that was made, against brute force, and against its own promise."""

from itertools import permutations as orders_of

import pytest
import torch
from torch import nn

from study.analysis.matching import align, match_weights
from study.analysis.symmetry import permutation_groups, permute, random_permutations
from study.landscape.weights import Weights
from study.models import initialise
from study.models.mlp import mlp


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_permuted_copy_comes_back_as_it_was(network, images, seed):
    model = network(0)
    start = Weights.of(model)
    groups = permutation_groups(model, images[:2])
    shuffled = permute(start, random_permutations(groups, seed=seed))
    found = align(model, start, shuffled, images[:2], seed=seed)
    assert found.distance_before == pytest.approx(float((start.flat - shuffled.flat).norm()))
    assert found.distance_before > 1
    assert found.distance_after == 0.0
    assert found.weights.digest == start.digest  # running statistics too


def test_another_network_comes_closer_and_stays_the_same_function(network, images, outputs):
    model = network(0)
    start, end = Weights.of(model), Weights.of(network(1))
    found = align(model, start, end, images[:2])
    assert found.distance_before == pytest.approx(float((start.flat - end.flat).norm()), rel=1e-12)
    assert found.distance_after == pytest.approx(float((start.flat - found.weights.flat).norm()), rel=1e-12)
    assert found.distance_after < found.distance_before
    assert 0 < found.moved <= 1
    torch.testing.assert_close(
        outputs(model, found.weights, images), outputs(model, end, images), rtol=0, atol=1e-10
    )


def test_it_is_at_least_as_close_as_any_swap_of_two_units(network, images):
    """A fixed point of the algorithm: no group, hence no swap within one, improves on it."""
    model = network(0)
    start, end = Weights.of(model), Weights.of(network(1))
    found = align(model, start, end, images[:2])
    for group in permutation_groups(model, images[:2]):
        for unit in range(min(group.size - 1, 7)):
            order = torch.arange(group.size)
            order[[unit, unit + 1]] = order[[unit + 1, unit]]
            swapped = permute(found.weights, {group: order})
            assert (start.flat - swapped.flat).norm() >= found.distance_after - 1e-12


def test_a_small_step_away_keeps_every_unit_in_its_place(network, images):
    model = network(0)
    start = Weights.of(model)
    noise = torch.randn(start.flat.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    near = Weights(start.layout, start.flat + 1e-4 * noise, start.buffers)
    found = align(model, start, near, images[:2])
    assert (found.moved, found.sweeps) == (0.0, 1)
    assert found.distance_after == found.distance_before == pytest.approx(1e-4 * float(noise.norm()))


@pytest.mark.parametrize("seed", range(4))
def test_one_hidden_layer_is_matched_as_well_as_by_trying_everything(seed):
    start, end = (Weights.of(initialise(lambda: mlp((3,), 2, [5]), seed + by)) for by in (0, 10))
    model = mlp((3,), 2, [5])
    (group,) = permutation_groups(model, torch.ones(2, 3))
    distances = {
        order: float((start.flat - permute(end, {group: torch.tensor(order)}).flat).double().norm())
        for order in orders_of(range(5))
    }
    best = min(distances, key=distances.__getitem__)
    found = match_weights(start, end, [group])
    assert tuple(found.permutations[group].tolist()) == best
    assert found.distance_after == pytest.approx(distances[best])
    assert found.moved == sum(unit != place for place, unit in enumerate(best)) / 5
    assert found.sweeps == 1 + (found.moved > 0)  # one that finds it, one that finds no better


class Residual(nn.Module):
    """A group that lies along both dims of one weight, which weighs more than the others."""

    def __init__(self, weight=1.0):
        super().__init__()
        self.first, self.inner, self.out = nn.Linear(3, 5), nn.Linear(5, 5), nn.Linear(5, 2)
        self.inner.weight.data.mul_(weight)

    def forward(self, x):
        x = self.first(x).relu()
        return self.out(x + self.inner(x).relu())


@pytest.mark.parametrize("seed", range(8))
def test_a_quadratic_assignment_never_moves_away(seed):
    start, end = (Weights.of(initialise(lambda: Residual(3.0), seed + by)) for by in (0, 100))
    found = align(Residual(), start, end, torch.ones(2, 3))
    assert found.distance_after <= found.distance_before
    assert found.distance_after == pytest.approx(float((start.flat - found.weights.flat).norm()), rel=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_a_quadratic_assignment_finds_a_permuted_copy(seed):
    model = initialise(Residual, seed)
    start = Weights.of(model)
    groups = permutation_groups(model, torch.ones(2, 3))
    shuffled = permute(start, random_permutations(groups, seed))
    assert match_weights(start, shuffled, groups).distance_after == 0.0


def test_the_seed_decides_and_more_orders_are_no_worse():
    model = mlp((4,), 3, [12, 11, 10])
    start, end = (Weights.of(initialise(lambda: mlp((4,), 3, [12, 11, 10]), seed)) for seed in (0, 1))
    example = torch.ones(2, 4)
    once = [align(model, start, end, example, seed=seed) for seed in range(6)]
    again = align(model, start, end, example, seed=2)
    assert again.weights.digest == once[2].weights.digest
    assert len({found.distance_after for found in once}) > 1, "local minima depend on the order"
    for seed, found in enumerate(once):
        more = align(model, start, end, example, seed=seed, orders=5)
        assert more.distance_after <= found.distance_after


def test_a_network_without_hidden_units_is_left_as_it_is():
    model = nn.Linear(3, 2)
    start, end = (Weights.of(initialise(lambda: nn.Linear(3, 2), seed)) for seed in (0, 1))
    found = align(model, start, end, torch.ones(2, 3))
    assert found.weights.digest == end.digest
    assert (found.moved, found.distance_after) == (0.0, found.distance_before)


def test_what_cannot_be_matched_is_refused():
    start, other = Weights.of(mlp((3,), 2, [5])), Weights.of(mlp((3,), 2, [6]))
    broken = Weights(start.layout, torch.full_like(start.flat, torch.nan), start.buffers)
    with pytest.raises(ValueError, match="must have the same parameters"):
        match_weights(start, other, [])
    with pytest.raises(ValueError, match="must be finite, those of end are not"):
        match_weights(start, broken, [])
    with pytest.raises(ValueError, match="orders must be at least 1, got 0"):
        match_weights(start, start, [], orders=0)
