"""How far long work is: a bar with the time left on a terminal, and nothing anywhere else."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

Item = TypeVar("Item")

QUIET = "TQDM_DISABLE"
"""A variable that, set to anything, hides every bar."""

FORMAT = "{desc} {percentage:3.0f}% |{bar}| {n_fmt}/{total_fmt} {unit}, {remaining} left{postfix}"
"""The look of a bar, in one line of any width."""


@contextmanager
def bar(
    name: str, unit: str, *, total: int | None = None, done: int = 0, hidden: bool = False
) -> Iterator["tqdm[None]"]:
    """A bar that leaves nothing behind; what is logged meanwhile stands above it.

    Args:
        name: of the work.
        unit: what is counted, in the plural.
        total: how many there are, if that is known.
        done: how many are done already.
        hidden: whether there is none on a terminal either.
    """
    disable = True if hidden or os.environ.get(QUIET) else None  # None: where there is no terminal
    with tqdm(
        desc=name,
        unit=unit,
        total=total,
        initial=done,
        disable=disable,
        leave=False,
        dynamic_ncols=True,
        bar_format=FORMAT,
    ) as shown:
        if shown.disable:
            yield shown
            return
        with logging_redirect_tqdm():
            yield shown


@contextmanager
def progress(name: str, unit: str = "points") -> Iterator[Callable[[int, int], None]]:
    """A bar of work that calls what it is given with (done, in all)."""
    with bar(name, unit) as shown:

        def on_point(done: int, total: int) -> None:
            shown.total = total
            shown.update(done - shown.n)

        yield on_point


def counted(items: Sequence[Item], name: str, unit: str) -> Iterator[Item]:
    """The items, with a bar that counts those that were worked on."""
    with bar(name, unit, total=len(items)) as shown:
        for item in items:
            yield item
            shown.update()
