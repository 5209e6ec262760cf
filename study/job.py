"""One job of the command line: from Hydra's configuration to a run, whichever process does it."""

import ctypes
import logging
import os
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from hydra.core.hydra_config import HydraConfig  # noqa: TID251
from omegaconf import DictConfig

from study.errors import MISUSED
from study.prepare import prepare
from study.resolve import resolved
from study.run import Outcome, run

FAILED = 1  # exit status
PR_SET_PDEATHSIG = 1  # of Linux's prctl(2)


@dataclass(frozen=True)
class Job:
    """What a launcher calls on the configuration of each job of a sweep, in whatever process.

    Attributes:
        sweep: hash of the sweep.
        driver: id of the process that launches.
        names: of the jobs, by their overrides.
    """

    sweep: str
    driver: int
    names: Mapping[tuple[str, ...], str]

    def __call__(self, config: DictConfig) -> None:
        """Run the job. A mistake or a failure is said, and kept in the record; it is no exception here."""
        if os.getpid() != self.driver:
            _be_a_worker()
        name = self.names[tuple(HydraConfig.get().overrides.task)]
        print(f"{name}: started", flush=True)
        started = time.perf_counter()
        _status, outcome = run_job(config, self.sweep)
        if outcome is not None:
            seconds = time.perf_counter() - started
            print(f"{name}: finished in {seconds:.0f} s, run {outcome.record.config_hash}", flush=True)


def run_job(config: DictConfig, sweep: str | None = None) -> tuple[int, Outcome | None]:
    """Check one job, then run it. A mistake or a failed run is said in one line, and is no exception here.

    Returns:
        The exit status, and how the run ended where it did.
    """
    find_own_code()
    try:
        prepared = prepare(*resolved(config, HydraConfig.get()))
    except (ValueError, OSError) as error:
        print(f"study: {' '.join(str(error).split())}", file=sys.stderr)
        return MISUSED, None
    try:
        return 0, run(prepared, sweep)
    except KeyboardInterrupt:
        raise
    except Exception as error:
        logging.getLogger(__name__).exception("the run failed")
        kept = prepared.record.path / "error.txt"
        print(f"study: the run failed ({error}); its traceback is {kept}", file=sys.stderr)
        return FAILED, None


def find_own_code() -> None:
    """Have Python look for custom code beside the user, too."""
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)


def _be_a_worker() -> None:
    """In a process of a launcher's pool: end with the driver, and leave interruptions to it.

    Ctrl-C reaches every process of a terminal; the driver's own handling of it ends the pool. A driver that
    is killed outright takes its workers along, where the system can do that (Linux).
    """
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _interrupt)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
