"""What a figure shows is what the landscape holds: read back from the drawn artists and the written bytes."""

import json
import re
import subprocess
import sys
from html import escape, unescape

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from plotly.offline import get_plotlyjs

from study.figures.contour import contour_figure, draw_plane, levels
from study.figures.export import Format, render
from study.figures.hover import cell_facts, point_marker
from study.figures.interactive import interactive_page
from study.figures.interactive_plane import plane_content
from study.figures.line import line_figure
from study.figures.marks import marks
from study.figures.scale import Scale, labels, spans_decades
from study.figures.style import COLOURS, STAR, new_figure, styled
from study.figures.surface import surface_figure
from study.landscape.result import Landscape, Point, Status

CAPTION = (
    "cnn (1,199,882 parameters) on digits, train split, 512 of 1,437 examples; filter normalization, "
    "direction seed 0; run 3f2a91c07be4, costing $5 & <little>."
)
WORDS = {"title": "Loss about the minimum", "caption": CAPTION}
STEPS = {"alpha": "α (steps along δ)", "beta": "β (steps along η)"}


def plane(loss, alpha, beta, centre=(0.0, 0.0), centre_loss=0.03, **values):
    status = np.where(np.isfinite(loss), Status.EVALUATED, Status.DIVERGED).astype(np.int8)
    points = {"centre": Point(centre, {"loss": centre_loss})}
    return Landscape({"alpha": alpha, "beta": beta}, {"loss": loss, **values}, status, points)


def bowl(alpha, beta, at=(0.0, 0.0), lift=0.02):
    a, b = np.meshgrid(alpha, beta, indexing="ij")
    return lift + (a - at[0]) ** 2 + 3.0 * (b - at[1]) ** 2


def square(radius, points=9):
    return np.linspace(-radius, radius, points)


def wide(radius=20.0, low=0.034, high=3e10, points=15):
    axis = square(radius, points)
    a, b = np.meshgrid(axis, axis, indexing="ij")
    exponent = np.hypot(a, b) / np.hypot(radius, radius)
    return plane(low * (high / low) ** exponent, axis, axis)


def line(loss, alpha=None, status=None, points=None, **values):
    alpha = np.linspace(-0.5, 1.5, len(loss)) if alpha is None else alpha
    status = np.full(len(loss), Status.EVALUATED, dtype=np.int8) if status is None else status
    return Landscape({"alpha": alpha}, {"loss": np.asarray(loss), **values}, status, points or {})


def two_splits():
    alpha = np.linspace(-0.5, 1.5, 21)
    values = {
        "train/loss": 0.1 + (alpha - 1) ** 2,
        "train/loss_standard_error": np.full(21, 0.05),
        "train/accuracy": np.exp(-((alpha - 1) ** 2)),
        "test/loss": 0.3 + (alpha - 1) ** 2,
        "test/accuracy": 0.9 * np.exp(-((alpha - 1) ** 2)),
    }
    points = {
        "initialisation": Point((0.0,), {"train/loss": 1.1, "test/loss": 1.3}),
        "solution": Point((1.0,), {"train/loss": 0.1, "test/loss": 0.3}),
    }
    return Landscape({"alpha": alpha}, values, np.full(21, Status.EVALUATED, np.int8), points)


def hard_planes():
    axis = square(1.0)
    a, b = np.meshgrid(axis, axis, indexing="ij")
    r = a**2 + b**2
    huge = wide(2.5e6, 1e6, 1e32)
    huge.values["loss"][9:11, 4:] = np.inf
    huge.values["loss"][11, 4:] = np.nan
    huge.status[9:12, 4:] = Status.DIVERGED
    return {
        "bowl": plane(bowl(axis, axis), axis, axis),
        "needle": wide(),
        "wide with a band of inf and nan": huge,
        "tiny range": plane(bowl(axis, axis), axis * 1e-4, axis * 1e-4),
        "all diverged": plane(np.full((9, 9), np.nan), axis, axis, centre_loss=np.nan),
        "one finite cell": plane(np.where(r == 0, 1.0, np.inf), axis, axis),
        "constant": plane(np.full((9, 9), 2.303), axis, axis, centre_loss=2.303),
        "constant zero": plane(np.zeros((9, 9)), axis, axis),
        "all equal but rounding": plane(2.303 + 1e-15 * a, axis, axis),
        "1e30": plane(1e30 * (0.5 + r), axis, axis),
        "zeros beside large": plane(np.where(r < 0.2, 0.0, 1e12 * r**8), axis, axis, centre_loss=0.0),
        "negative": plane(-50.0 * np.cos(3 * a) + b, axis, axis, centre_loss=-50.0),
        "negative and huge": plane(1e30 * a + b, axis, axis),
        "2 by 2": plane(np.array([[1.0, 2.0], [3.0, 4.0]]), axis[[0, -1]], axis[[0, -1]]),
    }


