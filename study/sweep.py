"""A sweep: its jobs checked before the first starts, run, and compared under one parent run."""

import logging
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from study import __version__, build
from study.about import settings, told_apart
from study.bars import counted
from study.between import join_all
from study.claim_checks import check_claims
from study.claims import verdict_tags
from study.columns import columns
from study.compare import compare
from study.comparison_report import keep_comparison, kept_verdicts
from study.config import DataConfig, StudyConfig
from study.credentials import hidden
from study.errors import ConfigError, JobError, in_one_line
from study.identity import digest
from study.job import Job, end_without_driver
from study.members import Members
from study.multirun import Combination, Multirun
from study.prepare import prepare
from study.record import SWEEPS, Record, State, now
from study.resolve import resolved
from study.run import is_finished, make_tracker, marking_bad_ends
from study.studies import Study
from study.tally import Tally
from study.tracking.tracker import PatientTracker, Tracker
from study.training.data import DataSet

PATIENCE = 20.0  # seconds that an interrupted sweep waits for the processes of its jobs to end
LONGEST_TAG = 5000  # characters
MOST_NAMED = 20  # values of a key that the name of a sweep holds
MOST_DEATHS_ALONE = 2  # of the process of one job, before it is given up
SETTINGS = "comparison.json"  # in a sweep's record: what its comparison was made with

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Planned:
    """One job of a sweep, checked.

    Attributes:
        combination: what gives its configuration.
        config: resolved.
        record: of its run, which need not exist yet.
    """

    combination: Combination
    config: StudyConfig
    record: Record


@dataclass(frozen=True)
class SweepOutcome:
    """How a sweep ended.

    Attributes:
        record: of the sweep.
        members: the runs compared; None if none is finished.
        failed: by hash, why a job's run is not finished.
        repeated: how many jobs were run: the others were finished before.
        tracking: address of the store it is mirrored to, or None.
    """

    record: Record
    members: Members | None
    failed: dict[str, str]
    repeated: int
    tracking: str | None


def sweep(overrides: Sequence[str]) -> SweepOutcome:
    """Run every combination that is not finished yet, and compare all that are then.

    Raises:
        ConfigError: for a sweep that is none, or the first job that cannot work, before any is started.
        KeyboardInterrupt: passed on, once all that was running is marked as killed.
    """
    with Multirun.open(overrides) as multirun:
        jobs = check_all(multirun.combinations)
        config = jobs[0].config
        study = multirun.study
        record = Record.at(config.output_dir, _sweep_hash(jobs, study), SWEEPS)
        tracker = PatientTracker(make_tracker(config.tracking, config.output_dir))
        with record.lock(waiting=lambda: log.warning("another process runs this sweep: waiting for it")):
            if not record.holds("run.json"):
                record.create(_about(jobs, study, config))
            with marking_bad_ends(record, tracker):
                record.set_state(State.RUNNING)
                record.remove("error.txt")
                tracker.mirror(record)  # makes a fresh store, before jobs ask for it at once
                pending = [job for job in jobs if not (config.reuse and is_finished(job.record))]
                try:
                    _run_all(multirun, pending, record)
                except KeyboardInterrupt:
                    _stop_file(record).touch()
                    _mark_killed([job.record for job in pending], tracker)
                    raise
                return _conclude(jobs, len(pending), study, record, tracker)


def check_all(combinations: Sequence[Combination]) -> list[Planned]:
    """Resolve and check every job; jobs that are one run are one.

    Raises:
        JobError: for the first that cannot work.
    """
    loaded: list[tuple[DataConfig, DataSet]] = []

    def load(config: DataConfig) -> DataSet:
        if not loaded or loaded[0][0] != config:
            loaded[:] = [(config, build.data_set(config))]
        return loaded[0][1]

    planned: dict[str, Planned] = {}
    for combination in counted(combinations, "checking", "jobs"):
        composed, hydra = combination.compose()
        try:
            config, choices = resolved(composed, hydra)
            prepared = prepare(config, choices, load)
        except (ValueError, OSError) as error:
            raise JobError(combination.overrides, error) from error
        job = Planned(combination, config, prepared.record)
        first = next(iter(planned.values()), job)
        for key in ("output_dir", "tracking", "comparison", "claims"):
            if getattr(config, key) != getattr(first.config, key):
                raise JobError(combination.overrides, ValueError(f"{key} must be the same in every job"))
        planned.setdefault(prepared.identity.config_hash, job)
    jobs = list(planned.values())
    check_claims(jobs[0].config.tested, [(settings(job.config), columns(job.config)) for job in jobs])
    return jobs


