"""Gaussian directions and their normalization against NumPy; differences, given and orthogonal ones."""

import numpy as np
import pytest
import torch
from torch import nn

from study.landscape.directions import (
    Direction,
    cosine,
    difference,
    given,
    orthogonalised,
    random_direction,
)
from study.landscape.weights import Weights


class Zoo(nn.Module):
    """One of each layer whose filters lie differently."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 6, (3, 2), groups=2)
        self.linear = nn.Linear(5, 3)
        self.transposed = nn.ConvTranspose2d(3, 5, (2, 3))
        self.grouped = nn.ConvTranspose2d(4, 6, 2, groups=2)
        self.embedding = nn.Embedding(7, 4, padding_idx=0)
        self.attention = nn.MultiheadAttention(4, 2)
        self.norm = nn.BatchNorm2d(6)
        self.layer_norm = nn.LayerNorm([3, 4])
        self.group_norm = nn.GroupNorm(2, 6)


def filters_of(name: str, tensor: np.ndarray) -> list[np.ndarray]:
    """Boolean masks of the filters of a parameter of `Zoo`: what makes one output channel, row or unit."""
    masks = []
    if tensor.ndim == 1 or "norm" in name:
        return [np.ones(tensor.shape, dtype=bool)]
    if (
        name == "grouped.weight"
    ):  # (in, out / groups, kH, kW): inputs 0, 1 make outputs 0-2, inputs 2, 3 outputs 3-5
        for group in range(2):
            for out in range(3):
                mask = np.zeros(tensor.shape, dtype=bool)
                mask[2 * group : 2 * group + 2, out] = True
                masks.append(mask)
        return masks
    for j in range(tensor.shape[1] if name == "transposed.weight" else tensor.shape[0]):
        mask = np.zeros(tensor.shape, dtype=bool)
        mask[(slice(None), j) if name == "transposed.weight" else j] = True
        masks.append(mask)
    return masks


def is_bias_or_norm(name: str) -> bool:
    return name.endswith("bias") or "norm" in name


def reference(
    gaussian: dict[str, np.ndarray], theta: dict[str, np.ndarray], normalization: str, include: bool
) -> dict[str, np.ndarray]:
    """Li et al. 2018, section 4, and its relatives, entry by entry."""
    result = {}
    for name, g in gaussian.items():
        t = theta[name]
        out = np.zeros_like(g)
        if include or not is_bias_or_norm(name):
            if normalization == "filter":
                for mask in filters_of(name, g):
                    out[mask] = g[mask] / np.sqrt((g[mask] ** 2).sum()) * np.sqrt((t[mask] ** 2).sum())
            elif normalization == "layer":
                out = g / np.sqrt((g**2).sum()) * np.sqrt((t**2).sum())
            elif normalization == "weight":
                out = g * np.abs(t)
            else:
                out = g
        result[name] = out
    if normalization == "model":
        present = np.sqrt(sum((out**2).sum() for out in result.values()))
        wanted = np.sqrt(sum((t**2).sum() for t in theta.values()))
        result = {name: out * wanted / present for name, out in result.items()}
    return result


@pytest.fixture
def zoo() -> nn.Module:
    torch.manual_seed(11)
    model = Zoo().double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
        model.embedding.weight[0] = 0.0
        model.conv.weight[4] = 0.0
    return model


def named(weights: Weights, flat: torch.Tensor) -> dict[str, np.ndarray]:
    return {name: view.numpy() for name, view in weights.layout.views(flat).items()}


@pytest.mark.parametrize("include", [False, True])
@pytest.mark.parametrize("normalization", ["filter", "layer", "model", "weight", "none"])
def test_normalization_is_numpys(zoo, normalization, include):
    weights = Weights.of(zoo)
    gaussian = named(
        weights,
        random_direction(weights, seed=2, index=1, normalization="none", include_bias_and_norm=True).flat,
    )
    got = named(
        weights,
        random_direction(
            weights, seed=2, index=1, normalization=normalization, include_bias_and_norm=include
        ).flat,
    )
    expected = reference(gaussian, named(weights, weights.flat), normalization, include)
    assert set(got) == set(expected)
    for name, entries in expected.items():
        np.testing.assert_allclose(got[name], entries, rtol=1e-12, atol=1e-300, err_msg=name)
        assert got[name].any() == (include or not is_bias_or_norm(name)), name


def test_every_filter_has_the_norm_of_the_weights_own(zoo):
    weights = Weights.of(zoo)
    theta = named(weights, weights.flat)
    delta = named(weights, random_direction(weights, seed=9, include_bias_and_norm=True).flat)
    for name, tensor in theta.items():
        for mask in filters_of(name, tensor):
            wanted = np.linalg.norm(tensor[mask])
            assert np.linalg.norm(delta[name][mask]) == pytest.approx(wanted, rel=1e-12), name


def test_a_filter_of_norm_zero_gets_direction_zero(zoo):
    weights = Weights.of(zoo)
    for normalization in ("filter", "weight"):
        delta = named(weights, random_direction(weights, normalization=normalization).flat)
        assert not delta["embedding.weight"][0].any()
        assert not delta["conv.weight"][4].any()
        assert delta["conv.weight"][3].all()
    with torch.no_grad():
        zoo.linear.weight.zero_()
    assert not named(Weights.of(zoo), random_direction(Weights.of(zoo), normalization="layer").flat)[
        "linear.weight"
    ].any()


@pytest.mark.parametrize("normalization", ["filter", "layer", "model", "weight", "none"])
def test_a_model_with_nothing_to_move_gets_direction_zero(normalization):
    weights = Weights.of(nn.LayerNorm(4))
    assert torch.equal(random_direction(weights, normalization=normalization).flat, torch.zeros(8))


def test_tied_layers_divide_into_the_filters_of_the_first():
    conv, back = nn.Conv2d(3, 4, 2, bias=False), nn.ConvTranspose2d(4, 3, 2, bias=False)
    back.weight = conv.weight
    weights = Weights.of(nn.Sequential(conv, back))
    delta = random_direction(weights).flat.view(4, 3, 2, 2)
    torch.testing.assert_close(delta.flatten(1).norm(dim=1), conv.weight.detach().flatten(1).norm(dim=1))


class Small(nn.Module):
    def __init__(self, depth: int, scale: float) -> None:
        super().__init__()
        for layer in range(depth):
            self.add_module(f"extra{layer}", nn.Linear(3, 3))
        self.shared = nn.Linear(4, 6)
        self.resized = nn.Linear(4, 6 + depth)
        with torch.no_grad():
            self.shared.weight.mul_(scale)


def test_a_direction_depends_on_seed_index_name_and_shape_alone():
    torch.manual_seed(1)
    first, second = Weights.of(Small(0, 1.0)), Weights.of(Small(3, 5.0))

    def entries(weights: Weights, name: str = "shared.weight", **settings: object) -> torch.Tensor:
        flat = random_direction(weights, normalization="none", include_bias_and_norm=True, **settings).flat
        return weights.layout.views(flat)[name]

    base = entries(first, seed=3, index=1)
    assert torch.equal(base, entries(second, seed=3, index=1)), "whatever else the architecture holds"
    torch.manual_seed(99)
    assert torch.equal(base, entries(first, seed=3, index=1)), "whatever the global seed"
    different = [
        entries(first, seed=4, index=1),
        entries(first, seed=3, index=0),
        entries(first, "resized.weight", seed=3, index=1),
    ]
    assert base.abs().max() > 0
    for other in different:
        assert abs(cosine(base.flatten(), other.flatten())) < 0.8
    turned = Weights.of(nn.ModuleDict({"shared": nn.Linear(6, 4)}))
    assert abs(cosine(base.flatten(), entries(turned, seed=3, index=1).flatten())) < 0.8, "the shape counts"


def test_the_global_generator_is_not_touched(mlp):
    before = torch.get_rng_state()
    random_direction(Weights.of(mlp()), seed=5)
    assert torch.equal(before, torch.get_rng_state())


def test_a_direction_takes_the_dtype_of_its_weights(mlp):
    model = mlp(dtype=torch.float64)
    wide = random_direction(Weights.of(model))
    narrow = random_direction(Weights.of(model.float()))
    assert (wide.flat.dtype, narrow.flat.dtype) == (torch.float64, torch.float32)
    torch.testing.assert_close(wide.flat.float(), narrow.flat, rtol=1e-5, atol=1e-6)


def test_an_unknown_normalization_is_refused(mlp):
    with pytest.raises(ValueError, match="must be one of filter, layer, model, weight, none, got 'filters'"):
        random_direction(Weights.of(mlp()), normalization="filters")


def test_cosine_against_numpy():
    a, b = np.random.default_rng(0).normal(size=(2, 9))
    expected = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
    assert cosine(torch.from_numpy(a), torch.from_numpy(b)) == pytest.approx(expected, rel=1e-12)
    assert cosine(torch.zeros(3), torch.ones(3)) is None


# --- directions that are not drawn


def angle_cosine(first: torch.Tensor, second: torch.Tensor) -> float:
    a, b = first.double().numpy(), second.double().numpy()
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def test_a_difference_leads_from_one_set_of_weights_to_the_other(mlp):
    start, end = Weights.of(mlp(0)), Weights.of(mlp(1))
    direction = difference(start, end)
    np.testing.assert_array_equal(direction.flat.numpy(), end.flat.numpy() - start.flat.numpy())
    assert direction.provenance == {"kind": "difference", "start": start.digest, "end": end.digest}
    with pytest.raises(ValueError, match="start and end must have the same parameters"):
        difference(start, Weights.of(mlp(bias=False)))


def test_a_given_vector_is_brought_to_unit_length():
    direction = given(torch.tensor([0.0, -3.0, 4.0]), "eigenvector", {"eigenvalue": -2.5, "kind": "mine"})
    np.testing.assert_allclose(direction.flat.numpy(), [0.0, -0.6, 0.8], rtol=1e-7)
    assert direction.provenance == {"kind": "eigenvector", "eigenvalue": -2.5, "given_norm": 5.0}
    tiny = given(torch.full((4,), 1e-30), "gradient", {})  # its square is below float32
    np.testing.assert_allclose(tiny.flat.numpy(), [0.5] * 4, rtol=1e-6)


@pytest.mark.parametrize("entry", [0.0, float("nan"), float("inf")])
def test_a_given_vector_without_length_is_refused_by_its_kind(entry):
    with pytest.raises(ValueError, match=r"of kind 'gradient' must be finite and not zero, got .* norm"):
        given(torch.full((3,), entry), "gradient", {})


def test_an_orthogonalised_direction_by_hand():
    """δ is far from unit length: without the division by its square the result is all but −δ (defect 4)."""
    delta = Direction(torch.tensor([30.0, 40.0, 0.0], dtype=torch.float64), {"kind": "mine"})
    eta = Direction(torch.tensor([1.0, 1.0, 1.0], dtype=torch.float64), {"kind": "other"})
    rest = np.array([1 - 0.84, 1 - 1.12, 1.0])  # ⟨η, δ⟩ / ‖δ‖² = 70 / 2500
    result = orthogonalised(eta, delta)
    np.testing.assert_allclose(result.flat, rest * np.sqrt(3 / (rest @ rest)), rtol=1e-14)
    assert result.provenance == {"kind": "other", "cosine_before": pytest.approx(7 / (5 * np.sqrt(3)))}
    assert delta.flat.tolist() == [30.0, 40.0, 0.0], "left as it was"
    assert eta.flat.tolist() == [1.0, 1.0, 1.0], "left as it was"


@pytest.mark.parametrize(
    ("dtype", "beside"),
    [(torch.float32, 1.0), (torch.float32, 1e-3), (torch.float32, 1e-5), (torch.float64, 1e-12)],
)
@pytest.mark.parametrize("scale", [1e-3, 50.0])
def test_orthogonal_to_one_millionth_also_where_they_were_all_but_parallel(dtype, beside, scale):
    rng = np.random.default_rng(3)
    first, noise = rng.normal(size=(2, 2000))
    delta = Direction(torch.from_numpy(scale * first).to(dtype), {})
    eta = Direction(torch.from_numpy(-0.3 * first + beside * noise).to(dtype), {})
    result = orthogonalised(eta, delta)
    assert abs(angle_cosine(result.flat, delta.flat)) < 1e-6
    assert result.norm == pytest.approx(eta.norm, rel=1e-6)
    assert result.flat.dtype == dtype
    expected = noise - (noise @ first) / (first @ first) * first
    # the entries of η were themselves rounded: relative to what is left, by eps / beside
    assert (
        angle_cosine(result.flat, torch.from_numpy(expected))
        > 1 - (torch.finfo(dtype).eps / beside) ** 2 - 1e-12
    )
    assert result.provenance["cosine_before"] == pytest.approx(angle_cosine(eta.flat, delta.flat), rel=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_cannot_be_made_orthogonal_is_refused(dtype):
    first = torch.from_numpy(np.random.default_rng(0).normal(size=500)).to(dtype)
    delta, zero = Direction(first, {}), Direction(torch.zeros(500, dtype=dtype), {})
    for factor in (1.0, -0.37, 1e4 / 3):
        with pytest.raises(ValueError, match="η must not be parallel to δ"):
            orthogonalised(Direction(factor * first, {}), delta)
    with pytest.raises(ValueError, match="η must be finite and not zero"):
        orthogonalised(zero, delta)
    with pytest.raises(ValueError, match="δ must be finite and not zero"):
        orthogonalised(delta, zero)
    with pytest.raises(ValueError, match="δ must be finite and not zero, got one of L2 norm inf"):
        orthogonalised(delta, Direction(first / 0.0, {}))
    with pytest.raises(ValueError, match=r"η must have the 500 entries of δ, got \(3,\)"):
        orthogonalised(Direction(first[:3], {}), delta)
