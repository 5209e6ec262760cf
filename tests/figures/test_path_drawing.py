"""An optimiser's path on a plane, and other values of a plane than its loss: read back from the artists."""

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.legend import Legend

from study.figures.contour import contour_figure
from study.figures.interactive import interactive_page
from study.figures.path import FINE, between_ends, check_path, on_surface
from study.figures.planes import contour_panels
from study.figures.quantity import quantity
from study.figures.style import STAR, styled
from study.figures.surface import surface_figure
from study.landscape.result import Landscape, Point, Status

WORDS = {"title": "The path on its plane", "caption": "cnn on digits, costing $5 & <little>."}
ALPHA, BETA = np.linspace(-1.0, 5.0, 13), np.linspace(-2.0, 1.0, 7)  # not square, not symmetric
PATH = np.array([[4.0, 0.0], [3.0, -1.5], [1.5, -1.0], [0.5, 0.25], [0.0, 0.0]])


def tilted(a, b):
    """A loss that bilinear interpolation reproduces."""
    return 3.0 + 0.5 * a + 0.25 * b + 0.05 * a * b


def plane(named: bool = True, **values: np.ndarray) -> Landscape:
    a, b = np.meshgrid(ALPHA, BETA, indexing="ij")
    names = [*(f"projection of update {10 * n}" for n in range(4)), "solution"]
    points = {
        name: Point(tuple(at), {"loss": float(tilted(*at))})
        for name, at in zip(names, PATH.tolist(), strict=True)
        if named
    }
    status = np.full(a.shape, Status.EVALUATED, dtype=np.int8)
    return Landscape({"alpha": ALPHA, "beta": BETA}, {"loss": tilted(a, b), **values}, status, points)


def ratios() -> np.ndarray:
    a, b = np.meshgrid(ALPHA, BETA, indexing="ij")
    found = 0.001 + 0.02 * (a**2 + b**2)
    found[-2:, -2:] = np.nan
    return found


def drawn(figure: Figure, gid: str) -> list[np.ndarray]:
    return [each.get_xydata() for axes in figure.axes for each in axes.lines if each.get_gid() == gid]


def named(figure: Figure) -> set[str]:
    return {text.get_text() for text in figure.axes[0].texts}


def legend(figure: Figure) -> list[str]:
    legends = [*figure.legends, *(axes.get_legend() for axes in figure.axes)]
    return [text.get_text() for each in legends if isinstance(each, Legend) for text in each.get_texts()]


# The path


def test_the_path_runs_through_its_checkpoints_with_alpha_across() -> None:
    figure = contour_figure(plane(), split="", path=PATH, **WORDS)
    (line,) = drawn(figure, "path")
    np.testing.assert_array_equal(line, PATH)
    (dots,) = drawn(figure, "checkpoints")
    np.testing.assert_array_equal(dots, PATH[1:-1])


def test_only_the_ends_of_a_path_are_marked_and_named() -> None:
    figure = contour_figure(plane(), split="", path=PATH, **WORDS)
    assert {"projection of update 0", "solution"} <= named(figure)
    assert not any("update 10" in name or "update 20" in name for name in named(figure))
    marks = {
        each.get_marker(): each.get_xydata().tolist()
        for each in figure.axes[0].lines
        if each.get_markersize() in (8.0, 0.63 * 8.0)
    }
    assert marks == {"o": [[4.0, 0.0]], STAR: [[0.0, 0.0]]}
    assert "projection of update 10" in named(contour_figure(plane(), split="", **WORDS))


def test_other_special_points_stay_and_ends_without_a_name_get_one() -> None:
    points = {"elsewhere": Point((2.0, 0.5), {"loss": 1.0}), "third": Point((1.5, -1.0), {"loss": 1.0})}
    bare = plane(named=False)
    found = between_ends(Landscape(bare.axes, bare.values, bare.status, points), PATH).points
    assert list(found) == ["start", "elsewhere", "end"]
    assert (found["start"].coordinates, found["end"].coordinates) == ((4.0, 0.0), (0.0, 0.0))
    kept = between_ends(plane(), PATH + 1e-12).points
    assert list(kept) == ["projection of update 0", "solution"]


