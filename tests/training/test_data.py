"""Data sets against facts of the originals, and against files of the original formats written here."""

import gzip
import hashlib
import io
import itertools
import os
import pickle
import struct
import sys
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import torch
from PIL import Image
from sklearn.datasets import load_digits
from torchvision import datasets

from study.training import sources
from study.training.custom import load_attribute, source_digest
from study.training.data import Augmentation, DataSet, Examples, limit, validate
from study.training.tasks import Classification

MNIST_ROOT = os.environ.get("STUDY_MNIST_ROOT")
FAMILY = {"mnist": "MNIST", "fashion_mnist": "FashionMNIST", "kmnist": "KMNIST"}


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    def refuse(*_args, **_kwargs):
        raise urllib.error.URLError("no network in tests")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)


def examples(count=6, seed=0, classes=3):
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(count, 2, 3, 5, generator=generator)
    return Examples(inputs, torch.randint(classes, (count,), generator=generator))


def small():
    return DataSet("small", examples(6, 0), examples(4, 1), Classification(3))


def normalised(images, reference):
    """(N, C, H, W) images scaled to [0, 1], then by mean and deviation of `reference`, in float64."""
    scaled, by = images / 255, reference / 255
    mean, std = by.mean((0, 2, 3)), by.std((0, 2, 3))
    return (scaled - mean[:, None, None]) / std[:, None, None]


def single_line(error):
    return "\n" not in str(error.value)


# --- subsets and digests -------------------------------------------------------------------------


def test_take_is_a_simple_random_sample():
    six = Examples(torch.arange(6.0)[:, None], torch.arange(6))
    draws = 4000
    drawn = Counter(tuple(six.take(3, seed).targets.tolist()) for seed in range(draws))
    assert set(drawn) == set(itertools.combinations(range(6), 3))  # all 20 subsets, each in order
    chi_squared = sum((count - draws / 20) ** 2 / (draws / 20) for count in drawn.values())
    assert chi_squared < 43.8  # 99.9% of chi-squared with 19 degrees of freedom
    means = np.array([np.mean(subset) for subset, count in drawn.items() for _ in range(count)])
    # The text-book variance of a sample mean without replacement: 35/12 / 3 · (6 − 3) / (6 − 1).
    assert means.var() == pytest.approx(35 / 12 / 3 * 3 / 5, rel=0.1)


def test_take_keeps_pairs_order_and_nesting_and_leaves_the_global_generator():
    many = Examples(torch.arange(100.0)[:, None], torch.arange(100))
    before = torch.get_rng_state()
    few, more = many.take(10, seed=7), many.take(30, seed=7)
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(few.inputs[:, 0].long(), few.targets)
    assert few.targets.tolist() == sorted(few.targets.tolist())
    assert set(few.targets.tolist()) < set(more.targets.tolist())
    assert few.targets.tolist() != many.take(10, seed=8).targets.tolist()
    assert torch.equal(many.take(100, seed=7).targets, many.targets)


@pytest.mark.parametrize("count", [0, -1, 7])
def test_take_refuses_counts_outside_the_split(count):
    with pytest.raises(ValueError, match=rf"^count must be from 1 to 6, .*, got {count}$"):
        examples(6).take(count, seed=0)


def test_digest_is_sha256_over_type_shape_and_bytes():
    data = small()
    sha = hashlib.sha256()
    for tensor, kind in (
        (data.train.inputs, "<f4"),
        (data.train.targets, "<i8"),
        (data.test.inputs, "<f4"),
        (data.test.targets, "<i8"),
    ):
        sha.update(f"{kind} {tuple(tensor.shape)}".encode() + tensor.numpy().tobytes())
    assert data.digest == sha.hexdigest()


def test_digest_sees_every_tensor_and_their_shapes():
    data = small()
    other_label, other_pixel = data.test.targets.clone(), data.train.inputs.clone()
    other_label[-1] = (other_label[-1] + 1) % 3
    other_pixel[0, 0, 0, 0] += 1e-6
    transposed_shape = Examples(data.train.inputs.reshape(6, 2, 5, 3), data.train.targets)
    variants = [
        data,
        DataSet("small", data.train, Examples(data.test.inputs, other_label), Classification(3)),
        DataSet("small", Examples(other_pixel, data.train.targets), data.test, Classification(3)),
        DataSet("small", data.test, data.train, Classification(3)),
        DataSet("small", transposed_shape, data.test, Classification(3)),
    ]
    assert len({variant.digest for variant in variants}) == len(variants)
    assert small().digest == data.digest


