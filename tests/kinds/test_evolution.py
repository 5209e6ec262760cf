"""The planes about the checkpoints of a training: where they lie, what is read there, what is drawn."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from torch import Tensor, nn

import study.look
from study import build
from study.analysis.measures import basin_extent
from study.config import StudyConfig
from study.errors import ConfigError
from study.kinds import KINDS, Trained
from study.kinds.evolution_drawing import EvolutionDrawing
from study.landscape.directions import Gaussian
from study.landscape.result import Landscape, Point, Status
from study.landscape.weights import Layout, Weights
from study.prepare import prepare
from study.resolve import composed, typed
from study.run import Outcome
from study.saved import saved_data, saved_model
from study.self_checks import worst_checks
from study.source import checkpoints
from study.training.checkpoints import load_weights
from study.training.data import DataSet
from study.training.loop import mean_loss

Start = Callable[..., Outcome]
State = dict[str, Tensor]
OWN = (
    "landscape=[evolution]",
    "landscape.evolution.points=3",
    "landscape.evolution.beta_points=4",
    "landscape.evolution.examples=null",
)
ALPHA, BETA = np.linspace(-2.0, 2.0, 41), np.linspace(-2.0, 2.0, 21)


def seen(outcome: Outcome) -> Landscape:
    return Landscape.from_bytes(outcome.record.read("landscapes/evolution.npz"))


def network_of(outcome: Outcome) -> tuple[nn.Module, DataSet]:
    """The network of a run, and its data."""
    data = build.data_set(saved_data(outcome.record))
    return build.model(saved_model(outcome.record), data, 0, "cpu"), data


def loss_of(outcome: Outcome, state: State) -> float:
    """The training loss of a state, by the training loop."""
    model, data = network_of(outcome)
    load_weights(model, state)
    return mean_loss(model, data.train, 64, data.task).loss


def stepped(outcome: Outcome, state: State, scaled_to: State, alpha: float, beta: float) -> State:
    """θ + α δ + β η, row by row: each row of a Gaussian matrix gets the norm of that row of the weights."""
    moved = {name: tensor.clone() for name, tensor in state.items()}
    for parameter in Layout.of(network_of(outcome)[0]).parameters:
        if len(parameter.shape) < 2:
            continue
        for index, step in enumerate((alpha, beta)):
            drawn = Gaussian(0, index, False).entries(parameter)
            norms = scaled_to[parameter.name].double().norm(dim=1) / drawn.norm(dim=1)
            moved[parameter.name] += (step * norms[:, None] * drawn).float()
    return moved


@pytest.mark.parametrize("scaled", ["checkpoint", "solution"])
def test_each_plane_has_the_losses_about_its_own_checkpoint(
    scaled: str, start: Start, plain_pictures: None
) -> None:
    """Steps made by hand, row by row, and losses from the training loop."""
    outcome = start(*OWN, f"landscape.evolution.normalized_to={scaled}", looks=())
    landscape, states = seen(outcome), checkpoints(outcome.record, None)
    assert list(states) == landscape.provenance["updates"] == [0, 2, 4, 6]
    assert list(landscape.companions) == ["update_0", "update_2", "update_4"]
    assert landscape.provenance["updates_per_epoch"] == 2
    planes = {**{int(name[7:]): own for name, own in landscape.companions.items()}, 6: landscape}
    for update, plane in planes.items():
        assert plane.shape == (3, 4)
        norms = states[update] if scaled == "checkpoint" else states[6]
        for row, column in ((0, 3), (2, 1)):
            at = plane.axes["alpha"][row], plane.axes["beta"][column]
            expected = loss_of(outcome, stepped(outcome, states[update], norms, *at))
            assert plane.values["train/loss"][row, column] == pytest.approx(expected, rel=1e-5)
        ((name, centre),) = plane.points.items()
        assert name == {0: "initialisation", 6: "solution"}.get(update, f"update {update}")
        assert centre.values["train/loss"] == pytest.approx(loss_of(outcome, states[update]), rel=1e-6)
    measures = outcome.record.latest()
    for check in ("self_check", "self_check_repeated", "self_check_model"):
        assert measures[f"evolution/train/{check}"] == 0.0
    assert measures["evolution/train/self_check_training"] <= 1e-6


def test_the_plane_about_the_solution_is_the_contour_of_the_same_settings(
    start: Start, plain_pictures: None
) -> None:
    outcome = start(
        "landscape=[evolution,contour]",
        *(f"landscape.{kind}.points=5" for kind in ("evolution", "contour")),
        *(f"landscape.{kind}.direction_seed=3" for kind in ("evolution", "contour")),
        *(f"landscape.{kind}.orthogonal=true" for kind in ("evolution", "contour")),
        looks=(),
    )
    contour = Landscape.from_bytes(outcome.record.read("landscapes/contour.npz"))
    for name, values in seen(outcome).values.items():
        np.testing.assert_array_equal(values, contour.values[name])
    measures = outcome.record.latest()
    for measure in KINDS["contour"].measured:
        found = [measures.get(f"{kind}/train/{measure}") for kind in ("evolution", "contour")]
        assert found[0] == found[1]
    assert measures["evolution/train/basin_width"] > 0


def test_checkpoints_keep_their_own_running_statistics(start: Start, plain_pictures: None) -> None:
    outcome = start(*OWN, "model.norm=batch", "landscape.evolution.checkpoints=3", looks=())
    states = checkpoints(outcome.record, None)
    assert seen(outcome).provenance["updates"] == [0, 4, 6]
    (_first, middle) = seen(outcome).companions.values()
    assert middle.points["update 4"].values["train/loss"] == pytest.approx(
        loss_of(outcome, states[4]), rel=1e-6
    )
    assert outcome.record.latest()["evolution/train/self_check"] == 0.0


def test_a_plane_before_the_solution_that_is_off_fails_the_self_check(
    start: Start, plain_pictures: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluate = study.look.evaluate

    def off(*arguments: Any, **settings: Any) -> Landscape:
        found = evaluate(*arguments, **settings)
        for name, point in found.points.items():
            point.values["train/loss"] += 0.25 * (name == "update 2")
        return found

    monkeypatch.setattr(study.look, "evaluate", off)
    outcome = start(*OWN, looks=())
    assert outcome.record.latest()["evolution/train/self_check"] == pytest.approx(0.25)
    assert outcome.record.read_json("state.json")["tags"]["self_check_failed"]


def test_the_worst_of_a_landscape_and_its_companions_counts() -> None:
    own = {"train/self_check": 0.0, "train/self_check_repeated": 2.0, "train/batch_statistics_gap": 1.0}
    other = {"train/self_check": np.nan, "train/self_check_repeated": 1.0, "train/batch_statistics_gap": 3.0}
    found = worst_checks(own, other)
    assert np.isnan(found.pop("train/self_check"))
    assert found == {"train/self_check_repeated": 2.0, "train/batch_statistics_gap": 1.0}
    assert np.isnan(worst_checks(other, own)["train/self_check"])


def test_directions_of_other_kinds_are_the_solutions_everywhere(start: Start, plain_pictures: None) -> None:
    """A difference is as long as the way from the initialisation: at α = 1 about θ₀ lies θ*."""
    own = ("landscape.evolution.directions=[difference,gaussian]", "landscape.evolution.beta_points=3")
    landscape = seen(start(*OWN, *own, looks=()))
    at_solution = landscape.points["solution"].values["train/loss"]
    first = landscape.companions["update_0"]
    assert (first.axes["alpha"][2], first.axes["beta"][1]) == (1.0, 0.0)
    assert first.values["train/loss"][2, 1] == pytest.approx(at_solution, rel=1e-5)


@pytest.mark.parametrize("count", [2, 3, 9])
def test_so_many_checkpoints_are_shown_with_both_ends(count: int, start: Start, plain_pictures: None) -> None:
    own = ("landscape.evolution.points=2", f"landscape.evolution.checkpoints={count}")
    outcome = start(*OWN, *own, "training.epochs=5", looks=())
    shown = {2: [0, 10], 3: [0, 4, 10], 9: [0, 2, 4, 6, 8, 10]}[count]
    assert seen(outcome).provenance["updates"] == shown
    tables = [f"landscapes/evolution.update_{update}.csv" for update in shown[:-1]]
    assert [name for name in outcome.record.files() if name.endswith(".csv")] == sorted([
        "landscapes/evolution.csv",
        *tables,
    ])


def test_a_tolerance_holds_for_every_plane() -> None:
    config = typed(composed(["landscape=[evolution]", "landscape.evolution.tolerance=0.1"])).landscape[
        "evolution"
    ]
    weights = Weights.of(nn.Linear(3, 2))
    trained = Trained(
        model=nn.Linear(3, 2),
        data=None,
        solution=weights,
        initialisation=weights,
        fresh=lambda _seed: weights,
        checkpoints=lambda: {0: weights, 3: weights},
    )
    plane = KINDS["evolution"].geometry(config, trained)
    (companion,) = KINDS["evolution"].companions(config, trained, plane).values()
    assert companion.tolerance == 0.1


# Measures, drawn bowls


def bowl(alpha: float, beta: float, low: float, name: str) -> Landscape:
    """Low + (a / alpha)² + (b / beta)²: a rise of 0.1 is reached at √0.1 alpha and √0.1 beta."""
    a, b = np.meshgrid(ALPHA, BETA, indexing="ij")
    status = np.full(a.shape, Status.EVALUATED, dtype=np.int8)
    return Landscape(
        {"alpha": ALPHA, "beta": BETA},
        {"train/loss": low + (a / alpha) ** 2 + (b / beta) ** 2},
        status,
        {name: Point((0.0, 0.0), {"train/loss": low})},
        provenance={"updates": [0, 40, 90], "updates_per_epoch": 20, "cosine": 0.0},
    )


def evolution() -> Landscape:
    before = {
        "update_0": bowl(2.0, 2.0, 2.0, "initialisation"),
        "update_40": bowl(1.5, 2.0, 1.0, "update 40"),
    }
    return replace(bowl(4.0, 4.0, 0.5, "solution"), companions=before)


def test_measures_are_those_of_the_solutions_plane_and_what_changed() -> None:
    config = typed(composed(["landscape=[evolution]"])).landscape["evolution"]
    landscape = evolution().split("train")
    found = KINDS["evolution"].measures(landscape, config)
    assert set(found) == set(KINDS["evolution"].measured)
    assert found["basin_width"] == basin_extent(landscape, 0.1)["basin_width"]
    assert found["basin_width"] == pytest.approx(2 * np.sqrt(0.1) * 4.0, rel=0.01)
    assert found["initial_basin_width"] == pytest.approx(2 * np.sqrt(0.1) * 2.0, rel=0.02)
    assert found["basin_width_ratio"] == pytest.approx(2.0, rel=0.02)
    assert found["initial_maximum"] == 4.0
    assert found["maximum"] == 1.0
    assert (found["initial_basin_reaches_edge"], found["initial_basin_unresolved"]) == (0.0, 0.0)
    lost = landscape.companions["update_0"]
    lost.points["initialisation"].values["loss"] = np.inf
    found = KINDS["evolution"].measures(landscape, config)
    assert found["basin_width_ratio"] == found["initial_basin_width"] == np.inf


def words(figure: Any) -> set[str]:
    return {" ".join(text.get_text().split()) for text in figure.texts}


def test_panels_and_frames_say_which_checkpoint_they_show() -> None:
    drawing = EvolutionDrawing({"alpha": "α (steps)", "beta": "β (steps)"})
    drawn = drawing.figures(evolution(), "A title", "A caption.", "Not to be trusted.")
    assert list(drawn) == [""]
    titles = [" ".join(axes.get_title().split()) for axes in drawn[""].axes if axes.get_title()]
    assert titles == [
        "update 0, epoch 0, loss 2 nats",
        "update 40, epoch 2, loss 1 nats",
        "update 90, epoch 4.5, loss 0.5 nats",
    ]
    assert {"A title", "A caption.", "Not to be trusted."} <= words(drawn[""])
    marked = [line.get_marker() for axes in drawn[""].axes[:3] for line in axes.lines]
    assert marked == ["o", "s", "*"]
    film = drawing.films(evolution(), "A title", "A caption.", None)[""]
    assert list(film.stills) == [0, 40, 90]
    few = EvolutionDrawing(drawing.axis_labels, most_together=2)
    drawn = few.figures(evolution(), "A title", "A caption.", None)
    assert "A caption. Shown: 2 of 3 planes." in words(drawn[""])
    together = drawing.together({"a": evolution(), "b": evolution()}, {}, "A title", "A caption.")[""]
    assert [axes.get_title() for axes in together.axes[:2]] == ["a", "b"]
    assert "The plane about the solution" in words(together)


def test_the_page_steps_through_the_planes_by_the_place_of_their_checkpoints() -> None:
    page = EvolutionDrawing({"alpha": "α (steps)"}).page(evolution(), "A title", "A caption.", None)
    (data,) = re.findall(r'<script type="application/json" id="content">(.*?)</script>', page)
    stages = json.loads(data)["stages"]
    assert [own["name"] for own in stages] == [
        "update 0, epoch 0", "update 40, epoch 2", "update 90, epoch 4.5",
    ]  # fmt: skip
    names = ["initialisation", "checkpoint", "solution"]
    assert [own["points"][0]["name"] for own in stages] == names
    assert [own["points"][0]["values"] for own in stages] == [[{"loss": 2}], [{"loss": 1}], [{"loss": 0.5}]]


# Refusals


@pytest.mark.parametrize(
    ("key", "rule"),
    [
        ("checkpoints=1", r"landscape\.evolution\.checkpoints must be at least 2, got 1"),
        ("normalized_to=start", r"normalized_to must be one of checkpoint, solution, got 'start'"),
        ("directions=[gaussian]", r"directions must have 2 entries on a plane"),
        ("batch_statistics=interpolated", r"must be frozen or recomputed about one solution"),
    ],
)
def test_what_makes_no_planes_is_refused_by_key_rule_and_value(key: str, rule: str) -> None:
    with pytest.raises(ConfigError, match=rule):
        typed(composed(["landscape=[evolution]", f"landscape.evolution.{key}"]))


def test_a_run_whose_checkpoints_are_too_few_is_refused(
    start: Start, tiny: Callable[..., StudyConfig], plain_pictures: None
) -> None:
    first = start(looks=()).record.config_hash
    with pytest.raises(
        ConfigError, match=r"checkpoint must leave at least 2 checkpoints for landscape\.evolution"
    ):
        prepare(tiny(*OWN, f"checkpoint={first}@0", looks=()), {})
    with pytest.raises(ConfigError, match=r"rescale must be 1 for landscape\.evolution"):
        prepare(tiny(*OWN, "rescale=2", looks=()), {})
    outcome = start(*OWN, f"checkpoint={first}@2", looks=())
    assert seen(outcome).provenance["updates"] == [0, 2]
    assert list(seen(outcome).points) == ["update 2"]


def test_the_film_and_its_frames_are_in_the_record(start: Start) -> None:
    own = (
        "landscape=[evolution,trajectory]",
        "landscape.evolution.checkpoints=2",
        "landscape.evolution.split=both",
    )
    outcome = start(*own, *(f"landscape.{kind}.points=3" for kind in ("evolution", "trajectory")), looks=())
    files = set(outcome.record.files())
    frames = {name for name in files if ".frames/" in name}
    assert frames == {
        *(f"landscapes/evolution.frames/{update:06d}.png" for update in (0, 6)),
        *(f"landscapes/trajectory.frames/{update:06d}.png" for update in (0, 2, 4, 6)),
    }
    assert {name for name in files if name.endswith(".gif")} == {
        f"landscapes/{name}.gif" for name in ("evolution", "evolution.test", "trajectory")
    }
    report = outcome.record.read("report.md").decode()
    assert "(landscapes/trajectory.gif)" in report
    assert "scaled to each checkpoint" in outcome.record.read("landscapes/evolution.html").decode()
