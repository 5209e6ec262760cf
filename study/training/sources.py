"""Where data sets come from: scikit-learn's digits, torchvision's files, a user's own function."""

import http.client
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from torch import Tensor
from torch.nn import functional

from study.training.custom import call_attribute
from study.training.data import DataSet, Examples, halves, validate
from study.training.tasks import Classification, Regression, Task


class DataNotFoundError(FileNotFoundError):
    """The files of a data set are not there, or are not what they should be."""


@dataclass(frozen=True)
class _Source:
    """A class of `torchvision.datasets`, and the pattern below its root of the files that it reads."""

    class_name: str
    pattern: str
    num_classes: int


_TORCHVISION = {
    "mnist": _Source("MNIST", "MNIST/raw/*-ubyte", 10),
    "fashion_mnist": _Source("FashionMNIST", "FashionMNIST/raw/*-ubyte", 10),
    "kmnist": _Source("KMNIST", "KMNIST/raw/*-ubyte", 10),
    "cifar10": _Source("CIFAR10", "cifar-10-batches-py/*", 10),
    "cifar100": _Source("CIFAR100", "cifar-100-python/*", 100),
    "svhn": _Source("SVHN", "*_32x32.mat", 10),
}

_READING_FAILED = (RuntimeError, ValueError, TypeError, AssertionError, LookupError, OSError, EOFError)
"""What torchvision raises over files that are absent or damaged."""


def digits(image_size: int = 28, test_fraction: float = 0.2) -> DataSet:
    """Scikit-learn's 1,797 handwritten digits of 8 x 8 pixels, values 0 … 16; needs no files and no network.

    The split is stratified and always the same; both halves keep the order of the original. Images are
    resized by bilinear interpolation (antialiased where they shrink), then normalised like all built-in data.

    Args:
        image_size: pixels of a side.
        test_fraction: share of the examples in the test split, rounded up to a whole number of them.

    Raises:
        ValueError: If `image_size` is below 1, or `test_fraction` does not leave each split at
            least ten examples.
    """
    from sklearn.datasets import load_digits  # here, as torchvision below: others need not wait for it

    if image_size < 1:
        raise ValueError(f"image_size must be at least 1 pixel, got {image_size}")
    original = load_digits()
    classes = 10
    train, test = halves(len(original.target), test_fraction, classes, original.target)
    # Resized in float64 and rounded once: processors that differ in the last bit agree on the digest.
    images = torch.from_numpy(original.images).unsqueeze(1)
    resized = functional.interpolate(
        images, size=(image_size, image_size), mode="bilinear", antialias=True
    ).numpy()
    return _prepared(
        "digits", resized[train], original.target[train], resized[test], original.target[test], classes
    )


def from_torchvision(name: str, root: str | Path, download: bool) -> DataSet:
    """One of torchvision's image sets, read into memory as a whole and normalised.

    torchvision finds, verifies, downloads and decodes the files. It checks the MD5 sums of CIFAR and SVHN
    files at every reading, those of the MNIST family when it downloads. CIFAR files are pickles, which could
    run code: torchvision unpickles the batches itself, after their MD5 sums were found right.

    Args:
        name: mnist, fashion_mnist, kmnist, cifar10, cifar100 or svhn.
        root: folder that holds, or is to hold, torchvision's own layout (`MNIST/raw`, `cifar-10-batches-py`,
            …).
        download: whether to fetch what is not there. Archives lying in place are unpacked, not fetched again.

    Raises:
        ValueError: If `name` is none of these, or the files hold what is no such data set.
        DataNotFoundError: If the files are absent or damaged, and not to be had by downloading.
    """
    if name not in _TORCHVISION:
        raise ValueError(f"data.name must be one of {', '.join(_TORCHVISION)}, got {name!r}")
    source = _TORCHVISION[name]
    folder = Path(os.path.abspath(Path(root).expanduser()))
    train, test = _read(name, source, folder, download)
    return _prepared(name, *_arrays(train), *_arrays(test), source.num_classes)


def custom(path: str, arguments: Mapping[str, Any]) -> DataSet:
    """The data set that a user's own function returns, taken as it is: not normalised again.

    The function returns a `DataSet`, or ((train_inputs, train_targets), (test_inputs, test_targets)) of
    tensors or arrays: floating-point inputs (N, ...), which become float32, and targets. Integer targets (N,)
    are classes, as many as the largest target plus one; floating-point targets, (N,) or (N, K), which become
    float32, are numbers to predict, in their own unit. The name is `path`.

    Args:
        path: the function, as "package.module:attribute".
        arguments: what it is called with, by name.

    Raises:
        ValueError: If there is no such function, it does not take these arguments, or what it returns is not
            as said above (`validate` has the list).
    """
    returned = call_attribute(path, "data.path", arguments)
    if isinstance(returned, DataSet):
        return _of_two_classes(validate(returned))
    try:
        (train_inputs, train_targets), (test_inputs, test_targets) = returned
    except (TypeError, ValueError):
        raise ValueError(
            f"data.path {path!r} must return a DataSet or "
            f"((train_inputs, train_targets), (test_inputs, test_targets)), got {type(returned).__name__}"
        ) from None
    train = Examples(_inputs(f"{path}: train", train_inputs), _targets(f"{path}: train", train_targets))
    test = Examples(_inputs(f"{path}: test", test_inputs), _targets(f"{path}: test", test_targets))
    return _of_two_classes(validate(DataSet(path, train, test, _task(path, train.targets, test.targets))))