def hard_lines():
    x = np.linspace(-0.5, 1.5, 31)
    spike = np.where(np.abs(x - 0.3) < 0.2, np.inf, 1.0 + x**2)
    return {
        "plain": line(1 + x**2),
        "decades": line(10.0 ** (6 * x)),
        "1e6 to 1e32": line(10.0 ** (19 + 13 * (x - 0.5)), alpha=(x - 0.5) * 2.5e6),
        "diverged": line(spike, status=np.where(np.isfinite(spike), 1, 3).astype(np.int8)),
        "all diverged": line(np.full(31, np.nan), status=np.full(31, 3, np.int8)),
        "constant": line(np.full(31, 2.303)),
        "zero": line(np.zeros(31)),
        "zeros beside large": line(np.where(np.abs(x - 1) < 0.1, 0.0, 1e8 * np.abs(x - 1) ** 5)),
        "negative": line(-1e5 * np.cos(3 * x)),
        "one point": line(np.array([1.0]), alpha=np.array([0.0])),
    }


def words(figure: Figure) -> list[str]:
    legends = [*figure.legends, *(axes.get_legend() for axes in figure.axes)]
    return [
        text.get_text() for legend in legends if isinstance(legend, Legend) for text in legend.get_texts()
    ]


def plot(landscape, **settings):
    return contour_figure(landscape, split="", **{**WORDS, **settings})


def draw_line(landscape):
    return line_figure(landscape, **WORDS, parameter_label="α")


# Transposition


def test_contour_draws_the_minimum_at_its_alpha_and_beta():
    alpha, beta = np.linspace(-1, 2, 7), np.linspace(-3, 1, 5)  # asymmetric, not square
    landscape = plane(bowl(alpha, beta, at=(1.5, -2.0)), alpha, beta)
    with styled():
        axes = new_figure(3).add_subplot()
        fills, lines, _ = draw_plane(axes, landscape, levels(landscape.values["loss"]))
    loops = [path.get_extents() for path in lines.get_paths() if len(path.vertices)]
    centre = next(box for box in loops if box.width > 0)
    assert centre.x0 < 1.5 < centre.x1
    assert centre.y0 < -2.0 < centre.y1
    filled = next(path for path in fills.get_paths() if len(path.vertices))
    assert filled.contains_point((1.5, -2.0))
    assert not filled.contains_point((-2.0, 1.5))
    assert axes.get_xlim() == (-1.0, 2.0)
    assert axes.get_ylim() == (-3.0, 1.0)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("α", "β")


def test_surface_stands_at_alpha_and_beta():
    alpha, beta = np.linspace(-1, 2, 7), np.linspace(-3, 1, 5)
    figure = surface_figure(plane(bowl(alpha, beta, at=(1.5, -2.0)), alpha, beta), split="", **WORDS)
    axes = figure.axes[0]
    (sheet,) = [artist for artist in axes.collections if type(artist).__name__ == "Poly3DCollection"]
    corners = np.concatenate([np.asarray(face) for face in sheet._faces]).reshape(-1, 3)
    lowest = corners[np.argmin(corners[:, 2])]
    assert lowest[:2].tolist() == [1.5, -2.0]
    assert len(sheet._faces) == 6 * 4


# Scales and levels


