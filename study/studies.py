"""The ready-made studies: files of `sweeps/`, each opening with its question, source and cost."""

import re
from dataclasses import dataclass

from study.errors import ConfigError
from study.paths import root


@dataclass(frozen=True)
class Study:
    """A ready-made study.

    Attributes:
        name: of its file in `sweeps/`.
        question: that it asks.
        source: of the question.
        cost: what running it takes.
    """

    name: str
    question: str
    source: str
    cost: str


def find_study(name: str) -> Study:
    """The study of this name.

    Raises:
        ConfigError: if there is none.
    """
    known = {study.name: study for study in studies()}
    if name not in known:
        raise ConfigError("NAME", f"must be one of {', '.join(known)}", name)
    return known[name]


def studies() -> list[Study]:
    """All of them, by name."""
    return [_read(file.stem, file.read_text()) for file in sorted((root() / "sweeps").glob("*.yaml"))]


def _read(name: str, text: str) -> Study:
    """A study from the comment that its file opens with: `# Question: …` and so on, a line or more each."""
    said: dict[str, str] = {}
    field = ""
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        words = line.lstrip("# ").strip()
        if found := re.match(r"(Question|Source|Cost): *(.*)", words):
            field, words = found[1].lower(), found[2]
        if field:
            said[field] = f"{said.get(field, '')} {words}".strip()
    return Study(name, **{field: said.get(field, "") for field in ("question", "source", "cost")})
