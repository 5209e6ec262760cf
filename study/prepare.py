"""A run before any work is spent: its objects built, its configuration refused or accepted, its identity."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from study import build
from study.analysis.symmetry import Group, permutation_groups
from study.config import DataConfig, StudyConfig
from study.errors import ConfigError
from study.identity import Identity, identify, seeds
from study.kinds import KINDS
from study.landscape.direction_files import load_direction
from study.landscape.weights import Layout, Weights
from study.partner import is_partner, partner_configs
from study.record import Record
from study.rescaled import check_rescaling
from study.source import Source, load_source, updates
from study.training.checkpoints import load_weights
from study.training.data import DataSet
from study.training.tasks import Classification
from study.trial import check_forward, check_last_batch, check_state


@dataclass(frozen=True)
class Prepared:
    """A run whose configuration is checked and whose objects stand, before any work is spent.

    Attributes:
        config: resolved.
        choices: of the configuration groups, kept so that the run can be composed again.
        data: both splits.
        model: with its initial weights.
        source: trained weights to look at; None if this run trains.
        named: other trained weights that its landscapes name, by those words.
        rescaled: the groups of units that `rescale` multiplies.
        partners: the runs that reach the solutions of other seeds which they name, likewise.
        identity: its hashes.
    """

    config: StudyConfig
    choices: dict[str, str]
    data: DataSet
    model: nn.Module
    source: Source | None
    named: dict[str, Source]
    rescaled: tuple[Group, ...]
    partners: dict[str, "Prepared"]
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
    _check_task(config, data)
    build.optimizer(config, model)
    build.branch(config, len(data.train))
    build.averaging(config.training, len(data.train))
    build.executor(config.executor)
    check_state(config.model, model, data, init_seed, config.training.device)
    source = load_source(config.checkpoint, config.output_dir) if config.checkpoint else None
    if source is not None:
        _check_weights("checkpoint", str(config.checkpoint), model, source)
        load_weights(model, source.solution)
        for name, own in config.landscape.items():
            needed = KINDS[own.kind].needs(own)
            if needed and source.record is None:
                rule = f"must name a run: landscape.{name} needs its {needed}, which a file has not"
                raise ConfigError("checkpoint", rule, config.checkpoint)
            if needed == "checkpoints" and source.update is None:
                rule = f"must be a checkpoint of training for landscape.{name}: averaged weights end no path"
                raise ConfigError("checkpoint", rule, config.checkpoint)
    check_forward(config.model, model, data, trained=source is not None)
    check_last_batch(model, data, config.training.batch_size)
    _check_checkpoints(config, source, len(data.train))
    named = _load_named(config, model)
    partners = {
        words: prepare(own, choices, lambda _config: data)
        for words, own in partner_configs(config, source).items()
    }
    groups = check_rescaling(config, model, data)
    files = _read_files(config, model)
    identity = identify(
        config,
        data_digest=data.digest,
        code_digests=code,
        model_files=config.model.file_digests(),
        checkpoint=source.digest if source else None,
        named={words: own.digest for words, own in named.items()}
        | {words: own.identity.training_hash for words, own in partners.items()}
        | files,
        trained_here=source is None or source.record is not None,
        versions={"torch": torch.__version__},
    )
    prepared = Prepared(config, choices, data, model, source, named, groups, partners, identity)
    _check_places(prepared)
    return prepared


def _check_task(config: StudyConfig, data: DataSet) -> None:
    """Refuse what the data do not allow in training: random changes of what is no image, smoothed numbers.

    Raises:
        ConfigError: naming the key.
        ValueError: if images are too small to be augmented.
    """
    augmentation = build.augmentation(config.data)
    if augmentation is not None:
        if data.train.inputs.ndim != 4:
            rule = f"must do nothing to inputs that are no images (C, H, W), but {data.input_shape}"
            raise ConfigError("data.augmentation", rule, augmentation)
        augmentation(data.train.inputs[:1], torch.Generator())
    smoothing = config.training.label_smoothing
    if smoothing and not isinstance(data.task, Classification):
        raise ConfigError("training.label_smoothing", "must be 0 where targets are no classes", smoothing)


def _check_checkpoints(config: StudyConfig, source: Source | None, examples: int) -> None:
    """Refuse landscapes of checkpoints of which there will be too few.

    Raises:
        ConfigError: naming the key that makes them so few.
    """
    for name, own in config.landscape.items():
        kind = KINDS[own.kind]
        if kind.needs(own) != "checkpoints":
            continue
        fewest = kind.fewest_checkpoints
        rule = f"must leave at least {fewest} checkpoints for landscape.{name}"
        if source is None:
            if _checkpoints_kept(config, examples, fewest) < fewest:
                raise ConfigError("training.checkpoint_every", rule, config.training.checkpoint_every)
        elif source.record is not None and len(updates(source.record, source.update)) < fewest:
            raise ConfigError("checkpoint", rule, config.checkpoint)


def _checkpoints_kept(config: StudyConfig, examples: int, enough: int) -> int:
    """How many checkpoints the training will keep; of more than `enough` not all are counted."""
    budget, branch = build.budget(config.training, examples), build.branch(config, examples)
    every = config.training.checkpoint_every or budget.updates_per_epoch
    kept = {*range(0, min(budget.total_updates, enough * every), every), budget.total_updates}
    return len(kept | ({branch.update} if branch is not None else set()))


def _load_named(config: StudyConfig, model: nn.Module) -> dict[str, Source]:
    """The trained weights that landscapes name, by the words that name them.

    Raises:
        ConfigError: naming the key, if there are none, or they are of another network.
    """
    named = {}
    for name, own in config.landscape.items():
        for entry, words in own.weights_named.items():
            if is_partner(words):
                continue
            key = f"landscape.{name}.{entry}"
            named[words] = load_source(words, config.output_dir, key)
            _check_weights(key, words, model, named[words])
    return named


def _check_weights(key: str, words: str, model: nn.Module, source: Source) -> None:
    """Refuse trained weights of another network, or with entries that are no numbers.

    Raises:
        ConfigError: naming the key.
    """
    rule = "must be weights of this network, not of another architecture"
    try:
        Weights.from_state(model, source.solution)
    except ValueError as error:
        raise ConfigError(key, f"{rule} ({error})", words) from error
    kept = model.state_dict()
    for name, tensor in source.solution.items():
        if name not in kept:
            raise ConfigError(key, f"{rule} (it has no {name!r})", words)
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise ConfigError(key, f"must hold finite weights, {name!r} has others", words)


def _check_places(prepared: Prepared) -> None:
    """Refuse landscapes between weights that are one, of units that cannot be matched, along too many axes.

    Raises:
        ConfigError: naming the key.
    """
    source, model, data = prepared.source, prepared.model, prepared.data
    for name, own in prepared.config.landscape.items():
        words = own.weights_named.values()
        sources = [prepared.named[each] for each in words if each in prepared.named]
        sources += [source] if source is not None and own.meets_solution else []
        digests = [Weights.from_state(model, each.solution).digest for each in sources]
        trainings = [prepared.partners[each].identity.training_hash for each in words if is_partner(each)]
        trainings += [each.training_hash for each in sources if each.training_hash is not None]
        if source is None and own.meets_solution and prepared.config.rescale == 1:
            trainings.append(prepared.identity.training_hash)
        if len(set(digests)) < len(digests) or len(set(trainings)) < len(trainings):
            said = ", ".join(words)
            raise ConfigError(f"landscape.{name}", "must be between different weights", said)
        if getattr(own, "align", False):
            try:
                permutation_groups(model, data.train.inputs[:2])
            except ValueError as error:
                raise ConfigError(f"landscape.{name}.align", f"must be false ({error})", True) from error
        most = max((spec.rank or 0 for spec in getattr(own, "specs", [])), default=0)
        if most > Layout.of(model).size:
            rule = f"must name one of {Layout.of(model).size} eigenvectors"
            raise ConfigError(f"landscape.{name}.directions", rule, f"eigenvector:{most}")


def _read_files(config: StudyConfig, model: nn.Module) -> dict[str, str]:
    """Digests of the files of directions that landscapes name, by their paths.

    Raises:
        ConfigError: naming the key, if one cannot be read, or is of another network.
    """
    digests = {}
    for name, own in config.landscape.items():
        for entry, path in own.files_named:
            try:
                digests[path] = load_direction(path, Layout.of(model)).provenance["sha256"]
            except ValueError as error:
                rule = f"must be a direction for this network ({error})"
                raise ConfigError(f"landscape.{name}.{entry}", rule, path) from error
    return digests


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
