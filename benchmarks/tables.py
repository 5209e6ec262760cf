"""The results of the benchmark as tables, between marks in the pages that show them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.contestants import ENGINE
from benchmarks.peers import PEERS

CELLS = 51 * 51
TITLES = {
    "two_conv": "2-conv network of the text",
    "mlp": "MLP, 784–128–128–10",
    "resnet16": "batch-norm ResNet-20, width 16",
}
Turn = Mapping[str, Any]
ROOT = Path(__file__).resolve().parent.parent


def write_tables(results: Mapping[str, Any]) -> None:
    """Put every table between its marks."""
    turns = results["turns"]
    put_between(ROOT / "README.md", "benchmark", "\n\n".join([_machine(results), _points(turns, "two_conv")]))
    pages = [_points(turns, network) for network in TITLES]
    put_between(ROOT / "docs" / "scaling.md", "benchmark", "\n\n".join([_machine(results), *pages]))
    put_between(
        ROOT / "docs" / "scaling.md", "growth", "\n\n".join([_growth(turns), _overhead(results["overhead"])])
    )


def _machine(results: Mapping[str, Any]) -> str:
    here = results["machine"]
    rates = [turn["rate"] for turn in results["turns"]]
    points = [turn for turn in results["turns"] if turn["shows"] == "point"]
    asked = [(turn["contestant"], turn["network"], turn["thresholds"]) for turn in points]
    counts = sorted({asked.count(each) for each in asked})
    times = f"the median of {counts[0]} to {counts[-1]} measurements in turns"
    if counts == [1]:
        times = "one measurement"
    return (
        f"{here['processor']} ({here['capability']}), {here['threads']} threads, {here['system']}, torch "
        f"{here['torch']}; float32 matrix products reach {median(rates) / 1e9:.0f} GFLOP/s there. Each "
        f"number is {times}, in a process of its own."
    )


def _points(turns: Sequence[Turn], network: str) -> str:
    """Seconds a point and a surface of every contestant on one network."""
    ours = [turn for turn in turns if turn["network"] == network and turn["shows"] in {"point", "surface"}]

    def of(name: str, kept: bool) -> list[Turn]:
        return [turn for turn in ours if (turn["contestant"], turn["thresholds"]) == (name, kept)]

    exact = _median(of("this engine", True), "per_point")
    rows = [
        f"| {TITLES[network]}, {ours[0]['images']:,} images | s a point, as it comes "
        "| s a point, freed memory kept | share of the matrix-product rate | 51 × 51 points | memory |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name in [*PEERS, *ENGINE]:
        plain, kept = of(name, False), of(name, True)
        if not kept:
            continue
        points = [_median(found, "per_point") if found else None for found in (plain, kept)]
        cells = ["–" if point is None else f"{point:.3g} ({point / exact:.2g}×)" for point in points]
        rate = _median(kept, "operations") / _median(kept, "per_point") / _median(kept, "rate")
        if kept[0]["shows"] == "surface":
            whole = f"{_time(_median(kept, 'seconds'))}, {_median(kept, 'points'):,.0f} points"
        else:
            shown = plain if name in PEERS else kept
            whole = _time(_median(shown, "once") + CELLS * _median(shown, "per_point"))
        memory = f"{_median(kept, 'memory') / 2**20:,.0f} MiB"
        rows.append("| " + " | ".join([name, *cells, f"{100 * rate:.0f}%", whole, memory]) + " |")
    return "\n".join(rows)


def _growth(turns: Sequence[Turn]) -> str:
    """How seconds grow with points, with images, and with workers."""
    rows = [
        "| growth with | computed by | points | images | seconds | seconds a point | memory |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for turn in turns:
        if turn["shows"] in {"points", "images", "workers"}:
            rows.append(
                f"| {turn['shows']} | {turn['contestant']} | {turn['points']} | {turn['images']:,} "
                f"| {turn['seconds']:.3g} | {turn['per_point']:.3g} | {turn['memory'] / 2**20:,.0f} MiB |"
            )
    return "\n".join(rows)


def _overhead(overhead: Mapping[str, float]) -> str:
    total = overhead["total"]
    parts = {name: seconds for name, seconds in overhead.items() if name != "total"}
    rows = [f"| the default run, {total:.0f} s | seconds | share |", "| --- | ---: | ---: |"]
    return "\n".join(
        rows + [f"| {name} | {own:.1f} | {100 * own / total:.0f}% |" for name, own in parts.items()]
    )


def _median(found: Sequence[Turn], key: str) -> Any:
    return median(turn[key] for turn in found) if found else None


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def put_between(page: Path, name: str, text: str) -> None:
    """Put text between the marks of a name."""
    begin, end = f"<!-- {name}: begin (make bench) -->", f"<!-- {name}: end -->"
    before, rest = page.read_text().split(begin)
    page.write_text(f"{before}{begin}\n{text}\n{end}{rest.split(end)[1]}")
