"""How the operations of a network carry a rescaling of their inputs' units on to their outputs.

Each rule is a statement about one operation: if the units along its axes are multiplied by positive factors,
one a unit, its output's are along the axes that the rule returns. Layers that make units take factors of
their own: weights and biases are multiplied by them. A normalization undoes the scale of what comes in, which
therefore stays as it is, and makes its units anew by weight and bias. What is not positively homogeneous, as
tanh or softmax, has no rule.
"""

from numbers import Number

from torch import nn

from study.analysis.symmetry.calls import Call, Rule, Rules, Value
from study.analysis.symmetry.equivariance import OTHERS as PERMUTING
from study.analysis.symmetry.spaces import Axes, Spaces


def _itself(_spaces: Spaces, call: Call, _shape: tuple[int, ...]) -> Axes | None:
    """f(c x) = c f(x) for c > 0, entry by entry."""
    return call.operands[0].axes if len(call.operands) == 1 else None


def _together(spaces: Spaces, call: Call, shape: tuple[int, ...]) -> Axes | None:
    """A sum or an extreme of tensors that are all scaled alike; a number among them is not."""
    if len(call.operands) != len(call.args) or any(value.shape != shape for value in call.operands):
        return None
    first, *others = call.operands
    for other in others:
        for axis, own in zip(first.axes, other.axes, strict=True):
            spaces.tie(axis, own)
    return first.axes


def _times_a_number(_spaces: Spaces, call: Call, shape: tuple[int, ...]) -> Axes | None:
    """A product with a number, or with a tensor of one entry that no factor moves."""
    first, second = call.args
    if isinstance(first, Value) and first.shape == shape and _is_number(second):
        return first.axes
    if isinstance(second, Value) and second.shape == shape and _is_number(first) and call.name == "mul":
        return second.axes
    return None


def _is_number(operand: object) -> bool:
    return isinstance(operand, Number) or (isinstance(operand, Value) and set(operand.shape) <= {1})


def _batch_normalization(spaces: Spaces, call: Call, x: Value, _shape: tuple[int, ...]) -> Axes | None:
    if "weight" not in call.own:
        return None
    spaces.fix(*x.axes)
    spaces.tie(call.own["weight"].axes[0], call.own["bias"].axes[0])
    return (None, call.own["weight"].axes[0], *[None] * (len(x.axes) - 2))


def _convolution(spaces: Spaces, call: Call, x: Value, shape: tuple[int, ...]) -> Axes | None:
    assert isinstance(call.layer, nn.Conv1d | nn.Conv2d | nn.Conv3d)
    if call.layer.groups != 1:
        return None
    return PERMUTING[type(call.layer).__name__](spaces, call, x, shape)


def _padding(spaces: Spaces, call: Call, x: Value, shape: tuple[int, ...]) -> Axes | None:
    filled = call.argument(3, "value")
    return PERMUTING["pad"](spaces, call, x, shape) if not filled else None


def _reduction(spaces: Spaces, call: Call, x: Value, shape: tuple[int, ...]) -> Axes | None:
    """A mean or an extreme over units needs them at one scale."""
    left = PERMUTING[call.name](spaces, call, x, shape)
    spaces.fix(*(axis for axis in x.axes if axis not in (left or ())))
    return left


_ALIKE = (
    "Linear",
    *("Flatten", "Unflatten", "flatten", "unflatten", "view", "reshape", "squeeze", "unsqueeze"),
    *("view_as", "reshape_as", "transpose", "t", "permute", "getitem"),
    *(name for name in PERMUTING if name is not None and "pool" in name.lower()),
)
"""Linear in what comes in, or an extreme of it: a rescaling is carried as a permutation is."""

OTHERS: dict[str | None, Rule] = {
    **{name: PERMUTING[name] for name in _ALIKE},
    **{f"Conv{spatial}d": _convolution for spatial in (1, 2, 3)},
    **{f"BatchNorm{spatial}d": _batch_normalization for spatial in (1, 2, 3)},
    "pad": _padding,
    **dict.fromkeys(("mean", "sum", "amax", "amin"), _reduction),
}

RESCALED = Rules(
    {
        **dict.fromkeys(
            (
                *("relu", "leakyrelu", "abs", "neg", "identity", "contiguous", "clone", "detach"),
                *("float", "double", "dropout", "dropout1d", "dropout2d", "dropout3d"),
            ),
            _itself,
        ),
        **dict.fromkeys(("add", "iadd", "sub", "isub", "maximum", "minimum"), _together),
        **dict.fromkeys(("mul", "div", "truediv"), _times_a_number),
    },
    OTHERS,
)
"""How a rescaling is carried."""
