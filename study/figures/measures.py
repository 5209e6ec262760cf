"""Measures of several runs, in panels.

seaborn is imported where it is used: it loads pyplot, which the other figures do without.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from scipy.stats import t as student

from study.figures.layout import layout
from study.figures.panels import (
    Looks,
    compose_panels,
    hide_labels,
    looks,
    name_panel,
    named,
    panel_grid,
    value_range,
)
from study.figures.scale import labels, spans_decades
from study.figures.style import COLOURS, fold_offset, styled, wrap
from study.landscape.result import NATS

FEW = 8
"""So many numeric values have a tick each."""

MOST_TICKS = 24
"""So many categories of a panel are named."""

MOST_MEANS = 200
"""Above so many runs, no means are drawn of configurations with one run each: they hide the runs."""

FEWEST = 3
"""Runs below which a configuration's interval is not drawn: at two, Student's t alone is 12.7."""

SAME = 1e-4
"""Values that differ by a smaller share of themselves are drawn at one height: rounding moves as much."""

LOSSES = (
    *("loss", "averaged_loss", "largest_rise", "minimum", "maximum", "barrier", "barrier_from_mean"),
    *("straight_barrier", "straight_barrier_from_mean", "first_bend_loss", "last_bend_loss"),
    *("sam_one_step", "sam_sharpness", "adaptive_sam_one_step", "adaptive_sam_sharpness"),
    *("noise_increase", "scaled_noise_increase", "fisher_rao_norm", "slice_curvature"),
    "slice_curvature_fitted",
)
"""The last part of the names of measures that are losses, or differences of them."""

MEASURE_UNITS = {
    **dict.fromkeys(("accuracy", "error_barrier", "error_barrier_from_mean"), "fraction"),
    "seconds": "s",
}
"""Units of others, by the last part of a measure's name, or by what stands before it."""


