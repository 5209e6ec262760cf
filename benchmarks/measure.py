"""One measurement, in a process of its own: `python -m benchmarks.measure`; the result is a line of JSON."""

import argparse
import json
import resource
import time
from dataclasses import asdict
from pathlib import Path

import torch
from torch.utils.data import Subset
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.contestants import time_plane
from benchmarks.problem import Problem, mnist_problem
from benchmarks.trained import trained
from study import keep_freed_memory

SIDE = 2048  # of the matrices whose product is the machine's limit
WARM = 256  # images of the call that is not counted


def main() -> None:
    """Time one contestant on one network, between two measurements of the machine's limit."""
    parser = argparse.ArgumentParser()
    parser.add_argument("contestant")
    parser.add_argument("network")
    parser.add_argument("--root", required=True)
    parser.add_argument("--networks", type=Path, required=True)
    parser.add_argument("--images", type=int, required=True)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--thresholds", action="store_true")
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    if asked.thresholds:
        keep_freed_memory()
    problem = mnist_problem(trained(asked.network, asked.root, asked.networks), asked.root, asked.images)
    images = Subset(problem.images, range(WARM))
    torch.manual_seed(0)
    few = Problem(problem.model, problem.inputs[:WARM], problem.targets[:WARM], images)
    time_plane(asked.contestant, few, 2)
    rates = [product_rate()]
    before = peak_memory()
    timing = time_plane(asked.contestant, problem, asked.steps)
    grown = peak_memory() - before
    rates.append(product_rate())
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        problem.model(problem.inputs[:WARM])
    operations = counter.get_total_flops() / WARM * asked.images
    found = {
        **asdict(timing),
        "once": timing.once,
        "rate": max(rates),
        "memory": grown,
        "operations": operations,
    }
    print(json.dumps(found))


def product_rate() -> float:
    """Floating-point operations a second of float32 matrix products, the best of ten."""
    first, second = torch.randn(SIDE, SIDE), torch.randn(SIDE, SIDE)
    times = []
    for _ in range(10):
        started = time.perf_counter()
        first @ second
        times.append(time.perf_counter() - started)
    return 2 * SIDE**3 / min(times)


def peak_memory() -> int:
    """The most bytes that this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main()