def test_limit_cuts_each_split_and_digests_what_is_left():
    data = small()
    cut = limit(data, train_examples=4, test_examples=None, seed=3)
    assert (len(cut.train), len(cut.test), cut.task.outputs, cut.name) == (4, 4, 3, "small")
    assert torch.equal(cut.train.inputs, data.train.take(4, 3).inputs)
    assert (
        cut.digest == DataSet("", data.train.take(4, 3), data.test, Classification(3)).digest != data.digest
    )
    for seed in range(5):
        assert torch.equal(limit(data, None, 2, seed).test.inputs, data.test.take(2, seed).inputs)
    assert limit(data, None, None).digest == data.digest


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        (7, None, "data.train_examples must be from 1 to 6, the size of that split of small, got 7"),
        (None, 5, "data.test_examples must be from 1 to 4, the size of that split of small, got 5"),
        (0, None, "data.train_examples must be from 1 to 6, the size of that split of small, got 0"),
    ],
)
def test_limit_names_key_size_and_value(train, test, message):
    with pytest.raises(ValueError, match="data") as error:
        limit(small(), train, test)
    assert str(error.value) == message


# --- what every data set must fulfil -------------------------------------------------------------


def _with(inputs=None, targets=None):
    good = examples(4, 1)
    bad = Examples(good.inputs if inputs is None else inputs, good.targets if targets is None else targets)
    return DataSet("mine", examples(6, 0), bad, Classification(3))


NOT_FINITE = torch.zeros(4, 2, 3, 5)
NOT_FINITE[2, 1, 0, 4] = float("-inf")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (_with(targets=torch.tensor([0, 1, 3, 0])), "test targets must be from 0 to 2, got 3 in example 2"),
        (_with(targets=torch.tensor([0, -1, 3, 0])), "test targets must be from 0 to 2, got -1 in example 1"),
        (_with(inputs=NOT_FINITE), "test inputs must be finite, got -inf in example 2"),
        (_with(torch.zeros(0, 2, 3, 5), torch.zeros(0).long()), "test inputs must not be empty"),
        (_with(inputs=torch.zeros(3, 2, 3, 5)), "test inputs and targets must be as many, got 3 and 4"),
        (_with(inputs=torch.zeros(4, 2, 5, 3)), "one input shape, got (2, 3, 5) and (2, 5, 3)"),
        (_with(inputs=torch.zeros(4, 2, 3, 5).double()), "float32 of shape (N, ...), got torch.float64"),
        (_with(inputs=torch.zeros(4)), "float32 of shape (N, ...), got torch.float32 (4,)"),
        (_with(targets=torch.zeros(4)), "int64 of shape (N,), got torch.float32 (4,)"),
        (_with(targets=torch.zeros(4, 1).long()), "int64 of shape (N,), got torch.int64 (4, 1)"),
    ],
)
def test_validate_names_what_and_the_value(data, message):
    with pytest.raises(ValueError, match="mine: ") as error:
        validate(data)
    assert message in str(error.value)
    assert single_line(error)


def test_validate_counts_examples_through_a_long_split():
    inputs = torch.zeros(5000, 3)
    inputs[[4321, 4900], [1, 0]] = float("nan")
    long = Examples(inputs, torch.zeros(5000).long())
    with pytest.raises(ValueError, match=r"^long: train inputs must be finite, got nan in example 4321$"):
        validate(DataSet("long", long, long, Classification(1)))


# --- digits --------------------------------------------------------------------------------------


def test_digits_are_those_of_the_uci_repository_split_by_class():
    data = sources.digits()
    assert (len(data.train), len(data.test)) == (1437, 360)
    assert (data.name, data.task.outputs, data.input_shape) == ("digits", 10, (1, 28, 28))
    # Class counts as published with the data (optdigits.names, test part).
    counts = torch.tensor([178, 182, 177, 183, 181, 182, 181, 179, 174, 180])
    in_test = torch.bincount(data.test.targets, minlength=10)
    assert torch.equal(torch.bincount(data.train.targets, minlength=10) + in_test, counts)
    assert ((in_test - 0.2 * counts).abs() < 1).all()


