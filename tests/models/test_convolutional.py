"""VGG, LeNet-5 and vision transformers against published sizes and forward passes written out here."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from study.models import count_parameters, initialise
from study.models.lenet import lenet
from study.models.vgg import vgg
from study.models.vit import vit


def images(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("depth", "weights"),
    [(11, 9_217_728), (13, 9_402_048), (16, 14_710_464), (19, 20_018_880)],
)
def test_vgg_has_the_convolutions_of_the_paper(depth, weights):
    # Simonyan and Zisserman 2015, table 1: e.g. 14,714,688 with biases for VGG-16, as torchvision's features.
    with torch.device("meta"):
        convolutions = [
            own for own in vgg((3, 32, 32), 10, depth, norm="none").modules() if isinstance(own, nn.Conv2d)
        ]
    assert len(convolutions) == depth - 3
    assert sum(own.weight.numel() for own in convolutions) == weights


@pytest.mark.parametrize("depth", [9, 11, 13, 16, 19])
def test_vgg_has_as_many_layers_as_it_says(depth):
    with torch.device("meta"):
        layers = [
            own for own in vgg((3, 32, 32), 10, depth).modules() if isinstance(own, nn.Conv2d | nn.Linear)
        ]
    assert len(layers) == depth


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 13, 9), (2, 4, 4), (3, 32, 32)])
@pytest.mark.parametrize("norm", ["batch", "none"])
def test_vgg_takes_other_sizes_and_channels(shape, norm):
    network = vgg(shape, 5, 16, width=0.125, norm=norm)
    for training in (True, False):
        assert network.train(training)(images(2, *shape)).shape == (2, 5)


def test_vgg_pools_while_two_pixels_are_left_and_at_the_end():
    for side, pools in ((32, 5), (31, 4), (8, 3), (7, 2), (4, 2)):
        network = vgg((1, side, side), 10, 16, width=0.02)
        assert sum(isinstance(own, nn.MaxPool2d) for own in network.modules()) == pools


def test_vgg_without_normalization_keeps_the_scale_of_the_signal():
    network = initialise(lambda: vgg((3, 16, 16), 10, 19, width=0.25, norm="none"), 0)
    assert 0.05 < network(images(16, 3, 16, 16)).std().item() < 20


@pytest.mark.parametrize("shape", [(1, 28, 28), (1, 32, 32)])
def test_lenet_has_the_published_size(shape):
    assert count_parameters(lenet(shape, 10)) == 61_706


def test_lenet_written_out():
    network = initialise(lambda: lenet((1, 28, 28), 10), 0)
    weights = dict(network.named_parameters())
    maps = functional.pad(images(3, 1, 28, 28), (2, 2, 2, 2))
    for name in ("conv1", "conv2"):
        maps = torch.tanh(functional.conv2d(maps, weights[f"{name}.weight"], weights[f"{name}.bias"]))
        count, channels, height, width = maps.shape
        maps = maps.reshape(count, channels, height // 2, 2, width // 2, 2).mean((3, 5))
    hidden = maps.reshape(3, 400)
    for name in ("linear1", "linear2"):
        hidden = torch.tanh(hidden @ weights[f"{name}.weight"].T + weights[f"{name}.bias"])
    expected = hidden @ weights["output.weight"].T + weights["output.bias"]
    torch.testing.assert_close(network(images(3, 1, 28, 28)), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 12, 12), (3, 13, 17), (3, 32, 40)])
def test_lenet_takes_other_sizes_and_channels(shape):
    assert lenet(shape, 5, "relu")(images(2, *shape)).shape == (2, 5)


def test_vit_has_the_published_size():
    # ViT-B/16, as torchvision's vit_b_16 and Dosovitskiy et al. 2021, table 1: 86M.
    with torch.device("meta"):
        network = vit((3, 224, 224), 1000, patch_size=16, width=768, depth=12, heads=12)
    assert count_parameters(network) == 86_567_656


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 12, 12), (2, 6, 6)])
def test_vit_starts_undecided_in_both_modes(shape):
    network = vit(shape, 5, patch_size=2, width=8, depth=1, heads=2, dropout=0.5)
    for training in (True, False):
        logits = network.train(training)(images(2, *shape))
        loss = functional.cross_entropy(logits, torch.tensor([0, 4]))
        assert loss.item() == pytest.approx(math.log(5))


def test_vit_embeds_patches_of_every_channel():
    network = initialise(lambda: vit((2, 8, 8), 5, patch_size=4, width=8, depth=1, heads=2), 0).network
    tokens = network._process_input(images(3, 2, 8, 8))
    patches = functional.unfold(images(3, 2, 8, 8), 4, stride=4).transpose(1, 2)
    expected = patches @ network.conv_proj.weight.flatten(1).T + network.conv_proj.bias
    torch.testing.assert_close(tokens, expected, rtol=1e-5, atol=1e-6)


def test_vit_has_second_derivatives():
    # H v forward over reverse, as curvature takes it, against a difference of gradients in float64.
    network = initialise(lambda: vit((1, 4, 4), 3, patch_size=2, width=4, depth=1, heads=2), 0).double()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1)
    weights = {name: parameter.detach() for name, parameter in network.named_parameters()}
    batch, targets = images(5, 1, 4, 4).double(), torch.tensor([0, 1, 2, 0, 1])

    def loss(own: dict[str, torch.Tensor]) -> torch.Tensor:
        return functional.cross_entropy(torch.func.functional_call(network, own, batch), targets)

    direction = {
        name: torch.cos(torch.arange(own.numel()).double()).view_as(own) for name, own in weights.items()
    }
    _gradient, product = torch.func.jvp(torch.func.grad(loss), (weights,), (direction,))
    ahead, back = (
        torch.func.grad(loss)({name: own + step * direction[name] for name, own in weights.items()})
        for step in (1e-6, -1e-6)
    )
    for name, entries in product.items():
        torch.testing.assert_close(entries, (ahead[name] - back[name]) / 2e-6, rtol=1e-5, atol=1e-6)


REFUSED = [
    (vgg, {"depth": 10}, "model.depth must be one of 9, 11, 13, 16, 19, got 10"),
    (vgg, {"depth": 9, "width": 0.001}, "model.width must leave a channel to each layer, got 0.001"),
    (vgg, {"depth": 9, "norm": "layer"}, "norm must be 'none' or 'batch', got 'layer'"),
    (vgg, {"depth": 9, "input_shape": (1, 3, 8)}, "vgg needs images of at least 4 x 4 pixels, got 3 x 8"),
    (lenet, {"activation": "gelu"}, "activation must be one of tanh, relu, got 'gelu'"),
    (lenet, {"input_shape": (1, 11, 28)}, "lenet needs images of at least 12 x 12 pixels, got 11 x 28"),
    (vit, {"patch_size": 5}, "model.patch_size must divide the images' 28 pixels, got 5"),
    (vit, {"heads": 3}, "model.heads must divide the width, 8, got 3"),
    (vit, {"mlp_ratio": 0.01}, "model.mlp_ratio must leave a unit at a width of 8, got 0.01"),
    (vit, {"input_shape": (1, 28, 24)}, "data must have square images for model=vit, got '28 x 24'"),
]
GIVEN = {vgg: {}, lenet: {}, vit: {"patch_size": 4, "width": 8, "depth": 1, "heads": 2}}


@pytest.mark.parametrize(("make", "arguments", "message"), REFUSED)
def test_refusals(make, arguments, message):
    with pytest.raises(ValueError, match=r"^") as refused:
        make(**{"input_shape": (1, 28, 28), "outputs": 10} | GIVEN[make] | arguments)
    assert str(refused.value) == message
