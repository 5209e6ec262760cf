"""Directions written to files and read again, and files that are refused."""

import hashlib

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from study.landscape.direction_files import load_direction, save_direction
from study.landscape.directions import Direction, given, random_direction
from study.landscape.geometry import Line
from study.landscape.weights import Weights


@pytest.fixture
def theta(convnet) -> Weights:
    return Weights.of(convnet(norm=True))


def named(theta: Weights, **changes: torch.Tensor) -> dict[str, torch.Tensor]:
    """A direction's tensors, as the user of another tool would write them."""
    generator = torch.Generator().manual_seed(1)
    return {
        parameter.name: torch.randn(parameter.shape, generator=generator)
        for parameter in theta.layout.parameters
    } | changes


def test_a_direction_comes_back_to_the_bit_with_what_it_depends_on(theta, tmp_path):
    direction = random_direction(theta, seed=3)
    save_direction(direction, theta.layout, tmp_path / "new" / "delta.safetensors")
    again = load_direction(tmp_path / "new" / "delta.safetensors", theta.layout)
    assert torch.equal(again.flat, direction.flat)
    assert again.provenance == {
        "kind": "file",
        "file": "delta.safetensors",
        "sha256": hashlib.sha256((tmp_path / "new" / "delta.safetensors").read_bytes()).hexdigest(),
        "holds": direction.provenance,
    }
    save_direction(direction, theta.layout, tmp_path / "again.safetensors")
    same = (tmp_path / "new" / "delta.safetensors").read_bytes()
    assert (tmp_path / "again.safetensors").read_bytes() == same, "equal directions, equal bytes"


def test_a_file_written_by_safetensors_itself_is_read_by_name(theta, tmp_path):
    tensors = named(theta)
    save_file(dict(reversed(tensors.items())), tmp_path / "mine.safetensors")
    direction = load_direction(tmp_path / "mine.safetensors", theta.layout)
    assert direction.provenance["holds"] is None
    moved = Line.through(theta, direction).at(2.0).named
    for name, tensor in tensors.items():
        torch.testing.assert_close(moved[name], theta.named[name] + 2.0 * tensor)


def test_save_writes_each_parameter_under_its_name(theta, tmp_path):
    direction = given(torch.arange(theta.layout.size).float(), "gradient", {})
    save_direction(direction, theta.layout, tmp_path / "gradient.safetensors")
    tensors = load_file(tmp_path / "gradient.safetensors")
    assert set(tensors) == set(theta.named)
    for name, tensor in theta.layout.views(direction.flat).items():
        assert torch.equal(tensors[name], tensor), name
    with pytest.raises(ValueError, match=r"must end in \.safetensors, got '.*delta\.pt'"):
        save_direction(direction, theta.layout, tmp_path / "delta.pt")


def test_a_direction_of_a_narrow_network_is_kept_in_full(tmp_path):
    theta = Weights.of(nn.Linear(3, 2).bfloat16())
    direction = Direction(torch.linspace(0.1, 0.9, 8), {})
    save_direction(direction, theta.layout, tmp_path / "delta.safetensors")
    assert torch.equal(load_direction(tmp_path / "delta.safetensors", theta.layout).flat, direction.flat)


def with_nan(theta: Weights) -> torch.Tensor:
    tensor = torch.zeros(theta.named["3.weight"].shape)
    tensor[1, 0, 1, 1] = float("nan")
    return tensor


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda _theta: {"3.weight": None}, r"must hold '3\.weight' of shape \(3, 4, 2, 2\): missing"),
        (lambda _theta: {"7.bias": torch.zeros(1, 3)}, r"'7\.bias' must have shape \(3,\), got \(1, 3\)"),
        (lambda theta: {"3.weight": with_nan(theta)}, r"'3\.weight' must be finite"),
        (
            lambda _theta: {"7.bias": torch.zeros(3).long()},
            r"'7\.bias' must be floating-point, got torch.int64",
        ),
        (lambda _theta: {"1.running_mean": torch.zeros(4)}, r"'1\.running_mean' is of none"),
    ],
)
def test_a_file_of_something_else_is_refused_by_the_tensors_name(theta, tmp_path, change, message):
    tensors = named(theta, **change(theta))
    kept = {name: tensor for name, tensor in tensors.items() if tensor is not None}
    save_file(kept, tmp_path / "mine.safetensors")
    with pytest.raises(ValueError, match=f"mine.safetensors.*{message}") as refused:
        load_direction(tmp_path / "mine.safetensors", theta.layout)
    assert "\n" not in str(refused.value)


def test_what_is_no_safetensors_file_is_refused_by_the_files_name(theta, tmp_path):
    (tmp_path / "broken.safetensors").write_bytes(b"\x09" + bytes(20))
    for name in ("broken.safetensors", "absent.safetensors"):
        with pytest.raises(ValueError, match=f"{name} must hold a direction as safetensors"):
            load_direction(tmp_path / name, theta.layout)
