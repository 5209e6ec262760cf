"""A study that lies in a folder of its user's: found where Hydra finds it, with what its file opens with."""

from collections.abc import Callable
from pathlib import Path

import pytest

from study.paths import root
from study.record import Record
from study.studies import chosen_study, find_study

OPENING = "# @package _global_\n# Question: why\n# so?\n# Source: me\nseed: 0\n"


@pytest.fixture
def place(tmp_path: Path) -> str:
    """A place of the search path, with two studies; one has the name of a ready-made one."""
    folder = tmp_path / "conf" / "sweeps"
    folder.mkdir(parents=True)
    for name in ("mine", "batch_size"):
        (folder / f"{name}.yaml").write_text(OPENING)
    return f"file://{folder.parent}"


READY_MADE = f"file://{root()}"


def test_it_has_the_question_of_its_file(place: str):
    found = chosen_study({"sweeps": "mine"}, [READY_MADE, place])
    assert found is not None
    assert (found.name, found.question, found.source, found.cost) == ("mine", "why so?", "me", "")


def test_the_first_place_counts_as_it_does_for_hydra(place: str):
    own = chosen_study({"sweeps": "batch_size"}, [place, READY_MADE])
    assert own is not None
    assert own.question == "why so?"
    assert chosen_study({"sweeps": "batch_size"}, [READY_MADE, place]) == find_study("batch_size")


def test_a_place_may_be_named_from_where_one_is(place: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(Path(place.removeprefix("file://")).parent)
    found = chosen_study({"sweeps": "mine"}, ["file://conf"])
    assert found is not None
    assert found.question == "why so?"


def test_no_study_and_one_of_which_nothing_is_known():
    assert chosen_study({"model": "cnn"}, [READY_MADE]) is None
    unknown = chosen_study({"sweeps": "nowhere"}, [READY_MADE])
    assert unknown is not None
    assert (unknown.name, unknown.question) == ("nowhere", "")


def test_a_run_of_a_choice_of_ones_own_is_looked_at_again_where_the_choice_is_found(
    tmp_path: Path, arguments: Callable[..., list[str]], output_dir: Path, command_line: Callable[..., tuple]
):
    (tmp_path / "conf" / "model").mkdir(parents=True)
    (tmp_path / "conf" / "model" / "mine.yaml").write_text("defaults: [mlp, _self_]\nwidths: [8]\n")
    there = f"hydra.searchpath=[file://{tmp_path / 'conf'}]"
    words = [word for word in arguments(looks=()) if not word.startswith("model")]
    assert command_line(*words, "model=mine", there)[0] == 0
    (first,) = Record.all(output_dir)
    again = (
        f"checkpoint={first.config_hash[:8]}",
        "tracking=none",
        "landscape=[line]",
        "landscape.line.points=3",
    )
    status, _out, err = command_line(*again)
    assert status == 2
    assert err.startswith(
        "study: checkpoint needs model/mine, a choice of its own: give the same hydra.searchpath"
    )
    status, out, err = command_line(*again, there)
    assert (status, err) == (0, "")
    assert "line/train" in out
