"""A network as it is called, and what it does with a few examples."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils._pytree import tree_flatten, tree_map


@dataclass(frozen=True)
class Probe:
    """What a network does with a few examples.

    Attributes:
        activation_bytes: of an example: its inputs, and what the network's leaf layers put out.
        writes_to_inputs: whether it changes the tensors that it is called with.
        reads_channels_last: whether it has 2-D convolutions, and can be called with images and filters in
            that layout: `view` may refuse it.
    """

    activation_bytes: int
    writes_to_inputs: bool
    reads_channels_last: bool

    @classmethod
    def of(cls, model: nn.Module, example: Any) -> "Probe":
        """Call a network with an example, and leave both as they were.

        Args:
            model: in evaluation mode.
            example: inputs of one or two examples, as the model is called with.
        """
        device = next(model.parameters()).device
        own = tree_map(lambda leaf: leaf.to(device, copy=True) if isinstance(leaf, Tensor) else leaf, example)
        filters = set(image_filters(model))
        in_layout = {
            name: in_channels_last(tensor.detach())
            for name, tensor in model.named_parameters()
            if name in filters
        }
        try:
            if filters:
                _call(model, in_layout, tree_map(in_channels_last, own))
            refused = False
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise
            refused = True
        return cls(*_followed(model, own), reads_channels_last=bool(filters) and not refused)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, on a device or here; a processor's allocator has no error of its own."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error)


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


def in_channels_last(leaf: Any) -> Any:
    """Images, (N, C, H, W), in channels-last memory; anything else as it is."""
    if isinstance(leaf, Tensor) and leaf.ndim == 4 and leaf.is_floating_point():
        return leaf.contiguous(memory_format=torch.channels_last)
    return leaf


def _followed(model: nn.Module, example: Any) -> tuple[int, bool]:
    """Activation bytes of an example, and whether the inputs were written to."""
    leaves = [leaf for leaf in tree_flatten(example)[0] if isinstance(leaf, Tensor)]
    before = [leaf._version for leaf in leaves]
    total = sum(leaf.nbytes for leaf in leaves)

    def add(_layer: nn.Module, _inputs: Any, output: Any) -> None:
        nonlocal total
        total += sum(leaf.nbytes for leaf in tree_flatten(output)[0] if isinstance(leaf, Tensor))

    layers = [layer for layer in model.modules() if not list(layer.children())]
    hooks = [layer.register_forward_hook(add) for layer in layers]
    try:
        _call(model, {}, example)
    finally:
        for hook in hooks:
            hook.remove()
    return total // leaves[0].shape[0], [leaf._version for leaf in leaves] != before


@torch.no_grad()
def _call(model: nn.Module, parameters: dict[str, Tensor], example: Any) -> None:
    """Call a model, which may write to its buffers, with copies of them."""
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    functional_call(model, {**parameters, **buffers}, *arguments(example))
