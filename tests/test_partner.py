"""`seed+K`: a landscape between a run's own solution and that of its configuration with another seed."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from study import build
from study.config import StudyConfig
from study.errors import ConfigError, JobError
from study.landscape.result import Landscape
from study.prepare import prepare
from study.record import Record, State
from study.run import Outcome, run
from study.source import checkpoint_name
from study.sweep import sweep

Compose = Callable[..., StudyConfig]
Start = Callable[..., Outcome]
StopAt = Callable[..., AbstractContextManager[None]]

PLAIN = ("landscape=[]",)
MINIMA = ("landscape=[minima]", "landscape.minima.end=seed+1000", "landscape.minima.points=3")
AND_LINE = ("landscape=[line,minima]", *MINIMA[1:], "landscape.line.points=3")
SGD = ("optimizer=sgd", "optimizer.learning_rate=0.1")

pytestmark = pytest.mark.usefixtures("plain_pictures")


@pytest.fixture
def tiny(tiny: Compose) -> Compose:
    """A small configuration whose landscapes are among the overrides."""
    return lambda *overrides: tiny(*overrides, looks=())


@pytest.fixture
def go(tiny: Compose) -> Start:
    """Prepare and run it."""
    return lambda *overrides: run(prepare(tiny(*overrides), {"model": "mlp"}))


@pytest.fixture
def diverging(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a configuration with SGD, the training of seed 1000 diverges, and no other."""
    made = build.optimizer

    def optimizer(config: StudyConfig, model: object) -> object:
        if config.seed == 1000:
            config = replace(config, optimizer=replace(config.optimizer, learning_rate=1e30))
        return made(config, model)

    monkeypatch.setattr(build, "optimizer", optimizer)


def line(record: Record, name: str = "minima") -> np.ndarray:
    return Landscape.from_bytes(record.read(f"landscapes/{name}.npz")).values["train/loss"]


def tags(record: Record) -> dict[str, str]:
    return record.read_json("state.json")["tags"]


def contents(record: Record) -> dict[str, bytes]:
    """Every file whose bytes follow from the configuration: no times, no ids."""
    names = [
        name for name in record.files() if name.startswith("checkpoints/") or name.endswith((".npz", ".csv"))
    ]
    return {name: record.read(name) for name in names}


# What it is


def test_the_end_is_what_the_same_configuration_reaches_with_another_seed(go: Start):
    joined = go(*MINIMA, "seed=3").record
    other = go(*PLAIN, "seed=1003")
    assert other.reused  # it is a run as any other
    named = go("landscape=[minima]", f"landscape.minima.end={other.record.config_hash}", MINIMA[2], "seed=3")
    assert (line(joined) == line(named.record)).all()
    assert joined.latest()["minima/train/self_check"] == 0
    assert joined.latest()["minima/train/barrier"] == named.record.latest()["minima/train/barrier"]


def test_the_partner_has_nothing_but_its_training(go: Start, output_dir: Path):
    joined = go(*AND_LINE, "measures=flatness", "measures.names=[path_norm]").record
    (partner,) = (own for own in Record.all(output_dir) if own.config_hash != joined.config_hash)
    assert partner.state is State.FINISHED
    about = partner.read_json("run.json")
    assert (about["landscapes"], about["settings"]["seed"]) == ([], 1000)
    assert about["choices"] == {"model": "mlp"}
    assert not [name for name in partner.files() if name.startswith(("landscapes/", "measures"))]
    assert joined.read_json("run.json")["tags"]["partners"] == f"seed 1000 (run {partner.config_hash})"
    assert f"seed 1000 (run {partner.config_hash})" in joined.read("report.md").decode()


def test_seeds_that_are_given_stay(go: Start, output_dir: Path):
    go(*MINIMA, "training.init_seed=5")
    initial = [own.read(checkpoint_name(0)) for own in Record.all(output_dir)]
    final = [own.read(checkpoint_name(6)) for own in Record.all(output_dir)]
    assert len(initial) == 2
    assert initial[0] == initial[1]
    assert final[0] != final[1]


