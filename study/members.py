"""The runs of a comparison: what was set, what came out, and in which settings they differ."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from study.curvature import STEM as CURVATURE
from study.flatness import STEM as MEASURES
from study.kinds import LandscapeConfig
from study.landscape.result import NATS, Landscape
from study.partner import undrawn
from study.record import Record
from study.rescaled import STEM as RESCALING
from study.saved import later, saved_landscapes
from study.self_checks import broken_checks
from study.source import TRAINING

SEEDS = ("seed", "training.init_seed", "training.order_seed", "training.branch_seed")
"""Settings that make replicates of one configuration."""

SCORES = ("accuracy", "r2")
"""What tasks score by."""

BY_TRAINING = (
    *(
        f"{split}/{prefix}{name}"
        for prefix in ("", "averaged_")
        for split in ("train", "test")
        for name in ("loss", *SCORES)
    ),
    "weights/norm",
)
"""What is shown of the end of a training, where there is such a value."""


@dataclass(frozen=True)
class Member:
    """One finished run of a comparison.

    Attributes:
        record: its folder.
    """

    record: Record

    @cached_property
    def about(self) -> dict[str, Any]:
        """What the record says of the run."""
        return self.record.read_json("run.json")

    @cached_property
    def settings(self) -> dict[str, Any]:
        """Every key that its numbers depend on, and the names of its landscapes."""
        own = dict(self.about["settings"])
        for name in self.about["landscapes"]:
            for key, value in later(own[f"landscape.{name}.kind"]).items():
                own.setdefault(f"landscape.{name}.{key}", value)
        return own

    @cached_property
    def values(self) -> dict[str, float]:
        """The last value of each metric."""
        return self.record.latest()

    @cached_property
    def landscapes(self) -> dict[str, LandscapeConfig]:
        """Configuration of each landscape, by name."""
        return saved_landscapes(self.record)

    @property
    def diverged(self) -> bool:
        """Whether its training diverged, so that it has no landscape."""
        return "diverged" in self.record.read_json("state.json")["tags"]

    @property
    def undrawn(self) -> list[str]:
        """Its landscapes that are not there, as the training of another seed diverged that they name."""
        return undrawn(self.record.read_json("state.json")["tags"])

    @cached_property
    def broken(self) -> dict[str, list[str]]:
        """The self-checks that do not hold, by the landscapes that are not to be trusted for it."""
        found = {name: broken_checks(name, self.values) for name in self.landscapes}
        return {name: checks for name, checks in found.items() if checks}

    def said_broken(self, name: str) -> str:
        """Why a landscape is not to be trusted, in words."""
        return f"self-checks failed: {', '.join(self.broken[name])}"

    @property
    def loss_unit(self) -> str:
        """What its loss of an example is counted in."""
        return self.about.get("loss_unit", NATS)

    @property
    def data_digest(self) -> str:
        """Of both splits."""
        return self.about["identity"]["training"]["data_digest"]

    @property
    def code_digests(self) -> dict[str, str]:
        """By path, of the source of custom data and models."""
        return self.about["identity"]["training"]["code_digests"]

    @property
    def training_hash(self) -> str:
        """Of the training that reached its weights."""
        return self.about["tags"]["training_hash"]

    def landscape(self, name: str) -> Landscape:
        """One of its landscapes."""
        return Landscape.from_bytes(self.record.read(f"landscapes/{name}.npz"))

    def seconds(self) -> dict[str, float]:
        """Wall-clock seconds of training (by whichever run did it), landscapes, curvature and measures."""
        found = {}
        if self.record.holds(TRAINING):
            found["seconds/training"] = float(self.record.read_json(TRAINING)["seconds"])
        for stem in (CURVATURE, MEASURES):
            if self.record.holds(f"{stem}.json"):
                found[f"seconds/{stem}"] = float(self.record.read_json(f"{stem}.json")["seconds"])
        files = [f"landscapes/{name}.json" for name in self.about["landscapes"]]
        spent = [self.record.read_json(file)["seconds"] for file in files if self.record.holds(file)]
        return {**found, "seconds/landscapes": float(sum(spent))}


@dataclass(frozen=True)
class Members:
    """Runs beside each other, in order of the settings in which they differ.

    Attributes:
        runs: smallest values first.
        keys: the settings in which they differ, without seeds: together they are a run's configuration.
        seeds: the seeds in which they differ.
    """

    runs: tuple[Member, ...]
    keys: tuple[str, ...]
    seeds: tuple[str, ...]

    @classmethod
    def of(cls, records: Sequence[Record]) -> "Members":
        """The runs of records, each once."""
        runs = [Member(record) for record in {record.config_hash: record for record in records}.values()]
        differing = differing_keys([run.settings for run in runs])
        keys = tuple(key for key in differing if key not in SEEDS)
        seeds = tuple(key for key in differing if key in SEEDS)
        places = {key: _places([run.settings.get(key) for run in runs]) for key in (*keys, *seeds)}
        runs.sort(key=lambda run: [places[key][repr(run.settings.get(key))] for key in (*keys, *seeds)])
        return cls(tuple(runs), keys, seeds)

    @property
    def subject(self) -> str:
        """What all runs have in common: network and data."""
        first = self.runs[0].settings
        common = [
            str(first[key])
            for key in ("model.name", "data.name")
            if all(run.settings[key] == first[key] for run in self.runs)
        ]
        return " on ".join(common) or "several networks and data sets"

    def configuration(self, run: Member) -> str:
        """The settings that make a run's configuration, in words: `batch_size 64, optimizer adam`."""
        return self._words(run, self.keys) or "all runs"

    def replicate(self, run: Member) -> str:
        """The seeds of a run, in words."""
        return self._words(run, self.seeds) or "one seed"

    def label(self, run: Member) -> str:
        """What tells a run from the others, in words."""
        return self._words(run, (*self.keys, *self.seeds)) or run.about["name"]

    def entry(self, run: Member) -> str:
        """What a legend calls a run: its configuration, or itself where seeds are all that differs."""
        return self.configuration(run) if self.keys else self.label(run)

    def by_configuration(self) -> dict[str, list[Member]]:
        """The runs of each configuration."""
        found: dict[str, list[Member]] = {}
        for run in self.runs:
            found.setdefault(self.configuration(run), []).append(run)
        return found

    def table(self) -> pd.DataFrame:
        """A row a run: label, settings that differ, what training reached, measures, seconds."""
        return pd.DataFrame([self._row(run) for run in self.runs])

    def differing(self, run: Member) -> dict[str, Any]:
        """The settings in which the runs differ, seeds among them, as a table holds them."""
        values = {key: run.settings.get(key) for key in (*self.keys, *self.seeds)}
        return {key: value if _is_plain(value) else str(value) for key, value in values.items()}

    def _row(self, run: Member) -> dict[str, Any]:
        reached = {key: run.values[key] for key in BY_TRAINING if key in run.values}
        if {"train/loss", "test/loss"} <= reached.keys():
            reached["gap/loss"] = reached["test/loss"] - reached["train/loss"]
        for score in SCORES:
            if {f"train/{score}", f"test/{score}"} <= reached.keys():
                reached[f"gap/{score}"] = reached[f"train/{score}"] - reached[f"test/{score}"]
        prefixes = tuple(f"{name}/" for name in (*run.about["landscapes"], CURVATURE, MEASURES, RESCALING))
        measured = {key: value for key, value in run.values.items() if key.startswith(prefixes)}
        return {
            "run": run.record.config_hash,
            "label": self.label(run),
            "configuration": self.configuration(run),
            **self.differing(run),
            "diverged": run.diverged,
            **reached,
            **measured,
            **run.seconds(),
        }

    def _words(self, run: Member, keys: Sequence[str]) -> str:
        return ", ".join(in_words(run.settings, keys, (*self.keys, *self.seeds)))