def measures_figure(
    table: pd.DataFrame,
    measures: Sequence[str],
    keys: Sequence[str],
    *,
    title: str,
    caption: str,
    loss_unit: str = NATS,
) -> Figure:
    """A panel for each measure: every run, and the mean of each configuration with its 95% t-interval.

    The first key lies along x: logarithmic where it is numeric over a decade or more, else a category each.
    The second is the colour; over others, runs are pooled, and the caption says so. A measure that is
    positive and spans decades is drawn, averaged and given its interval on a logarithmic scale. Values that
    are not finite are open triangles at the top; a configuration with an infinite one has no mean.

    Args:
        table: a row a run.
        measures: its columns to draw, numbers each.
        keys: its columns that make a configuration.
        title: above the panels.
        caption: below them.
        loss_unit: what the loss of an example is counted in.

    Raises:
        ValueError: if there is no run, measure or key, or the table lacks one of these columns.
    """
    _check(table, measures, keys)
    if not keys:
        raise ValueError("keys must name at least one column, got none")
    if len(keys) > 2:
        caption = f"{caption} Pooled over {', '.join(keys[2:])}.".strip()
    shown = list(keys[:2])
    log = _spans_a_decade(table[keys[0]])
    numeric = log or (_is_numeric(table[keys[0]]) and table[keys[0]].nunique() > FEW)
    words = {name: [_word(value) for value in table[name]] for name in (shown[1:] if numeric else shown)}
    frame = table.assign(**words)
    look = looks(list(frame[keys[1]])) if len(keys) > 1 else {"": {"color": COLOURS.loss, "marker": "D"}}
    columns = layout().columns(min(len(measures), 4))
    with styled():
        figure, panels = panel_grid(len(measures), columns)
        width = figure.get_figwidth() / columns - 0.6
        for index, (axes, measure) in enumerate(zip(panels, measures, strict=True)):
            if numeric:
                limits = value_range(table[keys[0]].to_numpy(dtype=float), log=log, below=0.12, above=0.12)
                axes.set(xscale="log" if log else "linear", xlim=limits)
            _draw_measure(axes, frame, shown, measure, look, numeric=numeric)
            upright = _name_categories(axes, frame[keys[0]], width, numeric=numeric)
            axes.set_xlabel(wrap(figure, keys[0], size=layout().label_size, width=width))
            axes.set_ylabel(_label(figure, measure, loss_unit, 1.4), fontsize=layout().label_size - 1.0)
            fold_offset(axes.yaxis, "\n")
            hide_labels(axes, x=index + columns < len(measures), y=False)
        handles = _configurations(keys[1], look) if len(keys) > 1 else []
        run: dict[str, Any] = {"linestyle": "none", "marker": "o", "markersize": 2.5, "alpha": 0.6}
        mean: dict[str, Any] = {"marker": "D", "markersize": 4.0, "linewidth": 0.9, "color": COLOURS.quiet}
        handles.append(Line2D([], [], label="a run", color=COLOURS.quiet, **run))
        if _has_means(frame, shown):
            handles.append(Line2D([], [], label=f"mean, 95% t-interval from {FEWEST} runs on", **mean))
        handles += _not_finite(frame[list(measures)], "^")
        lowest = 2 if len(measures) % columns else 1  # rows that have names below them
        height = 1.7 * -(-len(measures) // columns) + 0.3 + lowest * upright
        compose_panels(figure, title=title, caption=caption, handles=handles, body_height=height)
    return figure


def against_test_error(
    table: pd.DataFrame,
    measures: Sequence[str],
    rho: Mapping[str, str],
    key: str,
    *,
    title: str,
    caption: str,
    loss_unit: str = NATS,
) -> Figure:
    """A panel for each measure: the test error of every run against it, above which its correlation stands.

    A measure that is positive and spans decades has a logarithmic axis. Values that are not finite are open
    triangles at the right.

    Args:
        table: a row a run, with the column `test/accuracy`.
        measures: its columns to draw, numbers each.
        rho: the correlation of each measure, in words.
        key: its column whose values are told apart by colour and marker.
        title: above the panels.
        caption: below them.
        loss_unit: what the loss of an example is counted in.

    Raises:
        ValueError: if there is no run or measure, the table lacks one of these columns, or `rho` lacks a
            measure.
    """
    _check(table, measures, [key, "test/accuracy"])
    for measure in measures:
        if measure not in rho:
            raise ValueError(f"rho must have words for every measure, got none for {measure!r}")
    frame = table.assign(**{key: [_word(value) for value in table[key]]})
    error = 100.0 * (1.0 - table["test/accuracy"].to_numpy(dtype=float))
    look = looks(list(frame[key]))
    columns = layout().columns(min(len(measures), 3 if len(measures) <= 9 else 4))
    with styled():
        figure, panels = panel_grid(len(measures), columns)
        width = (figure.get_figwidth() - 0.5) / columns - 0.2
        for index, (axes, measure) in enumerate(zip(panels, measures, strict=True)):
            _draw_scatter(axes, frame[measure].to_numpy(dtype=float), error, frame[key], look)
            axes.set_xlabel(_label(figure, measure, loss_unit, width))
            if width < 1.4 and axes.get_xscale() == "linear":  # inches: more ticks would meet
                axes.xaxis.set_major_locator(MaxNLocator(2))
            fold_offset(axes.xaxis, "\n")
            axes.set_ylabel("test error (%)")
            hide_labels(axes, x=False, y=index % columns > 0)
            name_panel(axes, rho[measure], width)
        handles = [*_configurations(key, look), *_not_finite(frame[list(measures)], ">")]
        height = (1.2 + 0.3 * columns if columns > 1 else 2.8) * -(-len(measures) // columns)
        compose_panels(figure, title=title, caption=caption, handles=handles, body_height=height)
    return figure


def _draw_measure(
    axes: Axes, frame: pd.DataFrame, keys: Sequence[str], measure: str, look: Looks, *, numeric: bool
) -> None:
    """Draw the runs and the means of one measure."""
    import seaborn as sns

    values = frame[measure].to_numpy(dtype=float)
    finite = np.isfinite(values)
    if spans_decades(values) and values[finite].min() > 0:
        axes.set_yscale("log")
    shared: dict[str, Any] = {"x": keys[0], "y": measure, "native_scale": numeric, "ax": axes}
    shared["legend"] = False
    if not numeric:
        shared["order"] = list(dict.fromkeys(frame[keys[0]]))
    if len(keys) > 1:
        colours = {name: own["color"] for name, own in look.items()}
        shared |= {"hue": keys[1], "hue_order": list(look), "palette": colours}
    else:
        shared["color"] = COLOURS.loss
    apart = len(look) > 1 and not numeric
    dots: dict[str, Any] = {**shared, "dodge": apart, "jitter": False}
    sns.stripplot(frame[finite], size=2.5, alpha=0.6, **dots)
    infinite = frame.assign(infinite=np.isinf(values)).groupby(list(keys))["infinite"].transform("any")
    averaged = frame[finite & ~infinite.to_numpy()]
    if len(averaged) and _has_means(frame, keys):
        chosen = [own["marker"] for own in look.values()]
        sns.pointplot(
            averaged,
            errorbar=_t_interval,
            dodge=0.8 - 0.8 / len(look) if apart else 0.2 * (len(look) > 1),
            markers=chosen if len(keys) > 1 else chosen[0],
            linestyle="-" if numeric else "none",
            linewidth=0.6,
            markersize=4.0,
            err_kws={"linewidth": 0.9},
            **shared,
        )
    drawn = [np.asarray(line.get_ydata(), dtype=float) for line in axes.lines]
    log = axes.get_yscale() == "log"
    low, high = _limits(np.concatenate([values, *drawn]), log=log, room=not finite.all())
    axes.set_ylim(low, high)
    if finite.all():
        return
    top = high / (high / low) ** 0.05 if log else high - 0.05 * (high - low)
    before = len(axes.collections)
    sns.stripplot(frame[~finite].assign(**{measure: top}), size=4.5, marker="^", **dots)
    for drawn_now in axes.collections[before:]:
        drawn_now.set(edgecolor=drawn_now.get_facecolor(), facecolor="none", linewidth=0.8)


def _has_means(frame: pd.DataFrame, keys: Sequence[str]) -> bool:
    return len(frame) <= MOST_MEANS or bool(frame.duplicated(list(keys)).any())


def _draw_scatter(axes: Axes, values: np.ndarray, error: np.ndarray, names: pd.Series, look: Looks) -> None:
    """Draw the test error in percent over one measure."""
    import seaborn as sns

    finite = np.isfinite(values)
    log = spans_decades(values) and values[finite].min() > 0
    low, high = _limits(values, log=log, room=not finite.all())
    axes.set(xscale="log" if log else "linear", xlim=(low, high), ylim=value_range(error, log=False))
    edge = high / (high / low) ** 0.05 if log else high - 0.05 * (high - low)
    colours = {name: own["color"] for name, own in look.items()}
    markers = {name: own["marker"] for name, own in look.items()}
    if finite.any():
        sns.scatterplot(
            x=values[finite], y=error[finite], hue=names[finite], style=names[finite], ax=axes,
            palette=colours, markers=markers, hue_order=list(look), style_order=list(look), s=22,
            linewidth=0.2, legend=False,
        )  # fmt: skip
    for at, name in zip(error[~finite], names[~finite], strict=True):
        axes.plot([edge], [at], ">", markersize=4.5, markerfacecolor="none", markeredgecolor=colours[name])


def _limits(values: np.ndarray, *, log: bool, room: bool) -> tuple[float, float]:
    """The ends of an axis of these values, with room for what is not finite if asked."""
    finite = values[np.isfinite(values)]
    if len(finite) and np.ptp(finite) <= SAME * abs(finite).max():
        values = np.full(1, finite.mean())
    return value_range(values, log=log, above=0.18 if room else 0.05)


def _configurations(key: str, look: Looks) -> list[Artist]:
    """The legend's entries for the values of a key, which stands before what is not words of its own."""
    kept, notes = named(look)
    words = {name if " " in name else f"{key} {name}": own for name, own in kept.items()}
    shared: dict[str, Any] = {"linestyle": "none", "markersize": 4.0}
    entries = [Line2D([], [], label=name, **shared, **own) for name, own in words.items()]
    return [*entries, *notes]


def _not_finite(table: pd.DataFrame, marker: str) -> list[Artist]:
    """The legend's entry for the values that are not finite, if there are any."""
    values = table.to_numpy(dtype=float)
    kinds = {"infinite": np.isinf(values), "not measured": np.isnan(values)}
    words = " or ".join(name for name, mask in kinds.items() if mask.any())
    look: dict[str, Any] = {"markersize": 4.5, "markerfacecolor": "none", "markeredgecolor": COLOURS.ink}
    return [Line2D([], [], linestyle="none", marker=marker, label=words, **look)] if words else []


def _name_categories(axes: Axes, values: pd.Series, width: float, *, numeric: bool) -> float:
    """Ticks at few values, upright where they would touch; `width` of the panel in inches.

    Returns:
        the inches that upright ones take beyond level ones.
    """
    distinct = list(dict.fromkeys(values))
    if numeric:
        if len(distinct) <= FEW:
            axes.set_xticks(distinct, labels=labels(distinct))
            axes.minorticks_off()
        return 0.0
    figure = axes.get_figure(root=True)
    assert figure is not None
    places = range(len(distinct))[:: -(-len(distinct) // MOST_TICKS)]  # more would cover one another
    size = layout().small_size
    wrapped = [_wrap_name(figure, str(distinct[place]), 0.9, size) for place in places]
    longest = max(len(line) for name in wrapped for line in name.splitlines()) * 0.55 * size / 72
    level = longest < 0.9 * width / len(distinct)
    names = [str(distinct[place]) for place in places] if level else wrapped
    axes.set_xticks(places, labels=names, rotation=0 if level else 90, parse_math=False)
    return 0.0 if level else longest


def _label(figure: Figure, measure: str, loss_unit: str, width: float) -> str:
    """A measure's name with its unit, the last part on a line of its own, wrapped at `width` inches."""
    group, slash, name = measure.rpartition("/")
    known = loss_unit if name in LOSSES else MEASURE_UNITS.get(name) or MEASURE_UNITS.get(group)
    text = f"{group}{slash}\n{name}".strip() + (f" ({known})" if known else "")
    return _wrap_name(figure, text, width, layout().label_size - 1.0)


def _wrap_name(figure: Figure, text: str, width: float, size: float) -> str:
    """`text` wrapped at `width` inches, after a `/`, a `_` or a space."""
    spaced = text.replace("_", "_ ").replace("/", "/ ")
    return wrap(figure, spaced, size=size, width=width).replace("_ ", "_").replace("/ ", "/")


def _is_numeric(values: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)


def _spans_a_decade(values: pd.Series) -> bool:
    return _is_numeric(values) and bool(values.min() > 0 and values.max() >= 10 * values.min())


def _word(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _check(table: pd.DataFrame, measures: Sequence[str], others: Sequence[str]) -> None:
    if table.empty:
        raise ValueError("table must hold at least one run, got none")
    if not measures:
        raise ValueError("measures must name at least one column, got none")
    for name in (*measures, *others):
        if name not in table:
            raise ValueError(f"table must have the column {name!r}, got {[str(each) for each in table]}")


def _t_interval(values: Any) -> tuple[float, float]:
    """The mean's 95% interval by Student's t; NaN below three values, where it says next to nothing."""
    if len(values) < FEWEST:
        return float("nan"), float("nan")
    half = student.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values))
    return float(np.mean(values) - half), float(np.mean(values) + half)
