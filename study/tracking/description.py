"""What MLflow's UI says first of a run: its picture, its main numbers, and where to look on. Markdown.

Addresses are relative to the page that the UI is, so that they hold on another port, host or prefix. The UI
lets through lists, links and pictures, and takes other HTML out.
"""

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from html import escape
from typing import Any
from urllib.parse import quote

from study.record import Record, State
from study.tracking.images import Frame
from study.tracking.view import main_metrics

FORM = "1"  # raised where the same record is described in other words
LONGEST = 5000  # characters, of a tag that every server takes
MOST_CLAIMS = 12
SHOWN = 2  # pictures
NARROW, WIDE = 420, 560  # pixels across, of a picture of a run and of a comparison
COMPARISON_PAGE = "report.html"
REPORTS = (COMPARISON_PAGE, "report.md")
ALL_RUNS = (
    "training",
    "measures",
    "test_error",
    "between",
    "verdicts",
)  # of a comparison's figures, no landscape
VERDICTS = "comparison/verdicts.csv"


@dataclass(frozen=True)
class Place:
    """Where a run is in the UI.

    Attributes:
        experiment_id: MLflow's.
        run_id: MLflow's.
    """

    experiment_id: str
    run_id: str

    @property
    def page(self) -> str:
        """Its page."""
        return f"#/experiments/{self.experiment_id}/runs/{self.run_id}"

    def viewer(self, name: str) -> str:
        """The page that shows one of its artifacts."""
        return f"{self.page}/artifacts/{quote(name)}"

    def file(self, name: str) -> str:
        """One of its artifacts, as a picture in a page is asked for."""
        return f"get-artifact?path={quote(name)}&run_uuid={self.run_id}"


def stamp(record: Record, parent: str | None) -> str | None:
    """Of what a description is made of: where it stays, so does the description. None: there is none yet.

    Args:
        record: of the run.
        parent: MLflow's id of the run that it lies below, if it does.
    """
    running = record.state is State.RUNNING
    named = {"run.json"} if running else {"run.json", "state.json", "metrics.json", VERDICTS}
    drawn = [name for name in record.files() if name.endswith(".png") and Frame.of(name) is None]
    if running and not drawn:
        return None
    made_of = [own for name, own in record.files().items() if name in named or name in drawn]
    return sha256(" ".join([FORM, parent or "", *made_of]).encode()).hexdigest()


def previews(record: Record) -> dict[str, str]:
    """The pictures of a record that have a small version, by its name beside the run's other artifacts.

    The UI shows a picture of a description in its own size, and compares what lies in no folder alone.
    """
    about, files = record.read_json("run.json"), record.files()
    found = _of_comparison(files) if "members" in about else _of_run(about, files)
    return {_preview(name): name for name in found if record.holds(name)}


def preview_width(record: Record) -> int:
    """Pixels across, of the small version of a picture."""
    return WIDE if "members" in record.read_json("run.json") else NARROW


def description(record: Record, place: Place, parent: Place | None = None) -> str:
    """What the UI says first of a run, of a sweep or of a comparison; of a long one it shows the first lines.

    Args:
        record: of it.
        place: where it is.
        parent: where the sweep is that it lies below, if it does.
    """
    about, state = record.read_json("run.json"), record.read_json("state.json")
    compared = "members" in about
    links = _links(about, record.files(), place, parent)
    if compared:
        links.insert(0, f"{len(about['members'])} runs")
    parts = [words(about["note"]) if compared else "", " · ".join(links), *_state(state)]
    parts.append(_verdicts(record) if compared else _measures(record))
    shown = [f"![{words(name)}]({place.file(name)})" for name in previews(record)][:SHOWN]
    return _short_enough([part for part in (*parts, " ".join(shown)) if part])


