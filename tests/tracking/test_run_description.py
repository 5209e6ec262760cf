"""What MLflow's UI says first of a run, as Markdown that shows words as they are."""

import re
from pathlib import Path

import pytest

from study import comparison_report
from study.record import SWEEPS, Record, State
from study.tracking.description import (
    COMPARISON_PAGE,
    LONGEST,
    VERDICTS,
    Place,
    description,
    previews,
    stamp,
    words,
)

PLACE, PARENT = Place("3", "0123abcd"), Place("3", "fedc9876")
FILES = ("report.md", "landscapes/wide.html", "landscapes/interpolation.html", "landscapes/interpolation.png")
PLANE = ("landscapes/wide.png", "landscapes/wide.surface.png")


@pytest.fixture
def record(tmp_path: Path) -> Record:
    found = Record.at(tmp_path, "abc")
    found.create({"name": "a net", "note": "", "tags": {}, "landscapes": ["interpolation", "wide"]})
    found.set_state(State.RUNNING)
    for name in (*FILES, *PLANE):
        found.write(name, name)
    found.log({"train/loss": 0.5, "wide/train/basin_width": 1.25, "wide/train/self_check": 0.0})
    found.log({"train/loss": 0.01234567, "test/accuracy": 0.975}, step=1)
    found.set_state(State.FINISHED)
    return found


@pytest.fixture
def sweep(tmp_path: Path) -> Record:
    found = Record.at(tmp_path, "def", SWEEPS)
    found.create({
        "name": "batches",
        "note": "Do large *batches* <i>hurt</i>?",
        "tags": {},
        "members": ["a", "b"],
    })
    found.set_state(State.FINISHED, failed_jobs="b")
    for name in (
        "report.html",
        "comparison/training.png",
        "comparison/wide.png",
        "comparison/wide.difference.png",
    ):
        found.write(name, name)
    found.write(
        VERDICTS,
        "claim,says,outcome\nworse,They | generalise worse,not reproduced\nsharp,Sharper,reproduced\n",
    )
    return found


def links(markdown: str) -> dict[str, str]:
    return dict(re.findall(r"(?<!!)\[([^\]]+)\]\(([^)]+)\)", markdown))


def shown(markdown: str) -> list[str]:
    return re.findall(r"!\[[^\]]*\]\(([^)]+)\)", markdown)


def test_a_run_says_where_to_look_what_it_reached_and_what_it_looks_like(record: Record):
    found = description(record, PLACE, PARENT)
    page = "#/experiments/3/runs/0123abcd"
    assert links(found) == {
        "Report": f"{page}/artifacts/report.md",
        "Interactive interpolation": f"{page}/artifacts/landscapes/interpolation.html",
        "Interactive wide": f"{page}/artifacts/landscapes/wide.html",
        "Sweep": "#/experiments/3/runs/fedc9876",
        "Comparison": "#/experiments/3/runs/fedc9876/artifacts/report.html",
    }
    assert "test/accuracy **0.975** · train/loss **0.01235** · wide/train/basin\\_width **1.25**" in found
    assert "self" not in found
    assert shown(found) == [
        f"get-artifact?path={name}.preview.png&run_uuid=0123abcd" for name in ("wide", "interpolation")
    ]
    assert previews(record) == {
        "wide.preview.png": "landscapes/wide.png",
        "interpolation.preview.png": "landscapes/interpolation.png",
    }


def test_a_sweep_says_its_question_its_verdicts_and_what_failed(sweep: Record):
    found = description(sweep, PLACE)
    assert found.startswith("Do large \\*batches\\* &lt;i&gt;hurt&lt;/i&gt;?\n\n2 runs · [Report]")
    assert "- **not reproduced**: They \\| generalise worse\n- **reproduced**: Sharper" in found
    assert "**Failed jobs**: b" in found
    assert links(found) == {"Report": f"{PLACE.page}/artifacts/report.html"}
    assert previews(sweep) == {"wide.preview.png": "comparison/wide.png"}


def test_it_reads_the_files_that_a_comparison_is_written_to():
    assert (
        comparison_report.PAGE,
        f"{comparison_report.FOLDER}{comparison_report.VERDICTS}.csv",
    ) == (COMPARISON_PAGE, VERDICTS)


def test_a_comparison_that_is_not_drawn_whole_has_no_picture(sweep: Record):
    sweep.remove("report.html")  # which is written last
    assert previews(sweep) == {}
    assert shown(description(sweep, PLACE)) == []


@pytest.mark.parametrize(
    ("state", "tags", "said"),
    [
        (State.FINISHED, {"diverged": "the loss is nan"}, "**The training diverged**: the loss is nan"),
        (State.FINISHED, {"self_check_failed": "a/b"}, "**Do not trust**: a/b failed"),
        (State.FAILED, {"message": "no <luck>"}, "**Failed** no &lt;luck&gt;"),
        (State.KILLED, {}, "**Killed**"),
    ],
)
def test_a_bad_end_is_conspicuous(record: Record, state: State, tags: dict[str, str], said: str):
    record.set_state(state, **tags)
    assert said in description(record, PLACE)


def test_a_measure_that_is_not_finite_is_said_as_it_is(record: Record):
    record.log({"wide/train/barrier": float("inf")})
    assert "barrier **inf**" in description(record, PLACE)


def test_it_stays_while_nothing_that_it_is_made_of_changes(record: Record):
    before = stamp(record, None)
    assert before is not None
    record.write("landscapes/wide.csv", "no part of it")
    record.write("landscapes/wide.frames/000003.png", "nor a picture of a series")
    assert stamp(record, None) == before
    assert stamp(record, "fedc9876") != before
    record.log({"test/accuracy": 0.5}, step=2)
    assert stamp(record, None) != before


def test_a_run_that_has_only_begun_has_none(tmp_path: Path):
    record = Record.at(tmp_path, "abc")
    record.create({"name": "a net", "note": "", "tags": {}, "landscapes": ["wide"]})
    record.set_state(State.RUNNING)
    record.log({"train/loss": 1.0})
    assert stamp(record, None) is None
    record.write("landscapes/wide.png", "one")
    first = stamp(record, None)
    assert first is not None
    record.log({"train/loss": 0.5}, step=1)
    assert stamp(record, None) == first  # not every epoch anew


def test_a_long_one_is_within_what_a_tag_holds(sweep: Record):
    rows = [f"claim{place},{'x' * 300},reproduced" for place in range(40)]
    sweep.write(VERDICTS, "\n".join(["claim,says,outcome", *rows]))
    found = description(sweep, PLACE)
    assert len(found) <= LONGEST
    assert "and 28 more, in the report" in found
    sweep.write(VERDICTS, f"claim,says,outcome\na,{'y' * LONGEST},reproduced\n")
    found = description(sweep, PLACE)
    assert len(found) <= LONGEST
    assert shown(found)


@pytest.mark.parametrize(
    ("given", "escaped"),
    [
        ("<script>alert(1)</script>", "&lt;script&gt;alert\\(1\\)&lt;/script&gt;"),
        ("![x](http://evil/x.png)", "!\\[x\\]\\(http://evil/x.png\\)"),
        ("[a](b)", "\\[a\\]\\(b\\)"),
        ("a\n\n# b", "a \\# b"),
        ("`x` *y* __z__ ~~w~~", "\\`x\\` \\*y\\* \\_\\_z\\_\\_ \\~\\~w\\~\\~"),
        ("a | b \\ c & d", "a \\| b \\\\ c &amp; d"),
        ("@someone and RUN@115", "\\@someone and RUN@115"),
    ],
)
def test_words_stay_words(given: str, escaped: str):
    assert words(given) == escaped
