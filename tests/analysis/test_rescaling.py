"""Rescalings counted by hand, what they may and may not change, and the landscapes that do not see them."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from study.analysis.symmetry import (
    alike_factors,
    permutation_groups,
    permute,
    random_permutations,
    rescale,
    rescaling_groups,
)
from study.landscape.evaluate import evaluate
from study.landscape.geometry import Plane
from study.landscape.grid import Grid
from study.landscape.weights import Weights
from study.models import initialise
from study.models.resnet import resnet

BY_HAND = {
    "mlp": [
        (8, {("linear1.weight", 0, 1), ("linear1.bias", 0, 1), ("linear2.weight", 1, 1)}),
        (6, {("linear2.weight", 0, 1), ("linear2.bias", 0, 1), ("output.weight", 1, 1)}),
    ],
    "mlp with batch normalization": [  # what comes into a normalization has no scale that matters
        (8, {("norm1.weight", 0, 1), ("norm1.bias", 0, 1), ("linear2.weight", 1, 1)}),
        (6, {("norm2.weight", 0, 1), ("norm2.bias", 0, 1), ("output.weight", 1, 1)}),
    ],
    "cnn": [  # the maps are 4 x 3, pooled to 2 x 1
        (32, {("conv1.weight", 0, 1), ("conv1.bias", 0, 1), ("conv2.weight", 1, 1)}),
        (64, {("conv2.weight", 0, 1), ("conv2.bias", 0, 1), ("fc1.weight", 1, 2)}),
        (128, {("fc1.weight", 0, 1), ("fc1.bias", 0, 1), ("fc2.weight", 1, 1)}),
    ],
    "residual, 1x1": [
        (
            4,
            {("norm.weight", 0, 1), ("norm.bias", 0, 1), ("block1.bn2.weight", 0, 1)}
            | {("block1.bn2.bias", 0, 1), ("block1.conv1.weight", 1, 1)}
            | {("block2.conv1.weight", 1, 1), ("block2.shortcut.0.weight", 1, 1)},
        ),
        (4, {("block1.bn1.weight", 0, 1), ("block1.bn1.bias", 0, 1), ("block1.conv2.weight", 1, 1)}),
        (6, {("block2.bn1.weight", 0, 1), ("block2.bn1.bias", 0, 1), ("block2.conv2.weight", 1, 1)}),
        (
            6,
            {("block2.bn2.weight", 0, 1), ("block2.bn2.bias", 0, 1), ("head.weight", 1, 1)}
            | {("block2.shortcut.1.weight", 0, 1), ("block2.shortcut.1.bias", 0, 1)},
        ),
    ],
    "residual, option A": [
        (4, {("block1.bn1.weight", 0, 1), ("block1.bn1.bias", 0, 1), ("block1.conv2.weight", 1, 1)}),
        (6, {("block2.bn1.weight", 0, 1), ("block2.bn1.bias", 0, 1), ("block2.conv2.weight", 1, 1)}),
    ],
}


def drawn_factors(groups, seed=0):
    """A factor for each unit, from a twentieth to twenty."""
    generator = torch.Generator().manual_seed(seed)
    return {
        group: torch.exp(3 * (2 * torch.rand(group.size, generator=generator, dtype=torch.float64) - 1))
        for group in groups
    }


def members(group):
    return {(member.tensor, member.dim, member.block) for member in group.members}


def test_groups_are_those_counted_by_hand(name, network, images):
    groups = rescaling_groups(network(0), images[:2])
    assert [(group.size, members(group)) for group in groups] == BY_HAND[name]


def test_a_rescaling_moves_the_weights_and_keeps_the_function(network, images, outputs):
    model = network(0)
    weights = Weights.of(model)
    before = outputs(model, weights, images)
    for group in rescaling_groups(model, images[:2]):
        scaled = rescale(weights, drawn_factors([group]))
        assert (scaled.flat - weights.flat).norm() > 0.1 * weights.flat.norm() / len(weights.flat) ** 0.5
        torch.testing.assert_close(outputs(model, scaled, images), before, rtol=1e-9, atol=1e-9)


def test_every_member_of_a_group_is_needed(network, images, outputs):
    model = network(0)
    weights = Weights.of(model)
    before = outputs(model, weights, images)
    for group in rescaling_groups(model, images[:2]):
        for left_out in group.members:
            part = replace(group, members=tuple(own for own in group.members if own != left_out))
            after = outputs(model, rescale(weights, drawn_factors([part])), images)
            assert (after - before).abs().max() > 1e-6


def test_powers_of_two_change_no_bit(network, images, outputs):
    model = network(0).float()
    images = images.float()
    weights = Weights.of(model)
    scaled = rescale(weights, alike_factors(rescaling_groups(model, images[:2]), 4.0))
    assert torch.equal(outputs(model, scaled, images), outputs(model, weights, images))


class Between(nn.Module):
    """Something between two linear layers of eight units."""

    def __init__(self, between):
        super().__init__()
        self.first, self.second = nn.Linear(5, 8), nn.Linear(8, 3)
        self.shared, self.gain = nn.Linear(5, 8), nn.Parameter(torch.full((1,), 0.3))
        self.between = between

    def forward(self, x):
        return self.second(self.between(self, self.first(x), x))


KEEPS_SCALE = {
    "relu": lambda _net, h, _x: torch.relu(h),
    "leaky": lambda _net, h, _x: functional.leaky_relu(h, 0.2),
    "gain": lambda net, h, _x: torch.relu(h) * net.gain,
    "halved": lambda _net, h, _x: 0.5 * torch.relu(h) / 3,
    "sum": lambda net, h, x: torch.relu(h) + net.shared(x).relu(),
    "largest": lambda net, h, x: torch.maximum(h, net.shared(x)),
}
HAS_A_SCALE = {
    "tanh": lambda _net, h, _x: torch.tanh(h),
    "gelu": lambda _net, h, _x: functional.gelu(h),
    "relu6": lambda _net, h, _x: functional.relu6(h),
    "softmax": lambda _net, h, _x: h.softmax(1),
    "number added": lambda _net, h, _x: torch.relu(h) + 1,
    "product": lambda net, h, x: torch.relu(h) * net.shared(x),
    "square": lambda _net, h, _x: torch.relu(h) ** 2,
    "divisor": lambda _net, h, _x: 1 / (1 + torch.relu(h)),
    "mean over units": lambda _net, h, _x: torch.relu(h).mean(1, keepdim=True).expand(-1, 8),
    "mean beside units": lambda _net, h, _x: torch.relu(h) - torch.relu(h).mean(1, keepdim=True),
    "layer norm": lambda _net, h, _x: functional.layer_norm(h, (8,)),
    "sliced": lambda _net, h, _x: torch.relu(h)[:, :8],
}


@pytest.mark.parametrize("case", KEEPS_SCALE)
def test_what_is_homogeneous_lets_units_be_rescaled(case, outputs):
    model, x = Between(KEEPS_SCALE[case]).double(), torch.randn(6, 5, dtype=torch.float64)
    weights = Weights.of(model)
    (group,) = rescaling_groups(model, x[:2])
    after = outputs(model, rescale(weights, drawn_factors([group])), x)
    torch.testing.assert_close(after, outputs(model, weights, x), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("case", HAS_A_SCALE)
def test_what_is_not_fixes_their_scale(case):
    assert rescaling_groups(Between(HAS_A_SCALE[case]), torch.randn(2, 5)) == ()


def test_a_weight_used_outside_its_layer_keeps_its_scale():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.encode = nn.Linear(5, 8)

        def forward(self, x):
            return functional.linear(torch.relu(self.encode(x)), self.encode.weight.t())

    assert rescaling_groups(Tied(), torch.randn(2, 5)) == ()


@pytest.mark.parametrize("factor", [0.0, -1.0, float("nan"), float("inf")])
def test_what_is_no_factor_is_refused(factor):
    model = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 3))
    groups = rescaling_groups(model, torch.randn(2, 5))
    with pytest.raises(ValueError, match="factors must be 8 positive numbers"):
        rescale(Weights.of(model), alike_factors(groups, factor))


class Plain(nn.Module):
    """A residual network without normalization: a stem, one block, a head."""

    def __init__(self):
        super().__init__()
        self.stem, self.head = nn.Conv2d(2, 4, 3, padding=1), nn.Linear(4, 3)
        self.conv1, self.conv2 = nn.Conv2d(4, 6, 3, padding=1), nn.Conv2d(6, 4, 3, padding=1)

    def forward(self, x):
        stream = torch.relu(self.stem(x))
        stream = torch.relu(stream + self.conv2(torch.relu(self.conv1(stream))))
        return self.head(functional.adaptive_avg_pool2d(stream, 1).flatten(1))


@pytest.mark.parametrize("normalization", ["filter", "layer", "model", "weight", "none"])
@pytest.mark.parametrize("alike", [True, False])
def test_landscapes_keep_or_change_as_their_normalization_says(normalization, alike):
    """Dinh's rescaling by a factor a layer leaves filter, layer and weight; by one a unit, weight alone."""
    generator = torch.Generator().manual_seed(1)
    model = Plain().double().eval()
    data = (
        torch.randn(30, 2, 5, 4, generator=generator, dtype=torch.float64),
        torch.randint(3, (30,), generator=generator),
    )
    weights = Weights.of(model)
    loss = partial(functional.cross_entropy, reduction="none")
    groups = rescaling_groups(model, data[0][:2])
    assert {group.size for group in groups} == {4, 6}
    factors = alike_factors(groups, 5.0) if alike else drawn_factors(groups)
    scaled = rescale(weights, factors)
    grid = Grid.rectangle((-0.6, 1.1, 4), (-0.3, 0.8, 3))
    seen = []
    for own in (weights, scaled):
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                parameter.copy_(own.named[name])
        plane = Plane.random(model, seed=6, normalization=normalization)
        seen.append(evaluate(model, loss, [data], plane, grid).values["loss"])
    if normalization == "weight" or (alike and normalization in {"filter", "layer"}):
        np.testing.assert_allclose(seen[1], seen[0], rtol=1e-5)
    else:
        assert np.abs(seen[1] / seen[0] - 1).max() > 1e-2


