"""MLflow's UI on a store of ours, as a user opens it: table, run, series of pictures, comparison."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from study.record import SWEEPS, Record, State
from study.tracking.mlflow_tracker import MlflowTracker

PATIENCE = 60_000  # milliseconds, on a busy machine
STEPS = (0, 46, 230)
WIDTH = 700  # pixels of a picture; the description's is smaller


@dataclass(frozen=True)
class Served:
    """A UI, and what is in it.

    Attributes:
        address: where it listens.
        table: the address that `study ui` says of the runs table.
        runs: MLflow's ids of two runs.
        parent: MLflow's id of their sweep.
    """

    address: str
    table: str
    runs: tuple[str, str]
    parent: str

    def run(self, run_id: str, tab: str = "") -> str:
        return f"{self.address}/#/experiments/1/runs/{run_id}{tab}?workflowType=machine_learning"


def png(shade: int) -> bytes:
    written = BytesIO()
    Image.fromarray(np.full((WIDTH, WIDTH, 3), shade, np.uint8)).save(written, "PNG")
    return written.getvalue()


def made(folder: Path) -> tuple[Record, list[Record]]:
    """A sweep of two runs that looks as one that was run."""
    members = []
    for seed in (0, 1):
        record = Record.at(folder, f"aa{seed}")
        about = {"note": "", "tags": {"config_hash": f"aa{seed}"}, "data": [], "landscapes": ["wide"]}
        name = f"cnn · digits · bs64 · adam · seed {seed}"
        record.create({"name": name, "params": {"training.batch_size": 64, "seed": seed}, **about})
        record.set_state(State.RUNNING)
        for file in ("landscapes/wide.png", "landscapes/wide.surface.png"):
            record.write(file, png(40 + seed))
        record.write("landscapes/wide.html", f"<!doctype html><title>x</title><p>plane of seed {seed}</p>")
        record.write("report.md", "# A report\n")
        for step in STEPS:
            record.write(f"landscapes/wide.frames/{step:06d}.png", png(step))
        for epoch in range(2):
            record.log({"test/accuracy": 0.5 + 0.25 * epoch, "test/loss": 1.0 - 0.5 * epoch}, step=epoch)
        record.log({"wide/train/basin_width": 1.25 + seed})
        record.set_state(State.FINISHED)
        members.append(record)
    parent = Record.at(folder, "bb", SWEEPS)
    hashes = [own.config_hash for own in members]
    parent.create({
        "name": "Two seeds",
        "note": "Is it so?",
        "tags": {},
        "params": {"seed": "0,1"},
        "data": [],
        "members": hashes,
        "differing": ["optimizer.learning_rate", "seed"],
        "labels": {hashes[1]: "learning_rate 0.1"},
    })
    parent.write("report.html", "<!doctype html><title>x</title><p>all of it</p>")
    parent.write("comparison/wide.png", png(90))
    parent.set_state(State.FINISHED)
    return parent, members


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The UI that `study ui` starts on a sweep of two runs."""
    folder = tmp_path_factory.mktemp("ui")
    parent, members = made(folder)
    tracker = MlflowTracker(None, str(folder), "study", "ends")
    for record in (parent, *members):
        assert tracker.mirror(record)
    assert tracker.link(parent, members)
    with socket.socket() as asking:
        asking.bind(("127.0.0.1", 0))
        port = asking.getsockname()[1]
    command = [sys.executable, "-m", "study", "ui", "--port", str(port), f"output_dir={folder}"]
    server = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True
    )
    try:
        assert server.stdout is not None
        server.stdout.readline()
        said = server.stdout.readline()
        (found,) = re.findall(r"^  runs of study: (\S+)$", said)
        ids = [next(iter(own.mirrored_run_ids())) for own in (*members, parent)]
        address = f"http://127.0.0.1:{port}"
        listening(port, server)
        yield Served(address, found, (ids[0], ids[1]), ids[2])
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait()


def listening(port: int, server: subprocess.Popen) -> None:
    while server.poll() is None:
        with socket.socket() as asking:
            asking.settimeout(1)
            if asking.connect_ex(("127.0.0.1", port)) == 0:
                return
    raise AssertionError("the UI did not start")


