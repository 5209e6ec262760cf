"""The classifiers of torchvision, by name."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from study.errors import ConfigError, in_one_line, suggestion
from study.keys import key
from study.models.base import ModelConfig, image_shape, plain_attention

AUXILIARY = ("aux1.", "aux2.", "AuxLogits.")  # heads that GoogLeNet and Inception train with
SUFFIXES = (".pth", ".pt", ".safetensors")


@dataclass
class TorchvisionModelConfig(ModelConfig):
    """A classifier of torchvision."""

    architecture: str = key("name of the classifier, as torchvision.models.list_models() has it")
    weights: str | None = key("file of the weights to start from, .pth or .safetensors; null draws them")

    @property
    def subject(self) -> str:
        """The architecture's name."""
        return self.architecture

    def file_digests(self) -> dict[str, str]:
        """SHA-256 of the tensors of the file of weights: the same file under another name has other bytes."""
        if self.weights is None:
            return {}
        digest = hashlib.sha256()
        for name, tensor in sorted(_read(self.weights).items()):
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
        return {self.weights: digest.hexdigest()}

    def build(self, input_shape: Sequence[int], outputs: int) -> nn.Module:
        """See `torchvision_classifier`."""
        return torchvision_classifier(input_shape, outputs, self.architecture, self.weights)


class Coloured(nn.Module):
    """A network of three channels, for images of one channel too, which it gets three times.

    Args:
        network: gives logits of images (N, 3, H, W).
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits, shape (N, outputs), of images (N, 1, H, W) or (N, 3, H, W)."""
        with plain_attention():
            return self.network(inputs.expand(-1, 3, -1, -1))


def torchvision_classifier(
    input_shape: Sequence[int], outputs: int, architecture: str, weights: str | None = None
) -> Coloured:
    """The classifier `architecture` of torchvision, for images as they are and any number of classes.

    GoogLeNet and Inception come without their auxiliary heads. Nothing is downloaded.

    Args:
        input_shape: (channels, height, width), of one channel or three.
        outputs: number of logits.
        architecture: as `torchvision.models.list_models(torchvision.models)` has it.
        weights: file of a state dict of that architecture. A last layer for another number of classes is left
            as it was drawn.

    Raises:
        ConfigError: if there is no such architecture, it cannot take such images, or the weights are not its.
        ValueError: if the input is no image, or `outputs` is below 1.
    """
    from torchvision import models  # a large library

    channels, height, width = image_shape("torchvision", input_shape, outputs)
    if channels not in {1, 3}:
        raise ConfigError("data", "must have images of one channel or three for model=torchvision", channels)
    known = models.list_models(module=models)
    if architecture not in known:
        rule = f"must be a classifier of torchvision.models{suggestion(architecture, known)}"
        raise ConfigError("model.architecture", rule, architecture)
    settings: dict[str, object] = {}
    if architecture in {"googlenet", "inception_v3"}:
        settings = {"aux_logits": False, "init_weights": True}
    elif architecture.startswith("vit_"):
        settings = {"image_size": height}
    elif architecture.startswith("maxvit"):
        settings = {"input_size": (height, width)}
    try:
        network = models.get_model(architecture, weights=None, num_classes=outputs, **settings)
        with torch.no_grad():
            network.eval()(torch.zeros(2, 3, height, width))
    except Exception as error:  # whatever an architecture says of images that it cannot take
        rule = f"must take images of {height} x {width} pixels ({in_one_line(error, 200)})"
        raise ConfigError("model.architecture", rule, architecture) from error
    if weights is not None:
        _load(network, weights, architecture)
    return Coloured(network.train())


def _load(network: nn.Module, file: str, architecture: str) -> None:
    """Put the tensors of a file into a network, but for a last layer of another number of classes.

    Raises:
        ConfigError: if they are not its.
    """
    own = network.state_dict()
    given = {name: tensor for name, tensor in _read(file).items() if not name.startswith(AUXILIARY)}
    last = [name.rpartition(".")[0] for name, layer in network.named_parameters()][-1]
    for name in (f"{last}.weight", f"{last}.bias"):
        if name in given and name in own and given[name].shape[1:] == own[name].shape[1:]:
            given[name] = given[name] if len(given[name]) == len(own[name]) else own[name]
    try:
        network.load_state_dict(given)
    except RuntimeError as error:
        rule = f"must be weights of {architecture} ({in_one_line(error, 300)})"
        raise ConfigError("model.weights", rule, file) from error


def _read(file: str) -> dict[str, Tensor]:
    """The tensors of a file by name. No code of it is run.

    Raises:
        ConfigError: if it holds none.
    """
    if not file.endswith(SUFFIXES):
        raise ConfigError("model.weights", f"must end in {', '.join(SUFFIXES)}", file)
    try:
        if file.endswith(".safetensors"):
            return load_file(file)
        state = torch.load(Path(file), map_location="cpu", weights_only=True)
    except (OSError, SafetensorError) as error:
        raise ConfigError(
            "model.weights", f"must be a file of weights ({in_one_line(error)})", file
        ) from error
    except Exception as error:  # of the unpickler, which takes tensors only
        rule = "must be a state dict that torch.save wrote: tensors by name, and nothing else"
        raise ConfigError("model.weights", rule, file) from error
    if not isinstance(state, dict) or not all(isinstance(tensor, Tensor) for tensor in state.values()):
        raise ConfigError("model.weights", "must be a state dict: tensors by name, and nothing else", file)
    return state
