"""Sharpness, flatness and norms, against closed forms, and what a rescaling of the layers makes of them."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import pairwise, product

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from study.analysis.noise import Estimate, Noise, inverse_square, noise_increase, pac_bayes_sigma
from study.analysis.norms import distance_from_initialisation, fisher_rao_norm
from study.analysis.path_norm import UndefinedError, path_norm
from study.analysis.sharpness import adaptive_sam_sharpness, keskar_sharpness, sam_sharpness
from study.analysis.slice_curvature import slice_curvature
from study.landscape.directions import random_direction
from study.landscape.hessian import Objective
from study.landscape.weights import Weights
from study.models.resnet import resnet
from study.models.torchvision import Coloured

CROSS_ENTROPY = partial(functional.cross_entropy, reduction="none")
CURVATURES = torch.tensor([4.0, 1.0, 0.5, 0.1, 0.01], dtype=torch.float64)
CENTER = torch.tensor([1.0, -2.0, 0.5, 3.0, -0.25], dtype=torch.float64)
ASCENT = {"steps": 30, "starts": 2, "seed": 3}
FEW = {"steps": 4, "starts": 1, "seed": 3}
FEW_SEARCHES = {"iterations": 3, "starts": 1, "seed": 5}
SEARCH = {"iterations": 10, "starts": 4, "seed": 5}


class Bowl(nn.Module):
    """Gives its weights, whatever it is fed."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(CENTER.clone())

    def forward(self, inputs: Tensor) -> Tensor:
        return self.weight.expand(len(inputs), -1)


def bowl(sharper: float = 1.0, floor: float = 0.2) -> tuple[Objective, Weights]:
    """floor + Σ h_i (θ_i − c_i)² / 2, and its minimum."""

    def loss(outputs: Tensor, _targets: Tensor) -> Tensor:
        return floor + 0.5 * sharper * (CURVATURES * (outputs - CENTER).square()).sum(dim=1)

    model = Bowl()
    return Objective(model, loss, torch.zeros(2, 1), torch.zeros(2)), Weights.of(model)


