"""Jobs in processes of their own: they end when they are told to, whatever they do then."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from study.errors import INTERRUPTED
from study.files import locked

pytestmark = pytest.mark.process

LETS_NO_INTERRUPT_THROUGH = """
import signal, sys, time
from pathlib import Path
from study import job

job.LAST_WORDS = 0.2
signal.signal(signal.SIGTERM, lambda _number, _frame: print("told", flush=True))
job._watch(*map(Path, sys.argv[1:]))
print("watching", flush=True)
while True:
    time.sleep(0.05)
"""


@pytest.mark.parametrize("told", ["by its file", "by its driver's end"])
def test_a_job_that_lets_no_interrupt_through_ends_all_the_same(tmp_path: Path, told: str):
    alive, stop = tmp_path / "alive.lock", tmp_path / "stop"
    with locked(alive):
        job = subprocess.Popen(
            [sys.executable, "-c", LETS_NO_INTERRUPT_THROUGH, alive, stop], stdout=subprocess.PIPE, text=True
        )
        assert job.stdout is not None
        assert job.stdout.readline() == "watching\n"
        time.sleep(1.0)
        assert job.poll() is None  # while the driver lives, it is left alone
        if told == "by its file":
            stop.touch()
            assert job.wait(20) == INTERRUPTED
    assert job.wait(20) == INTERRUPTED
    assert job.stdout.read() == "told\n"