def differing_keys(settings: Sequence[Mapping[str, Any]]) -> list[str]:
    """The keys in which settings differ.

    A key counts where runs differ in it that have the same choice for its section (`optimizer.name`, a
    landscape's `kind`), so that a section chosen anew is named by its choice alone, and not by the keys that
    come with it.
    """
    names = list(dict.fromkeys(name for each in settings for name in each))
    return [name for name in names if _differs(name, settings)]


def choice_key(name: str, settings: Mapping[str, Any]) -> str | None:
    """The key of the choice that a key came with: `optimizer.name` for `optimizer.momentum`."""
    section = name.rpartition(".")[0]
    keys = (f"{section}.name", f"{section}.kind")
    return next((key for key in keys if key in settings and key != name), None)


def _differs(name: str, settings: Sequence[Mapping[str, Any]]) -> bool:
    values: dict[str, set[str]] = {}
    for each in settings:
        if name in each:
            choice = choice_key(name, each)
            values.setdefault(repr(choice and each[choice]), set()).add(repr(each[name]))
    return any(len(own) > 1 for own in values.values())


def short(key: str, keys: Sequence[str]) -> str:
    """A key without its section, where that leaves it apart from the others; a choice by its group's name."""
    parts = key.split(".")
    if parts[-1] in {"name", "kind"}:
        parts = parts[:-1]
    last = parts[-1]
    clashes = [other for other in keys if other != key and other.split(".")[-1] == last]
    return ".".join(parts[-2:]) if clashes else last


def in_words(settings: Mapping[str, Any], keys: Sequence[str], every: Sequence[str]) -> list[str]:
    """The settings of these keys in words, `batch_size 64`, told from `every` key by their names."""
    return [f"{short(key, every)} {_word(settings[key])}" for key in keys if key in settings]


def _places(values: list[Any]) -> dict[str, int]:
    """Where each value comes in order: numbers by size, anything else as it first stands."""
    distinct = list({repr(value): value for value in values}.values())
    if all(isinstance(value, int | float) for value in distinct):
        distinct.sort()
    return {repr(value): place for place, value in enumerate(distinct)}


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float)


def _word(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)
