"""The weights of the points being measured, in memory that is set aside once."""

import torch
from torch import Tensor, nn

from study.landscape.family import Terms, mix
from study.landscape.network import image_filters
from study.landscape.plan import EvaluationPlan
from study.landscape.weights import Layout


class PointWeights:
    """One flat vector a point, and the model's named parameters as views of it.

    The filters of 2-D convolutions lie in it as the plan wants them, so that a point costs one fused update
    and no copy.

    Args:
        model: the architecture.
        layout: of its parameters.
        plan: gives device, memory layout and points at once.
    """

    def __init__(self, model: nn.Module, layout: Layout, plan: EvaluationPlan) -> None:
        self._layout = layout
        self._filters = set(image_filters(model)) if plan.channels_last else set()
        self._flat = torch.empty(plan.points_at_once, layout.size, dtype=layout.dtype, device=plan.device)
        # (start, stop) of each filter tensor with its shape, and of what lies between them with None
        self._pieces: list[tuple[int, int, tuple[int, ...] | None]] = []
        stop = 0
        for parameter in layout.parameters:
            start, stop = stop, stop + parameter.size
            shape = parameter.shape if parameter.name in self._filters else None
            if shape is None and self._pieces and self._pieces[-1][2] is None:
                start = self._pieces.pop()[0]
            self._pieces.append((start, stop, shape))

    def fill(self, terms: Terms, place: int) -> None:
        """Put Σₖ wₖ bₖ into the vector of the point at `place`.

        Args:
            terms: (wₖ, bₖ), each bₖ of shape (P,) on the plan's device.
            place: below the plan's number of points at once.
        """
        for start, stop, shape in self._pieces:
            out = self._flat[place, start:stop]
            if shape is None:
                mix([(weight, base[start:stop]) for weight, base in terms], out)
            else:
                parts = [(weight, base[start:stop].view(shape)) for weight, base in terms]
                mix(parts, _channels_last(out, shape))

    def parameters(self) -> dict[str, Tensor]:
        """The named parameters.

        Each has a dim before its own that counts the points, unless the plan takes them one by one.
        """
        flat = self._flat[0] if len(self._flat) == 1 else self._flat
        named = {}
        parts = flat.split([parameter.size for parameter in self._layout.parameters], dim=-1)
        for parameter, part in zip(self._layout.parameters, parts, strict=True):
            if parameter.name in self._filters:
                view = _channels_last(part, parameter.shape)
            else:
                view = part.view((*part.shape[:-1], *parameter.shape))
            named[parameter.name] = view.to(parameter.dtype)
        return named


def _channels_last(part: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Entries (..., O·I·H·W) as filters (..., O, I, H, W) whose memory order is O, H, W, I."""
    out, into, height, width = shape
    return part.view(*part.shape[:-1], out, height, width, into).movedim(-1, -3)
