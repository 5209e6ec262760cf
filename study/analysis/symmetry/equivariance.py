"""How the operations of a network carry a permutation of their inputs on to their outputs.

Each rule is a statement about one operation: if its inputs are permuted along their axes, its output is
permuted along the axes that the rule returns. What that needs, the rule demands by tying and fixing axes.
"""

from collections.abc import Iterable
from math import prod

from torch import nn
from torch.utils._pytree import tree_leaves

from study.analysis.symmetry.calls import Call, Rule, Rules, Value
from study.analysis.symmetry.spaces import Axes, Axis, Spaces, in_blocks


def _aligned(spaces: Spaces, operands: Iterable[Value], shape: tuple[int, ...]) -> Axes:
    aligned: dict[int, Axis | None] = {}
    for value in operands:
        skipped = len(shape) - len(value.shape)
        for dim, (size, axis) in enumerate(zip(value.shape, value.axes, strict=True), start=skipped):
            if size == 1:  # broadcast: the same for every unit
                continue
            if dim in aligned:
                spaces.tie(aligned[dim], axis)
            else:
                aligned[dim] = axis
    return tuple(aligned.get(dim) for dim in range(len(shape)))


def _elementwise(spaces: Spaces, call: Call, shape: tuple[int, ...]) -> Axes:
    return _aligned(spaces, call.operands, shape)


def _as_it_is(_spaces: Spaces, _call: Call, x: Value, _shape: tuple[int, ...]) -> Axes:
    return x.axes


def _linear_layer(spaces: Spaces, call: Call, x: Value, _shape: tuple[int, ...]) -> Axes | None:
    return _linear(spaces, x, call.own["weight"], call.own.get("bias"))


def _linear_function(spaces: Spaces, call: Call, x: Value, _shape: tuple[int, ...]) -> Axes | None:
    return _linear(spaces, x, call.argument(1, "weight"), call.argument(2, "bias"))


def _linear(spaces: Spaces, x: Value, weight: Value, bias: Value | None) -> Axes | None:
    if len(weight.shape) != 2:
        return None
    outputs, inputs = weight.axes
    spaces.tie(x.axes[-1], inputs)
    if bias is not None:
        spaces.tie(outputs, bias.axes[0])
    return (*x.axes[:-1], outputs)


def _convolution_layer(spaces: Spaces, call: Call, x: Value, _shape: tuple[int, ...]) -> Axes:
    assert isinstance(call.layer, nn.Conv1d | nn.Conv2d | nn.Conv3d)
    return _convolution(spaces, x, call.own["weight"], call.own.get("bias"), call.layer.groups)


def _convolution_function(spaces: Spaces, call: Call, x: Value, _shape: tuple[int, ...]) -> Axes:
    groups = call.argument(6, "groups", 1)
    return _convolution(spaces, x, call.argument(1, "weight"), call.argument(2, "bias"), groups)


