"""Barriers against closed forms."""

import numpy as np
import pytest

from study.analysis.connectivity import barriers
from study.landscape.result import Landscape, Point, Status


def line(alpha: np.ndarray, loss, accuracy=None) -> Landscape:
    """A line with a loss (and an accuracy) given as functions of α; 0 and 1 are special points."""
    functions = {"loss": loss} | ({"accuracy": accuracy} if accuracy else {})
    values = {name: np.array([of(at) for at in alpha]) for name, of in functions.items()}
    points = {
        name: Point((at,), {key: of(at) for key, of in functions.items()})
        for name, at in (("start", 0.0), ("end", 1.0))
    }
    status = np.where(np.isfinite(values["loss"]), Status.EVALUATED, Status.DIVERGED).astype(np.int8)
    return Landscape({"alpha": alpha}, values, status, points)


ALPHA = np.linspace(-0.5, 1.5, 9)  # hits 0, 0.25, 0.5, 0.75 and 1
OFF = np.linspace(-0.5, 1.5, 8)  # hits none of them


def test_a_parabola_over_a_slope_has_the_barrier_of_the_parabola():
    # 4 h α (1 − α) above the straight line from 1 to 3, highest at the middle
    found = barriers(line(ALPHA, lambda at: 1 + 2 * at + 4 * 0.7 * at * (1 - at)))
    assert found["barrier"] == pytest.approx(0.7)
    # against the mean of the ends, 2: at α = 0.75 the curve is at 2.5 + 0.525, at 1 it is 3
    assert found["barrier_from_mean"] == pytest.approx(1.025)


def test_a_straight_line_has_none_and_a_valley_has_none():
    assert barriers(line(ALPHA, lambda at: 3 - at))["barrier"] == pytest.approx(0.0)
    assert barriers(line(ALPHA, lambda at: 1 - at * (1 - at)))["barrier"] == 0.0  # never below the ends' own


def test_the_ends_count_where_the_grid_misses_them():
    assert barriers(line(OFF, lambda at: 3 - at))["barrier"] == pytest.approx(0.0)


def test_what_lies_outside_the_two_minima_does_not_count():
    assert barriers(line(ALPHA, lambda at: 0.0 if 0 <= at <= 1 else np.inf))["barrier"] == 0.0


def test_a_value_between_them_that_is_not_finite_makes_it_infinite():
    found = barriers(line(ALPHA, lambda at: np.nan if at == 0.5 else 1.0))
    assert found == {"barrier": np.inf, "barrier_from_mean": np.inf}


def test_the_barrier_of_the_error_is_that_of_one_minus_the_accuracy():
    found = barriers(line(ALPHA, lambda at: 1.0, lambda at: 0.9 - 4 * 0.3 * at * (1 - at)))
    assert found["error_barrier"] == pytest.approx(0.3)
    assert found["error_barrier_from_mean"] == pytest.approx(0.3)
    assert found["barrier"] == 0.0