def relu_network(seed: int = 0, *, bias: bool = True) -> nn.Sequential:
    """5 → 7 → 6 → 3, in float64."""
    generator = torch.Generator().manual_seed(seed)
    layers = [nn.Linear(5, 7, bias), nn.ReLU(), nn.Linear(7, 6, bias), nn.ReLU(), nn.Linear(6, 3, bias)]
    network = nn.Sequential(*layers).double()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(0.6 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    return network


def rescaled(network: nn.Sequential, *factors: float) -> nn.Sequential:
    """The same function: the units of each hidden layer times its factor, what reads them divided by it."""
    own = relu_network(bias=network[0].bias is not None)
    own.load_state_dict(network.state_dict())
    with torch.no_grad():
        scale = 1.0
        for layer, factor in zip([own[0], own[2], own[4]], [*factors, None], strict=True):
            following = 1.0 if factor is None else scale * factor
            layer.weight.mul_(following / scale)
            if layer.bias is not None:
                layer.bias.mul_(following)
            scale = following
    return own


@pytest.fixture
def examples() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(8)
    inputs = torch.randn(40, 5, generator=generator, dtype=torch.float64)
    return inputs, torch.randint(0, 3, (40,), generator=generator)


def objective_of(
    network: nn.Module, examples: tuple[Tensor, Tensor], loss: Callable = CROSS_ENTROPY
) -> Objective:
    return Objective(network, loss, *examples)


# Closed forms on a quadratic


@pytest.mark.parametrize("epsilon", [1e-3, 5e-4, 0.1])
def test_keskar_sharpness_is_the_rise_in_the_corner_of_the_box(epsilon):
    objective, weights = bowl()
    widths = epsilon * (CENTER.abs() + 1)
    corner = 100 * float((CURVATURES * widths**2).sum()) / 2 / 1.2
    found = keskar_sharpness(objective, weights, epsilon=epsilon, **SEARCH)
    assert corner * 0.99 <= found <= corner * (1 + 1e-9)


def test_keskar_sharpness_on_a_slope_is_the_rise_in_the_corner_uphill():
    objective, weights = bowl()
    step = torch.tensor([0.3, -0.3, 0.3, 0.3, -0.3], dtype=torch.float64)
    weights = weights.moved(step)
    widths = 0.01 * (weights.flat.abs() + 1)
    at = 0.2 + float((CURVATURES * step**2).sum()) / 2
    rise = 0.2 + float((CURVATURES * (step.abs() + widths) ** 2).sum()) / 2 - at
    found = keskar_sharpness(objective, weights, epsilon=0.01, **SEARCH)
    assert found == pytest.approx(100 * rise / (1 + at), rel=0.01)


def test_sam_sharpness_at_a_minimum_is_half_the_top_eigenvalue_times_the_radius_squared():
    objective, weights = bowl()
    found = sam_sharpness(objective, weights, radius=0.05, **ASCENT)
    assert found.largest == pytest.approx(4.0 * 0.05**2 / 2, rel=1e-6)
    assert found.one_step == 0.0  # the gradient is zero


def test_adaptive_sam_sharpness_at_a_minimum_is_that_of_the_scaled_hessian():
    objective, weights = bowl()
    largest = float((CURVATURES * CENTER**2).max())
    found = adaptive_sam_sharpness(objective, weights, radius=0.5, **ASCENT)
    assert found.largest == pytest.approx(largest * 0.5**2 / 2, rel=0.01)


def test_one_step_goes_along_the_gradient():
    objective, weights = bowl()
    away = torch.tensor([0.1, 0.2, 0.3, -0.1, 0.5], dtype=torch.float64)
    gradient = CURVATURES * away
    step = 0.05 * gradient / gradient.norm()
    rise = float((CURVATURES * ((away + step) ** 2 - away**2)).sum()) / 2
    found = sam_sharpness(objective, weights.moved(away), radius=0.05, **ASCENT)
    assert found.one_step == pytest.approx(rise, rel=1e-9)
    assert found.largest >= found.one_step
    theta = CENTER + away
    step = 0.05 * theta**2 * gradient / (theta.abs() * gradient).norm()
    rise = float((CURVATURES * ((away + step) ** 2 - away**2)).sum()) / 2
    found = adaptive_sam_sharpness(objective, weights.moved(away), radius=0.05, **ASCENT)
    assert found.one_step == pytest.approx(rise, rel=1e-9)


@pytest.mark.parametrize("scaled", [False, True])
def test_noise_raises_a_quadratic_by_half_its_trace(scaled):
    objective, weights = bowl()
    scale = CENTER**2 if scaled else torch.ones(5)
    found = noise_increase(Noise(objective, weights, 100, 1, scaled), 0.3)
    expected = 0.3**2 * float((CURVATURES * scale).sum()) / 2
    assert abs(found.value - expected) < 3 * found.standard_error
    deviation = 0.3**2 * float((CURVATURES * scale).square().sum() / 2) ** 0.5  # of Σ h u² / 2: Var u² = 2
    assert found.standard_error == pytest.approx(deviation / 10, rel=0.3)


@pytest.mark.parametrize("scaled", [False, True])
def test_sigma_is_where_the_mean_rise_reaches_the_threshold(scaled):
    objective, weights = bowl()
    scale = CENTER**2 if scaled else torch.ones(5)
    expected = (2 * 0.1 / float((CURVATURES * scale).sum())) ** 0.5
    found = pac_bayes_sigma(Noise(objective, weights, 100, 1, scaled), threshold=0.1, tolerance=1e-4)
    assert abs(found.value - expected) < 3 * found.standard_error
    rough = pac_bayes_sigma(Noise(objective, weights, 100, 1, scaled), threshold=0.1, tolerance=0.1)
    assert rough.value == pytest.approx(found.value, rel=2e-3)
    finest = pac_bayes_sigma(Noise(objective, weights, 100, 1, scaled), threshold=0.1, tolerance=1e-20)
    assert finest.value == pytest.approx(found.value, rel=1e-6)
    mean = noise_increase(Noise(objective, weights, 100, 1, scaled), found.value)
    assert mean.value == pytest.approx(0.1, rel=1e-3)
    # rises ∝ σ²: an error of the mean of one percent is one of half a percent in σ
    assert found.standard_error / found.value == pytest.approx(mean.standard_error / mean.value / 2, rel=0.05)
    flat = inverse_square(found)
    assert flat.value == pytest.approx(1 / found.value**2)
    assert flat.standard_error / flat.value == pytest.approx(2 * found.standard_error / found.value)


def test_no_noise_is_too_much_where_nothing_rises_and_none_little_enough_where_all_diverges():
    objective, weights = bowl()
    flat = replace(objective, loss=lambda outputs, _targets: 0.0 * outputs.sum(dim=1))
    found = pac_bayes_sigma(Noise(flat, weights, 2, 1, False), threshold=0.1, tolerance=0.1)
    assert found.value == np.inf

    def cliff(outputs: Tensor, _targets: Tensor) -> Tensor:
        return torch.where((outputs == CENTER).all(dim=1), 0.0, torch.inf).double()

    noise = Noise(replace(objective, loss=cliff), weights, 2, 1, False)
    assert pac_bayes_sigma(noise, threshold=0.1, tolerance=0.1).value == 0.0
    assert noise_increase(noise, 0.1).value == np.inf


def test_a_minimum_twice_as_sharp_is_twice_as_sharp():
    (objective, weights), (sharper, _) = bowl(), bowl(2.0)
    for measure in (
        partial(keskar_sharpness, epsilon=1e-3, **SEARCH),
        lambda *at: sam_sharpness(*at, radius=0.05, **ASCENT).largest,
        lambda *at: adaptive_sam_sharpness(*at, radius=0.5, **ASCENT).largest,
        lambda *at: noise_increase(Noise(*at, 10, 1, False), 0.1).value,
        lambda *at: 1 / pac_bayes_sigma(Noise(*at, 10, 1, False), threshold=0.1, tolerance=1e-5).value ** 2,
        lambda *at: float(
            slice_curvature(
                *at, [random_direction(weights, include_bias_and_norm=True)], radius=0.1, points=5
            ).exact[0]
        ),
    ):
        assert measure(sharper, weights) == pytest.approx(2 * measure(objective, weights), rel=1e-3)


def test_a_loss_that_is_not_finite_nearby_makes_sharpness_infinite():
    objective, weights = bowl()

    def walled(outputs: Tensor, targets: Tensor) -> Tensor:
        far = (outputs - CENTER).abs().amax(dim=1) > 1e-3
        return torch.where(far, torch.inf, objective.loss(outputs, targets))

    walled_in = replace(objective, loss=walled)
    assert keskar_sharpness(walled_in, weights, epsilon=0.01, **SEARCH) == np.inf
    found = sam_sharpness(walled_in, weights, radius=0.05, **ASCENT)
    assert (found.one_step, found.largest) == (0.0, np.inf)  # no gradient, no step: what is seen elsewhere
    over = sam_sharpness(walled_in, weights.moved(torch.full((5,), 5e-4)), radius=0.05, **ASCENT)
    assert over.one_step == over.largest == np.inf


def test_a_gradient_that_is_no_number_is_none_that_is_zero():
    objective, weights = bowl()
    kinked = replace(objective, loss=lambda outputs, _targets: (outputs - CENTER).sum(dim=1).sqrt())
    bent = replace(objective, loss=lambda outputs, _targets: (0.0 * (outputs - CENTER)).sqrt().sum(dim=1))
    for own in (kinked, bent):
        found = sam_sharpness(own, weights, radius=0.05, steps=1, starts=0, seed=0)
        assert found.one_step == found.largest == np.inf


def test_the_slice_of_a_quadratic_has_its_curvature():
    objective, weights = bowl()
    directions = [
        random_direction(weights, index=index, normalization="none", include_bias_and_norm=True)
        for index in range(3)
    ]
    found = slice_curvature(objective, weights, directions, radius=0.1, points=5)
    expected = [float((CURVATURES * own.flat.double() ** 2).sum()) for own in directions]
    assert found.exact == pytest.approx(expected)
    assert found.fitted == pytest.approx(expected)
    assert found.gaps.max() < 1e-6


# Norms


def paths(network: nn.Sequential) -> float:
    """Σ over paths of squared weights, path by path."""
    layers = [layer for layer in network if isinstance(layer, nn.Linear)]
    total = 0.0
    for first in range(len(layers)):  # where a path begins: at an input, or at the bias of a layer
        units = [range(layer.out_features) for layer in layers[first:]]
        starts = range(layers[0].in_features) if first == 0 else []
        for way in product(*units):
            rest = 1.0
            for layer, (source, unit) in zip(layers[first + 1 :], pairwise(way), strict=True):
                rest *= layer.weight[unit, source].item() ** 2
            begins = [layers[first].weight[way[0], source].item() ** 2 for source in starts]
            if layers[first].bias is not None:
                begins.append(layers[first].bias[way[0]].item() ** 2)
            total += rest * sum(begins)
    return total**0.5


@pytest.mark.parametrize("bias", [True, False])
def test_the_path_norm_is_the_sum_over_all_paths(bias, examples):
    network = relu_network(bias=bias)
    found = path_norm(objective_of(network, examples), Weights.of(network))
    assert found == pytest.approx(paths(network), rel=1e-12)


class Convolutions(nn.Module):
    """A convolution, batch normalization, a pooling and a linear layer, called one by one."""

    def __init__(self, pooling: Callable[[Tensor], Tensor], features: int) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(1, 2, 2), nn.BatchNorm2d(2)
        self.out, self.pooling = nn.Linear(features, 2), pooling

    def forward(self, inputs: Tensor) -> Tensor:
        return self.out(self.pooling(functional.relu(self.norm(self.conv(inputs)))).flatten(1))


@pytest.mark.parametrize(
    ("pooling", "features", "edge"),
    [
        (partial(functional.max_pool2d, kernel_size=2), 2, 1.0),
        (nn.MaxPool2d(2), 2, 1.0),
        (partial(functional.avg_pool2d, kernel_size=2), 2, 1 / 4),
        (nn.AvgPool2d(2), 2, 1 / 4),
        (nn.AdaptiveAvgPool2d(1), 2, 1 / 4),
        (lambda values: values.mean((2, 3)), 2, 1 / 4),
    ],
)
def test_paths_go_through_convolutions_poolings_and_folded_normalization(pooling, features, edge):
    torch.manual_seed(0)
    network = Convolutions(pooling, features).double().eval()
    with torch.no_grad():
        for tensor in (*network.parameters(), *(own for own in network.buffers() if own.is_floating_point())):
            tensor.copy_(torch.rand_like(tensor) + 0.3)
    total = 0.0
    norm = network.norm
    for channel in range(2):
        scale = (norm.weight[channel] / (norm.running_var[channel] + norm.eps).sqrt()).item()
        shift = norm.bias[channel].item() - norm.running_mean[channel].item() * scale
        entering = (network.conv.weight[channel].square().sum() + network.conv.bias[channel] ** 2).item()
        for unit in range(2):
            leaving = network.out.weight[unit, channel].item() ** 2
            total += (
                4 * (entering * scale**2 + shift**2) * edge**2 * leaving
            )  # 2 × 2 places of the convolution
    total += network.out.bias.square().sum().item()
    objective = Objective(network, CROSS_ENTROPY, torch.randn(2, 1, 3, 3).double(), torch.tensor([0, 1]))
    assert path_norm(objective, Weights.of(network)) == pytest.approx(total**0.5, rel=1e-12)


def test_the_path_norm_of_a_sum_of_branches_is_over_the_paths_of_both():
    class Shortcut(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(2, 2, bias=False)

        def forward(self, inputs: Tensor) -> Tensor:
            return torch.relu(self.layer(inputs)) + inputs

    network = Shortcut()
    objective = Objective(network, CROSS_ENTROPY, torch.ones(1, 2), torch.zeros(1, dtype=torch.int64))
    expected = (float(network.layer.weight.detach().double().square().sum()) + 2) ** 0.5
    assert path_norm(objective, Weights.of(network)) == pytest.approx(expected)


def test_paths_go_through_shortcuts_that_pad_and_channels_that_are_repeated():
    """Against the network with every weight squared by hand, fed ones: its averages are over one pixel."""
    grey = Coloured(nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 2)))
    for network, shape in ((resnet((3, 4, 4), 2, 8, norm="none"), (3, 4, 4)), (grey, (1, 4, 4))):
        network, ones = network.double(), torch.ones(1, *shape).double()
        objective = Objective(network, CROSS_ENTROPY, ones, torch.zeros(1, dtype=torch.int64))
        found = path_norm(objective, Weights.of(network))
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.square_()
            assert found == pytest.approx(float(network(ones).sum().sqrt()), rel=1e-12)


