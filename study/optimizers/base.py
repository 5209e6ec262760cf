"""What every optimiser has: its configuration."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from torch.optim import Optimizer

from study.keys import key


@dataclass
class OptimizerConfig(ABC):
    """An optimiser."""

    name: str = key("which optimiser; set by the choice in the group `optimizer`")

    @property
    @abstractmethod
    def base_rate(self) -> float:
        """The learning rate as configured, before it follows the batch size or a schedule."""

    @abstractmethod
    def build(self, parameters: Iterable[Any], learning_rate: float) -> Optimizer:
        """The optimiser over `parameters`. Its `step` may be given a closure that makes the gradients anew.

        Weight decay acts on every parameter, biases and normalization layers too.

        Args:
            parameters: what is optimised: tensors, or torch's parameter groups.
            learning_rate: step size of the first update, before any schedule.
        """


@dataclass
class OneGradientConfig(OptimizerConfig):
    """An optimiser that takes one gradient an update, by its own learning rate."""

    learning_rate: float = key("base learning rate", above=0)
    weight_decay: float = key("weight decay, as the optimiser defines it", at_least=0)

    @property
    def base_rate(self) -> float:
        """The learning rate as configured."""
        return self.learning_rate
