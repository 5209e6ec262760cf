"""What must not change a landscape, and what must (Dinh et al. 2017; Li et al. 2018, section 4)."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from study.landscape.directions import Direction, random_direction
from study.landscape.evaluate import evaluate
from study.landscape.geometry import Line, Plane
from study.landscape.grid import Grid
from study.landscape.weights import Weights

GRID = Grid.rectangle((-0.6, 1.1, 4), (-0.3, 0.8, 3))
NORMALIZATIONS = ["filter", "layer", "model", "weight", "none"]


def layers(model):
    return [layer for layer in model if isinstance(layer, nn.Linear | nn.Conv2d)]


def rescaled_by_layer(model, factors):
    """The same function: layer k's weight times factor k, its bias times all factors so far, product one."""
    assert np.prod(factors) == pytest.approx(1.0)
    scaled = copy.deepcopy(model)
    with torch.no_grad():
        for layer, factor, so_far in zip(layers(scaled), factors, np.cumprod(factors), strict=True):
            layer.weight.mul_(factor)
            if layer.bias is not None:
                layer.bias.mul_(so_far)
    return scaled


def rescaled_by_unit(model):
    """The same function: each hidden unit times a factor of its own, undone in the next layer."""
    scaled = copy.deepcopy(model)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for layer, following in zip(layers(scaled)[:-1], layers(scaled)[1:], strict=True):
            factors = torch.exp(1.5 * torch.randn(layer.weight.shape[0], generator=generator)).to(
                layer.weight
            )
            layer.weight.mul_(factors.view(-1, *[1] * (layer.weight.ndim - 1)))
            if layer.bias is not None:
                layer.bias.mul_(factors)
            if following.weight.shape[1] == len(factors):
                following.weight.div_(factors.view(1, -1, *[1] * (following.weight.ndim - 2)))
            else:  # the flattened images: consecutive columns belong to one channel
                following.weight.div_(factors.repeat_interleave(following.weight.shape[1] // len(factors)))
    return scaled


@pytest.fixture(params=["perceptron", "convolutional"])
def network(request, mlp, vectors, convnet, images):
    """A ReLU network without normalization layers, in float64, its data, and factors for its layers."""
    if request.param == "perceptron":
        return mlp().double(), vectors(60, dtype=torch.float64), (3.0, 0.7, 1 / 2.1)
    inputs, targets = images(40)
    return convnet().double(), (inputs.double(), targets), (0.2, 2.5, 2.0)


def surface(model, data, loss, normalization, include=False):
    plane = Plane.random(model, seed=6, normalization=normalization, include_bias_and_norm=include)
    return evaluate(model, loss, [data], plane, GRID).values["loss"]


@pytest.mark.parametrize("include", [False, True])
@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_one_factor_a_layer(network, cross_entropy, normalization, include):
    model, data, factors = network
    scaled = rescaled_by_layer(model, factors)
    torch.testing.assert_close(model(data[0]), scaled(data[0]), rtol=1e-10, atol=1e-10)
    before = surface(model, data, cross_entropy, normalization, include)
    after = surface(scaled, data, cross_entropy, normalization, include)
    assert before.std() > 1e-3
    if normalization in {"filter", "layer", "weight"}:
        np.testing.assert_allclose(after, before, rtol=1e-5)
    else:
        assert np.abs(after / before - 1).max() > 1e-2


@pytest.mark.parametrize("include", [False, True])
@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_one_factor_a_unit(network, cross_entropy, normalization, include):
    model, data, _ = network
    scaled = rescaled_by_unit(model)
    torch.testing.assert_close(model(data[0]), scaled(data[0]), rtol=1e-9, atol=1e-9)
    before = surface(model, data, cross_entropy, normalization, include)
    after = surface(scaled, data, cross_entropy, normalization, include)
    if normalization == "weight":
        np.testing.assert_allclose(after, before, rtol=1e-5)
    else:
        assert np.abs(after / before - 1).max() > 1e-2


def permuted(model, tensors, orders):
    """`tensors`, by parameter name, with the hidden units of each layer in the order given."""
    result = dict(tensors)
    names = [name for name, layer in model.named_modules() if isinstance(layer, nn.Linear)]
    for name, following, order in zip(names[:-1], names[1:], orders, strict=True):
        for kind in ("weight", "bias"):
            result[f"{name}.{kind}"] = result[f"{name}.{kind}"][order]
        result[f"{following}.weight"] = result[f"{following}.weight"][:, order]
    return result


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_permuting_hidden_units_with_the_directions(mlp, vectors, cross_entropy, normalization):
    model, data = mlp(), [vectors(60)]
    theta = Weights.of(model)
    orders = [torch.tensor([3, 0, 6, 1, 5, 2, 4]), torch.tensor([5, 3, 0, 1, 4, 2])]
    directions = [
        random_direction(theta, seed=2, index=index, normalization=normalization, include_bias_and_norm=True)
        for index in (0, 1)
    ]

    def turn(flat):
        return theta.layout.flatten(permuted(model, theta.layout.views(flat), orders))

    moved = Weights(theta.layout, turn(theta.flat), theta.buffers)
    with_directions = [Direction(turn(direction.flat), {}) for direction in directions]
    before = evaluate(model, cross_entropy, data, Plane.through(theta, *directions), GRID).values["loss"]
    after = evaluate(model, cross_entropy, data, Plane.through(moved, *with_directions), GRID).values["loss"]
    np.testing.assert_allclose(after, before, rtol=1e-5)
    without = evaluate(model, cross_entropy, data, Plane.through(moved, *directions), GRID).values["loss"]
    assert np.abs(without / before - 1).max() > 1e-2


def test_a_line_turned_round_is_the_same_line(mlp, vectors, cross_entropy):
    model, data = mlp(), [vectors(60)]
    grid = Grid.line(-0.5, 1.5, 7)
    there = evaluate(model, cross_entropy, data, Line.between(mlp(0), mlp(1)), grid).values["loss"]
    back = evaluate(model, cross_entropy, data, Line.between(mlp(1), mlp(0)), grid).values["loss"]
    np.testing.assert_allclose(back[::-1], there, rtol=1e-6)
    assert abs(there[0] / there[-1] - 1) > 1e-2
