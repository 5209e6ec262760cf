"""The optimisers. One module each; the schema and the builder loop over this registry."""

from study.optimizers.adadelta import AdadeltaConfig
from study.optimizers.adagrad import AdagradConfig
from study.optimizers.adam import AdamConfig
from study.optimizers.adamw import AdamwConfig
from study.optimizers.base import OptimizerConfig
from study.optimizers.rmsprop import RmspropConfig
from study.optimizers.sam import SamConfig
from study.optimizers.sgd import SgdConfig

OPTIMIZERS: dict[str, type[OptimizerConfig]] = {
    "adadelta": AdadeltaConfig,
    "adagrad": AdagradConfig,
    "adam": AdamConfig,
    "adamw": AdamwConfig,
    "rmsprop": RmspropConfig,
    "sam": SamConfig,
    "sgd": SgdConfig,
}
"""The configuration of each, by its name in the group `optimizer`."""

__all__ = ["OPTIMIZERS", "OptimizerConfig"]
