"""The ready-made studies: each composes, its claims fit its tables, and its miniature ends in verdicts."""

from dataclasses import replace

import pytest
import torch
from omegaconf import OmegaConf

from study.about import settings
from study.analysis.verdicts import FEWEST, Outcome
from study.claim_checks import check_claims
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
from study.studies import GROUP, Study, at_paper_scale, find_study, studies
from study.sweep import SweepOutcome, sweep
from study.training import sources
from study.training.data import DataSet, Examples
from study.training.tasks import Classification

ALL = [study.name for study in studies()]
UNCLAIMED = {"batch_size", "blog_2021"}
PAPERS = [found for study in studies() if (found := at_paper_scale(study)) is not None]
QUICK = ("dinh_2017", "frankle_2020", "garipov_2018")
"""What the suite runs whole: exact claims, claims on pairs, claims on runs."""

OWN = {"frankle_2020": ["training.batch_size=1"]}
"""What a miniature needs besides: as many updates as its trainings share."""

SIZES = {"points": 3, "beta_points": 3, "steps": 2, "batch_size": 16, "replicates": 2}
"""What makes a landscape small."""

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
        jobs = [resolved(job.config, job.hydra)[0] for job in multirun.combinations]
    check_claims(jobs[0].tested, [(settings(job), columns(job)) for job in jobs])
    assert len({repr(job) for job in jobs}) == len(jobs)
    return jobs


def seeds(name: str) -> int:
    """How many seeds a study has, `range(N)` in its file."""
    swept = OmegaConf.load(root() / GROUP / f"{name}.yaml").hydra.sweeper.params.seed
    return int(str(swept).removeprefix("range(").removesuffix(")"))


def miniature(name: str) -> SweepOutcome:
    """All jobs of a study for two seeds, on a few images, to its verdicts."""
    study = find_study(name)
    budget = ["training.epochs=2", "training.stop_at_train_loss=null"]
    return sweep([study.override, "seed=0,1", *small(opened(study)[0]), *budget, *OWN.get(name, [])])


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
    """Its first job, with its network, trains and looks at its landscapes, on images of the data's shape."""
    jobs = opened(study)
    assert study.setting
    step = [
        "training.epochs=null",
        "training.steps=2",
        "training.checkpoint_every=1",
        "training.batch_size=4",
    ]
    step += ["data.train_examples=16", "data.test_examples=8"]
    with Multirun.open([study.override, "seed=0", *small(jobs[0], examples=4), *step]) as multirun:
        job = multirun.combinations[0]
        config, choices = resolved(job.config, job.hydra)
    # minutes for networks of this size, and the miniatures have both
    config = replace(config, curvature=CurvatureConfig("off"), measures=MeasuresConfig("off"))
    outcome = run(prepare(config, choices))
    assert outcome.record.state is State.FINISHED
    assert outcome.record.read_json("training.json")["updates"] == 2


@pytest.mark.parametrize("name", QUICK)
def test_a_miniature_of_a_study_ends_in_verdicts(name: str, output_dir, plain_pictures):
    check(miniature(name), name)


@pytest.mark.miniature
@pytest.mark.parametrize("name", [name for name in ALL if name not in QUICK])
def test_a_miniature_of_every_other_study(name: str, output_dir):
    """What `make studies-mini` runs, with every picture."""
    check(miniature(name), name)
