"""Processes that do not outlive the one that started them, however that ended."""

import os
import threading
import time
from collections.abc import Callable

WATCHED_EVERY = 0.5  # seconds


def when_orphaned(parent: int, act: Callable[[], object]) -> None:
    """Have `act` called, in a thread, once this process has another parent than the one of this id."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(WATCHED_EVERY)
        act()

    threading.Thread(target=watch, daemon=True).start()
