"""One run, start to finish: train, look, keep, mirror."""

import logging
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

import torch
from omegaconf import OmegaConf
from tqdm import tqdm

from study import build, report
from study.config import MlflowConfig, StudyConfig, TrackingConfig
from study.identity import seeds
from study.kinds import LandscapeConfig, Trained
from study.landscape.result import Landscape
from study.landscape.weights import Weights
from study.look import look
from study.prepare import Prepared, about, shown
from study.record import DamagedFileError, Record, State
from study.source import TRAINING, checkpoint_name
from study.tracking.tracker import NullTracker, PatientTracker, Tracker
from study.training.checkpoints import TrainingState, decode_weights, encode_weights, load_weights
from study.training.loop import Checkpoint, EpochRecord, TrainingOutcome, train

log = logging.getLogger(__name__)

TRAINING_STATE = "training_state.json"


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        record: its folder.
        state: its last state.
        reused: whether it was finished before, and nothing was done.
        tracking: address of the store it is mirrored to, or None.
    """

    record: Record
    state: State
    reused: bool
    tracking: str | None


def run(prepared: Prepared) -> Outcome:
    """Do what the configuration asks for, and keep and mirror it. What is finished already is not repeated.

    Raises:
        KeyboardInterrupt: passed on, once the run is marked as killed.
        Exception: passed on, once the run is marked as failed and its traceback kept.
    """
    record = prepared.record
    tracker = PatientTracker(make_tracker(prepared.config.tracking, prepared.config.output_dir))
    with record.lock(waiting=lambda: log.warning("another process works on %s: waiting", record.path)):
        if not prepared.config.reuse:
            record.discard()
        if record.state is State.FINISHED and _is_whole(record, prepared.config):
            mirrored = tracker.mirror(record)
            return Outcome(record, State.FINISHED, True, tracker.address() if mirrored else None)
        try:
            if not record.holds("run.json"):
                record.create(about(prepared))
            if not record.holds("config.yaml"):
                record.write("config.yaml", OmegaConf.to_yaml(shown(prepared.config)))
            record.set_state(State.RUNNING)
            tracker.mirror(record)
            diverged = _work(prepared, record, tracker)
            tags = {"diverged": diverged} if diverged else {}
            record.remove("error.txt")
            record.set_state(State.RUNNING, **tags)  # the report reads them
            record.write("report.md", report.run_page(record, prepared.config))
        except KeyboardInterrupt:
            record.set_state(State.KILLED)
            tracker.mirror(record)
            raise
        except BaseException as error:
            record.write("error.txt", traceback.format_exc())
            record.set_state(State.FAILED, message=" ".join(str(error).split())[:500])
            tracker.mirror(record)
            raise
        record.set_state(State.FINISHED, **tags)
        try:
            mirrored = tracker.mirror(record)
        except KeyboardInterrupt:  # finished it is: the mirror must not say that it runs
            tracker.mirror(record)
            raise
    return Outcome(record, State.FINISHED, False, tracker.address() if mirrored else None)


def make_tracker(config: TrackingConfig, output_dir: str) -> Tracker:
    """The tracker that the configuration asks for."""
    if isinstance(config, MlflowConfig):
        from study.tracking.mlflow_tracker import MlflowTracker

        return MlflowTracker(config.uri, output_dir, config.experiment, config.upload_checkpoints)
    return NullTracker()


def _work(prepared: Prepared, record: Record, tracker: Tracker) -> str | None:
    """Train and look. Returns why the training diverged, if it did."""
    config = prepared.config
    torch.set_num_threads(config.training.threads)
    if prepared.source is None:
        _train(prepared, record, tracker)
        summary = record.read_json(TRAINING)
        if summary["diverged"]:
            return str(summary["message"])
        updates = summary["checkpoints"]
        states = [decode_weights(record.read(checkpoint_name(at)))[0] for at in (updates[0], updates[-1])]
        initialisation, solution, name = states[0], states[1], "solution"
    else:
        source = prepared.source
        solution, name = source.solution, "solution" if source.final else f"update {source.update}"
        initialisation = source.initialisation or {}
    torch.set_num_threads(config.evaluation.threads)
    model = prepared.model
    load_weights(model, solution)
    trained = Trained(
        solution=Weights.from_state(model, solution),
        initialisation=Weights.from_state(model, initialisation) if initialisation else None,
        solution_name=name,
    )
    for landscape_name, landscape_config in config.landscape.items():
        _look(landscape_name, landscape_config, prepared, record, trained)
        tracker.mirror(record)
    return None


def _train(prepared: Prepared, record: Record, tracker: Tracker) -> None:
    """Train, unless that is finished; go on from the last finished epoch if there is one."""
    whole = all(record.holds(name) for name in ("metrics.json", *_checkpoints(record)))
    if whole and record.holds(TRAINING):
        return
    config, data = prepared.config, prepared.data
    training = config.training
    # Anew, even where `prepared` has been trained with before.
    model = build.model(config.model, data, seeds(config)[0], training.device)
    resume = _kept_state(record) if whole else None
    if resume is not None:
        log.warning("going on with the training after epoch %d", resume.epoch)
    budget = build.budget(training, len(data.train))
    started = time.perf_counter()

    def on_checkpoint(checkpoint: Checkpoint) -> None:
        encoded = encode_weights(checkpoint.state, update=checkpoint.update, epoch=checkpoint.epoch)
        record.write(checkpoint_name(checkpoint.update), encoded)

    def on_epoch(epoch: EpochRecord) -> None:
        record.log(epoch.values, step=epoch.epoch)
        tracker.mirror(record)

    outcome: TrainingOutcome = train(
        model,
        data.train,
        data.test,
        build.optimizer(config, model),
        budget=budget,
        schedule=build.schedule(training, budget.updates_per_epoch),
        batch_size=training.batch_size,
        order_seed=seeds(config)[1],
        label_smoothing=training.label_smoothing,
        augmentation=build.augmentation(config.data),
        stop_at_train_loss=training.stop_at_train_loss,
        checkpoint_every=training.checkpoint_every,
        on_checkpoint=on_checkpoint,
        on_epoch=on_epoch,
        on_state=lambda state: _keep_state(record, state),
        resume=resume,
    )
    kept = sorted(int(Path(name).stem.removeprefix("update_")) for name in _checkpoints(record))
    record.write_json(
        TRAINING,
        {
            "updates": outcome.updates,
            "epochs": outcome.epochs,
            "diverged": outcome.diverged,
            "message": outcome.message,
            "stopped_early": outcome.stopped_early,
            "checkpoints": kept,
            "seconds": time.perf_counter() - started,
        },
    )
    for name in _state_files(record):
        record.remove(name)
    if outcome.message:
        log.warning("%s", outcome.message)


def _keep_state(record: Record, state: TrainingState) -> None:
    """Replace the rolling training state. Its JSON names its tensors, so the two always fit together."""
    before = _state_files(record)
    tensors, rest = state.encode()
    name = f"training_state_{state.epoch:06d}.safetensors"
    record.write(name, tensors)
    record.write_json(TRAINING_STATE, {"tensors": name, **rest})
    for old in before:
        if old not in (name, TRAINING_STATE):
            record.remove(old)


def _kept_state(record: Record) -> TrainingState | None:
    """The training state to go on from, if there is a whole one."""
    try:
        rest = record.read_json(TRAINING_STATE)
        return TrainingState.decode(record.read(rest["tensors"]), rest)
    except DamagedFileError:
        return None


def _checkpoints(record: Record) -> list[str]:
    return [name for name in record.files() if name.startswith("checkpoints/")]


def _state_files(record: Record) -> list[str]:
    return [name for name in record.files() if name.startswith("training_state")]


def _look(name: str, config: LandscapeConfig, prepared: Prepared, record: Record, trained: Trained) -> None:
    """Evaluate a landscape, unless that is finished, and draw it."""
    stem = f"landscapes/{name}"
    if not (record.holds(f"{stem}.npz") and record.holds(f"{stem}.json")):
        with _progress(name) as on_point:
            started = time.perf_counter()
            seen = look(config, prepared.config.evaluation, prepared.model, prepared.data, trained, on_point)
            seconds = time.perf_counter() - started
        record.write(f"{stem}.npz", seen.landscape.to_bytes())
        measures = {key: value if isfinite(value) else str(value) for key, value in seen.measures.items()}
        record.write_json(f"{stem}.json", {"measures": measures, "seconds": seconds})
    landscape = Landscape.from_bytes(record.read(f"{stem}.npz"))
    measures = record.read_json(f"{stem}.json")["measures"]
    record.log({f"{name}/{key}": float(value) for key, value in measures.items()})
    record.write(f"{stem}.csv", landscape.to_frame().to_csv(index=False))
    caption = report.caption(config, landscape, prepared)
    for file, content in report.pictures(name, config, landscape, caption).items():
        record.write(file, content)


def _is_whole(record: Record, config: StudyConfig) -> bool:
    """Whether all that a finished run has to show is there, undamaged."""
    diverged = "diverged" in record.read_json("state.json")["tags"]
    landscapes = [] if diverged else [f"landscapes/{name}.npz" for name in config.landscape]
    expected = {"run.json", "config.yaml", "metrics.json", "report.md", *landscapes}
    return all(record.holds(name) for name in expected | set(record.files()))


@contextmanager
def _progress(name: str) -> Iterator[Callable[[int, int], None]]:
    """A bar with the remaining time, where there is a terminal."""
    with tqdm(desc=name, unit="point", disable=None, leave=False) as bar:

        def on_point(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield on_point
