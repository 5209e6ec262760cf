"""Moving pictures of a training: one frame a checkpoint, all of one size, one scale and one palette."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text
from mpl_toolkits.mplot3d import Axes3D
from PIL import Image

from study.figures.contour import check_plane, contour_figure, draw_colour_bar, draw_plane
from study.figures.few import evenly
from study.figures.film import FINER, WIDTH_OF_GIF, Film
from study.figures.layout import layout
from study.figures.marks import marks
from study.figures.path import check_path
from study.figures.quantity import quantity
from study.figures.style import (
    COLOURS,
    GREEK,
    PAD,
    Manner,
    compose,
    new_figure,
    styled,
    unit,
    wrap,
)
from study.figures.surface import Heights, draw_surface, fit
from study.landscape.result import Landscape

MOST_FRAMES = 40
"""Of more checkpoints, so many are shown, evenly spaced from the first to the last."""

HEAD: dict[str, Any] = {
    "linestyle": "none",
    "marker": "o",
    "markersize": 8.0,
    "markerfacecolor": COLOURS.warning,
    "markeredgecolor": COLOURS.ink,
    "markeredgewidth": 0.5,
}
"""Where the optimiser is: a disc below its checkpoint's own mark."""


@dataclass(frozen=True)
class Moment:
    """A checkpoint of a training, in the words of its frame.

    Attributes:
        update: number of updates taken.
        loss: of the checkpoint.
        epoch: the same as `update` in epochs, where it is known how many updates make one.
    """

    update: int
    loss: float
    epoch: float | None = None

    @property
    def when(self) -> str:
        """Its place in the training."""
        epoch = "" if self.epoch is None else f", epoch {round(self.epoch, 2):g}"
        return f"update {self.update:,}{epoch}"

    def words(self, loss_unit: str) -> str:
        """What the frame says of it."""
        loss = f"{self.loss:.3g} {loss_unit}" if np.isfinite(self.loss) else "not finite"
        return f"{self.when}, loss {loss}"


def moments(updates: Iterable[float], losses: Iterable[float], per_epoch: int | None) -> list[Moment]:
    """What the frames of several checkpoints say.

    Args:
        updates: number of updates taken at each.
        losses: of each.
        per_epoch: updates that make an epoch, where it is known.
    """
    return [
        Moment(int(update), float(loss), update / per_epoch if per_epoch else None)
        for update, loss in zip(updates, losses, strict=True)
    ]


def path_film(
    landscape: Landscape,
    path: np.ndarray,
    moments: Sequence[Moment],
    *,
    split: str,
    title: str,
    caption: str,
    axis_labels: Mapping[str, str] = GREEK,
    warning: str | None = None,
) -> Film:
    """The optimiser's path over the contours of a plane, growing checkpoint by checkpoint; these stay.

    Args:
        landscape: over a plane of at least 2 by 2 points.
        path: (α, β) of the checkpoints, (K, 2).
        moments: of the same checkpoints, in their order.
        split: one of `landscape.splits`.
        title: above every frame; below it stands which checkpoint it is, with the loss of its own weights.
        caption: below every frame.
        axis_labels: of the axes, by their names in the landscape.
        warning: why the picture is not to be trusted; conspicuous above every frame.

    Raises:
        ValueError: if the landscape is no such plane or lacks the split, the path is none, or has not one
            moment for each checkpoint.
    """
    path = check_path(path)
    words = _words(moments, len(path), landscape.loss_unit)
    shown = evenly(range(len(path)), MOST_FRAMES)
    figure = contour_figure(
        landscape,
        split=split,
        title=_longest(title, words.values()),
        caption=caption,
        path=path,
        axis_labels=axis_labels,
        warning=warning,
    )
    axes = figure.axes[0]
    line, dots = (next(own for own in axes.lines if own.get_gid() == gid) for gid in ("path", "checkpoints"))
    under = line.get_zorder()
    with styled():
        (head,) = axes.plot([], [], gid="head", clip_on=False, zorder=dots.get_zorder() - 0.1, **HEAD)

    def draw(frame: int) -> None:
        gone = path[: shown[frame] + 1]
        line.set_data(*gone.T)
        dots.set_data(*gone[1 : len(path) - 1].T)
        head.set_data(*gone[-1:].T)

    moving = [artist for artist in axes.get_children() if artist.get_zorder() >= under]
    return _filmed(figure, title, caption, words, draw, moving)


