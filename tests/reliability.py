"""The numbers of `docs/reliability.md`: what harnesses and tests counted themselves, put between its marks.

`make faults` runs it: `python -m tests.reliability`. The text of the page is written by hand; a number in it
stands between the marks `<!--NAME-->` and `<!--/-->`, and comes from the results that are kept in
`docs/reliability`: of the harness of faults, of the tests named here, and of `make load`.
"""

import json
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reliability.md"
KEPT = ROOT / "docs" / "reliability"
COUNTS, FAULTS, LOAD = "counts.json", "faults.json", "load.json"
BEGIN, END = "<!-- load: begin (make faults) -->", "<!-- load: end -->"

# By the name of a number: which tests it counts, as paths and, after `::`, how their names begin.
TESTED = {
    "stores": ("tests/faults/test_stores.py",),
    "workers": (
        "tests/test_sweep_processes.py",
        "tests/landscape/test_executors.py::test_a_worker_that_dies",
        "tests/landscape/test_executors.py::test_a_point_that_kills_every_worker",
        "tests/landscape/test_executors.py::test_a_ray_actor_killed",
        "tests/landscape/test_executors.py::test_no_worker_is_left_behind",
    ),
    "memory": (
        "tests/landscape/test_point.py::test_points_at_once_are_halved",
        "tests/landscape/test_point.py::test_one_example_too_many",
        "tests/landscape/test_point.py::test_a_network_that_cannot_take",
        "tests/landscape/test_point.py::test_what_was_done_before_memory",
        "tests/landscape/test_executors.py::test_memory_that_runs_out",
        "tests/test_large_landscapes.py::test_the_self_checks_hold_where_memory",
    ),
    "refusals": ("tests/test_refusals.py",),
    "bad_input": ("tests/bad_input",),
    "properties": ("tests/properties",),
    "security": ("tests/security",),
    "load": ("tests/load",),
}
PASSING = re.compile(r"- (\d+) passing, ")


def main() -> int:
    """Run the tests that are counted, keep what came out, and put the numbers into the page.

    Returns:
        The exit status: 1 if any test failed.
    """
    counts, failed = tested()
    (KEPT / COUNTS).write_text(json.dumps(counts, indent=1) + "\n")
    PAGE.write_text(written(PAGE.read_text()))
    print(f"{counts}\n{failed} tests failed")
    return 1 if failed else 0


def tested() -> tuple[dict[str, int], int]:
    """Run the tests; what `counted` says of them, and how many failed."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        paths = sorted({path.split("::")[0] for own in TESTED.values() for path in own})
        command = [
            sys.executable,
            "-m",
            "pytest",
            *paths,
            f"--junitxml={report}",
            "-o",
            "junit_family=xunit1",
        ]
        done = subprocess.run(
            [*command, "--hypothesis-show-statistics"], cwd=ROOT, capture_output=True, text=True, check=False
        )
        return counted(report, done.stdout)


def counted(report: Path, printed: str) -> tuple[dict[str, int], int]:
    """By name, how many tests passed, and how many examples were made up for them; and how many failed.

    Args:
        report: of pytest, in JUnit's XML with files.
        printed: by pytest, the statistics of hypothesis among it.
    """
    cases = list(ElementTree.parse(report).iter("testcase"))
    passed = [case for case in cases if not {own.tag for own in case} & {"failure", "error", "skipped"}]
    failed = [case for case in cases if {own.tag for own in case} & {"failure", "error"}]
    names = [f"{case.get('file')}::{case.get('name')}" for case in passed]
    counts = {name: sum(own.startswith(paths) for own in names) for name, paths in TESTED.items()}
    of_properties = [
        part for part in re.split(r"\n(?=\S+\.py::)", printed) if part.startswith(TESTED["properties"])
    ]
    counts["examples"] = sum(int(count) for part in of_properties for count in PASSING.findall(part))
    return counts, len(failed)


def of_faults(found: Mapping[str, Any]) -> dict[str, int]:
    """The numbers of a result of `python -m tests.faults`, by name."""
    counts: Counter[str] = Counter()
    for kind, cases in found["cases"].items():
        name = next(name for words, name in KINDS.items() if kind.startswith(words))
        counts[name] += cases
        counts["faults"] += cases
    counts["faults_wrong"] = sum(found["wrong"].values())
    for name in ("changes", "kinds_of_change", "seconds"):
        counts[name] = found[name]
    return dict(counts)


# By the first words of a kind of case: the name of the number that counts it.
KINDS = {
    "killed before": "kills",
    "killed within": "torn",
    "killed, and": "killed_twice",
    "killed while": "killed_making",
    "killed at any": "killed_in_time",
    "started cold": "killed_cold",
    "every change fails": "disks",
    "a file of": "damaged",
    "the same sweep": "at_once",
    "sweeps that share": "at_once",
}


def written(page: str) -> str:
    """The page with every number between its marks, and the table of the load, as the kept results say."""
    faults, counts, load = (json.loads((KEPT / name).read_bytes()) for name in (FAULTS, COUNTS, LOAD))
    numbers = {**counts, **of_faults(faults)}
    page = re.sub(
        r"<!--(\w+)-->.*?<!--/-->", lambda found: f"<!--{found[1]}-->{numbers[found[1]]:,}<!--/-->", page
    )
    before, rest = page.split(BEGIN)
    return f"{before}{BEGIN}\n{load_table(load)}\n{END}{rest.split(END)[1]}"


def load_table(load: Mapping[str, Any]) -> str:
    """The figures of `python -m benchmarks.load` with their limits, in Markdown."""
    rows = ["| figure | measured | processor time | limit |", "| --- | ---: | ---: | ---: |"]
    for own in load["figures"]:
        processor = "" if own["processor"] is None else f"{own['processor']:.1f} s"
        limit = "" if own["limit"] is None else f"{own['limit']:,g} {own['unit']}".strip()
        rows.append(f"| {own['name']} | {own['value']:,.4g} {own['unit']} | {processor} | {limit} |")
    return "\n".join(rows)


if __name__ == "__main__":
    raise SystemExit(main())
