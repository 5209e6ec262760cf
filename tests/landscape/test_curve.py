"""Curves with one bend, against closed forms."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from study.landscape.curve import Curve
from study.landscape.evaluate import evaluate
from study.landscape.evaluator import Evaluator
from study.landscape.grid import Grid, spaced
from study.landscape.task import Task
from study.landscape.weights import Weights

T = Grid({"t": spaced(0.0, 1.0, 6)})  # misses the bend
FORMS = ("bezier", "chain")


def point(*entries: float) -> Weights:
    layout = Weights.of(nn.Linear(len(entries), 1, bias=False, dtype=torch.float64)).layout
    return Weights(layout, torch.tensor(entries, dtype=torch.float64), {})


def by_de_casteljau(start, bend, end, t):
    first, second = (1 - t) * start + t * bend, (1 - t) * bend + t * end
    return (1 - t) * first + t * second


def along_chain(start, bend, end, t):
    return start + 2 * t * (bend - start) if t < 0.5 else bend + (2 * t - 1) * (end - bend)


EXPECTED = {"bezier": by_de_casteljau, "chain": along_chain}


@pytest.mark.parametrize("form", FORMS)
def test_a_curve_has_the_quadratics_values(least_squares, form):
    start, end = least_squares.theta, least_squares.other
    bend = np.random.default_rng(1).normal(size=start.shape)
    models = [least_squares.model(theta) for theta in (start, bend, end)]
    curve = Curve.between(models[0], Weights.of(models[1]), models[2], form=form, names=("small", "large"))
    landscape = evaluate(models[0], least_squares.loss, least_squares.data, curve, T)
    expected = [least_squares.value(EXPECTED[form](start, bend, end, t)) for t in T.axes["t"]]
    np.testing.assert_allclose(landscape.values["loss"], expected, rtol=1e-11)
    assert {name: found.coordinates for name, found in landscape.points.items()} == {
        "small": (0.0,),
        "large": (1.0,),
    }
    straight = evaluate(models[0], least_squares.loss, least_squares.data, curve.straight(), T)
    expected = [least_squares.value((1 - t) * start + t * end) for t in T.axes["t"]]
    np.testing.assert_allclose(straight.values["loss"], expected, rtol=1e-11)
    assert list(straight.points) == ["small", "large"]


@pytest.mark.parametrize("form", FORMS)
def test_the_ends_have_their_own_bits_and_the_chain_has_the_bends(mlp, vectors, cross_entropy, form):
    models = [mlp(seed) for seed in range(3)]
    start, bend, end = map(Weights.of, models)
    curve = Curve.between(start, bend, end, form=form)
    assert torch.equal(curve.at(0.0).flat, start.flat)
    assert torch.equal(curve.at(1.0).flat, end.flat)
    if form == "chain":
        assert torch.equal(curve.at(0.5).flat, bend.flat)
    for geometry in (curve, curve.straight()):
        landscape = evaluate(models[1], cross_entropy, [vectors()], geometry, T)
        for name, model in (("start", models[0]), ("end", models[2])):
            with Evaluator.open(Task.of(model, cross_entropy, [vectors()])) as evaluator:
                assert landscape.points[name].values == evaluator.measure(Weights.of(model)).values


def test_a_chain_is_continuous_at_the_bend_and_goes_on_straight_beyond_the_ends():
    curve = Curve.between(point(0, 0), point(3, 1), point(4, -2), form="chain")
    for t, expected in ((0.5 - 1e-9, (3, 1)), (0.5 + 1e-9, (3, 1)), (-0.25, (-1.5, -0.5)), (1.5, (5, -5))):
        np.testing.assert_allclose(curve.at(t).flat, expected, atol=1e-8)


def test_lengths_have_their_closed_forms():
    """On a line, 6t − 5t² goes on to 1.8 and back to 1; a parabola's arc is known."""
    there_and_back = Curve.between(point(0, 0), point(3, 0), point(1, 0))
    assert there_and_back.length == pytest.approx(1.8 + 0.8, rel=1e-9)
    # (2t − 1, 4t(1 − t)) is y = 1 − x² over [−1, 1]
    parabola = Curve.between(point(-1, 0), point(0, 2), point(1, 0))
    assert parabola.length == pytest.approx(np.sqrt(5) + np.arcsinh(2) / 2, rel=1e-9)
    assert parabola.provenance["length"] == parabola.length
    assert parabola.provenance["distance"] == pytest.approx(2.0)
    chain = Curve.between(point(-1, 0), point(0, 2), point(1, 0), form="chain")
    assert chain.length == pytest.approx(2 * np.sqrt(5), rel=1e-12)
    assert Curve.between(point(1, 2), point(1, 2), point(1, 2)).length == 0.0


@pytest.mark.parametrize("form", FORMS)
def test_a_curve_bent_at_the_middle_is_the_straight_line(form):
    curve = Curve.between(point(0.5, 1), point(1, -1), point(1.5, -3), form=form)
    assert curve.length == pytest.approx(np.sqrt(17), rel=1e-12)
    for t in (0.2, 0.5, 0.9):
        np.testing.assert_allclose(curve.at(t).flat, curve.straight().at(t).flat, rtol=1e-14)


def test_forms_bends_and_statistics_have_digests_of_their_own(convnet):
    start, bend, end = (Weights.of(convnet(seed, norm=True)) for seed in range(3))
    curve = Curve.between(start, bend, end)
    shifted = {
        name: buffer + 1 if buffer.is_floating_point() else buffer for name, buffer in end.buffers.items()
    }
    others = [
        Curve.between(start, bend, end, form="chain"),
        Curve.between(start, end, end),
        Curve.between(start, bend, Weights(end.layout, end.flat, shifted)),
        curve.straight(),
    ]
    digests = {geometry.digest for geometry in (curve, *others)}
    assert len(digests) == 5
    assert Curve.between(start, bend, end, names=("a", "b")).on("cpu").digest == curve.digest
    assert json.loads(json.dumps(curve.provenance, allow_nan=False)) == curve.provenance
    assert others[0].provenance["form"] == "chain"


def test_statistics_are_recomputed_by_default_and_else_mixed_between_the_ends(convnet, images, cross_entropy):
    models = [convnet(seed, norm=True) for seed in range(3)]
    for seed, model in enumerate(models):
        with torch.no_grad():
            model(images(30, seed=20 + seed)[0])
    start, bend, end = map(Weights.of, models)
    curve = Curve.between(start, bend, end)
    assert curve.default_batch_statistics == curve.straight().default_batch_statistics == "recomputed"
    mixed = curve.buffers((0.25,), "interpolated")["1.running_mean"]
    expected = 0.75 * start.buffers["1.running_mean"] + 0.25 * end.buffers["1.running_mean"]
    torch.testing.assert_close(mixed, expected)
    landscape = evaluate(models[1], cross_entropy, {"train": [images(50)]}, curve, T)
    assert landscape.provenance["batch_statistics"] == "recomputed"


def test_what_is_no_curve_is_refused(mlp):
    start, end = Weights.of(mlp(0)), Weights.of(mlp(1))
    with pytest.raises(ValueError, match="must be one of bezier, chain, got 'spline'"):
        Curve.between(start, start, end, form="spline")
    with pytest.raises(ValueError, match="bend and ends must have the same parameters"):
        Curve.between(start, Weights.of(mlp(bias=False)), end)
    with pytest.raises(ValueError, match="start and end must have the same parameters"):
        Curve.between(start, start, mlp(bias=False))
    with pytest.raises(ValueError, match="different names"):
        Curve.between(start, start, end, names=("same", "same"))
