"""Which pictures the drawings of kinds make of a landscape and its companions, and what stands in them."""

import json
from typing import Any

import numpy as np
import pytest

from study.kinds.drawing import HessianDrawing, HessianMapDrawing, LineDrawing
from study.kinds.trajectory_drawing import TrajectoryDrawing
from study.landscape.result import Landscape, Point, Status

LABELS = {"alpha": "α (L2 distance)", "beta": "β (L2 distance)"}
WORDS = ("A title", "a caption", None)
ALPHA, BETA = np.linspace(-1.0, 4.0, 6), np.linspace(-2.0, 1.0, 4)
PATH = [[3.0, 0.0], [1.0, -1.5], [0.0, 0.0]]


def landscape(axes: dict[str, np.ndarray], splits: tuple[str, ...], **about: Any) -> Landscape:
    shape = tuple(map(len, axes.values()))
    size = int(np.prod(shape))
    values = {f"{split}/loss": 1.0 + np.arange(size, dtype=float).reshape(shape) for split in splits}
    points = {"solution": Point((0.0,) * len(axes), {f"{split}/loss": 0.5 for split in splits})}
    return Landscape(axes, values, np.full(shape, Status.EVALUATED, dtype=np.int8), points, **about)


def trajectory(*splits: str) -> Landscape:
    path = landscape({"update": np.array([0.0, 10.0, 30.0])}, splits)
    for place, split in enumerate(splits):
        path.values[f"{split}/loss"] = np.array([2.0, 1.0, 0.5]) + place
        path.values[f"{split}/loss_at_projection"] = np.array([3.0, 1.5, 0.5]) + place
    shares = {"solution": [0.8, 0.2], "mean": [0.7, 0.3]}
    about = {
        "coordinates": PATH,
        "distances": [4.0, 1.0, 0.0],
        "shares": shares,
        "random_walk": shares,
        "random_plane": 0.01,
    }
    made = landscape(
        {"alpha": ALPHA, "beta": BETA}, splits, provenance={"trajectory": about}, companions={"path": path}
    )
    for update, at in zip((0, 10), PATH, strict=False):
        values = {f"{split}/loss": 1.0 for split in splits}
        made.points[f"projection of update {update}"] = Point(tuple(at), values)
    return made


def hessian(*splits: str) -> Landscape:
    lines = {}
    for name, x, eigenvalue in (("alpha", ALPHA, 12.5), ("beta", BETA, -0.25)):
        lines[name] = landscape(
            {"alpha": x}, splits, provenance={"directions": [{"eigenvalue": eigenvalue, "slope": 0.0}]}
        )
        lines[name].values["train/quadratic"] = 0.5 + 0.5 * eigenvalue * x**2
    return landscape({"alpha": ALPHA, "beta": BETA}, splits, companions=lines)


def ratio(scale: float, *splits: str) -> Landscape:
    made = landscape({"alpha": ALPHA, "beta": BETA}, splits)
    for split in splits:
        made.values[f"{split}/eigenvalue_ratio"] = scale * made.values[f"{split}/loss"]
    return made


def lines_of(figure: Any, gid: str) -> list[np.ndarray]:
    return [line.get_xydata() for axes in figure.axes for line in axes.lines if line.get_gid() == gid]


def test_a_line_is_over_its_own_axis_and_beside_its_companions() -> None:
    t = {"t": np.linspace(0.0, 1.0, 5)}
    curve = landscape(t, ("train",), companions={"straight line": landscape(t, ("train",))})
    drawing = LineDrawing({"t": "t (0 = start, 1 = end)"})
    (figure,) = drawing.figures(curve, *WORDS).values()
    assert figure.axes[0].get_xlabel() == "t (0 = start, 1 = end)"
    assert len(lines_of(figure, "straight line: loss, train")) == 1
    (together,) = drawing.together({"a": curve, "b": curve}, {"a": "a", "b": "b"}, *WORDS[:2]).values()
    assert together.axes[-1].get_xlabel() == "t (0 = start, 1 = end)"
    assert "straight line: train loss" in drawing.page(curve, *WORDS)


def test_a_trajectory_has_its_path_on_contour_and_surface_and_a_picture_of_what_is_off_the_plane() -> None:
    drawing = TrajectoryDrawing(LABELS)
    drawn = drawing.figures(trajectory("train", "test"), *WORDS)
    assert set(drawn) == {"", ".surface", ".path", ".test", ".test.surface", ".test.path"}
    for suffix in ("", ".test"):
        np.testing.assert_array_equal(lines_of(drawn[suffix], "path"), [PATH])
    (loss,) = lines_of(drawn[".test.path"], "on the path")
    assert loss.tolist() == [[0.0, 3.0], [10.0, 2.0], [30.0, 1.5]]
    (distance,) = lines_of(drawn[".path"], "distance")
    assert distance[:, 1].tolist() == [0.8, 0.2, 0.0]  # of ‖(3, 0, 4)‖ = 5
    assert "projection of update 10" in drawing.page(trajectory("train"), *WORDS)


def test_trajectories_together_have_each_its_path() -> None:
    runs = {"a": trajectory("train"), "b": trajectory("train")}
    (figure,) = TrajectoryDrawing(LABELS).together(runs, {}, *WORDS[:2]).values()
    np.testing.assert_array_equal(lines_of(figure, "path"), [PATH, PATH])


@pytest.mark.parametrize("splits", [("train",), ("train", "test")])
def test_hessian_slices_carry_their_eigenvalues_and_their_own_axes(splits: tuple[str, ...]) -> None:
    drawn = HessianDrawing(LABELS).figures(hessian(*splits), *WORDS)
    assert {"", ".surface", ".slices"} <= set(drawn)
    assert ".test.slices" not in drawn
    first, second = drawn[".slices"].axes
    assert (first.get_title(), second.get_title()) == ("eigenvalue 12.5", "eigenvalue −0.25")
    assert (first.get_xlabel(), second.get_xlabel()) == tuple(LABELS.values())
    assert (first.get_xlim(), second.get_xlim()) == ((-1.0, 4.0), (-2.0, 1.0))


def test_a_hessian_map_shows_the_ratio_first_and_the_loss_beside_it() -> None:
    drawing = HessianMapDrawing(LABELS)
    drawn = drawing.figures(ratio(0.1, "train", "test"), *WORDS)
    assert list(drawn) == ["", ".loss", ".test", ".test.loss"]
    bars = [figure.axes[1].get_ylabel() for figure in drawn.values()]
    assert bars == [f"{split} {value}" for split in ("train", "test")
                    for value in ("|λmin / λmax|", "loss (nats per example)")]  # fmt: skip
    runs = {"a": ratio(0.1, "train"), "b": ratio(0.2, "train")}
    (together,) = drawing.together(runs, {}, *WORDS[:2]).values()
    assert together.axes[2].get_ylabel() == "|λmin / λmax|"
    content = (
        drawing.page(ratio(0.1, "train"), *WORDS).partition('id="content">')[2].partition("</script>")[0]
    )
    assert list(json.loads(content)["values"]) == ["eigenvalue_ratio", "loss"]
