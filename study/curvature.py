"""The curvature of the loss at a run's solution: measured, named, drawn."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from torch import nn

from study.analysis.curvature import Curvature, Probing, Quadrature
from study.config_curvature import GAUSS_NEWTON, HESSIAN, SpectrumConfig, TopConfig
from study.figures.export import render
from study.figures.spectrum import Density, density_figure, eigenvalues_figure
from study.landscape.hessian import Objective
from study.landscape.result import NATS
from study.landscape.weights import Weights
from study.training.data import DataSet

STEM = "curvature"
"""Name of its files and of its metrics."""

NAMES = {HESSIAN: "Hessian", GAUSS_NEWTON: "Gauss-Newton matrix"}
"""What each matrix is called in a picture."""

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Progress = Callable[[int, int], None]


def measure(
    config: TopConfig,
    model: nn.Module,
    data: DataSet,
    solution: Weights,
    micro_batch: int | None,
    on_matrix: Progress | None = None,
) -> Curvature:
    """The curvature of the mean loss over a fixed subset of the train split.

    Args:
        config: how much of it, and on how many examples.
        model: the architecture; left as it is.
        data: the splits.
        solution: the weights, with the running statistics of normalization layers.
        micro_batch: examples in one pass; None follows a rule.
        on_matrix: called with (matrices done, matrices in all).
    """
    read = data.train.subset(config.examples, config.subset_seed)
    objective = Objective(model, data.task.loss, read.inputs, read.targets, micro_batch)
    makers = {
        HESSIAN: partial(objective.hessian, solution),
        GAUSS_NEWTON: partial(objective.gauss_newton, solution),
    }
    quadrature = None
    if isinstance(config, SpectrumConfig):
        quadrature = Quadrature(config.density_probes, config.lanczos_steps, config.smoothing)
    probing = Probing(
        eigenvalues=config.eigenvalues,
        tolerance=config.tolerance,
        trace_repeats=config.trace_repeats,
        trace_probes=config.trace_probes,
        seed=config.probe_seed,
        quadrature=quadrature,
    )
    about = {
        "examples": len(read),
        "population": len(data.train),
        "parameters": solution.layout.size,
        "loss_unit": data.task.loss_unit,
    }
    return Curvature.of({name: makers[name] for name in config.matrices}, probing, about, on_matrix)


def measures(curvature: Curvature) -> dict[str, float]:
    """The numbers of each matrix as metrics: those of the Hessian as they are, others by its name."""
    return {
        "/".join([STEM, *([] if name == HESSIAN else [name]), measure]): value
        for name, spectrum in curvature.spectra.items()
        for measure, value in spectrum.measures.items()
    }


def stated(curvature: Curvature) -> str:
    """In words, how it was computed, and how well."""
    about, words = curvature.provenance["probing"], []
    for name, spectrum in curvature.spectra.items():
        own = spectrum.measures
        words.append(
            f"{NAMES[name]}: λmax = {own['top_eigenvalue']:.4g}, λmin = {own['smallest_eigenvalue']:.3g}, "
            f"trace {spectrum.trace.value:.4g} ± {spectrum.trace.standard_error:.2g}"
        )
    residual = max(max(*own.residuals, own.smallest_residual) for own in curvature.spectra.values())
    words.append(f"residuals of eigenvalues at most {residual:.1g}")
    densities = [own.density for own in curvature.spectra.values() if own.density is not None]
    if densities and densities[0].probes:
        quadrature = about["quadrature"]
        words.append(
            f"Lanczos quadrature from {quadrature['probes']} vectors of {quadrature['steps']} steps each"
        )
    elif densities:
        words.append("all eigenvalues computed")
    if densities:
        widths = ", ".join(f"{density.width:.2g}" for density in densities)
        words.append(f"smoothed by Gaussians of width {widths}")
    return "; ".join(words)


def figure(curvature: Curvature, caption: str) -> "Figure | None":
    """Its picture; None where nothing is finite."""
    finite = {
        NAMES[name]: own for name, own in curvature.spectra.items() if np.isfinite(own.eigenvalues).all()
    }
    if not finite:
        return None
    densities = {
        name: Density(
            own.eigenvalues,
            own.density.grid,
            own.density.values,
            own.density.standard_error,
            own.density.width,
        )
        for name, own in finite.items()
        if own.density is not None
    }
    if densities:
        dimension = curvature.provenance["parameters"]
        loss_unit = curvature.provenance.get("loss_unit", NATS)
        return density_figure(
            densities, dimension, loss_unit=loss_unit, title="Spectrum at the solution", caption=caption
        )
    top = {name: own.eigenvalues for name, own in finite.items()}
    return eigenvalues_figure(top, title="Largest eigenvalues at the solution", caption=caption)


def pictures(curvature: Curvature, caption: str) -> Mapping[str, bytes]:
    """Its pictures, by the file's name in the record; none where nothing is finite."""
    drawn = figure(curvature, caption)
    if drawn is None:
        return {}
    return {f"{STEM}.{format}": render(drawn, format) for format in ("png", "pdf")}
