"""Directions about any weights: what normalization makes of them, and what they depend on."""

import math
import tempfile
from pathlib import Path

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from study.landscape.direction_files import load_direction, save_direction
from study.landscape.direction_spec import DirectionSpec
from study.landscape.directions import (
    NORMALIZATIONS,
    Direction,
    cosine,
    difference,
    orthogonalised,
    random_direction,
)
from study.landscape.weights import Weights

FIXED = settings(derandomize=True, deadline=None, database=None, max_examples=80)
SEEDS = st.integers(0, 2**40)
SCALES = st.sampled_from([0.0, 1e-30, 1e-12, 1e-3, 1.0, 1e3, 1e12, 1e30])
SHAPES = st.lists(st.integers(1, 4), min_size=1, max_size=4).map(tuple)
NORMALIZATION = st.sampled_from(NORMALIZATIONS)


class Plain(nn.Module):
    """Parameters of any shapes, float64 so that no scale leaves its range."""

    def __init__(self, tensors: dict[str, Tensor]) -> None:
        super().__init__()
        for name, tensor in tensors.items():
            self.register_parameter(name, nn.Parameter(tensor.double()))


@st.composite
def weights(draw: st.DrawFn) -> Weights:
    """Weights of a few tensors of any shapes, each of its own scale, some filters zero."""
    shapes = draw(st.lists(SHAPES, min_size=1, max_size=4))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 1000)))
    tensors = {}
    for place, shape in enumerate(shapes):
        tensor = torch.randn(shape, generator=generator, dtype=torch.float64) * draw(SCALES)
        if draw(st.booleans()):
            tensor[0] = 0.0
        tensors[f"t{place}"] = tensor
    return Weights.of(Plain(tensors))


def parts(theta: Weights, direction: Direction) -> dict[str, Tensor]:
    return theta.layout.views(direction.flat)


def norm(tensor: Tensor) -> float:
    return math.sqrt(math.fsum(float(entry) ** 2 for entry in tensor.reshape(-1).tolist()))


def is_moved(tensor: Tensor, include: bool) -> bool:
    return include or tensor.ndim > 1


@FIXED
@given(weights(), SEEDS, st.booleans())
def test_a_filter_of_the_direction_is_as_long_as_that_of_the_weights(theta, seed, include):
    direction = random_direction(theta, seed=seed, normalization="filter", include_bias_and_norm=include)
    for name, own in parts(theta, direction).items():
        of_theta = theta.named[name]
        if not is_moved(of_theta, include):
            assert not own.any()
        elif of_theta.ndim <= 1:
            assert norm(own) == pytest.approx(norm(of_theta), rel=1e-9)
        else:
            for filter_, other in zip(own, of_theta, strict=True):
                assert norm(filter_) == pytest.approx(norm(other), rel=1e-9)


@FIXED
@given(weights(), SEEDS, st.booleans())
def test_layer_and_model_keep_the_norm_of_a_tensor_and_of_the_whole(theta, seed, include):
    layer = random_direction(theta, seed=seed, normalization="layer", include_bias_and_norm=include)
    for name, own in parts(theta, layer).items():
        wanted = norm(theta.named[name]) if is_moved(theta.named[name], include) else 0.0
        assert norm(own) == pytest.approx(wanted, rel=1e-9)
    model = random_direction(theta, seed=seed, normalization="model", include_bias_and_norm=include)
    moved = any(is_moved(tensor, include) for tensor in theta.named.values())
    assert norm(model.flat) == pytest.approx(norm(theta.flat) if moved else 0.0, rel=1e-9)


@FIXED
@given(st.sampled_from([1e-36, 1e-20, 1e20, 1e36]), SEEDS, st.sampled_from(["filter", "layer", "model"]))
def test_weights_in_float32_near_the_ends_of_its_range_keep_their_norms(scale, seed, normalization):
    """The squares of such weights are no float32 numbers."""
    layer = nn.Linear(7, 5)
    with torch.no_grad():
        layer.weight.mul_(scale)
        layer.bias.zero_()
    theta = Weights.of(layer)
    direction = random_direction(theta, seed=seed, normalization=normalization)
    assert direction.flat.dtype == torch.float32
    assert direction.norm == pytest.approx(norm(layer.weight), rel=1e-5)


