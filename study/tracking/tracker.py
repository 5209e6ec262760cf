"""What a tracker is: it makes its store equal to a record, however often it is asked."""

import logging
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from study.errors import ConfigError, in_one_line
from study.record import Record, State

PATIENCE = 20.0  # a store that cannot be reached may cost a run one part in this many

log = logging.getLogger(__name__)


class Tracker(Protocol):
    """Mirrors records to a store."""

    def mirror(self, record: Record) -> bool:
        """Make the store hold what the record holds. Asked twice, it changes nothing the second time.

        Returns:
            Whether the store holds it now; not where there is no store, or the record says nothing of itself.
        """

    def link(self, parent: Record, members: Sequence[Record]) -> bool:
        """Put the runs of records below the run of `parent`, all of them mirrored before.

        Returns:
            Whether they lie there now.
        """

    def search(self, words: str) -> list[str]:
        """The hashes of the runs that a search in the store finds, oldest first.

        Raises:
            ConfigError: if the store cannot be searched so.
        """

    def address(self) -> str | None:
        """Where the store is, without credentials; None if there is none."""


class NullTracker:
    """No store: the record is enough."""

    def mirror(self, record: Record) -> bool:
        """Do nothing."""
        return False

    def link(self, parent: Record, members: Sequence[Record]) -> bool:
        """Do nothing."""
        return False

    def search(self, words: str) -> list[str]:
        """Refuse: there is no store.

        Raises:
            ConfigError: always.
        """
        raise ConfigError("--filter", "needs a store to search in, not tracking=none", words)

    def address(self) -> None:
        """None."""


class PatientTracker:
    """A tracker that loses nothing where its store cannot be reached: it says so once, and goes on.

    After a failure a running record is not mirrored for a while, so that a store that is down costs little.

    Attributes:
        tracker: the one that is asked.
        failed: why its store could not be reached, last; None if it could.
    """

    def __init__(self, tracker: Tracker) -> None:
        self.tracker = tracker
        self.failed: str | None = None
        self._next_try = 0.0

    def mirror(self, record: Record) -> bool:
        """Mirror the record if the store can be reached."""
        return self._ask(lambda: self.tracker.mirror(record), record)

    def link(self, parent: Record, members: Sequence[Record]) -> bool:
        """Link the records if the store can be reached."""
        return self._ask(lambda: self.tracker.link(parent, members), parent)

    def search(self, words: str) -> list[str]:
        """Search the store; what goes wrong is the caller's to know."""
        return self.tracker.search(words)

    def _ask(self, question: Callable[[], bool], record: Record) -> bool:
        started = time.monotonic()
        if started < self._next_try and record.state is State.RUNNING:
            return False
        try:
            answer = question()
            self.failed = None
        except Exception as error:  # whatever a store, a network or a client library may throw
            reason = in_one_line(error, 200)
            if self.failed is None:
                log.warning(
                    "%s cannot be reached (%s); results are safe in %s, and `study sync` uploads them",
                    self.address(),
                    reason,
                    record.path,
                )
            self.failed = reason
            self._next_try = time.monotonic() + PATIENCE * (time.monotonic() - started)
            return False
        return answer

    def address(self) -> str | None:
        """The address of the tracker asked."""
        return self.tracker.address()
