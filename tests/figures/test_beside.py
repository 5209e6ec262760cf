"""Further curves beside a measured one, and predictions beside slices: whole data in a view that serves."""

from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from study.figures.beside import REACH, within_reach
from study.figures.interactive import interactive_page
from study.figures.interactive_line import line_curves
from study.figures.line import line_figure
from study.figures.slices import slices_figure
from study.landscape.result import Landscape, Point, Status

WORDS = {"title": "Between two minima", "caption": "cnn on digits, costing $5 & <little>."}
T = np.linspace(0.0, 1.0, 11)


def line(height: float, splits: tuple[str, ...] = ("train", "test"), axis: str = "t") -> Landscape:
    """A loss with a hill of `height` in the middle, over a floor of 0.2."""
    values = {}
    for shift, split in enumerate(splits):
        prefix = f"{split}/" if split else ""
        values[f"{prefix}loss"] = 0.2 + 0.05 * shift + height * 4 * T * (1 - T)
        values[f"{prefix}accuracy"] = 0.9 - 0.1 * shift - 0.2 * T * (1 - T)
    at = {"start": 0, "end": -1}
    points = {
        name: Point((T[n],), {key: float(own[n]) for key, own in values.items()}) for name, n in at.items()
    }
    return Landscape({axis: T}, values, np.full(11, Status.EVALUATED, dtype=np.int8), points)


def figure(other: Landscape, **settings: Any) -> Figure:
    whole = {"others": {"straight line": other}, "parameter_label": "t", **WORDS, **settings}
    return line_figure(line(0.1), **whole)


def legend(drawn: Figure) -> list[str]:
    return [text.get_text() for each in drawn.legends for text in each.get_texts()]


def by_gid(drawn: Figure) -> dict[str, Any]:
    return {each.get_gid(): each for axes in drawn.axes for each in axes.lines if each.get_gid()}


def test_another_line_is_drawn_whole_and_told_apart() -> None:
    drawn = figure(line(2.0))
    found = by_gid(drawn)
    np.testing.assert_allclose(found["straight line: loss, train"].get_ydata(), 0.2 + 8 * T * (1 - T))
    np.testing.assert_allclose(found["straight line: accuracy, test"].get_ydata(), 80 - 20 * T * (1 - T))
    colours = {found[name].get_color() for name in (
        "train loss", "train accuracy", "straight line: loss, train", "straight line: accuracy, train",
    )}  # fmt: skip
    assert len(colours) == 4
    assert found["straight line: loss, test"].get_linestyle() == found["test loss"].get_linestyle()
    assert (
        found["straight line: loss, test"].get_linestyle()
        != found["straight line: loss, train"].get_linestyle()
    )
    assert {"straight line: loss", "straight line: accuracy", "train loss", "test accuracy"} <= set(
        legend(drawn)
    )
    low, high = drawn.axes[0].get_ylim()
    assert low < 0.2
    assert high > 2.25


@pytest.mark.parametrize("height", [1e9, -3.0])
def test_a_line_that_goes_far_off_is_cut_by_the_view_and_not_in_the_data(height: float) -> None:
    drawn = figure(line(height))
    np.testing.assert_allclose(
        by_gid(drawn)["straight line: loss, train"].get_ydata(), 0.2 + height * 4 * T * (1 - T)
    )
    alone = line_figure(line(0.1), parameter_label="t", **WORDS)
    assert drawn.axes[0].get_ylim() == pytest.approx(alone.axes[0].get_ylim(), abs=0.03)
    assert "straight line: loss, cut off" in legend(drawn)


def test_a_barrier_of_decades_makes_the_axis_logarithmic() -> None:
    drawn = figure(line(200.0))
    assert drawn.axes[0].get_yscale() == "log"
    assert drawn.axes[0].get_ylim()[1] > 200.0
    assert "straight line: loss" in legend(drawn)


def test_what_counts_for_the_axis() -> None:
    other = np.array([-0.1, 0.0, 0.5, 2.0 * REACH, 2.1 * REACH, np.nan, np.inf])
    np.testing.assert_array_equal(within_reach(np.array([1.0, 2.0, np.inf]), other), other[1:4])
    np.testing.assert_array_equal(within_reach(np.array([-1.0, 2.0]), other), other[:4])
    assert within_reach(np.array([0.0, np.nan]), other) is other


