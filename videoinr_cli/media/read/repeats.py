"""Drawings that are shown for several frames, as in animation: whether a video holds them, by which pattern.

A frame that repeats a drawing differs from it by compression only. How much that is, each file tells: its
differences fall into small and large ones, and the small ones follow a pattern.
"""

from __future__ import annotations

import dataclasses
import itertools
import statistics
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from videoinr_cli.media.planes import to_rgb
from videoinr_cli.media.read.interlacing import frames_at
from videoinr_cli.media.read.source import open_source, video_stream
from videoinr_cli.media.streams import VideoInfo
from videoinr_cli.options import Dedupe

LONGEST_FRAMES = 4
"""Frames that show a drawing, at most; one that is shown for longer is held."""

GRID_PX = (90, 160)
SAMPLES_PER_CELL = 3
LARGEST_CELLS = 16
"""Frames are compared by as many of the cells of a grid as a mouth takes: those that differ most."""

PLACES = (Fraction(1, 8), Fraction(4, 8), Fraction(7, 8))
STRETCH_FRAMES = 40
"""Where in a video frames are looked at, and how many in each place."""

GAP = 1.6
"""How many times larger the smallest change of a drawing is than the largest change of a repeat, at least."""

MARGIN = 2.5
"""How many times the largest change of a repeat that was looked at others may change."""

FLOOR_LEVELS = 0.3
"""Differences, in 8-bit levels, that say nothing."""

REPEAT_LEVELS = 2.0
"""Difference below which frames are taken to be the same where a file does not tell: by compression."""

CLEAR_SHARE = 0.8
"""Share of the frames that follow a pattern which is clear."""

ENOUGH_FRAMES = 24
"""Frames of motion that tell a pattern, at least."""

PULLDOWNS = (5, 4, 6)
"""Frames of which one is a repeat: film of 24 frames a second at 30, and others."""

Sample = NDArray[np.float32]


@dataclasses.dataclass(frozen=True)
class Repeats:
    """How a video repeats its drawings.

    Attributes:
        threshold: what `difference` stays below between a drawing and its repeat, in 8-bit levels.
        spacing: from one drawing to the next, in frames, on average; None: of no pattern.
        is_alternating: whether drawings are shown for longer and shorter in turn, though they were made
            evenly: those of film that was fitted to another rate.
    """

    threshold: float
    spacing: Fraction | None = None
    is_alternating: bool = False

    def late(self, shown: int, number: int | None) -> Fraction:
        """Return how much later than it is first shown a drawing is due, in frames.

        Args:
            shown: for how many frames it is.
            number: drawings since the last one that was shown twice; None: that is too long ago.
        """
        if not self.is_alternating or self.spacing is None:
            return Fraction(0)
        if self.spacing > 2:  # for two and three frames in turn
            return (shown - self.spacing) / 2 if shown in (2, 3) else Fraction(0)
        period = 1 / (1 - 1 / self.spacing)
        return Fraction(0) if number is None or number >= period - 1 else number * (self.spacing - 1)

    def described(self, frame_rate: Fraction) -> str:
        """Return the pattern in words, for a video of so many frames a second."""
        if self.spacing is None:
            return "repeated frames are left out"
        drawn = f"{float(frame_rate / self.spacing):.4g} drawings in {float(frame_rate):.4g} frames a second"
        return f"{drawn}: motion runs evenly from one drawing to the next"


def find_repeats(info: VideoInfo, mode: Dedupe = "auto") -> Repeats | None:
    """Look at some of a source's frames; return how it repeats them, or None where that is not clear.

    Args:
        info: the source as it is read.
        mode: "on" finds them whether there is a pattern or not, "off" never.
    """
    if mode == "off":
        return None
    found = _looked_at(info) if info.is_file and not info.images and info.fields is None else None
    return found or (Repeats(REPEAT_LEVELS) if mode == "on" else None)


