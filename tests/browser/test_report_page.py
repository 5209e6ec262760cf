"""The page of a comparison as a reader uses it: surfaces turn together, legend and tables filter."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from study.comparison_report import page
from study.figures.chart import Chart
from study.figures.interactive_curves import line_chart, training_chart
from study.figures.interactive_surfaces import surface_chart
from study.landscape.result import Landscape, Point, Status

RUNS = {f"batch_size {size}, seed {seed}": f"batch_size {size}" for size in (8, 64) for seed in (0, 1)}
ENTRIES = {label: [group] for label, group in RUNS.items()}
ALPHA, BETA = np.linspace(-1.0, 2.0, 7), np.linspace(-1.0, 1.0, 5)
PATH = np.array([[1.5, 0.5], [0.6, -0.4], [0.0, 0.0]])


def plane(scale: float) -> Landscape:
    """A bowl, steeper along β, with one cell that diverged."""
    a, b = np.meshgrid(ALPHA, BETA, indexing="ij")
    values = {}
    for split, shift in (("train", 0.0), ("test", 0.5)):
        loss = shift + 0.02 + scale * (a**2 + 3 * b**2)
        values |= {f"{split}/loss": loss, f"{split}/accuracy": np.exp(-loss)}
    values["train/loss"][6, 4] = np.inf
    status = np.where(np.isfinite(values["train/loss"]), Status.EVALUATED, Status.DIVERGED).astype(np.int8)
    centre = {f"{split}/{name}": 0.02 for split in ("train", "test") for name in ("loss", "accuracy")}
    return Landscape({"alpha": ALPHA, "beta": BETA}, values, status, {"solution": Point((0.0, 0.0), centre)})


def line(shift: float) -> Landscape:
    loss = shift + (ALPHA - 0.5) ** 2 + 0.1
    values = {"train/loss": loss, "train/accuracy": np.exp(-loss)}
    ends = {name: Point((at,), {"train/loss": shift + 0.35}) for name, at in (("start", 0.0), ("end", 1.0))}
    return Landscape({"alpha": ALPHA}, values, np.full(7, Status.EVALUATED, dtype=np.int8), ends)


def training(shift: float) -> pd.DataFrame:
    epoch = np.arange(1.0, 5.0)
    return pd.DataFrame({
        "epoch": epoch,
        "update": 10 * epoch,
        "train/loss": shift + 1 / epoch,
        "test/loss": shift + 2 / epoch,
        "train/accuracy": 1 - 0.5 / epoch,
        "weights/norm": 3.0 + epoch,
    })


def charts() -> dict[str, Chart]:
    places = {label: 1.0 + place for place, label in enumerate(RUNS)}
    words = list(RUNS)
    pairs = {f"{words[0]} to {words[2]}": line(0.1), f"{words[0]} to {words[1]}": line(0.2)}
    both = {label: ["batch_size 8", "batch_size 64"][: 2 - place] for place, label in enumerate(pairs)}
    return {
        "contour": surface_chart(
            {label: plane(scale) for label, scale in places.items()},
            paths=dict.fromkeys(RUNS, PATH),
        ),
        "training": training_chart({label: training(at) for label, at in places.items()}, ENTRIES),
        "line": line_chart({label: line(at) for label, at in places.items()}, ENTRIES, parameter_label="α"),
        "between": line_chart(pairs, both, parameter_label="α", panels={label: label for label in pairs}),
    }


def comparison(runs: pd.DataFrame) -> Any:
    groups = pd.DataFrame({
        "configuration": ["a", "b", "c", "d"],
        "runs": [2, 2, 2, 1],
        "line/width mean": [0.5, 10.0, np.nan, 2.0],
        "line/width std": [0.1, 2.0, np.nan, 0.3],
    })
    members = SimpleNamespace(keys=("training.batch_size",), seeds=("seed",), runs=[*range(len(runs))])
    return SimpleNamespace(
        members=members, runs=runs, groups=groups, between=pd.DataFrame(), left_out=[], charts=charts()
    )


def table(count: int) -> pd.DataFrame:
    order = np.arange(count) * 7919 % count  # every number once, and not in order
    return pd.DataFrame({
        "run": [f"{place:05x}" for place in range(count)],
        "label": [f"batch_size {8 * (1 + place % 20)}, seed {place // 20}" for place in range(count)],
        "diverged": [place % 3 == 0 for place in range(count)],
        "test/loss": np.where(order % 10 == 0, np.nan, order * 1e-3),
        **{f"line/train/measure_{column}": np.sqrt(order + column) for column in range(30)},
    })


def written(folder: Path, count: int) -> Path:
    file = folder / f"report{count}.html"
    about = {"Question": "Does it turn?"}
    text = page(comparison(table(count)), [], {}, title="Runs", about=about, failed={})
    file.write_text(text, encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("report"), 30)


@pytest.fixture
def opened(report: Path, visit: Callable[..., Any]) -> Any:
    """The page, with every chart drawn."""
    watched = visit(report)
    draw_all(watched.page)
    return watched


SCENES, CURVES = "[...document.querySelectorAll('.scene')]", "[...document.querySelectorAll('.curves')]"
CAMERA = "{'scene.camera': {eye: {x: 0.5, y: 2, z: 1}}}"
EYES = f"{SCENES}.map((plot) => plot._fullLayout.scene.camera.eye)"
AS_ONE = f"""(other) => {{
  const eyes = {EYES}.map(({{ x, y, z }}) => [x, y, z].map((own) => own.toFixed(4)).join());
  return new Set(eyes).size === 1 && eyes[0] !== other;
}}"""
DRAWN = f"""{CURVES}.every((plot) => plot.querySelector('.svg-container'))
  && {SCENES}.every((plot) => plot._fullLayout?.scene?._scene?.glplot)"""
PATIENT = 100_000
"""Milliseconds that a drawing without a graphics card may take beside other work."""


def draw_all(frame: Any, page: Any = None) -> None:
    """Look at each chart of a page, so that it is drawn, and wait until it is."""
    (page or frame).set_default_timeout(PATIENT)
    place = "document.querySelectorAll('.scene, .curves')"
    for index in range(frame.evaluate(f"{place}.length")):
        frame.evaluate(f"{place}[{index}].scrollIntoView({{ block: 'center' }})")
        begun = f"{place}[{index}].querySelector('.svg-container') !== null"
        frame.wait_for_function(begun, timeout=PATIENT)
    frame.wait_for_function(DRAWN, timeout=PATIENT)


def cameras(page: Any, other_than: Sequence[float] = ()) -> list[float]:
    """Where the surfaces are looked at from, once that is one place, another than this, and stays."""
    other = ",".join(f"{value:.4f}" for value in other_than)
    before, eye = None, {}
    while eye != before or not eye:
        page.wait_for_function(AS_ONE, arg=other, timeout=PATIENT)
        before = page.evaluate(f"{EYES}[0]")
        time.sleep(1)
        eye = page.evaluate(f"{EYES}[0]")
    return [eye["x"], eye["y"], eye["z"]]


def pressed(page: Any, selector: str, name: str) -> None:
    page.locator(selector).get_by_role("button", name=name, exact=True).click()
    page.wait_for_timeout(300)


def hidden(page: Any) -> dict[str, set[bool]]:
    """By entry of the legend, whether its curves are shown, over all charts."""
    pairs = page.evaluate(
        """[...document.querySelectorAll('[data-curves]')].flatMap((box) => {
          const data = held(`data-${box.dataset.curves}`);
          return data.charts.flatMap((chart, place) => chart.lines.map((line, trace) =>
            [data.lines[line].entries.join(' & '),
             box.querySelectorAll('.curves')[place].data[trace].visible]));
        })"""
    )
    found: dict[str, set[bool]] = {}
    for entry, visible in pairs:
        found.setdefault(entry, set()).add(visible)
    return found


def column(page: Any, selector: str, place: int) -> list[str]:
    cells = page.evaluate(
        f"[...document.querySelectorAll('{selector} tbody tr')].filter((row) => !row.hidden)"
        f".map((row) => row.cells[{place}].textContent)"
    )
    return [str(cell) for cell in cells]


@pytest.mark.parametrize("width", [1280, 800, 500])
def test_a_page_is_quiet_and_fits_its_window(report: Path, visit: Callable[..., Any], width: int):
    watched = visit(report, width)
    draw_all(watched.page)
    assert watched.page.evaluate("document.documentElement.scrollWidth") <= width
    assert watched.page.locator(".scene canvas").count() >= len(RUNS)
    boxes = watched.page.evaluate(
        "[...document.querySelectorAll('.scene, .curves')].map((box) => box.getBoundingClientRect())"
        ".map((box) => [box.left, box.right, box.height])"
    )
    assert all(left >= 0 and right <= width and height > 200 for left, right, height in boxes)
    assert watched.errors == []
    assert watched.requests == []


def test_who_turns_one_surface_turns_and_zooms_all(opened: Any):
    page = opened.page
    before = cameras(page)
    page.locator(".scene").first.scroll_into_view_if_needed()
    box = page.locator(".scene").nth(1).bounding_box()
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.move(*middle)
    page.mouse.down()
    page.mouse.move(middle[0] + 60, middle[1] + 10, steps=3)
    page.mouse.up()
    turned = cameras(page, before)
    page.mouse.wheel(0, 400)
    zoomed = cameras(page, turned)
    assert np.linalg.norm(zoomed) > 1.05 * np.linalg.norm(turned)
    page.evaluate(f"Plotly.relayout(document.querySelectorAll('.scene')[3], {CAMERA})")
    assert cameras(page, zoomed) == [0.5, 2, 1]
    pressed(page, ".switches >> nth=0", "Reset the view")
    assert cameras(page, [0.5, 2, 1]) == before
    assert opened.errors == []


def test_a_switch_chooses_for_all_surfaces_at_once(opened: Any):
    page, box = opened.page, ".switches >> nth=0"

    def shown() -> list[Any]:
        return page.evaluate("[...document.querySelectorAll('.scene')].map((plot) => plot.data[0].z)")

    def expected(name: str, factor: float = 1.0) -> list[np.ndarray]:
        found = [plane(1.0 + place).values[name].T * factor for place in range(4)]  # β along rows of z
        return [np.where(np.isfinite(own), own, np.nan) for own in found]

    def assert_shown(wanted: list[np.ndarray]) -> None:
        for own, values in zip(shown(), wanted, strict=True):
            np.testing.assert_allclose(np.array(own, dtype=float), values, rtol=1e-4)

    pressed(page, box, "linear")
    assert_shown(expected("train/loss"))
    pressed(page, box, "log")
    assert_shown([np.log10(own) for own in expected("train/loss")])
    pressed(page, box, "test")
    assert_shown([np.log10(own) for own in expected("test/loss")])
    pressed(page, box, "accuracy")
    assert_shown(expected("test/accuracy", 100.0))
    assert page.locator(box).get_by_role("button", name="log", exact=True).is_disabled()
    ranges = page.evaluate(
        "[...document.querySelectorAll('.scene')].map((plot) => [plot.data[0].cmin, plot.data[0].cmax])"
    )
    assert len({tuple(own) for own in ranges}) == 1
    assert "test accuracy (%)" in page.locator(".bar").inner_text()


def test_under_the_pointer_are_the_run_the_place_the_values_and_the_status(opened: Any):
    page = opened.page
    data = page.evaluate(
        "document.querySelectorAll('.scene')[2].data[0].customdata[1][3][0]"
    )  # β = −0.5, α = 0.5
    loss = plane(3.0).values["train/loss"][3, 1]
    assert data.split("<br>") == [
        "<b>batch_size 64, seed 0</b>",
        "α = 0.5, β = \N{MINUS SIGN}0.5",
        f"loss = {loss:.5g} nats",
        f"accuracy = {100 * np.exp(-loss):.5g} %",
        "evaluated",
    ]
    assert page.evaluate("document.querySelectorAll('.scene')[2].data[0].customdata[4][6][0]").endswith(
        "diverged"
    )
    box = page.locator("[data-curves=line] .curves").first
    box.scroll_into_view_if_needed()
    place = "[{curveNumber: 2, pointNumber: 3}]"
    page.evaluate(f"Plotly.Fx.hover(document.querySelector('[data-curves=line] .curves'), {place})")
    words = box.locator(".hoverlayer").text_content()
    assert all(part in words for part in ("batch_size 64, seed 0", "α = 0.5", "loss = 3.1 nats", "evaluated"))


def test_a_special_point_stands_above_the_surface_and_says_its_own_values(opened: Any):
    page = opened.page
    pressed(page, ".switches >> nth=0", "log")
    signs = page.evaluate(
        f"{SCENES}.map((plot) => plot._fullLayout.scene.annotations"
        ".map(({ text, x, y, z }) => [text, x, y, z]))"
    )
    assert signs == [[["★", 0.0, 0.0, pytest.approx(np.log10(0.02))]]] * len(RUNS)
    page.locator(".scene").nth(2).scroll_into_view_if_needed()
    page.evaluate(
        f"{SCENES}[2].on('plotly_hover', ({{ points: [own] }}) => {{ window.met = own.text; }})",
    )
    star = page.locator(".scene").nth(2).locator(".annotation-text").bounding_box()
    place = (star["x"] + star["width"] / 2, star["y"] + star["height"] / 2)
    for _ in range(5):
        page.mouse.move(place[0] + 40, place[1] - 60, steps=3)
        page.mouse.move(*place, steps=3)
        page.wait_for_timeout(500)
        if page.evaluate("Boolean(window.met)"):
            break
    words = ["<b>batch_size 64, seed 0</b>", "solution", "α = 0, β = 0", "loss = 0.02 nats", "accuracy = 2 %"]
    assert page.evaluate("window.met").split("<br>") == words
    assert opened.errors == []


def test_the_legend_filters_every_chart(opened: Any):
    page = opened.page
    both = "batch_size 8 & batch_size 64"
    assert hidden(page) == {"batch_size 8": {True}, "batch_size 64": {True}, both: {True}}
    pressed(page, ".legend", "batch_size 8")
    assert hidden(page) == {"batch_size 8": {False}, "batch_size 64": {True}, both: {False}}
    button = page.locator(".legend").get_by_role("button", name="batch_size 8", exact=True)
    assert button.get_attribute("aria-pressed") == "false"
    button.dblclick()
    page.wait_for_timeout(300)
    assert hidden(page) == {"batch_size 8": {True}, "batch_size 64": {False}, both: {False}}
    button.dblclick()
    page.wait_for_timeout(300)
    assert hidden(page)["batch_size 64"] == {True}
    button.focus()
    page.keyboard.press("Enter")
    page.wait_for_timeout(300)
    assert hidden(page)["batch_size 8"] == {False}
    pressed(page, ".legend", "Show all")
    assert set().union(*hidden(page).values()) == {True}
    assert opened.errors == []


def test_training_is_over_epochs_or_updates(opened: Any):
    page = opened.page
    first = "document.querySelector('[data-curves=training] .curves').data[0].x"
    assert page.evaluate(first) == [1, 2, 3, 4]
    pressed(page, "[data-curves=training] .switches", "training (updates)")
    assert page.evaluate(first) == [10, 20, 30, 40]


def test_a_table_sorts_by_number_with_blanks_last(opened: Any):
    page, cells = opened.page, ["0.5 ± 0.1", "10 ± 2", "", "2"]
    assert column(page, "table", 1)[:4] == cells
    head = page.locator("table").first.locator("th").nth(1)
    for order, state in (
        (["0.5 ± 0.1", "2", "10 ± 2", ""], "ascending"),
        (["10 ± 2", "2", "0.5 ± 0.1", ""], "descending"),
        (cells, None),
    ):
        head.get_by_role("button").focus()
        page.keyboard.press("Enter")
        assert column(page, "table", 1)[:4] == order
        assert head.get_attribute("aria-sort") == state


def test_runs_sort_by_words_and_numbers_in_them_and_stay_in_order_where_equal(opened: Any):
    page, runs = opened.page, table(30)
    heads = page.locator("table.filtered th")
    heads.nth(1).get_by_role("button").click()
    found = column(page, "table.filtered", 1)
    assert found == sorted(
        runs["label"], key=lambda label: [int(word.strip(",")) for word in label.split()[1::2]]
    )
    heads.nth(2).get_by_role("button").click()
    assert column(page, "table.filtered", 0) == [
        *runs[~runs["diverged"]]["run"],
        *runs[runs["diverged"]]["run"],
    ]
    assert page.locator("table.filtered th[aria-sort]").count() == 1


def test_the_field_above_the_runs_filters_them(opened: Any):
    page = opened.page
    page.get_by_role("searchbox").fill("BATCH_SIZE 16, seed")
    assert column(page, "table.filtered", 1) == ["batch_size 16, seed 0", "batch_size 16, seed 1"]
    assert page.locator(".filter").inner_text().strip() == "2 of 30"
    page.get_by_role("searchbox").fill("")
    assert len(column(page, "table.filtered", 1)) == 30


def test_a_thousand_rows_sort_and_filter_within_a_second(tmp_path: Path, visit: Callable[..., Any]):
    page = visit(written(tmp_path, 1000)).page
    page.locator("table.filtered").scroll_into_view_if_needed()
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})

    def spent() -> float:
        """Seconds that the page's own thread has worked: others may be at work beside it."""
        found = session.send("Performance.getMetrics")["metrics"]
        return next(own["value"] for own in found if own["name"] == "TaskDuration")

    before = spent()
    page.evaluate("document.querySelectorAll('table.filtered th button')[3].click()")
    page.evaluate("document.querySelector('table.filtered').offsetHeight")
    assert spent() - before < 1.0
    values = [float(cell) for cell in column(page, "table.filtered", 3) if cell]
    assert values == sorted(values)
    assert len(values) == 900
    page.get_by_role("searchbox").fill("160,")
    assert page.locator(".filter").inner_text().strip() == "50 of 1,000"


