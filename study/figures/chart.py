"""What a page draws anew of several runs, to turn, to filter and to read off: plain data for its scripts."""

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any, Literal

import numpy as np

from study.figures.marks import cell_status
from study.figures.panels import looks
from study.figures.web_page import asset, json_block, script
from study.landscape.result import Landscape

Kind = Literal["surfaces", "curves"]

HEADINGS: dict[Kind, str] = {
    "surfaces": """<h2>Surfaces</h2>
<p class="quiet">Drag to turn, scroll to zoom: all panels of a landscape follow. ◆ is the solution, ○ any
other special point, a grey square has no finite value, the black line is the optimiser's path.</p>""",
    "curves": """<h2>Curves</h2>
<p class="quiet">Click an entry of the legend to hide it in every chart, double click to have it alone. Drag
over a chart to zoom, double click it to see all of it.</p>""",
}
"""What stands above the charts of each kind, in the order of the page."""


@dataclass(frozen=True)
class Chart:
    """What is drawn of several runs in a page.

    Attributes:
        kind: which script draws it.
        data: for that script, JSON-able. Words in it are plain text.
        caption: what is said of it, plain text.
        pictures: names of the figures that show the same on paper.
    """

    kind: Kind
    data: dict[str, Any]
    caption: str = ""
    pictures: tuple[str, ...] = ()


def numbers(values: np.ndarray, factor: float = 1.0) -> list[float | None]:
    """Values in order of their rows, to five digits; None for what is not finite."""
    found = np.asarray(values, dtype=float).ravel() * factor
    return [float(f"{value:.5g}") if np.isfinite(value) else None for value in found.tolist()]


def status_codes(part: Landscape) -> str:
    """The status of each cell of one split in order of the rows, a digit each; see `Status`."""
    return "".join(str(code) for code in cell_status(part).ravel())


def fact(key: str, name: str, suffix: str) -> dict[str, str]:
    """What is said of a value under the pointer."""
    return {"key": key, "name": name, "suffix": suffix}


def of_kinds(charts: Mapping[str, Chart]) -> dict[Kind, dict[str, Chart]]:
    """Charts by kind, in the order of the page; a kind without any is left out."""
    found = {kind: {name: own for name, own in charts.items() if own.kind == kind} for kind in HEADINGS}
    return {kind: own for kind, own in found.items() if own}


def chart_html(name: str, chart: Chart) -> str:
    """The place of a chart in a page, with its data; `page_scripts` fills it."""
    place = f'<div class="drawing" data-{chart.kind}="{escape(name)}"></div>'
    said = f'<p class="quiet">{escape(chart.caption)}</p>' if chart.caption else ""
    return f"{place}{json_block(f'data-{name}', chart.data)}{said}"


def legend_html(charts: Mapping[str, Chart]) -> str:
    """The place of the one legend of all curves: an entry for each configuration, with its colour."""
    lines = [line for chart in charts.values() for line in chart.data["lines"]]
    colours = looks([entry for line in lines for entry in line["entries"]])
    data = [{"name": name, "colour": look["color"]} for name, look in colours.items()]
    box = '<div class="legend drawing" role="group" aria-label="configurations"></div>'
    return box + json_block("data-", data)


def folded_html(pictures: str) -> str:
    """Pictures that a page shows when asked for, and on paper, where nothing turns."""
    return f'<details class="still"><summary>as a picture</summary>{pictures}</details>' if pictures else ""


def page_scripts(charts: Mapping[str, Chart]) -> str:
    """What draws the charts of a page and sorts its tables, at its end: nothing is fetched.

    The drawing library is within, once, where there is a chart.
    """
    from plotly.offline import get_plotlyjs

    drawing = ["numbers.js", "solid.js", "surfaces.js", "curves.js", "start.js"] if charts else []
    own = ["page.js", "tables.js", *drawing]
    return (script(get_plotlyjs()) if charts else "") + script("\n".join(asset(name) for name in own))
