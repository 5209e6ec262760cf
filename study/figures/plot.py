"""The figure of a landscape that says itself what it shows: for scripts and notebooks."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from study.figures.contour import contour_figure
from study.figures.line import line_figure
from study.figures.style import GREEK
from study.landscape.result import Landscape

ORTHOGONAL = 5e-4
"""A cosine of two axes below it is 0 to three digits, and not said."""


def plot(
    landscape: Landscape, *, title: str = "", caption: str | None = None, split: str | None = None
) -> Figure:
    """Draw a landscape: a line's loss and accuracy, or the filled contours of a plane's loss.

    The figure shows itself in a notebook; `figure.savefig("contour.pdf")` writes it to a file. An optimiser's
    path is drawn over the plane of `principal_plane`.

    Args:
        landscape: over a line or a plane.
        title: above the picture.
        caption: below it; None for what the landscape's provenance says of it, as `describe` words it.
        split: which to draw; None for every split of a line, and the first of a plane.

    Raises:
        ValueError: if the split was not evaluated, or the plane is smaller than 2 by 2 points.
    """
    labels = _labels(landscape)
    words = describe(landscape, split) if caption is None else caption
    if len(landscape.shape) == 1:
        (label,) = labels.values()
        shown = landscape if split is None else landscape.split(split)
        return line_figure(shown, title=title, caption=words, parameter_label=label)
    trajectory = landscape.provenance.get("trajectory", {})
    return contour_figure(
        landscape,
        split=landscape.splits[0] if split is None else split,
        title=title,
        caption=words,
        path=np.array(trajectory["coordinates"]) if trajectory else None,
        axis_labels=labels,
    )


def describe(landscape: Landscape, split: str | None = None) -> str:
    """A caption from the provenance: what was read, along what, how far that leads, and what it leaves open.

    Args:
        landscape: over a line or a plane.
        split: what is shown of it; None for all that its figure shows.
    """
    about = landscape.provenance
    shown = landscape.splits if split is None else [split]
    if split is None and len(landscape.shape) == 2:
        shown = shown[:1]
    sizes = about.get("splits", {})
    read = ", ".join(_read(name, sizes[name]) for name in shown if name in sizes)
    words = [f"Loss over {read}"] if read else []
    if directions := about.get("directions"):
        words += _along(directions)
    if about.get("geometry") == "line between":
        words.append(f"‖θ₁−θ₀‖ = {about['distance']:.3g}, ‖θ₁‖ = {about['end_norm']:.3g}")
    if (cosine := about.get("cosine")) is not None and abs(cosine) >= ORTHOGONAL:
        words.append(f"cosine of the axes {cosine:.2g}".replace("-", "\N{MINUS SIGN}"))
    if (policy := about.get("batch_statistics", "none kept")) != "none kept":
        words.append(f"batch statistics {policy}")
    return "; ".join(words) + "." if words else ""


def _read(name: str, size: Mapping[str, Any]) -> str:
    """Of a split, how many examples were read."""
    count, population = size["examples"], size["population"]
    many = f"{count:,}" if population in {None, count} else f"{count:,} of {population:,}"
    return f"{many} examples" + (f" of the {name} split" if name else "")


def _along(directions: list[Mapping[str, Any]]) -> list[str]:
    """What the directions are, how they are scaled, and how long they are beside the weights."""
    kinds = list(dict.fromkeys(own["kind"].replace("gaussian", "Gaussian") for own in directions))
    words = [
        f"along {' and '.join(kinds)} directions" if len(directions) > 1 else f"along a {kinds[0]} direction"
    ]
    drawn = next((own for own in directions if own["kind"] == "gaussian"), None)
    if drawn is not None:
        scaled = "no" if drawn["normalization"] == "none" else drawn["normalization"]
        words.append(f"{scaled} normalization, seed {drawn['seed']}")
    lengths = [own["relative_norm"] for own in directions]
    if None not in lengths:
        words.append(f"‖direction‖/‖θ*‖ = {', '.join(f'{length:.3g}' for length in lengths)}")
    return [", ".join(words)]


def _labels(landscape: Landscape) -> Mapping[str, str]:
    """What one step along each axis is, where the provenance says so."""
    about = landscape.provenance
    if about.get("geometry") == "line between":
        ends = {point.coordinates: name for name, point in landscape.points.items()}
        return {"alpha": f"α (0: {ends.get((0.0,), 'θ₀')}, 1: {ends.get((1.0,), 'θ₁')})"}
    if "directions" in about:
        return dict(zip(landscape.axes, ("α (steps along δ)", "β (steps along η)"), strict=False))
    return {name: GREEK.get(name, name) for name in landscape.axes}
