"""Landscapes for ParaView and other readers of VTK: a surface, its special points, a path over it, a line.

Only VTK's data model and its writers are loaded, nothing that draws.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from vtkmodules.util.numpy_support import numpy_to_vtk
from vtkmodules.vtkCommonCore import vtkPoints, vtkStringArray
from vtkmodules.vtkCommonDataModel import vtkCellArray, vtkDataSet, vtkPolyData, vtkStructuredGrid
from vtkmodules.vtkIOXML import vtkXMLPolyDataWriter, vtkXMLStructuredGridWriter

from study.landscape.masks import runs
from study.landscape.result import Landscape, Point, Status
from study.landscape.variables import as_json, provenance

DECADES = 2.0
"""Heights are logarithmic where the losses are positive and span more decades than this."""

HIDDEN = 2
"""VTK's `vtkDataSetAttributes::HIDDENPOINT`."""

RISE = 0.5
"""Height of a landscape over the length of its longest axis."""


@dataclass(frozen=True)
class Heights:
    """How high a loss is drawn: 0 at the lowest loss of the grid, `RISE` of the longest axis at the highest.

    Attributes:
        low: the lowest finite loss of the grid, or its logarithm to base 10.
        factor: units of the axes for one unit of loss, or for one decade.
        log: whether heights are logarithmic.
        top: where what is not finite is placed.
    """

    low: float
    factor: float
    log: bool
    top: float

    @classmethod
    def of(cls, landscape: Landscape) -> "Heights":
        """The heights of one split's landscape."""
        loss = landscape.values["loss"]
        finite = loss[np.isfinite(loss)]
        long = max(float(np.ptp(axis)) for axis in landscape.axes.values()) or 1.0
        if not finite.size:
            return cls(0.0, 0.0, False, 0.0)
        log = bool(finite.min() > 0 and np.log10(finite.max()) - np.log10(finite.min()) > DECADES)
        levels = np.log10(finite) if log else finite
        span = float(levels.max()) - float(levels.min())
        known = 0 < span < np.inf
        return cls(float(levels.min()), RISE * long / span if known else 0.0, log, RISE * long * known)

    def place(self, loss: np.ndarray) -> np.ndarray:
        """Heights of losses, of the same shape; all of them finite."""
        with np.errstate(divide="ignore", invalid="ignore"):
            level = np.log10(loss) if self.log else loss
        height = np.where(np.isfinite(level), (level - self.low) * self.factor, self.top)
        return np.where(np.isneginf(level), 0.0, height)

    @property
    def words(self) -> str:
        """For people: what the z coordinate is."""
        read = "log10(loss)" if self.log else "loss"
        return (
            f"z = ({read} - {self.low!r}) * {self.factor!r}, in units of the axes; where the loss is not "
            f"finite, z = {self.top!r}, and a grid's point is hidden by vtkGhostType"
        )


def vtk_files(landscape: Landscape, about: Mapping[str, Any]) -> dict[str, bytes]:
    """The files of one landscape and one split, by their suffixes.

    Of a plane: `.vts`, its surface, with a point for each cell at (α, β, height); `.points.vtp`, its special
    points; `.path.vtp`, a polyline through an optimiser's checkpoints, where it has any. Of a line: `.vtp`, a
    polyline at (α, 0, height) that is open where the loss is not finite, and its special points. Every value
    is a point array, as it is in the landscape. The field data say what the heights are, and hold the
    provenance as JSON.

    Args:
        landscape: of one split, over a line or a plane.
        about: JSON-able; what else is to be known, beside the landscape's own provenance.
    """
    heights = Heights.of(landscape)
    said = {"height": heights.words, "provenance": as_json(provenance([landscape], about))}
    arrays = {**landscape.values, "status": landscape.status}
    at = heights.place(landscape.values["loss"])
    files = {".points.vtp": _special(landscape, heights, said)} if landscape.points else {}
    if len(landscape.shape) == 1:
        (axis,) = landscape.axes.values()
        places = np.column_stack([axis, np.zeros(len(axis)), at])
        return {".vtp": _polyline(places, arrays, np.isfinite(landscape.values["loss"]), said), **files}
    files[".vts"] = _surface(landscape, at, arrays, said)
    if "trajectory" in landscape.provenance and "path" in landscape.companions:
        path = landscape.companions["path"]
        coordinates = np.array(landscape.provenance["trajectory"]["coordinates"])
        placed = heights.place(path.values["loss_at_projection"])
        (updates,) = path.axes.items()
        files[".path.vtp"] = _polyline(
            np.column_stack([coordinates, placed]),
            {updates[0]: updates[1], **path.values, "status": path.status},
            np.ones(len(placed), dtype=bool),
            said,
        )
    return files


