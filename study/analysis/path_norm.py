"""The path norm of a ReLU network."""

import copy
from collections.abc import Callable, Mapping
from functools import partial
from itertools import repeat
from math import prod
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from study.analysis.symmetry.calls import name_of, name_of_layer
from study.landscape.hessian import Objective
from study.landscape.weights import Weights

WEIGHTED = {
    "Linear", "Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"
}  # fmt: skip
NORMALIZED = {"BatchNorm1d", "BatchNorm2d", "BatchNorm3d"}
PASSING = {
    "Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "Flatten", "Identity", "ReLU", "Unflatten",
    "add", "add_", "cat", "contiguous", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d",
    "conv_transpose3d", "dropout", "expand", "flatten", "getattr", "getitem", "iadd", "linear", "pad",
    "permute", "relu", "relu_", "reshape", "size", "squeeze", "sum", "transpose", "unsqueeze", "view",
}  # fmt: skip
"""What sums over paths as it sums over numbers: all that flows is at least 0, and weights come squared."""

MAXIMUM = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")
AVERAGE = ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override")
"""The arguments of a pooling in their order, as functions and as attributes of layers."""


class UndefinedError(ValueError):
    """A measure that is not defined for this network or these weights; it says why."""


def path_norm(objective: Objective, weights: Weights) -> float:
    """√(Σ over paths of the product of the squared weights on them), from any input or bias to any output.

    Neyshabur et al. 2015, section 3, with p = 2, for networks of linear layers, convolutions, ReLU, average
    and maximum pooling, padding with zeros, batch normalization as a scale and a shift by its running
    statistics, dropout (off), and sums of branches. A bias is a weight from a unit that is always 1; an edge
    of an average over k has weight 1/k; one into a maximum has weight 1, and each of its inputs is on a path.
    It is the output of the network with every weight squared at an input of ones, in float64. No rescaling of
    a ReLU network changes it.

    Args:
        objective: gives the architecture and the shape of an input.
        weights: of the network.

    Raises:
        UndefinedError: naming the first operation for which there are no paths to count.
    """
    network = objective.model_at(weights).double()
    try:
        traced = fx.symbolic_trace(network)
    except Exception as error:  # whatever the network's own code makes of a tensor without values
        raise UndefinedError(f"torch.fx cannot trace the network: {type(error).__name__}") from error
    ones = torch.ones_like(objective.inputs[:1], dtype=torch.float64, device=weights.flat.device)
    squared = _Squared(traced)
    squared.extra_traceback = False  # torch.fx would add its own lines to what is said to the user
    with torch.no_grad():
        outputs = squared.run(ones)
    if not isinstance(outputs, Tensor):
        raise UndefinedError(f"the network must give one tensor, it gives {type(outputs).__name__}")
    return float(outputs.sum().sqrt())


class _Squared(fx.Interpreter):
    """Runs a network with every weight squared."""

    def get_attr(self, target: Any, args: Any, kwargs: Any) -> Any:
        """A parameter that the network itself computes with, squared."""
        value = super().get_attr(target, args, kwargs)
        return value.double().square() if isinstance(value, Tensor) else value

    def call_module(self, target: Any, args: Any, kwargs: Any) -> Any:
        """A layer with its weights squared."""
        layer = self.fetch_attr(str(target))
        name = name_of_layer(layer)
        if name in WEIGHTED:
            _need(getattr(layer, "padding_mode", "zeros") == "zeros", "padding with zeros")
            squared = copy.deepcopy(layer)
            for weight in squared.parameters():
                weight.square_()
            return squared(*args, **kwargs)
        if name in NORMALIZED:
            return _normalized(layer, *args)
        if name is None:
            raise _unknown(type(layer).__name__)
        if name in PASSING:
            return layer(*args, **kwargs)
        return _pooled(name, _called(name, args, kwargs, layer))

    def call_function(self, target: Any, args: Any, kwargs: Any) -> Any:
        """A function; the weights among its arguments are squared already."""
        if not any(isinstance(leaf, Tensor) for leaf in _leaves(args, kwargs)):
            return target(*args, **kwargs)  # arithmetic with shapes
        name = name_of(target)
        if name in PASSING:
            _check(name, args, kwargs)
            return target(*args, **kwargs)
        if name is None:
            raise _unknown(str(getattr(target, "__name__", target)))
        return _pooled(name, _called(name, args, kwargs))

    def call_method(self, target: Any, args: Any, kwargs: Any) -> Any:
        """A tensor's own method."""
        if target in PASSING:
            _check(str(target), args, kwargs)
            return super().call_method(target, args, kwargs)
        return _pooled(str(target), _called(str(target), args, kwargs))


