"""The configuration of the measures of sharpness and flatness at the solution."""

from dataclasses import dataclass

from study.errors import ConfigError, need_curvlinops
from study.keys import LARGEST_SEED, key

MEASURES = (
    "keskar_sharpness",
    "sam_sharpness",
    "adaptive_sam_sharpness",
    "noise_increase",
    "scaled_noise_increase",
    "pac_bayes_sigma",
    "scaled_pac_bayes_sigma",
    "path_norm",
    "distance_from_initialisation",
    "fisher_rao_norm",
    "slice_curvature",
)
"""What can be measured, by name."""

ERROR, LOSS = "error", "loss"


@dataclass
class MeasuresConfig:
    """No measures."""

    name: str = key("how much is measured; set by the choice in the group `measures`")


@dataclass
class FlatnessConfig(MeasuresConfig):
    """Sharpness, flatness and norms at the solution."""

    names: list[str] = key("what is measured", choices=MEASURES)
    examples: int | None = key(
        "size of the fixed random subset of the train split that is read; null reads all", at_least=2
    )
    subset_seed: int = key("seed of that subset", at_least=0, at_most=LARGEST_SEED)
    draw_seed: int = key(
        "seed of all random starts, draws of noise and directions", at_least=0, at_most=LARGEST_SEED
    )
    keskar_epsilons: list[float] = key("ε of the boxes of keskar_sharpness", above=0)
    keskar_iterations: int = key("iterations of L-BFGS-B in each search of keskar_sharpness", at_least=1)
    keskar_starts: int = key("random starts of that search", at_least=1)
    sam_radius: float = key("ρ of sam_sharpness, an L2 distance between weights", above=0)
    adaptive_sam_radius: float = key("ρ of adaptive_sam_sharpness, relative to each weight", above=0)
    sam_steps: int = key("steps of each ascent of both", at_least=1)
    sam_starts: int = key("random starts of each of them, besides the step that SAM takes", at_least=0)
    noise_sigma: float = key("σ of noise_increase, in units of weight", above=0)
    scaled_noise_sigma: float = key("σ of scaled_noise_increase, relative to each weight", above=0)
    noise_pairs: int = key("draws of noise of both, each used with its opposite", at_least=2)
    pac_bayes_quantity: str = key(
        "whose mean rise bounds σ: the error (a fraction) or the loss", choices=(ERROR, LOSS)
    )
    pac_bayes_threshold: float = key("the rise that is allowed, in its unit", above=0)
    pac_bayes_tolerance: float = key("relative width at which the search for σ ends", above=0)
    pac_bayes_pairs: int = key("draws of noise in that search, each used with its opposite", at_least=2)
    slice_directions: int = key("filter-normalized Gaussian directions of slice_curvature", at_least=2)
    slice_radius: float = key("largest |α| at which their slices are read", above=0)
    slice_points: int = key("points of each slice that the quadratic is fitted to", at_least=3)

    def check(self, name: str) -> None:
        """Refuse what leaves nothing to measure, or measures it twice, and what is not installed.

        Raises:
            ConfigError: if no measure or ε is named, or one twice, or the extra is missing.
        """
        for own, values in (("names", self.names), ("keskar_epsilons", self.keskar_epsilons)):
            if not values or len(set(values)) < len(values):
                raise ConfigError(f"{name}.{own}", "must have at least one entry, each once", values)
        if "slice_curvature" in self.names:
            need_curvlinops(f"{name}.names", "slice_curvature")
