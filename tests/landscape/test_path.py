"""The path of a training: every point is a checkpoint, to the bit."""

import json
import pickle

import pytest
import torch

from study.landscape.evaluate import evaluate
from study.landscape.evaluator import Evaluator
from study.landscape.grid import Grid
from study.landscape.path import Path
from study.landscape.task import Task
from study.landscape.weights import Weights

UPDATES = (0, 5, 40, 47)


@pytest.fixture
def models(convnet, images):
    """Batch-normalised networks, each with running statistics of its own."""
    made = [convnet(seed, norm=True) for seed in range(4)]
    for seed, model in enumerate(made):
        with torch.no_grad():
            model(images(30, seed=10 + seed)[0])
    return made


@pytest.fixture
def path(models):
    return Path.through([Weights.of(model) for model in models], UPDATES, name="after 47")


def own_values(models, loss, data, policy="frozen", **settings):
    values = []
    for model in models:
        with Evaluator.open(Task.of(model, loss, data, policy, **settings)) as evaluator:
            values.append(evaluator.measure(Weights.of(model)).values)
    return values


def test_every_point_has_the_checkpoints_own_loss_to_the_bit(models, path, images, cross_entropy):
    data = [images(50)]
    landscape = evaluate(models[0], cross_entropy, data, path, path.grid)
    own = own_values(models, cross_entropy, data)
    assert landscape.axes["update"].tolist() == list(UPDATES)
    assert landscape.values["loss"].tolist() == [values["loss"] for values in own]
    assert len(set(landscape.values["loss"])) == 4
    assert landscape.points["after 47"].values == own[-1]
    assert landscape.provenance["batch_statistics"] == "frozen"
    assert landscape.to_frame()["update"].tolist() == [*UPDATES, 47]


def test_points_do_not_share_a_pass_as_their_buffers_differ(models, path, images, cross_entropy):
    data = [images(50)]
    alone = evaluate(models[0], cross_entropy, data, path, path.grid)
    asked = evaluate(models[0], cross_entropy, data, path, path.grid, points_at_once=3)
    assert asked.to_bytes() == alone.to_bytes()


def test_a_worker_holds_the_same_path(models, path):
    sent = pickle.loads(pickle.dumps(path))  # noqa: S301 - our own bytes, as executors send them
    assert sent.digest == path.digest
    assert sent.at(40.0).digest == Weights.of(models[2]).digest


def test_some_checkpoints_are_a_grid_too_and_statistics_can_be_recomputed(
    models, path, images, cross_entropy
):
    data = {"train": [images(50)]}
    grid = Grid({"update": path.grid.axes["update"][[1, 2]]})
    landscape = evaluate(models[0], cross_entropy, data, path, grid, batch_statistics="recomputed")
    own = own_values(models[1:3], cross_entropy, data, "recomputed")
    assert landscape.values["train/loss"].tolist() == [values["train/loss"] for values in own]
    frozen = own_values(models[1:3], cross_entropy, data)
    assert landscape.values["train/loss"][0] != frozen[0]["train/loss"]


def test_weights_come_with_the_checkpoints_own_buffers(models, path):
    for model, update in zip(models, UPDATES, strict=True):
        assert path.at(update).digest == Weights.of(model).digest
        assert path.on("cpu").at(update).digest == Weights.of(model).digest


def test_the_digest_is_over_buffers_and_updates(models, path):
    weights = [Weights.of(model) for model in models]
    assert Path.through(weights, UPDATES, name="another name").digest == path.digest
    assert Path.through(weights, (0, 5, 40, 48)).digest != path.digest
    other = Weights(weights[1].layout, weights[1].flat, weights[0].buffers)
    assert Path.through([weights[0], other, *weights[2:]], UPDATES).digest != path.digest
    assert json.loads(json.dumps(path.provenance)) == path.provenance


def test_what_is_no_path_and_no_point_of_it_is_refused(models, path, mlp):
    weights = [Weights.of(model) for model in models]
    with pytest.raises(ValueError, match=r"one of \[0, 5, 40, 47\], got 6"):
        path.at(6.0)
    with pytest.raises(ValueError, match=r"got 5\.5"):
        path.buffers((5.5,), "frozen")
    with pytest.raises(ValueError, match="must be frozen or recomputed on a path"):
        path.buffers((5.0,), "interpolated")
    with pytest.raises(ValueError, match="got 4 and 3"):
        Path.through(weights, UPDATES[:3])
    with pytest.raises(ValueError, match="at least 2 checkpoints"):
        Path.through(weights[:1], (0,))
    with pytest.raises(ValueError, match=r"must increase, got \[0, 5, 5, 9\]"):
        Path.through(weights, (0, 5, 5, 9))
    with pytest.raises(ValueError, match="number 3 differs"):
        Path.through([*weights[:3], Weights.of(mlp())], UPDATES)
