"""From what Hydra and OmegaConf raise over a configuration to one line: key, rule, value."""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.errors import OverrideParseException
from omegaconf.errors import OmegaConfBaseException

from study.config import NAMES, SCHEMAS
from study.errors import FAILED, ConfigError, disk_trouble, refuse, suggestion
from study.keys import walk
from study.paths import root
from study.resolve import composed, typed


def one_line(error: BaseException, overrides: Sequence[str] = ()) -> str | None:
    """What is wrong with the configuration, in one line; None if `error` is no refusal of one.

    Args:
        error: raised while a configuration was composed or read.
        overrides: of the command line; not every error names the one that it is about.
    """
    for cause in _causes(error):
        if isinstance(cause, ConfigError):
            return str(cause)
    text = str(error)
    if found := re.search(r"Could not (?:find|load) '([^']+)'", text):
        return _unknown_choice(found[1])
    if isinstance(error, OSError):
        if not error.filename:
            return None  # no folder that Hydra makes before it starts a job
        rule = f"must be a folder that can be written to ({error.strerror})"
        return str(ConfigError("output_dir", rule, error.filename))
    if found := re.search(r"Could not override '([^']+)'", text):
        full = found[1].lstrip("+")
        if ".arguments." in full:
            return f"{full} is an argument of your own code: it must be given as +{full}=VALUE"
        if full.endswith(".arguments"):
            return f"{full} are those of your own code: each must be given as +{full}.KEY=VALUE"
        if found[1] in {"landscape", "claims"}:
            return f"{full} has the wrong type: its keys must be given as {full}.NAME.KEY=VALUE"
        return f"{full} is no key of the configuration{_near_key(full, error)}"
    if isinstance(error, OverrideParseException):
        return f"{error.override!r} must be KEY=VALUE: {_unreadable(error.override)}"
    if found := re.search(r"Ambiguous value for argument '([^=]+)=([^']+)'", text):
        key, values = found.groups()
        return (
            f"{key} must have one value, got {values}: sweep over them with -m, or give a list as [{values}]"
        )
    if found := re.search(r"Multiple values for (.+?)\. ", text):
        return f"{found[1]} must be chosen once, as {found[1]}=CHOICE without +"
    for word in overrides:
        if misuse := _not_a_choice(word):
            return misuse
    for cause in _causes(error):
        if isinstance(cause, OmegaConfBaseException):
            key = cause.full_key or "configuration"
            merged = re.search(r"Error merging override [+]*([^=]+)=(.*)", text)
            if merged and not key.startswith(merged[1]):  # the cause names the key within its section only
                key = merged[1]
            reason = _in_our_words(str(cause.msg or cause).splitlines()[0])
            given = f", got {merged[2] or repr('')}" if merged and merged[2] + "'" not in reason else ""
            return f"{key} has the wrong type: {reason}{given}"
    if type(error).__module__.startswith("hydra."):
        return " ".join(_before_link(text).split())
    return None


@contextmanager
def refusing(overrides: Sequence[str]) -> Iterator[None]:
    """Within, whatever is wrong with the configuration, or with the disk, is said in one line."""
    try:
        yield
    except Exception as error:
        if trouble := disk_trouble(error):
            refuse(trouble, FAILED)
        line = one_line(error, overrides)
        if line is None:
            raise
        refuse(line)


# What OmegaConf says by the names of its own classes, and what that means to who wrote a value.
_WORDS = {
    r"field '.*' is not Optional|Invalid type assigned: NoneType is not .*": "it must not be null",
    r"Invalid value assigned: .* is not a ListConfig, list or tuple\.": "it must be a list",
    r"Cannot assign .* to Dict\[.*": "it must be keys with values",
    r"Cannot merge DictConfig with ListConfig": "a list and keys with values cannot stand for each other",
}


def _in_our_words(reason: str) -> str:
    return next((words for pattern, words in _WORDS.items() if re.fullmatch(pattern, reason)), reason)


