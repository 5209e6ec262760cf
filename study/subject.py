"""What a picture of a run is of, in words: network and data, whose solution it is, by which seed and run."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from study.config import CustomDataConfig
from study.errors import ConfigError
from study.identity import seeds
from study.models import count_parameters
from study.partner import partner_seed
from study.prepare import Prepared
from study.record import Record
from study.saved import saved_landscapes, saved_model
from study.source import TRAINING, source_record, updates


@dataclass(frozen=True)
class Subject:
    """What the captions of a run say of it.

    Attributes:
        network: with its number of parameters, and the data.
        whose: what the solution is, where it is none that a training ended in; seed and run.
        partners: the seeds of other solutions, by the words that name them in a configuration.
    """

    network: str
    whose: str
    partners: Mapping[str, int]

    @classmethod
    def of(cls, prepared: Prepared) -> "Subject":
        """That of a run which is about to be, or was just made."""
        config, source = prepared.config, prepared.source
        data = config.data.path if isinstance(config.data, CustomDataConfig) else prepared.data.name
        return cls(
            _network(config.model.subject, count_parameters(prepared.model), data),
            _whose(
                None if source is None or source.final else source.name,
                config.rescale,
                seeds(config)[0],
                prepared.identity.config_hash,
            ),
            {words: own.config.seed for words, own in prepared.partners.items()},
        )

    @classmethod
    def read(cls, record: Record) -> "Subject":
        """That of a run, from its record alone: the same words.

        Raises:
            ValueError: if the record is of another version of this project.
        """
        about = record.read_json("run.json")
        settings = about["settings"]
        seed, init_seed = settings["seed"], settings.get("training.init_seed")
        named = [words for own in saved_landscapes(record).values() for words in own.weights_named.values()]
        partners = {words: partner_seed(words, seed) for words in named}
        return cls(
            _network(
                saved_model(record).subject,
                about["parameters"],
                settings.get("data.path") or about["data"][0]["name"].rpartition("/")[0],
            ),
            _whose(
                _source_name(about, record),
                settings.get("rescale", 1),
                seed if init_seed is None else init_seed,
                record.config_hash,
            ),
            {words: found for words, found in partners.items() if found is not None},
        )


def _network(network: str, parameters: int, data: str) -> str:
    return f"{network} ({parameters:,} parameters) on {data}"


def _whose(source: str | None, factor: float, seed: int, run: str) -> str:
    parts = [] if source is None else [f"the solution θ* is {source}"]
    parts += [] if factor == 1 else [f"solution rescaled by {factor:g}"]
    return "; ".join([*parts, f"seed {seed}", f"run {run}"])


def _source_name(about: Mapping[str, Any], record: Record) -> str | None:
    """What a run looks at, as `Source.name` has it; None where that is the end of a training, or a lone file.

    Whether a checkpoint is the last one, the run says that trained it, as long as it is there.
    """
    run, comma, name = about["tags"].get("checkpoint", "").partition(", ")
    if not comma or not run.startswith("run "):
        return None
    try:
        trained = source_record(run.removeprefix("run "), record.output_dir)
    except ConfigError:
        return name
    assert trained is not None  # it was named by its hash
    ended_well = trained.holds(TRAINING) and not trained.read_json(TRAINING)["diverged"]
    final = ended_well and updates(trained) and name == f"update {updates(trained)[-1]}"
    return None if final else name
