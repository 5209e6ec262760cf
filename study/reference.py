"""The configuration reference of the README, made from the schemas and the YAML that fills them."""

import sys
from collections.abc import Iterator
from dataclasses import Field, fields, is_dataclass
from pathlib import Path
from typing import Any

from study.config_claims import ClaimConfig
from study.keys import Rule, walk
from study.paths import root
from study.resolve import composed, typed

BEGIN, END = "<!-- reference: begin (make reference) -->", "<!-- reference: end -->"
GROUPS = (
    "data",
    "model",
    "optimizer",
    "training",
    "training/schedule",
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
Entry = tuple[str, str, bool]  # default, meaning with rule, whether it is a section


def reference() -> str:
    """Every key of every choice: default, meaning and rule; Markdown."""
    lines = []
    for group in GROUPS:
        choices = sorted(file.stem for file in (root() / "conf" / group).glob("*.yaml"))
        lines += [f"**`{group}`**: {', '.join(f'`{choice}`' for choice in choices)}", ""]
        lines += [*_table(group, {choice: dict(_own_keys(group, choice)) for choice in choices}), ""]
    top = {name: entry for name, entry in _keys([]).items() if name.split(".")[0] in TOP and not entry[2]}
    claim = {own.name: _entry(own, own.default) for own in fields(ClaimConfig)}
    return "\n".join([
        *lines,
        *("**Beside the groups**", "", *_table("", {"": top}), ""),
        *("**A claim of a study**", "", *_table("claims.NAME", {"": claim})),
    ])


def _own_keys(group: str, choice: str) -> Iterator[tuple[str, Entry]]:
    """The keys that a choice sets, without those of a group within its group."""
    section = group.replace("/", ".")
    override = f"{group}=[{choice}]" if group == "landscape" else f"{group}={choice}"
    prefix = f"landscape.{choice}." if group == "landscape" else f"{section}."
    nested = [other for other in GROUPS if other.startswith(f"{group}/")]
    given = [f"{key}='{GIVEN}/{place}'" for place, key in enumerate(NEEDED.get(override, ()))]
    for name, entry in _keys([override, *given]).items():
        inner = any(name.startswith(f"{other.replace('/', '.')}.") for other in nested)
        if name.startswith(prefix) and not inner and not entry[2] and not name.endswith((".name", ".kind")):
            yield name.removeprefix(prefix), entry


def _keys(overrides: list[str]) -> dict[str, Entry]:
    config = typed(composed(["output_dir=OUTPUT_DIR", *overrides]))
    here = str(Path("OUTPUT_DIR").resolve())
    found = {}
    for name, own, value in walk(config):
        if own is None:
            continue
        default, meaning, section = _entry(own, value)
        default = default.replace(here, "outputs").replace("OUTPUT_DIR", "outputs")
        found[name] = (default, meaning, section or name in {"landscape", "claims"})
    return found


def _entry(own: Field[Any], value: Any) -> Entry:
    rule: Rule = own.metadata["rule"]
    words = f" ({rule.words()})" if rule.words() else ""
    return _shown(value), own.metadata["meaning"] + words, is_dataclass(value)


def _table(group: str, by_choice: dict[str, dict[str, Entry]]) -> list[str]:
    names = list(dict.fromkeys(name for keys in by_choice.values() for name in keys))
    if not names:
        return ["No keys of its own."]
    prefix = "landscape.NAME." if group == "landscape" else f"{group.replace('/', '.')}." if group else ""
    rows = ["| key | default | meaning |", "| --- | --- | --- |"]
    for name in names:
        holders = {choice: keys[name] for choice, keys in by_choice.items() if name in keys}
        defaults = {choice: entry[0] for choice, entry in holders.items()}
        everywhere, same = len(holders) == len(by_choice), len(set(defaults.values())) == 1
        if same:
            default = f"`{next(iter(defaults.values()))}`" + (
                "" if everywhere else f" ({', '.join(holders)})"
            )
        else:
            default = ", ".join(f"`{value}` ({choice})" for choice, value in defaults.items())
        rows.append(f"| `{prefix}{name}` | {default} | {_meaning(holders)} |")
    return rows


def _meaning(holders: dict[str, Entry]) -> str:
    """What a key means; where its choices do not agree, what it means to which."""
    meanings: dict[str, list[str]] = {}
    for choice, entry in holders.items():
        meanings.setdefault(entry[1], []).append(choice)
    if len(meanings) == 1:
        return next(iter(meanings))
    return "; ".join(f"{', '.join(choices)}: {meaning}" for meaning, choices in meanings.items())


def _shown(value: Any) -> str:
    if value is None:
        return "null"
    if str(value).startswith(GIVEN):
        return "???"
    return str(value).lower() if isinstance(value, bool) else str(value)


def main() -> None:
    """Put the reference between its marks in the file that the command line names."""
    page = Path(sys.argv[1])
    before, rest = page.read_text().split(BEGIN)
    page.write_text(f"{before}{BEGIN}\n{reference()}\n{END}{rest.split(END)[1]}")


if __name__ == "__main__":
    main()
