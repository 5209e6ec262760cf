"""The examples that a landscape is read on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from study.config_evaluation import EvaluationConfig
from study.training.data import DataSet, Examples


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
        splits = {name: split.subset(examples, subset_seed) for name, split in whole.items()}
        gathered = data.train.subset(evaluation.statistics_examples, subset_seed)
        return cls(
            splits=splits,
            batches={name: [(split.inputs, split.targets)] for name, split in splits.items()},
            settings={
                "statistics_data": [(gathered.inputs, gathered.targets)],
                "micro_batch": evaluation.micro_batch,
                "precision": evaluation.precision,
                "compile": evaluation.compile,
                "points_at_once": evaluation.points_at_once,
                "population": {name: len(split) for name, split in whole.items()},
            },
        )
