"""Disks that are full, cannot be written to, or fail: an error for a change and all that come after it."""

import errno
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.faults.cases import Trouble
from tests.faults.starts import Fault, start
from tests.faults.undisturbed import SWEEP, Undisturbed

ERRORS = ("ENOSPC", "EROFS", "EIO", "EDQUOT")


@dataclass(frozen=True)
class BadDisk:
    """A start whose disk takes no change from a moment on.

    Attributes:
        fault: from which change on, and the error.
    """

    fault: Fault
    fresh_store: bool = False
    others: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """See `Case`."""
        return f"every change fails with {self.fault.kind}"

    def disturb(self, undisturbed: Undisturbed, folder: Path) -> Trouble:
        """Start the sweep; it must say what is wrong in few words, and not end as if all were well."""
        ended = start(SWEEP, folder, self.fault)
        at = str(ended.points[0]) if ended.points else "its end"
        said = os.strerror(getattr(errno, self.fault.kind))
        wrong = ["a process outlived it"] if ended.left else []
        well = ended.status == 0 and ("cannot be reached" in ended.output or not ended.points)
        if ended.status not in {1, 2} and not well:  # well it is where only the mirror was left to be made
            wrong.append(f"{at}: it ended with status {ended.status}: {ended.output[-2000:]}")
        if "Traceback" in ended.output:
            wrong.append(f"{at}: it printed {ended.output[-3000:]}")
        if ended.status and said not in ended.output:
            wrong.append(f"{at}: it did not say {said!r} but {ended.output[-2000:]}")
        return Trouble(at, 1, wrong)


def bad_disks(undisturbed: Undisturbed, draw: random.Random) -> Iterator[BadDisk]:
    """Without end: each error from any change on."""
    changes = [at for at, point in enumerate(undisturbed.points) if point.kind != "commit"]
    number = 0
    while True:
        yield BadDisk(Fault(draw.choice(changes), ERRORS[number % len(ERRORS)]))
        number += 1
