"""Directions as files: one named tensor a parameter, in the safetensors format."""

import hashlib
import json
import os
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError

from study.files import write_atomically
from study.landscape.directions import Direction
from study.landscape.weights import Layout

SUFFIX = ".safetensors"
_PROVENANCE = "provenance"  # one entry of metadata alone: safetensors orders several at random


def save_direction(direction: Direction, layout: Layout, path: str | os.PathLike[str]) -> None:
    """Write a direction, atomically: equal directions give equal bytes.

    Args:
        direction: its tensors take the dtype of the flat vector, whatever the parameters' own is.
        layout: of the weights it belongs to, which names the tensors.
        path: of the file; must end in `.safetensors`.

    Raises:
        ValueError: if the path ends otherwise.
    """
    name = os.fspath(path)
    if not name.endswith(SUFFIX):
        raise ValueError(f"the file of a direction must end in {SUFFIX}, got {name!r}")
    parts = direction.flat.detach().cpu().split([parameter.size for parameter in layout.parameters])
    tensors = {
        parameter.name: part.view(parameter.shape).clone()
        for parameter, part in zip(layout.parameters, parts, strict=True)
    }
    metadata = {_PROVENANCE: json.dumps(direction.provenance, sort_keys=True)}
    write_atomically(name, safetensors.torch.save(tensors, metadata))


def load_direction(path: str | os.PathLike[str], layout: Layout) -> Direction:
    """The direction that a file holds, of the length it has there.

    Its provenance names the file with its SHA-256, and repeats under `holds` what `save_direction` was told.

    Args:
        path: a safetensors file with one floating-point tensor for each parameter, and no other.
        layout: of the weights it is for.

    Raises:
        ValueError: naming the file, and the first tensor that is missing, of another shape, not
            floating-point, not finite or of no parameter; or if all entries are zero.
    """
    where = Path(path)
    try:
        content = where.read_bytes()
        tensors = safetensors.torch.load(content)
    except (OSError, SafetensorError) as error:
        raise ValueError(f"{where} must hold a direction as safetensors: {error}") from error
    for parameter in layout.parameters:
        if parameter.name not in tensors:
            raise ValueError(f"{where} must hold {parameter.name!r} of shape {parameter.shape}: missing")
        tensor = tensors[parameter.name]
        if tuple(tensor.shape) != parameter.shape:
            raise ValueError(
                f"{where}: {parameter.name!r} must have shape {parameter.shape}, got {tuple(tensor.shape)}"
            )
        if not tensor.is_floating_point():
            raise ValueError(f"{where}: {parameter.name!r} must be floating-point, got {tensor.dtype}")
        if not torch.isfinite(tensor).all():
            raise ValueError(f"{where}: {parameter.name!r} must be finite, it is not everywhere")
    known = {parameter.name for parameter in layout.parameters}
    for name in tensors:
        if name not in known:
            raise ValueError(f"{where} must hold one tensor for each parameter, {name!r} is of none")
    if not any(tensor.any() for tensor in tensors.values()):
        raise ValueError(f"{where} must hold a direction, every entry is zero")
    told = _metadata(content).get(_PROVENANCE)
    return Direction(
        flat=layout.flatten(tensors),
        provenance={
            "kind": "file",
            "file": where.name,
            "sha256": hashlib.sha256(content).hexdigest(),
            "holds": json.loads(told) if told is not None else None,
        },
    )


def _metadata(content: bytes) -> dict[str, str]:
    """Of a safetensors file: eight bytes of length, then JSON."""
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    return header.get("__metadata__", {})
