"""The pictures of MLflow's UI in the README: `python docs/screenshots.py OUTPUT_DIR`.

OUTPUT_DIR holds one sweep, as `study -m training.batch_size=16,128 seed=0,1` makes it. Shown are its runs,
one of them, and two beside each other.
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright

from study.figures.few_colours import smaller
from study.record import SWEEPS, Record

WIDTH = 1280  # pixels
PATIENCE = 120_000  # milliseconds
IMAGES = Path(__file__).parent / "images"


def main() -> None:
    """Make all of them.

    Raises:
        SystemExit: without a folder.
    """
    if len(sys.argv) != 2:
        sys.exit("usage: python docs/screenshots.py OUTPUT_DIR")
    folder = Path(sys.argv[1])
    with served(folder) as table, sync_playwright() as playwright:
        chromium = shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        address = table.partition("/#")[0]
        picture_table(browser, table)
        first, second = ends(folder)
        picture_run(browser, f"{address}/#/experiments/1/runs/{first}?workflowType=machine_learning")
        picture_comparison(
            browser, f"{address}/#/compare-runs?runs={json.dumps([first, second])}&experiments=[%221%22]"
        )
        browser.close()


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address that `study ui` says of the runs table, for as long as it runs."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    command = [sys.executable, "-m", "study", "ui", "--port", port, f"output_dir={folder}"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        assert server.stdout is not None
        server.stdout.readline()
        (table,) = re.findall(r": (http\S+)$", server.stdout.readline())
        while server.poll() is None:
            with socket.socket() as asking:
                if asking.connect_ex(("127.0.0.1", int(port))) == 0:
                    break
        yield table
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait()


def ends(folder: Path) -> tuple[str, str]:
    """MLflow's ids of the first and the last run of the sweep."""
    (sweep,) = Record.all(folder, SWEEPS)
    members = [Record.at(folder, name) for name in sweep.read_json("run.json")["members"]]
    first, last = (next(iter(own.mirrored_run_ids())) for own in (members[0], members[-1]))
    return first, last


def picture_table(browser: Browser, address: str) -> None:
    """The runs table with its columns, the sweep unfolded."""
    page = opened(browser, address, 640)
    page.get_by_text("sweep · ").first.wait_for()
    page.locator("[role=gridcell][col-id='attributes.`Run Name`'] button").first.click()
    expect(page.get_by_text("seed 1", exact=False).first).to_be_visible(timeout=PATIENCE)
    kept(page, "ui_runs", 560)


def picture_run(browser: Browser, address: str) -> None:
    """A run's page with its description."""
    page = opened(browser, address, 1500)
    page.get_by_text("Show more").first.click()
    page.locator("img[src^=get-artifact]").first.wait_for()
    kept(page, "ui_run", 860)


def picture_comparison(browser: Browser, address: str) -> None:
    """The contours of two runs in the compare page."""
    page = opened(browser, address, 900)
    for name in ("Visualizations", "Run details", "Parameters", "Tags"):
        page.locator("[role=button][aria-expanded=true]", has_text=name).first.click()
    file = page.get_by_text("contour.preview.png", exact=True).first
    file.dispatch_event("click")  # where nothing is chosen yet, a narrow window has no room for the names
    file.scroll_into_view_if_needed()
    kept(page, "ui_compare", 800)


def opened(browser: Browser, address: str, height: int) -> Page:
    """A page without the assistant, which takes a third of the room."""
    page = browser.new_page(viewport={"width": WIDTH, "height": height})
    page.set_default_timeout(PATIENCE)
    page.goto(address)
    page.get_by_label("Close").last.click()
    return page


def kept(page: Page, name: str, height: int) -> None:
    """The page down to a height, once it is at rest, as a picture of few colours."""
    page.wait_for_timeout(5000)
    shot = page.screenshot(clip={"x": 0, "y": 0, "width": WIDTH, "height": height})
    (IMAGES / f"{name}.png").write_bytes(smaller(shot))
    page.close()


if __name__ == "__main__":
    main()