@pytest.mark.parametrize("skip", [True, False])
@pytest.mark.parametrize("shortcut", ["padding", "projection"])
@pytest.mark.parametrize("depth", [8, 14])
def test_a_residual_network_without_normalization(depth, shortcut, skip, outputs):
    build = partial(resnet, (1, 9, 11), 5, depth, skip=skip, norm="none", shortcut=shortcut)
    model = initialise(build, 0).double().eval()
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(4, 1, 9, 11, generator=generator, dtype=torch.float64)
    with torch.no_grad():  # at the start the second convolution of a block is zero
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    weights = Weights.of(model)
    before = outputs(model, weights, x)
    units, orders = rescaling_groups(model, x[:2]), permutation_groups(model, x[:2])
    blocks = (depth - 2) // 2
    within = blocks + (3 if shortcut == "projection" else 0)  # each stage has its stream
    assert len(units) == len(orders) == (within if skip else depth - 1)
    for moved in (
        rescale(weights, drawn_factors(units)),
        rescale(weights, alike_factors(units, 5.0)),
        permute(weights, random_permutations(orders, seed=1)),
    ):
        assert (moved.flat - weights.flat).norm() > 0.1 * weights.flat.norm()
        torch.testing.assert_close(outputs(model, moved, x), before, rtol=1e-8, atol=1e-8)
