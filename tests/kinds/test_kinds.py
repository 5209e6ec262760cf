"""Each kind, from a composed configuration to where it looks and what it measures."""

import copy
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import DictConfig
from torch import nn

from study.config import SCHEMAS
from study.kinds import KINDS, LandscapeConfig, Trained
from study.landscape.directions import cosine, random_direction
from study.landscape.geometry import Line, Plane
from study.landscape.result import Landscape, Point, Status
from study.landscape.weights import Weights
from study.paths import root
from study.resolve import composed, typed

NAMES = sorted(file.stem for file in (root() / "conf" / "landscape").glob("*.yaml"))


@cache
def composed_kind(kind: str) -> DictConfig:
    return composed([f"landscape=[{kind}]"])


def configured(kind: str, **changes: Any) -> Any:
    config = copy.deepcopy(composed_kind(kind))
    config.landscape[kind].update(changes)
    return typed(config).landscape[kind]


def network(seed: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3))


@pytest.fixture
def trained() -> Trained:
    return Trained(solution=Weights.of(network(1)), initialisation=Weights.of(network(0)))


def drawn(kind: str, config: LandscapeConfig, points: dict[str, tuple[float, ...]], loss: Any) -> Landscape:
    grid = KINDS[kind].grid(config)
    mesh = np.meshgrid(*grid.axes.values(), indexing="ij")
    return Landscape(
        axes=dict(grid.axes),
        values={"loss": loss(*mesh)},
        status=np.full(grid.shape, Status.EVALUATED, dtype=np.int8),
        points={name: Point(at, {"loss": float(loss(*map(np.float64, at)))}) for name, at in points.items()},
    )


# The registry


def test_registry_files_and_schemas_are_the_same_kinds():
    assert sorted(KINDS) == NAMES == ["contour", "interpolation", "line"]
    assert {name: SCHEMAS[f"landscape/{name}"] for name in NAMES} == {
        name: kind.schema for name, kind in KINDS.items()
    }


@pytest.mark.parametrize("name", NAMES)
def test_a_kind_is_what_it_is_called(name):
    config = configured(name)
    assert KINDS[name].name == name == config.kind
    assert type(config) is KINDS[name].schema
    assert KINDS[name].title


def test_only_the_interpolation_needs_the_initialisation():
    assert {name for name, kind in KINDS.items() if kind.needs_initialisation} == {"interpolation"}


@pytest.mark.parametrize(
    ("split", "read"), [("train", ("train",)), ("test", ("test",)), ("both", ("train", "test"))]
)
def test_splits(split, read):
    assert configured("line", split=split).splits == read


# Grids


