"""The typed configuration: the keys of every section, with their ranges and meanings."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from study.config_claims import ClaimConfig
from study.config_curvature import CurvatureConfig, SpectrumConfig, TopConfig
from study.config_evaluation import EvaluationConfig, ExecutorConfig, JoblibConfig, RayConfig
from study.config_measures import FlatnessConfig, MeasuresConfig
from study.config_training import (
    AveragingConfig,
    CosineConfig,
    EmaConfig,
    MilestonesConfig,
    ScheduleConfig,
    StepConfig,
    SwaConfig,
    TrainingConfig,
)
from study.errors import ConfigError
from study.keys import LARGEST_SEED, key, points_key, walk
from study.kinds import KINDS, LandscapeConfig
from study.models import MODELS, ModelConfig
from study.optimizers import OPTIMIZERS, OptimizerConfig


@dataclass
class AugmentationConfig:
    """What is done to training images, on tensors, anew in every epoch."""

    crop_padding: int = key("pixels of reflected border before a random crop; 0 does nothing", at_least=0)
    flip: bool = key("mirror half of the images, left to right")


@dataclass
class DataConfig:
    """A data set with its two splits."""

    name: str = key("which data set; set by the choice in the group `data`")
    train_examples: int | None = key("size of a fixed random subset to train on; null takes all", at_least=2)
    test_examples: int | None = key("size of a fixed random subset to test on; null takes all", at_least=2)


@dataclass
class ImagesConfig(DataConfig):
    """A data set of images."""

    augmentation: AugmentationConfig = key("random changes of the training images")


@dataclass
class DigitsConfig(ImagesConfig):
    """scikit-learn's 1,797 digits; no network needed."""

    image_size: int = key("height and width to which the 8×8 images are resized", at_least=8, at_most=256)
    test_fraction: float = key("share of the examples in the test split", above=0, below=1)


@dataclass
class TorchvisionConfig(ImagesConfig):
    """A data set whose files torchvision finds or downloads."""

    root: str = key("folder of the files, as torchvision lays them out", hashed=False)
    download: bool = key("fetch the files if they are not there", hashed=False)


@dataclass
class TableConfig(DataConfig):
    """A table of scikit-learn's; no network needed."""

    test_fraction: float = key("share of the examples in the test split", above=0, below=1)


@dataclass
class CustomDataConfig(ImagesConfig):
    """Your own data, images or not."""

    path: str = key("package.module:attribute, a function that returns the data")
    arguments: dict[str, Any] = key("its keyword arguments")


@dataclass
class ComparisonConfig:
    """What a sweep's comparison adds to its runs: interpolation between their minima."""

    alpha_range: list[float] = key(
        "first and last α between two minima; 0 is the one, 1 the other", length=2, increasing=True
    )
    points: int = points_key("number of grid points; both minima are evaluated besides")
    examples: int | None = key(
        "size of the fixed random subset of each split that is read; null reads all", at_least=2
    )
    pairs: int = key("the most pairs of runs that are joined; 0 joins none", at_least=0)


@dataclass
class TrackingConfig:
    """Where runs are mirrored to."""

    name: str = key("which tracker; set by the choice in the group `tracking`")


@dataclass
class MlflowConfig(TrackingConfig):
    """An MLflow store."""

    uri: str | None = key("address of an MLflow server; null is the SQLite store in output_dir")
    experiment: str = key("name of the MLflow experiment")
    upload_checkpoints: str = key(
        "which checkpoints are uploaded; all uploads kept directions and bends too", choices=("ends", "all")
    )

    def check(self, name: str) -> None:
        """Refuse a store that was never meant to be one, and an experiment without a name.

        Raises:
            ConfigError: if `uri` is not the address of an HTTP server, or `experiment` is blank.
        """
        if not self.experiment.strip():
            raise ConfigError(f"{name}.experiment", "must be a name", self.experiment)
        if self.uri is None:
            return
        shown = self.uri.rpartition("@")[2]  # what stands before it may be a password
        if not self.uri.startswith(("http://", "https://")):
            raise ConfigError(f"{name}.uri", "must start with http:// or https://", shown)
        try:
            parts = urlsplit(self.uri)
        except ValueError as error:
            raise ConfigError(f"{name}.uri", f"must be an address ({error})", shown) from error
        if parts.query or parts.fragment:  # no server has them, and a token may stand there
            raise ConfigError(
                f"{name}.uri", "must end before ? and #", shown.partition("?")[0].partition("#")[0]
            )