def test_with_checkpoint_the_seed_is_that_of_the_run_looked_at(
    go: Start, arguments: Callable[..., list[str]], output_dir: Path
):
    record = go(*PLAIN, "seed=3", "training.epochs=2").record
    look = (f"checkpoint={record.config_hash}", "tracking=none", "output_dir=" + str(output_dir))
    alone = ("evaluation.threads=1", *MINIMA[:2], "landscape.minima.points=3,4", "comparison.pairs=0")
    assert sweep([*look, *alone]).failed == {}
    seeds = [own.read_json("run.json")["settings"]["seed"] for own in Record.all(output_dir)]
    assert sorted(seeds) == [3, 3, 3, 1003]
    assert go(*PLAIN, "seed=1003", "training.epochs=2").reused


def test_three_solutions_and_a_curve(go: Start, output_dir: Path):
    plane = "landscape.three_points"
    places = (f"{plane}.second=seed+1", f"{plane}.third=seed+2", f"{plane}.points=3")
    curve = ("landscape.curve.end=seed+1", "landscape.curve.steps=5", "landscape.curve.points=3")
    record = go("landscape=[three_points,curve]", *places, *curve).record
    assert len(Record.all(output_dir)) == 3
    seconds = [go(*PLAIN, f"seed={seed}").record.latest() for seed in (1, 2)]
    measured = [record.latest()[f"three_points/train/{name}_loss"] for name in ("second", "third")]
    assert measured == pytest.approx([own["train/loss"] for own in seconds], rel=1e-6)


# Identity


def test_the_hash_is_known_before_and_the_same_after_and_without_the_partner(tiny: Compose, output_dir: Path):
    config = tiny(*MINIMA)
    before = prepare(config, {})
    partner = before.partners["seed+1000"]
    assert not (output_dir / "runs").exists()  # nothing is trained to know it
    assert partner.identity == prepare(tiny(*PLAIN, "seed=1000"), {}).identity
    assert before.identity.content["landscape"]["minima"]["end"] == partner.identity.training_hash
    run(before)
    assert prepare(config, {}).identity == before.identity
    partner.record.discard()
    assert prepare(config, {}).identity == before.identity


def test_another_partner_or_another_training_of_it_is_another_run(tiny: Compose):
    changes = ([], ["landscape.minima.end=seed+1001"], ["training.epochs=4"], ["seed=1"])
    found = [prepare(tiny(*MINIMA, *change), {}).identity for change in changes]
    assert len({own.config_hash for own in found}) == 4
    assert found[0].training_hash == found[1].training_hash  # its own


# Done once


def test_a_partner_serves_a_second_landscape_and_a_second_run(go: Start, done: list[str], output_dir: Path):
    aligned = (
        "+landscape@landscape.aligned=minima",
        "landscape.aligned.points=3",
        "landscape.aligned.align=true",
    )
    go(*MINIMA, *aligned, "landscape.aligned.end=seed+1000")
    assert done == ["training", "training", "minima", "minima"]
    done.clear()
    go(*AND_LINE)
    assert done == ["line", "minima"]
    assert len(Record.all(output_dir)) == 3


def test_a_solution_that_a_run_reached_before_is_taken_for_the_partner(go: Start, done: list[str]):
    first = go("landscape=[line]", "landscape.line.points=3", "seed=1000").record
    done.clear()
    joined = go(*MINIMA).record
    assert done == ["training", "minima"]
    partner = prepare_partner(joined)
    assert tags(partner) == {"trained_by": first.config_hash}


def prepare_partner(joined: Record) -> Record:
    return Record.at(
        joined.output_dir, joined.read_json("run.json")["tags"]["partners"].split()[-1].rstrip(")")
    )


