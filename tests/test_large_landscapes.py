"""Whole runs that evaluate less than everything, in less than float32, by others, or in pieces."""

from collections.abc import Callable
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from torch.nn import functional

from study import look as look_module
from study.config import StudyConfig
from study.landscape.executors import Serial
from study.landscape.result import Landscape, Status
from study.prepare import prepare
from study.run import Outcome, run

Start = Callable[..., Outcome]
Compose = Callable[..., StudyConfig]
SMOOTH = ("landscape.contour.points=31", "landscape.contour.alpha_range=[-0.5,0.5]")


def landscape(outcome: Outcome, name: str = "contour") -> Landscape:
    return Landscape.from_bytes(outcome.record.read(f"landscapes/{name}.npz"))


@pytest.fixture
def captions(monkeypatch) -> list[str]:
    """What stands below the pictures of each landscape."""
    found: list[str] = []

    def pictures(name, _config, _landscape, text, _warning=None):
        found.append(text)
        return {f"landscapes/{name}.{suffix}": b"" for suffix in ("png", "pdf", "html")}

    monkeypatch.setattr("study.report.pictures", pictures)
    return found


def test_a_tolerance_evaluates_fewer_points_and_says_how_far_off_the_others_are(start: Start, captions):
    exact = landscape(start(*SMOOTH, looks=("contour",)))
    outcome = start(*SMOOTH, "landscape.contour.tolerance=0.02", looks=("contour",))
    found, values = landscape(outcome), outcome.record.latest()
    between = found.status == Status.INTERPOLATED
    assert between.sum() > 31 * 31 / 2
    np.testing.assert_array_equal(found.values["train/loss"][~between], exact.values["train/loss"][~between])
    assert values["contour/train/self_check_repeated"] == 0.0, "cells that were interpolated are not taken"
    stated = values["contour/train/interpolation_error"]
    assert 0 < stated <= 0.02
    true = np.abs(np.log(found.values["train/loss"] + 1e-3) - np.log(exact.values["train/loss"] + 1e-3))
    assert (true[between] <= stated).mean() >= 0.95
    evaluated = found.provenance["interpolation"]["evaluated"]
    assert f"{evaluated} of 961 cells evaluated, the others interpolated: within" in captions[-1]
    assert "interpolated" not in captions[0]
    rows = outcome.record.read("landscapes/contour.csv").decode().splitlines()
    assert "train/loss_interpolation_error" in rows[0]
    assert sum(",interpolated," in row for row in rows) == between.sum()


def test_bfloat16_says_how_far_off_it_is(start: Start, captions):
    exact = landscape(start(looks=("contour",)))
    outcome = start("evaluation.precision=bfloat16", looks=("contour",))
    found, values = landscape(outcome), outcome.record.latest()
    relative = np.abs(found.values["train/loss"] / exact.values["train/loss"] - 1)
    stated = values["contour/train/precision_error"]
    assert 0 < stated <= relative.max() * (1 + 1e-12)
    assert "in bfloat16: within" in captions[-1]
    assert values["contour/train/self_check"] == 0.0
    assert values["contour/train/self_check_training"] <= 1e-6, "held against training in float32"


def test_a_finer_grid_takes_over_the_points_it_shares(start: Start, plain_pictures, monkeypatch):
    asked: list[int] = []

    class Counting(Serial):
        def open(self, survey):
            return counted(super().open(survey))

    def counted(context):
        @contextmanager
        def opened():
            with context as mapper:

                def mapping(points):
                    asked.append(len(points))
                    return mapper(points)

                yield mapping

        return opened()

    monkeypatch.setattr("study.build.executor", lambda _config: Counting())
    start("landscape.contour.points=4", looks=("contour",))
    assert sum(asked) == 4 * 4 + 1
    asked.clear()
    start("landscape.contour.points=7", looks=("contour",))
    assert sum(asked) == 7 * 7 - 4 * 4 - 1, "the middle of seven is the solution, which is there too"
    asked.clear()
    start("landscape.contour.points=7", "landscape.contour.basin_rise=0.2", looks=("contour",))
    assert sum(asked) == 0, "another measure of the same surface"
    start("landscape.contour.points=7", "reuse=false", looks=("contour",))
    assert sum(asked) == 7 * 7


