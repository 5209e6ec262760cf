"""Networks, data and closed forms shared by the tests of `study.landscape`."""

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor, nn

LossFunction = Callable[[Tensor, Tensor], Tensor]


class LeastSquares:
    """Linear regression on 11 examples in float64, and its loss in closed form, by NumPy alone."""

    def __init__(self) -> None:
        rng = np.random.default_rng(7)
        self.x = rng.normal(size=(11, 3))
        self.y = rng.normal(size=(11, 2))
        self.theta = rng.normal(size=(2, 3))
        self.other = rng.normal(size=(2, 3))

    def model(self, theta: np.ndarray) -> nn.Module:
        layer = nn.Linear(3, 2, bias=False, dtype=torch.float64)
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(theta))
        return layer

    @property
    def data(self) -> list[tuple[Tensor, Tensor]]:
        return [(torch.from_numpy(self.x), torch.from_numpy(self.y))]

    @staticmethod
    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        return ((outputs - targets) ** 2).sum(dim=1)

    def example_losses(self, theta: np.ndarray) -> np.ndarray:
        return ((self.x @ theta.T - self.y) ** 2).sum(axis=1)

    def value(self, theta: np.ndarray) -> float:
        """The mean as trace(Θ Σ Θᵀ − 2 Θ C + D): no loop over examples, no forward pass."""
        n = len(self.x)
        second, cross = self.x.T @ self.x / n, self.x.T @ self.y / n
        return float(np.trace(theta @ second @ theta.T) - 2 * np.trace(theta @ cross) + (self.y**2).sum() / n)


@pytest.fixture(scope="module", autouse=True)
def _one_thread(one_thread: None) -> None:
    """Networks this small are only slowed by a second thread."""


@pytest.fixture
def least_squares() -> LeastSquares:
    return LeastSquares()


@pytest.fixture
def cross_entropy() -> LossFunction:
    return partial(nn.functional.cross_entropy, reduction="none")


@pytest.fixture
def mlp() -> Callable[..., nn.Sequential]:
    """A ReLU network with biases, 5 → 7 → 6 → 3."""

    def make(seed: int = 0, *, bias: bool = True, dtype: torch.dtype = torch.float32) -> nn.Sequential:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return nn.Sequential(
                nn.Linear(5, 7, bias=bias),
                nn.ReLU(),
                nn.Linear(7, 6, bias=bias),
                nn.ReLU(),
                nn.Linear(6, 3, bias=bias),
            ).to(dtype)

    return make


@pytest.fixture
def vectors() -> Callable[..., tuple[Tensor, Tensor]]:
    """Inputs (n, 5) and classes (n,) of 3."""

    def make(n: int = 75, seed: int = 1, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(seed)
        inputs = torch.randn(n, 5, generator=generator, dtype=torch.float64).to(dtype)
        return inputs, torch.randint(0, 3, (n,), generator=generator)

    return make


@pytest.fixture
def convnet() -> Callable[..., nn.Sequential]:
    """Two convolutions and a linear layer on images (2, 6, 5), with batch normalization if asked for."""

    def make(seed: int = 0, *, norm: bool = False, bias: bool = True) -> nn.Sequential:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            first = [nn.Conv2d(2, 4, 3, bias=bias), *([nn.BatchNorm2d(4)] if norm else []), nn.ReLU()]
            second = [nn.Conv2d(4, 3, 2, bias=bias), *([nn.BatchNorm2d(3)] if norm else []), nn.ReLU()]
            return nn.Sequential(*first, *second, nn.Flatten(), nn.Linear(18, 3, bias=bias))

    return make


@pytest.fixture
def images() -> Callable[..., tuple[Tensor, Tensor]]:
    """Inputs (n, 2, 6, 5) and classes (n,) of 3."""

    def make(n: int = 40, seed: int = 2) -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(seed)
        inputs = 1.5 * torch.randn(n, 2, 6, 5, generator=generator) + 0.4
        return inputs, torch.randint(0, 3, (n,), generator=generator)

    return make
