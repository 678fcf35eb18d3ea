"""Degrade LR frames as cameras, services and encoders do, so that a network learns to undo it.

A window of frames goes through one camera and one encoder: the same draw holds for all its frames, and only
the noise is new in each. Pure functions of the frames and of the random generator.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from videoinr_cli.media.compression import Codec, Compression, compress, subsample_chroma
from videoinr_cli.training.footage import Frames

KERNEL_PX = 7
"""Side of blur kernels; the widest Gaussian drawn ends within it."""
BLOCK_PX = 16
"""Side of H.264's and MPEG-4's macroblocks, whose grid may lie anywhere in a window."""

CODECS: dict[Codec, float] = {"libx264": 0.55, "libx265": 0.15, "mpeg4": 0.15, "mjpeg": 0.15}
"""Probability of each encoder: most footage is H.264."""
QUALITIES: dict[Codec, tuple[float, float]] = {
    "libx264": (16, 38),
    "libx265": (18, 38),
    "mpeg4": (2, 12),
    "mjpeg": (2, 12),
}
"""Range of each encoder's quality, in its own unit: from hardly visible to the worst that people keep."""
PRESETS = ("superfast", "veryfast", "fast", "medium")
PIX_FMTS = {"yuv420p": 0.8, "yuv422p": 0.1, "yuv444p": 0.1}
"""Probability of each chroma subsampling."""


@dataclasses.dataclass(frozen=True)
class DegradationRecipe:
    """How often and how strongly windows are degraded; lengths in LR pixels."""

    blur_share: float = 0.3
    blur_sigma_px: tuple[float, float] = (0.2, 1.0)  # along each axis of the ellipse
    resize_share: float = 0.2
    resize_factor: tuple[float, float] = (0.6, 1.3)  # of the size in between
    sharpen_share: float = 0.25
    sharpen_amount: tuple[float, float] = (0.3, 2.0)  # of what a Gaussian takes away, added once more
    sharpen_sigma_px: tuple[float, float] = (0.5, 1.5)
    noise_share: float = 0.3
    noise_levels: tuple[float, float] = (1.0, 8.0)  # deviation at mid-grey, 8-bit levels
    earlier_compression_share: float = 0.2  # encoded once before, anywhere among the other stages
    compression_share: float = 0.9  # encoded last; the others only have their chroma subsampled


Name = TypeVar("Name", bound=str)
Stage = Callable[[Tensor, np.random.Generator, DegradationRecipe], Tensor]


def degrade(
    frames: Tensor, rng: np.random.Generator, recipe: DegradationRecipe = DegradationRecipe()
) -> Tensor:
    """Degrade a window of consecutive frames: some of what happens to footage, in random order, and encoding.

    Args:
        frames: (T, 3, h, w) float32 RGB in [0, 1], on the CPU.

    Returns:
        (T, 3, h, w) float32 in [0, 1]; a pure function of `frames` and the state of `rng`.
    """
    candidates: list[tuple[float, Stage]] = [
        (recipe.blur_share, _blur),
        (recipe.resize_share, _resize),
        (recipe.sharpen_share, _sharpen),
        (recipe.noise_share, _add_noise),
        (recipe.earlier_compression_share, _compress),
    ]
    chosen = [stage for share, stage in candidates if rng.random() < share]
    order = [chosen[place] for place in rng.permutation(len(chosen))]
    last = _compress if rng.random() < recipe.compression_share else _subsample_chroma
    for stage in [*order, last]:
        frames = stage(frames, rng, recipe).clamp(0, 1)
    return frames


def _blur(frames: Tensor, rng: np.random.Generator, recipe: DegradationRecipe) -> Tensor:
    """Blur by an elliptical Gaussian of random direction: defocus and camera shake."""
    sigmas = rng.uniform(*recipe.blur_sigma_px, size=2)
    return _filter(frames, _gaussian(sigmas[0], sigmas[1], rng.uniform(0, math.pi)))


def _resize(frames: Tensor, rng: np.random.Generator, recipe: DegradationRecipe) -> Tensor:
    """Resize and resize back, as services and screen recordings do."""
    factor = rng.uniform(*recipe.resize_factor)
    size = tuple(frames.shape[-2:])
    between = tuple(max(2, round(side * factor)) for side in size)
    there, back = (("bilinear", "bicubic")[rng.integers(2)] for _ in range(2))
    antialias = bool(rng.random() < 0.5)  # fast scalers leave it out
    smaller = F.interpolate(frames, size=between, mode=there, antialias=antialias)
    return F.interpolate(smaller, size=size, mode=back, antialias=antialias)


