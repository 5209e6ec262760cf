"""What a finished run shows on the terminal: what training reached, and a line or two of each landscape.

It is for people, and holds little: `report.md` has every measure, `metrics.json` has them for scripts.
"""

from collections.abc import Iterable, Mapping, Sequence

from study.analysis.over_directions import SPREAD
from study.landscape.result import NATS
from study.members import BY_TRAINING
from study.record import Record
from study.self_checks import broken_checks

WIDTH = 80
"""Columns that no line of it is wider than."""

OF_LANDSCAPES = (
    "largest_rise",
    "barrier",
    "error_barrier",
    "straight_barrier",
    "basin_width",
    "explained_about_solution",
    "random_walk_about_solution",
    "largest_distance",
    "second_loss",
    "third_loss",
    "eigenvalue_alpha",
    "eigenvalue_beta",
    "eigenvalue_ratio",
    "largest_ratio",
    "minimum",
    "maximum",
    "interpolation_error",
    "precision_error",
)
"""The measures of a landscape that are shown, in order: the least that says what it looks like."""

FLAGS = ("basin_reaches_edge", "basin_unresolved", "diverged_cells")
"""Measures that say what not to read into the others: shown where they are not zero."""

ERROR = "_standard_error"


def run_table(record: Record) -> str:
    """The table of a finished run; empty where nothing was measured."""
    values, about = record.latest(), record.read_json("run.json")
    landscapes = about.get("landscapes", [])
    blocks = [
        _reached(values),
        _measured(values, landscapes),
        _said(values, landscapes, about.get("loss_unit", NATS)),
    ]
    return "\n\n".join(block for block in blocks if block)


def _reached(values: Mapping[str, float]) -> str:
    """The end of the training, a row a split."""
    shown = [key for key in BY_TRAINING if key in values and key.startswith(("train/", "test/"))]
    columns = list(dict.fromkeys(key.partition("/")[2] for key in shown))
    if not columns:
        return ""
    rows = [["", *columns]]
    for split in dict.fromkeys(key.partition("/")[0] for key in shown):
        keys = {name: f"{split}/{name}" for name in columns}
        rows.append([
            split,
            *(_reading(name, values[key]) if key in values else "" for name, key in keys.items()),
        ])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        f"  {row[0]:<{widths[0]}}"
        + "".join(f"   {cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=True))
        for row in rows
    )


def _measured(values: Mapping[str, float], landscapes: Sequence[str]) -> str:
    """The measures, a paragraph for all that share what stands before their last slash."""
    groups: dict[str, dict[str, float]] = {}
    for key, value in values.items():
        group, _, name = key.rpartition("/")
        if not key.startswith(("train/", "test/", "training/", "weights/norm/")):
            groups.setdefault(group, {})[name] = value
    width = max(map(len, groups), default=0)
    lines = []
    for group, own in groups.items():
        parts = list(_parts(own, of_landscape=group.partition("/")[0] in landscapes))
        lines += _filled(f"  {group:<{width}}  ", parts)
    return "\n".join(lines)


def _parts(own: Mapping[str, float], *, of_landscape: bool) -> Iterable[str]:
    """Each measure with its value, and with its interval or its error where it has one."""
    if of_landscape:
        names = [name for name in OF_LANDSCAPES if name in own] + [name for name in FLAGS if own.get(name)]
    else:
        names = [name for name in own if not name.endswith((*SPREAD, ERROR))]
    for name in names:
        said = f"{name} {own[name]:.4g}"
        if f"{name}_low" in own:
            said += f" [{own[f'{name}_low']:.4g}, {own[f'{name}_high']:.4g}]"
        elif f"{name}{ERROR}" in own:
            said += f" ± {own[f'{name}{ERROR}']:.2g}"
        yield said


def _said(values: Mapping[str, float], landscapes: Sequence[str], loss_unit: str) -> str:
    """What the losses are counted in, and whether the self-checks hold, of landscapes that have any."""
    if not any(key.rpartition("/")[2].startswith("self_check") for key in values):
        return ""
    if broken := [check for name in landscapes for check in broken_checks(name, values)]:
        return f"  self-checks FAILED, do not trust these landscapes: {', '.join(broken)}"
    return f"  losses in {loss_unit}; self-checks hold; every measure is in report.md"


def _filled(head: str, parts: Sequence[str]) -> list[str]:
    """The parts after a head, in lines of at most `WIDTH` columns; no part is split."""
    lines = [head]
    for part in parts:
        begun = lines[-1].strip() and len(lines[-1]) > len(head)
        longer = f"{lines[-1]} · {part}" if begun else lines[-1] + part
        if begun and len(longer) > WIDTH:
            lines.append(" " * len(head) + part)
        else:
            lines[-1] = longer
    return lines


def _reading(name: str, value: float) -> str:
    return f"{100 * value:.2f}%" if name.endswith("accuracy") else f"{value:.4g}"