@pytest.fixture
def open_page(watch: Callable) -> Callable[[str], Page]:
    def go(address: str) -> Page:
        page = watch(1280, 1000).page
        page.set_default_timeout(PATIENCE)
        page.goto(address)
        return page

    return go


def size_of(page: Page, address: str) -> list[int]:
    """Width of a picture of the page in the file and on the screen, once it is there."""
    picture = page.locator(f"img[src='{address}']")
    expect(picture).to_be_visible(timeout=PATIENCE)
    page.wait_for_function("e => e.complete && e.naturalWidth", arg=picture.element_handle())
    return picture.evaluate("e => [e.naturalWidth, e.clientWidth]")


def test_the_table_opens_with_columns_worth_sorting_by(served: Served, open_page):
    page = open_page(served.table)
    expect(page.get_by_text("Two seeds", exact=True)).to_be_visible(timeout=PATIENCE)
    page.get_by_label("Close").last.click()  # the assistant, which takes a third of the room
    headers = [
        page.locator(f"[role=columnheader][col-id='{name}']")
        for name in ("metrics.`test/accuracy`", "metrics.`test/loss`", "metrics.`wide/train/basin_width`")
    ]
    for header in headers:
        expect(header).to_be_visible(timeout=PATIENCE)
    lefts = [header.evaluate("e => e.getBoundingClientRect().left") for header in headers]
    assert lefts == sorted(lefts)
    page.locator("[role=gridcell][col-id='attributes.`Run Name`'] button").first.click()
    child = page.get_by_text("cnn · digits · bs64 · adam · seed 1 · learning_rate 0.1", exact=True)
    expect(child).to_be_visible(timeout=PATIENCE)


def test_a_run_shows_its_picture_its_numbers_and_where_to_look(served: Served, open_page):
    page = open_page(served.run(served.runs[1]))
    page.get_by_text("Show more").first.click()
    assert size_of(page, f"get-artifact?path=wide.preview.png&run_uuid={served.runs[1]}") == [420, 420]
    expect(page.locator("p", has_text="wide/train/basin_width 2.25")).to_be_visible()
    for name, said in (("Interactive wide", "plane of seed 1"), ("Comparison", "all of it")):
        with page.expect_popup() as opened:
            page.get_by_role("link", name=name, exact=True).click()
        shown = opened.value.frame_locator("iframe").get_by_text(said)
        expect(shown).to_be_visible(timeout=PATIENCE)
        opened.value.close()
    with page.expect_popup() as opened:
        page.get_by_role("link", name="Sweep", exact=True).click()
    expect(opened.value.get_by_text("Is it so?")).to_be_visible(timeout=PATIENCE)


def test_a_series_of_pictures_has_a_step_for_each(served: Served, open_page):
    page = open_page(served.run(served.runs[0], "/model-metrics"))
    page.get_by_placeholder("Search metric charts").fill("image")
    slider = page.get_by_role("slider")
    slider.wait_for()
    slider.focus()
    for step in STEPS:
        expect(slider).to_have_attribute("aria-valuenow", str(step), timeout=PATIENCE)
        picture = page.locator(f"img[src*='images%2Fwide%2Bstep%2B{step}%2B']")
        expect(picture).to_be_attached(timeout=PATIENCE)
        page.wait_for_function("e => e.complete && e.naturalWidth === 256", arg=picture.element_handle())
        page.keyboard.press("ArrowRight")


def test_two_runs_have_their_pictures_side_by_side(served: Served, open_page):
    asked = f"runs={json.dumps(list(served.runs))}&experiments={json.dumps(['1'])}"
    page = open_page(f"{served.address}/#/compare-runs?{asked}")
    page.get_by_label("Close").last.click()
    file = page.get_by_text("wide.preview.png", exact=True).first
    file.dispatch_event("click")  # where nothing is chosen yet, a narrow window has no room for the names
    pictures = page.locator("img[src^='blob:']:visible")
    expect(pictures).to_have_count(2, timeout=PATIENCE)
    boxes = [pictures.nth(place).bounding_box() for place in range(2)]
    assert all(boxes)
    assert boxes[0]["y"] == boxes[1]["y"]
    assert boxes[0]["x"] != boxes[1]["x"]
