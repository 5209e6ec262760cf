"""What Hydra's own section may not ask for: foreign code, whose one door is `custom`, and copies."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from study.errors import ConfigError

QUIET = {"version": 1, "root": None, "disable_existing_loggers": False}
"""What `hydra/job_logging=none` is: any other can name classes, which Hydra would import and call."""

PLUGINS = ("hydra._internal.core_plugins.", "hydra_plugins.")
"""Where Hydra takes launchers and sweepers from."""


def check_overrides(overrides: Sequence[str]) -> None:
    """Refuse what Hydra would import while it composes the configuration.

    Raises:
        ConfigError: for a Python package as a place of configuration files.
    """
    for override in overrides:
        name, _, value = override.partition("=")
        if name.lstrip("+") == "hydra.searchpath" and "pkg:" in value:
            raise ConfigError("hydra.searchpath", "must name folders, as file://FOLDER", value)


def check_section(section: Mapping[str, Any]) -> None:
    """Refuse code that is named in Hydra's own section, and copies of overrides, wherever the words are from.

    Args:
        section: as composed, before anything of it is run.

    Raises:
        ConfigError: naming the key.
    """
    if section.get("callbacks"):
        raise ConfigError("hydra.callbacks", "must be empty", ", ".join(section["callbacks"]))
    if section["output_subdir"] is not None:  # Hydra would keep the overrides there, credentials among them
        rule = "must be null: the record holds the configuration"
        raise ConfigError("hydra.output_subdir", rule, section["output_subdir"])
    for name in ("job_logging", "hydra_logging"):
        if section[name] != QUIET:
            choice = section["runtime"]["choices"][f"hydra/{name}"]
            raise ConfigError(f"hydra/{name}", "must be none", section[name] if choice == "none" else choice)
    for name, target in _targets(section, "hydra"):
        if name not in {"hydra.launcher", "hydra.sweeper"} or not str(target).startswith(PLUGINS):
            rule = "must be left as it is: custom is the one door to foreign code"
            raise ConfigError(f"{name}._target_", rule, target)


def _targets(tree: Any, name: str) -> Iterator[tuple[str, Any]]:
    """What Hydra would import: the name of each node that asks for it, and what."""
    if isinstance(tree, Mapping):
        if "_target_" in tree:
            yield name, tree["_target_"]
        for key, below in tree.items():
            yield from _targets(below, f"{name}.{key}")
    elif isinstance(tree, list):
        for place, below in enumerate(tree):
            yield from _targets(below, f"{name}[{place}]")
