"""Residual networks against published sizes and properties."""

import pytest
import torch
from torch import nn

from study.models import count_parameters, initialise
from study.models.resnet import Block, resnet


def images(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("depth", "parameters"), [(20, 269_722), (32, 464_154), (44, 658_586), (56, 853_018), (110, 1_727_962)]
)
def test_published_sizes_on_cifar(depth, parameters):
    # He et al. 2016, table 6: 0.27M, 0.46M, 0.66M, 0.85M and 1.7M, with shortcuts of no parameters.
    assert count_parameters(resnet((3, 32, 32), 10, depth)) == parameters


def test_a_projection_has_parameters_and_no_skip_has_none():
    plain = count_parameters(resnet((3, 32, 32), 10, 20))
    # Two 1 × 1 convolutions, 16 to 32 and 32 to 64, each with two parameters of normalization a channel.
    projected = count_parameters(resnet((3, 32, 32), 10, 20, shortcut="projection"))
    assert projected == plain + 16 * 32 + 2 * 32 + 32 * 64 + 2 * 64
    assert count_parameters(resnet((3, 32, 32), 10, 20, skip=False, shortcut="projection")) == plain
    # Without normalization a channel has one bias instead of scale and shift.
    channels = 7 * 16 + 6 * 32 + 6 * 64
    assert count_parameters(resnet((3, 32, 32), 10, 20, norm="none")) == plain - channels


def test_twice_as_wide_is_four_times_as_many_weights():
    one, two = resnet((3, 8, 8), 10, 8), resnet((3, 8, 8), 10, 8, width=2)
    for (name, narrow), (_name, wide) in zip(one.named_parameters(), two.named_parameters(), strict=True):
        if narrow.ndim == 4 and name != "stem.weight":
            assert wide.numel() == 4 * narrow.numel()


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 9, 13), (2, 4, 5)])
@pytest.mark.parametrize("options", [{}, {"shortcut": "projection"}, {"norm": "none"}, {"skip": False}])
def test_other_sizes_and_channels_give_logits(shape, options):
    network = resnet(shape, 5, 8, **options)
    for training in (True, False):
        assert network.train(training)(images(2, *shape)).shape == (2, 5)


@pytest.mark.parametrize("norm", ["batch", "none"])
def test_without_skip_there_is_no_path_around_a_block(norm):
    batch = images(3, 2, 8, 8)
    for skip in (True, False):
        network = initialise(lambda skip=skip: resnet((2, 8, 8), 4, 14, skip=skip, norm=norm), 0).eval()
        block = [layer for layer in network.modules() if isinstance(layer, Block)][1]
        with torch.no_grad():
            for parameter in block.parameters():
                parameter.zero_()
            logits = network(batch)
        alike = torch.allclose(logits[0], logits[1], atol=1e-6)
        assert alike != skip  # only with a skip connection does the input still reach the logits


def test_a_shortcut_of_option_a_is_every_second_pixel_between_channels_of_zeros():
    block = Block(4, 8, skip=True, norm="none", shortcut="padding")
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.zero_()
    batch = images(2, 4, 5, 7).abs()  # odd sides; a ReLU follows
    out = block(batch)
    assert out.shape == (2, 8, 3, 4)
    assert torch.equal(out[:, 2:6], batch[:, :, ::2, ::2])
    assert not out[:, :2].any()
    assert not out[:, 6:].any()


@pytest.mark.parametrize("depth", [8, 56])
@pytest.mark.parametrize("skip", [True, False])
def test_without_normalization_the_signal_neither_dies_nor_explodes_at_first(depth, skip):
    network = initialise(lambda: resnet((3, 8, 8), 10, depth, skip=skip, norm="none"), 0)
    scale = network(images(16, 3, 8, 8)).std().item()
    assert 1e-2 < scale < 10
    assert all(torch.isfinite(parameter).all() for parameter in network.parameters())


def test_without_normalization_it_is_relus_and_convolutions_with_biases():
    network = resnet((1, 8, 8), 10, 8, norm="none")
    kinds = {type(layer) for layer in network.modules() if not list(layer.children())}
    assert kinds == {nn.Conv2d, nn.Identity, nn.Linear}
    assert all(layer.bias is not None for layer in network.modules() if isinstance(layer, nn.Conv2d))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"depth": 18}, "model.depth must be 6n [+] 2: 8, 14, 20, …, got 18"),
        ({"depth": 2}, "model.depth must be 6n [+] 2: 8, 14, 20, …, got 2"),
        ({"width": 0}, "width must be at least 1, got 0"),
        ({"norm": "layer"}, "norm must be one of batch, none, got 'layer'"),
        ({"shortcut": "C"}, "shortcut must be one of padding, projection, got 'C'"),
        ({"input_shape": (3, 3, 32)}, "resnet needs images of at least 4 x 4 pixels, got 3 x 32"),
        ({"input_shape": (64,)}, r"resnet needs inputs of shape \(channels, height, width\), got \(64,\)"),
    ],
)
def test_refusals(arguments, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        resnet(**{"input_shape": (3, 32, 32), "outputs": 10, "depth": 20} | arguments)
