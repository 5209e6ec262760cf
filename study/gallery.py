"""The gallery in `docs`: a picture of each kind, with the command that made it, from real runs."""

import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from study.figures.few_colours import smaller
from study.landscape.allocator import keep_freed_memory
from study.multirun import Multirun
from study.paths import root
from study.prepare import prepare
from study.record import Record
from study.resolve import resolved
from study.run import run
from study.sweep import sweep

PAGE, PICTURES = Path("docs", "gallery.md"), Path("docs", "gallery")
RUNS = PICTURES / "runs.json"  # hash and numbers of each entry, which the page shows
WIDTH = 1100  # pixels across a picture
LINE = 80  # characters of a command's line

HEAD = """\
# Gallery

<!-- make gallery writes this page -->

Every picture here is a run's own, as it lies in its record, made by the command below it on the bundled
digits. `make gallery OUTPUTS=FOLDER` makes them anew, in minutes on two cores, and takes what is finished.
What such pictures hide stands in [How to read a landscape](reading.md).
"""


@dataclass(frozen=True)
class Entry:
    """One command of the gallery, and what it shows.

    Attributes:
        name: of its pictures' files.
        title: its heading.
        see: what there is to see, in a sentence or two.
        command: as a user types it.
        pictures: files of the record, shown beside each other.
        numbers: metrics of the run, shown below them.
        wide: further files of the record, each shown over the whole width.
    """

    name: str
    title: str
    see: str
    command: str
    pictures: tuple[str, ...]
    numbers: tuple[str, ...] = ()
    wide: tuple[str, ...] = ()

    @property
    def words(self) -> list[str]:
        """The command's arguments."""
        return shlex.split(self.command)[1:]

    @property
    def files(self) -> list[Path]:
        """The pictures, as the page has them."""
        return [PICTURES / f"{self.name}.{Path(own).name}" for own in (*self.pictures, *self.wide)]

    @property
    def lines(self) -> str:
        """The command on lines of a page's width."""
        lines = [""]
        for word in self.command.split():
            if len(f"{lines[-1]} {word}") > LINE:
                lines.append(word)
            else:
                lines[-1] = f"{lines[-1]} {word}".strip()
        return " \\\n    ".join(lines)


MLP = "model=mlp data=small_digits"
OTHER = "seed+1000"
ENTRIES = (
    Entry(
        "default",
        "The line and the plane of a first run",
        "Along the straight line from the initialisation (the circle) to the solution (the star) the loss"
        " falls without a rise. About the solution, on a random filter-normalised plane, it is a bowl.",
        "study",
        (
            "landscapes/interpolation.png",
            "landscapes/contour.png",
            "landscapes/contour.surface.png",
        ),
        (
            "interpolation/train/largest_rise",
            "contour/train/basin_width",
            "contour/train/path_share",
        ),
    ),
    Entry(
        "trajectory",
        "The optimiser's path",
        "The path of training on the plane of its own first two principal components; beside it how far "
        "each checkpoint lies from that plane, and how its loss differs from the one that is drawn under "
        "it.",
        f"study {MLP} landscape=trajectory",
        ("landscapes/trajectory.png", "landscapes/trajectory.surface.png"),
        (
            "trajectory/train/explained_about_solution",
            "trajectory/train/random_walk_about_solution",
            "trajectory/train/largest_projection_gap",
        ),
        ("landscapes/trajectory.path.png",),
    ),
    Entry(
        "three_points",
        "Three solutions on one plane",
        "Three seeds of one network reach three basins; between any two of them the plane rises.",
        f"study {MLP} landscape=three_points landscape.three_points.second={OTHER} "
        "landscape.three_points.third=seed+2000",
        ("landscapes/three_points.png", "landscapes/three_points.surface.png"),
    ),
    Entry(
        "minima",
        "Between two solutions, before and after their units are matched",
        "The straight line between two solutions crosses a barrier. After a permutation of the hidden "
        "units of one, which leaves its function as it is, most of the barrier is gone.",
        f"study {MLP} model.widths=[512,512] landscape=minima landscape.minima.end={OTHER} "
        f"+landscape@landscape.aligned=minima landscape.aligned.end={OTHER} landscape.aligned.align=true",
        ("landscapes/minima.png", "landscapes/aligned.png"),
        (
            "minima/train/barrier",
            "aligned/train/barrier",
        ),
    ),
    Entry(
        "curve",
        "A curve around the barrier",
        "A Bézier curve whose one bend was trained joins the two solutions at a low loss; the straight "
        "line is drawn with it.",
        f"study {MLP} landscape=curve landscape.curve.end={OTHER}",
        ("landscapes/curve.png",),
        (
            "curve/train/straight_barrier",
            "curve/train/barrier_from_mean",
        ),
    ),
    Entry(
        "batch_statistics",
        "One line, three treatments of batch normalization",
        "With the running statistics recomputed at each point, interpolated between the ends, and frozen "
        "at one end: the same weights, another loss.",
        f"study {MLP} model.norm=batch landscape=minima landscape.minima.end={OTHER} "
        f"+landscape@landscape.interpolated=minima landscape.interpolated.end={OTHER} "
        "landscape.interpolated.batch_statistics=interpolated "
        f"+landscape@landscape.frozen=minima landscape.frozen.end={OTHER} "
        "landscape.frozen.batch_statistics=frozen",
        ("landscapes/minima.png", "landscapes/interpolated.png", "landscapes/frozen.png"),
        (
            "minima/train/barrier",
            "interpolated/train/barrier",
            "frozen/train/barrier",
        ),
    ),
    Entry(
        "replicates",
        "One direction is one draw",
        "Eight random directions through one solution, and their median: what differs from curve to curve"
        " says nothing about the solution.",
        f"study {MLP} landscape=line landscape.line.replicates=8",
        ("landscapes/line.png",),
        (
            "line/train/basin_width",
            "line/train/basin_width_standard_deviation",
        ),
    ),
    Entry(
        "hessian_plane",
        "The plane of two eigenvectors",
        "The plane of the two largest eigenvalues of the Hessian, with the quadratic that the eigenvalues"
        " predict.",
        f"study {MLP} landscape=hessian_plane",
        ("landscapes/hessian_plane.png",),
        (
            "hessian_plane/train/eigenvalue_alpha",
            "hessian_plane/train/curvature_alpha",
        ),
    ),
    Entry(
        "hessian_map",
        "Where the plane is not convex",
        "The ratio |λmin / λmax| of the Hessian at each point of a random plane: where it is dark, the "
        "loss is nearly convex in all of weight space, not on the plane alone.",
        f"study {MLP} landscape=hessian_map",
        ("landscapes/hessian_map.png",),
        (
            "hessian_map/train/eigenvalue_ratio",
            "hessian_map/train/largest_ratio",
        ),
    ),
    Entry(
        "spectrum",
        "The spectrum of the Hessian",
        "The spectral density of the Hessian and of the generalized Gauss-Newton matrix: a bulk about "
        "zero, and a few large eigenvalues.",
        f"study {MLP} curvature=spectrum landscape=[]",
        ("curvature.png",),
        (
            "curvature/top_eigenvalue",
            "curvature/smallest_eigenvalue",
        ),
    ),
    Entry(
        "evolution",
        "The landscape as training goes on",
        "The plane about each checkpoint on one scale, from the initialisation's plateau to the solution's "
        "bowl, and the optimiser's path over its own plane.",
        f"study {MLP} landscape=[evolution,trajectory]",
        ("landscapes/evolution.gif", "landscapes/trajectory.gif"),
        wide=("landscapes/evolution.png",),
    ),
    Entry(
        "batch_size",
        "Two batch sizes, three seeds: a comparison",
        "Planes side by side with one set of levels and one scale, lines between the solutions, and what "
        "training did meanwhile.",
        f"study -m {MLP} training.batch_size=16,256 seed=0,1,2 landscape=[interpolation,contour]",
        ("comparison/between.png",),
        wide=("comparison/contour.png", "comparison/training.png"),
    ),
)
"""What the gallery shows, in its order. Another kind is one more entry."""


