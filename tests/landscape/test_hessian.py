"""The mean loss as a function of weights, its second derivatives, and their eigenvalues.

Held against dense matrices by torch.func, against closed forms, and against diagonal matrices.
"""

import sys
from collections.abc import Callable
from itertools import islice

import numpy as np
import pytest
import torch
from scipy.sparse.linalg import LinearOperator, aslinearoperator
from torch import Tensor, nn
from torch.func import functional_call, hessian, jacrev

from study.landscape.eigenpairs import DENSE, dense, extreme_eigenvalues, top_eigenpairs
from study.landscape.hessian import Objective
from study.landscape.lanczos import lanczos
from study.landscape.weights import Weights

Networks = dict[str, tuple[nn.Module, Tensor, Tensor]]


def mean_loss_of(model: nn.Module, loss: Callable, inputs: Tensor, targets: Tensor) -> Callable:
    """The mean loss as a function of one flat vector, in one batch."""
    weights = Weights.of(model)
    parameters = weights.layout

    def of(flat: Tensor) -> Tensor:
        parts = flat.split([own.size for own in parameters.parameters])
        named = {
            own.name: part.view(own.shape) for own, part in zip(parameters.parameters, parts, strict=True)
        }
        return loss(functional_call(model, {**weights.buffers, **named}, (inputs,)), targets).mean()

    return of


@pytest.fixture
def networks(mlp, vectors, convnet, images) -> Networks:
    """In float64 and evaluation mode, with running statistics that are not the initial ones."""
    conv = convnet(norm=True).double()
    inputs, targets = images(37)
    conv(inputs.double())
    return {
        "mlp": (mlp(dtype=torch.float64).eval(), *vectors(37, dtype=torch.float64)),
        "conv": (conv.eval(), inputs.double(), targets),
    }


@pytest.mark.parametrize("name", ["mlp", "conv"])
@pytest.mark.parametrize("micro_batch", [1, 10, 37, 100])  # 37 examples: 10 leaves 7
def test_the_hessian_is_that_of_the_mean_whatever_the_micro_batches(
    networks, cross_entropy, name, micro_batch
):
    model, inputs, targets = networks[name]
    if micro_batch == 1:
        inputs, targets = inputs[:3], targets[:3]
    weights = Weights.of(model)
    operator = Objective(model, cross_entropy, inputs, targets, micro_batch).hessian(weights)
    expected = hessian(mean_loss_of(model, cross_entropy, inputs, targets))(weights.flat).numpy()
    vectors = np.random.default_rng(1).standard_normal((2, len(expected)))
    for vector in vectors:
        np.testing.assert_allclose(operator @ vector, expected @ vector, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["mlp", "conv"])
def test_gauss_newton_is_the_mean_of_jacobians_about_the_losses_own_hessian(networks, cross_entropy, name):
    model, inputs, targets = networks[name]
    weights = Weights.of(model)

    def outputs(flat: Tensor) -> Tensor:
        named = weights.layout.views(flat)
        return functional_call(model, {**weights.buffers, **named}, (inputs,))

    jacobian = jacrev(outputs)(weights.flat)  # (N, C, P)
    p = outputs(weights.flat).softmax(1)
    inner = torch.diag_embed(p) - p[:, :, None] * p[:, None, :]  # of cross-entropy, whatever the class
    expected = torch.einsum("ncp,ncd,ndq->pq", jacobian, inner, jacobian).numpy() / len(inputs)
    operator = Objective(model, cross_entropy, inputs, targets, 10).gauss_newton(weights)
    vector = np.random.default_rng(2).standard_normal(len(expected))
    np.testing.assert_allclose(operator @ vector, expected @ vector, rtol=1e-9, atol=1e-12)
    assert extreme_eigenvalues(operator).smallest > -1e-10


