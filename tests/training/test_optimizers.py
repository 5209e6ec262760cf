import math

import pytest
import torch
from torch import Tensor

from study.training.optimizers import build_optimizer, scaled_learning_rate


def steps(name: str, gradients: list[float], start: float = 2.0, **settings) -> float:
    """Where one parameter is after updates with the given gradients."""
    parameter = torch.nn.Parameter(torch.tensor([start], dtype=torch.float64))
    optimizer = build_optimizer(name, [parameter], **({"weight_decay": 0.0} | settings))
    for gradient in gradients:
        parameter.grad = torch.tensor([gradient], dtype=torch.float64)
        optimizer.step()
    return parameter.item()


def test_sgd_adds_weight_decay_to_the_gradient():
    assert steps("sgd", [3.0], learning_rate=0.1, weight_decay=0.5) == pytest.approx(2 - 0.1 * (3 + 0.5 * 2))


def test_sgd_momentum_accumulates_gradients():
    # Velocities 1 and 0.9 · 1 + 1.
    assert steps("sgd", [1.0, 1.0], learning_rate=0.1, momentum=0.9) == pytest.approx(2 - 0.1 * (1 + 1.9))


def test_nesterov_looks_ahead():
    # The step is g + μ v with v = g at first.
    moved = steps("sgd", [1.0], learning_rate=0.1, momentum=0.9, nesterov=True)
    assert moved == pytest.approx(2 - 0.1 * 1.9)


@pytest.mark.parametrize("gradient", [5.0, -0.01])
def test_first_adam_update_has_the_length_of_the_learning_rate(gradient: float):
    # Kingma and Ba 2015, section 2.1: both moments are corrected to g and g².
    moved = steps("adam", [gradient], learning_rate=0.1, betas=[0.8, 0.99], eps=0.0)
    assert moved == pytest.approx(2 - math.copysign(0.1, gradient))


def test_adamw_shrinks_weights_apart_from_the_gradient():
    decoupled = steps("adamw", [1.0], learning_rate=0.1, weight_decay=0.5, eps=0.0)
    coupled = steps("adam", [1.0], learning_rate=0.1, weight_decay=0.5, eps=0.0)
    assert decoupled == pytest.approx(2 * (1 - 0.1 * 0.5) - 0.1)
    assert coupled == pytest.approx(2 - 0.1)


def test_rmsprop_divides_by_the_running_root_mean_square():
    moved = steps("rmsprop", [3.0], learning_rate=0.1, alpha=0.75, eps=0.0)
    assert moved == pytest.approx(2 - 0.1 * 3 / math.sqrt(0.25 * 9))


def test_adagrad_divides_by_the_root_of_all_squares():
    moved = steps("adagrad", [3.0, 4.0], learning_rate=0.1, eps=0.0)
    assert moved == pytest.approx(2 - 0.1 - 0.1 * 4 / 5)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("sgd", {"momentum": 0.5, "nesterov": True}),
        ("adam", {"betas": (0.5, 0.75), "eps": 1e-3}),
        ("adamw", {"betas": (0.5, 0.75), "eps": 1e-3}),
        ("rmsprop", {"alpha": 0.5, "momentum": 0.25, "eps": 1e-3}),
        ("adagrad", {"eps": 1e-3}),
    ],
)
def test_each_setting_reaches_the_optimizer(name: str, settings: dict):
    parameters: list[Tensor] = [torch.nn.Parameter(torch.ones(2))]
    optimizer = build_optimizer(name, parameters, learning_rate=0.3, weight_decay=0.2, **settings)
    expected = settings | {"lr": 0.3, "weight_decay": 0.2}
    assert {key: optimizer.param_groups[0][key] for key in expected} == expected


def test_unknown_names_and_settings_are_refused():
    parameters = [torch.nn.Parameter(torch.ones(2))]
    with pytest.raises(ValueError, match=r"optimizer.name must be one of sgd, .*, got 'lion'"):
        build_optimizer("lion", parameters, learning_rate=0.1, weight_decay=0.0)
    with pytest.raises(ValueError, match=r"optimizer adagrad takes eps .*, got momentum"):
        build_optimizer("adagrad", parameters, learning_rate=0.1, weight_decay=0.0, momentum=0.9)


def test_published_learning_rates():
    # Goyal et al. 2017: 0.1 at 256 images becomes 3.2 at 8,192.
    assert scaled_learning_rate(0.1, 8192, 256, "linear") == pytest.approx(3.2)
    # Krizhevsky 2014: √k for k times the batch.
    assert scaled_learning_rate(0.01, 1024, 128, "sqrt") == pytest.approx(0.01 * 2.8284271)
    assert scaled_learning_rate(0.01, 1024, 128, "none") == 0.01


@pytest.mark.parametrize("rule", ["none", "linear", "sqrt"])
def test_the_reference_batch_size_has_the_rate_itself(rule: str):
    assert scaled_learning_rate(0.3, 7, 7, rule) == pytest.approx(0.3)


def test_bad_scaling_is_refused():
    with pytest.raises(ValueError, match="none, linear, sqrt, got 'cubic'"):
        scaled_learning_rate(0.1, 8, 8, "cubic")
    with pytest.raises(ValueError, match="reference_batch_size must be at least 1, got 0"):
        scaled_learning_rate(0.1, 8, 0, "linear")