def _sweep_hash(jobs: Sequence[Planned], study: Study | None) -> str:
    """What makes two sweeps the same: their runs, and the study that they are."""
    members = sorted(job.record.config_hash for job in jobs)
    return digest({"members": members, "study": study.name if study else None})


def _about(jobs: Sequence[Planned], study: Study | None, config: StudyConfig) -> dict[str, object]:
    """What the sweep is, for its record and its mirror."""
    hashes = [job.record.config_hash for job in jobs]
    swept = _swept(jobs)
    words = [f"{key.lstrip('+').rpartition('.')[2]} {_in_short(values)}" for key, values in swept.items()]
    name = " · ".join([study.title if study else "sweep", *words])
    members = ", ".join(hashes)
    if len(members) > LONGEST_TAG:
        members = f"{len(hashes)} runs, listed in comparison/runs.csv"
    tags = {
        "sweep_hash": _sweep_hash(jobs, study),
        "study": study.name if study else getattr(config.tracking, "experiment", "study"),
        "members": members,
    }
    differing, words = told_apart([settings(job.config) for job in jobs])
    return {
        "name": name,
        "note": study.question if study else "",
        "tags": tags,
        "params": {key.lstrip("+"): ",".join(values) for key, values in swept.items()},
        "data": [],
        "members": hashes,
        "differing": differing,
        "labels": {own: label for own, label in zip(hashes, words, strict=True) if label},
        "overrides": [[hidden(own) for own in job.combination.overrides] for job in jobs],
    }


def _swept(jobs: Sequence[Planned]) -> dict[str, list[str]]:
    """The keys whose overrides differ from job to job, with all their values."""
    values: dict[str, dict[str, None]] = {}
    for job in jobs:
        for override in job.combination.overrides:
            key, _, value = override.partition("=")
            values.setdefault(key, {})[value] = None
    return {key: list(own) for key, own in values.items() if len(own) > 1}


def _in_short(values: Sequence[str]) -> str:
    """The values of a swept key for a name; of many, the first and the last."""
    if len(values) <= MOST_NAMED:
        return ",".join(values)
    return f"{values[0]}…{values[-1]} ({len(values):,} values)"


def _named(jobs: Sequence[Planned]) -> Iterator[tuple[Planned, str]]:
    """Each job with a name for people: its place among those to be run, and what it does not share."""
    swept = _swept(jobs)
    for place, job in enumerate(jobs, start=1):
        own = [override for override in job.combination.overrides if override.partition("=")[0] in swept]
        yield job, f"[{place}/{len(jobs)}] {' '.join(own)}".rstrip()


def _run_all(multirun: Multirun, jobs: Sequence[Planned], record: Record) -> None:
    """Have the launcher run the jobs. Where it breaks down, those left are run again, the suspects singly.

    A process of a pool that is killed takes the pool with it: no other job of the batch ends. Each job that
    was under way then is tried again, alone, where a death is its own and no other's: it is given up at the
    second one. Those that had not begun go on together.

    Raises:
        ConfigError: if the launcher breaks down twice without one job having begun.
    """
    names = {job.combination.overrides: name for job, name in _named(jobs)}
    tally = Tally(record.lock_file.with_suffix(".tally"), len(jobs))
    tally.clear()
    task = Job(record.config_hash, names, os.getpid(), record.lock_file, _stop_file(record), tally)
    _stop_file(record).unlink(missing_ok=True)
    waiting, fruitless = list(jobs), 0
    while waiting:
        started = now()
        try:
            multirun.launch([job.combination for job in waiting], task, end_without_driver)
            break
        except Exception as error:  # whatever a launcher raises
            left = [job for job in waiting if not _ended_since(job.record, started)]
            suspects = [job for job in left if _was_cut_short(job.record)]
            fruitless += not suspects and len(left) == len(waiting)
            if fruitless > 1:
                rule = f"must be able to start the jobs ({in_one_line(error, 200)})"
                raise ConfigError("hydra/launcher", rule, multirun.launcher) from error
            log.warning(
                "the launcher broke down (%s): running what is left; if memory ran out, fewer "
                "hydra.launcher.n_jobs need less",
                in_one_line(error, 200),
            )
        for job in suspects:
            _run_alone(multirun, job, task)
        waiting = [job for job in left if job not in suspects]
    tally.clear()


