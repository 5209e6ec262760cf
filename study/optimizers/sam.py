"""Sharpness-aware minimization."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from torch.optim import Optimizer

from study.errors import ConfigError
from study.keys import key
from study.optimizers.base import OptimizerConfig


@dataclass
class SamConfig(OptimizerConfig):
    """Sharpness-aware minimization (Foret et al. 2021) around any other optimiser."""

    rho: float = key("radius of the ball whose highest loss is lowered; 0 is the base alone", at_least=0)
    adaptive: bool = key("measure that radius in units of the weights (Kwon et al. 2021)")
    base: OptimizerConfig = key("the optimiser that takes the step; set by optimizer@optimizer.base=CHOICE")

    def check(self, name: str) -> None:
        """Refuse itself as its base.

        Raises:
            ConfigError: if the base takes two gradients too.
        """
        if isinstance(self.base, SamConfig):
            raise ConfigError(
                f"{name}.base", "must be an optimiser of one gradient an update", self.base.name
            )

    @property
    def base_rate(self) -> float:
        """The base optimiser's learning rate as configured."""
        return self.base.base_rate

    def build(self, parameters: Iterable[Any], learning_rate: float) -> Optimizer:
        """See `sharpness_aware.SharpnessAware`; learning rate and weight decay are the base optimiser's."""
        from study.optimizers.sharpness_aware import SharpnessAware  # loads a large library

        return SharpnessAware(
            parameters, lambda own: self.base.build(own, learning_rate), self.rho, self.adaptive
        )
