"""The figures of lines and planes, of one landscape and of several side by side."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from study.landscape.result import Landscape

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Drawing(ABC):
    """How the landscapes of a kind are drawn.

    Attributes:
        axis_labels: by the names of the axes: what one step is.
        most_together: landscapes that one figure of several can hold and still be read.
    """

    axis_labels: Mapping[str, str]
    most_together: int

    @abstractmethod
    def figures(
        self, landscape: Landscape, title: str, caption: str, warning: str | None
    ) -> Mapping[str, "Figure"]:
        """The pictures of one landscape, by file suffix (`` for the main one).

        Args:
            landscape: what is drawn.
            title: above each picture.
            caption: below it.
            warning: why the landscape is not to be trusted, where it is not.
        """

    @abstractmethod
    def together(
        self, landscapes: Mapping[str, Landscape], groups: Mapping[str, str], title: str, caption: str
    ) -> Mapping[str, "Figure"]:
        """The pictures of several landscapes, by file suffix (`` for the main one).

        Args:
            landscapes: by the label of their run.
            groups: the configuration of each label.
            title: above each picture.
            caption: below it.
        """


@dataclass(frozen=True)
class LineDrawing(Drawing):
    """Lines: loss and accuracy of every split in one picture; several over one another, by configuration."""

    most_together: int = 60

    def figures(
        self, landscape: Landscape, title: str, caption: str, warning: str | None
    ) -> Mapping[str, "Figure"]:
        """One picture: loss and accuracy of every split."""
        from study.figures.line import line_figure

        label = self.axis_labels["alpha"]
        return {
            "": line_figure(landscape, title=title, caption=caption, parameter_label=label, warning=warning)
        }

    def together(
        self, landscapes: Mapping[str, Landscape], groups: Mapping[str, str], title: str, caption: str
    ) -> Mapping[str, "Figure"]:
        """One picture: the curves of all runs, by label, coloured by their group."""
        from study.figures.comparison import overlaid_lines

        label = self.axis_labels["alpha"]
        return {"": overlaid_lines(landscapes, groups, title=title, caption=caption, parameter_label=label)}


@dataclass(frozen=True)
class PlaneDrawing(Drawing):
    """Planes: contour and surface, a picture for each split; several as panels of one scale."""

    most_together: int = 24

    def figures(
        self, landscape: Landscape, title: str, caption: str, warning: str | None
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
                    axis_labels=self.axis_labels,
                    warning=warning,
                )
        return drawn

    def together(
        self, landscapes: Mapping[str, Landscape], groups: Mapping[str, str], title: str, caption: str
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
                x_label=self.axis_labels["alpha"],
                y_label=self.axis_labels["beta"],
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
