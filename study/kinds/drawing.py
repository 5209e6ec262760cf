"""The figures of lines and planes, of one landscape and of several side by side."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from study.kinds.titles import by_split, names_at
from study.landscape.result import Landscape

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from study.figures.chart import Chart
    from study.figures.film import Film
    from study.figures.quantity import Value


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

    def films(
        self, landscape: Landscape, title: str, caption: str, warning: str | None
    ) -> Mapping[str, "Film"]:
        """The animations of one landscape, as `figures`; none by default."""
        return {}

    @abstractmethod
    def chart(self, landscapes: Mapping[str, Landscape], entries: Mapping[str, Sequence[str]]) -> "Chart":
        """Several landscapes within a page, by the label of their run, and the legend's entries of each."""

    def page(self, landscape: Landscape, title: str, caption: str, warning: str | None) -> str:
        """The web page of one landscape; the arguments are those of `figures`."""
        from study.figures.interactive import interactive_page

        return interactive_page(
            landscape,
            title=title,
            caption=caption,
            axis_labels=self.labels(landscape),
            warning=warning,
            **self.on_page(landscape),
        )

    def labels(self, *_landscapes: Landscape) -> Mapping[str, str]:
        """The axis labels of these landscapes."""
        return self.axis_labels

    def on_page(self, landscape: Landscape) -> dict[str, Any]:
        """What else `interactive_page` is to show of a landscape."""
        return {}


@dataclass(frozen=True)
class LineDrawing(Drawing):
    """Lines: loss and accuracy of every split in one picture; several over one another, by configuration.

    The companions of a landscape are drawn beside it. In an axis label, {0} and {1} stand for the names of
    the special points at 0 and at 1.
    """

    most_together: int = 60

    def figures(
        self, landscape: Landscape, title: str, caption: str, warning: str | None
    ) -> Mapping[str, "Figure"]:
        """One picture: loss and accuracy of every split."""
        from study.figures.line import line_figure

        return {
            "": line_figure(
                landscape,
                title=title,
                caption=caption,
                parameter_label=self._label((landscape,)),
                others=landscape.companions,
                warning=warning,
            )
        }

    def together(
        self, landscapes: Mapping[str, Landscape], groups: Mapping[str, str], title: str, caption: str
    ) -> Mapping[str, "Figure"]:
        """One picture: the curves of all runs, by label, coloured by their group."""
        from study.figures.comparison import overlaid_lines

        label = self._label(landscapes.values())
        return {"": overlaid_lines(landscapes, groups, title=title, caption=caption, parameter_label=label)}

    def chart(self, landscapes: Mapping[str, Landscape], entries: Mapping[str, Sequence[str]]) -> "Chart":
        """Curves that the page's legend filters."""
        from study.figures.interactive_curves import line_chart

        return line_chart(landscapes, entries, parameter_label=self._label(landscapes.values()))

    def on_page(self, landscape: Landscape) -> dict[str, Any]:
        """The companions."""
        return {"others": landscape.companions}

    def labels(self, *landscapes: Landscape) -> Mapping[str, str]:
        """The axis labels of these landscapes, with the names of what lies at 0 and 1 of them."""
        names = [names_at((place,), landscapes) for place in (0.0, 1.0)]
        return {axis: label.format(*names) for axis, label in self.axis_labels.items()}

    def _label(self, landscapes: Iterable[Landscape]) -> str:
        first, *others = landscapes
        (axis,) = first.axes
        return self.labels(first, *others)[axis]


