"""What the fault harness would see: each kind of loss, in a folder that has it."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from study.run import Outcome
from tests.faults.damaging import damage
from tests.faults.points import place
from tests.faults.traces import differences, faults, left


@pytest.fixture
def whole(
    start: Callable[..., Outcome], plain_pictures: None, local_store: Path, output_dir: Path
) -> tuple[Path, Path]:
    """A folder with a run that is mirrored to a store, and the record in it."""
    return output_dir, start(tracking="local").record.path


def test_a_folder_with_nothing_wrong_has_no_faults_and_is_like_itself(whole: tuple[Path, Path]):
    folder, _record = whole
    assert faults(folder) == []
    assert differences(left(folder), left(folder)) == []
    assert {name.split("/")[0] for name in left(folder)} == {"runs", "store"}


def test_a_number_that_differs_is_seen(whole: tuple[Path, Path]):
    folder, record = whole
    before = left(folder)
    metrics = json.loads((record / "metrics.json").read_bytes())
    metrics["train/loss"][1][1] += 1e-12
    (record / "metrics.json").write_text(json.dumps(metrics))
    (found,) = differences(left(folder), before)
    assert found.startswith(f"runs/{record.name}/metrics.json: ")
    assert faults(folder) == [f"runs/{record.name}/metrics.json has another checksum"]


@pytest.mark.parametrize("way", ["a bit flipped", "cut short", "emptied", "removed"])
def test_damage_is_seen(whole: tuple[Path, Path], way: str):
    folder, record = whole
    before = left(folder)
    damage(record / "landscapes/line.npz", way, 0.5)
    assert len(differences(left(folder), before)) == 1
    assert len(faults(folder)) == 1


def test_what_is_half_written_or_nobodys_is_seen(whole: tuple[Path, Path]):
    folder, record = whole
    (record / ".report.md.x.tmp").write_bytes(b"half")
    (record / "other.txt").write_bytes(b"whose?")
    assert len(faults(folder)) == 3  # the first is in no manifest either
    assert len(differences(left(folder), {})) == len(left(folder))


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE runs SET status = 'RUNNING'", "is RUNNING in the store"),
        (
            "INSERT INTO metrics (key, value, timestamp, run_uuid, step, is_nan) "
            "SELECT key, value, timestamp + 1, run_uuid, step, is_nan FROM metrics LIMIT 1",
            "more than one point of ",
        ),
    ],
)
def test_a_store_that_is_not_as_it_must_be_is_seen(whole: tuple[Path, Path], statement: str, said: str):
    folder, _record = whole
    before = left(folder)
    with closing(sqlite3.connect(folder / "mlflow.db")) as store, store:
        store.execute(statement)
    (found,) = faults(folder)
    assert said in found
    assert len(differences(left(folder), before)) == 1


def test_artifacts_that_differ_or_are_missing_are_seen(whole: tuple[Path, Path]):
    folder, _record = whole
    before = left(folder)
    (artifact,) = (folder / "mlartifacts").rglob("line.npz")
    artifact.write_bytes(b"other")
    assert len(faults(folder)) == 1
    shutil.copy(artifact, artifact.with_name(".artifact.uploading.x"))
    (found,) = differences(left(folder), before)
    assert "/artifacts: " in found


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("runs/cb3d2114179658f7/.metrics.json.w3_x-9.tmp", "runs/*/.metrics.json.tmp"),
        ("runs/cb3d2114179658f7/checkpoints/update_0000004.safetensors", "runs/*/checkpoints/update_#"),
        ("points/b19c8fae3087cc83f18e0a098519a355/17956784-8a6a6704.jsonl", "points/*/#.jsonl"),
        ("mlartifacts/1/.artifact.uploading.x_1", "mlartifacts/1/.artifact.uploading"),
    ],
)
def test_places_are_named_alike_from_start_to_start(name: str, expected: str):
    assert place(name).removesuffix(".safetensors") == expected
