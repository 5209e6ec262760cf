"""The pages of the ready-made studies in `docs/studies` and the README's table of verdicts, from records."""

import sys
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path

import pandas as pd
from PIL import Image

from study.claims import in_words
from study.comparison_report import FOLDER, VERDICTS, kept_verdicts, means
from study.record import SWEEPS, Record, State
from study.studies import Study, at_paper_scale, studies

BEGIN, END = "<!-- verdicts: begin (make pages) -->", "<!-- verdicts: end -->"
PAGES = Path("docs", "studies")
REMARKS = "remarks.md"  # beside a page's figures: what people add to it
SKIPPED = ("training", "test_error", "measures")
"""Figures of a comparison that a page leaves to the report."""

WIDTH = 1600  # pixels of a figure's longer side
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
    lines += [f"`study reproduce {study.name}`: {len(runs)} runs, {swept}. {_time(record, runs)}", ""]
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
                "claim": row["claim"],
                "the paper's": row["the paper's"],
                "ours": row["effect"],
                "verdict": row["verdict"],
            })
    return "\n".join(_table(pd.DataFrame(rows)))


def finished(output_dir: str) -> dict[str, tuple[Study, Record]]:
    """The studies with claims that are finished in a folder, by name; of several sweeps the largest."""
    known = {study.name: study for study in studies()}
    found: dict[str, tuple[Study, Record]] = {}
    for record in Record.all(output_dir, SWEEPS):
        name = record.read_json("run.json")["tags"]["study"]
        if name not in known or record.state is not State.FINISHED or kept_verdicts(record).empty:
            continue
        if name not in found or _members(record) > _members(found[name][1]):
            found[name] = (known[name], record)
    return dict(sorted(found.items()))


def write(folder: Path, output_dir: str) -> list[str]:
    """Write the page of every study that is finished, its figures and its verdicts, and the README's table.

    Args:
        folder: that holds README.md and `docs`.
        output_dir: that the studies were run in.

    Returns:
        The names of the studies.
    """
    ready = finished(output_dir)
    for name, (study, record) in ready.items():
        own = folder / PAGES / name
        own.mkdir(parents=True, exist_ok=True)
        for old in own.glob("*.png"):
            old.unlink()
        for figure in figures(record):
            (own / f"{figure}.png").write_bytes(_smaller(record.read(f"{FOLDER}{figure}.png")))
        (own / f"{VERDICTS}.csv").write_bytes(record.read(f"{FOLDER}{VERDICTS}.csv"))
        remarks = (own / REMARKS).read_text() if (own / REMARKS).is_file() else ""
        (folder / PAGES / f"{name}.md").write_text(page(study, record, remarks))
    readme = folder / "README.md"
    before, rest = readme.read_text().split(BEGIN)
    readme.write_text(f"{before}{BEGIN}\n{summary(kept(folder))}\n{END}{rest.split(END)[1]}")
    return [*ready]


def kept(folder: Path) -> dict[str, pd.DataFrame]:
    """The tables of verdicts that lie beside the pages, by study."""
    files = sorted((folder / PAGES).glob(f"*/{VERDICTS}.csv"))
    return {file.parent.name: pd.read_csv(file) for file in files}


def _members(record: Record) -> int:
    return len(record.read_json("run.json")["members"])


def _csv(record: Record, name: str) -> pd.DataFrame:
    return pd.read_csv(BytesIO(record.read(f"{FOLDER}{name}.csv")))


def _time(record: Record, runs: pd.DataFrame) -> str:
    state = record.read_json("state.json")
    minutes = (state["ended"] - state["started"]) / 60_000
    spent = runs.filter(regex="^seconds/").sum().sum() / 60
    return (
        f"It took {minutes:.0f} min; training, landscapes and measures of all runs add up to {spent:.0f} min."
    )


def _paper(study: Study) -> str:
    paper = at_paper_scale(study)
    if paper is None:
        return "The study has no other scale."
    return f"`study reproduce {study.name} scale=paper`, **not run here**. {paper.setting} {paper.cost}"


def _picture(study: Study, name: str) -> str:
    return f"![{name}]({study.name}/{name}.png)"


def _smaller(png: bytes) -> bytes:
    """A figure at the size of a page, in few colours."""
    image = Image.open(BytesIO(png)).convert("RGB")
    image.thumbnail((WIDTH, 4 * WIDTH))
    out = BytesIO()
    image.quantize(COLOURS, dither=Image.Dither.NONE).save(out, "png", optimize=True)
    return out.getvalue()


def _table(frame: pd.DataFrame) -> list[str]:
    """A table, Markdown."""

    def row(cells: Sequence[object]) -> str:
        return f"| {' | '.join(str(cell).replace('|', chr(92) + '|') for cell in cells)} |"

    return [row([*frame]), row(["---"] * len(frame.columns)), *map(row, frame.to_numpy().tolist())]


def main() -> None:
    """Write the pages of the studies that are finished in the folder that the command line names."""
    folder = Path(__file__).resolve().parent.parent
    print(f"pages written: {', '.join(write(folder, sys.argv[1])) or 'none'}")


if __name__ == "__main__":
    main()
