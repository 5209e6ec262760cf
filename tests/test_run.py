"""Whole runs in this process: what they leave, what a second start repeats, what an interruption costs."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from study import look as look_module
from study import run as run_module
from study import self_checks
from study import train as train_module
from study.analysis.curvature import Curvature
from study.config import StudyConfig
from study.errors import ConfigError
from study.landscape.result import Landscape
from study.prepare import prepare
from study.record import MetricPoint, Record, State
from study.run import Outcome, run
from study.source import checkpoint_name
from study.training.checkpoints import decode_weights, load_weights

Compose = Callable[..., StudyConfig]
Start = Callable[..., Outcome]
StopAt = Callable[..., AbstractContextManager[None]]

LOOKS = ("interpolation", "line")
NORM = "model.norm=batch"
CHECKPOINTS = [checkpoint_name(update) for update in (0, 2, 4, 6)]


def numbers(record: Record) -> dict[tuple[str, int], float]:
    return {(point.key, point.step): point.value for point in record.metrics()}


def contents(record: Record) -> dict[str, bytes]:
    """Every file whose bytes follow from the configuration: no times, no ids."""
    return {
        name: record.read(name)
        for name in record.files()
        if name.startswith("checkpoints/") or name.endswith((".npz", ".csv"))
    }


def written(record: Record) -> dict[str, int]:
    """When each file was last written, in nanoseconds."""
    files = [file for file in record.path.rglob("*") if file.is_file()]
    return {str(file.relative_to(record.path)): file.stat().st_mtime_ns for file in files}


def flip_a_bit(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def assert_same_run(record: Record, other: Record) -> None:
    assert record.state is other.state is State.FINISHED
    assert contents(record) == contents(other)
    assert list(numbers(record)) == list(numbers(other))
    assert repr(numbers(record)) == repr(numbers(other))  # the same bits, NaN included
    assert set(record.files()) == set(other.files())


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[StudyConfig], Record]:
    """The record of the same run, elsewhere and in one go."""
    folder = tmp_path_factory.mktemp("undisturbed")

    def of(config: StudyConfig) -> Record:
        return run(prepare(replace(config, output_dir=str(folder)), {})).record

    return of


# What a run leaves


def test_a_run_leaves_a_record_with_the_files_of_the_contract(start: Start, output_dir: Path):
    outcome = start(looks=LOOKS)
    record = outcome.record
    assert (outcome.state, outcome.reused, outcome.tracking) == (State.FINISHED, False, None)
    assert record.path == output_dir.resolve() / "runs" / record.config_hash
    expected = {"run.json", "state.json", "config.yaml", "metrics.json", "training.json", "report.md"}
    expected |= set(CHECKPOINTS)
    expected |= {
        f"landscapes/{look}.{suffix}"
        for look in LOOKS
        for suffix in ("npz", "json", "csv", "png", "pdf", "html")
    }
    assert set(record.files()) == expected
    assert set(written(record)) == expected | {
        "manifest.json",
        "manifest.copy.json",
    }  # and no file is left over
    assert all(record.holds(name) for name in expected)
    assert record.read("landscapes/line.png")[:8] == b"\x89PNG\r\n\x1a\n"
    report = record.read("report.md").decode()
    assert record.config_hash in report
    assert "![line](landscapes/line.png)" in report
    about = record.read_json("run.json")
    assert about["tags"]["config_hash"] == record.config_hash
    assert about["params"]["training.batch_size"] == 32


def test_the_metrics_are_there_by_epoch_and_by_landscape(start: Start, plain_pictures: None):
    record = start().record
    values = numbers(record)
    for key in ("train/loss", "train/accuracy", "test/loss", "test/accuracy", "weights/norm"):
        assert [step for name, step in values if name == key] == [0, 1, 2, 3]
    assert {"line/train/basin_width", "line/train/self_check"} <= {key for key, _step in values}
    assert values["train/loss", 3] < values["train/loss", 0]
    last, _metadata = decode_weights(record.read(CHECKPOINTS[-1]))
    norm = np.sqrt(sum(float((tensor.double() ** 2).sum()) for tensor in last.values()))
    assert values["weights/norm", 3] == pytest.approx(norm, rel=1e-12)


@pytest.mark.parametrize("norm", ["none", "batch"])
def test_the_self_checks_hold(start: Start, plain_pictures: None, norm: str):
    values = start(f"model.norm={norm}", "landscape.line.split=both", looks=LOOKS).record.latest()
    checks = [key for key in values if key.endswith("/self_check")]
    assert sorted(checks) == [
        "interpolation/train/self_check",
        "line/test/self_check",
        "line/train/self_check",
    ]
    for key in checks:
        assert values[key] == 0.0
        assert values[f"{key}_training"] <= 1e-6
        assert values[f"{key}_repeated"] == values[f"{key}_model"] == 0.0
    # The solution on the landscape has the loss that the training ended with: all examples are read.
    assert values["line/train/self_check_training"] * values["train/loss"] < 1e-6


def test_a_broken_engine_would_be_seen_by_the_self_check(
    start: Start, plain_pictures: None, monkeypatch: pytest.MonkeyPatch
):
    measured = self_checks.mean_loss

    def off(*arguments: object) -> object:
        value = measured(*arguments)
        return replace(value, loss=value.loss * (1 + 1e-5))

    monkeypatch.setattr(self_checks, "mean_loss", off)
    record = start().record
    assert record.latest()["line/train/self_check_training"] == pytest.approx(1e-5, rel=0.1)
    assert "Self-checks failed: line/train/self_check_training" in record.read("report.md").decode()


@pytest.mark.parametrize("end", ["initialisation", "solution"])
def test_a_landscape_that_is_off_at_either_end_is_seen_by_the_self_check(
    start: Start, plain_pictures: None, monkeypatch: pytest.MonkeyPatch, end: str
):
    evaluate = look_module.evaluate

    def off(*given: object, **settings: object) -> Landscape:
        found = evaluate(*given, **settings)
        point = found.points[end]
        moved = {name: value + 1e-3 for name, value in point.values.items()}
        return replace(found, points={**found.points, end: replace(point, values=moved)})

    monkeypatch.setattr(look_module, "evaluate", off)
    record = start(looks=("interpolation",)).record
    assert record.latest()["interpolation/train/self_check"] == pytest.approx(1e-3)


def test_points_that_diverge_again_are_the_same(start: Start, plain_pictures: None):
    record = start("landscape.line.alpha_range=[-1e30,1e30]", "landscape.line.points=4").record
    line = Landscape.from_bytes(record.read("landscapes/line.npz"))
    assert not np.isfinite(line.values["train/loss"]).any()
    assert record.latest()["line/train/self_check_repeated"] == 0.0


def test_a_network_that_gives_other_numbers_each_time_is_seen_by_points_evaluated_again(
    start: Start, plain_pictures: None, monkeypatch: pytest.MonkeyPatch
):
    measured = self_checks.Survey.open

    @contextmanager
    def drifting(survey: self_checks.Survey):
        with measured(survey) as measure:
            yield lambda points: [
                replace(own, values={name: value + 1e-3 for name, value in own.values.items()})
                for own in measure(points)
            ]

    class Drifting(self_checks.Survey):
        open = drifting

    monkeypatch.setattr(self_checks, "Survey", Drifting)
    record = start("landscape.line.split=both").record
    for split in ("train", "test"):
        key = f"line/{split}/self_check_repeated"
        assert record.latest()[key] == pytest.approx(1e-3)
        assert key in record.read_json("state.json")["tags"]["self_check_failed"]


def test_a_landscape_that_leaves_the_network_changed_is_not_trusted(
    start: Start, plain_pictures: None, monkeypatch: pytest.MonkeyPatch
):
    evaluate, warnings = look_module.evaluate, []

    def changing(model: torch.nn.Module, *rest: object, **settings: object) -> Landscape:
        found = evaluate(model, *rest, **settings)
        next(iter(model.parameters())).data.view(-1)[0] += 1.0
        next(own for name, own in model.named_buffers() if "mean" in name).neg_()
        return found

    monkeypatch.setattr(look_module, "evaluate", changing)
    monkeypatch.setattr(run_module.report, "pictures", lambda *given: warnings.append(given[-1]) or {})
    record = start(NORM).record
    assert record.latest()["line/train/self_check_model"] == 2.0
    assert warnings == ["Not to be trusted: line/train/self_check_model failed"]
    assert record.read_json("state.json")["tags"]["self_check_failed"] == "line/train/self_check_model"
    assert "Self-checks failed: line/train/self_check_model" in record.read("report.md").decode()


def test_tensors_are_changed_where_their_bits_are():
    def network() -> torch.nn.Module:
        model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2))
        for parameter in model.parameters():
            parameter.data.zero_()
        model[0].bias.data[0] = float("nan")
        return model

    model = network()
    before = self_checks.snapshot(model)
    assert self_checks.changed(model, before) == 0, "a NaN is itself"
    model[0].weight.data.neg_()
    assert self_checks.changed(model, before) == 1, "-0 has other bits than 0"
    model[1].double()
    assert self_checks.changed(model, before) == 1 + 4, "and other dtypes count, not those that stay"
    model.register_buffer("own", torch.zeros(1))
    assert self_checks.changed(model, before) == 1 + 4 + 1


def test_both_splits_are_measured_and_drawn(start: Start):
    record = start("landscape.contour.split=both", looks=("contour",)).record
    values = record.latest()
    for split in ("train", "test"):
        assert f"contour/{split}/basin_width" in values
    measures = {
        split: {key.split("/")[2] for key in values if key.startswith(f"contour/{split}/")}
        for split in ("train", "test")
    }
    assert measures["train"] == measures["test"]
    figures = {name for name in record.files() if name.endswith(".png")}
    assert figures == {
        f"landscapes/contour{suffix}.png" for suffix in ("", ".surface", ".test", ".test.surface")
    }
    landscape = Landscape.from_bytes(record.read("landscapes/contour.npz"))
    assert set(landscape.splits) == {"train", "test"}
    assert not np.array_equal(landscape.values["train/loss"], landscape.values["test/loss"])


def test_the_gap_of_batch_statistics_is_measured_where_there_are_any(start: Start, plain_pictures: None):
    with_norm = start(NORM, looks=LOOKS).record
    values = with_norm.latest()
    landscape = Landscape.from_bytes(with_norm.read("landscapes/interpolation.npz"))
    assert landscape.provenance["batch_statistics"] == "recomputed"
    # What the gap says: the loss on the landscape, less the one with the stored buffers (of training's end).
    gap = landscape.points["solution"].values["train/loss"] - values["train/loss"]
    assert values["interpolation/train/batch_statistics_gap"] == pytest.approx(gap, abs=1e-6)
    assert abs(gap) > 1e-3
    assert values["line/train/batch_statistics_gap"] == 0.0  # about one solution they are frozen
    without = start(looks=LOOKS).record.latest()
    assert not [key for key in without if key.endswith("batch_statistics_gap")]


CURVED = (
    "curvature=spectrum",
    "curvature.eigenvalues=2",
    "curvature.trace_repeats=2",
    "curvature.trace_probes=1",
    "curvature.density_probes=2",
    "curvature.lanczos_steps=4",
    "curvature.tolerance=0.01",
)


def test_the_curvature_of_the_solution_is_kept_drawn_and_logged(start: Start):
    record = start(*CURVED, looks=("line",)).record
    files = {name for name in record.files() if name.startswith("curvature")}
    assert files == {f"curvature.{suffix}" for suffix in ("npz", "json", "csv", "png", "pdf")}
    assert record.read("curvature.png")[:8] == b"\x89PNG\r\n\x1a\n"
    values = record.latest()
    for prefix in ("curvature", "curvature/gauss_newton"):
        largest, smallest = (values[f"{prefix}/{end}_eigenvalue"] for end in ("top", "smallest"))
        assert largest > abs(smallest)
        assert values[f"{prefix}/eigenvalue_ratio"] == pytest.approx(abs(smallest / largest))
        assert values[f"{prefix}/trace_standard_error"] > 0
    report = record.read("report.md").decode()
    assert "![curvature](curvature.png)" in report
    assert "`curvature/top_eigenvalue`" in report


def test_the_curvature_is_that_of_the_training_loss_at_the_solution(
    tiny: Compose, start: Start, plain_pictures: None
):
    """Against the dense Hessian, in float64 and one batch."""
    settings = (*CURVED, "curvature.tolerance=1e-4", "curvature.matrices=[hessian]")
    record = start(*settings).record
    kept = Curvature.from_bytes(record.read("curvature.npz"))
    assert kept.provenance["examples"] == kept.provenance["population"] == 64
    prepared = prepare(tiny(*settings), {})
    model, train = prepared.model.double(), prepared.data.train
    load_weights(model, decode_weights(record.read(CHECKPOINTS[-1]))[0])
    flat = torch.nn.utils.parameters_to_vector(model.parameters()).detach()

    def loss(weights: torch.Tensor) -> torch.Tensor:
        sizes = [own.numel() for own in model.parameters()]
        parts = zip(model.named_parameters(), weights.split(sizes), strict=True)
        named = {name: part.view(own.shape) for (name, own), part in parts}
        outputs = torch.func.functional_call(model, named, (train.inputs.double(),))
        return torch.nn.functional.cross_entropy(outputs, train.targets)

    matrix = torch.func.hessian(loss)(flat)
    assert matrix.shape == (kept.provenance["parameters"],) * 2
    values = torch.linalg.eigvalsh(matrix).numpy()
    measures = record.latest()
    assert measures["curvature/top_eigenvalue"] == pytest.approx(values[-1], rel=1e-3)
    assert measures["curvature/smallest_eigenvalue"] == pytest.approx(values[0], abs=1e-3 * values[-1])


def test_a_second_start_measures_no_curvature_again_and_a_damaged_one_is(
    start: Start, plain_pictures: None, monkeypatch: pytest.MonkeyPatch
):
    calls = []
    measure = run_module.curvature.measure

    def measuring(*arguments: object) -> object:
        calls.append(arguments)
        return measure(*arguments)

    monkeypatch.setattr(run_module.curvature, "measure", measuring)
    record = start(*CURVED).record
    before = contents(record)
    assert start(*CURVED).reused
    assert len(calls) == 1
    flip_a_bit(record.path / "curvature.csv")
    assert contents(start(*CURVED).record) == before
    assert len(calls) == 1
    flip_a_bit(record.path / "curvature.npz")
    assert contents(start(*CURVED, "evaluation.threads=2").record) == before
    assert len(calls) == 2
    (record.path / "manifest.json").write_text("{}")
    assert not start(*CURVED).reused


def test_a_run_without_curvature_has_none(start: Start, plain_pictures: None):
    record = start().record
    assert not [name for name in (*record.files(), *record.latest()) if name.startswith("curvature")]


# What a second start does


@pytest.mark.parametrize("tracking", ["none", "local"])
def test_a_second_start_reuses_and_writes_nothing(
    start: Start, done: list[str], local_store: Path, plain_pictures: None, tracking: str
):
    first = start(tracking=tracking)
    before = written(first.record)
    assert done == ["training", "line"]
    second = start("evaluation.threads=2", tracking=tracking)
    assert (second.reused, second.state) == (True, State.FINISHED)
    assert second.record.path == first.record.path
    assert written(second.record) == before
    assert done == ["training", "line"]
    assert (second.tracking is None) == (tracking == "none")


def test_without_reuse_the_run_is_done_anew_with_the_same_numbers(
    start: Start, done: list[str], plain_pictures: None
):
    first = start().record
    ids, made, values = first.read_json("run.json")["record_id"], contents(first), numbers(first)
    stray = first.path / "stray"
    stray.write_text("left by hand")
    second = start("reuse=false")
    assert not second.reused
    assert done == ["training", "line"] * 2
    assert second.record.read_json("run.json")["record_id"] != ids
    assert contents(second.record) == made
    assert numbers(second.record) == values
    assert not stray.exists()


def test_a_prepared_run_may_be_run_twice(tiny: Compose, plain_pictures: None):
    """Its model was trained by the first; the second starts from the initial weights all the same."""
    prepared = prepare(tiny("reuse=false"), {})
    first = contents(run(prepared).record)
    assert contents(run(prepared).record) == first


@pytest.mark.parametrize(
    "name", ["landscapes/line.npz", "landscapes/line.json", "landscapes/line.csv", "landscapes/line.png"]
)
def test_what_is_damaged_in_a_finished_run_is_made_again_with_the_same_bytes(
    start: Start, done: list[str], plain_pictures: None, name: str
):
    record = start(looks=LOOKS).record
    before, values = contents(record), numbers(record)
    flip_a_bit(record.path / name)
    done.clear()
    outcome = start(looks=LOOKS)
    assert not outcome.reused
    assert done == (["line"] if name.endswith(("npz", "json")) else [])  # the other is not evaluated again
    assert outcome.record.holds(name)
    assert contents(outcome.record) == before
    assert numbers(outcome.record) == values
    assert start(looks=LOOKS).reused


@pytest.mark.parametrize("name", [CHECKPOINTS[1], "metrics.json", "training.json"])
def test_what_only_training_gives_is_trained_again(
    start: Start, done: list[str], plain_pictures: None, name: str
):
    record = start().record
    before, values = contents(record), numbers(record)
    flip_a_bit(record.path / name)
    done.clear()
    again = start().record
    assert done == ["training"]
    assert contents(again) == before
    assert numbers(again) == values


@pytest.mark.parametrize("name", ["config.yaml", "run.json", "report.md", "state.json", "manifest.json"])
def test_what_says_what_the_run_is_is_written_again(start: Start, plain_pictures: None, name: str):
    record = start().record
    before = contents(record)
    config = record.read("config.yaml")
    (record.path / name).write_bytes(b"damaged")
    outcome = start()
    assert outcome.state is State.FINISHED
    assert all(outcome.record.holds(known) for known in outcome.record.files())
    assert contents(outcome.record) == before
    assert outcome.record.read("config.yaml") == config
    assert start().reused


# Nothing twice


def by_epoch(record: Record) -> list[MetricPoint]:
    return [point for point in record.metrics() if point.key.startswith(train_module.METRICS)]


def test_another_landscape_is_another_run_of_the_same_training(
    start: Start, done: list[str], plain_pictures: None
):
    first = start().record
    done.clear()
    second = start(looks=LOOKS).record
    assert done == ["interpolation", "line"]  # nothing is trained
    assert first.path != second.path
    tags = [record.read_json("run.json")["tags"] for record in (first, second)]
    assert tags[0]["training_hash"] == tags[1]["training_hash"]
    for name in CHECKPOINTS:
        assert first.read(name) == second.read(name)
        assert (first.path / name).samefile(second.path / name)  # the bytes are there once
    assert by_epoch(second) == by_epoch(first)  # with the times at which they were measured
    assert second.read_json("state.json")["tags"] == {"trained_by": first.config_hash}
    assert f"trained by run `{first.config_hash}`" in second.read("report.md").decode()
    third = start(looks=("interpolation",)).record
    assert third.read_json("state.json")["tags"] == {"trained_by": first.config_hash}  # not the middleman


def test_what_took_over_a_training_outlives_the_run_that_did_it(start: Start, plain_pictures: None):
    first = start().record
    second = start(looks=LOOKS).record
    before = contents(second)
    first.discard()
    assert contents(second) == before
    assert start(looks=LOOKS).reused


def test_an_interrupted_training_is_gone_on_with_by_another_run(
    tiny: Compose,
    undisturbed: Callable[[StudyConfig], Record],
    done: list[str],
    plain_pictures: None,
    stop_at: StopAt,
    caplog: pytest.LogCaptureFixture,
):
    with stop_at("metrics.json", KeyboardInterrupt(), 4), pytest.raises(KeyboardInterrupt):
        run(prepare(tiny(NORM), {}))  # in the third epoch
    other = tiny(NORM, looks=LOOKS)
    whole = undisturbed(other)
    record = run(prepare(other, {})).record
    assert "going on with the training after epoch 2" in caplog.text
    assert_same_run(record, whole)
    assert "trained_by" not in record.read_json("training.json")  # its end is this run's own
    done.clear()
    first = run(prepare(tiny(NORM), {})).record
    assert "training" not in done
    assert first.read_json("state.json")["tags"] == {"trained_by": record.config_hash}


def test_a_damaged_training_is_not_taken_over(start: Start, done: list[str], plain_pictures: None):
    first = start().record
    before = contents(first)
    flip_a_bit(first.path / CHECKPOINTS[1])
    done.clear()
    second = start(looks=LOOKS).record
    assert done[0] == "training"
    assert second.read(CHECKPOINTS[1]) == before[CHECKPOINTS[1]]
    assert "trained_by" not in second.read_json("state.json")["tags"]


def test_without_reuse_no_training_is_taken_over(start: Start, done: list[str], plain_pictures: None):
    start()
    done.clear()
    assert start("reuse=false", looks=LOOKS).record.read_json("state.json")["tags"] == {}
    assert done[0] == "training"


def test_two_runs_that_want_one_training_at_once_train_it_once(
    tiny: Compose, done: list[str], plain_pictures: None
):
    prepared = [prepare(tiny(looks=looks), {}) for looks in (("line",), LOOKS)]
    with ThreadPoolExecutor(2) as pool:
        first, second = (outcome.record for outcome in pool.map(run, prepared))
    assert done.count("training") == 1
    for name in CHECKPOINTS:
        assert first.read(name) == second.read(name)
    trained_by = [record.read_json("state.json")["tags"].get("trained_by") for record in (first, second)]
    assert sorted(map(str, trained_by)) == sorted([
        "None",
        (first if trained_by[0] is None else second).config_hash,
    ])


# Interrupted


@pytest.mark.parametrize(
    ("name", "time"),
    [
        ("run.json", 1),
        ("state.json", 1),
        ("metrics.json", 1),
        ("metrics.json", 3),
        (CHECKPOINTS[2], 1),
        ("training_state_000002.safetensors", 1),
        ("training_state.json", 2),
        (CHECKPOINTS[3], 1),
        ("training.json", 1),
        ("landscapes/line.json", 1),
        ("report.md", 1),
    ],
)
def test_an_interrupted_run_goes_on_to_the_same_bits(
    tiny: Compose,
    undisturbed: Callable[[StudyConfig], Record],
    plain_pictures: None,
    stop_at: StopAt,
    name: str,
    time: int,
):
    config = tiny(NORM, looks=LOOKS)
    whole = undisturbed(config)
    prepared = prepare(config, {})
    with stop_at(name, KeyboardInterrupt(), time), pytest.raises(KeyboardInterrupt):
        run(prepared)
    record = prepared.record
    assert record.state is State.KILLED
    outcome = run(prepare(config, {}))
    assert not outcome.reused
    assert_same_run(outcome.record, whole)


def test_training_goes_on_after_the_last_whole_epoch(
    start: Start, plain_pictures: None, stop_at: StopAt, monkeypatch: pytest.MonkeyPatch
):
    with stop_at("metrics.json", KeyboardInterrupt(), time=4), pytest.raises(KeyboardInterrupt):
        start()  # epoch 0 is logged first: this is epoch 3, after its updates
    resumed = []
    train = train_module.train

    def training(*rest: object, **settings: object) -> object:
        resumed.append(settings["resume"].epoch)
        return train(*rest, **settings)

    monkeypatch.setattr(train_module, "train", training)
    assert start().state is State.FINISHED
    assert resumed == [2]


@pytest.mark.parametrize("name", [CHECKPOINTS[1], "metrics.json", "training_state_000002.safetensors"])
def test_a_training_with_damaged_files_starts_anew(
    tiny: Compose,
    undisturbed: Callable[[StudyConfig], Record],
    plain_pictures: None,
    stop_at: StopAt,
    name: str,
):
    config = tiny(NORM, looks=LOOKS)
    prepared = prepare(config, {})
    with stop_at(CHECKPOINTS[3], KeyboardInterrupt()), pytest.raises(KeyboardInterrupt):
        run(prepared)
    flip_a_bit(prepared.record.path / name)
    assert_same_run(run(prepare(config, {})).record, undisturbed(config))


def test_an_interruption_between_two_landscapes_keeps_the_first(
    start: Start, done: list[str], plain_pictures: None, monkeypatch: pytest.MonkeyPatch
):
    look = run_module.look

    def interrupted(config: object, *rest: object) -> object:
        if config.kind == "line":
            raise KeyboardInterrupt
        return look(config, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(run_module, "look", interrupted)
        with pytest.raises(KeyboardInterrupt):
            start(looks=LOOKS)
    assert done == ["training", "interpolation"]
    (record,) = Record.all(Path(os.environ["STUDY_OUTPUT_DIR"]))
    assert record.state is State.KILLED
    before = written(record)["landscapes/interpolation.npz"]
    assert start(looks=LOOKS).state is State.FINISHED
    assert done == ["training", "interpolation", "line"]
    assert written(record)["landscapes/interpolation.npz"] == before


@pytest.mark.parametrize("name", ["metrics.json", "landscapes/line.npz"])
def test_an_error_leaves_its_traceback_and_a_restart_clears_it(
    start: Start,
    tiny: Compose,
    undisturbed: Callable[[StudyConfig], Record],
    plain_pictures: None,
    stop_at: StopAt,
    name: str,
):
    error = RuntimeError("no space left\non the disk")
    with stop_at(name, error), pytest.raises(RuntimeError):
        start(NORM, looks=LOOKS)
    (record,) = Record.all(Path(os.environ["STUDY_OUTPUT_DIR"]))
    assert record.state is State.FAILED
    state = record.read_json("state.json")
    assert state["tags"] == {"message": "no space left on the disk"}
    assert state["ended"] >= state["started"]
    assert record.read("error.txt").decode().rstrip().endswith("RuntimeError: no space left\non the disk")
    outcome = start(NORM, looks=LOOKS)
    assert not outcome.record.holds("error.txt")
    assert outcome.record.read_json("state.json")["tags"] == {}
    assert_same_run(outcome.record, undisturbed(tiny(NORM, looks=LOOKS)))


def test_a_report_that_cannot_be_written_is_no_finished_run(
    start: Start, plain_pictures: None, monkeypatch: pytest.MonkeyPatch
):
    with monkeypatch.context() as patch:
        patch.delattr(run_module.report, "run_page")
        with pytest.raises(AttributeError):
            start()
    (record,) = Record.all(Path(os.environ["STUDY_OUTPUT_DIR"]))
    assert record.state is State.FAILED
    assert start().record.holds("report.md")


KILLED = """
import os, signal, sys
from study import record
from study.prepare import prepare
from study.resolve import composed, typed
from study.run import run