def test_digits_are_the_original_images_with_their_labels():
    data = sources.digits(image_size=8)
    original = load_digits()
    images = torch.cat([data.train.inputs, data.test.inputs]).double()
    low, high = images.min(), images.max()  # black is 0, the strongest stroke 16
    pixels = ((images - low) / (high - low) * 16).round().to(torch.uint8).reshape(-1, 64)
    labels = torch.cat([data.train.targets, data.test.targets])
    found = Counter((row.numpy().tobytes(), int(label)) for row, label in zip(pixels, labels, strict=True))
    rows = original.images.astype(np.uint8).reshape(-1, 64)
    assert found == Counter(
        (row.tobytes(), int(label)) for row, label in zip(rows, original.target, strict=True)
    )
    md5 = hashlib.md5(original.images.astype(np.uint8).tobytes()).hexdigest()
    assert md5 == "fa70cba135d4cdd4cde65da70dbffde2"


@pytest.mark.parametrize("size", [28, 11, 5])
def test_digits_are_resized_as_pillow_does_and_normalised_by_the_training_split(size):
    data = sources.digits(image_size=size)
    train = data.train.inputs.double()
    assert train.mean() == pytest.approx(0, abs=1e-6)
    assert train.std(correction=0) == pytest.approx(1, abs=1e-6)
    originals = [Image.fromarray(image.astype(np.float32)) for image in load_digits().images]
    resized = np.stack([
        np.asarray(image.resize((size, size), Image.Resampling.BILINEAR)) for image in originals
    ])
    ours = torch.cat([data.train.inputs, data.test.inputs]).flatten(1).double()
    # One affine map, fixed by the extremes, takes Pillow's images onto ours; sorting pairs them.
    low, high = ours.min().item(), ours.max().item()
    scaled = (resized - resized.min()) / (resized.max() - resized.min()) * (high - low) + low
    theirs = torch.from_numpy(scaled).flatten(1).double()
    weights = torch.randn(size * size, generator=generator(), dtype=torch.float64)
    pairs = zip((ours @ weights).argsort(), (theirs @ weights).argsort(), strict=True)
    assert max((ours[one] - theirs[other]).abs().max().item() for one, other in pairs) < 1e-4


def test_digits_do_not_depend_on_threads_or_on_the_global_generator():
    threads = torch.get_num_threads()
    digests = []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            torch.manual_seed(count)
            np.random.seed(count)  # noqa: NPY002 - the global generator is what is disturbed
            digests.append(sources.digits().digest)
    finally:
        torch.set_num_threads(threads)
    assert digests[0] == digests[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"image_size": 0}, "image_size must be at least 1 pixel, got 0"),
        ({"test_fraction": 0.0}, "test_fraction must leave each split at least 10 of 1797 examples, got 0.0"),
        ({"test_fraction": 0.001}, "got 0.001"),
        ({"test_fraction": 0.999}, "got 0.999"),
        ({"test_fraction": 1.2}, "got 1.2"),
    ],
)
def test_digits_refuse_impossible_arguments(arguments, message):
    with pytest.raises(ValueError, match="must") as error:
        sources.digits(**arguments)
    assert message in str(error.value)


@pytest.mark.parametrize("fraction", [10 / 1797, 1787 / 1797])
def test_digits_accept_the_smallest_splits(fraction):
    data = sources.digits(image_size=8, test_fraction=fraction)
    assert len(data.train) + len(data.test) == 1797
    assert min(len(data.train), len(data.test)) == 10


# --- files of the original formats ---------------------------------------------------------------


def _idx(array):
    """An IDX file: magic number 8 (unsigned byte) and rank, big-endian sides, bytes in C order."""
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


def _mnist_files(train_count=12, test_count=5, height=5, width=7):
    rng = np.random.default_rng(0)
    return {
        "train-images-idx3-ubyte": rng.integers(0, 256, (train_count, height, width), np.uint8),
        "train-labels-idx1-ubyte": np.arange(train_count, dtype=np.uint8) % 10,
        "t10k-images-idx3-ubyte": rng.integers(0, 128, (test_count, height, width), np.uint8),
        "t10k-labels-idx1-ubyte": np.array([9, 0, 3, 3, 1][:test_count], np.uint8),
    }


def _write_mnist(root, folder="MNIST", **arrays):
    raw = root / folder / "raw"
    raw.mkdir(parents=True)
    files = _mnist_files() | arrays
    for name, array in files.items():
        (raw / name).write_bytes(_idx(array))
    return files


