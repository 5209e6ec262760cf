"""Masks over the points of a line."""

import numpy as np


def runs(mask: np.ndarray) -> list[tuple[int, int]]:
    """First and last index of each unbroken run of true entries of a mask (A,)."""
    steps = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(int), [0]])))
    return [(int(start), int(stop) - 1) for start, stop in zip(steps[::2], steps[1::2], strict=True)]