class Between(nn.Module):
    """A ReLU network with something done to its hidden units."""

    def __init__(self, done: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.inner, self.out, self.done = nn.Linear(5, 7), nn.Linear(7, 3), done

    def forward(self, inputs: Tensor) -> Tensor:
        return self.out(self.done(torch.relu(self.inner(inputs))))


@pytest.mark.parametrize(
    ("done", "words"),
    [
        (lambda hidden: hidden.add(3.0), "sums of tensors"),
        (lambda hidden: hidden.add(hidden, alpha=-1), "sums of tensors"),
        (lambda hidden: functional.pad(hidden[:, 1:], (1, 0), "constant", 2.0), "padding with zeros"),
        (lambda hidden: hidden.unsqueeze(1).mean(axis=1), "means over dims that are given as `dim`"),
    ],
)
def test_what_is_no_sum_over_paths_is_refused_in_one_line(done, words, examples):
    network = Between(done).double()
    with pytest.raises(UndefinedError, match=f"^the path norm is defined here for {words} only$"):
        path_norm(objective_of(network, examples), Weights.of(network))


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (nn.Tanh(), "Tanh"),
        (nn.Softmax(dim=1), "Softmax"),
        (nn.LayerNorm(3), "LayerNorm"),
        (nn.BatchNorm1d(3, track_running_stats=False), "running statistics"),
    ],
)
def test_a_network_without_paths_to_count_has_no_path_norm(layer, words, examples):
    network = nn.Sequential(*relu_network(), layer).double()
    with pytest.raises(UndefinedError, match=words) as refusal:
        path_norm(objective_of(network, examples), Weights.of(network))
    assert "\n" not in str(refusal.value)


