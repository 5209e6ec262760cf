"""What a run is, in words and numbers, for its record and its mirror."""

import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf

from study.config import MlflowConfig, StudyConfig
from study.credentials import hidden
from study.identity import branch_seed, seeds
from study.keys import hashed
from study.members import SEEDS, differing_keys, in_words
from study.models import count_parameters
from study.paths import root
from study.prepare import Prepared

IN_NAME = {
    *("model.name", "data.name", "data.path", "training.batch_size", "optimizer.name", *SEEDS),
    *("training.branch_at", "checkpoint", "rescale"),
}
"""The settings that the name of a run tells."""
LONGEST_WORDS = 60  # characters of one setting in a name


def about(prepared: Prepared) -> dict[str, Any]:
    """What the run is, for its record and its mirror."""
    config, data, source = prepared.config, prepared.data, prepared.source
    init_seed, order_seed = seeds(config)
    seed = str(init_seed) if init_seed == order_seed else f"{init_seed}/{order_seed}"
    words = [] if source is None else [f"of {source.label}"]
    words += [] if config.rescale == 1 else [f"rescaled by {config.rescale:g}"]
    if config.training.branch_at is not None:
        seed += f", from update {config.training.branch_at} on {branch_seed(config)}"
    name = " · ".join([
        config.model.name,
        data.name,
        f"bs{config.training.batch_size}",
        config.optimizer.name,
        f"seed {seed}",
        *words,
    ])
    structured = shown(config)
    tags = {
        "config_hash": prepared.identity.config_hash,
        "training_hash": prepared.identity.training_hash,
        "study": getattr(config.tracking, "experiment", "study"),
        "git_commit": _git_commit(),
    }
    if source is not None:
        tags["checkpoint"] = source.label
    if prepared.partners:
        tags["partners"] = ", ".join(
            f"seed {own.config.seed} (run {own.identity.config_hash})" for own in prepared.partners.values()
        )
    return {
        "name": name,
        "note": "",
        "tags": {key: value for key, value in tags.items() if value},
        "choices": prepared.choices,
        "identity": prepared.identity.content,
        "loss_unit": data.task.loss_unit,
        "landscapes": list(config.landscape),
        "parameters": count_parameters(prepared.model),
        "settings": settings(config),
        "params": {
            name: value
            for name, value in flat(OmegaConf.to_container(structured, resolve=True)).items()
            if not name.startswith("claims")  # the sweep's, not its runs'
        },
        "data": [
            {
                "name": f"{data.name}/{split}",  # MLflow takes two of one name and digest for one
                "digest": data.digest[:32],
                "source": getattr(config.data, "root", data.name),
                "context": split,
                "profile": f'{{"examples": {len(examples)}, "input_shape": {list(data.input_shape)}}}',
            }
            for split, examples in (("train", data.train), ("test", data.test))
        ],
    }


def settings(config: StudyConfig) -> dict[str, Any]:
    """Every key that a run's numbers depend on, and the names of its landscapes: what runs may differ in."""
    return {**flat(hashed(config)), "landscapes": ", ".join(config.landscape)}


def told_apart(runs: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[str]]:
    """What runs differ in, and for each of them the words that its name lacks to tell it from the others.

    Args:
        runs: the settings of each; see `settings`.

    Returns:
        The keys, and the words of each run, as `learning_rate 0.1 · epochs 20`.
    """
    keys = differing_keys(runs)
    lacking = [key for key in keys if key not in IN_NAME]
    words = [[_cut(own) for own in in_words(run, lacking, keys)] for run in runs]
    return keys, [" · ".join(own) for own in words]


def _cut(words: str) -> str:
    return words if len(words) <= LONGEST_WORDS else f"{words[: LONGEST_WORDS - 1]}…"


def shown(config: StudyConfig) -> DictConfig:
    """The configuration as it may be kept and uploaded: without the credentials of a store."""
    structured = OmegaConf.structured(config)
    assert isinstance(structured, DictConfig)
    if isinstance(config.tracking, MlflowConfig) and config.tracking.uri is not None:
        structured.tracking.uri = hidden(config.tracking.uri)
    return structured


def flat(tree: Any, prefix: str = "") -> dict[str, Any]:
    """A nested configuration as one level, `training.batch_size`; lists stay whole."""
    if not isinstance(tree, dict) or not tree:
        return {prefix: tree}
    return {
        name: value
        for key, below in tree.items()
        for name, value in flat(below, f"{prefix}.{key}" if prefix else str(key)).items()
    }


def _git_commit() -> str:
    """The commit of the checkout that this code is, `-dirty` where files differ from it; else nothing."""
    if not (root() / "pyproject.toml").is_file():
        return ""  # an installed wheel, in whatever repository
    asked = ["git", "-C", str(root()), "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"]
    try:
        return subprocess.run(asked, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""