@pytest.mark.parametrize(
    ("values", "log"),
    [
        ([0.02, 5.0], True),
        ([0.1, 9.0], False),
        ([0.1, 10.1], True),
        ([0.0, 0.1, 9.0], False),
        ([0.0, 1e-3, 9.0], True),
        ([-1.0, 1e-3, 1e9], False),
        ([np.inf, 1.0, np.nan], False),
        ([np.nan], False),
    ],
)
def test_logarithmic_if_and_only_if_decades(values, log):
    assert spans_decades(np.array(values)) == log
    finite = [value for value in values if np.isfinite(value)]
    if len(finite) > 1:
        y = np.interp(np.linspace(0, 1, 9), np.linspace(0, 1, len(values)), values)
        y[: len(values)] = values
        y[len(values) :] = values[-1]
        assert (draw_line(line(y)).axes[0].get_yscale() == "log") == log


def test_levels_are_one_two_five_where_few_and_powers_of_ten_where_many():
    assert levels(np.array([0.03, 4.0])).tolist() == [0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5]
    assert levels(np.array([0.034, 3e10]), 14).tolist() == [float(f"1e{k}") for k in range(-2, 12)]
    assert levels(np.array([1e6, 1e32]), 10).tolist() == [float(f"1e{k}") for k in range(6, 34, 3)]
    assert levels(np.array([1.0, 1000.0])).tolist()[::3] == [1.0, 10.0, 100.0, 1000.0]
    assert levels(np.array([0.3, 9.2]), 10).tolist() == list(range(11))


@pytest.mark.parametrize("name", hard_planes())
@pytest.mark.parametrize("count", [3, 8, 14])
def test_levels_increase_and_enclose_every_positive_or_linear_value(name, count):
    values = hard_planes()[name].values["loss"]
    found = levels(values, count)
    assert len(found) >= 2
    assert np.isfinite(found).all()
    assert (np.diff(found) > 0).all()
    finite = values[np.isfinite(values)]
    kept = finite[finite > 0] if spans_decades(values) else finite
    if kept.size:
        assert found[0] <= kept.min()
        assert kept.max() <= found[-1]
    assert len(found) <= count + 3
    assert len(set(labels(found))) == len(found)


def test_levels_of_the_smallest_and_largest_numbers():
    found = levels(np.array([5e-324, 1.7e308]))
    assert np.isfinite(found).all()
    assert (found > 0).all()
    assert (np.diff(found) > 0).all()


def test_labels_are_plain_or_powers_of_ten():
    assert labels([0.02, 0.5, 5.0]) == ["0.02", "0.5", "5"]
    assert labels([1e-2, 1e10]) == ["$10^{-2}$", "$10^{10}$"]
    assert labels([0.0, 2e6, -4e6]) == ["0", "$2{\\times}10^{6}$", "$-4{\\times}10^{6}$"]
    assert labels([2.30001, 2.30002]) == ["2.30001", "2.30002"]


def test_zero_has_a_place_below_every_positive_value():
    scale = Scale.of(np.array([0.0, 1e-3, 1e3]))
    places = scale.place(np.array([0.0, 1e-3, 1e3, np.inf]))
    assert places[0] < places[1] == -3.0
    assert places[2] == 3.0
    assert np.isnan(places[3])


# Words


def test_line_names_axes_with_units_curves_and_points():
    figure = draw_line(two_splits())
    left, right = figure.axes[:2]
    assert left.get_xlabel() == "α"
    assert left.get_ylabel() == "loss (nats per example)"
    assert right.get_ylabel() == "accuracy (%)"
    assert set(words(figure)) == {
        "train loss", "test loss", "train accuracy", "test accuracy", "± 1 standard error",
    }  # fmt: skip
    assert {"initialisation", "solution"} <= {text.get_text() for text in left.texts}
    curves = {artist.get_label(): artist for artist in [*left.lines, *right.lines]}
    assert curves["train loss"].get_linestyle() != curves["test loss"].get_linestyle()
    assert curves["train accuracy"].get_ydata().max() == pytest.approx(100.0)


