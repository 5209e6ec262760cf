"""A measured figure with its limit, and whole processes measured."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

MIB = 2**20


@dataclass(frozen=True)
class Figure:
    """What was measured.

    Attributes:
        name: of what.
        value: as measured.
        unit: of the value.
        limit: the most that is promised; None where nothing is.
        processor: seconds of processor time, where it is a process.
    """

    name: str
    value: float
    unit: str = "s"
    limit: float | None = None
    processor: float | None = None

    @property
    def ok(self) -> bool:
        """Whether it keeps its limit."""
        return self.limit is None or self.value <= self.limit


@dataclass(frozen=True)
class Process:
    """A process that has ended.

    Attributes:
        seconds: by the clock.
        processor: seconds of user and system.
        memory: the most bytes that it held.
        status: that it ended with.
        log: all that it printed.
    """

    seconds: float
    processor: float
    memory: int
    status: int
    log: str


class Started:
    """A process under way, `python -m MODULE ARGUMENTS`, its output in a file.

    Args:
        arguments: of Python.
        log: that file.
    """

    def __init__(self, arguments: Sequence[str], log: Path) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        self.log = log
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, *arguments], stdout=output, stderr=subprocess.STDOUT, start_new_session=True
            )
        self.started = time.perf_counter()

    def end(self) -> Process:
        """Wait for it."""
        _pid, status, used = os.wait4(self.process.pid, 0)
        self.process.returncode = os.waitstatus_to_exitcode(status)
        return Process(
            time.perf_counter() - self.started,
            used.ru_utime + used.ru_stime,
            used.ru_maxrss * 1024,
            self.process.returncode,
            self.log.read_text(errors="replace"),
        )


def study(*arguments: str, log: Path) -> Process:
    """The command line with these arguments, from start to end.

    Raises:
        RuntimeError: if it failed, with the end of what it said.
    """
    done = Started(["-m", "study", *arguments], log).end()
    if done.status != 0:
        raise RuntimeError(f"study {' '.join(arguments)} failed: {done.log[-3000:]}")
    return done


def shown(found: Sequence[Figure]) -> str:
    """A table of figures, for people."""
    width = max(len(own.name) for own in found)
    lines = [f"{'figure':<{width}}  {'value':>10}       {'limit':>8}  ok   processor"]
    for own in found:
        limit = "" if own.limit is None else f"{own.limit:g}"
        ok = "" if own.limit is None else "yes" if own.ok else "NO"
        processor = "" if own.processor is None else f"{own.processor:.1f} s"
        line = f"{own.name:<{width}}  {own.value:>10.2f} {own.unit:<4}  {limit:>8}  {ok:<3}  {processor}"
        lines.append(line.rstrip())
    return "\n".join(lines)
