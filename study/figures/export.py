"""A figure as a file's bytes: the same figure gives the same bytes."""

import io
from typing import Any, Literal, get_args

from matplotlib.figure import Figure

from study.figures.style import DPI, styled

Format = Literal["png", "pdf", "svg"]

_NO_DATES: dict[Format, dict[str, Any]] = {
    "png": {"Software": None},
    "pdf": {"Creator": None, "Producer": None, "CreationDate": None},
    "svg": {"Creator": None, "Date": None},
}


def render(figure: Figure, format: Format) -> bytes:
    """The figure as a file: `png` at 300 dots per inch, `pdf` with embedded TrueType fonts, or `svg`.

    No date, version or random name goes into it, so equal figures give equal bytes.

    Raises:
        ValueError: if the format is another.
    """
    if format not in get_args(Format):
        raise ValueError(f"format must be one of {list(get_args(Format))}, got {format!r}")
    buffer = io.BytesIO()
    with styled():
        figure.savefig(buffer, format=format, dpi=DPI, metadata=_NO_DATES[format])
    return buffer.getvalue()
