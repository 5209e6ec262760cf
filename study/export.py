"""The landscapes of a run as files for other programs: ParaView, spreadsheets, xarray, NumPy."""

from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from study import __version__
from study.analysis.over_directions import REPLICATE, replicates
from study.errors import ConfigError
from study.files import write_atomically
from study.landscape.result import NATS, Landscape
from study.landscape.variables import as_json, provenance, to_npz, to_xarray
from study.record import RUNS, DamagedFileError, Record
from study.source import find_record

RULE = "must name one run in output_dir, by its hash or its MLflow id"
EXTRAS = {
    "netcdf": ("netcdf", ("xarray", "h5netcdf"), "xarray and h5netcdf"),
    "vtk": ("vtk", ("vtkmodules",), "vtk"),
}
"""Formats that take more than the rest does: the extra, the modules, and what they are called."""


def export(
    run: str,
    format: str,
    folder: str | Path,
    output_dir: str | Path,
    *,
    landscape: str | None = None,
    force: bool = False,
) -> list[Path]:
    """Write the landscapes of a run to `folder`, each with what it depends on; nothing is evaluated.

    A file that is there with the same content stays as it is.

    Args:
        run: its hash, the beginning of one, or its MLflow id.
        format: one of `FORMATS`.
        folder: where the files go; it is made if it is missing.
        output_dir: where records are.
        landscape: the one landscape to export; None exports all.
        force: whether files with other content are replaced.

    Returns:
        the files, in order.

    Raises:
        ConfigError: naming what is wrong: the run, the format, the landscape, the folder, a file that would
            be lost, an extra that is not installed.
    """
    check_format(format)
    record = find_record(run, output_dir, RULE, RUNS, key="RUN")
    files: dict[str, bytes] = {}
    for name in chosen(record, landscape):
        try:
            found = Landscape.from_bytes(record.read(f"landscapes/{name}.npz"))
        except (DamagedFileError, ValueError) as error:
            raise ConfigError("RUN", f"must be whole: {error}", run) from error
        files |= landscape_files(name, found, format, about(record, name))
    return write_files(folder, files, force=force)


def write_files(folder: str | Path, files: Mapping[str, bytes], *, force: bool) -> list[Path]:
    """Write files to a folder, each whole or not at all; one that is there with the same content stays.

    Args:
        folder: where they go; it is made if it is missing.
        files: content by name.
        force: whether files with other content are replaced.

    Returns:
        the files, in order.

    Raises:
        ConfigError: if the folder is none, a name leads out of it, or a file would be lost; nothing is
            written then.
    """
    target = Path(folder)
    if target.exists() and not target.is_dir():
        raise ConfigError("DIR", "must be a folder", str(folder))
    if outside := [name for name in files if Path(name).name != name]:
        raise ConfigError("RUN", "must have names that files can have", outside[0])
    for name, content in files.items():
        if not force and (target / name).exists() and (target / name).read_bytes() != content:
            rule = "must not hold files that would be lost (--force replaces them)"
            raise ConfigError("DIR", rule, str(target / name))
    try:
        for name, content in files.items():
            write_atomically(target / name, content)
    except OSError as error:
        rule = f"must be a folder that can be written to ({error.strerror})"
        raise ConfigError("DIR", rule, str(folder)) from error
    return [target / name for name in files]


def check_format(format: str) -> None:
    """Refuse a format that is none, or whose extra is not installed.

    Raises:
        ConfigError: naming the choices, or how the extra is installed.
    """
    if format not in FORMATS:
        raise ConfigError("--to", f"must be one of {', '.join(FORMATS)}", format)
    extra, modules, called = EXTRAS.get(format, ("", (), ""))
    if any(find_spec(module) is None for module in modules):
        raise ConfigError("--to", f"needs {called}: pip install 'landscape-study[{extra}]'", format)


def chosen(record: Record, landscape: str | None = None) -> list[str]:
    """The names of a run's landscapes, or of the one asked for.

    Raises:
        ConfigError: if the run has none, or not that one.
    """
    names = [name for name in record.read_json("run.json")["landscapes"] if _is_there(record, name)]
    if not names:
        raise ConfigError("RUN", "must name a run that has landscapes", record.config_hash)
    if landscape is not None and landscape not in names:
        raise ConfigError("--landscape", f"must be one of {', '.join(names)}", landscape)
    return names if landscape is None else [landscape]


