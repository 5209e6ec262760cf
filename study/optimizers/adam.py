"""Adam."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from torch.optim import Adam, Optimizer

from study.keys import key
from study.optimizers.base import OneGradientConfig


@dataclass
class AdamConfig(OneGradientConfig):
    """Adam (Kingma and Ba 2015)."""

    betas: list[float] = key("decay of the two moment estimates", at_least=0, below=1, length=2)
    eps: float = key("term added to the denominator", above=0)

    def build(self, parameters: Iterable[Any], learning_rate: float) -> Optimizer:
        """Torch's Adam. Weight decay is a gradient of (weight_decay / 2) ‖θ‖², before the moments."""
        first, second = self.betas
        return Adam(
            parameters, lr=learning_rate, weight_decay=self.weight_decay, betas=(first, second), eps=self.eps
        )
