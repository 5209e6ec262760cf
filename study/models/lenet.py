"""LeNet-5."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from study.keys import key
from study.models.base import ModelConfig, image_shape

ACTIVATIONS: dict[str, type[nn.Module]] = {"tanh": nn.Tanh, "relu": nn.ReLU}
WHOLE = 32  # pixels of the paper's images, of which the digit fills 28


@dataclass
class LenetConfig(ModelConfig):
    """LeNet-5 (LeCun et al. 1998)."""

    activation: str = key("nonlinearity after each layer", choices=tuple(ACTIVATIONS))

    def build(self, input_shape: Sequence[int], outputs: int) -> nn.Module:
        """See `lenet`."""
        return lenet(input_shape, outputs, self.activation)


def lenet(input_shape: Sequence[int], outputs: int, activation: str = "tanh") -> nn.Sequential:
    """LeNet-5 in its modern form: 61,706 parameters for (1, 28, 28) or (1, 32, 32) and ten classes.

    LeCun et al. 1998, section II.B: two 5 × 5 convolutions of 6 and 16 channels, each followed by a pooling
    that averages 2 × 2 pixels, then linear layers of 120 and 84 units. Images with a side below 32 pixels get
    two pixels of zeros on each side, as the paper's digits of 28 pixels had.

    What differs from the paper: its poolings have a trained factor and bias for each channel and a
    nonlinearity after them, its second convolution sees some of the channels only, its tanh is scaled, and
    its output is the distance to fixed codes. Here the poolings are plain, the convolution is full, the
    nonlinearity stands before the pooling, unscaled, and a linear layer gives logits.

    Args:
        input_shape: (channels, height, width).
        outputs: number of logits.
        activation: `tanh` or `relu`, after each convolution and hidden linear layer.

    Raises:
        ValueError: If the input is no image of at least 12 × 12 pixels, `outputs` is below 1, or `activation`
            is neither of its two.
    """
    channels, height, width = image_shape("lenet", input_shape, outputs, smallest=12)
    if activation not in ACTIVATIONS:
        raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}, got {activation!r}")
    padding = 2 if min(height, width) < WHOLE else 0
    rows, columns = (((side + 2 * padding - 4) // 2 - 4) // 2 for side in (height, width))
    act = ACTIVATIONS[activation]
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(channels, 6, 5, padding=padding),
            act1=act(),
            pool1=nn.AvgPool2d(2),
            conv2=nn.Conv2d(6, 16, 5),
            act2=act(),
            pool2=nn.AvgPool2d(2),
            flatten=nn.Flatten(),
            linear1=nn.Linear(16 * rows * columns, 120),
            act3=act(),
            linear2=nn.Linear(120, 84),
            act4=act(),
            output=nn.Linear(84, outputs),
        )
    )
