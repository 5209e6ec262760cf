"""What of several runs is compared, what is left out and why, and `study compare`."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from study import compare as compare_module
from study import look as look_module
from study.between import join_all
from study.compare import Comparison, compare, grouped
from study.compare_runs import compare_runs
from study.comparison_report import keep_comparison, page
from study.config import StudyConfig
from study.errors import ConfigError
from study.figures import comparison as comparison_figures
from study.figures import differences as difference_figures
from study.figures import measures as measure_figures
from study.figures import planes as plane_figures
from study.figures import training as training_figures
from study.kinds import KINDS
from study.landscape.executors import Serial
from study.left_out import LeftOut
from study.members import Members
from study.record import COMPARISONS, Record, State
from study.run import Outcome
from study.tracking import mlflow_tracker

Start = Callable[..., Outcome]
Compare = Callable[..., Comparison]

SQUARE = [(f"training.batch_size={size}", f"seed={seed}") for size in (8, 32) for seed in (0, 1)]

ONE_EPOCH = "training.epochs=1"


@pytest.fixture(autouse=True)
def drawn(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[tuple]]:
    """By the name of a figure's function, what it was given: nothing is drawn here."""
    found: dict[str, list[tuple]] = {}
    for module, name in (
        (comparison_figures, "overlaid_lines"),
        (comparison_figures, "between_figure"),
        (difference_figures, "differences_figure"),
        (plane_figures, "contour_panels"),
        (measure_figures, "measures_figure"),
        (measure_figures, "against_test_error"),
        (training_figures, "training_figure"),
    ):
        calls = found.setdefault(name, [])
        monkeypatch.setattr(
            module, name, lambda *given, calls=calls, **settings: calls.append((given, settings))
        )
    return found


@pytest.fixture
def compared(
    start: Start, tiny: Callable[..., StudyConfig], plain_pictures: None, output_dir: Path
) -> Compare:
    """The comparison of small runs, one for each tuple of overrides."""

    def of(*jobs: Sequence[str], settings: Sequence[str] = (), **rest: object) -> Comparison:
        config = tiny("comparison.points=3", *settings)
        members = Members.of([start(*job, **rest).record for job in jobs])
        kept = Record.at(output_dir, "test", COMPARISONS)
        joined = join_all(members, config.comparison, config.evaluation, Serial(), kept)
        return compare(members, joined)

    return of


def test_alike_landscapes_are_drawn_together_by_label_and_configuration(compared: Compare, drawn):
    compared(*SQUARE)
    ((landscapes, groups), settings) = drawn["overlaid_lines"][0]
    assert list(landscapes) == [f"batch_size {size}, seed {seed}" for size in (8, 32) for seed in (0, 1)]
    assert set(groups.values()) == {"batch_size 8", "batch_size 32"}
    assert settings["parameter_label"].startswith("α")
    assert settings["caption"] == (
        "mlp on digits; split train, normalization filter, examples 64 of 64; 4 runs, one scale."
    )


def test_other_normalizations_are_drawn_apart_and_said(compared: Compare, drawn):
    result = compared(
        ("seed=0",), ("seed=1",), *[("landscape.line.normalization=none", f"seed={seed}") for seed in (0, 1)]
    )
    assert [len(given[0]) for given, _settings in drawn["overlaid_lines"]] == [2, 2]
    assert {"line", "line.2"} <= set(result.figures)
    assert [own for own in result.left_out if own.figure == "line"] == [
        LeftOut(
            "line",
            f"normalization none, seed {seed}",
            "normalization none, not filter; drawn apart in line.2",
        )
        for seed in (0, 1)
    ]


def test_lines_read_on_other_examples_are_drawn_apart_and_said(compared: Compare, drawn):
    """Sizes beyond all examples choose nothing, whatever the seed."""
    beyond = ("landscape.line.examples=100", "landscape.line.subset_seed=1")
    fewer = ("landscape.line.examples=32",)
    jobs = [(*own, ONE_EPOCH, f"seed={seed}") for own in ((), beyond, fewer) for seed in (0, 1)]
    result = compared(*jobs)
    assert [len(given[0]) for given, _settings in drawn["overlaid_lines"]] == [4, 2]
    reasons = {own.reason for own in result.left_out if own.figure == "line"}
    assert reasons == {"examples 32 of 64 by subset seed 0, not 64 of 64; drawn apart in line.2"}
    assert {"line.2", "line.difference"} <= set(result.figures)
    assert "line.2.difference" not in result.figures, "seeds alone have no differences"


