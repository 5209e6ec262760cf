"""A run's folder, or a sweep's: all that it produced, and the source of truth.

Every file is written whole or not at all, and counts only once `manifest.json` holds its checksum: what a
kill leaves half-done is found missing, and is made again. The manifest has its own checksum, and a copy.
"""

import hashlib
import json
import logging
import math
import shutil
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any

from study.errors import ConfigError
from study.files import link_atomically, locked, write_atomically

log = logging.getLogger(__name__)

RUNS, SWEEPS, COMPARISONS, POINTS = "runs", "sweeps", "comparisons", "points"  # folders of output_dir
MANIFEST, COPY = "manifest.json", "manifest.copy.json"
MIRROR = "mirror.json"


class State(StrEnum):
    """How far a run has come. A record that says `running` while nobody holds its lock was killed."""

    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    KILLED = "killed"


class DamagedFileError(RuntimeError):
    """A file of a record does not have the checksum that it was written with."""


@dataclass(frozen=True)
class MetricPoint:
    """One value of a metric.

    Attributes:
        key: as MLflow names it, `train/loss`.
        value: not finite where a measure is; a tracker then makes it a tag.
        step: epoch, or 0 for a measure.
        timestamp: milliseconds since 1970, kept when the same step is computed again.
    """

    key: str
    value: float
    step: int
    timestamp: int


