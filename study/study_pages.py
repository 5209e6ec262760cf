"""The pages of the ready-made studies in `docs/studies` and the README's table of verdicts, from records."""

import sys
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path

import pandas as pd

from study.analysis.verdicts import Outcome
from study.claims import in_words
from study.comparison_report import FOLDER, VERDICTS, kept_verdicts, means, read_verdicts
from study.figures.few_colours import smaller
from study.multirun import jobs_of
from study.paths import root
from study.record import SWEEPS, Record, State
from study.studies import Study, at_paper_scale, studies

BEGIN, END = "<!-- verdicts: begin (make pages) -->", "<!-- verdicts: end -->"
PAGES = Path("docs", "studies")
INDEX = PAGES / "index.md"
REMARKS = "remarks.md"  # beside a page's figures: what people add to it
SKIPPED = ("training", "test_error", "measures")
"""Figures of a comparison that a page leaves to the report."""

ELSEWHERE = ("data.root=", "output_dir=", "tracking", "hydra/launcher=", "hydra.launcher.")
"""Overrides that say where a study runs, and change nothing of what comes out."""

INDEX_HEAD = """\
# Studies

<!-- make pages writes this page -->

`study reproduce NAME` tests what a paper has claimed, at a small scale: in minutes on two cores, on the
bundled digits or a part of MNIST. Each claim was stated, with the smallest effect that would matter, before
anything was run. Of {claims} claims of {studies} studies: {counted}. [The study of the source
text](../blog_2021.md) shows its figures one by one.
"""

WIDTH = 1600  # pixels across a figure
COLOURS = 128


def page(study: Study, record: Record, remarks: str = "") -> str:
    """The page of a study, Markdown, as its record has it.

    Args:
        study: at small scale.
        record: of its sweep.
        remarks: what people say of the outcome, Markdown.
    """
    about, runs = record.read_json("run.json"), _csv(record, "runs")
    lines = [f"# {study.name}", "", f"**{study.question}**", "", f"Source: {study.source}", ""]
    swept = ", ".join(f"`{key}={values}`" for key, values in about["params"].items())
    lines += [f"`study reproduce {study.name}`: {len(runs)} runs, {swept}. {_time(record)}", ""]
    verdicts = kept_verdicts(record)
    lines += ["## Verdicts", "", *_table(in_words(verdicts)), "", _picture(study, VERDICTS), ""]
    if remarks:
        lines += ["## Remarks", "", remarks.strip(), ""]
    for name in figures(record):
        if name != VERDICTS:
            lines += [f"## {name}", "", _picture(study, name), ""]
    lines += ["## Configurations", "", "Mean ± standard deviation over seeds.", ""]
    lines += [*_table(means(_csv(record, "groups"))), ""]
    lines += ["## At the paper's scale", "", _paper(study), ""]
    return "\n".join(lines)


def figures(record: Record) -> list[str]:
    """The figures of a study's comparison that its page shows, verdicts first."""
    drawn = [name for name in record.files() if name.startswith(FOLDER) and name.endswith(".png")]
    names = [name.removeprefix(FOLDER).removesuffix(".png") for name in drawn]
    return sorted((name for name in names if name not in SKIPPED), key=lambda name: (name != VERDICTS, name))


def summary(verdicts: Mapping[str, pd.DataFrame]) -> str:
    """The table of all verdicts, Markdown: study, claim, the paper's number, ours with its interval, verdict.

    Args:
        verdicts: the table of each study, by its name; see `claims.table`.
    """
    rows = []
    for name, table in verdicts.items():
        words = in_words(table)
        for place, row in enumerate(words.to_dict("records")):
            study = f"[`{name}`]({(PAGES / f'{name}.md').as_posix()})" if place == 0 else ""
            rows.append({
                "study": study,
                "claim": _words(row["claim"]),
                "the paper's": _words(row["the paper's"]),
                "ours": row["effect"],
                "verdict": row["verdict"],
            })
    return "\n".join(_table(pd.DataFrame(rows)))


