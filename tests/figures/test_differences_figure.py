"""The figure of differences holds the numbers it was given: read back from its artists."""

import numpy as np
import pytest

from study.figures.differences import Gap, differences_figure

WORDS = {"title": "Along a line: differences", "caption": "cnn on digits, costing $5 & <little>."}
AT = np.linspace(-0.5, 1.5, 9)


def gap(scale: float = 1.0, error: float = 0.1, power: int = 1) -> Gap:
    return Gap(AT, scale * AT**power, np.full(9, error))


def drawn(**of_splits):
    return differences_figure(
        of_splits or {"train": {"batch_size 64": gap(), "batch_size 256": gap(-2.0, error=0.0)}},
        "batch_size 16",
        **WORDS,
        parameter_label="α (0 = initialisation)",
        loss_unit="nats",
        guides=[0.0, 1.0],
    )


def flat(text):
    return " ".join(text.get_text().split())


def curves(axes):
    return {line.get_gid(): line.get_ydata() for line in axes.lines if line.get_gid()}


def bands(axes):
    return {own.get_gid(): own.get_paths()[0].vertices for own in axes.collections}


def legend(figure):
    return [flat(text) for text in figure.legends[0].get_texts()]


def test_curves_bands_and_the_reference_at_zero():
    figure = drawn()
    (axes,) = figure.axes
    assert curves(axes)["batch_size 64"].tolist() == AT.tolist()
    assert curves(axes)["batch_size 256"].tolist() == (-2 * AT).tolist()
    assert set(bands(axes)) == {"batch_size 64 band"}, "an error of 0 has no band"
    corners = {tuple(point) for point in np.round(bands(axes)["batch_size 64 band"], 9)}
    assert {(1.5, 1.4), (1.5, 1.6), (-0.5, -0.6), (-0.5, -0.4)} <= corners
    low, high = axes.get_ylim()
    assert low < -3.0 < 1.6 < high
    zeros = [line for line in axes.lines if list(line.get_ydata()) == [0.0, 0.0]]
    assert len(zeros) == 1
    assert legend(figure)[0] == "batch_size 16 (the reference)"
    assert {"batch_size 64", "batch_size 256", "± 1 standard error"} <= set(legend(figure))
    assert axes.get_yscale() == "linear"
    assert axes.get_ylabel().replace("\n", " ") == "difference of the loss (nats per example)"
    guides = [line.get_xdata()[0] for line in axes.lines if len(set(line.get_xdata())) == 1]
    assert guides == [0.0, 1.0]


def test_without_an_error_the_legend_names_no_band():
    figure = drawn(train={"batch_size 64": gap(error=0.0)})
    assert legend(figure) == ["batch_size 16 (the reference)", "batch_size 64"]


def test_splits_are_panels_on_one_axis():
    figure = drawn(train={"batch_size 64": gap()}, test={"batch_size 64": gap(3.0)})
    first, second = figure.axes
    assert [axes.get_title() for axes in figure.axes] == ["train", "test"]
    assert first.get_ylim() == second.get_ylim()
    assert second.get_ylabel() == ""


def test_differences_of_many_sizes_are_linear_about_zero_and_logarithmic_beyond():
    figure = drawn(train={"batch_size 64": gap(-1e3, power=12), "batch_size 256": gap(1e-2)})
    (axes,) = figure.axes
    assert any("linear to ±0.01, logarithmic beyond" in flat(text) for text in figure.texts)
    assert axes.get_yscale() == "symlog"
    assert axes.get_ylim()[0] < -1e3 * 1.5**12
    assert axes.transData.transform((0, 0.01))[1] - axes.transData.transform((0, 0.0))[1] > 5.0  # pixels


def test_a_curve_ends_where_a_loss_is_not_finite():
    lost = gap()._replace(loss=np.where(AT > 1.0, np.nan, AT), error=np.where(AT > 1.0, np.nan, 0.1))
    figure = drawn(train={"batch_size 64": lost})
    crosses = [line for line in figure.axes[0].lines if line.get_marker() == "x"]
    assert [line.get_xdata().tolist() for line in crosses] == [[1.0]]
    assert any("not finite" in words for words in legend(figure))


def test_a_figure_of_nothing_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        drawn(train={})
