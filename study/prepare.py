"""A run before any work is spent: its objects built, its configuration refused or accepted, its identity."""

import copy
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from torch import nn

from study import build
from study.config import CustomModelConfig, DataConfig, MlflowConfig, ModelConfig, StudyConfig
from study.errors import ConfigError, in_one_line
from study.identity import Identity, identify, seeds
from study.keys import hashed
from study.kinds import KINDS
from study.landscape.weights import Layout
from study.paths import root
from study.record import Record
from study.source import Source, load_source
from study.tracking.tracker import without_credentials
from study.training.checkpoints import load_weights
from study.training.custom import own_code
from study.training.data import DataSet
from study.training.models import count_parameters


@dataclass(frozen=True)
class Prepared:
    """A run whose configuration is checked and whose objects stand, before any work is spent.

    Attributes:
        config: resolved.
        choices: of the configuration groups, kept so that the run can be composed again.
        data: both splits.
        model: with its initial weights.
        source: trained weights to look at; None if this run trains.
        identity: its hashes.
    """

    config: StudyConfig
    choices: dict[str, str]
    data: DataSet
    model: nn.Module
    source: Source | None
    identity: Identity

    @property
    def record(self) -> Record:
        """The run's folder."""
        return Record.at(self.config.output_dir, self.identity.config_hash)


def prepare(
    config: StudyConfig,
    choices: dict[str, str],
    load: Callable[[DataConfig], DataSet] = build.data_set,
) -> Prepared:
    """Build all that a run needs, and refuse what cannot work.

    Args:
        config: resolved.
        choices: of the configuration groups that it was composed from.
        load: gives the data.

    Raises:
        ConfigError: naming key, rule and value.
        ValueError: for data, custom code or weights that are not as they must be, in one line.
        OSError: for files that are missing.
    """
    _check_writable(config.output_dir)
    build.check_device(config.training.device)
    torch.set_num_threads(config.training.threads)
    init_seed, _order_seed = seeds(config)
    code = build.code_digests(config)
    data = load(config.data).to(config.training.device)
    model = build.model(config.model, data, init_seed, config.training.device)
    augmentation = build.augmentation(config.data)
    if augmentation is not None:
        augmentation(data.train.inputs[:1], torch.Generator())  # refuses what is no image, or too small
    build.optimizer(config, model)
    source = load_source(config.checkpoint, config.output_dir) if config.checkpoint else None
    if source is not None:
        load_weights(model, source.solution)
        for name, own in config.landscape.items():
            if KINDS[own.kind].needs_initialisation(own) and source.initialisation is None:
                rule = f"must name a run: landscape.{name} needs its initialisation, which a file has not"
                raise ConfigError("checkpoint", rule, config.checkpoint)
    _check_forward(config.model, model, data)
    _check_last_batch(model, data, config.training.batch_size)
    identity = identify(
        config,
        data_digest=data.digest,
        code_digests=code,
        checkpoint=source.digest if source else None,
        trained_here=source is None or source.record is not None,
        versions={"torch": torch.__version__},
    )
    return Prepared(config, choices, data, model, source, identity)


def about(prepared: Prepared) -> dict[str, Any]:
    """What the run is, for its record and its mirror."""
    config, data, source = prepared.config, prepared.data, prepared.source
    init_seed, order_seed = seeds(config)
    seed = str(init_seed) if init_seed == order_seed else f"{init_seed}/{order_seed}"
    name = " · ".join([
        config.model.name,
        data.name,
        config.optimizer.name,
        f"bs{config.training.batch_size}",
        f"seed {seed}",
    ])
    structured = shown(config)
    tags = {
        "config_hash": prepared.identity.config_hash,
        "training_hash": prepared.identity.training_hash,
        "study": getattr(config.tracking, "experiment", "study"),
        "git_commit": _git_commit(),
    }
    if source is not None:
        tags["checkpoint"] = source.label
    return {
        "name": name,
        "note": f"{name}; landscapes: {', '.join(config.landscape) or 'none'}. Its report is `report.md`.",
        "tags": {key: value for key, value in tags.items() if value},
        "choices": prepared.choices,
        "identity": prepared.identity.content,
        "landscapes": list(config.landscape),
        "parameters": count_parameters(prepared.model),
        "settings": flat(hashed(config)),
        "params": flat(OmegaConf.to_container(structured, resolve=True)),
        "data": [
            {
                "name": f"{data.name}/{split}",  # MLflow takes two of one name and digest for one
                "digest": data.digest[:32],
                "source": getattr(config.data, "root", data.name),
                "context": split,
                "profile": f'{{"examples": {len(examples)}, "input_shape": {list(data.input_shape)}}}',
            }
            for split, examples in (("train", data.train), ("test", data.test))
        ],
    }


def shown(config: StudyConfig) -> DictConfig:
    """The configuration as it may be kept and uploaded: without the credentials of a store."""
    structured = OmegaConf.structured(config)
    assert isinstance(structured, DictConfig)
    if isinstance(config.tracking, MlflowConfig) and config.tracking.uri is not None:
        structured.tracking.uri = without_credentials(config.tracking.uri)
    return structured


def flat(tree: Any, prefix: str = "") -> dict[str, Any]:
    """A nested configuration as one level, `training.batch_size`; lists stay whole."""
    if not isinstance(tree, dict) or not tree:
        return {prefix: tree}
    return {
        name: value
        for key, below in tree.items()
        for name, value in flat(below, f"{prefix}.{key}" if prefix else str(key)).items()
    }


def _git_commit() -> str:
    """The commit of the checkout that this code is, `-dirty` where files differ from it; else nothing."""
    if not (root() / "pyproject.toml").is_file():
        return ""  # an installed wheel, in whatever repository
    asked = ["git", "-C", str(root()), "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"]
    try:
        return subprocess.run(asked, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def _check_writable(output_dir: str) -> None:
    """Refuse a folder that nothing can be written to.

    Raises:
        ConfigError: naming the folder, and why.
    """
    try:
        Path(output_dir).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=output_dir):
            pass
    except OSError as error:
        rule = f"must be a folder that can be written to ({error.strerror})"
        raise ConfigError("output_dir", rule, output_dir) from error


def _check_forward(config: ModelConfig, model: nn.Module, data: DataSet) -> None:
    """Refuse a network whose weights cannot be looked at, or that does not give one logit a class.

    Raises:
        ConfigError: naming what it has or gives instead.
        ValueError: for whatever custom code raises, in one line.
    """
    examples = data.train.inputs[:2]
    try:
        Layout.of(model)
    except ValueError as error:
        raise ConfigError("model", f"must have weights to look at ({error})", config.name) from error
    asked = f" on {examples.dtype} inputs of shape {tuple(examples.shape)}"
    for training in (False, True):
        guard: AbstractContextManager[None] = nullcontext()
        if isinstance(config, CustomModelConfig):
            guard = own_code(config.path, "model.path", asked)
        with guard, torch.random.fork_rng(devices=[]), torch.inference_mode():
            given = copy.deepcopy(model).train(training)(examples.clone())
        shape = tuple(given.shape) if isinstance(given, torch.Tensor) else type(given).__name__
        if shape != (len(examples), data.num_classes):
            raise ConfigError("model", f"must give {data.num_classes} logits an example", shape)


def _check_last_batch(model: nn.Module, data: DataSet, batch_size: int) -> None:
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
