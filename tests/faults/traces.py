"""What a sweep left in its folder: what must be equal whatever happened to it, and what must not be there."""

import csv
import hashlib
import io
import json
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

from study.record import Record
from study.tracking.description import preview_width, previews
from study.tracking.images import scaled

# Times and ids; and which of two runs that need one training did it.
NEVER_TWICE = {"seconds", "created", "record_id", "started", "ended", "trained_by"}
# Files that hold times, checksums of times, or ids.
BY_OTHERS = {"manifest.json", "manifest.copy.json", "mirror.json", "report.html", "report.md"}


def left(output_dir: Path) -> dict[str, Any]:
    """All that a sweep left, by name, without times and ids: its records, and what the store holds."""
    return {**_records(output_dir), **_store(output_dir)}


def differences(found: dict[str, Any], expected: dict[str, Any]) -> list[str]:
    """In what two of them differ, a line each."""
    return [
        f"{name}: {_shown(found, name)} instead of {_shown(expected, name)}"
        for name in sorted(found.keys() | expected.keys())
        if found.get(name) != expected.get(name) or (name in found) != (name in expected)
    ]


def faults(output_dir: Path) -> list[str]:
    """What must be in no folder once a sweep has ended: a line each."""
    return [*_faults_of_records(output_dir), *_faults_of_store(output_dir)]


