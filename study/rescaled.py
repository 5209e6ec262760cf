"""The solution at another scale before it is looked at: the same function elsewhere (Dinh et al. 2017)."""

import copy
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from study.analysis.symmetry import Group, alike_factors, rescale, rescaling_groups
from study.config import StudyConfig
from study.errors import ConfigError
from study.kinds import KINDS
from study.landscape.weights import Weights
from study.training.checkpoints import snapshot
from study.training.data import DataSet

KEY = "rescale"
FILE = "rescaled.safetensors"
"""Name of the rescaled solution in a record: no checkpoint, as no training passed there."""
STEM = "rescaling"
"""What the names of its metrics begin with."""
CHANGE, NORM = f"{STEM}/function_change", f"{STEM}/weights_norm"
"""Metrics: the largest change of an output over some examples, relative to the largest output; the L2 norm of
the weights looked at."""
EXAMPLES = 100
"""That it is read on: the first of the train split."""


def check_rescaling(config: StudyConfig, model: nn.Module, data: DataSet) -> tuple[Group, ...]:
    """The groups of units that are to be rescaled, none if nothing is.

    Raises:
        ConfigError: naming the key, if no unit can be rescaled, or for landscapes that the rescaled solution
            does not lie on.
    """
    if config.rescale == 1:
        return ()
    groups = _groups(model, data, config.rescale)
    for name, own in config.landscape.items():
        if KINDS[own.kind].needs(own) == "checkpoints":
            rule = f"must be 1 for landscape.{name}: no checkpoint is at the rescaled solution"
            raise ConfigError(KEY, rule, config.rescale)
    return groups


def rescaled(
    model: nn.Module, data: DataSet, state: Mapping[str, Tensor], groups: Iterable[Group], factor: float
) -> tuple[dict[str, Tensor], dict[str, float]]:
    """Weights at which every hidden activation that can be is `factor` times what it was.

    A layer behind which units are rescaled has its weights and biases multiplied, the next its weights
    divided: of a perceptron, the first layer is `factor` times as large, the last one `factor` times smaller,
    and of those between only the biases change.

    Args:
        model: the network; left as it was.
        data: whose inputs it is called with.
        state: parameters and buffers by name.
        groups: of its units that are rescaled.
        factor: positive.

    Returns:
        The new state, and by metric how much the function changed, which is what rounding does, and the norm.
    """
    weights = Weights.from_state(model, state)
    moved = rescale(weights, alike_factors(groups, factor))
    own = copy.deepcopy(model).eval()

    def outputs(at: Weights) -> Tensor:
        own.load_state_dict({**at.buffers, **at.named}, strict=False)
        with torch.inference_mode():
            return own(data.train.inputs[:EXAMPLES].clone())

    before, after = outputs(weights), outputs(moved)
    change = float((after - before).abs().max() / before.abs().max().clamp_min(1e-12))
    return snapshot(own), {CHANGE: change, NORM: float(moved.flat.double().norm())}


def _groups(model: nn.Module, data: DataSet, factor: float) -> tuple[Group, ...]:
    rule = "must be 1 for a network of which no hidden unit is known to keep its function when it is rescaled"
    try:
        groups = rescaling_groups(model, data.train.inputs[:2])
    except ValueError as error:
        raise ConfigError(KEY, f"must be 1 ({error})", factor) from error
    if not groups:
        raise ConfigError(KEY, rule, factor)
    return groups
