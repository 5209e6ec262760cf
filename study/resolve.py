"""From Hydra's composed configuration to ours, and from its refusals to one line."""

import difflib
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir  # noqa: TID251
from hydra.core.config_store import ConfigStore  # noqa: TID251
from hydra.core.global_hydra import GlobalHydra  # noqa: TID251
from hydra.errors import OverrideParseException  # noqa: TID251
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from study.config import SCHEMAS, StudyConfig
from study.errors import ConfigError
from study.identity import TRAINING_SECTIONS
from study.keys import check, walk
from study.paths import OUTPUT_DIR_VARIABLE, default_output_dir, root
from study.record import Record

CONFIG_NAME = "config"
ROOT_VARIABLE = "STUDY_ROOT"  # the folder that holds `sweeps`, so that it is a group: +sweeps=NAME
GROUPS = ("data", "model", "optimizer", "training", "training/schedule")  # what a training was chosen from


def prepare_hydra() -> Path:
    """Register the schemas and set what the configuration reads from the environment.

    Returns:
        The folder of the configuration.
    """
    os.environ.setdefault(OUTPUT_DIR_VARIABLE, str(default_output_dir()))
    os.environ[ROOT_VARIABLE] = str(root())
    store = ConfigStore.instance()
    store.store(group="schema", name="study", node=StudyConfig)
    for path, schema in SCHEMAS.items():
        group, name = path.rsplit("/", 1)
        store.store(group=f"schema/{group}", name=name, node=schema)
    return root() / "conf"


def composed(overrides: Sequence[str]) -> DictConfig:
    """The configuration that `overrides` give; for use outside a Hydra run."""
    with initialize_config_dir(version_base="1.3", config_dir=str(prepare_hydra())):
        return compose(CONFIG_NAME, overrides=list(overrides))


def typed(config: DictConfig) -> StudyConfig:
    """The configuration as dataclasses, every value held against its rule, paths absolute.

    Raises:
        ConfigError: for a key that nothing reads, a value that is missing, or one that breaks its rule.
    """
    known = {entry.name for entry in fields(StudyConfig)}
    for name in config:
        if name not in known:
            rule = f"is no key of the configuration{suggestion(str(name), known)}"
            raise ConfigError(str(name), rule, config[name])
    try:
        result = OmegaConf.to_object(config)
    except MissingMandatoryValue as error:
        raise ConfigError(str(error.full_key), "must be given", "???") from error
    assert isinstance(result, StudyConfig)
    _refuse_unknown(result)
    check(result)
    result.output_dir = str(Path(result.output_dir).expanduser().resolve())
    if result.tracking.name == "local" and set("%?#") & set(result.output_dir):
        rule = "must have none of % ? # in its path, which the address of the MLflow store cannot hold"
        raise ConfigError("output_dir", rule, result.output_dir)
    return result


def with_source(config: DictConfig, overrides: Sequence[str], record: Record) -> DictConfig:
    """The configuration with data, model, optimiser and training of the run that a checkpoint came from.

    Args:
        config: as composed from `overrides`.
        overrides: of the command line.
        record: the run that trained the weights looked at.

    Raises:
        ConfigError: if an override asks for something else in one of these sections.
    """
    for override in overrides:
        name = re.split(r"[=@.:/]", override.lstrip("+~"), maxsplit=1)[0]
        if name in {*TRAINING_SECTIONS, "seed"} and not override.startswith("data.root="):
            rule = f"is fixed by checkpoint=: run {record.config_hash} was trained with its own"
            raise ConfigError(name, rule, override)
    choices = record.read_json("run.json")["choices"]
    chosen = [f"{group}={choice}" for group, choice in choices.items()]
    config = compose(CONFIG_NAME, overrides=[*chosen, *overrides])
    saved = OmegaConf.create(record.read("config.yaml").decode())
    assert isinstance(saved, DictConfig)
    for section in TRAINING_SECTIONS:
        kept = config.data.get("root") if section == "data" else None
        config[section] = OmegaConf.merge(config[section], saved[section])
        if kept is not None:
            config.data.root = kept
    config.seed = saved.seed
    return config


def choices_of(hydra_choices: dict[str, Any]) -> dict[str, str]:
    """Of Hydra's choices, those that a training depends on."""
    return {group: hydra_choices[group] for group in GROUPS if hydra_choices.get(group)}


def suggestion(name: str, known: Iterable[str], prefix: str = "") -> str:
    """` (did you mean …?)`, with `prefix` before the name; nothing where no known name is near."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f" (did you mean {prefix + near[0]!r}?)" if near else ""


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
    if found := re.search(r"Could not override '([^']+)'", text):
        full = found[1].lstrip("+")
        if ".arguments." in full:
            return f"{full} is an argument of your own code: it must be given as +{full}=VALUE"
        return f"{full} is no key of the configuration{_near_key(full, error)}"
    if isinstance(error, OverrideParseException):
        return f"{error.override!r} must be KEY=VALUE: {' '.join(_before_link(text).split())}"
    if text.startswith("Config group override must be"):
        empty = [
            name for name, _, value in (word.partition("=") for word in overrides) if value in {"", "null"}
        ]
        name = next((name for name in empty if (root() / "conf" / name).is_dir()), "a group")
        return f"{name} must be given one of its choices, got nothing"
    for cause in _causes(error):
        if isinstance(cause, OmegaConfBaseException):
            key = cause.full_key or "configuration"
            merged = re.search(r"Error merging override [+]*([^=]+)=", text)
            if merged and not key.startswith(merged[1]):  # the cause names the key within its section only
                key = merged[1]
            reason = str(cause.msg or cause).splitlines()[0]
            return f"{key} has the wrong type: {reason}"
    if type(error).__module__.startswith("hydra."):
        return " ".join(_before_link(text).split())
    return None


def _causes(error: BaseException | None) -> Iterable[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _unknown_choice(path: str) -> str:
    group, _, name = path.rpartition("/")
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


def _near_key(full: str, error: BaseException) -> str:
    """The suggestion for a key that is none: of its own section's keys, or else of all by default."""
    section, _, last = full.rpartition(".")
    for cause in _causes(error):
        schema = getattr(cause, "object_type", None)
        if section and is_dataclass(schema) and getattr(cause, "full_key", None) == full:
            names = [entry.name for entry in fields(schema)]
            return suggestion(last, names, f"{section}.") or f" ({section} has {', '.join(names)})"
    if GlobalHydra.instance().is_initialized():
        GlobalHydra.instance().clear()
    return suggestion(full, [name for name, _own, _value in walk(typed(composed([])))])


def _refuse_unknown(config: StudyConfig) -> None:
    """Refuse what `+section.key=value` added: no schema has it, so nothing reads it.

    Raises:
        ConfigError: naming the key.
    """
    for name, _own, section in walk(config):
        if not is_dataclass(section):
            continue
        known = [entry.name for entry in fields(section)]
        for extra in vars(section).keys() - set(known):
            near = suggestion(extra, known, f"{name}.")
            raise ConfigError(
                f"{name}.{extra}", f"is no key of the configuration{near}", vars(section)[extra]
            )


def _before_link(text: str) -> str:
    return text.split("See https")[0]
