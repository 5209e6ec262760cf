"""What makes two runs the same: hashes over all that determines their numbers, and over nothing else."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from study.config import StudyConfig
from study.keys import hashed

NUMERICS_VERSION = 4  # raised by every change that gives other numbers from the same configuration
HASH_LENGTH = 16
TRAINING_SECTIONS = ("data", "model", "optimizer", "training")
LATER = {"replicates": 1}
"""Keys of landscapes that came later, with the values that leave a run what it was: no hash holds these."""


@dataclass(frozen=True)
class Identity:
    """The two hashes of a run, hexadecimal.

    Attributes:
        config_hash: over everything that determines the run's numbers.
        training_hash: over the part that determines its checkpoints.
        content: what was hashed, for those who ask why two runs differ.
    """

    config_hash: str
    training_hash: str
    content: dict[str, Any]

    @property
    def code_digests(self) -> dict[str, str]:
        """By path, of the source of custom data and models."""
        return self.content["training"]["code_digests"]


def identify(
    config: StudyConfig,
    *,
    data_digest: str,
    code_digests: Mapping[str, str],
    model_files: Mapping[str, str],
    checkpoint: str | None,
    named: Mapping[str, str],
    trained_here: bool,
    versions: Mapping[str, str],
) -> Identity:
    """The identity of a run.

    Args:
        config: resolved; keys that change no number are left out.
        data_digest: of both splits, as they are used.
        code_digests: by path, of the source of custom data and models.
        model_files: digests of the files that the network is built from, by their paths in its configuration.
        checkpoint: digest of the weights looked at, where they are not trained by this run.
        named: digests of other weights and of files, by the words that name them in the landscapes'
            configuration.
        trained_here: whether those weights are of a training with this very configuration; if not, they
            alone are what the checkpoints depend on.
        versions: of the libraries whose change changes bits.
    """
    plain = hashed(config)
    init_seed, order_seed = seeds(config)
    training = {section: plain[section] for section in TRAINING_SECTIONS}
    drawn = {"init_seed": init_seed, "order_seed": order_seed, "branch_seed": branch_seed(config)}
    training["training"] |= drawn
    training["model"] = _by_content(training["model"], model_files)
    if config.training.averaging.name == "none":  # as before there was an average
        del training["training"]["averaging"]
    training |= {
        "data_digest": data_digest,
        "code_digests": dict(code_digests),
        "versions": dict(versions),
        "numerics": NUMERICS_VERSION,
    }
    content = {
        "training": training,
        "checkpoint": checkpoint,
        "landscape": _by_content(_as_before(plain["landscape"]), named),
        "evaluation": plain["evaluation"],
    }
    for section in ("curvature", "measures"):
        if plain[section]["name"] != "off":
            content[section] = plain[section]
    if config.rescale != 1:
        content["rescale"] = plain["rescale"]
    checkpoints = training if trained_here else {"checkpoint": checkpoint}
    return Identity(digest(content), digest(checkpoints), content)


def _as_before(landscapes: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Landscapes without the keys that came later, where these have the values of the time before."""
    return {
        name: {key: value for key, value in own.items() if key not in LATER or value != LATER[key]}
        for name, own in landscapes.items()
    }


def _by_content(tree: Any, named: Mapping[str, str]) -> Any:
    """A configuration in which what it names stands for itself, whatever words name it."""
    if isinstance(tree, dict):
        return {key: _by_content(value, named) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_by_content(value, named) for value in tree]
    return named.get(tree, tree) if isinstance(tree, str) else tree


def seeds(config: StudyConfig) -> tuple[int, int]:
    """(init_seed, order_seed): the run's seed where they are not given."""
    training = config.training
    return (
        config.seed if training.init_seed is None else training.init_seed,
        config.seed if training.order_seed is None else training.order_seed,
    )


def branch_seed(config: StudyConfig) -> int | None:
    """The seed after `training.branch_at`: the order seed where it is not given; None without a branch."""
    own = config.training
    return seeds(config)[1] if own.branch_seed is None and own.branch_at is not None else own.branch_seed


def digest(content: Any) -> str:
    """SHA-256 of JSON-able content, whatever the order of its keys, cut to `HASH_LENGTH` characters."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:HASH_LENGTH]
