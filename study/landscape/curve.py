"""Curves with one bend between two sets of weights."""

from dataclasses import dataclass, replace
from functools import cached_property
from math import sqrt
from typing import ClassVar, Literal, get_args

from scipy.integrate import quad
from torch import nn

from study.landscape.geometry import Geometry, Line
from study.landscape.grid import Coordinates
from study.landscape.weights import Weights

Form = Literal["bezier", "chain"]
FORMS: tuple[Form, ...] = get_args(Form)


def curve_coefficients(form: Form, t: float) -> tuple[float, float, float]:
    """What start, bend and end count for at t (Garipov et al. 2018, equations 3 and 4)."""
    if form == "bezier":
        return (1 - t) ** 2, 2 * t * (1 - t), t**2
    return (1 - 2 * t, 2 * t, 0.0) if t <= 0.5 else (0.0, 2 - 2 * t, 2 * t - 1)


@dataclass(frozen=True, kw_only=True)
class Curve(Geometry):
    """A curve θ(t) from θ₀ at t = 0 to θ₁ at t = 1 that a third set of weights bends.

    Attributes:
        form: `bezier`, θ(t) = (1 − t)² θ₀ + 2t (1 − t) θ_b + t² θ₁, which passes half way between θ_b and
            the middle of the ends; or `chain`, straight from θ₀ to θ_b at t = ½, and on to θ₁. Beyond the
            ends both go on by the same formula.
    """

    form: Form

    axes: ClassVar[tuple[str, ...]] = ("t",)

    @classmethod
    def between(
        cls,
        start: nn.Module | Weights,
        bend: Weights,
        end: nn.Module | Weights,
        *,
        form: Form = "bezier",
        names: tuple[str, str] = ("start", "end"),
    ) -> "Curve":
        """The curve from `start` to `end` by `bend` (Garipov et al. 2018, section 3).

        Args:
            start: θ₀, at t = 0.
            bend: θ_b, the same architecture; its buffers are not read.
            end: θ₁, at t = 1; the same architecture.
            form: see `Curve`.
            names: of the two special points, the ends.

        Raises:
            ValueError: if the form is neither of the two, the three have different parameters, or the
                special points one name.
        """
        if form not in FORMS:
            raise ValueError(f"the form of a curve must be one of {', '.join(FORMS)}, got {form!r}")
        chord = Chord.between(start, end, names)
        if bend.layout != chord.origin.layout:
            raise ValueError("bend and ends must have the same parameters, in name, shape and dtype")
        first, last = chord.bases
        curve = cls(
            origin=chord.origin,
            bases=(first, bend.flat, last),
            special=chord.special,
            others=chord.others,
            form=form,
        )
        own = {"geometry": "curve", "form": form, "bend": bend.digest, "bend_norm": bend.norm}
        return replace(curve, provenance={**chord.provenance, **own, "length": curve.length})

    def coefficients(self, coordinates: Coordinates) -> tuple[float, ...]:
        """See `curve_coefficients`."""
        (t,) = coordinates
        return curve_coefficients(self.form, t)

    @cached_property
    def length(self) -> float:
        """Arc length from t = 0 to t = 1, an L2 distance: ∫ ‖θ′(t)‖ dt, by quadrature for `bezier`.

        The straight line between the ends has the provenance's `distance`.
        """
        start, bend, end = self.bases
        there, on = bend.double() - start.double(), end.double() - bend.double()
        first, last, cosine = float(there @ there), float(on @ on), float(there @ on)
        if self.form == "chain":
            return sqrt(first) + sqrt(last)

        def speed(t: float) -> float:
            squared = (1 - t) ** 2 * first + 2 * t * (1 - t) * cosine + t**2 * last
            return 2 * sqrt(max(squared, 0.0))  # a squared norm, negative but by rounding

        return float(quad(speed, 0.0, 1.0, limit=200)[0])

    def shares(self, coordinates: Coordinates) -> tuple[float, ...]:
        """The ends' statistics are mixed as on the straight line: the bend has none."""
        (t,) = coordinates
        return (1.0 - t, t)

    @property
    def _mixed_by(self) -> str:
        return f"{super()._mixed_by} {self.form}"  # two forms share their vectors

    def straight(self) -> "Chord":
        """The straight line between the ends, on the curve's own axis: one grid reads both."""
        (end,), (first, last) = self.others, self.special
        return Chord.between(self.origin, end, (first, last))


@dataclass(frozen=True)
class Chord(Line):
    """The straight line between the ends of a curve, θ(t) = (1 − t) θ₀ + t θ₁."""

    axes: ClassVar[tuple[str, ...]] = ("t",)
