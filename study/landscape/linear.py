"""Linear layers by oneDNN, which computes them faster than the BLAS that torch calls for float32."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode


class OneDnnLinear(TorchFunctionMode):
    """Within, `torch.nn.functional.linear` on float32 tensors of a processor is computed by oneDNN.

    An output has the same bits on any number of threads, as oneDNN sums over the inputs in one order. They
    are not those of the BLAS: the two differ by the rounding of such a sum.
    """

    @staticmethod
    def is_available() -> bool:
        """Whether this torch has the operator, which its own compiler uses."""
        return torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """What `func` gives, by oneDNN where it is a linear layer that oneDNN takes."""
        if func is functional.linear and _is_taken(*args, **(kwargs or {})):
            return _linear(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


def _linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise(input, weight, bias, "none", [], "")


def _is_taken(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> bool:
    given = (input, weight) if bias is None else (input, weight, bias)
    dense = all(
        own.dtype == torch.float32 and own.device.type == "cpu" and own.layout == torch.strided
        for own in given
    )
    fits = input.ndim > 1 and weight.ndim == 2 and input.shape[-1] == weight.shape[1]
    return dense and fits and input.numel() > 0 and not input.requires_grad
