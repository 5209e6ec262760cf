"""Who computes the points of a landscape: this process, processes beside it, or a Ray cluster.

Only the driver knows of stores, files and trackers: workers hold network, geometry and data, are told
coordinates, and give back numbers. Those are the same whoever computes them.
"""

import logging
import os
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from study.landscape.allocator import keep_freed_memory
from study.landscape.evaluator import Measured
from study.landscape.grid import Coordinates
from study.landscape.orphans import when_gone, when_orphaned
from study.landscape.survey import Measure, Survey

MOST_DEATHS = 3  # of workers on the same points, before these are given up

Mapper = Callable[[Sequence[Coordinates]], Iterator[tuple[Coordinates, Measured]]]
"""Measures points, and gives each with its values in the order in which they are finished."""


class WorkerDiedError(RuntimeError):
    """Workers died again and again on the same points; all others were computed."""


class Executor(Protocol):
    """Gives workers to a survey."""

    @property
    def device(self) -> str | None:
        """Where its workers compute; None is the model's own device."""

    def open(self, survey: Survey) -> AbstractContextManager[Mapper]:
        """Workers that hold the survey, until the context ends."""


@dataclass(frozen=True)
class Serial:
    """This process, with the threads that it has."""

    device: None = None

    @contextmanager
    def open(self, survey: Survey) -> Iterator[Mapper]:
        """See `Executor.open`."""
        with survey.open() as measure:

            def mapped(points: Sequence[Coordinates]) -> Iterator[tuple[Coordinates, Measured]]:
                for part in _parts(points, survey):
                    yield from zip(part, measure(part), strict=True)

            yield mapped


@dataclass(frozen=True)
class Joblib:
    """Processes of this machine, by joblib's loky.

    Attributes:
        workers: number of processes.
        threads: of each.
    """

    workers: int
    threads: int = 1
    device: None = None

    @contextmanager
    def open(self, survey: Survey) -> Iterator[Mapper]:
        """See `Executor.open`."""
        crew = _Crew(self.workers, lambda: _Process(survey, self.threads), (BrokenExecutor,))
        try:
            yield lambda points: crew.map(_parts(points, survey))
        finally:
            crew.dismiss()


