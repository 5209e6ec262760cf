"""What a claim compares: values of a measure, one for each training seed, and those they are held against."""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from study.analysis.evidence import Evidence
from study.analysis.rank import FEWEST as FEWEST_CONFIGURATIONS
from study.analysis.rank import granulated_kendall
from study.config_claims import RATIO, ClaimConfig
from study.members import SEEDS, Member, Members

BETWEEN = "between/"
"""What the columns of the table of pairs begin with, in a claim."""

REPLICATE_SEEDS = tuple(key for key in SEEDS if key != "training.branch_seed")
"""Runs that differ in one of these are replicates; those of one branch point have all before it in common."""

SHAPING = ("data.name", "data.path", "data.arguments", "data.image_size")
"""What the shape of a network's input and output depends on, and so its initial weights."""

BOUNDED = {
    "basin_reaches_edge": "reach the edge of the grid, and are lower bounds",
    "basin_unresolved": "span fewer than three coordinates, and are guesses",
}
"""By their flags, what is said of basins that are not measured as they are."""

Replicate = frozenset[tuple[Any, ...]]


@dataclass(frozen=True)
class Item:
    """What a claim reads its measure off: a run, or a pair of minima.

    Attributes:
        settings: of the run, or of both.
        values: the columns of its row.
    """

    settings: tuple[Mapping[str, Any], ...]
    values: Mapping[str, Any]

    @property
    def replicate(self) -> Replicate:
        """The seeds that it rests on."""
        return frozenset(tuple(own.get(key) for key in REPLICATE_SEEDS) for own in self.settings)

    @property
    def initialisation(self) -> frozenset[str]:
        """What tells the initial weights that it started from."""
        return frozenset(repr(_initialisation(own)) for own in self.settings)

    def matches(self, wanted: Mapping[str, Any] | None) -> bool:
        """Whether all its runs have these settings."""
        return all(matches(own, wanted) for own in self.settings)


@dataclass(frozen=True)
class Replicates:
    """The replicates of a claim.

    Attributes:
        values: of what is compared, one a replicate, (n,).
        others: of what it is compared with: (n,), replicate by replicate, or (m,) of replicates of its own.
        paired: whether these belong together one by one.
        note: what was left out, in words.
    """

    values: np.ndarray
    others: np.ndarray
    paired: bool
    note: str = ""

    def sides(self, ratio: bool) -> tuple[np.ndarray, np.ndarray]:
        """Values and others as they are subtracted from each other: their logarithms for ratios."""
        return (np.log(self.values), np.log(self.others)) if ratio else (self.values, self.others)

    def evidence(self, ratio: bool) -> Evidence:
        """The effect that they show, of the logarithms for ratios."""
        values, others = self.sides(ratio)
        return Evidence.of_one(values - others) if self.paired else Evidence.of_two(values, others)


class NothingComparedError(ValueError):
    """What a claim compares is not there. Its message says why."""


@dataclass(frozen=True)
class Items:
    """What the claims of a study can be about.

    Attributes:
        runs: an item a run.
        pairs: an item a pair of minima and split.
        keys: the settings in which runs differ, without seeds.
    """

    runs: Sequence[Item]
    pairs: Sequence[Item]
    keys: Sequence[str]

    @classmethod
    def of(cls, members: Members, table: pd.DataFrame, between: pd.DataFrame) -> "Items":
        """Those of a comparison.

        Args:
            members: its runs.
            table: a row a run, in their order; see `Members.table`.
            between: a row a pair of minima and split.
        """
        rows = table.to_dict("records")
        runs = [
            Item((run.settings,), _trusted(run, row)) for run, row in zip(members.runs, rows, strict=True)
        ]
        settings = {run.record.config_hash: run.settings for run in members.runs}
        pairs = [
            Item(
                (settings[row["start_run"]], settings[row["end_run"]]),
                {f"{BETWEEN}{row['split']}/{name}": value for name, value in row.items()},
            )
            for row in between.to_dict("records")
        ]
        return cls(runs, pairs, members.keys)

    def with_measure(self, measure: str) -> Sequence[Item]:
        """Those that have such a column."""
        return self.pairs if measure.startswith(BETWEEN) else self.runs


def matches(settings: Mapping[str, Any], wanted: Mapping[str, Any] | None) -> bool:
    """Whether a run has these settings, each a value or one of a list."""
    return all(
        settings.get(key) == value or (isinstance(value, list) and settings.get(key) in value)
        for key, value in (wanted or {}).items()
    )


def mean(values: np.ndarray, ratio: bool) -> float:
    """The mean; the geometric one for ratios."""
    return float(np.exp(np.log(values).mean()) if ratio else values.mean())


