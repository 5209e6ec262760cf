"""Claims before anything is run: whether the sweep can test them."""

from collections.abc import Mapping, Sequence
from typing import Any

from study.config_claims import ClaimConfig
from study.errors import ConfigError, suggestion
from study.replicates import BETWEEN, matches


def check_claims(
    claims: Mapping[str, ClaimConfig], jobs: Sequence[tuple[Mapping[str, Any], set[str]]]
) -> None:
    """Refuse a claim that names settings or measures that no run of the sweep has.

    Args:
        claims: by name.
        jobs: of each run, its settings and the columns that it will have; see `columns.columns`.

    Raises:
        ConfigError: naming the claim, its key, and the nearest name that there is.
    """
    every = {column for _settings, columns in jobs for column in columns}
    known = {key for settings, _columns in jobs for key in settings}
    for name, claim in claims.items():
        where = f"claims.{name}"
        groups = {"runs": claim.runs, "against": claim.against}
        chosen: list[set[str]] = []
        for group, wanted in groups.items():
            for key in wanted or {}:
                if key not in known:
                    rule = f"must name settings of the runs{suggestion(key, known)}"
                    raise ConfigError(f"{where}.{group}", rule, key)
            if group == "runs" or wanted is not None:
                found = [columns for settings, columns in jobs if matches(settings, wanted)]
                if not found:
                    raise ConfigError(f"{where}.{group}", "must match some run of the sweep", wanted)
                chosen += found
        if claim.against is not None:
            both = [own for own, _columns in jobs if matches(own, claim.runs) and matches(own, claim.against)]
            if both:
                rule = "must match other runs than runs does, as a run is not compared with itself"
                raise ConfigError(f"{where}.against", rule, claim.against)
        if claim.along in known:
            values = [own.get(claim.along) for own, _columns in jobs if matches(own, claim.runs)]
            if odd := [value for value in values if not isinstance(value, int | float)]:
                raise ConfigError(f"{where}.along", "must be a setting whose values are numbers", odd[0])
        for key, measure in (("measure", claim.measure), ("beside", claim.beside), ("along", claim.along)):
            if measure is None or (key == "along" and measure in known):
                continue
            if measure not in every:
                others, more = (known, " or a setting") if key == "along" else (set(), "")
                rule = f"must be a column of the sweep's tables{more}{suggestion(measure, every | others)}"
                raise ConfigError(f"{where}.{key}", rule, measure)
            if not all(measure in columns for columns in chosen):
                raise ConfigError(f"{where}.{key}", "must be a column of every run that it is about", measure)
        if claim.beside is not None and claim.beside.startswith(BETWEEN) != claim.measure.startswith(BETWEEN):
            raise ConfigError(
                f"{where}.beside", "must be of runs, or of pairs, as the measure is", claim.beside
            )
        if claim.along is not None and claim.measure.startswith(BETWEEN):
            raise ConfigError(f"{where}.along", "must be null for a measure of pairs", claim.along)
