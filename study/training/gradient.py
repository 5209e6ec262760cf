"""The gradient of one mini-batch, for an optimizer that asks for it once or oftener."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.optim import Optimizer


class NotFiniteError(ArithmeticError):
    """A mini-batch loss that is not finite."""

    def __init__(self, value: float, again: bool) -> None:
        """Keep the loss, and say whether it was found after the first pass, at other weights."""
        super().__init__(f"mini-batch loss {value}")
        self.value = value
        self.what = "mini-batch loss of the second pass" if again else "mini-batch loss"


class Gradient:
    """A closure for `Optimizer.step`: leaves the mini-batch's gradient in the model, and returns its loss.

    Sharpness-aware minimization asks twice an update, at other weights. Whoever asks again gets the gradient
    of the same function: with the random numbers of the first pass, so the same dropout masks. Buffers, such
    as running statistics, are moved by the first pass only: they belong to the weights that are trained.

    Args:
        model: in train mode.
        optimizer: over its parameters.
        compute: gives the mini-batch's loss, a scalar, at the weights as they stand.
    """

    def __init__(self, model: nn.Module, optimizer: Optimizer, compute: Callable[[], Tensor]) -> None:
        self._model, self._optimizer, self._compute = model, optimizer, compute
        self._before = self._buffers()
        devices = {parameter.device for parameter in model.parameters()}
        self._cuda = [device for device in devices if device.type == "cuda"]
        self._random: tuple[Tensor, list[Tensor]] | None = None
        self.loss = math.nan
        """Of the first pass, nats; NaN before it."""

    def __call__(self) -> float:
        """The mini-batch's loss, nats.

        Raises:
            NotFiniteError: If it is not finite; the buffers are then as before the first pass.
        """
        again = self._random is not None
        kept = self._buffers() if again else []
        if self._random is None:
            self._random = torch.get_rng_state(), [torch.cuda.get_rng_state(own) for own in self._cuda]
        else:
            torch.set_rng_state(self._random[0])
            for own, state in zip(self._cuda, self._random[1], strict=True):
                torch.cuda.set_rng_state(state, own)
        self._optimizer.zero_grad()
        loss = self._compute()
        value = loss.item()
        if not math.isfinite(value):
            self._put_back(self._before)
            raise NotFiniteError(value, again)
        loss.backward()
        if again:
            self._put_back(kept)
        else:
            self.loss = value
        return value

    def _buffers(self) -> list[Tensor]:
        return [buffer.clone() for buffer in self._model.buffers()]

    @torch.no_grad()
    def _put_back(self, values: list[Tensor]) -> None:
        for buffer, value in zip(self._model.buffers(), values, strict=True):
            buffer.copy_(value)
