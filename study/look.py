"""One configured landscape of a trained network: evaluated, measured, checked against itself."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

from torch import nn
from torch.nn import functional

from study.config import EvaluationConfig
from study.kinds import KINDS, LandscapeConfig, Trained
from study.landscape.evaluate import evaluate
from study.landscape.evaluator import Task
from study.landscape.geometry import BatchStatistics
from study.landscape.result import Landscape
from study.landscape.statistics import layers_with_running_statistics
from study.training.data import DataSet, Examples
from study.training.loop import EVALUATION_BATCH, mean_loss

LOSS = partial(functional.cross_entropy, reduction="none")  # plain, whatever the network was trained with


@dataclass(frozen=True)
class Look:
    """A landscape with the numbers read off it.

    Attributes:
        landscape: of every split asked for.
        measures: by `<split>/<measure>`; not finite where a value within a measure's range is not.
    """

    landscape: Landscape
    measures: dict[str, float]


@dataclass(frozen=True)
class Reading:
    """The examples that a landscape is read on.

    Attributes:
        splits: by name, the fixed random subset of each; the whole split if it is no larger.
        batches: the same, as `evaluate` takes them.
        settings: what else `evaluate` takes of them.
    """

    splits: dict[str, Examples]
    batches: dict[str, Any]
    settings: dict[str, Any]

    @classmethod
    def of(
        cls,
        data: DataSet,
        names: Sequence[str],
        examples: int | None,
        subset_seed: int,
        evaluation: EvaluationConfig,
    ) -> "Reading":
        """What is read of the splits `names` of `data`: `examples` of each, or all where it is None."""
        whole = {name: getattr(data, name) for name in names}
        count = {name: len(split) if examples is None else examples for name, split in whole.items()}
        splits = {
            name: split.take(min(count[name], len(split)), subset_seed) for name, split in whole.items()
        }
        gathered = data.train.take(min(evaluation.statistics_examples, len(data.train)), subset_seed)
        return cls(
            splits=splits,
            batches={name: [(split.inputs, split.targets)] for name, split in splits.items()},
            settings={
                "statistics_data": [(gathered.inputs, gathered.targets)],
                "micro_batch": evaluation.micro_batch,
                "population": {name: len(split) for name, split in whole.items()},
            },
        )


def look(
    config: LandscapeConfig,
    evaluation: EvaluationConfig,
    model: nn.Module,
    data: DataSet,
    trained: Trained,
    on_point: Callable[[int, int], None] | None = None,
) -> Look:
    """Evaluate a landscape, and check it.

    Args:
        config: of the landscape.
        evaluation: how points are evaluated.
        model: the architecture, with the solution's weights in it; left as it is.
        data: the splits.
        trained: what is looked at.
        on_point: called with (points done, points in all).
    """
    kind = KINDS[config.kind]
    geometry = kind.geometry(config, trained)
    policy = cast(BatchStatistics, config.batch_statistics or geometry.default_batch_statistics)
    reading = Reading.of(data, config.splits, config.examples, config.subset_seed, evaluation)
    splits, batches, settings = reading.splits, reading.batches, reading.settings
    landscape = evaluate(
        model,
        LOSS,
        batches,
        geometry,
        kind.grid(config),
        batch_statistics=policy,
        on_point=on_point,
        **settings,
    )
    measures = {
        f"{name}/{measure}": value
        for name in splits
        for measure, value in kind.measures(landscape.split(name), config).items()
    }
    at_solution = landscape.points[trained.solution_name].values
    with Task.of(model, LOSS, batches, policy, **settings).open() as evaluator:
        again = evaluator.measure(trained.solution).values
    stored = again
    if policy != "frozen":
        with Task.of(model, LOSS, batches, "frozen", **settings).open() as evaluator:
            stored = evaluator.measure(trained.solution).values
    for name, examples in splits.items():
        by_training = mean_loss(model, examples, EVALUATION_BATCH).loss
        measures |= {
            f"{name}/self_check": abs(at_solution[f"{name}/loss"] - again[f"{name}/loss"]),
            f"{name}/self_check_training": abs(stored[f"{name}/loss"] - by_training)
            / max(abs(by_training), 1e-12),
        }
        if layers_with_running_statistics(model):
            gap = at_solution[f"{name}/loss"] - stored[f"{name}/loss"]
            measures[f"{name}/batch_statistics_gap"] = gap
    return Look(landscape, measures)
