"""What to fit, for how long and how small: a record that refuses values that make no sense."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from pathlib import Path
from typing import Literal, get_args

from videoinr_cli.errors import OptionError
from videoinr_cli.options import ReadOptions, Region

SUFFIX = ".vinr"

Architecture = Literal["hinerv", "nerv"]
ARCHITECTURES: tuple[Architecture, ...] = get_args(Architecture)

Loss = Literal["l1-ssim", "l1", "l2", "ssim"]
LOSSES: tuple[Loss, ...] = get_args(Loss)

DEFAULT_MINUTES = 10.0
DEFAULT_BITS_PER_PIXEL = 0.1
MIN_HEIGHT_PX, MAX_HEIGHT_PX = 16, 2160
MIN_BITS, MAX_BITS = 3, 8
MAX_PRUNED = 0.9
_WHOLE = ReadOptions()
MAX_SEED = 2**30


@dataclasses.dataclass(frozen=True)
class FitOptions:
    """How a clip is fitted. At most one of `minutes` and `steps`, and of `bits_per_pixel` and `size_kb`.

    Raises:
        OptionError: a value makes no sense, or two of them exclude each other.
    """

    architecture: Architecture = "hinerv"
    minutes: float | None = None  # of fitting, over all resumed runs; `DEFAULT_MINUTES` without `steps`
    steps: int | None = None  # a frame's worth of pixels or more each
    bits_per_pixel: float | None = None  # of the network in the file; `DEFAULT_BITS_PER_PIXEL` without
    # `size_kb`
    size_kb: float | None = None  # likewise, in units of 1000 bytes
    max_height: int = 360  # of the fitted pictures, in pixels: higher ones are reduced
    bits: int = 6  # of a coded parameter before entropy coding
    prune: float = 0.0  # share of the weights set to zero, the least important ones first
    ignore: tuple[Region, ...] = ()  # of the source's picture: pixels that are left out of the loss
    mask: Path | None = None  # a video of the source's frames: pixels left out are white
    seed: int = 0
    loss: Loss = "l1-ssim"  # 0.7 L1 + 0.3 (1 - SSIM), which is the papers'; the others are to compare it with
    read: ReadOptions = _WHOLE

    def __post_init__(self) -> None:
        if self.architecture not in ARCHITECTURES:
            raise OptionError(f"architecture {self.architecture!r} is not one of {', '.join(ARCHITECTURES)}")
        if self.loss not in LOSSES:
            raise OptionError(f"loss {self.loss!r} is not one of {', '.join(LOSSES)}")
        for first, second in (("minutes", "steps"), ("bits_per_pixel", "size_kb")):
            names = [name for name in (first, second) if getattr(self, name) is not None]
            options = [f"--{name.replace('_', '-')}" for name in names]
            if len(names) > 1:
                raise OptionError(f"{' and '.join(options)} exclude each other; give one of them")
            if names and not 0 < getattr(self, names[0]) < float("inf"):
                raise OptionError(f"{options[0]} {getattr(self, names[0]):g} is not above 0")
        if not MIN_HEIGHT_PX <= self.max_height <= MAX_HEIGHT_PX:
            raise OptionError(
                f"--max-height {self.max_height} is not between {MIN_HEIGHT_PX} and {MAX_HEIGHT_PX}; try 360"
            )
        if not MIN_BITS <= self.bits <= MAX_BITS:
            raise OptionError(f"--bits {self.bits} is not between {MIN_BITS} and {MAX_BITS}; try --bits 6")
        if not 0 <= self.seed <= MAX_SEED:
            raise OptionError(f"--seed {self.seed} is not between 0 and {MAX_SEED}")
        if not 0 <= self.prune <= MAX_PRUNED:
            raise OptionError(f"--prune {self.prune:g} is not between 0 and {MAX_PRUNED}; try --prune 0.15")

    def target_bytes(self, width: int, height: int, frames: int) -> float:
        """Return how large the network's part of the file should be."""
        if self.size_kb is not None:
            return self.size_kb * 1000
        return (self.bits_per_pixel or DEFAULT_BITS_PER_PIXEL) * width * height * frames / 8

    def fitted_size(self, width: int, height: int) -> tuple[int, int]:
        """Return (width, height) of the fitted pictures: the source's, or less; even, as encoders need."""
        factor = min(Fraction(1), Fraction(self.max_height, height))
        wide, high = (max(2, 2 * round(factor * side / 2)) for side in (width, height))
        return wide, high
