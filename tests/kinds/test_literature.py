"""The kinds of the literature in whole runs, each held against weights and losses known otherwise."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load, save_file
from torch import Tensor
from torch.func import functional_call, hessian
from torch.nn import functional

from study import build
from study import run as run_module
from study.config import StudyConfig
from study.errors import ConfigError
from study.kinds import curve as curve_kind
from study.landscape.result import Landscape
from study.prepare import prepare
from study.record import Record
from study.run import Outcome
from study.saved import saved_data, saved_model
from study.source import TRAINING, checkpoint_name
from study.training.checkpoints import decode_weights, load_weights
from study.training.loop import mean_loss

Start = Callable[..., Outcome]
WHOLE = "landscape.{0}.examples=null"


def one(kind: str, *keys: str) -> tuple[str, ...]:
    """Overrides for a single landscape of a kind that reads every training example."""
    return (f"landscape=[{kind}]", WHOLE.format(kind), *(f"landscape.{kind}.{key}" for key in keys))


def seen(outcome: Outcome, name: str) -> Landscape:
    return Landscape.from_bytes(outcome.record.read(f"landscapes/{name}.npz"))


def states(record: Record) -> dict[int, dict[str, Tensor]]:
    updates = record.read_json(TRAINING)["checkpoints"]
    return {update: decode_weights(record.read(checkpoint_name(update)))[0] for update in updates}


def flat(state: dict[str, Tensor]) -> np.ndarray:
    return np.concatenate([tensor.double().numpy().ravel() for tensor in state.values()])


def loss_of(record: Record, state: dict[str, Tensor]) -> float:
    """Mean cross-entropy over the training split, by the training loop."""
    data = build.data_set(saved_data(record))
    model = build.model(saved_model(record), data, 0, "cpu")
    load_weights(model, state)
    return mean_loss(model, data.train, 100, data.task).loss


def moved(state: dict[str, Tensor], step: np.ndarray) -> dict[str, Tensor]:
    """The state with a vector added, whose entries are in the state's order."""
    parts = torch.from_numpy(step).split([tensor.numel() for tensor in state.values()])
    return {
        name: (tensor.double() + part.view(tensor.shape)).float()
        for (name, tensor), part in zip(state.items(), parts, strict=True)
    }


def reached(outcome: Outcome) -> float:
    """The training loss at the end of a run, by its own training loop."""
    return outcome.record.latest()["train/loss"]


@pytest.fixture
def trained(start: Start, plain_pictures: None) -> Callable[[int], Outcome]:
    """A run without landscapes, by its seed."""
    return lambda seed, *more: start(f"seed={seed}", *more, looks=())


# The optimiser's path


@pytest.mark.parametrize("center", ["solution", "mean"])
def test_a_trajectory_has_the_checkpoints_own_losses_and_those_of_their_projections(
    center: str, start: Start, plain_pictures: None
):
    """By principal components from NumPy's SVD of the checkpoints, and losses from the training loop."""
    own = one("trajectory", f"center={center}", "points=3", "beta_points=4")
    outcome = start(*own, "training.epochs=6", looks=())
    landscape, record = seen(outcome, "trajectory"), outcome.record
    kept = states(record)
    matrix = np.stack([flat(state) for state in kept.values()])
    about = matrix[-1] if center == "solution" else matrix.mean(axis=0)
    _left, singular, rows = np.linalg.svd(matrix - about, full_matrices=False)
    path = landscape.companions["path"]
    assert path.axes["update"].tolist() == list(kept)
    offsets = matrix - matrix[-1]
    projected = offsets @ rows[:2].T @ rows[:2]
    for at, (update, state) in enumerate(kept.items()):
        assert path.values["train/loss"][at] == pytest.approx(loss_of(record, state), rel=1e-6)
        there = loss_of(record, moved(kept[max(kept)], projected[at]))
        assert path.values["train/loss_at_projection"][at] == pytest.approx(there, rel=1e-4), update
    np.testing.assert_allclose(
        path.values["distance"], np.linalg.norm(offsets - projected, axis=1), atol=2e-5
    )
    place = np.stack([path.values["alpha"], path.values["beta"]], axis=1)
    np.testing.assert_allclose(np.abs(place), np.abs(offsets @ rows[:2].T), atol=2e-5)
    shares = singular**2 / (singular**2).sum()
    measures = record.latest()
    for component in (1, 2):
        explained = measures[f"trajectory/train/explained_{component}_about_{center}"]
        assert explained == pytest.approx(shares[component - 1], rel=1e-5)
    assert landscape.shape == (3, 4)
    assert measures["trajectory/train/self_check"] == 0.0
    gaps = np.abs(path.values["train/loss"] - path.values["train/loss_at_projection"])
    assert measures["trajectory/train/largest_projection_gap"] == gaps.max()


