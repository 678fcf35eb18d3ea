"""Synthetic motion: where a photograph is at any time, the flow that follows, and outlines for layers."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

REACH_PX = 96
"""Largest shift of a photograph from one frame to the next, HR pixels."""

SOFTNESS_PX = (0.4, 1.2)
"""Range of the standard deviation of the Gaussian that makes a photograph as soft as video, whose lenses,
demosaicing, interlacing and encoders leave less detail per pixel than a reduced photograph has."""
BLUR_REACH_PX = 4


class AffineMotion(NamedTuple):
    """An affine motion: where a point of the picture is in its photograph, at T times."""

    turn: Tensor  # (T, 2, 2), rotation and enlargement
    shift: Tensor  # (T, 2), HR px (x, y)

    @staticmethod
    def none(times: Tensor) -> AffineMotion:
        """Return the motion of what stands still."""
        return AffineMotion(torch.eye(2).expand(len(times), 2, 2), torch.zeros(len(times), 2))

    @staticmethod
    def draw(rng: np.random.Generator, times: Tensor) -> AffineMotion:
        """Draw a shift, a rotation and a zoom, slightly accelerated."""
        reach = REACH_PX * rng.beta(0.6, 3.0)  # slow motion is more common than fast
        angle = rng.uniform(0, 2 * math.pi)
        shift = torch.tensor([math.cos(angle), math.sin(angle)], dtype=torch.float32) * reach
        rotation = rng.normal(0, 0.04) if rng.random() < 0.6 else 0.0
        zoom = rng.normal(0, 0.05) if rng.random() < 0.6 else 0.0
        acceleration = rng.normal(0, 0.1)
        # the path is symmetric about the pair's middle, so that a crop reaches far on neither side
        path = times - 0.5 + acceleration * times * (1 - times)
        cos, sin = torch.cos(path * rotation), torch.sin(path * rotation)
        turn = torch.stack([torch.stack([cos, -sin], -1), torch.stack([sin, cos], -1)], -2)
        return AffineMotion(torch.exp(path * zoom).view(-1, 1, 1) * turn, path[:, None] * shift)

    def positions(self, axis: Tensor, size: int) -> Tensor:
        """Return (T, n, n, 2), HR px (x, y) from the photograph's middle: where points of the picture are.

        Args:
            axis: (n,) rows and columns of a picture of `size` pixels a side.
        """
        points = _grid(axis, size)
        return points @ self.turn.transpose(1, 2)[:, None] + self.shift[:, None, None]

    def flow(self, here: int, there: int, axis: Tensor, size: int) -> Tensor:
        """Return (2, n, n), HR px (x, y): how far points of the picture move from time `here` until `there`.

        Args:
            here, there: which of the T times.
            axis: as for `positions`.
        """
        back = torch.linalg.inv(self.turn[there])
        start = AffineMotion(self.turn[here, None], self.shift[here, None])
        moved: Tensor = (start.positions(axis, size)[0] - self.shift[there]) @ back.T
        return (moved - _grid(axis, size)).permute(2, 0, 1)


def _grid(axis: Tensor, size: int) -> Tensor:
    """Return (n, n, 2) points (x, y), from the middle of a picture of `size` pixels a side."""
    centred = axis - (size - 1) / 2
    y, x = torch.meshgrid(centred, centred, indexing="ij")
    return torch.stack([x, y], dim=-1)


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
    picture = torch.from_numpy(rng.random((1, 3, 1, 1), dtype=np.float32)).expand(1, 3, extent, extent)
    for _ in range(int(rng.integers(4, 10))):
        cells = int(rng.integers(3, 16))
        hills = _hills(rng, extent, cells) - float(rng.uniform(-0.5, 1.2))
        steepness = 3 * extent / cells  # about one level from pixel to pixel, at the outline
        colours = torch.from_numpy(rng.random((2, 3, 1, 1), dtype=np.float32))
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
    cells = (int(row.max()) + 1, int((x // width).max()) + 1)
    shades = torch.from_numpy(rng.standard_normal(cells).astype(np.float32)) * float(rng.uniform(0, 0.06))
    light = _hills(rng, extent, 4) * float(rng.uniform(0, 0.06))
    grain = torch.from_numpy(rng.standard_normal((1, 1, extent, extent), dtype=np.float32))
    grain = grain * float(rng.uniform(0, 0.03))
    return (repeated + shades[row, x // width] + light + grain).clamp(0, 1)


def _hills(rng: np.random.Generator, extent: int, cells: int) -> Tensor:
    """Return (1, 1, extent, extent) smooth noise of about unit variance, so many hills along a side."""
    noise = torch.from_numpy(rng.standard_normal((1, 1, cells, cells)).astype(np.float32))
    return F.interpolate(noise, size=(extent, extent), mode="bicubic", align_corners=False)
