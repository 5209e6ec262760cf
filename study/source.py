"""Weights that are trained already: what `checkpoint=` may name."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from study.errors import ConfigError
from study.record import RUNS, DamagedFileError, Record
from study.training.checkpoints import decode_weights

KEY = "checkpoint"
FOLDER = "checkpoints"
AVERAGED = f"{FOLDER}/averaged.safetensors"
TRAINING = "training.json"  # in a record: how its training ended


def checkpoint_name(update: int) -> str:
    """Name of a checkpoint's file in a record."""
    return f"{FOLDER}/update_{update:07d}.safetensors"


@dataclass(frozen=True)
class Source:
    """Trained weights to look at.

    Attributes:
        solution: the tensors, by name.
        initialisation: those of the first checkpoint of the same training; None for a lone file.
        update: of the solution; None for a lone file and for averaged weights.
        final: whether it is the last checkpoint of its training.
        record: the run that trained them; None for a lone file.
        digest: SHA-256 of both files' bytes.
        label: for people.
    """

    solution: dict[str, Tensor]
    initialisation: dict[str, Tensor] | None
    update: int | None
    final: bool
    record: Record | None
    digest: str
    label: str

    @property
    def name(self) -> str:
        """What a landscape calls it."""
        if self.final:
            return "solution"
        return "averaged weights" if self.update is None else f"update {self.update}"

    @property
    def training_hash(self) -> str | None:
        """Of the training whose solution this is; None where it is no solution, or of a lone file."""
        if self.record is None or not self.final:
            return None
        return self.record.read_json("run.json").get("tags", {}).get("training_hash")


def find_record(name: str, output_dir: str | Path, rule: str, folder: str = RUNS, key: str = KEY) -> Record:
    """The record that `name` means: a hash or the start of one, or the id of its MLflow run.

    Args:
        name: that was given.
        output_dir: where records are.
        rule: what the name must be, for the refusal.
        folder: of output_dir, in which to look.
        key: whose value the name is, for the refusal.

    Raises:
        ConfigError: if there is none, or more than one.
    """
    records = Record.all(output_dir, folder)
    found = [record for record in records if name and record.config_hash.startswith(name)]
    found = found or [record for record in records if name in record.mirrored_run_ids()]
    if len(found) != 1:
        raise ConfigError(key, f"{rule} ({len(found)} match)", name)
    return found[0]


def source_record(checkpoint: str, output_dir: str | Path, key: str = KEY) -> Record | None:
    """The run that `checkpoint` belongs to, or None for a lone file.

    Args:
        checkpoint: as configured.
        output_dir: where records are.
        key: whose value it is, for the refusal.

    Raises:
        ConfigError: if it names neither a run nor a file.
    """
    if checkpoint.endswith(".safetensors"):
        file = Path(checkpoint).resolve()
        if not file.is_file():
            raise ConfigError(key, "must be a file that exists", checkpoint)
        record = Record(file.parent.parent)
        record.reload()
        return record if f"{file.parent.name}/{file.name}" in checkpoint_files(record) else None
    rule = "must name one run in output_dir, by its hash or its MLflow id, or a .safetensors file"
    return find_record(checkpoint.partition("@")[0], output_dir, rule, key=key)


def load_source(checkpoint: str, output_dir: str | Path, key: str = KEY) -> Source:
    """The weights that `checkpoint` names: `RUN` (its solution), `RUN@UPDATE`, `RUN@averaged` or a file.

    Args:
        checkpoint: as configured.
        output_dir: where records are.
        key: whose value it is, for the refusal.

    Raises:
        ConfigError: if there are no such weights, or their file is damaged.
    """
    record = source_record(checkpoint, output_dir, key)
    if record is None:
        content = Path(checkpoint).read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        return Source(
            _decode(checkpoint, key, content), None, None, True, None, digest, Path(checkpoint).name
        )
    there = updates(record)
    if not there:
        raise ConfigError(key, "must name a run that has checkpoints", checkpoint)
    ended_well = record.holds(TRAINING) and not record.read_json(TRAINING)["diverged"]
    wanted = checkpoint.partition("@")[2]
    if AVERAGED in (f"{FOLDER}/{wanted}.safetensors", f"{FOLDER}/{Path(checkpoint).name}"):
        return _averaged(record, there[0], checkpoint, key)
    if checkpoint.endswith(".safetensors"):
        update = int(Path(checkpoint).stem.removeprefix("update_"))
    else:
        listed = ", ".join(map(str, there))
        if not wanted and not ended_well:
            rule = f"must name a training that ended well, or one of its updates, as RUN@UPDATE ({listed})"
            raise ConfigError(key, rule, checkpoint)
        if wanted and (not wanted.isdecimal() or int(wanted) not in there):
            raise ConfigError(key, f"must name a run's checkpoint by its update ({listed})", checkpoint)
        update = int(wanted) if wanted else there[-1]
    return Source(
        **_read(record, there[0], checkpoint_name(update), checkpoint, key),
        update=update,
        final=ended_well and update == there[-1],
        label=f"run {record.config_hash}, update {update}",
    )


def _averaged(record: Record, first: int, checkpoint: str, key: str) -> Source:
    """The averaged weights of a run."""
    if AVERAGED not in record.files():
        raise ConfigError(key, "must name a run that has averaged weights (training/averaging)", checkpoint)
    return Source(
        **_read(record, first, AVERAGED, checkpoint, key),
        update=None,
        final=False,
        label=f"run {record.config_hash}, averaged weights",
    )


def _read(record: Record, first: int, last: str, checkpoint: str, key: str) -> dict[str, Any]:
    """Initialisation and solution of a source, from a record's files."""
    try:
        contents = record.read(checkpoint_name(first)), record.read(last)
    except DamagedFileError as error:
        raise ConfigError(key, f"must be whole: {error}", checkpoint) from error
    initialisation, solution = (_decode(checkpoint, key, content) for content in contents)
    digest = hashlib.sha256(b"".join(contents)).hexdigest()
    return {"solution": solution, "initialisation": initialisation, "record": record, "digest": digest}


def checkpoints(record: Record, last: int | None) -> dict[int, dict[str, Tensor]]:
    """The states of a record's checkpoints, by update, up to `last` (None: all), in order.

    Raises:
        DamagedFileError: if one is not as it was written.
    """
    wanted = updates(record, last)
    return {update: decode_weights(record.read(checkpoint_name(update)))[0] for update in wanted}


def updates(record: Record, last: int | None = None) -> list[int]:
    """The updates at which a record has checkpoints, up to `last` (None: all), in order."""
    names = [name for name in checkpoint_files(record) if name != AVERAGED]
    found = sorted(int(Path(name).stem.removeprefix("update_")) for name in names)
    return [update for update in found if last is None or update <= last]


def checkpoint_files(record: Record) -> list[str]:
    """Names of all weights that a training has left in a record."""
    return [name for name in record.files() if name.startswith(f"{FOLDER}/")]


def _decode(checkpoint: str, key: str, content: bytes) -> dict[str, Tensor]:
    try:
        return decode_weights(content)[0]
    except ValueError as error:
        raise ConfigError(key, f"must be readable ({error})", checkpoint) from error
