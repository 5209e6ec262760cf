"""Weights averaged over the end of training: by epochs, or with weights that decay by updates."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, get_swa_multi_avg_fn

STATISTICS_BATCH = 128
"""The most examples that running statistics are gathered from at a time, whatever the batch size."""


@dataclass(frozen=True)
class Ema:
    """An exponential moving average over updates (Polyak and Juditsky 1992 averaged with equal weights).

    With s = `start_epoch` times the updates of an epoch: θ̄_s = θ_s, and θ̄_t = d θ̄_{t−1} + (1 − d) θ_t after
    each further update.

    Attributes:
        decay: d, the share of the average that an update keeps, 0 ≤ d < 1.
        start_epoch: epochs after which it begins; 0 begins with the initialisation.
    """

    decay: float
    start_epoch: int

    def takes(self, update: int, per_epoch: int) -> bool:
        """Whether the weights after so many updates enter the average."""
        return update >= self.start_epoch * per_epoch

    @property
    def step(self) -> Callable[..., None]:
        """How weights enter it."""
        return get_ema_multi_avg_fn(self.decay)


@dataclass(frozen=True)
class Swa:
    """Stochastic weight averaging (Izmailov et al. 2018, algorithm 1): θ̄ = (1/n) Σ θ_e.

    Over the weights at the ends of n whole epochs e, from `start_epoch` on. The learning rate follows its own
    schedule.

    Attributes:
        start_epoch: the first epoch whose end is averaged, at least 1.
    """

    start_epoch: int

    def takes(self, update: int, per_epoch: int) -> bool:
        """Whether the weights after so many updates enter the average."""
        return update % per_epoch == 0 and update >= self.start_epoch * per_epoch

    @property
    def step(self) -> Callable[..., None]:
        """How weights enter it."""
        return get_swa_multi_avg_fn()


Averaging = Ema | Swa
"""Which weights are averaged, and how."""


class Average:
    """The running average of a model's parameters.

    Args:
        averaging: which weights enter it.
        model: that is trained; only its architecture counts.
        per_epoch: updates of an epoch.
        inputs: of the training split, (N, ...), that running statistics are gathered from.
    """

    def __init__(self, averaging: Averaging, model: nn.Module, per_epoch: int, inputs: Tensor) -> None:
        self._averaging, self._per_epoch, self._inputs = averaging, per_epoch, inputs
        self._averaged = AveragedModel(model, multi_avg_fn=averaging.step)
        self._gathered = False

    def take(self, model: nn.Module, update: int) -> None:
        """Take in the weights of `model` after so many updates, if it is their turn."""
        if self._averaging.takes(update, self._per_epoch):
            self._averaged.update_parameters(model)
            self._gathered = False

    def network(self) -> nn.Module | None:
        """The network of the averaged weights, in evaluation mode; None before the first has entered.

        The average of weights has running statistics of its own: they are gathered over the inputs, in
        their order (Izmailov et al. 2018, section 3.2), once for each average. Other buffers are those of the
        last weights that entered.
        """
        if self._averaged.n_averaged == 0:
            return None
        network = self._averaged.module.eval()
        if not self._gathered:
            gather_statistics(network, self._inputs)
            self._gathered = True
        return network

    def state(self) -> dict[str, Tensor]:
        """Copies on the CPU of all that `restore` needs, by name."""
        state = self._averaged.state_dict()
        return {name: tensor.detach().to("cpu", copy=True) for name, tensor in state.items()}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Go on from a state.

        Raises:
            RuntimeError: If it is of another architecture.
        """
        self._averaged.load_state_dict(state)
        self._gathered = False


def gather_statistics(model: nn.Module, inputs: Tensor) -> None:
    """Give layers with running statistics those of `inputs`, in place: averages over batches by their size.

    Over one batch these are its mean and its unbiased variance. All other layers stay in evaluation mode, so
    that nothing is drawn at random.

    Args:
        model: in evaluation mode.
        inputs: (N, ...), split in their order into parts of `STATISTICS_BATCH` at most, equal to one example.
    """
    layers: list[Any] = [
        layer
        for layer in model.modules()
        if getattr(layer, "track_running_stats", False) and getattr(layer, "running_mean", None) is not None
    ]
    if not layers:
        return
    momenta = [layer.momentum for layer in layers]
    seen = 0
    try:
        for layer in layers:
            layer.reset_running_stats()
            layer.train()
        with torch.no_grad():
            for part in inputs.tensor_split(-(-len(inputs) // STATISTICS_BATCH)):
                seen += len(part)
                for layer in layers:
                    layer.momentum = len(part) / seen
                model(part.clone())
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.eval()
            layer.momentum = momentum