@pytest.mark.parametrize("name", sorted(FAMILY))
def test_mnist_family_reads_non_square_idx_files(tmp_path, name):
    files = _write_mnist(tmp_path, FAMILY[name])
    data = sources.from_torchvision(name, tmp_path, download=False)
    assert (data.name, data.task.outputs, data.input_shape) == (name, 10, (1, 5, 7))
    train, test = files["train-images-idx3-ubyte"][:, None], files["t10k-images-idx3-ubyte"][:, None]
    np.testing.assert_allclose(data.train.inputs, normalised(train, train), atol=2e-6)
    np.testing.assert_allclose(data.test.inputs, normalised(test, train), atol=2e-6)
    assert data.train.targets.tolist() == [*range(10), 0, 1]
    assert data.test.targets.tolist() == [9, 0, 3, 3, 1]


def test_a_channel_of_one_value_is_only_centred(tmp_path):
    grey = np.full((4, 5, 7), 200, np.uint8)
    _write_mnist(
        tmp_path, **{"train-images-idx3-ubyte": grey, "train-labels-idx1-ubyte": np.zeros(4, np.uint8)}
    )
    data = sources.from_torchvision("mnist", tmp_path, download=False)
    assert torch.equal(data.train.inputs, torch.zeros(4, 1, 5, 7))


def test_labels_and_lengths_of_files_are_checked(tmp_path):
    wrong = np.array([9, 0, 12, 3, 1], np.uint8)
    _write_mnist(tmp_path / "labels", **{"t10k-labels-idx1-ubyte": wrong})
    with pytest.raises(ValueError, match=r"^mnist: test targets must be from 0 to 9, got 12 in example 2$"):
        sources.from_torchvision("mnist", tmp_path / "labels", download=False)
    _write_mnist(tmp_path / "lengths", **{"t10k-labels-idx1-ubyte": wrong[:2]})
    with pytest.raises(ValueError, match=r"^mnist: test inputs and targets must be as many, got 5 and 2$"):
        sources.from_torchvision("mnist", tmp_path / "lengths", download=False)
    nothing = {"t10k-images-idx3-ubyte": np.zeros((0, 5, 7), np.uint8), "t10k-labels-idx1-ubyte": wrong[:0]}
    _write_mnist(tmp_path / "empty", **nothing)
    with pytest.raises((ValueError, sources.DataNotFoundError), match="mnist"):
        sources.from_torchvision("mnist", tmp_path / "empty", download=False)


def _cifar_batch(rng, count, key, labels):
    """Rows of 3,072 bytes: 1,024 red, 1,024 green, 1,024 blue, each row by row."""
    return {"data": rng.integers(0, 256, (count, 3072), dtype=np.uint8), key: labels}


def _write_cifar(root, monkeypatch, batches, meta, cls):
    """Write the batches, and tell torchvision their MD5 sums, as it knows those of the originals."""
    folder = root / cls.base_folder
    folder.mkdir(parents=True)
    sums = {}
    for name, content in {**batches, cls.meta["filename"]: meta}.items():
        (folder / name).write_bytes(pickle.dumps(content))
        sums[name] = hashlib.md5((folder / name).read_bytes()).hexdigest()
    named = [[name, sums[name]] for name in batches]
    monkeypatch.setattr(cls, "train_list", named[:-1])
    monkeypatch.setattr(cls, "test_list", named[-1:])
    monkeypatch.setattr(cls, "meta", {**cls.meta, "md5": sums[cls.meta["filename"]]})


def test_cifar10_reads_its_batches_in_order(tmp_path, monkeypatch):
    rng = np.random.default_rng(1)
    batches = {
        "data_batch_1": _cifar_batch(rng, 3, "labels", [6, 9, 9]),
        "data_batch_2": _cifar_batch(rng, 2, "labels", [1, 0]),
        "test_batch": _cifar_batch(rng, 4, "labels", [3, 8, 8, 0]),
    }
    meta = {"label_names": [str(number) for number in range(10)]}
    _write_cifar(tmp_path, monkeypatch, batches, meta, datasets.CIFAR10)
    data = sources.from_torchvision("cifar10", tmp_path, download=False)
    assert (data.task.outputs, data.input_shape) == (10, (3, 32, 32))
    train = np.concatenate([batches[f"data_batch_{number}"]["data"] for number in (1, 2)])
    train, test = (rows.reshape(-1, 3, 32, 32) for rows in (train, batches["test_batch"]["data"]))
    np.testing.assert_allclose(data.train.inputs, normalised(train, train), atol=2e-6)
    np.testing.assert_allclose(data.test.inputs, normalised(test, train), atol=2e-6)
    assert data.train.targets.tolist() == [6, 9, 9, 1, 0]
    assert data.test.targets.tolist() == [3, 8, 8, 0]
    assert data.train.inputs.is_contiguous()


