"""One run, start to finish: train, look, keep, mirror."""

import logging
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from math import isfinite
from typing import Any

import torch
from omegaconf import OmegaConf
from safetensors.torch import load, save
from torch import Tensor

from study import build, curvature, flatness, report
from study.about import about, shown
from study.analysis.curvature import Curvature
from study.bars import progress
from study.config import MlflowConfig, TrackingConfig
from study.config_curvature import TopConfig
from study.config_measures import FlatnessConfig
from study.credentials import hidden
from study.errors import in_one_line
from study.kinds import LandscapeConfig, Trained
from study.landscape.result import Landscape
from study.landscape.weights import Weights
from study.look import look, point_store, tables
from study.partner import undrawn, undrawn_tag
from study.prepare import Prepared
from study.record import SWEEPS, Record, State
from study.rescaled import FILE as RESCALED
from study.rescaled import rescaled
from study.self_checks import broken_checks
from study.source import TRAINING, checkpoint_name, checkpoints, load_source
from study.span import PATH_SHARE
from study.subject import Subject
from study.tracking.tracker import NullTracker, PatientTracker, Tracker
from study.train import train_once
from study.training.checkpoints import decode_weights, load_weights

log = logging.getLogger(__name__)


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


def run(prepared: Prepared, sweep: str | None = None) -> Outcome:
    """Do what the configuration asks for, and keep and mirror it. What is finished already is not repeated.

    Args:
        prepared: the run.
        sweep: hash of the sweep that it is one of; its mirror is then linked below the sweep's.

    Raises:
        KeyboardInterrupt: passed on, once the run is marked as killed.
        Exception: passed on, once the run is marked as failed and its traceback kept.
    """
    config, record = prepared.config, prepared.record
    tracker = PatientTracker(make_tracker(config.tracking, config.output_dir))
    with record.lock(waiting=lambda: log.warning("another process works on %s: waiting", record.path)):
        if not config.reuse:
            record.discard()
        if is_finished(record):
            mirrored = tracker.mirror(record)
            return Outcome(record, State.FINISHED, True, tracker.address() if mirrored else None)
        with marking_bad_ends(record, tracker):
            if not record.holds("run.json"):
                record.create(about(prepared))
            if not record.holds("config.yaml"):
                record.write("config.yaml", OmegaConf.to_yaml(shown(config)))
            record.set_state(State.RUNNING)
            tracker.mirror(record)
            if sweep is not None:
                tracker.link(Record.at(config.output_dir, sweep, SWEEPS), [record])
            tags = _work(prepared, record, tracker)
            record.remove("error.txt")
            record.write("report.md", report.run_page(record, config, tags))
        record.set_state(State.FINISHED, **tags)
        try:
            mirrored = tracker.mirror(record)
        except KeyboardInterrupt:  # finished it is: the mirror must not say that it runs
            tracker.mirror(record)
            raise
    return Outcome(record, State.FINISHED, False, tracker.address() if mirrored else None)


@contextmanager
def marking_bad_ends(record: Record, tracker: Tracker) -> Iterator[None]:
    """Within, whatever cuts the work short is kept in its record, mirrored, and passed on."""
    try:
        yield
    except KeyboardInterrupt:
        with suppress(OSError):  # the next start finds a record that nobody works on, which says the same
            record.set_state(State.KILLED)
        tracker.mirror(record)
        raise
    except BaseException as error:
        with suppress(OSError):  # a disk that takes no result takes no word of that either
            record.write("error.txt", hidden(traceback.format_exc()))
            record.set_state(State.FAILED, message=in_one_line(error, 500))
        tracker.mirror(record)
        raise


def is_finished(record: Record) -> bool:
    """Whether a run is finished, and all that it has to show is there, undamaged."""
    if record.state is not State.FINISHED or not record.holds("run.json"):
        return False
    tags = record.read_json("state.json")["tags"]
    diverged = "diverged" in tags
    about = record.read_json("run.json")
    names = [] if diverged else [name for name in about.get("landscapes", []) if name not in undrawn(tags)]
    expected = {"config.yaml", "metrics.json", "report.md", *(f"landscapes/{name}.npz" for name in names)}
    if not diverged and about.get("settings", {}).get("curvature.name", "off") != "off":
        expected.add(f"{curvature.STEM}.npz")
    if not diverged and about.get("settings", {}).get("measures.name", "off") != "off":
        expected |= {f"{flatness.STEM}.json", f"{flatness.STEM}.csv"}
    return all(record.holds(name) for name in expected | set(record.files()))