def test_the_fisher_rao_norm_is_that_of_per_example_gradients(examples):
    network = relu_network()
    objective, weights = objective_of(network, examples), Weights.of(network)
    products = []
    for own, target in zip(*examples, strict=True):
        loss = CROSS_ENTROPY(network(own[None]), target[None]).sum()
        gradient = torch.cat([
            part.reshape(-1) for part in torch.autograd.grad(loss, list(network.parameters()))
        ])
        products.append(float(gradient @ weights.flat))
    expected = float(np.mean(np.square(products)) ** 0.5)
    assert fisher_rao_norm(objective, weights) == pytest.approx(expected, rel=1e-12)
    assert fisher_rao_norm(replace(objective, micro_batch=7), weights) == pytest.approx(expected, rel=1e-12)


def test_the_fisher_rao_norm_without_biases_has_its_closed_form(examples):
    """Liang et al. 2019, theorem 3.1: three weight layers, so three times that of the outputs."""
    network = relu_network(bias=False)
    inputs, targets = examples
    outputs = network(inputs).detach()
    slopes = outputs.softmax(dim=1) - functional.one_hot(targets, 3)
    expected = 3 * float((slopes * outputs).sum(dim=1).square().mean().sqrt())
    assert fisher_rao_norm(objective_of(network, examples), Weights.of(network)) == pytest.approx(expected)