def _of_two_classes(data: DataSet) -> DataSet:
    """The data as given, unless they are of one class: whatever is answered is right then, at no loss."""
    if isinstance(data.task, Classification) and data.task.num_classes < 2:
        raise ValueError(f"{data.name}: there must be at least two classes, got {data.task.num_classes}")
    return data


def _task(path: str, train: Tensor, test: Tensor) -> Task:
    """What targets of both splits ask for: numbers where they are floating-point, else classes."""
    if train.dtype != test.dtype:
        raise ValueError(
            f"{path}: targets of both splits must be integers or floating-point, got {train.dtype} and "
            f"{test.dtype}"
        )
    if train.is_floating_point():
        return Regression(train.shape[1] if train.ndim == 2 else 1)
    targets = torch.cat([train.flatten(), test.flatten()])
    lowest, highest = (int(targets.min()), int(targets.max())) if targets.numel() else (0, 0)
    if lowest < 0:
        raise ValueError(
            f"{path}: targets must be classes counted from 0, got {lowest} as the smallest and {highest} as "
            "the largest"
        )
    return Classification(1 + highest)


def _prepared(
    name: str,
    train_images: np.ndarray,
    train_targets: np.ndarray,
    test_images: np.ndarray,
    test_targets: np.ndarray,
    num_classes: int,
) -> DataSet:
    """Images (N, C, H, W), each channel brought to mean 0 and standard deviation 1 over the training split.

    Scaling to [0, 1] first would cancel: raw values are taken. A channel of one value is only centred.
    """
    count = max(1, train_images.size // train_images.shape[1])
    # Sums over 8-bit pixels are exact in float64, in any order: the same digest for any number of threads.
    mean = train_images.sum(axis=(0, 2, 3), dtype=np.float64) / count
    squares = np.einsum("nchw,nchw->c", train_images, train_images, dtype=np.float64) / count
    std = np.sqrt(np.maximum(squares - mean**2, 0.0))
    std[std == 0] = 1.0

    def normalised(images: np.ndarray) -> Tensor:
        values = torch.from_numpy(images).to(torch.float32, copy=True)
        return values.sub_(_per_channel(mean)).div_(_per_channel(std))

    train = Examples(normalised(train_images), torch.from_numpy(train_targets.astype(np.int64)))
    test = Examples(normalised(test_images), torch.from_numpy(test_targets.astype(np.int64)))
    return validate(DataSet(name, train, test, Classification(num_classes)))


def _per_channel(statistic: np.ndarray) -> Tensor:
    return torch.from_numpy(statistic).to(torch.float32)[:, None, None]


def _read(name: str, source: _Source, folder: Path, download: bool) -> tuple[Any, Any]:
    """The data sets, as torchvision makes them, of the training and the test split."""
    from torchvision import datasets

    dataset = getattr(datasets, source.class_name)

    def both(**fetch: bool) -> tuple[Any, Any]:
        if name == "svhn":
            return dataset(folder, split="train", **fetch), dataset(folder, split="test", **fetch)
        return dataset(folder, train=True, **fetch), dataset(folder, train=False, **fetch)

    try:
        return both()
    except _READING_FAILED as error:
        if not download:
            raise _not_found(name, source, folder, "set data.download=true, or ") from error
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f".{name}.lock"):  # the jobs of a sweep may all come here at once
            return both(download=True)
    except (*_READING_FAILED, http.client.HTTPException) as error:
        reason = shorten(str(error) or type(error).__name__, width=200, placeholder=" …")
        raise _not_found(name, source, folder, f"downloading did not help ({reason}); ") from error


def _not_found(name: str, source: _Source, folder: Path, remedy: str) -> DataNotFoundError:
    present = any(folder.glob(source.pattern))
    state, place = ("are incomplete or damaged", "replace") if present else ("are not there", "provide")
    return DataNotFoundError(
        f"data set {name!r}: the files {folder / source.pattern} "
        f"{state}; {remedy}{place} them, or set data.root to a folder with {source.pattern}"
    )


def _arrays(dataset: Any) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (N, C, H, W), 8-bit, and labels (N,) of one of torchvision's data sets."""
    images = np.asarray(dataset.data)
    if images.ndim == 3:  # the MNIST family: (N, H, W)
        images = images[:, None]
    elif type(dataset).__name__ != "SVHN":  # CIFAR: (N, H, W, C); SVHN has its channels second already
        images = images.transpose(0, 3, 1, 2)
    return np.ascontiguousarray(images), np.asarray(
        dataset.labels if hasattr(dataset, "labels") else dataset.targets
    )


def _inputs(name: str, value: Any) -> Tensor:
    tensor = _tensor(f"{name} inputs", value)
    if not tensor.is_floating_point():
        raise ValueError(f"{name} inputs must be floating-point, got {tensor.dtype}")
    return tensor.to(torch.float32)


def _targets(name: str, value: Any) -> Tensor:
    tensor = _tensor(f"{name} targets", value)
    if tensor.is_complex() or tensor.dtype == torch.bool:
        raise ValueError(f"{name} targets must be integers or floating-point, got {tensor.dtype}")
    return tensor.to(torch.float32 if tensor.is_floating_point() else torch.int64)


def _tensor(name: str, value: Any) -> Tensor:
    if isinstance(value, Tensor):
        if value.is_meta or value.layout != torch.strided:
            kind = "the device meta" if value.is_meta else str(value.layout)
            raise ValueError(f"{name} must be dense and hold data, got a tensor of {kind}")
        return value.detach().cpu().contiguous()
    try:
        return torch.from_numpy(np.array(value))
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{name} must be a tensor or an array of numbers: {shorten(str(error), 120)}"
        ) from None
