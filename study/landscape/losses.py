"""What a loss may return: a value for each example, or the mean of those that it is given."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

Loss = Callable[[Any, Any], Tensor]

IGNORED = -100
"""The label that torch's cross-entropy leaves out, as if its example's loss were zero."""


def checked_loss(value: Any, examples: int) -> Tensor:
    """The loss of each example, or the batch's mean.

    Raises:
        ValueError: if it is neither, or complex.
    """
    if not isinstance(value, Tensor) or value.shape not in {(), (examples,)}:
        raise ValueError(
            f"the loss must be a scalar or have shape ({examples},), one value an example, got "
            + (f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__)
        )
    if value.is_complex():  # put into a real tensor, it would lose a part without a word
        raise ValueError(f"the loss must be real, got {value.dtype}")
    return value


def check_mean(loss: Loss, outputs: Any, targets: Any, value: Tensor) -> None:
    """Refuse a scalar that is a sum: over the same examples twice, the mean stays and the sum doubles.

    Args:
        loss: that gave the value.
        outputs: of a batch.
        targets: of that batch.
        value: what the loss gave for them, a scalar.

    Raises:
        ValueError: if it is such a sum.
    """
    twice = loss(tree_map(_doubled, outputs), tree_map(_doubled, targets))
    once, found = float(value), float(twice)
    if once != 0.0 and abs(found - 2.0 * once) <= 1e-3 * abs(once):
        raise ValueError("a scalar loss must be the mean of the batch, got the sum over its examples")


def check_labels(labels: Tensor, start: int) -> None:
    """Refuse the label that cross-entropy ignores: its example would count as one of loss zero.

    Args:
        labels: of a micro-batch, classes.
        start: the number of its first example.

    Raises:
        ValueError: naming the first such example.
    """
    ignored = (labels == IGNORED).nonzero()
    if len(ignored):
        raise ValueError(
            f"labels must be classes, got {IGNORED} in example {start + int(ignored[0])}: cross-entropy "
            "ignores such examples, so leave them out"
        )


def _doubled(leaf: Any) -> Any:
    return torch.cat([leaf, leaf]) if isinstance(leaf, Tensor) and leaf.ndim else leaf
