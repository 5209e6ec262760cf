"""Figures at the widths of a paper: exactly so wide, words of the sizes asked for, nothing cut off."""

import re
import zlib
from collections.abc import Iterator
from functools import cache
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from study.figures.comparison import between_figure, overlaid_lines
from study.figures.contour import contour_figure
from study.figures.differences import Gap, differences_figure
from study.figures.export import render
from study.figures.layout import Layout, laid_out, layout
from study.figures.line import line_figure
from study.figures.measures import against_test_error, measures_figure
from study.figures.planes import contour_panels
from study.figures.replicates import replicated_lines
from study.figures.slices import slices_figure
from study.figures.spectrum import Density, density_figure, eigenvalues_figure
from study.figures.style import said, styled
from study.figures.surface import surface_figure
from study.figures.training import training_figure
from study.figures.trajectory import trajectory_figure
from study.figures.verdicts import verdicts_figure
from study.landscape.result import Landscape, Point, Status

TITLE, CAPTION = "On a plane about the solution", "cnn (1,199,882 parameters) on digits; seed 0; costing $5."
WORDS = {"title": TITLE, "caption": CAPTION}
LONG = {"alpha": "α (towards the second solution)", "beta": "β (orthogonal to it, in L2 distance)"}


def plane(decades=1.0, seed=0):
    alpha, beta = np.linspace(-1, 1, 9), np.linspace(-0.8, 1.2, 7)
    a, b = np.meshgrid(alpha, beta, indexing="ij")
    loss = 0.02 * 10.0 ** (decades * (a**2 + (1.5 + seed / 9) * b**2))
    loss[8, 5:] = np.inf
    status = np.where(np.isfinite(loss), Status.EVALUATED, Status.DIVERGED).astype(np.int8)
    places = {"initialisation": (0.9, -0.7), "solution": (0.0, 0.0), "third solution": (-0.5, 0.61)}
    points = {name: Point(at, {"loss": 0.05 * 10**decades * (1 + at[0])}) for name, at in places.items()}
    return Landscape({"alpha": alpha, "beta": beta}, {"loss": loss}, status, points)


def line(shift=0.0, splits=("train", "test")):
    alpha = np.linspace(-0.5, 1.5, 21)
    values, names = {}, {"initialisation": 0.0, "update 115": 0.93, "solution": 1.0}
    for factor, split in enumerate(splits, start=1):
        values[f"{split}/loss"] = factor * (0.01 + (alpha - 1 - shift) ** 2) ** 2
        values[f"{split}/loss_standard_error"] = 0.1 * values[f"{split}/loss"]
        values[f"{split}/accuracy"] = np.exp(-((alpha - 1) ** 2))
        values[f"{split}/quadratic"] = factor * (alpha - 1) ** 2 / 3
    points = {name: Point((at,), {f"{split}/loss": 0.3 for split in splits}) for name, at in names.items()}
    return Landscape({"alpha": alpha}, values, np.full(21, Status.EVALUATED, np.int8), points)


