"""The ready-made studies: each composes, its claims fit its tables, and its miniature ends in verdicts."""

import re
from dataclasses import replace

import pandas as pd
import pytest
import torch
from omegaconf import OmegaConf

from study import study_pages
from study.about import settings
from study.analysis.verdicts import FEWEST, Outcome, Verdict
from study.claim_checks import check_claims
from study.claims import Judged, in_words
from study.columns import columns
from study.comparison_report import kept_verdicts
from study.config import StudyConfig
from study.config_curvature import CurvatureConfig
from study.config_measures import MeasuresConfig
from study.multirun import Multirun
from study.paths import root
from study.prepare import prepare
from study.record import State
from study.resolve import resolved
from study.run import run
from study.studies import GROUP, PAPER, Study, at_paper_scale, find_study, studies
from study.study_pages import BEGIN, END, PAGES, REMARKS, finished, kept, summary, write
from study.sweep import SweepOutcome, sweep
from study.training import sources
from study.training.data import DataSet, Examples
from study.training.tasks import Classification

ALL = [study.name for study in studies()]
UNCLAIMED = {"batch_size", "blog_2021"}
PAPERS = [found for study in studies() if (found := at_paper_scale(study)) is not None]
QUICK = ("dinh_2017", "frankle_2020", "garipov_2018")
"""What the suite runs whole: exact claims, claims on pairs, claims on runs."""

NARROW = {"foret_2020": ["model.width=1"]}
"""What makes the network of a paper small enough for a test."""

OWN = {"frankle_2020": ["training.batch_size=1"]}
"""What a miniature needs besides: as many updates as its trainings share."""

SIZES = {"points": 3, "beta_points": 3, "steps": 2, "batch_size": 16, "replicates": 2}
"""What makes a landscape small."""

CLAIMED = (
    *("says", "paper", "paper_effect", "measure", "runs", "against", "beside", "than", "along"),
    *("direction", "bound", "compared_as", "exact"),
)
"""The columns of a verdict that say what was claimed."""

SHAPES = {"mnist": (1, 28, 28), "cifar10": (3, 32, 32), "cifar100": (3, 32, 32)}


