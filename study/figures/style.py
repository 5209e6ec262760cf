"""The one matplotlib style, and the page around a picture: title above, legend and caption below."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.artist import Artist
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.text import Text
from matplotlib.ticker import MaxNLocator

from study.figures.inline import Picture
from study.figures.layout import layout
from study.figures.scale import STEPS
from study.landscape.result import NATS

DPI = 300
"""Dots per inch of a figure: the layout is measured at the resolution at which it is rastered."""

PAD = 0.06
"""Inches between the edge of a figure and what it holds, and between title, axes, legend and caption."""


@dataclass(frozen=True)
class Colours:
    """Colours that stay apart for colour-blind readers (Okabe and Ito 2008) and in grey.

    Attributes:
        loss: the loss of a line, with solid and dashed strokes for its splits.
        accuracy: the accuracy of a line.
        ink: text and marks over a picture.
        paper: the background, and the edge of marks.
        quiet: guides and captions.
        diverged: the hatching where the loss is not finite.
        warning: why the picture is not to be trusted.
        loss_map: the colour map of the loss; perceptually uniform, dark is low.
        accuracy_map: the colour map of the accuracy; perceptually uniform, another than that of the loss.
        ratio_map: the colour map of the eigenvalue ratio; perceptually uniform, another than both.
        spread_map: the colour map of how far losses differ; perceptually uniform, another than all of them.
    """

    loss: str = "#0072B2"
    accuracy: str = "#D55E00"
    ink: str = "#000000"
    paper: str = "#FFFFFF"
    quiet: str = "#555555"
    diverged: str = "#8C8C8C"
    warning: str = "#D55E00"
    loss_map: str = "viridis"
    accuracy_map: str = "cividis"
    ratio_map: str = "plasma"
    spread_map: str = "magma"


COLOURS = Colours()

STROKES: tuple[Any, ...] = ("-", (0, (4, 1.5)), (0, (1, 1.2)), (0, (5, 1.2, 1, 1.2)))
"""Line styles of the splits, in order: solid, dashed, dotted, dash-dotted."""

STAR = "*"
"""Marker of the solution, and of nothing else."""

MARKERS = ("o", "s", "D", "^", "v", "P", "X", "<", ">", "p", "h", "d")
"""Markers of the other special points, in order; the first is the initialisation's."""

HATCHES = ("////", "\\\\\\\\", "xxxx", "....")
"""Hatches of the splits where they diverge, in order."""

LOSSES: dict[str, str] = {"loss": "loss", "loss_standard_deviation": "SD of loss"}
"""What each value in the loss's unit is called on an axis or a colour bar, before that unit."""

UNITS: dict[str, str] = {
    "accuracy": "accuracy (%)",
    "eigenvalue_ratio": "|λmin / λmax|",
}
"""What each other value is called there."""

GREEK: dict[str, str] = {"alpha": "α", "beta": "β"}
"""What each axis of a landscape is called in a picture; an axis of another name keeps it."""

STYLE: dict[str, Any] = {
    "figure.dpi": DPI,
    "savefig.dpi": DPI,
    "font.family": "DejaVu Sans",
    "axes.linewidth": 0.6,
    "axes.formatter.limits": (-3, 4),
    "axes.formatter.use_mathtext": True,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.minor.width": 0.4,
    "ytick.minor.width": 0.4,
    "legend.frameon": False,
    "legend.handlelength": 2.4,
    "legend.columnspacing": 1.2,
    "legend.borderaxespad": 0.0,
    "legend.borderpad": 0.1,
    "lines.linewidth": 1.2,
    "lines.markersize": 4.0,
    "hatch.linewidth": 0.5,
    "text.hinting": "no_hinting",  # the same widths in the raster and the vector formats
    "svg.hashsalt": "study",
    "svg.fonttype": "path",  # the same picture where the font is not installed
    "pdf.fonttype": 42,
}


@contextmanager
def styled() -> Iterator[None]:
    """Apply the style, whatever the user's own matplotlib settings are, and put theirs back afterwards."""
    own = layout()
    sizes = {
        "axes.titlesize": own.title_size,
        "axes.labelsize": own.label_size,
        **dict.fromkeys(
            ("font.size", "xtick.labelsize", "ytick.labelsize", "legend.fontsize"), own.small_size
        ),
    }
    with mpl.rc_context():
        mpl.rcdefaults()
        for name, value in (STYLE | sizes).items():
            mpl.rcParams[name] = value  # type: ignore[index]  # the stub lists the names one by one
        yield