def test_the_path_of_a_network_with_batch_normalization_keeps_each_checkpoints_statistics(
    start: Start, plain_pictures: None
):
    outcome = start(*one("trajectory", "points=2"), "model.norm=batch", looks=())
    path = seen(outcome, "trajectory").companions["path"]
    for at, state in enumerate(states(outcome.record).values()):
        assert path.values["train/loss"][at] == pytest.approx(loss_of(outcome.record, state), rel=1e-6)


def test_a_trajectory_needs_the_run_and_three_checkpoints(
    start: Start, tiny: Callable[..., StudyConfig], plain_pictures: None
):
    with pytest.raises(ConfigError, match="at least 3 checkpoints"):
        start(*one("trajectory", "points=2"), "training.epochs=1", looks=())


# Between minima


def test_the_line_between_two_runs_has_each_ones_own_loss_at_its_end(
    start: Start, trained: Callable[..., Outcome]
):
    other = trained(1)
    outcome = start(*one("minima", f"end={other.record.config_hash}", "points=3"), looks=())
    landscape = seen(outcome, "minima")
    assert list(landscape.points) == ["solution", "end"]
    for name, of in (("solution", outcome), ("end", other)):
        assert landscape.points[name].values["train/loss"] == pytest.approx(reached(of), rel=1e-6)
    assert outcome.record.latest()["minima/train/self_check"] == 0.0


def test_two_named_ends_are_joined_whatever_the_run_itself_is(start: Start, trained: Callable[..., Outcome]):
    first, second = trained(1), trained(2)
    ends = (f"start={first.record.config_hash}", f"end={second.record.config_hash}@4", "points=3")
    outcome = start(*one("minima", *ends), "seed=3", looks=())
    landscape = seen(outcome, "minima")
    assert list(landscape.points) == ["start", "end"]
    assert landscape.points["start"].values["train/loss"] == pytest.approx(reached(first), rel=1e-6)
    early = loss_of(second.record, states(second.record)[4])
    assert landscape.points["end"].values["train/loss"] == pytest.approx(early, rel=1e-6)
    measures = outcome.record.latest()
    assert measures["minima/train/self_check"] == 0.0
    assert measures["minima/train/self_check_training"] <= 1e-6


@pytest.mark.parametrize("model", ["model.norm=none", "model.norm=batch"])
def test_matched_units_bring_the_ends_closer_and_leave_their_losses(
    model: str, start: Start, trained: Callable[..., Outcome]
):
    other = trained(1, model)
    keys = (f"end={other.record.config_hash}", "align=true", "points=3")
    outcome = start(*one("minima", *keys), model, looks=())
    about = seen(outcome, "minima").provenance
    assert about["matching"]["distance_after"] < about["matching"]["distance_before"]
    assert about["distance"] == pytest.approx(about["matching"]["distance_after"], rel=1e-5)
    end = seen(outcome, "minima").points["end"].values["train/loss"]
    if model.endswith("none"):
        assert end == pytest.approx(reached(other), rel=1e-5)
    stored = start(*one("minima", *keys, "batch_statistics=interpolated"), model, looks=())
    end = seen(stored, "minima").points["end"].values["train/loss"]
    assert end == pytest.approx(reached(other), rel=1e-5)


def test_a_run_is_the_same_by_whatever_words_another_is_named(
    tiny: Callable[..., StudyConfig], trained: Callable[..., Outcome]
):
    other = trained(1).record
    file = other.path / checkpoint_name(max(states(other)))
    named = [
        prepare(tiny(*one("minima", f"end={words}"), looks=()), {}).identity.config_hash
        for words in (other.config_hash, other.config_hash[:9], f"{other.config_hash}@6", str(file))
    ]
    assert len(set(named)) == 1
    elsewhere = prepare(tiny(*one("minima", f"end={other.config_hash}@2"), looks=()), {})
    assert elsewhere.identity.config_hash != named[0]


def test_what_cannot_be_joined_is_refused_with_its_key(
    tiny: Callable[..., StudyConfig], trained: Callable[..., Outcome]
):
    def refused(*keys: str) -> str:
        with pytest.raises(ConfigError) as caught:
            prepare(tiny(*one("minima", *keys), looks=()), {})
        return str(caught.value)

    wider = trained(1, "model.widths=[9]")
    assert "landscape.minima.end must name one run" in refused("end=abc")
    assert "landscape.minima.end must be weights of this network" in refused(
        f"end={wider.record.config_hash}"
    )
    assert "landscape.minima.end must be other weights than landscape.minima.start" in refused("end=null")
    assert "landscape.minima.end must be a file that exists" in refused("end=none.safetensors")


