"""Lines between the minima of two runs: which pairs, and what the loss is along them."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch

from study import build
from study.between import BRANCH_SEED, Pair, choose_pairs, join, join_all, solution_file, why_not
from study.compare import compare
from study.config import ComparisonConfig, StudyConfig
from study.landscape.executors import Serial
from study.members import Members
from study.record import COMPARISONS, Record
from study.run import Outcome
from study.training.checkpoints import decode_weights, load_weights
from study.training.loop import mean_loss

Start = Callable[..., Outcome]


@pytest.fixture
def settings(tiny: Callable[..., StudyConfig]) -> StudyConfig:
    """A configuration whose comparison reads all examples, at α = −0.5, 0.25 and 1."""
    config = tiny()
    config.comparison = ComparisonConfig(alpha_range=[-0.5, 1.0], points=3, examples=None, pairs=6)
    return config


@pytest.fixture
def members(start: Start, plain_pictures: None) -> Callable[..., Members]:
    def of(*jobs: Sequence[str]) -> Members:
        return Members.of([start(*job, looks=("line",)).record for job in jobs])

    return of


def names(members: Members, pairs: Sequence[Pair]) -> list[tuple[str, str]]:
    return [(members.label(pair.start), members.label(pair.end)) for pair in pairs]


def test_runs_that_differ_in_the_swept_key_are_paired_seed_by_seed_small_first(members):
    found = members(*[(f"training.batch_size={size}", f"seed={seed}") for size in (32, 8) for seed in (0, 1)])
    pairs, beyond = choose_pairs(found, 6)
    assert names(found, pairs) == [
        ("batch_size 8, seed 0", "batch_size 32, seed 0"),
        ("batch_size 8, seed 1", "batch_size 32, seed 1"),
    ]
    assert beyond == []


def test_the_ends_come_first_and_what_is_too_much_is_left(members):
    found = members(*[(f"training.batch_size={size}",) for size in (8, 16, 32, 64)])
    pairs, beyond = choose_pairs(found, 3)
    assert names(found, pairs) == [
        ("batch_size 8", "batch_size 64"),
        ("batch_size 8", "batch_size 16"),
        ("batch_size 16", "batch_size 32"),
    ]
    assert len(beyond) == 3  # of six


def test_only_runs_that_differ_in_one_setting_are_paired(members):
    found = members(*[
        (f"training.batch_size={size}", f"optimizer.learning_rate={rate}")
        for size in (8, 32)
        for rate in (0.001, 0.01)
    ])
    pairs, _beyond = choose_pairs(found, 10)
    assert len(pairs) == 4  # the sides of the square, not its diagonals


def test_optimizers_are_paired_whatever_comes_with_them(members):
    """The learning rate comes with the choice; the momentum, in which two runs of SGD differ, counts."""
    found = members(*[(f"optimizer={name}",) for name in ("plain_sgd", "sgd", "adam")])
    assert found.keys == ("optimizer.name", "optimizer.momentum")
    pairs, _beyond = choose_pairs(found, 10)
    plain, heavy, adam = "optimizer sgd, momentum 0", "optimizer sgd, momentum 0.9", "optimizer adam"
    assert sorted(names(found, pairs)) == sorted([(plain, heavy), (plain, adam), (heavy, adam)])


def test_seeds_alone_are_paired_each_with_the_next(members):
    found = members(("seed=0",), ("seed=2",), ("seed=1",))
    pairs, _beyond = choose_pairs(found, 10)
    assert names(found, pairs) == [("seed 0", "seed 1"), ("seed 1", "seed 2")]


BRANCHED = [
    (f"training.branch_at={at}", f"training.branch_seed={seed}", f"seed={of}")
    for at in (3, 0)
    for seed in (2, 1)
    for of in (0, 1)
]


def test_what_branched_off_is_paired_with_its_siblings_alone(members):
    found = members(*BRANCHED)
    pairs, beyond = choose_pairs(found, 10)
    assert names(found, pairs) == [
        (f"branch_at {at}, seed {of}, branch_seed 1", f"branch_at {at}, seed {of}, branch_seed 2")
        for at in (0, 3)
        for of in (0, 1)
    ]
    assert beyond == []


def test_every_two_siblings_of_one_branch_are_paired_the_ends_first(members):
    siblings = [("training.branch_at=2", f"training.branch_seed={seed}") for seed in (1, 2, 3)]
    alone, beside_others = members(*siblings), members(*siblings, (), ("seed=1",))
    seeds = [
        [tuple(run.settings[BRANCH_SEED] for run in (pair.start, pair.end)) for pair in pairs]
        for pairs, _beyond in (choose_pairs(found, 10) for found in (alone, beside_others))
    ]
    assert seeds[0] == [(1, 3), (1, 2), (2, 3)]
    assert sorted(seeds[1]) == [(1, 2), (1, 3), (2, 3)]


def test_siblings_are_joined_from_what_they_share_to_a_barrier_each(
    start: Start, settings: StudyConfig, output_dir, plain_pictures: None
):
    """A branch at the end of training is none: its siblings are one network, between which nothing rises."""
    jobs = [(f"training.branch_at={at}", f"training.branch_seed={seed}") for at in (0, 6) for seed in (1, 2)]
    found = Members.of([start(*job, looks=()).record for job in jobs])
    kept = Record.at(output_dir, "test", COMPARISONS)
    joined = join_all(found, settings.comparison, settings.evaluation, Serial(), kept)
    result = compare(found, joined)
    table = result.between.set_index(["start", "end", "split"])
    assert len(table) == 4
    for at, apart in ((0, True), (6, False)):
        barriers = table.loc[(f"branch_at {at}, branch_seed 1", f"branch_at {at}, branch_seed 2")]
        assert list(barriers.index) == ["train", "test"]
        assert (barriers["barrier_from_mean"] != 0).all() == apart
    first, second = (run.record.read(solution_file(run)) for run in found.runs[2:])
    assert first == second
    panels = [axes.get_title() for axes in result.figures["between"].axes if axes.get_title()]
    assert panels == ["branch_at 0", "branch_at 6"]
    legend = {text.get_text() for text in result.figures["between"].legends[0].get_texts()}
    assert "branch_seed 1 → branch_seed 2" in legend


def test_two_looks_at_one_training_are_no_pair(members):
    found = members(("landscape.line.points=3",), ("landscape.line.points=4",))
    assert choose_pairs(found, 10) == ([], [])


@pytest.mark.parametrize(
    ("override", "reason"),
    [("data.train_examples=48", "other data"), ("model.widths=[9]", "other architecture")],
)
def test_what_cannot_be_joined_is_not(members, override: str, reason: str):
    found = members((), (override,))
    (pair,), _beyond = choose_pairs(found, 10)
    assert why_not(pair) == reason


@pytest.mark.parametrize("norm", ["none", "batch"])
def test_the_line_has_the_loss_of_every_mix_of_the_two(members, settings: StudyConfig, output_dir, norm: str):
    found = members(*[(f"training.batch_size={size}", f"model.norm={norm}") for size in (8, 32)])
    (pair,), _beyond = choose_pairs(found, 1)
    assert why_not(pair) is None
    kept = Record.at(output_dir, "test", COMPARISONS)
    data = build.data_set(settings.data)
    landscape = join(pair, settings.comparison, settings.evaluation, Serial(), kept, data)
    assert landscape.axes["alpha"].tolist() == [-0.5, 0.25, 1.0]
    assert list(landscape.points) == ["start", "end"]
    assert landscape.splits == ["train", "test"]
    if norm == "batch":
        return  # running statistics are recomputed: nothing stored has these
    states = [decode_weights(run.record.read(solution_file(run)))[0] for run in found.runs]
    model = build.model(settings.model, data, 0, "cpu")
    for place, alpha in enumerate((-0.5, 0.25, 1.0)):
        small, large = states
        load_weights(model, {name: (1 - alpha) * small[name] + alpha * large[name] for name in small})
        for split in ("train", "test"):
            expected = mean_loss(model, getattr(data, split), 100, data.task)
            assert landscape.values[f"{split}/loss"][place] == pytest.approx(expected.loss, rel=1e-6)
            assert landscape.values[f"{split}/accuracy"][place] == pytest.approx(expected.score)
    for name, run in zip(("start", "end"), found.runs, strict=True):
        loss = landscape.points[name].values["train/loss"]
        assert loss == pytest.approx(run.values["train/loss"], rel=1e-6)


def test_a_line_is_evaluated_once_and_anew_under_other_settings(
    members, settings: StudyConfig, output_dir, monkeypatch: pytest.MonkeyPatch
):
    from study import between

    calls = []
    evaluate = between.evaluate
    monkeypatch.setattr(between, "evaluate", lambda *args, **rest: calls.append(1) or evaluate(*args, **rest))
    found = members(("seed=0",), ("seed=1",))
    (pair,), _beyond = choose_pairs(found, 1)
    kept = Record.at(output_dir, "test", COMPARISONS)
    data = build.data_set(settings.data)
    first = join(pair, settings.comparison, settings.evaluation, Serial(), kept, data)
    again = join(pair, settings.comparison, settings.evaluation, Serial(), kept, data)
    assert len(calls) == 1
    np.testing.assert_array_equal(again.values["train/loss"], first.values["train/loss"])
    finer = replace(settings.comparison, points=4)
    assert join(pair, finer, settings.evaluation, Serial(), kept, data).shape == (4,)
    assert len(calls) == 2


def test_the_threads_of_the_evaluation_are_set(members, settings: StudyConfig, output_dir):
    found = members(("seed=0",), ("seed=1",))
    (pair,), _beyond = choose_pairs(found, 1)
    torch.set_num_threads(2)
    kept = Record.at(output_dir, "test", COMPARISONS)
    join(pair, settings.comparison, settings.evaluation, Serial(), kept, build.data_set(settings.data))
    assert torch.get_num_threads() == settings.evaluation.threads == 1