def unit(value: str, loss_unit: str, split: str = "") -> str:
    """What a value is called on an axis or a colour bar.

    Args:
        value: one of `LOSSES` or of `UNITS`.
        loss_unit: what the loss of an example is counted in.
        split: stands before it where one is given.
    """
    per_example = (
        f"{NATS} per example" if loss_unit == NATS else loss_unit
    )  # an error is one example's anyway
    named = f"{LOSSES[value]} ({per_example})" if value in LOSSES else UNITS[value]
    return f"{split} {named}".strip()


def new_figure(height: float) -> Figure:
    """An empty figure of the layout's width, `height` inches high, on a raster canvas, unknown to pyplot."""
    figure = Picture(figsize=(layout().width, height))
    FigureCanvasAgg(figure)
    return figure


@dataclass(frozen=True)
class Manner:
    """How a page spreads what it holds; by default, one picture.

    Attributes:
        space: inches beside, and above and below, each of the axes.
        columns: of a legend of more than three entries, if there is room; None takes as many as there is
            room for.
        passes: how often the height is at most adapted to the ratio of the axes, which it nears in swings.
    """

    space: tuple[float, float] = (0.0, 0.02)
    columns: int | None = 2
    passes: int = 4


def compose(
    figure: Figure,
    *,
    title: str,
    caption: str,
    handles: Sequence[Artist] = (),
    body_height: float,
    ratio: float | None = None,
    warning: str | None = None,
    manner: Manner = Manner(),
) -> tuple[float, float, float, float]:
    """Put title, legend and caption around the axes, lay the axes out between them, and fix the layout.

    The figure keeps its width and grows in height by what the words need, so that nothing overlaps and
    nothing is cut off. Title and caption are wrapped at that width; all words are taken literally (a `$` is a
    dollar sign).

    Where the layout leaves words out, title and caption are not drawn; `said` has them of any figure.

    Args:
        figure: holds its axes, in no layout yet.
        title: above the axes; nothing is drawn for an empty one.
        caption: small, below everything.
        handles: the entries of the legend, each with its label.
        body_height: inches for the axes with their own labels.
        ratio: height over width of the first axes, where it matters; `body_height` is adapted to it, the same
            for every row of axes.
        warning: why the picture is not to be trusted; bold, above everything.
        manner: how the axes and the legend's entries are spread.

    Returns:
        left, bottom, width and height of the body in figure coordinates.
    """
    figure.set_label(json.dumps([title, caption, warning or ""]))
    if not layout().words:
        title = caption = ""
    for axis in figure.findobj(Axis):
        axis.label.set_parse_math(not axis.offsetText.get_visible())  # a factor that is folded in is TeX
    alarm = _words(figure, warning or "", size=layout().label_size, colour=COLOURS.warning, weight="bold")
    head = _words(figure, title, size=layout().title_size, colour=COLOURS.ink)
    foot = _words(figure, caption, size=layout().small_size - 0.5, colour=COLOURS.quiet)
    key = _legend(figure, handles, manner.columns)
    width = figure.get_figwidth()
    left = PAD / width
    rows = {place.rowspan.start for axes in figure.axes if (place := axes.get_subplotspec()) is not None}
    top, above, middle, below = (_height(figure, artist) for artist in (alarm, head, key, foot))

    def arrange(inches: float, before: float = 0.0, after: float = 0.0) -> tuple[float, float, float, float]:
        height = inches + top + above + middle + below + 2 * PAD
        figure.set_figheight(height)
        if alarm is not None:
            alarm.set(position=(left, 1 - PAD / height), verticalalignment="top")
        if head is not None:
            head.set(position=(left, 1 - (PAD + top) / height), verticalalignment="top")
        if foot is not None:
            foot.set(position=(left, PAD / height), verticalalignment="bottom")
        if key is not None:
            key.set_bbox_to_anchor((0.5, (PAD + below) / height), transform=figure.transFigure)
        room = 1 - 2 * left - (before + after) / width
        body = (left + before / width, (PAD + below + middle) / height, room, inches / height)
        across, up = manner.space
        figure.set_layout_engine("constrained", rect=body, w_pad=across, h_pad=up, wspace=0.0, hspace=0.0)
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
        return body

    body = arrange(body_height)
    if ratio is None:
        return body

    def lacking(ratio: float) -> float:
        slot = figure.axes[0].get_position(original=True)
        return slot.width * width * ratio - slot.height * figure.get_figheight()

    for _ in range(manner.passes):
        if abs(more := lacking(ratio)) < 0.01:
            break
        body_height += len(rows) * more
        arrange(body_height)
    arrange(body_height)  # margins were those of axes that were not yet so wide: labels would stick out
    body_height += len(rows) * min(lacking(ratio), 0.0)  # and these may be less wide
    body = arrange(body_height)
    return arrange(body_height, *aside) if any(aside := _beyond(figure)) else body


