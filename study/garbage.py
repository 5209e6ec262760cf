"""When a process looks for garbage: not among what it loads, nor among what it leaves."""

import atexit
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache


@contextmanager
def loading() -> Iterator[None]:
    """Import modules. They make no garbage, and looking for it in hundreds of them is a fifth of a start."""
    was_looking = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_looking:
            gc.enable()


@cache  # once a process
def leave_garbage_at_exit() -> None:
    """Have this process end without looking for garbage, which takes a second where PyTorch is loaded.

    All its memory is given back anyhow. What is registered with `atexit` from now on is called before.
    """
    atexit.register(gc.freeze)