def test_landscapes_of_another_split_or_other_statistics_are_left_out(compared: Compare, drawn):
    fewer = ("landscape.interpolation.split=test", "evaluation.statistics_examples=16")
    result = compared(
        *[("model.norm=batch", ONE_EPOCH, f"seed={seed}") for seed in (0, 1)],
        ("model.norm=batch", ONE_EPOCH, "landscape.line.batch_statistics=recomputed", *fewer),
        looks=("line", "interpolation"),
    )
    reasons = {own.figure: own.reason for own in result.left_out if own.figure in {"line", "interpolation"}}
    assert reasons == {
        "line": "batch statistics recomputed, not as by default, "
        "statistics recomputed over 16 examples, not as by default",
        "interpolation": "split test, not train, statistics recomputed over 16 examples, not 1,024 examples, "
        "examples 32 of 32, not 64 of 64",
    }
    assert [len(given[0]) for given, _settings in drawn["overlaid_lines"]] == [2, 2]


def test_a_landscape_whose_self_check_failed_is_left_out(
    compared: Compare, drawn, monkeypatch: pytest.MonkeyPatch
):
    touched = iter([0, 0, 3])
    monkeypatch.setattr(look_module, "changed", lambda *_given: next(touched))
    result = compared(*[(ONE_EPOCH, f"seed={seed}") for seed in (0, 1, 2)])
    ((landscapes, _groups), _settings) = drawn["overlaid_lines"][0]
    assert list(landscapes) == ["seed 0", "seed 1"]
    assert [own for own in result.left_out if own.figure == "line"] == [
        LeftOut("line", "seed 2", "self-checks failed: line/train/self_check_model")
    ]
    assert LeftOut("measures", "seed 2", "self-checks failed: line/train/self_check_model") in result.left_out
    ((table, *_names), _settings) = drawn["measures_figure"][0]
    assert table["line/train/basin_width"].isna().tolist() == [False, False, True]
    assert not result.runs["line/train/basin_width"].isna().any()


# Differences


def losses(result: Comparison, label: str) -> tuple[np.ndarray, np.ndarray]:
    """Means and losses of examples along the line of a run."""
    (run,) = [run for run in result.members.runs if result.members.label(run) == label]
    line = run.landscape("line")
    return line.values["train/loss"], line.example_losses["train"].astype(float)


def test_differences_are_taken_from_the_first_configuration_seed_by_seed(compared: Compare, drawn):
    result = compared(*[(*job, "landscape.line.examples=32", ONE_EPOCH) for job in SQUARE])
    ((found, reference), settings) = drawn["differences_figure"][0]
    assert reference == "batch_size 8"
    assert list(found) == ["train"]
    assert list(found["train"]) == ["batch_size 32"]
    gap = found["train"]["batch_size 32"]
    pairs = [[losses(result, f"batch_size {size}, seed {seed}") for size in (32, 8)] for seed in (0, 1)]
    assert gap.at.tolist() == [-1.0, 0.0, 1.0]
    means = np.array([run[0] - other[0] for run, other in pairs])
    assert gap.loss == pytest.approx(means.mean(axis=0), rel=1e-12)
    examples = np.mean([run[1] - other[1] for run, other in pairs], axis=0)
    variance = examples.var(axis=1, ddof=1) / 32 * (1 - 32 / 64) + means.var(axis=0, ddof=1) / 2
    assert gap.error == pytest.approx(np.sqrt(variance), rel=1e-6)
    assert "mean over 2 seeds" in settings["caption"]
    assert "32 of 64 examples read, paired" in settings["caption"]
    assert "of the seeds, paired seed by seed, added in squares" in settings["caption"]
    assert "line.difference" in result.figures
    assert not [own for own in result.left_out if own.figure == "line.difference"]


def test_one_seed_of_all_examples_has_no_band_and_says_so(compared: Compare, drawn):
    compared(("training.batch_size=8", ONE_EPOCH), ("training.batch_size=32", ONE_EPOCH))
    ((found, _reference), settings) = drawn["differences_figure"][0]
    assert found["train"]["batch_size 32"].error.tolist() == [0.0, 0.0, 0.0]
    assert "one seed; no band: all examples are read" in settings["caption"]


