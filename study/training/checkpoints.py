"""Weights and training states as bytes, without pickle.

Tensors are kept in the safetensors format, everything else as JSON. The same tensors give the same bytes in
every process: safetensors orders its metadata by a random hash, so the header is written anew, in order.
"""

import copy
import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.optim import Optimizer

_FORMAT = 1


def snapshot(model: nn.Module) -> dict[str, Tensor]:
    """Copies of a model's parameters and buffers on the CPU, by name, in the model's order.

    Tied parameters appear under each of their names, as in `state_dict`, and so do they in all that follows.

    Raises:
        ValueError: If the model keeps something that is not a tensor in its state.
    """
    state = {}
    for name, tensor in model.state_dict().items():
        if not isinstance(tensor, Tensor):
            raise ValueError(f"a checkpoint holds tensors only, got {type(tensor).__name__} for {name!r}")
        state[name] = tensor.detach().to("cpu", copy=True)
    return state


def load_weights(model: nn.Module, state: dict[str, Tensor]) -> None:
    """Copies a checkpoint's tensors into a model of the same architecture.

    Args:
        model: Changed in place; untouched if the checkpoint is refused.
        state: Tensors by name, as `snapshot` gives them.

    Raises:
        ValueError: If a name or a shape differs; the message names the first that does, and both shapes.
    """
    own = model.state_dict()
    for name in [*own, *(name for name in state if name not in own)]:
        in_model = str(tuple(own[name].shape)) if name in own else "absent"
        in_checkpoint = str(tuple(state[name].shape)) if name in state else "absent"
        if in_model != in_checkpoint:
            raise ValueError(
                f"the checkpoint is of another architecture: {name!r} is {in_checkpoint} in the checkpoint, "
                f"{in_model} in the model"
            )
    model.load_state_dict(state)


def encode_weights(state: dict[str, Tensor], *, update: int, epoch: float) -> bytes:
    """A checkpoint as the bytes of a safetensors file.

    Args:
        state: Tensors by name; tied, shared and strided tensors are each written in full.
        update: Updates taken so far.
        epoch: The same in epochs.
    """
    return _to_bytes(state, {"update": str(update), "epoch": repr(float(epoch))})


