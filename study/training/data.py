"""Data sets held in memory: what a split is, what is checked of it, subsets of it, augmentation."""

import hashlib
import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from study.training.tasks import Task

_CHUNK = 1024
"""Examples checked at once: nine times as fast as 50,000 in one piece, which need 1.5 GB for the while."""


@dataclass(frozen=True, eq=False)
class Examples:
    """One split, prepared and resident.

    Attributes:
        inputs: shape (N, ...), for images (N, C, H, W), float32.
        targets: classes, shape (N,), int64; or numbers to predict, (N,) or (N, K), float32.
    """

    inputs: Tensor
    targets: Tensor

    def __len__(self) -> int:
        return len(self.targets)

    def subset(self, count: int | None, seed: int) -> "Examples":
        """A fixed random subset of at most `count` examples; None takes all."""
        return self.take(len(self) if count is None else min(count, len(self)), seed)

    def take(self, count: int, seed: int) -> "Examples":
        """A simple random sample without replacement, in data-set order.

        Every subset of `count` examples is as likely as any other: with σ² the variance over all N, a mean
        over the subset has variance σ² / count · (N − count) / (N − 1). One seed draws nested subsets: the
        smaller is part of the larger.

        Args:
            count: number of examples, 1 to N; at N, all of them.
            seed: of the draw's own generator.

        Raises:
            ValueError: If `count` is not in 1 … N.
        """
        if not 1 <= count <= len(self):
            raise ValueError(f"count must be from 1 to {len(self)}, the number of examples, got {count}")
        if count == len(self):
            return self
        order = torch.randperm(len(self), generator=torch.Generator().manual_seed(seed))
        chosen = order[:count].sort().values.to(self.inputs.device)
        return Examples(self.inputs[chosen], self.targets[chosen])


@dataclass(frozen=True, eq=False)
class DataSet:
    """A training and a test split of one task.

    Attributes:
        name: as configured and shown.
        train: what is trained on.
        test: what is only read.
        task: what a network is asked for, and so what the targets are.
    """

    name: str
    train: Examples
    test: Examples
    task: Task

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one input, for images (C, H, W)."""
        return tuple(self.train.inputs.shape[1:])

    def to(self, device: str) -> "DataSet":
        """The same data on `device`."""
        train, test = (
            Examples(split.inputs.to(device), split.targets.to(device)) for split in (self.train, self.test)
        )
        return replace(self, train=train, test=test)

    @cached_property
    def digest(self) -> str:
        """Hex SHA-256 of type, shape and bytes of both splits' tensors; computed on first use."""
        sha = hashlib.sha256()
        for split in (self.train, self.test):
            for tensor in (split.inputs, split.targets):
                array = tensor.detach().cpu().contiguous().numpy()
                sha.update(f"{array.dtype.str} {array.shape}".encode())
                sha.update(array.reshape(-1).data)
        return sha.hexdigest()


def validate(data: DataSet) -> DataSet:
    """The data set as given, once its splits are seen to be usable.

    Raises:
        ValueError: If a split is empty, holds non-finite inputs or targets that are not the task's, has
            tensors of other types or lengths than `Examples` states, or if the splits' inputs differ in
            shape; also for a name or a task that is none.
    """
    if not isinstance(data.name, str) or not isinstance(data.task, Task):
        raise ValueError(f"a DataSet must have a name and a task, got {data.name!r} and {data.task!r}")
    for name, split in (("train", data.train), ("test", data.test)):
        _validate_split(f"{data.name}: {name}", split, data.task)
    shapes = [tuple(split.inputs.shape[1:]) for split in (data.train, data.test)]
    if shapes[0] != shapes[1]:
        raise ValueError(
            f"{data.name}: both splits must have one input shape, got {shapes[0]} and {shapes[1]}"
        )
    return data


def _validate_split(name: str, split: Examples, task: Task) -> None:
    inputs, targets = split.inputs, split.targets
    for what, own in (("inputs", inputs), ("targets", targets)):
        if not isinstance(own, Tensor) or own.is_meta or own.layout != torch.strided:
            raise ValueError(
                f"{name} {what} must be a dense tensor that holds data, got {type(own).__name__}"
            )
    if inputs.dtype != torch.float32 or inputs.ndim < 2:
        raise ValueError(
            f"{name} inputs must be float32 of shape (N, ...), got {inputs.dtype} {tuple(inputs.shape)}"
        )
    task.check_targets(name, targets)
    if len(inputs) != len(targets):
        raise ValueError(f"{name} inputs and targets must be as many, got {len(inputs)} and {len(targets)}")
    if inputs.numel() == 0:
        raise ValueError(f"{name} inputs must not be empty, got shape {tuple(inputs.shape)}")
    for part, start in zip(inputs.split(_CHUNK), range(0, len(inputs), _CHUNK), strict=True):
        unusable = ~part.isfinite()
        if unusable.any():
            row = int(unusable.flatten(1).any(dim=1).nonzero()[0])
            value = float(part[row][unusable[row]][0])
            raise ValueError(f"{name} inputs must be finite, got {value} in example {start + row}")


