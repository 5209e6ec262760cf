"""How this process keeps the memory that it frees."""

import ctypes
import platform

TRIM_THRESHOLD, TOP_PAD, MMAP_MAX = -1, -2, -4  # of <malloc.h>
KEPT = 2**31 - 1  # bytes that may lie free before any goes back
AHEAD = 2**26  # bytes asked for at once

_kept = False


def keep_freed_memory() -> bool:
    """Let glibc keep what is freed, instead of giving it back and faulting it in again, page by page.

    Activations of a micro-batch are freed and asked for again at every step; by default glibc maps each of
    them anew, and the page faults cost as much as the arithmetic. The command line and the processes that it
    starts call this; the library never does.

    Returns:
        Whether the thresholds were set; False where the C library is another.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    global _kept
    mallopt = ctypes.CDLL(None).mallopt
    _kept = all(mallopt(*pair) == 1 for pair in ((MMAP_MAX, 0), (TRIM_THRESHOLD, KEPT), (TOP_PAD, AHEAD)))
    return _kept


def keeps_freed_memory() -> bool:
    """Whether `keep_freed_memory` was called here, and could do what it says."""
    return _kept
