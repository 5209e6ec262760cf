"""Each kind, from a composed configuration to where it looks and what it measures."""

import copy
import json
import math
import shutil
from collections.abc import Callable
from dataclasses import fields, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import DictConfig
from torch import nn

from study import build
from study.config import SCHEMAS, StudyConfig
from study.errors import ConfigError
from study.kinds import KINDS, LandscapeConfig, Trained
from study.landscape.directions import cosine, random_direction
from study.landscape.geometry import Geometry, Line, Plane, Scaling
from study.landscape.grid import Grid
from study.landscape.result import Landscape, Point, Status
from study.landscape.weights import Weights
from study.paths import root
from study.prepare import prepare
from study.resolve import composed, typed
from study.run import Outcome
from study.saved import saved_data, saved_model
from study.source import TRAINING, checkpoint_name
from study.training.checkpoints import decode_weights, load_weights
from study.training.data import DataSet, Examples
from study.training.loop import mean_loss
from study.training.tasks import Classification

FILES = sorted(file.stem for file in (root() / "conf" / "landscape").glob("*.yaml"))
NAMES = ["contour", "interpolation", "line", "scaling"]  # the others, which need whole runs, are tested apart
GIVEN = {
    "minima": {"end": "RUN"},
    "curve": {"end": "RUN"},
    "three_points": {"second": "RUN", "third": "OTHER"},
}


@cache
def composed_kind(kind: str) -> DictConfig:
    return composed([f"landscape=[{kind}]"])


def configured(kind: str, **changes: Any) -> Any:
    config = copy.deepcopy(composed_kind(kind))
    config.landscape[kind].update(GIVEN.get(kind, {}) | changes)
    return typed(config).landscape[kind]


def grid_of(kind: str, config: Any) -> Grid:
    """The grid of a kind whose coordinates do not depend on where its geometry lies."""
    weights = Weights.of(network(0))
    return KINDS[kind].grid(config, Geometry(weights, (weights.flat,), {}))


def network(seed: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3))


@pytest.fixture
def trained() -> Trained:
    inputs = torch.randn(12, 4, generator=torch.Generator().manual_seed(0))
    examples = Examples(inputs, torch.arange(12) % 3)
    return Trained(
        model=network(1),
        data=DataSet("made up", examples, examples, task=Classification(3)),
        solution=Weights.of(network(1)),
        initialisation=Weights.of(network(0)),
        fresh=lambda seed: Weights.of(network(seed)),
    )


def drawn(kind: str, config: LandscapeConfig, points: dict[str, tuple[float, ...]], loss: Any) -> Landscape:
    grid = grid_of(kind, config)
    mesh = np.meshgrid(*grid.axes.values(), indexing="ij")
    return Landscape(
        axes=dict(grid.axes),
        values={"loss": loss(*mesh)},
        status=np.full(grid.shape, Status.EVALUATED, dtype=np.int8),
        points={name: Point(at, {"loss": float(loss(*map(np.float64, at)))}) for name, at in points.items()},
    )


# The registry


def test_registry_files_and_schemas_are_the_same_kinds():
    assert sorted(KINDS) == FILES
    assert {name: SCHEMAS[f"landscape/{name}"] for name in FILES} == {
        name: kind.schema for name, kind in KINDS.items()
    }


@pytest.mark.parametrize("name", FILES)
def test_a_kind_is_what_it_is_called(name):
    config = configured(name)
    assert KINDS[name].name == name == config.kind
    assert type(config) is KINDS[name].schema
    assert KINDS[name].title


def test_what_a_kind_needs_of_a_run():
    needed = {name: kind.needs(configured(name)) for name, kind in KINDS.items()}
    assert {name: what for name, what in needed.items() if what is not None} == {
        "interpolation": "initialisation",
        "trajectory": "checkpoints",
        "evolution": "checkpoints",
    }
    towards = ["gaussian", "difference"]
    assert KINDS["contour"].needs(configured("contour", directions=towards)) == "initialisation"


@pytest.mark.parametrize("seed", [0, 3])
def test_an_interpolation_from_a_fresh_initialisation_does_not_need_the_runs_own(seed):
    assert KINDS["interpolation"].needs(configured("interpolation", start_seed=seed)) is None


@pytest.mark.parametrize(
    ("split", "read"), [("train", ("train",)), ("test", ("test",)), ("both", ("train", "test"))]
)
def test_splits(split, read):
    assert configured("line", split=split).splits == read


# Grids