def test_runs_without_a_partner_or_of_other_points_are_not_subtracted_and_named(compared: Compare, drawn):
    result = compared(
        *[("training.batch_size=8", ONE_EPOCH, f"seed={seed}") for seed in (0, 1)],
        *[("training.batch_size=32", ONE_EPOCH, f"seed={seed}") for seed in (0, 2)],
        ("training.batch_size=64", ONE_EPOCH, "landscape.line.points=4"),
    )
    ((found, reference), _settings) = drawn["differences_figure"][0]
    assert reference == "batch_size 8, points 3"
    assert list(found["train"]) == ["batch_size 32, points 3"]
    assert [(own.run, own.reason) for own in result.left_out if own.figure == "line.difference"] == [
        ("batch_size 32, points 3, seed 2", f"{reference} has no run of seed 2"),
        ("batch_size 64, points 4, seed 0", f"its α are not those of {reference}"),
        ("batch_size 8, points 3, seed 1", "no other configuration has a run of seed 1"),
    ]


def test_contours_of_another_range_or_other_data_stand_alone_and_are_named(compared: Compare, drawn):
    result = compared(
        ("seed=0",),
        ("seed=1",),
        ("landscape.contour.alpha_range=[-2,2]",),
        ("data.train_examples=48",),
        looks=("contour",),
    )
    assert [len(given[0]) for given, _settings in drawn["contour_panels"]] == [2]
    reasons = {own.reason for own in result.left_out if own.figure == "contour"}
    assert reasons == {
        "α range [-2.0, 2.0], not [-1.0, 1.0], β range [-2.0, 2.0], not [-1.0, 1.0]",
        "other data",
    }


def test_a_diverged_run_is_in_the_table_and_in_no_landscape(compared: Compare):
    result = compared(("seed=0",), ("seed=1",), ("optimizer=sgd", "optimizer.learning_rate=1e30"))
    assert result.runs["diverged"].tolist().count(True) == 1
    assert len(result.runs) == 3
    reasons = [own.reason for own in result.left_out if own.figure == "line"]
    assert reasons == ["its training diverged"]


def test_a_figure_that_is_full_takes_the_first_seed_of_each_configuration(
    compared: Compare, drawn, monkeypatch: pytest.MonkeyPatch
):
    from dataclasses import replace

    drawing = replace(KINDS["line"].drawing, most_together=3)
    monkeypatch.setitem(KINDS, "line", replace(KINDS["line"], drawing=drawing))
    result = compared(*[
        (f"training.batch_size={size}", f"seed={seed}") for size in (8, 32) for seed in (0, 1)
    ])
    ((landscapes, _groups), _settings) = drawn["overlaid_lines"][0]
    assert list(landscapes) == ["batch_size 8, seed 0", "batch_size 32, seed 0"]
    left = [own for own in result.left_out if own.figure == "line"]
    assert [own.run for own in left] == ["batch_size 8, seed 1", "batch_size 32, seed 1"]
    assert "a figure holds 3" in left[0].reason


def test_curves_and_surfaces_are_handed_over_with_their_legend_and_their_pictures(compared: Compare):
    result = compared(*[(*job, ONE_EPOCH) for job in SQUARE], looks=("line", "contour"))
    assert {name: own.kind for name, own in result.charts.items()} == {
        "training": "curves",
        "line": "curves",
        "contour": "surfaces",
        "between": "curves",
    }
    lines = result.charts["line"].data["lines"]
    assert {own["label"]: own["entries"] for own in lines} == {
        f"batch_size {size}, seed {seed}": [f"batch_size {size}"] for size in (8, 32) for seed in (0, 1)
    }
    for own in result.charts["between"].data["lines"]:
        assert own["entries"] == ["batch_size 8", "batch_size 32"]
    panels = result.charts["contour"].data["panels"]
    assert [own["label"] for own in panels] == [own["label"] for own in lines]
    for run, own in zip(result.members.runs, panels, strict=True):
        loss = run.landscape("contour").values["train/loss"]
        assert own["splits"]["train"]["loss"] == pytest.approx(loss.ravel().tolist(), rel=1e-4)
    assert all(set(own.pictures) <= set(result.figures) for own in result.charts.values())


