"""The models. One module each; the schema and the builder loop over this registry."""

from study.models.base import ModelConfig, count_parameters, initialise
from study.models.cnn import CnnConfig
from study.models.custom import CustomModelConfig
from study.models.lenet import LenetConfig
from study.models.mlp import MlpConfig
from study.models.resnet import ResNetConfig
from study.models.torchvision import TorchvisionModelConfig
from study.models.vgg import VggConfig
from study.models.vit import VitConfig

MODELS: dict[str, type[ModelConfig]] = {
    "cnn": CnnConfig,
    "custom": CustomModelConfig,
    "lenet": LenetConfig,
    "mlp": MlpConfig,
    "resnet": ResNetConfig,
    "torchvision": TorchvisionModelConfig,
    "vgg": VggConfig,
    "vit": VitConfig,
}
"""The configuration of each, by its name in the group `model`."""

__all__ = ["MODELS", "CustomModelConfig", "ModelConfig", "count_parameters", "initialise"]
