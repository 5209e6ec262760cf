"""Running statistics of normalization layers at a point that no training visited."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

BATCH = 128  # examples averaged at a time: the same for every architecture, whatever its plan


def layers_with_running_statistics(model: nn.Module) -> dict[str, nn.Module]:
    """The layers, by name, whose evaluation reads statistics gathered in training."""
    return {
        name: layer
        for name, layer in model.named_modules()
        if getattr(layer, "track_running_stats", False) and getattr(layer, "running_mean", None) is not None
    }


@contextmanager
def gathering(model: nn.Module) -> Iterator[None]:
    """Within, the layers with running statistics gather a cumulative average; all else stays as it is."""
    layers = layers_with_running_statistics(model).values()
    before = [(layer, layer.training, layer.momentum) for layer in layers]
    calls = dict.fromkeys(layers, 0)

    def weigh(layer: Any, _inputs: Any) -> None:
        # not `momentum = None`: instance normalization takes that for "gather nothing"
        calls[layer] += 1
        layer.momentum = 1.0 / calls[layer]

    hooks = [layer.register_forward_pre_hook(weigh) for layer in layers]
    try:
        for layer in layers:
            layer.training = True
        yield
    finally:
        for hook in hooks:
            hook.remove()
        for layer, training, momentum in before:
            layer.training, layer.momentum = training, momentum


def recompute(
    model: nn.Module, buffers: dict[str, Tensor], forward: Callable[[dict[str, Tensor]], None]
) -> dict[str, Tensor]:
    """Buffers whose running statistics are the cumulative average over one pass of training examples.

    Izmailov et al. 2018 (section 3.2) do the same for averaged weights.

    Args:
        model: the model, in evaluation mode; left as it was.
        buffers: the buffers to start from; not changed.
        forward: runs the training examples through the model with the buffers it is given, in a fixed order.
    """
    fresh = {name: buffer.clone() for name, buffer in buffers.items()}
    for layer in layers_with_running_statistics(model):
        prefix = f"{layer}." if layer else ""
        fresh[f"{prefix}running_mean"].zero_()
        fresh[f"{prefix}running_var"].fill_(1.0)
        fresh[f"{prefix}num_batches_tracked"].zero_()
    with gathering(model), torch.inference_mode():
        forward(fresh)
    return fresh