def test_a_page_turns_few_surfaces_and_says_which(compared: Compare, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(compare_module, "MOST_SCENES", 2)
    apart = [(f"landscape.contour.normalization={name}", f"seed={seed}") for name in ("filter", "none")
             for seed in (0, 1, 2)]  # fmt: skip
    result = compared(*[(*own, ONE_EPOCH) for own in apart], looks=("contour",))
    (turned,) = [name for name, own in result.charts.items() if own.kind == "surfaces"]
    assert turned == "contour"
    assert len(result.charts["contour"].data["panels"]) == 2
    assert "2 of 3 runs" in result.charts["contour"].caption
    said = {own.figure: own.reason for own in result.left_out if own.figure.endswith("to turn")}
    assert said == {
        "contour, to turn": "a figure holds 2: the first 2 seeds are drawn",
        "contour.2, to turn": "a page turns 2 surfaces: it has the picture",
    }


def test_minima_that_cannot_be_joined_are_named(compared: Compare, drawn):
    result = compared(("model.widths=[8]",), ("model.widths=[9]",))
    assert result.between.empty
    assert drawn["between_figure"] == []
    (left,) = [own for own in result.left_out if own.figure == "between"]
    assert left.reason == "other architecture"
    assert left.run == "widths [8] and widths [9]"


def test_pairs_beyond_the_most_are_named(compared: Compare):
    result = compared(("seed=0",), ("seed=1",), ("seed=2",), settings=["comparison.pairs=1"])
    assert len(result.between) == 2  # one pair, two splits
    (left,) = [own for own in result.left_out if own.figure == "between"]
    assert left.reason == "comparison.pairs is 1"


def test_the_lines_between_minima_carry_the_names_of_their_ends(compared: Compare, drawn):
    result = compared(*[
        (f"training.batch_size={size}", f"seed={seed}") for size in (8, 32) for seed in (0, 1)
    ])
    ((lines, groups), _settings) = drawn["between_figure"][0]
    assert list(lines) == [f"batch_size 8 → batch_size 32: seed {seed}" for seed in (0, 1)]
    assert set(groups.values()) == {"batch_size 8 → batch_size 32"}
    for line in lines.values():
        assert {name: point.coordinates for name, point in line.points.items()} == {
            "batch_size 8": (0.0,),
            "batch_size 32": (1.0,),
        }
    assert {"start", "end", "split", "barrier", "error_barrier"} <= set(result.between.columns)
    assert result.between["start"].tolist()[::2] == ["batch_size 8, seed 0", "batch_size 8, seed 1"]


def test_the_table_of_barriers_says_of_both_ends_what_they_are(compared: Compare):
    """Pairs of neighbouring seeds share minima: who counts replicates has to see which."""
    result = compared(*SQUARE)
    found = result.between[result.between["split"] == "train"]
    assert found["start training.batch_size"].tolist() == [8, 8]
    assert found["end training.batch_size"].tolist() == [32, 32]
    assert found["start seed"].tolist() == found["end seed"].tolist() == [0, 1]
    chain = compared(("seed=0",), ("seed=1",), ("seed=2",))
    found = chain.between[chain.between["split"] == "test"]
    assert list(zip(found["start seed"], found["end seed"], strict=True)) == [(0, 1), (1, 2)]
    runs = {run.settings["seed"]: run.record.config_hash for run in chain.members.runs}
    assert found["start_run"].tolist() == [runs[0], runs[1]]
    assert found["end_run"].tolist() == [runs[1], runs[2]]
    lists = compared(("training.batch_size=8",), ("training.batch_size=32",), ("training.batch_size=64",))
    assert not [
        name for name in lists.between.columns if name.endswith(" seed")
    ]  # in which they do not differ


def test_only_measures_that_vary_are_drawn_and_flags_never(compared: Compare, drawn):
    compared(("training.batch_size=8",), ("training.batch_size=32",))
    ((_table, names, keys), _settings) = drawn["measures_figure"][0]
    assert keys == ("training.batch_size",)
    assert {"test/loss", "weights/norm", "line/train/basin_width"} <= set(names)
    assert not {name for name in names if "self_check" in name or "diverged" in name or "reaches" in name}


def test_groups_are_means_and_deviations_over_seeds():
    table = pd.DataFrame({
        "configuration": ["a", "a", "b"],
        "label": ["x", "y", "z"],
        "line/train/maximum": [1.0, 3.0, np.inf],
    })
    groups = grouped(table).set_index("configuration")
    assert groups.loc["a", "runs"] == 2
    assert groups.loc["a", "line/train/maximum mean"] == 2.0
    assert groups.loc["a", "line/train/maximum std"] == pytest.approx(2**0.5)
    assert groups.loc["b", "line/train/maximum mean"] == np.inf
    assert np.isnan(groups.loc["b", "line/train/maximum std"])


def test_a_page_escapes_what_it_shows(compared: Compare):
    result = compared(("seed=0",), ("seed=1",))
    text = page(
        result,
        [],
        {},
        title="<b>1 & 2</b>",
        about={"Question": "<script>alert(1)"},
        failed={"abc": "failed: <i>no</i>"},
    )
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)" in text
    assert "&lt;b&gt;1 &amp; 2&lt;/b&gt;" in text
    assert "&lt;i&gt;no&lt;/i&gt;" in text


