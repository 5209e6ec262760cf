"""The ends of the Hessian's spectrum, at any point of a geometry (Li et al. 2018, section 6)."""

from dataclasses import dataclass

from study.landscape.eigenpairs import extreme_eigenvalues
from study.landscape.hessian import Objective
from study.landscape.task import Task
from study.landscape.threads import using_threads
from study.landscape.weights import Weights


@dataclass(frozen=True)
class Eigenvalues:
    """How the smallest and the largest eigenvalue of the Hessian are found at a point.

    Attributes:
        tolerance: largest residual of either, and largest move over the last steps, relative to the larger
            magnitude of the two (`extreme_eigenvalues`).
        products: with the Hessian, at most.
        seed: of the vector that the iteration starts from.
    """

    tolerance: float
    products: int
    seed: int


class EigenvalueReader:
    """Reads them off the mean loss of each split of a task.

    Args:
        task: network, loss and data; running statistics are those of the weights that are read.
        how: they are found.

    Raises:
        ValueError: if running statistics are to be recomputed, or a split's examples are of several shapes.
    """

    def __init__(self, task: Task, how: Eigenvalues) -> None:
        if task.statistics is not None:
            raise ValueError("eigenvalues need fixed running statistics, got batch_statistics 'recomputed'")
        self._how = how
        self._objectives = {}
        for name, split in task.splits.items():
            if len(split.chunks) > 1:
                raise ValueError("eigenvalues need examples of one shape, got batches of several")
            ((inputs, targets),) = split.chunks
            self._objectives[name] = Objective(task.model, task.loss, inputs, targets)

    def at(self, weights: Weights) -> dict[str, float]:
        """By split, `smallest_eigenvalue`, `largest_eigenvalue` and `eigenvalue_ratio`, |λmin / λmax|.

        With `eigenvalue_residual`, the larger of both residuals relative to the larger magnitude: above the
        tolerance where so many products were not enough. NaN where second derivatives are not finite. By one
        thread, so that whoever reads them, the bits are the same.
        """
        values: dict[str, float] = {}
        for name, objective in self._objectives.items():
            prefix = f"{name}/" if name else ""
            with using_threads(1):
                ends = extreme_eigenvalues(
                    objective.hessian(weights),
                    self._how.seed,
                    tolerance=self._how.tolerance,
                    most_products=self._how.products,
                )
            scale = max(abs(ends.smallest), abs(ends.largest))
            values |= {
                f"{prefix}smallest_eigenvalue": ends.smallest,
                f"{prefix}largest_eigenvalue": ends.largest,
                f"{prefix}eigenvalue_ratio": ends.ratio,
                f"{prefix}eigenvalue_residual": ends.residual / scale if scale else 0.0,
            }
        return values
