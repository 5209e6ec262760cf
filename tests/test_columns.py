"""The columns that are promised of a sweep's tables against those of runs that look at everything."""

from collections.abc import Callable

from study.columns import STATED, columns
from study.config import StudyConfig
from study.members import Members
from study.prepare import prepare
from study.run import Outcome, run

KINDS = (
    *(
        "interpolation",
        "line",
        "contour",
        "scaling",
        "trajectory",
        "evolution",
        "hessian_map",
        "hessian_plane",
    ),
    *("minima", "curve", "three_points"),
)
TRAINED = ("between/", "train/", "test/", "gap/", "weights/", "seconds/")


def test_a_run_that_looks_at_everything_measures_what_was_said_and_nothing_else(
    start: Callable[..., Outcome], tiny: Callable[..., StudyConfig], plain_pictures: None
):
    first, other, third = (start(f"seed={seed}", looks=()).record.config_hash for seed in (1, 2, 3))
    ends = [f"landscape.{kind}.end={other}" for kind in ("minima", "curve")]
    ends += [f"landscape.three_points.second={other}", f"landscape.three_points.third={third}"]
    config = tiny(
        f"checkpoint={first}",
        f"landscape=[{','.join(KINDS)}]",
        *ends,
        *(f"landscape.{kind}.points={3 if 'hessian' in kind else 17}" for kind in KINDS),
        "landscape.curve.steps=3",
        *("curvature=top", "curvature.examples=16", "measures=flatness", "measures.examples=16"),
        looks=(),
    )
    (row,) = Members.of([run(prepare(config, {})).record]).table().to_dict("records")
    measured = {name for name in row if "/" in name and not name.startswith(TRAINED)}
    measured = {name for name in measured if not name.endswith("/batch_statistics_gap")}
    said = {name for name in columns(config) if not name.startswith(TRAINED)}
    assert measured <= said
    missing = {name for name in said - measured if not name.endswith("_standard_error")}
    assert {name for name in missing if name.rpartition("/")[2] not in STATED} == set()


def test_a_rescaled_run_says_how_much_its_function_changed(
    start: Callable[..., Outcome], tiny: Callable[..., StudyConfig], plain_pictures: None
):
    (row,) = Members.of([start("rescale=2").record]).table().to_dict("records")
    measured = {name for name in row if name.startswith("rescaling/")}
    assert measured == {name for name in columns(tiny("rescale=2")) if name.startswith("rescaling/")} != set()


def test_what_training_reached_is_in_the_table_under_the_names_that_were_said(
    start: Callable[..., Outcome], tiny: Callable[..., StudyConfig], plain_pictures: None
):
    (row,) = Members.of([start(looks=()).record]).table().to_dict("records")
    reached = {name for name in row if name.startswith(TRAINED) and not name.startswith("seconds/")}
    assert "gap/accuracy" in reached
    assert reached <= columns(tiny(looks=()))
