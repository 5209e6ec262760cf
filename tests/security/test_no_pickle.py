"""Nothing that is read can run code: no module unpickles, and no door to files does it for one."""

import ast
import hashlib
import io
import json
import os
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

import study
from study.analysis.curvature import Curvature
from study.errors import ConfigError
from study.landscape.direction_files import load_direction
from study.landscape.result import Landscape
from study.landscape.store import FoundPoints
from study.landscape.weights import Weights
from study.models.torchvision import TorchvisionModelConfig
from study.record import COPY, MANIFEST, Record
from study.saved import saved_model
from study.source import load_source
from study.training.checkpoints import TrainingState, decode_weights
from study.training.sources import DataNotFoundError, from_torchvision

MODULES = sorted(Path(study.__file__).parent.rglob("*.py"))
FORBIDDEN_MODULES = {
    "pickle",
    "cPickle",
    "_pickle",
    "dill",
    "cloudpickle",
    "marshal",
    "shelve",
    "runpy",
    "code",
}
FORBIDDEN_CALLS = {
    "eval", "exec", "compile", "__import__", "os.system", "os.popen",
    "pickle.load", "pickle.loads", "joblib.load", "pd.read_pickle", "pandas.read_pickle", "yaml.load",
    "yaml.unsafe_load", "yaml.full_load", "torch.hub.load", "instantiate", "hydra.utils.instantiate",
}  # fmt: skip


class Bomb:
    """Once unpickled, it makes a file."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[str, int]]:
        return os.open, (str(self.marker), os.O_CREAT | os.O_WRONLY)


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    return tmp_path / "marker"


@pytest.fixture
def bombs(marker: Path) -> dict[str, bytes]:
    """Files that would make the marker, were anything in them unpickled, by what they look like."""
    plain = pickle.dumps({"data": Bomb(marker), "labels": [0], "weight": Bomb(marker)}, protocol=2)
    zipped, array, object_array = io.BytesIO(), io.BytesIO(), io.BytesIO()
    torch.save({"weight": Bomb(marker)}, zipped)
    old = io.BytesIO()
    torch.save({"weight": Bomb(marker)}, old, _use_new_zipfile_serialization=False)
    objects = np.array([Bomb(marker)], dtype=object)
    np.savez(array, allow_pickle=True, header=objects, status=objects, **{"axis/alpha": objects})
    header = np.array(
        json.dumps({"format": "landscape/1", "axes": ["alpha"], "points": {}, "provenance": {}})
    )
    np.savez(object_array, allow_pickle=True, header=header, status=objects, **{"axis/alpha": objects})
    return {
        "pickle": plain,
        "torch": zipped.getvalue(),
        "old torch": old.getvalue(),
        "npz": array.getvalue(),
        "npz of objects": object_array.getvalue(),
        "after a length": struct.pack("<Q", len(plain)) + plain,
    }


@pytest.fixture(params=["pickle", "torch", "old torch", "npz", "npz of objects", "after a length"])
def bomb(request, bombs) -> bytes:
    return bombs[request.param]


def test_the_bombs_are_live(bombs, marker):
    def explode(content: bytes) -> None:
        os.close(pickle.loads(content)["data"])  # noqa: S301  # to see that it would be bad

    for load in (
        lambda: explode(bombs["pickle"]),
        lambda: torch.load(io.BytesIO(bombs["torch"]), weights_only=False),
        lambda: torch.load(io.BytesIO(bombs["old torch"]), weights_only=False),
        lambda: np.load(io.BytesIO(bombs["npz"]), allow_pickle=True)["header"],
        lambda: np.load(io.BytesIO(bombs["npz of objects"]), allow_pickle=True)["status"],
    ):
        load()
        assert marker.exists()
        marker.unlink()


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name)
def test_no_module_can_run_what_it_reads(module):
    tree = ast.parse(module.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            assert not {alias.name.partition(".")[0] for alias in node.names} & FORBIDDEN_MODULES
        elif isinstance(node, ast.ImportFrom):
            assert str(node.module).partition(".")[0] not in FORBIDDEN_MODULES
        elif isinstance(node, ast.Call):
            check_call(ast.unparse(node.func), {word.arg: ast.unparse(word.value) for word in node.keywords})


def check_call(name: str, given: dict[str | None, str]) -> None:
    assert name not in FORBIDDEN_CALLS
    assert given.get("shell", "False") == "False", "no command goes through a shell"
    if name == "torch.load":
        assert given.get("weights_only") == "True"
    if name in {"np.load", "numpy.load", "np.savez", "np.savez_compressed"}:
        assert given.get("allow_pickle") == "False"


def test_what_is_forbidden_would_be_found():
    for name, given in (
        ("eval", {}), ("torch.load", {}), ("torch.load", {"weights_only": "False"}), ("np.load", {}),
        ("subprocess.run", {"shell": "True"}),
    ):  # fmt: skip
        with pytest.raises(AssertionError):
            check_call(name, given)


def test_files_of_weights_and_directions(bomb, marker, tmp_path):
    layer = torch.nn.Linear(2, 2)
    file = tmp_path / "file.safetensors"
    file.write_bytes(bomb)
    for read, refusal in (
        (lambda: decode_weights(bomb), ValueError),
        (lambda: load_source(str(file), tmp_path), ConfigError),
        (lambda: load_direction(file, Weights.of(layer).layout), ValueError),
        (
            lambda: TrainingState.decode(bomb, {"format": 1, "sha256": hashlib.sha256(bomb).hexdigest()}),
            ValueError,
        ),
        (lambda: TorchvisionModelConfig("torchvision", "resnet18", str(file)).file_digests(), ConfigError),
    ):
        with pytest.raises(refusal):
            read()
    assert not marker.exists()


@pytest.mark.parametrize("suffix", [".pt", ".pth"])
def test_a_state_dict_of_torch(suffix, bomb, marker, tmp_path):
    file = tmp_path / f"weights{suffix}"
    file.write_bytes(bomb)
    with pytest.raises(ConfigError, match=r"model\.weights"):
        TorchvisionModelConfig("torchvision", "resnet18", str(file)).file_digests()
    assert not marker.exists()


def test_landscapes_curvature_and_points(bomb, marker, tmp_path):
    with pytest.raises(ValueError, match="not a landscape file"):
        Landscape.from_bytes(bomb)
    with pytest.raises(ValueError, match="not a curvature file"):
        Curvature.from_bytes(bomb)
    folder = tmp_path / "points" / "key"
    folder.mkdir(parents=True)
    text = b"%s %s\n" % (hashlib.sha256(bomb).hexdigest()[:16].encode(), bomb.replace(b"\n", b""))
    (folder / "1.jsonl").write_bytes(text + bomb + b"\n")
    assert FoundPoints(folder, "key").measured == {}
    assert not marker.exists()


def test_a_landscape_within_a_landscape(bombs, marker):
    """Companions are landscapes as bytes."""
    whole = Landscape({"alpha": np.arange(2.0)}, {"loss": np.zeros(2)}, np.ones(2, np.int8))
    within = Landscape(whole.axes, whole.values, whole.status, companions={"beside": whole})
    content = io.BytesIO(within.to_bytes())
    with zipfile.ZipFile(content) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    buffer = io.BytesIO()
    np.save(buffer, np.frombuffer(bombs["npz of objects"], np.uint8))
    parts["companion/beside.npy"] = buffer.getvalue()
    damaged = io.BytesIO()
    with zipfile.ZipFile(damaged, "w") as archive:
        for name, part in parts.items():
            archive.writestr(name, part)
    with pytest.raises(ValueError, match="not a landscape file"):
        Landscape.from_bytes(damaged.getvalue())
    assert not marker.exists()


def test_files_of_a_record(bomb, marker, tmp_path):
    record = Record.at(tmp_path, "abc")
    record.write("a.json", bomb)
    with pytest.raises(ValueError, match=r".*"):
        record.read_json("a.json")
    for name in (MANIFEST, COPY):
        (record.path / name).write_bytes(bomb)
    assert Record.at(tmp_path, "abc").files() == {}
    assert not marker.exists()


def test_yaml_of_a_record_makes_no_objects(marker, tmp_path):
    record = Record.at(tmp_path, "abc")
    record.write("config.yaml", f"model: !!python/object/apply:os.open [{marker}, 65]\n")
    with pytest.raises(Exception, match="python/object/apply"):
        saved_model(record)
    assert not marker.exists()


LAID_OUT: dict[str, list[str]] = {
    "mnist": [
        f"MNIST/raw/{part}-ubyte"
        for part in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
    ],
    "cifar10": [f"cifar-10-batches-py/data_batch_{place}" for place in range(1, 6)]
    + [f"cifar-10-batches-py/{name}" for name in ("test_batch", "batches.meta")],
    "cifar100": [f"cifar-100-python/{name}" for name in ("train", "test", "meta")],
    "svhn": ["train_32x32.mat", "test_32x32.mat"],
}  # fmt: skip


@pytest.mark.parametrize("name", LAID_OUT)
def test_files_of_data(name, bomb, marker, tmp_path):
    """CIFAR's own files are pickles: torchvision unpickles those with the published MD5 sums alone."""
    for file in LAID_OUT[name]:
        path = tmp_path / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bomb)
    with pytest.raises(DataNotFoundError, match="incomplete or damaged"):
        from_torchvision(name, tmp_path, download=False)
    assert not marker.exists()


