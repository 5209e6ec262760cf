"""Many processes at once on one fresh store: nothing is lost, and nothing is there twice."""

from argparse import Namespace
from collections import Counter
from pathlib import Path
from time import perf_counter

from benchmarks.figure import Figure, Process, Started
from benchmarks.many_runs import TINY
from study.record import Record, State
from study.tracking.mlflow_tracker import mlflow, store_uri

SAME = 4  # identical processes for each seed of the second crowd
PATIENT = 600.0  # seconds that a crowd may take


def crowd(folder: Path, asked: Namespace) -> list[Figure]:
    """As many different runs at once, then a few of them each started several times."""
    different = list(range(asked.processes))
    alike = [seed for seed in range(asked.processes // SAME) for _ in range(SAME)]
    return [
        *_at_once(f"{len(different)} runs at once", folder / "different", different),
        *_at_once(f"{len(alike) // SAME} runs, {SAME} processes each", folder / "alike", alike),
    ]


def _at_once(name: str, folder: Path, seeds: list[int]) -> list[Figure]:
    """Start a process for each of these seeds, and count what is wrong once all have ended."""
    started = perf_counter()
    processes = [
        Started(["-m", "study", *TINY, f"output_dir={folder}", f"seed={seed}"], folder / f"{place}.txt")
        for place, seed in enumerate(seeds)
    ]
    ended = [process.end() for process in processes]
    seconds = perf_counter() - started
    wrong = _wrong(folder, set(seeds), ended)
    for words in wrong:
        print(f"{name}: {words}")
    return [
        Figure(f"{name}, from first start to last end", seconds, "s", PATIENT),
        Figure(f"{name}, what is lost or there twice", len(wrong), "", 0.0),
    ]


def _wrong(folder: Path, seeds: set[int], ended: list[Process]) -> list[str]:
    """What is not as if the runs had been made one after another."""
    found = [f"a process ended with {own.status}: {own.log[-500:]}" for own in ended if own.status != 0]
    found += [
        f"a process said: {line}"
        for own in ended
        for line in own.log.splitlines()
        if "locked" in line or "cannot be reached" in line
    ]
    client = mlflow.MlflowClient(tracking_uri=store_uri(folder))
    (experiment,) = [own for own in client.search_experiments() if own.name == "study"]
    runs = client.search_runs([experiment.experiment_id], max_results=1000)
    records = Record.all(folder)
    stored = Counter(run.data.tags["config_hash"] for run in runs)
    if len(records) != len(seeds) or stored != Counter({own.config_hash for own in records}):
        found.append(f"{len(records)} records and {stored} in the store, not {len(seeds)} of each")
    found += [f"{run.info.run_id} is {run.info.status}" for run in runs if run.info.status != "FINISHED"]
    for record in records:
        if record.state is not State.FINISHED or not all(record.holds(name) for name in record.files()):
            found.append(f"{record.path} is {record.state}, or damaged")
    by_hash = {run.data.tags["config_hash"]: run.info.run_id for run in runs}
    for record in records:
        kept = Counter((point.key, point.step, point.value) for point in record.metrics())
        sent = Counter(
            (key, point.step, point.value)
            for key in {point.key for point in record.metrics()}
            for point in client.get_metric_history(by_hash[record.config_hash], key)
        )
        if kept != sent:
            found.append(f"{record.config_hash} has {sent - kept} too much and {kept - sent} too little")
    return found
