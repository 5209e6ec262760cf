"""From configuration to objects: one explicit choice for each name, no import of a configured target."""

from importlib.util import find_spec
from typing import cast

import torch
from torch import nn
from torch.optim import Optimizer

from study.config import (
    CustomDataConfig,
    DataConfig,
    DigitsConfig,
    ImagesConfig,
    StudyConfig,
    TableConfig,
    TorchvisionConfig,
)
from study.config_evaluation import ExecutorConfig, JoblibConfig, RayConfig
from study.config_training import (
    CosineConfig,
    EmaConfig,
    MilestonesConfig,
    StepConfig,
    SwaConfig,
    TrainingConfig,
)
from study.errors import ConfigError
from study.garbage import loading
from study.identity import branch_seed
from study.landscape.executors import Executor, Joblib, Ray, Serial
from study.models import CustomModelConfig, ModelConfig, initialise
from study.training import sources
from study.training.averaging import Averaging, Ema, Swa
from study.training.custom import source_digest
from study.training.data import Augmentation, DataSet, limit
from study.training.order import Branch
from study.training.schedules import (
    Budget,
    Constant,
    Cosine,
    Milestones,
    Schedule,
    Step,
    Warmup,
    scaled_learning_rate,
)
from study.training.tables import TABLES


def executor(config: ExecutorConfig) -> Executor:
    """Who computes the points of a landscape.

    Raises:
        ConfigError: if it is not installed.
    """
    match config:
        case RayConfig():
            if find_spec("ray") is None:
                raise ConfigError("executor", "must be installed: pip install 'landscape-study[ray]'", "ray")
            return Ray(config.workers, config.threads, config.address, config.gpus_per_worker)
        case JoblibConfig():
            return Joblib(config.workers, config.threads)
    return Serial()


def data_set(config: DataConfig) -> DataSet:
    """The data, prepared and cut to the sizes asked for.

    Raises:
        ValueError: if a size is above the set's, or custom data are not as they must be.
        FileNotFoundError: if files are missing and cannot be had.
    """
    match config:
        case DigitsConfig():
            data = sources.digits(config.image_size, config.test_fraction)
        case TorchvisionConfig():
            data = sources.from_torchvision(config.name, config.root, config.download)
        case TableConfig():
            data = TABLES[config.name](config.test_fraction)
        case CustomDataConfig():
            data = sources.custom(config.path, config.arguments)
        case _:
            raise ConfigError("data.name", "must be a data set known here", config.name)
    return limit(data, config.train_examples, config.test_examples)


def model(config: ModelConfig, data: DataSet, init_seed: int, device: str) -> nn.Module:
    """The network, with the initial weights of `init_seed`, on `device`.

    Raises:
        ConfigError: if it is too large for this machine, or holds no weights yet.
        ValueError: if the images are too small for it, or a custom model is not as it must be.
    """
    try:
        built = initialise(lambda: config.build(data.input_shape, data.task.outputs), init_seed)
        if any(tensor.is_meta for tensor in (*built.parameters(), *built.buffers())):
            raise ConfigError("model", "must hold its weights, not be on the device meta", config.name)
        network = built.to(device)
    except (RuntimeError, OverflowError, TypeError) as error:  # TypeError: beyond 64 bits
        rule = f"must be a network of {data.task.outputs} outputs that this machine can hold"
        raise ConfigError("model", rule, str(error).partition("\n")[0]) from error
    if any(isinstance(layer, nn.Conv2d) for layer in network.modules()):
        network = network.to(memory_format=torch.channels_last)  # faster on CPUs
    return network


def optimizer(config: StudyConfig, network: nn.Module) -> Optimizer:
    """The optimiser of the network's trainable parameters, its rate scaled with the batch size if asked.

    Raises:
        ConfigError: if no parameter is trainable.
    """
    training = config.training
    learning_rate = scaled_learning_rate(
        config.optimizer.base_rate,
        training.batch_size,
        training.reference_batch_size,
        training.scale_learning_rate,
    )
    trainable = [parameter for parameter in network.parameters() if parameter.requires_grad]
    if not trainable:
        raise ConfigError("model", "must have at least one parameter to train", config.model.name)
    with loading():  # with the first optimiser, PyTorch loads its compiler
        return config.optimizer.build(trainable, learning_rate)


def schedule(config: TrainingConfig, updates_per_epoch: int) -> Schedule:
    """The learning rate's course, with its warm-up."""
    own = config.schedule
    match own:
        case CosineConfig():
            course: Schedule = Cosine(own.final_factor)
        case StepConfig():
            course = Step(own.every_epochs, own.gamma)
        case MilestonesConfig():
            course = Milestones(tuple(own.epochs), own.gamma)
        case _:
            course = Constant()
    return Warmup(course, config.warmup_epochs, updates_per_epoch) if config.warmup_epochs else course


def budget(config: TrainingConfig, examples: int) -> Budget:
    """How many updates there are in all."""
    if config.steps is not None:
        return Budget.steps(config.steps, examples, config.batch_size)
    return Budget.epochs(cast(int, config.epochs), examples, config.batch_size)


def branch(config: StudyConfig, examples: int) -> Branch | None:
    """Where the training parts from those that share its beginning, or None.

    Raises:
        ConfigError: if that lies beyond the budget.
    """
    at, seed = config.training.branch_at, branch_seed(config)
    if at is None or seed is None:
        return None
    total = budget(config.training, examples).total_updates
    if at > total:
        raise ConfigError("training.branch_at", f"must be at most {total}, the updates of the budget", at)
    return Branch(at, seed)


def averaging(config: TrainingConfig, examples: int) -> Averaging | None:
    """Which weights are averaged beside training, or None.

    Raises:
        ConfigError: if the first of them lie beyond the budget.
    """
    own = config.averaging
    if not isinstance(own, EmaConfig | SwaConfig):
        return None
    total = budget(config, examples)
    whole = total.total_updates // total.updates_per_epoch
    if own.start_epoch > whole:
        rule = f"must be at most {whole}, the whole epochs of the budget"
        raise ConfigError("training.averaging.start_epoch", rule, own.start_epoch)
    return Ema(own.decay, own.start_epoch) if isinstance(own, EmaConfig) else Swa(own.start_epoch)


def augmentation(config: DataConfig) -> Augmentation | None:
    """What is done to training images, or None."""
    if not isinstance(config, ImagesConfig):
        return None
    own = config.augmentation
    return Augmentation(own.crop_padding, own.flip) if own.crop_padding or own.flip else None


def code_digests(config: StudyConfig) -> dict[str, str]:
    """By path, the digest of the source of custom code."""
    sections = {"data.path": config.data, "model.path": config.model}
    return {
        own.path: source_digest(own.path, key)
        for key, own in sections.items()
        if isinstance(own, CustomDataConfig | CustomModelConfig)
    }


def check_device(name: str) -> None:
    """Refuse a device that is not there.

    Raises:
        ConfigError: naming the device.
    """
    try:
        torch.empty(1, device=name).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ConfigError(
            "training.device", "must be a device of this machine, as cpu or cuda:0", name
        ) from error
