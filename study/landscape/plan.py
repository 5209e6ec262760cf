"""How one point is evaluated: the choices that its bits depend on, resolved once by a rule."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from math import ceil
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils._pytree import tree_flatten, tree_map

from study.landscape.allocator import keeps_freed_memory

Precision = Literal["float32", "bfloat16"]
PRECISIONS: tuple[str, ...] = get_args(Precision)

CACHE_BYTES = 2**24  # activations of one micro-batch that a processor does not fault in anew
KEPT_BYTES = 2**29  # the same where freed memory is kept
DEVICE_BYTES = 2**30  # activations of all that an accelerator does at once
SMALLEST, LARGEST = 32, 4096  # below 32 examples the bits change with the batch; above 4,096 nothing is won
MOST_AT_ONCE = 16  # points


@dataclass(frozen=True)
class EvaluationPlan:
    """Everything beside weights and data that the bits of a value depend on.

    It follows from a rule, never from a timing, so that the same work gives the same bits. Threads are no
    part of it: with a micro-batch of 32 or more, an example's loss has the same bits on any number of them.

    Attributes:
        micro_batch: the most examples in one forward pass.
        channels_last: whether images, and the filters of 2-D convolutions, lie channels-last in memory.
        device: where the work is done.
        precision: of activations and the weights that they are multiplied with; losses are summed in float64.
        compile: whether the forward pass goes through `torch.compile`.
        points_at_once: points that share one pass over the data.
    """

    micro_batch: int
    channels_last: bool
    device: str
    precision: Precision = "float32"
    compile: bool = False
    points_at_once: int = 1

    @classmethod
    def by_rule(
        cls,
        model: nn.Module,
        example: Any,
        micro_batch: int | None = None,
        *,
        precision: Precision = "float32",
        compile: bool = False,
        points_at_once: int | None = None,
        channels_last: bool = True,
        device: str | None = None,
    ) -> "EvaluationPlan":
        """The plan for `model` on inputs like `example`.

        On a processor, the micro-batch is the number of examples whose activations fill `CACHE_BYTES`, or
        `KEPT_BYTES` after `keep_freed_memory`, within [`SMALLEST`, `LARGEST`], and points are taken one by
        one. On an accelerator it is the number that
        fills `DEVICE_BYTES`, and as many points are taken at once as leave their weights and activations
        within it, `MOST_AT_ONCE` at most. Images lie channels-last where the model has a 2-D convolution and
        can be called with them.

        Args:
            model: in evaluation mode.
            example: inputs of one or two examples, as the model is called with.
            micro_batch: taken instead of the rule's.
            precision: as the plan's.
            compile: as the plan's.
            points_at_once: taken instead of the rule's.
            channels_last: False keeps the layout that tensors have.
            device: taken instead of the model's own.

        Raises:
            ValueError: if `micro_batch` or `points_at_once` is below 1, or `precision` is none.
        """
        for name, given in (("micro_batch", micro_batch), ("points_at_once", points_at_once)):
            if given is not None and given < 1:
                raise ValueError(f"{name} must be at least 1, got {given}")
        if precision not in PRECISIONS:
            raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}, got {precision!r}")
        example = _beside(model, example)
        target = torch.device(device or next(model.parameters()).device)
        activations = max(_activation_bytes(model, example), 1)
        here = KEPT_BYTES if keeps_freed_memory() else CACHE_BYTES
        budget, largest = (here, LARGEST) if target.type == "cpu" else (DEVICE_BYTES, LARGEST * 4)
        if micro_batch is None:
            micro_batch = min(max(budget // activations, SMALLEST), largest)
        if points_at_once is None:
            weights = sum(parameter.nbytes for parameter in model.parameters())
            fitting = budget // max(weights, activations * micro_batch)
            points_at_once = 1 if target.type == "cpu" else min(max(fitting, 1), MOST_AT_ONCE)
        return cls(
            micro_batch=micro_batch,
            channels_last=channels_last
            and bool(image_filters(model))
            and _reads_channels_last(model, example),
            device=str(target),
            precision=precision,
            compile=compile,
            points_at_once=points_at_once,
        )

    def smaller(self) -> "EvaluationPlan | None":
        """The plan that needs half the memory for activations; None if there is none."""
        if self.points_at_once > 1:
            return replace(self, points_at_once=self.points_at_once // 2)
        return replace(self, micro_batch=self.micro_batch // 2) if self.micro_batch > 1 else None

    def bounds(self, size: int) -> Iterator[tuple[int, int]]:
        """(start, stop) of each micro-batch of `size` examples; sizes differ by one at most.

        A plan of `SMALLEST` or more makes none smaller than that where the set allows it, if need be by one
        micro-batch less, each a little larger.
        """
        parts = ceil(size / self.micro_batch)
        if self.micro_batch >= SMALLEST:
            parts = min(parts, max(1, size // SMALLEST))
        for part in range(parts):
            yield part * size // parts, (part + 1) * size // parts

    def describe(self) -> dict[str, Any]:
        """JSON-able, for provenance and keys."""
        return asdict(self)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, on a device or here; a processor's allocator has no error of its own."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def image_filters(model: nn.Module) -> list[str]:
    """Names of the weights of 2-D convolutions, which take their memory layout from them."""
    return [
        f"{name}.weight" if name else "weight"
        for name, layer in model.named_modules()
        if isinstance(layer, nn.Conv2d)
    ]


def arguments(inputs: Any) -> tuple[Any, ...]:
    """What `functional_call` takes after the state.

    A tensor is passed as it is, a tuple or list as positional and a dict as named arguments.
    """
    if isinstance(inputs, dict):
        return (), inputs
    return (tuple(inputs),) if isinstance(inputs, tuple | list) else ((inputs,),)


def in_channels_last(leaf: Any) -> Any:
    """Images, (N, C, H, W), in channels-last memory; anything else as it is."""
    if isinstance(leaf, Tensor) and leaf.ndim == 4 and leaf.is_floating_point():
        return leaf.contiguous(memory_format=torch.channels_last)
    return leaf


def writes_to_inputs(model: nn.Module, example: Any) -> bool:
    """Whether the model changes the tensors that it is called with."""
    example = _beside(
        model, tree_map(lambda leaf: leaf.clone() if isinstance(leaf, Tensor) else leaf, example)
    )
    leaves = [leaf for leaf in tree_flatten(example)[0] if isinstance(leaf, Tensor)]
    before = [leaf._version for leaf in leaves]
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    with torch.no_grad():
        functional_call(model, buffers, *arguments(example))
    return [leaf._version for leaf in leaves] != before


def _beside(model: nn.Module, example: Any) -> Any:
    """An example on the model's device."""
    device = next(model.parameters()).device
    return tree_map(lambda leaf: leaf.to(device) if isinstance(leaf, Tensor) else leaf, example)


