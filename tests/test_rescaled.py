"""`rescale`: another point of weight space with the same function, looked at in place of the solution."""

import numpy as np
import pytest

from study.analysis.symmetry import rescaling_groups
from study.between import solution_file
from study.errors import ConfigError
from study.landscape.result import Landscape
from study.members import Members
from study.prepare import prepare
from study.rescaled import CHANGE, FILE, NORM
from study.training.checkpoints import decode_weights

TANH = """
from torch import nn


def tanh(input_shape, num_classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.Tanh(), nn.Linear(8, num_classes))
"""


def surface(record):
    return Landscape.from_bytes(record.read("landscapes/line.npz"))


@pytest.mark.usefixtures("plain_pictures")
@pytest.mark.parametrize("model", [["model=mlp", "model.widths=[8,6]"], ["model=mlp", "model.norm=batch"]])
def test_the_function_stays_and_normalized_landscapes_with_it(start, done, model):
    filters, raw = "landscape.line.normalization=filter", "landscape.line.normalization=none"
    before, after = (start(*model, filters, f"rescale={factor}").record for factor in (1, 5))
    assert done.count("training") == 1
    assert 0 < after.latest()[CHANGE] < 1e-5
    assert CHANGE not in before.latest()
    assert after.latest()["line/train/self_check"] == 0
    assert after.latest()["line/train/self_check_training"] < 1e-6
    np.testing.assert_allclose(
        surface(after).values["train/loss"], surface(before).values["train/loss"], rtol=1e-4, atol=1e-6
    )
    plain, moved = (start(*model, raw, f"rescale={factor}").record for factor in (1, 5))
    difference = surface(moved).values["train/loss"] - surface(plain).values["train/loss"]
    assert np.abs(difference).max() > 1e-3


@pytest.mark.usefixtures("plain_pictures")
def test_the_rescaled_solution_is_kept_and_is_what_pairs_are_joined_at(start, monkeypatch):
    traced = []
    monkeypatch.setattr(
        "study.rescaled.rescaling_groups", lambda *about: traced.append(about) or rescaling_groups(*about)
    )
    record = start("model=mlp", "model.widths=[8]", "rescale=4").record
    assert len(traced) == 1  # of a deep network it takes a while
    (run,) = Members.of([record]).runs
    assert solution_file(run) == FILE
    moved = decode_weights(record.read(FILE))[0]
    update = record.read_json("training.json")["checkpoints"][-1]
    plain = decode_weights(record.read(f"checkpoints/update_{update:07d}.safetensors"))[0]
    assert (moved["linear1.weight"] == 4 * plain["linear1.weight"]).all()
    assert (moved["linear1.bias"] == 4 * plain["linear1.bias"]).all()
    assert (moved["output.weight"] == plain["output.weight"] / 4).all()
    assert (moved["output.bias"] == plain["output.bias"]).all()
    assert record.latest()[CHANGE] == 0  # a power of two
    norm = np.sqrt(sum(float(tensor.double().square().sum()) for tensor in moved.values()))
    assert record.latest()[NORM] == pytest.approx(norm)


def test_what_cannot_be_rescaled_is_refused(compose, tmp_path, monkeypatch):
    (tmp_path / "own_tanh.py").write_text(TANH)
    monkeypatch.syspath_prepend(tmp_path)
    config = compose("model=custom", "model.path=own_tanh:tanh", "data.image_size=8", "rescale=2")
    with pytest.raises(ConfigError, match="rescale must be 1 for a network of which no hidden unit"):
        prepare(config, {})


def test_a_path_of_checkpoints_does_not_end_in_the_rescaled_solution(compose):
    with pytest.raises(ConfigError, match=r"rescale must be 1 for landscape\.trajectory"):
        prepare(compose("landscape=[trajectory]", "rescale=2"), {})


@pytest.mark.parametrize("factor", ["0", "-2"])
def test_a_factor_is_positive(tiny, factor):
    with pytest.raises(ConfigError, match="rescale must be above 0"):
        tiny(f"rescale={factor}")
