"""Landscapes: saved and read back, split by split, as a table."""

import ast
import json
import os
import pickle

import numpy as np
import pandas as pd
import pytest

from study.landscape.evaluate import evaluate
from study.landscape.geometry import Line, Plane
from study.landscape.grid import Grid
from study.landscape.result import Landscape, Point, Status


@pytest.fixture
def surface():
    """Two splits on a 3 × 2 grid, one cell diverged in one split, one never evaluated."""
    status = np.array([[1, 1], [3, 1], [0, 2]], dtype=np.int8)
    return Landscape(
        axes={"alpha": np.array([-1.0, 0.1, 2.0]), "beta": np.array([0.0, 1 / 3])},
        values={
            "train/loss": np.array([[0.1, 0.0], [np.inf, 2.0], [np.nan, 4.0]]),
            "train/accuracy": np.array([[1.0, 0.5], [0.25, 0.0], [np.nan, np.nan]]),
            "test/loss": np.array([[0.2, 1e-300], [3.0, -1.0], [np.nan, 5.0]]),
        },
        status=status,
        points={
            "centre": Point((0.0, 0.0), {"train/loss": 0.125, "train/accuracy": 1.0, "test/loss": 0.5}),
            "far": Point((9.0, 1e-17), {"train/loss": float("nan"), "train/accuracy": 0.0, "test/loss": 0.1}),
        },
        provenance={"seed": 3, "nested": {"list": [1, 2.5, None, "α"]}},
    )


def equal(first: Landscape, second: Landscape) -> None:
    for name in ("axes", "values", "example_losses"):
        mine, theirs = getattr(first, name), getattr(second, name)
        assert list(mine) == list(theirs)
        for key in mine:
            np.testing.assert_array_equal(mine[key], theirs[key])
            assert mine[key].dtype == theirs[key].dtype
    np.testing.assert_array_equal(first.status, second.status)
    assert first.status.dtype == second.status.dtype
    assert first.provenance == second.provenance
    assert repr(first.points) == repr(second.points), "repr, as NaN is not equal to itself"


def test_save_and_load_give_the_same_landscape_and_the_same_bytes(surface, tmp_path):
    path = tmp_path / "new" / "folder" / "surface.npz"
    surface.save(path)
    loaded = Landscape.load(path)
    equal(surface, loaded)
    loaded.save(tmp_path / "again.npz")
    assert (tmp_path / "again.npz").read_bytes() == path.read_bytes() == surface.to_bytes()


def test_an_evaluated_line_survives_with_its_example_losses(mlp, vectors, cross_entropy, tmp_path):
    line = evaluate(mlp(), cross_entropy, [vectors(20)], Line.random(mlp()), Grid.line(-1, 0.5, 4))
    line.save(tmp_path / "line.npz")
    loaded = Landscape.load(tmp_path / "line.npz")
    equal(line, loaded)
    assert loaded.example_losses[""].shape == (4, 20)
    assert loaded.to_bytes() == line.to_bytes()


def test_writing_that_fails_leaves_the_old_file_and_nothing_else(surface, tmp_path, monkeypatch):
    path = tmp_path / "surface.npz"
    path.write_bytes(b"old")
    for step in ("fsync", "replace"):
        with monkeypatch.context() as broken:

            def fail(*_arguments, **_named):
                raise OSError("no space left on device")

            broken.setattr(os, step, fail)
            with pytest.raises(OSError, match="no space left"):
                surface.save(path)
        assert path.read_bytes() == b"old"
        assert [entry.name for entry in tmp_path.iterdir()] == ["surface.npz"]
    surface.save(path)
    assert path.read_bytes() == surface.to_bytes()


def test_an_error_while_packing_leaves_the_old_file(surface, tmp_path):
    path = tmp_path / "surface.npz"
    path.write_bytes(b"old")
    surface.provenance["model"] = object()
    with pytest.raises(TypeError, match="not JSON serializable"):
        surface.save(path)
    assert path.read_bytes() == b"old"


class Trap:
    def __reduce__(self):
        return (os.mkdir, (self.folder,))

    def __init__(self, folder: str) -> None:
        self.folder = folder


def foreign_files(folder):
    np.savez(folder / "other.npz", x=np.arange(3))
    np.savez(folder / "format.npz", header=np.array(json.dumps({"format": "landscape/99", "axes": []})))
    np.savez(folder / "list.npz", header=np.array("[1, 2]"))
    np.save(folder / "array.npy", np.arange(3))
    (folder / "empty.npz").write_bytes(b"")
    (folder / "text.npz").write_text("alpha,loss\n0,1\n")
    trap = Trap(str(folder / "executed"))
    (folder / "pickle.npz").write_bytes(pickle.dumps(trap))
    np.savez(folder / "object.npz", header=np.array([trap], dtype=object))
    return sorted(path for path in folder.iterdir() if path.suffix in {".npz", ".npy"})