def test_a_page_has_the_other_line_with_its_split() -> None:
    figure = line_curves(line(0.1), {"t": "t"}, {"straight <line>": line(2.0)})
    drawn = {trace.name: trace for trace in figure.data}
    np.testing.assert_allclose(drawn["straight &lt;line&gt;: train loss"].y, 0.2 + 8 * T * (1 - T))
    assert drawn["straight &lt;line&gt;: train loss"].line.color != drawn["train loss"].line.color
    for place, split in enumerate(("train", "test")):
        names = [trace.name for trace in figure.data if trace.meta == place]
        assert names
        assert all(split in name for name in names)
    assert figure.layout.yaxis.type == "linear"
    assert line_curves(line(0.1), others={"far": line(1e9)}).layout.yaxis.type == "log"
    assert "straight line" in interactive_page(line(0.1), others={"straight line": line(2.0)}, **WORDS)


@pytest.mark.parametrize(
    ("others", "words"),
    [
        ({"b": line(1.0, axis="alpha")}, r"over the axes \['t'\], got \['alpha'\] for 'b'"),
        ({"b": line(1.0, ("train",))}, r"every split of the landscape, 'b' lacks \['test'\]"),
        ({name: line(1.0) for name in "bcd"}, r"at most 2 lines, got \['b', 'c', 'd'\]"),
    ],
)
def test_a_line_that_cannot_stand_beside_is_refused(others: dict[str, Landscape], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        line_figure(line(0.1), others=others, parameter_label="t", **WORDS)
    with pytest.raises(ValueError, match=words):
        interactive_page(line(0.1), others=others, **WORDS)


# Slices


def quartic(curvature: float, low: float, high: float, points: int = 21) -> Landscape:
    """Over an asymmetric range, the loss 0.1 + λ/2 x² + x⁴ with its quadratic prediction."""
    x = np.linspace(low, high, points)
    values = {
        "train/loss": 0.1 + 0.5 * curvature * x**2 + x**4,
        "train/quadratic": 0.1 + 0.5 * curvature * x**2,
        "test/loss": 0.3 + x**4,
    }
    points_ = {"solution": Point((0.0,), {"train/loss": 0.1, "test/loss": 0.3})}
    return Landscape({"alpha": x}, values, np.full(points, Status.EVALUATED, dtype=np.int8), points_)


def slices(first: Landscape, second: Landscape, **settings: Any) -> Figure:
    names = {"α": "eigenvalue 50", "β": "eigenvalue −3"}
    return slices_figure({"α": first, "β": second}, names, **{"split": "train", **WORDS, **settings})


def test_each_slice_has_its_measured_loss_and_its_prediction() -> None:
    lines = (quartic(50.0, -1.0, 0.5), quartic(-3.0, -0.5, 1.0))
    drawn = slices(*lines)
    for axes, own, name, label in zip(
        drawn.axes, lines, ("eigenvalue 50", "eigenvalue −3"), ("α", "β"), strict=True
    ):
        found = {each.get_gid(): each for each in axes.lines if each.get_gid()}
        np.testing.assert_array_equal(
            found["measured"].get_ydata()[[0, -1]], own.values["train/loss"][[0, -1]]
        )
        np.testing.assert_array_equal(found["quadratic"].get_ydata(), own.values["train/quadratic"])
        assert found["measured"].get_color() != found["quadratic"].get_color()
        assert found["solution"].get_xydata().tolist() == [[0.0, 0.1]]
        assert (axes.get_title(), axes.get_xlabel()) == (name, label)
        assert axes.get_ylabel() == "train loss (nats per example)"
    assert legend(drawn) == ["measured", "predicted by slope and eigenvalue"]


@pytest.mark.parametrize("curvature", [1e6, -1e6])
def test_the_view_of_a_slice_is_that_of_the_measured_loss(curvature: float) -> None:
    wild = quartic(1.0, -1.0, 0.5)
    (x,) = wild.axes.values()
    wild.values["train/quadratic"] = 0.1 + 0.5 * curvature * x**2
    measured = wild.values["train/loss"]
    axes = slices(wild, wild).axes[0]
    low, high = axes.get_ylim()
    span = np.ptp(measured)
    assert measured.min() - 0.2 * span < low < measured.min() < measured.max() < high
    assert high < measured.max() + 0.2 * span
    (predicted,) = [each for each in axes.lines if each.get_gid() == "quadratic"]
    assert np.abs(predicted.get_ydata()).max() == pytest.approx(5e5, rel=1e-3)


@pytest.mark.parametrize(
    ("lines", "settings", "words"),
    [
        ({}, {}, "at least one line, got none"),
        ({"α": quartic(1.0, -1.0, 0.5)}, {"split": "test"}, "must have the value 'quadratic'"),
        ({"γ": quartic(1.0, -1.0, 0.5)}, {}, "name the panel of every line, got none for 'γ'"),
    ],
)
def test_slices_without_what_they_show_are_refused(
    lines: dict[str, Landscape], settings: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        slices_figure(lines, {"α": "eigenvalue 1"}, **{"split": "train", **WORDS, **settings})
