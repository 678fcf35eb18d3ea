"""Where in the footage crops are taken: at random, and more often where there is detail."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from videoinr_cli.training.footage import Frames, Shot

FloatArray = npt.NDArray[np.floating]


class Place(NamedTuple):
    """Where a crop is taken from."""

    shot: Shot
    frame: int
    top: int
    left: int

    def crop(self, size: int) -> Frames:
        """Return (h, w, 3), at most `size` a side."""
        return self.shot.frames[self.frame, self.top : self.top + size, self.left : self.left + size]


def draw_place(
    rng: np.random.Generator,
    shots: Sequence[Shot],
    size: int,
    *,
    candidates: int,
    odds: FloatArray | None = None,
    spare_frames: int = 0,
) -> Place:
    """Draw the place of a crop, preferring detail.

    Most of a picture is smooth, and any enlargement gets smooth crops right.

    Args:
        size: of the crop, HR pixels a side.
        candidates: places drawn evenly; one is taken, with odds by the square of its detail.
        odds: probability of each shot; None: all equal.
        spare_frames: frames that the shot must have after the crop's.
    """
    places = [
        _random_place(rng, shots[rng.choice(len(shots), p=odds)], size, spare_frames)
        for _ in range(candidates)
    ]
    detail = np.array([_detail(place.crop(size)) for place in places]) ** 2 + 1
    return places[rng.choice(len(places), p=detail / detail.sum())]


def _random_place(rng: np.random.Generator, shot: Shot, size: int, spare_frames: int) -> Place:
    count, height, width = shot.frames.shape[:3]
    frame = int(rng.integers(0, count - spare_frames))
    top, left = (int(rng.integers(0, max(1, length - size + 1))) for length in (height, width))
    return Place(shot, frame, top, left)


def _detail(crop: Frames) -> float:
    """Return the RMS deviation of green within 4x4 squares, in 8-bit levels: what an enlargement by 4 lacks.

    One square in sixteen is measured: every candidate place needs it.
    """
    height, width = (length // 16 * 16 for length in crop.shape[:2])
    squares = crop[:height, :width, 1].reshape(height // 16, 16, width // 16, 16)[:, 4:8, :, 4:8]
    return float(np.sqrt(squares.astype(np.float32).var(axis=(1, 3)).mean()))


def padded(frames: Frames, size: int) -> Frames:
    """Mirror (N, h, w, 3) crops of frames smaller than `size` up to it."""
    missing = [(0, 0), *((0, size - side) for side in frames.shape[1:3]), (0, 0)]
    return np.pad(frames, missing, mode="symmetric") if any(after for _, after in missing) else frames
