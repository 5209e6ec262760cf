"""In which order an epoch shows its examples, and from which seeds all that is drawn in it follows."""

import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Branch:
    """Where a training parts from those that share its beginning (Frankle et al. 2020, section 2).

    Attributes:
        update: updates that are shared; 0 shares the initialisation alone.
        seed: of all that is drawn from then on.

    Raises:
        ValueError: If `update` is negative.
    """

    update: int
    seed: int

    def __post_init__(self) -> None:
        if self.update < 0:
            raise ValueError(f"a branch must be at an update of at least 0, got {self.update}")


@dataclass(frozen=True, eq=False)
class Stretch:
    """Part of an epoch, all that is drawn in which follows from one seed and the epoch.

    Attributes:
        seed: of augmentation and dropout, which begin anew with the stretch.
        examples: indices in the order in which they are shown, shape (n,), n ≥ 1.
    """

    seed: int
    examples: Tensor


def stretches(
    epoch: int, examples: int, batch_size: int, order_seed: int, branch: Branch | None
) -> list[Stretch]:
    """The parts of an epoch: one, or two where a branch lies inside it. Each example is in one, once.

    What is left of an epoch at a branch comes in the order in which the branch's seed would have shown it, so
    a branch with the seed of the training changes nothing.

    Args:
        epoch: from 1 on.
        examples: in the training set.
        batch_size: examples an update.
        order_seed: of the training.
        branch: where another seed takes over, if one does.
    """
    own = _permutation(order_seed, epoch, examples)
    if branch is None or branch.seed == order_seed:
        return [Stretch(order_seed, own)]
    first = (epoch - 1) * -(-examples // batch_size)
    shared = own[: max(branch.update - first, 0) * batch_size]
    anew = _permutation(branch.seed, epoch, examples)
    parts = (Stretch(order_seed, shared), Stretch(branch.seed, anew[~torch.isin(anew, shared)]))
    return [part for part in parts if len(part.examples)]


def derive_seed(purpose: str, order_seed: int, epoch: int) -> int:
    """A seed of 63 bits by hashing, so that neighbouring seeds, epochs and purposes share nothing."""
    digest = hashlib.sha256(f"{purpose}:{order_seed}:{epoch}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def derive_generator(purpose: str, order_seed: int, epoch: int) -> torch.Generator:
    """A generator of its own with the seed of `derive_seed`."""
    return torch.Generator().manual_seed(derive_seed(purpose, order_seed, epoch))


def _permutation(seed: int, epoch: int, examples: int) -> Tensor:
    return torch.randperm(examples, generator=derive_generator("order", seed, epoch))
