"""What must be the same for the landscapes of two runs to be drawn together, and in what they differ."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from study.kinds import KINDS, LandscapeConfig
from study.left_out import LeftOut
from study.members import Member, Members

UNIT, DATA = "loss in", "data"
UNSAID = ("kind", UNIT, DATA)
"""What goes without saying of landscapes that are drawn together: titles and axes say it."""


def alike(name: str, run: Member) -> dict[str, Any]:
    """What must be the same for two landscapes to be drawn together, in words."""
    own, about = run.landscapes[name], run.landscape(name).provenance
    recomputed = about["batch_statistics"] == "recomputed"
    over = f"{run.settings['evaluation.statistics_examples']:,} examples" if recomputed else None
    return {
        "kind": own.kind,
        UNIT: run.loss_unit,
        DATA: run.data_digest,
        **KINDS[own.kind].alike(own),
        "statistics recomputed over": over,
        "examples": _read(own, about),
    }


def difference(own: Mapping[str, Any], others: Mapping[str, Any]) -> str:
    """In what two such sets of settings differ."""
    if own[UNIT] == others[UNIT] and own[DATA] != others[DATA]:
        return "other data"
    words = [words for words in own if own[words] != others.get(words)]
    words = [UNIT] if UNIT in words else words
    return ", ".join(f"{word} {_said(own[word])}, not {_said(others.get(word))}" for word in words)


def shared(settings: Mapping[str, Any]) -> str:
    """What landscapes drawn together have in common, for their caption."""
    said = {words: value for words, value in settings.items() if words not in UNSAID and value is not None}
    return ", ".join(f"{words} {value}" for words, value in said.items())


def of_one_unit(members: Members, figure: str) -> tuple[list[Member], list[LeftOut]]:
    """The runs whose loss is counted in the unit that most of them have, and the others, left out."""
    counted = Counter(run.loss_unit for run in members.runs)
    (unit, _count), *_others = counted.most_common()
    kept = [run for run in members.runs if run.loss_unit == unit]
    apart = [run for run in members.runs if run.loss_unit != unit]
    reasons = [LeftOut(figure, members.label(run), f"{UNIT} {run.loss_unit}, not {unit}") for run in apart]
    return kept, reasons


def _read(own: LandscapeConfig, about: Mapping[str, Any]) -> str:
    """Which examples a landscape was read on: two that read as many by one seed read the same."""
    sizes = about["splits"].values()
    counts = " and ".join(f"{size['examples']:,} of {size['population']:,}" for size in sizes)
    if all(size["examples"] == size["population"] for size in sizes):
        return counts
    return f"{counts} by subset seed {own.subset_seed}"


def _said(value: Any) -> str:
    return "as by default" if value is None else str(value)
