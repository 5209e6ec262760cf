"""Finished points on disk: by coordinate, whole or not at all, and only for the very same work."""

import base64
import hashlib
import json
import logging
import os
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from study.landscape.evaluator import Measured
from study.landscape.grid import Coordinates

log = logging.getLogger(__name__)

FORMAT = "points/1"
CHECKSUM = 16  # hexadecimal digits
SYNC_EVERY = 1.0  # seconds


@dataclass(frozen=True)
class PointStore:
    """A folder that keeps points between starts, for any number of landscapes.

    What belongs together lies in a folder named by a hash of all that the values depend on: network, weights,
    directions, data, plan, and whatever else the caller says. A grid that is refined or widened finds the
    points that it shares. Each process writes a file of its own, a line a point with its checksum, so that a
    kill costs one line at most, and no lock is needed.

    Attributes:
        folder: made if it is missing.
        about: what the engine cannot see: which loss it is, and what the network's code computes.
    """

    folder: Path
    about: Mapping[str, Any]

    @contextmanager
    def open(self, identity: Mapping[str, Any]) -> Iterator["FoundPoints"]:
        """The points that are kept of this work, and a file to keep more in.

        Args:
            identity: all else that the values depend on; JSON-able.
        """
        content = json.dumps({"format": FORMAT, "about": self.about, "identity": identity}, sort_keys=True)
        key = hashlib.sha256(content.encode()).hexdigest()[:32]
        found = FoundPoints(self.folder / key, key)
        try:
            yield found
        finally:
            found.close()


class FoundPoints:
    """The points of one work: those found, and those added."""

    def __init__(self, folder: Path, key: str) -> None:
        self.measured: dict[Coordinates, Measured] = {}
        self._header = {"format": FORMAT, "key": key}
        self._file = folder / f"{time.time_ns()}-{uuid.uuid4().hex[:8]}.jsonl"
        self._open: BinaryIO | None = None
        self._synced = time.monotonic()
        for file in sorted(folder.glob("*.jsonl")):
            self._read(file)

    def add(self, coordinates: Coordinates, measured: Measured) -> None:
        """Keep a finished point.

        Raises:
            OSError: if it cannot be written.
        """
        self.measured[coordinates] = measured
        if self._open is None:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            self._open = self._file.open("xb", buffering=0)
            self._open.write(_line(self._header))
        examples = {
            name: base64.b64encode(losses.astype("<f4").tobytes()).decode()
            for name, losses in measured.example_losses.items()
        }
        self._open.write(_line({"at": coordinates, "values": measured.values, "examples": examples}))
        if time.monotonic() - self._synced > SYNC_EVERY:
            os.fsync(self._open.fileno())
            self._synced = time.monotonic()

    def close(self) -> None:
        """Bring what was added to the disk."""
        if self._open is not None:
            os.fsync(self._open.fileno())
            self._open.close()
            self._open = None

    def _read(self, file: Path) -> None:
        """Take the points of a file; what is damaged is named, and left out."""
        lines = file.read_bytes().split(b"\n")
        del lines[-1]  # nothing, or a line that a kill cut short
        if not lines:
            return
        header = _content(lines[0])
        if header != self._header:
            log.warning("%s holds other points than its folder says: they are computed again", file)
            return
        damaged = 0
        for line in lines[1:]:
            content = _content(line)
            if content is None:
                damaged += 1
                continue
            examples = {
                name: np.frombuffer(base64.b64decode(losses), "<f4").astype(np.float32)
                for name, losses in content["examples"].items()
            }
            self.measured[tuple(content["at"])] = Measured(content["values"], examples)
        if damaged:
            log.warning("%s: %d points are damaged, and are computed again", file, damaged)


def _line(content: Any) -> bytes:
    text = json.dumps(content).encode()
    return hashlib.sha256(text).hexdigest()[:CHECKSUM].encode() + b" " + text + b"\n"


def _content(line: bytes) -> Any:
    """What a line says, or None if it does not have the checksum it was written with."""
    checksum, _space, text = line.partition(b" ")
    right = hashlib.sha256(text).hexdigest()[:CHECKSUM].encode() == checksum
    return json.loads(text) if right else None
