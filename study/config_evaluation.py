"""The configuration of the engine: how points are evaluated, and by whom."""

from dataclasses import dataclass

from study.keys import MOST_THREADS, key
from study.landscape.plan import PRECISIONS


@dataclass
class EvaluationConfig:
    """How points of a landscape are evaluated."""

    micro_batch: int | None = key("examples in one forward pass; null follows the plan's rule", at_least=32)
    precision: str = key(
        "float32, or bfloat16, whose error is then measured on a sample of points", choices=PRECISIONS
    )
    compile: bool = key("send the forward pass through torch.compile")
    points_at_once: int | None = key(
        "points that share a pass where statistics are frozen; null is 1 on a processor, more on a GPU",
        at_least=1,
    )
    threads: int = key("threads of one process in evaluation", at_least=1, at_most=MOST_THREADS, hashed=False)
    statistics_examples: int = key(
        "training examples from which running statistics are recomputed", at_least=2
    )


@dataclass
class ExecutorConfig:
    """Who computes the points of a landscape: this process."""

    name: str = key("which executor; set by the choice in the group `executor`")


@dataclass
class JoblibConfig(ExecutorConfig):
    """Processes of this machine."""

    workers: int = key("processes, or Ray actors, that compute points", at_least=1)
    threads: int = key("threads of each worker", at_least=1, at_most=MOST_THREADS)


@dataclass
class RayConfig(JoblibConfig):
    """Actors of a Ray cluster."""

    address: str | None = key("of a running Ray cluster, auto for this machine's; null starts one here")
    gpus_per_worker: float = key("GPUs asked of Ray for each worker, which then computes on one", at_least=0)
