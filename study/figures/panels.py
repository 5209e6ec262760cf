"""The page that panels stand on: their grid, titles, limits and colours, with title, legend and caption."""

from collections.abc import Iterable, Sequence
from itertools import cycle
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from study.figures.few import evenly
from study.figures.layout import layout
from study.figures.style import MARKERS, PAD, Manner, compose, new_figure, wrap
from study.landscape.result import Landscape

ALONE = 2.2
"""Inches that a panel takes at least which has labels of its own on both axes."""

PANELS = Manner(space=(0.05, 0.03), columns=None, passes=3)
"""How the page of several panels is spread."""

CATEGORIES = ("#0072B2", "#E69F00", "#000000", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#999999")
"""Colours of up to eight configurations: Okabe and Ito 2008, with grey for their yellow, too pale to read."""

MOST_NAMED, NAMED = 40, 12
"""Up to so many configurations have an entry each in a legend; of more, so many have."""

Looks = dict[str, dict[str, Any]]
"""Colour and marker by name."""


def looks(names: Sequence[str]) -> Looks:
    """Colour and marker of each of several configurations, in their order."""
    distinct = list(dict.fromkeys(names))
    ramp = [to_hex(colour) for colour in mpl.colormaps["viridis"](np.linspace(0.0, 0.92, len(distinct)))]
    colours = CATEGORIES if len(distinct) <= len(CATEGORIES) else ramp
    chosen = zip(distinct, colours, cycle(MARKERS), strict=False)
    return {name: {"color": colour, "marker": marker} for name, colour, marker in chosen}


def named(look: Looks) -> tuple[Looks, list[Artist]]:
    """The configurations that a legend names: of many, some from the first to the last, with a note."""
    if len(look) <= MOST_NAMED:
        return look, []
    label = f"{NAMED} of {len(look):,} are named; colours, dark to light, in their order"
    return {name: look[name] for name in evenly([*look], NAMED)}, [
        Line2D([], [], linestyle="none", label=label)
    ]


def panel_grid(count: int, columns: int, rows: int = 1) -> tuple[Figure, list[Axes]]:
    """A figure with `count` panels of `rows` axes each, at most `columns` beside each other.

    Returns:
        the figure, one column wide for one panel and two otherwise, and its axes: those of the first panel
        from top to bottom, then those of the next.
    """
    figure = new_figure(1.0)
    figure.set_figwidth(layout().width if count == 1 else layout().wide)
    grid = figure.add_gridspec(rows * -(-count // columns), min(columns, count))
    places = [
        (index // columns * rows + row, index % columns) for index in range(count) for row in range(rows)
    ]
    return figure, [figure.add_subplot(grid[place]) for place in places]


def name_panel(axes: Axes, text: str, width: float, pad: float = 3.0, weight: str = "normal") -> None:
    """Write a panel's title above it, wrapped at `width` inches, after commas if it can; `pad` in points."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    lines: list[str] = []
    for part in text.split(", "):
        longer = f"{lines[-1]}, {part}" if lines else part
        fits = "\n" not in wrap(figure, longer, size=layout().small_size, width=width, weight=weight)
        lines = [*lines[:-1], longer] if fits and lines else [*lines, part]
    wrapped = wrap(figure, ",\n".join(lines), size=layout().small_size, width=width, weight=weight)
    axes.set_title(wrapped, fontsize=layout().small_size, fontweight=weight, pad=pad, parse_math=False)


def hide_labels(axes: Axes, *, x: bool, y: bool) -> None:
    """Leave an axis without its labels, where a panel below or to the left has them."""
    if x:
        axes.tick_params(axis="x", which="both", labelbottom=False)
        axes.set_xlabel("")
    if y:
        axes.tick_params(axis="y", which="both", labelleft=False)
        axes.set_ylabel("")


def value_range(
    values: np.ndarray, *, log: bool, below: float = 0.05, above: float = 0.05
) -> tuple[float, float]:
    """Limits about all finite values, with margins that are fractions of their span; 0 and 1 without any."""
    found = values[np.isfinite(values)]
    if not found.size:
        return 0.0, 1.0
    found = np.log10(found[found > 0]) if log else found
    low, high = float(found.min()), float(found.max())
    span = high - low if high - low > 1e-9 * max(abs(low), abs(high)) else 0.2 * abs(high) or 1.0
    low, high = low - below * span, high + above * span
    return (10 ** max(low, -307.0), 10 ** min(high, 308.0)) if log else (low, high)


def compose_panels(
    figure: Figure,
    *,
    title: str,
    caption: str,
    handles: Sequence[Artist] = (),
    body_height: float,
    ratio: float | None = None,
    warning: str | None = None,
) -> None:
    """Put title, legend and caption around panels, at the figure's own width, and fix the layout.

    As `style.compose`, with room between the panels. The legend has as many columns as there is room for;
    its labels are wrapped, and entries with one label are one.

    Args:
        figure: holds its axes, in no layout yet.
        title: above the axes.
        caption: small, below everything.
        handles: the entries of the legend.
        body_height: inches for the axes with their own labels.
        ratio: height over width of each panel, where it matters; `body_height` is adapted to it.
        warning: why the picture is not to be trusted; bold, above everything.
    """
    room = figure.get_figwidth() - 2 * PAD - 0.6  # beside an entry's line and marker
    entries: dict[str, Artist] = {}
    for handle in handles:
        label = wrap(figure, str(handle.get_label()), size=layout().small_size, width=room)
        entries.setdefault(label, handle).set_label(label)
    compose(
        figure,
        title=title,
        caption=caption,
        handles=list(entries.values()),
        body_height=body_height,
        ratio=ratio,
        warning=warning,
        manner=PANELS,
    )


def span(landscapes: Iterable[Landscape], axis: int = 0) -> tuple[float, float]:
    """First and last coordinate along an axis, of all grids and special points; never the same."""
    places: list[float] = []
    for landscape in landscapes:
        places += list(landscape.axes.values())[axis].tolist()
        places += [point.coordinates[axis] for point in landscape.points.values()]
    low, high = min(places), max(places)
    return (low, high) if low < high else (low - 0.5, high + 0.5)
