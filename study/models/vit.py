"""Vision transformers."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from study.errors import ConfigError
from study.keys import key
from study.models.base import ModelConfig, image_shape, plain_attention


@dataclass
class VitConfig(ModelConfig):
    """A small vision transformer (Dosovitskiy et al. 2021)."""

    patch_size: int = key("side of a patch in pixels; divides the image's", at_least=1)
    width: int = key("entries of a token", at_least=1)
    depth: int = key("transformer layers", at_least=1)
    heads: int = key("attention heads of each layer; divides the width", at_least=1)
    mlp_ratio: float = key("hidden units of each layer's perceptron, in widths", above=0)
    dropout: float = key("dropout after the embedding and within each layer", at_least=0, below=1)

    def build(self, input_shape: Sequence[int], outputs: int) -> nn.Module:
        """See `vit`."""
        return vit(
            input_shape,
            outputs,
            patch_size=self.patch_size,
            width=self.width,
            depth=self.depth,
            heads=self.heads,
            mlp_ratio=self.mlp_ratio,
            dropout=self.dropout,
        )


class Vit(nn.Module):
    """A transformer whose attention is computed step by step, which has second derivatives.

    Args:
        network: gives logits of images (N, C, H, W).
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits, shape (N, outputs), of images (N, C, H, W)."""
        with plain_attention():
            return self.network(inputs)


def vit(
    input_shape: Sequence[int],
    outputs: int,
    *,
    patch_size: int,
    width: int,
    depth: int,
    heads: int,
    mlp_ratio: float = 4.0,
    dropout: float = 0.0,
) -> Vit:
    """Torchvision's vision transformer, its first layer for the input's channels.

    Dosovitskiy et al. 2021, section 3.1: patches become tokens by a linear map, a class token and learnt
    positions are added, and `depth` layers of attention and a perceptron follow, each after a normalization;
    the class token gives the logits. The last linear layer starts at zero, so that the first loss is
    log(outputs). With width 768, 12 layers and heads, and patches of 16 pixels this is ViT-B/16: 86,567,656
    parameters for (3, 224, 224) and 1,000 classes.

    Args:
        input_shape: (channels, height, width).
        outputs: number of logits.
        patch_size: side of a patch in pixels.
        width: entries of a token.
        depth: transformer layers.
        heads: attention heads of each layer.
        mlp_ratio: hidden units of the perceptrons, in widths, rounded.
        dropout: probability after the embedding, after the attention and in the perceptrons.

    Raises:
        ConfigError: if the images are not square, the patches do not fill them, the heads do not divide the
            width, or the perceptrons have no unit.
        ValueError: if the input is no image, or `outputs` is below 1.
    """
    from torchvision.models import VisionTransformer  # a large library

    channels, height, across = image_shape("vit", input_shape, outputs)
    if height != across:
        raise ConfigError("data", "must have square images for model=vit", f"{height} x {across}")
    if height % patch_size:
        raise ConfigError("model.patch_size", f"must divide the images' {height} pixels", patch_size)
    if width % heads:
        raise ConfigError("model.heads", f"must divide the width, {width}", heads)
    if (hidden := round(mlp_ratio * width)) < 1:
        raise ConfigError("model.mlp_ratio", f"must leave a unit at a width of {width}", mlp_ratio)
    network = VisionTransformer(
        image_size=height,
        patch_size=patch_size,
        num_layers=depth,
        num_heads=heads,
        hidden_dim=width,
        mlp_dim=hidden,
        dropout=dropout,
        num_classes=outputs,
    )
    network.conv_proj = nn.Conv2d(channels, width, patch_size, patch_size)
    nn.init.trunc_normal_(network.conv_proj.weight, std=math.sqrt(1 / (channels * patch_size**2)))
    nn.init.zeros_(network.conv_proj.bias)
    return Vit(network)
