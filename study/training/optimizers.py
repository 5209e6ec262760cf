"""Optimizers by name, and how a learning rate follows the batch size."""

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

SETTINGS: dict[str, frozenset[str]] = {
    "sgd": frozenset({"momentum", "nesterov"}),
    "adam": frozenset({"betas", "eps"}),
    "adamw": frozenset({"betas", "eps"}),
    "rmsprop": frozenset({"alpha", "momentum", "eps"}),
    "adagrad": frozenset({"eps"}),
}
"""What each optimizer takes besides its learning rate and weight decay."""


def build_optimizer(
    name: str, parameters: Iterable[Tensor], *, learning_rate: float, weight_decay: float, **extra: Any
) -> Optimizer:
    """The optimizer `name` over `parameters`, as `torch.optim` has it.

    Weight decay acts on every parameter, biases and normalization layers too. It is a gradient of
    (weight_decay / 2) ‖θ‖² but for `adamw`, which shrinks the weights apart from the gradient
    (Loshchilov and Hutter 2019).

    Args:
        name: One of `sgd`, `adam`, `adamw`, `rmsprop`, `adagrad`.
        parameters: What is optimised.
        learning_rate: Step size of the first update, before any schedule.
        weight_decay: Strength of the weight decay, zero for none.
        **extra: The optimizer's own settings (see `SETTINGS`); those not given are torch's defaults.

    Raises:
        ValueError: If the name is unknown, a setting is not this optimizer's, or torch refuses a value.
    """
    if name not in SETTINGS:
        raise ValueError(f"optimizer.name must be one of {', '.join(SETTINGS)}, got {name!r}")
    unknown = sorted(extra.keys() - SETTINGS[name])
    if unknown:
        known = ", ".join(sorted(SETTINGS[name]))
        raise ValueError(
            f"optimizer {name} takes {known} besides its learning rate, got {', '.join(unknown)}"
        )
    if "betas" in extra:
        extra["betas"] = tuple(extra["betas"])
    common: dict[str, Any] = {"lr": learning_rate, "weight_decay": weight_decay}
    match name:
        case "sgd":
            return torch.optim.SGD(parameters, **common, **extra)
        case "adam":
            return torch.optim.Adam(parameters, **common, **extra)
        case "adamw":
            return torch.optim.AdamW(parameters, **common, **extra)
        case "rmsprop":
            return torch.optim.RMSprop(parameters, **common, **extra)
        case _:
            return torch.optim.Adagrad(parameters, **common, **extra)


def scaled_learning_rate(
    learning_rate: float, batch_size: int, reference_batch_size: int, rule: str
) -> float:
    """The learning rate for `batch_size`, where `learning_rate` belongs to `reference_batch_size`.

    Args:
        learning_rate: Rate at the reference batch size.
        batch_size: Examples an update.
        reference_batch_size: Examples an update at which `learning_rate` was chosen.
        rule: `none` keeps the rate; `linear` multiplies it by B / B₀ (Goyal et al. 2017, section 2.1); `sqrt`
            by √(B / B₀), which keeps the variance of an update (Krizhevsky 2014, section 5).

    Raises:
        ValueError: If a batch size is below 1 or the rule is unknown.
    """
    for key, size in (("batch_size", batch_size), ("reference_batch_size", reference_batch_size)):
        if size < 1:
            raise ValueError(f"{key} must be at least 1, got {size}")
    match rule:
        case "none":
            return learning_rate
        case "linear":
            return learning_rate * batch_size / reference_batch_size
        case "sqrt":
            return learning_rate * math.sqrt(batch_size / reference_batch_size)
        case _:
            raise ValueError(f"the learning rate's rule must be one of none, linear, sqrt, got {rule!r}")
