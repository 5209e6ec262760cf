"""The benchmark's networks with trained weights, so that surfaces mean something."""

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional

from benchmarks.networks import NETWORKS
from study.training.sources import from_torchvision

UPDATES, BATCH, RATE = 600, 64, 1e-3


def trained(name: str, root: str | Path, folder: Path) -> nn.Module:
    """A network of `NETWORKS` after `UPDATES` updates of Adam on MNIST, in evaluation mode.

    Args:
        name: of the network.
        root: folder that holds `MNIST/raw`.
        folder: where its weights are kept for the next time.
    """
    model = NETWORKS[name](0)
    file = folder / f"{name}.safetensors"
    if not file.is_file():
        _train(model, root)
        folder.mkdir(parents=True, exist_ok=True)
        save_file({key: tensor.contiguous() for key, tensor in model.state_dict().items()}, file)
    model.load_state_dict(load_file(file))
    return model.eval()


def _train(model: nn.Module, root: str | Path) -> None:
    examples = from_torchvision("mnist", Path(root).expanduser(), download=False).train
    optimizer = torch.optim.Adam(model.parameters(), RATE)
    generator = torch.Generator().manual_seed(0)
    model.train()
    for _ in range(UPDATES):
        batch = torch.randint(len(examples), (BATCH,), generator=generator)
        optimizer.zero_grad()
        functional.cross_entropy(model(examples.inputs[batch]), examples.targets[batch]).backward()
        optimizer.step()