@pytest.mark.parametrize("name", ["mlp", "conv"])
@pytest.mark.parametrize("which", ["LA", "SA", "LM"])
def test_eigenpairs_are_those_of_the_dense_hessian(networks, cross_entropy, name, which):
    model, inputs, targets = networks[name]
    model, inputs = model.float(), inputs.float()
    weights = Weights.of(model)
    found = top_eigenpairs(Objective(model, cross_entropy, inputs, targets).hessian(weights), 3, which)
    exact = model.double()
    matrix = hessian(mean_loss_of(exact, cross_entropy, inputs.double(), targets))(weights.flat.double())
    values = np.linalg.eigvalsh(matrix.numpy())
    order = {"LA": -values, "SA": values, "LM": -abs(values)}[which]
    radius = abs(values).max()
    np.testing.assert_allclose(found.values, values[np.argsort(order)[:3]], atol=1e-3 * radius)
    if which == "LA":
        assert found.values[0] == pytest.approx(values[-1], rel=1e-3)
    np.testing.assert_allclose(found.vectors @ found.vectors.T, np.eye(3), atol=1e-3)
    left = found.vectors @ matrix.numpy() - found.values[:, None] * found.vectors
    np.testing.assert_allclose(np.linalg.norm(left, axis=1), found.residuals, atol=1e-5 * radius)
    assert found.residuals.max() < 1e-3 * radius