def test_line_runs_through_special_points_that_the_grid_misses():
    x = np.linspace(-0.5, 1.5, 51)  # hits neither 0 nor 1
    figure = draw_line(line(1 + x**2, points={"needle": Point((1.0,), {"loss": 0.001})}))
    (curve,) = [artist for artist in figure.axes[0].lines if artist.get_label() == "loss"]
    assert curve.get_xdata()[np.argmin(curve.get_ydata())] == 1.0
    assert len(curve.get_xdata()) == 52


def test_contour_names_its_colour_bar_with_units():
    axis = square(1.0)
    landscape = plane(bowl(axis, axis), axis, axis, accuracy=np.exp(-bowl(axis, axis)))
    assert plot(landscape).axes[1].get_ylabel() == "loss (nats per example)"
    figure = plot(landscape, value="accuracy")
    assert figure.axes[1].get_ylabel() == "accuracy (%)"
    assert [text.get_text() for text in figure.axes[1].get_yticklabels()][-1] == "100"
    assert "centre" in {text.get_text() for text in figure.axes[0].texts}


def test_a_point_between_the_cells_has_its_loss_beside_its_name():
    axis = np.linspace(-20, 20, 20)  # has no centre
    figure = plot(plane(bowl(axis, axis), axis, axis, centre_loss=0.034))
    assert "centre: 0.034" in {text.get_text() for text in figure.axes[0].texts}


def test_range_of_millions_has_its_factor_in_the_label():
    figure = plot(wide(2.5e6, 1e6, 1e32))
    assert re.search(r"α.*10\^\{6\}", figure.axes[0].get_xlabel())
    assert not any("10^" in text.get_text() for text in figure.axes[0].get_xticklabels())
    assert not figure.axes[0].xaxis.offsetText.get_visible()


def all_figures():
    for name, landscape in hard_planes().items():
        yield f"contour {name}", plot(landscape)
        yield f"surface {name}", surface_figure(landscape, split="", **WORDS)
    for name, landscape in {**hard_lines(), "two splits": two_splits()}.items():
        yield f"line {name}", draw_line(landscape)


def test_nothing_is_cut_off_and_the_caption_covers_nothing():
    for name, figure in all_figures():
        with styled():
            figure.draw_without_rendering()
            page = figure.bbox
            caption = next(text for text in figure.texts if "digits" in text.get_text())
            boxes = [artist.get_tightbbox() for artist in [*figure.axes, *figure.texts, *figure.legends]]
            for box in boxes:
                assert box.x0 >= page.x0 - 1, name
                assert box.x1 <= page.x1 + 1, name
                assert box.y0 >= page.y0 - 1, name
                assert box.y1 <= page.y1 + 1, name
            below = caption.get_window_extent().y1
            for artist in [*figure.axes, *figure.legends]:
                assert artist.get_tightbbox().y0 >= below, name
        assert " ".join(caption.get_text().split()) == CAPTION


@pytest.mark.parametrize("lines", [3, 5, 6])
def test_a_square_picture_is_whole_above_a_caption_of_any_length(lines):
    axis = square(1.0, 9)
    a, b = np.meshgrid(axis, axis, indexing="ij")
    caption = "\n".join(["several words, and more of them"] * lines)
    figure = contour_figure(
        plane(0.01 + a**2 + b**2, axis, axis),
        split="",
        title="On a plane",
        caption=caption,
        axis_labels={"alpha": "α (steps along δ)", "beta": "β (steps along η)"},
    )
    with styled():
        assert figure.axes[0].get_tightbbox().x0 >= 0.0
        assert figure.axes[1].get_tightbbox().x1 <= figure.bbox.x1


def valley(high):
    """A tilted valley over many decades: isolines close together at two corners, far apart along it."""
    axis = square(20.0, 41)
    a, b = np.meshgrid(axis, axis, indexing="ij")
    steep = np.abs(a + 0.3 * b) ** 1.2 + np.abs(0.2 * b) ** 1.5
    return plane(0.03 * (high / 0.03) ** (steep / steep.max()), axis, axis)


