"""Whoever computes the points: the same bits, errors that arrive, workers that die, and none left behind."""

import logging
import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from study.landscape.evaluate import evaluate
from study.landscape.executors import Joblib, Ray, Serial, WorkerDiedError
from study.landscape.geometry import Line, Plane
from study.landscape.grid import Grid
from study.landscape.store import PointStore
from study.landscape.survey import Survey
from study.landscape.task import Task

pytestmark = pytest.mark.process

LINE = Grid.line(-0.5, 1.4, 9)  # the centre lies beside its cells


def descendants() -> set[int]:
    """Processes that this one started, directly or not, and that have not ended."""
    parents = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
        except (OSError, ValueError):
            continue
        if state != "Z":
            parents[int(entry.name)] = int(parent)
    found, new = set(), {os.getpid()}
    while new:
        new = {pid for pid, parent in parents.items() if parent in new}
        found |= new
    return found


def is_shared(pid: int) -> bool:
    """The library's own watcher over named semaphores, one a driver while it lives; or the Ray cluster's."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return True
    return b"resource_tracker" in command or b"/ray/" in command or command.startswith(b"ray::")


def left_behind(before: set[int], seconds: float = 1.5) -> set[int]:
    deadline = time.monotonic() + seconds
    while left := {pid for pid in descendants() - before if not is_shared(pid)}:
        if time.monotonic() > deadline:
            return left
        time.sleep(0.05)
    return set()


@pytest.fixture(scope="module")
def cluster():
    """One Ray cluster for all tests of this file: starting it takes longer than they do."""
    ray = pytest.importorskip("ray")
    ray.init(
        address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR
    )
    yield ray
    ray.shutdown()


@pytest.fixture(scope="module")
def conv_line():
    """A line between two convolutional networks, with recomputed statistics and two splits."""

    def make(seed):
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Dropout(0.3), nn.Linear(48, 3)
        )

    with torch.random.fork_rng(devices=[]):
        start, end = make(0), make(1)
        inputs, classes = torch.randn(90, 2, 6, 5), torch.arange(90) % 3
    data = {"train": [(inputs[:50], classes[:50])], "test": [(inputs[50:], classes[50:])]}

    def loss(outputs, targets):
        return nn.functional.cross_entropy(outputs, targets, reduction="none")

    def look(executor, **settings):
        return evaluate(
            start,
            loss,
            data,
            Line.between(start, end),
            LINE,
            micro_batch=40,
            executor=executor,
            **settings,
        )

    return look


@pytest.fixture(scope="module")
def undisturbed(conv_line):
    landscape = conv_line(None)
    assert landscape.provenance["batch_statistics"] == "recomputed"
    assert landscape.example_losses["test"].shape == (9, 40)
    return landscape.to_bytes()


def test_this_process_is_the_default(conv_line, undisturbed):
    assert conv_line(Serial()).to_bytes() == undisturbed


@pytest.mark.parametrize(("workers", "threads"), [(1, 2), (2, 1)])
def test_processes_give_the_same_bits(conv_line, undisturbed, workers, threads):
    before = descendants()
    counts = []
    landscape = conv_line(Joblib(workers, threads), on_point=lambda done, total: counts.append((done, total)))
    assert landscape.to_bytes() == undisturbed
    assert counts == [(done, 11) for done in range(1, 12)]
    assert not left_behind(before)


def test_a_ray_cluster_gives_the_same_bits(conv_line, undisturbed, cluster):
    assert conv_line(Ray(2)).to_bytes() == undisturbed
    assert cluster.is_initialized()  # it was there before, and stays


def test_points_taken_at_once_are_the_same_in_workers(mlp, vectors, cross_entropy):
    """Parts of three points, the last smaller; adaptive, with a store for each."""
    model = mlp()
    plane, grid = Plane.random(model, seed=2), Grid.rectangle((-1, 1, 14), (-0.8, 1, 13))
    work = (model, cross_entropy, [vectors(40)], plane, grid)
    settings = {"points_at_once": 3, "tolerance": 0.1, "micro_batch": 40}
    assert (
        evaluate(*work, **settings, executor=Joblib(1)).to_bytes() == evaluate(*work, **settings).to_bytes()
    )


# --- errors


@pytest.fixture
def ladder():
    """A line on which the loss, as it is called, can tell which point it is: at `alpha` it is `alpha`."""
    with torch.random.fork_rng(devices=[]):

        class Local(nn.Module):  # cannot be imported by a worker
            def __init__(self) -> None:
                super().__init__()
                self.weight = nn.Parameter(torch.zeros(1))

            def forward(self, x):
                return x * self.weight

        start, end = Local(), Local()
        with torch.no_grad():
            end.weight.fill_(1.0)

    def look(act, executor=None, points=9, **settings):
        def loss(outputs, targets):
            alpha = float(outputs[0])
            act(alpha)
            return outputs + 3.0

        inputs = torch.ones(4)
        grid = Grid({"alpha": np.arange(points) / 8 + 0.125})
        return evaluate(
            start, loss, [(inputs, inputs)], Line.between(start, end), grid, executor=executor, **settings
        )

    return look


def nothing(alpha):
    pass


def failing_at(alpha):
    class OwnError(ValueError):
        """Made where nobody can import it."""

    def act(found):
        if found == alpha:
            raise OwnError(f"no loss at {found}")

    return OwnError, act


def test_an_error_in_a_worker_process_arrives_as_it_was(ladder):
    error, act = failing_at(0.5)
    before = descendants()
    with pytest.raises(error) as caught:
        ladder(act, Joblib(2))
    assert type(caught.value) is error
    assert str(caught.value) == "no loss at 0.5"
    assert not left_behind(before)


def test_an_error_in_a_ray_actor_arrives_with_its_type_and_message(ladder, cluster):
    _error, act = failing_at(0.5)
    with pytest.raises(ValueError, match=r"no loss at 0\.5"):
        ladder(act, Ray(1))


def test_an_error_that_cannot_be_pickled_is_not_taken_for_a_death(ladder):
    """Its class asks for two arguments, and pickle gives it one, as it does for many a library's error."""

    def act(alpha):
        class TwoArgumentsError(Exception):
            def __init__(self, what, why) -> None:
                super().__init__(f"{what} because of {why}")

        if alpha == 0.125:
            raise TwoArgumentsError("no loss", "the weather")

    with pytest.raises(Exception, match="no loss because of the weather") as caught:
        ladder(act, Joblib(1), points=2)
    assert not isinstance(caught.value, WorkerDiedError)