def test_least_squares_has_its_closed_form(least_squares):
    model = least_squares.model(least_squares.theta)
    ((inputs, targets),) = least_squares.data
    objective = Objective(model, least_squares.loss, inputs, targets, micro_batch=4)
    weights = Weights.of(model)
    second = 2 * np.kron(np.eye(2), least_squares.x.T @ least_squares.x / 11)
    np.testing.assert_allclose(dense(objective.hessian(weights)), second, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(dense(objective.gauss_newton(weights)), second, rtol=1e-12, atol=1e-12)
    value, gradient = objective.value_and_gradient(weights)
    assert value == pytest.approx(least_squares.value(least_squares.theta), rel=1e-12)
    assert objective.value(weights) == pytest.approx(value, rel=1e-12)
    x, y, theta = least_squares.x, least_squares.y, least_squares.theta
    np.testing.assert_allclose(
        gradient.numpy(), (2 * (x @ theta.T - y).T @ x / 11).ravel(), rtol=1e-11, atol=1e-12
    )


def test_a_scalar_mean_counts_by_its_examples(least_squares):
    model = least_squares.model(least_squares.theta)
    ((inputs, targets),) = least_squares.data
    weights = Weights.of(model)

    def scalar(outputs: Tensor, wanted: Tensor) -> Tensor:
        return least_squares.loss(outputs, wanted).mean()

    each, mean = (
        Objective(model, loss, inputs, targets, 4) for loss in (least_squares.loss, scalar)
    )  # 4, 4, 3
    np.testing.assert_allclose(dense(mean.hessian(weights)), dense(each.hessian(weights)), rtol=1e-12)
    np.testing.assert_allclose(
        dense(mean.gauss_newton(weights)), dense(each.gauss_newton(weights)), rtol=1e-12
    )
    torch.testing.assert_close(mean.gradient(weights), each.gradient(weights))
    assert mean.value(weights) == pytest.approx(each.value(weights), rel=1e-12)


def test_it_is_read_at_the_weights_given_with_their_buffers_and_without_dropout(convnet, images):
    inputs, targets = images(12)
    model = nn.Sequential(convnet(norm=True), nn.Dropout(0.5)).train()
    other = Weights.of(nn.Sequential(convnet(seed=3, norm=True), nn.Dropout(0.5)))
    other.buffers["0.1.running_mean"].fill_(0.3)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    modes = [layer.training for layer in model.modules()]
    loss = nn.functional.cross_entropy

    def broken(*_given: Tensor) -> Tensor:
        raise ArithmeticError("in the middle")

    objective = Objective(model, loss, inputs, targets, 5)
    state = torch.random.get_rng_state()
    first, again = objective.value_and_gradient(other), objective.value_and_gradient(other)
    products = [objective.hessian(other) @ np.ones(other.layout.size) for _ in range(2)]
    with pytest.raises(ArithmeticError):
        Objective(model, broken, inputs, targets, 5).gradient(other)
    with pytest.raises(ArithmeticError):
        Objective(model, broken, inputs, targets, 5).hessian(other) @ np.ones(other.layout.size)
    assert torch.equal(state, torch.random.get_rng_state())
    assert first[0] == again[0]
    np.testing.assert_array_equal(*products)
    assert [layer.training for layer in model.modules()] == modes
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert all(parameter.requires_grad and parameter.grad is None for parameter in model.parameters())
    own = nn.Sequential(convnet(seed=3, norm=True), nn.Dropout(0.5)).eval()
    own[0][1].running_mean.fill_(0.3)
    with torch.no_grad():
        assert first[0] == pytest.approx(float(loss(own(inputs), targets)), rel=1e-6)


def test_frozen_and_unused_parameters_have_their_place():
    model = nn.Linear(2, 1, bias=False, dtype=torch.float64)
    model.register_parameter("unused", nn.Parameter(torch.ones(2, dtype=torch.float64)))
    model.weight.requires_grad_(False)
    inputs = torch.tensor([[1.0, 2.0]], dtype=torch.float64)
    objective = Objective(model, lambda outputs, _targets: outputs[:, 0] ** 2, inputs, torch.zeros(1))
    weights = Weights.of(model)
    expected = np.zeros((4, 4))
    places = [own.name for own in weights.layout.parameters]
    at = 0 if places[0] == "weight" else 2
    expected[at : at + 2, at : at + 2] = [[2.0, 4.0], [4.0, 8.0]]
    np.testing.assert_allclose(dense(objective.hessian(weights)), expected, atol=1e-14)
    gradient = objective.gradient(weights)
    assert gradient.abs()[[0, 1] if at else [2, 3]].eq(0).all()
    assert not model.weight.requires_grad


def test_other_weights_and_other_dtypes_are_refused(mlp, vectors, cross_entropy):
    inputs, targets = vectors(8)
    objective = Objective(mlp(), cross_entropy, inputs, targets)
    with pytest.raises(ValueError, match="must have the parameters of the weights"):
        objective.hessian(Weights.of(mlp(bias=False)))
    mixed = mlp()
    mixed[0].double()
    with pytest.raises(ValueError, match=r"one dtype for products, got torch\.float32, torch\.float64"):
        Objective(mixed, cross_entropy, inputs, targets).hessian(Weights.of(mixed))
    with pytest.raises(ValueError, match="as many, and at least one, got 8 and 7"):
        Objective(mlp(), cross_entropy, inputs, targets[:7])
    with pytest.raises(ValueError, match="micro_batch must be at least 1, got 0"):
        Objective(mlp(), cross_entropy, inputs, targets, 0)
    with pytest.raises(ValueError, match=r"scalar or have shape \(8,\), one value an example"):
        Objective(mlp(), lambda outputs, _targets: outputs, inputs, targets).value(Weights.of(mlp()))


def test_a_missing_extra_is_named_with_its_remedy(mlp, vectors, cross_entropy, monkeypatch):
    monkeypatch.setitem(sys.modules, "curvlinops", None)
    objective = Objective(mlp(), cross_entropy, *vectors(8))
    weights = Weights.of(mlp())
    assert objective.gradient(weights).shape == (weights.layout.size,)  # needs none
    with pytest.raises(ImportError, match=r"pip install 'landscape-study\[hessian\]'"):
        objective.hessian(weights)


# Eigenvalues of matrices that are known


def diagonal(*values: float, size: int = 0) -> LinearOperator:
    """Of these values, and as many zeros as `size` asks for, turned by a fixed orthogonal matrix."""
    known = np.concatenate([values, np.zeros(max(0, size - len(values)))])
    turn = np.linalg.qr(np.random.default_rng(5).standard_normal((len(known), len(known))))[0]
    return aslinearoperator((turn * known) @ turn.T)


@pytest.mark.parametrize("size", [DENSE - 10, DENSE + 100])
@pytest.mark.parametrize(("which", "expected"), [("LA", [7, 3, 0]), ("SA", [-5, -2, 0]), ("LM", [7, -5, 3])])
def test_each_end_is_found_on_both_ways(size, which, expected):
    operator = diagonal(7, 3, -5, -2, size=size)
    found = top_eigenpairs(operator, 3, which)
    np.testing.assert_allclose(found.values, expected, atol=1e-3)
    assert found.residuals.max() < 1e-2
    largest = abs(found.vectors).argmax(axis=1)
    assert (np.take_along_axis(found.vectors, largest[:, None], 1) > 0).all()
    again = top_eigenpairs(operator, 3, which)
    np.testing.assert_array_equal(found.vectors, again.vectors)


def test_the_start_vector_is_the_seeds_and_the_pairs_are_not():
    operator = diagonal(7, 3, -5, -2, size=200)
    one, other = top_eigenpairs(operator, 2, seed=0), top_eigenpairs(operator, 2, seed=1)
    assert (one.vectors != other.vectors).any()
    np.testing.assert_allclose(one.vectors, other.vectors, atol=1e-3)


def test_more_than_there_are_are_all_of_them():
    found = top_eigenpairs(diagonal(4.0, -1.0, 2.0), 9)
    np.testing.assert_allclose(found.values, [4, 2, -1], atol=1e-12)
    assert found.vectors.shape == (3, 3)


@pytest.mark.parametrize("size", [DENSE - 10, DENSE + 100])
def test_the_extremes_are_the_ends_and_say_what_they_took(size):
    calls = [0]
    known = diagonal(7, 3, -5, -2, size=size)

    def product(vector: np.ndarray) -> np.ndarray:
        calls[0] += 1
        return known @ vector

    operator = LinearOperator(known.shape, matvec=product, dtype=np.float64)
    found = extreme_eigenvalues(operator)
    assert (found.smallest, found.largest) == pytest.approx((-5, 7), abs=7e-3)
    assert found.ratio == pytest.approx(5 / 7, rel=3e-3)
    assert found.products == calls[0]
    if size > DENSE:
        assert found.products < 15
        assert found.residual <= 7e-3
        loose = extreme_eigenvalues(operator, tolerance=0.3)
        assert loose.products < found.products
        stopped = extreme_eigenvalues(operator, most_products=2)
        assert stopped.products == 2
        assert stopped.residual > 7e-3
        calls[0] = 0
        assert top_eigenpairs(operator, 2).products == calls[0]


@pytest.mark.parametrize("seed", range(10))
def test_a_small_negative_end_is_found_behind_the_many_eigenvalues_at_zero(seed):
    size = 20_000
    rng = np.random.default_rng(seed)
    bulk = 1e-3 * rng.standard_normal(size - 8)
    known = np.concatenate([[4.6, 3.1, 2.2, 0.9, 0.4, -0.075, -0.05, -0.02], bulk])
    operator = LinearOperator((size, size), matvec=lambda vector: known * vector, dtype=np.float64)
    found = extreme_eigenvalues(operator, seed, tolerance=0.01)
    assert found.largest == pytest.approx(4.6, abs=0.046)
    assert found.smallest == pytest.approx(-0.075, abs=0.046)
    assert found.products < 40


def test_the_ratio_of_nothing_is_undefined():
    assert np.isnan(extreme_eigenvalues(diagonal(0.0)).ratio)
    assert extreme_eigenvalues(diagonal(0.0, -2.0)).ratio == np.inf


@pytest.mark.parametrize("size", [DENSE - 10, DENSE + 100])
def test_zero_and_not_finite_matrices_are_what_they_are(size):
    nothing = aslinearoperator(np.zeros((size, size)))
    assert top_eigenpairs(nothing, 2).values.tolist() == [0, 0]
    ends = extreme_eigenvalues(nothing)
    assert (ends.smallest, ends.largest) == (0, 0)
    broken = LinearOperator((size, size), matvec=lambda vector: vector * np.nan, dtype=np.float64)
    assert np.isnan(top_eigenpairs(broken, 2).values).all()
    assert np.isnan(extreme_eigenvalues(broken).largest)


@pytest.mark.parametrize(
    ("k", "which", "words"), [(0, "LA", "k must be at least 1, got 0"), (1, "BE", "which must be one of LA")]
)
def test_what_cannot_be_asked_for_is_refused(k, which, words):
    with pytest.raises(ValueError, match=words):
        top_eigenpairs(diagonal(1.0, 2.0), k, which)


def test_lanczos_ends_where_the_start_vector_reaches_no_further():
    """Two eigenvectors in the start vector: two steps give both eigenvalues, and their shares."""
    start = np.array([3.0, 0.0, 4.0, 0.0])
    steps = list(islice(lanczos(aslinearoperator(np.diag([2.0, 9.0, 5.0, 1.0])), start), 4))
    assert len(steps) == 2
    values, vectors = steps[-1].eigenpairs()
    np.testing.assert_allclose(values, [2, 5])
    np.testing.assert_allclose(vectors[0] ** 2, [9 / 25, 16 / 25])