def _convolution(spaces: Spaces, x: Value, weight: Value, bias: Value | None, groups: int) -> Axes:
    outputs, inputs, *kernel = weight.axes
    *examples, channels = x.axes[: -len(kernel)]
    in_channels = x.shape[-len(kernel) - 1]
    spaces.fix(*kernel, *x.axes[-len(kernel) :])
    if groups == 1:
        spaces.tie(channels, inputs)
    elif groups == in_channels:  # depthwise: each channel makes as many consecutive ones
        spaces.tie(in_blocks(channels, weight.shape[0] // groups), outputs)
    else:
        spaces.fix(channels, inputs, outputs)
    if bias is not None:
        spaces.tie(outputs, bias.axes[0])
    return (*examples, outputs, *[None] * len(kernel))


def _per_channel(spaces: Spaces, call: Call, x: Value, _shape: tuple[int, ...]) -> Axes | None:
    """Batch and group normalization, PReLU: what they hold, they hold for each entry of dim 1."""
    if len(x.shape) < 2:
        return None
    if isinstance(call.layer, nn.GroupNorm) and call.layer.num_groups not in {1, x.shape[1]}:
        return None
    for value in call.own.values():
        if value.shape == x.shape[1:2]:
            spaces.tie(value.axes[0], x.axes[1])
    return x.axes


def _over_last_dims(spaces: Spaces, call: Call, x: Value, _shape: tuple[int, ...]) -> Axes:
    for value in call.own.values():
        for own, axis in zip(value.axes, x.axes[-len(value.axes) :], strict=True):
            spaces.tie(own, axis)
    return x.axes


def _pooling(spaces: Spaces, call: Call, x: Value, _shape: tuple[int, ...]) -> Axes:
    assert call.name is not None  # it found this rule
    spatial = int(call.name[-2])
    spaces.fix(*x.axes[-spatial:])
    return (*x.axes[:-spatial], *[None] * spatial)


def _reduction(_spaces: Spaces, call: Call, x: Value, shape: tuple[int, ...]) -> Axes | None:
    """A mean or an extreme does not see the order of what it is taken over."""
    given = call.argument(1, "dim")
    every = given is None or given == ()
    dims = range(len(x.shape)) if every else [given] if isinstance(given, int) else given
    if not all(isinstance(dim, int) for dim in dims):
        return None
    reduced = {dim % len(x.shape) for dim in dims}
    if len(shape) == len(x.shape):
        return tuple(None if dim in reduced else axis for dim, axis in enumerate(x.axes))
    return tuple(axis for dim, axis in enumerate(x.axes) if dim not in reduced)


def _reshape(spaces: Spaces, _call: Call, x: Value, shape: tuple[int, ...]) -> Axes | None:
    """Dims merged or split in row-major order: where several become one, the first is permuted in blocks."""
    if not prod(shape) == prod(x.shape) > 0:
        return None
    axes: list[Axis | None] = [None] * len(shape)
    before = [dim for dim, size in enumerate(x.shape) if size > 1]
    after = [dim for dim, size in enumerate(shape) if size > 1]
    while before:
        first, target = before.pop(0), after.pop(0)
        merged, split = 1, 1  # entries of the other dims that become one, and of those that one becomes
        while x.shape[first] * merged != shape[target] * split:
            if x.shape[first] * merged < shape[target] * split:
                spaces.fix(x.axes[before[0]])
                merged *= x.shape[before.pop(0)]
            else:
                split *= shape[after.pop(0)]
        axes[target] = in_blocks(x.axes[first], merged)
        if split > 1:
            whole, axes[target] = axes[target], spaces.new(shape[target])
            spaces.tie(whole, in_blocks(axes[target], split))
    return tuple(axes)


def _transpose(_spaces: Spaces, call: Call, x: Value, _shape: tuple[int, ...]) -> Axes | None:
    order = list(range(len(x.shape)))
    first, second = (0, -1) if call.name == "t" else (call.argument(1, "dim0"), call.argument(2, "dim1"))
    order[first], order[second] = order[second], order[first]
    return tuple(x.axes[dim] for dim in order)


def _permute(_spaces: Spaces, call: Call, x: Value, _shape: tuple[int, ...]) -> Axes:
    order = tree_leaves(call.args[1:] or call.kwargs["dims"])
    return tuple(x.axes[dim] for dim in order)


def _getitem(spaces: Spaces, call: Call, x: Value, _shape: tuple[int, ...]) -> Axes | None:
    index = call.args[1] if isinstance(call.args[1], tuple) else (call.args[1],)
    if not all(part is None or part is ... or type(part) in {int, slice} for part in index):
        return None
    taken = sum(type(part) in {int, slice} for part in index)
    at = index.index(...) if ... in index else len(index)
    rest = (slice(None),) * (len(x.shape) - taken)
    axes: list[Axis | None] = []
    dims = iter(x.axes)
    for part in (*index[:at], *rest, *index[at + 1 :]):
        axis = None if part is None else next(dims)
        if part != slice(None):
            spaces.fix(axis)
            axis = None
        if type(part) is not int:
            axes.append(axis)
    return tuple(axes)


def _padding(spaces: Spaces, call: Call, x: Value, _shape: tuple[int, ...]) -> Axes:
    """Channels that are padded have an order: those of zeros come where they were put."""
    sides = list(call.argument(1, "pad"))
    axes = list(x.axes)
    for number, pair in enumerate(zip(sides[::2], sides[1::2], strict=True), start=1):
        if any(pair):
            spaces.fix(axes[-number])
            axes[-number] = None
    return tuple(axes)


def _matmul(spaces: Spaces, call: Call, x: Value, shape: tuple[int, ...]) -> Axes | None:
    other = call.args[1] if len(call.args) > 1 else None
    if not isinstance(other, Value) or min(len(x.shape), len(other.shape)) < 2:
        return None
    spaces.tie(x.axes[-1], other.axes[-2])
    leading = [Value(value.shape[:-2], value.axes[:-2]) for value in (x, other)]
    return (*_aligned(spaces, leading, shape[:-2]), x.axes[-2], other.axes[-1])


ELEMENTWISE = frozenset[str]().union(
    ("relu", "relu6", "leakyrelu", "elu", "selu", "celu", "gelu", "silu", "mish", "softplus", "softsign"),
    ("sigmoid", "logsigmoid", "hardsigmoid", "tanh", "hardtanh", "tanhshrink", "hardswish", "threshold"),
    ("softshrink", "hardshrink", "abs", "neg", "exp", "log", "log1p", "sqrt", "rsqrt", "square", "pow"),
    ("sin", "cos", "sign", "erf", "reciprocal", "clamp", "clampmin", "clampmax", "maximum", "minimum"),
    ("add", "iadd", "sub", "isub", "mul", "imul", "div", "truediv", "itruediv", "where"),
    ("softmax", "softmax2d", "logsoftmax", "softmin", "normalize"),  # of each entry and the set of them all
    ("dropout", "dropout1d", "dropout2d", "dropout3d", "alphadropout", "featurealphadropout"),
    ("identity", "contiguous", "clone", "detach", "float", "double", "to"),
)
"""Operations that do the same to each entry, whatever its place; named as `spelled` has them."""

OTHERS: dict[str | None, Rule] = {
    "get_attr": _as_it_is,
    "Linear": _linear_layer,
    "linear": _linear_function,
    **{f"Conv{spatial}d": _convolution_layer for spatial in (1, 2, 3)},
    **{f"conv{spatial}d": _convolution_function for spatial in (1, 2, 3)},
    **{f"BatchNorm{spatial}d": _per_channel for spatial in (1, 2, 3)},
    **dict.fromkeys(("GroupNorm", "PReLU"), _per_channel),
    **dict.fromkeys(("LayerNorm", "RMSNorm"), _over_last_dims),
    **{
        f"{kind}{spatial}d": _pooling
        for kind in (
            *("MaxPool", "AvgPool", "AdaptiveAvgPool", "AdaptiveMaxPool"),
            *("max_pool", "avg_pool", "adaptive_avg_pool", "adaptive_max_pool"),
        )
        for spatial in (1, 2, 3)
    },
    **dict.fromkeys(("mean", "sum", "amax", "amin"), _reduction),
    **dict.fromkeys(("Flatten", "Unflatten", "flatten", "unflatten", "view", "reshape"), _reshape),
    **dict.fromkeys(("squeeze", "unsqueeze", "view_as", "reshape_as"), _reshape),
    **dict.fromkeys(("transpose", "t"), _transpose),
    "permute": _permute,
    "getitem": _getitem,
    "pad": _padding,
    **dict.fromkeys(("matmul", "bmm"), _matmul),
}

PERMUTED = Rules(dict.fromkeys(ELEMENTWISE, _elementwise), OTHERS)
"""How a permutation is carried."""
