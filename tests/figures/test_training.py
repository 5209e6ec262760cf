"""Training curves by epoch and by update: what is drawn where."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from study.figures.training import training_curve, training_figure

WORDS = {"title": "Training", "caption": "a caption"}
KEYS = ("train/loss", "test/loss", "train/accuracy", "test/accuracy", "weights/norm")


def curve(per_epoch: int, epochs: int = 4, scale: float = 1.0, **columns: list[float]) -> pd.DataFrame:
    epoch = np.arange(epochs + 1.0)
    values = {
        "train/loss": scale * np.exp(-epoch),
        "test/loss": scale * 1.2 * np.exp(-epoch),
        "train/accuracy": 1 - 0.9 * np.exp(-epoch),
        "test/accuracy": 1 - 0.95 * np.exp(-epoch),
        "weights/norm": 10 + epoch,
    }
    return pd.DataFrame({"epoch": epoch, "update": epoch * per_epoch, **values, **columns})


def two(**columns: list[float]) -> Figure:
    curves = {
        "bs 64, seed 0": curve(938),
        "bs 64, seed 1": curve(938),
        "bs 256, seed 0": curve(235, **columns),
    }
    return training_figure(curves, {label: label.partition(",")[0] for label in curves}, **WORDS)


def drawn(figure: Figure, axes: int, label: str) -> list[np.ndarray]:
    return [line.get_xydata() for line in figure.axes[axes].lines if line.get_gid() == label]


def test_each_row_is_there_against_epochs_and_against_updates():
    figure = two()
    assert len(figure.axes) == 6
    train, test = drawn(figure, 0, "bs 256, seed 0")
    np.testing.assert_allclose(train, np.stack([np.arange(5.0), np.exp(-np.arange(5.0))], axis=1))
    np.testing.assert_allclose(test[:, 1], 1.2 * train[:, 1])
    by_update = drawn(figure, 3, "bs 256, seed 0")[0]
    np.testing.assert_allclose(by_update[:, 0], 235 * np.arange(5.0))
    np.testing.assert_allclose(drawn(figure, 3, "bs 64, seed 0")[0][:, 0], 938 * np.arange(5.0))
    error = drawn(figure, 1, "bs 256, seed 0")[0]
    np.testing.assert_allclose(error[:, 1], 90 * np.exp(-np.arange(5.0)))
    (norm,) = drawn(figure, 2, "bs 256, seed 0")
    np.testing.assert_allclose(norm[:, 1], 10 + np.arange(5.0))


def test_rows_share_their_limits_and_names_stand_outside():
    axes = two().axes
    for row in range(3):
        assert axes[row].get_ylim() == axes[row + 3].get_ylim()
    assert axes[2].get_xlabel() == "training (epochs)"
    assert axes[5].get_xlabel() == "training (updates)"
    assert [each.get_ylabel() for each in axes[:3]] == [
        "loss (nats per example)",
        "error (%)",
        "weight norm ‖θ‖ (L2)",
    ]


def test_seeds_share_the_colour_of_their_configuration():
    lines = two().axes[0].lines
    colours = {line.get_gid(): line.get_color() for line in lines if line.get_gid()}
    assert colours["bs 64, seed 0"] == colours["bs 64, seed 1"] != colours["bs 256, seed 0"]


def test_a_loss_over_decades_has_a_logarithmic_axis_and_errors_never():
    curves = {"a": curve(10), "b": curve(10, scale=1e4)}
    axes = training_figure(curves, {"a": "a", "b": "b"}, **WORDS).axes
    assert [each.get_yscale() for each in axes[:3]] == ["log", "linear", "linear"]


def test_what_is_not_finite_interrupts_the_curve_and_is_said():
    figure = two(**{"train/loss": [2.0, 1.0, np.nan, np.inf, 1.0]})
    assert np.isnan(drawn(figure, 0, "bs 256, seed 0")[0][2:4, 1]).all()
    assert any("not finite" in text.get_text() for legend in figure.legends for text in legend.texts)


def test_averaged_weights_are_drawn_beside_the_others_from_where_they_begin():
    begins = {"train/averaged_loss": [np.nan, np.nan, 0.5, 0.4, 0.3]}
    begins |= {"test/averaged_accuracy": [np.nan, np.nan, 0.7, 0.8, 0.9]}
    figure = two(**begins)
    loss, error = (drawn(figure, axes, "bs 256, seed 0")[2] for axes in (0, 1))
    np.testing.assert_allclose(loss[2:], [[2, 0.5], [3, 0.4], [4, 0.3]])
    np.testing.assert_allclose(error[2:], [[2, 30], [3, 20], [4, 10]])
    assert np.isnan(loss[:2, 1]).all()
    said = [text.get_text() for legend in figure.legends for text in legend.texts]
    assert {"train, averaged weights", "test, averaged weights"} <= set(said)
    assert not any("not finite" in words for words in said)
    assert not any("averaged" in text.get_text() for legend in two().legends for text in legend.texts)


def test_nothing_is_cut_off():
    long = {
        f"batch_size {size}, learning_rate {rate}": curve(size)
        for size in (64, 128, 256, 512)
        for rate in (1, 2)
    }
    figure = training_figure(long, {label: label for label in long}, **WORDS)
    renderer = figure.canvas.get_renderer()
    box = figure.get_tightbbox(renderer)
    width, height = figure.get_size_inches()
    assert box.x0 >= 0
    assert box.y0 >= 0
    assert box.x1 <= width
    assert box.y1 <= height


@pytest.mark.parametrize(
    ("updates", "epochs", "expected"),
    [
        (12, 3.0, [(0, 0), (1, 4), (2, 8), (3, 12)]),
        (10, 2.5, [(0, 0), (1, 4), (2, 8), (2.5, 10)]),  # a budget in updates that ends within an epoch
        (0, 0.0, [(0, 0)]),
    ],
)
def test_a_row_an_epoch_with_its_update(updates: int, epochs: float, expected: list[tuple[float, int]]):
    count = len(expected)
    points = [(key, 0.5 + at, at) for key in KEYS for at in range(count)]
    last = ("test/averaged_loss", 0.1, count - 1)
    found = training_curve([*points, ("line/train/maximum", 3.0, 0), last], updates, epochs)
    assert list(zip(found["epoch"], found["update"], strict=True)) == expected
    assert set(found.columns) == {"epoch", "update", *KEYS, "test/averaged_loss"}
    assert found["test/averaged_loss"].dropna().tolist() == [0.1]
    assert found["train/loss"].tolist() == [0.5 + at for at in range(count)]


@pytest.mark.parametrize(
    ("curves", "words"),
    [
        ({}, "at least one run, got none"),
        ({"a": curve(3).drop(columns="update")}, "must have the column 'update'"),
        ({"a": curve(3)[["epoch", "update"]]}, "must have a column of train/loss"),
        ({"a": curve(3)[:0]}, "at least one row, got none"),
        ({"b": curve(3)}, "configuration of every run, got none for 'b'"),
    ],
)
def test_wrong_input_is_refused_in_one_line(curves: dict[str, pd.DataFrame], words: str):
    with pytest.raises(ValueError, match=words) as refusal:
        training_figure(curves, {"a": "a"}, **WORDS)
    assert "\n" not in str(refusal.value)
