"""Debian's Chromium, headless, where it is installed: pages as a reader sees them."""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = os.environ.get("STUDY_CHROMIUM") or shutil.which("chromium")


@dataclass
class Watched:
    """A page, and what a page of ours never does.

    Attributes:
        page: in the browser.
        errors: what it threw, or said on its console as an error.
        requests: addresses that it asked for, its own file apart.
    """

    page: Page
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium, for all tests of a process; they are skipped where it is not installed."""
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"],
        )
        yield started
        started.close()


@pytest.fixture
def watch(browser: Browser) -> Iterator[Callable[..., Watched]]:
    """A new page of a given size, watched from its first moment on."""
    opened = []

    def start(width: int = 1280, height: int = 900) -> Watched:
        page = browser.new_page(viewport={"width": width, "height": height})
        opened.append(page)
        watched = Watched(page)
        page.on("pageerror", lambda error: watched.errors.append(str(error)))
        page.on(
            "console",
            lambda said: watched.errors.append(said.text) if said.type == "error" else None,
        )
        page.on("request", lambda asked: watched.requests.append(asked.url))
        return watched

    yield start
    for page in opened:
        page.close()


@pytest.fixture
def visit(watch: Callable[..., Watched]) -> Callable[..., Watched]:
    """Open a file of ours in a new page: see `watch`. Its own address is no request of it."""

    def open_file(file: Path, width: int = 1280, height: int = 900) -> Watched:
        watched = watch(width, height)
        watched.page.goto(file.as_uri())
        watched.requests.remove(file.as_uri())
        return watched

    return open_file
