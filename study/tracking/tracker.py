"""What a tracker is: it makes its store equal to a record, however often it is asked."""

import logging
from typing import Protocol

from study.record import Record

log = logging.getLogger(__name__)


class Tracker(Protocol):
    """Mirrors records to a store."""

    def mirror(self, record: Record) -> None:
        """Make the store hold what the record holds. Asked twice, it changes nothing the second time."""

    def address(self) -> str | None:
        """Where the store is, without credentials; None if there is none."""


class NullTracker:
    """No store: the record is enough."""

    def mirror(self, record: Record) -> None:
        """Do nothing."""

    def address(self) -> None:
        """None."""


class PatientTracker:
    """A tracker that loses nothing where its store cannot be reached: it says so once, and goes on.

    Attributes:
        tracker: the one that is asked.
        failed: why its store could not be reached, last; None if it could.
    """

    def __init__(self, tracker: Tracker) -> None:
        self.tracker = tracker
        self.failed: str | None = None

    def mirror(self, record: Record) -> None:
        """Mirror the record if the store can be reached."""
        try:
            self.tracker.mirror(record)
            self.failed = None
        except Exception as error:  # whatever a store, a network or a client library may throw
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            if self.failed is None:
                log.warning(
                    "%s cannot be reached (%s); results are safe in %s, and `study sync` uploads them",
                    self.address(),
                    reason,
                    record.path,
                )
            self.failed = reason

    def address(self) -> str | None:
        """The address of the tracker asked."""
        return self.tracker.address()
