"""The peers: other people's ways to compute a random plane, each called as its own users call it.

None is helped and none is mended: directions, range, batches and the handling of the model are each peer's
own, and what it gets wrong is said here. So the planes are not one plane: what can be compared is the seconds
that a point takes. What a peer does once for a landscape, such as drawing its directions, is done within its
call. Directions come from torch's global generator, as theirs do: seed that to repeat a call.
"""

import copy
from collections.abc import Callable

import loss_landscape_3d
import loss_landscapes
import loss_landscapes.metrics
import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.problem import Problem

Peer = Callable[[Problem, int], np.ndarray]
"""Losses, shape (steps, steps), of a random plane of `steps` points an axis about the problem's model.

A loss is the mean cross-entropy in nats over all examples; the peer's first direction runs along rows. The
model is afterwards as it was.
"""


def listing_7(problem: Problem, steps: int) -> np.ndarray:
    """The contour plot of Vijayaraghavan 2021, Listing 7: the whole set as one batch at each point.

    The listing itself was not at hand when this was written. Known from the project's notes on it: α and β
    are linspace(−20, 20, 20), so there is no centre; the loss is that of the 10,000 test images as one batch.
    Reconstructed: δ and η are standard normal, not normalised; θ* + αδ + βη goes by `load_state_dict` into a
    second network; the forward pass runs under `no_grad`, the cheaper of the two possibilities. The text's
    negative log-likelihood of log-softmax is cross-entropy. Its network has no buffers; here they stay as
    they are. So far out a deep network overflows float32: its losses are inf or nan.

    Args:
        problem: what to evaluate.
        steps: points of an axis; the listing's is 20.
    """
    network = copy.deepcopy(problem.model)
    criterion = nn.CrossEntropyLoss()
    solution = problem.model.state_dict()
    delta, eta = (
        {name: torch.randn_like(parameter) for name, parameter in problem.model.named_parameters()}
        for _ in range(2)
    )

    def loss(alpha: float, beta: float) -> float:
        moved = {name: solution[name] + alpha * delta[name] + beta * eta[name] for name in delta}
        network.load_state_dict(solution | moved)
        with torch.no_grad():
            return criterion(network(problem.inputs), problem.targets).item()

    return _on_grid(loss, 20, steps)


def loss_landscapes_plane(problem: Problem, steps: int) -> np.ndarray:
    """`loss-landscapes` 3.0.6: `random_plane` of `metrics.Loss` over the whole set as one batch.

    The call is that of its README (section 2), `distance=10` and `deepcopy_model=True` those of its example
    notebook `core-features.ipynb`; without that copy the model is left moved and without gradients. Both
    directions are drawn from [0, 1) before they are normalised, so the first is positive throughout. Each
    entry of a bias is a filter of its own, and a bias that is zero throughout raises ZeroDivisionError.
    Weights are moved by accumulated steps. Rows 0, 2, … lie one step further along the second direction than
    rows 1, 3, …: for even `steps` the model itself is in row steps / 2, in the column of that number where it
    is odd and in the one before where it is even; for odd `steps` it is nowhere. A plane is ‖θ*‖ / distance
    wide, so a larger distance shows less.

    Args:
        problem: what to evaluate.
        steps: points of an axis.
    """
    metric = loss_landscapes.metrics.Loss(nn.CrossEntropyLoss(), problem.inputs, problem.targets)
    return loss_landscapes.random_plane(
        problem.model, metric, distance=10, steps=steps, normalization="filter", deepcopy_model=True
    )


def loss_landscape_3d_plane(problem: Problem, steps: int) -> np.ndarray:
    """`loss-landscape-3d` 0.1.3: `LossLandscapeCalculator.calculate`, as in its README's "Quickstart".

    Batches of 32 and [−1, 1]² are the README's, and so is `model.state_dict()` as the centre. Those are the
    very tensors that the calculator loads each point into, so that every point starts from the one before:
    only the first is where it is said to be, and the last is at the model. Running averages of batch
    normalization move too; where a variance turns negative the loss is nan. The model itself is moved, and
    restored at the end.

    Args:
        problem: what to evaluate.
        steps: points of an axis; the README's is 15.
    """
    loader = DataLoader(TensorDataset(problem.inputs, problem.targets), batch_size=32)
    axis = np.linspace(-1, 1, steps)
    first, second = loss_landscape_3d.generate_random_directions(problem.model, normalize=True)
    calculator = loss_landscape_3d.LossLandscapeCalculator(problem.model, loader, nn.CrossEntropyLoss())
    return calculator.calculate(axis, axis, first, second, center_state=problem.model.state_dict())


def loader(problem: Problem, steps: int) -> np.ndarray:
    """A loader of batch 128 with transforms of each image, as in the code of Li et al. 2018.

    Written after `plot_surface.py`, `evaluation.py` and `dataloader.py` of tomgoldstein/loss-landscape: two
    worker processes, started anew at each point by a fresh pass over the loader; loss sums over batches under
    `no_grad`; weights, not buffers, set at each point; filter-normalised directions that leave biases and
    batch normalization out, and [−1, 1]², as in that README's example of a contour plot. Left out: accuracy,
    the HDF5 file that is flushed after each point, MPI.

    Args:
        problem: what to evaluate.
        steps: points of an axis; that README's is 51.
    """
    network = copy.deepcopy(problem.model)
    criterion = nn.CrossEntropyLoss()
    batches = DataLoader(problem.images, batch_size=128, shuffle=False, num_workers=2)
    weights = [parameter.detach().clone() for parameter in network.parameters()]
    first, second = ([_filter_normalised(weight) for weight in weights] for _ in range(2))

    def loss(alpha: float, beta: float) -> float:
        for parameter, weight, one, two in zip(network.parameters(), weights, first, second, strict=True):
            parameter.data.copy_(weight + alpha * one + beta * two)
        total, count = 0.0, 0
        with torch.no_grad():
            for inputs, targets in batches:
                total += criterion(network(inputs), targets).item() * len(targets)
                count += len(targets)
        return total / count

    return _on_grid(loss, 1, steps)


PEERS: dict[str, Peer] = {
    "listing_7": listing_7,
    "loss-landscapes": loss_landscapes_plane,
    "loss-landscape-3d": loss_landscape_3d_plane,
    "loader": loader,
}
"""By name in the table, the function that evaluates a plane."""


def _on_grid(loss: Callable[[float, float], float], reach: float, steps: int) -> np.ndarray:
    """The loss on `steps` points an axis from −reach to reach, shape (steps, steps); α along rows."""
    axis = np.linspace(-reach, reach, steps).tolist()
    return np.array([[loss(alpha, beta) for beta in axis] for alpha in axis])


def _filter_normalised(weight: Tensor) -> Tensor:
    """A normal direction whose filters (dim 0) have the norms of the weight's; zero for a bias or a norm."""
    if weight.ndim <= 1:
        return torch.zeros_like(weight)
    direction = torch.randn_like(weight)
    ratio = weight.flatten(1).norm(dim=1) / direction.flatten(1).norm(dim=1)
    return direction * ratio.reshape(-1, *[1] * (weight.ndim - 1))
