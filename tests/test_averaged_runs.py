"""Averaged weights through the whole tool: kept beside a run, named RUN@averaged, looked at, joined."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from study import report
from study.config import StudyConfig
from study.errors import ConfigError
from study.landscape.result import Landscape
from study.prepare import prepare
from study.record import Record
from study.run import Outcome
from study.source import AVERAGED, checkpoint_name, load_source, updates
from study.subject import Subject
from study.training.checkpoints import decode_weights

Start = Callable[..., Outcome]
SWA = ("training/averaging=swa", "training.averaging.start_epoch=2", "model.norm=batch")


def tensors(record: Record, name: str) -> dict[str, torch.Tensor]:
    return decode_weights(record.read(name))[0]


def test_an_average_is_kept_and_looked_at_by_name(start: Start, plain_pictures, output_dir: Path):
    record = start(*SWA).record
    assert updates(record) == [0, 2, 4, 6]
    averaged, solution = tensors(record, AVERAGED), tensors(record, checkpoint_name(6))
    ends = [tensors(record, checkpoint_name(at)) for at in (4, 6)]
    for name in ("linear1.weight", "output.bias"):
        torch.testing.assert_close(averaged[name], (ends[0][name] + ends[1][name]) / 2)
    assert not torch.equal(averaged["norm1.running_mean"], solution["norm1.running_mean"])

    # The run's own landscapes are about the last iterate, those of RUN@averaged about the average.
    values = record.latest()
    own = Landscape.from_bytes(record.read("landscapes/line.npz")).points["solution"]
    assert own.values["train/loss"] == pytest.approx(values["train/loss"], rel=1e-6)
    look = start(f"checkpoint={record.config_hash}@averaged", *SWA).record
    there = Landscape.from_bytes(look.read("landscapes/line.npz")).points["averaged weights"]
    assert there.values["train/loss"] == pytest.approx(values["train/averaged_loss"], rel=1e-6)
    assert look.read_json("run.json")["tags"]["checkpoint"].endswith("averaged weights")
    assert look.latest()["line/train/self_check"] == 0.0
    file = load_source(str(record.path / AVERAGED), output_dir)
    assert file.label == load_source(f"{record.config_hash}@averaged", output_dir).label


def test_a_picture_says_that_the_average_is_looked_at(
    start: Start, tiny: Callable[..., StudyConfig], plain_pictures
):
    record = start(*SWA).record
    for words, said in (("@averaged", "averaged weights"), ("@4", "update 4"), ("", None)):
        prepared = prepare(tiny(f"checkpoint={record.config_hash}{words}", *SWA), {})
        landscape = Landscape.from_bytes(record.read("landscapes/line.npz"))
        caption = report.caption(prepared.config.landscape["line"], landscape, Subject.of(prepared))
        assert (f"; the solution θ* is {said}; seed " in caption) if said else ("θ* is" not in caption)


def test_an_average_is_joined_with_the_solution(start: Start, plain_pictures):
    record = start(*SWA).record
    named = f"{record.config_hash}@averaged"
    asked = (f"landscape.minima.end={named}", "landscape.minima.points=3")
    joined = run_with_minima(start, *SWA, *asked)
    line = Landscape.from_bytes(joined.read("landscapes/minima.npz"))
    assert list(line.points) == ["solution", "end"]
    reached = joined.latest()["train/averaged_loss"]  # read with statistics of its own there too
    assert line.points["end"].values["train/loss"] == pytest.approx(reached, rel=1e-4)
    with pytest.raises(ConfigError, match="must be between different weights"):
        run_with_minima(start, *SWA, *asked, f"checkpoint={named}")


def run_with_minima(start: Start, *overrides: str) -> Record:
    return start("landscape=[minima]", *overrides, looks=()).record


def test_what_has_no_average_is_refused(start: Start, tiny: Callable[..., StudyConfig], plain_pictures):
    plain = start().record.config_hash
    with pytest.raises(ConfigError, match=r"^checkpoint must name a run that has averaged weights"):
        prepare(tiny(f"checkpoint={plain}@averaged"), {})
    averaged = start(*SWA).record.config_hash
    path = ("landscape=[trajectory]", f"checkpoint={averaged}@averaged", *SWA)
    with pytest.raises(ConfigError, match=r"^checkpoint must be a checkpoint of training for landscape.traj"):
        prepare(tiny(*path, looks=()), {})


def test_a_training_without_an_average_keeps_its_hash(tiny: Callable[..., StudyConfig]):
    plain, averaged = (prepare(tiny(*more), {}).identity for more in ((), SWA[:2]))
    assert "averaging" not in plain.content["training"]["training"]
    assert averaged.training_hash != plain.training_hash
