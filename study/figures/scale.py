"""How numbers are laid out in a figure: linear or logarithmic, at which levels, under which labels."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.ticker import MaxNLocator

STEPS = (1, 2, 2.5, 5, 10)
"""Round steps between ticks and between levels, up to a power of ten."""

DECADES = 2.0
"""A loss is drawn on a logarithmic scale where its positive values span more decades than this."""

LARGEST_LINEAR = 1e30
"""Above this a surface has no linear view on a page: the browser's 3-D numbers end at 3e38."""


def spans_decades(values: np.ndarray) -> bool:
    """Whether a logarithmic scale is due: no negative value, and positive ones over more than two decades."""
    finite = values[np.isfinite(values)]
    positive = finite[finite > 0]
    if not positive.size or (finite < 0).any():
        return False
    return bool(np.log10(positive.max()) - np.log10(positive.min()) > DECADES)


def can_be_log(values: np.ndarray) -> bool:
    """Whether a logarithmic scale can show them: some finite value is positive, and none is negative."""
    finite = values[np.isfinite(values)]
    return bool(finite.size and finite.min() >= 0 and finite.max() > 0)


def levels(values: np.ndarray, count: int = 14, *, log: bool | None = None) -> np.ndarray:
    """Levels for the contours of `values`: round numbers, increasing, that enclose every finite value.

    On a logarithmic scale they are 1, 2 and 5 times powers of ten where these are few enough, else powers of
    ten at an even step; zeros lie below the lowest. On a linear scale they are multiples of a round step.

    Args:
        values: of any shape; of one landscape, or of several that are to share their levels.
        count: about as many intervals at most.
        log: a scale to use; by default logarithmic where the values span decades.

    Returns:
        at least two levels; 0 and 1 where no value is finite.
    """
    finite = np.asarray(values, dtype=float)
    finite = finite[np.isfinite(finite)]
    if not finite.size:
        return np.array([0.0, 1.0])
    if spans_decades(finite) if log is None else log:
        positive = finite[finite > 0]
        return _log_levels(float(positive.min()), float(positive.max()), count)
    return _linear_levels(float(finite.min()), float(finite.max()), count)


def _log_levels(low: float, high: float, count: int) -> np.ndarray:
    first, last = (int(np.clip(np.floor(np.log10(bound)), -307, 307)) for bound in (low, high))
    series = np.array(
        [float(f"{m}e{e}") for e in range(first, last + 1) for m in (1, 2, 5)] + [10.0 ** (last + 1)]
    )
    start = max(int(np.searchsorted(series, low, side="right")) - 1, 0)
    stop = int(np.searchsorted(series, high, side="left"))
    inside = series[start : stop + 1]
    if 2 <= len(inside) <= count + 1:
        return inside
    if 10.0**last < high or last == first:
        last += 1
    step = max(1, -(-(last - first) // count))
    exponents = np.arange(first // step * step, last + step, step)
    exponents = exponents[(exponents >= -307) & (exponents <= 308) & (exponents - last < step)]
    return np.array([float(f"1e{exponent}") for exponent in exponents])


def _linear_levels(low: float, high: float, count: int) -> np.ndarray:
    size = max(abs(low), abs(high))
    if high - low <= 1e-9 * size or high == low:
        low, high = low - (0.1 * size or 1.0), high + (0.1 * size or 1.0)
        count = 4
    unit = 10.0 ** np.floor(np.log10(size)) if size > 1e300 or 0 < size < 1e-300 else 1.0
    ticks = MaxNLocator(count, steps=STEPS).tick_values(low / unit, high / unit)
    found = np.clip(np.asarray(ticks), -1e308 / unit, 1e308 / unit) * unit
    found[0], found[-1] = min(found[0], low), max(found[-1], high)  # against the rounding of the last digit
    return found


def labels(numbers: Sequence[float] | np.ndarray) -> list[str]:
    """Labels of a set of numbers, in one manner: plain between 0.001 and 10,000, else with powers of ten.

    As many digits as tell them apart. Text for matplotlib: powers of ten are in its mathematical notation.
    """
    values = [float(number) for number in numbers]
    sizes = [abs(value) for value in values if value != 0]
    plain = not sizes or (min(sizes) >= 1e-3 and max(sizes) <= 1e4)
    gaps = np.diff(sorted(values))
    step = float(gaps[gaps > 0].min()) if (gaps > 0).any() else max(sizes, default=1.0)
    for digits in range(0, 16):
        texts = [f"{value:.{digits}e}" for value in values]
        if all(abs(float(text) - value) <= 0.01 * step for text, value in zip(texts, values, strict=True)):
            break
    return [_plain(text) if plain else _scientific(text) for text in texts]


def _plain(text: str) -> str:
    return np.format_float_positional(float(text), trim="-").replace("-", "\N{MINUS SIGN}")


def _scientific(text: str) -> str:
    mantissa, exponent = text.split("e")
    if float(mantissa) == 0:
        return "0"
    mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
    power = f"10^{{{int(exponent)}}}"
    if mantissa in {"1", "-1"}:
        return f"${mantissa[:-1]}{power}$"
    return f"${mantissa}{{\\times}}{power}$"


@dataclass(frozen=True)
class Scale:
    """Where a value is drawn: at itself, or at its decimal logarithm.

    Attributes:
        log: whether at its logarithm.
        floor: where values of zero or less are drawn on a logarithmic scale: below every other.
    """

    log: bool
    floor: float = 0.0

    @classmethod
    def of(cls, values: np.ndarray, *, log: bool | None = None) -> "Scale":
        """The scale for all finite `values`: logarithmic where they span decades, unless `log` says."""
        log = spans_decades(values) if log is None else log
        finite = values[np.isfinite(values) & (values > 0)]
        if not log or not finite.size:
            return cls(log=False)
        low, high = np.log10(finite.min()), np.log10(finite.max())
        return cls(log=True, floor=float(low - max(0.1 * (high - low), 0.1)))

    def place(self, values: np.ndarray) -> np.ndarray:
        """Where the values are drawn, of the same shape; NaN where they are not finite."""
        values = np.where(np.isfinite(values), values, np.nan)
        if not self.log:
            return values
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(values > 0, np.log10(values), np.where(values <= 0, self.floor, np.nan))

    def below(self, values: np.ndarray) -> np.ndarray:
        """Which values have no place of their own on a logarithmic scale, being zero or less."""
        return np.isfinite(values) & (values <= 0) if self.log else np.zeros(values.shape, dtype=bool)


def scales(values: np.ndarray, *, log: bool | None = None) -> dict[str, Scale]:
    """The scales on which a page can show values, by name; the one that is due comes first.

    Args:
        values: finite, (n,).
        log: which of them the value is due; by default logarithmic where the values span decades. A value
            that is due none is never shown on a logarithmic one.
    """
    found = {"linear": Scale(log=False)}
    if log is not False and can_be_log(values):
        found["log"] = Scale.of(values, log=True)
        if values.max() > LARGEST_LINEAR:
            del found["linear"]
    due = "log" if (spans_decades(values) if log is None else log) else "linear"
    return dict(sorted(found.items(), key=lambda own: own[0] != due))