def compared(claim: ClaimConfig, items: Items) -> Replicates:
    """What a claim compares.

    Raises:
        NothingComparedError: if it is not there, or has a value that cannot be compared.
    """
    every = items.with_measure(claim.measure)
    own = [item for item in every if item.matches(claim.runs)]
    if not own:
        raise NothingComparedError("no finished run has these settings")
    rest = [] if claim.against is None else [item for item in every if item.matches(claim.against)]
    if claim.against is not None and not rest:
        raise NothingComparedError("no finished run has the settings that it is compared with")
    note = _bounds(claim.measure, [*own, *rest])
    if claim.along is not None:
        correlations = _correlations(claim, own, items.keys)
        return Replicates(correlations, np.zeros(len(correlations)), True, note)
    values = _by_replicate(own, claim, claim.measure)
    if claim.than is not None:
        return Replicates(_array(values), np.full(len(values), claim.than), True, note)
    if claim.beside is not None:
        beside = _by_replicate(own, claim, claim.beside)
        if values.keys() != beside.keys():
            raise NothingComparedError(f"{claim.measure} and {claim.beside} are of other replicates")
        return Replicates(_array(values), np.array([beside[replicate] for replicate in values]), True, note)
    others = _by_replicate(rest, claim, claim.measure)
    shared = [replicate for replicate in values if replicate in others]
    if shared and _initialisations(own, shared) == _initialisations(rest, shared):
        left = len(values.keys() ^ others.keys())
        words = [note, f"{left} replicates of one side alone are left out" if left else ""]
        first, second = (np.array([side[replicate] for replicate in shared]) for side in (values, others))
        return Replicates(first, second, paired=True, note="; ".join(filter(None, words)))
    return Replicates(_array(values), _array(others), paired=False, note=note)


def _trusted(run: Member, row: Mapping[Hashable, Any]) -> dict[str, Any]:
    """The columns of a run's row, without those of landscapes whose self-checks failed."""
    broken = tuple(f"{name}/" for name in run.broken)
    return {str(name): value for name, value in row.items() if not str(name).startswith(broken)}


def _bounds(measure: str, items: Sequence[Item]) -> str:
    """What is to be said of basins that are only bounded by their grid; nothing for other measures.

    Raises:
        NothingComparedError: where all of them reach its edge.
    """
    prefix, _, name = measure.rpartition("/")
    if not name.startswith(("basin_width", "level_set_area")):
        return ""
    words = []
    for flag, meaning in BOUNDED.items():
        count = sum(bool(item.values.get(f"{prefix}/{flag}", 0)) for item in items)
        if count == len(items) and flag == "basin_reaches_edge":
            raise NothingComparedError(f"all {count} basins {meaning}")
        if count:
            words.append(f"{count} of {len(items)} basins {meaning}")
    return "; ".join(words)


def _by_replicate(items: Sequence[Item], claim: ClaimConfig, measure: str) -> dict[Replicate, float]:
    """The measure of each replicate, averaged over the items that rest on the same seeds.

    Pairs of minima that share one with an earlier pair, and so depend on it, are left out.

    Raises:
        NothingComparedError: if it is missing, infinite, or not positive where ratios are compared, or if
            what must hold in every run would be averaged over several.
    """
    groups: dict[Replicate, list[float]] = {}
    used: set[Any] = set()
    for item in items:
        if measure not in item.values:
            continue
        replicate = item.replicate
        if replicate not in groups and used & replicate:
            continue
        used |= replicate
        groups.setdefault(replicate, []).append(float(item.values[measure]))
    if not groups:
        raise NothingComparedError(f"there is no {measure}")
    every = [value for values in groups.values() for value in values]
    if claim.exact and (most := max(map(len, groups.values()))) > 1:
        raise NothingComparedError(f"{most} runs of one seed, and an exact claim compares one")
    if missing := sum(not math.isfinite(value) for value in every):
        raise NothingComparedError(f"{missing} of {len(every)} values of {measure} are missing or infinite")
    if claim.compared_as == RATIO and (below := sum(value <= 0 for value in every)):
        raise NothingComparedError(f"{below} of {len(every)} values of {measure} are not above 0")
    ratio = claim.compared_as == RATIO
    return {replicate: mean(np.array(values), ratio) for replicate, values in groups.items()}


def _correlations(claim: ClaimConfig, items: Sequence[Item], keys: Sequence[str]) -> np.ndarray:
    """Granulated Kendall's τ of each replicate over its configurations, (n,).

    Raises:
        NothingComparedError: if values are missing, or there are too few configurations.
    """
    along = str(claim.along)
    groups: dict[Replicate, list[Item]] = {}
    for item in items:
        groups.setdefault(item.replicate, []).append(item)
    found = []
    for own in groups.values():
        settings = [tuple(repr(item.settings[0].get(key)) for key in keys) for item in own]
        if len(set(settings)) < FEWEST_CONFIGURATIONS:
            words = f"{len(set(settings))} configurations of a seed, and at least {FEWEST_CONFIGURATIONS}"
            raise NothingComparedError(f"{words} make a rank correlation")
        x, y = (
            np.array([float(item.values.get(name, item.settings[0].get(name, np.nan))) for item in own])
            for name in (claim.measure, along)
        )
        if missing := int((np.isnan(x) | np.isnan(y)).sum()):
            raise NothingComparedError(f"{missing} of {len(x)} values of a seed are missing")
        axes = [list(keys).index(along)] if along in keys else range(len(keys))
        found.append(granulated_kendall(x, y, settings, axes))
    if not np.isfinite(found).all():
        raise NothingComparedError(
            "the correlation is not defined: no two configurations differ in one setting"
        )
    return np.array(found)


def _initialisation(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What the initial weights of a run depend on."""
    seed = settings.get("training.init_seed")
    network = {key: value for key, value in settings.items() if key.startswith("model.") or key in SHAPING}
    return network | {"seed": settings.get("seed") if seed is None else seed}


def _initialisations(items: Sequence[Item], replicates: Sequence[Replicate]) -> dict[Replicate, set[Any]]:
    found: dict[Replicate, set[Any]] = {replicate: set() for replicate in replicates}
    for item in items:
        if item.replicate in found:
            found[item.replicate] |= item.initialisation
    return found


def _array(values: Mapping[Replicate, float]) -> np.ndarray:
    return np.array([*values.values()])
