"""Our own data and our own network: two spirals in the plane, and a perceptron that parts them."""

import torch
from torch import Tensor, nn


def load(examples: int, noise: float) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Points on two spirals, with Gaussian noise: as many to train on as to test."""
    generator = torch.Generator().manual_seed(0)
    turn = 10.0 * torch.rand(2 * examples, generator=generator).sqrt()
    arm = torch.arange(2 * examples) % 2
    angle = turn + torch.pi * arm
    points = torch.stack([turn * angle.cos(), turn * angle.sin()], dim=1)
    points += noise * torch.randn(points.shape, generator=generator)
    return (points[:examples], arm[:examples]), (points[examples:], arm[examples:])


class Net(nn.Module):
    """A perceptron. `study` passes `num_classes` by its name, and `input_shape` where it is taken."""

    def __init__(self, width: int, num_classes: int):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(2, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, num_classes)
        )

    def forward(self, points: Tensor) -> Tensor:
        """Logits, (N, num_classes)."""
        return self.layers(points)