def _sharpen(frames: Tensor, rng: np.random.Generator, recipe: DegradationRecipe) -> Tensor:
    """Sharpen by an unsharp mask, as cameras and players do: edges overshoot, and their steps show."""
    sigma = rng.uniform(*recipe.sharpen_sigma_px)
    return frames + rng.uniform(*recipe.sharpen_amount) * (
        frames - _filter(frames, _gaussian(sigma, sigma, 0))
    )


def _add_noise(frames: Tensor, rng: np.random.Generator, recipe: DegradationRecipe) -> Tensor:
    """Add sensor noise, signal-dependent and constant, of random grain and colour.

    Source: Foi et al., "Practical Poissonian-Gaussian noise modeling and fitting for single-image raw-data",
    2008, eq. 1: the variance is a linear function of the signal.
    """
    deviation = math.exp(rng.uniform(*np.log(recipe.noise_levels))) / 255
    shot, grey, grain_px = rng.uniform(0, 1), rng.uniform(0, 1), rng.uniform(0.05, 0.8)
    count, _, height, width = frames.shape
    drawn = torch.from_numpy(rng.standard_normal((count, 4, height, width), dtype=np.float32))
    noise = math.sqrt(grey) * drawn[:, 3:] + math.sqrt(1 - grey) * drawn[:, :3]
    kernel = _gaussian(grain_px, grain_px, 0.0)
    noise = _filter(noise, kernel / kernel.square().sum().sqrt())  # smoothed, its variance kept
    variance = (1 - shot) + shot * 2 * frames
    return frames + deviation * variance.sqrt() * noise


def _compress(frames: Tensor, rng: np.random.Generator, recipe: DegradationRecipe) -> Tensor:
    """Encode the window within a longer and larger video made of its mirror images.

    That puts block borders anywhere, the first frame off the keyframe, and fills an encoder's smallest size.
    """
    codec = _draw(rng, CODECS)
    encoding = Compression(
        codec,
        quality=round(rng.uniform(*QUALITIES[codec]), 1),
        preset=PRESETS[rng.integers(len(PRESETS))],
        pix_fmt="yuv420p" if codec == "mpeg4" else _draw(rng, PIX_FMTS),
    )
    count = len(frames)
    before, after = (int(extra) for extra in rng.integers(0, count, size=2))
    top, left = (int(offset) for offset in rng.integers(0, BLOCK_PX, size=2))
    padding = ((before, after), (top, 0), (left, 0), (0, 0))
    decoded = list(compress(np.pad(_to_levels(frames), padding, mode="reflect"), encoding))
    return _from_levels(np.stack(decoded[before : before + count])[:, top:, left:])


def _subsample_chroma(frames: Tensor, rng: np.random.Generator, recipe: DegradationRecipe) -> Tensor:
    height, width = frames.shape[-2:]
    padding = ((0, 0), (0, height % 2), (0, width % 2), (0, 0))
    levels = np.pad(_to_levels(frames), padding, mode="edge")
    subsampled = np.stack(list(subsample_chroma(levels, _draw(rng, PIX_FMTS))))
    return _from_levels(subsampled[:, :height, :width])


def _draw(rng: np.random.Generator, odds: Mapping[Name, float]) -> Name:
    return list(odds)[rng.choice(len(odds), p=list(odds.values()))]


def _gaussian(sigma_x: float, sigma_y: float, angle: float) -> Tensor:
    """Return a (KERNEL_PX, KERNEL_PX) Gaussian of sum 1, its axes turned by `angle` radians."""
    axis = torch.arange(KERNEL_PX, dtype=torch.float32) - KERNEL_PX // 2
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    along = (x * math.cos(angle) + y * math.sin(angle)) / sigma_x
    across = (y * math.cos(angle) - x * math.sin(angle)) / sigma_y
    weights = torch.exp(-0.5 * (along.square() + across.square()))
    return weights / weights.sum()


def _filter(pictures: Tensor, kernel: Tensor) -> Tensor:
    """Convolve every channel of (T, 3, h, w) with one kernel, mirroring the border."""
    radius = KERNEL_PX // 2
    padded = F.pad(pictures, (radius, radius, radius, radius), mode="reflect")
    return F.conv2d(padded, kernel.expand(3, 1, -1, -1), groups=3)


def _to_levels(frames: Tensor) -> Frames:
    """(T, 3, h, w) float in [0, 1] to (T, h, w, 3) uint8."""
    return (frames * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()


def _from_levels(levels: Frames) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(levels)).permute(0, 3, 1, 2).float() / 255
