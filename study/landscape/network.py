"""A network as it is called, and what it does with a few examples."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils._pytree import tree_flatten, tree_map

MORE_CALLS = 8  # of a network that draws numbers: two masks of dropout on a few examples may be one


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

        Raises:
            ValueError: if the model changes its parameters, or gives other outputs when it is called again.
        """
        device = next(model.parameters()).device
        own = tree_map(lambda leaf: leaf.to(device, copy=True) if isinstance(leaf, Tensor) else leaf, example)
        filters = set(image_filters(model))
        in_layout = {
            name: in_channels_last(tensor.detach())
            for name, tensor in model.named_parameters()
            if name in filters
        }
        weights = {name: tensor.detach().clone() for name, tensor in model.named_parameters()}
        try:
            if filters:
                _call(model, {**weights, **in_layout}, tree_map(in_channels_last, own))
            refused = False
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise
            refused = True
        with torch.random.fork_rng(devices=[]):  # what a network draws is the caller's no more
            before = torch.get_rng_state()
            activation_bytes, writes_to_inputs, first = _followed(model, weights, tree_map(_copied, own))
            calls = 1 if torch.equal(before, torch.get_rng_state()) else MORE_CALLS
            others = [_call(model, weights, tree_map(_copied, own)) for _ in range(calls)]
        _check_same(model, weights, first, others)
        return cls(activation_bytes, writes_to_inputs, reads_channels_last=bool(filters) and not refused)


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


def tied_names(model: nn.Module) -> dict[str, str]:
    """By each further name of a tensor that several layers hold, its first: that of `named_parameters()`."""
    first: dict[int, str] = {}
    further = {}
    for prefix, layer in model.named_modules():
        for name, tensor in [*layer._parameters.items(), *layer._buffers.items()]:
            full = f"{prefix}.{name}" if prefix else name
            if tensor is not None and first.setdefault(id(tensor), full) != full:
                further[full] = first[id(tensor)]
    return further


def call_with(
    model: nn.Module, state: Mapping[str, Tensor], inputs: Any, tied: Mapping[str, str] | None = None
) -> Any:
    """What a model gives with other parameters and buffers than its own; its own are untouched.

    A layer that is called in several places is put back once. Where `functional_call` ties names itself, it
    gives such a layer its tensors once a place, and leaves those of the last but one in it.

    Args:
        model: the model.
        state: tensors by their names, a tied one by its first.
        inputs: see `arguments`.
        tied: the model's `tied_names`, where they are known already.
    """
    tied = tied_names(model) if tied is None else tied
    also = {name: state[own] for name, own in tied.items() if own in state}
    return functional_call(model, {**state, **also}, *arguments(inputs), tie_weights=False)


def in_channels_last(leaf: Any) -> Any:
    """Images, (N, C, H, W), in channels-last memory; anything else as it is."""
    if isinstance(leaf, Tensor) and leaf.ndim == 4 and leaf.is_floating_point():
        return leaf.contiguous(memory_format=torch.channels_last)
    return leaf


def _check_same(model: nn.Module, weights: Mapping[str, Tensor], first: Any, others: Sequence[Any]) -> None:
    """Refuse a network that is another each time it is called: its loss at a point is no number.

    Args:
        model: the network.
        weights: copies of its own, that it was called with.
        first: what it gave.
        others: what it then gave.

    Raises:
        ValueError: if it changes its parameters, or draws random numbers.
    """
    for name, tensor in model.named_parameters():
        if not torch.allclose(weights[name], tensor.detach(), rtol=0, atol=0, equal_nan=True):
            raise ValueError(f"the model must leave its parameters as they are when called, {name!r} changes")
    for again in others:
        for one, other in zip(tree_flatten(first)[0], tree_flatten(again)[0], strict=True):
            if isinstance(one, Tensor) and not same_outputs(one, other):
                raise ValueError(
                    "the model must give the same outputs for the same inputs, it draws them anew"
                )


def same_outputs(one: Tensor, other: Tensor) -> bool:
    """Whether outputs are the same, but for the order in which a device may add."""
    return one.shape == other.shape and torch.allclose(one, other, rtol=1e-3, atol=1e-5, equal_nan=True)


def _copied(leaf: Any) -> Any:
    return leaf.clone() if isinstance(leaf, Tensor) else leaf


def _followed(model: nn.Module, weights: dict[str, Tensor], example: Any) -> tuple[int, bool, Any]:
    """Activation bytes of an example, whether the inputs were written to, and the outputs."""
    leaves = [leaf for leaf in tree_flatten(example)[0] if isinstance(leaf, Tensor)]
    before = [leaf._version for leaf in leaves]
    total = sum(leaf.nbytes for leaf in leaves)

    def add(_layer: nn.Module, _inputs: Any, output: Any) -> None:
        nonlocal total
        total += sum(leaf.nbytes for leaf in tree_flatten(output)[0] if isinstance(leaf, Tensor))

    layers = [layer for layer in model.modules() if not list(layer.children())]
    hooks = [layer.register_forward_hook(add) for layer in layers]
    try:
        outputs = _call(model, weights, example)
    finally:
        for hook in hooks:
            hook.remove()
    return total // leaves[0].shape[0], [leaf._version for leaf in leaves] != before, outputs


@torch.no_grad()
def _call(model: nn.Module, parameters: dict[str, Tensor], example: Any) -> Any:
    """Call a model, which may write to its buffers, with copies of them."""
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    return call_with(model, {**parameters, **buffers}, example)