@dataclass(frozen=True)
class PlaneDrawing(Drawing):
    """Planes: contour and surface, a picture for each split; several as panels of one scale."""

    most_together: int = 24

    def figures(
        self, landscape: Landscape, title: str, caption: str, warning: str | None
    ) -> Mapping[str, "Figure"]:
        """A contour and a surface for each split; those of the second split carry its name."""
        from study.figures.surface import surface_figure

        contours, drawn = self.contours(landscape, title, caption, warning, "loss"), {}
        for suffix, split, of_split in by_split(landscape, title):
            drawn[suffix] = contours[suffix]
            drawn[f"{suffix}.surface"] = surface_figure(
                landscape,
                split=split,
                title=of_split,
                caption=caption,
                path=self.path(landscape),
                axis_labels=self.axis_labels,
                warning=warning,
            )
        return drawn

    def contours(
        self, landscape: Landscape, title: str, caption: str, warning: str | None, value: "Value"
    ) -> dict[str, "Figure"]:
        """A contour of a value for each split, by file suffix; the other arguments are those of `figures`."""
        from study.figures.contour import contour_figure

        return {
            suffix: contour_figure(
                landscape,
                split=split,
                title=of_split,
                caption=caption,
                path=self.path(landscape),
                value=value,
                axis_labels=self.axis_labels,
                warning=warning,
            )
            for suffix, split, of_split in by_split(landscape, title)
        }

    def together(
        self, landscapes: Mapping[str, Landscape], groups: Mapping[str, str], title: str, caption: str
    ) -> Mapping[str, "Figure"]:
        """For each split, contour panels with one set of levels; those of the second split carry its name."""
        return self._panels(landscapes, title, caption, "loss")

    def chart(self, landscapes: Mapping[str, Landscape], entries: Mapping[str, Sequence[str]]) -> "Chart":
        """Surfaces side by side, of one scale and turned together."""
        return self._surfaces(landscapes, ("loss", "accuracy"))

    def on_page(self, landscape: Landscape) -> dict[str, Any]:
        """The path, where there is one."""
        return {"path": self.path(landscape)}

    def path(self, landscape: Landscape) -> np.ndarray | None:
        """The (α, β) of an optimiser's checkpoints that is drawn over the plane, (K, 2); none by default."""
        return None

    def _paths(self, landscapes: Mapping[str, Landscape]) -> dict[str, np.ndarray]:
        """The paths of those that have one, by label."""
        paths = {label: self.path(landscape) for label, landscape in landscapes.items()}
        return {label: path for label, path in paths.items() if path is not None}

    def _surfaces(self, landscapes: Mapping[str, Landscape], values: "Sequence[Value]") -> "Chart":
        from study.figures.interactive_surfaces import surface_chart

        paths = self._paths(landscapes)
        return surface_chart(landscapes, axis_labels=self.axis_labels, values=values, paths=paths)

    def _panels(
        self, landscapes: Mapping[str, Landscape], title: str, caption: str, value: "Value"
    ) -> dict[str, "Figure"]:
        from study.figures.planes import contour_panels

        first = next(iter(landscapes.values()))
        return {
            suffix: contour_panels(
                landscapes,
                split=split,
                title=of_split,
                caption=caption,
                axis_labels=self.axis_labels,
                value=value,
                paths=self._paths(landscapes),
            )
            for suffix, split, of_split in by_split(first, title)
        }


@dataclass(frozen=True)
class HessianDrawing(PlaneDrawing):
    """Planes of two Hessian eigenvectors, and the loss along each beside its quadratic prediction.

    The companions of a landscape, `alpha` and `beta`, are lines along the eigenvectors.
    """

    def figures(
        self, landscape: Landscape, title: str, caption: str, warning: str | None
    ) -> Mapping[str, "Figure"]:
        """Contour and surface of each split, and as `.slices` the lines of the split that is predicted."""
        from study.figures.slices import PREDICTED, slices_figure

        drawn = dict(super().figures(landscape, title, caption, warning))
        lines = {self.axis_labels[axis]: landscape.companions[axis] for axis in landscape.axes}
        names = {}
        for label, line in lines.items():
            (direction,) = line.provenance["directions"]
            names[label] = f"eigenvalue {direction['eigenvalue']:.4g}".replace("-", "\N{MINUS SIGN}")
        (split,) = (
            name
            for name in landscape.splits
            if all(PREDICTED in line.split(name).values for line in lines.values())
        )
        drawn[".slices"] = slices_figure(
            lines, names, split=split, title=title, caption=caption, warning=warning
        )
        return drawn


@dataclass(frozen=True)
class HessianMapDrawing(PlaneDrawing):
    """Planes of the Hessian's eigenvalue ratio beside those of the loss."""

    def figures(
        self, landscape: Landscape, title: str, caption: str, warning: str | None
    ) -> Mapping[str, "Figure"]:
        """Contours of the ratio, and as `.loss` of the loss, for each split."""
        ratios = self.contours(landscape, title, caption, warning, "eigenvalue_ratio")
        losses = self.contours(landscape, f"{title}: the loss", caption, warning, "loss")
        drawn: dict[str, Figure] = {}
        for suffix, ratio in ratios.items():
            drawn |= {suffix: ratio, f"{suffix}.loss": losses[suffix]}
        return drawn

    def together(
        self, landscapes: Mapping[str, Landscape], groups: Mapping[str, str], title: str, caption: str
    ) -> Mapping[str, "Figure"]:
        """For each split, panels of the ratio with one scale."""
        return self._panels(landscapes, title, caption, "eigenvalue_ratio")

    def chart(self, landscapes: Mapping[str, Landscape], entries: Mapping[str, Sequence[str]]) -> "Chart":
        """Surfaces of the ratio first."""
        return self._surfaces(landscapes, ("eigenvalue_ratio", "loss", "accuracy"))

    def on_page(self, landscape: Landscape) -> dict[str, Any]:
        """The ratio to begin with."""
        return {"first": "eigenvalue_ratio", **super().on_page(landscape)}
