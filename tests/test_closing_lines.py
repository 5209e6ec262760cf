"""What the command line says when work is done, or could not be: in process, without a run."""

from pathlib import Path

import pytest

from study import closing, commands
from study.record import Record, State
from study.run import Outcome


def record(output_dir: Path, config_hash: str = "aa11", **tags: str) -> Record:
    made = Record.at(output_dir, config_hash)
    made.create({"name": "a net", "tags": {}, "note": "", "params": {}, "data": []})
    made.log({"train/loss": 0.25, "line/train/minimum": 0.125})
    made.set_state(State.FINISHED, **tags)
    return made


def test_a_diverged_training_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    closing.print_run(Outcome(record(tmp_path, diverged="loss nan"), State.FINISHED, False, None))
    said = capsys.readouterr().out
    assert "the training diverged, and no landscape is drawn: loss nan" in said
    assert "figures:" not in said
    assert "study ui" not in said


def test_measures_and_the_store_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = record(tmp_path)
    made.write("landscapes/line.png", b"picture")
    closing.print_run(Outcome(made, State.FINISHED, True, "http://store"))
    lines = capsys.readouterr().out.splitlines()
    assert "a net: finished before; nothing was repeated" in lines
    assert [line.split() for line in lines if line.startswith("  ")] == [
        ["train/loss", "0.25"],
        ["line/train/minimum", "0.125"],
        [str(made.path / "landscapes/line.png")],
    ]
    assert lines[-1] == "mirrored to http://store; look at it there"


def test_sync_without_a_store_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        commands.sync([f"output_dir={tmp_path}", "tracking=none"])
    assert ended.value.code == 2
    assert capsys.readouterr().err == "study: tracking must be local or server to upload to, got 'none'\n"


def test_sync_goes_on_after_a_record_that_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Store:
        def mirror(self, record: Record) -> bool:
            if record.config_hash == "aa11":
                raise RuntimeError("too long\na name")
            return record.config_hash != "cc33"

        def address(self) -> str:
            return "http://store"

    monkeypatch.setattr("study.run.make_tracker", lambda *_: Store())
    for config_hash in ("aa11", "bb22", "cc33", "dd44"):
        record(tmp_path, config_hash)
    with Record.at(tmp_path, "dd44").lock(), pytest.raises(SystemExit):
        commands.sync([f"output_dir={tmp_path}"])
    said = capsys.readouterr()
    assert said.out == "1 runs mirrored to http://store, 1 still running\n"
    assert said.err == "study: 1 failed; the first: aa11 was not uploaded: too long a name\n"


@pytest.mark.parametrize("folder", ["50%", "what?", "no#1"])
def test_a_folder_that_the_store_cannot_be_in_is_refused(
    tmp_path: Path, folder: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        commands.show([f"output_dir='{tmp_path / folder}'"])
    assert capsys.readouterr().err.startswith("study: output_dir must have none of % ? # in its path")
    commands.show([f"output_dir='{tmp_path / folder}'", "tracking=none"])


def test_a_landscape_named_as_a_metric_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        commands.show(["+landscape@landscape.train=line"])
    assert (
        "landscape names must not be train, test, weights, training, curvature, measures"
        in capsys.readouterr().err
    )
