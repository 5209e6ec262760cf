"""The resolved configuration for people: a block a section, a line a key, with its value and its meaning."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, is_dataclass
from textwrap import wrap
from typing import Any

from study.config import StudyConfig
from study.credentials import hidden
from study.errors import ConfigError, suggestion
from study.keys import LARGEST_SEED, walk

NARROWEST, WIDEST = 60, 110
"""Columns that a terminal is taken to have at least, and at most."""

LONGEST_VALUE = 12
"""Characters of a value that stands beside its meaning; a longer one stands above it."""

OF_SEEDS = f", at most {LARGEST_SEED}"
"""What the rules of seeds end in: a limit that nobody meets."""

NAMED_BY = ("name", "kind")
"""Keys that say which choice a section is: they stand in its heading."""


@dataclass(frozen=True)
class Key:
    """A key of the configuration.

    Attributes:
        name: whole, as it is set on the command line.
        value: as it is written there.
        meaning: with the rule that its values obey.
    """

    name: str
    value: str
    meaning: str

    @property
    def section(self) -> str:
        """What stands before its last dot; empty at the top."""
        return self.name.rpartition(".")[0]


def describe(config: StudyConfig, asked: Sequence[str] = ()) -> str:
    """The keys of a configuration, by section.

    Args:
        config: resolved.
        asked: sections or keys, to show these alone; none shows all.

    Raises:
        ConfigError: if one of `asked` is neither.
    """
    keys, headings = _keys(config)
    known = [name for name, _own, _value in walk(config)]
    for word in asked:
        if word not in known:
            rule = f"must be a section or a key of the configuration{suggestion(word, known)}"
            raise ConfigError("SECTION", rule, word)

    def is_asked(name: str) -> bool:
        return not asked or any(f"{name}.".startswith(f"{word}.") for word in asked)

    blocks = []
    for section in ["", *headings]:
        own = [key for key in keys if key.section == section and is_asked(key.name)]
        if own or (section and is_asked(section)):
            heading = wrap(headings.get(section, "top level"), _columns(), subsequent_indent="  ")
            blocks.append("\n".join([*heading, *_lines(own)]))
    return "\n\n".join(blocks) + "\n"


def _keys(config: StudyConfig) -> tuple[list[Key], dict[str, str]]:
    """Every key that is set by itself, and the heading of every section by its name."""
    keys, headings = [], {}
    for name, own, value in walk(config):
        meaning = own.metadata["meaning"] if own is not None else ""
        if is_dataclass(value):
            choice = next((getattr(value, word) for word in NAMED_BY if hasattr(value, word)), None)
            words = f"{name} ({choice})" if choice is not None else name
            headings[name] = f"{words}: {meaning}" if meaning else words
        elif own is not None and name not in {"landscape", "claims"}:
            if name.rpartition(".")[2] in NAMED_BY and name.rpartition(".")[0] in headings:
                continue
            rule = own.metadata["rule"].words().replace(OF_SEEDS, "")
            keys.append(Key(name, written(value), f"{meaning}{f' ({rule})' if rule else ''}"))
    return keys, headings


def _lines(keys: Sequence[Key]) -> list[str]:
    """A table: name within the section, value, meaning; wrapped to the terminal."""
    names = max((len(key.name) - len(key.section) for key in keys), default=0)
    values = max((len(key.value) for key in keys if len(key.value) <= LONGEST_VALUE), default=0)
    indent = 2 + names + 1 + values + 2
    lines = []
    for key in keys:
        short = key.name.rpartition(".")[2]
        first, *rest = wrap(key.meaning, _columns() - indent, break_on_hyphens=False)
        if len(key.value) <= LONGEST_VALUE:
            lines.append(f"  {short:<{names}} {key.value:<{values}}  {first}")
        else:
            lines += [f"  {short:<{names}} {key.value}", f"{'':{indent}}{first}"]
        lines += [f"{'':{indent}}{line}" for line in rest]
    return lines


def _columns() -> int:
    """How wide lines may be."""
    return min(max(shutil.get_terminal_size().columns, NARROWEST), WIDEST)


def written(value: Any) -> str:
    """A value as the command line takes it, without credentials."""
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case list():
            return f"[{','.join(map(written, value))}]"
        case dict():
            return f"{{{','.join(f'{key}:{written(own)}' for key, own in value.items())}}}"
    return hidden(str(value))