def index(verdicts: Mapping[str, pd.DataFrame]) -> str:
    """The page that leads to those of the studies, Markdown: the question, source and verdicts of each.

    Args:
        verdicts: the table of each study, by its name; see `claims.table`.
    """
    known = {study.name: study for study in studies()}
    rows = []
    for name, table in verdicts.items():
        counts = table["outcome"].value_counts()
        rows.append({
            "study": f"[`{name}`]({name}.md)",
            "question": _words(known[name].question),
            "source": _words(known[name].source),
            **{outcome: counts.get(outcome, 0) for outcome in map(str, Outcome)},
        })
    frame = pd.DataFrame(rows)
    total = {outcome: int(frame[outcome].sum()) for outcome in map(str, Outcome)}
    counted = ", ".join(f"{count} {outcome}" for outcome, count in total.items())
    return "\n".join([
        INDEX_HEAD.format(studies=len(rows), claims=sum(total.values()), counted=counted),
        *_table(frame),
        "",
    ])


def finished(output_dir: str) -> dict[str, tuple[Study, Record]]:
    """The studies with claims that are finished in a folder as their files have them, by name."""
    known = {study.name: study for study in studies()}
    found: dict[str, tuple[Study, Record]] = {}
    for record in Record.all(output_dir, SWEEPS):
        about = record.read_json("run.json")
        name = about["tags"]["study"]
        if name not in known or record.state is not State.FINISHED or kept_verdicts(record).empty:
            continue
        jobs = [[own for own in job if not own.startswith(ELSEWHERE)] for job in about["overrides"]]
        if sorted(map(sorted, jobs)) == sorted(map(sorted, jobs_of([known[name].override]))):
            found[name] = (known[name], record)
    return dict(sorted(found.items()))


def write(folder: Path, ready: Mapping[str, tuple[Study, Record]]) -> None:
    """Write the pages of studies, their figures and verdicts, and the README's table of all that are kept.

    Args:
        folder: that holds README.md and `docs`.
        ready: by name, studies with the records of their sweeps.
    """
    for name, (study, record) in ready.items():
        own = folder / PAGES / name
        own.mkdir(parents=True, exist_ok=True)
        for old in own.glob("*.png"):
            old.unlink()
        for figure in figures(record):
            (own / f"{figure}.png").write_bytes(smaller(record.read(f"{FOLDER}{figure}.png"), COLOURS, WIDTH))
        (own / f"{VERDICTS}.csv").write_bytes(record.read(f"{FOLDER}{VERDICTS}.csv"))
        remarks = (own / REMARKS).read_text() if (own / REMARKS).is_file() else ""
        (folder / PAGES / f"{name}.md").write_text(page(study, record, remarks))
    (folder / INDEX).write_text(index(kept(folder)))
    readme = folder / "README.md"
    before, rest = readme.read_text().split(BEGIN)
    readme.write_text(f"{before}{BEGIN}\n{summary(kept(folder))}\n{END}{rest.split(END)[1]}")


def kept(folder: Path) -> dict[str, pd.DataFrame]:
    """The tables of verdicts that lie beside the pages, by study."""
    files = sorted((folder / PAGES).glob(f"*/{VERDICTS}.csv"))
    return {file.parent.name: read_verdicts(file) for file in files}


def _csv(record: Record, name: str) -> pd.DataFrame:
    return pd.read_csv(BytesIO(record.read(f"{FOLDER}{name}.csv")))


def _time(record: Record) -> str:
    hashes = record.read_json("run.json")["members"]
    states = [Record.at(str(record.output_dir), own).read_json("state.json") for own in hashes]
    minutes = sum(state["ended"] - state["started"] for state in states) / 60_000
    return f"The times of its runs add up to {minutes:.0f} min."


def _paper(study: Study) -> str:
    paper = at_paper_scale(study)
    if paper is None:
        return "The study has no other scale."
    command = f"study reproduce {study.name} scale=paper"
    return f"`{command}` needs a GPU, and was **not run here**. {paper.setting} {paper.cost}"


def _picture(study: Study, name: str) -> str:
    return f"![{name}]({study.name}/{name}.png)"


def _words(text: str) -> str:
    """A statement, which may hold code but no link."""
    return text.replace("](", "]\\(")


def _table(frame: pd.DataFrame) -> list[str]:
    """A table, Markdown."""

    def row(cells: Sequence[object]) -> str:
        shown = [str(cell).replace("|", "\\|").replace("<", "&lt;") for cell in cells]
        return f"| {' | '.join(shown)} |"

    return [row([*frame]), row(["---"] * len(frame.columns)), *map(row, frame.to_numpy().tolist())]


def main() -> None:
    """Write the pages of the studies that are finished in the folder that the command line names."""
    ready = finished(sys.argv[1])
    write(root(), ready)
    print(f"pages written: {', '.join(ready) or 'none'}")


if __name__ == "__main__":
    main()
