"""How much of the way from the initialisation to the solution each landscape holds, and says so."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from study import report
from study.kinds import Trained
from study.landscape.curve import Curve
from study.landscape.directions import difference, random_direction
from study.landscape.geometry import Geometry, Line, Plane, Scaling
from study.landscape.result import Landscape
from study.landscape.weights import Weights
from study.run import Outcome
from study.span import path_share, span_words
from study.training.data import DataSet, Examples
from study.training.tasks import Classification

START, END = (1.0, 0.0, 2.0), (1.0, 3.0, 6.0)  # θ*−θ₀ is (0, 3, 4), of length 5


def weights(*entries: float) -> Weights:
    model = nn.Linear(3, 1, bias=False)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([entries]))
    return Weights.of(model)


@pytest.fixture
def trained() -> Trained:
    examples = Examples(torch.zeros(2, 3), torch.arange(2))
    return Trained(
        model=nn.Linear(3, 1, bias=False),
        data=DataSet("made up", examples, examples, task=Classification(2)),
        solution=weights(*END),
        initialisation=weights(*START),
        fresh=lambda _seed: weights(0.0, 0.0, 0.0),
    )


def through_three(third: tuple[float, float, float]) -> Plane:
    own, second = weights(*END), weights(1.0, 4.0, 6.0)
    return Plane.through_points(own, second, weights(*third), names=("solution", "second", "third"))


@pytest.mark.parametrize(
    ("geometry", "share"),
    [
        (Line.between(weights(*START), weights(*END), names=("initialisation", "solution")), 1.0),
        (Line.between(weights(1.0, 3.0, 0.0), weights(*END), names=("fresh", "solution")), 16 / 25),
        (Line.between(weights(*END), weights(1.0, 0.0, 6.0), names=("solution", "end")), 9 / 25),
        (through_three((2.0, 3.0, 6.0)), 9 / 25),
        (through_three((1.0, 4.0, 7.0)), 1.0),
        (Scaling.of(weights(*END), name="solution"), (3 * 3 + 4 * 6) ** 2 / 25 / (1 + 9 + 36)),
    ],
)
def test_the_share_by_hand(geometry: Geometry, share: float, trained: Trained) -> None:
    assert path_share(geometry, trained) == pytest.approx(share, rel=1e-12)
    assert (path_share(geometry, trained) == 1.0) == (share == 1.0)


def test_a_difference_holds_all_of_it_and_a_gaussian_next_to_nothing(trained: Trained) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        first, last = (Weights.of(nn.Linear(300, 100)) for _ in range(2))
    own = replace(trained, solution=last, initialisation=first)
    gaussian = random_direction(last, seed=1)
    along = difference(first, last)
    assert path_share(Line.through(last, along, "solution"), own) == 1.0
    assert path_share(Plane.through(last, gaussian, along, "solution"), own) == 1.0
    assert 0 < path_share(Plane.random(last, name="solution"), own) < 1e-3


def test_no_share_is_stated_where_none_can_be(trained: Trained) -> None:
    line = Line.between(weights(*START), weights(*END), names=("initialisation", "solution"))
    assert path_share(line, replace(trained, initialisation=None)) is None
    assert path_share(line, replace(trained, initialisation=trained.solution)) is None
    elsewhere = Line.between(weights(*START), weights(*END))
    assert path_share(elsewhere, trained) is None, "the solution is not one of its points"


def test_a_curve_differs_by_what_bends_it_and_what_it_spans() -> None:
    curve = Curve.between(weights(*START), weights(2.0, 0.0, 2.0), weights(*END))
    assert [vector.tolist() for vector in curve.span] == [[1.0, 0.0, 0.0], [0.0, 3.0, 4.0]]


@pytest.mark.parametrize(
    ("geometry", "share", "words"),
    [
        ("plane", 1e-5, "the plane holds less than 0.01% of"),
        ("plane", 0.1234, "the plane holds 12.3% of"),
        ("plane", 0.99996, "the plane holds over 99.9% of"),
        ("line between", 1.0, "the line holds all of"),
        ("plane through three points", 0.5, "the plane holds 50% of"),
        ("scaling", 0.5, "the line holds 50% of"),
    ],
)
def test_the_words_of_a_share(geometry: str, share: float, words: str) -> None:
    assert span_words({"geometry": geometry}, share) == [f"{words} ‖θ*−θ₀‖²"]


@pytest.mark.parametrize(
    ("cosine", "words"),
    [(-0.0512, ["cosine of the axes -0.051"]), (5e-4, ["cosine of the axes 0.0005"]), (4e-4, []), (None, [])],
)
def test_the_cosine_is_stated_where_it_is_not_zero_to_three_digits(
    cosine: float | None, words: list[str]
) -> None:
    assert span_words({"geometry": "plane", "cosine": cosine}, None) == words


def test_runs_measure_and_say_what_their_planes_leave_out(
    start: Callable[..., Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    captions = {}

    def pictures(name: str, _config: object, _landscape: Landscape, text: str, _warning: object) -> dict:
        captions[name] = text
        return {}

    monkeypatch.setattr(report, "pictures", pictures)
    towards = ("landscape.contour.directions=[gaussian,difference]", "landscape.line.split=both")
    more = (
        "+landscape@landscape.trajectory=trajectory",
        "landscape.trajectory.points=2",
        "+landscape@landscape.scaling=scaling",
        "landscape.scaling.points=2",
    )
    record = start(*towards, *more, looks=("interpolation", "line", "contour")).record
    values = record.latest()
    for name in ("interpolation", "contour"):
        assert values[f"{name}/train/path_share"] == 1.0
        assert "holds all of ‖θ*−θ₀‖²" in captions[name]
    assert 0 < values["line/train/path_share"] == values["line/test/path_share"] < 0.5
    assert "the line holds " in captions["line"]
    found = Landscape.from_bytes(record.read("landscapes/trajectory.npz")).provenance["trajectory"]
    on, off = found["coordinates"][0], found["distances"][0]
    held = on[0] ** 2 + on[1] ** 2
    assert values["trajectory/train/path_share"] == pytest.approx(held / (held + off**2), rel=1e-6)
    assert "`contour/train/path_share`" in record.read("report.md").decode()
    for name in ("interpolation", "trajectory", "scaling", "contour", "line"):
        assert "‖θ*‖" in captions[name], "how long a step is beside the solution"
    file = shutil.copy(record.path / "checkpoints/update_0000006.safetensors", tmp_path / "lone.safetensors")
    lone = start(f"checkpoint={file}").record
    assert "line/train/path_share" not in lone.latest()
    assert "θ₀" not in captions["line"]
