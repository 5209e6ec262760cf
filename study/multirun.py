"""A multirun: from Hydra's overrides to its jobs, and those jobs through Hydra's launcher."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from hydra import compose, initialize_config_dir
from hydra._internal.callbacks import Callbacks  # private: `HydraContext` must hold one, if empty
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from hydra.core.plugins import Plugins
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from study.doors import check_overrides, check_section
from study.errors import ConfigError
from study.resolve import CONFIG_NAME, prepare_hydra
from study.studies import Study, chosen_study

BASIC_SWEEPER = "hydra._internal.core_plugins.basic_sweeper.BasicSweeper"

Task = Callable[[DictConfig], object]


class Composer:
    """Composes the jobs of a multirun; those that differ in plain values alone share the rest.

    Hydra reads and merges every file anew for each job. Its value overrides come after all choices, so where
    no other override speaks of the same key, setting a value is the same as composing with it.

    Args:
        hydras: overrides of Hydra's own section, the same in all jobs.
        values: by key, all other overrides, as jobs combine them.
    """

    def __init__(self, hydras: Sequence[str], values: Mapping[str, Sequence[str]]) -> None:
        self._hydras = list(hydras)
        swept = [key for key, own in values.items() if len(own) > 1 and not _is_group(key)]
        self._alone = {
            key
            for key in swept
            if not any(_overlap(key, other) and not _chooses(other, own) for other, own in values.items())
        }
        self._values: dict[str, tuple[str, object] | None] = {}
        self._shared: dict[tuple[str, ...], tuple[DictConfig, DictConfig]] = {}
        self._last: tuple[Sequence[str] | None, Any] = (None, None)

    def compose(self, overrides: Sequence[str]) -> tuple[DictConfig, DictConfig]:
        """The configuration of a job, and Hydra's own section: until the next job is composed."""
        if overrides != self._last[0]:
            self._last = (overrides, self._own(overrides))
        return self._last[1]

    def _own(self, overrides: Sequence[str]) -> tuple[DictConfig, DictConfig]:
        values = [own for override in overrides if (own := self._value(override)) is not None]
        rest = tuple(override for override in overrides if self._value(override) is None)
        if rest not in self._shared:
            self._shared[rest] = self._apart(rest)
        config, hydra = self._shared[rest]
        if not all(_is_value(config, key) for key, _value in values):
            return self._apart(overrides)
        try:
            for key, value in values:
                OmegaConf.update(config, key, value, merge=True)
        except OmegaConfBaseException:
            del self._shared[rest]
            return self._apart(overrides)  # it says what is wrong
        hydra.overrides.task = list(overrides)
        return config, hydra

    def _apart(self, overrides: Sequence[str]) -> tuple[DictConfig, DictConfig]:
        config = _composed([*self._hydras, *overrides])
        hydra = config.hydra
        with open_dict(config):
            del config["hydra"]
        return config, hydra

    def _value(self, override: str) -> tuple[str, object] | None:
        """The key and the value that an override sets, where it does no more than that."""
        if override not in self._values:
            key, _, _text = override.partition("=")
            self._values[override] = self._read(override) if key in self._alone else None
        return self._values[override]

    def _read(self, override: str) -> tuple[str, object] | None:
        (parsed,) = _parsed([override])
        key, value = parsed.key_or_group, parsed.value()
        plain = value is None or isinstance(value, bool | int | float | str)
        if parsed.type is not OverrideType.CHANGE or parsed.package is not None or not plain:
            return None
        if isinstance(value, str) and "${" in value:
            return None
        return key, value


@dataclass(frozen=True)
class Combination:
    """One job of a multirun.

    Attributes:
        overrides: that give its configuration.
    """

    overrides: tuple[str, ...]
    _composer: Composer = field(repr=False, compare=False)

    @property
    def config(self) -> DictConfig:
        """So composed; it is this job's until another is composed."""
        return self._composer.compose(self.overrides)[0]

    @property
    def hydra(self) -> DictConfig:
        """Hydra's own section of it: its overrides and choices."""
        return self._composer.compose(self.overrides)[1]


@dataclass(frozen=True)
class Multirun:
    """The jobs of a multirun, and what launches them. Use `Multirun.open`.

    Attributes:
        combinations: in the order of the sweep, the last key fastest.
        study: the ready-made study that it is, if it is one.
        launcher: name of Hydra's launcher.
    """

    combinations: tuple[Combination, ...]
    study: Study | None
    launcher: str
    _shared: DictConfig

    @classmethod
    @contextmanager
    def open(cls, overrides: Sequence[str]) -> Iterator["Multirun"]:
        """Expand `overrides` to every combination; Hydra is ready to compose each of them within.

        Raises:
            ConfigError: for a sweep that is no list of values, another sweeper than Hydra's basic one, or
                foreign code in Hydra's own section.
        """
        with initialize_config_dir(version_base="1.3", config_dir=str(prepare_hydra())):
            parsed = _parsed(overrides)
            shared = _shared_config(parsed)
            if shared.hydra.sweeper["_target_"] != BASIC_SWEEPER:
                chosen = shared.hydra.runtime.choices["hydra/sweeper"]
                raise ConfigError("hydra/sweeper", "must be basic", chosen)
            values = _job_values(parsed, shared)
            composer = Composer(_hydras(parsed), values)
            combinations = tuple(Combination(job, composer) for job in product(*values.values()))
            choices = shared.hydra.runtime.choices
            yield cls(combinations, chosen_study(choices), choices["hydra/launcher"], shared)

    def launch(self, combinations: Sequence[Combination], task: Task) -> None:
        """Have Hydra's launcher run `task` on the configuration of each combination.

        Raises:
            Exception: whatever the launcher raises, as where a process of its pool was killed.
        """
        loader = GlobalHydra.instance().config_loader()
        launcher = Plugins.instance().instantiate_launcher(
            hydra_context=HydraContext(config_loader=loader, callbacks=Callbacks()),
            task_function=task,
            config=self._shared,
        )
        launcher.launch([list(job.overrides) for job in combinations], initial_job_idx=0)


