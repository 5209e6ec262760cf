"""Ranges that hold the special points of a geometry."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from study.landscape.directions import Direction
from study.landscape.geometry import Line, Plane
from study.landscape.ranges import bounding_ranges


@pytest.fixture
def plane() -> Plane:
    unit = torch.eye(2)
    return Plane.through(nn.Linear(2, 1, bias=False), Direction(unit[0], {}), Direction(unit[1], {}))


def test_each_axis_has_its_own_extent_and_margin(plane):
    held = replace(plane, special={"a": (-1.0, 3.0), "b": (4.0, 2.0), "c": (0.5, 2.5)})
    alpha, beta = bounding_ranges(held, 0.25)
    assert alpha == pytest.approx((-2.25, 5.25))
    assert beta == pytest.approx((1.75, 3.25))
    assert bounding_ranges(held, 0.0) == ((-1.0, 4.0), (2.0, 3.0)), "the outermost points to the bit"


def test_a_line_has_one_range():
    model = nn.Linear(2, 1)
    ((low, high),) = bounding_ranges(Line.between(model, model), 0.5)
    assert (low, high) == (-0.5, 1.5)


def test_an_axis_on_which_all_lie_at_one_coordinate_is_as_wide_as_the_widest(plane):
    held = replace(plane, special={"a": (2.0, 7.0), "b": (6.0, 7.0)})
    assert bounding_ranges(held, 0.25) == ((1.0, 7.0), (4.0, 10.0))


def test_points_at_one_place_bound_nothing(plane):
    with pytest.raises(ValueError, match=r"special points must lie apart .* got {'centre': \(0.0, 0.0\)}"):
        bounding_ranges(plane, 0.1)
    with pytest.raises(ValueError, match="special points must lie apart"):
        bounding_ranges(replace(plane, special={}), 0.1)


@pytest.mark.parametrize("margin", [-0.1, float("nan"), float("inf")])
def test_a_bad_margin_is_refused(margin):
    model = nn.Linear(2, 1)
    with pytest.raises(ValueError, match=f"margin must be finite and at least 0, got {margin}"):
        bounding_ranges(Line.between(model, model), margin)