def test_a_finished_run_does_without_the_record_of_its_partner(go: Start, done: list[str]):
    record = go(*AND_LINE).record
    prepare_partner(record).discard()
    done.clear()
    assert go(*AND_LINE).reused
    record.remove("report.md")
    assert not go(*AND_LINE).reused  # made again, of what is there
    assert done == []


def test_without_reuse_the_partner_is_trained_anew(go: Start, done: list[str]):
    first = go(*MINIMA).record
    before = contents(first)
    done.clear()
    assert contents(go(*MINIMA, "reuse=false").record) == before
    assert done == ["training", "training", "minima"]


def test_two_runs_at_once_train_their_partner_once(tiny: Compose, done: list[str]):
    prepared = [prepare(tiny(*overrides), {}) for overrides in (MINIMA, AND_LINE)]
    with ThreadPoolExecutor(2) as pool:
        first, second = (outcome.record for outcome in pool.map(run, prepared))
    assert done.count("training") == 2  # one for both, and their partner
    assert (line(first) == line(second)).all()


@pytest.mark.parametrize(("name", "time"), [(checkpoint_name(4), 2), ("training.json", 2), ("report.md", 1)])
def test_an_interrupted_partner_is_gone_on_with(
    tiny: Compose, stop_at: StopAt, done: list[str], tmp_path: Path, name: str, time: int
):
    """Each is written by the run first, by its partner second; the report by the partner first."""
    config = tiny(*MINIMA)
    whole = run(prepare(replace(config, output_dir=str(tmp_path / "undisturbed")), {})).record
    done.clear()
    prepared = prepare(config, {})
    with stop_at(name, KeyboardInterrupt(), time), pytest.raises(KeyboardInterrupt):
        run(prepared)
    partner = prepared.partners["seed+1000"].record
    assert (prepared.record.state, partner.state) == (State.KILLED, State.KILLED)
    assert "minima" not in done
    again = run(prepare(config, {})).record
    assert contents(again) == contents(whole)
    assert contents(Record.at(again.output_dir, partner.config_hash)) == contents(prepare_partner(whole))
    assert done.count("training") == 2 + (name != "report.md")


# Diverged


@pytest.mark.usefixtures("diverging")
def test_a_partner_that_diverged_leaves_its_landscapes_out_and_the_others_stand(
    go: Start, done: list[str], capsys: pytest.CaptureFixture[str]
):
    from study.closing import print_run

    outcome = go(*SGD, *AND_LINE, "evaluation.threads=2")
    record = outcome.record
    assert torch.get_num_threads() == 2  # those of the evaluation, though a training came last
    assert outcome.state is State.FINISHED
    assert tags(record) == {"partner_diverged": "minima"}
    assert "diverged" in tags(prepare_partner(record))
    assert "landscapes/line.npz" in record.files()
    assert "landscapes/minima.npz" not in record.files()
    assert "**The training of another solution diverged**" in record.read("report.md").decode()
    assert done == ["training", "training", "line"]
    again = go(*SGD, *AND_LINE, "evaluation.threads=2")
    assert again.reused
    assert len(done) == 3
    print_run(again)
    assert "the training of another seed diverged, so not drawn: minima" in capsys.readouterr().out


@pytest.mark.usefixtures("diverging")
def test_a_comparison_names_what_a_diverged_partner_leaves_out(
    arguments: Callable[..., list[str]], output_dir: Path
):
    outcome = sweep([*arguments(*SGD, *MINIMA, "seed=0,1,2", "comparison.pairs=0", looks=())])
    assert outcome.failed == {}
    assert len(Record.all(output_dir)) == 6
    page = outcome.record.read("report.html").decode()
    assert "<td>the training of another seed, which it names, diverged</td>" in page


@pytest.mark.usefixtures("diverging")
def test_a_run_that_diverged_itself_asks_for_no_partner(go: Start, output_dir: Path):
    record = go(*SGD, *MINIMA, "seed=1000").record
    assert "diverged" in tags(record)
    assert len(Record.all(output_dir)) == 1


