"""How one point is evaluated: the choices that its bits depend on, resolved once by a rule."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from math import ceil
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils._pytree import tree_flatten, tree_map

CACHE_BYTES = 2**24  # activations of one micro-batch that stay near the processor
SMALLEST, LARGEST = 32, 4096  # below 32 examples the bits change with the batch; above 4,096 nothing is won


@dataclass(frozen=True)
class EvaluationPlan:
    """Everything beside weights and data that the bits of a value depend on.

    It follows from a rule, never from a timing, so that the same work gives the same bits.

    Attributes:
        micro_batch: the most examples in one forward pass.
        channels_last: whether images lie channels-last in memory.
        device: where the work is done.
    """

    micro_batch: int
    channels_last: bool
    device: str

    @classmethod
    def by_rule(cls, model: nn.Module, example: Any, micro_batch: int | None = None) -> "EvaluationPlan":
        """The plan for `model` on inputs like `example`.

        The micro-batch is the number of examples whose activations fill `CACHE_BYTES`, within
        [`SMALLEST`, `LARGEST`]; images lie channels-last where the model has a 2-D convolution.

        Args:
            model: in evaluation mode.
            example: inputs of one or two examples, as the model is called with.
            micro_batch: taken instead of the rule's.

        Raises:
            ValueError: if `micro_batch` is below 1.
        """
        if micro_batch is not None and micro_batch < 1:
            raise ValueError(f"micro_batch must be at least 1, got {micro_batch}")
        device = next(model.parameters()).device
        if micro_batch is None:
            example = tree_map(lambda leaf: leaf.to(device) if isinstance(leaf, Tensor) else leaf, example)
            fitting = CACHE_BYTES // max(_activation_bytes(model, example), 1)
            micro_batch = min(max(fitting, SMALLEST), LARGEST)
        return cls(
            micro_batch=micro_batch,
            channels_last=bool(image_filters(model)),
            device=str(device),
        )

    def bounds(self, size: int) -> Iterator[tuple[int, int]]:
        """(start, stop) of each micro-batch of `size` examples; sizes differ by one at most.

        A plan of `SMALLEST` or more makes none smaller than that where the set allows it, if need be by one
        micro-batch less, each a little larger.
        """
        parts = ceil(size / self.micro_batch)
        if self.micro_batch >= SMALLEST:
            parts = min(parts, max(1, size // SMALLEST))
        for part in range(parts):
            yield part * size // parts, (part + 1) * size // parts

    def describe(self) -> dict[str, Any]:
        """JSON-able, for provenance and keys."""
        return asdict(self)


def image_filters(model: nn.Module) -> list[str]:
    """Names of the weights of 2-D convolutions, which take their memory layout from them."""
    return [
        f"{name}.weight" if name else "weight"
        for name, layer in model.named_modules()
        if isinstance(layer, nn.Conv2d)
    ]


def arguments(inputs: Any) -> tuple[Any, ...]:
    """What `functional_call` takes after the state.

    A tensor is passed as it is, a tuple or list as positional and a dict as named arguments.
    """
    if isinstance(inputs, dict):
        return (), inputs
    return (tuple(inputs),) if isinstance(inputs, tuple | list) else ((inputs,),)


def _activation_bytes(model: nn.Module, example: Any) -> int:
    """Bytes per example of the inputs and of what the model's leaf layers put out."""
    tensors = [leaf for leaf in tree_flatten(example)[0] if isinstance(leaf, Tensor)]
    count = tensors[0].shape[0]
    total = sum(leaf.nbytes for leaf in tensors)

    def add(_layer: nn.Module, _inputs: Any, output: Any) -> None:
        nonlocal total
        total += sum(leaf.nbytes for leaf in tree_flatten(output)[0] if isinstance(leaf, Tensor))

    leaves = [layer for layer in model.modules() if not list(layer.children())]
    hooks = [layer.register_forward_hook(add) for layer in leaves]
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}  # a model may write to its own
    try:
        with torch.inference_mode():
            functional_call(model, buffers, *arguments(example))
    finally:
        for hook in hooks:
            hook.remove()
    return total // count
