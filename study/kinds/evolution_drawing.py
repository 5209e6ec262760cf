"""The figures of planes about several checkpoints: beside one another, and one after the other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from study.kinds.drawing import PlaneDrawing
from study.kinds.titles import by_split
from study.landscape.result import Landscape

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from study.figures.animation import Moment
    from study.figures.chart import Chart
    from study.figures.film import Film

COMPANION = "update_"
"""What the companions that are planes about checkpoints are called, before the number of updates."""


@dataclass(frozen=True)
class EvolutionDrawing(PlaneDrawing):
    """Planes about checkpoints, the solution's the last; of several runs, that of each solution."""

    def figures(
        self, landscape: Landscape, title: str, caption: str, warning: str | None
    ) -> Mapping[str, "Figure"]:
        """For each split, a panel a checkpoint with one set of levels; of many, some are drawn."""
        from study.figures.few import evenly
        from study.figures.planes import contour_panels

        drawn, planes = {}, _planes(landscape)
        for suffix, split, of_split in by_split(landscape, title):
            words = [own.words(landscape.loss_unit) for own in _moments(landscape, planes, split)]
            named = evenly(list(zip(words, planes.values(), strict=True)), self.most_together)
            said = f" Shown: {len(named)} of {len(planes)} planes." if len(named) < len(planes) else ""
            drawn[suffix] = contour_panels(
                dict(named),
                split=split,
                title=of_split,
                caption=f"{caption}{said}",
                axis_labels=self.axis_labels,
                warning=warning,
            )
        return drawn

    def films(
        self, landscape: Landscape, title: str, caption: str, warning: str | None
    ) -> Mapping[str, "Film"]:
        """For each split, the planes one after the other, contours beside the surface."""
        from study.figures.animation import planes_film

        planes = _planes(landscape)
        return {
            suffix: planes_film(
                planes,
                _moments(landscape, planes, split),
                split=split,
                title=of_split,
                caption=caption,
                axis_labels=self.axis_labels,
                warning=warning,
            )
            for suffix, split, of_split in by_split(landscape, title)
        }

    def together(
        self, landscapes: Mapping[str, Landscape], groups: Mapping[str, str], title: str, caption: str
    ) -> Mapping[str, "Figure"]:
        """Panels of one scale, of the plane about each run's solution."""
        return super().together(landscapes, groups, "The plane about the solution", caption)

    def chart(self, landscapes: Mapping[str, Landscape], entries: Mapping[str, Sequence[str]]) -> "Chart":
        """Surfaces of the plane about each run's solution."""
        chart = super().chart(landscapes, entries)
        return replace(chart, caption=f"{chart.caption} Shown: the plane about the solution.".strip())

    def on_page(self, landscape: Landscape) -> dict[str, Any]:
        """The planes to step through, by the place of their checkpoints in the training."""
        planes = _planes(landscape)
        moments = _moments(landscape, planes, landscape.splits[0])
        return {"stages": dict(zip((own.when for own in moments), planes.values(), strict=True))}


def _planes(landscape: Landscape) -> dict[int, Landscape]:
    """The planes by the number of updates; centres between the first and the last are all `checkpoint`."""
    planes = {}
    for name, plane in landscape.companions.items():
        ((centre, point),) = plane.points.items()
        called = centre if centre == "initialisation" else "checkpoint"
        planes[int(name.removeprefix(COMPANION))] = replace(plane, points={called: point})
    return {**planes, landscape.provenance["updates"][-1]: replace(landscape, companions={})}


def _moments(landscape: Landscape, planes: Mapping[int, Landscape], split: str) -> list["Moment"]:
    """What is said of each plane: the checkpoint, and the loss at its centre."""
    from study.figures.animation import moments

    losses = [next(iter(plane.split(split).points.values())).values["loss"] for plane in planes.values()]
    return moments(planes, losses, landscape.provenance["updates_per_epoch"])
