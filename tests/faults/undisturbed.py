"""The sweep that is disturbed in every case, and what it leaves where nothing disturbs it."""

import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tests.faults.points import Point
from tests.faults.starts import Ended, import_before, start
from tests.faults.traces import differences, faults, left

SWEEP = (
    "-m",
    "data.train_examples=64",
    "data.test_examples=32",
    "data.image_size=8",
    "model=mlp",
    "model.widths=[8]",
    "training.epochs=2",
    "training.batch_size=32",
    "training.threads=1",
    "evaluation.threads=1",
    "comparison.points=3",
    "landscape=[line,minima]",
    "landscape.line.points=3",
    "landscape.minima.points=3",
    "landscape.minima.end=seed+1",
    "training/averaging=ema",
    "curvature=top",
    "curvature.eigenvalues=1",
    "curvature.matrices=[hessian]",
    "measures=flatness",
    "measures.names=[distance_from_initialisation]",
    "seed=0,1",
)


@dataclass(frozen=True)
class Undisturbed:
    """A sweep that nothing disturbed.

    Attributes:
        store: tables of a store, empty.
        left: what the sweep left.
        points: the changes that it made, on such a store.
        making: those of one whose store's tables were not there.
        seconds: that it took.
        begin: starts it in a folder, and waits for its end.
    """

    store: Path
    left: dict[str, Any]
    points: list[Point]
    making: list[Point]
    seconds: float
    begin: Callable[[Path], Ended]

    @classmethod
    def of(cls, folder: Path) -> "Undisturbed":
        """Run the sweep twice: from nothing, and on an empty store.

        Raises:
            RuntimeError: if it does not end well, or not twice the same.
        """
        begin = partial(start, SWEEP)
        first, second, store = folder / "first", folder / "second", folder / "mlflow.db"
        made = begin(first)
        import_before(made.imported)
        _empty(first / "mlflow.db", store)
        second.mkdir()
        shutil.copy(store, second)
        again = begin(second)
        wrong = [*of_end(made), *of_end(again), *differences(left(second), left(first)), *faults(first)]
        if wrong:
            raise RuntimeError("the sweep goes wrong undisturbed:\n" + "\n".join(wrong))
        return cls(store, left(first), again.points, made.points, again.seconds, begin)

    @property
    def kinds(self) -> Counter[str]:
        """How many changes there are of each kind and place."""
        return Counter(map(str, self.points))


def of_end(ended: Ended) -> list[str]:
    """What is wrong with a start that nothing disturbs any more: a line each."""
    wrong = [] if ended.status == 0 else [f"it ended with status {ended.status}: {ended.output[-2000:]}"]
    return [*wrong, *(["a process outlived it"] if ended.left else [])]


def _empty(database: Path, into: Path) -> None:
    """Copy a store without what is in its tables."""
    shutil.copy(database, into)
    with sqlite3.connect(into) as store:
        names = [name for (name,) in store.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for name in names:
            if name not in {"alembic_version", "sqlite_sequence"}:
                store.execute(f'DELETE FROM "{name}"')
