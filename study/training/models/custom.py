"""A user's own model."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from study.training.custom import call_attribute


def custom(
    path: str, arguments: Mapping[str, Any], input_shape: Sequence[int], num_classes: int
) -> nn.Module:
    """The module that a user's own class or function makes.

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
    model = call_attribute(path, arguments, {"input_shape": tuple(input_shape), "num_classes": num_classes})
    if not isinstance(model, nn.Module):
        raise ValueError(f"path {path!r} must make a torch.nn.Module, got {type(model).__name__}")
    return model