def _looked_at(info: VideoInfo) -> Repeats | None:
    found = None
    differences: list[list[float]] = []
    is_short = (info.duration or 0) * info.frame_rate < 2 * len(PLACES) * STRETCH_FRAMES
    places = (Fraction(0),) if is_short and not info.is_cut else PLACES
    with open_source(info.path) as container:
        stream = video_stream(container)
        for place in places:
            frames = frames_at(container, stream, info, place)
            count = STRETCH_FRAMES * len(PLACES) // len(places)
            shown = (to_rgb(frame, info.resolved_colour)[0] for frame in itertools.islice(frames, count))
            differences.append([difference(a, b) for a, b in itertools.pairwise(map(sample, shown))])
            found = repeats_of(differences)
            if found is None and _is_moving(differences):
                break  # recorded, most probably
    return found


def repeats_of(differences: Sequence[Sequence[float]]) -> Repeats | None:
    """Return how frames are repeated, by the differences of consecutive ones in several places."""
    levels = sorted(level + FLOOR_LEVELS for stretch in differences for level in stretch)
    gaps = [(after / before, before, after) for before, after in itertools.pairwise(levels)]
    for ratio, before, after in sorted(gaps, reverse=True)[:6]:
        if ratio < GAP:
            break
        # Near the repeats' own level, so that a drawing of which little has changed is none of them.
        threshold = min(float((before * after) ** 0.5), MARGIN * before) - FLOOR_LEVELS
        shown = [_shown(stretch, threshold) for stretch in differences]
        if (pattern := _pattern(shown)) is not None:
            return Repeats(threshold, *pattern)
    return None


def sample(rgb: NDArray[Any]) -> Sample:
    """Return the cells of a picture by which it is compared.

    Args:
        rgb: (H, W, 3) uint8 or uint16, full range; any size.

    Returns:
        `GRID_PX` float32 in 8-bit levels.
    """
    rows, columns = (
        ((np.arange(side * SAMPLES_PER_CELL) + 0.5) * (length / (side * SAMPLES_PER_CELL))).astype(np.intp)
        for side, length in zip(GRID_PX, rgb.shape[:2], strict=True)
    )
    picked = rgb[rows[:, None], columns].mean(axis=2, dtype=np.float32)
    cells = picked.reshape(GRID_PX[0], SAMPLES_PER_CELL, GRID_PX[1], SAMPLES_PER_CELL).mean(axis=(1, 3))
    levels: Sample = cells * np.float32(255 / np.iinfo(rgb.dtype).max)
    return levels


def difference(first: Sample, second: Sample) -> float:
    """Return by how many 8-bit levels the cells that differ most do."""
    changes = np.abs(first - second).ravel()
    return float(np.partition(changes, -LARGEST_CELLS)[-LARGEST_CELLS:].mean())


def _is_moving(differences: Sequence[Sequence[float]]) -> bool:
    """Whether no frame at all repeats the one before."""
    levels = [level for stretch in differences for level in stretch]
    return bool(levels) and min(levels) > max(REPEAT_LEVELS, statistics.median(levels) / 4)


def _shown(differences: Sequence[float], threshold: float) -> list[int]:
    """Return for how many frames each drawing is shown, without those at the ends."""
    begun = [number for number, level in enumerate(differences) if level >= threshold]
    return [later - earlier for earlier, later in itertools.pairwise(begun)]


def _pattern(stretches: Sequence[Sequence[int]]) -> tuple[Fraction, bool] | None:
    """Return the drawings' spacing in frames, and whether they alternate; None: there is no clear pattern."""
    shown = [[length for length in stretch if length <= LONGEST_FRAMES] for stretch in stretches]
    lengths = list(itertools.chain(*shown))
    total = sum(lengths)
    if total < ENOUGH_FRAMES:
        return None
    if sum(length for length in lengths if length >= 2) >= CLEAR_SHARE * total:
        turns = [pair for stretch in shown for pair in itertools.pairwise(stretch)]
        if sum(sorted(pair) == [2, 3] for pair in turns) >= CLEAR_SHARE * len(turns):
            return Fraction(5, 2), True
        return Fraction(statistics.mode(lengths)), False
    singles = [len(list(group)) for stretch in shown for key, group in itertools.groupby(stretch) if key == 1]
    for period in PULLDOWNS:
        whole = sum(count == period - 2 for count in singles)
        if whole * period >= CLEAR_SHARE * total - 2 * period and whole > 1:
            return Fraction(period, period - 1), True
    return None
