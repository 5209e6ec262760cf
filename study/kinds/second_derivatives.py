"""Directions that follow from the loss at the solution: its gradient, and eigenvectors of its Hessian."""

import math
from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from torch import Tensor

from study.errors import ConfigError, need_curvlinops
from study.kinds.base import LandscapeConfig, Trained
from study.landscape.direction_files import load_direction
from study.landscape.direction_spec import DirectionSpec
from study.landscape.directions import Direction, difference, given
from study.landscape.eigenpairs import End, top_eigenpairs
from study.landscape.hessian import Objective

RESIDUAL = 1e-3  # of an eigenvector, relative to the largest magnitude; its eigenvalue errs by the square
NUMBERS = "eigenvalue, residual, slope"  # kept beside the vector's tensors; no parameter has such a name


def check_second_derivatives(config: LandscapeConfig, name: str) -> None:
    """Refuse what a landscape by the Hessian cannot have.

    Raises:
        ConfigError: if the extra is missing, or statistics follow the point: the Hessian is of the loss at
            fixed ones.
    """
    need_curvlinops(f"{name}.kind", config.kind)
    if config.batch_statistics == "recomputed":
        rule = "must be frozen: the Hessian is the loss's at fixed statistics"
        raise ConfigError(f"{name}.batch_statistics", rule, config.batch_statistics)


def objective(config: LandscapeConfig, trained: Trained) -> Objective:
    """The mean loss over the training examples that the landscape reads, or would read."""
    read = trained.data.train.subset(config.examples, config.subset_seed)
    return Objective(trained.model, trained.data.task.loss, read.inputs, read.targets)


def eigenvectors(config: LandscapeConfig, trained: Trained, ranks: Sequence[int]) -> list[Direction]:
    """The Hessian's eigenvectors by the ranks of their eigenvalues: 1 is the largest, −1 the smallest.

    Of unit length; the provenance of each has the eigenvalue, its residual and the slope of the loss along
    it.

    Raises:
        ValueError: if a product with the Hessian is not finite.
    """
    layout = trained.solution.layout

    def find() -> dict[str, Tensor]:
        loss = objective(config, trained)
        hessian, gradient = loss.hessian(trained.solution), loss.gradient(trained.solution).double()
        found = {}
        for end, own in (("LA", [rank for rank in ranks if rank > 0]), ("SA", [-1] if -1 in ranks else [])):
            if not own:
                continue
            pairs = top_eigenpairs(hessian, max(map(abs, own)), cast(End, end), tolerance=RESIDUAL)
            for rank in own:
                at = abs(rank) - 1
                vector = torch.from_numpy(pairs.vectors[at])
                numbers = [pairs.values[at], pairs.residuals[at], float(gradient.cpu() @ vector)]
                found[f"{rank}|{NUMBERS}"] = torch.tensor(numbers, dtype=torch.float64)
                views = layout.views(vector.to(trained.solution.flat))
                found |= {f"{rank}|{name}": tensor for name, tensor in views.items()}
        return found

    kept = trained.keep(f"eigenvectors_{'_'.join(map(str, ranks))}", find)
    directions = []
    for rank in ranks:
        own = {name.partition("|")[2]: tensor for name, tensor in kept.items() if name.startswith(f"{rank}|")}
        eigenvalue, residual, slope = own[NUMBERS].tolist()
        if not math.isfinite(eigenvalue):
            raise ValueError("the Hessian at the solution must be finite, a product with it is not")
        about = {"rank": rank, "eigenvalue": eigenvalue, "residual": residual, "slope": slope}
        directions.append(given(layout.flatten(own).to(trained.solution.flat), "eigenvector", about))
    return directions


def configured(spec: DirectionSpec, config: LandscapeConfig, trained: Trained) -> Direction:
    """A direction that is neither drawn nor an eigenvector, as `DirectionSpec` reads it.

    The gradient is of unit length; a difference and a file are as they are.

    Raises:
        ValueError: if there is no such direction.
    """
    match spec.kind:
        case "difference":
            assert trained.initialisation is not None  # `needs` is checked before work starts
            return difference(trained.initialisation, trained.solution)
        case "gradient":

            def find() -> dict[str, Tensor]:
                gradient = objective(config, trained).gradient(trained.solution)
                return trained.solution.layout.views(gradient)

            kept = trained.solution.layout.flatten(trained.keep("gradient", find))
            return given(kept.to(trained.solution.flat), "gradient", {})
        case _:
            return load_direction(str(spec.path), trained.solution.layout)


def quadratic(about: dict[str, float], at: np.ndarray, loss: float) -> np.ndarray:
    """L(θ*) + (gᵀv) α + ½ λ α², what slope and eigenvalue predict along an eigenvector v, shape of `at`."""
    return loss + about["slope"] * at + 0.5 * about["eigenvalue"] * at**2