@dataclass
class StudyConfig:
    """One run."""

    seed: int = key(
        "seed of a run: init_seed and order_seed, unless they are given", at_least=0, at_most=LARGEST_SEED
    )
    data: DataConfig = key("what is learnt")
    model: ModelConfig = key("the network")
    optimizer: OptimizerConfig = key("the optimiser")
    training: TrainingConfig = key("how it is trained")
    landscape: dict[str, LandscapeConfig] = key("what is looked at, by name")
    curvature: CurvatureConfig = key("what is known of the second derivatives at the solution")
    measures: MeasuresConfig = key("how sharp or flat the minimum is, in numbers")
    evaluation: EvaluationConfig = key("how points are evaluated")
    executor: ExecutorConfig = key("who computes the points", hashed=False)
    comparison: ComparisonConfig = key("what a sweep adds to its runs", hashed=False)
    claims: dict[str, ClaimConfig | None] = key(
        "what a sweep tests, by name; null takes one out", hashed=False
    )
    tracking: TrackingConfig = key("where runs are mirrored to", hashed=False)
    checkpoint: str | None = key(
        "look at trained weights instead of training: a run, RUN@UPDATE, RUN@averaged, or a file"
    )
    rescale: float = key(
        "factor on the hidden activations of the solution before it is looked at, which leaves the function "
        "as it is (Dinh et al. 2017); 1 changes nothing",
        above=0,
    )
    reuse: bool = key("take what a run with the same configuration has finished", hashed=False)
    output_dir: str = key("folder that everything is written to", hashed=False)

    @property
    def tested(self) -> dict[str, ClaimConfig]:
        """The claims that are stated, by name."""
        return {name: claim for name, claim in self.claims.items() if claim is not None}

    def check(self, _name: str) -> None:
        """Refuse names that are not what they name.

        Raises:
            ConfigError: if a section's name or kind is not its choice's, or a landscape's name no file's.
        """
        sections = {
            name: getattr(self, name)
            for name in ("data", "model", "optimizer", "curvature", "measures", "executor", "tracking")
        }
        sections |= {name: own for name, _, own in walk(self) if name in GROUP_OF}
        for name, section in sections.items():
            if section.name not in NAMES[type(section)]:
                choice = GROUP_OF.get(name, name)
                rule = f"is set by {choice}=CHOICE: must be {' or '.join(NAMES[type(section)])}"
                raise ConfigError(f"{name}.name", rule, section.name)
        for name, own in self.landscape.items():
            kinds = [kind.name for kind in KINDS.values() if kind.schema is type(own)]
            if own.kind not in kinds:
                rule = f"is set by the choice in the group landscape: must be {' or '.join(kinds)}"
                raise ConfigError(f"landscape.{name}.kind", rule, own.kind)
        for name in self.landscape:
            if name in RESERVED:
                raise ConfigError("landscape", f"names must not be {', '.join(RESERVED)}: metrics are", name)
            if not name.replace("_", "").replace("-", "").isalnum() or not name.isascii():
                raise ConfigError("landscape", "names must be letters, digits, - and _", name)
        for name in self.claims:
            if not name.replace("_", "").isalnum() or not name.isascii():
                raise ConfigError("claims", "names must be letters, digits and _", name)


# The group of a section within a section.
GROUP_OF = {
    "training.schedule": "training/schedule",
    "training.averaging": "training/averaging",
    "optimizer.base": "optimizer@optimizer.base",
}

RESERVED = ("train", "test", "weights", "training", "curvature", "measures", "rescaling")

# The names that a schema may carry: a name set without the choice that brings its schema is a mistake.
NAMES: dict[type, tuple[str, ...]] = {
    DigitsConfig: ("digits",),
    TorchvisionConfig: ("mnist", "fashion_mnist", "kmnist", "cifar10", "cifar100", "svhn"),
    TableConfig: ("diabetes", "breast_cancer", "wine"),
    CustomDataConfig: ("custom",),
    **{schema: (name,) for name, schema in [*MODELS.items(), *OPTIMIZERS.items()]},
    ScheduleConfig: ("constant",),
    CosineConfig: ("cosine",),
    StepConfig: ("step",),
    MilestonesConfig: ("milestones",),
    AveragingConfig: ("none",),
    EmaConfig: ("ema",),
    SwaConfig: ("swa",),
    CurvatureConfig: ("off",),
    TopConfig: ("top",),
    SpectrumConfig: ("spectrum",),
    MeasuresConfig: ("off",),
    FlatnessConfig: ("flatness",),
    ExecutorConfig: ("serial",),
    JoblibConfig: ("joblib",),
    RayConfig: ("ray",),
    TrackingConfig: ("none",),
    MlflowConfig: ("local", "server"),
}

# The schema that a YAML file of conf/ fills: it opens with `/schema/<path>@_here_`.
SCHEMAS: dict[str, type] = {
    "data/digits": DigitsConfig,
    "data/torchvision": TorchvisionConfig,
    "data/table": TableConfig,
    "data/custom": CustomDataConfig,
    **{f"model/{name}": schema for name, schema in MODELS.items()},
    **{f"optimizer/{name}": schema for name, schema in OPTIMIZERS.items()},
    "training/schedule/constant": ScheduleConfig,
    "training/schedule/cosine": CosineConfig,
    "training/schedule/step": StepConfig,
    "training/schedule/milestones": MilestonesConfig,
    "training/averaging/none": AveragingConfig,
    "training/averaging/ema": EmaConfig,
    "training/averaging/swa": SwaConfig,
    "curvature/off": CurvatureConfig,
    "curvature/top": TopConfig,
    "curvature/spectrum": SpectrumConfig,
    "measures/off": MeasuresConfig,
    "measures/flatness": FlatnessConfig,
    "executor/serial": ExecutorConfig,
    "executor/joblib": JoblibConfig,
    "executor/ray": RayConfig,
    "tracking/none": TrackingConfig,
    "tracking/mlflow": MlflowConfig,
    **{f"landscape/{name}": kind.schema for name, kind in KINDS.items()},
}
