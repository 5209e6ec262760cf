"""From overrides to a configuration with Hydra's own section, and to those of a multirun's many jobs."""

from collections.abc import Mapping, Sequence

from hydra import compose
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from study.doors import check_overrides, check_section
from study.resolve import CONFIG_NAME


class Composer:
    """Composes the jobs of a multirun; those that differ in plain values alone share the rest.

    Hydra reads and merges every file anew for each job. Its value overrides come after all choices, so where
    no other override speaks of the same key, setting a value is the same as composing with it.

    Args:
        hydras: overrides of Hydra's own section, the same in all jobs.
        values: by key, all other overrides, as jobs combine them.
    """

    def __init__(self, hydras: Sequence[str], values: Mapping[str, Sequence[str]]) -> None:
        self._hydras = list(hydras)
        swept = [key for key, own in values.items() if len(own) > 1 and not _is_group(key)]
        self._alone = {
            key
            for key in swept
            if not any(_overlap(key, other) and not _chooses(other, own) for other, own in values.items())
        }
        self._values: dict[str, tuple[str, object] | None] = {}
        self._shared: dict[tuple[str, ...], tuple[DictConfig, DictConfig]] = {}

    def compose(self, overrides: Sequence[str]) -> tuple[DictConfig, DictConfig]:
        """The configuration of a job, and Hydra's own section: until the next job is composed."""
        values = [own for override in overrides if (own := self._value(override)) is not None]
        rest = tuple(override for override in overrides if self._value(override) is None)
        if rest not in self._shared:
            self._shared[rest] = self._apart(rest)
        config, hydra = self._shared[rest]
        if not all(_is_value(config, key) for key, _value in values):
            return self._apart(overrides)
        try:
            for key, value in values:
                OmegaConf.update(config, key, value, merge=True)
        except OmegaConfBaseException:
            del self._shared[rest]
            return self._apart(overrides)  # it says what is wrong
        hydra.overrides.task = list(overrides)
        return config, hydra

    def _apart(self, overrides: Sequence[str]) -> tuple[DictConfig, DictConfig]:
        config = compose_whole([*self._hydras, *overrides])
        hydra = config.hydra
        with open_dict(config):
            del config["hydra"]
        return config, hydra

    def _value(self, override: str) -> tuple[str, object] | None:
        """The key and the value that an override sets, where it does no more than that."""
        if override not in self._values:
            key, _, _text = override.partition("=")
            self._values[override] = self._read(override) if key in self._alone else None
        return self._values[override]

    def _read(self, override: str) -> tuple[str, object] | None:
        (parsed,) = parse([override])
        key, value = parsed.key_or_group, parsed.value()
        plain = value is None or isinstance(value, bool | int | float | str)
        if parsed.type is not OverrideType.CHANGE or parsed.package is not None or not plain:
            return None
        if isinstance(value, str) and "${" in value:
            return None
        return key, value


def parse(overrides: Sequence[str]) -> list[Override]:
    """Overrides as Hydra reads them; those that name foreign code are refused."""
    check_overrides(overrides)
    loader = GlobalHydra.instance().config_loader()
    return OverridesParser.create(config_loader=loader).parse_overrides(list(overrides))


def compose_whole(overrides: Sequence[str]) -> DictConfig:
    """The configuration with Hydra's own section, which asks for no foreign code."""
    config = compose(CONFIG_NAME, list(overrides), return_hydra_config=True)
    section = OmegaConf.to_container(config.hydra)
    assert isinstance(section, dict)
    check_section({str(name): own for name, own in section.items()})
    return config


def _is_group(key: str) -> bool:
    return bool(GlobalHydra.instance().config_loader().get_group_options(key))


def _chooses(key: str, overrides: Sequence[str]) -> bool:
    """Whether overrides of a key choose files of a group: Hydra reads these before any value is set."""
    mappings = any(word.partition("=")[2].lstrip().startswith("{") for word in overrides)
    return not mappings and _is_group(key.lstrip("+~").partition("@")[0])


def _overlap(key: str, other: str) -> bool:
    """Whether two keys are not one, and an override of the one may change what the other sets."""
    one, two = (words.lstrip("+~").partition("@")[0].replace("/", ".") for words in (key, other))
    nested = f"{one}.".startswith(f"{two}.") or f"{two}.".startswith(f"{one}.")
    return key != other and nested


def _is_value(config: DictConfig, key: str) -> bool:
    """Whether a configuration has a plain value there, or none yet."""
    above, _, last = key.rpartition(".")
    section = OmegaConf.select(config, above) if above else config
    if not isinstance(section, DictConfig) or OmegaConf.is_interpolation(section, last):
        return False
    missing = OmegaConf.is_missing(section, last)
    return missing or (last in section and not OmegaConf.is_config(section[last]))
