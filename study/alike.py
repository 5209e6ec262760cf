"""What must be the same for the landscapes of two runs to be drawn together, and in what they differ."""

from collections.abc import Mapping
from typing import Any

from study.kinds import KINDS
from study.members import Member

UNSAID = ("kind", "data")
"""What goes without saying of landscapes that are drawn together: titles and axes say it."""


def alike(name: str, run: Member) -> dict[str, Any]:
    """What must be the same for two landscapes to be drawn together, in words."""
    own = run.landscapes[name]
    settings = KINDS[own.kind].alike(own)
    return {"kind": own.kind, "data": run.data_digest, **settings, "examples": _read(name, run)}


def difference(own: Mapping[str, Any], others: Mapping[str, Any]) -> str:
    """In what two such sets of settings differ."""
    if own["data"] != others["data"]:
        return "other data"
    words = [words for words in own if own[words] != others.get(words)]
    return ", ".join(f"{word} {_said(own[word])}, not {_said(others.get(word))}" for word in words)


def shared(settings: Mapping[str, Any]) -> str:
    """What landscapes drawn together have in common, for their caption."""
    said = {words: value for words, value in settings.items() if words not in UNSAID and value is not None}
    return ", ".join(f"{words} {value}" for words, value in said.items())


def _read(name: str, run: Member) -> str:
    """Which examples a landscape was read on: two that read as many by one seed read the same."""
    sizes = run.landscape(name).provenance["splits"].values()
    counts = " and ".join(f"{size['examples']:,} of {size['population']:,}" for size in sizes)
    if all(size["examples"] == size["population"] for size in sizes):
        return counts
    return f"{counts} by subset seed {run.landscapes[name].subset_seed}"


def _said(value: Any) -> str:
    return "as by default" if value is None else str(value)