def test_three_solutions_are_found_again_at_their_own_coordinates(
    start: Start, trained: Callable[..., Outcome]
):
    others = [trained(seed) for seed in (1, 2)]
    names = [f"{key}={of.record.config_hash}" for key, of in zip(("second", "third"), others, strict=True)]
    outcome = start(*one("three_points", *names, "points=3", "beta_points=4"), looks=())
    landscape = seen(outcome, "three_points")
    vectors = [flat(states(of.record)[max(states(of.record))]) for of in (outcome, *others)]
    places = [np.array(point.coordinates) for point in landscape.points.values()]
    for (name, point), of in zip(landscape.points.items(), (outcome, *others), strict=True):
        assert point.values["train/loss"] == pytest.approx(reached(of), rel=1e-6), name
    for i, j in ((0, 1), (0, 2), (1, 2)):
        apart = np.linalg.norm(vectors[i] - vectors[j])
        assert np.linalg.norm(places[i] - places[j]) == pytest.approx(apart, rel=1e-5)
    alpha, beta = landscape.axes.values()
    assert all(alpha[0] < at[0] < alpha[-1] and beta[0] < at[1] < beta[-1] for at in places)
    assert landscape.shape == (3, 4)


@pytest.mark.parametrize("form", ["bezier", "chain"])
def test_a_curve_stands_beside_the_straight_line_and_its_bend_is_kept(
    form: str, start: Start, trained: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
):
    other = trained(1)
    end = f"end={other.record.config_hash}"
    own = one("curve", end, f"form={form}", "points=5", "steps=30", "batch_size=16")
    outcome = start(*own, looks=())
    curve = seen(outcome, "curve")
    straight = curve.companions["straight line"]
    line = seen(start(*one("minima", end, "points=5", "alpha_range=[0,1]"), looks=()), "minima")
    np.testing.assert_allclose(straight.values["train/loss"], line.values["train/loss"], rtol=1e-6)
    for name, of in (("solution", outcome), ("end", other)):
        for landscape in (curve, straight):
            assert landscape.points[name].values["train/loss"] == pytest.approx(reached(of), rel=1e-6)
    measures = outcome.record.latest()
    assert measures["curve/train/straight_barrier"] == pytest.approx(
        max(line.values["train/loss"] - np.linspace(reached(outcome), reached(other), 5)), abs=1e-5
    )
    assert measures["curve/train/length"] >= measures["curve/train/distance"]
    kept = load(outcome.record.read("landscapes/curve.bend.safetensors"))["losses"].numpy()
    assert len(kept) == 30
    assert measures["curve/train/first_bend_loss"] == pytest.approx(kept[:3].mean())
    assert measures["curve/train/last_bend_loss"] == pytest.approx(kept[-3:].mean())

    def never(*_rest: Any, **_settings: Any) -> None:
        raise AssertionError("the bend was trained again")

    monkeypatch.setattr(curve_kind, "find_curve", never)
    for name in ("landscapes/curve.npz", "landscapes/curve.json"):
        outcome.record.remove(name)
    again = start(*own, looks=())
    assert seen(again, "curve").to_bytes() == curve.to_bytes()


# By the Hessian


