"""A user's own study: its folder copied elsewhere, and what its README says done there, with the wheel."""

import csv
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from study.paths import root
from study.record import SWEEPS, Record, State

pytestmark = pytest.mark.process

EXAMPLE = root() / "examples" / "own_study"
SHOW, RUN, SWEEP, AGAIN = range(4)
"""The commands of the README, in their order."""

Shell = Callable[[str], str]


def commands() -> list[str]:
    """The lines of the README's code blocks."""
    blocks = re.findall(r"^```\n(.*?)^```", (EXAMPLE / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """The user's folder, with nothing of this repository about it."""
    copied = tmp_path_factory.mktemp("elsewhere") / "own_study"
    return Path(shutil.copytree(EXAMPLE, copied, ignore=shutil.ignore_patterns("__pycache__", "outputs")))


@pytest.fixture(scope="module")
def shell(folder: Path, installed: Path) -> Shell:
    """A command line in that folder, on which `study` is the installed wheel's: what it prints."""
    variables = {key: value for key, value in os.environ.items() if not key.startswith("STUDY_")}
    places = (str(installed / "bin"), str(Path(sys.executable).parent), os.environ["PATH"])
    variables |= {
        "PATH": os.pathsep.join(places),
        "PYTHONPATH": str(installed),
        "OMP_NUM_THREADS": "1",
    }

    def done(command: str) -> str:
        ended = subprocess.run(
            command, shell=True, cwd=folder, env=variables, capture_output=True, text=True, timeout=560
        )
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    return done


@pytest.fixture(scope="module")
def swept(folder: Path, shell: Shell) -> tuple[Record, str]:
    """The study, run by its command: its record, and what was said."""
    said = shell(commands()[SWEEP])
    (record,) = [
        own
        for own in Record.all(folder / "outputs", SWEEPS)
        if len(own.read_json("run.json")["members"]) == 10
    ]
    return record, said


def rows(record: Record, name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(record.read(f"comparison/{name}.csv").decode().splitlines()))


def test_the_readme_has_its_four_commands():
    found = commands()
    assert len(found) == 4
    assert all(command.startswith("study ") for command in found)
    assert "hydra.searchpath=[file://conf]" in " ".join(found)


def test_its_choice_is_shown_with_the_meaning_of_its_keys(shell: Shell):
    said = shell(commands()[SHOW])
    assert said.startswith("model (custom): the network\n")
    assert re.search(r"path +spirals:Net", said)
    assert re.search(r"arguments +\{width:16\} +its keyword arguments", said)


def test_one_run_of_its_own_model_and_data(folder: Path, shell: Shell):
    said = shell(commands()[RUN])
    (record,) = [
        own
        for own in Record.all(folder / "outputs")
        if own.read_json("run.json")["settings"]["model.arguments.width"] == 16
    ]
    assert record.state is State.FINISHED
    assert record.read_json("run.json")["choices"]["data"] == "spirals"
    assert record.holds("landscapes/contour.png")
    assert "self-checks hold" in said
    assert f"{record.path}" in said


def test_the_study_ends_in_a_comparison_and_verdicts(swept: tuple[Record, str]):
    record, said = swept
    assert record.state is State.FINISHED
    assert len(rows(record, "runs")) == 10
    outcomes = {row["claim"]: row["outcome"] for row in rows(record, "verdicts")}
    assert outcomes["parts_the_spirals"] == "reproduced"
    assert outcomes["wider_basin"] in {"reproduced", "not reproduced", "inconclusive"}
    for outcome, claim in ((outcomes[name], name) for name in outcomes):
        assert re.search(rf"{outcome} +{claim}: ", said)
    assert str(record.path / "report.html") in said


def test_its_page_has_the_question_that_the_file_opens_with(swept: tuple[Record, str]):
    record, _said = swept
    page = record.read("report.html").decode()
    assert "does a wider network find the spirals" in page
    assert page.index("Verdicts") < page.index("Configurations")
    assert "spirals" in record.read_json("run.json")["note"]


def test_the_same_files_answer_another_question_on_two_processes(folder: Path, shell: Shell):
    said = shell(commands()[AGAIN])
    assert "2 runs finished (2 run now)" in said
    assert sorted(file.name for file in folder.iterdir() if file.name != "__pycache__") == [
        "README.md",
        "conf",
        "outputs",
        "spirals.py",
    ]


@pytest.mark.usefixtures("swept")
def test_nothing_came_from_the_checkout(folder: Path, installed: Path, shell: Shell):
    found = shell("python -c 'import study; print(study.__file__)'")
    assert found.strip() == str(installed / "study" / "__init__.py")
    kept = "".join((own.path / "run.json").read_text() for own in Record.all(folder / "outputs"))
    assert str(root()) not in kept