@FIXED
@given(weights(), SEEDS)
def test_weight_is_the_plain_direction_times_the_size_of_each_weight(theta, seed):
    plain = random_direction(theta, seed=seed, normalization="none", include_bias_and_norm=True)
    scaled = random_direction(theta, seed=seed, normalization="weight", include_bias_and_norm=True)
    assert torch.equal(scaled.flat, plain.flat * theta.flat.abs())


@FIXED
@given(weights(), SEEDS, NORMALIZATION, st.booleans())
def test_a_direction_is_finite_and_zero_where_a_filter_or_weight_is(theta, seed, normalization, include):
    direction = random_direction(theta, seed=seed, normalization=normalization, include_bias_and_norm=include)
    assert torch.isfinite(direction.flat).all()
    assert direction.flat.shape == theta.flat.shape
    if normalization in {"filter", "weight"}:
        for name, own in parts(theta, direction).items():
            first = theta.named[name] if theta.named[name].ndim <= 1 else theta.named[name][0]
            if not first.any():
                assert not (own if own.ndim <= 1 else own[0]).any()


@FIXED
@given(weights(), SEEDS, st.integers(-40, 40), NORMALIZATION)
def test_a_direction_grows_with_the_weights_unless_it_is_not_normalised(theta, seed, exponent, normalization):
    factor = 2.0**exponent
    larger = Weights.of(Plain({name: factor * tensor for name, tensor in theta.named.items()}))
    own, other = (
        random_direction(about, seed=seed, normalization=normalization, include_bias_and_norm=True).flat
        for about in (theta, larger)
    )
    wanted = own if normalization == "none" else factor * own
    assert torch.allclose(other, wanted, rtol=1e-9, atol=0)


@FIXED
@given(weights(), SEEDS, st.floats(1e-6, 1e6), st.data())
def test_filter_follows_each_filter_and_layer_each_tensor_alone(theta, seed, factor, data):
    """What scales one filter, or tensor, of the weights scales that of the direction and nothing else."""
    name = data.draw(st.sampled_from(sorted(theta.named)))
    changed = {own: tensor.clone() for own, tensor in theta.named.items()}
    whole = changed[name].ndim <= 1
    place = ... if whole else data.draw(st.integers(0, len(changed[name]) - 1))
    changed[name][place] *= factor
    other = Weights.of(Plain(changed))
    first, second = (
        parts(theta, random_direction(about, seed=seed, normalization="filter", include_bias_and_norm=True))
        for about in (theta, other)
    )
    first[name] = first[name].clone()
    first[name][place] *= factor
    assert all(torch.allclose(second[own], first[own], rtol=1e-9, atol=0) for own in first)


@FIXED
@given(weights(), weights(), SEEDS, st.integers(0, 3))
def test_seed_index_name_and_shape_alone_are_what_a_direction_depends_on(theta, others, seed, index):
    """The values of the weights, the tensors beside them and their order change no entry."""
    alone = {
        name: random_direction(
            Weights.of(Plain({name: torch.zeros_like(tensor)})),
            seed=seed, index=index, normalization="none", include_bias_and_norm=True,
        ).flat
        for name, tensor in theta.named.items()
    }  # fmt: skip
    beside = {f"o{name}": tensor for name, tensor in others.named.items()}
    backwards = dict(reversed([*theta.named.items(), *beside.items()]))
    together = Weights.of(Plain(backwards))
    torch.manual_seed(seed % 17)  # of the global generator, which has no part in it
    direction = random_direction(
        together, seed=seed, index=index, normalization="none", include_bias_and_norm=True
    )
    for name, own in alone.items():
        assert torch.equal(parts(together, direction)[name].reshape(-1), own)


@FIXED
@given(SEEDS, SEEDS, st.integers(0, 2), st.integers(0, 2))
def test_another_seed_or_index_is_another_direction(seed, other, index, another):
    assume((seed, index) != (other, another))
    theta = Weights.of(Plain({"w": torch.zeros(40, 25)}))
    first, second = (
        random_direction(theta, seed=own, index=at, normalization="none").flat
        for own, at in ((seed, index), (other, another))
    )
    assert abs(cosine(first, second)) < 6 / math.sqrt(1000)  # six standard deviations