# Sweeps


def test_in_a_sweep_every_seed_has_a_pair_of_its_own(
    arguments: Callable[..., list[str]], output_dir: Path, done: list[str]
):
    asked = [*arguments(*MINIMA, "seed=0,1", "comparison.pairs=0", looks=())]
    outcome = sweep(asked)
    assert outcome.failed == {}
    assert done == ["training", "training", "minima"] * 2
    runs = outcome.members.runs
    assert [run.settings["seed"] for run in runs] == [0, 1]  # partners are no members
    assert [run.about["tags"]["partners"][:9] for run in runs] == ["seed 1000", "seed 1001"]
    assert len(Record.all(output_dir)) == 4
    weights = {own.read(checkpoint_name(6)) for own in Record.all(output_dir)}
    assert len(weights) == 4
    done.clear()
    assert sweep(asked).repeated == 0
    assert done == []


def test_a_bad_word_is_refused_before_any_job_starts(
    arguments: Callable[..., list[str]], output_dir: Path, done: list[str]
):
    words = "landscape.minima.end=seed+1000,seed+0"
    with pytest.raises(JobError, match=r"landscape\.minima\.end must be seed\+K"):
        sweep([*arguments("landscape=[minima]", words, looks=())])
    assert done == []
    assert not (output_dir / "runs").exists()


# Refused


@pytest.mark.parametrize(
    "words",
    ["seed", "seed+0", "seed+-1", "seed-1", "seed+1.5", "seed+1@averaged", "seed+9223372036854775807"],
)
def test_what_is_no_sum_is_refused(tiny: Compose, words: str):
    config = tiny(*MINIMA[::2], "seed=1", f"landscape.minima.end='{words}'")
    with pytest.raises(
        ConfigError, match=r"^landscape\.minima\.end must be seed\+K, with K a positive integer"
    ):
        prepare(config, {})


def test_where_both_seeds_are_given_no_other_solution_is_meant(tiny: Compose):
    config = tiny(*MINIMA, "training.init_seed=1", "training.order_seed=0")
    with pytest.raises(ConfigError, match=r"^landscape\.minima\.end must reach other weights: .* fix these"):
        prepare(config, {})


def test_a_rescaled_solution_has_no_partner(tiny: Compose):
    with pytest.raises(ConfigError, match=r"^rescale must be 1 where landscape\.minima\.end is seed\+1000"):
        prepare(tiny(*MINIMA, "rescale=2"), {})


def test_a_lone_file_has_no_partner(go: Start, tiny: Compose, tmp_path: Path):
    lone = tmp_path / "mine.safetensors"
    lone.write_bytes(go(*PLAIN).record.read(checkpoint_name(6)))
    with pytest.raises(
        ConfigError, match=r"^landscape\.minima\.end must name weights that exist: of a lone file"
    ):
        prepare(tiny(*MINIMA, f"checkpoint={lone}"), {})


def test_a_solution_in_other_words_is_no_other_solution(go: Start, tiny: Compose):
    own, other = (go(*PLAIN, f"seed={seed}").record.config_hash for seed in (0, 1000))
    start, end = "landscape.minima.start=seed+", "landscape.minima.end="
    assert prepare(tiny(*MINIMA, f"{start}500", f"{end}{other}"), {}).partners.keys() == {"seed+500"}
    for ends in ((f"{start}1000", f"{end}{other}"), (f"{end}{own}",)):
        with pytest.raises(ConfigError, match=r"^landscape\.minima must be between different weights"):
            prepare(tiny(*MINIMA, *ends), {})


def test_a_file_may_be_called_so(go: Start, tiny: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    Path("seed+1000.safetensors").write_bytes(go(*PLAIN, "seed=1").record.read(checkpoint_name(6)))
    found = prepare(tiny(*MINIMA[::2], "landscape.minima.end=seed+1000.safetensors"), {})
    assert (list(found.named), found.partners) == (["seed+1000.safetensors"], {})
