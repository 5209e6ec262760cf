"""The benchmark: every contestant beside the others, in turns; `make bench MNIST=FOLDER`.

Each measurement is a process of its own, so that one contestant's memory is not another's, and the turns
alternate, so that a machine that slows down slows all. The results are kept as JSON, and written as tables
into the README and the documentation.
"""

import argparse
import json
import platform
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from tqdm import tqdm

from benchmarks.contestants import ENGINE
from benchmarks.peers import PEERS
from benchmarks.tables import write_tables
from study.record import Record


@dataclass(frozen=True)
class Turn:
    """What one measurement is of.

    Attributes:
        contestant: its name.
        network: its name.
        images: test images that a point reads.
        steps: points an axis.
        thresholds: whether freed memory is kept.
        shows: what the table shows with it: `point`, `surface`, or growth with `points`, `images`, `workers`.
    """

    contestant: str
    network: str
    images: int
    steps: int
    thresholds: bool
    shows: str


def every_round(images: int) -> list[Turn]:
    """What is measured again and again: a point of every contestant, as it comes and with memory kept."""
    found = []
    for network, read in (("two_conv", images), ("mlp", images), ("resnet16", images // 5)):
        small = 10 if network == "mlp" else 2
        for name in PEERS:
            found += [Turn(name, network, read, small, kept, "point") for kept in (False, True)]
        found.append(Turn("this engine", network, read, small + 1, False, "point"))
        for name in ("this engine", "this engine, compiled", "this engine, bfloat16"):
            found.append(Turn(name, network, read, small + 1, True, "point"))
    return found


def once(images: int) -> list[Turn]:
    """What is measured once: whole adaptive surfaces, and growth with points, images and workers."""
    engine, few = "this engine", images // 5
    found = [Turn(name, "two_conv", images, 51, True, "surface") for name in ENGINE if "adaptive" in name]
    found += [Turn(engine, "two_conv", few, steps, True, "points") for steps in (2, 4, 8)]
    found += [Turn(engine, "two_conv", few * times, 4, True, "images") for times in (1, 2, 4)]
    names = [engine, *(name for name in ENGINE if "worker" in name)]
    return [*found, *(Turn(name, "two_conv", few, 8, True, "workers") for name in names)]


def overhead(threads: int) -> dict[str, float]:
    """Where the seconds of the default run go.

    Raises:
        RuntimeError: if the run failed, with what it said.
    """
    with TemporaryDirectory() as folder:
        asked = [str(Path(sys.executable).with_name("study")), f"output_dir={folder}"]
        asked += [f"training.threads={threads}", f"evaluation.threads={threads}"]
        started = time.perf_counter()
        done = subprocess.run(asked, capture_output=True, text=True, check=False)
        total = time.perf_counter() - started
        if done.returncode != 0:
            raise RuntimeError(f"the default run failed: {done.stderr[-2000:]}")
        (record,) = Record.all(folder)
        training = record.read_json("training.json")["seconds"]
        names = record.read_json("run.json")["landscapes"]
        looking = sum(record.read_json(f"landscapes/{name}.json")["seconds"] for name in names)
    rest = total - training - looking
    return {"total": total, "training": training, "landscapes": looking, "start-up, figures, logging": rest}


def measured(turn: Turn, root: str, networks: Path, threads: int) -> dict[str, Any]:
    """The turn with what was measured.

    Raises:
        RuntimeError: if the measurement failed, with what it said.
    """
    asked = [sys.executable, "-m", "benchmarks.measure", turn.contestant, turn.network, "--root", root]
    asked += ["--networks", str(networks), "--images", str(turn.images), "--steps", str(turn.steps)]
    asked += ["--threads", str(threads), *(["--thresholds"] if turn.thresholds else [])]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{turn} failed: {done.stderr[-2000:]}")
    return {**asdict(turn), **json.loads(done.stdout.splitlines()[-1])}


def machine(threads: int) -> dict[str, Any]:
    """What the tables say of where they were measured."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "processor": models[0] if models else platform.processor(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "threads": threads,
        "torch": torch.__version__,
        "system": platform.system(),
    }


def main() -> None:
    """Measure, keep, and write the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("--root", required=True, help="folder that holds MNIST/raw")
    parser.add_argument("--out", type=Path, default=Path("outputs/benchmarks"), help="folder of the results")
    parser.add_argument("--images", type=int, default=10_000, help="test images that a point reads")
    parser.add_argument("--repeats", type=int, default=3, help="rounds")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument(
        "--tables", action="store_true", help="only write the tables of the results that are there"
    )
    asked = parser.parse_args()
    file = asked.out / "results.json"
    if asked.tables:
        write_tables(json.loads(file.read_text()))
        return
    results: dict[str, Any] = {"machine": machine(asked.threads), "overhead": overhead(asked.threads)}
    results["turns"] = []
    turns = every_round(asked.images)
    rounds = [turns if at % 2 == 0 else turns[::-1] for at in range(asked.repeats)]
    plan = [*rounds[0], *once(asked.images), *(turn for again in rounds[1:] for turn in again)]
    asked.out.mkdir(parents=True, exist_ok=True)
    for turn in tqdm(plan, disable=None):
        results["turns"].append(measured(turn, asked.root, asked.out / "networks", asked.threads))
        file.write_text(json.dumps(results, indent=1) + "\n")
    write_tables(results)


if __name__ == "__main__":
    main()
