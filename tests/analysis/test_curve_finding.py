"""Curves between minima: round an obstacle that is known, and between two networks."""

import json
from collections.abc import Iterator
from functools import partial

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from study.analysis.curve_finding import find_curve
from study.landscape.curve import Curve
from study.landscape.evaluate import evaluate
from study.landscape.grid import Grid, spaced
from study.landscape.weights import Weights

FORMS = ("bezier", "chain")
T = Grid({"t": spaced(0.0, 1.0, 26)})
CROSS_ENTROPY = partial(nn.functional.cross_entropy, reduction="none")


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """Networks this small are only slowed by a second thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Point(nn.Module):
    """A model that is a point of the plane, and says so for each example."""

    def __init__(self, *entries: float) -> None:
        super().__init__()
        self.at = nn.Parameter(torch.tensor(entries, dtype=torch.float64))

    def forward(self, inputs: Tensor) -> Tensor:
        return self.at.expand(len(inputs), 2)


def valley(outputs: Tensor, _targets: Tensor) -> Tensor:
    """Zero on the unit circle, 1 in the middle."""
    return (outputs.square().sum(dim=1) - 1) ** 2


INPUTS, TARGETS = torch.zeros(3, 1), torch.zeros(3)
ACROSS = (Point(1.0, 0.0), Point(np.cos(2.8), np.sin(2.8)))  # not quite opposite: one way round is shorter


def round_the_obstacle(form="bezier", seed=0, **changed):
    settings = {"steps": 150, "batch_size": 2, "learning_rate": 0.1, "form": form, "seed": seed}
    start, end = map(Weights.of, ACROSS)
    return find_curve(ACROSS[0], valley, INPUTS, TARGETS, start, end, **settings | changed)


def highest(model, loss, data, geometry) -> float:
    """The highest loss above the straight line between those of the ends."""
    loss_at = evaluate(model, loss, data, geometry, T).values["train/loss"]
    t = T.axes["t"]
    return float((loss_at - (1 - t) * loss_at[0] - t * loss_at[-1]).max())


@pytest.mark.parametrize("form", FORMS)
def test_the_curve_goes_round_an_obstacle(form):
    start, end = map(Weights.of, ACROSS)
    found = round_the_obstacle(form)
    curve = Curve.between(start, found.bend, end, form=form)
    data = {"train": [(INPUTS, TARGETS)]}
    straight, round_it = (
        highest(ACROSS[0], valley, data, geometry) for geometry in (curve.straight(), curve)
    )
    assert straight == pytest.approx((np.cos(1.4) ** 2 - 1) ** 2, rel=1e-2)  # half way of the chord
    assert round_it < straight / 3
    middle = (start.flat + end.flat) / 2
    assert float(found.bend.flat @ middle) > 1.0 * float(middle.norm()), "the shorter way round"
    assert curve.length > curve.provenance["distance"]


def test_the_expected_loss_along_the_curve_is_least_at_the_bend_that_is_found():
    """No bend of a fine grid about it has a smaller mean over t, taken without drawing."""
    start, end = (model.at.detach().numpy() for model in ACROSS)
    bend = round_the_obstacle(steps=600).bend.flat.numpy()
    t = (np.arange(400)[:, None] + 0.5) / 400

    def expectation(at):
        theta = (1 - t) ** 2 * start + 2 * t * (1 - t) * at + t**2 * end
        return (((theta**2).sum(axis=1) - 1) ** 2).mean()

    around = [expectation(bend + np.array([dx, dy])) for dx in (-0.1, 0, 0.1) for dy in (-0.1, 0, 0.1)]
    assert np.argmin(around) == 4


def test_the_seed_decides_and_nothing_else():
    torch.manual_seed(11)
    state = torch.get_rng_state()
    found = round_the_obstacle()
    assert torch.equal(torch.get_rng_state(), state), "the global generator is not ours"
    torch.manual_seed(12)
    again, other = round_the_obstacle(), round_the_obstacle(seed=1)
    assert torch.equal(found.bend.flat, again.bend.flat)
    np.testing.assert_array_equal(found.losses, again.losses)
    assert not torch.equal(found.bend.flat, other.bend.flat)


def test_the_course_and_the_settings_are_kept():
    counts = []
    found = round_the_obstacle(steps=20, on_step=lambda done, total: counts.append((done, total)))
    assert counts == [(done, 20) for done in range(1, 21)]
    assert found.losses.shape == (20,)
    assert json.loads(json.dumps(found.provenance)) == found.provenance
    assert found.provenance["seed"] == 0
    assert found.provenance["start"] == Weights.of(ACROSS[0]).digest
    draws = torch.Generator().manual_seed(0)
    t = float(torch.rand((), generator=draws, dtype=torch.float64))
    first, last = (model.at.detach().numpy() for model in ACROSS)
    at = (1 - t) ** 2 * first + t * (1 - t) * (first + last) + t**2 * last  # the bend is in the middle yet
    assert found.losses[0] == pytest.approx(((at**2).sum() - 1) ** 2, rel=1e-12)


def test_the_callers_model_is_left_as_it_was():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        models = [
            nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 3))
            for _ in range(2)
        ]
        inputs, targets = torch.randn(40, 4), torch.arange(40) % 3
        with torch.no_grad():
            models[1](10 * inputs)
    model = models[0]
    model.train()
    model[1].eval()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    start, end = map(Weights.of, models)
    digests = (start.digest, end.digest)
    settings = {"form": "bezier", "steps": 8, "batch_size": 16, "learning_rate": 0.01, "seed": 0}
    found = find_curve(model, CROSS_ENTROPY, inputs, targets, start, end, **settings)
    assert [layer.training for layer in model] == [True, False, True, True]
    assert model[1].momentum == 0.1
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert (Weights(start.layout, start.flat, start.buffers).digest, end.digest) == digests
    # the statistics are the mini-batch's: what either end has gathered changes nothing, nor does dropout
    wide = {name: 100 * buffer for name, buffer in start.buffers.items()}
    other = Weights(start.layout, start.flat, wide)
    same = find_curve(model, CROSS_ENTROPY, inputs, targets, other, end, **settings)
    assert torch.equal(found.bend.flat, same.bend.flat)


def test_a_mean_loss_of_the_batch_does_as_well_as_one_an_example():
    each = round_the_obstacle(steps=10)
    mean = find_curve(
        ACROSS[0],
        lambda outputs, targets: valley(outputs, targets).mean(),
        INPUTS,
        TARGETS,
        *map(Weights.of, ACROSS),
        form="bezier",
        steps=10,
        batch_size=2,
        learning_rate=0.1,
        seed=0,
    )
    assert torch.equal(each.bend.flat, mean.bend.flat)


def test_what_cannot_be_found_is_said():
    start, end = map(Weights.of, ACROSS)
    for changed, message in (
        ({"form": "spline"}, "bezier, chain, got 'spline'"),
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"batch_size": 4}, "batch_size must be from 1 to 3, .* got 4"),
        ({"learning_rate": 0.0}, r"learning_rate must be above 0 and finite, got 0\.0"),
    ):
        with pytest.raises(ValueError, match=message):
            round_the_obstacle(**changed)
    settings = {"form": "bezier", "steps": 5, "batch_size": 2, "learning_rate": 0.1, "seed": 0}
    with pytest.raises(ValueError, match="must have the same parameters"):
        find_curve(nn.Linear(2, 1), valley, INPUTS, TARGETS, start, end, **settings)
    with pytest.raises(FloatingPointError, match=r"must stay finite, it is nan at t = 0\.\d+ after 0 steps"):
        find_curve(
            ACROSS[0],
            lambda outputs, _targets: outputs.sum(dim=1).log() * torch.nan,
            INPUTS,
            TARGETS,
            start,
            end,
            **settings,
        )


def minimum(seed: int, inputs: Tensor, targets: Tensor) -> nn.Sequential:
    """A small network trained on the examples by Adam, all at once."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(60):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(inputs), targets).backward()
        optimizer.step()
    return model


@pytest.mark.parametrize("form", FORMS)
def test_two_networks_that_a_barrier_parts_are_joined(form):
    digits = load_digits()
    inputs = torch.from_numpy(digits.data[:300] / 8 - 1).float()
    targets = torch.from_numpy(digits.target[:300])
    models = [minimum(seed, inputs, targets) for seed in (0, 1)]
    start, end = map(Weights.of, models)
    found = find_curve(
        models[0],
        CROSS_ENTROPY,
        inputs,
        targets,
        start,
        end,
        form=form,
        steps=200,
        batch_size=50,
        learning_rate=0.02,
        seed=0,
    )
    curve = Curve.between(start, found.bend, end, form=form)
    data = {"train": [(inputs, targets)]}
    straight, bent = (
        highest(models[0], CROSS_ENTROPY, data, geometry) for geometry in (curve.straight(), curve)
    )
    assert straight > 0.3
    assert bent < straight / 3
