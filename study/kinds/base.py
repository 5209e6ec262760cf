"""What a landscape kind is: its configuration, its geometry, its measures and its figures."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from study.errors import ConfigError
from study.keys import LARGEST_SEED, key
from study.landscape.directions import NORMALIZATIONS
from study.landscape.geometry import Geometry
from study.landscape.grid import Grid
from study.landscape.result import Landscape
from study.landscape.weights import Weights

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass
class LandscapeConfig:
    """What every configured landscape has."""

    kind: str = key("what the landscape is; set by the choice in the group `landscape`")
    split: str = key("examples that the loss is read on", choices=("train", "test", "both"))
    examples: int | None = key(
        "size of the fixed random subset of each split that is read; null reads all", at_least=2
    )
    subset_seed: int = key("seed of that subset", at_least=0, at_most=LARGEST_SEED)
    batch_statistics: str | None = key(
        "running statistics of normalization layers at each point; null takes the kind's default",
        choices=("frozen", "interpolated", "recomputed"),
    )

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that are read."""
        return ("train", "test") if self.split == "both" else (self.split,)


@dataclass
class RandomDirectionConfig(LandscapeConfig):
    """A landscape along Gaussian directions about one solution."""

    normalization: str = key("how a direction is scaled to the weights", choices=NORMALIZATIONS)
    direction_seed: int = key(
        "seed of the directions, apart from the training's", at_least=0, at_most=LARGEST_SEED
    )
    include_bias_and_norm: bool = key(
        "also move biases and the parameters of normalization layers, each tensor as one filter"
    )
    basin_rise: float = key(
        "rise above the solution's loss, in nats, that bounds the basin whose width is measured", above=0
    )

    @property
    def direction_arguments(self) -> dict[str, Any]:
        """What `Line.random` and `Plane.random` take of it."""
        return {
            "normalization": self.normalization,
            "seed": self.direction_seed,
            "include_bias_and_norm": self.include_bias_and_norm,
        }

    def check(self, name: str) -> None:
        """Refuse a policy that needs two sets of weights.

        Raises:
            ConfigError: if `batch_statistics` is `interpolated`.
        """
        if self.batch_statistics == "interpolated":
            raise ConfigError(
                f"{name}.batch_statistics",
                "must be frozen or recomputed about one solution",
                self.batch_statistics,
            )


@dataclass(frozen=True)
class Trained:
    """What a training left to look at.

    Attributes:
        solution: θ*, the weights looked at.
        initialisation: θ₀; None where only a file of weights is known.
        solution_name: `solution`, or the name of an intermediate checkpoint.
    """

    solution: Weights
    initialisation: Weights | None
    solution_name: str = "solution"


@dataclass(frozen=True)
class Kind:
    """A landscape kind. One module in this package makes one, and the registry holds it.

    Attributes:
        name: as in `landscape=name`.
        title: of its figures.
        schema: its configuration.
        geometry: from configuration and training to where the loss is read.
        grid: from configuration to the coordinates.
        measures: numbers read off one split of the landscape; a value that is not finite is kept.
        figures: by file suffix (`` for the main one), from the landscape, a title and a caption.
        needs_initialisation: whether a file of weights alone is not enough.
    """

    name: str
    title: str
    schema: type[LandscapeConfig]
    geometry: Callable[[Any, Trained], Geometry]
    grid: Callable[[Any], Grid]
    measures: Callable[[Landscape, Any], Mapping[str, float]]
    figures: Callable[[Landscape, str, str], Mapping[str, "Figure"]]
    needs_initialisation: bool = False
