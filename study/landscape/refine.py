"""Adaptive evaluation: as few points of a grid as give the same surface, and the error that this leaves.

Points are evaluated on the grid's own coordinates, and the cells between them are read off an interpolant of
log(L + ε): radial basis functions (SciPy's), cubic or quintic, whichever cross-validation finds better. The
error at a cell is predicted by that cross-validation at the points around it; where it is over the tolerance,
more are evaluated. When none is, the error is measured on cells drawn at random from those that were not
evaluated: a prediction never stands for it. If it is over the tolerance there, refinement goes on, and the
next measurement draws more, so that all together err no more often than stated. Where the loss is not finite,
has a kink or a needle, or is rough, the prediction fails and cells are evaluated, down to every one of them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from scipy.interpolate import RBFInterpolator
from scipy.spatial import Delaunay, cKDTree
from scipy.special import gammaln

from study.landscape.evaluator import Measured
from study.landscape.grid import Coordinates, Grid
from study.landscape.result import Status, is_loss
from study.landscape.surface import Surface

FLOOR = 1e-3  # ε, nats: below it, differences of the loss count as absolute
START = 8  # points an axis to begin with
KERNELS = {"cubic": 1, "quintic": 2}  # of the interpolant, with the degree of the polynomial beside each
NEIGHBOURS = 60  # evaluated points that a cell is interpolated from
FOLDS = 10  # of the cross-validation
NEAREST = 4  # evaluated points whose cross-validation errors predict a cell's
ORDER = 3  # a cell half as far from its points has its error so many times halved
ALL_FINITE = 8  # evaluated points around a cell that must be finite, or it is evaluated
ROUND, GROWTH = 24, 0.1  # points of a round: so many at least, and this share of those evaluated
SPACING = 0.75  # between points of a round, in distances to what is known
SHARE, CHANCE = 0.05, 0.05  # of interpolated cells that may exceed the stated error, and that more do
FIRST = 0.8  # the first measurement's share of that chance; each further one has half of what is left

Measure = Callable[[Sequence[Coordinates]], Sequence[Measured]]


def refine(
    grid: Grid, special: Mapping[Coordinates, Measured], measure: Measure, tolerance: float
) -> Surface:
    """A surface on `grid` whose error is within `tolerance`, as far as cells drawn at random can tell.

    For each loss `L` it also holds `L_interpolation_error`, in the loss's unit: at an interpolated cell the
    largest error of the cells drawn, which bounds the 95th percentile of all at 95% confidence; zero at an
    evaluated one. Its estimate has tolerance, the numbers of cells evaluated, interpolated and drawn, and by
    loss the errors on the cells drawn, on the scale of the tolerance.

    Args:
        grid: of one or two axes.
        special: points that are measured already; the cells about them are among the first.
        measure: evaluates cells.
        tolerance: of log(L + ε), or of asinh(L/ε) where losses are negative: about the relative error of L.
    """
    surface = _Surface(grid, special, measure)
    surface.evaluate(surface.first_cells())
    strictness, round_ = 1.0, 0
    while len(rest := surface.open_cells()):
        predicted = strictness * surface.predicted_errors(rest)
        if (predicted > tolerance).any():
            surface.evaluate(surface.worst(rest, predicted, tolerance))
            continue
        size = sample_size(len(rest), chance(round_))
        drawn = np.random.default_rng(round_).permutation(len(rest))[:size]
        guessed = surface.guess(rest)
        largest = 0.0
        for start in range(0, size, ROUND):  # no more than it takes to find the surface wrong
            part = drawn[start : start + ROUND]
            surface.evaluate(rest[part])
            found = surface.errors(rest[part], {name: own[part] for name, own in guessed.items()})
            largest = max(float(error.max()) for name, error in found.items() if is_loss(name))
            if largest > tolerance:
                break
        else:
            errors = surface.errors(rest[drawn], {name: own[drawn] for name, own in guessed.items()})
            others = np.setdiff1d(np.arange(len(rest)), drawn)
            left = {name: own[others] for name, own in guessed.items()}
            return surface.result(rest[others], left, errors, tolerance)
        strictness *= min(2.0, largest / tolerance)
        round_ += 1
    return surface.result(surface.open_cells(), {}, {}, tolerance)


def chance(measurement: int) -> float:
    """The chance that the measurement of this number, from 0, errs: over all of them it sums to `CHANCE`.

    A surface is measured anew each time it was found wrong, and each measurement may pass by luck (alpha
    spending, Lan & DeMets 1983).
    """
    return CHANCE * (FIRST if measurement == 0 else (1 - FIRST) / 2**measurement)


def sample_size(cells: int, chance: float = CHANCE) -> int:
    """How many of `cells` to draw, so that the largest error drawn bounds the 95th percentile of the others.

    The smallest n for which n cells drawn without replacement miss all of the worst ones with `chance` at
    most, where these are the fewest that are more than `SHARE` of those not drawn: for 5%, 59 of very many
    (hypergeometric; for many cells 0.95ⁿ).
    """
    drawn = np.arange(cells)
    worst = np.floor(SHARE * (cells - drawn)) + 1
    missed = gammaln(cells - worst + 1) + gammaln(cells - drawn + 1)
    missed -= gammaln(np.maximum(cells - worst - drawn, 0) + 1) + gammaln(cells + 1)
    enough = (missed <= np.log(chance)) & (worst + drawn <= cells)
    return int(np.argmax(enough)) if enough.any() else cells


class _Surface:
    """What is known of the cells of a grid. Positions are in units of cells: (i,) or (i, j)."""

    def __init__(self, grid: Grid, special: Mapping[Coordinates, Measured], measure: Measure) -> None:
        self._grid = grid
        self._measure = measure
        self._open = np.ones(grid.shape, dtype=bool)
        self._known: dict[tuple[float, ...], Measured] = {}  # by position: special points, then cells
        self._kernel = "cubic"
        axes = list(grid.axes.values())
        for coordinates, measured in special.items():
            if all(axis[0] <= at <= axis[-1] for axis, at in zip(axes, coordinates, strict=True)):
                position = [
                    float(np.interp(at, axis, range(len(axis))))
                    for axis, at in zip(axes, coordinates, strict=True)
                ]
                self._known[tuple(position)] = measured

    def first_cells(self) -> np.ndarray:
        """Evenly spaced cells, with the edges, and cells at growing distances from each special point."""
        shape = self._grid.shape
        spread = _mesh([np.unique(np.linspace(0, size - 1, START).round().astype(int)) for size in shape])
        around = _mesh([np.array([-1, 0, 1])] * len(shape))
        chosen = [spread]
        for position in self._known:
            distance = 1
            while distance <= max(shape) / START:
                chosen.append(np.round(position).astype(int) + distance * around)
                distance *= 2
        cells = np.unique(np.concatenate(chosen), axis=0)
        return cells[((cells >= 0) & (cells < shape)).all(axis=1)]

    def evaluate(self, cells: np.ndarray) -> None:
        """Measure cells, (n, D) positions."""
        axes = list(self._grid.axes.values())
        points = [tuple(float(axis[at]) for axis, at in zip(axes, cell, strict=True)) for cell in cells]
        for cell, measured in zip(cells, self._measure(points), strict=True):
            self._known[tuple(cell.tolist())] = measured
            self._open[tuple(cell)] = False

    def open_cells(self) -> np.ndarray:
        """Positions of the cells that are not evaluated, (M, D)."""
        return np.argwhere(self._open)

    def predicted_errors(self, cells: np.ndarray) -> np.ndarray:
        """The error to be expected of the interpolant at cells, (M,), on the scale of the tolerance.

        Each point is predicted from the others by tenfold cross-validation, with the kernel that is best at
        it; a cell takes the worst error of the points nearest to it, less where it lies nearer to them than
        they to each other. The error is infinite beside a value that is not finite, and where points are on
        one side only.
        """
        positions, losses, finite = self._points()
        if finite.sum() <= FOLDS:
            return np.full(len(cells), np.inf)
        _distance, nearest = cKDTree(positions).query(cells, k=min(ALL_FINITE, len(positions)))
        doubtful = ~finite[nearest].all(axis=1)
        positions, losses = positions[finite], losses[finite]
        doubtful |= _outside(positions, cells)
        if doubtful.all():
            return np.full(len(cells), np.inf)
        fold = np.random.default_rng(len(positions)).permutation(len(positions)) % FOLDS
        errors = {name: np.empty(len(positions)) for name in KERNELS}
        apart = np.empty(len(positions))
        for own in range(FOLDS):
            held, given = fold == own, fold != own
            apart[held] = cKDTree(positions[given]).query(positions[held])[0]
            for name, error in errors.items():
                again = _smooth(positions[given], losses[given], positions[held], name)
                error[held] = np.abs(again - losses[held]).max(axis=1)
        self._kernel = min(errors, key=lambda name: float(np.quantile(errors[name], 1 - SHARE)))
        error = errors[self._kernel]
        distances, nearest = cKDTree(positions).query(cells, k=NEAREST)
        nearer = np.minimum(1.0, distances[:, :1] / apart[nearest]) ** ORDER
        return np.where(doubtful, np.inf, (error[nearest] * nearer).max(axis=1))

    def worst(self, cells: np.ndarray, predicted: np.ndarray, tolerance: float) -> np.ndarray:
        """The cells of the next round: the worst, as far from one another as from what is known."""
        most = max(ROUND, int(GROWTH * len(self._known)))
        distance, _nearest = cKDTree(self._points()[0]).query(cells)
        tree = cKDTree(cells)
        chosen: list[int] = []
        barred = predicted <= tolerance
        for at in np.argsort(-predicted, kind="stable"):
            if len(chosen) == most:
                break
            if not barred[at]:
                chosen.append(at)
                barred[tree.query_ball_point(cells[at], max(1.0, SPACING * distance[at]))] = True
        return cells[chosen]

    def guess(self, cells: np.ndarray) -> dict[str, np.ndarray]:
        """The interpolated values at cells, (M,) each."""
        positions, _losses, finite = self._points()
        positions = positions[finite]
        guessed = {}
        for name, values in self._values().items():
            known = values[finite]
            if not np.isfinite(known).all():  # the standard error of one example
                guessed[name] = np.full(len(cells), np.nan)
            elif name.endswith("accuracy"):  # a fraction, of many small steps
                fraction = _smooth(positions, known[:, None], cells, "thin_plate_spline")[:, 0]
                guessed[name] = np.clip(fraction, 0.0, 1.0)
            else:
                guessed[name] = _unscaled(
                    _smooth(positions, _scaled(known, known)[:, None], cells, self._kernel)[:, 0], known
                )
        return guessed

    def errors(self, cells: np.ndarray, guessed: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """What was guessed of cells held against what was then measured there, (n,) each.

        Losses on the scale of the tolerance, all else as it is; infinite where a loss is not finite.
        """
        errors = {}
        for name, values in self._values().items():
            true = np.array([self._known[tuple(cell.tolist())].values[name] for cell in cells])
            if not is_loss(name):
                errors[name] = np.abs(guessed[name] - true)
                continue
            finite = values[np.isfinite(values)]
            with np.errstate(invalid="ignore"):
                difference = np.abs(_scaled(guessed[name], finite) - _scaled(true, finite))
            errors[name] = np.where(np.isfinite(true), difference, np.inf)
        return errors

    def result(
        self,
        cells: np.ndarray,
        guessed: Mapping[str, np.ndarray],
        errors: Mapping[str, np.ndarray],
        tolerance: float,
    ) -> Surface:
        """The surface, with the values guessed at the cells that were not evaluated."""
        evaluated = np.argwhere(~self._open)
        measured = [self._known[tuple(cell.tolist())] for cell in evaluated]
        surface = Surface.of(self._grid.shape, evaluated, measured)
        values, between, stated = surface.values, tuple(cells.T), {}
        surface.status[between] = Status.INTERPOLATED
        for name in list(values):
            known = values[name][tuple(evaluated.T)]
            if len(cells):
                values[name][between] = guessed[name]
            if not is_loss(name):
                continue
            bound = values[f"{name}_interpolation_error"] = np.zeros(self._grid.shape)
            if len(cells):
                largest = float(errors[name].max())
                bound[between] = _carried_over(largest, guessed[name], known)
                stated[name] = {"largest": largest, "median": float(np.median(errors[name]))}
        estimate = {
            "tolerance": tolerance,
            "evaluated": len(evaluated),
            "interpolated": len(cells),
            "drawn": len(next(iter(errors.values()), [])),
            "errors": stated,
        }
        return replace(surface, estimate=estimate)

    def _points(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What is measured: positions, (K, D); losses on the scale of the tolerance, (K, L); and whether
        all of them are finite, (K,).
        """
        raw = np.stack([values for name, values in self._values().items() if is_loss(name)], axis=1)
        finite = np.isfinite(raw).all(axis=1)
        scaled = np.zeros_like(raw)
        for column in range(raw.shape[1]):
            scaled[finite, column] = _scaled(raw[finite, column], raw[finite, column])
        return np.array(list(self._known), dtype=float), scaled, finite

    def _values(self) -> dict[str, np.ndarray]:
        """What is measured, by name, (K,) each, in the order of `_points`."""
        measured = list(self._known.values())
        return {name: np.array([own.values[name] for own in measured]) for name in measured[0].values}


