"""What the command line says when work is done, or could not be: in process, without a run."""

import math
from pathlib import Path

import pytest

from study import closing, commands
from study.record import Record, State
from study.run import Outcome
from study.run_table import run_table


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
        ["loss"],
        ["train", "0.25"],
        ["line/train", "minimum", "0.125"],
        [str(made.path / "landscapes/line.png")],
    ]
    assert lines[-1] == "mirrored to http://store; look at it there"


def table_of(tmp_path: Path, values: dict[str, float], **about: object) -> list[str]:
    made = Record.at(tmp_path, "ee55")
    made.create({"name": "a net", "tags": {}, "landscapes": ["contour", "line"], **about})
    made.log(values)
    return run_table(made).splitlines()


CHECKS = dict.fromkeys(("self_check", "self_check_training", "self_check_repeated", "self_check_model"), 0.0)


def test_the_table_says_what_was_reached_and_what_each_landscape_looks_like(tmp_path: Path) -> None:
    reached = {
        "train/loss": 0.015011,
        "train/accuracy": 0.997216,
        "test/loss": 0.0727927,
        "test/accuracy": 0.5,
    }
    contour = {"roughness": 1.5, "minimum": 0.0136999, "maximum": 23456.7, "basin_width": 1.20301}
    flags = {"basin_reaches_edge": 1.0, "diverged_cells": 0.0}
    line = {
        "basin_width": 1.0,
        "basin_width_low": 0.5,
        "basin_width_high": 1.5,
        "basin_width_standard_deviation": 9.0,
    }
    measured = {f"contour/train/{name}": value for name, value in {**contour, **flags, **CHECKS}.items()}
    measured |= {f"line/test/{name}": value for name, value in line.items()}
    measured |= {
        "curvature/trace": 12.3456,
        "curvature/trace_standard_error": 0.4321,
        "weights/norm": 16.1596,
    }
    measured |= {
        "weights/norm/0.weight": 3.0,
        "training/learning_rate": 0.1,
        "contour/train/barrier": math.inf,
    }
    assert table_of(tmp_path, {**reached, **measured}, loss_unit="nats") == [
        "             loss   accuracy",
        "  train   0.01501     99.72%",
        "  test    0.07279     50.00%",
        "",
        "  contour/train  barrier inf · basin_width 1.203 · minimum 0.0137",
        "                 maximum 2.346e+04 · basin_reaches_edge 1",
        "  line/test      basin_width 1 [0.5, 1.5]",
        "  curvature      trace 12.35 ± 0.43",
        "  weights        norm 16.16",
        "",
        "  losses in nats; self-checks hold; every measure is in report.md",
    ]


def test_a_self_check_that_failed_is_named(tmp_path: Path) -> None:
    values = {f"contour/train/{name}": value for name, value in {**CHECKS, "self_check": 1e-3}.items()}
    said = table_of(tmp_path, values)[-1]
    assert said == "  self-checks FAILED, do not trust these landscapes: contour/train/self_check"


def test_no_line_is_wider_than_a_terminal_but_no_measure_is_split(tmp_path: Path) -> None:
    names = ("largest_rise", "explained_about_solution", "random_walk_about_solution", "largest_distance")
    values = {f"{group}/train/{name}": 0.1234567 for group in ("contour", "line") for name in names}
    lines = table_of(tmp_path, values)
    assert max(map(len, lines)) <= 80
    words = " ".join(lines)
    assert all(words.count(f"{name} 0.1235") == 2 for name in names)


def test_regression_has_its_score_and_its_unit(tmp_path: Path) -> None:
    values = {
        "train/loss": 0.5,
        "train/r2": 0.25,
        **{f"line/train/{name}": value for name, value in CHECKS.items()},
    }
    lines = table_of(tmp_path, values, loss_unit="squared error")
    assert lines[1].split() == ["train", "0.5", "0.25"]
    assert lines[-1].startswith("  losses in squared error; self-checks hold")


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
