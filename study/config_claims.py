"""A claim as a study's file states it."""

from dataclasses import dataclass
from typing import Any

from study.errors import ConfigError
from study.keys import key

RATIO, DIFFERENCE = "ratio", "difference"


@dataclass
class ClaimConfig:
    """A statement about the runs of a sweep, with the smallest effect that would matter.

    `measure` is a column of the sweep's table of runs, or `between/<split>/<column>` of its table of pairs of
    minima. It is compared with exactly one of `against`, `beside`, `than` and `along`.
    """

    says: str = key("the published statement, in words")
    paper: str = key("the paper's own number, and where it stands there; in words")
    paper_effect: float | None = key(
        "the effect by the paper's own numbers, as a ratio or difference; null where it gives none",
        optional=True,
    )
    measure: str = key("what is compared: a column of the sweep's table, as contour/train/basin_width")
    runs: dict[str, Any] | None = key(
        "settings of the runs that it is about, a value or a list of them each; null takes all", optional=True
    )
    against: dict[str, Any] | None = key(
        "settings of the runs that they are compared with, seed by seed", optional=True
    )
    beside: str | None = key("the measure of the same runs that it is compared with", optional=True)
    than: float | None = key("the number that it is compared with", optional=True)
    along: str | None = key(
        "the setting or measure that it is rank-correlated with over configurations (granulated Kendall's τ)",
        optional=True,
    )
    direction: str = key("where the effect is said to lie", choices=("above", "below", "same"))
    smallest: float = key(
        "the smallest effect that matters: a difference, or a factor from 1 on for ratios", at_least=0
    )
    compared_as: str = key("how two values are compared", choices=(RATIO, DIFFERENCE))
    exact: bool | None = key(
        "whether it follows exactly, so that it must hold in every run, and chance has no part in it",
        optional=True,
    )

    def check(self, name: str) -> None:
        """Refuse a claim that says nothing, or too much.

        Raises:
            ConfigError: naming the key.
        """
        given = {key: getattr(self, key) for key in ("against", "beside", "than", "along")}
        given = {key: value for key, value in given.items() if value is not None}
        if len(given) != 1:
            words = ", ".join(given) or "none"
            raise ConfigError(name, "must have one of against, beside, than and along", words)
        if self.compared_as == RATIO:
            if self.smallest < 1:
                raise ConfigError(f"{name}.smallest", "must be at least 1, a factor", self.smallest)
            for key in ("paper_effect", "than"):
                value = getattr(self, key)
                if value is not None and value <= 0:
                    raise ConfigError(f"{name}.{key}", "must be above 0 for a ratio", value)
            if self.along is not None:
                raise ConfigError(f"{name}.compared_as", f"must be {DIFFERENCE} for a correlation", RATIO)
        if (
            self.direction == "same"
            and self.smallest == (1 if self.compared_as == RATIO else 0)
            and not self.exact
        ):
            raise ConfigError(
                f"{name}.smallest", "must leave room for what counts as the same", self.smallest
            )
        if self.exact and self.along is not None:
            raise ConfigError(f"{name}.exact", "must be false for a correlation", True)
