"""The wheel: built, installed and run away from the checkout."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from study.paths import root

pytestmark = pytest.mark.process

NEEDED = ("pyproject.toml", "README.md", "LICENSE", "study", "conf", "sweeps")


def called(*command: str | Path, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("STUDY_")}
    return subprocess.run(
        [str(word) for word in command],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=folder,
        env={**kept, **variables},
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel that hatchling makes of a copy of the checkout."""
    copy = tmp_path_factory.mktemp("checkout")
    for name in NEEDED:
        source = root() / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, copy / name)
    built = called(
        sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", copy / "dist", folder=copy
    )
    assert built.returncode == 0, built.stderr
    (only,) = (copy / "dist").glob("*.whl")
    return only


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """A folder that holds the wheel's package; it stands before the checkout on Python's path."""
    target = tmp_path_factory.mktemp("installed")
    flags = (
        "--no-deps",
        "--no-index",
        "--no-compile",
        "--disable-pip-version-check",
        "-q",
        "--target",
        target,
    )
    done = called(sys.executable, "-m", "pip", "install", *flags, wheel, folder=target)
    assert done.returncode == 0, done.stderr
    return target


def test_the_wheel_holds_code_configuration_and_sweeps_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    for folder, below in (("study", ""), ("conf", "study/"), ("sweeps", "study/")):
        wanted = {
            f"{below}{file.relative_to(root())}"
            for file in (root() / folder).rglob("*")
            if file.is_file() and "__pycache__" not in file.parts
        }
        assert wanted <= names
    others = {name.partition("/")[0] for name in names} - {"study"}
    assert len(others) == 1
    assert others.pop().endswith(".dist-info")


def test_the_command_of_the_wheel(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (entry,) = (name for name in archive.namelist() if name.endswith("entry_points.txt"))
        assert "study = study.cli:main" in archive.read(entry).decode()


def test_the_wheel_runs_away_from_the_checkout(installed, tmp_path):
    path = {"PYTHONPATH": str(installed)}
    where = called(sys.executable, "-c", "import study; print(study.__file__)", folder=tmp_path, **path)
    assert where.stdout.strip() == str(installed / "study" / "__init__.py")
    helped = called(sys.executable, "-m", "study", "--help", folder=tmp_path, **path)
    assert helped.returncode == 0
    assert "cnn, custom, lenet, mlp" in helped.stdout
    assert "(study reproduce NAME): ainsworth_2022, batch_size, blog_2021, dinh_2017" in helped.stdout
    assert f"Results go to {tmp_path}/outputs" in helped.stdout

    small = ("data.train_examples=64", "data.test_examples=32", "model=mlp", "model.widths=[8]")
    small += ("training.epochs=1", "training.threads=1", "evaluation.threads=1", "tracking=none")
    sweep = ("+sweeps=batch_size", "training.batch_size=16,32", "seed=0", "landscape=[]")
    done = called(sys.executable, "-m", "study", *small, *sweep, folder=tmp_path, **path)
    assert done.returncode == 0, done.stderr
    assert [file.name for file in tmp_path.iterdir()] == ["outputs"]
    records = [file for file in (tmp_path / "outputs" / "runs").iterdir() if not file.name.startswith(".")]
    assert len(records) == 2
    assert all((record / "training.json").is_file() for record in records)
    assert str(installed) not in "".join((record / "run.json").read_text() for record in records)
