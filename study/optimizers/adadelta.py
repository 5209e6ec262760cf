"""Adadelta."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from torch.optim import Adadelta, Optimizer

from study.keys import key
from study.optimizers.base import OneGradientConfig


@dataclass
class AdadeltaConfig(OneGradientConfig):
    """Adadelta (Zeiler 2012)."""

    decay: float = key("decay of the averages of squared gradients and squared steps", at_least=0, below=1)
    eps: float = key("term added to the denominator", above=0)

    def build(self, parameters: Iterable[Any], learning_rate: float) -> Optimizer:
        """Torch's Adadelta. Weight decay is a gradient of (weight_decay / 2) ‖θ‖².

        The paper has no learning rate: at 1 this is its algorithm 1, with `decay` for ρ. There `eps` is added
        under the root of the numerator too.
        """
        return Adadelta(
            parameters, lr=learning_rate, weight_decay=self.weight_decay, rho=self.decay, eps=self.eps
        )
