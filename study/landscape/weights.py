"""A model's parameters and buffers, as named tensors and as one flat vector."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod

import torch
from torch import Tensor, nn

NORMALIZATION_LAYERS: tuple[type[nn.Module], ...] = (
    nn.modules.batchnorm._NormBase,  # batch and instance normalization
    nn.LayerNorm,
    nn.GroupNorm,
    nn.RMSNorm,
)
TRANSPOSED_CONVOLUTIONS = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


@dataclass(frozen=True)
class Parameter:
    """Where a parameter lies in the flat vector, and how it divides into filters.

    A filter is what makes one output: `weight[j]` of a convolution or a linear layer, dim 1 of a transposed
    convolution, a row of a packed projection or of an embedding (Li et al. 2018, section 4).

    Attributes:
        name: as in `named_parameters()`.
        shape: of the tensor.
        dtype: of the model's own tensor.
        is_bias_or_norm: a bias, or a parameter of a normalization layer; it counts as one filter.
        filter_view: shape in which the filters are told apart.
        filter_dims: the dims of that view that lie within one filter.
    """

    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype
    is_bias_or_norm: bool
    filter_view: tuple[int, ...]
    filter_dims: tuple[int, ...]

    @property
    def size(self) -> int:
        """Number of entries."""
        return prod(self.shape)

    def filter_norms(self, tensor: Tensor) -> Tensor:
        """L2 norm of each filter, float64, spread over the entries: the shape of `tensor`."""
        view = tensor.reshape(self.filter_view).double()
        if not self.filter_dims:
            return view.abs().reshape(self.shape)
        norms = torch.linalg.vector_norm(view, dim=self.filter_dims, keepdim=True)
        return norms.expand(self.filter_view).reshape(self.shape)


@dataclass(frozen=True)
class Layout:
    """The parameters of a model in their order in the flat vector."""

    parameters: tuple[Parameter, ...]

    @classmethod
    def of(cls, model: nn.Module) -> "Layout":
        """The layout of `model`: every floating-point parameter, frozen ones too, a tied one once.

        Raises:
            ValueError: if the model is no plain module, or has no such parameter, or one that is complex, not
                yet initialised, without data, sparse, or in a format that nothing is computed in.
        """
        _check_plain(model)
        layers = reversed(list(model.modules()))  # a tied parameter is the first's, as is its name
        owners = {id(own): layer for layer in layers for own in layer.parameters(recurse=False)}
        parameters = []
        for name, tensor in model.named_parameters():
            if isinstance(tensor, nn.parameter.UninitializedParameter):
                raise ValueError(f"every parameter must be initialised, {name!r} is not: run one batch first")
            if tensor.is_complex():
                raise ValueError(f"every parameter must be real, {name!r} is {tensor.dtype}")
            if tensor.is_meta:
                raise ValueError(f"every parameter must hold data, {name!r} is on the device meta")
            if tensor.layout != torch.strided:
                raise ValueError(f"every parameter must be dense, {name!r} is {tensor.layout}")
            if tensor.is_floating_point():
                if tensor.itemsize < 2:
                    raise ValueError(f"every parameter must have 16 bits or more, {name!r} is {tensor.dtype}")
                parameters.append(_describe(name, tensor, owners[id(tensor)]))
        for name, buffer in model.named_buffers():
            if buffer.is_meta:
                raise ValueError(f"every buffer must hold data, {name!r} is on the device meta")
        if not any(parameter.size for parameter in parameters):
            raise ValueError("the model must have at least one floating-point parameter, it has none")
        return cls(tuple(parameters))

    @property
    def size(self) -> int:
        """P, the number of entries of the flat vector."""
        return sum(parameter.size for parameter in self.parameters)

    @property
    def dtype(self) -> torch.dtype:
        """Dtype of the flat vector: the widest of the parameters', at least float32."""
        widest = torch.float32
        for parameter in self.parameters:
            widest = torch.promote_types(widest, parameter.dtype)
        return widest

    def flatten(self, tensors: Mapping[str, Tensor]) -> Tensor:
        """One vector, (P,), from named tensors."""
        parts = [tensors[parameter.name].detach().reshape(-1) for parameter in self.parameters]
        return torch.cat([part.to(self.dtype) for part in parts])

    def views(self, flat: Tensor) -> dict[str, Tensor]:
        """Named tensors from one vector, (P,): views of it where the dtype is the vector's own."""
        parts = flat.split([parameter.size for parameter in self.parameters])
        return {
            parameter.name: part.view(parameter.shape).to(parameter.dtype)
            for parameter, part in zip(self.parameters, parts, strict=True)
        }


