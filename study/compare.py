"""Many records, one aligned comparison: what can be compared is, and what cannot is named with the reason."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from study.alike import UNIT, alike, difference, of_one_unit, shared
from study.analysis.connectivity import barriers
from study.between import SPLITS, Joined, Pair
from study.chosen import FEWEST_SCENES, MOST_CURVES, MOST_SCENES, choose_runs
from study.differences import compare_differences
from study.kinds import KINDS
from study.kinds.base import Kind
from study.kinds.drawing import LineDrawing, PlaneDrawing
from study.landscape.result import Landscape
from study.left_out import LeftOut
from study.measured import compare_measures
from study.members import Member, Members
from study.source import TRAINING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from study.figures.chart import Chart


@dataclass
class Comparison:
    """Runs beside each other.

    Attributes:
        members: the runs, and the settings in which they differ.
        runs: a row a run; see `Members.table`.
        groups: a row a configuration: runs, and mean and standard deviation over its seeds of every number.
        between: a row a pair of minima and split: the barriers, both runs and in what settings they differ.
        figures: by name, each with what it shows.
        charts: what the page draws anew of them, by the figure's name.
        left_out: what they do not show, and why.
    """

    members: Members
    runs: pd.DataFrame
    groups: pd.DataFrame
    between: pd.DataFrame
    figures: dict[str, "Figure"] = field(default_factory=dict)
    charts: dict[str, "Chart"] = field(default_factory=dict)
    left_out: list[LeftOut] = field(default_factory=list)


def compare(members: Members, joined: Joined) -> Comparison:
    """Compare finished runs; nothing is evaluated.

    Args:
        members: the runs.
        joined: what lies between pairs of their minima.
    """
    table = members.table()
    result = Comparison(members, table, grouped(table), pd.DataFrame())
    _compare_training(result)
    names = dict.fromkeys(name for run in members.runs for name in run.about["landscapes"])
    sets = [own for name in names for own in _alike_sets(name, result)]
    planes = [own.file for own in sets if isinstance(own.kind.drawing, PlaneDrawing)]
    turned = planes[: MOST_SCENES // FEWEST_SCENES]
    for own in sets:
        _draw_landscapes(own, result, MOST_SCENES // len(turned) if own.file in turned else 0)
    result.left_out += joined.left_out
    _compare_between(joined.pairs, result)
    figures, left_out = compare_measures(members, table)
    result.figures |= figures
    result.left_out += left_out
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
    from study.figures.interactive_curves import training_chart
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
        caption = f"{members.subject}; {trainings}, whole splits evaluated after each epoch."
        result.figures["training"] = training_figure(
            curves, groups, title="Training", caption=caption, loss_unit=runs[0].loss_unit
        )
        entries = {members.label(run): [members.entry(run)] for run in drawn}
        chart = training_chart(curves, entries, loss_unit=runs[0].loss_unit)
        result.charts["training"] = replace(
            chart, caption=f"{caption} {chart.caption}", pictures=("training",)
        )


@dataclass(frozen=True)
class _Alike:
    """Runs whose landscapes of one name can be drawn together.

    Attributes:
        name: of the landscapes.
        file: name of their figure.
        runs: two or more.
        settings: what is the same of all of them, in words; see `alike`.
    """

    name: str
    file: str
    runs: Sequence[Member]
    settings: Mapping[str, Any]

    @property
    def kind(self) -> Kind:
        """Of the landscapes."""
        return KINDS[str(self.settings["kind"])]


def _alike_sets(name: str, result: Comparison) -> list[_Alike]:
    """The sets of alike landscapes of this name, the largest first; what is in none is left out, and said."""
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
            result.left_out.append(LeftOut(name, result.members.label(run), run.said_broken(name)))
            continue
        own = alike(name, run)
        settings[repr(own)] = own
        sets.setdefault(repr(own), []).append(run)
    found = []
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
            found.append(_Alike(name, file, sets[key], settings[key]))
    return found


def _draw_landscapes(own: _Alike, result: Comparison, scenes: int) -> None:
    """The figure of a set, and its chart: every curve of the figure, or at most `scenes` surfaces."""
    members, drawing = result.members, own.kind.drawing
    drawn, words, left_out = choose_runs(own.file, own.runs, members, drawing.most_together)
    result.left_out += left_out
    landscapes = {members.label(run): run.landscape(own.name) for run in drawn}
    groups = {members.label(run): members.configuration(run) for run in drawn}
    about = f"{members.subject}; {shared(own.settings)}"
    found = drawing.together(landscapes, groups, own.kind.title, f"{about}; {words}, one scale.")
    pictures = {f"{own.file}{suffix}": figure for suffix, figure in found.items()}
    result.figures |= pictures
    if isinstance(drawing, LineDrawing):
        figures, left_out = compare_differences(
            own.name, f"{own.file}.difference", own.runs, members, members.subject
        )
        result.figures |= figures
    elif scenes:
        drawn, words, left_out = choose_runs(f"{own.file}, to turn", own.runs, members, scenes)
        words = f"{words}, one scale"
    else:
        reason = f"a page turns {MOST_SCENES} surfaces: it has the picture"
        result.left_out.append(LeftOut(f"{own.file}, to turn", f"{len(own.runs):,} runs", reason))
        return
    result.left_out += left_out
    shown = {members.label(run): run for run in drawn}
    chart = drawing.chart(
        {label: landscapes.get(label) or run.landscape(own.name) for label, run in shown.items()},
        {label: [members.entry(run)] for label, run in shown.items()},
    )
    caption = f"{about}; {words}. {chart.caption}".strip()
    result.charts[own.file] = replace(chart, caption=caption, pictures=tuple(pictures))


def _compare_between(joined: Sequence[tuple[Pair, Landscape]], result: Comparison) -> None:
    """The table of barriers, and the figure of the lines between minima."""
    from study.figures.comparison import between_figure
    from study.figures.interactive_curves import line_chart

    members, rows, drawn, lines, groups, entries = result.members, [], [], {}, {}, {}
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
        entries[label] = list(dict.fromkeys((members.entry(pair.start), members.entry(pair.end))))
    result.between = pd.DataFrame(rows)
    if lines:
        highest = pd.DataFrame(drawn).groupby("split", sort=False)["barrier"].max()
        heights = ", ".join(f"{split} {height:.2g}" for split, height in highest.items())
        caption = (
            f"{members.subject}; θ(α) = (1 − α) θ_start + α θ_end, running statistics recomputed; "
            f"{len(lines)} pairs; highest barrier: {heights} {unit}."
        )
        result.figures["between"] = between_figure(lines, groups, title="Between two minima", caption=caption)
        chart = line_chart(lines, entries, parameter_label="α", panels=groups, error=True)
        said = f"{caption} {chart.caption} A line is shown while both of its ends are."
        result.charts["between"] = replace(chart, caption=said, pictures=("between",))
