"""Sharpness-aware minimization as an optimiser whose `step` takes both gradients of an update itself."""

from collections.abc import Callable, Iterable
from typing import Any, cast

import torch
from pytorch_optimizer import SAM
from torch.optim import Optimizer


class SharpnessAware(SAM):
    """The base optimiser's step, by the gradient at θ + ρ g / ‖g‖ instead of that at θ.

    Foret et al. 2021, algorithm 1. Adaptive, at θ + ρ θ² g / ‖θ g‖: Kwon et al. 2021, algorithm 1, with T of
    the weights' magnitudes and without its term η. The norm is over all parameters together. Weight decay and
    momentum are the base optimiser's, and so is the state: it is in `state_dict()`. The learning rate is the
    groups' `lr`, as ever.

    Args:
        parameters: what is optimised.
        base: makes the base optimiser of `parameters`.
        rho: radius ρ of the neighbourhood.
        adaptive: whether the neighbourhood is measured in units of the weights.
    """

    def __init__(
        self,
        parameters: Iterable[Any],
        base: Callable[[Iterable[Any]], Optimizer],
        rho: float,
        adaptive: bool,
    ) -> None:
        optimizer = base(parameters)
        # Groups of its own: a base may have a setting of the same name, as Adadelta its rho.
        self._ball: list[dict[str, Any]] = [{"params": group["params"]} for group in optimizer.param_groups]
        super().__init__(self._ball, cast(Any, lambda _groups: optimizer), rho=rho, adaptive=adaptive)

    def first_step(self, zero_grad: bool = False) -> None:
        """Move to the highest point of the neighbourhood, to first order."""
        groups, self.param_groups = self.param_groups, self._ball
        try:
            super().first_step(zero_grad)
        finally:
            self.param_groups = groups

    def step(self, closure: Any = None) -> Any:
        """One update. The weights are afterwards as they were if the closure raises.

        Args:
            closure: clears the gradients, makes those of one mini-batch at the weights as they stand, and
                returns its loss. Called twice.

        Returns:
            The loss at θ.

        Raises:
            ValueError: If there is no closure.
            BaseException: Whatever the closure raises.
        """
        if closure is None:
            raise ValueError("sharpness-aware minimization needs a closure: it takes two gradients an update")
        with torch.enable_grad():
            loss = closure()
        self.first_step()
        try:
            with torch.enable_grad():
                closure()
        except BaseException:
            self._step_back()
            raise
        self.second_step()
        return loss

    @torch.no_grad()
    def _step_back(self) -> None:
        for group in self.param_groups:
            for parameter in group["params"]:
                if "old_p" in self.state[parameter]:
                    parameter.copy_(self.state[parameter].pop("old_p"))
