"""What is measured of many runs: against the settings in which they differ, and against the test error."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from study.alike import of_one_unit
from study.analysis.over_directions import SPREAD
from study.analysis.rank import rank_correlation
from study.curvature import STEM as CURVATURE
from study.flatness import STEM as MEASURES
from study.kinds.directed_plane import SPANNED
from study.left_out import LeftOut
from study.members import Members
from study.self_checks import TOLERANCE as SELF_CHECKS
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


def compare_measures(members: Members, every: pd.DataFrame) -> tuple[dict[str, "Figure"], list[LeftOut]]:
    """The figures `measures` and `test_error`, where there is something to draw, and what they leave out.

    Args:
        members: the runs.
        every: their table; see `Members.table`.
    """
    from study.figures.measures import against_test_error, measures_figure

    figures: dict[str, Figure] = {}
    runs, left_out = of_one_unit(members, "measures")
    table = every[every["run"].isin([run.record.config_hash for run in runs])].copy()
    for run in runs:
        for name in run.broken:
            own = table.columns.str.startswith(f"{name}/")
            table.loc[table["run"] == run.record.config_hash, own] = np.nan
            left_out.append(LeftOut("measures", members.label(run), run.said_broken(name)))
    measured = [name for name in measures_of(members, table) if _varies(table[name])]
    reached = [name for name in TRAINED if name in table and _varies(table[name])]
    caption = f"{members.subject}; {len(table)} runs, {table['configuration'].nunique()} configurations."
    keys = members.keys or members.seeds
    if keys and (measured or reached):
        figures["measures"] = measures_figure(
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
        figures["test_error"] = against_test_error(
            table,
            measured,
            rho,
            "configuration",
            title="Measures and test error",
            caption=f"{caption} ρ: Spearman's, over configurations, with a 95% interval from 8 on.",
            loss_unit=runs[0].loss_unit,
        )
    return figures, left_out if "measures" in figures else []


def measures_of(members: Members, table: pd.DataFrame) -> list[str]:
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