def test_the_texts_ranges_are_the_defaults():
    """Equation 1 is shown on [−0.5, 1.5], equation 2 on [−1, 1] with an odd number of points."""
    grids = {name: KINDS[name].grid(configured(name)).axes for name in NAMES}
    assert grids["interpolation"]["alpha"][[0, -1]].tolist() == [-0.5, 1.5]
    for axis in (grids["line"]["alpha"], grids["contour"]["alpha"], grids["contour"]["beta"]):
        assert axis[[0, -1]].tolist() == [-1, 1]
        assert len(axis) % 2 == 1
        assert axis[len(axis) // 2] == 0.0


@pytest.mark.parametrize("name", ["interpolation", "line"])
def test_the_grid_of_a_line(name):
    grid = KINDS[name].grid(configured(name, alpha_range=[-0.25, 1.0], points=6))
    assert grid.axes["alpha"].tolist() == [-0.25, 0.0, 0.25, 0.5, 0.75, 1.0]
    assert list(grid.axes) == ["alpha"]


def test_the_axes_of_a_plane_can_differ():
    own = {"alpha_range": [-1.0, 0.5], "points": 4, "beta_range": [0.0, 3.0], "beta_points": 3}
    grid = KINDS["contour"].grid(configured("contour", **own))
    assert {name: axis.tolist() for name, axis in grid.axes.items()} == {
        "alpha": [-1.0, -0.5, 0.0, 0.5],
        "beta": [0.0, 1.5, 3.0],
    }
    assert grid.shape == (4, 3)


@pytest.mark.parametrize(
    ("own", "beta"),
    [
        ({}, [-1.0, 0.0, 1.0]),
        ({"beta_points": 2}, [-1.0, 1.0]),
        ({"beta_range": [0.0, 4.0]}, [0.0, 2.0, 4.0]),
        ({"beta_range": [-2.0, 0.0], "beta_points": 2}, [-2.0, 0.0]),
    ],
)
def test_what_is_not_given_for_beta_is_as_for_alpha(own, beta):
    grid = KINDS["contour"].grid(configured("contour", points=3, **own))
    assert grid.axes["beta"].tolist() == beta
    assert grid.axes["alpha"].tolist() == [-1.0, 0.0, 1.0]


# Geometry


def test_the_interpolation_runs_from_the_initialisation_to_the_solution(trained):
    geometry = KINDS["interpolation"].geometry(configured("interpolation"), trained)
    assert isinstance(geometry, Line)
    assert geometry.special == {"initialisation": (0.0,), "solution": (1.0,)}
    first, last = trained.initialisation.flat, trained.solution.flat
    assert torch.equal(geometry.at(0.0).flat, first)
    assert torch.equal(geometry.at(1.0).flat, last)
    assert torch.allclose(geometry.at(-0.5).flat, 1.5 * first - 0.5 * last, atol=1e-6)
    assert geometry.default_batch_statistics == "recomputed"


@pytest.mark.parametrize("name", ["line", "contour"])
def test_random_geometry_starts_from_the_solution_along_the_seeds_directions(name, trained):
    config = configured(name, direction_seed=3, normalization="layer")
    geometry = KINDS[name].geometry(config, trained)
    axes = len(geometry.axes)
    assert isinstance(geometry, Line if name == "line" else Plane)
    assert geometry.special == {"solution": (0.0,) * axes}
    assert torch.equal(geometry.at(*(0.0,) * axes).flat, trained.solution.flat)
    for index in range(axes):
        direction = random_direction(trained.solution, seed=3, index=index, normalization="layer").flat
        place = tuple(2.0 if axis == index else 0.0 for axis in range(axes))
        assert torch.allclose(geometry.at(*place).flat, trained.solution.flat + 2 * direction, atol=1e-6)
    assert geometry.default_batch_statistics == "frozen"


@pytest.mark.parametrize("name", ["line", "contour"])
@pytest.mark.parametrize(
    "changes", [{"direction_seed": 1}, {"normalization": "none"}, {"include_bias_and_norm": True}]
)
def test_a_direction_follows_its_keys(name, changes, trained):
    def moved(**own: Any) -> torch.Tensor:
        geometry = KINDS[name].geometry(configured(name, **own), trained)
        return geometry.at(*(1.0,) * len(geometry.axes)).flat - trained.solution.flat

    assert torch.equal(moved(), moved())
    assert not torch.allclose(moved(), moved(**changes))


def test_another_direction_seed_is_another_direction_and_not_the_other_axis(trained):
    planes = [
        KINDS["contour"].geometry(configured("contour", direction_seed=seed), trained) for seed in (0, 1)
    ]
    directions = [plane.bases[axis] for plane in planes for axis in (1, 2)]
    for first in range(4):
        for second in range(first):
            assert abs(cosine(directions[first], directions[second])) < 0.7  # of 35 entries that move


def test_biases_stay_unless_they_are_asked_to_move(trained):
    for name in ("line", "contour"):
        for include in (False, True):
            config = configured(name, include_bias_and_norm=include)
            geometry = KINDS[name].geometry(config, trained)
            moved = geometry.at(*(1.0,) * len(geometry.axes)).named
            for key, tensor in trained.solution.named.items():
                assert torch.equal(moved[key], tensor) == (key.endswith("bias") and not include), key


@pytest.mark.parametrize("name", NAMES)
def test_an_intermediate_checkpoint_keeps_its_name(name, trained):
    named = Trained(trained.solution, trained.initialisation, "update 7")
    assert "update 7" in KINDS[name].geometry(configured(name), named).special
    assert "solution" not in KINDS[name].geometry(configured(name), named).special


# Measures


def test_measures_of_an_interpolation():
    config = configured("interpolation", points=9)
    ends = {"initialisation": (0.0,), "solution": (1.0,)}
    landscape = drawn("interpolation", config, ends, lambda a: 2.0 - a + np.where(a == 0.5, 1.0, 0.0))
    assert KINDS["interpolation"].measures(landscape, config) == {
        "largest_rise": pytest.approx(0.75),  # from 1.75 at 0.25 to 2.5 at 0.5
        "minimum": pytest.approx(0.5),
        "maximum": pytest.approx(2.5),
        "diverged_cells": 0.0,
    }


def test_measures_of_a_line():
    config = configured("line", points=21, basin_rise=0.2)
    landscape = drawn("line", config, {"solution": (0.0,)}, lambda a: 1.0 + abs(a))
    assert KINDS["line"].measures(landscape, config) == {
        "basin_width": pytest.approx(0.4),
        "basin_reaches_edge": 0.0,
        "basin_unresolved": 0.0,
        "minimum": 1.0,
        "maximum": 2.0,
        "diverged_cells": 0.0,
    }


def test_measures_of_a_plane_on_unequal_axes():
    own = {"alpha_range": [-1.0, 0.5], "points": 31, "beta_range": [-2.0, 3.0], "beta_points": 26}
    config = configured("contour", basin_rise=0.3, **own)
    landscape = drawn(
        "contour", config, {"solution": (0.0, 0.0)}, lambda a, b: np.maximum(2 * abs(a), abs(b) / 2)
    )
    assert landscape.shape == (31, 26)
    assert KINDS["contour"].measures(landscape, config) == {
        "basin_width": pytest.approx(0.75),
        "basin_width_alpha": pytest.approx(0.3),
        "basin_width_beta": pytest.approx(1.2),
        "basin_reaches_edge": 0.0,
        "basin_unresolved": 0.0,
        "minimum": 0.0,
        "maximum": 2.0,
        "diverged_cells": 0.0,
    }


@pytest.mark.parametrize("name", ["line", "contour"])
def test_the_rise_bounds_the_basin(name):
    center = (0.0,) * (1 if name == "line" else 2)
    widths = []
    for rise in (0.1, 0.4):
        config = configured(name, points=41, basin_rise=rise)
        landscape = drawn(name, config, {"solution": center}, lambda *at: sum(map(abs, at)))
        widths.append(KINDS[name].measures(landscape, config)["basin_width"])
    assert widths == pytest.approx([0.2, 0.8], rel=1e-6)
