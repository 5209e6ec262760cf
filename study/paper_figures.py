"""The figures of a run or a sweep for a paper: drawn anew at its width and font size, captions beside."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from io import BytesIO
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, cast, get_args

import pandas as pd

from study import curvature, report
from study.analysis.curvature import Curvature
from study.between import kept_pairs
from study.compare import compare
from study.comparison_report import RUNS_TABLE, VERDICTS, kept_verdicts, tested
from study.errors import ConfigError
from study.export import write_files
from study.figures.export import Format, render
from study.figures.layout import Layout, laid_out
from study.figures.style import said
from study.figures.verdicts import verdicts_figure
from study.kinds import KINDS
from study.landscape.result import Landscape
from study.members import Members
from study.record import COMPARISONS, RUNS, SWEEPS, DamagedFileError, Record
from study.saved import saved_landscapes
from study.self_checks import broken_checks
from study.source import find_record
from study.span import PATH_SHARE
from study.subject import Subject

if TYPE_CHECKING:
    from matplotlib.figure import Figure

log = logging.getLogger(__name__)

COLUMNS = {"single": 3.25, "double": 6.75}
"""Widths by name, in inches: one column of a paper, and two."""

UNITS = {"in": 1.0, "mm": 1 / 25.4, "cm": 1 / 2.54}
"""Units of other widths, in inches."""

NARROWEST, WIDEST = 2.5, 20.0
"""Inches between which a figure can be read and laid out."""

SMALLEST, LARGEST = 5.0, 12.0
"""Points between which a font size is one of a figure."""

PAGE = 9.5
"""Inches that a page has for a figure and its caption, about."""

RULE = "must name one run, sweep or comparison in output_dir, by its hash or its MLflow id"


def paper_figures(
    run: str,
    folder: str | Path,
    output_dir: str | Path,
    *,
    names: Sequence[str] = (),
    width: str = "single",
    font_size: str = "8",
    formats: str = "pdf,svg,png",
    force: bool = False,
) -> list[Path]:
    """Write the figures of a run, a sweep or a comparison to `folder`, and a caption `NAME.txt` to each.

    They are drawn from records alone; nothing is evaluated. No title and no caption is in the picture; what
    says that a landscape is not to be trusted is.

    Args:
        run: hash, the beginning of one, or MLflow id.
        folder: where the files go; it is made if it is missing.
        output_dir: where records are.
        names: of the figures, as their files in the record are called; all of them if none is given.
        width: `single`, `double`, or a length as `5.5in`, `140mm`; every figure is exactly so wide.
        font_size: in points, of the labels of axes; the rest is one point smaller.
        formats: one or more of `pdf`, `svg`, `png`, with commas between.
        force: whether files with other content are replaced.

    Returns:
        the files, in order.

    Raises:
        ConfigError: naming what is wrong: the run, a name, the width, the size, a format, the folder, a file
            that would be lost.
    """
    layout, chosen = Layout.paper(inches(width), points(font_size)), _formats(formats)
    record = _record(run, output_dir)
    known = _known(record)
    if not known:
        raise ConfigError("RUN", "must name what has figures", run)
    if unknown := [name for name in names if name not in known]:
        raise ConfigError("NAME", f"must be one of {', '.join(known)}", unknown[0])
    files: dict[str, bytes] = {}
    with laid_out(layout):
        try:
            drawn = dict(chain.from_iterable(own.items() for own in _drawn(record, names or known)))
        except (DamagedFileError, ValueError) as error:
            raise ConfigError("RUN", f"must be whole, and of this version: {error}", run) from error
        if lost := [name for name in names if name not in drawn]:
            raise ConfigError("NAME", "must be a figure that its records can still give", lost[0])
        for name in names or drawn:
            files |= {f"{name}.{format}": render(drawn[name], format) for format in chosen}
            files[f"{name}.txt"] = caption(drawn[name]).encode()
            if (height := drawn[name].get_figheight()) > PAGE:
                log.warning(
                    "%s is %.1f in high, more than a page: it has more room at a larger --width", name, height
                )
    return write_files(folder, files, force=force)


def caption(figure: "Figure") -> str:
    """What a figure shows, in one line to be put below it: a warning first, then title and caption."""
    title, words, warning = said(figure)
    parts = (part.strip().rstrip(".") for part in (warning, title, words))
    return " ".join(f"{' '.join(part.split())}." for part in parts if part) + "\n"


def inches(width: str) -> float:
    """A width in inches.

    Raises:
        ConfigError: if it is no width, or none that a figure can have.
    """
    rule = f"must be {', '.join(COLUMNS)} or a length from {NARROWEST:g}in to {WIDEST:g}in, as 5.5in or 140mm"
    if width in COLUMNS:
        return COLUMNS[width]
    number, unit = width[:-2], width[-2:]
    found = _number(number) * UNITS.get(unit, float("nan"))
    if not NARROWEST <= found <= WIDEST:
        raise ConfigError("--width", rule, width)
    return found


def points(font_size: str) -> float:
    """A font size in points.

    Raises:
        ConfigError: if it is no number, or too small or too large.
    """
    found = _number(font_size)
    if not SMALLEST <= found <= LARGEST:
        rule = f"must be a number of points from {SMALLEST:g} to {LARGEST:g}"
        raise ConfigError("--font-size", rule, font_size)
    return found


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


def _formats(words: str) -> list[Format]:
    known = get_args(Format)
    found = [word.strip() for word in words.split(",")]
    if wrong := [word for word in found if word not in known]:
        raise ConfigError("--formats", f"must be of {', '.join(known)}, with commas between", wrong[0])
    return [cast(Format, word) for word in found]


def _record(name: str, output_dir: str | Path) -> Record:
    """The run, or else the sweep, or else the comparison of this name."""
    for folder in (RUNS, SWEEPS):
        with suppress(ConfigError):
            return find_record(name, output_dir, RULE, folder, key="RUN")
    return find_record(name, output_dir, RULE, COMPARISONS, key="RUN")


def _known(record: Record) -> list[str]:
    """The names of a record's figures."""
    files = [Path(name) for name in record.files() if name.endswith(".png")]
    return [file.stem for file in files if str(file.parent) in {".", "landscapes", "comparison"}]


