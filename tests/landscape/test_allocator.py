"""What a process does with the memory that it frees."""

import platform
import subprocess
import sys

import pytest

# The thresholds are glibc's own: on another C library there is nothing to set, which the last test holds.
glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has these thresholds")

FAULTS = """
import resource, sys
import numpy as np
if "keep" in sys.argv:
    from study.landscape.allocator import keep_freed_memory
    assert keep_freed_memory()
for _ in range(3):
    np.ones(2**22)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    np.ones(2**22)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(*arguments):
    asked = [sys.executable, "-c", FAULTS, *arguments]
    return int(subprocess.run(asked, capture_output=True, text=True, check=True).stdout)


@glibc
@pytest.mark.process
def test_memory_that_is_kept_is_not_faulted_in_again():
    """Twenty arrays of 32 MiB, each freed before the next: 8,192 pages of 4 KiB each."""
    assert page_faults("keep") < 100


def test_other_c_libraries_are_left_alone(monkeypatch):
    from study.landscape.allocator import keep_freed_memory

    monkeypatch.setattr(platform, "libc_ver", lambda: ("musl", "1.2"))
    assert not keep_freed_memory()
