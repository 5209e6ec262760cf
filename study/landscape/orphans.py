"""Processes that do not outlive the one that started them, however that ended."""

import os
import threading
import time
from collections.abc import Callable

WATCHED_EVERY = 0.5  # seconds


def when_orphaned(parent: int, act: Callable[[], object]) -> None:
    """Have `act` called, in a thread, once this process has another parent than the one of this id."""
    _when(lambda: os.getppid() != parent, act)


def when_gone(process: int, act: Callable[[], object]) -> None:
    """Have `act` called, in a thread, once there is no process of this id on this machine.

    One that has ended is there until its parent has heard of it: for a parent, `when_orphaned` is sooner.
    """

    def is_gone() -> bool:
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            pass
        return False

    _when(is_gone, act)


def _when(happened: Callable[[], bool], act: Callable[[], object]) -> None:
    def watch() -> None:
        while not happened():
            time.sleep(WATCHED_EVERY)
        act()

    threading.Thread(target=watch, daemon=True).start()
