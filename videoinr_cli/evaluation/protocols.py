"""What is measured and how, by the papers' names: benchmarks, protocols, baselines, kernels.

For i = 0, N, 2N ... frames i and i + N are given at low resolution, and frames i to i + N - 1 are requested;
if the rate grows by a fraction N/q, every q-th of them. Imports no torch, so that the command line can offer
these choices at once.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Literal, get_args

from videoinr_cli.errors import OptionError

Dataset = Literal["vid4", "gopro", "adobe240", "frames", "video"]
DATASETS: tuple[Dataset, ...] = get_args(Dataset)
PAPER_STEPS: dict[Dataset, int] = {"vid4": 2, "gopro": 8, "adobe240": 8, "frames": 2, "video": 2}
"""Factor of the frame rate at which each benchmark is reported (Chen et al., 2022, tables 1 and 2)."""

CLIPS_AND_GROUPS: dict[Dataset, tuple[int, int]] = {
    "vid4": (4, 83),
    "gopro": (11, 1522),
    "adobe240": (17, 4406),
}
"""Number of clips of each benchmark, and of groups at `PAPER_STEPS`."""

Downsampler = Literal["torch", "matlab", "pil"]
"""How a given frame is reduced from its ground truth; all are bicubic (a = -0.5) with antialiasing.

``torch``: `interpolate(antialias=True)`, weights renormalised at the border, clamped, not rounded.
``matlab``: `imresize` of an 8-bit picture: mirrored border, rounded to 8 bits.
``pil``: Pillow's `resize(BICUBIC)`: renormalised border, rounded to 8 bits after each axis.
"""
DOWNSAMPLERS: tuple[Downsampler, ...] = get_args(Downsampler)

Context = Literal["video", "pairs"]
"""Which given frames a method may read for one group.

``video``: all of the clip, one by one, as in use.
``pairs``: the group's own two only, as papers measure networks of two frames.
"""
CONTEXTS: tuple[Context, ...] = get_args(Context)

Baseline = Literal[
    "bicubic+blend",
    "bicubic+nearest",
    "lanczos+blend",
    "lanczos+nearest",
    "minterpolate+bicubic",
    "minterpolate+lanczos",
]
BASELINES: tuple[Baseline, ...] = get_args(Baseline)
DEFAULT_BASELINES: tuple[Baseline, ...] = ("bicubic+blend", "minterpolate+lanczos")

ROOTS: dict[Dataset, str] = {"vid4": "GT", "gopro": "test", "adobe240": "test"}
"""The folder in a benchmark's download that holds the ground truth."""

MAX_STEPS = 64
MAX_SPACE = 32.0
MAX_CRF = 51
"""x264's largest constant rate factor."""


@dataclasses.dataclass(frozen=True)
class Protocol:
    """What is given and what is requested.

    Raises:
        OptionError: a value makes no sense.
    """

    steps: int = 2  # frames out per frame in; every steps-th frame is given
    space: float = 4.0  # enlargement
    downsampler: Downsampler = "torch"
    max_frames: int | None = None  # of each clip
    context: Context = "video"
    crf: float | None = None  # the given frames are encoded by x264 at this rate factor first
    stride: int = 1  # every stride-th frame is requested, so that the rate grows by steps / stride

    def __post_init__(self) -> None:
        if not 1 <= self.stride <= self.steps <= MAX_STEPS or math.gcd(self.steps, self.stride) > 1:
            raise OptionError(
                f"time {self.rate} is below 1, not reduced, or needs numbers above {MAX_STEPS}; "
                "try --time 2 or 5/2"
            )
        if not 1 <= self.space <= MAX_SPACE:
            raise OptionError(f"space {self.space:g} is not within 1 and {MAX_SPACE:g}; try --space 4")
        if self.max_frames is not None and self.max_frames <= self.steps:
            raise OptionError(
                f"{self.max_frames} frames hold no group of {self.steps} and the frame after it"
            )
        if self.crf is not None and not 0 <= self.crf <= MAX_CRF:
            raise OptionError(f"crf {self.crf:g} is not within 0 and {MAX_CRF}; try --crf 28")

    @property
    def rate(self) -> str:
        return f"{self.steps}" if self.stride == 1 else f"{self.steps}/{self.stride}"

    def __str__(self) -> str:
        parts = [f"space x{self.space:g}", f"time x{self.rate}", f"{self.downsampler}'s bicubic"]
        if self.crf is not None:
            parts.append(f"x264 at crf {self.crf:g}")
        return ", ".join([*parts, "each pair by itself" if self.context == "pairs" else "whole clips"])

    def frames_of(self, length: int) -> int:
        """Return the number of requested frames of a clip."""
        return -(-self._groups_of(length) * self.steps // self.stride)

    def _groups_of(self, length: int) -> int:
        length = min(length, self.max_frames or length)
        return max(0, length - 1) // self.steps

    def is_of(self, dataset: Dataset, lengths: Sequence[int]) -> bool:
        """Return whether clips of these lengths are the whole benchmark; True where its size is not known."""
        if dataset not in CLIPS_AND_GROUPS or self.max_frames is not None:
            return True
        clips, groups = CLIPS_AND_GROUPS[dataset]
        found = sum(self._groups_of(length) for length in lengths)
        return len(lengths) == clips and (found == groups or self.steps != PAPER_STEPS[dataset])

    def sizes(self, height: int, width: int) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return (H, W) of the given frames, and of the ground truth cropped to `space` times that."""
        lr = (math.floor(height / self.space), math.floor(width / self.space))
        return lr, (min(height, round(lr[0] * self.space)), min(width, round(lr[1] * self.space)))