def test_figures_of_an_earlier_comparison_are_removed(
    compared: Compare, output_dir: Path, monkeypatch: pytest.MonkeyPatch
):
    from study import comparison_report

    monkeypatch.setattr(comparison_report, "render", lambda _figure, format: format.encode())
    monkeypatch.setattr(comparison_report, "smaller", lambda picture: picture)
    record = Record.at(output_dir, "test", COMPARISONS)
    result = compared(("seed=0",), ("seed=1",))
    record.reload()
    result.figures["line.2"] = None
    keep_comparison(record, result, {}, title="", about={}, failed={})
    assert record.holds("comparison/line.2.png")
    points = [name for name in record.files() if name.startswith("comparison/between/")]
    del result.figures["line.2"]
    keep_comparison(record, result, {}, title="", about={}, failed={})
    assert "comparison/line.2.png" not in record.files()
    assert points
    assert all(record.holds(name) for name in points)


# study compare


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    from study import comparison_report

    monkeypatch.setattr(comparison_report, "render", lambda _figure, format: format.encode())
    monkeypatch.setattr(comparison_report, "smaller", lambda picture: picture)


def test_runs_are_compared_by_the_beginning_of_their_hashes(
    start: Start, tiny: Callable[..., StudyConfig], plain_pictures: None, quick: None, output_dir: Path
):
    hashes = [start(f"seed={seed}").record.config_hash for seed in (0, 1)]
    compared = compare_runs(tiny("comparison.points=3"), [name[:10] for name in hashes])
    assert compared.record.path.parent == output_dir.resolve() / COMPARISONS
    assert compared.record.state is State.FINISHED
    assert {run.record.config_hash for run in compared.members.runs} == set(hashes)
    assert compared.record.holds("report.html")
    again = compare_runs(tiny("comparison.points=3"), hashes[::-1])
    assert again.record.path == compared.record.path  # the same runs, the same comparison


def test_what_is_not_finished_is_left_out_and_said(
    start: Start, tiny: Callable[..., StudyConfig], plain_pictures: None, quick: None, stop_at
):
    hashes = [start(f"seed={seed}").record.config_hash for seed in (0, 1)]
    with stop_at("landscapes/line.npz", KeyboardInterrupt()), pytest.raises(KeyboardInterrupt):
        start("seed=2")
    every = [record.config_hash for record in Record.all(tiny().output_dir)]
    compared = compare_runs(tiny("comparison.points=3"), every)
    assert set(compared.unfinished) == set(every) - set(hashes)
    with pytest.raises(ConfigError, match="at least two runs that are finished"):
        compare_runs(tiny(), hashes[:1])


def test_runs_are_found_by_a_search_in_mlflow(
    start: Start,
    tiny: Callable[..., StudyConfig],
    plain_pictures: None,
    quick: None,
    local_store: Path,
    output_dir: Path,
):
    for seed in (0, 1, 2):
        start(f"seed={seed}", tracking="local")
    config = tiny("comparison.points=3", tracking="local")
    compared = compare_runs(config, [], search="params.seed != '1'")
    assert [run.settings["seed"] for run in compared.members.runs] == [0, 2]
    client = mlflow_tracker.mlflow.MlflowClient(tracking_uri=mlflow_tracker.store_uri(output_dir))
    (found,) = client.search_runs(["1"], "tags.comparison = 'true'")
    assert found.info.status == "FINISHED"
    with pytest.raises(ConfigError, match="--filter must be a search that MLflow can read"):
        compare_runs(config, [], search="nonsense ~ 3")


@pytest.mark.parametrize(
    ("runs", "settings", "words"),
    [
        (["abc"], {}, "RUN must name one run in output_dir"),
        ([], {"sweep": "abc"}, "--sweep must name one sweep in output_dir"),
        ([], {"search": "params.seed = '1'"}, "--filter needs a store to search in"),
        ([], {}, "RUN must name at least two runs that are finished, got 'none'"),
    ],
)
def test_names_of_nothing_are_refused(
    tiny: Callable[..., StudyConfig], runs: list[str], settings: dict[str, str], words: str
):
    with pytest.raises(ConfigError, match=words):
        compare_runs(tiny(), runs, **settings)
