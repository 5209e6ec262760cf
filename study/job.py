"""One job of the command line: from Hydra's configuration to a run, whichever process does it."""

import logging
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from omegaconf import DictConfig

from study.bars import QUIET
from study.credentials import hidden
from study.errors import FAILED, INTERRUPTED, MISUSED, disk_trouble, in_one_line, interrupt
from study.files import locked
from study.garbage import leave_garbage_at_exit
from study.landscape.allocator import keep_freed_memory
from study.landscape.orphans import WATCHED_EVERY, when_orphaned
from study.prepare import prepare
from study.resolve import resolved
from study.run import Outcome, run
from study.tally import Tally

LAST_WORDS = 10.0  # seconds that a job has to say in its record that it was stopped


@dataclass(frozen=True)
class Job:
    """What a launcher calls on the configuration of each job of a sweep, in whatever process.

    Attributes:
        sweep: hash of the sweep.
        names: of the jobs, by their overrides.
        driver: id of the process that launches.
        alive: the lock that the driver holds as long as it lives.
        stop: a file that tells every job to stop, once it is there.
        tally: how far the jobs are.
    """

    sweep: str
    names: Mapping[tuple[str, ...], str]
    driver: int
    alive: Path
    stop: Path
    tally: Tally

    def __call__(self, config: DictConfig) -> None:
        """Run the job. A mistake or a failure is said, and kept in the record; it is no exception here."""
        if os.getpid() == self.driver:
            self._run(config)
            return
        logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
        os.environ[QUIET] = "1"  # bars of several processes would overwrite each other
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal: the driver sees to it
        signal.signal(signal.SIGTERM, interrupt)
        keep_freed_memory()
        leave_garbage_at_exit()
        _watch(self.alive, self.stop)
        try:
            self._run(config)
        except KeyboardInterrupt:
            os._exit(INTERRUPTED)  # the record says so; a pool would only print a traceback
        finally:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def _run(self, config: DictConfig) -> None:
        name = self.names[tuple(HydraConfig.get().overrides.task)]
        print(f"{name}: started", flush=True)
        self.tally.begin(name)
        started = time.perf_counter()
        _status, outcome = run_job(config, self.sweep)
        seconds = time.perf_counter() - started
        self.tally.end(name, None if outcome is not None and outcome.reused else seconds)
        if outcome is not None:
            print(f"{name}: finished in {seconds:.0f} s, run {outcome.record.config_hash}", flush=True)
        if sys.stderr.isatty():
            print(self.tally.words(), file=sys.stderr, flush=True)


def run_job(config: DictConfig, sweep: str | None = None) -> tuple[int, Outcome | None]:
    """Check one job, then run it. A mistake or a failed run is said in one line, and is no exception here.

    Returns:
        The exit status, and how the run ended where it did.
    """
    find_own_code()
    try:
        prepared = prepare(*resolved(config, HydraConfig.get()))
    except (ValueError, OSError) as error:
        print(f"study: {in_one_line(error)}", file=sys.stderr)
        return MISUSED, None
    try:
        return 0, run(prepared, sweep)
    except KeyboardInterrupt:
        raise
    except Exception as error:
        if trouble := disk_trouble(error):
            print(f"study: {trouble}", file=sys.stderr)
            return FAILED, None
        logging.getLogger(__name__).error("the run failed\n%s", hidden(traceback.format_exc().rstrip()))
        kept = prepared.record.path / "error.txt"
        print(f"study: the run failed ({in_one_line(error)}); its traceback is {kept}", file=sys.stderr)
        return FAILED, None


def end_without_driver(driver: int) -> None:
    """Have a process of a pool end with its driver, also while it waits for its first job.

    From then on the job itself sees to that, and says in its record how it ended.
    """

    def end() -> None:
        if not _watch.cache_info().currsize:
            os._exit(INTERRUPTED)

    when_orphaned(driver, end)


def find_own_code() -> None:
    """Have Python look for custom code beside the user, too."""
    Plugins.instance()  # Hydra looks for plugins once, on the whole path: now, and not beside the user
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)


@cache  # once a process, however many jobs it runs
def _watch(alive: Path, stop: Path) -> None:
    """Have this process end when it is told to stop, or its driver is gone: the lock is then free.

    Code that lets no interrupt through, such as a destructor's, does not keep it from that.
    """

    def watch() -> None:
        gone = False
        while not (gone or stop.exists()):
            time.sleep(WATCHED_EVERY)
            with locked(alive, wait=False) as gone:
                pass
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(LAST_WORDS)
        os._exit(INTERRUPTED)

    threading.Thread(target=watch, daemon=True).start()
