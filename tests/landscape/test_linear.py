"""Linear layers by oneDNN: right to rounding, same bits on any number of threads, only where asked for."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from study import Grid, Line, evaluate
from study.landscape.linear import OneDnnLinear
from study.landscape.plan import EvaluationPlan


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def layer(examples: int, into: int, out: int, seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    shapes = ((examples, into), (out, into), (out,))
    return tuple(torch.randn(shape, generator=generator) for shape in shapes)


@pytest.mark.parametrize("shape", [(33, 784, 128), (257, 1000, 10), (500, 9216, 33), (64, 7, 1)])
def test_outputs_are_those_of_float64_to_rounding(shape):
    inputs, weight, bias = layer(*shape)
    with torch.inference_mode(), OneDnnLinear():
        found = functional.linear(inputs, weight, bias)
        plain = functional.linear(inputs, weight)
    exact = inputs.double() @ weight.double().T
    bound = 1e-6 * (inputs.double().abs() @ weight.double().abs().T + 1)
    assert ((found - (exact + bias)).abs() <= bound).all()
    assert ((plain - exact).abs() <= bound).all()


@pytest.mark.parametrize("shape", [(33, 784, 128), (500, 9216, 33), (2000, 64, 10)])
def test_bits_are_the_same_on_any_number_of_threads(shape, threads):
    inputs, weight, bias = layer(*shape)
    found = []
    for count in (1, 2, 4):
        threads(count)
        with torch.inference_mode(), OneDnnLinear():
            found.append(functional.linear(inputs, weight, bias))
    assert all(torch.equal(found[0], other) for other in found)


def test_what_is_not_finite_stays_so():
    inputs, weight, bias = layer(40, 20, 3)
    inputs[5, 2], inputs[6, 1] = float("inf"), float("nan")
    with torch.inference_mode(), OneDnnLinear():
        found = functional.linear(inputs, weight, bias)
    assert torch.equal(found.isfinite(), functional.linear(inputs, weight, bias).isfinite())
    assert found[7:].isfinite().all()


def test_more_dims_are_taken_and_other_dtypes_and_gradients_left():
    inputs, weight, bias = layer(24, 20, 3)
    with OneDnnLinear():
        stacked = functional.linear(inputs.reshape(4, 6, 20), weight, bias)
        assert torch.equal(stacked.reshape(24, 3), functional.linear(inputs, weight, bias))
        assert functional.linear(inputs.double(), weight.double()).dtype == torch.float64
        leaf = inputs.clone().requires_grad_()
        functional.linear(leaf, weight, bias).sum().backward()
    assert torch.allclose(leaf.grad, weight.sum(0).expand_as(leaf))


def test_the_plan_takes_it_where_one_point_in_float32_is_read_on_a_processor():
    model, example = nn.Linear(4, 3).eval(), torch.zeros(2, 4)
    assert EvaluationPlan.by_rule(model, example).linear_by_onednn
    assert not EvaluationPlan.by_rule(model, example, precision="bfloat16").linear_by_onednn
    assert not EvaluationPlan.by_rule(model, example, points_at_once=2).linear_by_onednn
    assert not EvaluationPlan.by_rule(
        model, example, compile=True
    ).linear_by_onednn  # its compiler has its own


def test_a_landscape_is_torchs_own_to_rounding(mlp, vectors, cross_entropy):
    model, data = mlp(), [vectors(200)]
    line, grid = Line.random(model), Grid.line(points=5)
    by_onednn = evaluate(model, cross_entropy, data, line, grid)
    by_torch = evaluate(model, cross_entropy, data, line, grid, points_at_once=2)
    assert EvaluationPlan(**by_onednn.provenance["plan"]).linear_by_onednn
    assert not EvaluationPlan(**by_torch.provenance["plan"]).linear_by_onednn
    assert by_onednn.values["loss"] == pytest.approx(by_torch.values["loss"], rel=1e-6)