def _causes(error: BaseException | None) -> Iterable[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _unknown_choice(path: str) -> str:
    group, _, name = path.rpartition("/")
    while group and not (root() / "conf" / group).is_dir() and "/" in group:  # a name with slashes
        group, _, more = group.rpartition("/")
        name = f"{more}/{name}"
    folder = root() / "conf" / group
    if group and folder.is_dir():
        known = sorted(file.stem for file in folder.glob("*.yaml"))
        return f"{group} must be one of {', '.join(known)}, got {name!r}{suggestion(name, known)}"
    groups = [
        str(entry.relative_to(root() / "conf")) for entry in (root() / "conf").rglob("*") if entry.is_dir()
    ]
    if (root() / "sweeps" / f"{path}.yaml").exists() or group == "sweeps":
        known = sorted(file.stem for file in (root() / "sweeps").glob("*.yaml"))
        return f"sweeps must be one of {', '.join(known)}, got {name!r}{suggestion(name, known)}"
    return f"{path} is no group or file of the configuration{suggestion(group or path, groups)}"


def _not_a_choice(override: str) -> str | None:
    """What is wrong with an override that gives a group what is no choice, or has no key; None if nothing."""
    name, _, value = override.partition("=")
    folder = root() / "conf" / name.partition("@")[0]
    if not name.strip("+") or name.startswith("@"):
        return f"{override!r} must be KEY=VALUE: it has no key"
    if not folder.is_dir():
        return None
    if value in {"", "null"}:
        return f"{name} must be given one of its choices, got nothing"
    entries = [entry.strip() for entry in value.strip("[]").split(",")]
    if value.startswith("[") and (name != "landscape" or "null" in entries):
        listed = "a list of choices" if name == "landscape" else "one"
        known = sorted(file.stem for file in folder.glob("*.yaml"))
        return f"{name} must be {listed} of {', '.join(known)}, got {value!r}"
    return None


def _unreadable(override: str) -> str:
    """Why Hydra's grammar does not take an override."""
    name, equals, _value = override.partition("=")
    if not equals:
        return "it has no ="
    if not re.fullmatch(r"[+~]*[\w./@:-]*\w", name) or name.startswith("-"):
        return f"{name!r} is no key"
    return "its value cannot be read; close its brackets, or quote it, as KEY=\"'VALUE'\""


def _near_key(full: str, error: BaseException) -> str:
    """What helps over a key that is none: who has it, its section's keys, or else the nearest by default."""
    for cause in _causes(error):
        schema, at = getattr(cause, "object_type", None), getattr(cause, "full_key", None)
        section, _, last = str(at or "").rpartition(".")
        if section and is_dataclass(schema) and f"{full}.".startswith(f"{at}."):
            names = [entry.name for entry in fields(schema)]
            return (
                _elsewhere(section, last, schema)
                or suggestion(last, names, f"{section}.")
                or f" ({section} has {', '.join(names)})"
            )
        name = str(at).removeprefix("landscape.")
        if f"landscape.{name}" == at and (root() / "conf" / "landscape" / f"{name}.yaml").is_file():
            chosen = ",".join(map(str, getattr(cause, "parent_node", None) or ()))
            return f": the landscape {name} is not among those chosen (landscape=[{chosen}])"
    if GlobalHydra.instance().is_initialized():
        GlobalHydra.instance().clear()
    return suggestion(full, [name for name, _own, _value in walk(typed(composed([])))])


def _elsewhere(section: str, last: str, schema: Any) -> str:
    """Which other choices of a section's group have a key; nothing if none has."""
    group = section.replace(".", "/")
    having = [
        name
        for path, other in SCHEMAS.items()
        if path.rpartition("/")[0] == group and last in {entry.name for entry in fields(other)}
        for name in NAMES.get(other, ())
    ]
    own = " or ".join(NAMES.get(schema, ()))
    return f" with {group}={own} (it is one of {group}={', '.join(having)})" if having else ""


def _before_link(text: str) -> str:
    return text.split("See https")[0]