def make_tracker(config: TrackingConfig, output_dir: str) -> Tracker:
    """The tracker that the configuration asks for."""
    if isinstance(config, MlflowConfig):
        from study.tracking.mlflow_tracker import MlflowTracker

        return MlflowTracker(config.uri, output_dir, config.experiment, config.upload_checkpoints)
    return NullTracker()


def _work(prepared: Prepared, record: Record, tracker: Tracker) -> dict[str, str]:
    """Train and look. Returns what else is to be known of the run, as its tags."""
    config, source = prepared.config, prepared.source
    torch.set_num_threads(config.training.threads)
    tags = {}
    if source is None:
        train_once(prepared, record, on_epoch=lambda: tracker.mirror(record))
        summary = record.read_json(TRAINING)
        if "trained_by" in summary:
            tags["trained_by"] = summary["trained_by"]
        if summary["diverged"]:
            return {**tags, "diverged": str(summary["message"])}
        updates = summary["checkpoints"]
        states = [decode_weights(record.read(checkpoint_name(at)))[0] for at in (updates[0], updates[-1])]
        initialisation, solution, name = states[0], states[1], "solution"
    else:
        solution, name = source.solution, source.name
        initialisation = source.initialisation or {}
    named = {words: own.solution for words, own in prepared.named.items()}
    named |= _partners_reached(prepared, record)
    torch.set_num_threads(config.evaluation.threads)
    model = prepared.model
    if config.rescale != 1:
        solution, found = rescaled(model, prepared.data, solution, prepared.rescaled, config.rescale)
        record.write(RESCALED, save({key: own.contiguous() for key, own in solution.items()}))
        record.log(found)
    load_weights(model, solution)

    def read_checkpoints() -> dict[int, Weights]:
        own, last = (record, None) if source is None else (source.record, source.update)
        states = checkpoints(own, last) if own is not None else {}
        return {update: Weights.from_state(model, state) for update, state in states.items()}

    trained = Trained(
        model=model,
        data=prepared.data,
        solution=Weights.from_state(model, solution),
        initialisation=Weights.from_state(model, initialisation) if initialisation else None,
        fresh=lambda seed: Weights.of(build.model(config.model, prepared.data, seed, config.training.device)),
        solution_name=name,
        checkpoints=read_checkpoints,
        updates_per_epoch=build.budget(config.training, len(prepared.data.train)).updates_per_epoch,
        named={words: Weights.from_state(model, state) for words, state in named.items()},
    )
    broken: list[str] = []
    failed: list[Exception] = []
    left_out: list[str] = []
    for landscape_name, landscape_config in config.landscape.items():
        words = set(landscape_config.weights_named.values())
        if not _is_evaluated(record, landscape_name) and words - named.keys():
            lost = " and ".join(sorted(words - named.keys()))
            log.warning(
                "landscape %s is left out: the training of %s diverged; another seed or a smaller "
                "optimizer.learning_rate may reach a solution",
                landscape_name,
                lost,
            )
            left_out.append(landscape_name)
            continue
        try:
            broken += _look(landscape_name, landscape_config, prepared, record, trained)
        except (ValueError, ArithmeticError) as error:  # it cannot be made of these weights; others can
            log.warning("landscape %s: %s; the run goes on, then fails", landscape_name, in_one_line(error))
            failed.append(error)
        tracker.mirror(record)
    if isinstance(config.curvature, TopConfig):
        _measure_curvature(config.curvature, prepared, record, trained.solution)
    if isinstance(config.measures, FlatnessConfig):
        _measure_flatness(config.measures, prepared, record, trained)
    if failed:
        raise failed[0]
    tags |= undrawn_tag(left_out)
    if broken:
        tags["self_check_failed"] = ", ".join(broken)
        advice = "see report.md, and make them anew by reuse=false"
        log.warning("self-checks failed, do not trust these landscapes: %s; %s", ", ".join(broken), advice)
    return tags


def _partners_reached(prepared: Prepared, record: Record) -> dict[str, dict[str, Tensor]]:
    """The solutions of other seeds that landscapes still need, by the words that name them.

    Each is trained as a run of its own, unless that is finished. One that diverged has no solution.
    """
    wanted = {
        words
        for name, own in prepared.config.landscape.items()
        if not _is_evaluated(record, name)
        for words in own.weights_named.values()
    }
    found = {}
    for words in sorted(wanted & prepared.partners.keys()):
        partner = prepared.partners[words]
        if not is_finished(partner.record):
            log.warning(
                "first the solution of seed %d is trained: %s", partner.config.seed, partner.record.path
            )
        reached = run(partner).record
        with reached.lock():  # another run may be about to do it anew
            if "diverged" not in reached.read_json("state.json")["tags"]:
                found[words] = load_source(reached.config_hash, reached.output_dir).solution
    return found