@pytest.mark.parametrize(
    ("landscape", "least"),
    [(wide(points=51), 10), (wide(points=101), 10), (wide(high=1e25, points=51), 11), (valley(1e10), 8),
     (valley(1e25), 9)],
)  # fmt: skip
def test_isoline_labels_are_many_and_never_touch(landscape, least):
    figure = plot(landscape)
    drawn = [text for text in figure.axes[0].texts if "10^" in text.get_text()]
    boxes = [text.get_window_extent() for text in drawn]
    assert len(boxes) >= least
    for index, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:index])


# What has no value


def test_diverged_cells_have_a_legend_entry_and_nothing_is_drawn_there():
    landscape = hard_planes()["wide with a band of inf and nan"]
    figure = plot(landscape)
    assert "diverged: loss not finite" in words(figure)
    assert any(patch.get_hatch() for patch in figure.axes[0].patches)
    surface = surface_figure(landscape, split="", **WORDS)
    assert "open: diverged, loss not finite" in words(surface)
    (sheet,) = [each for each in surface.axes[0].collections if type(each).__name__ == "Poly3DCollection"]
    assert np.isfinite(np.concatenate([np.asarray(face) for face in sheet._faces])).all()
    assert len(sheet._faces) < 14 * 14
    assert "diverged: loss not finite" not in words(plot(hard_planes()["bowl"]))


def test_diverged_span_of_a_line_is_hatched_and_named():
    figure = draw_line(hard_lines()["diverged"])
    assert "loss not finite" in words(figure)
    (span,) = [patch for patch in figure.axes[0].patches if patch.get_hatch()]
    box = span.get_extents().transformed(figure.axes[0].transData.inverted())
    assert box.x0 == pytest.approx(0.1, abs=0.05)
    assert box.x1 == pytest.approx(0.5, abs=0.05)


def test_a_split_that_diverged_alone_is_named():
    landscape = two_splits()
    landscape.values["test/loss"][-3:] = np.inf
    landscape.status[-3:] = Status.DIVERGED
    assert "test loss not finite" in words(draw_line(landscape))
    assert "train loss not finite" not in words(draw_line(landscape))


def test_interpolated_cells_are_hinted():
    axis = square(1.0)
    landscape = plane(bowl(axis, axis), axis, axis)
    assert not any("interpolated" in word for word in words(plot(landscape)))
    landscape.status[1::2] = Status.INTERPOLATED
    assert any("interpolated" in word for word in words(plot(landscape)))
    curve = line(1 + np.linspace(0, 1, 9), status=np.array([1, 2] * 4 + [1], dtype=np.int8))
    figure = draw_line(curve)
    assert "evaluated (between: interpolated)" in words(figure)
    dots = [
        each
        for each in figure.axes[0].lines
        if each.get_markerfacecolor() == "#FFFFFF" and len(each.get_xdata())
    ]
    assert dots[0].get_xdata().tolist() == curve.axes["alpha"][::2].tolist()


def test_missing_cells_are_named():
    axis = square(1.0)
    landscape = plane(bowl(axis, axis), axis, axis)
    landscape.values["loss"][:3, :2] = np.nan
    landscape.status[:3, :2] = Status.MISSING
    assert words(plot(landscape)) == ["not evaluated"]


def test_zero_losses_on_a_logarithmic_scale_are_named():
    assert "loss 0, below the scale" in words(plot(hard_planes()["zeros beside large"]))
    assert "loss 0, off the scale" in words(draw_line(hard_lines()["zeros beside large"]))


def test_a_constant_surface_says_its_value():
    assert words(plot(hard_planes()["constant"])) == ["constant: 2.303"]


def test_a_plane_without_a_square_to_colour_has_no_colour_bar():
    """Whether every cell diverged, or all but one: colours would stand for nothing that is drawn."""
    for name, beside in (("all diverged", "centre"), ("one finite cell", "centre: 0.03")):
        figure = plot(hard_planes()[name])
        assert len(figure.axes) == 1, name
        assert words(figure) == ["diverged: loss not finite"]
        assert any(patch.get_hatch() for patch in figure.axes[0].patches)
        assert len(drawn_marks(figure)) == 1
        assert {text.get_text() for text in figure.axes[0].texts} == {beside}


