"""A landscape drawn by one call: what is drawn, and what its caption says, read back from the figure."""

import io

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image
from torch import nn

from study import Direction, Grid, Landscape, Line, Plane, Weights, evaluate, plot, principal_plane
from study.figures.export import render
from study.figures.plot import describe

INPUTS = torch.randn(30, 2, generator=torch.Generator().manual_seed(0))
TARGETS = (INPUTS[:, 0] > 0).long()
BATCHES = [(INPUTS, TARGETS)]


def network(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 2))


MODEL = network(0)
LOSS = nn.CrossEntropyLoss(reduction="none")


@pytest.fixture(scope="module")
def line() -> Landscape:
    between = Line.between(network(1), MODEL, ("before", "after"))
    data = {"train": BATCHES, "test": [(INPUTS[:7], TARGETS[:7])]}
    return evaluate(MODEL, LOSS, data, between, Grid.line(0, 1, 5), population={"train": 40})


@pytest.fixture(scope="module")
def plane() -> Landscape:
    """Neither square nor symmetric."""
    grid = Grid.rectangle((-1.0, 1.0, 3), (-0.5, 1.0, 4))
    return evaluate(MODEL, LOSS, BATCHES, Plane.random(MODEL, normalization="layer", seed=3), grid)


def said(figure: Figure) -> str:
    """The words around the picture, in one line."""
    return " ".join(" ".join(text.get_text() for text in figure.texts).split())


def test_a_line_is_drawn_with_both_splits_and_its_ends_named(line: Landscape):
    figure = plot(line, title="One line")
    axes = figure.axes[0]
    assert axes.get_xlabel() == "α (0: before, 1: after)"
    drawn = [
        np.asarray(curve.get_ydata()) for curve in axes.lines if len(np.atleast_1d(curve.get_ydata())) >= 5
    ]
    for split in ("train", "test"):
        own = line.values[f"{split}/loss"]
        assert any(np.isin(own, curve).all() for curve in drawn)
    distance = Weights.of(network(1)).flat - Weights.of(MODEL).flat
    norm = float(torch.linalg.vector_norm(distance))
    assert "One line" in said(figure)
    assert "Loss over 30 of 40 examples of the train split, 7 examples of the test split;" in said(figure)
    assert f"‖θ₁−θ₀‖ = {norm:.3g}" in said(figure)


def test_one_split_of_a_line_alone(line: Landscape):
    assert "7 examples of the test split" in said(plot(line, split="test"))
    assert "train" not in said(plot(line, split="test"))
    with pytest.raises(ValueError, match="split must be one of"):
        plot(line, split="dev")


def test_a_plane_is_drawn_with_alpha_along_x(plane: Landscape):
    figure = plot(plane)
    axes = figure.axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("α (steps along δ)", "β (steps along η)")
    assert axes.get_xlim() == (-1.0, 1.0)
    assert axes.get_ylim() == (-0.5, 1.0)
    words = said(figure)
    assert "Loss over 30 examples; along Gaussian directions, layer normalization, seed 3," in words
    about = plane.provenance
    norms = ", ".join(f"{own['relative_norm']:.3g}" for own in about["directions"])
    assert f"‖direction‖/‖θ*‖ = {norms}" in words
    assert f"cosine of the axes {about['cosine']:.2g}".replace("-", "\N{MINUS SIGN}") in words


def test_a_caption_of_ones_own_takes_the_place_of_the_other(plane: Landscape):
    assert said(plot(plane, caption="As it is.")).endswith("As it is.")
    assert "Gaussian" not in said(plot(plane, caption=""))


def test_an_optimisers_path_is_drawn_on_its_plane():
    checkpoints = [Weights.of(network(seed)) for seed in range(4)]
    found = principal_plane(checkpoints)
    landscape = evaluate(MODEL, LOSS, BATCHES, found.plane, Grid.square(3.0, 3))
    figure = plot(landscape)
    paths = [np.stack(curve.get_data(), axis=1) for curve in figure.axes[0].lines]
    assert any(path.shape == (4, 2) and np.allclose(path, found.coordinates) for path in paths)


def test_what_nothing_is_known_of_has_no_caption():
    bare = Landscape({"alpha": np.arange(3.0)}, {"loss": np.ones(3)}, np.ones(3, np.int8))
    assert describe(bare) == ""
    assert plot(bare).axes[0].get_xlabel() == "α"


def test_along_other_directions_than_gaussian_ones():
    direction = Direction(torch.ones(22), {"kind": "mine"})
    landscape = evaluate(MODEL, LOSS, BATCHES, Line.through(MODEL, direction), Grid.line(-1, 1, 3))
    assert describe(landscape).startswith(
        "Loss over 30 examples; along a mine direction, ‖direction‖/‖θ*‖ = "
    )


def test_a_figure_shows_itself_in_a_notebook(plane: Landscape):
    figure = plot(plane)
    content, about = figure._repr_png_()
    image = Image.open(io.BytesIO(content))
    assert about == {"width": image.width // 2}
    assert image.width == 1050
    file = render(figure, "png")
    whole = np.asarray(Image.open(io.BytesIO(file)).convert("RGB"), dtype=float)
    assert np.abs(np.asarray(image.convert("RGB")) - whole).mean() < 2.0  # of 255: no difference that is seen
    assert len(content) < 0.5 * len(file)
