"""What every contestant of the benchmark is given: one network and one set of examples."""

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn
from torch.utils.data import Dataset, Subset
from torchvision import transforms
from torchvision.datasets import MNIST

from study.training.sources import from_torchvision


@dataclass(frozen=True, eq=False)
class Problem:
    """A network, and the examples whose mean cross-entropy is its loss.

    Attributes:
        model: gives logits (N, num_classes); in evaluation mode, on the CPU.
        inputs: prepared and resident, shape (N, ...), float32.
        targets: class of each example, shape (N,), int64.
        images: the same N examples in the same order, each decoded and transformed whenever it is read: pairs
            of an input and its class.
    """

    model: nn.Module
    inputs: Tensor
    targets: Tensor
    images: Dataset[tuple[Tensor, int]]


def mnist_problem(model: nn.Module, root: str | Path, count: int) -> Problem:
    """The first `count` test images of MNIST, normalised as the project's own `data=mnist` is.

    Args:
        model: takes images (N, 1, 28, 28).
        root: folder that holds `MNIST/raw`; nothing is downloaded.
        count: number of images N.

    Raises:
        ValueError: If `count` is not from 1 to the size of the test split.
        DataNotFoundError: If the files are absent or damaged.
    """
    folder = Path(root).expanduser()
    data = from_torchvision("mnist", folder, download=False)
    if not 1 <= count <= len(data.test):
        raise ValueError(f"count must be from 1 to {len(data.test)}, the number of test images, got {count}")
    black, white = (float(value) for value in data.train.inputs.aminmax())  # 0 and 1 to ToTensor
    scale = 1 / (white - black)
    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize(-black * scale, scale)])
    images = Subset(MNIST(folder, train=False, transform=transform), range(count))
    return Problem(model, data.test.inputs[:count], data.test.targets[:count], images)