@dataclass(frozen=True)
class Weights:
    """A point of weight space: one flat vector of parameters, with the buffers that belong to it.

    Attributes:
        layout: names and shapes.
        flat: the parameters, (P,); on the model's device.
        buffers: everything else in the model's state, which no geometry moves.
    """

    layout: Layout
    flat: Tensor
    buffers: dict[str, Tensor]

    @classmethod
    def of(cls, model: nn.Module) -> "Weights":
        """A copy of the model's weights; the model is not touched.

        Raises:
            ValueError: see `Layout.of`.
        """
        _check_plain(model)
        return cls.from_state(model, {**dict(model.named_parameters()), **dict(model.named_buffers())})

    @classmethod
    def from_state(cls, model: nn.Module, state: Mapping[str, Tensor]) -> "Weights":
        """The weights that `state` (name to tensor, as `state_dict()`) gives to `model`'s architecture.

        Buffers that a state never holds (non-persistent ones) are the model's own.

        Raises:
            ValueError: naming the first parameter or buffer that is missing or has another shape, and
                `Layout.of`'s own.
        """
        layout = Layout.of(model)
        own = {**dict(model.named_parameters()), **dict(model.named_buffers())}
        kept = model.state_dict(keep_vars=True)
        state = {**{name: tensor for name, tensor in own.items() if name not in kept}, **state}
        for name, tensor in own.items():
            if name not in state:
                raise ValueError(f"the weights must hold {name!r} of shape {tuple(tensor.shape)}: missing")
            if state[name].shape != tensor.shape:
                raise ValueError(
                    f"{name!r} must have shape {tuple(tensor.shape)}, got {tuple(state[name].shape)}"
                )
            if _sort(state[name]) != _sort(tensor) and not _are_counts(state[name], tensor):
                raise ValueError(f"{name!r} must be {_sort(tensor)}, got {state[name].dtype}")
        moved = {parameter.name for parameter in layout.parameters}
        device = own[layout.parameters[0].name].device
        return cls(
            layout=layout,
            flat=layout.flatten(state).to(device),
            buffers={
                name: state[name].detach().to(own[name], copy=True) for name in own if name not in moved
            },
        )

    @cached_property
    def named(self) -> dict[str, Tensor]:
        """The parameters by name."""
        return self.layout.views(self.flat)

    @property
    def norm(self) -> float:
        """‖θ‖, the L2 norm of all parameters."""
        return float(torch.linalg.vector_norm(self.flat, dtype=torch.float64))

    def moved(self, step: Tensor) -> "Weights":
        """θ + step, added in float64; the buffers stay.

        Args:
            step: (P,), in the layout of the weights.
        """
        return replace(self, flat=(self.flat.double() + step.to(self.flat.device).double()).to(self.flat))

    def on(self, device: str) -> "Weights":
        """The same weights on `device`."""
        buffers = {name: buffer.to(device) for name, buffer in self.buffers.items()}
        return Weights(self.layout, self.flat.to(device), buffers)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over names, shapes, dtypes and values, hexadecimal: equal weights have equal digests."""
        total = hashlib.sha256()
        for name, tensor in sorted({**self.named, **self.buffers}.items()):
            total.update(f"{name}|{tuple(tensor.shape)}|{tensor.dtype}|".encode())
            total.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
        return total.hexdigest()


def check_layouts(checkpoints: Sequence[Weights]) -> None:
    """Refuse weights that do not belong together.

    Raises:
        ValueError: naming the place of the first that has other parameters than the first of all.
    """
    for place, checkpoint in enumerate(checkpoints):
        if checkpoint.layout != checkpoints[0].layout:
            raise ValueError(
                "checkpoints must have the same parameters, in name, shape and dtype, "
                f"number {place} differs from the first"
            )


def _are_counts(given: Tensor, own: Tensor) -> bool:
    """Whether floating-point numbers fill a tensor of integers, and a copy of them loses nothing."""
    return _sort(own) == "integer" and _sort(given) == "floating-point" and torch.equal(given, given.round())


def _sort(tensor: Tensor) -> str:
    if tensor.is_complex():
        return "complex"
    return "floating-point" if tensor.is_floating_point() else "integer"


def _check_plain(model: nn.Module) -> None:
    """Refuse what cannot be called with weights that are not its own.

    Raises:
        ValueError: saying what it is.
    """
    if not isinstance(model, nn.Module):
        raise ValueError(f"the model must be a torch.nn.Module, got {type(model).__name__}")
    if isinstance(model, torch.jit.ScriptModule):
        raise ValueError("the model must be the network itself, not TorchScript made from it")
    if isinstance(model, nn.DataParallel):
        raise ValueError("the model must be the network itself, the .module of nn.DataParallel")
    if hasattr(model, "_orig_mod"):  # as torch.compile wraps it
        raise ValueError("the model must be the network itself, not compiled: compile=True compiles it")


def _describe(name: str, tensor: Tensor, owner: nn.Module) -> Parameter:
    shape = tuple(tensor.shape)
    bias_or_norm = tensor.ndim <= 1 or isinstance(owner, NORMALIZATION_LAYERS)
    view, within = shape, tuple(range(1, tensor.ndim))
    if bias_or_norm:
        within = tuple(range(tensor.ndim))
    elif isinstance(owner, TRANSPOSED_CONVOLUTIONS):
        view = (owner.groups, shape[0] // owner.groups, *shape[1:])
        within = (1, *range(3, len(view)))
    return Parameter(name, shape, tensor.dtype, bias_or_norm, view, within)
