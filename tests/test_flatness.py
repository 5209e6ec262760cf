"""What a run keeps, says and compares of the sharpness and flatness of its solution."""

import csv
import io
from collections.abc import Callable

import pytest
import torch
from safetensors.torch import save_file

from study import flatness
from study import run as run_module
from study.analysis.norms import fisher_rao_norm
from study.build import data_set
from study.config_measures import MEASURES
from study.flatness import DEFINITIONS
from study.landscape.hessian import Objective
from study.landscape.weights import Weights
from study.measured import measures_of
from study.members import Members
from study.models.mlp import mlp
from study.record import State
from study.resolve import composed, typed
from study.run import Outcome
from study.saved import saved_data
from study.training.checkpoints import decode_weights

Start = Callable[..., Outcome]
SMALL = (
    "measures=flatness",
    "measures.examples=32",
    "measures.keskar_iterations=2",
    "measures.keskar_starts=1",
    "measures.sam_steps=1",
    "measures.noise_pairs=2",
    "measures.pac_bayes_tolerance=0.5",
    "measures.pac_bayes_pairs=2",
    "measures.slice_directions=2",
    "landscape=[]",
)


@pytest.fixture
def go(start: Start) -> Start:
    return lambda *overrides: start(*SMALL, *overrides, looks=())


def rows(outcome: Outcome) -> dict[str, dict[str, str]]:
    text = outcome.record.read("measures.csv").decode()
    return {row["measure"]: row for row in csv.DictReader(io.StringIO(text))}


def test_every_measure_is_kept_logged_and_said(go: Start):
    outcome = go()
    found, logged = rows(outcome), outcome.record.latest()
    settings = {"keskar_sharpness_0.001", "keskar_sharpness_0.0005"}
    assert set(found) == (set(DEFINITIONS) - {"keskar_sharpness"}) | settings
    page = outcome.record.read("report.md").decode()
    for name, row in found.items():
        assert logged[f"measures/{name}"] == float(row["value"])
        assert row["kind"] in {"exact", "lower bound", "estimate"}
        assert row["source"]
        assert f"| `{name}` |" in page
        if row["standard_error"]:
            assert row["kind"] == "estimate"
            assert logged[f"measures/{name}_standard_error"] == float(row["standard_error"])
    assert found["sam_sharpness"]["changed_by_rescaling"] == "yes"
    assert found["path_norm"]["changed_by_rescaling"] == "no"
    table = [line for line in page.splitlines() if line.startswith(("| `", "| measure | value | s"))]
    widths = {line.replace("\\|", "").count("|") for line in table if "lower bound" in line or "esti" in line}
    assert widths == {8}  # seven columns


def test_they_are_of_the_training_loss_at_the_solution(go: Start):
    outcome = go("measures.examples=null", "measures.names=[fisher_rao_norm]")
    record = outcome.record
    last = sorted(name for name in record.files() if name.startswith("checkpoints/"))[-1]
    data = data_set(saved_data(record))
    network = mlp(data.input_shape, data.task.outputs, widths=(8,))
    network.load_state_dict(decode_weights(record.read(last))[0])
    objective = Objective(network, data.task.loss, data.train.inputs, data.train.targets)
    expected = fisher_rao_norm(objective, Weights.of(network))
    assert record.latest()["measures/fisher_rao_norm"] == pytest.approx(expected, rel=1e-5)


def test_what_is_finished_is_not_measured_again(go: Start, monkeypatch: pytest.MonkeyPatch):
    measure, done = flatness.measure, []

    def measuring(name: str, *rest: object) -> list[flatness.Row]:
        done.append(name)
        if name == "path_norm" and done.count(name) == 1:
            raise KeyboardInterrupt
        return measure(name, *rest)

    monkeypatch.setattr(run_module.flatness, "measure", measuring)
    names = "measures.names=[fisher_rao_norm,path_norm,distance_from_initialisation]"
    with pytest.raises(KeyboardInterrupt):
        go(names)
    assert done == ["fisher_rao_norm", "path_norm"]
    outcome = go(names)
    assert done == ["fisher_rao_norm", "path_norm", "path_norm", "distance_from_initialisation"]
    assert next(iter(rows(outcome))) == "fisher_rao_norm"
    assert go(names).reused
    assert len(done) == 4
    (outcome.record.path / "measures.json").unlink()
    again = go(names)
    assert not again.reused
    assert again.state is State.FINISHED
    assert len(done) == 7


def test_a_measure_that_is_not_defined_has_no_value_and_says_why(go: Start, tmp_path):
    torch.manual_seed(0)
    network = mlp((1, 8, 8), 10, widths=(8,))
    save_file(network.state_dict(), tmp_path / "weights.safetensors")
    outcome = go(
        f"checkpoint={tmp_path / 'weights.safetensors'}", "measures.names=[distance_from_initialisation]"
    )
    (row,) = rows(outcome).values()
    assert row["value"] == ""
    assert row["note"] == "not defined: the initialisation of these weights is not known"
    assert not [name for name in outcome.record.latest() if name.startswith("measures/")]
    assert row["note"] in outcome.record.read("report.md").decode()


def test_a_comparison_has_the_measures_and_not_their_errors(go: Start):
    names = "measures.names=[noise_increase,path_norm]"
    members = Members.of([go(names, f"seed={seed}").record for seed in (0, 1)])
    table = members.table()
    assert table["measures/path_norm"].nunique() == 2
    assert table["measures/noise_increase_standard_error"].notna().all()
    assert "seconds/measures" in table
    assert set(measures_of(members, table)) == {"measures/noise_increase", "measures/path_norm"}


def test_a_run_without_measures_has_none(start: Start):
    record = start(looks=()).record
    assert not [name for name in (*record.files(), *record.latest()) if name.startswith("measures")]


def test_flatness_measures_all_there_is():
    assert tuple(typed(composed(["measures=flatness"])).measures.names) == MEASURES


def test_numbers_that_are_not_finite_survive_the_record():
    row = flatness.Row.of("path_norm", float("inf"), "no bound")
    assert flatness.Row.from_json(row.to_json()) == row
    assert row.to_json()["value"] == "inf"
    assert flatness.metrics([row]) == {"measures/path_norm": float("inf")}
