"""Every key of the configuration, from the schemas and the YAML that fills them."""

from collections.abc import Iterator
from dataclasses import Field, fields, is_dataclass
from pathlib import Path
from types import NoneType
from typing import Any, NamedTuple, get_args, get_origin

from study.config_claims import ClaimConfig
from study.keys import LARGEST_SEED, Rule, walk
from study.paths import root
from study.resolve import composed, typed
from study.show import written

GROUPS = (
    "data",
    "model",
    "optimizer",
    "training",
    "training/schedule",
    "training/averaging",
    "landscape",
    "curvature",
    "measures",
    "executor",
    "tracking",
)
GIVEN = "http://to.be:given"  # stands in for what a choice leaves to the user, so that it composes
NEEDED = {
    "data=custom": ("data.path",),
    "model=custom": ("model.path",),
    "tracking=server": ("tracking.uri",),
    "landscape=[minima]": ("landscape.minima.end",),
    "landscape=[curve]": ("landscape.curve.end",),
    "landscape=[three_points]": ("landscape.three_points.second", "landscape.three_points.third"),
}
TOP = ("seed", "checkpoint", "rescale", "reuse", "output_dir", "evaluation", "comparison")
ONE = {int: "whole number", float: "number", str: "text", bool: "true or false", dict: "keys with values"}
MANY = {int: "list of whole numbers", float: "list of numbers", str: "list of words"}


class Entry(NamedTuple):
    """What the reference says of a key.

    Attributes:
        default: as YAML has it.
        meaning: in words.
        values: their type, and the rule that they must obey, in words.
        section: whether it holds keys itself.
    """

    default: str
    meaning: str
    values: str
    section: bool


def keys_of(group: str) -> dict[str, dict[str, Entry]]:
    """The keys of every choice of a group, by choice and by their names within the group."""
    choices = sorted(file.stem for file in (root() / "conf" / group).glob("*.yaml"))
    return {choice: dict(_own_keys(group, choice)) for choice in choices}


def keys_beside() -> dict[str, Entry]:
    """The keys that are in no group."""
    return {
        name: entry for name, entry in _keys([]).items() if name.split(".")[0] in TOP and not entry.section
    }


def keys_of_claims() -> dict[str, Entry]:
    """The keys of a claim."""
    return {own.name: _entry(own, own.default) for own in fields(ClaimConfig)}


def prefix(group: str) -> str:
    """What stands before the names of a group's keys on the command line."""
    return "landscape.NAME." if group == "landscape" else f"{group.replace('/', '.')}." if group else ""


def _own_keys(group: str, choice: str) -> Iterator[tuple[str, Entry]]:
    """The keys that a choice sets, without those of a group within its group."""
    override = f"{group}=[{choice}]" if group == "landscape" else f"{group}={choice}"
    start = prefix(group).replace("NAME", choice)
    nested = [other for other in GROUPS if other.startswith(f"{group}/")]
    given = [f"{key}='{GIVEN}/{place}'" for place, key in enumerate(NEEDED.get(override, ()))]
    for name, entry in _keys([override, *given]).items():
        inner = any(name.startswith(f"{other.replace('/', '.')}.") for other in nested)
        if (
            name.startswith(start)
            and not inner
            and not entry.section
            and not name.endswith((".name", ".kind"))
        ):
            yield name.removeprefix(start), entry


def _keys(overrides: list[str]) -> dict[str, Entry]:
    config = typed(composed(["output_dir=OUTPUT_DIR", *overrides]))
    here = str(Path("OUTPUT_DIR").resolve())
    found = {}
    for name, own, value in walk(config):
        if own is None:
            continue
        entry = _entry(own, value)
        found[name] = entry._replace(
            default=entry.default.replace(here, "outputs").replace("OUTPUT_DIR", "outputs"),
            section=entry.section or name in {"landscape", "claims"},
        )
    return found


def _entry(own: Field[Any], value: Any) -> Entry:
    rule: Rule = own.metadata["rule"]
    words = rule.words().replace(str(LARGEST_SEED), "2⁶³ − 1")
    between = " " if rule.choices else ", "
    values = between.join(word for word in (_type_in_words(own.type, bool(rule.choices)), words) if word)
    if NoneType in get_args(own.type):
        values += "; or null"
    default = "???" if str(value).startswith(GIVEN) else written(value)
    return Entry(default, own.metadata["meaning"], values, is_dataclass(value))


def _type_in_words(own: Any, chosen: bool) -> str:
    """A key's type: `whole number`, `list of numbers`; what is chosen from a few words has none to name."""
    known = [part for part in get_args(own) if part is not NoneType]
    if get_origin(own) is list:
        return "list, each" if chosen else MANY[known[0]]
    if get_origin(own) is dict:
        return ONE[dict]
    if known:
        return _type_in_words(known[0], chosen)
    return "" if chosen else ONE.get(own, "")
