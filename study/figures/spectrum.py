"""The eigenvalues of the second derivatives: their density, and the largest by rank."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogFormatterMathtext, LogLocator, MaxNLocator, NullFormatter
from matplotlib.transforms import blended_transform_factory

from study.figures.layout import layout
from study.figures.panels import Looks, looks, value_range
from study.figures.scale import spans_decades
from study.figures.style import (
    COLOURS,
    STROKES,
    compose,
    fold_offset,
    name_coordinate,
    new_figure,
    styled,
    wrap,
)
from study.landscape.result import NATS

HEIGHT = 2.3
"""Height of the axes with their labels, in inches."""

LEAST = 0.1
"""Share of one eigenvalue's own peak at which the axis of the density ends."""


@dataclass(frozen=True)
class Density:
    """A spectral density to be drawn.

    Attributes:
        eigenvalues: the largest, largest first, (k,).
        grid: (G,), in the unit of an eigenvalue.
        values: share of the eigenvalues per unit, (G,).
        standard_error: of the values, (G,); 0 where they are exact.
        width: standard deviation of the Gaussians that it was smoothed by.
    """

    eigenvalues: np.ndarray
    grid: np.ndarray
    values: np.ndarray
    standard_error: np.ndarray
    width: float


def density_figure(
    densities: Mapping[str, Density], dimension: int, *, title: str, caption: str, loss_unit: str = NATS
) -> Figure:
    """The densities over one another on a logarithmic axis, with a tick at each of the largest eigenvalues.

    The axis ends at a tenth of the height of a single eigenvalue's peak, below which there is nothing to see;
    a band shows one standard error on either side.

    Args:
        densities: by the name of the matrix.
        dimension: number of eigenvalues of each.
        title: above the picture.
        caption: below it.
        loss_unit: what the loss of an example is counted in.

    Raises:
        ValueError: if there is no density.
    """
    _check("densities", densities)
    look = looks(list(densities))
    with styled():
        figure = new_figure(layout().tall(HEIGHT))
        axes = figure.add_subplot()
        peaks = [1.0 / (dimension * own.width * np.sqrt(2 * np.pi)) for own in densities.values()]
        floor = LEAST * min(peaks)
        handles = []
        for place, (name, own) in enumerate(densities.items()):
            colour = look[name]["color"]
            shown = np.where(
                own.values > 0.1 * floor, own.values, np.nan
            )  # far below, rounding alone is left
            handles += axes.plot(
                own.grid, shown, color=colour, linestyle=STROKES[place], label=name, gid=name, zorder=3
            )
            if own.standard_error.any():
                low = np.maximum(own.values - own.standard_error, 0.1 * floor)
                high = np.maximum(own.values + own.standard_error, 0.1 * floor)
                axes.fill_between(own.grid, low, high, color=colour, alpha=0.2, linewidth=0, zorder=2)
            _draw_ticks(axes, own.eigenvalues, colour, 0.035 + 0.07 * place)
        axes.set_yscale("log")
        top = max(float(own.values.max()) for own in densities.values())
        axes.set_ylim(floor * (floor / top) ** 0.15, top * (top / floor) ** 0.05)  # room for the ticks
        _name_log_axis(axes, "density (share per unit of λ)")
        ends = np.array([bound for own in densities.values() for bound in (own.grid[0], own.grid[-1])])
        axes.set_xlim(ends.min(), ends.max())
        words = f"eigenvalue λ ({loss_unit} per squared unit of weight)"
        name_coordinate(axes.xaxis, wrap(figure, words, size=layout().label_size, width=layout().width - 0.6))
        most = max(len(own.eigenvalues) for own in densities.values())
        words = f"the {most} largest eigenvalues" if most > 1 else "the largest eigenvalue"
        handles.append(_tick(COLOURS.ink, words))
        compose(figure, title=title, caption=caption, handles=handles, body_height=layout().tall(HEIGHT))
    return figure


def eigenvalues_figure(eigenvalues: Mapping[str, np.ndarray], *, title: str, caption: str) -> Figure:
    """The largest eigenvalues by rank, on a logarithmic axis where they are positive and span decades.

    Args:
        eigenvalues: by the name of the matrix, largest first, (k,) each.
        title: above the picture.
        caption: below it.

    Raises:
        ValueError: if there is no matrix.
    """
    _check("eigenvalues", eigenvalues)
    look: Looks = looks(list(eigenvalues))
    with styled():
        figure = new_figure(layout().tall(HEIGHT))
        axes = figure.add_subplot()
        together = np.concatenate(list(eigenvalues.values()))
        log = spans_decades(together) and bool(together.min() > 0)
        handles = []
        for place, (name, values) in enumerate(eigenvalues.items()):
            ranks = np.arange(1, len(values) + 1)
            own = look[name] | {
                "markerfacecolor": "none",
                "markersize": 4.0 + 2.5 * place,
            }  # none hides another
            handles += axes.plot(
                ranks, values, linestyle=STROKES[place], linewidth=0.8, label=name, gid=name, **own
            )
        axes.set_ylim(value_range(together, log=log))
        if log:
            axes.set_yscale("log")
            _name_log_axis(axes, "eigenvalue λ")
        else:
            axes.set_ylabel("eigenvalue λ")
            fold_offset(axes.yaxis)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.set_xlabel("rank")
        compose(figure, title=title, caption=caption, handles=handles, body_height=layout().tall(HEIGHT))
    return figure


def _draw_ticks(axes: Axes, eigenvalues: np.ndarray, colour: str, height: float) -> None:
    """Ticks at eigenvalues, at a height that is a fraction of the axes'."""
    ticks = _tick(colour, "")
    ticks.set_data(eigenvalues, np.full(len(eigenvalues), height))
    ticks.set_transform(blended_transform_factory(axes.transData, axes.transAxes))
    axes.add_artist(ticks)


def _tick(colour: str, label: str) -> Line2D:
    return Line2D(
        [], [], linestyle="none", marker="|", markersize=5.0, markeredgewidth=0.9, color=colour, label=label
    )


def _name_log_axis(axes: Axes, label: str) -> None:
    axes.yaxis.set_major_locator(LogLocator(numticks=7))
    axes.yaxis.set_major_formatter(LogFormatterMathtext())
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_ylabel(label)


def _check(name: str, given: Mapping[str, object]) -> None:
    if not given:
        raise ValueError(f"{name} must hold at least one matrix, got none")