def halves(
    total: int, test_fraction: float, fewest: int, strata: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The examples of the training and of the test split: always the same, in the order of the original.

    Args:
        total: number of examples.
        test_fraction: share of them in the test split, rounded up to a whole number.
        fewest: examples that each split must have.
        strata: the class of each, (total,): both splits then have the classes in equal shares.

    Raises:
        ValueError: If `test_fraction` does not leave each split that many.
    """
    # Imported here: a second or more that other data sets need not wait for.
    from sklearn.model_selection import train_test_split

    if not (0 < test_fraction < 1 and fewest <= math.ceil(test_fraction * total) <= total - fewest):
        raise ValueError(
            f"test_fraction must leave each split at least {fewest} of {total} examples, got {test_fraction}"
        )
    train, test = train_test_split(np.arange(total), test_size=test_fraction, random_state=0, stratify=strata)
    return np.sort(train), np.sort(test)


def limit(data: DataSet, train_examples: int | None, test_examples: int | None, seed: int = 0) -> DataSet:
    """The data set cut down to random subsets of its splits (`Examples.take`).

    Args:
        data: what to cut.
        train_examples: number of training examples, or None for all.
        test_examples: number of test examples, or None for all.
        seed: of both draws.

    Raises:
        ValueError: If a number is not from 1 to the size of its split.
    """
    for key, split, count in (
        ("data.train_examples", data.train, train_examples),
        ("data.test_examples", data.test, test_examples),
    ):
        if count is not None and not 1 <= count <= len(split):
            raise ValueError(
                f"{key} must be from 1 to {len(split)}, the size of that split of {data.name}, got {count}"
            )
    return replace(
        data,
        train=data.train if train_examples is None else data.train.take(train_examples, seed),
        test=data.test if test_examples is None else data.test.take(test_examples, seed),
    )


@dataclass(frozen=True)
class Augmentation:
    """Random crop, then horizontal flip, drawn for each image apart.

    The border of a crop mirrors the image (padding mode "reflect"): after normalisation zero is the mean and
    not black, so padding with a constant would have to know the data set.

    Attributes:
        crop_padding: pixels added on every side before a window of the image's own size is cut; 0 for no
            crop.
        flip: whether half of the images, at random, are mirrored left to right.

    Raises:
        ValueError: If `crop_padding` is negative.
    """

    crop_padding: int = 0
    flip: bool = False

    def __post_init__(self) -> None:
        if self.crop_padding < 0:
            raise ValueError(f"crop_padding must be at least 0, got {self.crop_padding}")

    def __call__(self, inputs: Tensor, generator: torch.Generator) -> Tensor:
        """Augmented images, of the shape, type and device of `inputs`, which stay as they are.

        Args:
            inputs: images, shape (N, C, H, W).
            generator: of the draws; nothing else is drawn from.

        Raises:
            ValueError: If `inputs` are no images, or `crop_padding` is not smaller than their sides.
        """
        if inputs.ndim != 4:
            raise ValueError(f"augmentation needs images of shape (N, C, H, W), got {tuple(inputs.shape)}")
        if self.crop_padding:
            inputs = self._crop(inputs, generator)
        if self.flip:
            mirrored = torch.rand(len(inputs), generator=generator, device=generator.device) < 0.5
            inputs = torch.where(mirrored.to(inputs.device)[:, None, None, None], inputs.flip(3), inputs)
        return inputs

    def _crop(self, inputs: Tensor, generator: torch.Generator) -> Tensor:
        height, width = inputs.shape[2:]
        pad = self.crop_padding
        if pad >= min(height, width):
            raise ValueError(
                f"crop_padding must be smaller than the image, {height} x {width} pixels, got {pad}"
            )
        corners = torch.randint(2 * pad + 1, (2, len(inputs)), generator=generator, device=generator.device)
        top, left = corners.to(inputs.device)
        padded = functional.pad(inputs, (pad, pad, pad, pad), mode="reflect")
        windows = padded.unfold(2, height, 1).unfold(3, width, 1)  # a view: (N, C, tops, lefts, H, W)
        return windows[torch.arange(len(inputs), device=inputs.device), :, top, left]
