"""Weights as tensors by name, and back."""

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from study.landscape.weights import Weights


def parameters_of(weights: Weights) -> dict[str, Tensor]:
    """The parameters by name, in the precision of the flat vector."""
    parameters = weights.layout.parameters
    parts = weights.flat.split([parameter.size for parameter in parameters])
    return {
        parameter.name: part.view(parameter.shape) for parameter, part in zip(parameters, parts, strict=True)
    }


def tensors_of(weights: Weights) -> dict[str, Tensor]:
    """Parameters and buffers by name."""
    return {**parameters_of(weights), **weights.buffers}


def holding(weights: Weights, tensors: Mapping[str, Tensor]) -> Weights:
    """Weights of the same layout that hold these tensors."""
    return replace(
        weights,
        flat=torch.cat([tensors[own.name].reshape(-1) for own in weights.layout.parameters]),
        buffers={name: tensors[name] for name in weights.buffers},
    )
