"""The columns of the runs table: a saved view of MLflow's UI, kept as a tag of the experiment.

A view is no part of MLflow's API. Its form is that of the UI of MLflow 3.17, in whose list of views it stands
by its name; a server that knows no views keeps a tag that it makes nothing of.
"""

import json
from collections.abc import Collection, Iterable
from typing import Any

KEY = "study-1"  # raised where the form changes
TAG = f"mlflow.sharedViewState.{KEY}"
NAME = "Landscapes"
MOST_PARAMS, MOST_METRICS = 10, 14

LEADING = {"attributes.`Run Name`": 340, "runDateAndNestInfo": 120}
"""Columns that are always there and come first, with their widths in pixels."""
CHARACTER, MARGIN, NARROWEST = 7, 30, 100
"""Pixels: for a character of a column's header, so that it can be read; beside it; the least for a number."""

PARAMS = (
    "model.name",
    "data.name",
    "training.batch_size",
    "optimizer.name",
    "optimizer.learning_rate",
    "seed",
)
"""Settings that every table shows."""

REACHED = ("test/accuracy", "test/r2", "test/loss", "train/loss")
"""What training reached, most telling first."""

MEASURES = (
    "largest_rise",
    "basin_width",
    "barrier",
    "error_barrier",
    "explained_about_solution",
    "eigenvalue_alpha",
    "eigenvalue_ratio",
    "top_eigenvalue",
    "trace",
    "sam_sharpness",
    "adaptive_sam_sharpness",
    "function_change",
)
"""The main measures of landscapes, curvature and minima, by the last part of their names."""


def main_metrics(keys: Iterable[str]) -> list[str]:
    """Of the names of metrics, those that are shown first, in their order."""
    known = set(keys)
    places = {measure: place for place, measure in enumerate(MEASURES)}
    measured = [key for key in known if key not in REACHED and key.rpartition("/")[2] in places]
    measured.sort(key=lambda key: (places[key.rpartition("/")[2]], key))
    return [*(key for key in REACHED if key in known), *measured][:MOST_METRICS]


def columns(metrics: Iterable[str], params: Iterable[str]) -> list[str]:
    """The columns, as the UI names them.

    Args:
        metrics: names of all that the runs have.
        params: names of the settings in which they differ.
    """
    shown = [*PARAMS, *sorted(set(params) - set(PARAMS))][:MOST_PARAMS]
    return [*(f"metrics.`{name}`" for name in main_metrics(metrics)), *(f"params.`{name}`" for name in shown)]


def grown(kept: str | None, metrics: Collection[str], params: Collection[str], now: int) -> str | None:
    """The view with what a further run has; None where it holds all of that already.

    Args:
        kept: the tag as it is, None where there is none.
        metrics: names of what the run has.
        params: names of the settings in which it differs from others.
        now: milliseconds since 1970.
    """
    before = _read(kept)
    has = before["columns"] if before else []
    old = {kind: [own[len(kind) + 2 : -1] for own in has if own.startswith(f"{kind}.`")] for kind in _KINDS}
    wanted = columns([*old["metrics"], *metrics], [*old["params"], *params])
    if wanted == has:
        return None
    widths = LEADING | {own: _width(own.partition("`")[2]) for own in wanted}
    state = {"selectedColumns": wanted, "columnOrder": list(widths), "columnWidths": widths}
    created = before["created"] if before else now
    envelope = {"name": NAME, "createdAt": created, "updatedAt": now, "state": json.dumps(state)}
    return json.dumps(envelope)


def page(experiment_id: str) -> str:
    """The address of the table with these columns, within the UI."""
    return f"#/experiments/{experiment_id}/runs?workflowType=machine_learning&viewStateShareKey={KEY}"


def _width(header: str) -> int:
    return max(NARROWEST, CHARACTER * (len(header) - 1) + MARGIN)


_KINDS = ("params", "metrics")


def _read(kept: str | None) -> dict[str, Any] | None:
    """The columns of a view and when it was made; None where the tag is none of ours."""
    try:
        envelope = json.loads(kept or "")
        found = json.loads(envelope["state"])["selectedColumns"]
        return {"columns": [str(own) for own in found], "created": int(envelope["createdAt"])}
    except (ValueError, TypeError, KeyError):
        return None
