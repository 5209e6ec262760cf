"""A plane of 501 by 501 points, drawn and written: its files stay below what a browser and MLflow show."""

import numpy as np
import pytest

from study.figures.export import render
from study.figures.interactive import MOST, interactive_page
from study.figures.thinned import thinned
from study.kinds import KINDS
from study.landscape.result import Landscape, Point, Status

SIDE, LARGEST = 501, 50e6  # bytes


@pytest.fixture(scope="module")
def plane() -> Landscape:
    """Both splits of a plane whose every value takes all its digits."""
    alpha, beta = np.linspace(-1, 1, SIDE), np.linspace(-0.7, 0.7, SIDE)
    values, shape = {}, (SIDE, SIDE)
    for place, split in enumerate(("train", "test")):
        loss = np.pi * (alpha[:, None] ** 2 + (1 + place) * np.sin(3 * beta) ** 2) + 0.01
        values[f"{split}/loss"] = loss
        values[f"{split}/accuracy"] = np.exp(-loss)
    status = np.full(shape, Status.EVALUATED, dtype=np.uint8)
    center = {name: float(array[SIDE // 2, SIDE // 2]) for name, array in values.items()}
    return Landscape({"alpha": alpha, "beta": beta}, values, status, {"solution": Point((0.0, 0.0), center)})


def test_its_table_and_its_values_are_small_enough(plane):
    assert len(plane.to_frame().to_csv(index=False).encode()) < LARGEST
    assert len(plane.to_bytes()) < LARGEST


def test_its_page_shows_every_second_point_and_says_so(plane):
    page = interactive_page(plane.split("train"), title="A plane", caption="All of it.")
    assert len(page.encode()) < LARGEST
    assert "All of it. This page shows 251 × 251 of the 501 × 501 points." in page


@pytest.mark.parametrize("format", ["png", "pdf"])
def test_its_pictures_are_small_enough(plane, format):
    drawing = KINDS["contour"].drawing
    figures = drawing.contours(plane, "A plane", "All of it.", None, "loss")
    for figure in figures.values():
        assert len(render(figure, format)) < LARGEST


@pytest.mark.parametrize("shape", [(2, 2), (251, 3), (252, 400), (501, 7)])
def test_a_thinned_plane_keeps_its_ends_and_what_it_has(shape: tuple[int, int], plane: Landscape):
    axes = {"alpha": np.arange(shape[0], dtype=float), "beta": np.arange(shape[1], dtype=float)}
    loss = axes["alpha"][:, None] * 1000 + axes["beta"]
    whole = Landscape(axes, {"loss": loss}, np.full(shape, Status.EVALUATED, dtype=np.uint8))
    found = thinned(whole, MOST)
    assert max(found.shape) <= MOST
    for name, axis in axes.items():
        assert found.axes[name][[0, -1]].tolist() == axis[[0, -1]].tolist()
    np.testing.assert_array_equal(
        found.values["loss"], found.axes["alpha"][:, None] * 1000 + found.axes["beta"]
    )
    assert (found is whole) == (max(shape) <= MOST)
