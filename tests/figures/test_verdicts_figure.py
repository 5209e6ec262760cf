"""The picture of verdicts: where each claim would hold, its effect, and what is written."""

import math
from itertools import pairwise
from typing import Any

import pandas as pd
import pytest
from matplotlib.figure import Figure

from study.figures.export import render
from study.figures.verdicts import LOOKS, verdicts_figure

NOTHING = math.nan


def row(**given: Any) -> dict[str, Any]:
    usual = {
        "claim": "a",
        "says": "Large batches end in sharper minima.",
        "outcome": "reproduced",
        "effect": 12.0,
        "low": 6.0,
        "high": 25.0,
        "paper_effect": 160.0,
        "direction": "above",
        "bound": 1.2,
        "compared_as": "ratio",
        "than": NOTHING,
        "along": "",
    }
    return {**usual, **given}


def drawn(*rows: dict[str, Any]) -> Figure:
    return verdicts_figure(pd.DataFrame(rows), title="Verdicts", caption="Five seeds.")


def test_a_row_shows_effect_interval_and_where_the_claim_holds():
    axes = drawn(row()).axes[1]
    _neutral, interval, effect, paper = axes.lines
    assert list(interval.get_xdata()) == [6.0, 25.0]
    assert list(effect.get_xdata()) == [12.0]
    assert effect.get_color() == LOOKS["reproduced"]["color"]
    assert list(paper.get_xdata()) == [160.0]
    (holds,) = axes.patches
    assert holds.get_x() == pytest.approx(1.2)
    assert holds.get_x() + holds.get_width() == pytest.approx(axes.get_xlim()[1])
    assert axes.get_xscale() == "log"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "ratio"),
        ({"compared_as": "difference"}, "difference"),
        ({"compared_as": "difference", "than": 0.0}, "difference"),
        ({"compared_as": "difference", "than": 0.4}, "difference from 0.4"),
        ({"than": 2.0}, "ratio to 2"),
        ({"compared_as": "difference", "along": "gap/accuracy"}, "granulated Kendall's τ"),
    ],
)
def test_the_axis_says_what_an_effect_is(given, words):
    assert drawn(row(**given)).axes[1].get_xlabel() == words


def test_ticks_have_as_many_digits_as_tells_them_apart():
    narrow = {"effect": 1.0, "low": NOTHING, "high": NOTHING, "paper_effect": 1.0}
    axes = drawn(row(**narrow, direction="same", bound=1.001)).axes[1]
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert len(set(labels)) == len(labels) > 2
    left, right = axes.get_xlim()
    assert left < 1 / 1.001
    assert right > 1.001


@pytest.mark.parametrize(
    ("given", "left", "right"),
    [
        ({"direction": "below", "bound": 0.8}, None, 0.8),
        ({"direction": "same", "bound": 1.25}, 0.8, 1.25),
        ({"direction": "same", "bound": 2.0, "compared_as": "difference"}, -2.0, 2.0),
    ],
)
def test_the_range_where_a_claim_holds_is_on_its_side(given, left, right):
    axes = drawn(row(**given)).axes[1]
    (holds,) = axes.patches
    low, high = holds.get_x(), holds.get_x() + holds.get_width()
    assert (low, high) == pytest.approx((axes.get_xlim()[0] if left is None else left, right))


def test_what_was_not_found_is_written_and_has_no_mark():
    missing = row(effect=NOTHING, low=NOTHING, high=NOTHING, paper_effect=NOTHING, outcome="inconclusive")
    axes = drawn(missing).axes[1]
    assert [text.get_text() for text in axes.texts] == ["nothing to compare"]
    assert all(line.get_marker() in {"None", None, ""} for line in axes.lines)


def test_the_legend_names_the_outcomes_that_there_are_and_the_papers_mark_where_there_is_one():
    (legend,) = drawn(row(), row(outcome="inconclusive", paper_effect=NOTHING)).legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "reproduced",
        "inconclusive",
        "where the claim holds",
        "the paper's",
    ]
    (legend,) = drawn(row(paper_effect=NOTHING)).legends
    assert [text.get_text() for text in legend.get_texts()] == ["reproduced", "where the claim holds"]


def test_nothing_is_cut_off_however_long_the_words():
    figure = drawn(
        row(says="Large batches end in sharper minima " * 6),
        row(compared_as="difference", effect=-1e-4, low=-3e-4, high=1e-4, bound=1e-3, paper_effect=2.2e-3),
        row(effect=1.001, low=0.9995, high=1.002, bound=1.01, direction="same", paper_effect=NOTHING),
    )
    assert render(figure, "png").startswith(b"\x89PNG")
    page = figure.bbox
    for axes in figure.axes:
        box = axes.get_tightbbox()
        assert box is not None
        assert box.x0 >= page.x0 - 1
        assert box.x1 <= page.x1 + 1
        assert box.y0 >= page.y0 - 1
        assert box.y1 <= page.y1 + 1
    rows = [figure.axes[place].get_tightbbox() for place in (0, 2, 4)]
    for upper, lower in pairwise(rows):
        assert upper is not None
        assert lower is not None
        assert upper.y0 >= lower.y1 - 1  # words of one claim do not run into those of the next


def test_no_claim_is_no_picture():
    with pytest.raises(ValueError, match="at least one claim"):
        verdicts_figure(pd.DataFrame(), title="", caption="")
