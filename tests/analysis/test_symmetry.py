"""Symmetries counted by hand, and what a permutation may and may not change."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrizations

from study.analysis.symmetry import (
    Group,
    Member,
    inverse,
    permutation_groups,
    permute,
    random_permutations,
)
from study.landscape.weights import Weights
from study.models import initialise
from study.models.mlp import mlp


def normalized(norm, *dims):
    """The members that a normalization layer adds."""
    return {(f"{norm}.{kind}", 0, 1) for kind in ("weight", "bias", "running_mean", "running_var")} | {*dims}


BY_HAND = {
    "mlp": [
        (8, {("linear1.weight", 0, 1), ("linear1.bias", 0, 1), ("linear2.weight", 1, 1)}),
        (6, {("linear2.weight", 0, 1), ("linear2.bias", 0, 1), ("output.weight", 1, 1)}),
    ],
    "mlp with batch normalization": [
        (8, normalized("norm1", ("linear1.weight", 0, 1), ("linear2.weight", 1, 1))),
        (6, normalized("norm2", ("linear2.weight", 0, 1), ("output.weight", 1, 1))),
    ],
    "cnn": [  # the maps are 4 x 3, pooled to 2 x 1
        (32, {("conv1.weight", 0, 1), ("conv1.bias", 0, 1), ("conv2.weight", 1, 1)}),
        (64, {("conv2.weight", 0, 1), ("conv2.bias", 0, 1), ("fc1.weight", 1, 2)}),
        (128, {("fc1.weight", 0, 1), ("fc1.bias", 0, 1), ("fc2.weight", 1, 1)}),
    ],
    "residual, 1x1": [
        (
            4,
            normalized("norm", ("stem.weight", 0, 1), ("block1.conv1.weight", 1, 1))
            | normalized("block1.bn2", ("block1.conv2.weight", 0, 1))
            | {("block2.conv1.weight", 1, 1), ("block2.shortcut.0.weight", 1, 1)},
        ),
        (4, normalized("block1.bn1", ("block1.conv1.weight", 0, 1), ("block1.conv2.weight", 1, 1))),
        (6, normalized("block2.bn1", ("block2.conv1.weight", 0, 1), ("block2.conv2.weight", 1, 1))),
        (
            6,
            normalized("block2.bn2", ("block2.conv2.weight", 0, 1), ("head.weight", 1, 1))
            | normalized("block2.shortcut.1", ("block2.shortcut.0.weight", 0, 1)),
        ),
    ],
    "residual, option A": [  # what the padded shortcut adds to keeps its order, and what it comes from
        (4, normalized("block1.bn1", ("block1.conv1.weight", 0, 1), ("block1.conv2.weight", 1, 1))),
        (6, normalized("block2.bn1", ("block2.conv1.weight", 0, 1), ("block2.conv2.weight", 1, 1))),
    ],
}


def test_groups_are_those_counted_by_hand(name, network, images):
    groups = permutation_groups(network(0), images[:2])
    found = [
        (group.size, {(member.tensor, member.dim, member.block) for member in group.members})
        for group in groups
    ]
    assert found == BY_HAND[name]


def test_a_permutation_moves_the_weights_and_keeps_the_function(network, images, outputs):
    model = network(0)
    groups = permutation_groups(model, images[:2])
    weights = Weights.of(model)
    before = outputs(model, weights, images)
    for group in groups:
        moved = permute(weights, random_permutations([group], seed=1))
        assert (moved.flat - weights.flat).norm() > 0.1
        torch.testing.assert_close(outputs(model, moved, images), before, rtol=0, atol=1e-10)
    moved = permute(weights, random_permutations(groups, seed=2))
    torch.testing.assert_close(outputs(model, moved, images), before, rtol=0, atol=1e-10)
    assert sorted(moved.flat.tolist()) == sorted(weights.flat.tolist())


def test_every_member_of_a_group_is_needed(network, images, outputs):
    model = network(0)
    weights = Weights.of(model)
    before = outputs(model, weights, images)
    for group in permutation_groups(model, images[:2]):
        for left_out in group.members:
            part = replace(group, members=tuple(one for one in group.members if one != left_out))
            moved = permute(weights, {part: torch.arange(group.size).roll(1)})
            assert (outputs(model, moved, images) - before).abs().max() > 1e-6, left_out


def test_the_inverse_undoes_it(network, images):
    model = network(0)
    weights = Weights.of(model)
    permutations = random_permutations(permutation_groups(model, images[:2]), seed=5)
    back = permute(permute(weights, permutations), inverse(permutations))
    assert back.digest == weights.digest


def test_the_model_and_the_example_come_back_as_they_went_in(network, images):
    model = network(0).train()
    next(model.children()).eval()
    modes = [layer.training for layer in model.modules()]
    before, inputs = Weights.of(model).digest, images.clone()
    permutation_groups(model, images)
    assert [layer.training for layer in model.modules()] == modes
    assert Weights.of(model).digest == before
    assert torch.equal(images, inputs)


def test_orders_come_from_the_seed_and_the_size():
    groups = [Group(9, (Member("a", 0, 1),)), Group(9, (Member("b", 0, 1),))]
    first, again, other = (random_permutations(groups, seed) for seed in (3, 3, 4))
    assert all(torch.equal(first[group], again[group]) for group in groups)
    assert not torch.equal(first[groups[0]], other[groups[0]])
    assert not torch.equal(first[groups[0]], first[groups[1]])


def test_a_block_is_moved_as_a_whole():
    weights = Weights.of(nn.Linear(6, 2))
    group = Group(3, (Member("weight", 1, 2),))
    moved = permute(weights, {group: torch.tensor([2, 0, 1])})
    assert torch.equal(moved.named["weight"], weights.named["weight"][:, [4, 5, 0, 1, 2, 3]])


@pytest.mark.parametrize("order", [[0, 1, 1], [0, 1], [1, 2, 3]])
def test_what_is_no_permutation_is_refused(order):
    group = Group(3, (Member("weight", 0, 1),))
    with pytest.raises(ValueError, match="must be a permutation of 3 units"):
        permute(Weights.of(nn.Linear(6, 3)), {group: torch.tensor(order)})


@pytest.mark.parametrize("member", [Member("weight", 1, 1), Member("weights", 0, 1)])
def test_groups_of_another_network_are_refused(member):
    with pytest.raises(
        ValueError, match=f"must hold '{member.tensor}' with 3 entries along dim {member.dim}"
    ):
        permute(Weights.of(nn.Linear(6, 3)), {Group(3, (member,)): torch.arange(3)})


class Images(nn.Module):
    """A convolution to 6 channels of 5 x 4, something that is done to them, and a head for what is left."""

    def __init__(self, between, *, layers=()):
        super().__init__()
        self.conv = nn.Conv2d(2, 6, 3, padding=1)
        self.layers = nn.ModuleList(layers)
        self.scale = nn.Parameter(torch.linspace(0.5, 2, 6).view(6, 1, 1))
        self.register_buffer("mask", torch.linspace(1, 3, 6).view(6, 1, 1))
        self.between = between
        self.head = nn.LazyLinear(3)

    def forward(self, x):
        return self.head(self.between(self, self.conv(x)))


def squeezed(model, x):
    reduce, expand = model.layers
    gate = expand(reduce(functional.adaptive_avg_pool2d(x, 1)).relu())
    return (x * torch.sigmoid(gate)).mean((2, 3))


def depthwise(model, x):
    return model.layers[0](x).relu().flatten(1)


FREE = {  # each with the sizes of its groups
    "softmax over channels": (lambda _, x: x.softmax(1).flatten(1), [], [6]),
    "log-softmax of the library": (lambda _, x: functional.log_softmax(x, dim=1).flatten(1), [], [6]),
    "a mean over pixels": (lambda _, x: torch.mean(x.relu(), dim=[2, 3]), [], [6]),
    "a sum over channels": (lambda _, x: x.relu().sum(1).flatten(1), [], [6]),
    "a view with the batch's size": (lambda _, x: x.view(x.shape[0], -1), [], [6]),
    "a view with the features' number": (lambda _, x: x.view(-1, 120), [], [6]),
    "pixels first": (lambda _, x: x.permute(0, 2, 3, 1).flatten(1, 2).relu().mean(1), [], [6]),
    "padded pixels": (lambda _, x: functional.pad(x, (1, 0, 2, 1), value=1.0).flatten(1), [], [6]),
    "every second pixel": (lambda _, x: x[..., ::2, 1:].flatten(1), [], [6]),
    "a scale of its own": (lambda model, x: (x * model.scale).flatten(1), [], [6]),
    "a buffer that is computed with": (lambda model, x: (x * model.mask.square()).flatten(1), [], [6]),
    "group normalization, one group": (lambda model, x: depthwise(model, x), [nn.GroupNorm(1, 6)], [6]),
    "a depthwise convolution": (depthwise, [nn.Conv2d(6, 6, 3, groups=6)], [6]),
    "a depthwise convolution, two each": (depthwise, [nn.Conv2d(6, 12, 3, groups=6)], [6]),
    "a slope for each channel": (depthwise, [nn.PReLU(6)], [6]),
    "layer normalization": (
        lambda model, x: model.layers[0](x.flatten(1)),
        [nn.LayerNorm(120)],
        [6],
    ),
    "squeeze and excitation": (squeezed, [nn.Conv2d(6, 4, 1), nn.Conv2d(4, 6, 1)], [6, 4]),
    "channels in two heads": (
        lambda _, x: x.view(-1, 2, 3, 20).softmax(2).mean(2).flatten(1),
        [],
        [2],
    ),
}
FIXED = {
    "a running sum over channels": (lambda _, x: x.cumsum(1).flatten(1), []),
    "channels turned round": (lambda _, x: x.flip(1).flatten(1), []),
    "padded channels": (lambda _, x: functional.pad(x, (0, 0, 0, 0, 1, 2)).flatten(1), []),
    "some channels": (lambda _, x: x[:, 1:].flatten(1), []),
    "one channel": (lambda _, x: x[:, 2].flatten(1), []),
    "channels side by side": (lambda _, x: torch.cat([x, x.relu()], 1).flatten(1), []),
    "group normalization, two groups": (depthwise, [nn.GroupNorm(2, 6)]),
    "a grouped convolution": (depthwise, [nn.Conv2d(6, 4, 3, groups=2)]),
    "a layer without a rule": (depthwise, [nn.ConvTranspose2d(6, 4, 3)]),
    "channels within each pixel": (lambda _, x: x.permute(0, 2, 3, 1).flatten(1), []),
    "a weight that is computed": (depthwise, [parametrizations.weight_norm(nn.Conv2d(6, 6, 3))]),
    "reshaped in place": (lambda _, x: (x.unsqueeze_(1), x.relu().flatten(1))[1], []),
    "written to": (lambda _, x: x.index_fill_(1, torch.tensor([0]), 0.0).flatten(1), []),
    "pixels and channels mixed": (lambda _, x: x.reshape(-1, 5, 24).relu().amax(2), []),
    "examples and channels mixed": (lambda _, x: x.view(-1, 60).relu().view(-1, 120), []),
}


def prepared(between, layers, seed=0):
    model = initialise(lambda: Images(between, layers=layers), seed)
    images = torch.randn(4, 2, 5, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model.double()(images)  # gives the head its weights
    with torch.no_grad():
        for layer in model.layers:
            for tensor in layer.parameters():
                tensor += torch.linspace(0, 1, tensor.numel(), dtype=torch.float64).view(tensor.shape)
    return model.eval(), images


@pytest.mark.parametrize("case", FREE)
def test_what_treats_all_channels_alike_leaves_them_free(case, outputs):
    between, layers, sizes = FREE[case]
    model, images = prepared(between, layers)
    groups = permutation_groups(model, images[:2])
    assert sorted(group.size for group in groups) == sorted(sizes)
    weights = Weights.of(model)
    before = outputs(model, weights, images)
    for group in groups:
        moved = permute(weights, {group: torch.arange(group.size).roll(1)})
        assert not torch.equal(moved.flat, weights.flat)
        torch.testing.assert_close(outputs(model, moved, images), before, rtol=0, atol=1e-10)


@pytest.mark.parametrize("case", FIXED)
def test_what_knows_the_place_of_a_channel_fixes_it(case):
    model, images = prepared(*FIXED[case])
    assert permutation_groups(model, images[:2]) == ()


@pytest.mark.parametrize("spatial", [1, 3])
def test_convolutions_over_sequences_and_volumes(spatial, outputs):
    convolution, norm, pool = (getattr(nn, f"{kind}{spatial}d") for kind in ("Conv", "BatchNorm", "MaxPool"))
    features = 5 * 2**spatial
    model = initialise(
        lambda: nn.Sequential(
            *(convolution(2, 5, 3, bias=False), norm(5), nn.ReLU(), pool(2), nn.Flatten()),
            nn.Linear(features, 3),
        ),
        0,
    ).eval()
    inputs = torch.randn(4, 2, *[6] * spatial, generator=torch.Generator().manual_seed(2))
    (group,) = permutation_groups(model, inputs[:2])
    assert (group.size, group.members[-3]) == (5, Member("5.weight", 1, 2**spatial))
    moved = permute(Weights.of(model), random_permutations([group], seed=0))
    torch.testing.assert_close(outputs(model, moved, inputs), model(inputs).detach())


def test_a_layer_with_a_hook_is_not_what_its_class_says():
    model = initialise(lambda: mlp((2, 3), 3, [8, 6]), 0)
    model.relu1.register_forward_hook(lambda _layer, _inputs, output: output.cumsum(1))
    assert [group.size for group in permutation_groups(model, torch.ones(2, 2, 3))] == [6]


def test_normalization_of_the_second_dim_is_not_of_the_last():
    """Batch normalization of sequences, (N, C, L): the linear layer's units lie along L, and stay free."""
    model = nn.Sequential(nn.Linear(3, 7), nn.BatchNorm1d(7), nn.Linear(7, 2))
    (flat,) = permutation_groups(model, torch.ones(2, 3))
    (sequence,) = permutation_groups(model, torch.ones(2, 7, 3))
    assert {member.tensor for member in flat.members} > {"1.weight", "1.running_var"}
    assert {member.tensor for member in sequence.members} == {"0.weight", "0.bias", "2.weight"}


