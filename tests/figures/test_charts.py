"""What a comparison's page draws anew holds what the landscapes hold, and no word of it leaves its place."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from study.figures.chart import Chart, chart_html, legend_html, numbers, of_kinds, page_scripts
from study.figures.export import render
from study.figures.few_colours import smaller
from study.figures.interactive_curves import MOST_POINTS as MOST_ALONG
from study.figures.interactive_curves import line_chart, training_chart
from study.figures.interactive_surfaces import MOST_POINTS, surface_chart
from study.figures.planes import contour_panels
from study.figures.web_table import table_html
from study.kinds.drawing import HessianMapDrawing, LineDrawing, PlaneDrawing
from study.landscape.result import Landscape, Point, Status

ALPHA, BETA = np.linspace(-1.0, 4.0, 6), np.linspace(-2.0, 1.0, 4)
LOST = (1, 2)


def plane(scale: float, alpha: np.ndarray = ALPHA, beta: np.ndarray = BETA, splits=("train",)) -> Landscape:
    """Loss scale · (1 + 10α' + β'), growing along both axes, lost in one cell and interpolated in another."""
    grid = 1.0 + 10.0 * np.arange(len(alpha))[:, None] + np.arange(len(beta))
    values, status = {}, np.full(grid.shape, Status.EVALUATED, dtype=np.int8)
    for place, split in enumerate(splits):
        values |= {f"{split}/loss": scale * grid + place, f"{split}/accuracy": 1.0 / grid}
        values[f"{split}/loss"][LOST] = np.nan
    status[LOST], status[2, 3] = Status.DIVERGED, Status.INTERPOLATED
    centre = {f"{split}/{name}": 0.5 for split in splits for name in ("loss", "accuracy")}
    return Landscape({"alpha": alpha, "beta": beta}, values, status, {"solution": Point((0.0, 0.0), centre)})


def line(shift: float, size: int = 5, unit: str = "nats") -> Landscape:
    alpha = np.linspace(0.0, 2.0, size)
    values = {f"{split}/loss": shift + alpha + place for place, split in enumerate(("train", "test"))}
    values |= {f"{split}/accuracy": 0.5 + alpha / 10 for split in ("train", "test")}
    values["train/loss_standard_error"] = np.full(size, 0.05)
    status = np.full(size, Status.EVALUATED, dtype=np.int8)
    values["train/loss"][-1], status[-1] = np.inf, Status.DIVERGED
    points = {
        "start": Point((0.0,), {"train/loss": shift, "test/loss": shift}),
        f"only of {shift}": Point((1.0,), {"train/loss": shift, "test/loss": shift}),
    }
    return Landscape({"alpha": alpha}, values, status, points, provenance={"loss_unit": unit})


def test_a_panel_holds_the_values_of_its_run_with_alpha_along_rows():
    data = surface_chart({"a": plane(1.0), "b": plane(3.0)}).data
    for panel, scale in zip(data["panels"], (1.0, 3.0), strict=True):
        own = plane(scale)
        held = np.array(panel["splits"]["train"]["loss"], dtype=float).reshape(6, 4)
        np.testing.assert_allclose(held, own.values["train/loss"])
        status = np.array([int(code) for code in panel["splits"]["train"]["status"]]).reshape(6, 4)
        np.testing.assert_array_equal(status, own.status)
        assert (panel["x"], panel["y"]) == (ALPHA.tolist(), BETA.tolist())
        accuracy = np.array(panel["splits"]["train"]["accuracy"], dtype=float).reshape(6, 4)
        wanted = np.where(np.isfinite(held), 100.0 * own.values["train/accuracy"], np.nan)
        np.testing.assert_allclose(accuracy, wanted, rtol=1e-4)
        (mark,) = panel["marks"]
        assert (mark["name"], mark["star"], mark["values"]["train"]["loss"]) == ("solution", True, 0.5)


def test_all_panels_have_one_scale_that_holds_every_value():
    views = surface_chart({"a": plane(1.0), "b": plane(3.0)}).data["views"]
    assert [(view["value"], view["scale"]) for view in views] == [
        ("loss", "log"), ("loss", "linear"), ("accuracy", "linear"),
    ]  # fmt: skip
    log, linear, accuracy = (view["range"] for view in views)
    assert log[0] < np.log10(0.5) < np.log10(3 * 54.0) < log[1]
    assert linear[0] < 0.5 < 3 * 54.0 < linear[1] < 1.1 * 3 * 54.0
    assert accuracy[0] < 100 / 54 < 100.0 < accuracy[1]


def test_every_split_has_its_views_and_the_scale_that_is_due_comes_first():
    data = surface_chart({"a": plane(1.0, splits=("train", "test"))}).data
    assert {view["split"] for view in data["views"]} == {"train", "test"}
    assert data["views"][0]["scale"] == "log"  # 0.5 to 54: over two decades
    narrow = Landscape(
        {"alpha": ALPHA, "beta": BETA}, {"loss": 1.0 + np.ones((6, 4))}, np.ones((6, 4), dtype=np.int8)
    )
    data = surface_chart({"a": narrow}).data
    assert data["views"][0]["scale"] == "linear"
    assert [view["value"] for view in data["views"]] == ["loss", "loss"]


def test_a_path_lies_on_its_surface_through_every_checkpoint():
    corners = np.array([[ALPHA[5], BETA[3]], [ALPHA[5], BETA[0]], [ALPHA[3], BETA[0]]])
    chart = surface_chart({"a": plane(2.0), "b": plane(1.0)}, paths={"a": corners})
    first, second = chart.data["panels"]
    assert "path" not in second
    linear = next(place for place, view in enumerate(chart.data["views"]) if view["scale"] == "linear")
    for at, height in zip(corners, (2 * 54.0, 2 * 51.0, 2 * 31.0), strict=True):
        along = list(zip(first["path"]["x"], first["path"]["y"], first["path"]["z"][linear], strict=True))
        assert any(point == pytest.approx((*at, height), rel=1e-4) for point in along)


def test_a_large_plane_is_thinned_and_says_so():
    large = plane(1.0, np.linspace(-1, 1, 200), np.linspace(-1, 1, 30))
    chart = surface_chart({"a": large, "b": plane(1.0)})
    first, second = chart.data["panels"]
    assert (len(first["x"]), len(first["y"]), len(second["x"])) == (MOST_POINTS, 30, 6)
    assert (first["x"][0], first["x"][-1]) == (-1.0, 1.0)
    assert f"At most {MOST_POINTS} points" in chart.caption
    assert "At most" not in surface_chart({"b": plane(1.0)}).caption


def test_curves_hold_loss_accuracy_error_and_status_of_each_split():
    runs = {"a": line(1.0), "b": line(2.0)}
    data = line_chart(runs, {"a": ["A"], "b": ["B"]}, parameter_label="α").data
    assert [(chart["title"], chart["value"]) for chart in data["charts"]] == [
        ("train", "loss"), ("train", "accuracy"), ("test", "loss"), ("test", "accuracy"),
    ]  # fmt: skip
    first = data["lines"][data["charts"][0]["lines"][1]]
    assert (first["label"], first["split"], first["entries"]) == ("b", "train", ["B"])
    assert first["values"]["loss"] == [2.0, 2.5, 3.0, 3.5, None]
    assert first["values"]["loss_error"] == [0.05] * 5
    assert first["values"]["accuracy"] == [50.0, 55.0, 60.0, 65.0, None]
    assert first["status"] == "11113"
    assert data["charts"][0]["marks"] == [{"at": 0.0, "name": "start"}]  # what all runs have


def test_lines_between_minima_have_a_panel_a_group_and_show_the_error():
    runs = {"a": line(1.0), "b": line(2.0)}
    both = {"a": ["A", "B"], "b": ["A"]}
    chart = line_chart(runs, both, parameter_label="α", panels={"a": "one", "b": "two"}, error=True)
    assert [(own["title"], own["value"]) for own in chart.data["charts"]] == [
        ("one", "loss"), ("one", "error"), ("two", "loss"), ("two", "error"),
    ]  # fmt: skip
    lines = [chart.data["lines"][place] for place in chart.data["charts"][1]["lines"]]
    assert [(own["split"], own["dash"], own["entries"]) for own in lines] == [
        ("train", "solid", ["A", "B"]), ("test", "dash", ["A", "B"]),
    ]  # fmt: skip
    assert lines[1]["values"]["error"] == pytest.approx([50.0, 45.0, 40.0, 35.0, 30.0])
    assert chart.caption == "Train solid, test dashed."


def test_long_lines_are_thinned_from_end_to_end():
    data = line_chart({"a": line(1.0, 999)}, {"a": ["A"]}, parameter_label="α").data
    (x,) = data["lines"][0]["x"].values()
    assert (len(x), x[0], x[-1]) == (MOST_ALONG, 0.0, 2.0)


def test_a_special_point_without_an_accuracy_shifts_no_other():
    own = line(1.0)
    own.points["between"] = Point((0.75,), {"train/loss": 9.0, "test/loss": 9.0})
    data = line_chart({"a": own}, {"a": ["A"]}, parameter_label="α").data
    train = data["lines"][0]
    assert train["x"] == {"α": [0.0, 0.5, 0.75, 1.0, 1.5, 2.0]}
    assert train["values"]["loss"] == [1.0, 1.5, 9.0, 2.0, 2.5, None]
    assert train["values"]["accuracy"] == [50.0, 55.0, None, 60.0, 65.0, None]


def test_trainings_are_over_both_times_with_the_error_in_percent():
    curve = pd.DataFrame({
        "epoch": [1.0, 2.0], "update": [5, 10], "train/loss": [2.0, np.inf], "test/accuracy": [0.25, 0.75],
    })  # fmt: skip
    chart = training_chart({"a": curve}, {"a": ["A"]})
    train, test = chart.data["lines"]
    assert train["values"] == {"loss": [2.0, None]}
    assert test["values"] == {"error (%)": [75.0, 25.0]}
    assert train["x"] == {"training (epochs)": [1.0, 2.0], "training (updates)": [5.0, 10.0]}
    assert [own["value"] for own in chart.data["charts"]] == ["loss", "error (%)"]
    assert chart.caption == "Train solid, test dashed."


@pytest.mark.parametrize(
    ("runs", "words"),
    [({}, "at least one run"), ({"a": line(1.0)}, "planes of at least 2 by 2 points, got shape")],
)
def test_what_is_no_plane_is_refused(runs, words):
    with pytest.raises(ValueError, match=words):
        surface_chart(runs)


def test_what_is_no_line_or_has_no_entry_is_refused():
    with pytest.raises(ValueError, match="must be lines, got shape"):
        line_chart({"a": plane(1.0)}, {"a": ["A"]}, parameter_label="α")
    with pytest.raises(ValueError, match="configuration of every run"):
        line_chart({"a": line(1.0)}, {}, parameter_label="α")


def test_kinds_draw_themselves_for_a_page():
    entries = {"a": ["A"], "b": ["B"]}
    assert LineDrawing({"alpha": "α"}).chart({"a": line(1.0), "b": line(2.0)}, entries).kind == "curves"
    labels = {"alpha": "α along δ", "beta": "β along η"}
    chart = PlaneDrawing(labels).chart({"a": plane(1.0), "b": plane(2.0)}, entries)
    assert (chart.kind, chart.caption) == ("surfaces", "α along δ, β along η.")
    ratios = {"a": plane(1.0), "b": plane(2.0)}
    for own in ratios.values():
        own.values["train/eigenvalue_ratio"] = own.values["train/loss"] / 100
    views = HessianMapDrawing(labels).chart(ratios, entries).data["views"]
    assert list(dict.fromkeys(view["value"] for view in views)) == ["eigenvalue_ratio", "loss", "accuracy"]


def test_numbers_are_short_and_none_where_not_finite():
    assert numbers(np.array([[1 / 3, np.inf], [np.nan, -2e-30]])) == [0.33333, None, None, -2e-30]


def test_no_word_of_the_data_ends_the_script_that_holds_it():
    hostile = "</script><script>alert(1)</script><!--"
    chart = Chart("curves", {"lines": [{"label": hostile, "entries": [hostile]}]}, hostile)
    text = chart_html('"><b>', chart) + legend_html({"x": chart})
    assert text.count("<script") == text.count("</script>") == 2
    held = re.findall(r'<script type="application/json" id="data-[^"]*">(.*?)</script>', text, re.DOTALL)
    assert json.loads(held[0])["lines"][0]["label"] == hostile
    assert json.loads(held[1])[0]["name"] == hostile
    assert "<b>" not in text
    assert "<!--" not in text


def test_the_drawing_library_is_there_once_and_only_for_charts():
    chart = {"a": Chart("surfaces", {})}
    assert page_scripts({}).count("plotly.js v") == 0
    assert "makeSortable" in page_scripts({})
    assert page_scripts(chart).count("plotly.js v") == 1
    assert of_kinds(chart) == {"surfaces": chart}


def test_a_table_takes_words_literally_and_leaves_blanks():
    text = table_html(pd.DataFrame({"<i>": ["<b>", "x"], "n": [1 / 3, np.nan]}), filtered=True)
    assert "&lt;i&gt;" in text
    assert "&lt;b&gt;" in text
    assert "<td>0.33333</td>" in text
    assert "<td></td>" in text
    assert re.search('class="[^"]*sortable filtered', text)


def test_a_picture_within_a_page_is_smaller_and_looks_the_same():
    import io

    from PIL import Image

    runs = {str(scale): plane(float(scale)) for scale in (1, 2)}
    figure = contour_panels(runs, split="train", title="t", caption="c")
    png = render(figure, "png")
    few = smaller(png)
    assert len(few) < 0.6 * len(png)
    before, after = (np.asarray(Image.open(io.BytesIO(own)).convert("RGB"), float) for own in (png, few))
    assert before.shape == after.shape
    assert np.abs(before - after).mean() < 1.0  # of 255


def test_a_page_of_nine_runs_with_planes_of_25_by_25_is_of_a_sensible_size():
    from types import SimpleNamespace

    from study.comparison_report import page

    square = np.linspace(-1.0, 1.0, 25)
    runs = {f"seed {seed}": plane(1.0 + seed, square, square, ("train", "test")) for seed in range(9)}
    figure = contour_panels(runs, split="train", title="t", caption="c")
    chart = replace(surface_chart({label: runs[label] for label in [*runs][:8]}), pictures=("contour",))
    picture = smaller(render(figure, "png"))
    frame = pd.DataFrame({"run": [*runs]})
    found = page(
        SimpleNamespace(
            members=SimpleNamespace(keys=(), seeds=("seed",), runs=[*runs]),
            runs=frame,
            groups=pd.DataFrame(),
            between=pd.DataFrame(),
            left_out=[],
            charts={"contour": chart},
        ),
        [],
        {"contour": picture, **{f"of measures {place}": picture for place in range(4)}},
        title="",
        about={},
        failed={},
    )
    assert len(found.encode()) < 8e6


def test_scripts_and_styles_are_part_of_the_package():
    import study

    folder = Path(study.__file__).parent / "figures" / "web"
    assert {own.name for own in folder.iterdir()} >= {"page.js", "surfaces.js", "curves.js", "tables.js"}
    assert not [own for own in folder.iterdir() if re.search("https?://", own.read_text(encoding="utf-8"))]
