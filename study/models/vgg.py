"""VGG networks for small images."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from study.errors import ConfigError
from study.keys import key
from study.models.base import ModelConfig, image_shape

STAGES: dict[int, tuple[tuple[int, ...], ...]] = {
    9: ((64,), (128,), (256, 256), (512, 512)),
    11: ((64,), (128,), (256, 256), (512, 512), (512, 512)),
    13: ((64, 64), (128, 128), (256, 256), (512, 512), (512, 512)),
    16: ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512)),
    19: ((64, 64), (128, 128), (256,) * 4, (512,) * 4, (512,) * 4),
}
"""By depth, the channels of the convolutions of each stage: Simonyan and Zisserman 2015, table 1, columns A,
B, D and E; VGG-9 is A without its last stage."""

HIDDEN = 512  # units of the two hidden linear layers at width 1


@dataclass
class VggConfig(ModelConfig):
    """A VGG network for small images."""

    depth: int = key("layers with weights: 9, 11, 13, 16 or 19", at_least=9, at_most=19)
    width: float = key("factor on the channels of every stage and on the hidden units", above=0, at_most=64)
    norm: str = key("normalization after each convolution", choices=("batch", "none"))

    def build(self, input_shape: Sequence[int], outputs: int) -> nn.Module:
        """See `vgg`."""
        return vgg(input_shape, outputs, self.depth, width=self.width, norm=self.norm)


class Vgg(nn.Module):
    """Stages of convolutions, global average pooling, three linear layers. See `vgg`.

    Args:
        features: the stages.
        channels: that they end in.
        hidden: units of the two hidden linear layers.
        outputs: number of logits.
    """

    def __init__(self, features: nn.Sequential, channels: int, hidden: int, outputs: int) -> None:
        super().__init__()
        self.features = features
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(channels, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, outputs),
        )

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits, shape (N, outputs), of images (N, C, H, W)."""
        return self.classifier(self.pool(self.features(inputs)))


def vgg(
    input_shape: Sequence[int], outputs: int, depth: int, *, width: float = 1.0, norm: str = "batch"
) -> Vgg:
    """A network of Simonyan and Zisserman 2015, table 1, in the form that is used on CIFAR.

    Stages of 3 × 3 convolutions with ReLU, of 64 channels and more up to 512, and a max-pooling after each.
    What differs from the paper: the three linear layers have 512 hidden units and no dropout, global average
    pooling stands before them, and batch normalization (Ioffe and Szegedy 2015) may stand after each
    convolution. VGG-9 is the smaller one that Li et al. 2018 study on CIFAR-10: six convolutions and three
    linear layers. Convolutions and linear layers are initialised as He et al. 2015 (normal, by fan-in), which
    trains without normalization too; biases are zero.

    In images below 32 × 32 a stage before the last is pooled only where two pixels a side are left: of maps
    of one pixel the convolutions would see little but the zeros at the border.

    Args:
        input_shape: (channels, height, width).
        outputs: number of logits.
        depth: layers with weights: 9, 11, 13, 16 or 19.
        width: factor on the channels and on the hidden units, rounded.
        norm: `batch` or `none`; convolutions have a bias without normalization only.

    Raises:
        ConfigError: If there is no such depth, or a layer would have no channel.
        ValueError: If the input is no image of at least 4 × 4 pixels, `outputs` is below 1, or `norm` is
            neither of its two.
    """
    channels, height, wide = image_shape("vgg", input_shape, outputs, smallest=4)
    if depth not in STAGES:
        raise ConfigError("model.depth", f"must be one of {', '.join(map(str, STAGES))}", depth)
    if round(width * STAGES[depth][0][0]) < 1:
        raise ConfigError("model.width", "must leave a channel to each layer", width)
    if norm not in {"none", "batch"}:
        raise ValueError(f"norm must be 'none' or 'batch', got {norm!r}")
    features = nn.Sequential()
    side = min(height, wide)
    for number, stage in enumerate(STAGES[depth], start=1):
        for place, own in enumerate(stage, start=1):
            name, out = f"{number}_{place}", round(width * own)
            features.add_module(f"conv{name}", nn.Conv2d(channels, out, 3, padding=1, bias=norm == "none"))
            if norm == "batch":
                features.add_module(f"norm{name}", nn.BatchNorm2d(out))
            features.add_module(f"relu{name}", nn.ReLU())
            channels = out
        if side >= 4 or (side >= 2 and number == len(STAGES[depth])):
            features.add_module(f"pool{number}", nn.MaxPool2d(2))
            side //= 2
    network = Vgg(features, channels, round(width * HIDDEN), outputs)
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return network
