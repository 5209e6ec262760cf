"""A user's own model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from study.keys import key
from study.models.base import ModelConfig
from study.training.custom import call_attribute, own_code

KEY = "model.path"  # of the configuration


@dataclass
class CustomModelConfig(ModelConfig):
    """Your own network."""

    path: str = key("package.module:attribute, a function or class that returns a torch.nn.Module")
    arguments: dict[str, Any] = key("its keyword arguments")

    @property
    def subject(self) -> str:
        """Where its code is."""
        return self.path

    def build(self, input_shape: Sequence[int], outputs: int) -> nn.Module:
        """See `custom`."""
        return custom(self.path, self.arguments, input_shape, outputs)


def custom(
    path: str, arguments: Mapping[str, Any], input_shape: Sequence[int], num_classes: int
) -> nn.Module:
    """The module that a user's own class or function makes; lazy layers get their weights here.

    Args:
        path: the class or function, as "package.module:attribute".
        arguments: what it is called with, by name.
        input_shape: shape of one input, a tuple; passed where the callable has a parameter `input_shape` and
            `arguments` do not give it.
        num_classes: number of logits; passed in the same way. A parameter that is only taken by `**kwargs` is
            not passed: give it in `arguments`.

    Raises:
        ValueError: If there is no such callable, it does not take these arguments, or makes no `nn.Module`.
    """
    offered = {"input_shape": tuple(input_shape), "num_classes": num_classes}
    model = call_attribute(path, KEY, arguments, offered)
    if not isinstance(model, nn.Module):
        raise ValueError(f"{KEY} {path!r} must make a torch.nn.Module, got {type(model).__name__}")
    if any(is_lazy(tensor) for tensor in (*model.parameters(), *model.buffers())):
        training = model.training
        with own_code(path, KEY, f" on inputs of shape {(2, *input_shape)}"), torch.no_grad():
            model.eval()(torch.zeros(2, *input_shape))  # in which no running statistic moves
        model.train(training)
    return model
