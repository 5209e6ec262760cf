"""What a plane's page holds for its script: read back from the page. What is drawn: tests/browser."""

import json
import re
from base64 import b64decode
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from study.figures.interactive import interactive_page
from study.figures.interactive_plane import plane_content
from study.figures.path import FINE
from study.figures.scale import LARGEST_LINEAR
from study.figures.switches import Switch
from study.landscape.result import Landscape, Point, Status

WORDS = {"title": "A plane", "caption": "cnn on digits"}
ALPHA, BETA = np.linspace(-1.0, 5.0, 13), np.linspace(-2.0, 1.0, 7)  # not square, not symmetric
PATH = np.array([[4.0, 0.0], [3.0, -1.5], [1.5, -1.0], [0.0, 0.0]])


def tilted(a, b, lift=3.0):
    """A loss that bilinear interpolation reproduces."""
    return lift + 0.5 * a + 0.25 * b + 0.05 * a * b


def plane(
    points: dict[str, Point] | None = None, status: np.ndarray | None = None, **values: np.ndarray
) -> Landscape:
    axes = {"alpha": ALPHA, "beta": BETA}
    values = values or {"loss": tilted(*np.meshgrid(ALPHA, BETA, indexing="ij"))}
    status = np.full((13, 7), Status.EVALUATED, np.int8) if status is None else status
    return Landscape(axes, values, status, points or {})


def both_splits(side: int = 13) -> Landscape:
    """Both splits, loss and accuracy, and a path whose checkpoints are special points."""
    alpha, beta = np.linspace(-1.0, 5.0, side), np.linspace(-2.0, 1.0, side)
    a, b = np.meshgrid(alpha, beta, indexing="ij")
    values = {}
    for split, lift in (("train", 3.0), ("test", 4.0)):
        values[f"{split}/loss"] = tilted(a, b, lift)
        values[f"{split}/accuracy"] = np.exp(-tilted(a, b, lift))
    names = ["projection of update 0", "projection of update 10", "projection of update 20", "solution"]
    points = {
        name: Point(
            tuple(at), {"train/loss": tilted(*at), "test/loss": tilted(*at, 4.0), "test/accuracy": 0.5}
        )
        for name, at in zip(names, PATH.tolist(), strict=True)
    }
    return Landscape({"alpha": alpha, "beta": beta}, values, np.ones((side, side), np.int8), points)


def floats(packed: str) -> np.ndarray:
    return np.frombuffer(b64decode(packed), "<f8")


def written(page: str) -> Any:
    (data,) = re.findall(r'<script type="application/json" id="content">(.*?)</script>', page)
    return json.loads(data)


def test_a_page_holds_every_number_to_the_bit_with_alpha_along_rows():
    a, b = np.meshgrid(ALPHA, BETA, indexing="ij")
    loss = np.exp(a) / 3 + b**2
    loss[2, 3], loss[4, 5] = np.inf, np.nan
    content = written(interactive_page(plane(loss=loss), **WORDS))
    np.testing.assert_array_equal(floats(content["axes"][0]["at"]), ALPHA)
    np.testing.assert_array_equal(floats(content["axes"][1]["at"]), BETA)
    np.testing.assert_array_equal(
        floats(content["stages"][0]["splits"][0]["numbers"]["loss"]).reshape(13, 7), loss
    )
    status = np.frombuffer(b64decode(content["stages"][0]["splits"][0]["status"]), np.uint8).reshape(13, 7)
    assert np.argwhere(status == Status.DIVERGED).tolist() == [[2, 3], [4, 5]]


def test_a_page_tells_interpolated_and_missing_cells_apart():
    status = np.full((13, 7), Status.EVALUATED, np.int8)
    status[1, 2], status[3, 4] = Status.INTERPOLATED, Status.MISSING
    loss = np.ones((13, 7))
    loss[3, 4] = np.nan
    ((split,),) = (stage["splits"] for stage in plane_content(plane(loss=loss, status=status))["stages"])
    np.testing.assert_array_equal(np.frombuffer(b64decode(split["status"]), np.uint8), status.ravel())


def test_a_page_of_two_splits_two_values_and_a_path_is_within_6_mb():
    landscape = both_splits(51)
    page = interactive_page(landscape, path=PATH, **WORDS)
    assert len(page.encode()) < 6e6
    assert page == interactive_page(landscape, path=PATH, **WORDS)
    own = len(json.dumps(written(page)))
    once = 51 * 51 * (4 * 8 + 2) * 4 / 3  # four values and two statuses, in base 64
    assert once < own < once + 40_000


