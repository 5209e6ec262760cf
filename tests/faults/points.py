"""Where a process can be cut off: every change that it makes below a folder, seen just before it is made.

Python's audit events tell of each file that is opened for writing, renamed, linked or removed, whoever does
it: this project, MLflow, Hydra, a file lock. The store's commits are told by SQLAlchemy. Before a change, and
after the one that came before it, are the same moment: so these are all the moments at which a kill can leave
another state on the disk, and those within a write are made by tearing what was written last.
"""

import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

CHANGES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
EVENTS = {"open": 0, "os.rename": 1, "os.link": 1, "os.remove": 0, "os.mkdir": 0, "os.rmdir": 0}  # whose path


@dataclass(frozen=True)
class Point:
    """A change that is about to be made.

    Attributes:
        kind: `open`, `rename`, `link`, `remove`, `mkdir`, `rmdir`, or the store's `commit`.
        place: which file, without what differs from start to start; of a commit, the statement before it.
        path: the file itself; of a rename, the one that is about to get its name; none of a commit.
    """

    kind: str
    place: str
    path: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.place}"


def watch(folder: Path, at: Callable[[Point], None]) -> None:
    """Have `at` called before every change below `folder`, until this process ends.

    What `at` raises is raised in place of the change.
    """
    root, within = f"{folder.resolve()}/", [False]

    def heard(event: str, arguments: tuple[object, ...]) -> None:
        if event not in EVENTS or within[0]:
            return
        path = arguments[EVENTS[event]]
        if isinstance(path, bytes):
            path = path.decode()
        if not isinstance(path, str | os.PathLike):
            return  # a file that is open already
        name = os.path.abspath(path)
        if not name.startswith(root) or (event == "open" and not _changes(arguments)):
            return
        if event == "os.mkdir" and os.path.isdir(name):
            return
        risked = os.fspath(arguments[0]) if event == "os.rename" else name
        told(Point(event.removeprefix("os."), place(name.removeprefix(root)), str(risked)))

    def told(point: Point) -> None:
        within[0] = True
        try:
            at(point)
        finally:
            within[0] = False

    sys.addaudithook(heard)
    _watch_commits(lambda statement: told(Point("commit", statement)))


def place(name: str) -> str:
    """A file's name without hashes, ids and random parts: equal from start to start."""
    name = re.sub(r"\.[\w-]+\.tmp$", ".tmp", name)
    name = re.sub(r"(\.artifact\.uploading)\..*$", r"\1", name)
    name = re.sub(r"[^/]+\.jsonl$", "#.jsonl", name)
    name = re.sub(r"[0-9a-f]{12,}", "*", name)
    return re.sub(r"\d{3,}[-\w]*", "#", name)


def _changes(arguments: tuple[object, ...]) -> bool:
    _path, mode, flags = arguments
    return bool(int(flags) & CHANGES) if mode is None else any(letter in str(mode) for letter in "wax+")


def _watch_commits(at: Callable[[str], None]) -> None:
    """Have `at` called before each commit to a database, with the last statement that changed it."""
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    last = ["nothing"]

    def executing(_connection, _cursor, statement, *_rest) -> None:
        words = statement.replace('"', " ").split()
        if words[0] in {"INSERT", "UPDATE", "DELETE", "CREATE", "ALTER", "DROP"}:
            others = {"INTO", "FROM", "TABLE", "UNIQUE"}
            last[0] = f"{words[0]} {next(word for word in words[1:] if word not in others)}"

    def committing(_connection) -> None:
        if last[0] != "nothing":
            at(last[0])
        last[0] = "nothing"

    event.listen(Engine, "before_cursor_execute", executing)
    event.listen(Engine, "commit", committing)
