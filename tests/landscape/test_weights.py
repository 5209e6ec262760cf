"""A model's parameters and buffers as one flat vector."""

import numpy as np
import pytest
import torch
from torch import nn

from study.landscape.directions import random_direction
from study.landscape.evaluate import evaluate
from study.landscape.geometry import Line
from study.landscape.grid import Grid
from study.landscape.weights import Weights


def test_the_vector_holds_the_parameters_in_order(mlp):
    model = mlp()
    weights = Weights.of(model)
    expected = np.concatenate([parameter.detach().numpy().ravel() for parameter in model.parameters()])
    np.testing.assert_array_equal(weights.flat.numpy(), expected)
    assert list(weights.named) == [name for name, _ in model.named_parameters()]
    assert weights.norm == pytest.approx(np.sqrt((expected.astype(float) ** 2).sum()), rel=1e-12)


@pytest.mark.parametrize("model", [nn.Linear(4, 3, bias=False), nn.BatchNorm1d(3)])
def test_weights_are_a_copy(model):
    weights = Weights.of(model)
    before = {name: tensor.clone() for name, tensor in {**weights.named, **weights.buffers}.items()}
    with torch.no_grad():
        for tensor in [*model.parameters(), *model.buffers()]:
            tensor.add_(1)
    assert all(
        torch.equal(before[name], tensor) for name, tensor in {**weights.named, **weights.buffers}.items()
    )
    with torch.no_grad():
        weights.flat.zero_()
    assert all(parameter.any() for parameter in model.parameters())


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(6, 4)
        self.hidden = nn.Linear(4, 4)
        self.readout = nn.Linear(4, 6, bias=False)
        self.readout.weight = self.embedding.weight

    def forward(self, tokens):
        return self.readout(torch.tanh(self.hidden(self.embedding(tokens))))


def test_tied_parameters_move_once_and_together(cross_entropy):
    torch.manual_seed(0)
    model = Tied().double()
    weights = Weights.of(model)
    assert weights.flat.shape == (24 + 16 + 4,)
    tokens = torch.arange(40) % 6
    targets = (tokens * 5 + 1) % 6
    line = Line.random(model, seed=1)
    landscape = evaluate(model, cross_entropy, [(tokens, targets)], line, Grid.line(-0.5, 1, 3))
    delta = weights.layout.views(random_direction(weights, seed=1).flat)
    for alpha, loss in zip((-0.5, 0.25, 1.0), landscape.values["loss"], strict=True):
        table = model.embedding.weight.detach() + alpha * delta["embedding.weight"]
        hidden = model.hidden.weight.detach() + alpha * delta["hidden.weight"]
        inner = torch.tanh(table[tokens] @ hidden.T + model.hidden.bias.detach())
        assert loss == pytest.approx(nn.functional.cross_entropy(inner @ table.T, targets).item(), rel=1e-12)


def test_frozen_parameters_move_too(least_squares):
    model = least_squares.model(least_squares.theta)
    model.weight.requires_grad_(False)
    line = Line.between(model, least_squares.model(least_squares.other))
    landscape = evaluate(model, least_squares.loss, least_squares.data, line, Grid.line(0, 1, 2))
    assert landscape.values["loss"][1] == pytest.approx(least_squares.value(least_squares.other), rel=1e-12)
    assert random_direction(Weights.of(model)).flat.all()


class Buffered(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 2)
        self.register_buffer("order", torch.tensor([2, 0, 1]))
        self.register_buffer("scale", torch.tensor(2.0), persistent=False)
        self.register_buffer("mask", torch.tensor([True, False, True]))
        self.steps = nn.Parameter(torch.tensor(3), requires_grad=False)

    def forward(self, x):
        return self.linear(x[:, self.order] * self.mask) * self.scale / self.steps


def test_buffers_and_integers_stay_where_they_are():
    torch.manual_seed(0)
    model = Buffered()
    weights = Weights.of(model)
    assert weights.flat.shape == (8,)
    assert set(weights.buffers) == {"order", "scale", "mask", "steps"}
    x, y = torch.randn(9, 3), torch.randn(9, 2)
    line = Line.random(model, normalization="none", include_bias_and_norm=True)
    landscape = evaluate(model, lambda o, t: ((o - t) ** 2).sum(1), [(x, y)], line, Grid.line(0, 1, 2))
    moved = line.at(1.0).named
    mask = torch.tensor([1.0, 0.0, 1.0])
    outputs = ((x[:, [2, 0, 1]] * mask) @ moved["linear.weight"].T + moved["linear.bias"]) * 2 / 3
    assert landscape.values["loss"][1] == pytest.approx(float(((outputs - y) ** 2).sum(1).mean()), rel=1e-5)