def test_every_value_of_every_split_can_be_chosen_and_each_switch_is_of_its_own():
    page = interactive_page(both_splits(), **WORDS)
    rows = re.findall(r"<fieldset( hidden)?><legend>(\w+)</legend>(.*?)</fieldset>", page)
    labels = {name: (bool(hidden), re.findall(r"<span>(.*?)</span>", row)) for hidden, name, row in rows}
    assert labels == {
        "value": (False, ["loss", "accuracy"]),
        "scale": (False, ["linear", "log"]),
        "split": (False, ["train", "test"]),
    }
    assert page.count(" checked>") == 3


def test_a_switch_without_a_choice_is_hidden():
    page = interactive_page(plane(loss=np.full((13, 7), -1.0)), **WORDS)
    assert page.count("<fieldset hidden>") == 3
    assert Switch("scale", {"log": "log <b>"}, "log").html() == (
        '<fieldset hidden><legend>scale</legend><label><input type="radio" name="scale" value="log" checked>'
        "<span>log &lt;b&gt;</span></label></fieldset>"
    )


@pytest.mark.parametrize(
    ("low", "high", "scales", "start"),
    [
        (1.0, 2.0, {"linear", "log"}, "linear"),
        (1.0, 200.0, {"linear", "log"}, "log"),
        (0.0, 200.0, {"linear", "log"}, "linear"),
        (-1.0, 200.0, {"linear"}, "linear"),
        (0.0, 0.0, {"linear"}, "linear"),
        (1.0, 10 * LARGEST_LINEAR, {"log"}, "log"),
        (np.nan, np.nan, {"linear"}, "linear"),
    ],
)
def test_a_scale_is_there_where_it_makes_sense(low, high, scales, start):
    loss = np.full((13, 7), high)
    loss[0, 0] = low
    found = plane_content(plane(loss=loss, accuracy=np.linspace(0.001, 1.0, 91).reshape(13, 7)))["values"]
    assert set(found["loss"]["scales"]) == scales
    assert found["loss"]["start"] == start
    assert set(found["accuracy"]["scales"]) == {"linear"}  # though it spans decades
    for scale in found["loss"]["scales"].values():
        assert scale["heights"][0] < scale["heights"][1]


def test_splits_share_one_scale_for_the_eye_to_compare_them():
    a, b = np.meshgrid(ALPHA, BETA, indexing="ij")
    values = {"train/loss": 1 + a**2 + b**2, "test/loss": 10 * (1 + a**2 + b**2)}
    points = {"solution": Point((0.0, 0.0), {"train/loss": 0.1, "test/loss": 1.0})}
    scales = plane_content(plane(points, **values))["values"]["loss"]["scales"]
    assert scales["linear"]["colours"] == [1.0, 300.0]
    assert scales["linear"]["heights"] == [0.1, 300.0]  # the special points too
    np.testing.assert_allclose(scales["log"]["colours"], np.log10([1.0, 300.0]))


def test_special_points_have_the_values_of_each_split_and_the_star_is_the_solution():
    points = plane_content(both_splits(), path=PATH)["stages"][0]["points"]
    assert [(point["name"], point["star"]) for point in points] == [
        ("projection of update 0", False), ("solution", True),
    ]  # fmt: skip
    assert points[1]["values"] == [{"loss": 3.0}, {"loss": 4.0, "accuracy": 0.5}]
    lost = plane({"solution": Point((0.0, 0.0), {"loss": np.inf})})
    assert plane_content(lost)["stages"][0]["points"][0]["values"] == [{"loss": None}]


def test_the_path_lies_on_the_surface_of_each_view():
    path = plane_content(both_splits(), path=PATH)["path"]
    x, y = (floats(own) for own in path["at"])
    every = path["every"]
    assert every == FINE
    np.testing.assert_allclose(np.stack([x, y], axis=1)[::every], PATH)
    for place, lift in enumerate((3.0, 4.0)):
        heights = path["heights"][place]
        np.testing.assert_allclose(floats(heights["loss"]["linear"]), tilted(x, y, lift))
        on_grid = floats(heights["loss"]["log"])[::every]
        np.testing.assert_allclose(on_grid, np.log10(tilted(*PATH.T, lift)), atol=1e-12)
        np.testing.assert_allclose(
            floats(heights["accuracy"]["linear"])[::every], 100 * np.exp(-tilted(*PATH.T, lift))
        )
        assert set(heights["accuracy"]) == {"linear"}
    assert path["names"][1] == "projection of update 10"
    assert path["values"][1][1] == {"loss": tilted(3.0, -1.5, 4.0), "accuracy": 0.5}


def test_a_path_beyond_the_grid_is_in_view():
    content = plane_content(plane(), path=PATH * 2)
    assert [axis["range"] for axis in content["axes"]] == [[-1.0, 8.0], [-3.0, 1.0]]


