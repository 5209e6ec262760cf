"""How far the losses of configurations lie from those of one of them, along a line."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from study.figures.layout import layout
from study.figures.overlay import END, Limits, draw_curve, legend_entries
from study.figures.panels import compose_panels, hide_labels, looks, name_panel, panel_grid
from study.figures.style import COLOURS, fold_offset, name_coordinate, styled, unit, wrap

STEEP = 20.0
"""A largest difference of so many times the median one is drawn on an axis that is logarithmic beyond it."""

HEIGHT = 2.2
"""Of a panel with its labels, in inches."""


class Gap(NamedTuple):
    """How far one configuration lies from the reference.

    Attributes:
        at: where, (A,).
        loss: of the configuration less of the reference, (A,); NaN where one is not finite.
        error: standard error of that, (A,); 0 where there is none.
    """

    at: np.ndarray
    loss: np.ndarray
    error: np.ndarray


def differences_figure(
    differences: Mapping[str, Mapping[str, Gap]],
    reference: str,
    *,
    title: str,
    caption: str,
    parameter_label: str,
    loss_unit: str,
    guides: Sequence[float] = (),
) -> Figure:
    """A panel for each split: a curve and its band of one standard error for each configuration.

    The reference lies at 0. All panels have one axis. Where the largest difference is many times the median
    one, it is linear up to about that and logarithmic beyond, and the caption says so. A curve ends at ×
    where a loss is not finite.

    Args:
        differences: by split, then by configuration.
        reference: the configuration that they are taken from.
        title: above the picture.
        caption: below it; says what the band is.
        parameter_label: of the horizontal axis, such as `α`.
        loss_unit: what the loss of an example is counted in.
        guides: where a special point lies.

    Raises:
        ValueError: if there is no difference.
    """
    every = [own for of_split in differences.values() for own in of_split.values()]
    if not every:
        raise ValueError("differences must hold at least one, got none")
    look = looks([reference, *(name for of_split in differences.values() for name in of_split)])
    across = min(own.at[0] for own in every), max(own.at[-1] for own in every)
    limits, linear_to = _limits(every)
    if linear_to is not None:
        caption = f"{caption} The axis is linear to ±{linear_to:g}, logarithmic beyond."
    label = unit("loss", loss_unit).replace("loss", "difference of the loss", 1)
    notes: list[Artist] = []
    with styled():
        figure, panels = panel_grid(len(differences), len(differences))
        for index, (axes, (split, of_split)) in enumerate(zip(panels, differences.items(), strict=True)):
            _set_axes(axes, across, limits, linear_to)
            axes.axhline(0.0, linewidth=0.9, zorder=2, **_line(look[reference]))
            for at in guides:
                axes.axvline(at, color=COLOURS.quiet, linewidth=0.6, linestyle=(0, (1, 2)), zorder=1)
            for name, own in of_split.items():
                notes += _draw(axes, name, own, limits, look[name])
            axes.set_ylabel(wrap(figure, label, size=layout().label_size, width=HEIGHT - 0.5))
            name_coordinate(axes.xaxis, parameter_label)
            if linear_to is None:
                fold_offset(axes.yaxis, "\n")
            if len(differences) > 1:
                name_panel(axes, split, figure.get_figwidth() / len(differences) - 0.5, weight="bold")
            hide_labels(axes, x=False, y=index > 0)
        entries = legend_entries({name: own for name, own in look.items() if name != reference}, {})
        zero = Line2D([], [], label=f"{reference} (the reference)", linewidth=0.9, **_line(look[reference]))
        compose_panels(
            figure, title=title, caption=caption, handles=[zero, *entries, *notes], body_height=HEIGHT
        )
    return figure


def _limits(every: list[Gap]) -> tuple[Limits, float | None]:
    """Limits about all curves with their bands, and up to which size the axis is linear; None: all of it."""
    edges = np.concatenate([own.loss + sign * own.error for own in every for sign in (-1, 0, 1)])
    limits = Limits.about(np.append(edges, 0.0), linear=True)
    sizes = np.abs(np.concatenate([own.loss for own in every]))
    sizes = sizes[np.isfinite(sizes) & (sizes > 0)]
    if not sizes.size or sizes.max() < STEEP * np.median(sizes):
        return limits, None
    return limits, float(10 ** np.floor(np.log10(np.median(sizes))))


def _set_axes(axes: Axes, across: tuple[float, float], limits: Limits, linear_to: float | None) -> None:
    axes.set_xlim(across)
    if linear_to is not None:
        axes.set_yscale("symlog", linthresh=linear_to)
    axes.set_ylim(limits.low, limits.high)


def _draw(axes: Axes, name: str, own: Gap, limits: Limits, look: dict[str, Any]) -> list[Artist]:
    """Draw a configuration's curve and its band; returns entries for the legend."""
    lost = ~np.isfinite(own.loss)
    draw_curve(axes, name, own.at, own.loss, lost, limits, look | {"linewidth": 0.9, "markersize": 2.6})
    notes: list[Artist] = []
    if lost.any():
        notes.append(Line2D([], [], label="a loss is not finite (the curve ends at ×)", **END))
    error = own.error
    if (error > 0).any():
        band: dict[str, Any] = {"alpha": 0.25, "linewidth": 0}
        axes.fill_between(
            own.at,
            own.loss - error,
            own.loss + error,
            color=look["color"],
            zorder=2,
            gid=f"{name} band",
            **band,
        )
        notes.append(Patch(color=COLOURS.quiet, label="± 1 standard error", **band))
    return notes


def _line(look: dict[str, Any]) -> dict[str, Any]:
    return {"color": look["color"], "linestyle": (0, (4, 2))}