@pytest.mark.parametrize(("loss", "side"), [(0.0012, "below"), (5e6, "above")])
def test_a_point_that_the_colours_do_not_reach_is_explained(loss, side):
    axis = np.linspace(-20, 20, 20)  # has no centre
    needle = plane(bowl(axis, axis), axis, axis, centre_loss=loss)
    assert words(plot(needle)) == [f"centre: {loss:.2g}, {side} the colour scale"]
    assert words(plot(plane(bowl(axis, axis), axis, axis, centre_loss=5.0))) == []


def lonely(at=10, points=None):
    x = np.linspace(-1, 1, 21)
    loss = np.where(np.arange(21) == at, 0.05, np.inf)
    return line(loss, x, np.where(np.isfinite(loss), 1, 3).astype(np.int8), points)


def test_no_white_band_is_left_between_a_value_and_what_diverged_beside_it():
    figure = draw_line(lonely(points={"solution": Point((0.0,), {"loss": 0.05})}))
    back = figure.axes[0].transData.inverted()
    spans = [patch.get_extents().transformed(back) for patch in figure.axes[0].patches if patch.get_hatch()]
    edges = sorted((span.x0, span.x1) for span in spans)
    assert np.allclose(edges, [(-1.0, 0.0), (0.0, 1.0)])


def test_a_value_that_no_line_reaches_has_a_dot():
    (dot,) = [each for each in draw_line(lonely(at=4)).axes[0].lines if each.get_marker() == "o"]
    assert (list(dot.get_xdata()), list(dot.get_ydata())) == ([-0.6], [0.05])


def test_a_diverged_special_point_between_the_cells_is_hatched():
    x = np.linspace(0, 1, 5)
    figure = draw_line(line(1 + x, alpha=x, points={"solution": Point((0.6,), {"loss": np.nan})}))
    (span,) = [patch for patch in figure.axes[0].patches if patch.get_hatch()]
    box = span.get_extents().transformed(figure.axes[0].transData.inverted())
    assert (box.x0, box.x1) == pytest.approx((0.5, 0.75))


# Special points


def drawn_marks(figure: Figure):
    return [each for axes in figure.axes for each in axes.lines if each.get_markersize() in (8.0, 7.0)]


@pytest.mark.parametrize(
    ("names", "star"),
    [
        (["centre"], "centre"),
        (["initialisation", "solution"], "solution"),
        (["solution", "initialisation"], "solution"),
        (["initialisation", "update 7"], "update 7"),
        (["start", "middle", "end"], "end"),
        (["averaged weights", "second", "third"], "averaged weights"),
        (["update 7", "end"], "update 7"),
        (["centre", "update 3", "initialisation", "update 9"], "centre"),
    ],
)
def test_the_solution_is_the_star_and_no_two_markers_are_alike(names, star):
    points = {name: Point((index / 8,), {"loss": 1.0}) for index, name in enumerate(names)}
    found = {mark.name: mark.marker for mark in marks(line(np.ones(9), points=points))}
    assert found[star] == STAR
    assert len(set(found.values())) == len(names)
    assert found.get("initialisation", "o") == "o"


def test_points_of_one_place_share_the_star():
    points = {name: Point((at,), {"loss": 1.0}) for name, at in (("a", 0.0), ("b", 1.0), ("c", 0.0))}
    assert [(mark.name, mark.marker) for mark in marks(line(np.ones(9), points=points))] == [
        ("a, c", STAR), ("b", "o"),
    ]  # fmt: skip


def test_the_page_has_the_markers_of_the_pictures():
    points = {name: Point((index / 8,), {"loss": 1.0}) for index, name in enumerate("abcdefghijklm")}
    found = marks(line(np.ones(9), points=points))
    symbols = point_marker(found, 9)["symbol"]
    assert symbols[0] == "circle"
    assert symbols[-1] == "star"
    assert len(set(symbols)) == 13