def _is_evaluated(record: Record, name: str) -> bool:
    """Whether a landscape is there, so that it only has to be drawn."""
    return record.holds(f"landscapes/{name}.npz") and record.holds(f"landscapes/{name}.json")


def _look(
    name: str, config: LandscapeConfig, prepared: Prepared, record: Record, trained: Trained
) -> list[str]:
    """Evaluate a landscape, unless that is finished, and draw it. Returns the self-checks that failed."""
    stem, study = f"landscapes/{name}", prepared.config
    if not _is_evaluated(record, name):
        with progress(name) as on_point:
            started = time.perf_counter()
            seen = look(
                config,
                study.evaluation,
                replace(trained, keep=partial(kept, record, stem)),
                build.executor(study.executor),
                study.training.threads,
                point_store(study.output_dir, study.model, prepared.identity.code_digests, prepared.data.task)
                if study.reuse
                else None,
                on_point,
            )
            seconds = time.perf_counter() - started
        record.write(f"{stem}.npz", seen.landscape.to_bytes())
        measures = {key: value if isfinite(value) else str(value) for key, value in seen.measures.items()}
        record.write_json(f"{stem}.json", {"measures": measures, "seconds": seconds})
    landscape = Landscape.from_bytes(record.read(f"{stem}.npz"))
    measures = record.read_json(f"{stem}.json")["measures"]
    record.log({f"{name}/{key}": float(value) for key, value in measures.items()})
    for suffix, table in tables(landscape).items():
        record.write(f"{stem}{suffix}.csv", table.to_csv(index=False))
    share = measures.get(f"{config.splits[0]}/{PATH_SHARE}")
    caption = report.caption(config, landscape, Subject.of(prepared), share)
    broken = broken_checks(name, record.latest())
    warning = report.warning(broken)
    for file, content in report.pictures(name, config, landscape, caption, warning).items():
        record.write(file, content)
    return broken


def kept(record: Record, stem: str, name: str, make: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
    """Tensors that took work to find: read back from the record, or made, and then kept there."""
    file = f"{stem}.{name}.safetensors"
    if not record.holds(file):
        record.write(file, save({key: tensor.contiguous() for key, tensor in make().items()}))
    return load(record.read(file))


def _measure_curvature(config: TopConfig, prepared: Prepared, record: Record, solution: Weights) -> None:
    """Measure the curvature, unless that is finished, and draw it."""
    stem = curvature.STEM
    if not (record.holds(f"{stem}.npz") and record.holds(f"{stem}.json")):
        # Sums over examples have other bits on other threads, and those of evaluation are no part of a run.
        torch.set_num_threads(prepared.config.training.threads)
        with progress(stem, "matrices") as on_matrix:
            started = time.perf_counter()
            micro_batch = prepared.config.evaluation.micro_batch
            found = curvature.measure(config, prepared.model, prepared.data, solution, micro_batch, on_matrix)
            seconds = time.perf_counter() - started
        record.write(f"{stem}.npz", found.to_bytes())
        record.write_json(f"{stem}.json", {"seconds": seconds})
    found = Curvature.from_bytes(record.read(f"{stem}.npz"))
    record.log(curvature.measures(found))
    record.write(f"{stem}.csv", found.to_frame().to_csv(index=False))
    for file, content in curvature.pictures(
        found, report.curvature_caption(found, Subject.of(prepared))
    ).items():
        record.write(file, content)


def _measure_flatness(config: FlatnessConfig, prepared: Prepared, record: Record, trained: Trained) -> None:
    """Measure sharpness and flatness, each measure once: what is finished is kept as it is found."""
    file = f"{flatness.STEM}.json"
    kept: dict[str, Any] = record.read_json(file) if record.holds(file) else {"seconds": 0.0, "rows": {}}
    torch.set_num_threads(prepared.config.training.threads)  # as for the curvature
    minimum = flatness.Minimum(
        model=prepared.model,
        data=prepared.data,
        solution=trained.solution,
        initialisation=trained.initialisation,
        micro_batch=prepared.config.evaluation.micro_batch,
    )
    with progress(flatness.STEM, "measures") as on_measure:
        for place, name in enumerate(config.names, start=1):
            if name not in kept["rows"]:
                started = time.perf_counter()
                found = flatness.measure(name, config, minimum)
                kept["rows"][name] = [row.to_json() for row in found]
                kept["seconds"] += time.perf_counter() - started
                record.write_json(file, kept)
            on_measure(place, len(config.names))
    rows = flatness.rows(kept, config.names)
    record.log(flatness.metrics(rows))
    record.write(f"{flatness.STEM}.csv", flatness.to_frame(rows).to_csv(index=False))
