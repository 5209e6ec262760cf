"""What the pages of docs/ say is so: commands are accepted, Python runs, numbers are those of the runs."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from study import gallery
from study.cli import COMMANDS
from study.multirun import Multirun
from study.paths import root
from study.reference import GROUPS
from study.reference_pages import COMMANDS as COMMANDS_PAGE
from study.reference_pages import CONFIGURATION, TITLE, commands, configuration
from study.resolve import composed, typed
from study.study_pages import INDEX, index, kept

DOCS = root() / "docs"
WRITTEN = ("index", "first_hour", "reading")  # by hand
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

NUMBERS = {
    "studies/dinh_2017.md": "2.22e-07 20.34 1.345e+05 0.000475 1.175",
    "studies/li_2018_trajectory.md": ("0.000222 0.9734 0.902 0.9672 0.7639 0.0714 0.203 0.15259 0.0027922"),
    "skip_connections.md": "483 337 0.03",
    "studies/keskar_2016.md": "5.98 0.9703 0.9626",
    "studies/jiang_2019.md": "0.883 -0.417",
    "studies/li_2018_skip.md": "0.145 43%",
    "studies/ainsworth_2022.md": "1.73 0.01106 0.563",
    "studies/garipov_2018.md": "0.000474 0.577",
    "gallery.md": "7.117e-06 0.4293 1.017 0.9527 1.107 0.1235",
}
"""Numbers of reading.md, by the page that has them from the runs."""


def text(name: str) -> str:
    return (DOCS / f"{name}.md").read_text()


def blocks(name: str, language: str) -> list[str]:
    return [body for kind, body in FENCE.findall(text(name)) if kind == language]


def commands_of(name: str) -> list[str]:
    lines = [line for block in blocks(name, "") for line in block.splitlines()]
    return [line for line in lines if line.startswith("study ")]


def accept(command: str) -> int:
    """Compose what a command asks for, or fail. Returns the number of its jobs."""
    words = shlex.split(command, comments=True)[1:]
    if words and words[0] in COMMANDS:
        words = words[1:]
    overrides = [word for word in words if "=" in word and not word.startswith("checkpoint=")]
    if "-m" not in words:
        typed(composed(overrides), overrides)
        return 1
    with Multirun.open(overrides) as multirun:
        for job in multirun.combinations:
            typed(job.compose()[0], job.overrides)
        return len(multirun.combinations)


def test_the_reference_has_every_group_of_the_configuration():
    folders = {
        file.parent.relative_to(root() / "conf").as_posix() for file in (root() / "conf").rglob("*.yaml")
    }
    assert folders - {"."} == set(GROUPS)


def test_the_page_of_the_configuration_is_the_schemas():
    assert (root() / CONFIGURATION).read_text() == configuration(), "run `make reference`"


def test_the_page_of_the_commands_is_what_they_print():
    page = (root() / COMMANDS_PAGE).read_text()
    assert page == commands(), "run `make reference`"
    assert {*TITLE.findall(page)} == {*COMMANDS}


def test_the_index_of_the_studies_is_their_verdicts():
    assert (root() / INDEX).read_text() == index(kept(root())), "run `make pages`"


@pytest.mark.parametrize("command", [own for page in WRITTEN for own in commands_of(page)])
def test_every_command_is_accepted(command: str, output_dir: Path):
    assert accept(command.replace("mine:", "study.gallery:")) >= 1


def test_there_are_commands_to_check():
    assert all(commands_of(page) for page in ("index", "first_hour"))


def test_what_the_first_hour_has_one_write_is_a_network_and_data(tmp_path: Path, command_line, monkeypatch):
    mine, library = blocks("first_hour", "python")
    (tmp_path / "mine.py").write_text(mine)
    monkeypatch.chdir(tmp_path)
    (own,) = [command for command in commands_of("first_hour") if "mine:" in command]
    small = ["training.epochs=1", "landscape=[]", "tracking=none", f"output_dir={tmp_path}/outputs"]
    status, out, err = command_line(*shlex.split(own)[1:], *small)
    assert status == 0, err
    assert "custom" in out
    done = subprocess.run([sys.executable, "-c", library], cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "contour.npz").is_file()


def test_the_first_hour_has_a_time_for_every_step():
    table = text("first_hour").split("<!-- hour: begin -->")[1].split("<!-- hour: end -->")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.strip().splitlines()[2:]]
    headings = re.findall(r"^## (\d)\. ", text("first_hour"), re.MULTILINE)
    assert [row[0] for row in rows] == headings[: len(rows)]
    assert all(re.fullmatch(r"\d+ (s|min)", row[2]) for row in rows)


@pytest.mark.parametrize("page", NUMBERS)
def test_the_numbers_of_how_to_read_are_those_of_the_runs(page: str):
    source, said = (DOCS / page).read_text(), text("reading")
    for number in NUMBERS[page].split():
        assert re.search(rf"(?<![\d.]){re.escape(number)}", source), number
        assert re.search(rf"(?<![\d.]){re.escape(number)}(?!\d)", said), number


def test_the_gallery_is_its_list():
    runs = json.loads((root() / gallery.RUNS).read_text())
    assert (root() / gallery.PAGE).read_text() == gallery.page(runs), "run `make gallery`"
    assert all(re.fullmatch("[0-9a-f]{16}", own["hash"]) for own in runs.values())
    pictures = {root() / file for entry in gallery.ENTRIES for file in entry.files}
    assert pictures == {*(root() / gallery.PICTURES).iterdir()} - {root() / gallery.RUNS}
    assert sum(picture.stat().st_size for picture in pictures) < 3_000_000


@pytest.mark.parametrize("entry", gallery.ENTRIES, ids=lambda entry: entry.name)
def test_a_command_of_the_gallery_is_accepted_and_makes_its_pictures(entry: gallery.Entry, output_dir: Path):
    jobs = accept(entry.command)
    assert (jobs > 1) == ("-m" in entry.words)
    wanted = {Path(own).name.split(".")[0] for own in entry.pictures if own.startswith("landscapes/")}
    if jobs == 1:
        config = typed(composed(entry.words))
        assert wanted <= {*config.landscape}
