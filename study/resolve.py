"""From Hydra's composed configuration to ours."""

import os
import re
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.errors import MissingConfigException
from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue

from study.config import SCHEMAS, StudyConfig
from study.doors import check_overrides
from study.errors import ConfigError, in_one_line, suggestion
from study.identity import TRAINING_SECTIONS
from study.keys import check, walk
from study.paths import OUTPUT_DIR_VARIABLE, default_output_dir, root
from study.record import DamagedFileError, Record
from study.source import source_record

CONFIG_NAME = "config"
ROOT_VARIABLE = "STUDY_ROOT"  # the folder that holds `sweeps`, so that it is a group: +sweeps=NAME
GROUPS = (
    "data",
    "model",
    "optimizer",
    "optimizer@optimizer.base",
    "training",
    "training/schedule",
    "training/averaging",
)  # what a training was chosen from


def prepare_hydra() -> Path:
    """Register the schemas and set what the configuration reads from the environment.

    Returns:
        The folder of the configuration.
    """
    os.environ.setdefault(OUTPUT_DIR_VARIABLE, str(default_output_dir()))
    os.environ[ROOT_VARIABLE] = str(root())
    _register_schemas()
    return root() / "conf"


@cache
def _register_schemas() -> None:
    """Once a process: all of them take as long as a composition."""
    store = ConfigStore.instance()
    store.store(group="schema", name="study", node=StudyConfig)
    for path, schema in SCHEMAS.items():
        group, name = path.rsplit("/", 1)
        store.store(group=f"schema/{group}", name=name, node=schema)


def composed(overrides: Sequence[str]) -> DictConfig:
    """The configuration that `overrides` give; for use outside a Hydra run."""
    check_overrides(overrides)
    with initialize_config_dir(version_base="1.3", config_dir=str(prepare_hydra())):
        return compose(CONFIG_NAME, overrides=list(overrides))


def typed(config: DictConfig, overrides: Sequence[str] = ()) -> StudyConfig:
    """The configuration as dataclasses, every value held against its rule, paths absolute.

    Args:
        config: as composed.
        overrides: that it was composed from, which alone still tell 3 from true.

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
    for name, _own, value in walk(result):
        if value == MISSING:  # ~KEY leaves it so
            raise ConfigError(name, "must be given", value)
    _refuse_unknown(result)
    _refuse_untrue(result, overrides)
    check(result)
    if not result.output_dir:
        raise ConfigError("output_dir", "must be a folder", result.output_dir)
    result.output_dir = str(Path(os.path.expanduser(result.output_dir)).resolve())
    if result.tracking.name == "local" and set("%?#") & set(result.output_dir):
        rule = "must have none of % ? # in its path, which the address of the MLflow store cannot hold"
        raise ConfigError("output_dir", rule, result.output_dir)
    return result


def resolved(config: DictConfig, hydra: Any) -> tuple[StudyConfig, dict[str, str]]:
    """A job's configuration, with that of the training where it looks at one, and the choices behind it.

    Args:
        config: as composed, without Hydra's own section.
        hydra: that section.

    Raises:
        ConfigError: for whatever cannot be used, naming key, rule and value.
    """
    overrides = list(hydra.overrides.task)
    made = {group: hydra.runtime.choices.get(group) for group in GROUPS}
    choices = {group: str(choice) for group, choice in made.items() if choice}
    result = typed(config, overrides)
    if result.checkpoint is None:
        return result, choices
    try:
        record = source_record(result.checkpoint, result.output_dir)
        if record is None:
            return result, choices
        choices = record.read_json("run.json")["choices"]
        return typed(with_source(config, overrides, record, _places(hydra)), overrides), choices
    except ConfigError:
        raise
    except (DamagedFileError, OSError) as error:
        rule = f"must be whole, and readable ({error})"
        raise ConfigError("checkpoint", rule, result.checkpoint) from error
    except Exception as error:  # whatever the record of another version may hold, or lack
        why = in_one_line(error, 200)
        raise ConfigError(
            "checkpoint", f"must be of a run that this version can read ({why})", result.checkpoint
        ) from error


def with_source(
    config: DictConfig, overrides: Sequence[str], record: Record, places: Sequence[str] = ()
) -> DictConfig:
    """The configuration with data, model, optimiser and training of the run that a checkpoint came from.

    Args:
        config: as composed from `overrides`.
        overrides: of the command line.
        record: the run that trained the weights looked at.
        places: overrides that say where else choices lie.

    Raises:
        ConfigError: if an override asks for something else in one of these sections, or a choice that it was
            trained with is not found.
    """
    for override in overrides:
        name = re.split(r"[=@.:/]", override.lstrip("+~"), maxsplit=1)[0]
        if name in {*TRAINING_SECTIONS, "seed"} and not override.startswith("data.root="):
            rule = f"is fixed by checkpoint=: run {record.config_hash} was trained with its own"
            raise ConfigError(name, rule, override)
    choices = record.read_json("run.json")["choices"]
    chosen = [f"{group}={choice}" for group, choice in choices.items()]
    try:
        config = compose(CONFIG_NAME, overrides=[*places, *chosen, *overrides])
    except MissingConfigException as error:  # a choice that lies in a folder of the user's
        rule = f"needs {error.missing_cfg_file}, a choice of its own: give the same hydra.searchpath again"
        raise ConfigError("checkpoint", rule, record.config_hash) from error
    saved = OmegaConf.create(record.read("config.yaml").decode())
    assert isinstance(saved, DictConfig)
    for section in TRAINING_SECTIONS:
        kept = config.data.get("root") if section == "data" else None
        config[section] = OmegaConf.merge(config[section], saved[section])
        if kept is not None:
            config.data.root = kept
    config.seed = saved.seed
    return config


def _places(hydra: Any) -> list[str]:
    """The overrides of Hydra's own section that say where choices lie."""
    given = [str(word) for word in hydra.overrides.hydra or ()]
    return [word for word in given if word.lstrip("+").startswith("hydra.searchpath=")]


def _refuse_untrue(config: StudyConfig, overrides: Sequence[str]) -> None:
    """Refuse a number other than 0 and 1 for a key that is true or false: OmegaConf takes it for true.

    Raises:
        ConfigError: naming the key.
    """
    given = {name.lstrip("+"): value for name, _, value in (word.partition("=") for word in overrides)}
    for name, _own, value in walk(config):
        number = given.get(name, "").strip()
        if isinstance(value, bool) and re.fullmatch(r"[+-]?\d+", number) and int(number) not in {0, 1}:
            raise ConfigError(name, "must be true or false", int(number))


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
