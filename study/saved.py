"""A run's configuration as its record kept it, read back as dataclasses: to build its objects once more."""

import copy
import re
from collections.abc import Mapping
from dataclasses import fields
from functools import lru_cache
from typing import Any, TypeVar

from omegaconf import OmegaConf

from study.config import NAMES, AugmentationConfig, DataConfig
from study.identity import LATER
from study.kinds import KINDS, LandscapeConfig
from study.models import MODELS, ModelConfig
from study.record import Record

Section = TypeVar("Section")


def saved_data(record: Record) -> DataConfig:
    """The data that a run was trained on.

    Raises:
        ValueError: if the record is of another version of this project.
    """
    tree = _section(record, "data")
    if "augmentation" in tree:
        tree["augmentation"] = _filled(AugmentationConfig, tree["augmentation"], record)
    return _filled(_schema(DataConfig, tree["name"]), tree, record)


def saved_model(record: Record) -> ModelConfig:
    """The network of a run.

    Raises:
        ValueError: if the record is of another version of this project.
    """
    tree = _section(record, "model")
    return _filled(MODELS[tree["name"]], tree, record)


def saved_landscapes(record: Record) -> dict[str, LandscapeConfig]:
    """The landscapes of a run, by name; keys that came later have the values of the time before.

    Raises:
        ValueError: if the record is of another version of this project.
    """
    found = {}
    for name, tree in _section(record, "landscape").items():
        found[name] = _filled(KINDS[tree["kind"]].schema, {**later(tree["kind"]), **tree}, record)
    return found


def later(kind: str) -> dict[str, Any]:
    """The keys of a landscape kind that an older record may lack, with the values of the time before."""
    names = {own.name for own in fields(KINDS[kind].schema)}
    return {key: value for key, value in LATER.items() if key in names}


def _section(record: Record, name: str) -> dict[str, Any]:
    """A section of the configuration, read by itself: the runs of a sweep share the text of most of them."""
    text = record.read("config.yaml").decode()
    found = re.search(rf"^{name}:.*\n(?:(?:[ -].*)?\n)*", text, re.MULTILINE)
    if found is None:
        raise ValueError(f"{record.path} was written by another version: its configuration has no {name}")
    return copy.deepcopy(_parsed(found[0]))


@lru_cache(maxsize=512)
def _parsed(text: str) -> dict[str, Any]:
    """The one section of a text in YAML."""
    tree = OmegaConf.to_container(OmegaConf.create(text))
    assert isinstance(tree, dict)
    (section,) = tree.values()
    assert isinstance(section, dict)
    return {str(name): own for name, own in section.items()}


def _schema(base: type[Section], name: str) -> type[Section]:
    """The schema of a section that may carry this name."""
    return next(schema for schema, names in NAMES.items() if issubclass(schema, base) and name in names)


def _filled(schema: type[Section], tree: Mapping[str, Any], record: Record) -> Section:
    names = [entry.name for entry in fields(schema)]  # type: ignore[arg-type]  # every schema is a dataclass
    if set(names) != set(tree):
        raise ValueError(f"{record.path} was written by another version: its configuration has other keys")
    return schema(**tree)