def decode_weights(data: bytes) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors by name and the metadata of a safetensors file's bytes, both in the file's order.

    Raises:
        ValueError: If the bytes are no whole safetensors file.
    """
    try:
        tensors = safetensors.torch.load(data)
    except SafetensorError as error:
        raise ValueError(f"not a safetensors file: {error}") from error
    header = _header(data)
    metadata = header.pop("__metadata__", {})
    return {name: tensors[name] for name in header}, metadata


@dataclass(frozen=True)
class TrainingState:
    """What a training needs to go on bit for bit from the end of an epoch.

    Data order, augmentation, dropout and learning rate follow from the seed and the epoch, and are not kept.
    """

    model: dict[str, Tensor]
    """Parameters and buffers by name."""
    optimizer: dict[str, Any]
    """The optimizer's `state_dict`."""
    epoch: int
    """Epochs completed."""
    update: int
    """Updates taken."""
    train_loss: float
    """Exact mean training loss at this point, in the task's unit."""
    average: dict[str, Tensor] = field(default_factory=dict)
    """What `Average.state` gives of averaged weights; nothing where none are averaged."""

    @classmethod
    def capture(
        cls,
        model: nn.Module,
        optimizer: Optimizer,
        *,
        epoch: int,
        update: int,
        train_loss: float,
        average: dict[str, Tensor] | None = None,
    ) -> "TrainingState":
        """A copy of the state of `model` and `optimizer`, which later updates leave as it is."""
        return cls(
            snapshot(model), copy.deepcopy(optimizer.state_dict()), epoch, update, train_loss, average or {}
        )

    def restore(self, model: nn.Module, optimizer: Optimizer) -> None:
        """Copies this state into a model and an optimizer built as the first ones were.

        Raises:
            ValueError: If the model or the optimizer is of another kind.
        """
        saved = [sorted(group) for group in self.optimizer["param_groups"]]
        own = [sorted(group) for group in optimizer.state_dict()["param_groups"]]
        if saved != own:
            raise ValueError(f"the training state is not of this optimizer, {type(optimizer).__name__}")
        load_weights(model, self.model)
        # The optimizer would keep the tensors it is given, and change them as it steps.
        optimizer.load_state_dict(copy.deepcopy(self.optimizer))

    def encode(self) -> tuple[bytes, dict[str, Any]]:
        """The tensors as bytes of a safetensors file, and a JSON-able dict of the rest with their SHA-256.

        Raises:
            TypeError: If the optimizer keeps something that is neither a tensor nor plain data.
        """
        tensors = {f"model/{name}": tensor for name, tensor in self.model.items()}
        tensors |= {f"average/{name}": tensor for name, tensor in self.average.items()}
        optimizer = _pack(self.optimizer, "optimizer", tensors)
        data = _to_bytes(tensors, {})
        return data, {
            "format": _FORMAT,
            "sha256": hashlib.sha256(data).hexdigest(),
            "epoch": self.epoch,
            "update": self.update,
            "train_loss": self.train_loss,
            "optimizer": optimizer,
        }

    @classmethod
    def decode(cls, data: bytes, rest: dict[str, Any]) -> "TrainingState":
        """The state that `encode` wrote.

        Raises:
            ValueError: If the format is another, or the two parts were not written together.
        """
        if rest.get("format") != _FORMAT:
            raise ValueError(f"a training state must have format {_FORMAT}, got {rest.get('format')}")
        if rest["sha256"] != hashlib.sha256(data).hexdigest():
            raise ValueError("the tensors of the training state are not those it was written with")
        tensors, _ = decode_weights(data)

        def group(prefix: str) -> dict[str, Tensor]:
            own = {name: tensor for name, tensor in tensors.items() if name.startswith(prefix)}
            return {name.removeprefix(prefix): tensor for name, tensor in own.items()}

        optimizer = _unpack(rest["optimizer"], tensors)
        about = (rest["epoch"], rest["update"], rest["train_loss"])
        return cls(group("model/"), optimizer, *about, group("average/"))


def _pack(value: Any, path: str, tensors: dict[str, Tensor]) -> Any:
    """`value` as JSON, which has no tuples and no keys but strings; its tensors go to `tensors` by path."""
    match value:
        case Tensor():
            tensors[path] = value
            return {"tensor": path}
        case dict():
            return {"dict": [[key, _pack(item, f"{path}/{key}", tensors)] for key, item in value.items()]}
        case tuple():
            return {"tuple": [_pack(item, f"{path}/{i}", tensors) for i, item in enumerate(value)]}
        case list():
            return [_pack(item, f"{path}/{i}", tensors) for i, item in enumerate(value)]
        case None | bool() | int() | float() | str():
            return value
        case _:
            raise TypeError(
                f"a training state holds tensors and plain data only, got {type(value)} at {path}"
            )


def _unpack(value: Any, tensors: dict[str, Tensor]) -> Any:
    """What `_pack` was given."""
    match value:
        case {"tensor": path}:
            return tensors[path]
        case {"dict": items}:
            return {key: _unpack(item, tensors) for key, item in items}
        case {"tuple": items}:
            return tuple(_unpack(item, tensors) for item in items)
        case list():
            return [_unpack(item, tensors) for item in value]
        case _:
            return value


def _to_bytes(tensors: dict[str, Tensor], metadata: dict[str, str]) -> bytes:
    """A safetensors file whose header keeps the order of `tensors`."""
    whole = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in tensors.items()
    }
    data = safetensors.torch.save(whole)
    entries = _header(data)
    ordered = {"__metadata__": metadata, **{name: entries[name] for name in tensors}}
    header = json.dumps(ordered, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)  # the format aligns what follows to 8 bytes
    return len(header).to_bytes(8, "little") + header + data[8 + int.from_bytes(data[:8], "little") :]


def _header(data: bytes) -> dict[str, Any]:
    """The header of a safetensors file: eight bytes of length, then JSON."""
    return json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
