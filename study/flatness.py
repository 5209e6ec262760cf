"""Sharpness, flatness and norms at a run's solution: measured, named, and said what they are."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from study.analysis.noise import Estimate, Noise, inverse_square, noise_increase, pac_bayes_sigma
from study.analysis.norms import distance_from_initialisation, fisher_rao_norm
from study.analysis.path_norm import UndefinedError, path_norm
from study.analysis.sharpness import Ascent, adaptive_sam_sharpness, keskar_sharpness, sam_sharpness
from study.analysis.slice_curvature import slice_curvature
from study.config_measures import ERROR, FlatnessConfig
from study.landscape.directions import random_direction
from study.landscape.hessian import Objective
from study.landscape.weights import Weights
from study.training.data import DataSet
from study.training.tasks import Classification

STEM = "measures"
"""Name of its files and of its metrics."""

EXACT, BOUND, ESTIMATE = "exact", "lower bound", "estimate"
"""What a value is of the number that it is called by, over the examples that are read."""


@dataclass(frozen=True)
class Definition:
    """What a measure is.

    Attributes:
        value: exact, a lower bound, or an estimate with a standard error.
        changed: whether a rescaling of the layers of a ReLU network changes it (Dinh et al. 2017, theorem 2).
        source: where it is defined.
    """

    value: str
    changed: bool
    source: str


DEFINITIONS = {
    "keskar_sharpness": Definition(BOUND, True, "Keskar et al. 2017, metric 2.1"),
    "sam_one_step": Definition(BOUND, True, "Foret et al. 2021, equation 2"),
    "sam_sharpness": Definition(BOUND, True, "Foret et al. 2021, equation 1"),
    "adaptive_sam_one_step": Definition(BOUND, False, "Kwon et al. 2021, section 3"),
    "adaptive_sam_sharpness": Definition(BOUND, False, "Kwon et al. 2021, section 3"),
    "noise_increase": Definition(ESTIMATE, True, "Neyshabur et al. 2017"),
    "scaled_noise_increase": Definition(ESTIMATE, False, "Jiang et al. 2020, σ′ without ε"),
    "pac_bayes_sigma": Definition(ESTIMATE, True, "Jiang et al. 2020, σ"),
    "pac_bayes_flatness": Definition(ESTIMATE, True, "Jiang et al. 2020, 1/σ²"),
    "scaled_pac_bayes_sigma": Definition(ESTIMATE, False, "Jiang et al. 2020, σ′ without ε"),
    "scaled_pac_bayes_flatness": Definition(ESTIMATE, False, "Jiang et al. 2020, 1/σ′² without ε"),
    "path_norm": Definition(EXACT, False, "Neyshabur et al. 2015, p = 2"),
    "distance_from_initialisation": Definition(EXACT, True, "Neyshabur et al. 2019"),
    "relative_distance_from_initialisation": Definition(EXACT, True, "this project"),
    "fisher_rao_norm": Definition(EXACT, False, "Liang et al. 2019, definition 2"),
    "slice_curvature": Definition(ESTIMATE, False, "Li et al. 2018, section 4"),
    "slice_curvature_fitted": Definition(ESTIMATE, False, "this project"),
    "slice_curvature_gap": Definition(ESTIMATE, False, "this project"),
}
"""What each number is, by its name without its settings."""


@dataclass(frozen=True)
class Row:
    """One number.

    Attributes:
        measure: its name, as in `DEFINITIONS`, with its settings where it has several.
        defined_as: its name there.
        value: None where it is not defined.
        standard_error: of an estimate; None where there is none, or it cannot be told.
        note: its unit, its settings, or why it is not defined.
    """

    measure: str
    defined_as: str
    value: float | None
    standard_error: float | None
    note: str

    @classmethod
    def of(cls, measure: str, found: float | Estimate | None, note: str, setting: str = "") -> "Row":
        """The number that was found, or None, under the measure's name and what tells it from others."""
        value, error = (found.value, found.standard_error) if isinstance(found, Estimate) else (found, None)
        return cls(
            f"{measure}{setting}", measure, value, None if error is None or math.isnan(error) else error, note
        )

    @property
    def definition(self) -> Definition:
        """What it is."""
        return DEFINITIONS[self.defined_as]

    def to_json(self) -> dict[str, Any]:
        """JSON-able; a number that is not finite is a string."""
        plain = asdict(self)
        return {
            key: str(entry) if isinstance(entry, float) and not math.isfinite(entry) else entry
            for key, entry in plain.items()
        }

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "Row":
        """What `to_json` wrote."""
        numbers = {
            key: None if content[key] is None else float(content[key]) for key in ("value", "standard_error")
        }
        return cls(**{**content, **numbers})


