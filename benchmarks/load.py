"""Whether thousands of runs stay usable: `make load`, or `python -m benchmarks.load --runs 1000`.

Each figure is that of a whole process, as a user waits for it. A limit that is passed is an exit status.
"""

import argparse
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.crowd import crowd
from benchmarks.figure import Figure, shown
from benchmarks.large_plane import large_plane
from benchmarks.many_runs import many_runs

PARTS = {"runs": many_runs, "plane": large_plane, "crowd": crowd}


def main() -> None:
    """Measure, print, keep, and fail where a limit is passed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load")
    parser.add_argument("--runs", type=int, default=1000, help="finished runs below one parent")
    parser.add_argument("--rates", type=int, default=20, help="configurations among them, the rest are seeds")
    parser.add_argument("--points", type=int, default=501, help="points along each axis of the large plane")
    parser.add_argument("--every-point", action="store_true", help="evaluate it without a tolerance, too")
    parser.add_argument("--processes", type=int, default=16, help="that work on one store at once")
    parser.add_argument("--only", choices=PARTS, nargs="*", default=list(PARTS), help="parts to measure")
    parser.add_argument("--folder", type=Path, help="where all is kept; else it is removed")
    parser.add_argument("--json", type=Path, help="where the figures are written")
    asked = parser.parse_args()
    found: list[Figure] = []
    with TemporaryDirectory() as temporary:
        folder = (asked.folder or Path(temporary)).resolve()
        for name in asked.only:
            found += PARTS[name](folder / name, asked)
    busy = os.getloadavg()[0]
    print(shown(found))
    print(f"\nload average {busy:.1f} at the end, {os.cpu_count()} processors")
    if asked.json is not None:
        of_what = {name: value for name, value in vars(asked).items() if name not in {"folder", "json"}}
        content = {"figures": [asdict(own) | {"ok": own.ok} for own in found], "asked": of_what}
        asked.json.write_text(json.dumps(content, indent=1) + "\n")
    sys.exit(not all(own.ok for own in found))


if __name__ == "__main__":
    main()
