"""A plane of 501 by 501 points as a run evaluates, draws, writes and mirrors it."""

from argparse import Namespace
from pathlib import Path

from benchmarks.figure import MIB, Figure, study
from benchmarks.many_runs import TINY
from study.record import Record

MEMORY = 4096.0  # MiB
FILE = 50.0  # MiB


def large_plane(folder: Path, asked: Namespace) -> list[Figure]:
    """The plane evaluated where it has to be; and everywhere, where that is asked for: 251,001 points."""
    side = asked.points
    tiny = [word for word in TINY if not word.startswith("landscape")]
    ways = {f"{side} × {side} to 1%": ["landscape.contour.tolerance=0.01"]}
    if asked.every_point:
        ways[f"{side} × {side}, every point"] = []
    found = []
    for place, (name, own) in enumerate(ways.items()):
        folder.mkdir(parents=True, exist_ok=True)
        output = folder / str(place)
        words = ["landscape=[contour]", f"landscape.contour.points={side}", *own, f"output_dir={output}"]
        done = study(*tiny, *words, log=folder / f"{place}.txt")
        found.append(Figure(f"{name}, the whole run", done.seconds, "s", None, done.processor))
        found.append(Figure(f"{name}, memory", done.memory / MIB, "MiB", MEMORY))
        (record,) = Record.all(output)
        sizes = {file: (record.path / file).stat().st_size / MIB for file in record.files()}
        for suffix in ("png", "pdf", "html", "csv", "npz"):
            largest = max(size for file, size in sizes.items() if file.endswith(suffix))
            found.append(Figure(f"{name}, the largest {suffix}", largest, "MiB", FILE))
        stored = sum(file.stat().st_size for file in (output / "points").rglob("*") if file.is_file())
        found.append(Figure(f"{name}, kept points", stored / MIB, "MiB"))
    return found
