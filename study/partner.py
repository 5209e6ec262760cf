"""A second solution of a run's own configuration: what `seed+K` means where a landscape names weights.

Each seed then has a pair of its own to look between, and replicates share no minimum. The partner is trained
as a run of its own, with nothing to look at.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from study.config import StudyConfig
from study.config_curvature import CurvatureConfig
from study.config_measures import MeasuresConfig
from study.errors import ConfigError
from study.identity import seeds
from study.keys import LARGEST_SEED
from study.source import Source

_FORM = re.compile(r"seed\+([1-9][0-9]{0,18})")  # as many digits as the largest seed has


DIVERGED = "partner_diverged"
"""Tag of a run whose partner's training diverged: the landscapes that are not there for it."""


def undrawn_tag(landscapes: Sequence[str]) -> dict[str, str]:
    """The tag of a run that could not make these landscapes."""
    return {DIVERGED: ", ".join(landscapes)} if landscapes else {}


def undrawn(tags: Mapping[str, str]) -> list[str]:
    """The landscapes that a run could not make, by its tags."""
    return tags[DIVERGED].split(", ") if DIVERGED in tags else []


def is_partner(words: str) -> bool:
    """Whether words ask for the solution of another seed: they name neither a run, whose hash is hexadecimal,
    nor a file.
    """
    return words.startswith("seed") and not words.endswith(".safetensors")


def partner_seed(words: str, seed: int) -> int | None:
    """The seed of the solution that `words` name in a run of `seed`; None where they name another one."""
    form = _FORM.fullmatch(words)
    return None if form is None else seed + int(form[1])


def partner_configs(config: StudyConfig, source: Source | None) -> dict[str, StudyConfig]:
    """The configurations of a run's partners, by the words that name them in its landscapes.

    Args:
        config: of the run; with `checkpoint`, that of the training which it looks at.
        source: the weights looked at, where they are not trained by this run.

    Raises:
        ConfigError: naming the key, for words that mean no other solution.
    """
    found = {}
    for name, own in config.landscape.items():
        for entry, words in own.weights_named.items():
            if is_partner(words):
                found[words] = _partner_config(config, source, words, f"landscape.{name}.{entry}")
    return found


def _partner_config(config: StudyConfig, source: Source | None, words: str, key: str) -> StudyConfig:
    seed = partner_seed(words, config.seed)
    if seed is None or seed > LARGEST_SEED:
        rule = f"must be seed+K, with K a positive integer and seed + K at most {LARGEST_SEED}"
        raise ConfigError(key, rule, words)
    if source is not None and source.record is None:
        rule = "must name weights that exist: of a lone file (checkpoint=) nobody knows how it was trained"
        raise ConfigError(key, rule, words)
    if config.rescale != 1:
        rule = f"must be 1 where {key} is {words}: no training reaches a rescaled solution"
        raise ConfigError("rescale", rule, config.rescale)
    partner = replace(
        config,
        seed=seed,
        landscape={},
        curvature=CurvatureConfig("off"),
        measures=MeasuresConfig("off"),
        checkpoint=None,
    )
    if seeds(partner) == seeds(config):
        rule = "must reach other weights: training.init_seed and training.order_seed fix these"
        raise ConfigError(key, rule, words)
    return partner