def test_cifar100_reads_the_fine_labels(tmp_path, monkeypatch):
    rng = np.random.default_rng(2)
    batches = {
        "train": _cifar_batch(rng, 3, "fine_labels", [19, 99, 0]) | {"coarse_labels": [11, 15, 4]},
        "test": _cifar_batch(rng, 2, "fine_labels", [49, 33]) | {"coarse_labels": [10, 10]},
    }
    meta = {"fine_label_names": [str(number) for number in range(100)]}
    _write_cifar(tmp_path, monkeypatch, batches, meta, datasets.CIFAR100)
    data = sources.from_torchvision("cifar100", tmp_path, download=False)
    assert (data.task.outputs, data.input_shape) == (100, (3, 32, 32))
    assert data.train.targets.tolist() == [19, 99, 0]
    assert data.test.targets.tolist() == [49, 33]


def test_a_cifar_pickle_of_another_md5_is_never_opened(tmp_path, monkeypatch):
    class Bomb:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "executed",))

    batches = {name: Bomb() for name in ("data_batch_1", "test_batch")}
    _write_cifar(tmp_path, monkeypatch, batches, {}, datasets.CIFAR10)
    monkeypatch.undo()  # the sums of the originals again
    with pytest.raises(sources.DataNotFoundError, match="incomplete or damaged"):
        sources.from_torchvision("cifar10", tmp_path, download=False)
    assert not (tmp_path / "executed").exists()


def test_svhn_reads_mat_files_and_calls_class_ten_zero(tmp_path, monkeypatch):
    rng = np.random.default_rng(3)
    images = {
        "train": rng.integers(0, 256, (6, 5, 3, 4), np.uint8),
        "test": rng.integers(0, 256, (6, 5, 3, 2), np.uint8),
    }
    labels = {"train": [1, 10, 9, 2], "test": [10, 5]}
    listed = {}
    for split, array in images.items():
        file = tmp_path / f"{split}_32x32.mat"
        scipy.io.savemat(file, {"X": array, "y": np.array(labels[split], np.uint8)[:, None]})
        listed[split] = ["", file.name, hashlib.md5(file.read_bytes()).hexdigest()]
    monkeypatch.setattr(datasets.SVHN, "split_list", listed)
    data = sources.from_torchvision("svhn", tmp_path, download=False)
    assert (data.task.outputs, data.input_shape) == (10, (3, 6, 5))
    train, test = (images[split].transpose(3, 2, 0, 1) for split in ("train", "test"))
    np.testing.assert_allclose(data.train.inputs, normalised(train, train), atol=2e-6)
    np.testing.assert_allclose(data.test.inputs, normalised(test, train), atol=2e-6)
    assert data.train.targets.tolist() == [1, 0, 9, 2]
    assert data.test.targets.tolist() == [0, 5]


