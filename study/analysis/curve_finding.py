"""A curve of low loss between two minima, found by training its bend."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from study.landscape.curve import FORMS, Form, curve_coefficients
from study.landscape.losses import Loss
from study.landscape.network import call_with
from study.landscape.statistics import gathering
from study.landscape.task import evaluating
from study.landscape.weights import Layout, Weights


@dataclass(frozen=True)
class FoundBend:
    """The bend of a curve, and how it was found.

    Attributes:
        bend: θ_b; its buffers are the start's.
        losses: the mini-batch loss before each step, (steps,) float64, in the loss's unit: nats for
            cross-entropy.
        provenance: all that the bend depends on besides network, loss and data; JSON-able.
    """

    bend: Weights
    losses: np.ndarray
    provenance: dict[str, Any]


def find_curve(
    model: nn.Module,
    loss: Loss,
    inputs: Tensor,
    targets: Tensor,
    start: Weights,
    end: Weights,
    *,
    form: Form = "bezier",
    steps: int,
    batch_size: int,
    learning_rate: float,
    seed: int,
    on_step: Callable[[int, int], None] | None = None,
) -> FoundBend:
    """The bend θ_b that makes the loss small all along the curve from `start` to `end`.

    Minimises the expectation over t ~ U(0, 1) of the loss at θ(t) (Garipov et al. 2018, equation 2 and
    algorithm 1): each step draws a t and a mini-batch, and takes a step of Adam (Kingma & Ba 2015) on the
    bend alone, from the middle between the ends. As in their released code the learning rate is constant
    for half of the steps, then falls in a straight line to a hundredth at nine tenths. There is no weight
    decay, and no dropout; normalization layers use the statistics of the mini-batch.

    Args:
        model: gives the architecture; neither its weights nor its buffers are read or changed.
        loss: `loss(outputs, targets)`, a value per example or the mean of the batch.
        inputs: training examples, (N, ...), on the device of the weights.
        targets: theirs, (N, ...).
        start: θ₀.
        end: θ₁.
        form: of the curve; see `study.landscape.curve.Curve`.
        steps: how many to take.
        batch_size: examples a step. The order is drawn anew for each pass over the examples, of which a
            remainder smaller than a batch is left out.
        learning_rate: the first one.
        seed: of an own generator for order and t. The bits depend on the number of threads too.
        on_step: called with (steps done, steps in all) after each.

    Raises:
        ValueError: if an argument is out of its range, or `start`, `end` and model differ in parameters.
        FloatingPointError: if a loss along the curve, or the bend, is no longer finite.
    """
    _check(model, start, end, form, steps, len(inputs), batch_size, learning_rate)
    generator = torch.Generator().manual_seed(seed)
    batches = _batches(len(inputs), batch_size, generator)
    bend = ((start.flat + end.flat) / 2).requires_grad_()
    optimizer = torch.optim.Adam([bend], lr=learning_rate)
    buffers = {name: buffer.clone() for name, buffer in start.buffers.items()}
    losses = np.empty(steps)
    with evaluating(model), gathering(model):
        for step in range(steps):
            rate = learning_rate * _factor(step / steps)
            t = float(torch.rand((), generator=generator, dtype=torch.float64))
            chosen = next(batches).to(inputs.device)
            first, middle, last = curve_coefficients(form, t)
            flat = middle * bend + (first * start.flat + last * end.flat)
            outputs = call_with(model, {**start.layout.views(flat), **buffers}, inputs[chosen])
            value = loss(outputs, targets[chosen]).mean()
            losses[step] = value.item()
            if not isfinite(losses[step]):
                raise FloatingPointError(
                    f"the loss along the curve must stay finite, it is {losses[step]} at t = {t:.3g} after "
                    f"{step} steps (learning rate {rate:g})"
                )
            (bend.grad,) = torch.autograd.grad(value, bend)
            optimizer.param_groups[0]["lr"] = rate
            optimizer.step()
            if on_step is not None:
                on_step(step + 1, steps)
    found = bend.detach()
    if not torch.isfinite(found).all():
        raise FloatingPointError(f"the bend must stay finite, it is not after {steps} steps")
    provenance = {
        "form": form,
        "steps": steps,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "seed": seed,
        "threads": torch.get_num_threads(),
        "optimizer": "adam",
        "start": start.digest,
        "end": end.digest,
    }
    return FoundBend(Weights(start.layout, found, start.buffers), losses, provenance)


def _check(
    model: nn.Module,
    start: Weights,
    end: Weights,
    form: str,
    steps: int,
    examples: int,
    batch_size: int,
    learning_rate: float,
) -> None:
    if form not in FORMS:
        raise ValueError(f"the form of a curve must be one of {', '.join(FORMS)}, got {form!r}")
    if steps < 1:
        raise ValueError(f"steps must be at least 1, got {steps}")
    if not 1 <= batch_size <= examples:
        raise ValueError(f"batch_size must be from 1 to {examples}, the number of examples, got {batch_size}")
    if not 0 < learning_rate < float("inf"):
        raise ValueError(f"learning_rate must be above 0 and finite, got {learning_rate}")
    if not start.layout == end.layout == Layout.of(model):
        raise ValueError("start, end and the model must have the same parameters, in name, shape and dtype")


def _batches(examples: int, batch_size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Places of examples, (batch_size,) int64, for ever."""
    while True:
        order = torch.randperm(examples, generator=generator)
        yield from order[: examples - examples % batch_size].split(batch_size)


def _factor(done: float) -> float:
    """Of the learning rate, when a fraction of the steps is done."""
    return float(np.interp(done, [0.5, 0.9], [1.0, 0.01]))