when, times, write = sys.argv[1], int(sys.argv[2]), record.write_atomically
waiting = [times]

def killed(path, data):
    if waiting[0] == 0 and path.name == "manifest.json":
        os.kill(os.getpid(), signal.SIGKILL)
    write(path, data)
    waiting[0] -= path.name == when

record.write_atomically = killed
run(prepare(typed(composed(sys.argv[3:])), {}))
"""


@pytest.mark.process
@pytest.mark.parametrize(("name", "times"), [("metrics.json", 3)])
def test_a_run_killed_between_a_file_and_its_checksum_loses_nothing(
    tiny: Compose,
    undisturbed: Callable[[StudyConfig], Record],
    plain_pictures: None,
    arguments: Callable[..., list[str]],
    name: str,
    times: int,
):
    config = tiny(NORM, looks=LOOKS)
    command = [sys.executable, "-c", KILLED, name, str(times), *arguments(NORM, looks=LOOKS)]
    done = subprocess.run(command, check=False)
    assert done.returncode == -signal.SIGKILL
    record = prepare(config, {}).record
    assert record.state is State.RUNNING  # nobody could say otherwise
    assert record.holds(name)
    assert_same_run(run(prepare(config, {})).record, undisturbed(config))


# Diverged


def test_a_diverged_training_is_a_result(start: Start, done: list[str], plain_pictures: None):
    overrides = ("optimizer=sgd", "optimizer.learning_rate=1e12")
    outcome = start(*overrides, looks=LOOKS)
    record = outcome.record
    assert outcome.state is State.FINISHED
    assert "not finite" in record.read_json("state.json")["tags"]["diverged"]
    assert not [name for name in record.files() if name.startswith("landscapes/")]
    assert "The training diverged" in record.read("report.md").decode()
    before = written(record)
    again = start(*overrides, looks=LOOKS)
    assert again.reused
    assert written(record) == before
    assert done == ["training"]


def test_an_interrupted_diverged_training_still_diverges(start: Start, plain_pictures: None, stop_at: StopAt):
    overrides = ("optimizer=sgd", "optimizer.learning_rate=1e12")
    with stop_at("training.json", KeyboardInterrupt()), pytest.raises(KeyboardInterrupt):
        start(*overrides)
    record = start(*overrides).record
    assert "diverged" in record.read_json("state.json")["tags"]


# What is trained already


def test_a_run_looked_at_again_has_the_bytes_of_the_first_look(
    start: Start, done: list[str], plain_pictures: None
):
    first = start(looks=LOOKS).record
    done.clear()
    second = start(f"checkpoint={first.config_hash}", looks=LOOKS).record
    assert done == ["interpolation", "line"]  # and no training
    assert second.path != first.path
    assert not [name for name in second.files() if name.startswith("checkpoints/")]
    for look in LOOKS:
        name = f"landscapes/{look}.npz"
        assert second.read(name) == first.read(name)
    about = second.read_json("run.json")
    assert about["tags"]["checkpoint"] == f"run {first.config_hash}, update 6"
    assert about["tags"]["training_hash"] == first.read_json("run.json")["tags"]["training_hash"]
    assert start(f"checkpoint={first.config_hash[:6]}", looks=LOOKS).reused


def test_an_earlier_checkpoint_is_looked_at_under_its_own_name(start: Start, plain_pictures: None):
    first = start(looks=LOOKS).record
    record = start(f"checkpoint={first.config_hash}@2", looks=LOOKS).record
    values, trained = record.latest(), numbers(first)
    for look, names in (("interpolation", {"initialisation", "update 2"}), ("line", {"update 2"})):
        landscape = Landscape.from_bytes(record.read(f"landscapes/{look}.npz"))
        assert set(landscape.points) == names
        loss = landscape.points["update 2"].values["train/loss"]
        assert loss == pytest.approx(trained["train/loss", 1], rel=1e-6)  # update 2 ends epoch 1
        assert values[f"{look}/train/self_check"] == 0.0


def test_a_file_of_a_record_is_its_run_at_that_update(start: Start, plain_pictures: None):
    first = start().record
    by_name = start(f"checkpoint={first.config_hash}@4", looks=LOOKS)
    by_file = start(f"checkpoint={first.path / CHECKPOINTS[2]}", looks=LOOKS)
    assert by_file.reused
    assert by_file.record.path == by_name.record.path


def test_a_lone_file_has_lines_but_no_interpolation(
    start: Start, tiny: Compose, plain_pictures: None, tmp_path: Path
):
    first = start(looks=("line", "contour")).record
    lone = tmp_path / "mine.safetensors"
    lone.write_bytes(first.read(CHECKPOINTS[-1]))
    record = start(f"checkpoint={lone}", looks=("line", "contour")).record
    for look in ("line", "contour"):
        assert record.read(f"landscapes/{look}.npz") == first.read(f"landscapes/{look}.npz")
    with pytest.raises(ConfigError, match=r"landscape\.interpolation needs its initialisation"):
        prepare(tiny(f"checkpoint={lone}", looks=LOOKS), {})
    assert len(Record.all(first.path.parent.parent)) == 2  # nothing was written for what was refused


def test_weights_of_another_architecture_are_refused(start: Start, tiny: Compose, plain_pictures: None):
    first = start().record
    for overrides in (["model.widths=[9]"], [NORM], ["model.widths=[8,8]"]):
        with pytest.raises(ValueError, match="another architecture"):
            prepare(tiny(f"checkpoint={first.config_hash}", *overrides), {})
    assert len(Record.all(first.path.parent.parent)) == 1


def test_settings_of_the_look_change_the_run_and_settings_of_the_place_do_not(tiny: Compose, tmp_path: Path):
    def config_hash(*overrides: str) -> str:
        return prepare(tiny(*overrides), {}).identity.config_hash

    own = config_hash()
    assert config_hash("evaluation.threads=2", "reuse=false", f"output_dir={tmp_path}/x") == own
    assert config_hash("landscape.line.points=5") != own
    assert config_hash("data.train_examples=63") != own


def test_the_number_of_threads_is_set_for_training(start: Start, plain_pictures: None):
    before = torch.get_num_threads()
    try:
        start("evaluation.threads=2")
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_a_second_process_waits_and_then_takes_what_the_first_has_finished(
    start: Start,
    tiny: Compose,
    done: list[str],
    plain_pictures: None,
    monkeypatch: pytest.MonkeyPatch,
):
    """The first comes between the second's preparation and its lock."""
    prepared = prepare(tiny(), {})
    lock = Record.lock

    def late(record: Record, **settings: object) -> AbstractContextManager[bool]:
        monkeypatch.setattr(Record, "lock", lock)
        start()
        return lock(record, **settings)

    monkeypatch.setattr(Record, "lock", late)
    assert run(prepared).reused
    assert done == ["training", "line"]


@pytest.mark.process
def test_a_run_says_that_it_waits_for_another_process(
    tiny: Compose, plain_pictures: None, caplog: pytest.LogCaptureFixture
):
    prepared = prepare(tiny(), {})
    code = (
        "import sys, time; from study.record import Record\n"
        "with Record.at(sys.argv[1], sys.argv[2]).lock(): print('held', flush=True); time.sleep(0.5)"
    )
    command = [sys.executable, "-c", code, prepared.config.output_dir, prepared.identity.config_hash]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        assert run(prepared).state is State.FINISHED
        assert other.wait() == 0
    assert caplog.text.count(f"another process works on {prepared.record.path}: waiting") == 1


@pytest.mark.usefixtures("plain_pictures")
def test_what_a_training_is_gone_on_from_is_gone_once_it_has_ended_however_that_was_cut_short(start: Start):
    record = start().record
    record.write("training_state_000003.safetensors", b"killed before it was removed")
    record.set_state(State.KILLED)
    again = start().record
    assert again.state is State.FINISHED
    assert not [name for name in again.files() if name.startswith("training_state")]
