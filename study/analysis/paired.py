"""Differences between runs that read the same examples: their errors are paired, example by example."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from study.landscape.evaluator import standard_error
from study.landscape.result import Landscape, Status


@dataclass(frozen=True)
class Difference:
    """The loss of runs less that of others along one line, averaged over their pairs.

    Attributes:
        at: where, (A,).
        loss: the mean over the pairs, (A,); NaN where a loss is not finite.
        of_examples: its standard error as the examples are a random subset, (A,): of the mean over the pairs,
            example by example; 0 where all are read.
        of_pairs: its standard error as the pairs are a sample, (A,): s/√n; NaN for one pair.
        pairs: their number n.
    """

    at: np.ndarray
    loss: np.ndarray
    of_examples: np.ndarray
    of_pairs: np.ndarray
    pairs: int

    @property
    def standard_error(self) -> np.ndarray:
        """Of both kinds, added in squares, (A,); 0 where all examples are read in one pair.

        What examples and pairs do together is in both: it is counted twice, never left out.
        """
        return np.hypot(self.of_examples, np.nan_to_num(self.of_pairs))


def paired_difference(pairs: Sequence[tuple[Landscape, Landscape]]) -> Difference:
    """L₁(α) − L₀(α) of each pair (L₁, L₀) of lines of one split, averaged over the pairs.

    Cells that are interpolated in one of them are left out. The examples that were read are a simple random
    subset of their split: the finite-population correction is in the error (Cochran 1977, section 2.6).

    Raises:
        ValueError: if there is no pair, or two lines have other α or another number of examples.
    """
    if not pairs:
        raise ValueError("pairs must hold at least one pair of lines, got none")
    lines = [line for pair in pairs for line in pair]
    (at,), (losses,) = (tuple(each.values()) for each in (lines[0].axes, lines[0].example_losses))
    known = np.ones(at.shape, dtype=bool)
    for line in lines:
        (own,), (examples,) = (tuple(each.values()) for each in (line.axes, line.example_losses))
        if not np.array_equal(own, at) or examples.shape != losses.shape:
            raise ValueError("pairs must be lines with the same α and examples, two of them differ")
        known &= line.status != Status.INTERPOLATED
    with np.errstate(invalid="ignore"):
        means = np.array([run.values["loss"] - other.values["loss"] for run, other in pairs])[:, known]
        by_example = sum(_examples(run)[known] - _examples(other)[known] for run, other in pairs) / len(pairs)
        loss = means.mean(axis=0)
        of_pairs = means.std(axis=0, ddof=1) / np.sqrt(len(pairs)) if len(pairs) > 1 else np.nan * loss
    population = lines[0].provenance["splits"][lines[0].provenance["split"]]["population"]
    return Difference(
        at=at[known],
        loss=np.where(np.isfinite(loss), loss, np.nan),
        of_examples=np.array([standard_error(row, population) for row in by_example]),
        of_pairs=of_pairs,
        pairs=len(pairs),
    )


def _examples(line: Landscape) -> np.ndarray:
    (losses,) = line.example_losses.values()
    return losses.astype(float)