def test_the_fisher_rao_norm_needs_a_value_for_each_example(examples):
    network = relu_network()
    with pytest.raises(ValueError, match="one value for each example"):
        fisher_rao_norm(objective_of(network, examples, functional.cross_entropy), Weights.of(network))


def test_the_distance_from_the_initialisation():
    start = Weights.of(relu_network())
    found = distance_from_initialisation(start.moved(torch.full_like(start.flat, 0.5)), start)
    assert found["distance"] == pytest.approx(0.5 * start.layout.size**0.5)
    assert found["relative"] == pytest.approx(found["distance"] / start.norm)


# Dinh et al. 2017: the same function with its layers rescaled

CHANGED = {
    "keskar": lambda at: keskar_sharpness(*at, epsilon=1e-3, **FEW_SEARCHES),
    "sam": lambda at: sam_sharpness(*at, radius=0.05, **FEW).largest,
    "sam, one step": lambda at: sam_sharpness(*at, radius=0.05, **FEW).one_step,
    "noise": lambda at: noise_increase(Noise(*at, 5, 1, False), 0.05).value,
    "sigma": lambda at: pac_bayes_sigma(Noise(*at, 3, 1, False), threshold=0.1, tolerance=1e-2).value,
    "distance": lambda at: distance_from_initialisation(at[1], Weights.of(relu_network(3)))["distance"],
}
UNCHANGED = {
    "adaptive sam": lambda at: adaptive_sam_sharpness(*at, radius=0.1, **FEW).largest,
    "adaptive sam, one step": lambda at: adaptive_sam_sharpness(*at, radius=0.1, **FEW).one_step,
    "scaled noise": lambda at: noise_increase(Noise(*at, 5, 1, True), 0.05).value,
    "scaled sigma": lambda at: pac_bayes_sigma(Noise(*at, 3, 1, True), threshold=0.1, tolerance=1e-2).value,
    "path norm": lambda at: path_norm(*at),
    "fisher-rao": lambda at: fisher_rao_norm(*at),
    "slice curvature": lambda at: slice_curvature(
        *at, [random_direction(at[1])], radius=0.01, points=5
    ).exact[0],
    "slice fitted": lambda at: slice_curvature(*at, [random_direction(at[1])], radius=0.01, points=5).fitted[
        0
    ],
}


@pytest.mark.parametrize("name", [*CHANGED, *UNCHANGED])
def test_what_a_rescaling_of_the_layers_changes(name, examples):
    network = relu_network()
    other = rescaled(network, 3.0, 0.2)
    assert torch.allclose(network(examples[0]), other(examples[0]), rtol=1e-12)
    before, after = (
        (CHANGED | UNCHANGED)[name]((objective_of(own, examples), Weights.of(own)))
        for own in (network, other)
    )
    if name in CHANGED:
        assert abs(after / before - 1) > 0.05
    else:
        assert after == pytest.approx(before, rel=1e-6)


def test_draws_are_reproducible_and_leave_the_global_generator_alone():
    objective, weights = bowl()
    state = torch.get_rng_state()
    first = [noise_increase(Noise(objective, weights, 3, seed, False), 0.1) for seed in (1, 1, 2)]
    assert torch.equal(state, torch.get_rng_state())
    assert first[0] == first[1] != first[2]
    with pytest.raises(ValueError, match="pairs must be at least 2, got 1"):
        Noise(objective, weights, 1, 0, False)
    assert Estimate.mean(np.array([1.0, 3.0])) == Estimate(2.0, 1.0)