# --- files that are not there --------------------------------------------------------------------


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "kmnist", "cifar10", "cifar100", "svhn"])
def test_absent_files_are_reported_in_one_line(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(sources.DataNotFoundError) as error:
        sources.from_torchvision(name, "some/root", download=False)
    message = str(error.value)
    assert isinstance(error.value, FileNotFoundError)
    assert single_line(error)
    for part in (repr(name), str(tmp_path / "some/root"), "not there", "data.download=true", "data.root"):
        assert part in message
    assert not (tmp_path / "some").exists()


@pytest.mark.parametrize("name", ["mnist", "cifar10", "svhn"])
def test_a_failed_download_is_reported_in_one_line(tmp_path, name):
    with pytest.raises(sources.DataNotFoundError, match="no network in tests") as error:
        sources.from_torchvision(name, tmp_path / "root", download=True)
    message = str(error.value)
    assert single_line(error)
    assert "downloading did not help" in message
    assert str(tmp_path / "root") in message
    assert "data.download" not in message
    assert "%" not in message


def test_a_root_that_cannot_be_made_is_reported_in_one_line(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(sources.DataNotFoundError) as error:
        sources.from_torchvision("mnist", tmp_path / "file" / "root", download=True)
    assert single_line(error)


def test_truncated_files_are_called_damaged(tmp_path):
    _write_mnist(tmp_path)
    file = tmp_path / "MNIST/raw/train-images-idx3-ubyte"
    file.write_bytes(file.read_bytes()[:-9])
    for download in (False, True):
        with pytest.raises(sources.DataNotFoundError, match="incomplete or damaged") as error:
            sources.from_torchvision("mnist", tmp_path, download=download)
        assert single_line(error)


def test_present_files_need_no_download_and_nothing_is_written(tmp_path):
    _write_mnist(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    assert len(sources.from_torchvision("mnist", tmp_path, download=True).train) == 12
    assert sorted(tmp_path.rglob("*")) == before


def test_archives_in_place_are_unpacked_without_network(tmp_path, monkeypatch):
    raw = tmp_path / "MNIST/raw"
    raw.mkdir(parents=True)
    resources = []
    for name, array in _mnist_files().items():
        archive = raw / f"{name}.gz"
        archive.write_bytes(gzip.compress(_idx(array)))
        resources.append((archive.name, hashlib.md5(archive.read_bytes()).hexdigest()))
    monkeypatch.setattr(datasets.MNIST, "resources", resources)
    with pytest.raises(sources.DataNotFoundError):
        sources.from_torchvision("mnist", tmp_path, download=False)
    assert len(sources.from_torchvision("mnist", tmp_path, download=True).test) == 5


class Served(io.BytesIO):
    """What urlopen gives: a readable with its length and address."""

    def __init__(self, url, content):
        super().__init__(content)
        self.url, self.length = url, len(content)


def test_download_fetches_what_is_missing_and_says_nothing_on_standard_output(tmp_path, monkeypatch, capsys):
    archives = {f"{name}.gz": gzip.compress(_idx(array)) for name, array in _mnist_files().items()}
    sums = [(name, hashlib.md5(content).hexdigest()) for name, content in archives.items()]
    monkeypatch.setattr(datasets.MNIST, "resources", sums)
    served = []

    def urlopen(request):
        served.append(request.full_url)
        return Served(request.full_url, archives[request.full_url.rpartition("/")[2]])

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    data = sources.from_torchvision("mnist", tmp_path / "new" / "root", download=True)
    assert data.test.targets.tolist() == [9, 0, 3, 3, 1]
    assert {url.rpartition("/")[2] for url in served} == set(archives)
    assert capsys.readouterr().out == ""
    served.clear()
    assert sources.from_torchvision("mnist", tmp_path / "new" / "root", download=False).digest == data.digest
    assert not served


def test_an_unknown_name_lists_the_known_ones(tmp_path):
    with pytest.raises(ValueError, match=r"^data.name must be one of mnist, .*, svhn, got 'imagenet'$"):
        sources.from_torchvision("imagenet", tmp_path, download=False)


@pytest.mark.skipif(MNIST_ROOT is None, reason="STUDY_MNIST_ROOT does not say where the MNIST files are")
def test_the_real_mnist():
    data = sources.from_torchvision("mnist", str(MNIST_ROOT), download=False)
    assert (len(data.train), len(data.test), data.input_shape) == (60_000, 10_000, (1, 28, 28))
    assert data.train.targets[:5].tolist() == [5, 0, 4, 1, 9]
    assert data.test.targets[:5].tolist() == [7, 2, 1, 0, 4]
    # Black and white bear the statistics: 0 becomes −mean / std, and 1 becomes (1 − mean) / std.
    low, high = data.train.inputs.min().item(), data.train.inputs.max().item()
    assert round(-low / (high - low), 4) == 0.1307
    assert round(1 / (high - low), 4) == 0.3081
    assert data.test.inputs.min().item() == low
    assert data.train.inputs.double().mean() == pytest.approx(0, abs=1e-6)


# --- a user's own data ---------------------------------------------------------------------------


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Writes a module of a new name onto Python's path and gives that name."""
    monkeypatch.syspath_prepend(tmp_path)
    numbers = itertools.count()
    written = []

    def write(source, name=None):
        name = name or f"users_code_{os.getpid()}_{id(numbers)}_{next(numbers)}"
        (tmp_path / f"{name}.py").write_text(source)
        written.append(name)
        return name

    yield write
    for name in written:
        sys.modules.pop(name, None)


OWN = """
import numpy as np, torch
from study.training.data import DataSet, Examples
from study.training.tasks import Classification

def pairs(size=4, offset=0.0):
    inputs = np.arange(size * 6, dtype=np.float64).reshape(size, 1, 2, 3) + offset
    return (inputs, np.arange(size) % 3), (torch.ones(2, 1, 2, 3), torch.tensor([4, 0], dtype=torch.int32))

def data_set():
    (x, y), (u, v) = pairs()
    train, test = Examples(torch.tensor(x).float(), torch.tensor(y)), Examples(u, v.long())
    return DataSet("own", train, test, Classification(7))

def bad(train_x=None, train_y=None):
    (x, y), test = pairs()
    return (x if train_x is None else train_x, y if train_y is None else train_y), test

def nothing():
    return None

NUMBER = 3
class Maker:
    @classmethod
    def make(cls):
        return pairs()
"""


def test_custom_pairs_are_taken_as_they_are(module):
    name = module(OWN)
    data = sources.custom(f"{name}:pairs", {"size": 5, "offset": 0.25})
    assert (data.name, data.task.outputs, data.input_shape) == (f"{name}:pairs", 5, (1, 2, 3))
    assert torch.equal(data.train.inputs.flatten(), torch.arange(30) + 0.25)
    assert data.train.targets.tolist() == [0, 1, 2, 0, 1]
    assert data.test.targets.tolist() == [4, 0]
    assert data.test.targets.dtype == torch.int64
    assert sources.custom(f"{name}:Maker.make", {}).task.outputs == 5


def test_a_custom_data_set_keeps_its_name_and_classes(module):
    data = sources.custom(f"{module(OWN)}:data_set", {})
    assert (data.name, data.task.outputs) == ("own", 7)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"train_x": np.zeros((4, 1, 2, 3), np.uint8)},
            "train inputs must be floating-point, got torch.uint8",
        ),
        ({"train_x": np.full((4, 1, 2, 3), np.nan)}, "train inputs must be finite, got nan in example 0"),
        ({"train_x": np.full((4, 1, 2, 3), 1e300)}, "train inputs must be finite, got inf in example 0"),
        ({"train_x": np.zeros((4, 1, 3, 2))}, "one input shape, got (1, 3, 2) and (1, 2, 3)"),
        ({"train_x": np.zeros((3, 1, 2, 3))}, "must be as many, got 3 and 4"),
        (
            {"train_x": np.zeros((0, 1, 2, 3)), "train_y": np.zeros(0, int)},
            "must not be empty, got shape (0, 1, 2, 3)",
        ),
        ({"train_x": "text"}, "train inputs must be a tensor or an array of numbers"),
        ({"train_x": [[1.0], [1.0, 2.0]]}, "train inputs must be a tensor or an array of numbers"),
        (
            {"train_y": np.array([0, -1, 2, 0])},
            "targets must be classes counted from 0, got -1 as the smallest and 4 as the largest",
        ),
        (
            {"train_y": np.array([0.0, 1.0, 2.0, 0.0])},
            "targets of both splits must be integers or floating-point, got torch.float32 and torch.int64",
        ),
        (
            {"train_y": np.array([True, False, True, True])},
            "train targets must be integers or floating-point, got torch.bool",
        ),
        ({"train_y": np.array(3)}, "train targets must be int64 of shape (N,), got torch.int64 ()"),
        ({"sise": 3}, "arguments ['sise'] do not fit: got an unexpected keyword argument 'sise'"),
    ],
)
def test_custom_data_that_do_not_fit_are_refused_in_one_line(module, arguments, message):
    with pytest.raises(ValueError, match="users_code") as error:
        sources.custom(f"{module(OWN)}:bad", arguments)
    assert message in str(error.value)
    assert single_line(error)