def test_foreign_files_are_refused_by_name_and_no_pickle_is_run(surface, tmp_path):
    files = foreign_files(tmp_path)
    cut = tmp_path / "cut.npz"
    cut.write_bytes(surface.to_bytes()[:-40])
    assert len(files) == 8
    for path in [*files, cut]:
        with pytest.raises(ValueError, match=path.name):
            Landscape.load(path)
    with pytest.raises(ValueError, match="'landscape/99'"):
        Landscape.load(tmp_path / "format.npz")
    assert not (tmp_path / "executed").exists()
    with pytest.raises(FileNotFoundError):
        Landscape.load(tmp_path / "missing.npz")


def test_a_header_that_another_thread_came_between_is_read_again(surface, tmp_path, monkeypatch):
    surface.save(tmp_path / "surface.npz")
    parse, between = ast.literal_eval, [True, False, False, True, False]

    def literal_eval(text):
        if between and between.pop():
            raise SystemError("AST constructor recursion depth mismatch (before=48, after=45)")
        return parse(text)

    monkeypatch.setattr(ast, "literal_eval", literal_eval)
    equal(surface, Landscape.load(tmp_path / "surface.npz"))
    assert between == []


def test_objects_are_never_pickled_into_a_file(surface):
    surface.values["train/loss"] = np.array([[object()] * 2] * 3, dtype=object)
    with pytest.raises(ValueError, match="allow_pickle=False"):
        surface.to_bytes()


def test_split_gives_plain_names_and_that_splits_own_status(surface):
    train, test = surface.split("train"), surface.split("test")
    assert surface.splits == ["train", "test"]
    assert list(train.values) == ["loss", "accuracy"]
    assert list(test.values) == ["loss"]
    np.testing.assert_array_equal(train.values["loss"], surface.values["train/loss"])
    np.testing.assert_array_equal(train.status, [[1, 1], [3, 1], [0, 2]])
    np.testing.assert_array_equal(test.status, [[1, 1], [1, 1], [0, 2]])
    np.testing.assert_array_equal(surface.status, [[1, 1], [3, 1], [0, 2]])
    assert train.points["centre"].values == {"loss": 0.125, "accuracy": 1.0}
    assert test.points["far"] == Point((9.0, 1e-17), {"loss": 0.1})
    assert train.provenance == {**surface.provenance, "split": "train"}
    assert train.splits == [""]
    assert train.split("") is train
    with pytest.raises(ValueError, match=r"one of \['train', 'test'\], got 'valid'"):
        surface.split("valid")


def test_split_keeps_the_example_losses_of_a_line(mlp, vectors, cross_entropy):
    data = {"train": [vectors(20)], "test": [vectors(9, seed=4)]}
    line = evaluate(mlp(), cross_entropy, data, Line.random(mlp()), Grid.line(-1, 0.5, 4))
    test = line.split("test")
    assert list(test.example_losses) == [""]
    np.testing.assert_array_equal(test.example_losses[""], line.example_losses["test"])
    np.testing.assert_allclose(test.example_losses[""].mean(axis=1), test.values["loss"], rtol=1e-6)


def test_the_table_has_a_row_a_cell_and_a_row_a_special_point(surface):
    frame = surface.to_frame()
    assert list(frame.columns) == [
        "alpha",
        "beta",
        "train/loss",
        "train/accuracy",
        "test/loss",
        "status",
        "point",
    ]
    assert frame["alpha"].tolist() == [-1.0, -1.0, 0.1, 0.1, 2.0, 2.0, 0.0, 9.0]
    assert frame["beta"].tolist() == [0.0, 1 / 3, 0.0, 1 / 3, 0.0, 1 / 3, 0.0, 1e-17]
    assert frame["status"].tolist() == [
        *("evaluated", "evaluated", "diverged", "evaluated", "missing", "interpolated"),
        *("evaluated", "diverged"),
    ]
    assert frame["point"].tolist() == [""] * 6 + ["centre", "far"]
    expected = [0.1, 0.0, np.inf, 2.0, np.nan, 4.0, 0.125, np.nan]
    pd.testing.assert_series_equal(frame["train/loss"], pd.Series(expected, name="train/loss"))


def test_values_of_another_shape_are_refused(surface):
    with pytest.raises(ValueError, match=r"'loss' must have the grid's shape \(3, 2\), got \(2, 3\)"):
        Landscape(axes=surface.axes, values={"loss": np.zeros((2, 3))}, status=surface.status)
    with pytest.raises(ValueError, match=r"'status' must have the grid's shape \(3, 2\), got \(3,\)"):
        Landscape(axes=surface.axes, values={}, status=np.zeros(3, dtype=np.int8))


def test_an_evaluated_plane_survives(mlp, vectors, cross_entropy, tmp_path):
    plane = Plane.random(mlp(), seed=4)
    surface = evaluate(mlp(), cross_entropy, [vectors(20)], plane, Grid.rectangle((-1, 0.5, 3), (0, 2, 2)))
    assert (surface.status == Status.EVALUATED).all()
    surface.save(tmp_path / "plane.npz")
    equal(surface, Landscape.load(tmp_path / "plane.npz"))
