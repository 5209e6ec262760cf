"""The figures of an optimiser's path on its plane: all of it at once, and checkpoint by checkpoint."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from study.kinds.drawing import PlaneDrawing
from study.kinds.titles import by_split
from study.landscape.result import Landscape

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from study.figures.film import Film


@dataclass(frozen=True)
class TrajectoryDrawing(PlaneDrawing):
    """Planes with an optimiser's path on them, and what they leave out of it.

    The provenance of a landscape has the path as `trajectory`; its companion `path` is over its updates.
    """

    def figures(
        self, landscape: Landscape, title: str, caption: str, warning: str | None
    ) -> Mapping[str, "Figure"]:
        """Contour and surface with the path, and as `.path` what is on and off the plane, for each split."""
        from study.figures.trajectory import trajectory_figure

        drawn = dict(super().figures(landscape, title, caption, warning))
        about = landscape.provenance["trajectory"]
        first, off = about["coordinates"][0], np.array(about["distances"])
        moved = float(np.linalg.norm([*first, off[0]]))  # ‖θ*−θ₀‖: the axes are orthonormal
        shares, random_walk = (
            {center: np.array(own) for center, own in about[key].items()} for key in ("shares", "random_walk")
        )
        for suffix, split, of_split in by_split(landscape, title):
            path = landscape.companions["path"].split(split)
            (updates,) = path.axes.values()
            drawn[f"{suffix}.path"] = trajectory_figure(
                updates,
                path.values["loss"],
                path.values["loss_at_projection"],
                off / moved if moved > 0 else np.full(off.shape, np.nan),
                shares,
                random_walk,
                title=of_split,
                caption=caption,
                loss_unit=landscape.loss_unit,
                split=split if len(landscape.splits) > 1 else "",
                warning=warning,
            )
        return drawn

    def films(
        self, landscape: Landscape, title: str, caption: str, warning: str | None
    ) -> Mapping[str, "Film"]:
        """The path, growing checkpoint by checkpoint, for each split."""
        from study.figures.animation import moments, path_film

        per_epoch = landscape.provenance.get("updates_per_epoch")
        drawn = {}
        for suffix, split, of_split in by_split(landscape, title):
            path = landscape.companions["path"].split(split)
            drawn[suffix] = path_film(
                landscape,
                self.path(landscape),
                moments(path.axes["update"], path.values["loss"], per_epoch),
                split=split,
                title=of_split,
                caption=caption,
                axis_labels=self.axis_labels,
                warning=warning,
            )
        return drawn

    def path(self, landscape: Landscape) -> np.ndarray:
        """The projections of the checkpoints."""
        return np.array(landscape.provenance["trajectory"]["coordinates"])
