"""The ready-made studies: each composes, its claims fit its tables, and a miniature of it runs to its verdicts."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from study import build, comparison_report
from study.config import StudyConfig
from study.multirun import Multirun
from study.resolve import composed, resolved, typed
from study.studies import Study, at_paper_scale, find_study, studies
from study.sweep import SweepOutcome, check_all, sweep
from study.training.data import DataSet, Examples

ALL = [study.name for study in studies()]
UNCLAIMED = {"batch_size", "blog_2021"}
PAPERS = [found for study in studies() if (found := at_paper_scale(study)) is not None]
QUICK = ("dinh_2017", "frankle_2020", "garipov_2018")
"""What the suite runs whole: exact claims, claims on pairs, claims on runs."""

OWN = {"frankle_2020": ["training.batch_size=1"]}
"""What a miniature needs besides: as many updates as its trainings share."""

SIZES = {"points": 3, "beta_points": 3, "examples": 16, "steps": 2, "batch_size": 16, "products": 5}
"""What makes a landscape small."""


def small(config: StudyConfig) -> list[str]:
    """Overrides that make a run small, whatever it looks at."""
    settings = [
        "hydra/launcher=basic",
        "training.epochs=2",
        "training.threads=1",
        "evaluation.threads=1",
        "comparison.points=3",
        "comparison.examples=16",
        "data.train_examples=64",
        "data.test_examples=32",
        "tracking=none",
    ]
    for name, own in config.landscape.items():
        settings += [
            f"landscape.{name}.{key}={size}"
            for key, size in SIZES.items()
            if getattr(own, key, None) is not None
        ]
    for section in ("curvature", "measures"):
        if hasattr(getattr(config, section), "examples"):
            settings.append(f"{section}.examples=16")
    return settings


def first_job(study: Study, *overrides: str) -> StudyConfig:
    """The configuration of a study's first job, at its own size."""
    with Multirun.open([study.override, *overrides]) as multirun:
        job = multirun.combinations[0]
        return resolved(job.config, job.hydra)[0]


def miniature(name: str) -> SweepOutcome:
    """All jobs of a study for two seeds, on a few of the digits."""
    study = find_study(name)
    own = first_job(study)
    data = [] if own.data.name == "digits" else ["data=digits"]
    return sweep([study.override, "seed=0,1", *data, *small(own), *OWN.get(name, [])])


@pytest.mark.parametrize("name", ALL)
def test_a_study_composes_and_its_claims_fit_its_tables(name: str, output_dir: Path, monkeypatch):
    monkeypatch.setattr(build, "data_set", partial(images, monkeypatch=monkeypatch))
