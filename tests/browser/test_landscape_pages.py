"""Pages of landscapes as a reader sees and uses them: what is drawn is read back from the drawing library."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Frame, Page

from study.figures.interactive import interactive_page
from study.landscape.result import Landscape, Point, Status

ALPHA, BETA = np.linspace(-1.0, 5.0, 13), np.linspace(-2.0, 1.0, 7)  # not square, not symmetric
PATH = np.array([[4.0, 0.0], [3.0, -1.5], [1.5, -1.0], [0.0, 0.0]])
DIVERGED = (8, 5)
WORDS = {"title": "A plane & its <path>", "caption": "cnn on digits"}
SLOW = 120_000  # milliseconds: without a graphics card, and with other work beside
MINUS = "\N{MINUS SIGN}"


def plane() -> Landscape:
    """Both splits, loss over decades and accuracy, a cell that diverged, one interpolated, and a path."""
    a, b = np.meshgrid(ALPHA, BETA, indexing="ij")
    loss = 0.02 + a**2 + 3 * b**2
    loss[DIVERGED] = np.inf
    status = np.full(loss.shape, Status.EVALUATED, np.int8)
    status[DIVERGED], status[3, 2] = Status.DIVERGED, Status.INTERPOLATED
    values = {
        "train/loss": loss, "train/accuracy": np.exp(-loss / 9),
        "test/loss": 2 * loss, "test/accuracy": 0.9 * np.exp(-loss / 9),
    }  # fmt: skip
    at = {"initialisation": (4.0, 0.0), "solution": (0.0, 0.0)}
    points = {
        name: Point(place, {"train/loss": 0.02 + place[0] ** 2, "test/loss": 0.04 + 2 * place[0] ** 2})
        for name, place in at.items()
    }
    return Landscape({"alpha": ALPHA, "beta": BETA}, values, status, points)


def line() -> Landscape:
    """Both splits of a line, loss over decades and accuracy."""
    alpha = np.linspace(-0.5, 1.5, 21)
    loss = 0.01 + (alpha - 1) ** 2
    values = {
        "train/loss": loss, "train/accuracy": np.exp(-loss),
        "test/loss": 2 * loss, "test/accuracy": 0.9 * np.exp(-loss),
    }  # fmt: skip
    points = {"solution": Point((1.0,), {"train/loss": 0.01, "test/loss": 0.02})}
    return Landscape({"alpha": alpha}, values, np.ones(21, np.int8), points)


Seen = Any  # a page that is watched: see conftest.Watched


@pytest.fixture
def opened(visit: Callable[..., Seen], tmp_path: Path) -> Callable[..., Seen]:
    """The page of a landscape in the browser, once all of it is drawn."""

    def show(landscape: Landscape, width: int = 900, height: int = 640, **settings: object) -> Seen:
        file = tmp_path / "page.html"
        file.write_text(interactive_page(landscape, **WORDS, **settings), encoding="utf-8")
        seen = visit(file, width, height)
        seen.page.set_default_timeout(SLOW)
        wait(seen.page)
        return seen

    return show


def wait(page: Page | Frame) -> None:
    """Until every panel of a page is drawn."""
    page.wait_for_function(
        """() => { const panes = [...document.querySelectorAll('.js-plotly-plot')];
        return panes.length > 0 && panes.every((pane) => pane._fullLayout && pane.calcdata); }""",
        polling=100,
    )


def trace(page: Page | Frame, pane: str, place: int) -> dict[str, Any]:
    """What is drawn as a trace of a panel: its coordinates, None where there is no number."""
    return page.evaluate(
        """([pane, place]) => { const own = document.getElementById(pane).data[place];
        const list = (item) => item === undefined ? null :
          [...item].map((each) => ArrayBuffer.isView(each) || Array.isArray(each) ? list(each) :
            Number.isNaN(each) ? null : each);
        return {name: own.name, x: list(own.x), y: list(own.y), z: own.z && list(own.z)}; }""",
        [pane, place],
    )


def heights(page: Page | Frame, pane: str = "surface") -> np.ndarray:
    """The heights of a panel's first trace, of the grid's shape, rows α."""
    return np.array(trace(page, pane, 0)["z"], dtype=float).T


def layout(page: Page | Frame, pane: str, key: str) -> Any:
    return page.evaluate("([pane, key]) => document.getElementById(pane)._fullLayout" + key, [pane, key])


def press(page: Page | Frame, switch: str, choice: str) -> None:
    page.locator("fieldset", has_text=switch).get_by_text(choice, exact=True).click()


def hover(page: Page, a: float, b: float) -> None:
    """Point at a place of the contours."""
    at = page.evaluate(
        """([a, b]) => { const pane = document.getElementById('contours'), {xaxis, yaxis} = pane._fullLayout;
        const box = pane.querySelector('.nsewdrag.drag').getBoundingClientRect();
        return [box.left + xaxis.d2p(a), box.top + yaxis.d2p(b)]; }""",
        [a, b],
    )
    page.mouse.move(at[0] + 3, at[1] + 3)
    page.mouse.move(*at)


def is_marked(page: Page, a: float, b: float) -> None:
    """Wait until both panels mark a place."""
    page.wait_for_function(
        """([a, b]) => { const shapes = document.getElementById('contours').layout.shapes || [];
        const dot = document.getElementById('surface').data[3];
        const cross = shapes.length === 2 && shapes[0].x0 === a && shapes[1].y0 === b;
        return cross && dot.x[0] === a && dot.y[0] === b; }""",
        arg=[float(a), float(b)],
        polling=100,
    )


def is_clean(seen: Seen) -> None:
    assert seen.errors == []
    assert [address for address in seen.requests if not address.startswith(("blob:", "data:"))] == []


def test_every_switch_of_a_plane_changes_what_is_drawn_and_they_combine(opened):
    landscape = plane()
    seen = opened(landscape, path=PATH)
    page = seen.page

    def is_drawn(split: str, value: str, log: bool) -> None:
        wanted = landscape.values[f"{split}/{value}"] * (100 if value == "accuracy" else 1)
        wanted = np.where(np.isfinite(landscape.values[f"{split}/loss"]), wanted, np.nan)
        wanted = np.log10(wanted) if log else wanted
        for pane in ("surface", "contours"):
            np.testing.assert_allclose(heights(page, pane), wanted, rtol=1e-12)
        title = {"loss": "loss (nats per example)", "accuracy": "accuracy (%)"}[value]
        assert layout(page, "surface", ".title.text") == f"{split} {title}"

    is_drawn("train", "loss", log=True)
    press(page, "split", "test")
    is_drawn("test", "loss", log=True)
    press(page, "scale", "linear")
    is_drawn("test", "loss", log=False)
    press(page, "value", "accuracy")
    is_drawn("test", "accuracy", log=False)
    assert page.locator("input[name=scale][value=log]").is_disabled()
    press(page, "split", "train")
    is_drawn("train", "accuracy", log=False)
    press(page, "value", "loss")
    is_drawn("train", "loss", log=False)  # the scale that was chosen is kept
    press(page, "scale", "log")
    is_drawn("train", "loss", log=True)
    is_clean(seen)


def test_the_keyboard_works_the_switches_and_moves_the_point(opened):
    seen = opened(plane(), path=PATH)
    page = seen.page
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    assert page.locator("input[name=value][value=accuracy]").is_checked()
    assert layout(page, "surface", ".title.text") == "train accuracy (%)"
    page.locator("#contours").focus()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowLeft")
    is_marked(page, ALPHA[5], BETA[4])
    is_clean(seen)


def test_what_is_pointed_at_in_the_contours_is_marked_on_the_surface_at_its_value(opened):
    landscape = plane()
    seen = opened(landscape, path=PATH)
    page = seen.page
    i, j = 9, 2
    hover(page, ALPHA[i], BETA[j])
    is_marked(page, ALPHA[i], BETA[j])
    loss, accuracy = (landscape.values[f"train/{value}"][i, j] for value in ("loss", "accuracy"))
    assert trace(page, "surface", 3)["z"] == [pytest.approx(np.log10(loss), rel=1e-12)]
    said = page.locator("#facts").inner_text()
    for words in (
        "α = 3.5",
        f"β = {MINUS}1",
        f"loss = {loss:.5g} nats",
        f"accuracy = {100 * accuracy:.5g} %",
    ):
        assert words in said
    assert said.endswith("evaluated")
    press(page, "split", "test")  # the mark stays where it was, at the other value
    assert trace(page, "surface", 3)["z"] == [pytest.approx(np.log10(2 * loss), rel=1e-12)]
    assert f"loss = {2 * loss:.5g} nats" in page.locator("#facts").inner_text()
    hover(page, ALPHA[3], BETA[2])
    is_marked(page, ALPHA[3], BETA[2])
    assert page.locator("#facts").inner_text().endswith("interpolated")
    is_clean(seen)


def test_a_cell_that_diverged_is_open_crossed_and_said_to_be_in_each_view(opened):
    seen = opened(plane(), path=PATH)
    page = seen.page
    for value in ("loss", "accuracy"):
        press(page, "value", value)
        assert np.argwhere(np.isnan(heights(page))).tolist() == [list(DIVERGED)]
        crosses = trace(page, "contours", 1)
        assert (crosses["name"], crosses["x"], crosses["y"]) == ("open", [ALPHA[8]], [BETA[5]])
    isolines = "document.getElementById('surface').data[0].contours.z.show"
    assert page.evaluate(isolines) is False  # seconds a picture, without a graphics card
    hover(page, ALPHA[8], BETA[5])
    is_marked(page, ALPHA[8], BETA[5])
    assert trace(page, "surface", 3)["z"] == [None]
    said = page.locator("#facts").inner_text()
    assert "loss = inf nats" in said
    assert said.endswith("diverged")
    is_clean(seen)
    values = {name: np.nan_to_num(own, posinf=9.0) for name, own in plane().values.items()}
    whole = replace(plane(), values=values, status=np.ones((13, 7), np.int8))
    assert opened(whole).page.evaluate(isolines) is True


def test_what_is_pointed_at_on_the_surface_is_marked_in_the_contours(opened):
    seen = opened(plane(), path=PATH)
    page = seen.page
    page.evaluate(
        "() => document.getElementById('surface').on('plotly_hover', (e) => { window.met = e.points[0]; })"
    )
    box = page.locator("#surface").bounding_box()
    for down in (0.45, 0.5, 0.55, 0.6):
        page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + down * box["height"], steps=3)
        page.wait_for_timeout(300)
        if page.evaluate("() => Boolean(window.met)"):
            break
    a, b = page.evaluate("() => [window.met.x, window.met.y]")
    i, j = np.abs(ALPHA - a).argmin(), np.abs(BETA - b).argmin()
    assert (ALPHA[i], BETA[j]) == pytest.approx((a, b))
    is_marked(page, ALPHA[i], BETA[j])
    is_clean(seen)


def test_path_and_special_points_are_on_the_surface_in_each_view(opened):
    seen = opened(plane(), path=PATH)
    page = seen.page
    for split, factor in (("train", 1), ("test", 2)):
        press(page, "split", split)
        flat = trace(page, "contours", 3)
        assert flat["name"] == "path"
        np.testing.assert_allclose(np.stack([flat["x"], flat["y"]], axis=1), PATH)
        marks = layout(page, "surface", ".scene.annotations.map(({x, y, z, text}) => [x, y, z, text])")
        start, end = np.log10(factor * 16.02), np.log10(factor * 0.02)
        assert [text for *_, text in marks] == ["●", "initialisation", "★", "solution"]
        np.testing.assert_allclose([mark[:3] for mark in marks[::2]], [[4, 0, start], [0, 0, end]], atol=1e-9)
        solid = trace(page, "surface", 1)
        ends = [[solid[axis][place] for axis in "xyz"] for place in (0, -1)]
        middle = np.log10(factor * (0.02 + 3 * BETA[4:6] ** 2))  # β = 0 is on no line of the grid
        np.testing.assert_allclose(ends[1][:2], [0.0, 0.0], atol=1e-12)
        assert middle.min() - 1e-9 <= ends[1][2] <= middle.max() + 1e-9
    hover(page, 3.0, -1.5)
    is_marked(page, 3.0, -1.5)
    assert page.locator("#facts").inner_text().startswith("checkpoint")
    is_clean(seen)


def test_zooming_the_contours_cuts_the_surface_and_the_view_can_be_reset(opened):
    seen = opened(plane(), path=PATH)
    page = seen.page
    page.evaluate(
        """() => Plotly.relayout('contours', {'xaxis.range[0]': -0.6, 'xaxis.range[1]': 1.1,
        'yaxis.range[0]': -0.6, 'yaxis.range[1]': 0.6})"""
    )
    before = layout(page, "surface", ".scene.camera.eye")
    turned = {"x": 0.5, "y": 0.6, "z": 2.0}
    page.evaluate("(eye) => Plotly.relayout('surface', {'scene.camera': {eye}})", turned)
    assert layout(page, "surface", ".scene.camera.eye") == turned
    for axis, inside in (("xaxis", [-0.6, 1.1]), ("yaxis", [-0.6, 0.6])):
        assert layout(page, "surface", f".scene.{axis}.range") == inside
    a, b = np.meshgrid(ALPHA[1:5], BETA[3:6], indexing="ij")  # what is inside of it
    top = np.log10((0.02 + a**2 + 3 * b**2).max())
    assert layout(page, "surface", ".scene.zaxis.range")[1] == pytest.approx(top)
    press(page, "split", "test")
    assert layout(page, "contours", ".xaxis.range") == [-0.6, 1.1]  # a switch keeps the view
    assert layout(page, "surface", ".scene.camera.eye") == turned
    page.locator("#reset").click()
    for pane, prefix in (("surface", ".scene"), ("contours", "")):
        assert layout(page, pane, f"{prefix}.xaxis.range") == [-1.0, 5.0]
        assert layout(page, pane, f"{prefix}.yaxis.range") == [-2.0, 1.0]
    assert layout(page, "surface", ".scene.camera.eye") == before
    is_clean(seen)


def test_the_slider_shows_one_stage_after_the_other_on_one_scale(opened):
    last = plane()
    first = replace(last, values={name: own / 2 for name, own in last.values.items()})
    first = replace(first, points={"start": first.points["initialisation"], "here": first.points["solution"]})
    seen = opened(last, stages={"update 0, epoch 0": first, "update 9, epoch 1": last})
    page = seen.page

    def is_drawn(stage: Landscape, *names: str) -> None:
        wanted = np.where(np.isfinite(stage.values["train/loss"]), stage.values["train/loss"], np.nan)
        for pane in ("surface", "contours"):
            np.testing.assert_allclose(10 ** heights(page, pane), wanted)
        marked = layout(page, "surface", ".scene.annotations.map((own) => own.text)")
        assert marked[1::2] == list(names)

    is_drawn(last, "initialisation", "solution")
    hover(page, ALPHA[9], BETA[2])
    is_marked(page, ALPHA[9], BETA[2])
    before = [layout(page, "surface", ".scene.zaxis.range"), layout(page, "surface", ".scene.camera.eye")]
    slider = page.locator("#stage")
    slider.focus()
    page.keyboard.press("Home")
    page.wait_for_function("document.getElementById('stage-name').textContent === 'update 0, epoch 0'")
    assert slider.get_attribute("aria-valuetext") == "update 0, epoch 0"
    is_drawn(first, "start", "here")
    after = [layout(page, "surface", ".scene.zaxis.range"), layout(page, "surface", ".scene.camera.eye")]
    assert after == before
    loss = first.values["train/loss"][9, 2]  # the mark stays, at the other stage's value
    assert trace(page, "surface", 3)["z"] == [pytest.approx(np.log10(loss), rel=1e-12)]
    assert f"loss = {loss:.5g} nats" in page.locator("#facts").inner_text()
    press(page, "split", "test")
    np.testing.assert_allclose(10 ** heights(page)[0, 0], first.values["test/loss"][0, 0])
    slider.fill("1")
    page.wait_for_function("document.getElementById('stage-name').textContent === 'update 9, epoch 1'")
    np.testing.assert_allclose(10 ** heights(page)[0, 0], last.values["test/loss"][0, 0])
    is_clean(seen)


def test_names_of_points_near_a_side_are_written_towards_the_middle(opened):
    places = {"left": -0.9, "middle": 2.0, "the right end of it all": 4.9}
    points = {name: Point((at, 0.0), {"train/loss": 1.0, "test/loss": 1.0}) for name, at in places.items()}
    page = opened(replace(plane(), points=points)).page
    boxes = page.evaluate(
        """() => { const box = (own) => own.getBoundingClientRect();
        const pane = document.getElementById('contours');
        const inside = box(pane.querySelector('.nsewdrag.drag'));
        return [inside, ...[...pane.querySelectorAll('.textpoint text')].map(box)]
          .map(({left, right}) => [left, right]); }"""
    )
    (left, right), *names = boxes
    assert len(names) == 3
    assert all(left <= begin < end <= right for begin, end in names)


@pytest.mark.parametrize("width", [1280, 600, 400])
def test_nothing_of_a_page_is_wider_than_the_window(opened, width):
    stages = {"update 0, epoch 0": plane(), "update 12,345, epoch 67.89": plane()}
    for landscape, settings in ((plane(), {"stages": stages}), (line(), {})):
        seen = opened(landscape, width=width, **settings)
        assert seen.page.evaluate("() => document.documentElement.scrollWidth") <= width
        for box in seen.page.evaluate(
            """() => [...document.querySelectorAll('.js-plotly-plot')]
            .map((own) => own.getBoundingClientRect().toJSON())"""
        ):
            assert 0 <= box["left"] < box["right"] <= width
            assert box["height"] > 200
        is_clean(seen)


def test_the_buttons_of_a_panel_send_nothing_anywhere(opened):
    for landscape in (plane(), line()):
        titles = opened(landscape).page.evaluate(
            "() => [...document.querySelectorAll('.modebar-btn')].map((own) => own.dataset.title)"
        )
        assert titles
        assert not [title for title in titles if "hare" in title or "loud" in title]


def test_every_switch_of_a_line_changes_what_is_drawn(opened):
    seen = opened(line())
    page = seen.page

    def names() -> list[str]:
        return page.evaluate(
            """() => document.getElementById('curves')._fullData
            .filter((own) => own.visible === true).map((own) => own.name)"""
        )

    curves = [f"{split} {value}" for split in ("train", "test") for value in ("loss", "accuracy")]
    assert set(curves) <= set(names())
    assert layout(page, "curves", ".yaxis.type") == "log"
    press(page, "scale", "linear")
    assert layout(page, "curves", ".yaxis.type") == "linear"
    press(page, "split", "test")
    assert not [name for name in names() if "train" in name]
    assert set(curves[2:]) <= set(names())
    press(page, "scale", "log")
    assert layout(page, "curves", ".yaxis.type") == "log"
    press(page, "split", "all")
    assert set(curves) <= set(names())
    is_clean(seen)


@pytest.mark.parametrize(("make", "pane"), [(plane, "surface"), (line, "curves")])
def test_mlflows_viewer_draws_a_page_and_it_asks_nothing_of_the_network(
    mlflow_server, watch, tmp_path, make, pane
):
    file = tmp_path / "page.html"
    file.write_text(interactive_page(make(), **WORDS), encoding="utf-8")
    seen = watch()
    failures = []
    seen.page.on("pageerror", lambda error: failures.append(str(error)))
    seen.page.goto(mlflow_server.show(file))
    seen.page.locator("iframe").wait_for(timeout=SLOW)
    frame = seen.page.frames[-1]
    frame.locator(f"#{pane} .main-svg").first.wait_for(timeout=SLOW)
    wait(frame)
    if pane == "surface":
        np.testing.assert_allclose(10 ** heights(frame)[0, 0], make().values["train/loss"][0, 0])
        press(frame, "value", "accuracy")
        assert layout(frame, "surface", ".title.text") == "train accuracy (%)"
    assert frame.url.startswith(f"blob:{mlflow_server.address}")
    assert failures == []
    for address in seen.requests:
        assert address.startswith((mlflow_server.address, f"blob:{mlflow_server.address}", "data:")), address
