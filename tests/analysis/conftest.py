"""Networks whose symmetries are counted by hand, in double precision."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from study.landscape.weights import Weights
from study.models import initialise
from study.models.cnn import cnn
from study.models.mlp import mlp


class Block(nn.Module):
    """Two 3 x 3 convolutions with batch normalization beside a shortcut (He et al. 2016, figure 2).

    Where the number of channels grows, the shortcut is `1x1`, a convolution, or `A`: every second pixel, with
    channels of zeros added.
    """

    def __init__(self, channels: int, out: int, shortcut: str) -> None:
        super().__init__()
        stride = 1 if channels == out else 2
        self.conv1 = nn.Conv2d(channels, out, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.added, self.kept = out - channels, shortcut == "A"
        if self.added and not self.kept:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out)
            )

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        if self.added and self.kept:
            before = self.added // 2
            x = functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, before, self.added - before))
        elif self.added:
            x = self.shortcut(x)
        out += x
        return functional.relu(out)


class ResidualNetwork(nn.Module):
    """A stem of 4 channels, a block of 4, one that goes on to 6, global pooling."""

    def __init__(self, shortcut: str) -> None:
        super().__init__()
        self.stem = nn.Conv2d(2, 4, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(4)
        self.block1 = Block(4, 4, shortcut)
        self.block2 = Block(4, 6, shortcut)
        self.head = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.block2(self.block1(functional.relu(self.norm(self.stem(x)))))
        x = functional.adaptive_avg_pool2d(x, 1)
        return self.head(x.view(x.size(0), -1))


NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "mlp": (lambda: mlp((2, 5, 3), 3, [8, 6]), (2, 5, 3)),
    "mlp with batch normalization": (lambda: mlp((2, 5, 3), 3, [8, 6], "batch"), (2, 5, 3)),
    "cnn": (lambda: cnn((2, 8, 7), 5), (2, 8, 7)),
    "residual, 1x1": (lambda: ResidualNetwork("1x1"), (2, 6, 5)),
    "residual, option A": (lambda: ResidualNetwork("A"), (2, 6, 5)),
}


def drawn(build: Callable[[], nn.Module], seed: int) -> nn.Module:
    """A network in evaluation mode, none of whose biases, scales and running statistics is like another."""
    model = initialise(build, seed).double().eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for tensor in (*model.parameters(), *model.buffers()):
            if tensor.ndim == 1:
                tensor.copy_(0.5 + torch.rand(tensor.shape, generator=generator))
    return model


@pytest.fixture(params=NETWORKS)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def network(name: str) -> Callable[[int], nn.Module]:
    """The network of that name, as a function of its seed."""
    return lambda seed: drawn(NETWORKS[name][0], seed)


@pytest.fixture
def images(name: str) -> Tensor:
    """Inputs of four examples."""
    generator = torch.Generator().manual_seed(3)
    return torch.randn(4, *NETWORKS[name][1], generator=generator, dtype=torch.float64)


@pytest.fixture
def outputs() -> Callable[[nn.Module, Weights, Tensor], Tensor]:
    """What a network gives with other weights than its own."""

    def call(model: nn.Module, weights: Weights, inputs: Tensor) -> Tensor:
        with torch.no_grad():
            return functional_call(model, {**weights.named, **weights.buffers}, (inputs,))

    return call
