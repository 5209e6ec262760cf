"""Processes that end with the one that started them."""

import os
import subprocess
import sys
import threading

import pytest

from study.landscape import orphans

PATIENCE = 20.0  # seconds


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orphans, "WATCHED_EVERY", 0.01)


def test_who_watches_a_process_hears_of_its_end_and_no_sooner():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as watched:
        over = threading.Event()
        orphans.when_gone(watched.pid, over.set)
        assert not over.wait(0.3)
        watched.communicate(b"\n")
    assert over.wait(PATIENCE)


def test_a_process_of_somebody_else_is_there(monkeypatch: pytest.MonkeyPatch):
    asked = threading.Event()

    def kill(_process: int, number: int) -> None:
        assert number == 0
        if asked.is_set():
            raise ProcessLookupError
        asked.set()
        raise PermissionError

    over = threading.Event()
    monkeypatch.setattr(os, "kill", kill)
    orphans.when_gone(1, over.set)
    assert over.wait(PATIENCE)
    assert asked.is_set()


def test_who_gets_another_parent_is_an_orphan(monkeypatch: pytest.MonkeyPatch):
    over = threading.Event()
    parent = os.getppid()
    orphans.when_orphaned(parent, over.set)
    assert not over.wait(0.3)
    monkeypatch.setattr(os, "getppid", lambda: 1 if parent != 1 else 2)
    assert over.wait(PATIENCE)