def test_a_state_gives_weights_and_the_model_what_no_state_holds():
    torch.manual_seed(0)
    model, other = Buffered(), Buffered()
    other.scale.fill_(9.0)
    weights = Weights.from_state(model, other.state_dict())
    assert torch.equal(weights.named["linear.weight"], other.linear.weight)
    assert weights.buffers["scale"] == 2.0, "non-persistent: the model's own"
    state = other.state_dict()
    del state["mask"]
    with pytest.raises(ValueError, match=r"'mask' of shape \(3,\): missing"):
        Weights.from_state(model, state)
    with pytest.raises(ValueError, match=r"'linear.weight' must have shape \(2, 3\), got \(3, 2\)"):
        Weights.from_state(model, {**other.state_dict(), "linear.weight": torch.zeros(3, 2)})


def test_a_state_takes_the_models_dtypes():
    model = nn.BatchNorm1d(3)
    half = {name: tensor.half() for name, tensor in model.state_dict().items()}
    weights = Weights.from_state(model, half)
    assert weights.flat.dtype == torch.float32
    assert weights.buffers["running_var"].dtype == torch.float32
    assert weights.buffers["num_batches_tracked"].dtype == torch.int64


def test_half_precision_parameters_are_mixed_in_single(cross_entropy, vectors, mlp):
    first, second = mlp(0, dtype=torch.bfloat16), mlp(1, dtype=torch.bfloat16)
    weights = Weights.of(first)
    assert weights.flat.dtype == torch.float32
    assert weights.named["0.weight"].dtype == torch.bfloat16
    assert torch.equal(weights.named["0.weight"], first[0].weight)
    line = Line.between(first, second)
    exact = 0.75 * weights.flat.double() + 0.25 * Weights.of(second).flat.double()
    torch.testing.assert_close(line.at(0.25).flat.double(), exact, rtol=1e-6, atol=1e-8)
    data = [vectors(64, dtype=torch.bfloat16)]
    landscape = evaluate(first, lambda o, t: cross_entropy(o.float(), t), data, line, Grid.line(0, 1, 3))
    middle = mlp(0)
    with torch.no_grad():
        for parameter, view in zip(middle.parameters(), line.at(0.5).named.values(), strict=True):
            parameter.copy_(view)
    inputs, targets = data[0]
    expected = nn.functional.cross_entropy(middle(inputs.float()), targets).item()
    assert landscape.values["loss"][1] == pytest.approx(expected, rel=0.02)
    assert np.isfinite(landscape.values["loss"]).all()


def test_double_precision_stays_double(mlp, vectors, cross_entropy):
    model = mlp(dtype=torch.float64)
    assert Weights.of(model).flat.dtype == torch.float64
    landscape = evaluate(
        model, cross_entropy, [vectors(50, dtype=torch.float64)], Line.random(model), Grid.line(0, 1, 2)
    )
    inputs, targets = vectors(50, dtype=torch.float64)
    expected = nn.functional.cross_entropy(model(inputs), targets).item()
    assert landscape.points["centre"].values["loss"] == pytest.approx(expected, rel=1e-14)


def test_mixed_precision_takes_the_widest():
    model = nn.Sequential(nn.Linear(2, 2).double(), nn.Linear(2, 2).half())
    weights = Weights.of(model)
    assert weights.flat.dtype == torch.float64
    assert [tensor.dtype for tensor in weights.named.values()] == [torch.float64] * 2 + [torch.float16] * 2


def test_models_that_have_no_real_weights_are_refused():
    with pytest.raises(ValueError, match=r"must be real, 'weight' is torch.complex64"):
        Weights.of(nn.Linear(2, 2, dtype=torch.complex64))
    with pytest.raises(ValueError, match="at least one floating-point parameter"):
        Weights.of(nn.ReLU())
    with pytest.raises(ValueError, match=r"'0.weight' is not: run one batch first"):
        Weights.of(nn.Sequential(nn.LazyLinear(3)))


def test_digests_tell_weights_apart(mlp):
    weights = Weights.of(mlp())
    assert weights.digest == Weights.of(mlp()).digest
    assert len(weights.digest) == 64
    moved = weights.flat.clone()
    moved[5] = torch.nextafter(moved[5], torch.tensor(9.0))
    assert Weights(weights.layout, moved, weights.buffers).digest != weights.digest
    norm, other = nn.BatchNorm1d(3), nn.BatchNorm1d(3)
    other.running_mean[1] = 0.5
    assert Weights.of(norm).digest != Weights.of(other).digest, "buffers count"
    turned = nn.Linear(3, 2, bias=False)
    reshaped = nn.Linear(2, 3, bias=False)
    with torch.no_grad():
        reshaped.weight.copy_(turned.weight.view(3, 2))
    assert Weights.of(turned).digest != Weights.of(reshaped).digest, "shapes count"
