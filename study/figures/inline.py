"""A figure that a notebook shows where it is the last value of a cell, whatever backend is set."""

from matplotlib.figure import Figure

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
        from study.figures.style import DPI

        width = round(SHOWN * DPI * self.get_figwidth())
        return smaller(render(self, "png"), KEPT_COLOURS), {"width": width}
