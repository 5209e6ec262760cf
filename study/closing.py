"""What the command line says at the end of a run, of a sweep, and of a comparison."""

import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from study.compare_runs import Compared
from study.comparison_report import FOLDER, PAGE, kept_verdicts
from study.members import BY_TRAINING, Members
from study.partner import undrawn
from study.paths import OUTPUT_DIR_VARIABLE, default_output_dir
from study.record import Record
from study.run import Outcome
from study.run_table import run_table
from study.sweep import SweepOutcome

MOST_ROWS = 60
"""Runs of a sweep or a comparison that the closing table shows."""

SHORT = 8
"""Characters of a run's hash there."""

NORM = "weights/norm"
"""What is left to the tables: with it, the closing one is wider than a terminal."""


def print_run(outcome: Outcome) -> None:
    """The closing table of a run: what was reached, where the figures are, how to see more."""
    record = outcome.record
    about, tags = record.read_json("run.json"), record.read_json("state.json")["tags"]
    done = "finished before; nothing was repeated" if outcome.reused else "finished"
    print(f"\n{about['name']}: {done}\n")
    if table := run_table(record):
        print(table)
    if "diverged" in tags:
        print(f"\nthe training diverged, and no landscape is drawn: {tags['diverged']}")
    if names := undrawn(tags):
        print(f"\nthe training of another seed diverged, so not drawn: {', '.join(names)}")
    drawn = [name for name in record.files() if name.endswith((".png", ".gif"))]
    figures = sorted(name for name in drawn if ".frames/" not in name)
    if figures:
        print("\nfigures:")
    for name in figures:
        print(f"  {record.path / name}")
    _print_where(record, outcome.tracking)


def print_sweep(outcome: SweepOutcome) -> None:
    """The closing table of a sweep: its runs, what failed, where the comparison is."""
    count = len(outcome.members.runs) if outcome.members else 0
    again = f"{outcome.repeated} run now" if outcome.repeated else "nothing was repeated"
    print(f"\n{outcome.record.read_json('run.json')['name']}: {count} runs finished ({again})\n")
    _print_comparison(outcome.record, outcome.members, outcome.tracking)
    _print_unfinished(outcome.failed)


def print_compared(compared: Compared) -> None:
    """The closing table of a comparison: its runs, what is not in it, where it is."""
    print(f"\n{len(compared.members.runs)} runs compared\n")
    _print_comparison(compared.record, compared.members, compared.tracking)
    _print_unfinished(compared.unfinished)


def _print_comparison(record: Record, members: Members | None, tracking: str | None) -> None:
    if members is not None:
        table = members.table()
        shown = ["run", "label", *(name for name in BY_TRAINING if name in table and name != NORM)]
        printed = table[shown].head(MOST_ROWS)
        printed = printed.assign(run=printed["run"].str[:SHORT])  # enough of it for checkpoint=
        print(printed.to_string(index=False, float_format=lambda value: f"{value:.4g}"))
        if more := len(table) - len(printed):
            print(f"… and {more:,} more: all of them are in the tables below")
        _print_verdicts(kept_verdicts(record))
        print(f"\ncomparison: {record.path / PAGE}\ntables: {record.path / FOLDER / 'runs.csv'}")
    _print_where(record, tracking)


def _print_verdicts(verdicts: pd.DataFrame) -> None:
    if verdicts.empty:
        return
    print("\nverdicts:")
    width = verdicts["outcome"].str.len().max()
    for row in verdicts.to_dict("records"):
        print(f"  {row['outcome']:<{width}}  {row['claim']}: {row['says']}")


def _print_unfinished(unfinished: Mapping[str, str]) -> None:
    for name, reason in unfinished.items():
        print(f"study: run {name} is not in it: {reason}", file=sys.stderr)


def _print_where(record: Record, tracking: str | None) -> None:
    print(f"\nall of it: {record.path}")
    if tracking is not None:
        print(f"mirrored to {tracking}; look {_where_to_look(tracking, record.output_dir)}")


def _where_to_look(store: str, output_dir: Path) -> str:
    if store.startswith(("http://", "https://")):
        return "at it there"
    default = Path(os.environ.get(OUTPUT_DIR_VARIABLE, default_output_dir())).expanduser().resolve()
    there = "" if output_dir == default else f" {shlex.quote(f'output_dir={output_dir}')}"
    return f"with: study ui{there}"
