"""The notebook on a user's own model: run whole in a fresh kernel, its figures and its numbers looked at."""

import base64
import io
import os
import re

import nbformat
import pytest
import torch
from nbclient import NotebookClient
from PIL import Image
from torch import nn

from study import Grid, Line, Plane, evaluate
from study.paths import root

NOTEBOOK = root() / "examples" / "own_model.ipynb"
MOST_LINES = 20
MOST_BYTES = 300_000

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def committed() -> nbformat.NotebookNode:
    """The notebook as it is in the repository."""
    return nbformat.read(NOTEBOOK, as_version=4)


@pytest.fixture(scope="module")
def executed(committed, tmp_path_factory) -> nbformat.NotebookNode:
    """The notebook run anew, away from the checkout, by a kernel of this environment."""
    notebook = nbformat.from_dict({**committed})
    for cell in code(notebook):
        cell.outputs, cell.execution_count = [], None
    folder = tmp_path_factory.mktemp("notebook")
    own = {"PYTHONPATH": str(root()), "IPYTHONDIR": str(folder / "ipython"), "OMP_NUM_THREADS": "1"}
    client = NotebookClient(
        notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    )
    notebook.cells.append(nbformat.v4.new_code_cell("import sys; print(*sys.modules)"))
    client.execute(env={**os.environ, **own})
    return notebook


def code(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def figures(notebook: nbformat.NotebookNode) -> list[Image.Image]:
    """The pictures below the cells."""
    shown = [output.data for cell in code(notebook) for output in cell.outputs if "data" in output]
    return [
        Image.open(io.BytesIO(base64.b64decode(data["image/png"]))) for data in shown if "image/png" in data
    ]


def printed(notebook: nbformat.NotebookNode) -> list[float]:
    """The numbers that it prints: the shape, the centre's loss, the network's own."""
    text = next(out.text for cell in code(notebook) for out in cell.outputs if out.output_type == "stream")
    return [float(number) for number in re.findall(r"[\d.]+(?:e-?\d+)?", text)]


def names_of(notebook: nbformat.NotebookNode) -> dict[str, object]:
    """What its cells define, run here and now: its own model, data and training."""
    defined: dict[str, object] = {}
    for cell in code(notebook):
        exec(compile(cell.source, NOTEBOOK.name, "exec"), defined)
    return defined


def test_the_code_is_under_twenty_lines(committed):
    lines = [line for cell in code(committed) for line in cell.source.splitlines()]
    assert 10 < len([line for line in lines if line.strip()]) < MOST_LINES
    assert all(len(line) <= 110 for line in lines)
    assert not re.search(r"hydra|mlflow|matplotlib", "\n".join(lines))


def test_it_is_committed_as_it_was_run_and_small(committed):
    assert NOTEBOOK.stat().st_size < MOST_BYTES
    assert committed.metadata.kernelspec.name == "python3"
    assert set(committed.metadata) == {"kernelspec", "language_info"}  # nothing of a machine
    assert len(figures(committed)) == 2
    counts = [cell.execution_count for cell in code(committed)]
    assert counts == list(range(1, len(counts) + 1))


def test_a_line_and_a_contour_appear_below_their_cells(executed):
    line, contour = figures(executed)
    for picture in (line, contour):
        assert picture.width == 1050  # a column of a paper at 300 dots an inch
        assert len(picture.convert("RGB").getcolors(1 << 24)) > 20
    shown = [output for cell in code(executed) for output in cell.outputs if "data" in output]
    assert [output.metadata["image/png"]["width"] for output in shown] == [525, 525]
    assert not [output for cell in code(executed) for output in cell.outputs if output.output_type == "error"]


@pytest.mark.usefixtures("one_thread")
def test_its_numbers_are_those_of_a_direct_call(committed, executed):
    """The same model, trained here, looked at by other calls: examples one by one, and torch's own mean."""
    assert printed(executed) == pytest.approx(printed(committed), rel=1e-4)
    rows, columns, centre, own = printed(executed)
    defined = names_of(committed)
    model, inputs, targets = (defined[name] for name in ("model", "inputs", "targets"))
    assert isinstance(model, nn.Module)
    assert (rows, columns) == defined["surface"].shape
    with torch.no_grad():
        direct = float(nn.functional.cross_entropy(model(inputs).double(), targets))
    assert centre == pytest.approx(direct, rel=1e-5)
    assert own == pytest.approx(direct, rel=1e-5)
    one_by_one = [(inputs[at : at + 1], targets[at : at + 1]) for at in range(len(inputs))]
    plane, grid = Plane.random(model, seed=0), Grid.square(radius=1.0, points=3)
    again = evaluate(model, nn.functional.cross_entropy, one_by_one, plane, grid).values["loss"]
    assert defined["surface"].values["loss"][::12, ::12] == pytest.approx(again, rel=1e-5)
    whole = [(inputs, targets)]
    line = evaluate(model, defined["loss"], whole, Line.between(defined["start"], model), Grid.line(0, 1, 2))
    ends = [defined["line"].points[name].values["loss"] for name in ("initialisation", "solution")]
    assert ends == pytest.approx(list(line.values["loss"]), rel=1e-6)


def test_nothing_of_hydra_or_mlflow_is_loaded(executed):
    loaded = set(code(executed)[-1].outputs[0].text.split())
    assert {"study", "torch", "matplotlib"} <= loaded
    assert not loaded & {"hydra", "omegaconf", "mlflow", "plotly", "matplotlib.pyplot"}
