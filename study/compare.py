"""Many records, one aligned comparison: what can be compared is, and what cannot is named with the reason."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from study.alike import UNIT, alike, difference, of_one_unit, shared
from study.analysis.connectivity import barriers
from study.analysis.over_directions import SPREAD
from study.analysis.rank import rank_correlation
from study.between import SPLITS, Pair, Progress, join_all, kept_pairs
from study.chosen import MOST_CURVES, choose_runs
from study.config import ComparisonConfig
from study.config_evaluation import EvaluationConfig
from study.curvature import STEM as CURVATURE
from study.differences import compare_differences
from study.flatness import STEM as MEASURES
from study.kinds import KINDS
from study.kinds.directed_plane import SPANNED
from study.kinds.drawing import LineDrawing
from study.landscape.executors import Executor
from study.landscape.result import Landscape
from study.left_out import LeftOut
from study.members import Member, Members
from study.record import Record
from study.self_checks import TOLERANCE as SELF_CHECKS
from study.source import TRAINING
from study.span import PATH_SHARE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TRAINED = ("test/loss", "test/accuracy", "test/r2", "test/averaged_loss", "gap/loss", "weights/norm")
"""What training reached that is drawn like a measure."""

FLAGS = (
    *SELF_CHECKS,
    PATH_SHARE,
    *SPANNED,
    "basin_reaches_edge",
    "basin_unresolved",
    "initial_basin_reaches_edge",
    "initial_basin_unresolved",
    "diverged_cells",
    "largest_residual",
)
"""What says how far measures can be trusted, and is no result of its own, as is a standard error."""


@dataclass
class Comparison:
    """Runs beside each other.

    Attributes:
        members: the runs, and the settings in which they differ.
        runs: a row a run; see `Members.table`.
        groups: a row a configuration: runs, and mean and standard deviation over its seeds of every number.
        between: a row a pair of minima and split: the barriers, both runs and in what settings they differ.
        figures: by name, each with what it shows.
        left_out: what they do not show, and why.
    """

    members: Members
    runs: pd.DataFrame
    groups: pd.DataFrame
    between: pd.DataFrame
    figures: dict[str, "Figure"] = field(default_factory=dict)
    left_out: list[LeftOut] = field(default_factory=list)


def compare(
    members: Members,
    config: ComparisonConfig,
    evaluation: EvaluationConfig,
    executor: Executor,
    kept: Record,
    progress: Progress,
) -> Comparison:
    """Compare finished runs.

    Args:
        members: the runs.
        config: what is added to them.
        evaluation: how points between minima are evaluated.
        executor: who computes them.
        kept: where those points are kept, and read back from.
        progress: shows how far an evaluation is, by its name.
    """
    joined, left_out = join_all(members, config, evaluation, executor, kept, progress)
    return _compared(members, joined, left_out)


def redrawn(members: Members, kept: Record) -> Comparison:
    """The comparison of finished runs once more: what was joined is read back, and nothing is evaluated.

    Args:
        members: the runs.
        kept: where the points between their minima are kept.
    """
    return _compared(members, kept_pairs(members, kept), [])


def _compared(
    members: Members, joined: Sequence[tuple[Pair, Landscape]], left_out: Sequence[LeftOut]
) -> Comparison:
    table = members.table()
    result = Comparison(members, table, grouped(table), pd.DataFrame())
    _compare_training(result)
    for name in dict.fromkeys(name for run in members.runs for name in run.about["landscapes"]):
        _compare_landscapes(name, result)
    result.left_out += left_out
    _compare_between(joined, result)
    _compare_measures(result)
    return result


def grouped(table: pd.DataFrame) -> pd.DataFrame:
    """A row a configuration: how many runs, and `<column> mean` and `<column> std` (n − 1) of each number."""
    if table.empty:
        return pd.DataFrame()
    numbers = [name for name in table.columns if "/" in name and pd.api.types.is_numeric_dtype(table[name])]
    rows = []
    for configuration, part in table.groupby("configuration", sort=False):
        row: dict[str, Any] = {"configuration": configuration, "runs": len(part)}
        for name in numbers:
            with np.errstate(invalid="ignore"):  # infinite measures have no standard deviation
                row |= {f"{name} mean": part[name].mean(), f"{name} std": part[name].std(ddof=1)}
        rows.append(row)
    return pd.DataFrame(rows)


def _compare_training(result: Comparison) -> None:
    """What training reached by epoch and by update, each training once."""
    from study.figures.training import training_curve, training_figure

    members = result.members
    trained: list[Member] = []
    firsts: dict[str, str] = {}
    runs, left_out = of_one_unit(members, "training")
    for run in runs:
        label = members.label(run)
        first = firsts.setdefault(run.training_hash, label)
        if first != label or not run.record.holds(TRAINING):
            reason = f"the same training as {first}" if first != label else "it has no training of its own"
            left_out.append(LeftOut("training", label, reason))
            continue
        trained.append(run)
    if len(trained) > 1:
        drawn, words, beyond = choose_runs("training", trained, members, MOST_CURVES)
        result.left_out += [*left_out, *beyond]
        curves: dict[str, pd.DataFrame] = {}
        for run in drawn:
            ended = run.record.read_json(TRAINING)
            named = [(point.key, point.value, point.step) for point in run.record.metrics()]
            curves[members.label(run)] = training_curve(named, ended["updates"], ended["epochs"])
        groups = {members.label(run): members.configuration(run) for run in drawn}
        trainings = words.replace("runs", "trainings", 1)
        caption = f"{_subject(members)}; {trainings}, whole splits evaluated after each epoch."
        result.figures["training"] = training_figure(
            curves, groups, title="Training", caption=caption, loss_unit=runs[0].loss_unit
        )


def _compare_landscapes(name: str, result: Comparison) -> None:
    """One figure of each set of alike landscapes of this name."""
    sets: dict[str, list[Member]] = {}
    settings: dict[str, dict[str, Any]] = {}
    for run in result.members.runs:
        if name not in run.landscapes:
            continue
        if run.diverged:
            result.left_out.append(LeftOut(name, result.members.label(run), "its training diverged"))
            continue
        if name in run.undrawn:
            reason = "the training of another seed, which it names, diverged"
            result.left_out.append(LeftOut(name, result.members.label(run), reason))
            continue
        if name in run.broken:
            result.left_out.append(LeftOut(name, result.members.label(run), _broken(run, name)))
            continue
        own = alike(name, run)
        settings[repr(own)] = own
        sets.setdefault(repr(own), []).append(run)
    ordered = sorted(sets, key=lambda key: -len(sets[key]))
    for place, key in enumerate(ordered):
        file = name if place == 0 else f"{name}.{place + 1}"
        alone = len(sets[key]) < 2
        if place > 0:
            reason = difference(settings[key], settings[ordered[0]])
            where = "" if alone else f"; drawn apart in {file}"
            for run in sets[key]:
                result.left_out.append(LeftOut(name, result.members.label(run), f"{reason}{where}"))
        if not alone:
            _draw_landscapes(name, file, sets[key], settings[key], result)


def _draw_landscapes(
    name: str, file: str, runs: Sequence[Member], settings: Mapping[str, Any], result: Comparison
) -> None:
    members = result.members
    kind = KINDS[str(settings["kind"])]
    drawn, words, left_out = choose_runs(file, runs, members, kind.drawing.most_together)
    result.left_out += left_out
    landscapes = {members.label(run): run.landscape(name) for run in drawn}
    groups = {members.label(run): members.configuration(run) for run in drawn}
    caption = f"{_subject(members)}; {shared(settings)}; {words}, one scale."
    for suffix, figure in kind.drawing.together(landscapes, groups, kind.title, caption).items():
        result.figures[f"{file}{suffix}"] = figure
    if isinstance(kind.drawing, LineDrawing):
        figures, left_out = compare_differences(name, f"{file}.difference", runs, members, _subject(members))
        result.figures |= figures
        result.left_out += left_out


def _compare_between(joined: Sequence[tuple[Pair, Landscape]], result: Comparison) -> None:
    """The table of barriers, and the figure of the lines between minima."""
    from study.figures.comparison import between_figure

    members, rows, drawn, lines, groups = result.members, [], [], {}, {}
    for pair, landscape in joined:
        alike = members.configuration(pair.start) == members.configuration(pair.end)
        words = members.replicate if alike else members.configuration
        ends = [words(pair.start), words(pair.end)]
        named = {"start": members.label(pair.start), "end": members.label(pair.end)}
        own = [{**named, "split": split, **barriers(landscape.split(split))} for split in SPLITS]
        rows += [{**row, **pair.told_apart(members)} for row in own]
        unit = joined[0][1].loss_unit
        if landscape.loss_unit != unit:
            reason = f"{UNIT} {landscape.loss_unit}, not {unit}"
            result.left_out.append(LeftOut("between", " and ".join(named.values()), reason))
            continue
        drawn += own
        points = dict(zip(ends, landscape.points.values(), strict=True))
        way = " → ".join(ends)
        group = (members.configuration(pair.start) if members.keys else "seeds") if alike else way
        label = f"{group}: {way if alike else members.replicate(pair.start)}"
        lines[label], groups[label] = replace(landscape, points=points), group
    result.between = pd.DataFrame(rows)
    if lines:
        highest = pd.DataFrame(drawn).groupby("split", sort=False)["barrier"].max()
        heights = ", ".join(f"{split} {height:.2g}" for split, height in highest.items())
        caption = (
            f"{_subject(members)}; θ(α) = (1 − α) θ_start + α θ_end, running statistics recomputed; "
            f"{len(lines)} pairs; highest barrier: {heights} {unit}."
        )
        result.figures["between"] = between_figure(lines, groups, title="Between two minima", caption=caption)


def _compare_measures(result: Comparison) -> None:
    """Measures against the settings in which runs differ, and against the test error."""
    from study.figures.measures import against_test_error, measures_figure

    members = result.members
    runs, left_out = of_one_unit(members, "measures")
    table = result.runs[result.runs["run"].isin([run.record.config_hash for run in runs])].copy()
    for run in runs:
        for name in run.broken:
            own = table.columns.str.startswith(f"{name}/")
            table.loc[table["run"] == run.record.config_hash, own] = np.nan
            left_out.append(LeftOut("measures", members.label(run), _broken(run, name)))
    measured = [name for name in _measures(members, table) if _varies(table[name])]
    reached = [name for name in TRAINED if name in table and _varies(table[name])]
    caption = f"{_subject(members)}; {len(table)} runs, {table['configuration'].nunique()} configurations."
    keys = members.keys or members.seeds
    if keys and (measured or reached):
        result.left_out += left_out
        result.figures["measures"] = measures_figure(
            table,
            [*reached, *measured],
            keys,
            title="Measures by configuration",
            caption=caption,
            loss_unit=runs[0].loss_unit,
        )
    if measured and "test/accuracy" in table and _varies(table["test/accuracy"]):
        columns = table[["configuration", "test/accuracy", *measured]]
        by_group = columns.groupby("configuration", sort=False).mean()
        error = 1.0 - by_group["test/accuracy"].to_numpy()
        rho = {name: rank_correlation(by_group[name].to_numpy(), error).words() for name in measured}
        result.figures["test_error"] = against_test_error(
            table,
            measured,
            rho,
            "configuration",
            title="Measures and test error",
            caption=f"{caption} ρ: Spearman's, over configurations, with a 95% interval from 8 on.",
            loss_unit=runs[0].loss_unit,
        )


def _broken(run: Member, name: str) -> str:
    return f"self-checks failed: {', '.join(run.broken[name])}"


def _measures(members: Members, table: pd.DataFrame) -> list[str]:
    """The columns that are measures of landscapes, of the curvature and of the minimum."""
    names = {CURVATURE, MEASURES, *(name for run in members.runs for name in run.about["landscapes"])}
    return [
        column
        for column in table.columns
        if column.partition("/")[0] in names
        and column.rpartition("/")[2] not in FLAGS
        and not column.endswith(("_standard_error", *SPREAD))
    ]


def _varies(column: pd.Series) -> bool:
    known = column.dropna()
    return pd.api.types.is_numeric_dtype(known) and known.nunique() > 1


def _subject(members: Members) -> str:
    """What all runs have in common: network and data."""
    first = members.runs[0].settings
    common = [
        str(first[key])
        for key in ("model.name", "data.name")
        if all(run.settings[key] == first[key] for run in members.runs)
    ]
    return " on ".join(common) or "several networks and data sets"