@pytest.mark.parametrize("at", [1, 5, 9])
def test_a_landscape_that_is_interrupted_goes_on_with_the_points_that_are_missing(
    start: Start, plain_pictures, monkeypatch, tmp_path, at
):
    whole = start(looks=("contour",)).record.read("landscapes/contour.npz")
    elsewhere = f"output_dir={tmp_path / 'elsewhere'}"
    seen: list[int] = []

    def stopping(*arguments, **settings):
        inner = settings.pop("on_point")

        def on_point(done, total):
            inner(done, total)
            seen.append(done)
            if len(seen) == at:
                raise KeyboardInterrupt

        return evaluate(*arguments, on_point=on_point, **settings)

    evaluate = look_module.evaluate
    monkeypatch.setattr(look_module, "evaluate", stopping)
    with pytest.raises(KeyboardInterrupt):
        start(elsewhere, looks=("contour",))
    again = start(elsewhere, looks=("contour",)).record
    assert again.read("landscapes/contour.npz") == whole
    lines = [
        line
        for file in (tmp_path / "elsewhere" / "points").rglob("*.jsonl")
        for line in file.read_bytes().splitlines()[1:]
    ]
    assert len(lines) == len({line.partition(b'"values"')[0][17:] for line in lines}), "each point once"


@pytest.mark.parametrize("model", ["mlp", "cnn"])
def test_the_self_checks_hold_where_points_share_a_pass(compose: Compose, arguments, plain_pictures, model):
    asked = arguments("evaluation.points_at_once=4", looks=("interpolation", "contour"))
    if model == "cnn":
        asked = [own for own in asked if not own.startswith("model")] + ["model=cnn"]
    values = run(prepare(compose(*asked), {})).record.latest()
    assert values["contour/train/self_check"] == values["interpolation/train/self_check"] == 0.0
    assert values["contour/train/self_check_training"] <= 1e-6


def test_the_self_checks_hold_where_memory_ran_out(start: Start, plain_pictures, monkeypatch):
    """They are made under the plan that the landscape came to, not the one that it began with."""
    most = 20

    def short_of_memory(outputs, targets):
        if len(outputs) > most:
            raise torch.OutOfMemoryError("no room")
        return functional.cross_entropy(outputs, targets, reduction="none")

    evaluate = look_module.evaluate

    def evaluating(model, _loss, *rest, **settings):
        return evaluate(model, short_of_memory, *rest, **settings)

    monkeypatch.setattr(look_module, "evaluate", evaluating)
    outcome = start(looks=("contour",))
    assert landscape(outcome).provenance["plan"]["micro_batch"] <= most
    assert outcome.record.latest()["contour/train/self_check"] == 0.0


@pytest.mark.process
def test_other_processes_give_the_same_bits(start: Start, plain_pictures, tmp_path):
    alone = start(looks=("contour",)).record
    helped = start("executor=joblib", f"output_dir={tmp_path / 'elsewhere'}", looks=("contour",)).record
    assert helped.config_hash == alone.config_hash
    assert helped.read("landscapes/contour.npz") == alone.read("landscapes/contour.npz")
    assert helped.latest() == alone.latest()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["landscape.contour.tolerance=0"], "landscape.contour.tolerance must be above 0, got 0"),
        (["evaluation.precision=float16"], "evaluation.precision must be one of float32, bfloat16"),
        (["evaluation.points_at_once=0"], "evaluation.points_at_once must be at least 1, got 0"),
        (["executor=joblib", "executor.workers=0"], "executor.workers must be at least 1, got 0"),
        (["executor=ray", "executor.gpus_per_worker=-1"], "executor.gpus_per_worker must be at least 0"),
    ],
)
def test_a_mistake_is_named(tiny: Compose, overrides, message):
    with pytest.raises(ValueError, match=message):
        tiny(*overrides, looks=("contour",))


def test_an_executor_that_is_not_installed_is_named(start: Start, monkeypatch):
    monkeypatch.setattr("study.build.find_spec", lambda _name: None)
    with pytest.raises(ValueError, match=r"executor must be installed: pip install 'landscape-study\[ray\]'"):
        start("executor=ray", looks=("contour",))
