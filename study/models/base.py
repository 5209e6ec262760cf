"""What every model has: its configuration, and how weights come from a seed."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from study.keys import key

Model = TypeVar("Model", bound=nn.Module)


@dataclass
class ModelConfig(ABC):
    """A network."""

    name: str = key("which network; set by the choice in the group `model`")

    @property
    def subject(self) -> str:
        """What the network is, in a word, for figures and reports."""
        return self.name

    def file_digests(self) -> dict[str, str]:
        """Digests of what the files hold that the network is built from, by their paths as configured."""
        return {}

    @abstractmethod
    def build(self, input_shape: Sequence[int], outputs: int) -> nn.Module:
        """A new network on the CPU, its weights drawn from torch's generator.

        Args:
            input_shape: of one example.
            outputs: entries of what it gives for an example: logits, one a class.

        Raises:
            ValueError: if the network cannot be made for these shapes, naming what they must be.
        """


def image_shape(
    model: str, input_shape: Sequence[int], outputs: int, smallest: int = 1
) -> tuple[int, int, int]:
    """(channels, height, width) of a model's inputs, held against what it can take.

    Args:
        model: its name, for the refusal.
        input_shape: of one example.
        outputs: number of logits.
        smallest: pixels that height and width must have at least.

    Raises:
        ValueError: If the input is no image of that size, or `outputs` is below 1.
    """
    if len(input_shape) != 3:
        raise ValueError(f"{model} needs inputs of shape (channels, height, width), got {tuple(input_shape)}")
    channels, height, width = input_shape
    if min(height, width) < smallest:
        raise ValueError(
            f"{model} needs images of at least {smallest} x {smallest} pixels, got {height} x {width}"
        )
    if outputs < 1:
        raise ValueError(f"num_classes must be at least 1, got {outputs}")
    return channels, height, width


@contextmanager
def plain_attention() -> Iterator[None]:
    """Within, attention is computed step by step: its fused kernels have no second derivatives on CPUs."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


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
