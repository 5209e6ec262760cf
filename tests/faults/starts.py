"""Starts of the command line in processes forked after all imports, with a fault in them if one is asked for.

A cold start takes seconds to import what it needs, a fork a tenth of one, so that hundreds of cases take
minutes. The forking process imports, and computes nothing itself.
"""

import errno
import importlib
import json
import os
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from study import cli, comparison_report, curvature, report
from study.figures import comparison, measures, planes, training
from tests.faults.points import Point, watch

LONGEST = 300.0  # seconds that a start may take
LAST_BREATH = 20.0  # seconds within which what a killed process had started must be gone, too


@dataclass(frozen=True)
class Fault:
    """What happens at one change, counted from the start.

    Attributes:
        at: which change, from 0.
        kind: `kill` before it; `tear`, a kill that leaves half of what was written last; or the name of an
            error, as `ENOSPC`, that this and every later change gets.
    """

    at: int
    kind: str


@dataclass(frozen=True)
class Ended:
    """How a start ended.

    Attributes:
        status: exit status, negative for the signal that killed it.
        output: all that it printed.
        points: the changes that it made; with a fault, the one it came to.
        left: whether a process of its group outlived it.
        seconds: that it took.
        imported: the modules that it had at its end.
    """

    status: int
    output: str
    points: list[Point]
    left: bool
    seconds: float
    imported: list[str]


def cheap_drawing() -> None:
    """Have figures be a few bytes, here and in forked processes: drawing is most of a small run."""

    def pictures(name: str, *_rest: object) -> dict[str, bytes]:
        return {f"landscapes/{name}.{suffix}": suffix.encode() for suffix in ("png", "pdf", "html")}

    report.pictures = pictures
    curvature.pictures = lambda *_rest: {f"curvature.{suffix}": suffix.encode() for suffix in ("png", "pdf")}
    drawn = (
        (comparison, ("overlaid_lines", "between_figure")),
        (planes, ("contour_panels",)),
        (measures, ("measures_figure", "against_test_error")),
        (training, ("training_figure",)),
    )
    for module, names in drawn:
        for name in names:
            setattr(module, name, lambda *_rest, **_settings: None)
    comparison_report.render = lambda _figure, format: f"a {format}".encode()
    comparison_report.smaller = lambda picture: picture


def import_before(modules: Sequence[str]) -> None:
    """Import here what a start had imported, so that those forked from now on need not."""
    with warnings.catch_warnings(action="ignore"):
        for name in modules:
            with suppress(Exception):  # made by others as they went, as some of torch's are
                importlib.import_module(name)


def start(
    arguments: Sequence[str],
    output_dir: Path,
    fault: Fault | None = None,
    *,
    killed_after: float | None = None,
    name: str = "start",
) -> Ended:
    """Start `study` with arguments in a process of its own, and wait for its end.

    Args:
        arguments: of the command line, without the folder.
        output_dir: where it writes; points are counted below it.
        fault: what goes wrong.
        killed_after: seconds after which it is killed, if it has not ended.
        name: of the files beside the folder that tell of it; another for each of those at once.
    """
    output_dir.mkdir(parents=True, exist_ok=True)
    log, told, names = (
        output_dir.with_name(f"{output_dir.name}.{name}.{what}") for what in ("log", "points", "modules")
    )
    names.unlink(missing_ok=True)
    began = time.monotonic()
    child = os.fork()
    if child == 0:
        _be(["study", *arguments, f"output_dir={output_dir}"], output_dir, fault, log, told, names)
    status = _wait(child, LONGEST if killed_after is None else killed_after)
    left = outlived(child)
    points = [Point(*json.loads(line)) for line in told.read_text().splitlines()]
    imported = names.read_text().split() if names.exists() else []
    return Ended(status, log.read_text(errors="replace"), points, left, time.monotonic() - began, imported)


def _be(
    arguments: list[str], output_dir: Path, fault: Fault | None, log: Path, told: Path, names: Path
) -> None:
    """Become the command line, in a forked process."""
    status = 70
    try:
        os.setsid()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        into = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(into, 1)
        os.dup2(into, 2)
        sys.stdout = os.fdopen(1, "w", closefd=False)
        sys.stderr = os.fdopen(2, "w", closefd=False)
        points = os.open(told, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
        watch(output_dir, _acting(fault, points))
        sys.argv = arguments
        cli.main()
        status = 0
    except SystemExit as ended:
        status = int(ended.code or 0)
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        names.write_text("\n".join(sys.modules))
        os._exit(status)


def _acting(fault: Fault | None, told: int) -> Callable[[Point], None]:
    """What is done before each change: it is told, counted, and the fault happens when its turn has come."""
    seen = [0]
    grown: list[str] = []  # the file that finished points are added to

    def at(point: Point) -> None:
        here, seen[0] = seen[0], seen[0] + 1
        if fault is None or here == fault.at:
            os.write(told, (json.dumps([point.kind, point.place, point.path]) + "\n").encode())
        if fault is None or here < fault.at:
            if is_point_file(point):
                grown[:] = [point.path]
            return
        if fault.kind in {"kill", "tear"}:
            if fault.kind == "tear":
                _tear(point.path if point.kind == "rename" else grown[0])
            os.kill(os.getpid(), signal.SIGKILL)
        number = getattr(errno, fault.kind)
        raise OSError(number, os.strerror(number), point.path)

    return at


def is_point_file(point: Point) -> bool:
    """Whether a change opens a file that grows by one finished point after the other."""
    return point.kind == "open" and point.place.startswith("points/")


def _tear(path: str) -> None:
    """Leave a file as a kill in the midst of the last write would; a second name is no write."""
    if os.stat(path).st_nlink > 1:
        return
    size = os.path.getsize(path)
    os.truncate(path, size // 2 if path.endswith(".tmp") else max(size - 10, 0))


def _wait(child: int, seconds: float) -> int:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def outlived(group: int) -> bool:
    """Whether a process of a group is left a while after its leader ended; it is then ended too."""
    until = time.monotonic() + LAST_BREATH
    while time.monotonic() < until:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return False
        time.sleep(0.1)
    os.killpg(group, signal.SIGKILL)
    return True
