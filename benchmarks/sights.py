"""Pictures that scenes are made of: photographs seen through a moving camera, text, and things drawn on them.

All pictures are (3, H, W) float32 RGB in [0, 1], all masks (H, W) float32 coverage.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from videoinr_cli.media.suffixes import PICTURE_SUFFIXES

FONT_SUFFIXES = frozenset({".ttf", ".otf"})
COVERED_PX = (620, 1120)
"""(H, W) to which photographs are reduced: room around what is seen for the camera to move."""


def is_held_out(path: Path) -> bool:
    """Whether a photograph or font is for measuring only, never for training: half are, by their names."""
    return hashlib.sha256(path.stem.encode()).digest()[0] % 2 == 1


def photographs_in(folder: Path) -> list[Path]:
    """Return the photographs of a folder that are held out."""
    return sorted(
        path for path in folder.rglob("*") if path.suffix.lower() in PICTURE_SUFFIXES and is_held_out(path)
    )


def fonts_in(folders: Iterable[Path]) -> list[Path]:
    """Return the fonts in folders that are held out."""
    return sorted(
        path
        for folder in folders
        for path in folder.rglob("*")
        if path.suffix.lower() in FONT_SUFFIXES and is_held_out(path)
    )


def photograph(path: Path) -> Tensor:
    """Return a photograph that covers `COVERED_PX`."""
    with Image.open(path) as image:
        rgb = image.convert("RGB")
    height, width = COVERED_PX
    factor = max(height / rgb.height, width / rgb.width)
    size = (max(width, round(rgb.width * factor)), max(height, round(rgb.height * factor)))
    levels = np.asarray(rgb.resize(size, Image.Resampling.LANCZOS))
    top, left = (size[1] - height) // 2, (size[0] - width) // 2
    part = levels[top : top + height, left : left + width]
    return torch.from_numpy(part.copy()).permute(2, 0, 1).float() / 255


def seen(
    picture: Tensor,
    size: tuple[int, int],
    *,
    right: float = 0,
    down: float = 0,
    zoom: float = 1,
    degrees: float = 0,
) -> Tensor:
    """Return what a camera of (H, W) pixels sees whose middle is that far from the picture's middle.

    Args:
        picture: what is looked at.
        size: of what is returned.
        right: of the picture's middle, in pixels.
        down: likewise.
        zoom: enlargement.
        degrees: by which the camera is turned.
    """
    height, width = size
    top, left = (picture.shape[1] - height) / 2 + down, (picture.shape[2] - width) / 2 + right
    if zoom == 1 and degrees == 0 and top == int(top) and left == int(left):
        return picture[:, int(top) : int(top) + height, int(left) : int(left) + width].clone()
    y, x = _places(size)
    angle = math.radians(degrees)
    across = (math.cos(angle) * x - math.sin(angle) * y) / zoom + right
    along = (math.sin(angle) * x + math.cos(angle) * y) / zoom + down
    grid = torch.stack([2 * across / picture.shape[2], 2 * along / picture.shape[1]], dim=-1)
    found = F.grid_sample(
        picture[None], grid[None], mode="bicubic", padding_mode="reflection", align_corners=False
    )
    return found[0].clamp(0, 1)


def over(picture: Tensor, colour: Tensor | Sequence[float], mask: Tensor) -> Tensor:
    """Return a picture with a colour, or with another picture, on the part that a mask covers."""
    top = colour if isinstance(colour, Tensor) else torch.tensor(colour).view(3, 1, 1)
    return picture + (top - picture) * mask


def text(
    size: tuple[int, int],
    font: Path,
    lines: str,
    height_px: int,
    at: tuple[float, float],
    *,
    outline_px: int = 0,
) -> tuple[Tensor, Tensor]:
    """Return the masks of letters, and of letters with their outline.

    Args:
        size: (H, W) of the masks.
        font: file.
        lines: what is written, its lines centred.
        height_px: of the font.
        at: (y, x) of the text's middle, as shares of the picture.
        outline_px: how wide the outline is.
    """
    place = (round(at[1] * size[1]), round(at[0] * size[0]))
    masks = []
    for width in (0, outline_px):
        image = Image.new("L", (size[1], size[0]))
        ImageDraw.Draw(image).multiline_text(
            place,
            lines,
            fill=255,
            font=ImageFont.truetype(str(font), height_px),
            anchor="mm",
            align="center",
            stroke_width=width,
            stroke_fill=255,
        )
        masks.append(torch.from_numpy(np.asarray(image).copy()).float() / 255)
    return masks[0], masks[1]


def written(picture: Tensor, masks: tuple[Tensor, Tensor], opacity: float = 1.0) -> Tensor:
    """Return a picture with white letters that have a black outline."""
    letters, outlined = masks
    return over(over(picture, (0, 0, 0), outlined * opacity), (1, 1, 1), letters * opacity)


def ellipse(size: tuple[int, int], middle: tuple[float, float], radii: tuple[float, float]) -> Tensor:
    """Return the mask of an ellipse, (y, x) pixels from the picture's middle, softened by a pixel."""
    y, x = _places(size)
    distance = torch.sqrt(((y - middle[0]) / radii[0]) ** 2 + ((x - middle[1]) / radii[1]) ** 2)
    return ((1 - distance) * min(radii) + 0.5).clamp(0, 1)


