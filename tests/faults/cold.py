"""Kills of whole processes, from the moment they are started: a driver with workers, or all at once."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.faults.cases import Trouble
from tests.faults.starts import LONGEST, Ended, outlived
from tests.faults.traces import faults, left
from tests.faults.undisturbed import SWEEP, Undisturbed, of_end

POOL = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
SCRIPT = Path(sys.executable).with_name("study")


@dataclass(frozen=True)
class ColdKill:
    """A sweep of two jobs at once that is killed at some moment of its life, imports included.

    Attributes:
        share: of the time that it takes undisturbed.
        all_at_once: whether its workers are killed with it, as a machine that stops would.
    """

    share: float
    all_at_once: bool
    fresh_store: bool = True
    others: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """See `Case`."""
        return f"started cold, {'all its processes' if self.all_at_once else 'its driver'} killed"

    def disturb(self, undisturbed: Undisturbed, folder: Path) -> Trouble:
        """Start the sweep, and kill it."""
        ended = _start(SWEEP, folder, self.share * undisturbed.seconds, self.all_at_once)
        wrong = ["a process outlived one that was killed"] if ended.left else []
        return Trouble(f"after {self.share:.0%} of its time", 1, wrong)


def undisturbed(folder: Path) -> Undisturbed:
    """The sweep as whole processes, drawing and all.

    Raises:
        RuntimeError: if it does not end well.
    """
    first = folder / "cold"
    made = begin(first)
    if wrong := [*of_end(made), *faults(first)]:
        raise RuntimeError("the sweep goes wrong undisturbed:\n" + "\n".join(wrong))
    return Undisturbed(folder / "none", left(first), [], [], made.seconds, begin)


def begin(folder: Path) -> Ended:
    """Start the sweep, and wait for its end."""
    return _start(SWEEP, folder)


def cold_kills(draw: random.Random) -> Iterator[ColdKill]:
    """Without end: kills at moments that are as likely as each other."""
    while True:
        for all_at_once in (False, True):
            yield ColdKill(draw.uniform(0.0, 1.0), all_at_once)


def _start(
    arguments: Sequence[str], folder: Path, killed_after: float | None = None, all_at_once: bool = False
) -> Ended:
    folder.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    with (folder.with_name(f"{folder.name}.log")).open("w+b") as log:
        process = subprocess.Popen(
            [SCRIPT, *arguments, *POOL, f"output_dir={folder}"],
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd=folder.parent,
        )
        try:
            process.wait(LONGEST if killed_after is None else killed_after)
        except subprocess.TimeoutExpired:
            if all_at_once:
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()
            process.wait()
        left = outlived(process.pid)
        log.seek(0)
        output = log.read().decode(errors="replace")
    return Ended(process.returncode, output, [], left, time.monotonic() - began, [])
