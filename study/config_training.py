"""The part of the configuration that says how a network is trained."""

from dataclasses import dataclass

from study.errors import ConfigError
from study.keys import LARGEST_SEED, MOST_THREADS, key


@dataclass
class ScheduleConfig:
    """How the learning rate changes."""

    name: str = key("which schedule; set by the choice in the group `training/schedule`")


@dataclass
class CosineConfig(ScheduleConfig):
    """Half a cosine over the whole budget."""

    final_factor: float = key("share of the learning rate left at the end", at_least=0, at_most=1)


@dataclass
class StepConfig(ScheduleConfig):
    """A factor every so many epochs."""

    every_epochs: float = key("epochs between two changes", above=0)
    gamma: float = key("factor at each change", above=0, at_most=1)


@dataclass
class MilestonesConfig(ScheduleConfig):
    """A factor at each of some epochs."""

    epochs: list[float] = key("epochs at which the rate changes", above=0, increasing=True)
    gamma: float = key("factor at each change", above=0, at_most=1)


@dataclass
class AveragingConfig:
    """Whether weights are averaged beside training; never is by itself."""

    name: str = key("which average; set by the choice in the group `training/averaging`")


@dataclass
class EmaConfig(AveragingConfig):
    """An exponential moving average over updates."""

    decay: float = key("share of the average that an update keeps", at_least=0, below=1)
    start_epoch: int = key("epochs after which it begins; 0 begins with the initialisation", at_least=0)


@dataclass
class SwaConfig(AveragingConfig):
    """The mean over the ends of epochs (stochastic weight averaging)."""

    start_epoch: int = key("first epoch whose end is averaged", at_least=1)


@dataclass
class TrainingConfig:
    """How the network is trained."""

    epochs: int | None = key("budget in passes over the training data; null with `steps`", at_least=1)
    steps: int | None = key("budget in updates; null with `epochs`", at_least=1)
    batch_size: int = key("examples in a mini-batch; above the set's size, the whole set", at_least=1)
    label_smoothing: float = key("label smoothing of the trained loss", at_least=0, below=1)
    schedule: ScheduleConfig = key("how the learning rate changes")
    averaging: AveragingConfig = key("which weights are averaged beside training")
    warmup_epochs: float = key("epochs of linear warm-up; 0 for none", at_least=0)
    scale_learning_rate: str = key(
        "scale the learning rate with batch_size / reference_batch_size", choices=("none", "linear", "sqrt")
    )
    reference_batch_size: int = key("batch size at which the learning rate holds as given", at_least=1)
    stop_at_train_loss: float | None = key("stop once an epoch ends at or below this train loss", at_least=0)
    checkpoint_every: int | None = key("updates between checkpoints; null keeps one an epoch", at_least=1)
    init_seed: int | None = key(
        "seed of the initial weights; null takes `seed`", at_least=0, at_most=LARGEST_SEED
    )
    order_seed: int | None = key(
        "seed of data order and dropout; null takes `seed`", at_least=0, at_most=LARGEST_SEED
    )
    branch_at: int | None = key(
        "updates after which branch_seed takes the place of order_seed; null: never", at_least=0
    )
    branch_seed: int | None = key(
        "seed of data order, augmentation and dropout after branch_at; null takes order_seed",
        at_least=0,
        at_most=LARGEST_SEED,
    )
    threads: int = key(
        "threads of one process in training; other numbers give other bits", at_least=1, at_most=MOST_THREADS
    )
    device: str = key("torch device of training and evaluation, as cpu or cuda:0")

    def check(self, name: str) -> None:
        """Refuse a budget that is given twice, or not at all, and a branch that is nowhere.

        Raises:
            ConfigError: unless exactly one of `epochs` and `steps` is given, and `branch_at` with
                `branch_seed`.
        """
        if (self.epochs is None) == (self.steps is None):
            raise ConfigError(
                f"{name}.epochs", f"and {name}.steps: exactly one must be given", (self.epochs, self.steps)
            )
        if self.branch_seed is not None and self.branch_at is None:
            raise ConfigError(
                f"{name}.branch_seed", f"must be null where {name}.branch_at is", self.branch_seed
            )