def test_on_paper_are_pictures_and_no_switches(report: Path, visit: Callable[..., Any], tmp_path: Path):
    own = comparison(table(3))
    own.charts["line"] = replace(own.charts["line"], pictures=("line",))
    file = tmp_path / "printed.html"
    file.write_text(page(own, [], {"line": b""}, title="", about={}, failed={}), encoding="utf-8")
    shown = visit(file).page
    assert not shown.locator("details.still figure").is_visible()
    shown.emulate_media(media="print")
    shown.wait_for_timeout(300)
    assert shown.locator("details.still").get_attribute("open") is not None
    for selector in (".switches", ".legend", ".filter", ".drawing"):
        assert not any(own.is_visible() for own in shown.locator(selector).all()), selector
    assert shown.locator("table").first.is_visible()


def test_mlflow_shows_the_page_and_it_turns_there(
    report: Path, watch: Callable[..., Any], mlflow_server: Any
):
    watched = watch()
    address = mlflow_server.show(report, "comparison")
    watched.page.goto(address)
    watched.page.wait_for_selector("iframe", timeout=120_000)
    within = watched.page.locator("iframe").last.element_handle().content_frame()
    within.wait_for_selector(".panels", timeout=120_000)
    draw_all(within, watched.page)
    before = cameras(within)
    within.evaluate(f"Plotly.relayout(document.querySelector('.scene'), {CAMERA})")
    assert cameras(within, before) == [0.5, 2, 1]
    ours = [
        own for own in watched.errors if not own.startswith("Failed to load resource")
    ]  # those are the UI's
    assert ours == []
    known = (watched.page.url.partition("/#")[0], "blob:", "data:")
    assert not [asked for asked in watched.requests if not asked.startswith(known)]
