"""How far the jobs of a sweep are, in whatever processes, and about how long the others will take."""

import math
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

BEGUN, ENDED = "begun", "ended"
NO_WORK = "-"  # in the place of the seconds of a job whose run another process had finished


@dataclass(frozen=True)
class Tally:
    """What every job of a sweep adds a line to as it begins, and as it ends.

    Attributes:
        file: that holds the lines; shared by all processes.
        total: how many jobs there are.
    """

    file: Path
    total: int

    def begin(self, job: str) -> None:
        """Add that a job begins."""
        self._add(BEGUN, NO_WORK, job)

    def end(self, job: str, seconds: float | None) -> None:
        """Add that a job ended, after so many seconds of work; None where it found its work done."""
        self._add(ENDED, NO_WORK if seconds is None else f"{seconds:.1f}", job)

    def words(self) -> str:
        """How far the sweep is, and about how long the rest will take, at the pace of the jobs that ended.

        The rest is shared by as many processes as had a job at once so far.
        """
        running: set[str] = set()
        ended: dict[str, float | None] = {}
        most = 1
        for word, seconds, job in self._lines():
            if word == BEGUN:
                running.add(job)
                most = max(most, len(running))
            else:
                running.discard(job)
                ended[job] = None if seconds == NO_WORK else float(seconds)
        left = max(self.total - len(ended), 0)
        said = f"{len(ended)} of {self.total} runs done"
        took = [seconds for seconds in ended.values() if seconds is not None]
        if not (left and took):
            return said
        return f"{said}, about {in_words(math.ceil(left / most) * sum(took) / len(took))} left"

    def clear(self) -> None:
        """Begin anew, or leave nothing behind."""
        with suppress(OSError):
            self.file.unlink(missing_ok=True)

    def _add(self, *words: str) -> None:
        with suppress(OSError), self.file.open("a") as lines:  # an estimate is worth no job
            lines.write(" ".join(words) + "\n")

    def _lines(self) -> list[tuple[str, str, str]]:
        try:
            text = self.file.read_text()
        except OSError:
            return []
        found = [line.split(" ", 2) for line in text.splitlines()]
        return [(line[0], line[1], line[2]) for line in found if len(line) == 3]


def in_words(seconds: float) -> str:
    """A time of which no more is known than about how long it is."""
    if seconds < 90:
        return f"{max(math.ceil(seconds / 5) * 5, 5)} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
