"""What the tests of whole runs share: a configuration so small that a run takes a fraction of a second."""

import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from pathlib import Path

import pytest
import torch
from omegaconf import DictConfig
from threadpoolctl import threadpool_limits

from study import cli, report
from study import look as look_module
from study import run as run_module
from study import train as train_module
from study.config import StudyConfig
from study.kinds import LandscapeConfig
from study.paths import OUTPUT_DIR_VARIABLE, root
from study.prepare import prepare
from study.record import Record
from study.resolve import composed, typed
from study.run import Outcome, run
from tests.away import called

# The test processes share the processors: more threads of each only wait for those of the others.
threadpool_limits(1, user_api="blas")
torch.set_num_threads(1)
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # for processes that tests start

TINY = (
    "data.train_examples=64",
    "data.test_examples=32",
    "data.image_size=8",
    "model=mlp",
    "model.widths=[8]",
    "training.epochs=3",
    "training.batch_size=32",
    "training.threads=1",
    "evaluation.threads=1",
)
SMALL_GRID = {
    "interpolation": "landscape.interpolation.points=4",
    "line": "landscape.line.points=3",
    "contour": "landscape.contour.points=3",
}
PACKED = ("pyproject.toml", "README.md", "LICENSE", "study", "conf", "sweeps")
Compose = Callable[..., StudyConfig]
Start = Callable[..., Outcome]


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """One thread of torch's, and as many as before afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session", autouse=True)
def _nothing_waits_for_the_disk() -> Iterator[None]:
    """No machine loses its power in the middle of the tests: their processes force nothing onto the disk."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.fsync", lambda _file: None)
        yield


@pytest.fixture(autouse=True)
def own_modules(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Modules that a test wrote itself are forgotten after it: the next one's may have the same name."""
    before = len(sys.modules)
    yield
    if len(sys.modules) == before:
        return
    written = str(tmp_path_factory.getbasetemp())
    for name, module in [*sys.modules.items()]:
        if (getattr(module, "__file__", None) or "").startswith(written):
            del sys.modules[name]


@pytest.fixture
def command_line(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., tuple[int, str, str]]]:
    """The command line within this process: exit status, stdout, stderr.

    What it sets for a process of its own, handlers, paths and variables, is put back.
    """
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    monkeypatch.setattr(cli, "keep_freed_memory", lambda: None)
    monkeypatch.setattr(cli, "leave_garbage_at_exit", lambda: None)
    monkeypatch.setattr(sys, "path", [*sys.path])

    def called(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["study", *arguments])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return (int(ended.value.code or 0), *capfd.readouterr())

    yield called
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture
def output_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where everything is written that a test does not send elsewhere."""
    folder = tmp_path / "outputs"
    monkeypatch.setenv(OUTPUT_DIR_VARIABLE, str(folder))
    return folder


@cache
def _composed(overrides: tuple[str, ...]) -> DictConfig:
    """What Hydra makes of overrides; variables of the environment are read when it is made typed."""
    return composed(overrides)


@pytest.fixture
def compose(output_dir: Path) -> Compose:
    """The typed configuration that overrides of the real one give."""

    def make(*overrides: str) -> StudyConfig:
        config = typed(_composed(overrides))
        if not any(override.startswith("output_dir=") for override in overrides):
            assert Path(config.output_dir) == output_dir.resolve()
        return config

    return make


@pytest.fixture
def arguments() -> Callable[..., list[str]]:
    """The overrides of a small run without tracking, with the named landscapes on small grids."""

    def of(*overrides: str, looks: tuple[str, ...] = ("line",), tracking: str = "none") -> list[str]:
        grids = [SMALL_GRID[look] for look in looks]
        return [*TINY, f"tracking={tracking}", f"landscape=[{','.join(looks)}]", *grids, *overrides]

    return of


@pytest.fixture
def tiny(compose: Compose, arguments: Callable[..., list[str]]) -> Compose:
    """The configuration of a small run; see `arguments`."""

    def make(*overrides: str, **settings: object) -> StudyConfig:
        return compose(*arguments(*overrides, **settings))

    return make


@pytest.fixture
def start(tiny: Compose) -> Start:
    """Prepare and run a small configuration, in this process."""

    def go(*overrides: str, **settings: object) -> Outcome:
        return run(prepare(tiny(*overrides, **settings), {}))

    return go


@pytest.fixture
def plain_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures of a few bytes, where a test is about something else: drawing is most of a small run."""

    def pictures(name: str, *_rest: object) -> dict[str, bytes]:
        return {f"landscapes/{name}.{suffix}": suffix.encode() for suffix in ("png", "pdf", "html")}

    def of_curvature(*_rest: object) -> dict[str, bytes]:
        return {f"curvature.{suffix}": suffix.encode() for suffix in ("png", "pdf")}

    monkeypatch.setattr(report, "pictures", pictures)
    monkeypatch.setattr(run_module.curvature, "pictures", of_curvature)


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was done: the kind of each landscape that was evaluated, and `training` for each that began."""
    found: list[str] = []
    look, train = run_module.look, train_module.train

    def looking(config: LandscapeConfig, *rest: object) -> look_module.Look:
        found.append(config.kind)
        return look(config, *rest)

    def training(*rest: object, **settings: object) -> object:
        found.append("training")
        return train(*rest, **settings)

    monkeypatch.setattr(run_module, "look", looking)
    monkeypatch.setattr(train_module, "train", training)
    return found


@pytest.fixture(scope="session")
def _migrated_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from study.tracking import mlflow_tracker

    folder = tmp_path_factory.mktemp("store")
    mlflow_tracker.mlflow.MlflowClient(tracking_uri=mlflow_tracker.store_uri(folder)).search_experiments()
    return folder / "mlflow.db"


@pytest.fixture
def local_store(_migrated_store: Path, output_dir: Path) -> Path:
    """An empty store where `tracking=local` looks for it: making one anew takes seconds."""
    output_dir.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copy(_migrated_store, output_dir / "mlflow.db"))


@contextmanager
def _stopped_at(name: str, error: BaseException, time: int = 1) -> Iterator[None]:
    write, counted = Record.write, [0]

    def counting(record: Record, file: str, data: bytes | str) -> None:
        counted[0] += file == name
        if file == name and counted[0] == time:
            raise error
        write(record, file, data)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Record, "write", counting)
        yield
    assert counted[0] >= time, f"{name} was not written {time} times"


@pytest.fixture
def stop_at() -> Callable[..., AbstractContextManager[None]]:
    """A context in which the n-th writing of a record's file raises `error` instead."""
    return _stopped_at


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that hatchling makes of a copy of the checkout."""
    copy = tmp_path_factory.mktemp("checkout")
    for name in PACKED:
        source = root() / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, copy / name)
    built = called(
        sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", copy / "dist", folder=copy
    )
    assert built.returncode == 0, built.stderr
    (only,) = (copy / "dist").glob("*.whl")
    return only


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds the wheel's package; it stands before the checkout on Python's path."""
    target = tmp_path_factory.mktemp("installed")
    flags = (
        "--no-deps",
        "--no-index",
        "--no-compile",
        "--disable-pip-version-check",
        "-q",
        "--target",
        target,
    )
    done = called(sys.executable, "-m", "pip", "install", *flags, wheel, folder=target)
    assert done.returncode == 0, done.stderr
    return target