def figures() -> Iterator[tuple[str, Figure]]:
    """One of every kind, drawn in the layout that holds."""
    path = np.array([[0.9, -0.7], [0.4, -0.5], [0.1, -0.2], [0.0, 0.0]])
    for decades in (1.0, 4.0):
        settings = {"split": "", **WORDS, "axis_labels": LONG, "path": path}
        yield f"contour {decades}", contour_figure(plane(decades), **settings)
        yield f"surface {decades}", surface_figure(plane(decades), **settings)
    yield "line", line_figure(line(), **WORDS, parameter_label="α (0 = initialisation, 1 = solution)")
    yield "replicates", replicated_lines([line(), line(0.1)], line(), **WORDS, parameter_label="α")
    updates = np.array([0, 100, 200, 300])
    shares = {"solution": np.array([0.8, 0.1, 0.1]), "mean": np.array([0.7, 0.2, 0.1])}
    losses = 10.0 ** -np.arange(4.0)
    yield "trajectory", trajectory_figure(updates, losses, losses / 2, losses / 9, shares, shares, **WORDS)
    slices = {"along the first": line(splits=("train",)), "along the second": line(0.3, ("train",))}
    named = dict.fromkeys(slices, "eigenvalue 12.34")
    yield "slices", slices_figure(slices, named, split="train", **WORDS)
    grid = np.linspace(-1, 9, 99)
    bell = Density(np.array([8.0, 2.0]), grid, np.exp(-(grid**2)) + 1e-6, np.full(99, 1e-7), 0.05)
    yield "density", density_figure({"Hessian": bell, "Gauss-Newton matrix": bell}, 1000, **WORDS)
    yield "eigenvalues", eigenvalues_figure({"Hessian": np.array([900.0, 3.0, 0.1])}, **WORDS)
    runs = {f"batch_size {size}, seed {seed}": f"batch_size {size}" for size in (8, 256) for seed in range(3)}
    lines = {name: line(0.02 * place) for place, name in enumerate(runs)}
    yield "overlaid", overlaid_lines(lines, runs, **WORDS, parameter_label="α")
    pairs = {f"pair {k}: seed {k}": line(0.02 * k) for k in range(5)}
    yield "between", between_figure(pairs, {name: name[:6] for name in pairs}, **WORDS)
    planes = {name: plane(3.0, seed=place) for place, name in enumerate(runs)}
    yield "panels", contour_panels(planes, split="", **WORDS, axis_labels=LONG)
    epochs = np.arange(1.0, 8.0)
    curve = pd.DataFrame({"epoch": epochs, "update": 230 * epochs, "train/loss": 10**-epochs})
    curve = curve.assign(**{"train/accuracy": 1 - 0.5 / epochs, "weights/norm": 9 + epochs})
    yield "training", training_figure(dict.fromkeys(runs, curve), runs, **WORDS)
    table = pd.DataFrame({"configuration": list(runs.values()), "batch_size": [8, 8, 8, 256, 256, 256]})
    names = [f"contour/train/measure_of_a_long_name_{k}" for k in range(5)]
    table = table.assign(**{name: 0.0775 + 0.0025 * np.arange(6) * (k + 1) for k, name in enumerate(names)})
    table["test/accuracy"] = np.linspace(0.9, 0.99, 6)
    yield "measures", measures_figure(table, names, ["batch_size"], **WORDS)
    rho = dict.fromkeys(names, "ρ = 0.40 [−0.30, 0.88], n = 12")
    yield "test error", against_test_error(table, names, rho, "configuration", **WORDS)
    gap = Gap(epochs, -(10 ** (epochs - 9)), 10 ** (epochs - 10))
    both = {split: {"batch_size 256": gap} for split in ("train", "test")}
    spoken = {"parameter_label": "α", "loss_unit": "nats"}
    yield "differences", differences_figure(both, "batch_size 8", **WORDS, **spoken)
    claim = {"says": "Wider networks have basins that are wider, and smoother too.", "outcome": "reproduced"}
    claim |= {"effect": 1.5, "low": 1.1, "high": 2.1, "paper_effect": 1.7, "bound": 1.05, "than": np.nan}
    claims = [
        claim | {"compared_as": how, "direction": "above", "along": ""} for how in ("ratio", "difference")
    ]
    claims.append(claims[1] | {"effect": -0.01, "low": -0.0125, "high": -0.0025, "bound": 0.0})
    yield "verdicts", verdicts_figure(pd.DataFrame(claims), **WORDS)


def texts(figure: Figure) -> list[Text]:
    """All that is read in a figure."""
    return [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]