def _drawn(record: Record, names: Sequence[str]) -> Iterator[Mapping[str, "Figure"]]:
    """The figures of these names, and others that are drawn with them."""
    about = record.read_json("run.json")
    if isinstance(about.get("members"), list):
        yield _comparison(record)
    for name in about.get("landscapes", []):
        if any(own == name or own.startswith(f"{name}.") for own in names):
            yield _landscape(record, name)
    if curvature.STEM in names:
        yield _curvature(record)


def _comparison(record: Record) -> dict[str, "Figure"]:
    """The figures of a sweep or a comparison, from the records of the runs that it compared."""
    table = pd.read_csv(BytesIO(record.read(RUNS_TABLE)), dtype={"run": str})
    members = Members.of([Record.at(record.output_dir, name) for name in table["run"]])
    found = compare(members, kept_pairs(members, record)).figures
    rows = kept_verdicts(record)
    if len(rows):
        found = {**found, VERDICTS: verdicts_figure(rows, title="Verdicts", caption=tested(rows))}
    return found


def _landscape(record: Record, name: str) -> dict[str, "Figure"]:
    config, subject = saved_landscapes(record)[name], Subject.read(record)
    landscape = Landscape.from_bytes(record.read(f"landscapes/{name}.npz"))
    measures = record.read_json(f"landscapes/{name}.json")["measures"]
    words = report.caption(config, landscape, subject, measures.get(f"{config.splits[0]}/{PATH_SHARE}"))
    warning = report.warning(broken_checks(name, record.latest()))
    figures = KINDS[config.kind].drawing.figures(landscape, KINDS[config.kind].title, words, warning)
    return {f"{name}{suffix}": figure for suffix, figure in figures.items()}


def _curvature(record: Record) -> dict[str, "Figure"]:
    found = Curvature.from_bytes(record.read(f"{curvature.STEM}.npz"))
    drawn = curvature.figure(found, report.curvature_caption(found, Subject.read(record)))
    return {} if drawn is None else {curvature.STEM: drawn}