def test_a_path_that_comes_back_to_its_start_keeps_the_start() -> None:
    loop = np.array([[4.0, 0.0], [3.0, -1.5], [4.0, 0.0], [0.0, 0.0]])
    assert list(between_ends(plane(), loop).points) == [
        "projection of update 0",
        "projection of update 20",
        "projection of update 30",
        "solution",
    ]


def test_a_path_beyond_the_grid_is_in_view() -> None:
    figure = contour_figure(plane(named=False), split="", path=PATH * 2, **WORDS)
    assert figure.axes[0].get_xlim() == (-1.0, 8.0)
    assert figure.axes[0].get_ylim() == (-3.0, 1.0)


def test_no_name_and_no_isoline_label_covers_the_path() -> None:
    figure = contour_figure(plane(), split="", path=PATH, **WORDS)
    axes = figure.axes[0]
    steps = np.linspace(0, len(PATH) - 1, 400)
    fine = np.stack([np.interp(steps, np.arange(len(PATH)), PATH[:, k]) for k in (0, 1)], axis=1)
    along = axes.transData.transform(fine)
    written = [text for text in axes.texts if text.get_text()]
    assert len(written) > 4
    for text in written:
        if text.get_rotation() == 0:  # an upright box is the label's own
            box = text.get_window_extent()
            assert not any(box.contains(*at) for at in along), text.get_text()