@dataclass
class Record:
    """The folder of one run, sweep or comparison. One process at a time writes to it, under `lock`.

    Attributes:
        path: the folder, `output_dir/runs/<config_hash>` for a run.
    """

    path: Path
    _manifest: dict[str, str] = field(default_factory=dict, repr=False)
    _is_held: bool = field(default=False, repr=False)

    @classmethod
    def at(cls, output_dir: str | Path, name: str, folder: str = RUNS) -> "Record":
        """The record of that name in a folder of `output_dir`; it need not exist yet.

        Raises:
            ConfigError: if the name, which a server or another record may have given, is none of one folder.
        """
        if "/" in name or name in {"", ".", ".."}:
            raise ConfigError(f"a record in {folder}", "must be named by one folder", name)
        record = cls(Path(output_dir).resolve() / folder / name)
        record.reload()
        return record

    @classmethod
    def all(cls, output_dir: str | Path, folder: str = RUNS) -> list["Record"]:
        """Every record in a folder of `output_dir`, in order of its name."""
        files = sorted((Path(output_dir).resolve() / folder).glob("*/run.json"))
        return [cls.at(output_dir, file.parent.name, folder) for file in files]

    @property
    def config_hash(self) -> str:
        """Name of the folder: of a run, the hash of its configuration."""
        return self.path.name

    @property
    def output_dir(self) -> Path:
        """The folder that holds this record and those beside it."""
        return self.path.parent.parent

    @property
    def lock_file(self) -> Path:
        """Of this hash; beside the record, as that may be discarded under it."""
        return self.path.parent / ".locks" / f"{self.path.name}.lock"

    @contextmanager
    def lock(self, *, wait: bool = True, waiting: Callable[[], None] | None = None) -> Iterator[bool]:
        """Hold the one lock of this hash, across processes.

        Args:
            wait: whether to wait for another process; if not, False is given where it is taken.
            waiting: called once before a wait.
        """
        if self._is_held:  # by this object: whoever it calls may ask for it again
            yield True
            return
        with locked(self.lock_file, wait, waiting) as held:
            if not held:
                yield False
                return
            self._is_held = True
            try:
                for left in self.path.rglob(".*.tmp"):  # by a process that was killed while it wrote
                    left.unlink(missing_ok=True)
                self.reload()
                yield True
            finally:
                self._is_held = False

    def reload(self) -> None:
        """Read the manifest: another process may have written it. Of one that is damaged, its copy counts.

        So no training is lost with a list, and nothing is read that no list has the checksum of.
        """
        lists = [self._listed(name) for name in (MANIFEST, COPY)]
        listed = next((own for own in lists if own is not None), {})
        self._manifest = {name: checksum for name, checksum in listed.items() if not _leads_out(name)}
        if self._manifest and None in lists:
            self._mend()

    def write(self, name: str, data: bytes | str) -> None:
        """Write a file of the record, and its checksum."""
        content = data.encode() if isinstance(data, str) else data
        checksum = _digest(content)
        if name in self._manifest and self._manifest[name] != checksum:
            self._manifest[name] += f" {checksum}"  # a kill between the two writes leaves one of them right
            self._write_manifest()
        write_atomically(self._file(name), content)
        self._manifest[name] = checksum
        self._write_manifest()

    def write_json(self, name: str, content: Any) -> None:
        """Write JSON-able content as a file of the record."""
        self.write(name, json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n")

    def write_entries(self, name: str, content: Mapping[str, Any]) -> None:
        """Write a JSON-able mapping, an entry a line: for what is long, and written anew at every epoch."""
        dumps = partial(json.dumps, ensure_ascii=False, allow_nan=False)
        self.write(name, _entries(content, dumps) + "\n")

    def read(self, name: str) -> bytes:
        """The content of a file, held against its checksum.

        Raises:
            DamagedFileError: naming the file, if it is missing or has another checksum.
        """
        file = self._file(name)
        if name not in self._manifest or not file.is_file():
            raise DamagedFileError(f"{file} is missing")
        content = file.read_bytes()
        if _digest(content) not in self._manifest[name].split():
            raise DamagedFileError(f"{file} does not have the checksum it was written with")
        return content

    def read_json(self, name: str) -> Any:
        """The JSON content of a file; see `read`."""
        return json.loads(self.read(name))

    def holds(self, name: str) -> bool:
        """Whether a file is there, whole and undamaged."""
        try:
            self.read(name)
        except DamagedFileError:
            return False
        return True

    def take(self, other: "Record", names: Iterable[str]) -> None:
        """Take over files of another record: one more name for the same bytes where the disk allows it.

        Raises:
            DamagedFileError: if one of them is missing or damaged; those before it are taken.
        """
        for name in names:
            content = other.read(name)
            if not link_atomically(other._file(name), self._file(name)):
                write_atomically(self._file(name), content)
            self._manifest[name] = _digest(content)
            self._write_manifest()

    def remove(self, name: str) -> None:
        """Take a file out of the record."""
        self._file(name).unlink(missing_ok=True)  # first: what is in no manifest, nobody would ever remove
        if self._manifest.pop(name, None) is not None:
            self._write_manifest()

    def discard(self) -> None:
        """Remove the whole record; its manifests last: what is in none, nobody would ever miss, or remove."""
        inside = [] if self.path.is_symlink() else [*self.path.rglob("*")]  # rmtree refuses a link
        for file in inside:
            if file.is_file() and file not in {self.path / MANIFEST, self.path / COPY}:
                file.unlink()
        if self.path.exists():
            shutil.rmtree(self.path)
        self._manifest = {}

    def files(self) -> dict[str, str]:
        """Name to checksum of every file."""
        return dict(sorted(self._manifest.items()))

    def create(self, about: dict[str, Any]) -> None:
        """Open a new record: what the run is, with an id of its own and the time."""
        self.write_json("run.json", {"record_id": uuid.uuid4().hex, "created": now(), **about})

    def set_state(self, state: State, **tags: str) -> None:
        """Say how far the run has come; the time of its first start is kept.

        Args:
            state: now.
            tags: what else is to be known of it, as `message`.
        """
        before = self.read_json("state.json") if self.holds("state.json") else {}
        ended = None if state is State.RUNNING else now()
        started = before.get("started", now())
        self.write_json("state.json", {"state": state, "started": started, "ended": ended, "tags": tags})

    @property
    def state(self) -> State | None:
        """How far the run has come; None if it never started."""
        return State(self.read_json("state.json")["state"]) if self.holds("state.json") else None

    def log(self, values: dict[str, float], step: int = 0) -> None:
        """Keep metrics of one step."""
        self.keep(MetricPoint(key, value, step, now()) for key, value in values.items())

    def keep(self, metrics: Iterable[MetricPoint]) -> None:
        """Keep metrics. A key's step that is there already keeps its time, so a mirror sees one point."""
        series = self.read_json("metrics.json") if self.holds("metrics.json") else {}
        for new in metrics:
            points = {point[0]: point for point in series.get(new.key, [])}
            timestamp = points[new.step][2] if new.step in points else new.timestamp
            value = new.value if math.isfinite(new.value) else str(new.value)
            points[new.step] = [new.step, value, timestamp]
            series[new.key] = [points[at] for at in sorted(points)]
        self.write_entries("metrics.json", series)

    def metrics(self) -> list[MetricPoint]:
        """Every metric kept so far."""
        if not self.holds("metrics.json"):
            return []
        return [
            MetricPoint(key, float(value), step, timestamp)
            for key, points in self.read_json("metrics.json").items()
            for step, value, timestamp in points
        ]

    def latest(self) -> dict[str, float]:
        """The last value of each metric."""
        return {point.key: point.value for point in self.metrics()}

    def mirrored(self) -> dict[str, Any]:
        """By address of a tracker's store, what it has got of this record."""
        return self.read_json(MIRROR) if self.holds(MIRROR) else {}

    def set_mirrored(self, address: str, progress: dict[str, Any]) -> None:
        """Keep what a tracker's store has got, so that it is not sent again."""
        before = self.mirrored()
        if before.get(address) != progress:
            self.write_json(MIRROR, {**before, address: progress})

    def mirrored_run_ids(self) -> set[str]:
        """The ids that trackers gave this run."""
        return {progress["run_id"] for progress in self.mirrored().values()}

    def _file(self, name: str) -> Path:
        if _leads_out(name):
            raise DamagedFileError(f"{name!r} is no file within {self.path}")
        return self.path / name

    def _write_manifest(self) -> None:
        content = _listing({MANIFEST: _digest(_listing(self._manifest)), **self._manifest})
        for name in (MANIFEST, COPY):
            write_atomically(self.path / name, content)

    def _mend(self) -> None:
        """Write both manifests anew, unless another process is at work here, or nothing can be written."""
        with suppress(OSError):
            if self._is_held:
                self._write_manifest()
            else:
                with self.lock(wait=False):  # which reads them once more
                    pass

    def _listed(self, name: str) -> dict[str, str] | None:
        """What a manifest lists; None if it is gone, or not as it was written."""
        try:
            listed = dict(json.loads((self.path / name).read_bytes()))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError):
            listed = {MANIFEST: ""}
        own = listed.pop(MANIFEST, None)  # that of the list itself; none in a record of an earlier version
        if own in {None, _digest(_listing(listed))}:
            return listed
        log.warning("%s is damaged: its copy is read, and it is written anew", self.path / name)
        return None


def _listing(manifest: dict[str, str]) -> bytes:
    """A list as it is written: to the byte as ever, as its own checksum is of these bytes."""
    return _entries(manifest).encode()


def _entries(content: Mapping[str, Any], dumps: Callable[[Any], str] = json.dumps) -> str:
    """JSON with an entry a line. Asked for an indent, Python would not use its encoder in C."""
    lines = [f"\n {dumps(key)}: {dumps(value)}" for key, value in content.items()]
    return "{" + ",".join(lines) + ("\n}" if lines else "}")


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _leads_out(name: str) -> bool:
    """Whether a file of this name, which may have been read from a file, would not lie within its record."""
    return not name or name.startswith("/") or ".." in name.split("/")


def now() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000