def jobs_of(overrides: Sequence[str]) -> list[tuple[str, ...]]:
    """The overrides of each job of a multirun, in its order, without composing them.

    Raises:
        ConfigError: for a sweep that is no list of values.
    """
    with initialize_config_dir(version_base="1.3", config_dir=str(prepare_hydra())):
        parsed = _parsed(overrides)
        return list(product(*_job_values(parsed, _shared_config(parsed)).values()))


def is_multirun(overrides: Sequence[str]) -> bool:
    """Whether what `overrides` choose is a multirun by its own word, as a study in `sweeps/` is."""
    with initialize_config_dir(version_base="1.3", config_dir=str(prepare_hydra())):
        return _shared_config(_parsed(overrides)).hydra.mode == RunMode.MULTIRUN


def _parsed(overrides: Sequence[str]) -> list[Override]:
    check_overrides(overrides)
    loader = GlobalHydra.instance().config_loader()
    return OverridesParser.create(config_loader=loader).parse_overrides(list(overrides))


def _shared_config(parsed: Sequence[Override]) -> DictConfig:
    """What is the same in all jobs: the configuration without the keys that are swept."""
    fixed = [str(given.input_line) for given in parsed if not given.is_sweep_override()]
    return _composed(fixed)


def _composed(overrides: Sequence[str]) -> DictConfig:
    """The configuration with Hydra's own section, which asks for no foreign code."""
    config = compose(CONFIG_NAME, list(overrides), return_hydra_config=True)
    section = OmegaConf.to_container(config.hydra)
    assert isinstance(section, dict)
    check_section({str(name): own for name, own in section.items()})
    return config


def _job_values(parsed: Sequence[Override], shared: DictConfig) -> dict[str, list[str]]:
    """By key, the overrides that jobs combine; a key that is swept for nothing is taken out."""
    own = [given for given in parsed if not _is_hydras(given)]
    swept = shared.hydra.sweeper.params or {}
    params = [f"{key}={value}" for key, value in swept.items() if value]
    return _values([*_parsed(params), *own])


def _is_group(key: str) -> bool:
    return bool(GlobalHydra.instance().config_loader().get_group_options(key))


def _chooses(key: str, overrides: Sequence[str]) -> bool:
    """Whether overrides of a key choose files of a group: Hydra reads these before any value is set."""
    mappings = any(word.partition("=")[2].lstrip().startswith("{") for word in overrides)
    return not mappings and _is_group(key.lstrip("+~").partition("@")[0])


def _overlap(key: str, other: str) -> bool:
    """Whether two keys are not one, and an override of the one may change what the other sets."""
    one, two = (words.lstrip("+~").partition("@")[0].replace("/", ".") for words in (key, other))
    nested = f"{one}.".startswith(f"{two}.") or f"{two}.".startswith(f"{one}.")
    return key != other and nested


def _is_value(config: DictConfig, key: str) -> bool:
    """Whether a configuration has a plain value there, or none yet."""
    above, _, last = key.rpartition(".")
    section = OmegaConf.select(config, above) if above else config
    if not isinstance(section, DictConfig) or OmegaConf.is_interpolation(section, last):
        return False
    missing = OmegaConf.is_missing(section, last)
    return missing or (last in section and not OmegaConf.is_config(section[last]))


def _is_hydras(given: Override) -> bool:
    return given.get_key_element().lstrip("+~").startswith(("hydra.", "hydra/"))


def _hydras(parsed: Sequence[Override]) -> list[str]:
    return [str(given.input_line) for given in parsed if _is_hydras(given)]


def _values(parsed: Sequence[Override]) -> dict[str, list[str]]:
    """By key, its overrides, one for each value; what is given later counts.

    Raises:
        ConfigError: for a sweep that is no list of values.
    """
    values = {}
    for given in parsed:
        key = given.get_key_element()
        if not given.is_sweep_override():
            values[key] = [str(given.input_line)]
        elif given.is_discrete_sweep():
            values[key] = [f"{key}={value}" for value in given.sweep_string_iterator()]
        else:
            rule = "must be a list of values in a sweep, as 1,2 or range(1,3)"
            raise ConfigError(key, rule, given.input_line)
    return values