def _scaled(losses: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Losses on a scale of relative errors: log(L + ε), or asinh(L/ε) if any of `known` is below 0."""
    if (known >= 0).all():
        return np.log(np.maximum(losses, 0.0) + FLOOR)
    return np.arcsinh(losses / FLOOR)


def _unscaled(scaled: np.ndarray, known: np.ndarray) -> np.ndarray:
    """The inverse of `_scaled`; a loss that is never negative is not guessed to be."""
    if (known >= 0).all():
        return np.maximum(np.exp(scaled) - FLOOR, 0.0)
    return FLOOR * np.sinh(scaled)


def _carried_over(error: float, losses: np.ndarray, known: np.ndarray) -> np.ndarray:
    """An error on the scale of the tolerance, in the unit of losses, (M,): the larger of both sides."""
    finite = known[np.isfinite(known)]
    scaled = _scaled(losses, finite)
    sides = [np.abs(_unscaled(scaled + step, finite) - losses) for step in (-error, error)]
    return np.maximum(*sides)


def _smooth(positions: np.ndarray, values: np.ndarray, cells: np.ndarray, kernel: str) -> np.ndarray:
    """Radial basis functions through the points about each cell, (M, L)."""
    neighbours, degree = min(NEIGHBOURS, len(positions)), KERNELS.get(kernel, 1)
    interpolant = RBFInterpolator(positions, values, neighbors=neighbours, kernel=kernel, degree=degree)
    try:
        return interpolant(cells)
    except np.linalg.LinAlgError:  # some of the points lie on two lines, which a quadratic cannot tell apart
        if degree == 1:
            raise
    return _smooth(positions, values, cells, "cubic")


def _outside(positions: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Whether a cell lies outside the convex hull of the points, (M,)."""
    if positions.shape[1] == 1:
        return (cells[:, 0] < positions.min()) | (cells[:, 0] > positions.max())
    if np.linalg.matrix_rank(positions - positions[0]) < 2:  # all on one line
        return np.ones(len(cells), dtype=bool)
    return Delaunay(positions).find_simplex(cells) < 0


def _mesh(axes: Sequence[np.ndarray]) -> np.ndarray:
    """Every combination of entries, (n, D)."""
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(axes))
