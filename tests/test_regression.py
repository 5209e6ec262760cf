"""Regression through the whole tool: a network without hidden layers has a quadratic loss, known in full."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from sklearn.metrics import r2_score

from study import build
from study.between import join_all
from study.compare import compare
from study.config import StudyConfig
from study.landscape.eigenpairs import top_eigenpairs
from study.landscape.executors import Serial
from study.landscape.hessian import Objective
from study.landscape.result import Landscape
from study.landscape.weights import Weights
from study.left_out import LeftOut
from study.members import Members
from study.models.mlp import mlp
from study.prepare import prepare
from study.record import COMPARISONS, Record
from study.run import run
from study.source import checkpoint_name
from study.training.checkpoints import decode_weights, load_weights
from study.training.tables import diabetes

Compose = Callable[..., StudyConfig]

LINEAR = (
    "data=diabetes",
    "model=mlp",
    "model.widths=[]",
    "optimizer.learning_rate=0.05",
    "training.epochs=40",
    "training.threads=1",
    "evaluation.threads=1",
    "tracking=none",
)


@pytest.fixture
def record(compose: Compose):
    """A trained linear regression with a line from its initialisation, and a plane about its solution."""
    looks = ("landscape=[interpolation,contour]", "landscape.interpolation.points=9")
    asked = (*LINEAR, *looks, "landscape.contour.points=5", "landscape.contour.examples=null")
    return run(prepare(compose(*asked), {})).record


def least_squares() -> float:
    """The least mean squared error that a linear function of the training inputs can have."""
    data = diabetes()
    columns = np.column_stack([data.train.inputs.numpy(), np.ones(len(data.train))]).astype(float)
    wanted = data.train.targets.numpy().astype(float)
    return float(np.mean((columns @ np.linalg.lstsq(columns, wanted)[0] - wanted) ** 2))


def test_a_linear_regression_reaches_least_squares_on_an_exact_parabola(record: Record):
    values = record.latest()
    assert least_squares() <= values["train/loss"] <= 1.005 * least_squares()
    line = Landscape.from_bytes(record.read("landscapes/interpolation.npz"))
    parabola = np.polynomial.Polynomial.fit(line.axes["alpha"], line.values["train/loss"], 2)
    np.testing.assert_allclose(line.values["train/loss"], parabola(line.axes["alpha"]), rtol=1e-5)
    plane = Landscape.from_bytes(record.read("landscapes/contour.npz")).values["train/loss"]
    for rows in (plane, plane.T):
        bends = np.diff(rows, 2, axis=1)  # along every parallel line there is one second difference
        np.testing.assert_allclose(bends, bends.mean(), rtol=1e-3)
    assert values["contour/train/minimum"] >= least_squares()


def test_r2_stands_where_the_accuracy_would(record: Record):
    values = record.latest()
    assert not [key for key in values if "accuracy" in key]
    assert set(Landscape.from_bytes(record.read("landscapes/interpolation.npz")).values) == {
        "train/loss",
        "train/loss_standard_error",
    }
    data = diabetes()
    model = mlp((10,), 1, ())
    load_weights(model, decode_weights(record.read(checkpoint_name(40 * 6)))[0])
    for split in ("train", "test"):
        own = getattr(data, split)
        with torch.no_grad():
            given = model(own.inputs)[:, 0]
        assert values[f"{split}/r2"] == pytest.approx(r2_score(own.targets, given), rel=1e-5)


def test_no_word_of_nats_or_accuracy_is_said_of_a_squared_error(record: Record):
    for name in ("landscapes/interpolation.html", "landscapes/contour.html"):
        page = record.read(name).decode().partition('id="content">')[2]
        assert "loss (squared error)" in page
        assert "nats" not in page
    report = record.read("report.md").decode().partition("## Configuration")[0]
    assert "train/r2" in report
    assert "nats" not in report
    assert "train/accuracy" not in report


def test_hessian_and_gauss_newton_of_a_linear_regression_are_those_of_the_text_book():
    """L = Σ (xᵀw + b − y)² / N has the Hessian 2 XᵀX / N, with a column of ones for b; so has its GGN."""
    data, model = diabetes(), mlp((10,), 1, ())
    columns = np.column_stack([data.train.inputs.numpy(), np.ones(len(data.train))]).astype(float)
    expected = np.linalg.eigvalsh(2 * columns.T @ columns / len(columns))
    objective = Objective(model, data.task.loss, data.train.inputs, data.train.targets, 100)
    for operator in (objective.hessian, objective.gauss_newton):
        pairs = top_eigenpairs(operator(Weights.of(model)), 2, "LA", tolerance=1e-4)
        np.testing.assert_allclose(pairs.values, expected[::-1][:2], rtol=1e-4)


def test_regressions_are_compared_among_themselves_and_not_drawn_with_a_classification(
    compose: Compose, plain_pictures: None, output_dir
):
    looks = ("landscape=[interpolation]", "landscape.interpolation.points=3", "training.epochs=2")
    records, configs = [], []
    for job in (("seed=0",), ("seed=1",), ("data=wine",)):
        configs.append(compose(*LINEAR, *looks, "comparison.points=3", *job))
        records.append(run(prepare(configs[-1], {})).record)

    def compared(*chosen: Record):
        kept = Record.at(output_dir, "test", COMPARISONS)
        own = configs[0]
        members = Members.of(chosen)
        joined = join_all(members, own.comparison, own.evaluation, Serial(), kept)
        return compare(members, joined)

    alone = compared(*records[:2])
    assert {"training", "interpolation", "between", "measures"} <= alone.figures.keys()
    runs = {"start", "end", "start_run", "end_run", "start seed", "end seed"}
    assert set(alone.between.columns) == runs | {"split", "barrier", "barrier_from_mean"}
    np.testing.assert_allclose(alone.between["barrier"], 0.0, atol=1e-6)  # a convex loss has none
    words = [axes.get_ylabel() for figure in alone.figures.values() for axes in figure.axes]
    assert "loss (squared error)" in words
    assert not [word for word in words if "nats" in word or "ccuracy" in word or word == "error (%)"]
    together = compared(*records)
    for name in ("training", "measures"):
        words = [axes.get_ylabel().replace("\n", " ") for axes in together.figures[name].axes]
        assert any("(squared error)" in label for label in words)
        assert not any("nats" in label or "error (%)" in label for label in words), (
            "two units have no one axis"
        )
    assert [own for own in together.left_out if own.figure != "between"] == [
        LeftOut("training", "data wine, seed 0", "loss in nats, not squared error"),
        LeftOut("interpolation", "data wine, seed 0", "loss in nats, not squared error"),
        LeftOut("measures", "data wine, seed 0", "loss in nats, not squared error"),
    ]
    assert len(together.runs) == 3, "the tables hold all of them"


def test_own_numbers_to_predict_are_learnt_and_looked_at(
    compose: Compose, plain_pictures: None, tmp_path, monkeypatch
):
    """Two outputs, linear in the inputs: the least loss is zero, and training stops near it."""
    (tmp_path / "own_numbers.py").write_text(
        "import numpy as np\n"
        "def data():\n"
        "    rng = np.random.default_rng(0)\n"
        "    inputs = rng.normal(size=(60, 4))\n"
        "    targets = inputs @ rng.normal(size=(4, 2)) + 1.0\n"
        "    return (inputs[:40], targets[:40]), (inputs[40:], targets[40:])\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    asked = ("data=custom", "data.path=own_numbers:data", "training.stop_at_train_loss=1e-3")
    config = compose(*LINEAR, *asked, "landscape=[line]", "landscape.line.points=3", "training.epochs=200")
    data = build.data_set(config.data)
    assert (data.task.outputs, data.train.targets.shape) == (2, (40, 2))
    values = run(prepare(config, {})).record.latest()
    assert values["train/loss"] <= 1e-3
    assert values["test/r2"] > 0.99
    assert values["line/train/self_check"] == 0.0
    assert values["line/train/self_check_training"] <= 1e-6