def _reads_channels_last(model: nn.Module, example: Any) -> bool:
    """Whether the model can be called with images and filters in that layout: `view` may refuse it."""
    filters = set(image_filters(model))
    state = {
        name: in_channels_last(tensor.detach()) if name in filters else tensor.detach()
        for name, tensor in model.named_parameters()
    }
    state |= {name: buffer.clone() for name, buffer in model.named_buffers()}
    try:
        with torch.inference_mode():
            functional_call(model, state, *arguments(tree_map(in_channels_last, example)))
    except RuntimeError:
        return False
    return True


def _activation_bytes(model: nn.Module, example: Any) -> int:
    """Bytes per example of the inputs and of what the model's leaf layers put out."""
    tensors = [leaf for leaf in tree_flatten(example)[0] if isinstance(leaf, Tensor)]
    count = tensors[0].shape[0]
    total = sum(leaf.nbytes for leaf in tensors)

    def add(_layer: nn.Module, _inputs: Any, output: Any) -> None:
        nonlocal total
        total += sum(leaf.nbytes for leaf in tree_flatten(output)[0] if isinstance(leaf, Tensor))

    leaves = [layer for layer in model.modules() if not list(layer.children())]
    hooks = [layer.register_forward_hook(add) for layer in leaves]
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}  # a model may write to its own
    try:
        with torch.inference_mode():
            functional_call(model, buffers, *arguments(example))
    finally:
        for hook in hooks:
            hook.remove()
    return total // count
