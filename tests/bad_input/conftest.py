"""How the tests of bad input ask: of the command line, of what is built before a run, and of runs."""

import copy
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from study.config import StudyConfig
from study.prepare import Prepared, prepare
from study.resolve import composed, typed
from study.run import run
from tests.bad_input.small import SMALL

OWN = "own_for_bad_input"  # the module that holds a test's own code
TINY = (*SMALL, "landscape=[line]", "landscape.line.points=3")
Prepare = Callable[..., Prepared]
Command = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module", autouse=True)
def _one_thread(one_thread: None) -> None:
    """Networks this small are only slowed by a second thread."""


@pytest.fixture
def own_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Writes a module of the user's, and gives its name."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(source: str) -> str:
        (tmp_path / f"{OWN}.py").write_text(source)
        monkeypatch.delitem(sys.modules, OWN, raising=False)
        return OWN

    return write


@cache
def _composed(*overrides: str) -> StudyConfig:
    return typed(composed(overrides))


@pytest.fixture
def preparing(output_dir: Path) -> Prepare:
    """Build all that a small run needs: composed once for the same overrides, with values of keys changed."""

    def build(*overrides: str, **changes: Any) -> Prepared:
        asked = {word.partition("=")[0] for word in overrides}
        others = tuple(name for name in ("landscape", "model", "data") if name in asked)
        kept = [word for word in TINY if not word.startswith(others) and word.partition("=")[0] not in asked]
        config = copy.deepcopy(_composed(*kept, *overrides))
        config.output_dir = str(output_dir)
        for name, value in changes.items():
            *sections, last = name.split("__")
            section: Any = config
            for part in sections:
                section = section[part] if isinstance(section, dict) else getattr(section, part)
            setattr(section, last, value)
        return prepare(config, {})

    return build


@pytest.fixture
def refusal(preparing: Prepare, output_dir: Path) -> Callable[..., str]:
    """What is said of a small run that cannot be: one line, before there is a run."""

    def said(*overrides: str, **changes: Any) -> str:
        before = sorted((output_dir / "runs").glob("*"))
        with pytest.raises((ValueError, OSError)) as error:
            preparing(*overrides, **changes)
        assert "\n" not in str(error.value)
        assert sorted((output_dir / "runs").glob("*")) == before
        return str(error.value)

    return said


@pytest.fixture
def landscape_of(preparing: Prepare, plain_pictures: None) -> Callable[..., Any]:
    """The record of a small run, once it is finished."""

    def record(*overrides: str, **changes: Any) -> Any:
        return run(preparing(*overrides, **changes)).record

    return record


@pytest.fixture
def command(
    command_line: Command,
    output_dir: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    plain_pictures: None,
) -> Command:
    """The command line within this process, in a folder of its own: exit status, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    return command_line


@pytest.fixture
def refused(command: Command, output_dir: Path) -> Callable[..., str]:
    """The one line with which the command line ends, with status 2 and before there is a run."""

    def line(*arguments: str) -> str:
        before = sorted((output_dir / "runs").glob("*"))
        status, out, err = command(*arguments)
        assert err.startswith("study: "), err
        assert err.count("\n") == 1, err
        assert (status, out) == (2, "")
        assert sorted((output_dir / "runs").glob("*")) == before
        return err.removeprefix("study: ").rstrip("\n")

    return line
