"""Synthetic motion: where a photograph is at any time, the flow that follows, and outlines for layers.

What is random comes from numpy, on the CPU; pictures are made on torch's default device.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

FloatArray = npt.NDArray[np.floating]

REACH_PX = 96
"""Largest shift of a photograph from one frame to the next, HR pixels."""

SOFTNESS_PX = (0.4, 1.2)
"""Range of the standard deviation of the Gaussian that makes a photograph as soft as video, whose lenses,
demosaicing, interlacing and encoders leave less detail per pixel than a reduced photograph has."""
BLUR_REACH_PX = 4


class AffineMotion(NamedTuple):
    """An affine motion: where a point of the picture is in its photograph, at T times."""

    turn: FloatArray  # (T, 2, 2), rotation and enlargement
    shift: FloatArray  # (T, 2), HR px (x, y)

    @staticmethod
    def none(times: FloatArray) -> AffineMotion:
        """Return the motion of what stands still."""
        return AffineMotion(np.tile(np.eye(2), (len(times), 1, 1)), np.zeros((len(times), 2)))

    @staticmethod
    def draw(rng: np.random.Generator, times: FloatArray) -> AffineMotion:
        """Draw a shift, a rotation and a zoom, slightly accelerated."""
        reach = REACH_PX * rng.beta(0.6, 3.0)  # slow motion is more common than fast
        angle = rng.uniform(0, 2 * math.pi)
        shift = reach * np.array([math.cos(angle), math.sin(angle)])
        rotation = rng.normal(0, 0.04) if rng.random() < 0.6 else 0.0
        zoom = rng.normal(0, 0.05) if rng.random() < 0.6 else 0.0
        acceleration = rng.normal(0, 0.1)
        # the path is symmetric about the pair's middle, so that a crop reaches far on neither side
        path = times - 0.5 + acceleration * times * (1 - times)
        cos, sin = np.cos(path * rotation), np.sin(path * rotation)
        turn = np.exp(path * zoom) * np.array([[cos, -sin], [sin, cos]])
        return AffineMotion(turn.transpose(2, 0, 1), path[:, None] * shift)

    def seen(self, mirror: FloatArray) -> AffineMotion:
        """Return the motion of the same picture where points are turned by a (2, 2) matrix first."""
        return AffineMotion(self.turn @ mirror, self.shift)

    def between(self, here: int, there: int) -> tuple[FloatArray, FloatArray]:
        """Return the (2, 2) turn and (2,) shift from a point at time `here` to where it is `there`."""
        back = np.linalg.inv(self.turn[there])
        return back @ self.turn[here], back @ (self.shift[here] - self.shift[there])


def moving(pictures: Tensor, motions: Sequence[AffineMotion], size: int) -> Tensor:
    """Return pictures in motion.

    Args:
        pictures: (N, C, E, E) float32.
        motions: one for each of them, of T times.
        size: of what is seen, around the pictures' middles, HR pixels a side.

    Returns:
        (N, T, C, size, size) in [0, 1]; the pictures are mirrored beyond their borders.
    """
    axis = torch.arange(size, dtype=torch.float32, device=pictures.device)
    turn, shift = (np.stack(parts) for parts in zip(*motions, strict=True))
    places = _places(turn, shift, axis, size)  # (N, T, S, S, 2)
    # the times below one another, so that no picture is copied for each
    grid = places.flatten(1, 2) * (2 / pictures.shape[-1])
    seen = F.grid_sample(pictures, grid, "bicubic", "reflection", align_corners=False).clamp_(0, 1)
    apart: Tensor = seen.unflatten(2, (-1, size))
    return apart.transpose(1, 2)


def flows(motions: Sequence[AffineMotion], ends: tuple[int, int], axis: Tensor, size: int) -> Tensor:
    """Return (N, 2, 2, n, n), HR px: how far points of N pictures move between two times, and back.

    Args:
        ends: which of the T times.
        axis: (n,) rows and columns of a picture of `size` pixels a side.
    """
    ways = [[motion.between(*way) for way in (ends, ends[::-1])] for motion in motions]
    turn, shift = (np.array([[way[part] for way in both] for both in ways]) for part in (0, 1))
    return _places(turn - np.eye(2), shift, axis, size).movedim(-1, -3)


def _places(turn: FloatArray, shift: FloatArray, axis: Tensor, size: int) -> Tensor:
    """Return (..., n, n, 2): points (x, y), from the middle, turned by (..., 2, 2), shifted by (..., 2)."""
    affine = np.concatenate([turn, shift[..., None]], axis=-1).astype(np.float32)
    x_part, y_part, constant = torch.from_numpy(affine).to(axis.device)[..., None, None, :, :].unbind(-1)
    centred = (axis - (size - 1) / 2)[:, None]
    places: Tensor = x_part * centred + (y_part * centred[:, None] + constant)
    return places


def blob(rng: np.random.Generator, extent: int) -> Tensor:
    """Return a (1, 1, extent, extent) mask in [0, 1]: the inside of a random smooth outline."""
    cells = int(rng.integers(3, 7))
    sharpness = float(rng.uniform(4, 60)) * extent / (128 * cells) * 4
    return torch.sigmoid(sharpness * (_hills(rng, extent, cells) - float(rng.uniform(-0.3, 0.6))))


def sparse(rng: np.random.Generator, photograph: Tensor) -> Tensor:
    """Smooth a (1, 3, S, S) picture except for small spots: markings on a road, birds in the sky, snow.

    In such pictures motion is known from few points, which a network must not lose.
    """
    extent = photograph.shape[-1]
    cells = int(rng.integers(8, 40))
    spots = torch.sigmoid(8 * (_hills(rng, extent, cells) - float(rng.uniform(0.8, 2.0))))
    small = F.adaptive_avg_pool2d(photograph, int(rng.integers(2, 12)))
    smooth = F.interpolate(small, size=(extent, extent), mode="bicubic", align_corners=False)
    return torch.lerp(smooth, photograph, spots)


def soften(rng: np.random.Generator, photograph: Tensor) -> Tensor:
    """Blur a (1, 3, S, S) picture by a Gaussian whose deviation is drawn, in pixels, from `SOFTNESS_PX`."""
    axis = torch.arange(-BLUR_REACH_PX, BLUR_REACH_PX + 1, dtype=torch.float32)
    kernel = torch.exp(-0.5 * (axis / float(rng.uniform(*SOFTNESS_PX))).square())
    kernel = (kernel / kernel.sum()).expand(3, 1, 1, -1)
    padded = F.pad(photograph, (BLUR_REACH_PX,) * 4, mode="replicate")
    return F.conv2d(F.conv2d(padded, kernel, groups=3), kernel.transpose(2, 3), groups=3)


def drawing(rng: np.random.Generator, extent: int) -> Tensor:
    """Return a (1, 3, extent, extent) drawing in [0, 1]: shapes of a colour or two, most outlined."""
    picture = torch.as_tensor(rng.random((1, 3, 1, 1), dtype=np.float32)).expand(1, 3, extent, extent)
    for _ in range(int(rng.integers(4, 10))):
        cells = int(rng.integers(3, 16))
        hills = _hills(rng, extent, cells) - float(rng.uniform(-0.5, 1.2))
        steepness = 3 * extent / cells  # about one level from pixel to pixel, at the outline
        colours = torch.as_tensor(rng.random((2, 3, 1, 1), dtype=np.float32))
        shading = torch.sigmoid(_hills(rng, extent, 3) * (0 if rng.random() < 0.6 else 2))
        picture = torch.lerp(
            picture, torch.lerp(colours[0], colours[1], shading), torch.sigmoid(steepness * hills)
        )
        if rng.random() < 0.7:
            width_px = float(rng.uniform(0.5, 4))
            line = torch.sigmoid(2 * width_px - steepness * hills.abs())
            picture = torch.lerp(picture, colours[1] * float(rng.uniform(0, 0.4)), line)
    return picture


def tiled(rng: np.random.Generator, picture: Tensor) -> Tensor:
    """Repeat a small part of a (1, 3, S, S) picture all over it, each a little different: bricks, windows.

    The motion of such a texture has many near misses.
    """
    extent = picture.shape[-1]
    height, width = (int(rng.integers(6, 64)) for _ in range(2))
    y, x = torch.meshgrid(torch.arange(extent), torch.arange(extent), indexing="ij")
    row = y // height
    x = x + (row % 2) * (width // 2 if rng.random() < 0.5 else 0)
    repeated = picture[..., y % height, x % width]
    if rng.random() < 0.5:  # joints
        joint = ((y % height < 1 + height // 10) | (x % width < 1 + width // 14)).float()
        repeated = torch.lerp(repeated, torch.full_like(repeated, float(rng.random())), joint)
    # as many as there can be, so that none has to be looked for
    cells = ((extent - 1) // height + 1, (extent - 1 + width // 2) // width + 1)
    shades = torch.as_tensor(rng.standard_normal(cells).astype(np.float32)) * float(rng.uniform(0, 0.06))
    light = _hills(rng, extent, 4) * float(rng.uniform(0, 0.06))
    grain = torch.as_tensor(rng.standard_normal((1, 1, extent, extent), dtype=np.float32))
    grain = grain * float(rng.uniform(0, 0.03))
    return (repeated + shades[row, x // width] + light + grain).clamp(0, 1)


def _hills(rng: np.random.Generator, extent: int, cells: int) -> Tensor:
    """Return (1, 1, extent, extent) smooth noise of about unit variance, so many hills along a side."""
    noise = torch.as_tensor(rng.standard_normal((1, 1, cells, cells)).astype(np.float32))
    return F.interpolate(noise, size=(extent, extent), mode="bicubic", align_corners=False)
