"""Where in the footage crops are taken: at random, and more often where there is detail."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from videoinr_cli.training.footage import Frames, Shot

FloatArray = npt.NDArray[np.floating]

CELL_PX = 16
"""Side of the squares that detail is measured in."""
KEPT_CELLS = 4096
"""Frames whose detail is kept: some 10 KB each."""


class Place(NamedTuple):
    """Where a crop is taken from."""

    shot: Shot
    frame: int
    top: int
    left: int


class Places:
    """Draws the places of crops, preferring detail.

    Most of a picture is smooth, and any enlargement gets smooth crops right.

    Args:
        candidates: places drawn evenly; one is taken, with odds by the square of its detail.
        odds: probability of each shot; None: all equal.
    """

    def __init__(self, shots: Sequence[Shot], *, candidates: int, odds: FloatArray | None = None) -> None:
        self._shots = shots
        self._candidates = candidates
        self._ends = np.arange(1, len(shots) + 1) / len(shots) if odds is None else np.cumsum(odds)
        self._variance = functools.lru_cache(KEPT_CELLS)(self._measured)

    def draw(self, rng: np.random.Generator, size: int, *, spare_frames: int = 0) -> Place:
        """Draw the place of a crop of `size` HR pixels a side.

        Args:
            spare_frames: frames that the shot must have after the crop's.
        """
        places = [self._anywhere(rng, size, spare_frames) for _ in range(self._candidates)]
        detail = np.cumsum([self._detail(number, place, size) + 1 for number, place in places])
        return places[_drawn(rng, detail)][1]

    def _anywhere(self, rng: np.random.Generator, size: int, spare_frames: int) -> tuple[int, Place]:
        number = _drawn(rng, self._ends)
        shot = self._shots[number]
        count, height, width = shot.frames.shape[:3]
        frame = int(rng.integers(0, count - spare_frames))
        top, left = (int(rng.integers(0, max(1, length - size + 1))) for length in (height, width))
        return number, Place(shot, frame, top, left)

    def _detail(self, number: int, place: Place, size: int) -> float:
        """Return the mean variance of green within 4x4 squares: what an enlargement by 4 lacks."""
        rows, columns = (
            slice(start // CELL_PX, max(start // CELL_PX + 1, (start + size) // CELL_PX))
            for start in (place.top, place.left)
        )
        return float(self._variance(number, place.frame)[rows, columns].mean())

    def _measured(self, number: int, frame: int) -> FloatArray:
        """Return a frame's variance of green, in squared 8-bit levels, of one 4x4 square in each cell."""
        green = self._shots[number].frames[frame, ..., 1]
        height, width = (length // CELL_PX for length in green.shape)
        cells = green[: height * CELL_PX, : width * CELL_PX].reshape(height, CELL_PX, width, CELL_PX)
        variance: FloatArray = cells[:, 4:8, :, 4:8].astype(np.float32).var(axis=(1, 3))
        return variance


def _drawn(rng: np.random.Generator, ends: FloatArray) -> int:
    """Draw one of several by the ends of their shares of a line."""
    return min(int(np.searchsorted(ends, rng.random() * ends[-1], side="right")), len(ends) - 1)


def pixels_of(frames: Frames, device: torch.device) -> Tensor:
    """Return (N, H, W, 3) frames as a tensor: on a CPU the same memory, else a copy on the device."""
    return torch.from_numpy(frames).to(device)


def cut(pixels: Tensor, numbers: Sequence[int], top: int, left: int, size: int) -> Tensor:
    """Return (T, size, size, 3) crops of some frames; those that are smaller are mirrored up to it."""
    crops = torch.stack([pixels[number, top : top + size, left : left + size] for number in numbers])
    for axis in (1, 2):
        while (missing := size - crops.shape[axis]) > 0:
            beyond = crops.flip(axis).narrow(axis, 0, min(missing, crops.shape[axis]))
            crops = torch.cat([crops, beyond], dim=axis)
    return crops


def in_floats(crops: Tensor) -> Tensor:
    """(..., H, W, 3) uint8 to (..., 3, H, W) float32 in [0, 1]."""
    return crops.movedim(-1, -3).float().div_(255)


def to_tensor(frames: Frames) -> Tensor:
    """(N, H, W, 3) uint8 to (N, 3, H, W) float32 in [0, 1]."""
    return in_floats(torch.from_numpy(np.array(frames)))