def page(runs: Mapping[str, Mapping[str, Any]]) -> str:
    """The page of the gallery, Markdown.

    Args:
        runs: of each entry, by its name, the hash and the numbers; see `about`.
    """
    lines = [HEAD]
    for entry in ENTRIES:
        own = runs[entry.name]
        lines += [f"## {entry.title}", "", entry.see, "", '<div class="beside" markdown>', ""]
        beside, below = entry.files[: len(entry.pictures)], entry.files[len(entry.pictures) :]
        lines += [_picture(file) for file in beside]
        lines += ["</div>", "", *map(_picture, below), "```", entry.lines, "```", ""]
        said = [f"{'Sweep' if '-m' in entry.words else 'Run'} `{own['hash']}`"]
        said += [f"`{name}` {value:.4g}" for name, value in own["numbers"].items()]
        lines += [f"{'; '.join(said)}.", ""]
    return "\n".join(lines)


def about(entry: Entry, record: Record) -> dict[str, Any]:
    """What the page says of an entry's run: its hash, and the numbers that are shown."""
    values = record.latest() if entry.numbers else {}
    return {"hash": record.config_hash, "numbers": {name: values[name] for name in entry.numbers}}


def _picture(file: Path) -> str:
    return f"![{file.stem}]({file.relative_to(PAGE.parent).as_posix()})\n"


def made(entry: Entry, output_dir: str) -> Record:
    """The record of an entry's run or sweep, which is made unless it is finished.

    Args:
        entry: of the gallery.
        output_dir: the folder that the record lies in.
    """
    words = [*(word for word in entry.words if word != "-m"), f"output_dir={output_dir}", "tracking=none"]
    if "-m" in entry.words:
        return sweep(words).record
    with Multirun.open(words) as jobs:
        (only,) = jobs.combinations
        return run(prepare(*resolved(*only.compose()))).record


def write(folder: Path, records: Mapping[str, Record]) -> None:
    """Write the page and its pictures.

    Args:
        folder: that holds `docs`.
        records: of all entries, by name.
    """
    (folder / PICTURES).mkdir(parents=True, exist_ok=True)
    for old in (folder / PICTURES).iterdir():
        old.unlink()
    for entry in ENTRIES:
        for own, file in zip((*entry.pictures, *entry.wide), entry.files, strict=True):
            picture = records[entry.name].read(own)
            (folder / file).write_bytes(smaller(picture, width=WIDTH) if file.suffix == ".png" else picture)
    runs = {entry.name: about(entry, records[entry.name]) for entry in ENTRIES}
    (folder / RUNS).write_text(json.dumps(runs, indent=1) + "\n")
    (folder / PAGE).write_text(page(runs))


def main(arguments: Sequence[str]) -> None:
    """Make what is not made yet in the folder that the command line names, and write the page."""
    (output_dir,) = arguments
    keep_freed_memory()
    write(root(), {entry.name: made(entry, output_dir) for entry in ENTRIES})
    print(f"written: {PAGE}")


if __name__ == "__main__":
    main(sys.argv[1:])
