"""What README, CONTRIBUTING and docs say is so: their Python, commands and links."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from study.about import about
from study.cli import COMMANDS
from study.prepare import prepare
from study.resolve import composed, typed

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(language: str, text: str = README) -> list[str]:
    """The fenced blocks of a language; a block without one has the language ""."""
    found: list[tuple[str, list[str]]] = []
    inside = False
    for line in text.splitlines():
        if line.startswith("```"):
            inside = not inside
            if inside:
                found.append((line.removeprefix("```"), []))
        elif inside:
            found[-1][1].append(line)
    return ["\n".join(lines) + "\n" for kind, lines in found if kind == language]


def test_the_output_that_is_shown_is_of_the_default_run():
    shown = README.split("<!-- output: begin -->")[1].split("<!-- output: end -->")[0].strip("`\n")
    prepared = prepare(typed(composed([])), {})
    assert shown.splitlines()[0] == f"{about(prepared)['name']}: finished"
    assert {*re.findall(r"outputs/runs/(\w+)", shown)} == {prepared.identity.config_hash}


def commands() -> list[list[str]]:
    found = [block for page in PAGES for block in blocks("", page.read_text())]
    whole = [block.replace("\\\n", " ") for block in found]
    lines = [line for block in whole for line in block.splitlines() if line.startswith("study ")]
    return [shlex.split(line, comments=True)[1:] for line in dict.fromkeys(lines)]


def test_the_library_example_runs_without_hydra_and_mlflow(tmp_path: Path) -> None:
    (example,) = blocks("python")
    code = f"{example}\nimport sys\nassert not {{'hydra', 'omegaconf', 'mlflow'}} & set(sys.modules)\n"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("(11, 11)\n")
    assert (tmp_path / "contour.npz").exists()


def test_there_are_commands_to_check() -> None:
    assert len(commands()) >= 9


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_every_command_is_accepted(words: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STUDY_OUTPUT_DIR", str(tmp_path))
    if words[0] in COMMANDS:
        words = words[1:]
    values = {words[at + 1] for at, word in enumerate(words[:-1]) if word.startswith("--")}  # of flags
    own = [word for word in words if word not in values]
    overrides = [word for word in own if "=" in word and not word.startswith("checkpoint=")]
    if "-m" in words:
        overrides = [re.sub(r"=([^\[,]*),.*", r"=\1", word) for word in overrides]
    if overrides:
        typed(composed(overrides))


def test_every_link_leads_somewhere() -> None:
    linked = [(page, target) for page in PAGES for target in re.findall(r"\]\(([^)#]+)\)", page.read_text())]
    files = [page.parent / target for page, target in linked if "://" not in target]
    assert files
    for file in files:
        assert file.exists(), file


def test_the_file_map_names_what_is_there() -> None:
    house = blocks("", (ROOT / "CONTRIBUTING.md").read_text())[0]
    named = re.findall(r"\b([a-z]+\.py)\b", house)
    assert len(named) >= 9
    for name in named:
        assert (ROOT / "study" / name).is_file(), name
