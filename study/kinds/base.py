"""What a landscape kind is: its configuration, its geometry, its measures and its figures."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from study.errors import ConfigError
from study.keys import LARGEST_SEED, key
from study.kinds.drawing import Drawing
from study.landscape.eigenvalues import Eigenvalues
from study.landscape.geometry import Geometry
from study.landscape.grid import Grid
from study.landscape.result import Landscape
from study.landscape.weights import Weights
from study.training.data import DataSet


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

    tolerance: float | None = key(
        "evaluate only so many points that the rest, interpolated, is within this relative error; null: all",
        above=0,
    )

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that are read."""
        return ("train", "test") if self.split == "both" else (self.split,)

    @property
    def weights_named(self) -> dict[str, str]:
        """By key, the trained weights that the configuration names: a run, RUN@UPDATE, or a file."""
        return {}

    @property
    def meets_solution(self) -> bool:
        """Whether this run's solution is one of the weights that it is between, besides those named."""
        return bool(self.weights_named)

    @property
    def files_named(self) -> list[tuple[str, str]]:
        """The files of directions that the configuration names: the key and the path of each."""
        return []

    @property
    def draws(self) -> Sequence["LandscapeConfig"]:
        """The landscapes that it stands for: itself, or one for each draw of its directions."""
        return [self]

    @property
    def read_alike(self) -> dict[str, Any]:
        """In words, how the loss is read: landscapes that differ in it are not drawn together."""
        return {"split": self.split, "batch statistics": self.batch_statistics}


@dataclass
class OneSolutionConfig(LandscapeConfig):
    """A landscape about one set of weights."""

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
    """What a training left to look at, and what it is looked at with.

    Attributes:
        model: the network, with the solution's weights in it.
        data: both splits.
        solution: θ*, the weights looked at.
        initialisation: θ₀; None where only a file of weights is known.
        fresh: an initialisation of the same network by another seed.
        solution_name: `solution`, or the name of an intermediate checkpoint.
        checkpoints: reads the checkpoints up to the solution, by update; none where only a file is known.
        updates_per_epoch: updates that make an epoch of the training; None where it is not known.
        named: other trained weights, by the words that name them in the configuration.
        keep: gives named tensors that took work to find, such as a direction: from where they are kept under
            this name, or made, and then kept.
    """

    model: nn.Module
    data: DataSet
    solution: Weights
    initialisation: Weights | None
    fresh: Callable[[int], Weights]
    solution_name: str = "solution"
    checkpoints: Callable[[], Mapping[int, Weights]] = dict
    updates_per_epoch: int | None = None
    named: Mapping[str, Weights] = field(default_factory=dict)
    keep: Callable[[str, Callable[[], dict[str, Tensor]]], dict[str, Tensor]] = lambda _name, make: make()


@dataclass(frozen=True)
class Companion:
    """What a landscape is read beside: the same network and examples, elsewhere.

    Attributes:
        geometry: where.
        grid: at which coordinates.
        tolerance: as in `LandscapeConfig`.
    """

    geometry: Geometry
    grid: Grid
    tolerance: float | None = None


@dataclass(frozen=True)
class Kind:
    """A landscape kind. One module in this package makes one, and the registry holds it.

    Attributes:
        name: as in `landscape=name`.
        title: of its figures.
        schema: its configuration.
        geometry: from configuration and training to where the loss is read.
        grid: from configuration and geometry to the coordinates.
        measures: numbers read off one split of the landscape; a value that is not finite is kept.
        measured: the names that these may have.
        alike: from configuration to the settings, in words, in which two landscapes must agree to be drawn
            together: to differ in another misleads nobody. None is what goes without saying.
        drawing: its pictures, of one landscape and of several together.
        caption: from configuration and provenance to what, in words, a figure of it must say.
        needs: from configuration to what a run must have: `initialisation` or `checkpoints`, which a file of
            weights alone has not; nothing by default.
        fewest_checkpoints: how many of them it must have, where it needs checkpoints.
        companions: from configuration, training and geometry to what it is read beside.
        completed: the landscape with what follows from it and from its companions.
        eigenvalues: from configuration to how the Hessian's extreme eigenvalues are found at each point; None
            where only the loss is read.
        straight: whether it lies along a line or in a plane, of which can be said how much of θ*−θ₀ it holds.
    """

    name: str
    title: str
    schema: type[LandscapeConfig]
    geometry: Callable[[Any, Trained], Geometry]
    grid: Callable[[Any, Geometry], Grid]
    measures: Callable[[Landscape, Any], Mapping[str, float]]
    measured: tuple[str, ...]
    alike: Callable[[Any], Mapping[str, Any]]
    drawing: Drawing
    caption: Callable[[Any, Mapping[str, Any]], list[str]]
    needs: Callable[[Any], str | None] = lambda _config: None
    fewest_checkpoints: int = 2
    companions: Callable[[Any, Trained, Any], Mapping[str, Companion]] = lambda *_about: {}
    completed: Callable[[Landscape, Any], Landscape] = lambda landscape, _config: landscape
    eigenvalues: Callable[[Any], Eigenvalues | None] = lambda _config: None
    straight: bool = True