def _surface(
    landscape: Landscape, at: np.ndarray, arrays: Mapping[str, np.ndarray], said: Mapping[str, str]
) -> bytes:
    """A structured grid: α varies fastest, as VTK has it."""
    grid = vtkStructuredGrid()
    grid.SetDimensions([*landscape.shape, 1])
    alpha, beta = np.meshgrid(*landscape.axes.values(), indexing="ij")
    grid.SetPoints(_points(np.stack([own.ravel(order="F") for own in (alpha, beta, at)], axis=1)))
    flat = {name: own.ravel(order="F") for name, own in arrays.items()}
    lost = ~np.isfinite(flat["loss"])
    if lost.any():
        flat["vtkGhostType"] = np.where(lost, HIDDEN, 0).astype(np.uint8)
    return _written(vtkXMLStructuredGridWriter(), grid, flat, said)


def _polyline(
    places: np.ndarray, arrays: Mapping[str, np.ndarray], known: np.ndarray, said: Mapping[str, str]
) -> bytes:
    """Points with an edge between each two neighbours that are both known."""
    drawn = vtkPolyData()
    drawn.SetPoints(_points(places))
    lines = vtkCellArray()
    for first, last in runs(known):
        lines.InsertNextCell(last - first + 1)
        for index in range(first, last + 1):
            lines.InsertCellPoint(index)
    drawn.SetLines(lines)
    return _written(vtkXMLPolyDataWriter(), drawn, arrays, said)


def _special(landscape: Landscape, heights: Heights, said: Mapping[str, str]) -> bytes:
    """A vertex for each special point, with its name."""
    points: list[Point] = list(landscape.points.values())
    names = dict.fromkeys(name for point in points for name in point.values)
    arrays = {name: np.array([point.values.get(name, np.nan) for point in points]) for name in names}
    places = np.zeros((len(points), 3))
    places[:, : len(landscape.shape)] = [point.coordinates for point in points]
    places[:, 2] = heights.place(arrays["loss"])
    status = np.where(np.isfinite(arrays["loss"]), Status.EVALUATED, Status.DIVERGED)
    drawn, vertices = vtkPolyData(), vtkCellArray()
    drawn.SetPoints(_points(places))
    for index in range(len(points)):
        vertices.InsertNextCell(1)
        vertices.InsertCellPoint(index)
    drawn.SetVerts(vertices)
    drawn.GetPointData().AddArray(_words("name", list(landscape.points)))
    return _written(vtkXMLPolyDataWriter(), drawn, {**arrays, "status": status.astype(np.int8)}, said)


def _points(places: np.ndarray) -> vtkPoints:
    points = vtkPoints()
    points.SetDataTypeToDouble()
    points.SetData(numpy_to_vtk(np.ascontiguousarray(places), deep=True))
    return points


def _words(name: str, words: list[str]) -> vtkStringArray:
    array = vtkStringArray()
    array.SetName(name)
    for word in words:
        array.InsertNextValue(word)
    return array


def _written(
    writer: Any, data: vtkDataSet, arrays: Mapping[str, np.ndarray], said: Mapping[str, str]
) -> bytes:
    """The file as bytes; the loss is what a reader colours by at first."""
    for name, own in arrays.items():
        array = numpy_to_vtk(np.ascontiguousarray(own), deep=True)
        array.SetName(name)
        data.GetPointData().AddArray(array)
    data.GetPointData().SetActiveScalars("loss")
    for name, words in said.items():
        data.GetFieldData().AddArray(_words(name, [words]))
    writer.SetInputData(data)
    writer.SetWriteToOutputString(True)
    if not writer.Write():
        raise ValueError("VTK could not write the landscape")
    return str(writer.GetOutputString()).encode()