@FIXED
@given(weights(), SEEDS, NORMALIZATION, st.sampled_from([1e-12, 1e-3, 1.0, 1e12]))
def test_an_orthogonalised_direction_has_cosine_zero_and_its_norm(theta, seed, normalization, scale):
    delta, eta = (
        random_direction(
            theta, seed=seed, index=index, normalization=normalization, include_bias_and_norm=True
        )
        for index in (0, 1)
    )
    eta = Direction(scale * eta.flat, eta.provenance, eta.drawn)
    assume(min(delta.norm, eta.norm) > 1e-25)
    found = cosine(delta.flat, eta.flat)
    assume(abs(found) < 1 - 1e-6)  # parallel ones are refused
    straight = orthogonalised(eta, delta)
    assert abs(cosine(straight.flat, delta.flat)) < 1e-12
    assert straight.norm == pytest.approx(eta.norm, rel=1e-9)
    assert straight.provenance["cosine_before"] == pytest.approx(found)
    assert torch.allclose(
        orthogonalised(straight, delta).flat, straight.flat, rtol=1e-9, atol=1e-9 * eta.norm
    )


@FIXED
@given(weights(), st.sampled_from([-3.0, -1.0, 1e-20, 2.0]))
def test_what_is_parallel_has_no_orthogonal_part(theta, factor):
    delta = random_direction(theta, normalization="none", include_bias_and_norm=True)
    with pytest.raises(ValueError, match="parallel"):
        orthogonalised(Direction(factor * delta.flat, {}), delta)


@FIXED
@given(weights(), SEEDS, NORMALIZATION, st.randoms(use_true_random=False))
def test_permuting_filters_permutes_what_is_scaled_by_their_norms(theta, seed, normalization, random):
    """The norms of a direction's filters follow the weights' filters to wherever these are put."""
    assume(any(tensor.ndim > 1 for tensor in theta.named.values()))
    orders = {name: random.sample(range(len(tensor)), len(tensor)) for name, tensor in theta.named.items()}
    moved = Weights.of(Plain({name: tensor[orders[name]] for name, tensor in theta.named.items()}))
    first, second = (
        parts(theta, random_direction(about, seed=seed, normalization=normalization))
        for about in (theta, moved)
    )
    for name, order in orders.items():
        if first[name].ndim <= 1 or normalization == "weight":
            continue
        own, other = ([norm(filter_) for filter_ in part] for part in (first[name], second[name]))
        if normalization == "filter":
            assert other == pytest.approx([own[at] for at in order], rel=1e-9)
        else:  # the draw stays where it is, and norms of tensors know no order
            assert other == pytest.approx(own, rel=1e-9)


@FIXED
@given(weights())
def test_a_difference_leads_from_one_to_the_other_and_back(theta):
    end = Weights.of(Plain({name: tensor.flip(0) + 1 for name, tensor in theta.named.items()}))
    there, back = difference(theta, end), difference(end, theta)
    assert torch.equal(there.flat, -back.flat)
    assert torch.equal(there.flat, end.flat - theta.flat)
    assert not difference(theta, theta).flat.any()


@settings(FIXED, max_examples=40)
@given(weights(), SEEDS)
def test_a_direction_comes_back_from_its_file_with_the_same_bits(theta, seed):
    direction = random_direction(theta, seed=seed, normalization="filter")
    assume(direction.flat.any())  # one of no length is no direction, and its file is refused
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder, name) for name in ("θ.safetensors", "b.safetensors")]
        for file in files:
            save_direction(direction, theta.layout, file)
        assert files[0].read_bytes() == files[1].read_bytes()
        again = load_direction(files[0], theta.layout)
    assert torch.equal(again.flat, direction.flat)
    assert again.provenance["holds"] == direction.provenance


@FIXED
@given(st.text(max_size=20))
def test_a_direction_is_named_by_the_words_it_was_read_from_or_refused_in_one_line(text):
    try:
        found = DirectionSpec.parse(text)
    except ValueError as error:
        refused = str(error)
    else:
        assert DirectionSpec.parse(str(found)) == found
        return
    assert len(refused.splitlines()) == 1
