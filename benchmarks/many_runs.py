"""A parent with a thousand finished runs: compared, swept again, synchronised, and looked at in the UI."""

import json
import os
import signal
import socket
import time
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

import numpy as np

from benchmarks.clones import fill, settings
from benchmarks.figure import MIB, Figure, Process, Started, study
from study.record import SWEEPS, Record

TINY = (
    *("data.train_examples=64", "data.test_examples=32", "data.image_size=8"),
    *("model=mlp", "model.widths=[8]"),
    *("training.epochs=3", "training.batch_size=32", "training.threads=1", "evaluation.threads=1"),
    *("tracking=local", "landscape=[line]", "landscape.line.points=5"),
)
"""A run of a second."""

USABLE = 30.0  # seconds
PAGE = 50.0  # MiB
TEMPLATES = 4  # runs that are really run, and copied
PATIENCE = 120.0  # seconds for the UI to start


def many_runs(folder: Path, asked: Namespace) -> list[Figure]:
    """Make the parent where it is not there yet, and measure what a user does with it."""
    rates = [float(f"{rate:.4g}") for rate in np.geomspace(1e-4, 1e-1, asked.rates)]
    seeds = range(asked.runs // asked.rates)
    shared = [*TINY, f"output_dir={folder}"]
    swept = [f"optimizer.learning_rate={','.join(map(str, rates))}", f"seed=range(0,{len(seeds)})"]
    logs, found = folder / "logs", []
    if not Record.all(folder):
        few = [f"optimizer.learning_rate={rates[0]}", f"seed=range(0,{TEMPLATES})"]
        study("-m", *shared, *few, log=logs / "templates.txt")
    templates = Record.all(folder)[:TEMPLATES]
    configs = list(settings(shared, rates, seeds))
    if len(Record.all(folder)) < len(configs):
        fill(configs, templates)
        sent = study("sync", *shared, log=logs / "sync.txt")
        found.append(_process("sync, everything to send", sent, None))
        first = study("-m", *shared, *swept, log=logs / "sweep.txt")
        found.append(_process("the sweep, everything there, first comparison", first, None))
    again = study("-m", *shared, *swept, log=logs / "again.txt")
    sweep = max(Record.all(folder, SWEEPS), key=lambda own: len(own.read_json("run.json")["members"]))
    compared = study("compare", "--sweep", sweep.config_hash, *shared, log=logs / "compare.txt")
    synced = study("sync", *shared, log=logs / "nothing.txt")
    page = sweep.path / "report.html"
    return [
        *found,
        _process("the sweep again, which skips everything", again, USABLE),
        _process("study compare --sweep", compared, USABLE),
        _process("study sync, nothing to send", synced, USABLE),
        Figure("memory of the comparison", compared.memory / MIB, "MiB", 4096.0),
        Figure("report.html", page.stat().st_size / MIB, "MiB", PAGE),
        *_ui(folder, logs / "ui.txt"),
    ]


def _process(name: str, done: Process, limit: float | None) -> Figure:
    return Figure(name, done.seconds, "s", limit, done.processor)


def _ui(folder: Path, log: Path) -> list[Figure]:
    """Seconds of the requests that the runs table of the MLflow UI makes."""
    with _served(folder, log) as address:
        started = time.perf_counter()
        experiments = _asked(f"{address}/experiments/search", {"max_results": 100})["experiments"]
        found = [_answer("UI: experiments", started)]
        (own,) = (each["experiment_id"] for each in experiments if each["name"] == "study")
        questions: dict[str, dict[str, Any]] = {
            "UI: first page of runs": {"order_by": ["attributes.start_time DESC"]},
            "UI: by a metric": {"order_by": ["metrics.`test/accuracy` DESC"]},
            "UI: filtered by metric and parameter": {
                "filter": "metrics.`test/accuracy` > 0.1 and params.seed = '1'",
                "order_by": ["metrics.`test/accuracy` DESC"],
            },
            "UI: the parents": {"filter": "tags.sweep_hash LIKE '%'"},
        }
        for name, question in questions.items():
            whole = {"experiment_ids": [own], "run_view_type": "ACTIVE_ONLY", "max_results": 100, **question}
            started = time.perf_counter()
            runs = _asked(f"{address}/runs/search", whole).get("runs", [])
            found.append(_answer(name, started))
        above = runs[0]["info"]["run_id"]
        started = time.perf_counter()
        below = {"filter": f"tags.`mlflow.parentRunId` = '{above}'", "max_results": 100}
        _asked(f"{address}/runs/search", {"experiment_ids": [own], **below})
        found.append(_answer("UI: runs below a parent", started))
        started, token, count = time.perf_counter(), "", 0
        while True:
            page = {"experiment_ids": [own], "max_results": 100, "page_token": token}
            answer = _asked(f"{address}/runs/search", page)
            count += len(answer.get("runs", []))
            if not (token := answer.get("next_page_token", "")):
                break
        found.append(_answer(f"UI: all {count} runs, page by page", started))
    return found


def _answer(name: str, started: float) -> Figure:
    return Figure(name, time.perf_counter() - started, "s", USABLE)


@contextmanager
def _served(folder: Path, log: Path) -> Iterator[str]:
    """The address of the UI on a free port, which ends with the context."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = Started(["-m", "study", "ui", "--port", str(port), f"output_dir={folder}"], log)
    try:
        until = time.monotonic() + PATIENCE
        while not _answers(f"http://127.0.0.1:{port}/health"):
            if server.process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"study ui did not start: {log.read_text()[-2000:]}")
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}/ajax-api/2.0/mlflow"
    finally:
        os.killpg(server.process.pid, signal.SIGTERM)
        server.process.wait()


def _answers(address: str) -> bool:
    try:
        with urlopen(address, timeout=5):
            return True
    except (URLError, OSError):
        return False


def _asked(address: str, question: dict[str, Any]) -> Any:
    request = Request(address, json.dumps(question).encode(), {"Content-Type": "application/json"})
    with urlopen(request, timeout=PATIENCE) as answer:
        return json.load(answer)
