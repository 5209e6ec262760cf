"""Landscapes as self-contained web pages: turned, zoomed and read off under the pointer."""

from html import escape

from study.figures.interactive_line import line_curves
from study.figures.interactive_plane import plane_views
from study.landscape.result import Landscape

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font-family: "DejaVu Sans", Verdana, sans-serif; margin: 1em auto; max-width: 80em; padding: 0 1em; }}
h1 {{ font-size: 1.15em; font-weight: normal; }}
p {{ color: #555555; font-size: 0.85em; overflow-wrap: anywhere; }}
</style>
</head>
<body>
<h1>{title}</h1>
{figure}
<p>{caption}</p>
</body>
</html>
"""


def interactive_page(landscape: Landscape, *, title: str, caption: str) -> str:
    """A web page in one string, with the drawing library within: it asks nothing of any network.

    A plane is a surface in three dimensions beside its contours; a line is curves of loss and accuracy.
    Buttons choose the scale of the loss and the split. Under the pointer: coordinates, loss, accuracy and
    status.

    Args:
        landscape: over a line, or over a plane of at least 2 by 2 points.
        title: above the picture, taken literally.
        caption: below it, taken literally.

    Raises:
        ValueError: if the landscape is of another shape.
    """
    if len(landscape.shape) == 1:
        figure = line_curves(landscape)
    elif len(landscape.shape) == 2 and min(landscape.shape) >= 2:
        figure = plane_views(landscape)
    else:
        raise ValueError(
            f"landscape must be a line or a plane of at least 2 by 2 points, got shape {landscape.shape}"
        )
    figure.update_layout(
        template="plotly_white",
        height=620,
        margin={"l": 60, "r": 20, "t": 70, "b": 50},
        font={"family": "DejaVu Sans, Verdana, sans-serif", "size": 13},
    )
    body = figure.to_html(
        full_html=False,
        include_plotlyjs=True,
        include_mathjax=False,
        div_id="landscape",
        config={"displaylogo": False, "responsive": True, "plotlyServerURL": ""},
    )
    return _PAGE.format(title=escape(title), caption=escape(caption), figure=body)
