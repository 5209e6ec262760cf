"""The convolutional network of the source text."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional

from study.keys import key
from study.models.base import ModelConfig, image_shape


@dataclass
class CnnConfig(ModelConfig):
    """The text's network of two convolutions (Listing 2)."""

    conv_dropout: float = key("dropout after the pooling", at_least=0, below=1)
    hidden_dropout: float = key("dropout after the hidden layer", at_least=0, below=1)

    def build(self, input_shape: Sequence[int], outputs: int) -> nn.Module:
        """See `cnn`."""
        return cnn(input_shape, outputs, self.conv_dropout, self.hidden_dropout)


class TwoConvolutions(nn.Module):
    """Two 3 x 3 convolutions, one pooling, two linear layers: PyTorch's MNIST example.

    Vijayaraghavan 2021, Listing 2. The text ends in log_softmax and trains with the negative log-likelihood;
    this ends in logits, to be trained with cross-entropy, which is the same loss.

    Args:
        channels: of the input.
        features: entries of the flattened feature maps: 64 · ((H − 4) // 2) · ((W − 4) // 2).
        num_classes: number of logits.
        conv_dropout: probability after the pooling.
        hidden_dropout: probability after the hidden linear layer.
    """

    def __init__(
        self, channels: int, features: int, num_classes: int, conv_dropout: float, hidden_dropout: float
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 32, 3, 1)
        self.conv2 = nn.Conv2d(32, 64, 3, 1)
        self.dropout1 = nn.Dropout(conv_dropout)
        self.dropout2 = nn.Dropout(hidden_dropout)
        self.fc1 = nn.Linear(features, 128)
        self.fc2 = nn.Linear(128, num_classes)

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits, shape (N, num_classes), of images (N, C, H, W)."""
        hidden = functional.relu(self.conv1(inputs))
        hidden = functional.relu(self.conv2(hidden))
        hidden = self.dropout1(functional.max_pool2d(hidden, 2))
        hidden = functional.relu(self.fc1(hidden.flatten(1)))
        return self.fc2(self.dropout2(hidden))


def cnn(
    input_shape: Sequence[int], num_classes: int, conv_dropout: float = 0.25, hidden_dropout: float = 0.5
) -> TwoConvolutions:
    """The network of Vijayaraghavan 2021, Listing 2: 1,199,882 parameters for (1, 28, 28) and ten classes.

    Args:
        input_shape: (channels, height, width).
        num_classes: number of logits.
        conv_dropout: dropout probability after the pooling.
        hidden_dropout: dropout probability after the hidden linear layer.

    Raises:
        ValueError: If the input is no image of at least 6 x 6 pixels, `num_classes` is below 1, or a
            probability is not in [0, 1).
    """
    channels, height, width = image_shape("cnn", input_shape, num_classes, smallest=6)
    for name, probability in (("conv_dropout", conv_dropout), ("hidden_dropout", hidden_dropout)):
        if not 0 <= probability < 1:
            raise ValueError(f"{name} must be at least 0 and below 1, got {probability}")
    features = 64 * ((height - 4) // 2) * ((width - 4) // 2)
    return TwoConvolutions(channels, features, num_classes, conv_dropout, hidden_dropout)
