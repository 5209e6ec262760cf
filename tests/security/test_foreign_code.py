"""`custom` is the one door to foreign code: no other words of a configuration are imported or called."""

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hydra.core.global_hydra import GlobalHydra

from study.cli import run_jobs
from study.errors import ConfigError
from study.multirun import is_multirun, jobs_of
from study.paths import root
from study.resolve import composed, typed
from study.training.custom import call_attribute

TARGET = "foreign_code.run"


@pytest.fixture
def marker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What is there as soon as the module `foreign_code`, which is on Python's path, was but imported."""
    file = tmp_path / "marker"
    package = tmp_path / "path" / "foreign_code"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(f"open({str(file)!r}, 'w')\ndef run(*a, **b): pass\n")
    monkeypatch.syspath_prepend(package.parent)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(package.parent), str(root())]))
    monkeypatch.setitem(sys.modules, "foreign_code", None)
    monkeypatch.delitem(sys.modules, "foreign_code")
    return file


@pytest.fixture
def study(marker: Path, output_dir: Path, monkeypatch, capsys) -> Callable[..., str]:
    """What the command line answers, whether it refuses or not."""
    monkeypatch.setattr(sys, "argv", ["study"])
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")

    def call(*arguments: str) -> str:
        with suppress(SystemExit):
            run_jobs(arguments)
        GlobalHydra.instance().clear()
        return "".join(capsys.readouterr())

    return call


@pytest.mark.parametrize(
    ("override", "named"),
    [
        (f"+hydra.callbacks.mine._target_={TARGET}", "hydra.callbacks must be empty"),
        (f"+hydra.callbacks={{mine:{{_target_:{TARGET}}}}}", "hydra.callbacks must be empty"),
        (f"hydra.launcher._target_={TARGET}", "hydra.launcher._target_ must be left"),
        (f"+hydra.launcher.more._target_={TARGET}", "hydra.launcher.more._target_ must be left"),
        (f"+hydra.launcher.more=[{{_target_:{TARGET}}}]", r"hydra.launcher.more\[0\]._target_ must be left"),
        ("+hydra.launcher.more._target_=hydra_plugins.more", "hydra.launcher.more._target_ must be left"),
        (f"hydra.sweeper._target_={TARGET}", "hydra.sweeper._target_ must be left"),
        (f"+hydra.job.more._target_={TARGET}", "hydra.job.more"),
        (f"+hydra.job_logging.handlers.a.class={TARGET}", "hydra/job_logging must be none"),
        ("hydra.job_logging.root={handlers:[a]}", "hydra/job_logging must be none"),
        ("+hydra.hydra_logging.formatters.a.class=foreign_code.run", "hydra/hydra_logging must be none"),
        ("hydra/job_logging=default", "hydra/job_logging must be none, got 'default'"),
        ("hydra.searchpath=[pkg://foreign_code]", "hydra.searchpath must name folders"),
        ("+hydra.searchpath=[file:///tmp,pkg://foreign_code]", "hydra.searchpath must name folders"),
    ],
)
@pytest.mark.parametrize("composing", [is_multirun, jobs_of])
def test_code_that_hydras_own_section_names_is_refused(composing, override, named, marker, output_dir):
    with pytest.raises(Exception, match=named) as refusal:
        composing([override])
    assert isinstance(refusal.value, ConfigError) or "Key 'more' not in" in str(refusal.value)
    assert not marker.exists()


@pytest.mark.parametrize(
    "override",
    [
        f"+model._target_={TARGET}",
        f"+data._target_={TARGET}",
        f"+training.schedule._target_={TARGET}",
        f"+landscape.contour._target_={TARGET}",
        f"+executor._target_={TARGET}",
        f"+_target_={TARGET}",
        f"model={TARGET}",
        f"+data.path={TARGET}",
        "tracking.experiment='${foreign_code:}'",
        "tracking.experiment='${oc.create:foreign_code.run}'",
        "hydra.searchpath=[pkg://foreign_code]",
    ],
)
def test_code_that_another_section_names_is_refused(override, marker, output_dir):
    with pytest.raises(Exception, match=r"foreign_code|_target_|experiment|Key") as refusal:
        typed(composed([override]), [override])
    assert not isinstance(refusal.value, ImportError)
    assert not marker.exists()


def test_arguments_of_own_code_are_data(marker):
    """A node with `_target_` among them reaches the function as it stands."""
    given = {"options": {"_target_": TARGET}}
    assert call_attribute("builtins:dict", "data.path", given) == given
    assert not marker.exists()


def test_the_door_is_there(marker):
    call_attribute("foreign_code:run", "data.path", {})
    assert marker.exists()


def test_a_study_of_somebody_else_cannot_bring_code(study, marker, tmp_path):
    file = tmp_path / "theirs" / "sweeps" / "theirs.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(f"# @package _global_\nhydra:\n  callbacks:\n    a:\n      _target_: {TARGET}\n")
    said = study(f"hydra.searchpath=[file://{file.parents[1]}]", "+sweeps=theirs")
    assert said == "study: hydra.callbacks must be empty, got 'a'\n"
    assert not marker.exists()


def test_a_configuration_of_somebody_else_is_not_taken_for_this_one(study, marker, tmp_path):
    (tmp_path / "config.yaml").write_text("hydra:\n  searchpath: [pkg://foreign_code]\n")
    said = study("--config-path", str(tmp_path), "--cfg", "job")
    assert said.startswith("study: a configuration is made by overrides")
    assert not marker.exists()


def test_hydra_takes_no_plugins_from_the_working_directory(marker, tmp_path, output_dir):
    """Custom code is looked for there, by the name that it is given; plugins would be imported unasked."""
    plugins = tmp_path / "here" / "hydra_plugins"
    plugins.mkdir(parents=True)
    (plugins / "mine.py").write_text("import foreign_code\n")
    command = [sys.executable, "-P", "-m", "study", "-m", "no.key=1,2"]
    said = subprocess.run(command, capture_output=True, text=True, cwd=plugins.parent, timeout=100).stderr
    assert said.startswith("study: no.key is no key of the configuration")
    assert not marker.exists()


def test_showing_a_configuration_runs_none_of_it(study, marker):
    assert TARGET in study("--cfg", "hydra", f"+hydra.callbacks.a._target_={TARGET}")
    assert "plugins" in study("--info", "all", f"+hydra.hydra_logging.handlers.a.class={TARGET}").lower()
    assert not marker.exists()
