"""Landscapes as self-contained web pages: turned, zoomed and read off under the pointer."""

from collections.abc import Mapping
from html import escape

import numpy as np
from plotly.offline import get_plotlyjs

from study.figures import interactive_line, interactive_plane, switches
from study.figures.quantity import Value
from study.figures.style import COLOURS, GREEK
from study.figures.thinned import thinned
from study.figures.web_page import script, web_page
from study.landscape.result import Landscape

MOST = 251
"""Points along an axis that a page of a plane shows: 501 would be 50 MB, and a browser turns them slowly. Of
several planes, as many in all."""

_STYLE = f"""h1 {{ font-size: 1.15em; font-weight: normal; }}
p {{ color: {COLOURS.quiet}; font-size: 0.85em; overflow-wrap: anywhere; }}
p.warning {{ color: {COLOURS.warning}; font-size: 1.15em; font-weight: bold; }}
{switches.STYLE}
"""


def interactive_page(
    landscape: Landscape,
    *,
    title: str,
    caption: str,
    axis_labels: Mapping[str, str] = GREEK,
    first: Value = "loss",
    path: np.ndarray | None = None,
    others: Mapping[str, Landscape] = {},
    stages: Mapping[str, Landscape] = {},
    warning: str | None = None,
) -> str:
    """A web page in one string, with the drawing library within: it asks nothing of any network.

    A plane is a surface in three dimensions beside its contours, or above them in a narrow window: what is
    pointed at in one is marked in the other, and the surface is cut to what the contours are zoomed to. A
    line is curves of loss and accuracy. Switches choose the value, its scale and the split, each for itself.
    Under the pointer: coordinates, every value and the status. Of a plane with many points, some are shown,
    and the caption says which: a browser turns no more, and every point is in the table beside the page.

    Args:
        landscape: over a line, or over a plane of at least 2 by 2 points.
        title: above the picture, taken literally.
        caption: below it, taken literally.
        axis_labels: of the axes, by their names in the landscape.
        first: what is shown of a plane to begin with; a switch has all else that it holds.
        path: over a plane, (α, β) of an optimiser's checkpoints, (K, 2); as in `contour_figure`.
        others: beside a line, more lines over the same axis, by their names; as in `line_figure`.
        stages: over a plane, planes to step through, by what is said of each, on one scale; the landscape is
            the last, and shown first. All are of its axes and splits, with special points at the same places.
        warning: why the picture is not to be trusted, taken literally; conspicuous above it.

    Raises:
        ValueError: if the landscape is of another shape, or lacks a value, or the path, another line or a
            stage does not fit it, or there are both a path and stages.
    """
    if len(landscape.shape) == 1:
        body, style = interactive_line.line_body(landscape, axis_labels, others), interactive_line.STYLE
    elif len(landscape.shape) == 2 and min(landscape.shape) >= 2:
        most = int(MOST / len(stages or (1,)) ** 0.5)
        shown = thinned(landscape, most)
        if shown.shape != landscape.shape:
            few, many = (" × ".join(map(str, own.shape)) for own in (shown, landscape))
            caption = f"{caption} This page shows {few} of the {many} points."
        few_of_each = {name: thinned(stage, most) for name, stage in stages.items()}
        body = interactive_plane.plane_body(shown, axis_labels, first, path, few_of_each)
        style = interactive_plane.STYLE
    else:
        raise ValueError(
            f"landscape must be a line or a plane of at least 2 by 2 points, got shape {landscape.shape}"
        )
    library = script(get_plotlyjs())
    parts = [f"<h1>{escape(title)}</h1>", library, body, f"<p>{escape(caption)}</p>"]
    if warning:
        parts.insert(0, f'<p class="warning">{escape(warning)}</p>')
    return web_page(title, "\n".join(parts), style=_STYLE + style, width=80)