@dataclass(frozen=True)
class Minimum:
    """Where it is measured.

    Attributes:
        model: the architecture; left as it is.
        data: the splits.
        solution: θ*, with the running statistics of normalization layers.
        initialisation: θ₀; None where only a file of weights is known.
        micro_batch: examples in one pass; None follows a rule.
    """

    model: nn.Module
    data: DataSet
    solution: Weights
    initialisation: Weights | None
    micro_batch: int | None

    def objective(self, config: FlatnessConfig, loss: Callable[[Any, Any], Tensor]) -> Objective:
        """The mean of a loss over the fixed subset, summed in float64."""
        read = self.data.train.subset(config.examples, config.subset_seed)
        return Objective(
            self.model,
            lambda outputs, targets: loss(outputs, targets).double(),
            read.inputs,
            read.targets,
            self.micro_batch,
        )


def measure(name: str, config: FlatnessConfig, minimum: Minimum) -> list[Row]:
    """What one of `config.names` gives: a row a number, or one without a value that says why.

    Args:
        name: of the measure.
        config: its settings, and on which examples of the train split it is read.
        minimum: where.
    """
    try:
        return _rows(name, config, minimum)
    except UndefinedError as error:
        return [Row.of(name, None, f"not defined: {error}")]


def measured(config: FlatnessConfig) -> list[str]:
    """The names that the numbers asked for have, where they are defined."""
    several = {
        "keskar_sharpness": tuple(f"keskar_sharpness_{epsilon:g}" for epsilon in config.keskar_epsilons),
        "sam_sharpness": ("sam_one_step", "sam_sharpness"),
        "adaptive_sam_sharpness": ("adaptive_sam_one_step", "adaptive_sam_sharpness"),
        "pac_bayes_sigma": ("pac_bayes_sigma", "pac_bayes_flatness"),
        "scaled_pac_bayes_sigma": ("scaled_pac_bayes_sigma", "scaled_pac_bayes_flatness"),
        "distance_from_initialisation": (
            "distance_from_initialisation",
            "relative_distance_from_initialisation",
        ),
        "slice_curvature": ("slice_curvature", "slice_curvature_fitted", "slice_curvature_gap"),
    }
    return [number for name in config.names for number in several.get(name, (name,))]


def rows(kept: Mapping[str, Any], names: Sequence[str]) -> list[Row]:
    """The numbers of these measures, from the content of the record's `measures.json`."""
    return [Row.from_json(row) for name in names for row in kept["rows"][name]]


def metrics(rows: list[Row]) -> dict[str, float]:
    """The numbers as metrics, by name."""
    found = {}
    for row in rows:
        if row.value is not None:
            found[f"{STEM}/{row.measure}"] = row.value
        if row.standard_error is not None:
            found[f"{STEM}/{row.measure}_standard_error"] = row.standard_error
    return found


def to_frame(rows: list[Row]) -> pd.DataFrame:
    """A row a number, with what kind of value it is and whether a rescaling of the layers changes it."""
    return pd.DataFrame([
        {
            "measure": row.measure,
            "value": row.value,
            "standard_error": row.standard_error,
            "kind": row.definition.value,
            "changed_by_rescaling": "yes" if row.definition.changed else "no",
            "source": row.definition.source,
            "note": row.note,
        }
        for row in rows
    ])


