"""The figures of lines and planes along several draws of their directions, of one run and of several."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from study.analysis.over_directions import DEVIATION, median, replicates, spread
from study.kinds.drawing import LineDrawing, PlaneDrawing
from study.landscape.result import Landscape

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from study.figures.chart import Chart


@dataclass(frozen=True)
class ReplicatedLineDrawing(LineDrawing):
    """Lines that may have replicates: all and their median in one picture; the page has the first."""

    def figures(
        self, landscape: Landscape, title: str, caption: str, warning: str | None
    ) -> Mapping[str, "Figure"]:
        """One picture: loss and accuracy of every split, along every direction."""
        from study.figures.replicates import replicated_lines

        lines = replicates(landscape)
        if len(lines) == 1:
            return super().figures(landscape, title, caption, warning)
        (label,) = self.labels(landscape).values()
        words = {"title": title, "caption": caption, "parameter_label": label}
        return {"": replicated_lines(lines, median(lines), warning=warning, **words)}

    def together(
        self, landscapes: Mapping[str, Landscape], groups: Mapping[str, str], title: str, caption: str
    ) -> Mapping[str, "Figure"]:
        """One picture: the curves of all runs, the median of each that has replicates."""
        medians = {label: median(replicates(own)) for label, own in landscapes.items()}
        return super().together(medians, groups, title, _of_several(caption, landscapes, "the median"))

    def chart(self, landscapes: Mapping[str, Landscape], entries: Mapping[str, Sequence[str]]) -> "Chart":
        """The curves of all runs, the median of each that has replicates."""
        medians = {label: median(replicates(own)) for label, own in landscapes.items()}
        chart = super().chart(medians, entries)
        return replace(chart, caption=_of_several(chart.caption, landscapes, "the median").strip())

    def page(self, landscape: Landscape, title: str, caption: str, warning: str | None) -> str:
        """The web page of the first replicate."""
        return super().page(landscape, title, _of_first(caption, landscape), warning)

    def on_page(self, landscape: Landscape) -> dict[str, Any]:
        """Nothing else: replicates are no lines of another kind."""
        return {}


@dataclass(frozen=True)
class ReplicatedPlaneDrawing(PlaneDrawing):
    """Planes that may have replicates: the first is drawn, and as `.spread` how far they differ."""

    def figures(
        self, landscape: Landscape, title: str, caption: str, warning: str | None
    ) -> Mapping[str, "Figure"]:
        """For each split, contour and surface of the first, and the standard deviation of the loss."""
        drawn = dict(super().figures(landscape, title, _of_first(caption, landscape), warning))
        planes = replicates(landscape)
        if len(planes) == 1:
            return drawn
        count = len(planes)
        said = (
            f"SD: standard deviation (n − 1) of the loss over {count} draws of the directions, at each point."
        )
        above = f"{title}: spread over directions (n = {count})"
        deviations = self.contours(spread(planes), above, f"{caption} {said}", warning, DEVIATION)
        return {**drawn, **{f"{suffix}.spread": figure for suffix, figure in deviations.items()}}

    def together(
        self, landscapes: Mapping[str, Landscape], groups: Mapping[str, str], title: str, caption: str
    ) -> Mapping[str, "Figure"]:
        """Panels of one scale, of the first replicate of each run."""
        return super().together(landscapes, groups, title, _of_several(caption, landscapes, "the first"))

    def chart(self, landscapes: Mapping[str, Landscape], entries: Mapping[str, Sequence[str]]) -> "Chart":
        """Surfaces of the first replicate of each run."""
        chart = super().chart(landscapes, entries)
        return replace(chart, caption=_of_several(chart.caption, landscapes, "the first").strip())

    def page(self, landscape: Landscape, title: str, caption: str, warning: str | None) -> str:
        """The web page of the first replicate."""
        return super().page(landscape, title, _of_first(caption, landscape), warning)


def _of_first(caption: str, landscape: Landscape) -> str:
    """The caption of a picture of the first replicate."""
    count = len(replicates(landscape))
    return f"{caption} Shown: the first of {count}." if count > 1 else caption


def _of_several(caption: str, landscapes: Mapping[str, Landscape], shown: str) -> str:
    """The caption of a picture of several runs, of whose replicates it shows one thing."""
    counts = sorted({count for own in landscapes.values() if (count := len(replicates(own))) > 1})
    words = " or ".join(map(str, counts))
    return f"{caption} Of {words} draws of directions, {shown} is shown." if counts else caption
