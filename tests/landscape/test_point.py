"""The weights of a point in memory set aside once; several points at once, bfloat16, too little memory."""

import logging
from collections import Counter

import numpy as np
import pytest
import torch
from torch import nn

from study.landscape.evaluate import evaluate
from study.landscape.geometry import Line, Plane, Scaling
from study.landscape.grid import Grid
from study.landscape.plan import EvaluationPlan
from study.landscape.point import PointWeights
from study.landscape.store import PointStore
from study.landscape.weights import Layout

LINE = Grid.line(-0.6, 1.1, 7)


class Menagerie(nn.Module):
    """Every kind of parameter that lies differently in memory; no forward pass is made."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.stem = nn.Conv2d(3, 17, (3, 5), bias=False)
            self.stem_norm = nn.BatchNorm2d(17)
            self.grouped = nn.Conv2d(16, 24, 3, groups=4)
            self.depthwise = nn.Conv2d(9, 9, (2, 3), groups=9)
            self.pointwise = nn.Conv2d(13, 8, 1)
            self.up = nn.ConvTranspose2d(5, 6, 3)
            self.signal = nn.Conv1d(4, 5, 3)
            self.norm = nn.GroupNorm(2, 8)
            self.layer_norm = nn.LayerNorm((3, 4))
            self.token = nn.Embedding(11, 6)
            self.narrow = nn.Linear(7, 5).to(torch.float16)
            self.brain = nn.Conv2d(4, 3, 3).to(torch.bfloat16)
            self.head = nn.Linear(6, 11)
            self.head.weight = self.token.weight  # tied
            self.twin = nn.Conv2d(3, 17, (3, 5), bias=False)
            self.twin.weight = self.stem.weight  # tied filters
            self.scale = nn.Parameter(torch.randn(1))


def bits(tensor):
    return tensor.detach().contiguous().view(-1).view(torch.uint8).tolist()


def geometries():
    model, other = Menagerie(0), Menagerie(1)
    return model, {
        "plane": Plane.random(model, include_bias_and_norm=True),
        "line between": Line.between(model, other),
        "line": Line.random(model, seed=2),
        "scaling": Scaling.of(model),
    }


COORDINATES = {
    1: [(0.0,), (0.37,), (1.0,), (-0.51,), (-0.0,)],
    2: [(0.0, 0.0), (0.3, -0.7), (1.0, 0.0), (-0.0, 0.21), (1.7, 1e-9)],
}


@pytest.mark.parametrize("channels_last", [True, False])
@pytest.mark.parametrize("at_once", [1, 3])
@pytest.mark.parametrize("kind", ["plane", "line between", "line", "scaling"])
def test_a_points_weights_are_the_geometrys_bit_for_bit(kind, at_once, channels_last):
    model, every = geometries()
    geometry = every[kind]
    plan = EvaluationPlan(32, channels_last, "cpu", points_at_once=at_once)
    weights = PointWeights(model, Layout.of(model), plan)
    filters = {"stem.weight", "grouped.weight", "depthwise.weight", "pointwise.weight", "brain.weight"}
    coordinates = COORDINATES[len(geometry.axes)]
    for start in range(0, len(coordinates), at_once):
        part = coordinates[start : start + at_once]  # the last is a part of a part
        for place in reversed(range(len(part))):
            weights.fill(geometry.terms(part[place]), place)
        named = weights.parameters()
        for place, point in enumerate(part):
            expected = geometry.at(*point).named
            assert list(named) == list(expected) == [name for name, _own in model.named_parameters()]
            for name, right in expected.items():
                own = named[name] if at_once == 1 else named[name][place]
                assert own.shape == right.shape
                assert own.dtype == right.dtype == model.get_parameter(name).dtype
                assert bits(own) == bits(right), (name, point)
                if channels_last and name in filters:
                    assert own.is_contiguous(memory_format=torch.channels_last)
                elif own.dtype == torch.float32:
                    assert own.is_contiguous()
        if at_once > 1:
            assert all(len(tensor) == at_once for tensor in named.values())


def test_the_memory_is_the_same_for_every_point():
    model, every = geometries()
    weights = PointWeights(model, Layout.of(model), EvaluationPlan(32, True, "cpu"))
    weights.fill(every["line"].terms((0.2,)), 0)
    first = {name: own.data_ptr() for name, own in weights.parameters().items() if own.dtype == torch.float32}
    weights.fill(every["line"].terms((0.9,)), 0)
    again = {name: own.data_ptr() for name, own in weights.parameters().items() if own.dtype == torch.float32}
    assert first == again


def test_filling_one_place_leaves_the_others():
    model, every = geometries()
    geometry = every["plane"]
    weights = PointWeights(model, Layout.of(model), EvaluationPlan(32, True, "cpu", points_at_once=3))
    for place, point in enumerate([(0.1, 0.2), (0.3, 0.4), (0.5, 0.6)]):
        weights.fill(geometry.terms(point), place)
    weights.fill(geometry.terms((-1.0, 2.0)), 1)
    named = weights.parameters()
    for place, point in enumerate([(0.1, 0.2), (-1.0, 2.0), (0.5, 0.6)]):
        for name, right in geometry.at(*point).named.items():
            assert bits(named[name][place]) == bits(right)


@pytest.mark.parametrize("at_once", [1, 2])
def test_a_parameter_may_be_a_single_number_without_dims(at_once):
    class Tempered(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(5, 3)
            self.temperature = nn.Parameter(torch.tensor(1.5))

        def forward(self, x):
            return self.layer(x) / self.temperature

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model, inputs = Tempered(), torch.randn(9, 5)
    data = [(inputs, torch.zeros(9))]
    landscape = evaluate(
        model,
        lambda o, _t: o.square().sum(dim=1),
        data,
        Scaling.of(model),
        Grid.rectangle((1.0, 2.0, 2), (0.0, 1.0, 2)),
        points_at_once=at_once,
    )
    # θ (1 + β) α scales weights, bias and temperature alike: the outputs stay
    expected = model(inputs).square().sum(dim=1).mean().item()
    np.testing.assert_allclose(landscape.values["loss"], np.full((2, 2), expected), rtol=1e-5)


# --- several points at once


@pytest.mark.parametrize("at_once", [2, 3, 16])
def test_points_taken_at_once_agree_with_points_taken_one_by_one(
    mlp, vectors, convnet, images, cross_entropy, at_once
):
    cases = [
        (mlp(), [vectors(75)], LINE, Line.random(mlp(), seed=1)),
        (convnet(norm=True), [images(40)], LINE, Line.random(convnet(norm=True), seed=1)),
        (convnet(), [images(40)], Grid.rectangle((-1, 1, 3), (-0.5, 1, 4)), Plane.random(convnet(), seed=1)),
    ]
    for model, data, grid, geometry in cases:
        alone = evaluate(model, cross_entropy, data, geometry, grid, micro_batch=16)
        several = evaluate(model, cross_entropy, data, geometry, grid, micro_batch=16, points_at_once=at_once)
        assert several.provenance["plan"]["points_at_once"] == at_once
        for name, values in alone.values.items():
            np.testing.assert_allclose(several.values[name], values, rtol=1e-6)
        for name, losses in alone.example_losses.items():
            np.testing.assert_allclose(several.example_losses[name], losses, rtol=1e-4, atol=1e-6)
        for name, point in alone.points.items():
            assert several.points[name].values == pytest.approx(point.values, rel=1e-6)


def test_a_point_that_diverges_does_not_touch_those_beside_it(mlp, vectors, cross_entropy):
    model = mlp()
    line = Line.random(model, seed=1)
    grid = Grid({"alpha": np.array([-0.5, 0.1, 0.7, 1e38])})
    several = evaluate(model, cross_entropy, [vectors(40)], line, grid, points_at_once=3)
    alone = evaluate(model, cross_entropy, [vectors(40)], line, grid)
    assert not np.isfinite(alone.values["loss"][-1])
    np.testing.assert_allclose(several.values["loss"][:3], alone.values["loss"][:3], rtol=1e-6)
    assert several.status.tolist() == alone.status.tolist() == [1, 1, 1, 3]


def test_recomputed_statistics_take_points_one_by_one(convnet, images, cross_entropy):
    model = convnet(norm=True)

    def look(**settings):
        return evaluate(
            model,
            cross_entropy,
            {"train": [images(40)]},
            Line.random(model),
            LINE,
            batch_statistics="recomputed",
            **settings,
        )

    assert look().provenance["plan"]["points_at_once"] == 1
    assert look(points_at_once=3).to_bytes() == look().to_bytes()


# --- bfloat16


@pytest.mark.parametrize("kind", ["mlp", "convnet"])
def test_bfloat16_is_within_a_few_percent_and_states_its_error(
    kind, mlp, vectors, convnet, images, cross_entropy
):
    model, data = (mlp(), [vectors(75)]) if kind == "mlp" else (convnet(norm=True), [images(40)])
    line = Line.random(model, seed=1)
    # with the centre, six points: fewer than are drawn, so that all of them are
    grid = Grid.line(-0.6, 1.1, 5)
    exact = evaluate(model, cross_entropy, data, line, grid)
    low = evaluate(model, cross_entropy, data, line, grid, precision="bfloat16")
    assert low.values["loss"].tolist() != exact.values["loss"].tolist()
    np.testing.assert_allclose(low.values["loss"], exact.values["loss"], rtol=0.03)
    assert low.values["loss"].dtype == np.float64
    assert low.example_losses[""].dtype == np.float32

    def losses(landscape):
        return np.append(landscape.values["loss"], landscape.points["centre"].values["loss"])

    error = np.abs(losses(low) - losses(exact)) / losses(exact)
    stated = low.provenance["precision_error"]
    assert stated["points"] == 6
    assert stated["relative"] == {
        "loss": {"largest": pytest.approx(error.max()), "median": pytest.approx(np.median(error))}
    }
    assert 0 < stated["relative"]["loss"]["largest"] < 0.03
    assert "precision_error" not in exact.provenance
    assert low.provenance["plan"]["precision"] == "bfloat16"


def test_the_error_of_bfloat16_is_stated_of_every_split_on_a_sample(mlp, vectors, cross_entropy):
    model = mlp()
    plane, grid = Plane.random(model, seed=1), Grid.rectangle((-1, 1, 5), (-0.5, 1, 4))
    data = {"train": [vectors(75)], "test": [vectors(40, seed=9)]}
    exact = evaluate(model, cross_entropy, data, plane, grid)
    low = evaluate(model, cross_entropy, data, plane, grid, precision="bfloat16")
    stated = low.provenance["precision_error"]
    assert stated["points"] == 8
    for split in ("train", "test"):
        name = f"{split}/loss"
        error = {abs(a - b) / b for a, b in zip(low.values[name].flat, exact.values[name].flat, strict=True)}
        a, b = (own.points["centre"].values[name] for own in (low, exact))
        error.add(abs(a - b) / b)
        largest, median = stated["relative"][name]["largest"], stated["relative"][name]["median"]
        assert min(abs(largest - one) for one in error) < 1e-12  # it is the error of one of the points
        assert sum(one >= median * (1 - 1e-9) for one in error) >= 4
        assert median <= largest


def test_the_provenance_of_bfloat16_is_json_where_points_diverge(mlp, vectors, cross_entropy):
    import json

    model = mlp()
    grid = Grid({"alpha": np.array([-0.5, 0.7, 1e38])})
    low = evaluate(
        model, cross_entropy, [vectors(40)], Line.random(model, seed=1), grid, precision="bfloat16"
    )
    assert json.loads(json.dumps(low.provenance, allow_nan=False)) == low.provenance


# --- too little memory


def test_a_smaller_plan_halves_the_points_and_then_the_examples_down_to_one():
    plan = EvaluationPlan(37, True, "cpu", "bfloat16", points_at_once=6)
    sizes = []
    while plan is not None:
        sizes.append((plan.points_at_once, plan.micro_batch))
        assert (plan.channels_last, plan.precision, plan.device) == (True, "bfloat16", "cpu")
        plan = plan.smaller()
    assert sizes == [(6, 37), (3, 37), (1, 37), (1, 18), (1, 9), (1, 4), (1, 2), (1, 1)]


def device_error():
    return torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


def processor_error():
    return RuntimeError(
        "[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory: "
        "you tried to allocate 1234567890 bytes."
    )


ERRORS = [device_error, processor_error, MemoryError]


class Limited(nn.Module):
    """A network whose forward pass takes `most` examples."""

    def __init__(self, inner, most, error) -> None:
        super().__init__()
        self.inner, self.most, self.error = inner, most, error

    def forward(self, x):
        if len(x) > self.most:
            raise self.error()
        return self.inner(x)


@pytest.mark.parametrize("error", ERRORS, ids=lambda own: own.__name__)
@pytest.mark.parametrize("where", ["model", "loss"])
def test_a_landscape_is_begun_again_with_smaller_micro_batches(
    mlp, vectors, cross_entropy, caplog, error, where
):
    most = 10

    def loss(outputs, targets):
        if len(targets) > most:
            raise error()
        return cross_entropy(outputs, targets)

    model = Limited(mlp(), most if where == "model" else 10**9, error)
    given = loss if where == "loss" else cross_entropy
    with caplog.at_level(logging.WARNING):
        landscape = evaluate(model, given, [vectors(75)], Line.random(model), LINE, micro_batch=64)
    assert landscape.provenance["plan"]["micro_batch"] == 8
    warnings = [record.getMessage() for record in caplog.records]
    assert len(warnings) == 3  # 64 → 32 → 16 → 8
    assert all("memory ran out" in text for text in warnings)
    assert "8" in warnings[-1]
    roomy = Limited(mlp(), 10**9, error)
    free = evaluate(roomy, cross_entropy, [vectors(75)], Line.random(roomy), LINE, micro_batch=8)
    assert landscape.to_bytes() == free.to_bytes()
    whole = evaluate(roomy, cross_entropy, [vectors(75)], Line.random(roomy), LINE)
    np.testing.assert_allclose(landscape.values["loss"], whole.values["loss"], rtol=1e-6)


def test_points_at_once_are_halved_first(mlp, vectors, cross_entropy, caplog):
    left = [2]

    def loss(outputs, targets):
        if left[0]:
            left[0] -= 1
            raise device_error()
        return cross_entropy(outputs, targets)

    model = mlp()
    line = Line.random(model)
    landscape = evaluate(model, loss, [vectors(40)], line, LINE, points_at_once=4, micro_batch=40)
    assert landscape.provenance["plan"]["points_at_once"] == 1
    assert landscape.provenance["plan"]["micro_batch"] == 40
    assert len(caplog.records) == 2
    undisturbed = evaluate(model, cross_entropy, [vectors(40)], line, LINE, micro_batch=40)
    assert landscape.to_bytes() == undisturbed.to_bytes()


@pytest.mark.parametrize("error", ERRORS, ids=lambda own: own.__name__)
def test_one_example_too_many_is_a_memory_error(mlp, vectors, error):
    def loss(outputs, targets):
        raise error()

    model = mlp()
    model.train()
    with pytest.raises(MemoryError, match="one example"):
        evaluate(model, loss, [vectors(9)], Line.random(model), LINE)
    assert all(layer.training for layer in model.modules())


@pytest.mark.parametrize("error", ERRORS, ids=lambda own: own.__name__)
def test_a_network_that_cannot_take_one_example_is_a_memory_error(mlp, vectors, cross_entropy, error):
    model = Limited(mlp(), 0, error)
    with pytest.raises(MemoryError):
        evaluate(model, cross_entropy, [vectors(9)], Line.random(model), LINE)


def test_a_network_that_can_take_one_example_only_is_evaluated(mlp, vectors, cross_entropy):
    model, roomy = Limited(mlp(), 1, device_error), Limited(mlp(), 10**9, device_error)
    landscape = evaluate(model, cross_entropy, [vectors(9)], Line.random(model), LINE)
    whole = evaluate(roomy, cross_entropy, [vectors(9)], Line.random(roomy), LINE)
    np.testing.assert_allclose(landscape.values["loss"], whole.values["loss"], rtol=1e-6)


def test_any_other_error_is_the_callers_at_once(mlp, vectors):
    calls = Counter()

    def loss(outputs, targets):
        calls["loss"] += 1
        raise RuntimeError("shapes do not fit")

    model = mlp()
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        evaluate(model, loss, [vectors(9)], Line.random(model), LINE)
    assert calls["loss"] == 1


def test_what_was_done_before_memory_ran_out_is_not_mixed_in(mlp, vectors, cross_entropy, tmp_path):
    """Points of another plan have other bits: a landscape is of one plan throughout, with a store too."""
    from study.landscape.store import PointStore

    calls = Counter()

    def loss(outputs, targets):
        calls["loss"] += 1
        if calls["loss"] == 4:
            raise device_error()
        return cross_entropy(outputs, targets)

    model = mlp()
    line = Line.random(model)
    store = PointStore(tmp_path, {})
    landscape = evaluate(model, loss, [vectors(75)], line, LINE, micro_batch=64, store=store)
    undisturbed = evaluate(model, cross_entropy, [vectors(75)], line, LINE, micro_batch=32)
    assert landscape.to_bytes() == undisturbed.to_bytes()


def test_the_bits_of_a_point_depend_on_how_many_share_a_pass_and_not_on_which(
    convnet, images, cross_entropy, tmp_path
):
    """So a landscape in pieces has the bits of one in one go: the pieces share their passes otherwise."""
    model = convnet()
    line, data = Line.random(model, seed=1), [images(70)]
    store = PointStore(tmp_path, {})
    whole = evaluate(model, cross_entropy, data, line, Grid.line(-1, 1, 9), points_at_once=4)
    for grid in (Grid.line(-1, 1, 3), Grid.line(-1, 1, 5), Grid.line(-1, 1, 9)):
        pieces = evaluate(model, cross_entropy, data, line, grid, points_at_once=4, store=store)
    assert pieces.to_bytes() == whole.to_bytes()


def test_points_whose_buffers_differ_are_taken_one_by_one(vectors):
    class Shifted(nn.Linear):
        def __init__(self, shift):
            super().__init__(5, 3)
            self.register_buffer("shift", torch.tensor(shift))

        def forward(self, x):
            return super().forward(x) * 0 + self.shift

    line = Line.between(Shifted(1.0), Shifted(3.0))
    found = evaluate(
        Shifted(0.0),
        lambda outputs, _targets: outputs[:, 0],
        [vectors(40)],
        line,
        Grid.line(0, 1, 5),
        batch_statistics="interpolated",
        points_at_once=3,
    )
    assert found.values["loss"].tolist() == [1.0, 1.5, 2.0, 2.5, 3.0]


def test_every_network_is_compiled_however_many_there_were_before(vectors, cross_entropy, caplog):
    """torch compiles a function for eight shapes, and then leaves the rest as they are."""
    for width in range(2, 12):
        model = nn.Sequential(nn.Linear(5, width), nn.Tanh(), nn.Linear(width, 3))
        evaluate(model, cross_entropy, [vectors(40)], Line.random(model), Grid.line(points=2), compile=True)
    assert "recompile_limit" not in caplog.text