def about(record: Record, name: str) -> dict[str, Any]:
    """What a landscape of a run depends on, besides its own provenance; JSON-able."""
    run = record.read_json("run.json")
    return {
        "study_version": __version__,
        "run": record.config_hash,
        "run_name": run["name"],
        "landscape": name,
        "loss_unit": run.get("loss_unit", NATS),
        "tags": run["tags"],
        "settings": run["settings"],
        "identity": run["identity"],
    }


def landscape_files(
    name: str, landscape: Landscape, format: str, about: Mapping[str, Any]
) -> dict[str, bytes]:
    """The files of a landscape and of its companions, by name.

    Args:
        name: of the landscape: its files are `NAME.…`, those of a companion `NAME.COMPANION.…`.
        landscape: with its companions; replicates are those of one landscape.
        format: one of `FORMATS`.
        about: JSON-able; kept in every file, or beside it.
    """
    write, (first, *others) = FORMATS[format], replicates(landscape)
    files = write(name, [first, *others], about)
    if others:
        return files
    for companion, own in landscape.companions.items():
        if format == "vtk" and companion == "path" and "trajectory" in landscape.provenance:
            continue  # it is drawn over the plane
        stem = f"{name}.{companion.replace(' ', '_')}"
        files |= write(stem, [own], {**about, "companion": companion})
    return files


def _csv(stem: str, landscapes: Sequence[Landscape], about: Mapping[str, Any]) -> dict[str, bytes]:
    """One tidy table, a row for each cell and special point of each split, and its provenance beside it."""
    frames = []
    for place, landscape in enumerate(landscapes):
        for split in landscape.splits:
            frame = landscape.split(split).to_frame()
            known = {"run": about["run"], "landscape": stem, "replicate": place, "split": split}
            for column, (key, value) in enumerate(known.items()):
                frame.insert(column, key, value)
            frames.append(frame)
    table = pd.concat(frames, ignore_index=True)
    empty = [key for key in ("replicate", "split") if table[key].nunique() == 1 and table[key][0] in {0, ""}]
    text = table.drop(columns=empty).to_csv(index=False, na_rep="nan")
    said = as_json(provenance(landscapes, about))
    return {f"{stem}.csv": text.encode(), f"{stem}.json": f"{said}\n".encode()}


def _netcdf(stem: str, landscapes: Sequence[Landscape], about: Mapping[str, Any]) -> dict[str, bytes]:
    """One file; the provenance as a variable, and what is searched for as attributes."""
    data = to_xarray(*landscapes, about=about)
    data.attrs |= {
        "title": f"{stem} of {about['run_name']}",
        "source": f"landscape-study {__version__}",
        "run": about["run"],
        "loss_unit": landscapes[0].loss_unit,
        "examples": as_json(landscapes[0].provenance.get("splits", {})),
        "directions": as_json(landscapes[0].provenance.get("directions", [])),
        **{f"tag_{key}": value for key, value in about["tags"].items()},
        **{key: value for key, value in about["settings"].items() if key == "seed" or key.endswith("_seed")},
    }
    data.attrs = {key: value for key, value in data.attrs.items() if value is not None}
    encoding = {key: {"_FillValue": None} for key, own in data.variables.items() if own.dtype.kind == "f"}
    with TemporaryDirectory() as folder:
        file = Path(folder) / "landscape.nc"
        data.to_netcdf(file, engine="h5netcdf", encoding=encoding)
        return {f"{stem}.nc": file.read_bytes()}


def _numpy(stem: str, landscapes: Sequence[Landscape], about: Mapping[str, Any]) -> dict[str, bytes]:
    """One file, to be read without pickle."""
    return {f"{stem}.npz": to_npz(*landscapes, about=about)}


def _vtk(stem: str, landscapes: Sequence[Landscape], about: Mapping[str, Any]) -> dict[str, bytes]:
    """Files of each split and of each replicate: their heights are their own."""
    from study.landscape.vtk_files import vtk_files

    files = {}
    for place, landscape in enumerate(landscapes):
        draw = f".{REPLICATE}{place}" if place else ""
        for split in landscape.splits:
            known = {**about, "split": split, "replicate": place}
            for suffix, content in vtk_files(landscape.split(split), known).items():
                files[f"{stem}{draw}{f'.{split}' if split else ''}{suffix}"] = content
    return files


def _is_there(record: Record, name: str) -> bool:
    return f"landscapes/{name}.npz" in record.files()


FORMATS: dict[str, Callable[[str, Sequence[Landscape], Mapping[str, Any]], dict[str, bytes]]] = {
    "vtk": _vtk,
    "csv": _csv,
    "netcdf": _netcdf,
    "numpy": _numpy,
}
"""How a landscape, or its replicates, are written: from name, landscapes and provenance to files."""
