"""Finished points on disk: found again, whole or not at all, and only for the very same work."""

import json
import logging
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from study.landscape.evaluate import evaluate
from study.landscape.evaluator import Measured
from study.landscape.executors import Joblib, Ray, Serial
from study.landscape.geometry import Line, Plane
from study.landscape.grid import Grid
from study.landscape.result import Landscape, Status
from study.landscape.store import PointStore

LINE = Grid.line(-0.5, 1.5, 5)  # the centre lies on it
PLANE = Grid.rectangle((-1.0, 1.0, 2), (-0.5, 1.0, 3))  # with the centre beside it, seven points


@dataclass
class Counted:
    """A loss that counts its calls: one a point, as all examples go through together."""

    loss: Callable
    calls: int = 0

    def __call__(self, outputs, targets):
        self.calls += 1
        return self.loss(outputs, targets)


@pytest.fixture
def look(mlp, vectors, cross_entropy, tmp_path):
    """A landscape with a store, and for how many points the loss was computed."""

    def go(
        grid=LINE, *, folder=tmp_path, about=None, model=None, data=None, geometry=None, loss=None, **settings
    ) -> tuple[Landscape, int]:
        model = model or mlp()
        kind = Line if len(grid.axes) == 1 else Plane
        counted = Counted(loss or cross_entropy)
        store = PointStore(folder, about or {}) if folder is not None else None
        landscape = evaluate(
            model,
            counted,
            data or [vectors(30)],
            geometry or kind.random(model),
            grid,
            store=store,
            **settings,
        )
        return landscape, counted.calls

    return go


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*/*.jsonl"))


def coordinates(file: Path) -> list[tuple[float, ...]]:
    """Of the points that a file holds: each line is a checksum and JSON."""
    lines = file.read_bytes().splitlines()[1:]
    return [tuple(json.loads(line.split(b" ", 1)[1])["at"]) for line in lines]


# --- what is found


def test_points_found_again_are_not_computed_again(look, tmp_path):
    for grid in (LINE, PLANE):
        undisturbed, calls = look(grid, folder=None)
        assert calls == len({*grid.coordinates, (0.0,) * len(grid.axes)})
        first, calls_first = look(grid)
        assert calls_first == calls
        seen = []
        again, calls_again = look(grid, on_point=lambda done, total, seen=seen: seen.append((done, total)))
        assert calls_again == 0
        assert seen == [(done, calls) for done in range(1, calls + 1)]
        assert undisturbed.to_bytes() == first.to_bytes() == again.to_bytes()
    assert [len(coordinates(file)) for file in files(tmp_path)] in ([5, 7], [7, 5])  # no file for nothing


def test_a_refined_a_widened_and_another_grid_share_what_they_can(look):
    def new(grid):
        landscape, calls = look(grid)
        assert landscape.to_bytes() == look(grid, folder=None)[0].to_bytes()
        return calls

    assert new(Grid.line(-0.5, 1.5, 3)) == 4  # −0.5, 0.5, 1.5, and the centre
    assert new(Grid.line(-0.5, 1.5, 5)) == 1  # 1
    assert new(Grid.line(-1.5, 2.5, 5)) == 2  # −1.5, 2.5
    assert new(Grid.line(-0.5, 0.5, 2)) == 0
    assert new(Grid.line(-0.5, 1.5, 9)) == 4
    assert new(Grid({"alpha": np.array([-0.5, 0.3, 1.0, 2.5])})) == 1
    assert new(Grid.rectangle((-1, 1, 3), (-0.5, 0.5, 2))) == 7
    assert new(Grid.rectangle((-1, 0, 2), (-1.5, 0.5, 3))) == 2
    assert new(Grid.rectangle((-1, 0, 3), (-1.5, 0.5, 2))) == 2
    assert new(Grid({"alpha": np.array([-1.0, 0.25]), "beta": np.array([-0.5, 0.0])})) == 3


@pytest.mark.parametrize(("low", "high", "points"), [(-0.1, 0.3, 4), (-0.5, 1.7, 11), (-1 / 3, 0.7, 7)])
def test_a_refined_grid_of_any_numbers_finds_every_point_again(look, low, high, points):
    coarse, _calls = look(Grid.line(low, high, points))
    _fine, calls = look(Grid.line(low, high, 2 * points - 1))
    assert calls == points - 1
    _part, calls = look(Grid({"alpha": coarse.axes["alpha"][1:3]}))
    assert calls == 0


def test_an_adaptive_landscape_shares_the_points_of_an_exact_one(look):
    grid = Grid.rectangle((-1, 1, 15), (-0.7, 1, 13))
    look(grid)
    adaptive, calls = look(grid, tolerance=0.05)
    assert calls == 0
    assert adaptive.to_bytes() == look(grid, tolerance=0.05, folder=None)[0].to_bytes()
    assert (adaptive.status == Status.INTERPOLATED).any()


def test_the_losses_of_the_examples_come_back_with_the_points(look, vectors):
    data = {"train": [vectors(30)], "test": [vectors(17, seed=4)]}
    first, _calls = look(data=data)
    again, calls = look(data=data)
    assert calls == 0
    assert again.example_losses["train"].shape == (5, 30)
    assert again.example_losses["test"].shape == (5, 17)
    for split, losses in first.example_losses.items():
        assert again.example_losses[split].dtype == np.float32
        assert again.example_losses[split].tobytes() == losses.tobytes()


class Passing(nn.Module):
    """Puts out its input, whatever its one weight: the losses are the data."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1, 1))

    def forward(self, x):
        return x


def strange_bits() -> np.ndarray:
    """Float32 that are no numbers (of four kinds of bits), infinite, tiny, signed zeros, and awkward."""
    words = [0x7FC00000, 0xFFC00000, 0x7FC00001, 0xFFC12345, 0x7F800000, 0xFF800000, 1, 0x80000001]
    strange = np.array(words, dtype=np.uint32).view(np.float32)
    return np.concatenate([strange, np.array([0.0, -0.0, 0.1, 3.4e38, -1e-38], dtype=np.float32)])


@pytest.mark.parametrize(
    "losses",
    [
        strange_bits(),
        *np.array([[np.inf], [-np.inf], [-0.0], [0.1], [1e-45], [np.nan]], dtype=np.float32),
        np.array([1e300, -1e300, 7.0]),
        np.array([np.inf, -np.inf]),
        np.array([5e-324, 0.0, -0.0]),
    ],
    ids=str,
)
def test_whatever_the_losses_are_they_come_back_with_the_same_bits(look, losses):
    column = torch.from_numpy(losses).view(-1, 1)
    work = {
        "model": Passing(),
        "data": [(column, column[:, 0])],
        "loss": lambda outputs, targets: outputs[:, 0],
        "grid": Grid.line(-1, 1, 3),
    }
    with np.errstate(all="ignore"):
        first, calls = look(**work)
        again, found = look(**work)
        undisturbed, _calls = look(**work, folder=None)
    assert (calls, found) == (3, 0)
    assert first.to_bytes() == again.to_bytes() == undisturbed.to_bytes()
    assert again.example_losses[""].tobytes() == first.example_losses[""].tobytes()
    for name, values in first.values.items():
        assert values.tobytes() == again.values[name].tobytes()


def test_minus_zero_and_zero_are_one_coordinate(look):
    zero, minus = (Grid({"alpha": np.array([at, 1.0])}) for at in (0.0, -0.0))
    for first, second in ((zero, minus), (minus, zero)):
        folder_settings = {"about": {"order": repr(first.axes)}}
        one, calls = look(first, **folder_settings)
        assert calls == 2  # the centre is the first of them
        other, calls = look(second, **folder_settings)
        assert calls == 0
        assert one.values["loss"].tobytes() == other.values["loss"].tobytes()
    plane = Grid({"alpha": np.array([-0.0, 1.0]), "beta": np.array([-1.0, -0.0])})
    assert look(plane)[1] == 4
    assert look(Grid({"alpha": np.array([0.0, 1.0]), "beta": np.array([-1.0, 0.0])}))[1] == 0


# --- what is damaged


@pytest.mark.parametrize("grid", [PLANE, LINE], ids=["plane", "line"])
def test_a_writer_killed_within_its_last_line_costs_that_point_alone(look, vectors, tmp_path, grid):
    data = [vectors(6)]
    undisturbed, calls = look(grid, data=data)
    (file,) = files(tmp_path)
    whole = file.read_bytes()
    last = coordinates(file)[-1]
    start = whole.rstrip(b"\n").rindex(b"\n") + 1
    for cut in range(start, len(whole)):
        for other in files(tmp_path):
            other.unlink()
        file.write_bytes(whole[:cut])
        landscape, calls = look(grid, data=data)
        assert calls == 1, cut
        (added,) = set(files(tmp_path)) - {file}
        assert coordinates(added) == [last]
        assert landscape.to_bytes() == undisturbed.to_bytes()
        if cut % 16 == 0:  # what was cut short stays, and does no harm
            assert look(grid, data=data)[1] == 0


def test_a_writer_killed_anywhere_costs_what_it_had_not_written(look, tmp_path, caplog):
    undisturbed, points = look(PLANE)
    (file,) = files(tmp_path)
    whole = file.read_bytes()
    for cut in range(0, len(whole), 13):
        for other in files(tmp_path):
            other.unlink()
        file.write_bytes(whole[:cut])
        landscape, calls = look(PLANE)
        assert calls == points - max(0, whole[:cut].count(b"\n") - 1)
        assert landscape.to_bytes() == undisturbed.to_bytes()
    assert not caplog.records  # a kill is no damage


def test_a_flipped_byte_is_named_and_its_point_computed_again(look, tmp_path, caplog):
    undisturbed, points = look(PLANE)
    (file,) = files(tmp_path)
    whole = file.read_bytes()
    lines = whole.splitlines(keepends=True)
    flips = np.random.default_rng(0)
    start = 0
    for number, line in enumerate(lines):
        for place in {0, 15, 16, 17, *range(1, len(line) - 1, 14)}:
            damaged = bytearray(whole)
            damaged[start + place] ^= 1 << int(flips.integers(8))
            for other in files(tmp_path):
                other.unlink()
            file.write_bytes(damaged)
            caplog.clear()
            landscape, calls = look(PLANE)
            assert calls == (points if number == 0 else 1), (number, place)
            (record,) = caplog.records
            assert record.levelno == logging.WARNING
            assert str(file) in record.getMessage()
            assert landscape.to_bytes() == undisturbed.to_bytes()
        start += len(line)


def test_two_lines_run_into_one_are_computed_again(look, tmp_path, caplog):
    undisturbed, _calls = look(PLANE)
    (file,) = files(tmp_path)
    lines = file.read_bytes().splitlines(keepends=True)
    lines[2] = lines[2].replace(b"\n", b"\x0b")
    file.write_bytes(b"".join(lines))
    landscape, calls = look(PLANE)
    assert calls == 2
    assert str(file) in caplog.text
    assert landscape.to_bytes() == undisturbed.to_bytes()


def test_a_file_of_other_work_is_named_and_not_read(look, tmp_path, caplog, mlp):
    undisturbed, points = look(PLANE)
    look(PLANE, model=mlp(1))
    own, other = (file for file in files(tmp_path))
    right_own, right_other = (own.read_bytes(), other.read_bytes())
    for file, foreign in ((own, right_other), (other, right_own)):
        file.write_bytes(foreign)
    landscape, calls = look(PLANE)
    assert calls == points
    assert len(caplog.records) == 1
    assert any(str(file) in caplog.text for file in (own, other))
    assert landscape.to_bytes() == undisturbed.to_bytes()
    # beside what is right it takes nothing away
    caplog.clear()
    (folder,) = {file.parent for file in files(tmp_path) if len(list(file.parent.iterdir())) == 2}
    landscape, calls = look(PLANE)
    assert calls == 0
    assert len(list(folder.iterdir())) == 2
    assert landscape.to_bytes() == undisturbed.to_bytes()


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"", False),
        (b"\n", True),
        (b"no newline", False),
        (b"garbage\nand more\n", True),
        (bytes(range(256)) * 4 + b"\n", True),
        (b'{"at": [0.0, 0.0]}\n{"at": [0.0, 0.0]}\n', True),
    ],
)
def test_garbage_is_named_or_ignored_and_changes_nothing(look, tmp_path, caplog, content, named):
    undisturbed, points = look(PLANE)
    (file,) = files(tmp_path)
    strange = file.with_name("0.jsonl")
    strange.write_bytes(content)
    (file.parent / "notes.txt").write_bytes(b"\xff" * 9)
    (tmp_path / "elsewhere.jsonl").write_bytes(content)
    landscape, calls = look(PLANE)
    assert calls == 0
    assert (str(strange) in caplog.text) == named
    assert landscape.to_bytes() == undisturbed.to_bytes()
    file.unlink()
    landscape, calls = look(PLANE)
    assert calls == points
    assert landscape.to_bytes() == undisturbed.to_bytes()
    assert strange.read_bytes() == content


def test_points_written_twice_are_one(look, tmp_path):
    undisturbed, _points = look(PLANE)
    (file,) = files(tmp_path)
    file.with_name("copy.jsonl").write_bytes(file.read_bytes())
    landscape, calls = look(PLANE)
    assert calls == 0
    assert landscape.to_bytes() == undisturbed.to_bytes()


# --- what belongs together


def test_any_other_work_has_a_folder_of_its_own(look, tmp_path, mlp, vectors):
    inputs, classes = vectors(30)
    pixel, label = inputs.clone(), classes.clone()
    pixel[17, 3] = torch.nextafter(pixel[17, 3], torch.tensor(9.0))
    label[29] = (label[29] + 1) % 3
    nudged = mlp()
    with torch.no_grad():
        bias = nudged[2].bias
        bias[4] = torch.nextafter(bias[4], torch.tensor(9.0))
    deeper = nn.Sequential(*mlp(), nn.Identity())
    smooth = nn.Sequential(*(nn.Tanh() if isinstance(layer, nn.ReLU) else layer for layer in mlp()))
    base = mlp()
    others = {
        "as it is": {},
        "another network": {"model": mlp(1)},
        "one bit of one weight": {"model": nudged},
        "the same weights in another network": {"model": smooth},
        "the same weights by other names": {"model": deeper},
        "another direction": {"geometry": Line.random(base, seed=1)},
        "another normalization": {"geometry": Line.random(base, normalization="none")},
        "two ends": {"geometry": Line.between(base, mlp(1)), "batch_statistics": "frozen"},
        "one bit of one pixel": {"data": [(pixel, classes)]},
        "one label": {"data": [(inputs, label)]},
        "another order": {"data": [(inputs.flip(0), classes.flip(0))]},
        "one example less": {"data": [(inputs[:-1], classes[:-1])]},
        "a split with a name": {"data": {"train": [(inputs, classes)]}},
        "micro-batches": {"micro_batch": 40},
        "precision": {"precision": "bfloat16"},
        "points at once": {"points_at_once": 2},
        "population": {"population": 77},
        "another population": {"population": 78},
        "about": {"about": {"loss": "cross-entropy"}},
        "more about": {"about": {"loss": "cross-entropy", "code": 1}},
        "otherwise about": {"about": {"loss": "squares"}},
    }
    for number, (name, settings) in enumerate(others.items(), 1):
        landscape, calls = look(**settings)
        alone, calls_alone = look(**settings, folder=None)
        assert calls == calls_alone, name
        assert landscape.to_bytes() == alone.to_bytes(), name
        assert len(list(tmp_path.iterdir())) == number, name
    assert look()[1] == 0


@pytest.mark.parametrize("name", ["network", "data", "splits", "plan", "torch", "geometry", "format", "own"])
def test_whatever_it_is_called_what_is_said_about_the_work_counts(look, name):
    _landscape, calls = look(about={name: "first"})
    assert calls == 5
    _landscape, calls = look(about={name: "second"})
    assert calls == 5


def test_the_policy_for_batch_statistics_belongs_to_the_work(look, tmp_path, convnet, images):
    start, end = convnet(norm=True), convnet(1, norm=True)
    with torch.no_grad():
        end[1].running_var *= 3
    line = Line.between(start, end)
    inputs, classes = images(30)
    pixel = inputs.clone()
    pixel[3, 1, 2, 4] += 1
    work = {"model": start, "geometry": line, "data": {"test": [(inputs, classes)]}}
    others = [
        {"batch_statistics": "frozen"},
        {"batch_statistics": "interpolated"},
        {"batch_statistics": "recomputed", "statistics_data": [(inputs, classes)]},
        {"batch_statistics": "recomputed", "statistics_data": [(pixel, classes)]},
    ]
    values = set()
    for number, settings in enumerate(others, 1):
        landscape, calls = look(**work, **settings)
        assert calls == 5  # both ends are cells
        values.add(landscape.values["test/loss"].tobytes())
        assert len(list(tmp_path.iterdir())) == number
    assert len(values) == 4
    with torch.no_grad():
        end[1].running_mean[2] += 0.1  # a buffer of the far end alone
    moved = Line.between(start, end)
    assert look(**{**work, "geometry": moved}, batch_statistics="interpolated")[1] == 5


def test_a_work_is_the_same_in_another_model_object_and_from_another_place(look, tmp_path, mlp, vectors):
    look()
    inputs, classes = vectors(30)
    batches = [(inputs[:7], classes[:7]), (inputs[7:], classes[7:])]  # as a loader of another size gives them
    model = mlp()
    model.train()
    assert look(model=model, data=batches)[1] == 0
    origin_of_weights = mlp()
    other = mlp(5)  # its own weights are not read
    assert look(model=other, geometry=Line.random(origin_of_weights))[1] == 0


# --- several at once


def test_two_stores_open_at_once_do_not_disturb_one_another(tmp_path):
    store, identity = PointStore(tmp_path, {"loss": "own"}), {"work": 1}
    rng = np.random.default_rng(0)

    def point():
        return Measured({"loss": float(rng.normal())}, {"": rng.normal(size=3).astype(np.float32)})

    written = {}
    with store.open(identity) as first, store.open(identity) as second:
        for at in range(40):
            for number, one in enumerate((first, second)):
                key = (float(at), float(number))
                written[key] = point()
                one.add(key, written[key])
        both = (77.0, 0.5)
        written[both] = point()
        first.add(both, written[both])
        second.add(both, written[both])
        with store.open(identity) as third:  # while they are being written
            assert set(third.measured) == set(written)
    with store.open(identity) as found, store.open({"work": 2}) as nothing:
        assert nothing.measured == {}
        assert set(found.measured) == set(written)
        for key, measured in written.items():
            assert found.measured[key].values == measured.values
            assert found.measured[key].example_losses[""].tobytes() == measured.example_losses[""].tobytes()


def test_a_landscape_computed_within_another_of_the_same_work_leaves_it_as_it_is(look):
    undisturbed, points = look(PLANE, folder=None)
    inner = []

    def on_point(done, _total):
        if done == 3:
            inner.append(look(PLANE))

    outer, calls = look(PLANE, on_point=on_point)
    assert calls == points  # it had looked before
    landscape, calls = inner[0]
    assert calls == points - 3
    assert outer.to_bytes() == landscape.to_bytes() == undisturbed.to_bytes()
    assert look(PLANE)[1] == 0


def test_what_was_finished_before_an_error_is_kept(look, cross_entropy):
    done = []

    def failing(outputs, targets):
        if len(done) == 4:
            raise KeyError("the fifth point")
        done.append(1)
        return cross_entropy(outputs, targets)

    with pytest.raises(KeyError, match="the fifth point"):
        look(PLANE, loss=failing)
    landscape, calls = look(PLANE)
    assert calls == 3
    assert landscape.to_bytes() == look(PLANE, folder=None)[0].to_bytes()

    def stop(number, _total):
        if number == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        look(PLANE, about={"another": 1}, on_point=stop)
    assert look(PLANE, about={"another": 1})[1] == 5


# --- killed drivers

POINTS = 24
EXECUTORS = {"serial": Serial(), "joblib": Joblib(2), "ray": Ray(2)}


def _work(pids: Path | None):
    """A network, data and a loss that is slow and notes who computes it, made anew where it is needed."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 3))
    data = [(torch.randn(33, 5), torch.arange(33) % 3)]
    name = str(pids) if pids is not None else None

    def loss(outputs, targets):  # a closure goes to workers by value
        if name is not None:
            with open(name, "ab", buffering=0) as file:
                file.write(f"{os.getpid():>9}\n".encode())
            time.sleep(0.02)
        return torch.nn.functional.cross_entropy(outputs, targets, reduction="none")

    return model, loss, data, Line.random(model), Grid.line(-1, 1, POINTS)


def _drive(folder: Path, executor: str) -> None:
    """A whole landscape in a process of its own, with a store."""
    torch.set_num_threads(1)
    landscape = evaluate(
        *_work(folder / "pids"), executor=EXECUTORS[executor], store=PointStore(folder / "store", {})
    )
    (folder / "landscape").write_bytes(landscape.to_bytes())


@pytest.fixture(scope="module")
def processes():
    """Starts drivers from a server that has imported everything once."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "study.landscape.evaluate", "study.landscape.executors"])
    return context


def noted(folder: Path) -> list[int]:
    file = folder / "pids"
    return [int(line) for line in file.read_bytes().split()] if file.exists() else []


def recorded(folder: Path) -> int:
    """Points in the store: lines that are complete, without the first of each file."""
    return sum(max(0, file.read_bytes().count(b"\n") - 1) for file in files(folder / "store"))


def killed_after(context, folder: Path, executor: str, calls: int, delay: float) -> bool:
    """Start a driver and kill it after so many calls of the loss, and a moment; False if it had ended."""
    driver = context.Process(target=_drive, args=(folder, executor))
    driver.start()
    try:
        while len(noted(folder)) < calls and driver.is_alive():
            time.sleep(0.002)
        time.sleep(delay)
    finally:
        with suppress(ProcessLookupError):
            os.kill(driver.pid, signal.SIGKILL)
        driver.join()
    return driver.exitcode == -signal.SIGKILL


def gone(pids: set[int], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not any(Path(f"/proc/{pid}").exists() for pid in pids):
            return True
        time.sleep(0.05)
    return False


@pytest.mark.process
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_driver_killed_at_any_moment_goes_on_where_it_was(processes, tmp_path, seed):
    """Killed four times in one landscape, at random moments; between two kills, one point at most is lost."""
    rng = np.random.default_rng(seed)
    kills = 0
    for _start in range(4):
        before = len(noted(tmp_path)), recorded(tmp_path)
        kills += killed_after(
            processes, tmp_path, "serial", before[0] + int(rng.integers(1, 8)), rng.uniform(0, 0.03)
        )
        calls, kept = len(noted(tmp_path)) - before[0], recorded(tmp_path) - before[1]
        assert 0 <= calls - kept <= 1
    assert kills >= 3
    left = POINTS + 1 - recorded(tmp_path)  # the centre is no cell
    before = len(noted(tmp_path))
    _drive(tmp_path, "serial")
    assert len(noted(tmp_path)) - before == left
    assert (tmp_path / "landscape").read_bytes() == evaluate(*_work(None)).to_bytes()


@pytest.mark.process
@pytest.mark.parametrize("executor", ["joblib", "ray"])
def test_workers_of_a_killed_driver_end_and_its_points_are_kept(processes, tmp_path, executor):
    if executor == "ray":
        pytest.importorskip("ray")
    assert killed_after(processes, tmp_path, executor, calls=9, delay=0.013)
    workers = set(noted(tmp_path))
    assert gone(workers, 5.0)
    kept, calls = recorded(tmp_path), len(noted(tmp_path))
    assert 0 < kept < POINTS
    assert calls - kept <= 2 * 2  # each worker had one in hand, and one that was on its way
    again = "joblib" if executor == "joblib" else "serial"  # who computes it is no part of the work
    _drive(tmp_path, again)
    assert len(noted(tmp_path)) - calls == POINTS + 1 - kept
    assert (tmp_path / "landscape").read_bytes() == evaluate(*_work(None)).to_bytes()
