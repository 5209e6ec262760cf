"""A run's training: there already, taken over from a run with the same training, gone on with, or done."""

import json
import logging
import time
from collections.abc import Callable, Iterator

from study import build
from study.files import locked
from study.identity import seeds
from study.prepare import Prepared
from study.record import RUNS, DamagedFileError, Record
from study.source import AVERAGED, TRAINING, checkpoint_files, checkpoint_name, updates
from study.training.checkpoints import TrainingState, encode_weights
from study.training.loop import Checkpoint, EpochRecord, TrainingOutcome, train

TRAINING_STATE = "training_state.json"
METRICS = ("train/", "test/", "weights/", "training/")  # what begins so, a training logs by epoch

log = logging.getLogger(__name__)


def train_once(prepared: Prepared, record: Record, on_epoch: Callable[[], object]) -> None:
    """See to it that the record holds its training whole, with as little work as can be.

    One process at a time trains a network: another that wants the same one waits, and takes it over.

    Args:
        prepared: the run.
        record: locked by the caller.
        on_epoch: called after each epoch, once its numbers are kept.
    """
    if is_trained(record):
        _drop_state(record)
        return
    training_hash = prepared.identity.training_hash
    lock = record.path.parent / ".locks" / f"training-{training_hash}.lock"

    def waiting() -> None:
        log.warning("another process trains the network of %s: waiting for it", record.path)

    with locked(lock, waiting=waiting):
        if prepared.config.reuse:
            _take_over(record, training_hash)
        if not is_trained(record):
            _train(prepared, record, on_epoch)


def is_trained(record: Record) -> bool:
    """Whether a record holds a training that has ended, whole and undamaged."""
    return record.holds(TRAINING) and _is_whole(record)


def _take_over(record: Record, training_hash: str) -> None:
    """Take over the furthest training of this hash that any record has, where it is ahead of this one."""
    others = sorted(_with_training(record, training_hash), key=_progress, reverse=True)
    for other in others:
        if _progress(other) <= _progress(record):
            return
        by_epoch = [point for point in other.metrics() if point.key.startswith(METRICS)]
        ended = other.holds(TRAINING)
        try:
            summary = other.read_json(TRAINING) if ended else {}
            record.take(other, [*checkpoint_files(other), *([] if ended else _state_files(other))])
        except DamagedFileError:
            continue  # it is being made anew by its own run; the next may be whole
        record.keep(by_epoch)
        if ended:
            record.write_json(TRAINING, {"trained_by": other.config_hash, **summary})
        log.warning("took over the training of run %s (reuse=false trains anew)", other.config_hash)
        return


def _with_training(record: Record, training_hash: str) -> Iterator[Record]:
    """The other records with this training."""
    for file in sorted(record.path.parent.glob("*/run.json")):
        name = file.parent.name
        try:
            tags = json.loads(file.read_bytes())["tags"]
        except (OSError, ValueError, KeyError):
            continue  # half-written or discarded a moment ago
        trained_here = tags.get("training_hash") == training_hash and "checkpoint" not in tags
        if trained_here and name != record.config_hash:
            yield Record.at(record.output_dir, name, RUNS)


def _progress(record: Record) -> float:
    """How far a record's training is: epochs that can be gone on from, infinite once it has ended."""
    if not _is_whole(record):
        return 0.0
    if record.holds(TRAINING):
        return float("inf")
    state = _kept_state(record)
    return 0.0 if state is None else float(state.epoch)


def _is_whole(record: Record) -> bool:
    """Whether what a training has left so far is undamaged."""
    return all(record.holds(name) for name in ("metrics.json", *checkpoint_files(record)))


def _train(prepared: Prepared, record: Record, on_epoch: Callable[[], object]) -> None:
    """Train; go on from the last finished epoch if there is one."""
    config, data, training = prepared.config, prepared.data, prepared.config.training
    # Anew, even where `prepared` has been trained with before.
    model = build.model(config.model, data, seeds(config)[0], training.device)
    resume = _kept_state(record) if _is_whole(record) else None
    if resume is not None:
        log.warning("going on with the training after epoch %d", resume.epoch)
    budget = build.budget(training, len(data.train))
    started = time.perf_counter()

    def on_checkpoint(checkpoint: Checkpoint) -> None:
        encoded = encode_weights(checkpoint.state, update=checkpoint.update, epoch=checkpoint.epoch)
        record.write(checkpoint_name(checkpoint.update), encoded)

    def keep_epoch(epoch: EpochRecord) -> None:
        record.log(epoch.values, step=epoch.epoch)
        on_epoch()

    outcome: TrainingOutcome = train(
        model,
        data.train,
        data.test,
        build.optimizer(config, model),
        task=data.task,
        budget=budget,
        schedule=build.schedule(training, budget.updates_per_epoch),
        batch_size=training.batch_size,
        order_seed=seeds(config)[1],
        branch=build.branch(config, len(data.train)),
        label_smoothing=training.label_smoothing,
        augmentation=build.augmentation(config.data),
        averaging=build.averaging(training, len(data.train)),
        stop_at_train_loss=training.stop_at_train_loss,
        checkpoint_every=training.checkpoint_every,
        on_checkpoint=on_checkpoint,
        on_epoch=keep_epoch,
        on_state=lambda state: _keep_state(record, state),
        resume=resume,
    )
    if outcome.averaged is not None:
        encoded = encode_weights(outcome.averaged, update=outcome.updates, epoch=outcome.epochs)
        record.write(AVERAGED, encoded)
    elif training.averaging.name != "none":
        log.warning(
            "no weights were averaged: the training ended before the first entered the average; "
            "see training.averaging.start_epoch"
        )
    record.write_json(
        TRAINING,
        {
            "updates": outcome.updates,
            "epochs": outcome.epochs,
            "diverged": outcome.diverged,
            "message": outcome.message,
            "stopped_early": outcome.stopped_early,
            "checkpoints": updates(record),
            "seconds": time.perf_counter() - started,
        },
    )
    _drop_state(record)
    if outcome.diverged:
        log.warning(
            "the training diverged: %s; a smaller optimizer.learning_rate or a warm-up "
            "(training.warmup_epochs) may keep it finite",
            outcome.message,
        )
    elif outcome.message:
        log.warning("the training stopped early: %s", outcome.message)


def _keep_state(record: Record, state: TrainingState) -> None:
    """Replace the rolling training state. Its JSON names its tensors, so the two always fit together."""
    before = _state_files(record)
    tensors, rest = state.encode()
    name = f"training_state_{state.epoch:06d}.safetensors"
    record.write(name, tensors)
    record.write_entries(TRAINING_STATE, {"tensors": name, **rest})
    for old in before:
        if old not in (name, TRAINING_STATE):
            record.remove(old)


def _drop_state(record: Record) -> None:
    """Remove what a training that has ended is gone on from: also where it was killed just before."""
    for name in _state_files(record):
        record.remove(name)


def _kept_state(record: Record) -> TrainingState | None:
    """The training state to go on from, if there is a whole one."""
    try:
        rest = record.read_json(TRAINING_STATE)
        return TrainingState.decode(record.read(rest["tensors"]), rest)
    except DamagedFileError:
        return None


def _state_files(record: Record) -> list[str]:
    return [name for name in record.files() if name.startswith("training_state")]
