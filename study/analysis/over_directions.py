"""A landscape along several draws of its directions: what its replicates say together, how far they differ.

A replicated landscape is its first replicate, which holds the others as companions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from scipy.special import stdtrit

from study.landscape.result import Landscape, Status, is_loss

REPLICATE = "replicate_"
"""What the companions that are replicates are called, before their number."""

DEVIATION: Literal["loss_standard_deviation"] = "loss_standard_deviation"
"""The value of `spread` that says how far the losses differ."""

SPREAD = ("_standard_deviation", "_low", "_high")
"""What is added to a measure's name: its standard deviation, and the ends of the 95% interval of its mean."""

WORST = (
    *("basin_reaches_edge", "basin_unresolved", "diverged_cells"),
    *("self_check", "self_check_training", "self_check_repeated", "self_check_model"),
    "batch_statistics_gap",
    *("interpolation_error", "precision_error"),
)
"""What says how far a landscape can be trusted: of several, the largest counts, and not the mean."""


def replicated(landscapes: Sequence[Landscape]) -> Landscape:
    """One landscape of its replicates: the first, with the others as companions.

    Args:
        landscapes: over one grid, without companions, at least one.
    """
    first, *others = landscapes
    named = {f"{REPLICATE}{place}": other for place, other in enumerate(others, start=1)}
    return replace(first, companions=named)


def replicates(landscape: Landscape) -> list[Landscape]:
    """The replicates of a landscape, the first without its companions; itself where it has no others."""
    others = [own for name, own in landscape.companions.items() if name.startswith(REPLICATE)]
    return [replace(landscape, companions={}), *others] if others else [landscape]


def median(landscapes: Sequence[Landscape]) -> Landscape:
    """The median loss and accuracy of each cell; a loss that is not finite lies above all others.

    Args:
        landscapes: over one grid, complete; the special points are those of the first.
    """
    first = landscapes[0]
    values = {
        name: np.median([_losses(own.values[name], name) for own in landscapes], axis=0)
        for name in first.values
        if is_loss(name) or name.endswith("accuracy")
    }
    return replace(first, values=values, status=_status(landscapes, values), example_losses={}, companions={})


def spread(landscapes: Sequence[Landscape]) -> Landscape:
    """The mean loss of each cell, and its standard deviation (n − 1), in the loss's unit.

    The mean is infinite, and the deviation unknown, where any loss is not finite.

    Args:
        landscapes: over one grid, complete, at least two; the special points, which they share, are those of
            the first.
    """
    first, values = landscapes[0], {}
    for name in filter(is_loss, first.values):
        losses = np.array([_losses(own.values[name], name) for own in landscapes])
        known = np.isfinite(losses).all(axis=0)
        deviation = np.where(known, losses, 0.0).std(axis=0, ddof=1)
        values[name] = losses.mean(axis=0)
        values[f"{name.removesuffix('loss')}{DEVIATION}"] = np.where(known, deviation, np.nan)
    return replace(first, values=values, status=_status(landscapes, values), example_losses={}, companions={})


def summarised(measures: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The mean of each measure over replicates, its standard deviation (n − 1) and 95% Student-t interval.

    Of what is in `WORST` the largest, alone. A mean is not finite where any value is not; what is about it is
    then unknown.

    Args:
        measures: of each replicate, by `<split>/<measure>`, at least two.
    """
    found: dict[str, float] = {}
    for name in dict.fromkeys(name for own in measures for name in own):
        values = np.array([own[name] for own in measures if name in own])
        if name.rpartition("/")[2] in WORST:
            found[name] = float(values.max())
            continue
        mean, deviation = float(values.mean()), np.nan
        if np.isfinite(values).all():
            deviation = float(values.std(ddof=1))
        half = float(stdtrit(len(values) - 1, 0.975)) * deviation / np.sqrt(len(values))
        about = (deviation, mean - half, mean + half)
        found |= {name: mean} | {f"{name}{end}": value for end, value in zip(SPREAD, about, strict=True)}
    return found


def summary_names(measure: str) -> tuple[str, ...]:
    """The names of what `summarised` makes of a measure."""
    return (measure,) if measure in WORST else (measure, *(f"{measure}{end}" for end in SPREAD))


def _losses(values: np.ndarray, name: str) -> np.ndarray:
    """Values, of which losses that are not finite are infinite."""
    return np.where(np.isfinite(values), values, np.inf) if is_loss(name) else values


def _status(landscapes: Sequence[Landscape], values: Mapping[str, np.ndarray]) -> np.ndarray:
    """The status of cells that rest on those of several replicates and have these values."""
    lost = np.any([~np.isfinite(own) for name, own in values.items() if is_loss(name)], axis=0)
    interpolated = np.any([own.status == Status.INTERPOLATED for own in landscapes], axis=0)
    known = np.where(interpolated, Status.INTERPOLATED, Status.EVALUATED)
    return np.where(lost, Status.DIVERGED, known).astype(np.int8)