def _rows(name: str, config: FlatnessConfig, minimum: Minimum) -> list[Row]:
    task, weights = minimum.data.task, minimum.solution
    objective, unit = minimum.objective(config, task.loss), task.loss_unit
    match name:
        case "keskar_sharpness":
            return [
                Row.of(
                    name,
                    keskar_sharpness(
                        objective,
                        weights,
                        epsilon=epsilon,
                        iterations=config.keskar_iterations,
                        starts=config.keskar_starts,
                        seed=config.draw_seed,
                    ),
                    f"percent; ε = {epsilon:g}, {config.keskar_starts} starts",
                    setting=f"_{epsilon:g}",
                )
                for epsilon in config.keskar_epsilons
            ]
        case "sam_sharpness":
            return _ascents("sam", sam_sharpness, config.sam_radius, config, minimum)
        case "adaptive_sam_sharpness":
            radius = config.adaptive_sam_radius
            return _ascents("adaptive_sam", adaptive_sam_sharpness, radius, config, minimum)
        case "noise_increase" | "scaled_noise_increase":
            scaled = name.startswith("scaled")
            sigma = config.scaled_noise_sigma if scaled else config.noise_sigma
            noise = Noise(objective, weights, config.noise_pairs, config.draw_seed, scaled)
            return [Row.of(name, noise_increase(noise, sigma), f"{unit}; σ = {sigma:g}, {noise.pairs} pairs")]
        case "pac_bayes_sigma" | "scaled_pac_bayes_sigma":
            return _pac_bayes(name.removesuffix("_sigma"), config, minimum)
        case "path_norm":
            return [Row.of(name, path_norm(objective, weights), "over all paths from inputs and biases")]
        case "distance_from_initialisation":
            if minimum.initialisation is None:
                raise UndefinedError("the initialisation of these weights is not known")
            found = distance_from_initialisation(weights, minimum.initialisation)
            return [
                Row.of(name, found["distance"], "L2 distance between weights"),
                Row.of(f"relative_{name}", found["relative"], "as a fraction of ‖θ₀‖"),
            ]
        case "fisher_rao_norm":
            return [Row.of(name, fisher_rao_norm(objective, weights), f"{unit}; over the data's own targets")]
        case "slice_curvature":
            return _slices(config, minimum)
    raise AssertionError(name)  # the configuration admits no other


def _ascents(
    name: str,
    search: Callable[..., Ascent],
    radius: float,
    config: FlatnessConfig,
    minimum: Minimum,
) -> list[Row]:
    steps, starts, task = config.sam_steps, config.sam_starts, minimum.data.task
    objective = minimum.objective(config, task.loss)
    found = search(
        objective, minimum.solution, radius=radius, steps=steps, starts=starts, seed=config.draw_seed
    )
    return [
        Row.of(f"{name}_one_step", found.one_step, f"{task.loss_unit}; ρ = {radius:g}"),
        Row.of(
            f"{name}_sharpness",
            found.largest,
            f"{task.loss_unit}; ρ = {radius:g}, {starts + 1} ascents of {steps} steps",
        ),
    ]


def _pac_bayes(name: str, config: FlatnessConfig, minimum: Minimum) -> list[Row]:
    loss: Callable[[Any, Any], Tensor] = minimum.data.task.loss
    if config.pac_bayes_quantity == ERROR:
        if not isinstance(minimum.data.task, Classification):
            raise UndefinedError("there is no error where targets are no classes")
        loss = _error
    noise = Noise(
        minimum.objective(config, loss),
        minimum.solution,
        config.pac_bayes_pairs,
        config.draw_seed,
        name.startswith("scaled"),
    )
    sigma = pac_bayes_sigma(noise, threshold=config.pac_bayes_threshold, tolerance=config.pac_bayes_tolerance)
    said = f"{config.pac_bayes_quantity} + {config.pac_bayes_threshold:g}, {noise.pairs} pairs"
    return [
        Row.of(f"{name}_sigma", sigma, f"σ up to which E[{config.pac_bayes_quantity}] ≤ {said}"),
        Row.of(f"{name}_flatness", inverse_square(sigma), f"1/σ²; {said}"),
    ]


def _slices(config: FlatnessConfig, minimum: Minimum) -> list[Row]:
    name, task, weights = "slice_curvature", minimum.data.task, minimum.solution
    directions = [
        random_direction(weights, seed=config.draw_seed, index=index, normalization="filter")
        for index in range(config.slice_directions)
    ]
    found = slice_curvature(
        minimum.objective(config, task.loss),
        weights,
        directions,
        radius=config.slice_radius,
        points=config.slice_points,
    )
    fitted = f"a quadratic on {config.slice_points} points, |α| ≤ {config.slice_radius:g}"
    over = f"over {len(directions)} filter-normalized directions"
    return [
        Row.of(name, Estimate.mean(found.exact), f"{task.loss_unit}; mean of vᵀHv {over}"),
        Row.of(f"{name}_fitted", Estimate.mean(found.fitted), f"{task.loss_unit}; {fitted}"),
        Row.of(f"{name}_gap", Estimate.mean(found.gaps), f"mean of |fitted − vᵀHv| / |vᵀHv| {over}"),
    ]


def _error(outputs: Tensor, targets: Tensor) -> Tensor:
    """1 where an example is classified wrong, 0 elsewhere, (N,); NaN where outputs are no numbers."""
    wrong = (outputs.argmax(dim=1) != targets).double()
    return torch.where(outputs.isnan().any(dim=1), torch.nan, wrong)