@pytest.fixture
def smooth(
    compose: Callable[..., StudyConfig],
    arguments: Callable[..., list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Start:
    """Starts a run of a network without kinks: the curvature that ReLUs have together is in no Hessian."""
    (tmp_path / "own_smooth.py").write_text(
        "from torch import nn\n"
        "def net(input_shape, num_classes):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(64, 6), nn.Tanh(), nn.Linear(6, num_classes))\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))

    def go(*overrides: str) -> Outcome:
        shared = [override for override in arguments(looks=()) if not override.startswith("model")]
        own = ("model=custom", "model.path=own_smooth:net", "training.epochs=8")
        return run_module.run(prepare(compose(*shared, *own, *overrides), {}))

    return go


def dense_hessian(record: Record, state: dict[str, Tensor]) -> np.ndarray:
    """Of the mean cross-entropy over the training split, in float64, entries in the state's order."""
    data = build.data_set(saved_data(record))
    model = build.model(saved_model(record), data, 0, "cpu").double().eval()
    names, sizes = list(state), [tensor.numel() for tensor in state.values()]

    def loss(vector: Tensor) -> Tensor:
        parts = vector.split(sizes)
        given = {name: part.view(state[name].shape) for name, part in zip(names, parts, strict=True)}
        logits = functional_call(model, given, (data.train.inputs.double(),))
        return functional.cross_entropy(logits, data.train.targets)

    return hessian(loss)(torch.from_numpy(flat(state))).detach().numpy()


def solution(record: Record) -> dict[str, Tensor]:
    kept = states(record)
    return kept[max(kept)]


@pytest.mark.parametrize(("which", "places"), [("top", (-1, -2)), ("extremes", (-1, 0))])
def test_the_plane_of_eigenvectors_has_the_dense_hessians_eigenvalues(
    which: str, places: tuple[int, int], smooth: Start, plain_pictures: None
):
    own = one("hessian_plane", f"eigenvectors={which}", "alpha_range=[-0.05,0.05]", "points=3")
    outcome = smooth(*own)
    exact = np.linalg.eigvalsh(dense_hessian(outcome.record, solution(outcome.record)))
    measures = outcome.record.latest()
    for axis, place in zip(("alpha", "beta"), places, strict=True):
        found = measures[f"hessian_plane/train/eigenvalue_{axis}"]
        assert found == pytest.approx(exact[place], abs=1e-3 * exact[-1])
    measured = measures["hessian_plane/train/curvature_alpha"]
    assert measured == pytest.approx(exact[-1], rel=0.05)
    line = seen(outcome, "hessian_plane").companions["alpha"]
    np.testing.assert_allclose(line.values["train/quadratic"], line.values["train/loss"], rtol=2e-3)
    assert measures["hessian_plane/train/self_check"] == 0.0


def test_the_map_of_eigenvalue_ratios_is_the_dense_hessians_at_its_points(start: Start, plain_pictures: None):
    own = one("hessian_map", "points=2", "beta_points=3", "eigenvalue_tolerance=1e-4", "normalization=none")
    outcome = start(*own, "model.widths=[4]", "landscape.hessian_map.alpha_range=[-0.1,0.3]", looks=())
    landscape, record = seen(outcome, "hessian_map"), outcome.record
    exact = np.linalg.eigvalsh(dense_hessian(record, solution(record)))
    center = landscape.points["solution"].values
    assert center["train/largest_eigenvalue"] == pytest.approx(exact[-1], rel=1e-3)
    assert center["train/eigenvalue_ratio"] == pytest.approx(abs(exact[0] / exact[-1]), rel=1e-2, abs=1e-4)
    assert landscape.values["train/eigenvalue_ratio"].shape == (2, 3)
    assert np.isfinite(landscape.values["train/eigenvalue_ratio"]).all()
    assert record.latest()["hessian_map/train/largest_ratio"] >= center["train/eigenvalue_ratio"]


def test_the_map_is_resumed_point_by_point(
    start: Start, plain_pictures: None, monkeypatch: pytest.MonkeyPatch
):
    from study.landscape.eigenvalues import EigenvalueReader

    own = (*one("hessian_map", "points=2", "beta_points=2"), "model.widths=[3]")
    calls, at = [], EigenvalueReader.at

    def dying(reader: EigenvalueReader, weights: Any) -> dict[str, float]:
        calls.append(weights)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return at(reader, weights)

    monkeypatch.setattr(EigenvalueReader, "at", dying)
    with pytest.raises(KeyboardInterrupt):
        start(*own, looks=())
    outcome = start(*own, looks=())
    assert len(calls) == 3 + (5 - 2)  # the centre and four cells, two of which were found
    undisturbed = start(*own, "reuse=false", looks=())
    assert seen(outcome, "hessian_map").to_bytes() == seen(undisturbed, "hessian_map").to_bytes()


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("tolerance=0.1", "tolerance must be null"),
        ("batch_statistics=recomputed", "batch_statistics must be frozen"),
        ("directions=[gaussian]", "directions must have 2 entries on a plane"),
    ],
)
def test_what_a_map_cannot_have_is_refused(key: str, words: str, tiny: Callable[..., StudyConfig]):
    with pytest.raises(ConfigError, match=words):
        tiny(*one("hessian_map", key), looks=())


# Directions


def test_a_difference_leads_back_to_the_initialisation(start: Start, plain_pictures: None):
    outcome = start(*one("line", "directions=[difference]", "alpha_range=[-1,1]", "points=3"), looks=())
    first = loss_of(outcome.record, states(outcome.record)[0])
    assert seen(outcome, "line").values["train/loss"][0] == pytest.approx(first, rel=1e-5)


def test_the_slope_along_the_gradient_is_its_norm(start: Start, plain_pictures: None):
    outcome = start(*one("line", "directions=[gradient]", "alpha_range=[-0.01,0.01]", "points=3"), looks=())
    landscape = seen(outcome, "line")
    (own,) = landscape.provenance["directions"]
    low, _center, high = landscape.values["train/loss"]
    assert (high - low) / 0.02 == pytest.approx(own["given_norm"], rel=1e-2)
    assert own["norm"] == pytest.approx(1.0, rel=1e-6)


def test_the_curvature_along_an_eigenvector_is_its_eigenvalue(smooth: Start, plain_pictures: None):
    keys = ("directions=['eigenvector:2']", "alpha_range=[-0.03,0.03]", "points=3")
    outcome = smooth(*one("line", *keys))
    exact = np.linalg.eigvalsh(dense_hessian(outcome.record, solution(outcome.record)))
    low, center, high = seen(outcome, "line").values["train/loss"]
    assert (low - 2 * center + high) / 0.03**2 == pytest.approx(exact[-2], rel=0.1)


def test_a_direction_from_a_file_moves_the_weights_by_it(
    start: Start, trained: Callable[..., Outcome], tmp_path: Path, tiny: Callable[..., StudyConfig]
):
    state = solution(trained(0).record)
    generator = torch.Generator().manual_seed(0)
    step = {name: torch.randn(tensor.shape, generator=generator) for name, tensor in state.items()}
    file = tmp_path / "mine.safetensors"
    save_file(step, file)
    own = one("line", f"directions=['{file}']", "alpha_range=[0,0.5]", "points=2")
    outcome = start(*own, looks=())
    there = loss_of(outcome.record, moved(state, 0.5 * flat(step)))
    assert seen(outcome, "line").values["train/loss"][1] == pytest.approx(there, rel=1e-5)
    before = prepare(tiny(*own, looks=()), {}).identity.config_hash
    save_file({name: 2 * tensor for name, tensor in step.items()}, file)
    assert prepare(tiny(*own, looks=()), {}).identity.config_hash != before
    save_file({"mine": torch.zeros(3)}, file)
    with pytest.raises(
        ConfigError, match=r"landscape\.line\.directions must be a direction for this network"
    ):
        prepare(tiny(*own, looks=()), {})


def test_an_orthogonal_plane_has_axes_without_a_cosine(start: Start, plain_pictures: None):
    keys = ("directions=[gradient,gaussian]", "orthogonal=true", "points=2")
    about = seen(start(*one("contour", *keys), looks=()), "contour").provenance
    assert about["cosine"] == pytest.approx(0.0, abs=1e-6)
    gram = np.array(about["gram"])
    np.testing.assert_allclose(
        np.sqrt(np.diag(gram)), [own["norm"] for own in about["directions"]], rtol=1e-6
    )
    assert abs(gram[0, 1]) <= 1e-6 * np.sqrt(gram[0, 0] * gram[1, 1])
    json.dumps(about, allow_nan=False)


@pytest.mark.parametrize("text", ["gauss", "eigenvector:0", "eigenvector:-2", "mine.pt", ""])
def test_a_direction_that_is_none_is_refused(text: str, tiny: Callable[..., StudyConfig]):
    with pytest.raises(ConfigError, match=r"landscape\.line\.directions must be gaussian, difference"):
        tiny(*one("line", f"directions=['{text}']"), looks=())


def test_a_difference_needs_a_run(
    start: Start, trained: Callable[..., Outcome], tiny: Callable[..., StudyConfig], tmp_path: Path
):
    file = tmp_path / "lone.safetensors"
    save_file(solution(trained(0).record), file)
    with pytest.raises(ConfigError, match="needs its initialisation"):
        prepare(tiny(*one("line", "directions=[difference]"), f"checkpoint={file}", looks=()), {})


def test_kept_tensors_are_made_with_the_training_threads(start: Start, plain_pictures: None, monkeypatch):
    """Their bits depend on the number of threads, and that of evaluation is no part of what a run is."""
    counted = []
    keep = run_module.kept

    def counting(*rest: Any) -> dict[str, Tensor]:
        *first, make = rest
        return keep(*first, lambda: (counted.append(torch.get_num_threads()), make())[1])

    monkeypatch.setattr(run_module, "kept", counting)
    keys = ("directions=['eigenvector']", "points=2")
    start(*one("line", *keys), "training.threads=1", "evaluation.threads=2", looks=())
    assert counted == [1]
