"""Moving pictures of a training: one frame a checkpoint, all of one size, one scale and one palette."""

import io
from collections.abc import Callable, Iterable, Mapping, Sequence
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
from PIL.Image import Quantize, Resampling
from scipy.spatial import cKDTree

from study.figures.contour import check_plane, contour_figure, draw_colour_bar, draw_plane
from study.figures.few import evenly
from study.figures.marks import marks
from study.figures.path import check_path
from study.figures.quantity import quantity
from study.figures.style import (
    COLOURS,
    GREEK,
    PAD,
    TITLE_SIZE,
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

WIDTH_OF_GIF, WIDTH_OF_STILL = 900, 640
"""Width of a frame, in pixels, in the animation and as a picture of its own."""

FINER = 2
"""Frames are drawn so many times as large as the animation, and made smaller, so that letters are smooth."""

COLOURS_OF_GIF = 256
"""Entries of the one palette: as many as the format has."""

FLAT_COLOURS = 128
"""Of them, so many are the very colours that most pixels have."""

SHORTEST, LONGEST, WHOLE, PAUSE = 120, 600, 6000, 3000
"""Milliseconds: of a frame at least and at most, of all frames but the last about, and of the last one."""

SIDE_BY_SIDE = 7.2
"""Width of contour and surface side by side, in inches."""

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
class Film:
    """A moving picture.

    Attributes:
        gif: the file; it loops for ever, and its last frame stays for `PAUSE`.
        stills: each frame by its update, a PNG file of one size, without the caption.
    """

    gif: bytes
    stills: dict[int, bytes]


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

    def words(self, loss_unit: str) -> str:
        """What the frame says of it."""
        when = f"update {self.update:,}"
        when += "" if self.epoch is None else f", epoch {self.epoch:.3g}"
        loss = f"{self.loss:.3g} {loss_unit}" if np.isfinite(self.loss) else "not finite"
        return f"{when}, loss {loss}"


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
    if len(moments) != len(path):
        raise ValueError(f"moments must be one for each of {len(path)} checkpoints, got {len(moments)}")
    shown = evenly(range(len(path)), MOST_FRAMES)
    words = {moments[place].update: moments[place].words(landscape.loss_unit) for place in shown}
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
    if not planes or len(moments) != len(planes):
        raise ValueError(f"planes must be at least one, with a moment each, got {len(planes)}")
    several = any(len(plane.splits) > 1 for plane in planes.values())
    shown = [check_plane(planes[update], split) for update in evenly([*planes], MOST_FRAMES)]
    words = {own.update: own.words(shown[0].loss_unit) for own in evenly(moments, MOST_FRAMES)}
    drawn = quantity(shown[0], "loss")
    heights = Heights.of(shown, drawn)
    label = unit("loss", shown[0].loss_unit, split if several else "")
    with styled():
        figure = new_figure(3.0)
        figure.set_figwidth(SIDE_BY_SIDE)
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
        right = 1 - PAD / SIDE_BY_SIDE
        fit(figure, surface, (left, body[1], right - left, body[3]))

    def draw(frame: int) -> None:
        for axes in (contour, surface):
            axes.clear()
        draw_plane(contour, shown[frame], heights.chosen, "loss", axis_labels)
        draw_surface(surface, shown[frame], heights, label, axis_labels)

    return _filmed(figure, title, caption, words, draw)


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
    canvas = figure.canvas
    assert isinstance(canvas, FigureCanvasAgg)
    head, foot = _text(figure, _longest(title, words.values())), _text(figure, caption)
    assert head is not None
    figure.set_dpi(FINER * WIDTH_OF_GIF / figure.get_figwidth())
    above = [*sorted(moving, key=lambda artist: artist.get_zorder()), head]
    pictures, stills = [], []
    with styled():
        for artist in above if moving else ():
            artist.set_visible(False)
        canvas.draw()
        below = canvas.copy_from_bbox(figure.bbox)
        for artist in above:
            artist.set_visible(True)
        room = 0.985 * (figure.get_figwidth() - 2 * PAD)
        for frame, said in enumerate(words.values()):
            draw(frame)
            head.set_text(wrap(figure, f"{title}\n{said}", size=TITLE_SIZE, width=room))
            if moving:
                canvas.restore_region(below)
                for artist in above:
                    figure.draw_artist(artist)
            else:
                canvas.draw()
            picture = Image.fromarray(np.asarray(canvas.buffer_rgba())[:, :, :3].copy())
            end = picture.height if foot is None else picture.height - round(foot.get_window_extent().y1)
            still = picture.crop((0, 0, picture.width, end))
            stills.append(still.resize(_size(still, WIDTH_OF_STILL), Resampling.HAMMING))
            pictures.append(picture.reduce(FINER))
    return Film(_gif(_painted(pictures)), dict(zip(words, map(_png, _painted(stills)), strict=True)))


def _text(figure: Figure, words: str) -> Text | None:
    """The figure's text that has these words, wherever its lines end."""
    said = {"".join(text.get_text().split()): text for text in reversed(figure.texts)}
    return said.get("".join(words.split())) if words.strip() else None


def _size(picture: Image.Image, width: int) -> tuple[int, int]:
    return width, round(picture.height * width / picture.width)


def _painted(pictures: Sequence[Image.Image]) -> list[Image.Image]:
    """The frames in one palette, so that no colour changes from one to the next by itself.

    Half of its entries are the colours that most pixels have, exactly; the others part what is left, which
    are the blends at edges, and a surface's many shades.
    """
    sheet = np.concatenate([np.asarray(picture).reshape(-1, 3) for picture in evenly(pictures, 8)])
    packed = sheet.astype(np.int32) @ np.array([65536, 256, 1], np.int32)
    colours, counts = np.unique(packed, return_counts=True)
    ordered = colours[np.argsort(-counts, kind="stable")]
    flat, rest = ordered[:FLAT_COLOURS], ordered[FLAT_COLOURS:]
    chosen = _unpacked(flat)
    if len(rest):
        shades = Image.fromarray(_unpacked(rest).astype(np.uint8)[None])
        parted = shades.quantize(COLOURS_OF_GIF - len(flat), Quantize.MEDIANCUT).getpalette() or []
        chosen = np.concatenate([chosen, np.array(parted).reshape(-1, 3)[: COLOURS_OF_GIF - len(flat)]])
    cells = np.stack(np.meshgrid(*[np.arange(0, 256, 4) + 1.5] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    nearest = cKDTree(chosen).query(cells)[1].astype(np.uint8)
    nearest[_cell(_unpacked(flat))[::-1]] = np.arange(len(flat), dtype=np.uint8)[::-1]
    painted = []
    for picture in pictures:
        own = Image.fromarray(nearest[_cell(np.asarray(picture))])
        own.putpalette(chosen.astype(np.uint8).tobytes())
        painted.append(own)
    return painted


def _unpacked(colours: np.ndarray) -> np.ndarray:
    """Red, green and blue, (n, 3), of colours in one number each."""
    return np.stack([colours >> 16, colours >> 8 & 255, colours & 255], axis=-1)


def _cell(colours: np.ndarray) -> np.ndarray:
    """Which of 64³ cells a colour, (…, 3), lies in."""
    red, green, blue = np.moveaxis(colours.astype(np.int32) >> 2, -1, 0)
    return red << 12 | green << 6 | blue


def _png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def _gif(pictures: Sequence[Image.Image]) -> bytes:
    """Frames of one palette in one file, which holds it once."""
    first, *rest = pictures
    each = min(max(WHOLE // len(pictures), SHORTEST), LONGEST)
    first.save(
        buffer := io.BytesIO(),
        "GIF",
        save_all=True,
        append_images=rest,
        duration=[each] * len(rest) + [PAUSE],
        loop=0,
        palette=bytes(first.getpalette() or []),
    )
    return buffer.getvalue()


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
