"""The networks of the benchmark, for images (N, 1, 28, 28) of ten classes; a seed means the same weights."""

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional

from study.models import initialise
from study.models.cnn import cnn
from study.models.mlp import mlp as perceptron

_INPUT_SHAPE = (1, 28, 28)
_NUM_CLASSES = 10


def two_conv(seed: int = 0) -> nn.Module:
    """The project's `model=cnn`, that of the source text, in evaluation mode.

    In torch's default memory format, as the peers' users have it. The project's own runs have it
    channels-last (`study.build.model`): a contestant that wants that layout converts a copy.
    """
    return initialise(lambda: cnn(_INPUT_SHAPE, _NUM_CLASSES), seed).eval()


def mlp(seed: int = 0) -> nn.Module:
    """The project's `model=mlp` of two hidden layers of 128 units, in evaluation mode."""
    return initialise(lambda: perceptron(_INPUT_SHAPE, _NUM_CLASSES, widths=(128, 128)), seed).eval()


def resnet16(seed: int = 0) -> nn.Module:
    """A residual network of depth 20, 16 channels in its first stage, in evaluation mode.

    He et al. 2016, section 4.2: three stages of three blocks of 16, 32 and 64 channels, shortcuts without
    parameters (option A). The shifts of the batch normalization are drawn from N(0, 0.1²), as a trained
    network's are not zero either: at zero `loss-landscapes` raises ZeroDivisionError.
    """
    return initialise(_residual, seed).eval()


def plain20(seed: int = 0) -> nn.Module:
    """Twenty 3 × 3 convolutions of 8 channels with batch normalization, no shortcut, in evaluation mode."""
    return initialise(_plain, seed).eval()


NETWORKS: dict[str, Callable[[int], nn.Module]] = {
    "two_conv": two_conv,
    "mlp": mlp,
    "resnet16": resnet16,
    "plain20": plain20,
}
"""By name in the table, a function from a seed to the network with its initial weights."""


class _Block(nn.Module):
    """Two 3 x 3 convolutions with batch normalization, and a shortcut; at stride 2 channels are added."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.new_channels = width - channels

    def forward(self, inputs: Tensor) -> Tensor:
        hidden = functional.relu(self.norm1(self.conv1(inputs)))
        shortcut = inputs
        if self.new_channels:
            shortcut = functional.pad(inputs[:, :, ::2, ::2], (0, 0, 0, 0, 0, self.new_channels))
        return functional.relu(self.norm2(self.conv2(hidden)) + shortcut)


def _plain() -> nn.Sequential:
    width, layers = 8, list[nn.Module]()
    for at in range(20):
        stride = 2 if at in (1, 8) else 1
        layers += [nn.Conv2d(width if at else _INPUT_SHAPE[0], width, 3, stride, padding=1, bias=False)]
        layers += [nn.BatchNorm2d(width), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, _NUM_CLASSES))


def _residual() -> nn.Sequential:
    channels = 16
    layers: list[nn.Module] = [
        nn.Conv2d(_INPUT_SHAPE[0], channels, 3, padding=1, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
    ]
    for width in (16, 32, 64):
        for _ in range(3):
            layers.append(_Block(channels, width, stride=1 if width == channels else 2))
            channels = width
    network = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, _NUM_CLASSES))
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.bias, std=0.1)
    return network