def test_special_points_are_drawn_last_of_all():
    figure = draw_line(two_splits())
    left, right = figure.axes
    assert right.get_zorder() >= left.get_zorder()
    stars = [each for each in right.lines if each.get_marker() == STAR]
    assert not [each for each in left.lines if each.get_marker() == STAR]
    assert min(star.get_zorder() for star in stars) > max(
        each.get_zorder() for each in right.lines if each.get_gid() and "accuracy" in each.get_gid()
    )
    places = [left.transData.inverted().transform(star.get_transform().transform((1.0, y))) for star, y in
              zip(stars, (0.1, 0.3), strict=True)]  # fmt: skip
    assert np.allclose(places, [(1.0, 0.1), (1.0, 0.3)])
    assert [float(star.get_ydata()[0]) for star in stars] == [0.1, 0.3]


# Axes


@pytest.mark.parametrize("name", ["bowl", "needle", "wide with a band of inf and nan", "tiny range"])
def test_surface_and_contour_have_the_same_ticks_and_factors(name):
    landscape = hard_planes()[name]
    flat = plot(landscape, axis_labels=STEPS).axes[0]
    solid = surface_figure(landscape, split="", axis_labels=STEPS, **WORDS).axes[0]
    for one, other, label in ((flat.xaxis, solid.xaxis, "α"), (flat.yaxis, solid.yaxis, "β")):
        low, high = one.get_view_interval()
        ticks = [[tick for tick in axis.get_majorticklocs() if low <= tick <= high] for axis in (one, other)]
        assert np.allclose(*ticks)
        assert len(ticks[0]) >= 3
        assert one.get_label_text().split() == other.get_label_text().split()
        assert one.get_label_text().startswith(f"{label} (steps along ")
        assert not other.offsetText.get_visible() or not other.get_major_formatter().get_offset()


def test_ticks_of_a_surface_reach_its_ends():
    solid = surface_figure(hard_planes()["bowl"], split="", **WORDS).axes[0]
    assert solid.xaxis.get_majorticklocs()[[0, -1]] == pytest.approx([-1.0, 1.0])
    assert solid.yaxis.get_majorticklocs()[[0, -1]] == pytest.approx([-1.0, 1.0])


def both_splits():
    axis = square(1.0)
    values = {"train/loss": bowl(axis, axis), "test/loss": 2 * bowl(axis, axis)}
    points = {"solution": Point((0.0, 0.0), {"train/loss": 0.02, "test/loss": 0.04})}
    return Landscape({"alpha": axis, "beta": axis}, values, np.ones((9, 9), np.int8), points)


def test_the_loss_is_called_by_its_split_where_there_are_several():
    landscape = both_splits()
    for split in ("train", "test"):
        flat = contour_figure(landscape, split=split, **WORDS)
        assert flat.axes[1].get_ylabel() == f"{split} loss (nats per example)"
        solid = surface_figure(landscape, split=split, **WORDS)
        assert solid.axes[0].get_zlabel() == f"{split} loss (nats per example)"
    titles = plane_content(landscape)["splits"]
    assert titles == [{"loss": f"{split} loss (nats per example)"} for split in ("train", "test")]


# Warnings


def test_a_landscape_not_to_be_trusted_says_so_above_every_picture():
    warning = "Do not trust this landscape: $self_check$ failed <1e-3>."
    landscape = hard_planes()["bowl"]
    for figure in (
        plot(landscape, warning=warning),
        surface_figure(landscape, split="", warning=warning, **WORDS),
        line_figure(two_splits(), parameter_label="α", warning=warning, **WORDS),
    ):
        (alarm,) = [text for text in figure.texts if text.get_color() == COLOURS.warning]
        assert " ".join(alarm.get_text().split()) == warning
        assert alarm.get_fontweight() == "bold"
        box = alarm.get_window_extent()
        assert figure.bbox.y1 >= box.y1
        assert figure.bbox.x1 >= box.x1
        (title,) = [text for text in figure.texts if text.get_text() == WORDS["title"]]
        assert box.y0 > title.get_window_extent().y1
        assert all(box.y0 > axes.get_tightbbox().y1 for axes in figure.axes)
    page = own_part(interactive_page(landscape, warning=warning, **WORDS))
    assert f'<p class="warning">{escape(warning)}</p>\n<h1>' in page
    assert 'class="warning"' not in own_part(interactive_page(landscape, **WORDS))


