"""What the landscapes along directions share: which directions, and how they are scaled."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from study.errors import ConfigError, need_curvlinops
from study.keys import LARGEST_SEED, key
from study.kinds.base import OneSolutionConfig, Trained
from study.kinds.second_derivatives import configured, eigenvectors
from study.landscape.direction_spec import DIRECTION_RULE, DirectionSpec
from study.landscape.directions import (
    NORMALIZATIONS,
    Direction,
    Normalization,
    random_direction,
)
from study.landscape.weights import Weights


@dataclass
class BasinConfig:
    """What the width of a basin is measured by."""

    basin_rise: float = key(
        "rise above the solution's loss, in its unit, that bounds the basin whose width is measured", above=0
    )


@dataclass
class DirectedConfig(OneSolutionConfig):
    """A landscape along directions about one solution."""

    directions: list[str] = key(
        "gaussian, difference (θ*−θ₀), gradient, eigenvector or eigenvector:K of the Hessian (K from 1; -1 "
        "for the most negative), or the path of a .safetensors file"
    )
    normalization: str = key("how a Gaussian direction is scaled to the weights", choices=NORMALIZATIONS)
    direction_seed: int = key(
        "seed of the Gaussian directions, apart from the training's", at_least=0, at_most=LARGEST_SEED
    )
    include_bias_and_norm: bool = key(
        "also move biases and the parameters of normalization layers, each tensor as one filter"
    )

    def check(self, name: str) -> None:
        """Refuse a direction that is none.

        Raises:
            ConfigError: naming it.
        """
        super().check(name)
        for text in self.directions:
            try:
                DirectionSpec.parse(text)
            except ValueError as error:
                raise ConfigError(f"{name}.directions", DIRECTION_RULE, text) from error
        if any(spec.kind == "eigenvector" for spec in self.specs):
            need_curvlinops(f"{name}.directions", self.directions)
        fixed = [spec for spec in self.specs if spec.kind != "gaussian"]
        if len(set(fixed)) < len(fixed):
            raise ConfigError(f"{name}.directions", "must be different", self.directions)

    @property
    def specs(self) -> list[DirectionSpec]:
        """The directions asked for."""
        return [DirectionSpec.parse(text) for text in self.directions]

    @property
    def files_named(self) -> list[tuple[str, str]]:
        """See `LandscapeConfig.files_named`."""
        return [("directions", spec.path) for spec in self.specs if spec.path is not None]

    @property
    def needs(self) -> str | None:
        """What a run must have for them."""
        return "initialisation" if any(spec.kind == "difference" for spec in self.specs) else None

    def axes(self, trained: Trained) -> list[Direction]:
        """The directions, in order; the second Gaussian one is another draw than the first.

        Raises:
            ValueError: if there is no such direction at the solution.
        """
        ranks = [spec.rank for spec in self.specs if spec.rank is not None]
        found = iter(eigenvectors(self, trained, ranks) if ranks else [])

        def axis(index: int, spec: DirectionSpec) -> Direction:
            if spec.kind == "eigenvector":
                return next(found)
            if spec.kind != "gaussian":
                return configured(spec, self, trained)
            return self.gaussian(index, trained.solution)

        return [axis(index, spec) for index, spec in enumerate(self.specs)]

    def gaussian(self, index: int, weights: Weights) -> Direction:
        """The Gaussian direction of an axis, by its index, scaled to these weights."""
        return random_direction(
            weights,
            seed=self.direction_seed,
            index=index,
            normalization=cast(Normalization, self.normalization),
            include_bias_and_norm=self.include_bias_and_norm,
        )

    def direction_words(self, about: Mapping[str, Any]) -> list[str]:
        """For a caption: what the directions are, how they are scaled, and how long they are."""
        norms = ", ".join(f"{own['relative_norm']:.3g}" for own in about["directions"])
        whose = "of the first " if len(self.draws) > 1 else ""
        words = [f"{whose}‖direction‖/‖θ*‖ = {norms}"]
        if any(spec.kind == "gaussian" for spec in self.specs):
            scaled = "no" if self.normalization == "none" else self.normalization
            words.insert(0, f"{scaled} normalization, {self.seed_words}")
        if any(spec.kind != "gaussian" for spec in self.specs):
            words.insert(0, f"along {' and '.join(map(_said, about['directions']))}")
        return [", ".join(words)]

    @property
    def seed_words(self) -> str:
        """For a caption: what the Gaussian directions are drawn from."""
        return f"direction seed {self.direction_seed}"

    @property
    def direction_alike(self) -> dict[str, Any]:
        """In words, what one step along a direction means."""
        moved = "biases and normalization layers too" if self.include_bias_and_norm else None
        gaussian = all(spec.kind == "gaussian" for spec in self.specs)
        along = None if gaussian else ", ".join(self.directions)
        return {"directions": along, "normalization": self.normalization, "moved": moved}


def _said(own: Mapping[str, Any]) -> str:
    match own["kind"]:
        case "difference":
            return "θ*−θ₀"
        case "eigenvector":
            return f"the Hessian's eigenvector of {own['eigenvalue']:.4g}"
        case "file":
            return str(own["file"])
        case kind:
            return f"the {kind} direction"
