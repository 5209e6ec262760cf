"""The figures of a spectrum: what is drawn where."""

import numpy as np
import pytest

from study.figures.export import render
from study.figures.spectrum import Density, density_figure, eigenvalues_figure

WORDS = {"title": "Spectrum", "caption": "a caption that costs $5"}


def density(top: float, low: float, error: float = 0.0) -> Density:
    grid = np.linspace(low, top + 1, 200)
    values = 0.9 * np.exp(-0.5 * (grid / 0.1) ** 2) / (0.1 * np.sqrt(2 * np.pi)) + 1e-30
    return Density(np.array([top, top / 2]), grid, values, np.full(200, error), 0.1)


def lines(figure, name):
    return [line for line in figure.axes[0].lines if line.get_gid() == name]


def test_densities_lie_over_one_another_and_eigenvalues_have_ticks():
    drawn = {"Hessian": density(5, -1, error=0.01), "Gauss-Newton matrix": density(4, -0.5)}
    figure = density_figure(drawn, 100, **WORDS)
    (axes,) = figure.axes
    for name, own in drawn.items():
        (line,) = lines(figure, name)
        np.testing.assert_array_equal(line.get_xdata(), own.grid)
        shown = np.isfinite(line.get_ydata())
        np.testing.assert_array_equal(line.get_ydata()[shown], own.values[shown])
        assert own.values[~shown].max() < 1e-3
    lines_drawn = [*axes.artists, *axes.lines]
    ticks = [line.get_xdata().tolist() for line in lines_drawn if line.get_marker() == "|"]
    assert [5, 2.5] in ticks
    assert [4, 2] in ticks
    assert axes.get_yscale() == "log"
    assert axes.get_xlim() == (-1, 6)
    one = 1 / (100 * 0.1 * np.sqrt(2 * np.pi))  # the peak of a single eigenvalue is well within the axes
    assert axes.get_ylim()[0] < 0.1 * one < one < axes.get_ylim()[1]
    assert len(axes.collections) == 1  # a band where there is an error
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["Hessian", "Gauss-Newton matrix", "the 2 largest eigenvalues"]
    assert render(figure, "png") == render(density_figure(drawn, 100, **WORDS), "png")


@pytest.mark.parametrize("loss_unit", ["nats", "squared error"])
def test_the_unit_of_eigenvalues_is_named_and_fits(loss_unit: str):
    grid = np.linspace(-1.0, 6.0, 50)
    drawn = {"Hessian": Density(np.array([5.0]), grid, np.exp(-(grid**2)), 0 * grid, 0.1)}
    figure = density_figure(drawn, 100, **WORDS, loss_unit=loss_unit)
    label = figure.axes[0].xaxis.label
    assert label.get_text().replace("\n", " ") == f"eigenvalue λ ({loss_unit} per squared unit of weight)"
    box = label.get_window_extent(figure.canvas.get_renderer())
    assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1


@pytest.mark.parametrize(("values", "scale"), [([900.0, 30, 1], "log"), ([3.0, 2, -1], "linear")])
def test_the_largest_are_drawn_by_rank(values, scale):
    figure = eigenvalues_figure({"Hessian": np.array(values)}, **WORDS)
    ((line,), (axes,)) = lines(figure, "Hessian"), figure.axes
    assert line.get_xydata().tolist() == [[1, values[0]], [2, values[1]], [3, values[2]]]
    assert axes.get_yscale() == scale


@pytest.mark.parametrize("values", [[2.0], [0.0, 0.0]])
def test_few_or_equal_eigenvalues_can_be_drawn(values):
    assert render(eigenvalues_figure({"Hessian": np.array(values)}, **WORDS), "pdf")


def test_nothing_to_draw_is_refused():
    with pytest.raises(ValueError, match="densities must hold at least one matrix"):
        density_figure({}, 3, **WORDS)
    with pytest.raises(ValueError, match="eigenvalues must hold at least one matrix"):
        eigenvalues_figure({}, **WORDS)
