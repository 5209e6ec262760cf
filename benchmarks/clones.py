"""Many finished runs, quickly: a few are run, the others are copies of them with settings of their own.

A copy is what its own run would have left: its configuration, hashes and names follow from its settings, its
weights and numbers differ from those that it was copied from, and its files are bytes of its own on the disk.
"""

import hashlib
import json
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from omegaconf import OmegaConf
from tqdm import tqdm

from study import about as about_module
from study import build
from study.about import about, shown
from study.config import StudyConfig
from study.landscape.result import Landscape
from study.prepare import prepare
from study.record import MANIFEST, MIRROR, Record
from study.resolve import composed, typed
from study.training.checkpoints import decode_weights, encode_weights

SPREAD = 0.02  # of the numbers of a copy about those that it is copied from


def settings(overrides: Sequence[str], rates: Sequence[float], seeds: Sequence[int]) -> Iterator[StudyConfig]:
    """The configuration of every run of the sweep over these learning rates and seeds."""
    shared = typed(composed(overrides))
    for rate in rates:
        optimizer = replace(shared.optimizer, learning_rate=rate)
        for seed in seeds:
            yield replace(shared, optimizer=optimizer, seed=seed)


def fill(configs: Sequence[StudyConfig], templates: Sequence[Record]) -> None:
    """Make the records that are not there yet, each a copy of the next template."""
    data = build.data_set(configs[0].data)
    choices = templates[0].read_json("run.json")["choices"]
    commit = templates[0].read_json("run.json")["tags"].get("git_commit", "")
    with patch.object(about_module, "_git_commit", lambda: commit):  # asked once, not by every run
        for place, config in enumerate(tqdm(configs, desc="records", disable=None)):
            prepared = prepare(config, choices, lambda _config: data)
            if not prepared.record.holds("run.json"):
                _copy(templates[place % len(templates)], prepared.record.path, about(prepared), config)


def _copy(template: Record, folder: Path, said: dict[str, Any], config: StudyConfig) -> None:
    numbers = np.random.default_rng(int(folder.name, 16))
    factor = 1 + SPREAD * numbers.standard_normal()
    files = {name: template.read(name) for name in template.files() if name != MIRROR}
    before = template.read_json("run.json")
    files["run.json"] = _json({"record_id": uuid.uuid4().hex, "created": before["created"], **said})
    files["config.yaml"] = OmegaConf.to_yaml(shown(config)).encode()
    series = template.read_json("metrics.json")
    files["metrics.json"] = _json({key: _varied(key, own, factor) for key, own in series.items()})
    files["report.md"] = files["report.md"].replace(before["name"].encode(), said["name"].encode())
    for name, content in files.items():
        if name.endswith(".npz"):
            files[name] = _landscape(content, factor)
        if name.startswith("checkpoints/"):
            files[name] = _weights(content, numbers)
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    checksums = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    (folder / MANIFEST).write_text(json.dumps(checksums, indent=1))


def _varied(key: str, points: list[Any], factor: float) -> list[Any]:
    most = 1.0 if key.endswith("accuracy") else np.inf
    return [[step, min(value * factor, most), time] for step, value, time in points]


def _landscape(content: bytes, factor: float) -> bytes:
    found = Landscape.from_bytes(content)
    values = {
        name: array * factor if name.endswith("loss") else array for name, array in found.values.items()
    }
    return replace(found, values=values).to_bytes()


def _weights(content: bytes, numbers: np.random.Generator) -> bytes:
    noise = torch.Generator().manual_seed(int(numbers.integers(2**31)))
    state, said = decode_weights(content)
    varied = {
        name: own + SPREAD * torch.randn(own.shape, generator=noise) if own.is_floating_point() else own
        for name, own in state.items()
    }
    return encode_weights(varied, update=int(said["update"]), epoch=float(said["epoch"]))


def _json(content: Any) -> bytes:
    return (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode()
