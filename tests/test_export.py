"""Exports read back to the numbers of the landscape, bit for bit, by the libraries that others use."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkIOXML import vtkXMLPolyDataReader, vtkXMLStructuredGridReader

import study.export
from study.analysis.over_directions import replicated
from study.commands import export as command
from study.errors import ConfigError
from study.export import FORMATS, RULE, export
from study.landscape.result import Landscape, Point, Status
from study.landscape.variables import to_xarray
from study.record import Record

ALPHA, BETA = np.array([-1.0, 0.1, 0.3, 2.0]), np.array([-0.5, 1 / 3, 7.0])  # 4 by 3: α along rows
EXACT = pytest.mark.filterwarnings("ignore:The 'float_precision' argument")  # needed before pandas 4
HASH = "00c0ffee00c0ffee"
NAMES = ["solution θ*", "Größe, 日本 #1"]


def height(alpha, beta):
    """No symmetry that exchanged, flipped or shifted axes could hide behind."""
    return 0.1 + alpha**2 + 3.0 * beta + alpha * beta / 7


def plane(seed=0):
    a, b = np.meshgrid(ALPHA, BETA, indexing="ij")
    generator = np.random.default_rng(seed)
    values = {
        "train/loss": height(a, b) + seed,
        "train/accuracy": generator.random(a.shape),
        "train/loss_standard_error": generator.random(a.shape) * 1e-300,
        "test/loss": np.exp(height(a, b)) * 1e200,
        "test/accuracy": generator.random(a.shape),
        "eigenvalue_ratio": generator.random(a.shape),
    }
    values["train/loss"][3, 2], values["train/loss"][0, 1], values["test/loss"][1, 1] = np.inf, np.nan, np.inf
    status = np.full(a.shape, Status.EVALUATED, np.int8)
    status[[3, 0, 1], [2, 1, 1]] = Status.DIVERGED
    status[2, 0] = Status.INTERPOLATED
    points = {
        NAMES[0]: Point((0.0, 1.0), {"train/loss": 0.5, "test/loss": np.nan, "train/accuracy": 1.0}),
        NAMES[1]: Point((1.5, -0.25), {"train/loss": np.inf, "test/loss": 2.0, "train/accuracy": 1 / 3}),
    }
    about = {"splits": {"train": {"examples": 5, "population": 9}}, "directions": [{"seed": seed}]}
    return Landscape({"alpha": ALPHA, "beta": BETA}, values, status, points, provenance=about)


def trajectory():
    about = {"trajectory": {"coordinates": [[-1.0, 7.0], [0.5, 0.1], [0.0, 1.0]]}}
    path = Landscape(
        {"update": np.array([0.0, 3.0, 8.0])},
        {
            "loss": np.array([3.0, np.inf, 0.5]),
            "loss_at_projection": np.array([3.25, 1.75, 0.5]),
            "alpha": np.array([-1.0, 0.5, 0.0]),
        },
        np.array([1, 3, 1], np.int8),
    )
    whole = plane().split("train")
    return replace(whole, provenance=about, companions={"path": path})


def line():
    alpha = np.linspace(-0.5, 1.5, 6)
    loss = np.array([1.0, np.inf, 0.1, 0.2, np.nan, 1e300])
    examples = np.arange(18, dtype=np.float32).reshape(6, 3) / 7
    examples[1] = np.inf
    return Landscape(
        {"alpha": alpha},
        {"loss": loss, "accuracy": np.linspace(0, 1, 6) / 3},
        np.where(np.isfinite(loss), 1, 3).astype(np.int8),
        {"start": Point((0.0,), {"loss": 0.25, "accuracy": 1.0})},
        {"": examples},
        {"loss_unit": "squared error"},
        {"straight line": Landscape({"alpha": alpha}, {"loss": loss + 1}, np.ones(6, np.int8))},
    )


@pytest.fixture
def outputs(tmp_path):
    """A record of a run with four landscapes, one of them with replicates."""
    record = Record.at(tmp_path / "outputs", HASH)
    found = {
        "plane": plane(),
        "line": line(),
        "trajectory": trajectory(),
        "drawn": replicated([plane(seed) for seed in range(3)]),
    }
    settings = {"seed": 7, "model.name": "Netz-ä", "training.init_seed": None}
    about = {
        "name": "netz · ä",
        "tags": {"git_commit": "abc"},
        "settings": settings,
        "identity": {"torch": "2"},
    }
    record.create({**about, "landscapes": [*found, "never evaluated"]})
    for name, landscape in found.items():
        record.write(f"landscapes/{name}.npz", landscape.to_bytes())
    return record.output_dir


@pytest.fixture
def written(outputs, tmp_path):
    """Write one format; gives the folder."""

    def write(format, **settings):
        export(HASH[:6], format, tmp_path / format, outputs, **settings)
        return tmp_path / format

    return write


def same(one, other):
    """Equal in shape, type and every bit."""
    one, other = np.asarray(one), np.asarray(other)
    assert one.shape == other.shape
    assert one.dtype == other.dtype
    both = np.isnan(one) & np.isnan(other) if one.dtype.kind == "f" else np.zeros(one.shape, bool)
    assert np.where(both, 0, one).tobytes() == np.where(both, 0, other).tobytes()


def read_vtk(file):
    reader = vtkXMLStructuredGridReader() if file.suffix == ".vts" else vtkXMLPolyDataReader()
    reader.SetFileName(str(file))
    reader.Update()
    data = reader.GetOutput()
    own = data.GetPointData()
    arrays = {
        own.GetAbstractArray(index).GetName(): own.GetAbstractArray(index)
        for index in range(own.GetNumberOfArrays())
    }
    words = {name: [array.GetValue(at) for at in range(array.GetNumberOfValues())]
             for name, array in arrays.items() if array.IsA("vtkStringArray")}  # fmt: skip
    said = data.GetFieldData()
    about = {
        said.GetAbstractArray(index).GetName(): said.GetAbstractArray(index).GetValue(0)
        for index in range(said.GetNumberOfArrays())
    }
    numbers = {name: vtk_to_numpy(array) for name, array in arrays.items() if name not in words}
    return data, vtk_to_numpy(data.GetPoints().GetData()), numbers, words, about


def held(about):
    """The provenance says which run it was, and how."""
    assert about["run"] == HASH
    assert about["settings"]["seed"] == 7
    assert about["settings"]["model.name"] == "Netz-ä"
    assert about["study_version"]
    return about


# NumPy and netCDF hold the same arrays


@pytest.mark.parametrize("format", ["numpy", "netcdf"])
def test_arrays_read_back_to_the_bit(written, format):
    folder = written(format)
    if format == "numpy":
        file = np.load(folder / "plane.npz", allow_pickle=False)
    else:
        file = xr.load_dataset(folder / "plane.nc", engine="h5netcdf")
    own = plane()
    same(file["alpha"], ALPHA)
    same(file["beta"], BETA)
    assert [str(name) for name in np.asarray(file["split"])] == ["train", "test"]
    for name in ("loss", "accuracy"):
        same(file[name], np.stack([own.values[f"train/{name}"], own.values[f"test/{name}"]]))
    same(file["eigenvalue_ratio"], own.values["eigenvalue_ratio"])
    same(np.asarray(file["loss_standard_error"])[0], own.values["train/loss_standard_error"])
    assert np.isnan(np.asarray(file["loss_standard_error"])[1]).all()  # the test split has none
    same(file["status"], own.status)
    assert [str(name) for name in np.asarray(file["point"])] == NAMES
    same(file["point_alpha"], [0.0, 1.5])
    same(file["point_loss"], [[0.5, np.inf], [np.nan, 2.0]])
    about = held(json.loads(np.asarray(file["provenance"]).item()))
    assert about["landscapes"] == [own.provenance]


@pytest.mark.parametrize("format", ["numpy", "netcdf"])
def test_replicates_are_a_dimension_and_companions_files(written, format):
    folder = written(format)
    end = {"numpy": "npz", "netcdf": "nc"}[format]

    def read(name):
        path = folder / f"{name}.{end}"
        return np.load(path, allow_pickle=False) if format == "numpy" else xr.load_dataset(path)

    assert {file.name for file in folder.iterdir()} == {
        f"{name}.{end}"
        for name in ("plane", "line", "line.straight_line", "trajectory", "trajectory.path", "drawn")
    }
    for seed in range(3):
        same(np.asarray(read("drawn")["loss"])[seed, 1], plane(seed).values["test/loss"])
        same(np.asarray(read("drawn")["loss"])[seed, 0], plane(seed).values["train/loss"])
    about = json.loads(np.asarray(read("drawn")["provenance"]).item())
    assert [own["directions"][0]["seed"] for own in about["landscapes"]] == [0, 1, 2]
    same(read("line")["example_loss"], line().example_losses[""])
    same(read("line.straight_line")["loss"], line().companions["straight line"].values["loss"])
    path = trajectory().companions["path"]
    for name in path.values:
        same(read("trajectory.path")[name], path.values[name])
    same(read("trajectory.path")["update"], path.axes["update"])


def test_netcdf_names_its_dimensions_units_and_codes(written):
    data = xr.load_dataset(written("netcdf") / "drawn.nc")
    assert data["loss"].dims == ("replicate", "split", "alpha", "beta")
    assert data["status"].dims == ("replicate", "alpha", "beta")
    assert data["loss"].attrs == {"units": "nats", "long_name": "mean loss over the examples read"}
    codes = dict(
        zip(data["status"].attrs["flag_values"], data["status"].attrs["flag_meanings"].split(), strict=True)
    )
    assert codes == {0: "missing", 1: "evaluated", 2: "interpolated", 3: "diverged"}
    assert float(data["loss"].sel(replicate=2, split="train", alpha=0.3, beta=-0.5)) == height(0.3, -0.5) + 2
    assert {"point_alpha", "point_beta"} <= set(data.coords)
    assert (data.attrs["run"], data.attrs["seed"], data.attrs["tag_git_commit"]) == (HASH, 7, "abc")
    assert json.loads(data.attrs["examples"]) == {"train": {"examples": 5, "population": 9}}


def test_numpy_says_what_its_arrays_are(written):
    file = np.load(written("numpy") / "line.npz", allow_pickle=False)
    arrays = json.loads(file["provenance"].item())["arrays"]
    assert set(arrays) == set(file.files) - {"provenance"}
    assert arrays["example_loss"]["dimensions"] == ["alpha", "example"]
    assert arrays["loss"]["units"] == "squared error"


def test_a_data_set_of_a_landscape_needs_no_run():
    data = to_xarray(plane())
    assert float(data["loss"].sel(split="train", alpha=2.0, beta=-0.5)) == height(2.0, -0.5)
    with pytest.raises(ValueError, match="one grid"):
        to_xarray(plane(), line())


# CSV


@EXACT
def test_a_table_reads_back_to_the_bit(written):
    folder, own = written("csv"), plane()
    table = pd.read_csv(folder / "plane.csv", float_precision="round_trip")
    assert list(table)[:5] == ["run", "landscape", "split", "alpha", "beta"]
    assert set(table["run"]) == {HASH}
    for split in own.splits:
        part = own.split(split)
        rows = table[(table["split"] == split) & table["point"].isna()]
        for name in ("loss", "accuracy", "eigenvalue_ratio"):
            same(rows[name].to_numpy().reshape(own.shape), part.values[name])
        same(rows["alpha"].to_numpy().reshape(own.shape)[:, 0], ALPHA)
        same(rows["beta"].to_numpy().reshape(own.shape)[0], BETA)
        codes = [Status[name.upper()] for name in rows["status"]]
        same(np.array(codes, np.int8).reshape(own.shape), part.status)
    at = table[(table["point"] == NAMES[1]) & (table["split"] == "train")]
    assert at[["alpha", "beta", "loss", "status"]].to_numpy().tolist() == [[1.5, -0.25, np.inf, "diverged"]]
    about = held(json.loads((folder / "plane.json").read_text()))
    assert about["landscapes"] == [own.provenance]


@EXACT
def test_a_table_has_a_column_for_replicates_where_there_are_some(written):
    folder = written("csv")
    table = pd.read_csv(folder / "drawn.csv", float_precision="round_trip")
    for seed in range(3):
        rows = table[(table["replicate"] == seed) & (table["split"] == "train") & table["point"].isna()]
        same(rows["loss"].to_numpy().reshape(plane().shape), plane(seed).values["train/loss"])
    assert "replicate" not in pd.read_csv(folder / "line.csv")
    assert "split" not in pd.read_csv(folder / "line.csv")


# VTK


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_surface_reads_back_to_the_bit_at_alpha_and_beta(written, split):
    data, places, arrays, _, about = read_vtk(written("vtk") / f"plane.{split}.vts")
    own = plane().split(split)
    dimensions = [0, 0, 0]
    data.GetDimensions(dimensions)
    assert dimensions == [4, 3, 1]
    for row, alpha in enumerate(ALPHA):
        for column, beta in enumerate(BETA):
            at = row + 4 * column  # as VTK counts: the first index runs fastest
            assert places[at, :2].tolist() == [alpha, beta]
            for name in ("loss", "accuracy", "eigenvalue_ratio"):
                same(arrays[name][at], own.values[name][row, column])
            assert arrays["status"][at] == own.status[row, column]
    lost = ~np.isfinite(arrays["loss"])
    assert np.array_equal(arrays["vtkGhostType"] == 2, lost)
    assert np.isfinite(places).all()
    level = np.log10(arrays["loss"]) if split == "test" else arrays["loss"]  # the losses of test span decades
    steps = np.diff(places[~lost, 2]) / np.diff(level[~lost])
    assert np.allclose(steps, steps[0])
    assert steps[0] > 0
    assert np.isclose(np.ptp(places[~lost, 2]), 0.5 * 7.5)  # half of the longer axis
    assert ("log10(loss)" in about["height"]) == (split == "test")
    assert held(json.loads(about["provenance"]))["split"] == split


def test_special_points_keep_their_names_and_stand_at_their_losses(written):
    _, places, arrays, words, _ = read_vtk(written("vtk") / "plane.train.points.vtp")
    assert words["name"] == NAMES
    assert places[:, :2].tolist() == [[0.0, 1.0], [1.5, -0.25]]
    assert arrays["loss"].tolist() == [0.5, np.inf]
    assert arrays["status"].tolist() == [Status.EVALUATED, Status.DIVERGED]
    _, grid, on_grid, _, _ = read_vtk(written("vtk") / "plane.train.vts")
    finite = np.isfinite(on_grid["loss"])
    slope, base = np.polyfit(on_grid["loss"][finite], grid[finite, 2], 1)
    assert np.isclose(places[0, 2], base + slope * 0.5)


def test_a_path_lies_on_the_surface(written):
    data, places, arrays, _, _ = read_vtk(written("vtk") / "trajectory.path.vtp")
    assert places[:, :2].tolist() == [[-1.0, 7.0], [0.5, 0.1], [0.0, 1.0]]
    assert arrays["loss"].tolist() == [3.0, np.inf, 0.5]
    assert arrays["update"].tolist() == [0, 3, 8]
    assert (data.GetNumberOfLines(), data.GetNumberOfPoints()) == (1, 3)
    _, grid, on_grid, _, _ = read_vtk(written("vtk") / "trajectory.vts")
    finite = np.isfinite(on_grid["loss"])
    slope, base = np.polyfit(on_grid["loss"][finite], grid[finite, 2], 1)
    assert np.allclose(places[:, 2], base + slope * arrays["loss_at_projection"])


def test_a_line_is_open_where_it_diverges(written):
    data, places, arrays, _, _ = read_vtk(written("vtk") / "line.vtp")
    same(arrays["loss"], line().values["loss"])
    same(places[:, 0], line().axes["alpha"])
    assert places[:, 1].tolist() == [0.0] * 6
    cells = [[data.GetCell(at).GetPointId(i) for i in range(data.GetCell(at).GetNumberOfPoints())]
             for at in range(data.GetNumberOfCells())]  # fmt: skip
    assert cells == [[0], [2, 3], [5]]


def test_vtk_has_a_file_for_each_replicate(written):
    folder = written("vtk")
    for seed, draw in enumerate(("", ".replicate_1", ".replicate_2")):
        _, _, arrays, _, about = read_vtk(folder / f"drawn{draw}.train.vts")
        same(arrays["loss"].reshape(3, 4).T, plane(seed).values["train/loss"])
        assert json.loads(about["provenance"])["landscapes"][0]["directions"] == [{"seed": seed}]


# What is written where


@pytest.mark.parametrize("format", FORMATS)
def test_the_same_export_gives_the_same_bytes_and_nothing_else_is_lost(outputs, tmp_path, format):
    files = export(HASH, format, tmp_path / "there", outputs)
    before = {file: file.read_bytes() for file in files}
    assert export(HASH, format, tmp_path / "there", outputs) == files
    assert {file: file.read_bytes() for file in files} == before
    files[1].write_text("mine")
    with pytest.raises(ConfigError, match=r"DIR must not hold files that would be lost.*--force"):
        export(HASH, format, tmp_path / "there", outputs)
    assert files[1].read_text() == "mine"
    export(HASH, format, tmp_path / "there", outputs, force=True)
    assert files[1].read_bytes() == before[files[1]]


def test_one_landscape(written):
    assert {file.name for file in written("csv", landscape="line").iterdir()} == {
        "line.csv", "line.json", "line.straight_line.csv", "line.straight_line.json",
    }  # fmt: skip


def test_names_of_a_foreign_record_lead_nowhere(tmp_path):
    record = Record.at(tmp_path / "outputs", HASH)
    record.create({"name": "n", "tags": {}, "settings": {}, "identity": {}, "landscapes": ["x"]})
    own = replace(line(), companions={"a/../../../b": line()})
    record.write("landscapes/x.npz", own.to_bytes())
    with pytest.raises(ConfigError, match="names that files can have"):
        export(HASH, "csv", tmp_path / "there", record.output_dir)
    assert not (tmp_path / "there").exists()


def test_an_extra_that_is_missing_is_named_in_one_line(outputs, tmp_path, monkeypatch):
    monkeypatch.setattr(study.export, "find_spec", lambda _name: None)
    for format, words in (("vtk", r"landscape-study\[vtk\]"), ("netcdf", r"landscape-study\[netcdf\]")):
        with pytest.raises(ConfigError, match=f"--to needs .*pip install '{words}', got '{format}'"):
            export(HASH, format, tmp_path, outputs)
    export(HASH, "csv", tmp_path / "there", outputs)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["dead", "--to", "csv", "DIR"], f"RUN {RULE} (0 match), got 'dead'"),
        ([HASH, "--to", "xlsx", "DIR"], "--to must be one of vtk, csv, netcdf, numpy, got 'xlsx'"),
        ([HASH, "--to", "csv", "FILE"], "DIR must be a folder, got 'FILE'"),
        (
            [HASH, "--to", "csv", "DIR", "--landscape", "contour"],
            "--landscape must be one of plane, line, trajectory, drawn, got 'contour'",
        ),
        ([HASH, "--to", "csv"], f"study export takes RUN --to FORMAT DIR, got {HASH} --to csv"),
        ([HASH, "DIR"], f"study export takes RUN --to FORMAT DIR, got {HASH} DIR"),
        ([], "study export takes RUN --to FORMAT DIR, got nothing"),
        ([HASH, "--as", "csv"], "'--as' is no flag here: must be one of --to, --landscape"),
    ],
)  # fmt: skip
def test_a_wrong_argument_is_answered_in_one_line(outputs, tmp_path, monkeypatch, capsys, arguments, line):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "FILE").touch()
    with pytest.raises(SystemExit) as ended:
        command([*arguments, f"output_dir={outputs}"])
    assert ended.value.code == 2
    said = capsys.readouterr().err.replace(f"output_dir={outputs}", "").split()
    assert said == f"study: {line.removesuffix('nothing')}".split()
    assert not (tmp_path / "DIR").exists()


def test_a_run_without_landscapes_is_refused(tmp_path):
    Record.at(tmp_path, HASH).create({"name": "n", "tags": {}, "landscapes": ["contour"]})
    with pytest.raises(ConfigError, match="RUN must name a run that has landscapes"):
        export(HASH, "csv", tmp_path / "there", tmp_path)


def test_a_damaged_landscape_is_named(outputs, tmp_path):
    file = outputs / "runs" / HASH / "landscapes" / "line.npz"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(ConfigError, match=r"RUN must be whole: .*line\.npz"):
        export(HASH, "csv", tmp_path / "there", outputs)


def test_the_command_names_what_it_wrote(outputs, tmp_path, capsys):
    command([
        HASH[:4],
        "--to=numpy",
        str(tmp_path / "there"),
        "--landscape",
        "plane",
        f"output_dir={outputs}",
    ])
    assert capsys.readouterr().out == f"{tmp_path / 'there' / 'plane.npz'}\n"


@pytest.mark.process
def test_help_loads_nothing_heavy():
    code = (
        "import sys; sys.argv = ['study', 'export', '--help']; from study.cli import main; main();"
        "print(sorted({'torch', 'hydra', 'pandas', 'vtkmodules', 'xarray'} & set(sys.modules)))"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": os.getcwd()},
    ).stdout.splitlines()
    assert shown[0].startswith("study export RUN --to vtk|csv|netcdf|numpy DIR")
    assert shown[-1] == "[]"
