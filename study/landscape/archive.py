"""Arrays with a JSON header as one `.npz` file: whole, without pickle, equal content in equal bytes."""

import io
import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from study.files import write_atomically

# NumPy reads an array's header through `ast`, whose conversion counts its depth for all threads together: one
# that another thread comes between ends in a SystemError (CPython issue 106905), and is done again.
READS = 10


def pack(format: str, header: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> bytes:
    """The file as bytes.

    Args:
        format: what it is and of which version, as `landscape/1`; kept in the header.
        header: JSON-able.
        arrays: by name; none is called `header`.
    """
    return packed({"header": np.array(json.dumps({"format": format, **header})), **arrays})


def packed(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Arrays by name as the bytes of an `.npz` file that needs no pickle."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def unpack(format: str, data: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The header and the arrays that `pack` wrote.

    Raises:
        ValueError: if the bytes are no such file, or one of another format.
    """
    what = format.partition("/")[0]
    try:
        arrays = _arrays(data)
        header = json.loads(arrays.pop("header").item())
    except Exception as error:
        raise ValueError(f"not a {what} file: {error}") from error
    found = header.get("format") if isinstance(header, dict) else None
    if found != format:
        raise ValueError(f"{what} format must be {format!r}, got {found!r}")
    return header, arrays


def _arrays(data: bytes, reads: int = READS) -> dict[str, np.ndarray]:
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except SystemError:
        if reads == 1:
            raise
    return _arrays(data, reads - 1)


def write(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file's bytes to `path`, atomically; `.npz` is added to a name that does not end in it."""
    name = os.fspath(path)
    write_atomically(name if name.endswith(".npz") else f"{name}.npz", data)
