"""A figure that a notebook shows where it is the last value of a cell, whatever backend is set."""

import io

from matplotlib.figure import Figure
from PIL import Image

SHOWN = 0.5
"""Width at which a notebook shows a figure, over its pixels: sharp on screens of twice the density."""

KEPT_COLOURS = 128
"""Of the picture in a notebook, which is kept in its file: a third of the bytes, and nothing that is seen."""


class Picture(Figure):
    """A figure that shows itself in a notebook."""

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        """The figure as PNG, and the width in pixels at which it is shown; IPython asks for both."""
        from study.figures.export import render  # which needs the style, which makes these figures

        image = Image.open(io.BytesIO(render(self, "png"))).convert("RGB").quantize(KEPT_COLOURS)
        buffer = io.BytesIO()
        image.save(buffer, format="png", optimize=True)
        return buffer.getvalue(), {"width": round(SHOWN * image.width)}