@pytest.mark.parametrize(("width", "size"), [(3.25, 8.0), (6.75, 8.0), (5.5, 10.0)])
def test_every_figure_has_the_width_and_the_sizes_asked_for_and_is_whole(width, size):
    for name, figure in drawn(width, size):
        assert figure.get_figwidth() == width, name
        found = {text.get_fontsize() for text in texts(figure)}
        assert found <= {size, size - 1.0}, name
        assert size - 1.0 in found, name
        with laid_out(Layout.paper(width, size)), styled():
            figure.draw_without_rendering()
        page = figure.bbox
        for artist in [*figure.axes, *figure.texts, *figure.legends]:
            box = artist.get_tightbbox()
            assert box.x0 >= page.x0 - 1, (name, artist)
            assert box.x1 <= page.x1 + 1, (name, artist)
            assert box.y0 >= page.y0 - 1, (name, artist)
            assert box.y1 <= page.y1 + 1, (name, artist)
        for legend in figure.legends:
            for axes in figure.axes:
                assert axes.get_tightbbox().y0 >= legend.get_tightbbox().y1 - 1, name


@cache
def drawn(width: float, size: float) -> list[tuple[str, Figure]]:
    with laid_out(Layout.paper(width, size)):
        return list(figures())


def test_words_are_beside_the_figure_and_not_in_it():
    for name, figure in drawn(3.25, 8.0):
        title, caption, warning = said(figure)
        assert title == TITLE, name
        assert caption.startswith(CAPTION), name
        assert warning == "", name
        together = " ".join(" ".join(text.get_text().split()) for text in texts(figure))
        assert TITLE not in together, name
        assert "costing" not in together, name


def test_a_warning_stays_in_the_picture():
    with laid_out(Layout.paper(3.25, 8.0)):
        figure = contour_figure(plane(), split="", **WORDS, warning="Not to be trusted: self_check failed")
    assert any("Not to be trusted" in text.get_text() for text in figure.texts)
    assert said(figure)[2] == "Not to be trusted: self_check failed"


def test_tick_labels_of_an_axis_do_not_touch():
    for name, figure in drawn(3.25, 8.0):
        with styled():
            figure.draw_without_rendering()
        for axes in figure.axes:
            if axes.name == "3d":
                continue
            level = [text for text in axes.get_xticklabels() if text.get_text() and not text.get_rotation()]
            inside = [text for text in level if text.get_visible() and _in_view(axes, text)]
            boxes = sorted((text.get_window_extent() for text in inside), key=lambda box: box.x0)
            for one, other in pairwise(boxes):
                assert one.x1 <= other.x0, (name, axes.get_xlabel())


def _in_view(axes, text) -> bool:
    low, high = axes.get_xlim()
    return low <= text.get_position()[0] <= high


def test_the_layout_holds_within_its_context_alone():
    before = contour_figure(plane(), split="", **WORDS)
    with laid_out(Layout.paper(6.75, 10.0)):
        assert layout().width == 6.75
    assert layout() == Layout()
    after = contour_figure(plane(), split="", **WORDS)
    assert after.get_figwidth() == 3.5
    assert any(TITLE in text.get_text() for text in after.texts)
    assert render(before, "png") == render(after, "png")


def test_files_have_their_size_and_fonts_that_print():
    with laid_out(Layout.paper(3.25, 8.0)):
        figure = line_figure(line(), **WORDS, parameter_label="α")
        pdf, svg, png = (render(figure, format) for format in ("pdf", "svg", "png"))
    assert int.from_bytes(png[16:20], "big") == 975  # 3.25 in at 300 dots an inch
    assert re.search(rb"/MediaBox \[ ?0 0 234 ", pdf)
    streams = [
        zlib.decompress(own) for own in re.findall(rb"stream\r?\n(x.*?)\r?\nendstream", pdf, re.DOTALL)
    ]
    assert b"/FontFile2" in pdf
    assert b"/Type3" not in pdf
    assert any(b" 8 Tf" in own for own in streams)  # the labels, in points of the page
    assert any(b" 7 Tf" in own for own in streams)
    assert re.search(rb'<svg[^>]* width="234pt"', svg)
    assert b"<text" not in svg
