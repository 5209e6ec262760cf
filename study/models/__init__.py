"""The models. One module each; the schema and the builder loop over this registry."""

from study.models.base import ModelConfig, count_parameters, initialise
from study.models.cnn import CnnConfig
from study.models.custom import CustomModelConfig
from study.models.mlp import MlpConfig

MODELS: dict[str, type[ModelConfig]] = {
    "cnn": CnnConfig,
    "custom": CustomModelConfig,
    "mlp": MlpConfig,
}
"""The configuration of each, by its name in the group `model`."""

__all__ = ["MODELS", "CustomModelConfig", "ModelConfig", "count_parameters", "initialise"]
