"""Multilayer perceptrons."""

import math
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from study.keys import key
from study.models.base import ModelConfig


@dataclass
class MlpConfig(ModelConfig):
    """Fully connected layers with ReLU."""

    widths: list[int] = key("units of each hidden layer", at_least=1)
    norm: str = key("normalization after each hidden layer", choices=("none", "batch"))

    def build(self, input_shape: Sequence[int], outputs: int) -> nn.Module:
        """See `mlp`."""
        return mlp(input_shape, outputs, self.widths, self.norm)


def mlp(
    input_shape: Sequence[int], num_classes: int, widths: Sequence[int], norm: str = "none"
) -> nn.Sequential:
    """Flatten, then Linear (– BatchNorm1d) – ReLU for each width, then Linear.

    Inputs of any shape (N, ...) give logits (N, num_classes). Its layers are named `flatten`, `linear1`,
    `norm1`, `relu1`, …, `output`.

    Args:
        input_shape: of one example.
        num_classes: number of logits.
        widths: hidden units of each layer; none at all gives softmax regression.
        norm: "none", or "batch" for batch normalization before each ReLU. Those linear layers have no bias:
            the normalization would subtract it again.

    Raises:
        ValueError: If a width, `num_classes` or a side of the input is below 1, or `norm` is neither of the
            two.
    """
    if not input_shape or min(input_shape) < 1:
        raise ValueError(f"mlp needs inputs of at least one entry, got shape {tuple(input_shape)}")
    if num_classes < 1:
        raise ValueError(f"num_classes must be at least 1, got {num_classes}")
    if any(width < 1 for width in widths):
        raise ValueError(f"widths must be at least 1, got {list(widths)}")
    if norm not in {"none", "batch"}:
        raise ValueError(f"norm must be 'none' or 'batch', got {norm!r}")
    layers: OrderedDict[str, nn.Module] = OrderedDict(flatten=nn.Flatten())
    size = math.prod(input_shape)
    for number, width in enumerate(widths, start=1):
        layers[f"linear{number}"] = nn.Linear(size, width, bias=norm == "none")
        if norm == "batch":
            layers[f"norm{number}"] = nn.BatchNorm1d(width)
        layers[f"relu{number}"] = nn.ReLU()
        size = width
    layers["output"] = nn.Linear(size, num_classes)
    return nn.Sequential(layers)
