"""What the landscapes between two minima share: which two they are, and whether their units are matched."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from study.analysis.matching import align
from study.errors import ConfigError
from study.keys import LARGEST_SEED, key
from study.kinds.base import LandscapeConfig, Trained
from study.kinds.steps import beside
from study.landscape.weights import Weights


@dataclass(frozen=True)
class Ends:
    """Two sets of weights of one network.

    Attributes:
        start: the first.
        end: the second, its hidden units in the order that comes closest to the first's, if asked for.
        names: of the two, as special points.
        about: how they were matched; JSON-able, empty where they are as they were.
    """

    start: Weights
    end: Weights
    names: tuple[str, str]
    about: dict[str, Any]


@dataclass
class EndsConfig(LandscapeConfig):
    """A landscape between two minima."""

    start: str | None = key(
        "weights to start from: a run, RUN@UPDATE, RUN@averaged, a file, or seed+K, the solution that this "
        "configuration reaches with another seed; null takes this run's solution"
    )
    end: str | None = key("weights to end at, likewise; null takes this run's solution")
    align: bool = key("permute the end's hidden units so that they match the start's (weight matching)")
    align_seed: int = key("seed of the order in which layers are matched", at_least=0, at_most=LARGEST_SEED)

    def check(self, name: str) -> None:
        """Refuse a line that has no length.

        Raises:
            ConfigError: if both ends are the same weights.
        """
        if self.start == self.end:
            raise ConfigError(f"{name}.end", f"must be other weights than {name}.start", self.end)

    @property
    def weights_named(self) -> dict[str, str]:
        """See `LandscapeConfig.weights_named`."""
        return {name: own for name, own in (("start", self.start), ("end", self.end)) if own is not None}

    @property
    def meets_solution(self) -> bool:
        """See `LandscapeConfig.meets_solution`."""
        return None in (self.start, self.end)

    def ends(self, trained: Trained) -> Ends:
        """The two, the end matched to the start if asked for.

        Raises:
            ValueError: if the network's symmetries cannot be found.
        """
        own = trained.solution
        start, end = (own if words is None else trained.named[words] for words in (self.start, self.end))
        names = tuple(
            trained.solution_name if words is None else fixed
            for words, fixed in ((self.start, "start"), (self.end, "end"))
        )
        about: dict[str, Any] = {}
        if self.align:
            found = align(trained.model, start, end, trained.data.train.inputs[:2], seed=self.align_seed)
            end = found.weights
            about["matching"] = {
                "distance_before": found.distance_before,
                "distance_after": found.distance_after,
                "moved": found.moved,
                "sweeps": found.sweeps,
            }
        return Ends(start, end, (names[0], names[1]), about)

    @property
    def ends_alike(self) -> dict[str, Any]:
        """In words, whether units are matched."""
        return {"units": "matched" if self.align else None}


def ends_words(about: Mapping[str, Any]) -> list[str]:
    """For a caption: how far the ends are apart, and how they were matched."""
    words = [f"‖θ₁−θ₀‖ = {about['distance']:.3g}{beside(about['distance'], about['end_norm'], 'θ₁')}"]
    if (found := about.get("matching")) is not None:
        words[0] += f", {found['distance_before']:.3g} before weight matching, which moved"
        words[0] += f" {100 * found['moved']:.0f}% of the units"
    return words
