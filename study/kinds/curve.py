"""A curve of low loss between two minima, beside the straight line (Garipov et al. 2018)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from torch import Tensor

from study.analysis.connectivity import BARRIERS, barriers
from study.analysis.curve_finding import find_curve
from study.analysis.measures import EXTREMES, extremes
from study.keys import LARGEST_SEED, key, points_key
from study.kinds.base import Companion, Kind, Trained
from study.kinds.drawing import LineDrawing
from study.kinds.ends import EndsConfig, ends_words
from study.landscape.curve import FORMS, Curve, Form
from study.landscape.geometry import Geometry
from study.landscape.grid import Grid, spaced
from study.landscape.result import Landscape
from study.landscape.weights import Weights

STRAIGHT = "straight line"
BEND, COURSE = "bend/", "losses"
"""What is kept of the bend: its tensors, and the mini-batch loss before each update."""


@dataclass
class CurveConfig(EndsConfig):
    """A curve with one bend between two minima, trained to have a low loss all along."""

    form: str = key("bezier, a quadratic Bézier curve, or chain, two straight pieces", choices=FORMS)
    steps: int = key("updates that train the bend", at_least=1)
    batch_size: int = key("examples in a mini-batch of that training", at_least=1)
    learning_rate: float = key("its first learning rate (Adam)", above=0)
    curve_seed: int = key("seed of its order of examples and of t", at_least=0, at_most=LARGEST_SEED)
    t_range: list[float] = key("first and last t; 0 is the start, 1 the end", length=2, increasing=True)
    points: int = points_key("number of grid points; both ends are evaluated besides")


def geometry(config: CurveConfig, trained: Trained) -> Curve:
    """The curve, its bend trained on the whole training split."""
    ends = config.ends(trained)
    form = cast(Form, config.form)
    layout = ends.start.layout

    def find() -> dict[str, Tensor]:
        train = trained.data.train
        found = find_curve(
            trained.model,
            trained.data.task.loss,
            train.inputs,
            train.targets,
            ends.start,
            ends.end,
            form=form,
            steps=config.steps,
            batch_size=min(config.batch_size, len(train)),
            learning_rate=config.learning_rate,
            seed=config.curve_seed,
        )
        named = {f"{BEND}{name}": tensor for name, tensor in found.bend.named.items()}
        return {**named, COURSE: torch.from_numpy(found.losses)}

    kept = trained.keep("bend", find)
    named = {name.removeprefix(BEND): tensor for name, tensor in kept.items() if name != COURSE}
    bend = Weights(layout, layout.flatten(named).to(ends.start.flat), ends.start.buffers)
    curve = Curve.between(ends.start, bend, ends.end, form=form, names=ends.names)
    tenth = -(-len(kept[COURSE]) // 10)
    course = {"first": float(kept[COURSE][:tenth].mean()), "last": float(kept[COURSE][-tenth:].mean())}
    return replace(curve, provenance={**curve.provenance, **ends.about, "bend_loss": course})


def grid(config: CurveConfig, _geometry: Geometry) -> Grid:
    """Evenly spaced t."""
    low, high = config.t_range
    return Grid({"t": spaced(low, high, config.points)})


def companions(config: CurveConfig, _trained: Trained, geometry: Curve) -> Mapping[str, Companion]:
    """The straight line between the same ends."""
    return {STRAIGHT: Companion(geometry.straight(), grid(config, geometry))}


def measures(landscape: Landscape, _config: CurveConfig) -> Mapping[str, float]:
    """Barriers along the curve and, as `straight_…`, along the straight line; both lengths; the extremes.

    `first_bend_loss` and `last_bend_loss` are means over the first and the last tenth of the updates that
    trained the bend: where the last is still falling, more of them find a lower curve.
    """
    straight = barriers(landscape.companions[STRAIGHT])
    return {
        **barriers(landscape),
        **{f"straight_{name}": value for name, value in straight.items()},
        "length": landscape.provenance["length"],
        "distance": landscape.provenance["distance"],
        **{f"{when}_bend_loss": value for when, value in landscape.provenance["bend_loss"].items()},
        **extremes(landscape),
    }


def alike(config: CurveConfig) -> Mapping[str, Any]:
    """How it is read, and what curve it is."""
    return {**config.read_alike, **config.ends_alike, "form": config.form}


def caption(config: CurveConfig, about: Mapping[str, Any]) -> list[str]:
    """How the bend was trained, and how long the curve is."""
    trained = f"{config.form} curve, its bend trained for {config.steps:,} updates"
    return [f"{trained}, length {about['length']:.3g}", *ends_words(about)]


KIND = Kind(
    name="curve",
    title="A curve between two minima",
    schema=CurveConfig,
    geometry=geometry,
    grid=grid,
    measures=measures,
    measured=(
        *BARRIERS,
        *(f"straight_{name}" for name in BARRIERS),
        "length",
        "distance",
        "first_bend_loss",
        "last_bend_loss",
        *EXTREMES,
    ),
    alike=alike,
    drawing=LineDrawing({"t": "t (0 = {0}, 1 = {1})"}),
    caption=caption,
    companions=companions,
    straight=False,
)