def test_the_texts_ranges_are_the_defaults():
    """Equation 1 is shown on [−0.5, 1.5], equation 2 on [−1, 1] with an odd number of points."""
    grids = {name: grid_of(name, configured(name)).axes for name in NAMES}
    assert grids["interpolation"]["alpha"][[0, -1]].tolist() == [-0.5, 1.5]
    for axis in (grids["line"]["alpha"], grids["contour"]["alpha"], grids["contour"]["beta"]):
        assert axis[[0, -1]].tolist() == [-1, 1]
        assert len(axis) % 2 == 1
        assert axis[len(axis) // 2] == 0.0


def test_the_scaling_has_the_solution_on_its_default_grid():
    axes = grid_of("scaling", configured("scaling")).axes
    assert np.isclose(axes["alpha"], 1.0).any()
    assert 0.0 in axes["beta"]


@pytest.mark.parametrize("name", ["interpolation", "line"])
def test_the_grid_of_a_line(name):
    grid = grid_of(name, configured(name, alpha_range=[-0.25, 1.0], points=6))
    assert grid.axes["alpha"].tolist() == [-0.25, 0.0, 0.25, 0.5, 0.75, 1.0]
    assert list(grid.axes) == ["alpha"]


def test_the_axes_of_a_plane_can_differ():
    own = {"alpha_range": [-1.0, 0.5], "points": 4, "beta_range": [0.0, 3.0], "beta_points": 3}
    grid = grid_of("contour", configured("contour", **own))
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
    grid = grid_of("contour", configured("contour", points=3, **own))
    assert grid.axes["beta"].tolist() == beta
    assert grid.axes["alpha"].tolist() == [-1.0, 0.0, 1.0]


@pytest.mark.parametrize(
    ("own", "beta"),
    [({}, [-1.0, 0.5, 2.0]), ({"beta_range": [-2.0, 0.0]}, [-2.0, -1.0, 0.0])],
)
def test_the_grid_of_a_scaling(own, beta):
    grid = grid_of("scaling", configured("scaling", alpha_range=[-1.0, 2.0], points=3, **own))
    assert list(grid.axes) == ["alpha", "beta"]
    assert grid.axes["alpha"].tolist() == [-1.0, 0.5, 2.0]
    assert grid.axes["beta"].tolist() == beta
    assert grid.shape == (3, 3)


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


@pytest.mark.parametrize("seed", [0, 7])
def test_an_interpolation_can_start_from_a_fresh_initialisation(seed, trained):
    """Also the seed 0, which is no absence of one; and where the run's own is not known."""
    config = configured("interpolation", start_seed=seed)
    for own in (trained.initialisation, None):
        known = replace(trained, initialisation=own)
        geometry = KINDS["interpolation"].geometry(config, known)
        assert geometry.special == {"fresh initialisation": (0.0,), "solution": (1.0,)}
        assert torch.equal(geometry.at(0.0).flat, Weights.of(network(seed)).flat)
        assert torch.equal(geometry.at(1.0).flat, trained.solution.flat)


def test_the_scaling_is_the_multiples_of_the_solution(trained):
    """Listing 6 as written: θ(α, β) = α θ* + α β θ*."""
    geometry = KINDS["scaling"].geometry(configured("scaling"), trained)
    assert isinstance(geometry, Scaling)
    assert geometry.special == {"solution": (1.0, 0.0)}
    theta = trained.solution.flat
    assert torch.equal(geometry.at(1.0, 0.0).flat, theta)
    assert torch.equal(geometry.at(2.0, -0.5).flat, theta)
    for alpha, beta in [(0.5, 2.0), (-1.0, 0.25), (0.0, 3.0), (3.0, -1.0)]:
        assert torch.allclose(geometry.at(alpha, beta).flat, alpha * theta + alpha * beta * theta, atol=1e-6)
    assert geometry.default_batch_statistics == "frozen"
    provenance = json.loads(json.dumps(dict(geometry.provenance)))
    norm = math.sqrt(sum(float(entry) ** 2 for entry in theta))
    assert provenance == {
        "geometry": "scaling",
        "center": trained.solution.digest,
        "center_norm": pytest.approx(norm),
    }


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
    named = replace(trained, solution_name="update 7")
    assert "update 7" in KINDS[name].geometry(configured(name), named).special
    assert "solution" not in KINDS[name].geometry(configured(name), named).special


# Measures


def test_measures_of_an_interpolation():
    config = configured("interpolation", points=9)
    ends = {"initialisation": (0.0,), "solution": (1.0,)}
    landscape = drawn("interpolation", config, ends, lambda a: 2.0 - a + np.where(a == 0.5, 1.0, 0.0))
    assert KINDS["interpolation"].measures(landscape, config) == {
        "largest_rise": pytest.approx(0.75),  # from 1.75 at 0.25 to 2.5 at 0.5
        "roughness": pytest.approx((0.75 + 0.75 + 1.25 + 0.75) / 2),  # down, up, down, down; from 2.5 to 0.5
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
        "roughness": pytest.approx(2.0),
        "spectral_roughness": pytest.approx(0.0, abs=0.1),
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
    # All lines are convex: down to their lowest and up again.
    lines = [*landscape.values["loss"], *landscape.values["loss"].T]
    varied = sum(line[0] + line[-1] - 2 * line.min() for line in lines)
    assert KINDS["contour"].measures(landscape, config) == {
        "basin_width": pytest.approx(0.75),
        "basin_width_alpha": pytest.approx(0.3),
        "basin_width_beta": pytest.approx(1.2),
        "basin_reaches_edge": 0.0,
        "basin_unresolved": 0.0,
        "level_set_area": pytest.approx(0.36),
        "roughness": pytest.approx(varied / sum(line.max() - line.min() for line in lines)),
        "spectral_roughness": pytest.approx(0.0, abs=0.1),
        "minimum": 0.0,
        "maximum": 2.0,
        "diverged_cells": 0.0,
    }


def test_measures_of_a_scaling():
    config = configured("scaling", alpha_range=[-1.0, 2.0], points=4, beta_range=[-2.0, 1.0])
    landscape = drawn("scaling", config, {"solution": (1.0, 0.0)}, lambda a, b: (a * (1 + b) - 1.0) ** 2)
    assert landscape.shape == (4, 4)
    assert KINDS["scaling"].measures(landscape, config) == {
        "minimum": 0.0,
        "maximum": 9.0,  # at (2, −2), (−1, 1): |α (1 + β) − 1| is largest there
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


# What may be drawn together

OTHER = {
    "split": "test",
    "examples": 48,
    "subset_seed": 1,
    "batch_statistics": "recomputed",
    "normalization": "layer",
    "direction_seed": 1,
    "replicates": 2,
    "include_bias_and_norm": True,
    "basin_rise": 0.2,
    "alpha_range": [-0.75, 1.25],
    "beta_range": [-0.75, 1.25],
    "points": 4,
    "beta_points": 4,
    "start_seed": 0,
    "tolerance": 0.01,
    "orthogonal": True,
}
OTHER_DIRECTIONS = {"line": ["gradient"], "contour": ["gaussian", "gradient"]}
SAMPLED = {
    "tolerance",
    "examples",
    "subset_seed",
    "direction_seed",
    "replicates",
    "points",
    "beta_points",
    "basin_rise",
}
RANGES = {"alpha_range", "beta_range"}  # the axes of panels are one; those of curves need not be
KEYS = [(name, entry.name) for name in NAMES for entry in fields(KINDS[name].schema) if entry.name != "kind"]


@pytest.mark.parametrize(("name", "key"), KEYS)
def test_landscapes_are_alike_unless_what_is_read_or_a_step_differs(name, key):
    value = OTHER_DIRECTIONS[name] if key == "directions" else OTHER[key]
    one, other = configured(name), configured(name, **{key: value})
    assert getattr(one, key) != getattr(other, key)
    of_line = name in ("line", "interpolation")
    expected = key in SAMPLED or (of_line and key in RANGES)
    assert (KINDS[name].alike(one) == KINDS[name].alike(other)) == expected


@pytest.mark.parametrize("name", NAMES)
def test_landscapes_that_differ_in_all_that_is_sampled_are_alike(name):
    sampled = {key: OTHER[key] for own, key in KEYS if own == name and key in SAMPLED}
    assert {"examples", "subset_seed", "points"} <= set(sampled)
    assert KINDS[name].alike(configured(name)) == KINDS[name].alike(configured(name, **sampled))


@pytest.mark.parametrize("name", ["contour", "scaling"])
def test_a_range_that_is_given_and_one_that_is_taken_over_are_alike(name):
    taken = configured(name, alpha_range=[-1.0, 0.5])
    given = configured(name, alpha_range=[-1.0, 0.5], beta_range=[-1.0, 0.5])
    assert KINDS[name].alike(taken) == KINDS[name].alike(given)


def test_two_fresh_initialisations_are_not_alike():
    seeds = [KINDS["interpolation"].alike(configured("interpolation", start_seed=seed)) for seed in (0, 1)]
    assert seeds[0] != seeds[1]


# Whole runs

Start = Callable[..., Outcome]


def seen(outcome: Outcome, name: str) -> Landscape:
    return Landscape.from_bytes(outcome.record.read(f"landscapes/{name}.npz"))


def test_a_scaling_has_the_solutions_loss_at_the_solution_and_that_of_guessing_at_zero(
    start: Start, plain_pictures: None
):
    """θ = 0 gives every class the same logit: ln 10 nats. The loss is a function of α (1 + β) alone."""
    own = ("landscape.listing.alpha_range=[-2,2]", "landscape.listing.points=5")
    outcome = start("+landscape@landscape.listing=scaling", *own)
    listing, line = seen(outcome, "listing"), seen(outcome, "line")
    at_solution = line.points["solution"].values["train/loss"]
    assert listing.points["solution"].coordinates == (1.0, 0.0)
    assert listing.points["solution"].values["train/loss"] == at_solution
    loss = listing.values["train/loss"]  # α and β at −2, −1, 0, 1, 2
    assert loss[3, 2] == at_solution
    assert loss[1, 0] == pytest.approx(at_solution, rel=1e-6)  # α (1 + β) = −1 × −1
    np.testing.assert_allclose(loss[2], math.log(10), rtol=1e-6)
    np.testing.assert_allclose(loss[:, 1], math.log(10), rtol=1e-6)
    assert loss[4, 3] == pytest.approx(seen_at(outcome, 4.0), rel=1e-5)
    measures = outcome.record.latest()
    assert measures["listing/train/self_check"] == 0.0
    assert measures["listing/train/self_check_training"] <= 1e-6
    assert "listing/train/basin_width" not in measures


def seen_at(outcome: Outcome, factor: float) -> float:
    """Mean cross-entropy of the run's network on its training data, every weight times `factor`."""
    record = outcome.record
    last = record.read_json(TRAINING)["checkpoints"][-1]
    state, _about = decode_weights(record.read(checkpoint_name(last)))
    data = build.data_set(saved_data(record))
    model = build.model(saved_model(record), data, 0, "cpu")
    load_weights(model, {name: factor * tensor for name, tensor in state.items()})
    return mean_loss(model, data.train, 100, data.task).loss


def test_a_lone_file_has_an_interpolation_from_a_fresh_initialisation(
    start: Start, tiny: Callable[..., StudyConfig], tmp_path: Path, plain_pictures: None
):
    """It starts where a training with that initial seed starts, and ends at the file's weights."""
    looks = ("interpolation",)
    trained, other = (start(f"training.init_seed={seed}", looks=looks) for seed in (0, 5))
    update = trained.record.read_json(TRAINING)["checkpoints"][-1]
    lone = shutil.copy(trained.record.path / checkpoint_name(update), tmp_path / "mine.safetensors")
    with pytest.raises(ConfigError, match=r"landscape\.interpolation needs its initialisation"):
        prepare(tiny(f"checkpoint={lone}", looks=looks), {})
    fresh = start(f"checkpoint={lone}", "landscape.interpolation.start_seed=5", looks=looks)
    landscape = seen(fresh, "interpolation")
    assert list(landscape.points) == ["fresh initialisation", "solution"]
    start_point, end_point = landscape.points.values()
    assert start_point.values == seen(other, "interpolation").points["initialisation"].values
    assert end_point.values == seen(trained, "interpolation").points["solution"].values
    assert landscape.provenance["start"] == seen(other, "interpolation").provenance["start"]
    assert landscape.provenance["end"] == seen(trained, "interpolation").provenance["end"]


def test_a_run_can_start_its_line_anew_beside_its_own(start: Start, plain_pictures: None):
    again = ("+landscape@landscape.anew=interpolation", "landscape.anew.points=4")
    outcome = start(*again, "landscape.anew.start_seed=0", looks=("interpolation",))
    own, anew = seen(outcome, "interpolation"), seen(outcome, "anew")
    assert list(own.points) == ["initialisation", "solution"]
    assert list(anew.points) == ["fresh initialisation", "solution"]
    # seed 0 is this run's own: the same weights under another name
    np.testing.assert_array_equal(anew.values["train/loss"], own.values["train/loss"])
