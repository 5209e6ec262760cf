"""A network tried on a few examples before any work is spent: what it is, and what it gives."""

import copy
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn

from study import build
from study.errors import ConfigError, in_one_line
from study.landscape.network import MORE_CALLS, same_outputs
from study.landscape.weights import Layout
from study.models import CustomModelConfig, ModelConfig
from study.training.checkpoints import snapshot
from study.training.custom import own_code
from study.training.data import DataSet


def check_state(config: ModelConfig, model: nn.Module, data: DataSet, init_seed: int, device: str) -> None:
    """Refuse a network whose weights cannot be looked at, kept or trained, or that a seed does not give.

    Args:
        config: of the network.
        model: as it was built.
        data: that it was built for.
        init_seed: that it was built with.
        device: where it is.

    Raises:
        ConfigError: naming what it has instead.
        ValueError: for whatever custom code raises, in one line.
    """
    try:
        Layout.of(model)
    except ValueError as error:
        raise ConfigError("model", f"must have weights to look at ({error})", config.name) from error
    try:
        snapshot(model)
    except ValueError as error:
        raise ConfigError("model", f"must have a state that can be kept ({error})", config.name) from error
    for name, tensor in model.named_parameters():
        if tensor.is_inference():
            rule = f"must have weights that can be trained ({name!r} was made in inference mode)"
            raise ConfigError("model", rule, config.name)
        if any(size > 1 and step == 0 for size, step in zip(tensor.shape, tensor.stride(), strict=True)):
            rule = f"must have weights that can be trained ({name!r} is one entry repeated, as by expand)"
            raise ConfigError("model", rule, config.name)
    if isinstance(config, CustomModelConfig):
        again = build.model(config, data, init_seed, device)
        if {id(own) for own in model.parameters()} & {id(own) for own in again.parameters()}:
            raise ConfigError("model.path", "must make a new network each time it is called", config.path)
        if not _same_weights(dict(model.named_parameters()), again):
            rule = "must draw its weights from torch's generator alone: one seed gave two networks"
            raise ConfigError("model.path", rule, config.path)


def check_forward(config: ModelConfig, model: nn.Module, data: DataSet, trained: bool) -> None:
    """Refuse a network that does not give what the task asks for, gives it once only, or cannot be trained.

    Args:
        config: of the network.
        model: the network.
        data: that it is for; two of its examples are tried, and three.
        trained: whether it holds weights that were trained: only others have to give finite outputs.

    Raises:
        ConfigError: naming what it has or gives instead.
        ValueError: for whatever custom code raises, in one line.
    """
    try:
        network = copy.deepcopy(model).eval()
    except Exception as error:  # whatever custom code may hold
        raise ConfigError(
            "model", f"must be one that can be copied ({in_one_line(error)})", config.name
        ) from error
    with torch.random.fork_rng(devices=[]), torch.inference_mode():  # one fork: later calls draw anew
        before = torch.get_rng_state()
        first = _outputs(config, network, data, 2)
        calls = 1 if torch.equal(before, torch.get_rng_state()) else MORE_CALLS
        others = [_outputs(config, network, data, 2) for _ in range(calls)]
        _outputs(config, network, data, 3)
    if not _same_weights(dict(model.named_parameters()), network):
        raise ConfigError("model", "must leave its weights as they are when it is called", config.name)
    if not all(same_outputs(first, again) for again in others):
        raise ConfigError(
            "model", "must give the same outputs for the same inputs, but in training", config.name
        )
    if not trained and not first.isfinite().all():
        value = float(first[~first.isfinite()][0])
        raise ConfigError("model", "must give finite outputs with its first weights", value)
    with torch.random.fork_rng(devices=[]):
        outputs = _outputs(config, copy.deepcopy(model).train(), data, 2)
    if not outputs.requires_grad:
        raise ConfigError("model", "must give outputs that depend on weights to train", config.name)
    with _guard(config, data, 2):
        data.task.minimised(outputs, data.train.targets[:2], 0.0).backward()


def check_last_batch(model: nn.Module, data: DataSet, batch_size: int) -> None:
    """Refuse a last batch of one example where batch normalization has then nothing to average.

    Raises:
        ConfigError: naming the batch size.
    """
    if len(data.train) % batch_size != 1 and batch_size != 1:
        return
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            copy.deepcopy(model).train()(data.train.inputs[:1].clone())
    except Exception as error:  # whatever custom code may raise
        why = in_one_line(error)
        rule = f"must not leave a batch of one of {len(data.train)} examples to this network ({why})"
        raise ConfigError("training.batch_size", rule, batch_size) from error


def _outputs(config: ModelConfig, network: nn.Module, data: DataSet, count: int) -> Tensor:
    """What a network gives for the first so many examples.

    Raises:
        ConfigError: if that is no number for each of the task's outputs.
        ValueError: for whatever custom code raises, in one line.
    """
    examples = data.train.inputs[:count].clone()
    with _guard(config, data, count):
        outputs = network(examples)
    shape = tuple(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__
    if shape != (len(examples), data.task.outputs):
        raise ConfigError("model", f"must give {data.task.outputs} outputs an example", shape)
    if not outputs.is_floating_point():
        raise ConfigError("model", "must give floating-point outputs", str(outputs.dtype))
    return outputs


def _guard(config: ModelConfig, data: DataSet, count: int) -> AbstractContextManager[None]:
    """Within, a network is called with so many examples: what own code raises is one line."""
    if not isinstance(config, CustomModelConfig):
        return nullcontext()
    inputs = data.train.inputs
    asked = f" on {inputs.dtype} inputs of shape {(min(count, len(inputs)), *inputs.shape[1:])}"
    return own_code(config.path, "model.path", asked)


def _same_weights(weights: dict[str, Tensor], network: nn.Module) -> bool:
    """Whether a network has these parameters, to the bit."""
    own = dict(network.named_parameters())
    return own.keys() == weights.keys() and all(
        torch.allclose(own[name].detach(), tensor.detach(), rtol=0, atol=0, equal_nan=True)
        for name, tensor in weights.items()
    )
