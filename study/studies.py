"""The ready-made studies: files of `sweeps/`, each opening with its question, source and cost."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from study.errors import ConfigError, suggestion
from study.paths import root

GROUP, PAPER_GROUP = "sweeps", "sweeps/paper"
"""The configuration groups that hold studies, at small scale and at that of their papers."""

SMALL, PAPER = "small", "paper"
"""What `scale=` may be."""


@dataclass(frozen=True)
class Study:
    """A ready-made study.

    Attributes:
        name: of its file in `sweeps/`.
        question: that it asks.
        source: of the question.
        cost: what running it takes.
        setting: of the paper, if that is what is run; empty at small scale.
    """

    name: str
    question: str
    source: str
    cost: str
    setting: str = ""

    @property
    def scale(self) -> str:
        """`small` or `paper`."""
        return PAPER if self.setting else SMALL

    @property
    def title(self) -> str:
        """Name and scale."""
        return f"{self.name} at the paper's scale" if self.setting else self.name

    @property
    def override(self) -> str:
        """What chooses it among the groups of the configuration."""
        return f"+{PAPER_GROUP if self.setting else GROUP}={self.name}"


def find_study(name: str, scale: str = SMALL) -> Study:
    """The study of this name, at this scale.

    Raises:
        ConfigError: if there is none.
    """
    known = {study.name: study for study in studies()}
    if name not in known:
        raise ConfigError("NAME", f"must be one of {', '.join(known)}{suggestion(name, known)}", name)
    if scale == SMALL:
        return known[name]
    if scale != PAPER:
        raise ConfigError("scale", f"must be {SMALL} or {PAPER}", scale)
    if (found := at_paper_scale(known[name])) is None:
        raise ConfigError("scale", f"must be {SMALL} for {name}, which has no other", scale)
    return found


def chosen_study(choices: Mapping[str, str], searchpath: Sequence[str]) -> Study | None:
    """The study among the choices of the configuration's groups, ready-made or a user's own.

    Args:
        choices: by group.
        searchpath: the places in which Hydra looks for choices, in order, as file://FOLDER.
    """
    group = PAPER_GROUP if PAPER_GROUP in choices else GROUP
    if group not in choices:
        return None
    name = choices[group]
    for folder in (Path(place.removeprefix("file://")) for place in searchpath):
        file = folder / group / f"{name}.yaml"
        if file.is_file() and folder != root():
            return Study(name, **_opening(file))
        if file.is_file():
            break
    try:
        return find_study(name, PAPER if group == PAPER_GROUP else SMALL)
    except ConfigError:
        return Study(name, question="", source="", cost="")


def studies() -> list[Study]:
    """All of them, by name, at small scale."""
    return [
        Study(file.stem, said["question"], said["source"], said["cost"])
        for file in sorted((root() / GROUP).glob("*.yaml"))
        for said in [_opening(file)]
    ]


def at_paper_scale(study: Study) -> Study | None:
    """A study in the setting of its paper, where that can be run."""
    file = root() / PAPER_GROUP / f"{study.name}.yaml"
    if not file.is_file():
        return None
    said = _opening(file)
    return replace(study, cost=said["cost"], setting=said["setting"])


def _opening(file: Path) -> dict[str, str]:
    """What the comment says that a file opens with: `# Question: …` and so on, a line or more each."""
    said = dict.fromkeys(("question", "source", "cost", "setting"), "")
    field = ""
    for line in file.read_text().splitlines():
        if not line.startswith("#"):
            break
        words = line.lstrip("# ").strip()
        if found := re.match(r"(Question|Source|Cost|Setting): *(.*)", words):
            field, words = found[1].lower(), found[2]
        if field:
            said[field] = f"{said[field]} {words}".strip()
    return said