def test_the_value_to_begin_with_comes_first_and_the_others_stay():
    a, b = np.meshgrid(ALPHA, BETA, indexing="ij")
    held = plane(loss=1 + a**2, accuracy=np.exp(-(a**2)), eigenvalue_ratio=0.001 + 0.02 * (a**2 + b**2))
    content = plane_content(held, first="eigenvalue_ratio")["values"]
    assert list(content) == ["eigenvalue_ratio", "loss", "accuracy"]
    assert [own["unit"] for own in content.values()] == ["", "nats", "%"]
    assert set(content["eigenvalue_ratio"]["scales"]) == {"linear"}
    with pytest.raises(ValueError, match=r"value must be one of \['loss'\], got 'eigenvalue_ratio'"):
        interactive_page(plane(), first="eigenvalue_ratio", **WORDS)


def three_stages() -> dict[str, Landscape]:
    """Planes of one grid, each lower than the one before; the second diverges in a cell."""
    found = {}
    for place, (name, lift) in enumerate({"update 0": 6.0, "update <5>": 4.0, "update 9": 3.0}.items()):
        loss = tilted(*np.meshgrid(ALPHA, BETA, indexing="ij"), lift)
        loss[place, place] = np.inf if place == 1 else loss[place, place]
        points = {f"checkpoint {place}": Point((0.0, 0.0), {"loss": lift - 2.5})}
        found[name] = plane(points, loss=loss)
    return found


def test_each_stage_has_its_own_numbers_points_and_name_on_one_scale():
    stages = three_stages()
    content = written(interactive_page(stages["update 9"], stages=stages, **WORDS))
    assert [own["name"] for own in content["stages"]] == ["update 0", "update &lt;5&gt;", "update 9"]
    for place, (own, stage) in enumerate(zip(content["stages"], stages.values(), strict=True)):
        (split,), (point,) = own["splits"], own["points"]
        np.testing.assert_array_equal(floats(split["numbers"]["loss"]).reshape(13, 7), stage.values["loss"])
        lost = np.frombuffer(b64decode(split["status"]), np.uint8) == Status.DIVERGED
        assert lost.sum() == (place == 1)
        assert point["name"] == f"checkpoint {place}"
    every = np.concatenate([stage.values["loss"].ravel() for stage in stages.values()])
    known = every[np.isfinite(every)]
    scale = content["values"]["loss"]["scales"]["linear"]
    assert scale["colours"] == [known.min(), known.max()]
    assert scale["heights"] == [0.5, known.max()]  # the lowest of the special points


def test_a_page_of_several_stages_has_a_slider_that_begins_at_the_last_and_one_of_one_has_none():
    stages = three_stages()
    page = interactive_page(stages["update 9"], stages=stages, **WORDS)
    (slider,) = re.findall(r"<input type=.range.*?>", page.partition("<fieldset")[2])
    assert 'min="0" max="2" value="2" aria-valuetext="update 9"' in slider
    for few in ({}, {"update 9": stages["update 9"]}):
        alone = interactive_page(stages["update 9"], stages=few, **WORDS)
        assert '<input type="range"' not in alone.partition("<fieldset")[2]


def test_many_stages_show_as_many_points_in_all_as_one_plane():
    axis = np.linspace(-1.0, 1.0, 151)
    loss = axis[:, None] ** 2 + axis**2 + 1
    wide = Landscape({"alpha": axis, "beta": axis}, {"loss": loss}, np.ones(loss.shape, np.int8), {})
    page = interactive_page(wide, stages=dict.fromkeys("abcd", wide), **WORDS)
    assert "This page shows 125 × 125 of the 151 × 151 points." in page
    shown = floats(written(page)["stages"][3]["splits"][0]["numbers"]["loss"]).reshape(125, 125)
    assert (shown[0, 0], shown[-1, -1]) == (3.0, 3.0)


@pytest.mark.parametrize("what", ["axes", "points", "splits"])
def test_a_stage_of_other_places_is_refused_by_its_name(what):
    (other, last) = list(three_stages().values())[1:]
    if what == "axes":
        other = replace(other, axes={"alpha": ALPHA + 1, "beta": BETA})
    elif what == "points":
        other = replace(other, points={"checkpoint": Point((0.5, 0.0), {"loss": 1.0})})
    else:
        other = replace(other, values={"test/loss": other.values["loss"]})
    with pytest.raises(ValueError, match=r"stages must have the axes.*, which 'before' has not"):
        interactive_page(last, stages={"before": other, "last": last}, **WORDS)


def test_a_path_beside_several_stages_is_refused():
    stages = three_stages()
    with pytest.raises(ValueError, match="path must lie on one plane, got one beside 3 stages"):
        interactive_page(stages["update 9"], stages=stages, path=PATH, **WORDS)


def test_a_page_says_what_a_step_is():
    steps = {"alpha": "α (steps along δ)", "beta": "β & more"}
    axes = plane_content(plane(), steps)["axes"]
    assert [(axis["label"], axis["short"]) for axis in axes] == [(steps["alpha"], "α"), ("β &amp; more", "β")]