@pytest.mark.parametrize("layer", [nn.MaxPool1d(2), nn.Conv1d(4, 4, 2, stride=2)])
def test_neighbours_that_meet_keep_their_order(layer):
    """Units along the last dim of (N, C, L), which a convolution or a pooling slides over."""
    model = nn.Sequential(nn.Linear(3, 6), layer, nn.Linear(3, 2))
    assert permutation_groups(model, torch.ones(2, 4, 3)) == ()


class Tied(nn.Module):
    """An autoencoder that decodes by the transposed weight of its encoder."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Linear(4, 6)

    def forward(self, x):
        return functional.linear(self.encoder(x).tanh(), self.encoder.weight.t())


class Attention(nn.Module):
    """Queries meet keys, (N, T, 5) each; values are read out by a linear layer."""

    def __init__(self):
        super().__init__()
        self.query, self.key, self.value = nn.Linear(4, 5), nn.Linear(4, 5), nn.Linear(4, 7)
        self.out = nn.Linear(7, 3)

    def forward(self, x):
        scores = (self.query(x) @ self.key(x).transpose(1, 2)).softmax(-1)
        return self.out(scores @ self.value(x))


class Twice(nn.Module):
    """One layer that is applied to its own output: its two dims are permuted alike."""

    def __init__(self):
        super().__init__()
        self.first, self.again, self.out = nn.Linear(4, 6), nn.Linear(6, 6), nn.Linear(6, 3)

    def forward(self, x):
        x = self.first(x).tanh()
        for _ in range(2):
            x = x + self.again(x).tanh()
        return self.out(x)


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        (Tied, [(6, {("encoder.weight", 0), ("encoder.bias", 0)})]),
        (
            Attention,
            [
                (5, {(f"{name}.{kind}", 0) for name in ("query", "key") for kind in ("weight", "bias")}),
                (7, {("value.weight", 0), ("value.bias", 0), ("out.weight", 1)}),
            ],
        ),
        (
            Twice,
            [
                (
                    6,
                    {(f"{name}.{kind}", 0) for name in ("first", "again") for kind in ("weight", "bias")}
                    | {("again.weight", 1), ("out.weight", 1)},
                )
            ],
        ),
    ],
)
def test_weights_that_meet_or_are_used_twice(network, expected, outputs):
    model = initialise(network, 0).double()
    inputs = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    groups = permutation_groups(model, inputs)
    found = [(group.size, {(member.tensor, member.dim) for member in group.members}) for group in groups]
    assert found == expected
    weights = Weights.of(model)
    moved = permute(weights, random_permutations(groups, seed=1))
    torch.testing.assert_close(
        outputs(model, moved, inputs), outputs(model, weights, inputs), rtol=0, atol=1e-10
    )


class Named(nn.Module):
    """Two inputs, of which one has a default."""

    def __init__(self):
        super().__init__()
        self.left, self.right, self.out = nn.Linear(4, 6), nn.Linear(3, 6), nn.Linear(6, 2)

    def forward(self, left, right=None, *, scale=2.0):
        hidden = self.left(left) if right is None else self.left(left) + self.right(right)
        return self.out(hidden.relu() * scale)


def test_examples_are_passed_as_the_model_is_called():
    left, right = torch.ones(2, 4), torch.ones(2, 3)
    for example in ((left, right), {"right": right, "left": left}):
        (group,) = permutation_groups(Named(), example)
        assert {member.tensor for member in group.members} == {
            *("left.weight", "left.bias", "right.weight", "right.bias", "out.weight")
        }


def test_a_network_that_cannot_be_traced_is_refused():
    class Branching(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(4, 6)

        def forward(self, x):
            return self.layer(x) if x.sum() > 0 else x

    with pytest.raises(ValueError, match=r"that torch.fx can trace.*Branching gives TraceError"):
        permutation_groups(Branching(), torch.ones(2, 4))
