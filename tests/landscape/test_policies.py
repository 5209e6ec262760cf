"""Every policy for batch statistics on every geometry, for every layer that keeps them, by NumPy."""

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from torch import nn

from study.landscape.evaluate import evaluate
from study.landscape.evaluator import Evaluator
from study.landscape.geometry import Line, Plane, Scaling
from study.landscape.grid import Grid
from study.landscape.task import Task
from study.landscape.weights import Weights

EPS = 1e-5
KEEPERS = {
    "batch norm 1d": (nn.BatchNorm1d, ()),
    "batch norm 1d of sequences": (nn.BatchNorm1d, (4,)),
    "batch norm 2d": (nn.BatchNorm2d, (3, 2)),
    "batch norm 3d": (nn.BatchNorm3d, (2, 3, 2)),
    "synchronised batch norm": (nn.SyncBatchNorm, (3, 2)),
    "cumulative batch norm": (lambda channels: nn.BatchNorm2d(channels, momentum=None), (3, 2)),
    "instance norm": (
        lambda channels: nn.InstanceNorm2d(channels, affine=True, track_running_stats=True),
        (3, 2),
    ),
}
CHANNELS = 3


class Mixed(nn.Module):
    """Channels (N, 3, …) mixed by a matrix, normalised, and averaged over what follows."""

    def __init__(self, seed: int, layer) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.matrix = nn.Parameter(torch.randn(CHANNELS, CHANNELS))
        self.norm = layer(CHANNELS)
        nn.init.uniform_(self.norm.weight, 0.5, 1.5)
        nn.init.normal_(self.norm.bias)
        self.norm.running_mean.normal_()
        self.norm.running_var.uniform_(0.5, 2.0)
        self.double()

    def forward(self, x):
        mixed = torch.einsum("oc,nc...->no...", self.matrix, x)
        bent = torch.sinh(0.5 * self.norm(mixed))
        return bent.flatten(2).mean(dim=2) if x.ndim > 2 else bent


def mixed_by_hand(weights, data, statistics):
    """Mean cross-entropy of `Mixed`; `statistics` gives mean and variance from the mixed channels."""
    p = {name: tensor.numpy() for name, tensor in weights.named.items()}
    x = np.einsum("oc,nc...->no...", p["matrix"], data[0].numpy())
    mean, var = statistics(x)
    flat = x.reshape(*x.shape[:2], -1)

    def channels(entries):
        return np.asarray(entries).reshape(1, CHANNELS, 1)

    normal = (flat - channels(mean)) / np.sqrt(channels(var) + EPS)
    logits = np.sinh(0.5 * (normal * channels(p["norm.weight"]) + channels(p["norm.bias"]))).mean(axis=2)
    targets = data[1].numpy()
    return float((logsumexp(logits, axis=1) - logits[np.arange(len(targets)), targets]).mean())


def gathered_by_hand(x, instances):
    """Of one batch: over examples and places, or the mean over examples of each one's own."""
    flat = x.reshape(*x.shape[:2], -1)
    if instances:
        return flat.mean(axis=(0, 2)), flat.var(axis=2, ddof=1).mean(axis=0)
    return flat.mean(axis=(0, 2)), flat.swapaxes(0, 1).reshape(CHANNELS, -1).var(axis=1, ddof=1)


@pytest.fixture(params=KEEPERS)
def keeper(request):
    """Three networks, their data, and whether the statistics are of instances."""
    layer, places = KEEPERS[request.param]
    inputs = torch.randn(
        24, CHANNELS, *places, generator=torch.Generator().manual_seed(3), dtype=torch.float64
    )
    targets = torch.arange(24) % CHANNELS
    models = [Mixed(seed, layer) for seed in range(3)]
    return models, (1.7 * inputs + 0.6, targets), "instance" in request.param


