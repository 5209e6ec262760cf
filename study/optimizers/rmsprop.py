"""RMSprop."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from torch.optim import Optimizer, RMSprop

from study.keys import key
from study.optimizers.base import OneGradientConfig


@dataclass
class RmspropConfig(OneGradientConfig):
    """RMSprop (Hinton 2012)."""

    alpha: float = key("decay of the squared-gradient average", at_least=0, below=1)
    momentum: float = key("momentum", at_least=0, below=1)
    eps: float = key("term added to the denominator", above=0)

    def build(self, parameters: Iterable[Any], learning_rate: float) -> Optimizer:
        """Torch's RMSprop. Weight decay is a gradient of (weight_decay / 2) ‖θ‖²."""
        return RMSprop(
            parameters,
            lr=learning_rate,
            weight_decay=self.weight_decay,
            alpha=self.alpha,
            momentum=self.momentum,
            eps=self.eps,
        )