def test_a_custom_function_must_return_data(module):
    with pytest.raises(ValueError, match=r"must return a DataSet or .*, got NoneType$"):
        sources.custom(f"{module(OWN)}:nothing", {})


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("no_such_package.part:thing", "module 'no_such_package' not found"),
        ("json.no_such_part:thing", "module 'json.no_such_part' not found"),
        ("json:no_such_thing", "attribute 'no_such_thing' not found"),
        ("json:JSONDecoder.nothing", "attribute 'nothing' not found"),
        ("math:pi", "must be callable, it is float"),
        ("json", "must be 'package.module:attribute'"),
        ("json:", "must be 'package.module:attribute'"),
        ("folder/file.py:thing", "must be 'package.module:attribute'"),
        (".relative:thing", "must be 'package.module:attribute'"),
    ],
)
def test_paths_that_lead_nowhere_are_refused_in_one_line(path, message):
    with pytest.raises(ValueError, match=r"^data\.path ") as error:
        load_attribute(path, "data.path")
    assert message in str(error.value)
    assert repr(path) in str(error.value)
    assert single_line(error)


def test_errors_of_the_users_own_module_are_told_apart(module):
    needy = module("import no_such_dependency\ndef make(): pass\n")
    with pytest.raises(ValueError, match=f"module '{needy}' needs 'no_such_dependency', which is not found"):
        load_attribute(f"{needy}:make", "model.path")
    broken = module("1 / 0")
    with pytest.raises(
        ValueError, match=rf"^model\.path '{broken}:make' raised ZeroDiv.*{broken}\.py:1\)$"
    ) as error:
        load_attribute(f"{broken}:make", "model.path")
    assert isinstance(error.value.__cause__, ZeroDivisionError)


