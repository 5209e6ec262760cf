"""Paired differences of lines against what NumPy and the textbook say of the same numbers."""

import numpy as np
import pytest

from study.analysis.paired import Difference, paired_difference
from study.landscape.result import Landscape, Status

ALPHA = np.array([-1.0, 0.0, 2.0])
LOSSES = np.random.default_rng(0).gamma(2.0, size=(4, 3, 5))  # lines, α, examples


def line(losses: np.ndarray, population: int = 20, alpha: np.ndarray = ALPHA, **changes: object) -> Landscape:
    """A line of one split that read these losses of examples, (A, N)."""
    kept = losses.astype(np.float32)
    about = {"split": "train", "splits": {"train": {"examples": losses.shape[1], "population": population}}}
    return Landscape(
        axes={"alpha": alpha},
        values={"loss": losses.mean(axis=1)},
        status=changes.get("status", np.full(len(alpha), Status.EVALUATED, dtype=np.int8)),
        example_losses={"": kept},
        provenance=about,
    )


def lines(population: int = 20) -> list[Landscape]:
    return [line(losses, population) for losses in LOSSES]


def test_one_pair_errs_by_the_differences_of_its_examples() -> None:
    """s/√N √(1 − N/M) of the differences (Cochran 1977): what both lines share cancels."""
    run, other, *_rest = lines()
    found = paired_difference([(run, other)])
    apart = LOSSES[0] - LOSSES[1]
    assert found.at.tolist() == ALPHA.tolist()
    assert found.loss == pytest.approx(apart.mean(axis=1))
    expected = apart.std(axis=1, ddof=1) / np.sqrt(5) * np.sqrt(1 - 5 / 20)
    assert found.of_examples == pytest.approx(expected, rel=1e-5)
    assert found.standard_error == pytest.approx(expected, rel=1e-5)
    assert np.isnan(found.of_pairs).all()
    shifted = line(LOSSES[1] + 0.25 * np.arange(5))
    same = paired_difference([(line(LOSSES[1] + 0.25 * np.arange(5) + 3.0), shifted)])
    assert same.loss == pytest.approx([3.0, 3.0, 3.0])
    assert same.of_examples == pytest.approx([0.0, 0.0, 0.0], abs=1e-6)


def test_several_pairs_err_by_examples_and_by_pairs() -> None:
    first, second, third, fourth = lines()
    found = paired_difference([(first, second), (third, fourth)])
    apart = np.stack([LOSSES[0] - LOSSES[1], LOSSES[2] - LOSSES[3]])
    assert found.pairs == 2
    assert found.loss == pytest.approx(apart.mean(axis=(0, 2)))
    of_examples = apart.mean(axis=0).std(axis=1, ddof=1) / np.sqrt(5) * np.sqrt(0.75)
    of_pairs = np.abs(apart[0].mean(axis=1) - apart[1].mean(axis=1)) / 2  # s/√2 of two numbers
    assert found.of_examples == pytest.approx(of_examples, rel=1e-5)
    assert found.of_pairs == pytest.approx(of_pairs)
    assert found.standard_error == pytest.approx(np.sqrt(of_examples**2 + of_pairs**2), rel=1e-5)


def test_where_all_examples_are_read_they_have_no_error() -> None:
    first, second, third, fourth = lines(population=5)
    assert paired_difference([(first, second)]).standard_error.tolist() == [0.0, 0.0, 0.0]
    both = paired_difference([(first, second), (third, fourth)])
    assert both.standard_error.tolist() == both.of_pairs.tolist()


def test_the_error_is_that_of_subsets_drawn_again_and_again() -> None:
    """Of 1,000 subsets, the mean differences scatter as one subset says on average."""
    generator = np.random.default_rng(1)
    shared = generator.gamma(1.0, size=(1, 60))
    run, other = shared + generator.normal(0, 0.1, (1, 60)), 1.3 * shared

    def drawn() -> Difference:
        chosen = generator.permutation(60)[:20]
        at = np.array([0.0])
        return paired_difference([(line(run[:, chosen], 60, at), line(other[:, chosen], 60, at))])

    found = [drawn() for _ in range(1000)]
    scatter = np.std([own.loss[0] for own in found])
    assert np.sqrt(np.mean([own.of_examples[0] ** 2 for own in found])) == pytest.approx(scatter, rel=0.08)


def test_interpolated_cells_are_left_out_and_lost_ones_are_no_number() -> None:
    status = np.array([Status.EVALUATED, Status.INTERPOLATED, Status.EVALUATED], dtype=np.int8)
    lost = LOSSES[0].copy()
    lost[2, 1] = np.inf
    found = paired_difference([(line(lost), line(LOSSES[1], status=status)), (line(lost), line(lost))])
    assert found.at.tolist() == [-1.0, 2.0]
    assert np.isfinite(found.loss).tolist() == np.isfinite(found.of_examples).tolist() == [True, False]


def test_what_cannot_be_subtracted_is_refused() -> None:
    run, other, *_rest = lines()
    with pytest.raises(ValueError, match="at least one pair"):
        paired_difference([])
    with pytest.raises(ValueError, match="same α and examples"):
        paired_difference([(run, line(LOSSES[1], alpha=ALPHA + 1))])
    with pytest.raises(ValueError, match="same α and examples"):
        paired_difference([(run, other), (run, line(LOSSES[1][:, :4]))])
