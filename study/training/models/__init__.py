"""Models as functions from a data set's shapes to a module: one module of this package each."""

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import nn

Model = TypeVar("Model", bound=nn.Module)


def initialise(build: Callable[[], Model], seed: int) -> Model:
    """What `build` returns, with its weights drawn from torch's CPU generator at `seed`.

    The caller's generator is left as it was, those of other devices are not touched: a model is built on the
    CPU and moved afterwards, so that a seed means the same weights on every device.

    Args:
        build: makes a new model, on the CPU.
        seed: of its weights.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return build()


def count_parameters(model: nn.Module) -> int:
    """Number of entries of all parameters, trainable or not, a shared one once; buffers do not count."""
    return sum(parameter.numel() for parameter in model.parameters())
