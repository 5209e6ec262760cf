"""Adam with decoupled weight decay."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from torch.optim import AdamW, Optimizer

from study.optimizers.adam import AdamConfig


@dataclass
class AdamwConfig(AdamConfig):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019)."""

    def build(self, parameters: Iterable[Any], learning_rate: float) -> Optimizer:
        """Torch's AdamW. Weight decay shrinks the weights apart from the gradient."""
        first, second = self.betas
        return AdamW(
            parameters, lr=learning_rate, weight_decay=self.weight_decay, betas=(first, second), eps=self.eps
        )
