"""torchvision's classifiers: plain logits in both modes, weights from files, refusals in one line."""

import pickle
from functools import partial

import pytest
import torch
from safetensors.torch import save_file
from torchvision import models

from study.models import count_parameters, initialise
from study.models.torchvision import torchvision_classifier
from study.prepare import prepare

SMALL = "shufflenet_v2_x0_5"


def images(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def test_it_is_torchvision_s_network_at_the_seed():
    found = initialise(lambda: torchvision_classifier((3, 16, 16), 1000, "resnet18"), 3)
    published = initialise(lambda: models.resnet18(), 3)
    assert count_parameters(found) == 11_689_512
    for (_name, own), expected in zip(found.named_parameters(), published.parameters(), strict=True):
        assert torch.equal(own, expected)


@pytest.mark.parametrize(
    ("architecture", "shape"),
    [
        (SMALL, (1, 8, 8)),
        ("squeezenet1_1", (3, 20, 24)),
        ("googlenet", (1, 16, 16)),
        ("vit_b_32", (3, 32, 32)),
    ],
)
def test_both_modes_give_plain_logits(architecture, shape):
    network = torchvision_classifier(shape, 5, architecture)
    assert network.training
    for training in (True, False):
        logits = network.train(training)(images(3, *shape))
        assert type(logits) is torch.Tensor
        assert logits.shape == (3, 5)


def test_an_image_of_one_channel_is_repeated_to_three():
    network = initialise(lambda: torchvision_classifier((1, 16, 16), 5, SMALL), 0).eval()
    batch = images(2, 1, 16, 16)
    assert torch.equal(network(batch), network.network(batch.repeat(1, 3, 1, 1)))


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_weights_come_from_a_file_and_the_last_layer_fits_the_classes(tmp_path, suffix):
    kept = initialise(lambda: models.shufflenet_v2_x0_5(num_classes=7), 5).state_dict()
    file = str(tmp_path / f"weights{suffix}")
    torch.save(kept, file) if suffix == ".pth" else save_file(kept, file)
    same = torchvision_classifier((3, 16, 16), 7, SMALL, file).network.state_dict()
    assert all(torch.equal(same[name], tensor) for name, tensor in kept.items())

    def other(seed: int) -> dict[str, torch.Tensor]:
        make = partial(torchvision_classifier, (3, 16, 16), 4, SMALL, file)
        return initialise(make, seed).network.state_dict()

    one, two = other(0), other(1)
    for name, tensor in one.items():
        assert torch.equal(tensor, two[name]) != name.startswith("fc.")
        assert name.startswith("fc.") or torch.equal(tensor, kept[name])


def test_the_hash_of_a_run_has_what_a_file_of_weights_holds_and_not_its_name(compose, tmp_path):
    def hashes(name: str, seed: int) -> str:
        kept = initialise(lambda: models.shufflenet_v2_x0_5(num_classes=7), seed).state_dict()
        torch.save(kept, tmp_path / name)
        own = [f"model.architecture={SMALL}", f"model.weights={tmp_path / name}"]
        config = compose("model=torchvision", *own, "data.image_size=8", "landscape=[]", "tracking=none")
        return prepare(config, {}).identity.training_hash

    assert hashes("one.pth", 0) == hashes("two.pth", 0) != hashes("two.pth", 1)


class Harmful:
    def __reduce__(self):
        return (print, ("run",))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"architecture": "resnet17"},
            "model.architecture must be a classifier of torchvision.models (did you mean 'resnet",
        ),
        ({"architecture": "fcn_resnet50"}, "model.architecture must be a classifier of torchvision.models"),
        (
            {"architecture": "inception_v3"},
            "model.architecture must take images of 16 x 16 pixels (",
        ),
        ({"architecture": "vit_b_32"}, "model.architecture must take images of 16 x 16 pixels (Input shape"),
        (
            {"input_shape": (2, 16, 16)},
            "data must have images of one channel or three for model=torchvision, got 2",
        ),
        ({"input_shape": (64,)}, "torchvision needs inputs of shape (channels, height, width), got (64,)"),
        ({"weights": "w.bin"}, "model.weights must end in .pth, .pt, .safetensors, got 'w.bin'"),
        ({"weights": "none.pth"}, "model.weights must be a file of weights ("),
        ({"weights": "other.pth"}, f"model.weights must be weights of {SMALL} ("),
        ({"weights": "harmful.pth"}, "model.weights must be a state dict that torch.save wrote"),
        ({"weights": "list.pth"}, "model.weights must be a state dict: tensors by name, and nothing else"),
        ({"weights": "damaged.safetensors"}, "model.weights must be a file of weights ("),
    ],
)
def test_refusals(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    torch.save({"fc.weight": torch.zeros(2)}, "other.pth")
    torch.save([torch.zeros(2)], "list.pth")
    (tmp_path / "harmful.pth").write_bytes(pickle.dumps(Harmful(), protocol=2))
    (tmp_path / "damaged.safetensors").write_bytes(b"damaged")
    with pytest.raises(ValueError, match=r"^") as refused:
        torchvision_classifier(
            **{"input_shape": (3, 16, 16), "outputs": 5, "architecture": SMALL} | arguments
        )
    assert str(refused.value).startswith(message)
    assert "\n" not in str(refused.value)
    assert capsys.readouterr().out == ""
