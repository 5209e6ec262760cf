"""A parent with many finished runs: what is done for each of them grows with their number, and no faster."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hydra import compose as compose_by_hydra
from omegaconf import OmegaConf
from plotly.offline import get_plotlyjs

from benchmarks.clones import fill, settings
from study import compare as compare_module
from study import comparison_report, composer
from study.chosen import MOST_CURVES
from study.compare import Comparison
from study.config import StudyConfig
from study.left_out import MOST_LEFT_OUT
from study.multirun import Multirun
from study.prepare import prepare
from study.record import Record
from study.run import run
from study.sweep import SweepOutcome, sweep

MANY = MOST_CURVES + 44
RATES = [float(f"{0.001 * 1.1**place:.4g}") for place in range(MANY)]
Many = Callable[[int], tuple[list[str], list[StudyConfig]]]


@pytest.fixture
def many(arguments: Callable[..., list[str]], plain_pictures: None, output_dir: Path) -> Many:
    """Make this many finished runs, each of another learning rate; give the sweep that they are."""

    def make(count: int) -> tuple[list[str], list[StudyConfig]]:
        shared, rates = arguments("comparison.pairs=1", "comparison.points=3"), RATES[:count]
        configs = list(settings(shared, rates, [0]))
        if not Record.all(output_dir):
            run(prepare(configs[0], {}))
        fill(configs, [Record.all(output_dir)[0]])
        return [*shared, f"optimizer.learning_rate={','.join(map(str, rates))}"], configs

    return make


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often a file of a run was read, by its hash."""
    found: Counter[str] = Counter()
    reading = Record.read

    def counting(record: Record, name: str) -> bytes:
        found[record.config_hash] += 1
        return reading(record, name)

    monkeypatch.setattr(Record, "read", counting)
    return found


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> list[Comparison]:
    """The comparisons that are made, whose figures are files of a few bytes."""
    made: list[Comparison] = []
    comparing = compare_module.compare

    def keeping(*rest: object) -> Comparison:
        made.append(comparing(*rest))
        return made[-1]

    monkeypatch.setattr(comparison_report, "render", lambda _figure, _format: bytes(24))
    monkeypatch.setattr(comparison_report, "smaller", lambda picture: picture)
    monkeypatch.setattr("study.sweep.compare", keeping)
    return made


def test_each_run_is_read_as_often_in_a_large_sweep_as_in_a_small_one(many, read, undrawn):
    most = []
    for count in (4, 12):
        words, configs = many(count)
        assert sweep(words).repeated == 0
        read.clear()
        assert sweep(words).repeated == 0
        hashes = {prepare(config, {}).identity.config_hash for config in configs}
        assert len(hashes) == count <= len(read)
        most.append(max(read[name] for name in hashes))
    assert most[0] == most[1]


@pytest.fixture
def drawn(many: Many, undrawn: list[Comparison]) -> tuple[SweepOutcome, Comparison]:
    words, _configs = many(MANY)
    outcome = sweep(words)
    assert outcome.repeated == 0
    assert outcome.members is not None
    return outcome, undrawn[-1]


def test_figures_of_many_runs_can_be_read_and_say_what_they_leave_out(drawn):
    outcome, comparison = drawn
    assert len(comparison.runs) == MANY
    for name, figure in comparison.figures.items():
        assert len(figure.axes) <= 16, name
        labels = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
        assert len(labels) <= MOST_CURVES, name
        assert name in {"between", "measures"} or any("are named" in label for label in labels), name
    for name in ("training", "line"):
        curves = {line.get_gid() for line in comparison.figures[name].axes[0].lines if line.get_gid()}
        assert len(curves) == MOST_CURVES
        said = " ".join(text.get_text() for text in comparison.figures[name].texts).replace("\n", " ")
        assert f"{MOST_CURVES} of {MANY} " in said
        assert sum(own.figure == name for own in comparison.left_out) == MANY - MOST_CURVES
    page = outcome.record.read("report.html").decode()
    assert f"{MANY - MOST_CURVES - MOST_LEFT_OUT} more runs" in page
    assert page.count("a figure holds") < 4 * MOST_LEFT_OUT
    assert len(page) - len(get_plotlyjs()) < 1.5e6


@pytest.mark.parametrize(
    ("overrides", "composed"),
    [
        (["seed=0,1,2", "training.init_seed=null,3"], 1),
        (["optimizer=sgd,adam", "optimizer.learning_rate=0.1,1e-3"], 2),
        (["model.widths=[8],[16]", "training.batch_size=16,32"], 2),
        (["training.schedule.name=constant,cosine", "training/schedule=constant,cosine"], 2),
        (["optimizer.learning_rate=1,2", "optimizer={name:adam}"], 2),
        (["data.name='digits','${model.name}'", "seed=3,4"], 2),
    ],
)
def test_jobs_that_differ_in_values_are_composed_once_and_as_hydra_would(
    overrides, composed, arguments, output_dir, monkeypatch
):
    made = []

    def counting(*words: object, **settings: object) -> object:
        made.append(words)
        return compose_by_hydra(*words, **settings)

    monkeypatch.setattr(composer, "compose", counting)
    with Multirun.open(arguments(*overrides)) as found:
        before = len(made)
        for job in found.combinations:
            own, hydra = job.compose()
            config = OmegaConf.to_yaml(own)
            alone = compose_by_hydra("config", list(job.overrides), return_hydra_config=True)
            assert list(hydra.overrides.task) == list(alone.hydra.overrides.task)
            assert hydra.runtime.choices == alone.hydra.runtime.choices
            OmegaConf.set_struct(alone, False)
            del alone["hydra"]
            assert config == OmegaConf.to_yaml(alone)
        assert len(made) - before == composed


def test_a_wrong_value_is_refused_as_hydra_refuses_it(arguments, output_dir):
    with Multirun.open(arguments("training.batch_size=16,many")) as found:
        right, wrong = found.combinations
        assert right.compose()[0].training.batch_size == 16
        with pytest.raises(Exception, match=r"training\.batch_size=many"):
            wrong.compose()
        assert right.compose()[0].training.batch_size == 16
