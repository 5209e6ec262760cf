"""Landscapes that are repeated along other draws of their Gaussian directions."""

from dataclasses import dataclass, replace
from typing import Self

from study.errors import ConfigError
from study.keys import LARGEST_SEED, key
from study.kinds.directed import DirectedConfig


@dataclass
class ReplicatedConfig(DirectedConfig):
    """A landscape along directions, once for each of several draws of them."""

    replicates: int = key(
        "draws of the Gaussian directions, each with a landscape: replicate k, from 0, is the landscape of "
        "direction_seed + k; measures are means over them",
        at_least=1,
    )

    def check(self, name: str) -> None:
        """Refuse to draw anew what is not drawn, and more than there are seeds.

        Raises:
            ConfigError: naming the number of replicates.
        """
        super().check(name)
        if self.replicates > 1 and all(spec.kind != "gaussian" for spec in self.specs):
            rule = "must be 1 where no direction is gaussian: all replicates would be one"
            raise ConfigError(f"{name}.replicates", rule, self.replicates)
        if self.direction_seed + self.replicates - 1 > LARGEST_SEED:
            rule = f"must leave direction_seed + replicates − 1 at most {LARGEST_SEED}"
            raise ConfigError(f"{name}.replicates", rule, self.replicates)

    @property
    def draws(self) -> list[Self]:
        """See `LandscapeConfig.draws`: a landscape for each replicate."""
        seeds = range(self.direction_seed, self.direction_seed + self.replicates)
        return [replace(self, direction_seed=seed, replicates=1) for seed in seeds]

    @property
    def seed_words(self) -> str:
        """See `DirectedConfig.seed_words`."""
        if self.replicates == 1:
            return super().seed_words
        last = self.direction_seed + self.replicates - 1
        return f"{self.replicates} draws of directions (direction seeds {self.direction_seed} to {last})"
