"""What a plane shows of an optimiser's path, and what it leaves out."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from study.figures.layout import LABEL_SIZE, layout
from study.figures.overlay import END, Limits, draw_curve, set_value_axis
from study.figures.panels import ALONE, CATEGORIES, compose_panels, panel_grid, value_range
from study.figures.style import COLOURS, fold_offset, styled, unit
from study.landscape.result import NATS

COMPONENTS = 6
"""At most so many principal components have a bar."""

PATH: dict[str, Any] = {"color": CATEGORIES[0], "marker": "o", "linestyle": "-"}
"""Of the checkpoints themselves."""

PROJECTION: dict[str, Any] = {"color": CATEGORIES[3], "marker": "s", "linestyle": (0, (4, 1.5))}
"""Of their projections on the plane."""

SIZES: dict[str, Any] = {"linewidth": 1.0, "markersize": 3.0}
"""Of a curve and its markers, in points."""

CENTRES = (CATEGORIES[6], CATEGORIES[1])
"""Colours of the bars about each centre."""


def trajectory_figure(
    updates: np.ndarray,
    loss: np.ndarray,
    loss_at_projection: np.ndarray,
    distances: np.ndarray,
    shares: Mapping[str, np.ndarray],
    random_walk: Mapping[str, np.ndarray],
    *,
    title: str,
    caption: str,
    loss_unit: str = NATS,
    split: str = "",
    warning: str | None = None,
) -> Figure:
    """Three panels: the loss on the path and below it on the plane; the distance between; explained variance.

    The losses are on a logarithmic scale where they span decades. What is not finite interrupts its curve.

    Args:
        updates: at each of K checkpoints, (K,), increasing.
        loss: at the checkpoints, (K,).
        loss_at_projection: at their nearest points on the plane, (K,).
        distances: of the checkpoints from these, as fractions of ‖θ*−θ₀‖, (K,).
        shares: by what the principal components are about, the fraction of the variance that each explains,
            largest first.
        random_walk: the same of a random walk of as many steps.
        title: above the picture.
        caption: below it.
        loss_unit: what the loss of an example is counted in.
        split: whose loss it is, where there are several.
        warning: why the picture is not to be trusted; conspicuous above it.

    Raises:
        ValueError: if the arrays over the checkpoints are not of one length, of 2 at least, there are no
            shares or more than two kinds of them, or a share has no random walk.
    """
    curves = {"loss": loss, "loss_at_projection": loss_at_projection, "distances": distances}
    _check(updates, curves, shares, random_walk)
    with styled():
        columns = layout().columns(3, ALONE)
        figure, (left, middle, right) = panel_grid(3, columns)
        limits = Limits.about(np.concatenate([loss, loss_at_projection]))
        set_value_axis(left, limits, unit("loss", loss_unit, split).replace(" (", "\n("))
        handles: list[Artist] = []
        notes: list[Artist] = []
        for name, y, look in (
            ("on the path", loss, PATH),
            ("at its projection on the plane", loss_at_projection, PROJECTION),
        ):
            handles.append(Line2D([], [], label=name, **look, **SIZES))
            notes += _draw(left, name, updates, y, limits, look)
        off = Limits.about(np.append(distances, 0.0), linear=True)
        set_value_axis(middle, off, "distance from the plane\n(in ‖θ*−θ₀‖)")
        notes += _draw(middle, "distance", updates, distances, off, PATH)
        for axes in (left, middle):
            axes.set_xlim(value_range(updates, log=False, below=0.03, above=0.03))
            axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
            axes.set_xlabel("training (updates)")
            fold_offset(axes.xaxis, "\n")
        handles += _draw_shares(right, shares, random_walk)
        entries = [*handles, *notes]
        body = 2.2 * -(-3 // columns) * layout().label_size / LABEL_SIZE
        compose_panels(
            figure,
            title=title,
            caption=caption,
            handles=entries,
            body_height=body,
            warning=warning,
        )
    return figure


def _draw(
    axes: Axes, name: str, x: np.ndarray, y: np.ndarray, limits: Limits, look: dict[str, Any]
) -> list[Artist]:
    """Draw a curve that ends before what is not finite; returns entries for the legend."""
    lost = ~np.isfinite(y)
    notes = draw_curve(axes, name, x, np.where(lost, np.nan, y), lost, limits, look | SIZES)
    return [*notes, Line2D([], [], label="not finite beyond ×", **END)] if lost.any() else notes


def _draw_shares(
    axes: Axes, shares: Mapping[str, np.ndarray], random_walk: Mapping[str, np.ndarray]
) -> list[Artist]:
    """Draw a bar for each component and centre, with a rule across it at the random walk's share."""
    handles: list[Artist] = []
    width = 0.8 / len(shares)
    count = min(COMPONENTS, *(len(own) for own in shares.values()))
    for index, ((about, own), colour) in enumerate(zip(shares.items(), CENTRES, strict=False)):
        at = np.arange(1, count + 1) + (index - (len(shares) - 1) / 2) * width
        label = f"components about the {about}"
        axes.bar(at, 100.0 * own[:count], width, color=colour, gid=label, zorder=2)
        axes.hlines(
            100.0 * random_walk[about][:count],
            at - width / 2,
            at + width / 2,
            color=COLOURS.ink,
            linewidth=1.2,
            zorder=3,
            gid=f"random walk about the {about}",
        )
        handles.append(Patch(color=colour, label=label))
    handles.append(Line2D([], [], color=COLOURS.ink, linewidth=1.2, label="a random walk of as many steps"))
    axes.set(xlabel="component", ylabel="explained variance (%)", ylim=(0.0, 104.0))
    axes.set_xticks(range(1, count + 1))
    return handles


def _check(
    updates: np.ndarray,
    curves: Mapping[str, np.ndarray],
    shares: Mapping[str, np.ndarray],
    random_walk: Mapping[str, np.ndarray],
) -> None:
    if updates.ndim != 1 or len(updates) < 2:
        raise ValueError(f"updates must be of at least 2 checkpoints, got shape {updates.shape}")
    for name, own in curves.items():
        if own.shape != updates.shape:
            raise ValueError(f"{name} must have a value for each of {len(updates)} updates, got {own.shape}")
    if not 1 <= len(shares) <= len(CENTRES):
        raise ValueError(f"shares must be about 1 to {len(CENTRES)} centres, got {list(shares)}")
    for about, own in shares.items():
        walked = len(random_walk.get(about, ()))
        if walked < min(COMPONENTS, len(own)):
            raise ValueError(f"random_walk must have the {len(own)} shares about {about!r}, got {walked}")
