"""How large figures and their words are: the one place for both, read from the context they are drawn in."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

WIDTH = 3.5
"""Width of a picture by default, in inches: one column of a two-column paper."""

WIDE = 7.2
"""Width of several panels by default, in inches: both columns."""

LABEL_SIZE = 9.0
"""Font size of the labels of axes by default, in points."""

PANEL = 1.6
"""Inches that a panel takes at least, with what it has of labels."""


@dataclass(frozen=True)
class Layout:
    """Sizes of a figure, and whether its words are part of it. The defaults are those of a run's pictures.

    Attributes:
        width: of one picture, in inches.
        wide: of several panels, in inches.
        title_size: font size of titles, in points.
        label_size: of the labels of axes.
        small_size: of everything else that is read.
        smallest_size: of labels on isolines.
        words: whether title and caption are drawn; a warning always is.
    """

    width: float = WIDTH
    wide: float = WIDE
    title_size: float = 9.0
    label_size: float = LABEL_SIZE
    small_size: float = 7.5
    smallest_size: float = 6.5
    words: bool = True

    @classmethod
    def paper(cls, width: float, font_size: float) -> "Layout":
        """Every figure at one width, to be printed at its own size, with the words in the paper's caption.

        Args:
            width: in inches.
            font_size: in points, of the labels of axes; everything else is one point smaller.
        """
        small = font_size - 1.0
        return cls(width, width, font_size, font_size, small, small, words=False)

    def tall(self, inches: float) -> float:
        """A height that is `inches` at the default width: it grows with the square root of the width."""
        return inches * (self.width / WIDTH) ** 0.5

    def columns(self, most: int, panel: float = PANEL) -> int:
        """How many panels stand beside each other, at most `most`; each takes `panel` inches at least."""
        return max(1, min(most, int(self.wide / panel)))


_LAYOUT: ContextVar[Layout] = ContextVar("layout")
_DEFAULT = Layout()


def layout() -> Layout:
    """The layout of the figures that are drawn now."""
    return _LAYOUT.get(_DEFAULT)


@contextmanager
def laid_out(chosen: Layout) -> Iterator[None]:
    """Within, figures have this layout."""
    token = _LAYOUT.set(chosen)
    try:
        yield
    finally:
        _LAYOUT.reset(token)
