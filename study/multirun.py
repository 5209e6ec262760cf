"""A multirun: from Hydra's overrides to its jobs, and those jobs through Hydra's launcher."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import product

from hydra import initialize_config_dir
from hydra._internal.callbacks import Callbacks  # private: `HydraContext` must hold one, if empty
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig

from study.composer import Composer, compose_whole, parse
from study.errors import ConfigError
from study.resolve import prepare_hydra
from study.studies import Study, chosen_study

BASIC_SWEEPER = "hydra._internal.core_plugins.basic_sweeper.BasicSweeper"

Task = Callable[[DictConfig], object]


@dataclass(frozen=True)
class Combination:
    """One job of a multirun.

    Attributes:
        overrides: that give its configuration.
    """

    overrides: tuple[str, ...]
    _composer: Composer = field(repr=False, compare=False)

    def compose(self) -> tuple[DictConfig, DictConfig]:
        """Its configuration, and Hydra's own section of it: until another job is composed."""
        return self._composer.compose(self.overrides)


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
            parsed = parse(overrides)
            shared = _shared_config(parsed)
            if shared.hydra.sweeper["_target_"] != BASIC_SWEEPER:
                chosen = shared.hydra.runtime.choices["hydra/sweeper"]
                raise ConfigError("hydra/sweeper", "must be basic", chosen)
            values = _job_values(parsed, shared)
            composer = Composer(_hydras(parsed), values)
            combinations = tuple(Combination(job, composer) for job in product(*values.values()))
            choices = shared.hydra.runtime.choices
            study = chosen_study(choices, shared.hydra.searchpath or ())
            yield cls(combinations, study, choices["hydra/launcher"], shared)

    def launch(
        self, combinations: Sequence[Combination], task: Task, waiting: Callable[[int], object]
    ) -> None:
        """Have Hydra's launcher run `task` on the configuration of each combination.

        Args:
            combinations: the jobs.
            task: run in whatever process.
            waiting: called with this process's id in each process of a pool, which waits for its first job.

        Raises:
            Exception: whatever the launcher raises, as where a process of its pool was killed.
        """
        loader = GlobalHydra.instance().config_loader()
        launcher = Plugins.instance().instantiate_launcher(
            hydra_context=HydraContext(config_loader=loader, callbacks=Callbacks()),
            task_function=task,
            config=self._shared,
        )
        if isinstance(pool := getattr(launcher, "joblib", None), dict):
            pool |= {"initializer": waiting, "initargs": (os.getpid(),)}
        launcher.launch([list(job.overrides) for job in combinations], initial_job_idx=0)


def jobs_of(overrides: Sequence[str]) -> list[tuple[str, ...]]:
    """The overrides of each job of a multirun, in its order, without composing them.

    Raises:
        ConfigError: for a sweep that is no list of values.
    """
    with initialize_config_dir(version_base="1.3", config_dir=str(prepare_hydra())):
        parsed = parse(overrides)
        return list(product(*_job_values(parsed, _shared_config(parsed)).values()))


def is_multirun(overrides: Sequence[str]) -> bool:
    """Whether what `overrides` choose is a multirun by its own word, as a study in `sweeps/` is."""
    with initialize_config_dir(version_base="1.3", config_dir=str(prepare_hydra())):
        return _shared_config(parse(overrides)).hydra.mode == RunMode.MULTIRUN


def _shared_config(parsed: Sequence[Override]) -> DictConfig:
    """What is the same in all jobs: the configuration without the keys that are swept."""
    fixed = [str(given.input_line) for given in parsed if not given.is_sweep_override()]
    return compose_whole(fixed)


def _job_values(parsed: Sequence[Override], shared: DictConfig) -> dict[str, list[str]]:
    """By key, the overrides that jobs combine; a key that is swept for nothing is taken out."""
    own = [given for given in parsed if not _is_hydras(given)]
    swept = shared.hydra.sweeper.params or {}
    params = [f"{key}={value}" for key, value in swept.items() if value]
    return _values([*parse(params), *own])


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
