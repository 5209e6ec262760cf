"""Numbers and curves over several draws of directions, against numpy, SciPy and a quadratic's closed form."""

import numpy as np
import pytest
from scipy import stats

from study.analysis.measures import basin_extent
from study.analysis.over_directions import (
    DEVIATION,
    SPREAD,
    WORST,
    median,
    replicated,
    replicates,
    spread,
    summarised,
    summary_names,
)
from study.landscape.result import Landscape, Point, Status
from study.self_checks import TOLERANCE

ALPHA, BETA = np.linspace(-2.0, 2.0, 401), np.linspace(-1.0, 1.0, 4)
CURVATURES = (2.0, 8.0, 32.0, 0.5)


def quadratic(curvature: float, *, lost: int = 0, plane: bool = False) -> Landscape:
    """½ λ α², along α or over a plane that is not square; the last `lost` values of α have no finite loss."""
    loss = 0.5 * curvature * ALPHA**2
    loss[len(ALPHA) - lost :] = np.nan
    axes = {"alpha": ALPHA, "beta": BETA} if plane else {"alpha": ALPHA}
    loss = loss[:, None] + np.zeros(len(BETA)) if plane else loss
    status = np.where(np.isfinite(loss), Status.EVALUATED, Status.DIVERGED).astype(np.int8)
    values = {"train/loss": loss, "train/accuracy": 1.0 / (1.0 + loss), "train/loss_standard_error": loss}
    points = {"solution": Point((0.0,) * len(axes), dict.fromkeys(values, 0.0))}
    return Landscape(axes, values, status, points)


def test_the_mean_width_of_basins_is_that_of_the_closed_form_with_students_interval():
    """{½ λ α² ≤ Δ} is 2 √(2 Δ / λ) wide."""
    rise = 0.25
    measures = [basin_extent(quadratic(own).split("train"), rise) for own in CURVATURES]
    found = summarised([{f"train/{name}": value for name, value in own.items()} for own in measures])
    widths = 2 * np.sqrt(2 * rise / np.array(CURVATURES))
    assert found["train/basin_width"] == pytest.approx(widths.mean(), rel=1e-3)
    exact = np.array([own["basin_width"] for own in measures])
    assert found["train/basin_width_standard_deviation"] == pytest.approx(exact.std(ddof=1), rel=1e-12)
    interval = stats.t.interval(0.95, 3, loc=exact.mean(), scale=stats.sem(exact))
    assert (found["train/basin_width_low"], found["train/basin_width_high"]) == pytest.approx(interval)
    assert set(found) == {f"train/{each}" for name in measures[0] for each in summary_names(name)}


def test_of_self_checks_the_worst_counts():
    assert {*TOLERANCE} <= {*WORST}


@pytest.mark.parametrize("name", WORST)
def test_of_what_says_how_far_to_trust_the_largest_counts_alone(name: str):
    assert summarised([{f"test/{name}": value} for value in (0.0, 1.0, 0.0)]) == {f"test/{name}": 1.0}
    assert summary_names(name) == (name,)


def test_a_self_check_that_is_not_a_number_in_one_replicate_stays_so():
    assert np.isnan(summarised([{"train/self_check": value} for value in (0.0, np.nan)])["train/self_check"])


@pytest.mark.parametrize(("value", "mean"), [(np.inf, np.inf), (np.nan, np.nan)])
def test_a_mean_with_a_value_that_is_not_finite_is_not_finite(value: float, mean: float):
    found = summarised([{"train/maximum": own} for own in (1.0, value, 2.0)])
    np.testing.assert_equal(found["train/maximum"], mean)
    assert np.isnan([found[f"train/maximum{end}"] for end in SPREAD]).all()


def test_a_replicated_landscape_gives_its_replicates_back_from_its_bytes():
    own = [quadratic(curvature) for curvature in CURVATURES]
    found = replicates(Landscape.from_bytes(replicated(own).to_bytes()))
    assert [each.to_bytes() for each in found] == [each.to_bytes() for each in own]
    assert replicates(own[0]) == [own[0]]


def test_the_median_of_parabolas_is_that_of_their_curvatures():
    found = median([quadratic(curvature) for curvature in CURVATURES])
    np.testing.assert_allclose(found.values["train/loss"], 0.5 * np.median(CURVATURES) * ALPHA**2)
    assert set(found.values) == {"train/loss", "train/accuracy"}  # no standard error: it has another
    assert (found.status == Status.EVALUATED).all()


def test_a_median_is_lost_where_most_of_the_losses_are():
    found = median([quadratic(2.0), quadratic(8.0, lost=3), quadratic(32.0, lost=5)])
    assert np.flatnonzero(found.status == Status.DIVERGED).tolist() == [398, 399, 400]
    at = ALPHA[397]  # where the largest of the three is lost, and the middle one is not
    assert found.values["train/loss"][397] == pytest.approx(0.5 * 8.0 * at**2)
    assert np.isinf(found.values["train/loss"][398:]).all()


def test_the_spread_of_parabolas_is_that_of_their_curvatures():
    own = [quadratic(curvature, plane=True) for curvature in CURVATURES]
    own[1].status[0, 0] = Status.INTERPOLATED
    found = spread(own)
    expected = 0.5 * np.std(CURVATURES, ddof=1) * ALPHA**2
    np.testing.assert_allclose(found.values[f"train/{DEVIATION}"], np.repeat(expected[:, None], 4, axis=1))
    np.testing.assert_allclose(found.values["train/loss"][:, 2], 0.5 * np.mean(CURVATURES) * ALPHA**2)
    assert np.argwhere(found.status != Status.EVALUATED).tolist() == [[0, 0]]
    assert found.status[0, 0] == Status.INTERPOLATED


def test_a_spread_is_unknown_where_one_loss_is_not_finite():
    found = spread([quadratic(2.0, plane=True), quadratic(8.0, plane=True, lost=2)])
    assert np.isnan(found.values[f"train/{DEVIATION}"][399:]).all()
    assert np.isfinite(found.values[f"train/{DEVIATION}"][:399]).all()
    assert (found.status[399:] == Status.DIVERGED).all()
