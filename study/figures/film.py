"""A moving picture as files: frames of one size and palette, as a GIF, and each as a picture by itself."""

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image
from PIL.Image import Quantize, Resampling
from scipy.spatial import cKDTree

from study.figures.few import evenly

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


@dataclass(frozen=True)
class Film:
    """A moving picture.

    Attributes:
        gif: the file; it loops for ever, and its last frame stays for `PAUSE`.
        stills: each frame by its update, a PNG file of one size, without the caption.
    """

    gif: bytes
    stills: dict[int, bytes]

    @classmethod
    def of(cls, pictures: Iterable[tuple[int, Image.Image]], end: int) -> "Film":
        """The film of frames, each with its update.

        Args:
            pictures: `FINER` times as wide as the animation, all of one size; each is let go once it is seen.
            end: how many of their rows stand above the caption.
        """
        frames, stills, updates = [], [], []
        for update, picture in pictures:
            still = picture.crop((0, 0, picture.width, end))
            size = (WIDTH_OF_STILL, round(still.height * WIDTH_OF_STILL / still.width))
            stills.append(still.resize(size, Resampling.HAMMING))
            frames.append(picture.reduce(FINER))
            updates.append(update)
        return cls(_gif(_painted(frames)), dict(zip(updates, map(_png, _painted(stills)), strict=True)))


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
