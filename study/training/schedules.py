"""Training time: how long a training may last, and learning-rate schedules as pure functions of time.

A schedule gives the factor by which an optimizer's learning rate is multiplied. Time is counted in epochs:
before update u (from 0) it is u / (updates per epoch). Nothing is remembered, so a resume needs no state.
"""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

_TOLERANCE = 1e-9
"""Epochs by which a boundary may be missed in rounding; far below one update."""


@dataclass(frozen=True)
class Budget:
    """How long a training may last.

    Raises:
        ValueError: If there are less than 0 updates, or less than 1 an epoch.
    """

    total_updates: int
    updates_per_epoch: int

    def __post_init__(self) -> None:
        if self.total_updates < 0 or self.updates_per_epoch < 1:
            raise ValueError(
                "a budget needs total_updates of at least 0 and updates_per_epoch of at least 1, "
                f"got {self.total_updates} and {self.updates_per_epoch}"
            )

    @classmethod
    def epochs(cls, n: int, examples: int, batch_size: int) -> "Budget":
        """`n` passes over `examples` examples, the short last batch of each included."""
        per_epoch = _updates_per_epoch(examples, batch_size)
        return cls(n * per_epoch, per_epoch)

    @classmethod
    def steps(cls, n: int, examples: int, batch_size: int) -> "Budget":
        """`n` updates, which may end inside an epoch."""
        return cls(n, _updates_per_epoch(examples, batch_size))

    @property
    def total_epochs(self) -> float:
        """The whole training in epochs."""
        return self.total_updates / self.updates_per_epoch


class Schedule(Protocol):
    """A learning-rate factor as a function of time."""

    def factor(self, epoch: float, total_epochs: float) -> float:
        """The factor at `epoch` of a training of `total_epochs`, both in epochs."""


@dataclass(frozen=True)
class Constant:
    """The learning rate as it is."""

    def factor(self, epoch: float, total_epochs: float) -> float:
        """One, at all times."""
        return 1.0


@dataclass(frozen=True)
class Cosine:
    """Half a cosine from 1 to `final_factor` (Loshchilov and Hutter 2017, equation 5, without restarts)."""

    final_factor: float = 0.0

    def factor(self, epoch: float, total_epochs: float) -> float:
        """With f = `final_factor`, f + (1 − f) (1 + cos(π epoch / total_epochs)) / 2; f from the end on."""
        if epoch >= total_epochs:
            return 1.0 if epoch <= 0 else self.final_factor
        return (
            self.final_factor + (1 - self.final_factor) * (1 + math.cos(math.pi * epoch / total_epochs)) / 2
        )


@dataclass(frozen=True)
class Step:
    """Multiplied by `gamma` every `every_epochs` epochs.

    Raises:
        ValueError: If `every_epochs` is not positive.
    """

    every_epochs: float
    gamma: float

    def __post_init__(self) -> None:
        if not self.every_epochs > 0:
            raise ValueError(f"every_epochs must be positive, got {self.every_epochs}")

    def factor(self, epoch: float, total_epochs: float) -> float:
        """The power of `gamma` that is the number of whole steps up to `epoch`."""
        return self.gamma ** math.floor((epoch + _TOLERANCE) / self.every_epochs)


@dataclass(frozen=True)
class Milestones:
    """Multiplied by `gamma` at each of `epochs`.

    Raises:
        ValueError: If `epochs` does not increase.
    """

    epochs: tuple[float, ...]
    gamma: float

    def __post_init__(self) -> None:
        if any(later <= earlier for earlier, later in pairwise(self.epochs)):
            raise ValueError(f"milestones must increase, got {list(self.epochs)}")

    def factor(self, epoch: float, total_epochs: float) -> float:
        """The power of `gamma` that is the number of milestones at or before `epoch`."""
        return self.gamma ** sum(milestone <= epoch + _TOLERANCE for milestone in self.epochs)


@dataclass(frozen=True)
class Warmup:
    """A linear warm-up multiplied onto a schedule (Goyal et al. 2017, section 2.2).

    With W = `warmup_epochs` · `updates_per_epoch`, rounded to a whole number and at least 1, the update u
    (from 0) has min(1, (u + 1) / W) times the schedule's factor: the first update 1 / W of it, update W − 1
    and all later ones the whole. No warm-up where `warmup_epochs` is 0.

    Raises:
        ValueError: If `warmup_epochs` is negative or `updates_per_epoch` below 1.
    """

    schedule: Schedule
    warmup_epochs: float
    updates_per_epoch: int

    def __post_init__(self) -> None:
        if not self.warmup_epochs >= 0:
            raise ValueError(f"warmup_epochs must be at least 0, got {self.warmup_epochs}")
        if self.updates_per_epoch < 1:
            raise ValueError(f"updates_per_epoch must be at least 1, got {self.updates_per_epoch}")

    def factor(self, epoch: float, total_epochs: float) -> float:
        """The schedule's factor times the warm-up's share of it."""
        warmup_updates = max(1, round(self.warmup_epochs * self.updates_per_epoch))
        update = round(epoch * self.updates_per_epoch)
        return min(1.0, (update + 1) / warmup_updates) * self.schedule.factor(epoch, total_epochs)


def _updates_per_epoch(examples: int, batch_size: int) -> int:
    if examples < 1 or batch_size < 1:
        raise ValueError(f"training needs examples and a batch size, got {examples} and {batch_size}")
    return math.ceil(examples / batch_size)


def scaled_learning_rate(
    learning_rate: float, batch_size: int, reference_batch_size: int, rule: str
) -> float:
    """The learning rate for `batch_size`, where `learning_rate` belongs to `reference_batch_size`.

    Args:
        learning_rate: Rate at the reference batch size.
        batch_size: Examples an update.
        reference_batch_size: Examples an update at which `learning_rate` was chosen.
        rule: `none` keeps the rate; `linear` multiplies it by B / B₀ (Goyal et al. 2017, section 2.1); `sqrt`
            by √(B / B₀), which keeps the variance of an update (Krizhevsky 2014, section 5).

    Raises:
        ValueError: If a batch size is below 1 or the rule is unknown.
    """
    for key, size in (("batch_size", batch_size), ("reference_batch_size", reference_batch_size)):
        if size < 1:
            raise ValueError(f"{key} must be at least 1, got {size}")
    match rule:
        case "none":
            return learning_rate
        case "linear":
            return learning_rate * batch_size / reference_batch_size
        case "sqrt":
            return learning_rate * math.sqrt(batch_size / reference_batch_size)
        case _:
            raise ValueError(f"the learning rate's rule must be one of none, linear, sqrt, got {rule!r}")
