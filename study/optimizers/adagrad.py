"""Adagrad."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from torch.optim import Adagrad, Optimizer

from study.keys import key
from study.optimizers.base import OneGradientConfig


@dataclass
class AdagradConfig(OneGradientConfig):
    """Adagrad (Duchi et al. 2011)."""

    eps: float = key("term added to the denominator", above=0)

    def build(self, parameters: Iterable[Any], learning_rate: float) -> Optimizer:
        """Torch's Adagrad. Weight decay is a gradient of (weight_decay / 2) ‖θ‖²."""
        return Adagrad(parameters, lr=learning_rate, weight_decay=self.weight_decay, eps=self.eps)
