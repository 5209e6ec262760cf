"""The wheel: built, installed and run away from the checkout."""

import sys
import zipfile

import pytest

from study.paths import root
from tests.away import called

pytestmark = pytest.mark.process


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