def box(size: tuple[int, int], top: float, left: float, bottom: float, right: float) -> Tensor:
    """Return the mask of a rectangle given by shares of the picture."""
    mask = torch.zeros(size)
    rows = slice(round(top * size[0]), round(bottom * size[0]))
    mask[rows, round(left * size[1]) : round(right * size[1])] = 1
    return mask


def stripes(
    size: tuple[int, int], period_px: float, width_px: float, degrees: float, shift_px: float = 0
) -> Tensor:
    """Return the mask of parallel bars, softened by a pixel."""
    y, x = _places(size)
    angle = math.radians(degrees)
    across = math.cos(angle) * x + math.sin(angle) * y - shift_px
    distance = (torch.remainder(across, period_px) - period_px / 2).abs()
    return (width_px / 2 - distance + 0.5).clamp(0, 1)


def wheel(size: tuple[int, int], radius_px: float, spokes: int, degrees: float) -> Tensor:
    """Return the mask of a wheel with a rim and spokes in the picture's middle."""
    y, x = _places(size)
    radius = torch.hypot(y, x)
    turned = torch.atan2(y, x) - math.radians(degrees)
    period = 2 * math.pi / spokes
    off = (torch.remainder(turned, period) - period / 2).abs() * radius  # pixels from a spoke's middle
    spoke = (3.5 - off).clamp(0, 1) * (radius < radius_px)
    rim = (5.5 - (radius - radius_px).abs()).clamp(0, 1)
    return torch.maximum(spoke, rim)


def bricks(size: tuple[int, int], seed: int) -> Tensor:
    """Return a wall of bricks, each a little different, so that motion has many near misses."""
    height, width = 24, 56
    generator = torch.Generator().manual_seed(seed)
    rows, columns = size[0] // height + 2, size[1] // width + 2
    shades = 0.42 + 0.04 * torch.randn(rows, columns, generator=generator)
    y, x = torch.meshgrid(torch.arange(size[0]), torch.arange(size[1]), indexing="ij")
    row = y // height
    x = x + (row % 2) * (width // 2)
    shade = shades[row, x // width]
    joint = ((y % height < 3) | (x % width < 3)).float()
    grain = 0.02 * torch.randn(size, generator=generator)
    wall = (shade + grain)[None] * torch.tensor([1.2, 0.75, 0.6]).view(3, 1, 1)
    return over(wall, (0.72, 0.7, 0.66), joint).clamp(0, 1)


def grained(picture: Tensor, levels: float, seed: int, coarseness_px: float = 1.0) -> Tensor:
    """Return a picture with noise of a standard deviation in 8-bit levels, its grains of some pixels."""
    generator = torch.Generator().manual_seed(seed)
    small = tuple(max(1, round(side / coarseness_px)) for side in picture.shape[1:])
    noise = torch.randn((1, 1, *small), generator=generator)
    if small != picture.shape[1:]:
        noise = F.interpolate(noise, size=picture.shape[1:], mode="bicubic")
        noise = noise / noise.std()
    return (picture + noise[0] * levels / 255).clamp(0, 1)


def _places(size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Return y and x of every pixel's middle, (H, W), from the picture's middle."""
    height, width = size
    y = torch.arange(height) + 0.5 - height / 2
    x = torch.arange(width) + 0.5 - width / 2
    grid = torch.meshgrid(y, x, indexing="ij")
    return grid[0], grid[1]