@pytest.fixture(autouse=True)
def _generated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small generated images of the right shape in the place of those that would be downloaded."""

    def images(name: str, _root: str, _download: bool) -> DataSet:
        generator = torch.Generator().manual_seed(0)
        train, test = (
            Examples(torch.randn(size, *SHAPES[name], generator=generator), torch.arange(size) % 10)
            for size in (64, 32)
        )
        return DataSet(name, train, test, Classification(10))

    monkeypatch.setattr(sources, "from_torchvision", images)


def small(config: StudyConfig, examples: int = 16) -> list[str]:
    """Overrides that make a run small, whatever it looks at."""
    settings = [
        "hydra/launcher=basic",
        "training.device=cpu",
        "training.threads=1",
        "evaluation.threads=1",
        "comparison.points=3",
        f"comparison.examples={examples}",
        "data.train_examples=64",
        "data.test_examples=32",
        "tracking=none",
    ]
    sizes = SIZES | {"examples": examples}
    for name, own in config.landscape.items():
        settings += [
            f"landscape.{name}.{key}={size}"
            for key, size in sizes.items()
            if (getattr(own, key, None) or 0) > 1
        ]
    for section in ("curvature", "measures"):
        if hasattr(getattr(config, section), "examples"):
            settings.append(f"{section}.examples={examples}")
    return settings


def opened(study: Study) -> list[StudyConfig]:
    """The configurations of a study for one seed, its claims held against the tables that they will have."""
    with Multirun.open([study.override, "seed=0"]) as multirun:
        assert multirun.study == study
        jobs = [resolved(*job.compose())[0] for job in multirun.combinations]
    check_claims(jobs[0].tested, [(settings(job), columns(job)) for job in jobs])
    assert len({repr(job) for job in jobs}) == len(jobs)
    return jobs


def seeds(name: str) -> int:
    """How many seeds a study has, `range(N)` in its file."""
    swept = OmegaConf.load(root() / GROUP / f"{name}.yaml").hydra.sweeper.params.seed
    return int(str(swept).removeprefix("range(").removesuffix(")"))


def miniature(name: str, seeds: str = "seed=0,1") -> SweepOutcome:
    """All jobs of a study for a few seeds, on a few images, to its verdicts."""
    study = find_study(name)
    budget = ["training.epochs=2", "training.stop_at_train_loss=null"]
    return sweep([study.override, seeds, *small(opened(study)[0]), *budget, *OWN.get(name, [])])


def check(outcome: SweepOutcome, name: str) -> None:
    """Hold that all its runs finished, and that each claim was judged, by values that are there."""
    assert not outcome.failed
    assert outcome.record.state is State.FINISHED
    if name in UNCLAIMED:
        return
    verdicts = kept_verdicts(outcome.record).set_index("claim")
    exact = verdicts["exact"].to_numpy(bool)
    assert verdicts.loc[~exact, "outcome"].eq(str(Outcome.INCONCLUSIVE)).all()
    for claim, row in verdicts.iterrows():
        assert row["reason"], claim
        assert "there is no" not in row["reason"], claim


@pytest.mark.parametrize("name", ALL)
def test_a_study_composes_and_its_claims_fit_its_tables(name: str, output_dir):
    study = find_study(name)
    jobs = opened(study)
    assert study.question.endswith("?")
    assert study.source
    assert study.cost
    if name in UNCLAIMED:
        return
    assert jobs[0].tested
    assert seeds(name) >= FEWEST


@pytest.mark.parametrize("study", PAPERS, ids=lambda study: study.name)
def test_the_setting_of_a_paper_takes_one_step(study: Study, output_dir, plain_pictures):
    """Its first job, with its network (but the largest), trains and is looked at, on images of its shape."""
    jobs = opened(study)
    assert study.setting
    step = [
        "training.epochs=null",
        "training.steps=2",
        "training.checkpoint_every=1",
        "training.batch_size=4",
    ]
    step += ["data.train_examples=8", "data.test_examples=4"]
    with Multirun.open([
        study.override,
        "seed=0",
        *small(jobs[0], examples=4),
        *step,
        *NARROW.get(study.name, []),
    ]) as multirun:
        job = multirun.combinations[0]
        config, choices = resolved(*job.compose())
    # minutes for networks of this size, and the miniatures have both
    config = replace(config, curvature=CurvatureConfig("off"), measures=MeasuresConfig("off"))
    outcome = run(prepare(config, choices))
    assert outcome.record.state is State.FINISHED
    assert outcome.record.read_json("training.json")["updates"] == 2


def test_the_setting_of_a_paper_may_take_out_a_claim_or_a_key_that_is_swept(output_dir):
    frankle, jiang = (find_study(name, PAPER) for name in ("frankle_2020", "jiang_2019"))
    assert {*opened(find_study("frankle_2020"))[0].tested} - {*opened(frankle)[0].tested} == {
        "perceptron_stable"
    }
    with Multirun.open([jiang.override, "seed=0"]) as multirun:
        swept = {override.partition("=")[0] for override in multirun.combinations[0].overrides}
    assert "model.widths" not in swept
    assert {"model.depth", "model.width"} <= swept


@pytest.mark.parametrize("name", QUICK)
def test_a_miniature_of_a_study_ends_in_verdicts_and_a_page(name: str, output_dir, plain_pictures, tmp_path):
    outcome = miniature(name, "seed=0")
    check(outcome, name)
    (tmp_path / "README.md").write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    own = tmp_path / PAGES / name
    own.mkdir(parents=True)
    (own / REMARKS).write_text("It was small.\n")
    (own / "old.png").write_bytes(b"")
    write(tmp_path, {name: (find_study(name), outcome.record)})
    page = (tmp_path / PAGES / f"{name}.md").read_text()
    pictures = re.findall(r"\]\((\S+\.png)\)", page)
    assert pictures[0] == f"{name}/verdicts.png"
    assert {f"{name}/{file.name}" for file in own.glob("*.png")} == set(pictures)
    assert find_study(name).question in page
    assert "## Remarks\n\nIt was small.\n" in page
    readme = (tmp_path / "README.md").read_text()
    assert readme.startswith(f"before\n{BEGIN}\n| study |")
    assert readme.endswith(f"\n{END}\nafter\n")
    assert "\nold\n" not in readme
    for row in kept_verdicts(outcome.record).to_dict("records"):
        for words in (row["says"], row["paper"], row["outcome"]):
            assert words in page
            assert words in readme


def test_a_study_that_was_run_with_other_settings_has_no_page(output_dir, plain_pictures, monkeypatch):
    study, outcome = find_study("garipov_2018"), miniature("garipov_2018", "seed=0")
    assert finished(str(output_dir)) == {}
    overrides = [list(job) for job in outcome.record.read_json("run.json")["overrides"]]
    monkeypatch.setattr(study_pages, "jobs_of", lambda _overrides: overrides)
    monkeypatch.setattr(study_pages, "ELSEWHERE", ("landscape.",))
    assert finished(str(output_dir)) == {}
    monkeypatch.setattr(study_pages, "ELSEWHERE", ("nothing",))
    ((found, record),) = finished(str(output_dir)).values()
    assert (found, record.path) == (study, outcome.record.path)


def test_the_pages_hold_the_verdicts_that_lie_beside_them_and_the_readme_holds_them_all():
    tables = kept(root())
    for name, rows in tables.items():
        page = (root() / PAGES / f"{name}.md").read_text()
        study = find_study(name)
        assert page.startswith(f"# {name}\n\n**{study.question}**\n")
        for file in re.findall(r"\]\((\S+\.png)\)", page):
            assert (root() / PAGES / file).is_file()
        for row in in_words(rows).to_dict("records"):
            cells = [row["claim"], row["verdict"], row["effect"], row["replicates"]]
            assert " | ".join(cell.replace("|", r"\|") for cell in cells) in page
    assert summary(tables) == (root() / "README.md").read_text().split(BEGIN)[1].split(END)[0].strip()
    assert {*tables} == {*ALL} - UNCLAIMED


@pytest.mark.parametrize("name", [name for name in ALL if name not in UNCLAIMED])
def test_what_was_judged_is_what_the_study_claims(name: str, output_dir):
    """No claim was changed after it was judged."""
    rows = kept(root())[name].set_index("claim")
    claims = opened(find_study(name))[0].tested
    assert [*rows.index] == [*claims]
    for claim, own in claims.items():
        stated = Judged(claim, own, Verdict(Outcome.INCONCLUSIVE, "")).row()
        for key in CLAIMED:
            given, judged = stated[key], rows.loc[claim, key]
            left_empty = given == "" or given != given
            assert judged == given or (left_empty and pd.isna(judged)), key


@pytest.mark.miniature
@pytest.mark.parametrize("name", [name for name in ALL if name not in QUICK])
def test_a_miniature_of_every_other_study(name: str, output_dir):
    """What `make studies-mini` runs, with every picture."""
    check(miniature(name), name)
