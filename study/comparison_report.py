"""The files of a comparison: tables, figures, and one self-contained page that shows them."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from html import escape
from io import BytesIO
from pathlib import Path

import pandas as pd

from study.analysis.over_directions import SPREAD
from study.analysis.verdicts import FEWEST
from study.between import TABLE as BARRIERS
from study.claims import Judged, in_words, metrics, table, verdicts
from study.compare import Comparison
from study.config_claims import ClaimConfig
from study.figures.chart import HEADINGS, chart_html, folded_html, legend_html, of_kinds, page_scripts
from study.figures.export import render
from study.figures.few_colours import smaller
from study.figures.style import DPI
from study.figures.verdicts import verdicts_figure
from study.figures.web_page import asset, web_page
from study.figures.web_table import number, table_html
from study.left_out import LeftOut, folded
from study.measured import FLAGS
from study.record import Record
from study.replicates import Items

FOLDER, PAGE, VERDICTS = "comparison/", "report.html", "verdicts"
RUNS_TABLE = f"{FOLDER}runs.csv"
BETWEEN = f"{FOLDER}between/"  # evaluated points, which are kept from one comparison to the next


def keep_comparison(
    record: Record,
    comparison: Comparison,
    claims: Mapping[str, ClaimConfig],
    *,
    title: str,
    about: Mapping[str, str],
    failed: Mapping[str, str],
) -> None:
    """Write a comparison and the verdicts on its claims into a record; earlier figures are removed.

    Args:
        record: of the sweep, or of the comparison itself.
        comparison: to be kept.
        claims: that it tests, by name.
        title: of the page.
        about: what is said of it first, such as its question.
        failed: the runs that are not in it, each with the reason.
    """
    files: dict[str, bytes] = {
        RUNS_TABLE: _csv(comparison.runs),
        f"{FOLDER}groups.csv": _csv(comparison.groups),
    }
    if len(comparison.between):
        files[BARRIERS] = _csv(comparison.between)
    figures = dict(comparison.figures)
    judged = verdicts(claims, Items.of(comparison.members, comparison.runs, comparison.between))
    if judged:
        rows = table(judged)
        files[f"{FOLDER}{VERDICTS}.csv"] = _csv(rows)
        figures[VERDICTS] = verdicts_figure(rows, title="Verdicts", caption=tested(rows))
    for name, figure in figures.items():
        for format in ("png", "pdf"):
            files[f"{FOLDER}{name}.{format}"] = render(figure, format)
    for old in record.files():
        if old.startswith(FOLDER) and not old.startswith(BETWEEN) and old not in files:
            record.remove(old)
    for name, content in files.items():
        record.write(name, content)
    pictures = {name: smaller(files[f"{FOLDER}{name}.png"]) for name in figures}
    record.write(PAGE, page(comparison, judged, pictures, title=title, about=about, failed=failed))
    record.log(metrics(judged))


def kept_verdicts(record: Record) -> pd.DataFrame:
    """The table of verdicts that a record holds; empty where there is none."""
    name = f"{FOLDER}{VERDICTS}.csv"
    return read_verdicts(BytesIO(record.read(name))) if record.holds(name) else pd.DataFrame()


def read_verdicts(file: BytesIO | Path) -> pd.DataFrame:
    """A table of verdicts as it was written."""
    rows = pd.read_csv(file, dtype={"replicates": str})
    words = [name for name in ("beside", "along") if name in rows]  # empty where a claim has none
    return rows.assign(**{name: rows[name].astype(object).fillna("") for name in words})


def page(
    comparison: Comparison,
    judged: Sequence[Judged],
    pictures: Mapping[str, bytes],
    *,
    title: str,
    about: Mapping[str, str],
    failed: Mapping[str, str],
) -> str:
    """The page of a comparison, HTML with its pictures within: it asks nothing of any network.

    Args:
        comparison: what is shown.
        judged: the verdicts on its claims, which come first.
        pictures: of its figures, PNG, by name.
        title: above all of it.
        about: what is said first, such as its question.
        failed: the runs that are not in it, each with the reason.
    """
    members, charts = comparison.members, comparison.charts
    parts = [f"<h1>{escape(title)}</h1>"]
    parts += [f"<p><b>{escape(name)}:</b> {escape(words)}</p>" for name, words in about.items() if words]
    if failed:
        rows = "".join(
            f"<li><code>{escape(run)}</code>: {escape(reason)}</li>" for run, reason in failed.items()
        )
        parts.append(
            f'<div class="failed"><p><b>Not finished, and not compared:</b></p><ul>{rows}</ul></div>'
        )
    if judged:
        parts += ["<h2>Verdicts</h2>", _verdicts(judged), _figure(VERDICTS, pictures[VERDICTS])]
    differing = ", ".join((*members.keys, *members.seeds)) or "nothing"
    parts.append(f"<p>{len(members.runs)} runs that differ in: {escape(differing)}.</p>")
    groups = means(comparison.groups)
    if len(groups):
        about_seeds = '<p class="quiet">Mean ± standard deviation over seeds.</p>'
        by_configuration = groups.set_index("").T.rename_axis(columns=None).reset_index(names="configuration")
        parts += ["<h2>Configurations</h2>", about_seeds, table_html(by_configuration)]
    shown = {name: content for name, content in pictures.items() if name != VERDICTS}
    for kind, own in of_kinds(charts).items():
        parts += ["<section>", HEADINGS[kind], legend_html(own) if kind == "curves" else ""]
        for name, chart in own.items():
            stills = "".join(_figure(file, shown.pop(file)) for file in chart.pictures if file in shown)
            parts += [f"<h3>{escape(name)}</h3>", chart_html(name, chart), folded_html(stills)]
        parts.append("</section>")
    for name, content in shown.items():
        parts += [f"<h2>{escape(name)}</h2>", _figure(name, content)]
    if len(comparison.between):
        parts += ["<h2>Barriers between minima</h2>", table_html(comparison.between)]
    parts += ["<h2>Runs</h2>", table_html(comparison.runs, filtered=True)]
    parts += ["<h2>Left out</h2>", _left_out(comparison.left_out), page_scripts(charts)]
    return web_page(title, "\n".join(parts), style=asset("comparison.css"), width=80)


def _figure(name: str, content: bytes) -> str:
    """A picture within the page, at its own size."""
    source = f"data:image/png;base64,{b64encode(content).decode()}"
    width = int.from_bytes(content[16:20], "big") / DPI  # inches, from the picture's own header
    return f'<figure><img alt="{escape(name)}" style="width: {10 * width:.1f}em" src="{source}"></figure>'


def tested(rows: pd.DataFrame) -> str:
    """For a caption: what the verdicts of a table rest on."""
    count = int((~rows["exact"].astype(bool)).sum())
    parts = []
    if count:
        parts.append(
            "Effects with 95% t-intervals over training seeds. A claim is reproduced where a one-sided "
            "t-test about the smallest effect that matters says so at 5%, by Holm's adjustment for "
            f"{count} tested claims; not reproduced where the opposite test does; inconclusive "
            f"otherwise, and always below {FEWEST} seeds."
        )
    if count < len(rows):
        parts.append("What follows exactly is reproduced where it holds in every run.")
    return " ".join(parts)


def _verdicts(judged: Sequence[Judged]) -> str:
    rows = table(judged)
    words = table_html(in_words(rows), words=True)
    return f'{words}<p class="quiet">{escape(tested(rows))}</p>'


def means(groups: pd.DataFrame) -> pd.DataFrame:
    """The table of configurations for people: `mean ± std` in one column, a row a number; without flags."""
    if groups.empty:
        return groups
    every = [name.removesuffix(" mean") for name in groups.columns if name.endswith(" mean")]
    names = [name for name in every if name.rpartition("/")[2] not in FLAGS and not name.endswith(SPREAD)]
    shown = {}
    for _place, row in groups.iterrows():
        header = f"{row['configuration']} (n = {row['runs']})"
        shown[header] = [
            _mean(row[f"{name} mean"], row[f"{name} std"] if row["runs"] > 1 else None) for name in names
        ]
    return pd.DataFrame({"": names, **shown})


def _mean(value: float, deviation: float | None) -> str:
    """A mean in words, with its deviation if it has one; a blank for none."""
    return number(value) if deviation is None or value != value else f"{number(value)} ± {deviation:.2g}"


def _left_out(left_out: list[LeftOut]) -> str:
    if not left_out:
        return "<p>Nothing: every run is in every figure.</p>"
    rows = [{"figure": own.figure, "run": own.run, "reason": own.reason} for own in folded(left_out)]
    return table_html(pd.DataFrame(rows), words=True)


def _csv(frame: pd.DataFrame) -> bytes:
    return frame.to_csv(index=False).encode()
