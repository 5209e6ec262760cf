"""Sweeps that are started at once: the same one twice, or two that share runs, a store and points."""

import os
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.faults.cases import Trouble
from tests.faults.starts import start
from tests.faults.undisturbed import SWEEP, Undisturbed, of_end


@dataclass(frozen=True)
class AtOnce:
    """Starts of sweeps at once.

    Attributes:
        others: seeds of the sweeps beside the sweep itself, each as an override.
        killed: the share of its time after which the last of them is killed; None lets it end.
    """

    others: tuple[str, ...]
    killed: float | None = None
    fresh_store: bool = True

    @property
    def kind(self) -> str:
        """See `Case`."""
        same = set(self.others) == {"seed=0,1"}
        what = "the same sweep twice at once" if same else "sweeps that share runs at once"
        return what if self.killed is None else f"{what}, one killed"

    def disturb(self, undisturbed: Undisturbed, folder: Path) -> Trouble:
        """Start them all, and wait for all; one that was killed is started again."""
        sweeps = ["seed=0,1", *self.others]
        after: list[float | None] = [None] * len(sweeps)
        if self.killed is not None:
            after[-1] = self.killed * undisturbed.seconds
        children = [
            _in_a_process([*SWEEP[:-1], seeds], folder, killed_after, f"start-{number}")
            for number, (seeds, killed_after) in enumerate(zip(sweeps, after, strict=True))
        ]
        ends = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        wrong = [f"they ended with {ends}"] if any(ends) else []
        if self.killed is not None:
            wrong += of_end(start([*SWEEP[:-1], sweeps[-1]], folder))
        return Trouble(" and ".join(sweeps), len(sweeps), wrong)


def _in_a_process(arguments: Sequence[str], folder: Path, killed_after: float | None, name: str) -> int:
    """A process that starts a sweep, and ends with 0 if that ended as it was to."""
    child = os.fork()
    if child == 0:
        status = 70
        try:
            ended = start(arguments, folder, killed_after=killed_after, name=name)
            status = 0 if killed_after is not None else min(len(of_end(ended)), 1)
        finally:
            os._exit(status)
    return child


def sharings(draw: random.Random) -> Iterator[AtOnce]:
    """Without end: the same sweep, and others that share a seed with it, with and without a kill."""
    while True:
        for others in (("seed=0,1",), ("seed=1,2",), ("seed=0,1", "seed=0,1"), ("seed=1,2", "seed=2,0")):
            yield AtOnce(others)
            yield AtOnce(others, killed=draw.uniform(0.1, 1.0))
