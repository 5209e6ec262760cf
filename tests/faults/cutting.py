"""Kills: at each kind of change, within a write, twice, while a store is made, and at any moment."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.faults.cases import Trouble
from tests.faults.points import Point
from tests.faults.starts import Ended, Fault, is_point_file, start
from tests.faults.undisturbed import SWEEP, Undisturbed


@dataclass(frozen=True)
class Kill:
    """A start that is killed at a change, once or more often.

    Attributes:
        faults: one for each start.
        fresh_store: see `Case`.
    """

    faults: tuple[Fault, ...]
    fresh_store: bool = False
    others: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """See `Case`."""
        if self.fresh_store:
            return "killed while the store was made"
        if len(self.faults) > 1:
            return "killed, and killed again"
        return "killed before a change" if self.faults[0].kind == "kill" else "killed within a write"

    def disturb(self, undisturbed: Undisturbed, folder: Path) -> Trouble:
        """Start the sweep once for each fault."""
        starts = [start(SWEEP, folder, fault) for fault in self.faults]
        at = " then ".join(str(own.points[0]) if own.points else "its end" for own in starts)
        wrong = [line for own in starts for line in _of_killed(own)]
        return Trouble(at, len(starts), wrong)


@dataclass(frozen=True)
class KillInTime:
    """A start that is killed after a time, wherever it is then.

    Attributes:
        share: of the time that it takes undisturbed.
    """

    share: float
    kind: str = "killed at any moment"
    fresh_store: bool = False
    others: tuple[str, ...] = ()

    def disturb(self, undisturbed: Undisturbed, folder: Path) -> Trouble:
        """Start the sweep, and kill it."""
        killed = start(SWEEP, folder, killed_after=self.share * undisturbed.seconds)
        return Trouble(f"after {self.share:.0%} of its time", 1, _of_killed(killed))


def kills(undisturbed: Undisturbed, draw: random.Random) -> Iterator[Kill]:
    """Without end: each kind of change once, then any; every fourth start is killed a second time."""
    points = undisturbed.points
    by_kind: dict[str, list[int]] = {}
    for at, point in enumerate(points):
        by_kind.setdefault(str(point), []).append(at)
    kinds = list(by_kind.values())
    draw.shuffle(kinds)
    number = 0
    while True:
        at = draw.choice(kinds.pop() if kinds else range(len(points)))
        faults = [Fault(at, draw.choice(_ways(points, at)))]
        if number % 4 == 3:
            faults.append(Fault(draw.randrange(len(points)), "kill"))
        yield Kill(tuple(faults))
        number += 1


def kills_while_a_store_is_made(undisturbed: Undisturbed, draw: random.Random) -> Iterator[Kill]:
    """Without end: kills before a commit of the store's own tables, or the change after them."""
    made = [at for at, point in enumerate(undisturbed.making) if _makes_a_store(point)]
    while True:
        yield Kill((Fault(draw.choice([*made, made[-1] + 1]), "kill"),), fresh_store=True)


def kills_in_time(draw: random.Random) -> Iterator[KillInTime]:
    """Without end: kills at moments that are as likely as each other."""
    while True:
        yield KillInTime(draw.uniform(0.0, 1.0))


def _ways(points: list[Point], at: int) -> list[str]:
    """How a start can be cut off at a change: also within the write before it, where that is one to tear."""
    torn = points[at].kind == "rename" or (at > 0 and is_point_file(points[at - 1]))
    return ["kill", "tear"] if torn else ["kill"]


def _makes_a_store(point: Point) -> bool:
    return point.kind == "commit" and ("alembic" in point.place or "CREATE" in point.place)


def _of_killed(ended: Ended) -> list[str]:
    """What is wrong with a start that was killed, or came to its end before it could be."""
    wrong = ["a process outlived one that was killed"] if ended.left else []
    if ended.status not in {-9, 0}:
        wrong.append(f"the start to be killed ended with status {ended.status}: {ended.output[-2000:]}")
    return wrong
