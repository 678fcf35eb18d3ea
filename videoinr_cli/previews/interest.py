"""Find where in a picture there is most to see: detail, and above all detail that moves."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from videoinr_cli.options import Region

Levels = NDArray[np.float32]

STEP_PX = 4
"""How finely regions are placed."""

ENOUGH_LEVELS = 32.0
"""Contrast, in 8-bit levels, at which a pixel's weight is capped: a single hard edge should not decide."""


def busiest_region(first: NDArray[Any], second: NDArray[Any] | None, width: int, height: int) -> Region:
    """Return the region of a given size with the most detail; moving detail counts double.

    Args:
        first: (H, W, 3) uint8 or uint16.
        second: the frame after it, of the same shape; None when there is none.
        width: of the region, in pixels; no more than the picture's is taken.
        height: likewise.
    """
    luma = _luma(first)
    interest = np.zeros_like(luma)
    interest[:-1, :-1] = np.hypot(np.diff(luma, axis=1)[:-1], np.diff(luma, axis=0)[:, :-1])
    np.minimum(interest, ENOUGH_LEVELS, out=interest)
    if second is not None:
        moved = np.minimum(np.abs(_luma(second) - luma), ENOUGH_LEVELS)
        interest *= 1 + moved / ENOUGH_LEVELS
    width, height = min(width, luma.shape[1]), min(height, luma.shape[0])
    sums = np.pad(interest.cumsum(axis=0, dtype=np.float64).cumsum(axis=1), ((1, 0), (1, 0)))
    tops = _places(luma.shape[0] - height)
    lefts = _places(luma.shape[1] - width)
    above, below = sums[tops], sums[tops + height]
    total = below[:, lefts + width] - below[:, lefts] - above[:, lefts + width] + above[:, lefts]
    row, column = divmod(int(np.argmax(total)), len(lefts))
    return Region(int(lefts[column]), int(tops[row]), width, height)


def _places(last: int) -> NDArray[np.intp]:
    """Return the offsets at which a region may begin along one axis, from 0 to `last`."""
    return np.unique(np.append(np.arange(0, last + 1, STEP_PX), last))


def _luma(rgb: NDArray[Any]) -> Levels:
    levels: Levels = rgb.mean(axis=2, dtype=np.float32) * np.float32(255 / np.iinfo(rgb.dtype).max)
    return levels
