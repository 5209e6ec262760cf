"""Optimisers as the configuration makes them."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from torch import Tensor
from torch.optim import Optimizer

from study.resolve import composed, typed

Make = Callable[..., Optimizer]


@pytest.fixture(scope="session")
def make() -> Make:
    """An optimiser by its name, over parameters; keys that are not given have the values of its YAML file."""

    def build(name: str, parameters: Iterable[Tensor], *overrides: str, **settings: Any) -> Optimizer:
        own = typed(composed([f"optimizer={name}", *overrides])).optimizer
        for key, value in settings.items():
            assert hasattr(own, key)
            setattr(own, key, value)
        return own.build(parameters, own.base_rate)

    return build