@dataclass(frozen=True)
class Ray:
    """Actors of a Ray cluster, or of one that is started on this machine and ends with the landscape.

    Attributes:
        workers: number of actors.
        threads: of each, asked of Ray as processors.
        address: of a running cluster, `auto` for the one that this machine belongs to; None starts one.
        gpus_per_worker: asked of Ray for each actor, which then computes on its GPU; may be a fraction.
    """

    workers: int
    threads: int = 1
    address: str | None = None
    gpus_per_worker: float = 0.0

    @property
    def device(self) -> str | None:
        """See `Executor.device`."""
        return "cuda" if self.gpus_per_worker > 0 else None

    @contextmanager
    def open(self, survey: Survey) -> Iterator[Mapper]:
        """See `Executor.open`."""
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        import ray

        started = not ray.is_initialized()
        local = started and self.address is None
        if started:
            ray.init(
                address=self.address or "local",
                num_cpus=self.workers * self.threads if local else None,
                include_dashboard=False if local else None,
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
        crew = None
        try:
            size = self._size(ray.cluster_resources())
            held = ray.put(survey)
            driver = (
                os.getpid() if local else None
            )  # elsewhere its id says nothing: Ray sees to it, in seconds
            actor = ray.remote(_Holder).options(num_cpus=self.threads, num_gpus=self.gpus_per_worker)
            crew = _Crew(
                size,
                lambda: _Actor(actor.remote(held, self.threads, driver), ray.kill),
                (ray.exceptions.RayActorError,),
            )
            yield lambda points: crew.map(_parts(points, survey))
        finally:
            if crew is not None:
                crew.dismiss()
            if started:
                ray.shutdown()

    def _size(self, resources: Mapping[str, float]) -> int:
        """How many workers the cluster has room for: one that waits for room would keep its points waiting.

        Raises:
            ValueError: if it has room for none.
        """
        size = self.workers
        for name, each in (("CPU", self.threads), ("GPU", self.gpus_per_worker)):
            if each > 0:
                there = resources.get(name, 0.0)
                if there < each:
                    raise ValueError(
                        f"a worker must find its {each:g} {name} in the Ray cluster, which has {there:g}"
                    )
                size = min(size, int(there / each))
        return size


class _Worker(Protocol):
    def submit(self, points: Sequence[Coordinates]) -> "Future[list[Measured]]": ...

    def dismiss(self) -> None: ...


class _Crew:
    """Workers that outlive one another's deaths.

    Args:
        size: the most workers at once.
        hire: starts one.
        deaths: the errors by which a future says that its worker has died.
    """

    def __init__(self, size: int, hire: Callable[[], _Worker], deaths: tuple[type[Exception], ...]) -> None:
        self._size = size
        self._hire = hire
        self._deaths = deaths
        self._idle: list[_Worker] = []
        self._busy: dict[Future[list[Measured]], tuple[_Worker, tuple[Coordinates, ...]]] = {}

    def map(self, parts: Sequence[tuple[Coordinates, ...]]) -> Iterator[tuple[Coordinates, Measured]]:
        """Measure every part; one whose worker dies goes to another, and is given up at the third death.

        Raises:
            WorkerDiedError: at the end, if parts were given up; at once, if three were and nothing was
                finished between them.
        """
        waiting = deque(parts)
        deaths: Counter[tuple[Coordinates, ...]] = Counter()
        given_up: list[tuple[Coordinates, ...]] = []
        fruitless = 0  # parts given up since one was finished
        while (waiting or self._busy) and fruitless < MOST_DEATHS:
            while waiting and len(self._busy) < self._size:
                part = waiting.popleft()
                worker = self._idle.pop() if self._idle else self._hire()
                self._busy[worker.submit(part)] = (worker, part)
            for future in wait(self._busy, return_when=FIRST_COMPLETED).done:
                worker, part = self._busy.pop(future)
                error = future.exception()
                if isinstance(error, self._deaths):
                    worker.dismiss()
                    deaths[part] += 1
                    if deaths[part] < MOST_DEATHS:
                        waiting.append(part)
                    else:
                        given_up.append(part)
                        fruitless += 1
                        reason = error
                    continue
                self._idle.append(worker)
                if error is not None:
                    raise error
                fruitless = 0
                yield from zip(part, future.result(), strict=True)
        if given_up:
            points = ", ".join(str(coordinates) for part in given_up for coordinates in part)
            why = " ".join(str(reason).split())[:300]
            raise WorkerDiedError(f"{MOST_DEATHS} workers died on each of the points {points}: {why}")

    def dismiss(self) -> None:
        """End every worker."""
        for worker in [*self._idle, *(worker for worker, _part in self._busy.values())]:
            worker.dismiss()
        self._idle, self._busy = [], {}


class _Process:
    """A process of its own, so that a death can be laid to the points that it worked on."""

    def __init__(self, survey: Survey, threads: int) -> None:
        from joblib.externals.loky.process_executor import ProcessPoolExecutor

        self._pool = ProcessPoolExecutor(
            max_workers=1, initializer=_hold, initargs=(survey, threads, os.getpid())
        )

    def submit(self, points: Sequence[Coordinates]) -> "Future[list[Measured]]":
        try:
            return self._pool.submit(_measure, points)
        except BrokenExecutor as error:  # it died while it was idle
            failed: Future[list[Measured]] = Future()
            failed.set_exception(error)
            return failed

    def dismiss(self) -> None:
        self._pool.shutdown(wait=True, kill_workers=True)


class _Actor:
    """A handle of a `_Holder` in a Ray cluster."""

    def __init__(self, handle: Any, kill: Callable[[Any], None]) -> None:
        self._handle = handle
        self._kill = kill

    def submit(self, points: Sequence[Coordinates]) -> "Future[list[Measured]]":
        return self._handle.measure.remote(points).future()

    def dismiss(self) -> None:
        self._kill(self._handle)


class _Holder:
    """What a worker process holds: the survey, opened when the first points come.

    Args:
        survey: what is measured.
        threads: of this process.
        driver: a process of this machine, not its parent, that the worker ends with.
    """

    def __init__(self, survey: Survey, threads: int, driver: int | None = None) -> None:
        torch.set_num_threads(threads)
        keep_freed_memory()
        self._survey = survey
        self._stack = ExitStack()
        self._measure: Measure | None = None
        if driver is not None:
            when_gone(driver, _end)

    def measure(self, points: Sequence[Coordinates]) -> list[Measured]:
        """Measure points; an error in it is the driver's to see, whatever it takes to send it there."""
        try:
            if self._measure is None:
                self._survey.task.model.to(self._survey.task.plan.device)
                self._measure = self._stack.enter_context(self._survey.open())
            return self._measure(points)
        except Exception as error:
            try:
                type(error)(*error.args)  # as it is made anew at the other end
            except Exception:
                raise RuntimeError(f"{type(error).__name__}: {error}") from None
            raise


_holder: _Holder | None = None  # of a worker process


def _hold(survey: Survey, threads: int, driver: int) -> None:
    global _holder
    _holder = _Holder(survey, threads)
    when_orphaned(driver, _end)


def _end() -> None:
    os._exit(1)  # nobody is left to give results to


def _measure(points: Sequence[Coordinates]) -> list[Measured]:
    assert _holder is not None
    return _holder.measure(points)


def for_few(executor: Executor) -> Executor:
    """Who computes a handful of points: this process, unless only the workers have the device."""
    return executor if executor.device is not None else Serial()


def _parts(points: Sequence[Coordinates], survey: Survey) -> list[tuple[Coordinates, ...]]:
    """The points, as many together as the plan takes at once."""
    size = survey.task.plan.points_at_once
    return [tuple(points[start : start + size]) for start in range(0, len(points), size)]
