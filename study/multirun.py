"""A multirun: from Hydra's overrides to its jobs, and those jobs through Hydra's launcher."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product

from hydra import compose, initialize_config_dir
from hydra._internal.callbacks import Callbacks  # private: `HydraContext` must hold one, if empty
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig, OmegaConf, open_dict

from study.doors import check_overrides, check_section
from study.errors import ConfigError
from study.resolve import CONFIG_NAME, prepare_hydra
from study.studies import Study, chosen_study

BASIC_SWEEPER = "hydra._internal.core_plugins.basic_sweeper.BasicSweeper"

Task = Callable[[DictConfig], object]


@dataclass(frozen=True)
class Combination:
    """One job of a multirun.

    Attributes:
        overrides: that give its configuration.
        config: so composed.
        hydra: Hydra's own section of it.
    """

    overrides: tuple[str, ...]
    config: DictConfig
    hydra: DictConfig


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
        """Expand `overrides` to every combination and compose each of them; Hydra is ready within.

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
            combinations = []
            for job in _jobs(parsed, shared):
                config = _composed([*_hydras(parsed), *job])
                hydra = config.hydra
                with open_dict(config):
                    del config["hydra"]
                combinations.append(Combination(job, config, hydra))
            choices = shared.hydra.runtime.choices
            yield cls(tuple(combinations), chosen_study(choices), choices["hydra/launcher"], shared)

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
        return _jobs(parsed, _shared_config(parsed))


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


def _jobs(parsed: Sequence[Override], shared: DictConfig) -> list[tuple[str, ...]]:
    """Every combination of the values that are swept; a key that is swept for nothing is taken out."""
    own = [given for given in parsed if not _is_hydras(given)]
    swept = shared.hydra.sweeper.params or {}
    params = [f"{key}={value}" for key, value in swept.items() if value]
    return list(product(*_values([*_parsed(params), *own]).values()))


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
