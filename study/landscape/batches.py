"""Examples held in memory, and the micro-batches in which they are read."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sized
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_map, tree_unflatten

from study.landscape.network import in_channels_last
from study.landscape.plan import EvaluationPlan

Data = Iterable[Any] | Mapping[str, Iterable[Any]]


@dataclass(frozen=True)
class MicroBatch:
    """Consecutive examples, `start` to `stop` in data-set order.

    Attributes:
        start: index of the first example.
        stop: index after the last.
        inputs: what the model is called with: a tensor, or a tuple (positional) or a dict (by name) of them.
        targets: what the loss is called with beside the outputs.
    """

    start: int
    stop: int
    inputs: Any
    targets: Any

    @property
    def size(self) -> int:
        """Number of examples."""
        return self.stop - self.start


@dataclass(frozen=True)
class ResidentData:
    """One split, read once and kept in memory.

    Attributes:
        chunks: the (inputs, targets) pairs: one where all batches could be joined, else as they came.
        sizes: number of examples of each chunk.
    """

    chunks: tuple[tuple[Any, Any], ...]
    sizes: tuple[int, ...]

    @classmethod
    def read(cls, batches: Iterable[Any], name: str = "data") -> "ResidentData":
        """Read every batch once, in order.

        Args:
            batches: yields (inputs, targets); dim 0 of every tensor counts examples. Batches whose tensors
                differ in their other dims (padded sequences) are kept apart.
            name: of the split, for messages.

        Raises:
            ValueError: if there is no batch or no example, fewer batches than `len(batches)` says, or a batch
                is no such pair.
        """
        with torch.random.fork_rng(devices=[]):  # a DataLoader draws from the caller's generator
            pairs = [_pair(batch, name) for batch in batches]
        promised = _promised(batches)
        if 0 < len(pairs) < promised != sum(_count(pair, name) for pair in pairs):
            given = f"it ended after {len(pairs)}"
            raise ValueError(f"{name} must give the {promised} batches that its length says, {given}")
        pairs = [pair for pair in pairs if _count(pair, name) > 0]
        if not pairs:
            raise ValueError(f"{name} must hold at least one example, it is empty")
        if len(pairs) > 1 and len({_signature(pair) for pair in pairs}) == 1:
            pairs = [_joined(pairs)]
        return cls(tuple(pairs), tuple(_count(pair, name) for pair in pairs))

    def __len__(self) -> int:
        return sum(self.sizes)

    def head(self, count: int) -> Any:
        """The inputs of the first `count` examples, or of the first chunk where that has fewer."""
        inputs, _targets = self.chunks[0]
        return tree_map(_copied, _part(inputs, 0, min(count, self.sizes[0])))

    def placed(self, plan: EvaluationPlan) -> "ResidentData":
        """The same examples on the plan's device and in its memory layout."""

        def place(leaf: Any) -> Any:
            if not isinstance(leaf, Tensor):
                return leaf
            leaf = leaf.to(plan.device)
            return in_channels_last(leaf) if plan.channels_last else leaf

        return ResidentData(tuple(tree_map(place, pair) for pair in self.chunks), self.sizes)

    def digest(self) -> str:
        """SHA-256 over every example, in order, hexadecimal."""
        total = hashlib.sha256()
        for pair in self.chunks:
            for leaf in tree_flatten(pair)[0]:
                if isinstance(leaf, Tensor):
                    total.update(f"{tuple(leaf.shape)}|{leaf.dtype}|".encode())
                    total.update(
                        leaf.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes()
                    )
                else:
                    total.update(repr(leaf).encode())
        return total.hexdigest()

    @property
    def version(self) -> list[int]:
        """Grows whenever somebody writes to an example."""
        return [leaf._version for pair in self.chunks for leaf in _leaves(pair)]

    def micro_batches(self, plan: EvaluationPlan) -> Iterator[MicroBatch]:
        """The examples in data-set order, in equal parts (to one example) of at most the plan's size."""
        offset = 0
        for (inputs, targets), size in zip(self.chunks, self.sizes, strict=True):
            for start, stop in plan.bounds(size):
                own = _part(inputs, start, stop)
                own = tree_map(_copied, own) if plan.copies_inputs else own
                yield MicroBatch(offset + start, offset + stop, own, _part(targets, start, stop))
            offset += size


def read_splits(data: Data) -> dict[str, ResidentData]:
    """Each split of `data` in memory; data that are no mapping are one split named `""`.

    Raises:
        ValueError: if a split is empty, or its batches are no (inputs, targets) pairs.
    """
    if isinstance(data, Mapping):
        if not data:
            raise ValueError("data must hold at least one split, the mapping is empty")
        return {name: ResidentData.read(batches, f"data[{name!r}]") for name, batches in data.items()}
    return {"": ResidentData.read(data)}


def _promised(batches: Iterable[Any]) -> int:
    """How many batches there are by their own word; some count examples instead. 0 where nothing is said."""
    try:
        return len(batches) if isinstance(batches, Sized) else 0
    except TypeError:  # a DataLoader has a length only where its data set has one
        return 0


def _pair(batch: Any, name: str) -> tuple[Any, Any]:
    if not isinstance(batch, tuple | list) or len(batch) != 2:
        raise ValueError(f"each batch of {name} must be a pair (inputs, targets), got {type(batch).__name__}")
    if any(isinstance(leaf, np.ndarray | np.generic) for leaf in tree_flatten(tuple(batch))[0]):
        raise ValueError(
            f"each batch of {name} must hold tensors, got NumPy arrays: torch.from_numpy makes them"
        )
    if any(leaf.is_meta for leaf in _leaves(tuple(batch))):
        raise ValueError(f"each batch of {name} must hold data, got tensors on the device meta")
    return batch[0], batch[1]


def _leaves(pair: Any) -> list[Tensor]:
    return [leaf for leaf in tree_flatten(pair)[0] if isinstance(leaf, Tensor)]


def _count(pair: tuple[Any, Any], name: str) -> int:
    lengths = {leaf.shape[0] if leaf.ndim else None for leaf in _leaves(pair)}
    if len(lengths) != 1 or None in lengths:
        shapes = [tuple(leaf.shape) for leaf in _leaves(pair)]
        raise ValueError(f"all tensors of a batch of {name} must have the same length, got shapes {shapes}")
    return int(lengths.pop() or 0)


def _signature(pair: tuple[Any, Any]) -> tuple[Any, ...]:
    leaves, structure = tree_flatten(pair)
    return structure, *((leaf.shape[1:], leaf.dtype) if isinstance(leaf, Tensor) else leaf for leaf in leaves)


def _joined(pairs: list[tuple[Any, Any]]) -> tuple[Any, Any]:
    columns = zip(*(tree_flatten(pair)[0] for pair in pairs), strict=True)
    joined = [torch.cat(column) if isinstance(column[0], Tensor) else column[0] for column in columns]
    return tree_unflatten(joined, tree_flatten(pairs[0])[1])


def _copied(leaf: Any) -> Any:
    return leaf.clone() if isinstance(leaf, Tensor) else leaf


def _part(tree: Any, start: int, stop: int) -> Any:
    return tree_map(lambda leaf: leaf[start:stop] if isinstance(leaf, Tensor) else leaf, tree)