def _run_alone(multirun: Multirun, job: Planned, task: Job) -> None:
    """Run a job by itself; once more if its process dies, and given up if that dies too."""
    for _attempt in range(MOST_DEATHS_ALONE):
        try:
            multirun.launch([job.combination], task, end_without_driver)
            return
        except Exception as error:  # whatever a launcher raises
            if not _was_cut_short(job.record):
                return
            why = in_one_line(error, 200)
    job.record.set_state(State.KILLED, message=f"its process ended {MOST_DEATHS_ALONE} times, alone: {why}")


def _conclude(
    jobs: Sequence[Planned], repeated: int, study: Study | None, record: Record, tracker: PatientTracker
) -> SweepOutcome:
    """Compare what is finished, say how the sweep ended, and mirror all of it."""
    config = jobs[0].config
    failed = {job.record.config_hash: reason for job in jobs if (reason := _why_unfinished(job.record))}
    finished = [job.record for job in jobs if job.record.config_hash not in failed]
    members = None
    if finished:
        members = Members.of(finished)
        settings = {
            "comparison": asdict(config.comparison),
            "claims": {name: asdict(claim) for name, claim in config.tested.items()},
            "version": __version__,
            "failed": failed,
        }
        kept = record.holds(SETTINGS) and record.read_json(SETTINGS) == settings
        if repeated or not kept or not all(record.holds(name) for name in record.files()):
            executor = build.executor(config.executor)
            joined = join_all(members, config.comparison, config.evaluation, executor, record)
            comparison = compare(members, joined)
            about = _asked(study) if study else {}
            title = record.read_json("run.json")["name"]
            keep_comparison(record, comparison, config.tested, title=title, about=about, failed=failed)
            record.log({"runs/finished": float(len(finished)), "runs/failed": float(len(failed))})
            record.write_json(SETTINGS, settings)
    tags = verdict_tags(kept_verdicts(record))
    if failed:
        tags["failed_jobs"] = ", ".join(failed)[:LONGEST_TAG]
    record.set_state(State.FAILED if failed else State.FINISHED, **tags)
    mirrored = tracker.mirror(record)
    begun = [job.record for job in jobs if job.record.holds("run.json")]
    for own in begun:
        if tracker.failed is not None:  # a store that does not answer would be waited for once a run
            break
        with own.lock(wait=False) as held:  # whoever holds it mirrors it
            if held:
                tracker.mirror(own)
    if tracker.failed is None:
        tracker.link(record, begun)
    return SweepOutcome(record, members, failed, repeated, tracker.address() if mirrored else None)


def _asked(study: Study) -> dict[str, str]:
    """What the page says first of a study."""
    return {"Question": study.question, "Source": study.source, "Setting": study.setting}


def _why_unfinished(record: Record) -> str | None:
    """Why a run is not finished, or None if it is."""
    record.reload()
    match record.state:
        case State.FINISHED:
            return None
        case None:
            return "it never started"
        case state:
            message = record.read_json("state.json")["tags"].get("message", "")
            return f"{state}: {message}" if message else str(state)


def _stop_file(record: Record) -> Path:
    """What tells the jobs of a sweep to stop, on whichever machine they are."""
    return record.lock_file.with_suffix(".stop")


def _ended_since(record: Record, started: int) -> bool:
    """Whether a run ended, well or not, after a time in milliseconds."""
    record.reload()
    if record.state not in {State.FINISHED, State.FAILED}:
        return False
    return record.read_json("state.json")["ended"] >= started


def _was_cut_short(record: Record) -> bool:
    """Whether a run was under way when its process ended."""
    with record.lock():
        return record.state is State.RUNNING


def _mark_killed(records: Sequence[Record], tracker: Tracker) -> None:
    """Mark what was running as killed, once its process has ended."""
    patient_until = time.monotonic() + PATIENCE
    for record in records:
        while True:
            with record.lock(wait=False) as held:
                if held and record.holds("run.json") and record.state in {None, State.RUNNING}:
                    record.set_state(State.KILLED)
                    tracker.mirror(record)
            if held or time.monotonic() > patient_until:
                break
            time.sleep(0.1)
