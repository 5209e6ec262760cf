"""Stochastic gradient descent."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from torch.optim import SGD, Optimizer

from study.errors import ConfigError
from study.keys import key
from study.optimizers.base import OneGradientConfig


@dataclass
class SgdConfig(OneGradientConfig):
    """Stochastic gradient descent."""

    momentum: float = key("momentum", at_least=0, below=1)
    nesterov: bool = key("Nesterov's momentum")

    def check(self, name: str) -> None:
        """Refuse Nesterov without momentum.

        Raises:
            ConfigError: if `nesterov` is true and `momentum` zero.
        """
        if self.nesterov and self.momentum == 0:
            raise ConfigError(f"{name}.momentum", "must be above 0 with nesterov=true", self.momentum)

    def build(self, parameters: Iterable[Any], learning_rate: float) -> Optimizer:
        """Torch's SGD. Weight decay is a gradient of (weight_decay / 2) ‖θ‖², before the momentum."""
        return SGD(
            parameters,
            lr=learning_rate,
            weight_decay=self.weight_decay,
            momentum=self.momentum,
            nesterov=self.nesterov,
        )
