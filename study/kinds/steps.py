"""How far one step along an axis goes, beside the length of the solution."""

from collections.abc import Mapping
from typing import Any


def beside(length: float, norm: float, name: str = "θ*") -> str:
    """A length in units of a norm, to stand behind it in a caption; nothing where the norm is zero."""
    return f" = {length / norm:.3g} ‖{name}‖" if norm > 0 else ""


def unit_step(about: Mapping[str, Any]) -> str:
    """For a caption: one step along axes of unit length, where the solution is not zero."""
    return f"one step{beside(1.0, about['center_norm']) or ' = 1'}"
