import math

import pytest
import torch
from torch import Tensor


@pytest.fixture
def steps(make):
    """Where one parameter is after updates with the given gradients."""

    def walk(name: str, gradients: list[float], start: float = 2.0, **settings) -> float:
        parameter = torch.nn.Parameter(torch.tensor([start], dtype=torch.float64))
        optimizer = make(name, [parameter], **({"weight_decay": 0.0} | settings))
        for gradient in gradients:
            parameter.grad = torch.tensor([gradient], dtype=torch.float64)
            optimizer.step()
        return parameter.item()

    return walk


def test_sgd_adds_weight_decay_to_the_gradient(steps):
    assert steps("sgd", [3.0], learning_rate=0.1, weight_decay=0.5) == pytest.approx(2 - 0.1 * (3 + 0.5 * 2))


def test_sgd_momentum_accumulates_gradients(steps):
    # Velocities 1 and 0.9 · 1 + 1.
    assert steps("sgd", [1.0, 1.0], learning_rate=0.1, momentum=0.9) == pytest.approx(2 - 0.1 * (1 + 1.9))


def test_nesterov_looks_ahead(steps):
    # The step is g + μ v with v = g at first.
    moved = steps("sgd", [1.0], learning_rate=0.1, momentum=0.9, nesterov=True)
    assert moved == pytest.approx(2 - 0.1 * 1.9)


@pytest.mark.parametrize("gradient", [5.0, -0.01])
def test_first_adam_update_has_the_length_of_the_learning_rate(steps, gradient: float):
    # Kingma and Ba 2015, section 2.1: both moments are corrected to g and g².
    moved = steps("adam", [gradient], learning_rate=0.1, betas=[0.8, 0.99], eps=0.0)
    assert moved == pytest.approx(2 - math.copysign(0.1, gradient))


def test_adamw_shrinks_weights_apart_from_the_gradient(steps):
    decoupled = steps("adamw", [1.0], learning_rate=0.1, weight_decay=0.5, eps=0.0)
    coupled = steps("adam", [1.0], learning_rate=0.1, weight_decay=0.5, eps=0.0)
    assert decoupled == pytest.approx(2 * (1 - 0.1 * 0.5) - 0.1)
    assert coupled == pytest.approx(2 - 0.1)


def test_rmsprop_divides_by_the_running_root_mean_square(steps):
    moved = steps("rmsprop", [3.0], learning_rate=0.1, alpha=0.75, eps=0.0)
    assert moved == pytest.approx(2 - 0.1 * 3 / math.sqrt(0.25 * 9))


def test_adagrad_divides_by_the_root_of_all_squares(steps):
    moved = steps("adagrad", [3.0, 4.0], learning_rate=0.1, eps=0.0)
    assert moved == pytest.approx(2 - 0.1 - 0.1 * 4 / 5)


def test_adadelta_steps_by_the_ratio_of_root_mean_squares(steps):
    # Zeiler 2012, algorithm 1: E[g²] = 0.1 g², E[Δ²] = 0 at first.
    moved = steps("adadelta", [3.0], learning_rate=1.0, decay=0.9, eps=1e-2)
    assert moved == pytest.approx(2 - 3 * math.sqrt(1e-2) / math.sqrt(0.1 * 9 + 1e-2))


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("sgd", {"momentum": 0.5, "nesterov": True}),
        ("adam", {"betas": (0.5, 0.75), "eps": 1e-3}),
        ("adamw", {"betas": (0.5, 0.75), "eps": 1e-3}),
        ("rmsprop", {"alpha": 0.5, "momentum": 0.25, "eps": 1e-3}),
        ("adagrad", {"eps": 1e-3}),
        ("adadelta", {"eps": 1e-3}),
    ],
)
def test_each_setting_reaches_the_optimizer(make, name: str, settings: dict):
    parameters: list[Tensor] = [torch.nn.Parameter(torch.ones(2))]
    optimizer = make(name, parameters, learning_rate=0.3, weight_decay=0.2, **settings)
    expected = settings | {"lr": 0.3, "weight_decay": 0.2}
    assert {key: optimizer.param_groups[0][key] for key in expected} == expected
