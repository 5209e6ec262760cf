"""Bars: on a terminal alone, in one line, with the time left, and what is logged above them."""

import io
import logging
import re
import sys
from collections.abc import Callable

import pytest

from study.bars import QUIET, bar, counted, progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Terminal]:
    """Put a terminal in the place of stderr, from within the test: pytest has its own between its phases."""
    monkeypatch.delenv(QUIET, raising=False)

    def shown() -> Terminal:
        screen = Terminal()
        monkeypatch.setattr(sys, "stderr", screen)
        return screen

    return shown


def test_a_bar_says_what_how_far_and_how_long(terminal: Callable[[], Terminal]):
    screen = terminal()
    with bar("contour", "points", total=4, done=1) as shown:
        shown.mininterval = 0
        shown.update(2)
        shown.refresh()
    lines = [line.strip() for line in screen.getvalue().split("\r") if line.strip()]
    assert re.fullmatch(r"contour  25% \|.+\| 1/4 points, \? left", lines[0])
    assert re.fullmatch(r"contour  75% \|.+\| 3/4 points, \d\d:\d\d left", lines[-1])
    assert screen.getvalue().split("\r")[-1] == ""  # and nothing is left of it


def test_work_of_unknown_length_becomes_known_with_its_first_step(terminal: Callable[[], Terminal]):
    screen = terminal()
    with progress("line", "points") as on_point:
        on_point(3, 9)
    assert "0/? points" in screen.getvalue()


def test_no_bar_where_there_is_no_terminal_or_none_is_wanted(
    terminal: Callable[[], Terminal], monkeypatch: pytest.MonkeyPatch
):
    screen = terminal()
    with bar("hidden", "points", total=2, hidden=True) as shown:
        shown.update(2)
    monkeypatch.setenv(QUIET, "1")
    assert list(counted([1, 2], "quiet", "jobs")) == [1, 2]
    monkeypatch.delenv(QUIET)
    assert screen.getvalue() == ""
    file = io.StringIO()
    monkeypatch.setattr(sys, "stderr", file)
    with progress("file") as on_point:
        on_point(1, 1)
    assert file.getvalue() == ""


def test_a_warning_stands_above_the_bar_on_a_line_of_its_own(terminal: Callable[[], Terminal]):
    screen = terminal()
    handler = logging.StreamHandler(screen)
    logging.getLogger().addHandler(handler)
    try:
        with bar("training", "updates", total=4) as shown:
            shown.refresh()
            logging.getLogger("study").warning("the store is away")
    finally:
        logging.getLogger().removeHandler(handler)
    assert re.search(r"\r *\r?the store is away\n", screen.getvalue())
    assert "left" not in screen.getvalue().split("the store is away\n")[0].split("\r")[-1]


def test_items_are_counted(terminal: Callable[[], Terminal]):
    screen = terminal()
    assert list(counted("abc", "checking", "jobs")) == ["a", "b", "c"]
    assert "checking" in screen.getvalue()
    assert "/3 jobs" in screen.getvalue()