def test_a_path_lies_on_the_surface() -> None:
    heights = plane().values["loss"]
    found = on_surface(plane(), heights, PATH)
    assert len(found) == FINE * (len(PATH) - 1) + 1
    np.testing.assert_allclose(found[:, 2], tilted(*found[:, :2].T), rtol=1e-12)
    np.testing.assert_allclose(found[::FINE, :2], PATH)
    outside = on_surface(plane(), heights, np.array([[0.0, 0.0], [0.0, 3.0]]))
    assert np.isfinite(outside[: FINE // 3 + 1, 2]).all()
    assert np.isnan(outside[FINE // 3 + 1 :, 2]).all()
    open_cell = np.where(heights == heights[0, 0], np.nan, heights)
    lost = np.isnan(on_surface(plane(), open_cell, np.array([[-1.0, -1.0], [-1.0, -2.0]]))[:, 2])
    assert lost.tolist() == [False] * (FINE // 2 + 1) + [True] * (FINE // 2)


def test_the_surface_has_the_path_on_it_and_on_the_floor() -> None:
    figure = surface_figure(plane(), split="", path=PATH, **WORDS)
    paths = [each.get_data_3d() for each in figure.axes[0].lines if len(each.get_data_3d()[0]) > FINE]
    floor, above = sorted(paths, key=lambda path: path[2].max())
    np.testing.assert_allclose(above[2], tilted(above[0], above[1]))
    assert np.ptp(floor[2]) == 0.0
    np.testing.assert_allclose(floor[:2], above[:2])
    assert legend(figure) == ["projection of update 0", "solution"]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        (PATH[:1], r"at least 2 checkpoints, \(K, 2\), got shape \(1, 2\)"),
        (PATH.T, r"got shape \(2, 5\)"),
        ([[0.0, 1.0], [np.nan, 2.0]], r"path must be finite, got \[nan, 2.0\] at checkpoint 1"),
    ],
)
def test_a_path_that_is_none_is_refused(path: np.ndarray, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        check_path(path)
    with pytest.raises(ValueError, match=words):
        interactive_page(plane(), path=np.array(path), **WORDS)


def test_panels_have_each_its_path() -> None:
    runs = {"bs 16": plane(), "bs 32": plane(), "bs 64": plane(named=False)}
    paths = {"bs 16": PATH, "bs 32": 0.5 * PATH}
    figure = contour_panels(runs, split="", paths=paths, **WORDS)
    for axes, path in zip(figure.axes, (PATH, 0.5 * PATH, None), strict=False):
        lines = [each.get_xydata() for each in axes.lines if each.get_gid() == "path"]
        assert len(lines) == (path is not None)
        if path is not None:
            np.testing.assert_array_equal(lines[0], path)
    assert "projection of update 10" not in legend(contour_panels(
        {"bs 16": plane()}, split="", paths={"bs 16": PATH}, **WORDS
    ))  # fmt: skip


# The eigenvalue ratio


def with_ratio() -> Landscape:
    made = plane(named=False, eigenvalue_ratio=ratios())
    points = {"solution": Point((0.0, 0.0), {"loss": 3.0, "eigenvalue_ratio": 0.001})}
    return Landscape(made.axes, made.values, made.status, points)


def test_the_eigenvalue_ratio_has_its_own_words_and_colours() -> None:
    ratio = contour_figure(with_ratio(), split="", value="eigenvalue_ratio", **WORDS)
    loss = contour_figure(with_ratio(), split="", **WORDS)
    assert ratio.axes[1].get_ylabel() == "|λmin / λmax|"
    fills = [figure.axes[0].collections[0] for figure in (ratio, loss)]
    assert to_hex(fills[0].get_facecolor()[0]) != to_hex(fills[1].get_facecolor()[0])
    filled = next(path for path in fills[0].get_paths() if len(path.vertices))
    assert filled.contains_point((0.0, 0.0))
    assert not filled.contains_point((4.0, 0.5))


def test_the_eigenvalue_ratio_is_linear_over_decades() -> None:
    assert ratios()[np.isfinite(ratios())].max() > 100 * 0.001
    figure = contour_figure(with_ratio(), split="", value="eigenvalue_ratio", **WORDS)
    ticks = [float(text.get_text()) for text in figure.axes[1].get_yticklabels()]
    np.testing.assert_allclose(np.diff(ticks), ticks[1] - ticks[0])
    heights = surface_figure(with_ratio(), split="", value="eigenvalue_ratio", **WORDS).axes[0]
    assert heights.get_zlabel() == "|λmin / λmax|"
    (sheet,) = [each for each in heights.collections if type(each).__name__ == "Poly3DCollection"]
    corners = np.concatenate([np.asarray(face) for face in sheet._faces]).reshape(-1, 3)
    np.testing.assert_allclose(corners[:, 2], 0.001 + 0.02 * (corners[:, 0] ** 2 + corners[:, 1] ** 2))


def test_cells_without_a_ratio_are_hatched_though_their_loss_is_finite() -> None:
    figure = contour_figure(with_ratio(), split="", value="eigenvalue_ratio", **WORDS)
    (patch,) = [patch for patch in figure.axes[0].patches if patch.get_hatch()]
    box = patch.get_path().get_extents(patch.get_patch_transform())
    assert (box.x0, box.y0, box.x1, box.y1) == (4.0, 0.0, 5.0, 1.0)
    assert legend(figure) == ["diverged: |λmin / λmax| not finite"]
    assert not any(
        patch.get_hatch() for patch in contour_figure(with_ratio(), split="", **WORDS).axes[0].patches
    )
    assert "open: diverged, |λmin / λmax| not finite" in legend(
        surface_figure(with_ratio(), split="", value="eigenvalue_ratio", **WORDS)
    )


def test_panels_of_ratios_share_their_levels() -> None:
    small = with_ratio()
    small.values["eigenvalue_ratio"] *= 0.1
    figure = contour_panels({"a": with_ratio(), "b": small}, split="", value="eigenvalue_ratio", **WORDS)
    first, second = (axes.collections[0] for axes in figure.axes[:2])
    np.testing.assert_array_equal(first.levels, second.levels)
    assert figure.axes[2].get_ylabel() == "|λmin / λmax|"


def test_a_value_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match=r"value must be one of \['loss'\], got 'eigenvalue_ratio'"):
        quantity(plane(), "eigenvalue_ratio")


# Long labels


def test_nothing_overlaps_or_is_cut_off_where_the_labels_are_long() -> None:
    labels = {
        "alpha": "α (L2 distance along the first eigenvector)",
        "beta": "β (L2 distance along the second eigenvector)",
    }
    for figure in (
        contour_figure(plane(), split="", path=PATH, axis_labels=labels, **WORDS),
        surface_figure(plane(), split="", path=PATH, axis_labels=labels, **WORDS),
    ):
        with styled():
            figure.draw_without_rendering()
            axes = figure.axes[0]
            box = axes.get_tightbbox()
            page = figure.bbox
            assert page.x0 - 1 <= box.x0 < box.x1 <= page.x1 + 1
            title = next(text for text in figure.texts if text.get_text() == WORDS["title"])
            assert box.y1 <= title.get_window_extent().y0 + 1
            names = [axis.label for axis in (axes.xaxis, axes.yaxis)]
            assert [" ".join(name.get_text().split()) for name in names] == list(labels.values())
            assert axes.get_window_extent().height > 0.4 * page.height