def planes_film(
    planes: Mapping[int, Landscape],
    moments: Sequence[Moment],
    *,
    split: str,
    title: str,
    caption: str,
    axis_labels: Mapping[str, str] = GREEK,
    warning: str | None = None,
) -> Film:
    """The plane about each of several checkpoints: contours beside the surface, levels and heights of all.

    Args:
        planes: of at least 2 by 2 points over one grid, by update, in the order of the training.
        moments: of the same checkpoints, in their order.
        split: one of the splits of each.
        title: above every frame; below it stands which checkpoint it is, with the loss at its centre.
        caption: below every frame.
        axis_labels: of the axes, by their names in the landscape.
        warning: why the picture is not to be trusted; conspicuous above every frame.

    Raises:
        ValueError: if there is none, one is no such plane or lacks the split, or there is not one moment for
            each.
    """
    if not planes:
        raise ValueError("planes must be at least one, got none")
    several = any(len(plane.splits) > 1 for plane in planes.values())
    shown = [check_plane(plane, split) for plane in evenly([*planes.values()], MOST_FRAMES)]
    words = _words(moments, len(planes), shown[0].loss_unit)
    drawn = quantity(shown[0], "loss")
    heights = Heights.of(shown, drawn)
    label = unit("loss", shown[0].loss_unit, split if several else "")
    with styled():
        figure = new_figure(3.0)
        figure.set_figwidth(layout().wide)
        contour, place = figure.subplots(1, 2, width_ratios=(1.0, 1.15))
        place.set_axis_off()
        handles: list[Artist] = []
        fills = None
        for plane in shown:
            contour.clear()
            own, _lines, entries = draw_plane(contour, plane, heights.chosen, "loss", axis_labels)
            fills = fills or own
            handles += [Line2D([], [], label=mark.name, **mark.look(8.0)) for mark in marks(plane)] + entries
        if fills is not None:
            draw_colour_bar(figure, contour, fills, heights.chosen, label)
        body = compose(
            figure,
            title=_longest(title, words.values()),
            caption=caption,
            handles=list({str(own.get_label()): own for own in handles}.values()),
            body_height=3.0,
            ratio=1.0,
            warning=warning,
            manner=Manner(space=(0.05, 0.02), columns=None),
        )
        left = place.get_position(original=True).x0
        place.remove()
        surface: Axes3D = figure.add_subplot(projection="3d", computed_zorder=False)
        draw_surface(surface, shown[-1], heights, label, axis_labels)
        right = 1 - PAD / figure.get_figwidth()
        fit(figure, surface, (left, body[1], right - left, body[3]))

    def draw(frame: int) -> None:
        for axes in (contour, surface):
            axes.clear()
        draw_plane(contour, shown[frame], heights.chosen, "loss", axis_labels)
        draw_surface(surface, shown[frame], heights, label, axis_labels)

    return _filmed(figure, title, caption, words, draw)


def _words(moments: Sequence[Moment], count: int, loss_unit: str) -> dict[int, str]:
    """What each frame says, by its update; of many checkpoints, some have one.

    Raises:
        ValueError: if there are not `count` of them.
    """
    if len(moments) != count:
        raise ValueError(f"moments must be one for each of {count} checkpoints, got {len(moments)}")
    return {own.update: own.words(loss_unit) for own in evenly(moments, MOST_FRAMES)}


def _longest(title: str, words: Iterable[str]) -> str:
    """The title with the longest of the frames' words: the room that all of them need."""
    return f"{title}\n{max(words, key=len)}"


def _filmed(
    figure: Figure,
    title: str,
    caption: str,
    words: Mapping[int, str],
    draw: Callable[[int], None],
    moving: Sequence[Artist] = (),
) -> Film:
    """Draw every frame of a figure whose layout is final.

    Args:
        figure: with a title of two parts.
        title: the first of them.
        caption: of the figure.
        words: the other, by the update of each frame.
        draw: makes the figure show a frame, by its number.
        moving: what it changes, and what lies above that; the rest is then drawn once.
    """
    head, foot = _text(figure, _longest(title, words.values())), _text(figure, caption)
    assert head is not None
    figure.set_dpi(FINER * WIDTH_OF_GIF / figure.get_figwidth())
    end = figure.bbox.height if foot is None else figure.bbox.height - foot.get_window_extent().y1
    return Film.of(_frames(figure, head, title, words, draw, moving), round(end))


def _frames(
    figure: Figure,
    head: Text,
    title: str,
    words: Mapping[int, str],
    draw: Callable[[int], None],
    moving: Sequence[Artist],
) -> Iterator[tuple[int, Image.Image]]:
    """The frames of a figure, each with its update; the arguments are those of `_filmed`."""
    canvas = figure.canvas
    assert isinstance(canvas, FigureCanvasAgg)
    above = [*sorted(moving, key=lambda artist: artist.get_zorder()), head]
    room = 0.985 * (figure.get_figwidth() - 2 * PAD)
    with styled():
        for artist in above if moving else ():
            artist.set_visible(False)
        canvas.draw()
        below = canvas.copy_from_bbox(figure.bbox)
        for artist in above:
            artist.set_visible(True)
        for frame, (update, said) in enumerate(words.items()):
            draw(frame)
            head.set_text(wrap(figure, f"{title}\n{said}", size=layout().title_size, width=room))
            if moving:
                canvas.restore_region(below)
                for artist in above:
                    figure.draw_artist(artist)
            else:
                canvas.draw()
            yield update, Image.fromarray(np.asarray(canvas.buffer_rgba())[:, :, :3].copy())


def _text(figure: Figure, words: str) -> Text | None:
    """The figure's text that has these words, wherever its lines end."""
    said = {"".join(text.get_text().split()): text for text in reversed(figure.texts)}
    return said.get("".join(words.split())) if words.strip() else None
