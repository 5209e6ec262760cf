"""What of a record a mirror holds: which files, and which points of metrics it has not got yet."""

import math
from collections.abc import Mapping

from study.record import MetricPoint, Record

UPLOADED = (
    "landscapes/",
    "comparison/",
    "curvature.",
    "measures.",
    "config.yaml",
    "report.",
    "error.txt",
    "run.json",
)


def uploaded(record: Record, upload_checkpoints: str) -> list[str]:
    """The names of the files that a mirror of the record holds.

    Args:
        record: of a run, a sweep or a comparison.
        upload_checkpoints: `ends` or `all`.
    """
    files = record.files()
    checkpoints = [name for name in files if name.startswith("checkpoints/")]
    if upload_checkpoints == "ends":  # what is no update's, as averaged weights, is an end too
        path = [name for name in checkpoints if name.startswith("checkpoints/update_")]
        between = path[1:-1]
        checkpoints = [name for name in checkpoints if name not in between]
    wanted = [name for name in files if name.startswith(UPLOADED)]
    if upload_checkpoints == "ends":  # directions and bends are as large as checkpoints
        wanted = [name for name in wanted if not name.endswith(".safetensors")]
    return wanted + (checkpoints if record.holds("training.json") else [])


def unsent(
    record: Record, sent: Mapping[str, int]
) -> tuple[list[MetricPoint], list[MetricPoint], dict[str, int]]:
    """The points of metrics that a mirror has not got.

    Args:
        record: of a run.
        sent: by metric, how many points it has got.

    Returns:
        Those that are finite, those that are not, and by metric how many there are in all.
    """
    finite: list[MetricPoint] = []
    others: list[MetricPoint] = []
    seen: dict[str, int] = {}
    for point in record.metrics():
        seen[point.key] = seen.get(point.key, 0) + 1
        if seen[point.key] > sent.get(point.key, 0):
            (finite if math.isfinite(point.value) else others).append(point)
    return finite, others, seen