def test_files_of_data_as_old_versions_of_torchvision_laid_them_out(bomb, marker, tmp_path):
    for name in ("training.pt", "test.pt"):
        path = tmp_path / "MNIST" / "processed" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bomb)
    with pytest.raises(Exception, match=r".*"):
        from_torchvision("mnist", tmp_path, download=False)
    assert not marker.exists()


def test_each_sum_of_cifar_is_checked_before_anything_is_unpickled(marker, monkeypatch, tmp_path):
    """One file of six that is another is enough, whichever it is."""
    from torchvision.datasets import CIFAR10

    harmless = pickle.dumps(
        {"data": np.zeros((2, 3072), np.uint8), "labels": [0, 1], "label_names": []}, protocol=2
    )
    evil = pickle.dumps(Bomb(marker), protocol=2)
    right = hashlib.md5(harmless).hexdigest()
    for listed in ("train_list", "test_list"):
        monkeypatch.setattr(CIFAR10, listed, [[name, right] for name, _sum in getattr(CIFAR10, listed)])
    monkeypatch.setattr(CIFAR10, "meta", {**CIFAR10.meta, "md5": right})
    for changed in LAID_OUT["cifar10"]:
        for file in LAID_OUT["cifar10"]:
            path = tmp_path / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(evil if file == changed else harmless)
        with pytest.raises(DataNotFoundError):
            from_torchvision("cifar10", tmp_path, download=False)
        assert not marker.exists()
