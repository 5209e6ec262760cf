"""Adam with decoupled weight decay."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from torch.optim import AdamW, Optimizer

from study.keys import key
from study.optimizers.base import OneGradientConfig


@dataclass
class AdamwConfig(OneGradientConfig):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019)."""

    betas: list[float] = key("decay of the two moment estimates", at_least=0, below=1, length=2)
    eps: float = key("term added to the denominator", above=0)

    def build(self, parameters: Iterable[Any], learning_rate: float) -> Optimizer:
        """Torch's AdamW. Weight decay shrinks the weights apart from the gradient."""
        first, second = self.betas
        return AdamW(
            parameters, lr=learning_rate, weight_decay=self.weight_decay, betas=(first, second), eps=self.eps
        )
