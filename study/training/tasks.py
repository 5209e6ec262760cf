"""What a network is asked for: classes or numbers; with it the loss, its unit, and the score beside it."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Classification:
    """To tell classes apart. The loss is the cross-entropy, the score the accuracy.

    Attributes:
        num_classes: number of classes, and of logits; targets are 0 … num_classes − 1, (N,), int64.
    """

    num_classes: int
    loss_name: ClassVar[str] = "cross-entropy"
    loss_unit: ClassVar[str] = "nats"
    score_name: ClassVar[str] = "accuracy"

    @property
    def outputs(self) -> int:
        """Numbers that the network gives for an example."""
        return self.num_classes

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """What is read: plain cross-entropy, whatever was trained with; nats, a value an example, (N,)."""
        return functional.cross_entropy(outputs, targets, reduction="none")

    def minimised(self, outputs: Tensor, targets: Tensor, label_smoothing: float) -> Tensor:
        """The mean over a mini-batch that training minimises, with label smoothing (Szegedy et al. 2016)."""
        return functional.cross_entropy(outputs, targets, label_smoothing=label_smoothing)

    def score(self, outputs: Tensor, targets: Tensor) -> float:
        """The fraction of examples whose largest logit is the target's."""
        return int((outputs.argmax(dim=1) == targets).sum()) / len(targets)

    def check_targets(self, name: str, targets: Tensor) -> None:
        """Refuse targets that are no such classes.

        Args:
            name: of the split.
            targets: of its examples.

        Raises:
            ValueError: naming what they are instead.
        """
        if targets.dtype != torch.int64 or targets.ndim != 1:
            raise ValueError(
                f"{name} targets must be int64 of shape (N,), got {targets.dtype} {tuple(targets.shape)}"
            )
        outside = ((targets < 0) | (targets >= self.num_classes)).nonzero()
        if len(outside):
            first = int(outside[0])
            value = int(targets[first])
            raise ValueError(
                f"{name} targets must be from 0 to {self.num_classes - 1}, got {value} in example {first}"
            )


@dataclass(frozen=True)
class Regression:
    """To predict numbers. The loss is the squared error, the score the coefficient of determination R².

    Attributes:
        outputs: numbers to an example, and outputs of the network; targets are finite float32, (N,) for one
            and (N, outputs) for more.
    """

    outputs: int
    loss_name: ClassVar[str] = "squared error"
    loss_unit: ClassVar[str] = "squared error"
    score_name: ClassVar[str] = "r2"

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The squared error, without a factor ½; the mean over the outputs of an example, (N,).

        Its unit is that of the targets, squared.

        Raises:
            ValueError: If an output has no target of its own.
        """
        return self._errors(outputs, targets).square().mean(dim=1)

    def minimised(self, outputs: Tensor, targets: Tensor, label_smoothing: float) -> Tensor:
        """The mean over a mini-batch that training minimises.

        Raises:
            ValueError: If an output has no target of its own, or labels are to be smoothed.
        """
        if label_smoothing:
            raise ValueError(f"label_smoothing must be 0 for regression, got {label_smoothing}")
        return self.loss(outputs, targets).mean()

    def score(self, outputs: Tensor, targets: Tensor) -> float:
        """R² = 1 − Σ (y − f)² / Σ (y − ȳ)², with ȳ the mean of these examples for each output.

        Both sums are over examples and outputs, in float64: several outputs count by their variance. NaN
        where the targets do not vary.
        """
        wanted = targets.double().reshape(len(targets), -1)
        missed = self._errors(outputs.double(), targets.double()).square().sum()
        spread = (wanted - wanted.mean(dim=0)).square().sum()
        return 1.0 - (missed / spread).item() if spread > 0 else float("nan")

    def check_targets(self, name: str, targets: Tensor) -> None:
        """Refuse targets that are no such numbers.

        Args:
            name: of the split.
            targets: of its examples.

        Raises:
            ValueError: naming what they are instead.
        """
        shape = "(N,) or (N, 1)" if self.outputs == 1 else f"(N, {self.outputs})"
        fits = targets.shape[1:] == (self.outputs,) or (self.outputs == 1 and targets.ndim == 1)
        if targets.dtype != torch.float32 or not fits:
            raise ValueError(
                f"{name} targets must be float32 of shape {shape}, got {targets.dtype} {tuple(targets.shape)}"
            )
        unusable = ~targets.reshape(len(targets), self.outputs).isfinite().all(dim=1)
        if unusable.any():
            first = int(unusable.nonzero()[0])
            raise ValueError(
                f"{name} targets must be finite, got {targets[first].tolist()} in example {first}"
            )

    def _errors(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Output less target, (N, outputs): (N, 1) and (N,) would broadcast to (N, N)."""
        wanted = targets.unsqueeze(1) if targets.ndim == 1 else targets
        if outputs.shape != wanted.shape:
            raise ValueError(
                f"outputs must be of the shape {tuple(wanted.shape)} of their targets, "
                f"got {tuple(outputs.shape)}"
            )
        return outputs - wanted


Task = Classification | Regression
"""What a network is asked for."""
