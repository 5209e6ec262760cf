"""How one point is evaluated: the choices that its bits depend on, resolved once by a rule."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from math import ceil
from typing import Any, Literal, get_args

import torch
from torch import nn

from study.landscape.allocator import keeps_freed_memory
from study.landscape.linear import OneDnnLinear
from study.landscape.network import Probe

Precision = Literal["float32", "bfloat16"]
PRECISIONS: tuple[str, ...] = get_args(Precision)

CACHE_BYTES = 2**24  # activations of one micro-batch that a processor does not fault in anew
KEPT_BYTES = 2**29  # the same where freed memory is kept
DEVICE_BYTES = 2**30  # activations of all that an accelerator does at once
SMALLEST, LARGEST = 32, 2**14  # below 32 examples the bits change with the batch; above 16,384 nothing is won
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
        copies_inputs: whether a micro-batch is a copy of its examples, as the model writes to them.
        onednn: whether oneDNN computes linear layers where it can; see `linear_by_onednn`.
    """

    micro_batch: int
    channels_last: bool
    device: str
    precision: Precision = "float32"
    compile: bool = False
    points_at_once: int = 1
    copies_inputs: bool = False
    onednn: bool = False

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
        one. On an accelerator it is the number that fills `DEVICE_BYTES`, and as many points are taken at
        once as leave their weights and activations within it, `MOST_AT_ONCE` at most. Images lie
        channels-last where the model has a 2-D convolution and can be called with them. Linear layers in
        float32 are oneDNN's on a processor, one point at a time, unless they are compiled.

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
        probe = Probe.of(model, example)
        target = torch.device(device or next(model.parameters()).device)
        activations = max(probe.activation_bytes, 1)
        here = KEPT_BYTES if keeps_freed_memory() else CACHE_BYTES
        on_processor = target.type == "cpu"
        budget = here if on_processor else DEVICE_BYTES
        if micro_batch is None:
            micro_batch = min(max(budget // activations, SMALLEST), LARGEST)
        if points_at_once is None:
            weights = sum(parameter.nbytes for parameter in model.parameters())
            fitting = budget // max(weights, activations * micro_batch)
            points_at_once = 1 if on_processor else min(max(fitting, 1), MOST_AT_ONCE)
        return cls(
            micro_batch=micro_batch,
            channels_last=channels_last and probe.reads_channels_last,
            device=str(target),
            precision=precision,
            compile=compile,
            points_at_once=points_at_once,
            copies_inputs=probe.writes_to_inputs,
            onednn=OneDnnLinear.is_available(),
        )

    @property
    def linear_by_onednn(self) -> bool:
        """Whether linear layers are oneDNN's: in float32 on a processor, a point at a time, not compiled."""
        here = torch.device(self.device).type == "cpu" and self.precision == "float32"
        return self.onednn and here and self.points_at_once == 1 and not self.compile

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