def geometries(models):
    first, second, third = models
    return {
        "line about one": (Line.random(first, seed=1), Grid.line(-0.4, 0.7, 3)),
        "line between two": (Line.between(first, second), Grid.line(-0.5, 1.75, 4)),
        "plane about one": (Plane.random(first, seed=1), Grid.rectangle((-0.4, 0.7, 3), (0.1, 0.5, 2))),
        "plane through three": (
            Plane.through_points(first, second, third),
            Grid.rectangle((-0.9, 3.5, 3), (-0.8, 4.0, 4)),
        ),
        "scaling": (Scaling.of(first), Grid.rectangle((0.4, 1.3, 3), (-0.5, 0.2, 2))),
    }


def stored(model):
    return model.norm.running_mean.numpy(), model.norm.running_var.numpy()


def shares_within(geometry, coordinates, corners):
    """Shares of the sets of weights: solved from the corners, negative ones dropped, scaled to the sum 1."""
    system = np.vstack([np.array(corners).T, np.ones(len(corners))])
    shares = np.linalg.solve(system, [*coordinates, 1.0]).clip(min=0)
    return shares / shares.sum()


@pytest.mark.parametrize(
    "name", ["line about one", "line between two", "plane about one", "plane through three", "scaling"]
)
def test_every_policy_on_every_geometry_for_every_layer(keeper, name, cross_entropy):
    models, train, instances = keeper
    geometry, grid = geometries(models)[name]
    settings = {"grid": grid, "model": models[0], "loss": cross_entropy, "data": {"train": [train]}}
    policies = {
        "frozen": lambda _at: lambda _x: stored(models[0]),
        "recomputed": lambda _at: lambda x: gathered_by_hand(x, instances),
    }
    if geometry.others:
        corners = list(geometry.special.values())

        def interpolated(at):
            shares = shares_within(geometry, at, corners)
            kept = [stored(model) for model, _ in zip(models, corners, strict=False)]
            return lambda _x: [sum(w * own[i] for w, own in zip(shares, kept, strict=True)) for i in (0, 1)]

        policies["interpolated"] = interpolated
    else:
        with pytest.raises(
            ValueError, match="'interpolated' needs a line between two sets of weights or a plane"
        ):
            evaluate(geometry=geometry, batch_statistics="interpolated", **settings)
    seen = []
    for policy, statistics in policies.items():
        landscape = evaluate(geometry=geometry, batch_statistics=policy, **settings)
        got = landscape.values["train/loss"].ravel()
        expected = [mixed_by_hand(geometry.at(*at), train, statistics(at)) for at in grid.coordinates]
        np.testing.assert_allclose(got, expected, rtol=1e-9, err_msg=policy)
        assert all((np.abs(got / other - 1) > 1e-3).any() for other in seen), policy
        seen.append(got)
        for place, point in enumerate(landscape.points.values()):
            if policy == "interpolated":
                own = mixed_by_hand(
                    Weights.of(models[place]), train, lambda _x, own=models[place]: stored(own)
                )
                assert point.values["train/loss"] == pytest.approx(own, rel=1e-12)
    assert geometry.default_batch_statistics == ("recomputed" if geometry.others else "frozen")
    for model in models:
        assert not model.norm.num_batches_tracked.any()


def test_each_of_three_points_has_its_own_value_under_its_own_statistics(keeper, cross_entropy):
    """To the bit; also beside a network whose statistics diverged."""
    models, train, _ = keeper
    models[1].norm.running_var[1] = float("inf")
    models[2].norm.running_mean[0] = float("nan")
    plane = Plane.through_points(*models)
    for policy, own_policy in (("interpolated", "frozen"), ("recomputed", "recomputed")):
        task = Task.of(models[0], cross_entropy, {"train": [train]}, own_policy)
        with Evaluator.open(task) as evaluator:
            own = [evaluator.measure(Weights.of(model)).values for model in models]
        grid = Grid.rectangle((-1.0, 1.0, 2), (0.0, 1.0, 2))
        landscape = evaluate(
            models[0], cross_entropy, {"train": [train]}, plane, grid, batch_statistics=policy
        )
        got = [point.values for point in landscape.points.values()]
        np.testing.assert_equal(got, own)
        assert np.isfinite(own[0]["train/loss"])
