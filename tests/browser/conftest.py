"""Debian's Chromium, headless, where it is installed: pages as a reader sees them, within MLflow's UI too."""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pytest
from mlflow import MlflowClient
from playwright.sync_api import Browser, Page, sync_playwright

from study.tracking.mlflow_tracker import KIND
from tests.faults.servers import mlflow_server as serve

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


class Viewer(NamedTuple):
    """A real MLflow server.

    Attributes:
        address: where it listens, on 127.0.0.1.
        show: logs a file of ours as an artifact of a fresh run, in that folder of it; the address at which
            the UI shows it.
    """

    address: str
    show: Callable[..., str]


@pytest.fixture(scope="session")
def mlflow_server(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Viewer]:
    """An MLflow server with a store of its own; not started where there is no browser to look at it."""
    with serve(tmp_path_factory.mktemp("mlflow")) as port:
        address = f"http://127.0.0.1:{port}"
        client = MlflowClient(address)
        experiment = client.create_experiment("pages", tags=KIND)

        def show(file: Path, folder: str = "landscapes") -> str:
            run = client.create_run(experiment).info.run_id
            client.log_artifact(run, str(file), folder)
            client.set_terminated(run)
            return f"{address}/#/experiments/{experiment}/runs/{run}/artifacts/{folder}/{file.name}"

        yield Viewer(address, show)
