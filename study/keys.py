"""Configuration keys: type, range and meaning of each, stated once, where its dataclass is written."""

import math
from collections.abc import Iterator
from dataclasses import Field, dataclass, field, fields, is_dataclass
from itertools import pairwise
from typing import Any

from omegaconf import MISSING

from study.errors import ConfigError

LARGEST_SEED = 2**63 - 1  # a generator takes 64 bits
MOST_POINTS = 10_000  # along an axis: a plane of so many squared fills this machine's memory
LARGEST_INT = 2**63 - 1  # of the arithmetic that counts are used in
MOST_THREADS = 1024  # far more of them end the process


@dataclass(frozen=True)
class Rule:
    """What the values of a key must obey, besides their type.

    Attributes:
        at_least: smallest value (of each entry, for a list).
        above: value that must be exceeded.
        at_most: largest value.
        below: value that must not be reached.
        choices: the only values.
        length: number of entries of a list.
        increasing: whether a list must increase from entry to entry.
    """

    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None
    below: float | None = None
    choices: tuple[str, ...] | None = None
    length: int | None = None
    increasing: bool = False

    def broken_by(self, value: Any) -> str | None:
        """The rule that `value` breaks, in words, or None. `None` itself breaks no rule."""
        if value is None:
            return None
        if isinstance(value, dict):
            return None if _all_finite(value) else "must hold finite numbers"
        if isinstance(value, list):
            if any(isinstance(entry, list | dict) for entry in value):
                return "must be a list of single values"
            if self.length is not None and len(value) != self.length:
                return f"must have {self.length} entries"
            if self.increasing and any(second <= first for first, second in pairwise(value)):
                return "must increase from entry to entry"
            return next((broken for entry in value if (broken := self._entry(entry))), None)
        broken = self._entry(value)
        if broken is None and isinstance(value, int) and value > LARGEST_INT:
            return f"must be at most {LARGEST_INT}"
        return broken

    def words(self) -> str:
        """The rule for people, or nothing if there is none."""
        words = ("at least", "above", "at most", "below")
        limits = zip(words, (self.at_least, self.above, self.at_most, self.below), strict=True)
        said = [f"{word} {limit}" for word, limit in limits if limit is not None]
        if self.choices is not None:
            said.append(f"one of {', '.join(self.choices)}")
        if self.length is not None:
            said.append(f"{self.length} entries")
        return ", ".join(said)

    def _entry(self, value: Any) -> str | None:
        if self.choices is not None and value not in self.choices:
            return f"must be one of {', '.join(self.choices)}"
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        if isinstance(value, float) and not math.isfinite(value):
            return "must be finite"
        if self.at_least is not None and value < self.at_least:
            return f"must be at least {self.at_least}"
        if self.above is not None and value <= self.above:
            return f"must be above {self.above}"
        if self.at_most is not None and value > self.at_most:
            return f"must be at most {self.at_most}"
        if self.below is not None and value >= self.below:
            return f"must be below {self.below}"
        return None


def key(meaning: str, *, hashed: bool = True, optional: bool = False, **rules: Any) -> Any:
    """A dataclass field whose value comes from YAML.

    Args:
        meaning: what the key does, shown by `study show`.
        hashed: False for a key that changes no number of a run (where results go, who computes them).
        optional: whether it may be left out, which is null.
        rules: see `Rule`.
    """
    metadata = {"meaning": meaning, "rule": Rule(**rules), "hashed": hashed}
    return field(default=None if optional else MISSING, metadata=metadata)


def points_key(meaning: str) -> Any:
    """A field that counts the points along an axis; see `key`."""
    return key(meaning, at_least=2, at_most=MOST_POINTS)


def walk(config: Any, prefix: str = "") -> Iterator[tuple[str, Field[Any] | None, Any]]:
    """(full name, field, value) of every key of a configuration; a section comes before its own keys."""
    entries: list[tuple[str, Field[Any] | None, Any]]
    if is_dataclass(config):
        entries = [(own.name, own, getattr(config, own.name)) for own in fields(config)]
    else:
        entries = [(name, None, value) for name, value in config.items()]
    for name, own, value in entries:
        full = f"{prefix}{name}"
        yield full, own, value
        if is_dataclass(value) or (isinstance(value, dict) and _holds_sections(value)):
            yield from walk(value, f"{full}.")


def check(config: Any) -> None:
    """Hold every value against its key's rule, then every section against the rules between its keys.

    A section states those in a method `check(self, name)`, which raises `ConfigError`.

    Raises:
        ConfigError: for the first value that breaks its rule.
    """
    for name, own, value in walk(config):
        if own is not None and (broken := own.metadata["rule"].broken_by(value)):
            raise ConfigError(name, broken, value)
    for name, _own, value in walk(config):
        if is_dataclass(value) and hasattr(value, "check"):
            value.check(name)
    if hasattr(config, "check"):
        config.check("")


def hashed(config: Any) -> Any:
    """The configuration as plain dicts, lists and scalars, without the keys that change no number."""
    if is_dataclass(config):
        return {
            own.name: hashed(getattr(config, own.name)) for own in fields(config) if own.metadata["hashed"]
        }
    if isinstance(config, dict):
        return {name: hashed(value) for name, value in config.items()}
    if isinstance(config, list):
        return [hashed(value) for value in config]
    return config


def _all_finite(value: Any) -> bool:
    """Whether what is given freely, as the arguments of own code, can be written down as it is."""
    if isinstance(value, dict | list):
        return all(_all_finite(own) for own in (value.values() if isinstance(value, dict) else value))
    return not isinstance(value, float) or math.isfinite(value)


def _holds_sections(value: dict[str, Any]) -> bool:
    return bool(value) and all(is_dataclass(entry) for entry in value.values())