def said(figure: Figure) -> tuple[str, str, str]:
    """Title, caption and warning of a figure that was composed, drawn or not."""
    title, caption, warning = json.loads(str(figure.get_label()))
    return title, caption, warning


def name_coordinate(axis: Axis, label: str, between: str = "  ") -> None:
    """Give an axis of coordinates its label and its ticks: one range has the same ones in every figure.

    To be called before the layout, with the axis limits set.
    """
    axis.set_major_locator(MaxNLocator(5, steps=STEPS))
    axis.set_label_text(label)
    fold_offset(axis, between)


def fold_offset(axis: Axis, between: str = "  ") -> None:
    """Move the common factor of an axis's ticks (×10⁶) from its far end into the axis's label.

    To be called before the layout, with the axis limits set.
    """
    formatter = axis.get_major_formatter()
    formatter.set_locs(list(axis.get_majorticklocs()))
    offset = formatter.get_offset()
    if offset:
        words = axis.get_label_text().replace("$", r"\$")
        axis.set_label_text(f"{words}{between}({offset.replace(chr(0x2212), '-')})")
        axis.offsetText.set_visible(False)


def wrap(figure: Figure, text: str, *, size: float, width: float, weight: str = "normal") -> str:
    """`text` with line breaks so that no line is wider than `width` inches; a word too long is split."""
    probe = figure.text(0, 0, "", fontsize=size, fontweight=weight, parse_math=False)

    def fits(line: str) -> bool:
        probe.set_text(line)
        return probe.get_window_extent().width / figure.dpi <= width

    lines = []
    for paragraph in text.splitlines():
        line = ""
        for word in paragraph.split():
            longer = f"{line} {word}" if line else word
            if fits(longer):
                line = longer
                continue
            if line:
                lines.append(line)
            while not fits(word):
                cut = next((n for n in range(len(word) - 1, 1, -1) if fits(word[:n])), 1)
                lines.append(word[:cut])
                word = word[cut:]
            line = word
        lines.append(line)
    probe.remove()
    return "\n".join(lines)


def _beyond(figure: Figure) -> list[float]:
    """Inches by which axes come nearer than `PAD` to each side of the page, if they leave it there; or 0."""
    boxes = [box for axes in figure.axes if (box := axes.get_tightbbox()) is not None]
    over = max(-box.x0 for box in boxes), max(box.x1 for box in boxes) - figure.bbox.x1
    return [dots / figure.dpi + PAD if dots > 1.0 else 0.0 for dots in over]


def _words(figure: Figure, text: str, *, size: float, colour: str, weight: str = "normal") -> Text | None:
    if not text.strip():
        return None
    room = 0.985 * (figure.get_figwidth() - 2 * PAD)
    wrapped = wrap(figure, text, size=size, width=room, weight=weight)
    return figure.text(
        0, 0, wrapped, fontsize=size, fontweight=weight, color=colour, parse_math=False, linespacing=1.25
    )


def _legend(figure: Figure, handles: Sequence[Artist], most: int | None) -> Legend | None:
    start = len(handles) if most is None or len(handles) <= 3 else most
    for columns in range(start, 0, -1):
        legend = figure.legend(handles=list(handles), loc="lower center", ncols=columns)
        for text in legend.get_texts():
            text.set_parse_math(False)
        excess = legend.get_window_extent().width / figure.dpi - (figure.get_figwidth() - 2 * PAD)
        if columns == 1 and excess > 0:
            room = max(text.get_window_extent().width for text in legend.get_texts()) / figure.dpi - excess
            for text in legend.get_texts():
                text.set_text(wrap(figure, text.get_text(), size=layout().small_size, width=room))
        if columns == 1 or excess <= 0:
            return legend
        legend.remove()
    return None


def _height(figure: Figure, artist: Text | Legend | None) -> float:
    """Inches that the artist takes, with the space that parts it from its neighbour; 0 without one."""
    return 0.0 if artist is None else artist.get_window_extent().height / figure.dpi + PAD