def test_no_worker_is_left_behind_where_the_driver_fails(ladder):
    before = descendants()
    during = set()

    def on_point(done, _total):
        during.update(pid for pid in descendants() - before if not is_shared(pid))
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ladder(lambda _alpha: time.sleep(0.05), Joblib(2), on_point=on_point)
    assert len(during) >= 2
    assert not left_behind(before)


def test_memory_that_runs_out_in_a_worker_is_known_for_what_it_is(ladder):
    def act(alpha):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")

    with pytest.raises(MemoryError, match="one example"):
        ladder(act, Joblib(1), points=2, micro_batch=1)


# --- workers that die


def dying_once_at(alphas, folder):
    """Whoever first computes a point ends at once; a file keeps that it has been."""
    name = str(folder)

    def act(alpha):
        if alpha not in alphas:
            return
        try:
            os.close(os.open(f"{name}/died-{alpha}", os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return
        os.kill(os.getpid(), signal.SIGKILL)

    return act


def test_a_worker_that_dies_is_replaced(ladder, tmp_path):
    landscape = ladder(dying_once_at({0.375, 0.5}, tmp_path), Joblib(2))
    assert {file.name for file in tmp_path.iterdir()} == {"died-0.375", "died-0.5"}
    assert landscape.to_bytes() == ladder(nothing).to_bytes()
    np.testing.assert_array_equal(landscape.values["loss"], np.arange(1, 10) / 8 + 3)


def test_a_point_that_kills_every_worker_is_named_and_the_others_are_kept(ladder, tmp_path):
    def act(alpha):
        if alpha == 0.625:
            os.kill(os.getpid(), signal.SIGKILL)

    store = PointStore(tmp_path, {})
    before = descendants()
    with pytest.raises(WorkerDiedError, match=r"\(0\.625,\)") as caught:
        ladder(act, Joblib(2), store=store)
    assert not any(f"({at / 8}," in str(caught.value) for at in (0, 1, 2, 3, 4, 6, 7, 8, 9))
    assert not left_behind(before)
    computed = []
    landscape = ladder(computed.append, store=store)
    assert computed == [0.625]
    assert landscape.to_bytes() == ladder(nothing).to_bytes()


def test_a_ray_actor_killed_from_outside_is_replaced(ladder, cluster, tmp_path):
    name = str(tmp_path)

    def act(alpha):
        with open(f"{name}/pids", "ab", buffering=0) as file:
            file.write(f"{os.getpid():>9}\n".encode())
        time.sleep(0.1)

    def kill():
        file = tmp_path / "pids"
        while not file.exists() or len(pids := file.read_bytes().split()) < 4:
            time.sleep(0.005)
        os.kill(int(pids[-1]), signal.SIGKILL)
        killed.append(int(pids[-1]))

    killed = []
    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    landscape = ladder(act, Ray(2))
    killer.join(timeout=5)
    computed_by = [int(pid) for pid in (tmp_path / "pids").read_bytes().split()]
    assert len(set(computed_by)) == 3  # two, and one who took over
    assert len(computed_by) in {11, 12}  # ten points and zero; what was in hand was computed again
    assert computed_by[-1] != killed[0]
    assert landscape.to_bytes() == ladder(nothing).to_bytes()


# --- the workers themselves


def test_workers_hold_the_survey_until_the_context_ends(mlp, vectors, cross_entropy):
    model = mlp()
    task = Task.of(model, cross_entropy, [vectors(40)])
    survey = Survey(task, Line.random(model), keep_examples=True)
    points = [(at / 7,) for at in range(5)]
    with Serial().open(survey) as mapper:
        right = dict(mapper(points))
    before = descendants()
    with Joblib(2).open(survey) as mapper:
        assert list(mapper([])) == []
        first = dict(mapper(points[:3]))
        workers = {pid for pid in descendants() - before if not is_shared(pid)}
        again = dict(mapper(points))
        assert {pid for pid in descendants() - before if not is_shared(pid)} == workers
        victim = min(workers)
        os.kill(victim, signal.SIGKILL)  # while it is idle
        time.sleep(0.3)
        after = dict(mapper(points))
    assert not left_behind(before)
    assert model.training
    for found in (first, again, after):
        for at, measured in found.items():
            assert measured.values == right[at].values
            assert measured.example_losses[""].tobytes() == right[at].example_losses[""].tobytes()
    assert set(after) == set(again) == set(points)


@pytest.mark.process
def test_a_cluster_without_room_for_a_worker_is_refused(ladder, cluster):
    """Waiting for a processor that there will never be looks like work."""
    with pytest.raises(ValueError, match="a worker must find its 1 GPU in the Ray cluster, which has 0"):
        ladder(lambda _alpha: None, executor=Ray(1, gpus_per_worker=1))
    with pytest.raises(ValueError, match="a worker must find its 99 CPU in the Ray cluster, which has 2"):
        ladder(lambda _alpha: None, executor=Ray(1, threads=99))