def words(text: str) -> str:
    """Words as they are, in one line: neither Markdown nor HTML is made of them, nor a link to a name."""
    escaped = re.sub(r"([\\`*_{}\[\]()>#+~|-])", r"\\\1", escape(" ".join(text.split()), quote=False))
    return re.sub(r"(^|\s)@", r"\1\\@", escaped)


def _of_run(about: dict[str, Any], files: dict[str, str]) -> list[str]:
    """The pictures of a run: its first plane, its first line, its other landscapes, its curvature."""
    found = [f"landscapes/{name}" for name in about.get("landscapes", [])]
    planes = [stem for stem in found if f"{stem}.surface.png" in files]
    lines = [stem for stem in found if stem not in planes]
    stems = [*planes[:1], *lines[:1], *planes[1:], *lines[1:], "curvature"]
    return [f"{stem}.png" for stem in stems if f"{stem}.png" in files]


def _preview(name: str) -> str:
    return f"{name.rpartition('/')[2].removesuffix('.png')}.preview.png"


def _of_comparison(files: dict[str, str]) -> list[str]:
    """The picture of a comparison: of a landscape, else of what all runs have. None before all are drawn."""
    if COMPARISON_PAGE not in files:
        return []
    found = [name[len("comparison/") : -len(".png")] for name in files if _is_comparison(name)]
    landscapes = [name for name in found if name not in ALL_RUNS and not name.endswith(".difference")]
    wanted = [*landscapes, *(name for name in ("between", "training") if name in found)]
    return [f"comparison/{name}.png" for name in wanted[:1]]


def _is_comparison(name: str) -> bool:
    return name.startswith("comparison/") and name.endswith(".png")


def _state(state: dict[str, Any]) -> list[str]:
    """What is to be known of how it ended, conspicuous."""
    tags = state["tags"]
    said = [
        f"**The training diverged**: {words(tags['diverged'])}" if "diverged" in tags else "",
        f"**Do not trust**: {words(tags['self_check_failed'])} failed" if "self_check_failed" in tags else "",
        f"**Failed jobs**: {words(tags['failed_jobs'])}" if "failed_jobs" in tags else "",
    ]
    if state["state"] in {State.FAILED, State.KILLED}:
        said.append(f"**{state['state'].capitalize()}** {words(tags.get('message', ''))}".rstrip())
    return [own for own in said if own]


def _measures(record: Record) -> str:
    """The main numbers of a run: in one line, as the UI leaves no room between the columns of a table."""
    values = record.latest()
    return " · ".join(f"{words(key)} **{words(f'{values[key]:.4g}')}**" for key in main_metrics(values))


def _verdicts(record: Record) -> str:
    """The claims of a study with their verdicts."""
    if not record.holds(VERDICTS):
        return ""
    rows = list(csv.DictReader(io.StringIO(record.read(VERDICTS).decode())))
    lines = [f"- **{words(row['outcome'])}**: {words(row['says'])}" for row in rows[:MOST_CLAIMS]]
    more = len(rows) - MOST_CLAIMS
    return "\n".join([*lines, f"- and {more} more, in the report"] if more > 0 else lines)


def _links(about: dict[str, Any], files: dict[str, str], place: Place, parent: Place | None) -> list[str]:
    """Where to look on."""
    found = [("Report", place.viewer(name)) for name in REPORTS if name in files][:1]
    pages = [(name, f"landscapes/{name}.html") for name in about.get("landscapes", [])]
    found += [(f"Interactive {name}", place.viewer(page)) for name, page in pages if page in files]
    if parent is not None:
        found += [("Sweep", parent.page), ("Comparison", parent.viewer(COMPARISON_PAGE))]
    return [f"[{words(name)}]({address})" for name, address in found]


def _short_enough(parts: Sequence[str]) -> str:
    """As many parts as a tag holds; what is too long by itself is left out."""
    kept: list[str] = []
    for part in parts:
        if sum(len(own) + 2 for own in [*kept, part]) <= LONGEST:
            kept.append(part)
    return "\n\n".join(kept)
