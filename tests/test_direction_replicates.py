"""Runs whose landscapes are repeated along other directions: files, measures, columns, and resumption."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from scipy import stats

from study import look as look_module
from study import report
from study import run as run_module
from study.analysis.over_directions import SPREAD, replicates
from study.closing import print_run
from study.columns import STATED, columns
from study.config import StudyConfig
from study.identity import LATER
from study.landscape.result import Landscape
from study.measured import measures_of
from study.members import Members
from study.prepare import prepare
from study.record import Record
from study.run import Outcome, run
from study.saved import saved_landscapes

Start = Callable[..., Outcome]

LOOKS = ("line", "contour")
THREE = ("landscape.line.replicates=3", "landscape.contour.replicates=3", "landscape.contour.beta_points=2")


def landscape(record: Record, name: str) -> Landscape:
    return Landscape.from_bytes(record.read(f"landscapes/{name}.npz"))


def test_each_replicate_is_the_run_of_its_own_seed_to_the_bit_and_measures_are_over_them(
    start: Start, plain_pictures: None
):
    record = start(*THREE, looks=LOOKS).record
    alone = [
        start(
            *(f"landscape.{look}.direction_seed={seed}" for look in LOOKS),
            *("landscape.contour.beta_points=2", "reuse=false"),  # evaluated anew, not read from the store
            looks=LOOKS,
        ).record
        for seed in range(3)
    ]
    for look in LOOKS:
        own = replicates(landscape(record, look))
        assert [each.to_bytes() for each in own] == [each.read(f"landscapes/{look}.npz") for each in alone]
    values, each = record.latest(), [own.latest() for own in alone]
    trusted = (
        "self_check",
        "self_check_training",
        "self_check_repeated",
        "self_check_model",
        "basin_reaches_edge",
        "basin_unresolved",
        "diverged_cells",
    )
    measured = [name for name in each[0] if name.startswith(LOOKS)]
    for name in measured:
        numbers = np.array([own[name] for own in each])
        if name.endswith(trusted):
            assert values[name] == numbers.max()
            assert not {f"{name}{end}" for end in SPREAD} & values.keys()
            continue
        assert values[name] == pytest.approx(numbers.mean(), rel=1e-12)
        deviation = numbers.std(ddof=1)
        assert values[f"{name}_standard_deviation"] == pytest.approx(deviation, rel=1e-9)
        half = stats.t.ppf(0.975, 2) * deviation / np.sqrt(3)
        ends = (values[f"{name}_low"], values[f"{name}_high"])
        assert ends == pytest.approx((numbers.mean() - half, numbers.mean() + half), rel=1e-9)
    assert values["contour/train/basin_width_standard_deviation"] > 0

    table = pd.read_csv(BytesIO(record.read("landscapes/contour.csv")))
    assert table.columns[0] == "replicate"
    assert table["replicate"].value_counts().to_dict() == {0: 7, 1: 7, 2: 7}  # 3 × 2 cells and the solution
    first = pd.read_csv(BytesIO(alone[2].read("landscapes/contour.csv")))
    assert "replicate" not in first
    last = table[table["replicate"] == 2].drop(columns="replicate").reset_index(drop=True)
    pd.testing.assert_frame_equal(last, first)


def test_the_columns_are_known_before_and_the_deviations_are_no_measures_of_a_figure(
    start: Start, tiny: Callable[..., StudyConfig], plain_pictures: None
):
    record = start(*THREE, looks=LOOKS).record
    members = Members.of([record])
    (row,) = members.table().to_dict("records")
    measured = {name for name in row if name.startswith(LOOKS)}
    said = {name for name in columns(tiny(*THREE, looks=LOOKS)) if name.startswith(LOOKS)}
    assert measured <= said
    missing = {name.rpartition("/")[2] for name in said - measured}
    missing -= {f"spectral_roughness{end}" for end in ("", *SPREAD)}  # of 12 points on
    assert missing == {*STATED}  # no tolerance, no bfloat16, no running statistics
    assert "line/train/basin_width_high" in measured
    assert columns(tiny(looks=LOOKS)) < columns(tiny(*THREE, looks=LOOKS))
    drawn = measures_of(members, members.table())
    assert "line/train/basin_width" in drawn
    assert not [name for name in drawn if name.endswith(SPREAD)]


def test_a_killed_run_goes_on_with_the_points_that_are_missing_to_the_same_bits(
    start: Start, plain_pictures: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    whole = start(THREE[0]).record.read("landscapes/line.npz")
    elsewhere = f"output_dir={tmp_path / 'elsewhere'}"
    evaluate, seen = look_module.evaluate, []

    def stopping(*about: Any, on_point: Callable[[int, int], None], **settings: Any) -> Landscape:
        def counting(done: int, total: int) -> None:
            on_point(done, total)
            seen.append((done, total))
            if len(seen) == 5:  # in the second of three
                raise KeyboardInterrupt

        return evaluate(*about, on_point=counting, **settings)

    monkeypatch.setattr(look_module, "evaluate", stopping)
    with pytest.raises(KeyboardInterrupt):
        start(THREE[0], elsewhere)
    assert start(THREE[0], elsewhere).record.read("landscapes/line.npz") == whole
    files = (tmp_path / "elsewhere" / "points").rglob("*.jsonl")
    points = [line.partition(b'"values"')[0] for file in files for line in file.read_bytes().splitlines()[1:]]
    assert len(points) == 9  # of three lines with three each, none of them twice


def test_progress_is_of_all_replicates(tiny: Callable[..., StudyConfig], monkeypatch: pytest.MonkeyPatch):
    """Three lines of three points: one bar that goes from 0 to 9 and never back."""
    told: list[tuple[int, int]] = []

    @contextmanager
    def bar(_name: str, _unit: str = "point") -> Iterator[Callable[[int, int], None]]:
        yield lambda done, total: told.append((done, total))

    monkeypatch.setattr(run_module, "progress", bar)
    monkeypatch.setattr(report, "pictures", lambda *_about: {})
    run(prepare(tiny(THREE[0]), {}))
    assert told[-1] == (9, 9)
    assert told == sorted(told)


def test_the_pictures_are_there_and_say_how_many_directions(
    start: Start, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    words: list[str] = []

    def render(figure: Figure, format: str) -> bytes:
        words.append(" ".join(" ".join(text.get_text() for text in figure.texts).split()))
        return format.encode()

    monkeypatch.setattr(report, "render", render)
    outcome = start(*THREE, looks=LOOKS)
    figures = {name for name in outcome.record.files() if name.endswith(".png")}
    endings = ("line", "contour", "contour.surface", "contour.spread")
    assert figures == {f"landscapes/{name}.png" for name in endings}
    assert all("3 draws of directions (direction seeds 0 to 2), of the first ‖" in own for own in words)
    print_run(outcome)
    shown = capsys.readouterr().out
    assert re.search(r"line/train +basin_width \S+ \[\S+, \S+\] · minimum ", shown)
    assert not [end for end in SPREAD if f"{end} " in shown]


def test_a_record_from_before_there_were_replicates_is_one_with_one(start: Start, plain_pictures: None):
    old, new = start().record, start(THREE[0]).record
    about, config = old.read_json("run.json"), old.read("config.yaml").decode()
    assert "replicates" not in about["identity"]["landscape"]["line"]  # the hash is that of the time before
    del about["settings"]["landscape.line.replicates"]
    old.write_json("run.json", about)
    old.write("config.yaml", config.replace("    replicates: 1\n", ""))
    assert config != old.read("config.yaml").decode()
    assert saved_landscapes(old)["line"].replicates == LATER["replicates"] == 1
    members = Members.of([new, old])
    assert [members.label(run) for run in members.runs] == ["replicates 1", "replicates 3"]
