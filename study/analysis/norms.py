"""Norms of a network's weights that stand for its capacity, and its distance from where it began."""

import numpy as np
import torch

from study.landscape.hessian import Objective
from study.landscape.weights import Weights, check_layouts


def distance_from_initialisation(weights: Weights, initialisation: Weights) -> dict[str, float]:
    """‖θ* − θ₀‖₂ over all parameters, and over ‖θ₀‖₂ as `relative` (Neyshabur et al. 2019).

    A rescaling of the layers of a ReLU network at the minimum alone changes it.

    Args:
        weights: θ*.
        initialisation: θ₀, of the same network.

    Raises:
        ValueError: if the two have different parameters.
    """
    check_layouts([weights, initialisation])
    step = weights.flat.double() - initialisation.flat.double().to(weights.flat.device)
    distance = float(torch.linalg.vector_norm(step))
    start = initialisation.norm
    return {"distance": distance, "relative": distance / start if start > 0 else np.inf}


def fisher_rao_norm(objective: Objective, weights: Weights) -> float:
    """√⟨θ, I(θ) θ⟩ with I(θ) = E[∇ℓ ∇ℓᵀ] over the examples and their own targets, in the loss's unit.

    Liang et al. 2019, definition 2: the expectation is over the data, not over targets that the model draws
    (which is the Fisher information proper). It is √E[(θᵀ ∇ℓ)²], one derivative along θ for each example; for
    a ReLU network of L weight layers without biases that is L √E[⟨∂ℓ/∂f, f⟩²] (their theorem 3.1), for
    others the definition is computed as it stands. No rescaling of a ReLU network changes it. Where a loss or
    its derivative is not finite it is infinite.

    Args:
        objective: a loss that gives a value for each example; the mean is over all of its examples.
        weights: θ.

    Raises:
        ValueError: if the loss gives no value for each example.
    """
    mean = float(objective.slopes(weights, weights.flat).square().mean())
    return float(np.sqrt(mean)) if np.isfinite(mean) else np.inf