def _records(output_dir: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for folder in ("runs", "sweeps"):
        for record in sorted((output_dir / folder).glob("*/")):
            if record.name == ".locks":
                continue
            for file in sorted(path for path in record.rglob("*") if path.is_file()):
                name = file.relative_to(record).as_posix()
                key = f"{folder}/{record.name}/{name}"
                data = file.read_bytes().replace(str(output_dir).encode(), b"FOLDER")
                found[key] = "there" if name in BY_OTHERS else _content(name, data)
    return found


def _content(name: str, data: bytes) -> Any:
    """A file's content as it must be again after another start: numbers whole, times left out."""
    if name == "metrics.json":
        series = {key: own for key, own in json.loads(data).items() if "seconds" not in key}
        return {key: [point[:2] for point in own] for key, own in series.items()}
    if name.endswith(".json"):
        return _without_times(json.loads(data))
    if name.endswith(".pdf"):
        return "there"  # the same picture has its parts in another order in another process
    if name.endswith(".yaml"):
        return data.decode()
    if name.endswith(".csv"):
        table = csv.DictReader(io.StringIO(data.decode()))
        return [{key: value for key, value in row.items() if "seconds" not in key} for row in table]
    return hashlib.sha256(data).hexdigest()


def _without_times(tree: Any) -> Any:
    match tree:
        case dict():
            return {key: _without_times(value) for key, value in tree.items() if key not in NEVER_TWICE}
        case list():
            return [_without_times(value) for value in tree]
    return tree


def _faults_of_records(output_dir: Path) -> list[str]:
    found = [f"half-written: {file.relative_to(output_dir)}" for file in output_dir.rglob("*.tmp")]
    for record in [*(output_dir / "runs").glob("*/"), *(output_dir / "sweeps").glob("*/")]:
        if record.name == ".locks":
            continue
        name = record.relative_to(output_dir)
        manifest = _manifest(record)
        there = {path.relative_to(record).as_posix() for path in record.rglob("*") if path.is_file()}
        for file in sorted(there - manifest.keys() - {"manifest.json", "manifest.copy.json"}):
            found.append(f"{name}/{file} is in no manifest")
        for file, checksum in manifest.items():
            if file not in there:
                found.append(f"{name}/{file} is missing")
            elif hashlib.sha256((record / file).read_bytes()).hexdigest() != checksum:
                found.append(f"{name}/{file} has another checksum")
        state = json.loads((record / "state.json").read_bytes())["state"]
        if state != "finished":
            found.append(f"{name} is {state}")
    return found


def _manifest(record: Path) -> dict[str, str]:
    """The checksums that a record lists, its own left out."""
    listed = json.loads((record / "manifest.json").read_bytes())
    return {name: checksum for name, checksum in listed.items() if name != "manifest.json"}


def _store(output_dir: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}
    runs = _runs(output_dir)
    names = {run["id"]: run["tags"].get("config_hash") or run["tags"].get("sweep_hash") for run in runs}
    for run in runs:
        of = f"store/{run['tags'].get('config_hash') or run['tags'].get('sweep_hash')}"
        found |= {f"{of}/{part}": run[part] for part in ("status", "metrics", "artifacts", "data")}
        found[f"{of}/params"] = {
            key: value.replace(str(output_dir), "FOLDER") for key, value in run["params"].items()
        }
        skipped = {"record_id", "mlflow.parentRunId", "trained_by"}
        tags = {key: value for key, value in run["tags"].items() if key not in skipped}
        for run_id, name in names.items():  # descriptions lead to runs by their ids
            tags = {key: value.replace(run_id, str(name)) for key, value in tags.items()}
        found[f"{of}/tags"] = tags
        found[f"{of}/parent"] = run["parent"]
    return found


def _runs(output_dir: Path) -> list[dict[str, Any]]:
    """The runs of the store, by its own tables."""
    database = output_dir / "mlflow.db"
    if not database.is_file():
        return []
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as store:
        rows = store.execute(
            "SELECT run_uuid, status, lifecycle_stage, artifact_uri FROM runs ORDER BY run_uuid"
        ).fetchall()
        runs = [_run(store, *row) for row in rows]
    hashes = {run["id"]: run["tags"].get("config_hash") or run["tags"].get("sweep_hash") for run in runs}
    for run in runs:
        run["parent"] = hashes.get(run["tags"].get("mlflow.parentRunId"))
    return runs


def _run(store: sqlite3.Connection, run_id: str, status: str, stage: str, artifacts: str) -> dict[str, Any]:
    def rows(query: str) -> list[Any]:
        return store.execute(query, (run_id,)).fetchall()

    folder = Path(artifacts.removeprefix("file://"))
    files = {file.relative_to(folder).as_posix(): file for file in folder.rglob("*") if file.is_file()}
    points = rows("SELECT key, step, value, is_nan FROM metrics WHERE run_uuid = ? ORDER BY key, step")
    return {
        "id": run_id,
        "status": status,
        "stage": stage,
        "points": Counter(point[:2] for point in points),
        "metrics": [point for point in points if "seconds" not in point[0]],
        "params": dict(rows("SELECT key, value FROM params WHERE run_uuid = ?")),
        "tags": dict(rows("SELECT key, value FROM tags WHERE run_uuid = ?")),
        "data": len(rows("SELECT 1 FROM inputs WHERE destination_id = ?")),
        "artifacts": sorted(files),
        "checksums": {name: hashlib.sha256(file.read_bytes()).hexdigest() for name, file in files.items()},
    }


def _faults_of_store(output_dir: Path) -> list[str]:
    found = []
    runs = _runs(output_dir)
    hashes = Counter(run["tags"].get("config_hash") or run["tags"].get("sweep_hash") for run in runs)
    found += [f"{count} runs in the store are {name}" for name, count in hashes.items() if count > 1]
    for run in runs:
        of = run["tags"].get("mlflow.runName", run["id"])
        if run["status"] != "FINISHED":
            found.append(f"{of} is {run['status']} in the store")
        twice = [point for point, count in run["points"].items() if count > 1]
        found += [f"{of}: more than one point of {key} at step {step}" for key, step in twice]
        found += [f"{of}: {name} was copied differently" for name in _unlike(output_dir, run)]
    return found


def _unlike(output_dir: Path, run: dict[str, Any]) -> list[str]:
    """The artifacts of a run that have not the bytes of its record, or of its pictures made smaller."""
    config = run["tags"].get("config_hash")
    sweep = run["tags"].get("sweep_hash")
    folder = output_dir / "runs" / config if config else output_dir / "sweeps" / str(sweep)
    expected = _manifest(folder)
    record = Record(folder)
    record.reload()
    if record.holds("run.json"):
        for small, name in previews(record).items():
            picture = scaled(record.read(name), preview_width(record), None, "PNG")
            expected[small] = hashlib.sha256(picture).hexdigest()
    return [name for name, checksum in run["checksums"].items() if expected.get(name) != checksum]


def _shown(left: dict[str, Any], name: str) -> str:
    return repr(left[name])[:300] if name in left else "nothing"
