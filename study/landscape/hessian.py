"""The mean loss as a function of the weights: its value, its gradient, and products with its Hessian."""

import copy
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator
from torch import Tensor, nn
from torch.func import jvp

from study.landscape.losses import Loss, checked_loss
from study.landscape.network import Probe, call_with
from study.landscape.plan import SMALLEST
from study.landscape.task import evaluating
from study.landscape.weights import Layout, Weights

PASS_BYTES = 2**22
"""Activations of one pass: products with the 2-conv network took 1.0 s at this, 1.5 s at four times it."""


@dataclass(frozen=True)
class Objective:
    """The mean loss over examples, as a function of the weights.

    Running statistics are the weights' own, and dropout is off. The model is left as it is.

    Attributes:
        model: the architecture.
        loss: of outputs and targets: a value for each example, (n,), or the mean of the n it is given, ().
        inputs: (N, …), what the model is called with.
        targets: (N, …).
        micro_batch: the most examples in one pass; the last may have fewer, and counts for as many as it has.
            None takes as many as have activations of `PASS_BYTES`, and 32 at least.

    Raises:
        ValueError: if there is no example, inputs and targets are not as many, or `micro_batch` is below 1.
    """

    model: nn.Module
    loss: Loss
    inputs: Tensor
    targets: Tensor
    micro_batch: int | None = None

    def __post_init__(self) -> None:
        if not len(self.inputs) == len(self.targets) > 0:
            counts = f"{len(self.inputs)} and {len(self.targets)}"
            raise ValueError(f"inputs and targets must be as many, and at least one, got {counts}")
        if self.micro_batch is not None and self.micro_batch < 1:
            raise ValueError(f"micro_batch must be at least 1, got {self.micro_batch}")

    def model_at(self, weights: Weights) -> nn.Module:
        """A model of its own with these weights, in evaluation mode.

        Raises:
            ValueError: if the model has other parameters than the weights.
        """
        if weights.layout != Layout.of(self.model):
            raise ValueError("the model must have the parameters of the weights, in name, shape and dtype")
        model = copy.deepcopy(self.model).eval().requires_grad_(False)
        state = {**weights.buffers, **weights.named}
        for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
            tensor.copy_(state[name])
        return model

    def value(self, weights: Weights) -> float:
        """The mean loss, in its unit (nats for cross-entropy)."""
        model = self.model_at(weights)
        with torch.no_grad():
            return sum(float(share) for share in self._shares(model))

    def value_and_gradient(self, weights: Weights) -> tuple[float, Tensor]:
        """The mean loss, and its gradient, (P,), in the layout and dtype of the weights."""
        model = self.model_at(weights)
        own = dict(model.named_parameters())
        parameters = [own[parameter.name].requires_grad_() for parameter in weights.layout.parameters]
        total, gradient = 0.0, torch.zeros_like(weights.flat, dtype=torch.float64)
        for share in self._shares(model):
            parts = torch.autograd.grad(share, parameters, materialize_grads=True)
            gradient += torch.cat([part.reshape(-1) for part in parts])
            total += float(share.detach())
        return total, gradient.to(weights.flat.dtype)

    def gradient(self, weights: Weights) -> Tensor:
        """The gradient of the mean loss, (P,)."""
        return self.value_and_gradient(weights)[1]

    def slopes(self, weights: Weights, direction: Tensor) -> Tensor:
        """vᵀ ∇ℓ of each example, the derivative of its loss along v, (N,) float64, in one forward-mode pass.

        Args:
            weights: where.
            direction: v, (P,), in the layout of the weights.

        Raises:
            ValueError: if the loss does not give a value for each example.
        """
        model = self.model_at(weights)
        along = weights.layout.views(direction.to(weights.flat))
        found = []
        for inputs, targets in self._batches(weights.flat.device):

            def losses(
                named: dict[str, Tensor], inputs: Tensor = inputs, targets: Tensor = targets
            ) -> Tensor:
                value = checked_loss(self.loss(call_with(model, named, inputs), targets), len(targets))
                if not value.ndim:
                    raise ValueError("the loss must give one value for each example, it gives their mean")
                return value

            with torch.no_grad(), _without_warnings_of_torch():
                found.append(jvp(losses, (weights.named,), (along,))[1].double())
        return torch.cat(found)

    def hessian(self, weights: Weights) -> LinearOperator:
        """The Hessian of the mean loss, symmetric, (P, P), by products alone (Pearlmutter 1994).

        Raises:
            ValueError: if the parameters have several dtypes.
        """
        return self._product("HessianLinearOperator", weights)

    def gauss_newton(self, weights: Weights) -> LinearOperator:
        """The generalized Gauss-Newton matrix, the mean of Jᵀ (∂²ℓ/∂f²) J, (P, P) (Schraudolph 2002).

        It is the Hessian without the curvature of the network itself, and positive semi-definite for a loss
        that is convex in the outputs.

        Raises:
            ValueError: if the parameters have several dtypes.
        """
        return self._product("GGNLinearOperator", weights)

    def _product(self, name: str, weights: Weights) -> LinearOperator:
        dtypes = {parameter.dtype for parameter in weights.layout.parameters}
        if len(dtypes) > 1:
            named = ", ".join(sorted(map(str, dtypes)))
            raise ValueError(f"all parameters must have one dtype for products, got {named}")
        model = self.model_at(weights)
        own = dict(model.named_parameters())
        operator = getattr(_curvlinops(), name)(
            model,
            _Share(self.loss, len(self.inputs)),
            [own[parameter.name] for parameter in weights.layout.parameters],
            list(self._batches(weights.flat.device)),
            num_data=len(self.inputs),
            check_deterministic=False,  # it draws from the global generator, and nothing here is random
        )

        def product(vector: np.ndarray) -> np.ndarray:
            given = torch.from_numpy(np.ascontiguousarray(vector).reshape(-1))
            with torch.no_grad(), _without_warnings_of_torch():
                found = operator @ given.to(weights.flat.device, operator.dtype)
            return found.double().cpu().numpy()

        return LinearOperator(operator.shape, matvec=product, rmatvec=product, dtype=np.dtype(np.float64))

    @cached_property
    def _examples_at_once(self) -> int:
        if self.micro_batch is not None:
            return self.micro_batch
        with evaluating(self.model):
            activations = Probe.of(self.model, self.inputs[:2]).activation_bytes
        return max(PASS_BYTES // max(activations, 1), SMALLEST)

    def _batches(self, device: torch.device) -> Iterator[tuple[Tensor, Tensor]]:
        for start in range(0, len(self.inputs), self._examples_at_once):
            part = slice(start, start + self._examples_at_once)
            yield self.inputs[part].to(device), self.targets[part].to(device)

    def _shares(self, model: nn.Module) -> Iterator[Tensor]:
        """What each micro-batch adds to the mean."""
        share = _Share(self.loss, len(self.inputs))
        for inputs, targets in self._batches(next(model.parameters()).device):
            yield share(model(inputs), targets)


class _Share(nn.Module):
    """What a micro-batch adds to the mean over all examples: the shares are summed, and never divided."""

    reduction = "sum"

    def __init__(self, loss: Loss, examples: int) -> None:
        super().__init__()
        self._loss, self._examples = loss, examples

    def forward(self, outputs: Any, targets: Tensor) -> Tensor:
        value = checked_loss(self._loss(outputs, targets), len(targets))
        return value.sum() / self._examples if value.ndim else value * (len(targets) / self._examples)


def _curvlinops() -> Any:
    """The library of products, which is an extra.

    Raises:
        ImportError: saying how it is installed.
    """
    try:
        with _without_warnings_of_torch():
            import curvlinops
    except ModuleNotFoundError as error:
        raise ImportError("curvature needs curvlinops: pip install 'landscape-study[hessian]'") from error
    return curvlinops


@contextmanager
def _without_warnings_of_torch() -> Iterator[None]:
    """Within, nothing is said of `torch.jit`, which torch's own jvp uses, and what curvlinops imports.

    Nor of operators that torch batches one by one, such as the pooling of a channels-last network.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`torch.jit", FutureWarning)
        warnings.filterwarnings("ignore", "There is a performance drop", UserWarning)
        yield