# Refusals


def test_refusals_name_the_rule_and_the_value():
    axis = square(1.0)
    landscape = plane(bowl(axis, axis), axis, axis)
    with pytest.raises(ValueError, match=r"line, got shape \(9, 9\)"):
        draw_line(landscape)
    with pytest.raises(ValueError, match=r"plane .* got shape \(31,\)"):
        plot(hard_lines()["plain"])
    with pytest.raises(ValueError, match=r"split must be one of .* 'valid'"):
        contour_figure(landscape, split="valid", **WORDS)
    with pytest.raises(ValueError, match=r"value must be one of .* 'accuracy'"):
        plot(landscape, value="accuracy")
    with pytest.raises(ValueError, match=r"format must be one of .* 'gif'"):
        render(new_figure(1.0), "gif")


# Bytes


@pytest.mark.parametrize(("format", "opening"), [("png", b"\x89PNG"), ("pdf", b"%PDF"), ("svg", b"<?xml")])
def test_the_same_landscape_gives_the_same_bytes(format: Format, opening: bytes):
    for make in (
        lambda: plot(hard_planes()["wide with a band of inf and nan"]),
        lambda: surface_figure(hard_planes()["bowl"], split="", **WORDS),
        lambda: draw_line(two_splits()),
    ):
        figure = make()
        first = render(figure, format)
        assert first.startswith(opening)
        assert first == render(figure, format)
        assert first == render(make(), format)
        assert b"Date" not in first
        assert b"matplotlib.org" not in first


def test_the_users_own_settings_change_nothing_and_come_back():
    import matplotlib as mpl

    before = render(draw_line(two_splits()), "svg")
    with mpl.rc_context({"font.size": 30, "lines.linewidth": 9, "text.usetex": True}):
        assert render(draw_line(two_splits()), "svg") == before
        assert mpl.rcParams["font.size"] == 30


def test_pyplot_is_never_imported():
    code = (
        "import sys; import study.figures.line, study.figures.contour; "
        "import study.figures.surface, study.figures.export; "
        "sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# Pages


def own_part(page: str) -> str:
    """A page without the drawing library that it carries."""
    assert get_plotlyjs() in page
    return page.replace(get_plotlyjs(), "")


def test_page_asks_nothing_of_the_network():
    page = own_part(interactive_page(two_splits(), **WORDS))
    assert not re.search(r"<script[^>]*\bsrc\b", page)
    assert "http" not in page
    assert "cdn" not in page.lower()
    assert "<link" not in page


def test_page_takes_its_words_literally():
    axis = square(1.0)
    landscape = plane(bowl(axis, axis), axis, axis)
    nasty = Landscape(
        landscape.axes, landscape.values, landscape.status, {"</script><b>": landscape.points["centre"]}
    )
    page = own_part(interactive_page(nasty, title="<script>alert(1)</script> & {x}", caption=CAPTION))
    assert "<script>alert" not in page
    assert "</script><b>" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; {x}" in page
    assert CAPTION in unescape(page)


def test_pointer_reads_loss_accuracy_and_status():
    axis = square(1.0)
    loss = bowl(axis, axis)
    loss[0, 1] = np.inf
    facts = cell_facts(plane(loss, axis, axis, accuracy=np.full((9, 9), 0.5)))
    assert facts[4, 4].tolist() == ["0.02", "50", "evaluated"]
    assert facts[0, 1].tolist() == ["inf", "50", "diverged"]


@pytest.mark.parametrize("name", [*hard_planes(), *hard_lines()])
def test_every_page_builds(name):
    page = own_part(interactive_page({**hard_planes(), **hard_lines()}[name], **WORDS))
    (data,) = re.findall(r'<script type="application/json" id="content">(.*?)</script>', page)
    json.loads(data, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
