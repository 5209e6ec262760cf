"""Comparing runs later: any that are finished, whichever sweeps they come from."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from study import build
from study.between import join_all
from study.claims import verdict_tags
from study.compare import compare
from study.comparison_report import keep_comparison, kept_verdicts
from study.config import StudyConfig
from study.errors import ConfigError
from study.identity import digest
from study.members import Members
from study.record import COMPARISONS, SWEEPS, Record, State
from study.run import is_finished, make_tracker, marking_bad_ends
from study.source import find_record
from study.tracking.tracker import PatientTracker

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Compared:
    """A comparison that was made.

    Attributes:
        record: its folder.
        members: the runs in it.
        unfinished: by hash, why a run that was named is not in it.
        tracking: address of the store it is mirrored to, or None.
    """

    record: Record
    members: Members
    unfinished: dict[str, str]
    tracking: str | None


def compare_runs(
    config: StudyConfig, runs: Sequence[str], sweep: str | None = None, search: str | None = None
) -> Compared:
    """Compare the runs that are named, those of a sweep, and those that a search in MLflow finds.

    Args:
        config: says where records and store are, and how minima are joined.
        runs: hashes, the beginnings of hashes, or MLflow ids.
        sweep: hash of a sweep, the beginning of one, or the MLflow id of its parent run.
        search: an MLflow filter, as `params.data.name = 'mnist' and metrics."test/accuracy" > 0.98`.

    Raises:
        ConfigError: if a name is of no run, or fewer than two runs are finished.
    """
    tracker = make_tracker(config.tracking, config.output_dir)
    rule = "must name one run in output_dir, by its hash or its MLflow id"
    named = [find_record(name, config.output_dir, rule, key="RUN") for name in runs]
    names: list[str] = []
    if sweep is not None:
        rule = "must name one sweep in output_dir, by its hash or the MLflow id of its parent run"
        parent = find_record(sweep, config.output_dir, rule, SWEEPS, key="--sweep")
        names += parent.read_json("run.json")["members"]
    if search is not None:
        names += tracker.search(search)
    found = [Record.at(config.output_dir, name) for name in names]  # some may never have started
    records = {record.config_hash: record for record in [*named, *found]}
    unfinished = {name: "it is not finished" for name, record in records.items() if not is_finished(record)}
    finished = [record for name, record in records.items() if name not in unfinished]
    if len(finished) < 2:
        raise ConfigError(
            "RUN", "must name at least two runs that are finished", ", ".join(records) or "none"
        )
    record = Record.at(config.output_dir, digest(sorted(own.config_hash for own in finished)), COMPARISONS)
    patient = PatientTracker(tracker)
    with record.lock(waiting=lambda: log.warning("another process makes this comparison: waiting for it")):
        if not record.holds("run.json"):
            record.create(_about(finished, config))
        with marking_bad_ends(record, patient):
            record.set_state(State.RUNNING)
            record.remove("error.txt")
            members, executor = Members.of(finished), build.executor(config.executor)
            joined = join_all(members, config.comparison, config.evaluation, executor, record)
            comparison = compare(members, joined)
            title = f"Comparison of {len(finished)} runs"
            keep_comparison(record, comparison, config.tested, title=title, about={}, failed=unfinished)
        record.set_state(State.FINISHED, **verdict_tags(kept_verdicts(record)))
        mirrored = patient.mirror(record)
    return Compared(record, comparison.members, unfinished, patient.address() if mirrored else None)


def _about(records: Sequence[Record], config: StudyConfig) -> dict[str, object]:
    """What the comparison is, for its record and its mirror."""
    hashes = [record.config_hash for record in records]
    return {
        "name": f"comparison of {len(hashes)} runs",
        "note": "",
        "tags": {"comparison": "true", "study": getattr(config.tracking, "experiment", "study")},
        "params": {},
        "data": [],
        "members": hashes,
    }
