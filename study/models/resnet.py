"""Residual networks of the CIFAR form, with and without skip connections."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional

from study.errors import ConfigError
from study.keys import key
from study.models.base import ModelConfig, image_shape

STAGES = (16, 32, 64)
"""Channels of the three stages at width 1."""

SHORTCUTS = ("padding", "projection")


@dataclass
class ResNetConfig(ModelConfig):
    """A residual network for small images."""

    depth: int = key("layers with weights, 6n + 2 for n blocks a stage", at_least=8, at_most=110)
    width: int = key("factor on the channels of every stage", at_least=1, at_most=64)
    skip: bool = key("whether blocks have skip connections")
    norm: str = key("normalization after each convolution", choices=("batch", "none"))
    shortcut: str = key(
        "how a skip connection meets more channels: zeros for the new ones (option A), or a 1×1 convolution "
        "(option B)",
        choices=SHORTCUTS,
    )

    def build(self, input_shape: Sequence[int], outputs: int) -> nn.Module:
        """See `resnet`."""
        return resnet(
            input_shape,
            outputs,
            self.depth,
            width=self.width,
            skip=self.skip,
            norm=self.norm,
            shortcut=self.shortcut,
        )


class Block(nn.Module):
    """Two 3 × 3 convolutions beside a shortcut (He et al. 2016, figure 2): ReLU(F(x) + x).

    Args:
        channels: of the input.
        out: of the output; where they are more, the first convolution takes every second pixel.
        skip: whether there is a shortcut; without, ReLU(F(x)).
        norm: `batch` or `none`.
        shortcut: `padding` or `projection`; see `resnet`.
    """

    def __init__(self, channels: int, out: int, skip: bool, norm: str, shortcut: str) -> None:
        super().__init__()
        stride = 1 if channels == out else 2
        self.conv1, self.norm1 = _convolution(channels, out, 3, stride, norm), _norm(out, norm)
        self.conv2, self.norm2 = _convolution(out, out, 3, 1, norm), _norm(out, norm)
        self.skip, self.stride, self.added = skip, stride, out - channels
        self.projection: nn.Module | None = None
        if skip and self.added and shortcut == "projection":
            self.projection = nn.Sequential(_convolution(channels, out, 1, stride, norm), _norm(out, norm))

    def forward(self, inputs: Tensor) -> Tensor:
        """Feature maps, shape (N, out, ⌈H / stride⌉, ⌈W / stride⌉)."""
        hidden = functional.relu(self.norm1(self.conv1(inputs)))
        hidden = self.norm2(self.conv2(hidden))
        if self.skip:
            hidden = hidden + self._shortcut(inputs)
        return functional.relu(hidden)

    def _shortcut(self, inputs: Tensor) -> Tensor:
        if self.projection is not None:
            return self.projection(inputs)
        if not self.added:
            return inputs
        before = self.added // 2
        return functional.pad(inputs[:, :, ::2, ::2], (0, 0, 0, 0, before, self.added - before))


class ResNet(nn.Module):
    """A stem, three stages of blocks, global average pooling, a linear layer. See `resnet`.

    Args:
        channels: of the input.
        outputs: number of logits.
        blocks: of each stage.
        widths: channels of each stage.
        skip: as in `Block`.
        norm: as in `Block`.
        shortcut: as in `Block`.
    """

    def __init__(
        self,
        channels: int,
        outputs: int,
        blocks: int,
        widths: Sequence[int],
        skip: bool,
        norm: str,
        shortcut: str,
    ) -> None:
        super().__init__()
        self.stem, self.norm = _convolution(channels, widths[0], 3, 1, norm), _norm(widths[0], norm)
        stages, before = [], widths[0]
        for width in widths:
            stage = [
                Block(before if block == 0 else width, width, skip, norm, shortcut) for block in range(blocks)
            ]
            stages.append(nn.Sequential(*stage))
            before = width
        self.stages = nn.Sequential(*stages)
        self.head = nn.Linear(before, outputs)

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits, shape (N, outputs), of images (N, C, H, W)."""
        hidden = self.stages(functional.relu(self.norm(self.stem(inputs))))
        return self.head(functional.adaptive_avg_pool2d(hidden, 1).flatten(1))


def resnet(
    input_shape: Sequence[int],
    outputs: int,
    depth: int,
    *,
    width: int = 1,
    skip: bool = True,
    norm: str = "batch",
    shortcut: str = "padding",
) -> ResNet:
    """The residual network of He et al. 2016, section 4.2: 269,722 parameters for CIFAR-10 at depth 20.

    A 3 × 3 convolution, three stages of (depth − 2) / 6 blocks with 16, 32 and 64 channels, of which the
    second and the third halve the image, global average pooling and a linear layer. Convolutions are
    initialised as He et al. 2015 (normal, by fan-out). Li et al. 2018 study it without skip connections
    (section 5.1; their `noshort`) and with 2, 4 and 8 times as many channels (section 5.3).

    Without normalization, convolutions have biases, and with skip connections the second convolution of a
    block starts at zero, so that every block starts as its shortcut and the scale of the maps does not grow
    with depth (Zhang et al. 2019, section 3, rule 1).

    Args:
        input_shape: (channels, height, width).
        outputs: number of logits.
        depth: layers with weights, those of projections not counted; 6n + 2.
        width: factor on the channels.
        skip: whether blocks have skip connections.
        norm: `batch` or `none`.
        shortcut: where channels become more, `padding` adds channels of zeros, half of them on either side,
            to every second pixel (option A of He et al.: no parameters); `projection` is a 1 × 1 convolution
            (option B).

    Raises:
        ConfigError: If `depth` is not 6n + 2.
        ValueError: If the input is no image of at least 4 × 4 pixels, `outputs` or `width` is below 1, or
            `norm` or `shortcut` is neither of its two.
    """
    channels, _height, _width = image_shape("resnet", input_shape, outputs, smallest=4)
    if depth < 8 or (depth - 2) % 6:
        raise ConfigError("model.depth", "must be 6n + 2: 8, 14, 20, …", depth)
    if width < 1:
        raise ValueError(f"width must be at least 1, got {width}")
    for name, given, known in (("norm", norm, ("batch", "none")), ("shortcut", shortcut, SHORTCUTS)):
        if given not in known:
            raise ValueError(f"{name} must be one of {', '.join(known)}, got {given!r}")
    widths = [width * stage for stage in STAGES]
    network = ResNet(channels, outputs, (depth - 2) // 6, widths, skip, norm, shortcut)
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    if norm == "none" and skip:
        for layer in network.modules():
            if isinstance(layer, Block):
                nn.init.zeros_(layer.conv2.weight)
    return network


def _convolution(channels: int, out: int, size: int, stride: int, norm: str) -> nn.Conv2d:
    """A convolution that keeps the image's size but for its stride; a normalization after it has the bias."""
    return nn.Conv2d(channels, out, size, stride, padding=size // 2, bias=norm == "none")


def _norm(channels: int, norm: str) -> nn.Module:
    return nn.BatchNorm2d(channels) if norm == "batch" else nn.Identity()
