"""An operation of a network as it was called: what a rule of a symmetry is asked about."""

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.utils._pytree import tree_leaves

from study.analysis.symmetry.spaces import Axes, Spaces


@dataclass(frozen=True)
class Value:
    """A tensor within the network.

    Attributes:
        shape: as the network was called.
        axes: what lies along each of its dims.
    """

    shape: tuple[int, ...]
    axes: Axes


@dataclass(frozen=True)
class Call:
    """One operation of the network as it was called.

    Attributes:
        name: of the function, the method or the layer's class; None for what is not PyTorch's own.
        args: tensors as `Value`, all else as it was.
        kwargs: the same, by name.
        own: the parameters and buffers of a layer, by name.
        layer: where the operation is a layer.
        shape: of the output; None if that is no tensor.
    """

    name: str | None
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    own: Mapping[str, Value]
    layer: nn.Module | None
    shape: tuple[int, ...] | None

    @property
    def operands(self) -> list[Value]:
        """The tensors that it was called with, in order."""
        return [leaf for leaf in tree_leaves((self.args, dict(self.kwargs))) if isinstance(leaf, Value)]

    def argument(self, position: int, name: str, default: Any = None) -> Any:
        """An argument, whether it was given by position or by name."""
        return self.args[position] if position < len(self.args) else self.kwargs.get(name, default)


Rule = Callable[[Spaces, Call, Value, tuple[int, ...]], Axes | None]
"""From the call, its first operand and the shape of its output to the output's axes; None: not this way of
calling it."""


Elementwise = Callable[[Spaces, Call, tuple[int, ...]], Axes | None]
"""The same of an operation whose operands may come in any place."""


@dataclass(frozen=True)
class Rules:
    """What a symmetry is carried through.

    Attributes:
        elementwise: by the operation's name as `spelled` has it.
        others: by its name; they read the first operand.
    """

    elementwise: Mapping[str, Elementwise]
    others: Mapping[str | None, Rule]


def carried(rules: Rules, spaces: Spaces, call: Call) -> Axes:
    """The axes of the output of an operation.

    What no rule knows fixes all that it touches: the layers that feed it keep their units as they are.
    """
    asks_for_shape = call.name in QUERIES or (call.name == "getattr" and call.args[1] in QUERIES)
    if asks_for_shape and call.shape is None:
        return ()
    found = None
    if call.shape is not None:
        if (alike := rules.elementwise.get(spelled(call.name))) is not None:
            found = alike(spaces, call, call.shape)
        elif call.name in rules.others and call.args and isinstance(call.args[0], Value):
            found = rules.others[call.name](spaces, call, call.args[0], call.shape)
    if found is None:
        for value in (*call.operands, *call.own.values()):
            spaces.fix(*value.axes)
        return (None,) * len(call.shape or ())
    return found


QUERIES = frozenset(("size", "dim", "ndim", "numel", "shape", "dtype", "device"))
"""What may be asked of a tensor and does not depend on its entries."""


def name_of(target: Any) -> str | None:
    """The name of a function if it is PyTorch's own, or an operator."""
    name = getattr(target, "__name__", "")
    own = target is getattr or any(
        getattr(home, name, None) is target for home in (torch, functional, operator)
    )
    return name if own else None


def name_of_layer(layer: nn.Module) -> str | None:
    """The name of a layer's class if it is PyTorch's own and does nothing besides: hooks may do anything."""
    name = type(layer).__name__
    altered = layer._forward_hooks or layer._forward_pre_hooks or "forward" in vars(layer)
    return name if getattr(nn, name, None) is type(layer) and not altered else None


def spelled(name: str | None) -> str:
    """One spelling of a layer, a function and a method that works in place: `LeakyReLU`, `leaky_relu_`."""
    return (name or "").lower().replace("_", "")
