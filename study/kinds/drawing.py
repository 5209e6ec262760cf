"""The figures of lines and planes, of one landscape and of several side by side."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from study.landscape.result import Landscape

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_LINES, MOST_PLANES = 60, 24
"""What one figure of several landscapes can hold and still be read."""


def line_figures(
    landscape: Landscape, title: str, caption: str, warning: str | None, *, axis_labels: Mapping[str, str]
) -> Mapping[str, "Figure"]:
    """One picture: loss and accuracy of every split."""
    from study.figures.line import line_figure

    label = axis_labels["alpha"]
    return {"": line_figure(landscape, title=title, caption=caption, parameter_label=label, warning=warning)}


def plane_figures(
    landscape: Landscape, title: str, caption: str, warning: str | None, *, axis_labels: Mapping[str, str]
) -> Mapping[str, "Figure"]:
    """A contour and a surface for each split; those of the second split carry its name."""
    from study.figures.contour import contour_figure
    from study.figures.surface import surface_figure

    drawn = {}
    for suffix, split, of_split in _by_split(landscape, title):
        for name, figure in ((suffix, contour_figure), (f"{suffix}.surface", surface_figure)):
            drawn[name] = figure(
                landscape,
                split=split,
                title=of_split,
                caption=caption,
                axis_labels=axis_labels,
                warning=warning,
            )
    return drawn


def lines_together(
    landscapes: Mapping[str, Landscape],
    groups: Mapping[str, str],
    title: str,
    caption: str,
    *,
    axis_labels: Mapping[str, str],
) -> Mapping[str, "Figure"]:
    """One picture: the curves of all runs, by label, coloured by their group."""
    from study.figures.comparison import overlaid_lines

    label = axis_labels["alpha"]
    return {"": overlaid_lines(landscapes, groups, title=title, caption=caption, parameter_label=label)}


def planes_together(
    landscapes: Mapping[str, Landscape],
    _groups: Mapping[str, str],
    title: str,
    caption: str,
    *,
    axis_labels: Mapping[str, str],
) -> Mapping[str, "Figure"]:
    """For each split, contour panels with one set of levels; those of the second split carry its name."""
    from study.figures.planes import contour_panels

    first = next(iter(landscapes.values()))
    return {
        suffix: contour_panels(
            landscapes,
            split=split,
            title=of_split,
            caption=caption,
            x_label=axis_labels["alpha"],
            y_label=axis_labels["beta"],
        )
        for suffix, split, of_split in _by_split(first, title)
    }


def _by_split(landscape: Landscape, title: str) -> list[tuple[str, str, str]]:
    """(suffix of the file, split, title) of each split."""
    several = len(landscape.splits) > 1
    return [
        (f".{split}" if place else "", split, f"{title}: {split} split" if several else title)
        for place, split in enumerate(landscape.splits)
    ]