def _check(name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    """Refuse what is added by a number that is no weight."""
    if name in {"add", "iadd", "add_"}:
        _need(all(isinstance(value, Tensor) for value in args) and not kwargs, "sums of tensors")
    if name == "pad":
        value = args[3] if len(args) > 3 else kwargs.get("value")
        _need(not value, "padding with zeros")


def _pooled(name: str, call: Callable[..., tuple[Tensor, Mapping[str, Any]]]) -> Tensor:
    """A pooling, over whose inputs the paths are summed."""
    spelled = name.lower().replace("_", "")
    dims = int(spelled[-2]) if spelled.endswith("d") and spelled[-2:-1].isdigit() else 0
    match spelled.rstrip("d").rstrip("123"):
        case "mean":
            values, options = call("dim", "keepdim")
            _need(options.get("dim") is not None, "means over dims that are given as `dim`")
            averaged = values.mean(options["dim"], options.get("keepdim", False))
            return averaged * (averaged.numel() / values.numel())
        case "adaptiveavgpool":
            values, options = call("output_size")
            averaged = getattr(functional, f"adaptive_avg_pool{dims}d")(values, options["output_size"])
            sides = list(zip(values.shape[-dims:], averaged.shape[-dims:], strict=True))
            _need(all(side % out == 0 for side, out in sides), "adaptive averages over equal windows")
            return averaged / prod(side // out for side, out in sides)
        case "maxpool":
            values, options = call(*MAXIMUM)
            _need(set(_sides(options.get("dilation", 1), dims)) == {1}, "maxima without dilation")
            average, edges = _windows(dims, options)
            return average(values) * edges
        case "avgpool":
            values, options = call(*AVERAGE)
            plain = options.get("count_include_pad", True) or set(
                _sides(options.get("padding", 0), dims)
            ) == {0}
            _need(plain and options.get("divisor_override") is None, "averages over whole windows")
            average, edges = _windows(dims, options)
            return average(values) / edges
    raise _unknown(name)


def _windows(dims: int, options: Mapping[str, Any]) -> tuple[Callable[[Tensor], Tensor], int]:
    """The mean over each window of a pooling, zeros beyond the border, and the size of a window."""
    _need(not options.get("ceil_mode", False), "pooling without ceil_mode")
    kernel = _sides(options["kernel_size"], dims)
    average = partial(
        getattr(functional, f"avg_pool{dims}d"),
        kernel_size=kernel,
        stride=options.get("stride") or kernel,
        padding=options.get("padding", 0),
    )
    return average, prod(kernel)


def _called(
    name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any], layer: nn.Module | None = None
) -> Callable[..., tuple[Tensor, Mapping[str, Any]]]:
    """What a pooling is called with: its input, and its options by the names that they are given."""

    def read(*names: str) -> tuple[Tensor, Mapping[str, Any]]:
        if layer is not None:
            return args[0], {option: getattr(layer, option) for option in names if hasattr(layer, option)}
        try:
            return args[0], {**dict(zip(names, args[1:], strict=False)), **kwargs}
        except IndexError:
            raise _unknown(name) from None

    return read


def _normalized(layer: nn.Module, values: Tensor) -> Tensor:
    """Batch normalization by its running statistics: a scale and a shift, both squared."""
    _need(layer.running_var is not None, "batch normalization with running statistics")
    fed = torch.zeros(
        2, values.shape[1], *repeat(1, values.ndim - 2), dtype=values.dtype, device=values.device
    )
    fed[1] = 1.0
    shift, ends = layer(fed)
    scale = ends - shift
    return values * scale.square() + shift.square()


def _leaves(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> list[Any]:
    found: list[Any] = []
    for value in (*args, *kwargs.values()):
        found += _leaves(tuple(value), {}) if isinstance(value, tuple | list) else [value]
    return found


def _sides(value: Any, dims: int) -> tuple[int, ...]:
    return (value,) * dims if isinstance(value, int) else tuple(value)


def _need(holds: bool, what: str) -> None:
    if not holds:
        raise UndefinedError(f"the path norm is defined here for {what} only")


def _unknown(name: str) -> UndefinedError:
    return UndefinedError(f"the path norm is not defined for a network with {name}")
