"""What figures of several runs share, and that they hold what the runs hold: read back from the artists."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from scipy import stats

from study.figures.comparison import between_figure, overlaid_lines
from study.figures.export import render
from study.figures.measures import against_test_error, measures_figure
from study.figures.planes import contour_panels
from study.figures.style import styled
from study.landscape.result import Landscape, Point, Status

WORDS = {"title": "Loss about the minima of several runs", "caption": "cnn on digits, costing $5 & <little>."}
NAMED = {"alpha": "principal component 1", "beta": "component 2 of many"}


def line(
    seed=0.0, low=-0.5, high=1.5, splits=("train", "test"), decades=False, lost=(), names=("start", "end")
):
    alpha = np.linspace(low, high, 21)
    loss = 10.0 ** (5 * alpha) if decades else 1.0 + seed + (alpha - 1) ** 2
    loss = np.where(np.isin(np.arange(21), lost), np.inf, loss)
    values = {}
    for shift, split in enumerate(splits):
        values |= {
            f"{split}/loss": loss + 0.1 * shift,
            f"{split}/loss_standard_error": np.full(21, 0.05),
            f"{split}/accuracy": 0.9 * np.exp(-((alpha - 1) ** 2)),
        }
    points = {
        name: Point((at,), {f"{split}/loss": 2.0 for split in splits})
        for name, at in zip(names, (0.0, 1.0), strict=True)
    }
    status = np.where(np.isfinite(loss), Status.EVALUATED, Status.DIVERGED).astype(np.int8)
    return Landscape({"alpha": alpha}, values, status, points)


def plane(scale=1.0, points=(9, 7), lost=False):
    alpha, beta = (np.linspace(-1, 1, count) for count in points)
    a, b = np.meshgrid(alpha, beta, indexing="ij")
    loss = 0.03 + scale * (a**2 + 3 * b**2)
    loss = np.where(lost & (a > 0.4) & (b > 0.2), np.inf, loss)
    status = np.where(np.isfinite(loss), Status.EVALUATED, Status.DIVERGED).astype(np.int8)
    centre = {"centre": Point((0.0, 0.0), {"loss": 0.03})}
    return Landscape({"alpha": alpha, "beta": beta}, {"loss": loss}, status, centre)


def sweep(configurations=3, seeds=2, **settings):
    runs, groups = {}, {}
    for size in 2 ** np.arange(4, 4 + configurations):
        for seed in range(seeds):
            label = f"batch_size {size}, seed {seed}"
            runs[label], groups[label] = line(seed + 0.01 * size, **settings), f"batch_size {size}"
    return runs, groups


def lines(runs, groups):
    return overlaid_lines(runs, groups, **WORDS, parameter_label="α")


def planes(count, **settings):
    named = {
        f"batch_size {16 * 2**n}, optimizer adam, seed {n}": plane(1.0 + n, (9 + n % 3, 7), lost=n == 1)
        for n in range(count)
    }
    return contour_panels(named, split="", **WORDS, **settings)


def pairs(groups=2, seeds=3, **settings):
    found = {}
    for n in range(groups):
        for seed in range(seeds):
            group = f"batch_size 64 → batch_size {128 * 2**n}"
            found[f"{group}, seed {seed}"] = (line(0.3 * seed + n, **settings), group)
    return {key: own[0] for key, own in found.items()}, {key: own[1] for key, own in found.items()}


def table(seeds=3):
    rows = [
        {"batch_size": size, "optimizer": name, "seed": seed, "contour/train/basin_width": size**0.5 + seed,
         "interpolation/train/largest_rise": 0.1 * seed + 1.0, "weights/norm": 10.0 ** (size / 100 + seed),
         "test/accuracy": 0.9 + 0.01 * seed}
        for size in (256, 16, 64) for name in ("sgd", "adam") for seed in range(seeds)
    ]  # fmt: skip
    return pd.DataFrame(rows)


MEASURES = ["contour/train/basin_width", "interpolation/train/largest_rise", "weights/norm"]
RHO = dict.fromkeys(MEASURES, "ρ = −0.81 [−0.95, −0.4], n = 12")


def legend(figure):
    return [text.get_text().replace("\n", " ") for each in figure.legends for text in each.get_texts()]


def curves(axes, names):
    return [drawn for drawn in axes.lines if drawn.get_label() in names]


def bare(text):
    return text.replace("\n", "")


# Lines


def test_a_configuration_has_one_colour_whatever_the_seed():
    runs, groups = sweep(3, 2)
    figure = lines(runs, groups)
    colours: dict[str, set[str]] = {}
    for axes in figure.axes:
        drawn = curves(axes, runs)
        assert {each.get_label() for each in drawn} == set(runs)
        for each in drawn:
            colours.setdefault(groups[each.get_label()], set()).add(to_hex(each.get_color()))
    assert all(len(own) == 1 for own in colours.values())
    assert len(set.union(*colours.values())) == 3
    assert legend(figure)[:3] == ["batch_size 16", "batch_size 32", "batch_size 64"]


def test_twelve_configurations_have_colours_of_rising_lightness():
    runs, groups = sweep(12, 1)
    drawn = curves(lines(runs, groups).axes[0], runs)
    light = [np.dot(np.array([int(to_hex(each.get_color())[k : k + 2], 16) for k in (1, 3, 5)]),
                    (0.299, 0.587, 0.114)) for each in drawn]  # fmt: skip
    assert (np.diff(light) > 0).all()


def test_lines_have_a_row_for_loss_and_for_accuracy_and_a_column_for_each_split():
    figure = lines(*sweep())
    assert [axes.get_title() for axes in figure.axes] == ["train", "", "test", ""]
    assert figure.axes[0].get_ylabel() == "loss (nats per example)"
    assert figure.axes[1].get_ylabel() == "accuracy (%)"
    assert figure.axes[1].get_xlabel() == "α"
    assert len({axes.get_xlim() for axes in figure.axes}) == 1
    assert figure.axes[0].get_ylim() == figure.axes[2].get_ylim()
    runs, groups = sweep(splits=("train",))
    assert len(lines(runs, groups).axes) == 2
    strokes = [curves(axes, runs)[0].get_linestyle() for axes in lines(*sweep()).axes[::2]]
    assert strokes == ["-", "--"]


def test_the_scale_is_decided_over_all_runs_and_the_axis_covers_their_ranges():
    runs = {"one": line(low=-2.0, high=1.0), "two": line(decades=True, low=0.0, high=3.0)}
    figure = lines(runs, {"one": "a", "two": "b"})
    assert {axes.get_yscale() for axes in figure.axes[::2]} == {"log"}
    assert figure.axes[0].get_xlim() == (-2.0, 3.0)
    assert lines(*sweep()).axes[0].get_yscale() == "linear"


def test_only_special_points_of_all_runs_are_named():
    runs = {"one": line(names=("start", "end")), "two": line(names=("start", "other"))}
    figure = lines(runs, {"one": "a", "two": "a"})
    assert [text.get_text() for text in figure.axes[0].texts] == ["start"]


def test_diverged_spans_interrupt_the_curve_and_are_counted():
    runs = {"one": line(lost=(8, 9)), "two": line(1.0, lost=(3,)), "three": line(2.0)}
    figure = lines(runs, dict.fromkeys(runs, "a"))
    assert any(word.startswith("2 runs diverge in places") for word in legend(figure))
    drawn = {each.get_label(): np.isnan(each.get_ydata()).sum() for each in curves(figure.axes[0], runs)}
    assert drawn == {"one": 2, "two": 1, "three": 0}
    only = {"one": line(lost=(8,))}
    assert any(word.startswith("1 run diverges") for word in legend(lines(only, {"one": "a"})))
    assert not any("diverge" in word for word in legend(lines(*sweep())))


def test_a_band_is_drawn_for_at_most_six_runs():
    assert "± 1 standard error" in legend(lines(*sweep(3, 2)))
    assert "± 1 standard error" not in legend(lines(*sweep(7, 1)))
    assert "± 1 standard error" in legend(between_figure(*pairs(2, 3), **WORDS))
    assert "± 1 standard error" not in legend(between_figure(*pairs(7, 1), **WORDS))


# Between two minima


def test_between_has_a_column_for_each_pair_of_configurations_on_the_same_axes():
    runs, groups = pairs(3)
    figure = between_figure(runs, groups, **WORDS)
    assert [bare(axes.get_title()) for axes in figure.axes[::2]] == list(dict.fromkeys(groups.values()))
    assert len({axes.get_ylim() for axes in figure.axes[::2]}) == 1
    assert len({axes.get_ylim() for axes in figure.axes[1::2]}) == 1
    assert figure.axes[1].get_ylabel() == "error (%)"
    assert legend(figure) == ["seed 0", "seed 1", "seed 2", "train", "test"]
    for axes in figure.axes[::2]:
        assert {text.get_text() for text in axes.texts} == {"start", "end"}
    for axes in figure.axes:
        upright = [each.get_xdata()[0] for each in axes.lines if each.get_xdata()[0] == each.get_xdata()[-1]]
        assert {0.0, 1.0} <= set(upright)
        assert len(curves(axes, runs)) == 6


def test_error_is_what_accuracy_lacks():
    runs, groups = pairs(1, 1)
    (drawn, _) = curves(between_figure(runs, groups, **WORDS).axes[1], runs)
    (landscape,) = runs.values()
    at = np.isin(drawn.get_xdata(), landscape.axes["alpha"])
    np.testing.assert_allclose(drawn.get_ydata()[at], 100 * (1 - landscape.values["train/accuracy"]))


def test_more_than_four_pairs_are_wrapped():
    figure = between_figure(*pairs(6, 1), **WORDS)
    assert len(figure.axes) == 12
    columns = {round(axes.get_position().x0, 3) for axes in figure.axes}
    assert len(columns) == 4


# Planes


@pytest.mark.parametrize("count", [1, 2, 5, 24])
def test_panels_share_levels_colours_and_axes(count):
    figure = planes(count)
    panels = [axes for axes in figure.axes if axes.get_title()]
    assert len(panels) == count
    filled = [next(c for c in axes.collections if getattr(c, "filled", False)) for axes in panels]
    for fills in filled:
        np.testing.assert_array_equal(fills.levels, filled[0].levels)
        assert (fills.norm.vmin, fills.norm.vmax) == (filled[0].norm.vmin, filled[0].norm.vmax)
        assert fills.get_cmap().name == filled[0].get_cmap().name
        assert fills.norm.vmax >= np.log10(0.03 + 4.0 * count)
    assert {(*axes.get_xlim(), *axes.get_ylim()) for axes in panels} == {(-1.0, 1.0, -1.0, 1.0)}
    assert len(figure.axes) == count + 1
    assert figure.axes[-1].get_ylabel().replace("\n", " ") == "loss (nats per example)"
    sizes = {tuple(np.round(axes.get_position().size, 3)) for axes in panels}
    assert len(sizes) == 1


def test_each_column_of_panels_has_its_label_once():
    panels = [axes for axes in planes(6).axes if axes.get_title()]
    assert [axes.get_xlabel() for axes in panels] == ["", "", "α", "α", "α", "α"]
    assert [axes.get_ylabel() for axes in panels] == ["β", "", "", "", "β", ""]


def test_panels_mark_the_solution_and_what_diverged_once_in_the_legend():
    assert legend(planes(5)) == ["centre", "diverged: loss not finite"]


def test_panels_without_a_finite_loss_have_no_colour_bar():
    empty = plane()
    empty.values["loss"][:] = np.nan
    empty.status[:] = Status.DIVERGED
    empty.points["centre"].values["loss"] = np.nan
    figure = contour_panels({"one": empty, "two": empty}, split="", **WORDS)
    assert len(figure.axes) == 2


# Measures


def test_a_panel_for_each_measure_with_its_unit():
    figure = measures_figure(table(), MEASURES, ["optimizer"], **WORDS)
    assert [bare(axes.get_ylabel()) for axes in figure.axes] == [
        "contour/train/basin_width", "interpolation/train/largest_rise (nats)", "weights/norm",
    ]  # fmt: skip
    assert [text.get_text() for text in figure.axes[0].get_xticklabels()] == ["sgd", "adam"]


def test_numbers_over_a_decade_are_logarithmic_and_few_others_categories_in_order():
    axes = measures_figure(table(), MEASURES[:1], ["batch_size", "optimizer"], **WORDS).axes[0]
    assert axes.get_xscale() == "log"
    near = table().replace({"batch_size": {256: 32}})
    axes = measures_figure(near, MEASURES[:1], ["batch_size"], **WORDS).axes[0]
    assert [text.get_text() for text in axes.get_xticklabels()] == ["32", "16", "64"]


@pytest.mark.parametrize(("measure", "log"), [(MEASURES[0], False), (MEASURES[2], True)])
def test_means_have_students_interval(measure, log):
    axes = measures_figure(table(), [measure], ["optimizer"], **WORDS).axes[0]
    assert (axes.get_yscale() == "log") == log
    own = table().query("optimizer == 'sgd'")[measure].to_numpy()
    own = np.log(own) if log else own
    low, high = stats.t.interval(0.95, len(own) - 1, own.mean(), stats.sem(own))
    expected = np.exp([own.mean(), low, high]) if log else [own.mean(), low, high]
    drawn = np.concatenate([each.get_ydata() for each in axes.lines])
    for value in expected:
        assert np.isclose(drawn, value, rtol=1e-6).any()


@pytest.mark.parametrize("seeds", [1, 2])
def test_too_few_runs_have_no_interval(seeds):
    axes = measures_figure(table(seeds=seeds), MEASURES[:1], ["batch_size", "optimizer"], **WORDS).axes[0]
    heights = [np.ptp(each.get_ydata()) for each in axes.lines if len(each.get_xdata()) == 2]
    assert not np.nansum(heights)


def test_what_is_not_finite_is_named_and_has_no_mean():
    frame = table().query("optimizer == 'sgd'").reset_index(drop=True)
    frame.loc[0, MEASURES[0]] = np.inf
    figure = measures_figure(frame, MEASURES[:2], ["batch_size"], **WORDS)
    assert "infinite" in legend(figure)
    means = [each for each in figure.axes[0].lines if each.get_marker() == "D"]
    assert sorted(np.concatenate([each.get_xdata() for each in means])) == pytest.approx([16.0, 64.0])
    frame.loc[0, MEASURES[0]] = np.nan
    assert "not measured" in legend(measures_figure(frame, MEASURES[:2], ["batch_size"], **WORDS))


def test_further_keys_are_pooled_and_the_caption_says_so():
    figure = measures_figure(table(), MEASURES, ["batch_size", "optimizer", "seed"], **WORDS)
    assert any(text.get_text().endswith("Pooled over seed.") for text in figure.texts)
    assert legend(figure)[:2] == ["optimizer sgd", "optimizer adam"]


def test_scatter_holds_every_run_against_its_error_in_percent():
    figure = against_test_error(table(), MEASURES, RHO, "optimizer", **WORDS)
    assert figure.axes[0].get_ylabel() == "test error (%)"
    for axes, measure in zip(figure.axes, MEASURES, strict=True):
        assert axes.get_title().replace("\n", " ") == RHO[measure]
        drawn = np.concatenate([np.asarray(each.get_offsets()) for each in axes.collections])
        expected = np.stack([table()[measure], 100 * (1 - table()["test/accuracy"])], axis=1)
        np.testing.assert_allclose(np.sort(drawn, axis=0), np.sort(expected, axis=0))
    assert len({axes.get_ylim() for axes in figure.axes}) == 1
    assert figure.axes[2].get_xscale() == "log"


def test_the_common_factor_of_ticks_is_in_the_label():
    frame = table().assign(norm=[1e6 * (1 + n) for n in range(18)])
    figure = measures_figure(frame, ["norm"], ["optimizer"], **WORDS)
    assert "10^{7}" in figure.axes[0].get_ylabel()
    figure = against_test_error(frame, ["norm"], {"norm": "ρ"}, "optimizer", **WORDS)
    assert "10^{7}" in figure.axes[0].get_xlabel()
    large = line()
    for name in ("train/loss", "test/loss"):
        large.values[name][:] = 1e6 * (1 + np.arange(21))
    assert "10^{7}" in lines({"one": large}, {"one": "a"}).axes[0].get_ylabel()


# Everything


def all_figures():
    yield "2 runs", lines(*sweep(2, 1))
    yield "24 runs", lines(*sweep(12, 2, lost=(4, 5)))
    runs, _ = sweep(2, 2, splits=("train",))
    yield (
        "long labels",
        lines(runs, {label: f"a long name of a configuration, {label}, " * 3 for label in runs}),
    )
    for count in (1, 3, 24):
        yield f"{count} planes", planes(count, axis_labels=NAMED)
    for groups in (1, 3, 6):
        yield (
            f"{groups} pairs",
            between_figure(*pairs(groups, names=("batch_size 64", "batch_size 128")), **WORDS),
        )
    many = table().assign(**{f"contour/test/a_measure_with_a_long_name_{n}": range(18) for n in range(20)})
    many.loc[3, MEASURES[0]] = np.inf
    many["optimizer"] = [f"{name} with momentum 0.9 and decay" for name in many["optimizer"]]
    for measures in (MEASURES[:1], MEASURES, [name for name in many if "long_name" in name]):
        yield (
            f"{len(measures)} measures",
            measures_figure(many, measures, ["optimizer", "batch_size"], **WORDS),
        )
        rho = dict.fromkeys(measures, RHO[MEASURES[0]])
        yield f"{len(measures)} scatters", against_test_error(many, measures, rho, "optimizer", **WORDS)


def test_nothing_is_cut_off_and_nothing_covers_another():
    for name, figure in all_figures():
        with styled():
            figure.draw_without_rendering()
            boxes = [each.get_tightbbox() for each in [*figure.axes, *figure.texts, *figure.legends]]
            for box in boxes:
                assert box.x0 >= figure.bbox.x0 - 1, name
                assert box.x1 <= figure.bbox.x1 + 1, name
                assert box.y0 >= figure.bbox.y0 - 1, name
                assert box.y1 <= figure.bbox.y1 + 1, name
            for index, box in enumerate(boxes):
                for other in boxes[:index]:
                    across = min(box.x1, other.x1) - max(box.x0, other.x0)
                    up = min(box.y1, other.y1) - max(box.y0, other.y0)
                    assert min(across, up) <= 2, name
            assert figure.get_figwidth() in {3.5, 7.2}


def test_the_same_runs_give_the_same_bytes():
    for make in (
        lambda: lines(*sweep()),
        lambda: planes(2),
        lambda: measures_figure(table(), MEASURES, ["batch_size", "optimizer"], **WORDS),
    ):
        assert render(make(), "png") == render(make(), "png")


def test_landscapes_are_compared_without_pyplot():
    code = "import sys; import study.figures.comparison; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# Refusals


def test_refusals_are_one_line_that_names_rule_and_value():
    lacking = table().drop(columns="test/accuracy")
    for call, words in (
        (lambda: lines({}, {}), "at least one run, got none"),
        (lambda: between_figure({}, {}, **WORDS), "at least one run, got none"),
        (lambda: contour_panels({}, split="", **WORDS), "at least one run, got none"),
        (lambda: lines({"one": plane()}, {"one": "a"}), r"must be lines, got shape \(9, 7\) for 'one'"),
        (lambda: between_figure({"one": plane()}, {"one": "a"}, **WORDS), "must be lines, got shape"),
        (lambda: lines({"one": line()}, {}), "got none for 'one'"),
        (lambda: contour_panels({"a": line()}, split="train", **WORDS), "plane .* got shape"),
        (lambda: contour_panels({"a": plane()}, split="test", **WORDS), "split must be one of"),
        (lambda: planes(2, columns=0), "columns must be at least 1, got 0"),
        (lambda: measures_figure(table()[:0], MEASURES, ["seed"], **WORDS), "at least one run, got none"),
        (lambda: measures_figure(table(), [], ["seed"], **WORDS), "measures must name .* got none"),
        (lambda: measures_figure(table(), MEASURES, [], **WORDS), "keys must name .* got none"),
        (lambda: measures_figure(table(), ["other"], ["seed"], **WORDS), "column 'other', got"),
        (lambda: against_test_error(lacking, MEASURES, RHO, "seed", **WORDS), "column 'test/accuracy'"),
        (lambda: against_test_error(table(), MEASURES, {}, "seed", **WORDS), "rho must .* got none for"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=words) as refusal:
            call()
        assert "\n" not in str(refusal.value)