def test_source_digest_is_that_of_the_defining_file(module, tmp_path):
    home = module(OWN)
    door = module(f"import functools\nfrom {home} import pairs\nfive = functools.partial(pairs, size=5)\n")
    expected = hashlib.sha256((tmp_path / f"{home}.py").read_bytes()).hexdigest()
    assert source_digest(f"{home}:pairs", "data.path") == expected
    assert source_digest(f"{home}:Maker.make", "data.path") == expected
    assert source_digest(f"{door}:pairs", "data.path") == expected
    assert (
        source_digest(f"{door}:five", "data.path")
        == hashlib.sha256((tmp_path / f"{door}.py").read_bytes()).hexdigest()
    )
    with pytest.raises(ValueError, match="module 'sys' has no source file"):
        source_digest("sys:exit", "data.path")
    with pytest.raises(ValueError, match="not found"):
        source_digest("no_such_package:thing", "data.path")


# --- augmentation --------------------------------------------------------------------------------


def numbered(count=64, channels=2, height=4, width=6):
    """Images whose every pixel value occurs once."""
    return torch.arange(float(count * channels * height * width)).reshape(count, channels, height, width)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_flip_mirrors_about_half_of_the_images_exactly():
    images = numbered(400)
    flipped = Augmentation(flip=True)(images, generator())
    kept = (flipped == images).flatten(1).all(1)
    mirrored = (flipped == images[..., range(5, -1, -1)]).flatten(1).all(1)
    assert torch.equal(kept, ~mirrored)
    assert 160 < int(mirrored.sum()) < 240  # 200 ± 4 standard deviations


def test_crops_are_windows_of_the_reflected_image():
    images, pad = numbered(), 2
    crops = Augmentation(crop_padding=pad)(images, generator())
    assert crops.shape == images.shape
    bordered = np.pad(images.numpy(), ((0, 0), (0, 0), (pad, pad), (pad, pad)), mode="reflect")
    corners = set()
    for crop, image in zip(crops.numpy(), bordered, strict=True):
        found = [
            (top, left)
            for top, left in itertools.product(range(2 * pad + 1), repeat=2)
            if np.array_equal(crop, image[:, top : top + 4, left : left + 6])
        ]
        assert len(found) == 1
        corners.add(found[0])
    assert {top for top, _ in corners} == {left for _, left in corners} == set(range(5))
    assert len(corners) > 15  # rows and columns are drawn apart: 64 draws from 25 corners


def test_augmentation_draws_from_its_own_generator_alone():
    images = numbered()
    copy, before = images.clone(), torch.get_rng_state()
    both = Augmentation(crop_padding=1, flip=True)
    first, again, other = (both(images, generator(seed)) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(images, copy)
    assert torch.equal(Augmentation()(images, generator()), images)


def test_augmentation_refuses_what_it_cannot_do():
    with pytest.raises(ValueError, match=r"^crop_padding must be at least 0, got -1$"):
        Augmentation(crop_padding=-1)
    with pytest.raises(
        ValueError, match=r"^crop_padding must be smaller than the image, 4 x 6 pixels, got 4$"
    ):
        Augmentation(crop_padding=4)(numbered(2), generator())
    with pytest.raises(ValueError, match=r"needs images of shape \(N, C, H, W\), got \(3, 4\)"):
        Augmentation(flip=True)(torch.zeros(3, 4), generator())
