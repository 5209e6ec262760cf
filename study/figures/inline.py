"""A figure that a notebook shows where it is the last value of a cell, whatever backend is set."""

import io

from matplotlib.figure import Figure
from PIL import Image

from study.figures.few_colours import smaller

SHOWN = 0.5
"""Width at which a notebook shows a figure, over its pixels: sharp on screens of twice the density."""

KEPT_COLOURS = 128
"""Of the picture in a notebook, which is kept in its file: a third of the bytes, and nothing that is seen."""


class Picture(Figure):
    """A figure that shows itself in a notebook."""

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        """The figure as PNG, and the width in pixels at which it is shown; IPython asks for both."""
        from study.figures.export import render  # which needs the style, which makes these figures

        png = smaller(render(self, "png"), KEPT_COLOURS)
        return png, {"width": round(SHOWN * Image.open(io.BytesIO(png)).width)}
