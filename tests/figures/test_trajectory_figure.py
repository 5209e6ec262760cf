"""What a plane leaves out of an optimiser's path, three panels: read back from the artists."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from study.figures.style import styled
from study.figures.trajectory import trajectory_figure

WORDS = {"title": "The path", "caption": "a caption"}
UPDATES = np.array([0, 10, 40, 90, 160, 200])
LOSS = np.array([2.3, 1.0, 0.5, 0.2, 0.05, 0.01])
AT_PROJECTION = np.array([2.4, 2.0, 1.5, 0.9, 0.1, 0.01])
DISTANCES = np.array([0.01, 0.2, 0.3, 0.25, 0.1, 0.0])
SHARES = {"solution": np.array([0.7, 0.2, 0.05, 0.03, 0.02]), "mean": np.array([0.5, 0.3, 0.1, 0.06, 0.04])}
WALK = {"solution": np.array([0.8, 0.09, 0.05, 0.04, 0.02]), "mean": np.array([0.6, 0.2, 0.1, 0.06, 0.04])}


def figure(**settings: Any) -> Figure:
    given = {
        "updates": UPDATES,
        "loss": LOSS,
        "loss_at_projection": AT_PROJECTION,
        "distances": DISTANCES,
        "shares": SHARES,
        "random_walk": WALK,
    }
    return trajectory_figure(**{**given, **WORDS, **settings})


def curve(drawn: Figure, panel: int, name: str) -> np.ndarray:
    (line,) = [each for each in drawn.axes[panel].lines if each.get_gid() == name]
    return line.get_xydata()


def legend(drawn: Figure) -> list[str]:
    return [text.get_text() for each in drawn.legends for text in each.get_texts()]


def test_the_first_panel_has_the_loss_on_the_path_and_at_its_projection() -> None:
    drawn = figure()
    np.testing.assert_allclose(curve(drawn, 0, "on the path"), np.stack([UPDATES, LOSS], axis=1))
    np.testing.assert_allclose(curve(drawn, 0, "at its projection on the plane")[:, 1], AT_PROJECTION)
    assert drawn.axes[0].get_yscale() == "log"
    few = figure(loss=LOSS + 1, loss_at_projection=AT_PROJECTION + 1)
    assert few.axes[0].get_yscale() == "linear"
    assert few.axes[0].get_ylabel() == "loss\n(nats per example)"
    assert figure(split="test").axes[0].get_ylabel() == "test loss\n(nats per example)"


def test_the_second_panel_has_the_distance_from_zero_on() -> None:
    drawn = figure()
    np.testing.assert_allclose(curve(drawn, 1, "distance"), np.stack([UPDATES, DISTANCES], axis=1))
    low, high = drawn.axes[1].get_ylim()
    assert low <= 0.0 < DISTANCES.max() < high
    assert "θ*−θ₀" in drawn.axes[1].get_ylabel()
    assert drawn.axes[0].get_xlim() == drawn.axes[1].get_xlim()
    low, high = figure(distances=np.zeros(6)).axes[1].get_ylim()
    assert low < 0.0 < high


def test_each_component_has_a_bar_for_each_centre_with_the_random_walk_across_it() -> None:
    drawn = figure()
    bars = {container[0].get_gid(): list(container) for container in drawn.axes[2].containers}
    rules = {each.get_gid(): each for each in drawn.axes[2].collections}
    for about, own in SHARES.items():
        found = bars[f"components about the {about}"]
        np.testing.assert_allclose([bar.get_height() for bar in found], 100 * own)
        np.testing.assert_allclose([round(bar.get_x() + bar.get_width() / 2) for bar in found], range(1, 6))
        segments = np.array(rules[f"random walk about the {about}"].get_segments())
        np.testing.assert_allclose(segments[:, 0, 1], 100 * WALK[about])
        np.testing.assert_allclose(segments[:, 0, 0], [bar.get_x() for bar in found])
    edges = sorted((bar.get_x(), bar.get_x() + bar.get_width()) for own in bars.values() for bar in own)
    assert all(stop <= start + 1e-9 for (_, stop), (start, _) in pairwise(edges))


def test_a_long_spectrum_has_six_components() -> None:
    long = {"mean": np.full(40, 0.025)}
    drawn = figure(shares=long, random_walk=long)
    assert drawn.axes[2].get_xticks().tolist() == [1, 2, 3, 4, 5, 6]
    assert len(drawn.axes[2].patches) == 6


def test_what_is_not_finite_interrupts_its_curve_and_is_said() -> None:
    lost = np.where(np.arange(6) == 2, np.inf, AT_PROJECTION)
    drawn = figure(loss_at_projection=lost)
    assert np.isnan(curve(drawn, 0, "at its projection on the plane")[2, 1])
    assert "not finite beyond ×" in legend(drawn)
    assert "not finite beyond ×" not in legend(figure())


def test_nothing_is_cut_off_or_overlaps_and_a_warning_is_above() -> None:
    drawn = figure(split="train", warning="Do not trust this.", updates=UPDATES * 100_000)
    with styled():
        drawn.draw_without_rendering()
        boxes = [axes.get_tightbbox() for axes in drawn.axes]
    assert all(one.x1 <= other.x0 for one, other in pairwise(boxes))
    (alarm,) = [text for text in drawn.texts if text.get_text() == "Do not trust this."]
    (title,) = [text for text in drawn.texts if text.get_text() == WORDS["title"]]
    (caption,) = [text for text in drawn.texts if text.get_text() == WORDS["caption"]]
    assert alarm.get_window_extent().y0 > title.get_window_extent().y1
    for box in boxes:
        assert drawn.bbox.x0 <= box.x0 < box.x1 <= drawn.bbox.x1
        assert caption.get_window_extent().y1 < box.y0 < box.y1 < title.get_window_extent().y0


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"updates": np.array([0])}, r"at least 2 checkpoints, got shape \(1,\)"),
        ({"loss": LOSS[1:]}, r"loss must have a value for each of 6 updates, got \(5,\)"),
        ({"distances": DISTANCES[:2]}, "distances must have a value for each of 6"),
        ({"shares": {}}, r"shares must be about 1 to 2 centres, got \[\]"),
        (
            {"random_walk": {"mean": WALK["mean"]}},
            "random_walk must have the 5 shares about 'solution', got 0",
        ),
    ],
)
def test_wrong_input_is_refused_in_one_line(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words) as refusal:
        figure(**settings)
    assert "\n" not in str(refusal.value)
