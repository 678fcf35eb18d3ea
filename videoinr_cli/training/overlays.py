"""Layers that stand still before moving pictures: text, logos, displays, bars, fences, window frames."""

from __future__ import annotations

import math
import string
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from videoinr_cli.media.suffixes import is_among
from videoinr_cli.training.synthetic import FloatArray, blob, drawing

FONT_SUFFIXES = frozenset({".ttf", ".otf"})
LETTERS = string.ascii_letters * 3 + string.digits + " " * 24 + ".,;:!?-'"
TEXT_PX = (7, 64)
"""Range of the heights of letters, HR pixels."""
FENCE_PX = (2, 16)
"""Range of the widths of bars, HR pixels; thin ones are as common as wide ones."""
SHARED_SHARE = 0.72
"""Of the overlays: those that stay. The others appear or disappear between the pair's frames."""


def find_fonts(directories: Iterable[Path]) -> list[Path]:
    """Return the fonts below folders."""
    return sorted(
        path for directory in directories for path in directory.rglob("*") if is_among(path, FONT_SUFFIXES)
    )


class Overlay(NamedTuple):
    """A layer of straight colour and coverage."""

    rgb: Tensor  # (3, S, S)
    alpha: Tensor  # (1, S, S)


def draw_overlay(rng: np.random.Generator, size: int, fonts: Sequence[Path]) -> Overlay:
    """Draw a layer of `size` HR pixels a side.

    Args:
        fonts: files; none: Pillow's own font.
    """
    kinds = (_subtitle, _subtitle, _panel, _logo, _bars, _fence, _frame)
    overlay = kinds[int(rng.integers(len(kinds)))](rng, size, fonts)
    if rng.random() < 0.35:  # as after enlargement, or as video encoders leave it
        both = torch.cat([overlay.rgb * overlay.alpha, overlay.alpha])[None]
        both = F.avg_pool2d(F.pad(both, (1, 1, 1, 1), mode="replicate"), 3, 1)[0]
        overlay = Overlay(both[:3] / both[3:].clamp(min=1e-4), both[3:])
    return overlay


def draw_visibility(rng: np.random.Generator, times: FloatArray) -> FloatArray:
    """Draw at which of (T,) times an overlay is there: always, or until or since the pair's middle."""
    kind = rng.random()
    if kind < SHARED_SHARE:
        return np.ones(len(times))
    late = (times > 0.5).astype(float)
    return late if kind < (1 + SHARED_SHARE) / 2 else 1 - late


def _over(below: Overlay, rgb: Tensor, alpha: Tensor) -> Overlay:
    """Lay a colour, (3, 1, 1) or (3, S, S), over an overlay where (1, S, S) `alpha` says."""
    total = alpha + below.alpha * (1 - alpha)
    mixed = rgb * alpha + below.rgb * below.alpha * (1 - alpha)
    return Overlay(mixed / total.clamp(min=1e-4), total)


def _nothing(size: int) -> Overlay:
    return Overlay(torch.zeros(3, size, size), torch.zeros(1, size, size))


def _colour(rng: np.random.Generator) -> Tensor:
    """Draw a colour: white, black, a grey, or any."""
    kind = rng.random()
    if kind < 0.35:
        return torch.ones(3, 1, 1)
    if kind < 0.55:
        return torch.zeros(3, 1, 1)
    if kind < 0.7:
        return torch.full((3, 1, 1), float(rng.random()))
    return torch.as_tensor(rng.random((3, 1, 1), dtype=np.float32))


def _letters(
    rng: np.random.Generator, size: int, fonts: Sequence[Path], place: tuple[int, int], lines: int
) -> tuple[Tensor, Tensor, tuple[int, int]]:
    """Return the masks of random words, and of these with an outline, and the rows that they take."""
    height = round(math.exp(rng.uniform(*np.log(TEXT_PX))))
    try:
        font = ImageFont.truetype(str(fonts[int(rng.integers(len(fonts)))]), height) if len(fonts) else None
    except OSError:  # not a font that FreeType reads
        font = None
    count = max(2, round(size / height * rng.uniform(0.6, 2.2)))
    words = "\n".join("".join(rng.choice(list(LETTERS), count)) for _ in range(lines))
    outline = round(height * rng.uniform(0.03, 0.12)) if rng.random() < 0.7 else 0
    masks = []
    for width in (0, outline):
        image = Image.new("L", (size, size))
        ImageDraw.Draw(image).multiline_text(
            place,
            words,
            fill=255,
            font=font or ImageFont.load_default(height),
            anchor="mm",
            align="center",
            spacing=height // 4,
            stroke_width=width,
            stroke_fill=255,
        )
        masks.append(torch.as_tensor(np.array(image)).float()[None] / 255)
    box = image.getbbox() or (0, 0, 0, 0)  # PIL knows, and the device is not asked
    return masks[0], masks[1], (box[1], box[3])


def _anywhere(rng: np.random.Generator, size: int) -> tuple[int, int]:
    x, y = rng.uniform(0.1, 0.9, 2) * size
    return round(x), round(y)


def _subtitle(rng: np.random.Generator, size: int, fonts: Sequence[Path]) -> Overlay:
    letters, outlined, (top, bottom) = _letters(
        rng, size, fonts, _anywhere(rng, size), int(rng.integers(1, 4))
    )
    fill = _colour(rng)
    around = 1 - fill if rng.random() < 0.6 else _colour(rng)
    overlay = _nothing(size)
    if rng.random() < 0.2:  # a box behind it
        if bottom:
            alpha = torch.zeros(1, size, size)
            margin = int(rng.integers(2, 10))
            alpha[:, max(0, top - margin) : bottom + margin] = float(rng.uniform(0.3, 1))
            overlay = _over(overlay, around, alpha)
    elif rng.random() < 0.25:  # a shadow instead of an outline
        shift = int(rng.integers(1, 4))
        overlay = _over(
            overlay, around, torch.roll(outlined, (shift, shift), (1, 2)) * float(rng.uniform(0.4, 1))
        )
    else:
        overlay = _over(overlay, around, outlined)
    overlay = _over(overlay, fill, letters)
    return (
        overlay if rng.random() < 0.85 else Overlay(overlay.rgb, overlay.alpha * float(rng.uniform(0.4, 0.9)))
    )


def _rectangle(rng: np.random.Generator, size: int) -> Tensor:
    alpha = torch.zeros(1, size, size)
    height, width = (round(size * rng.uniform(0.08, 0.6)) for _ in range(2))
    top, left = (int(rng.integers(-side // 2, size - side // 2)) for side in (height, width))
    alpha[:, max(0, top) : top + height, max(0, left) : left + width] = 1
    return alpha


def _panel(rng: np.random.Generator, size: int, fonts: Sequence[Path]) -> Overlay:
    """Draw a display, a table or a picture, with text on it."""
    alpha = _rectangle(rng, size)
    rgb = drawing(rng, size)[0] if rng.random() < 0.3 else _colour(rng)
    overlay = _over(_nothing(size), rgb, alpha * (1 if rng.random() < 0.7 else float(rng.uniform(0.5, 1))))
    for _ in range(int(rng.integers(0, 4))):
        letters, *_ = _letters(rng, size, fonts, _anywhere(rng, size), int(rng.integers(1, 5)))
        overlay = _over(overlay, _colour(rng), letters * (alpha if rng.random() < 0.8 else 1))
    return overlay


def _logo(rng: np.random.Generator, size: int, fonts: Sequence[Path]) -> Overlay:
    side = round(size * rng.uniform(0.15, 0.7))
    alpha = torch.zeros(1, size, size)
    top, left = (int(rng.integers(0, size - side + 1)) for _ in range(2))
    alpha[:, top : top + side, left : left + side] = blob(rng, side)[0]
    rgb = drawing(rng, size)[0] if rng.random() < 0.4 else _colour(rng)
    overlay = _over(_nothing(size), rgb, alpha)
    if rng.random() < 0.6:
        letters, *_ = _letters(rng, size, fonts, (left + side // 2, top + side // 2), 1)
        overlay = _over(overlay, _colour(rng), letters)
    return (
        overlay if rng.random() < 0.5 else Overlay(overlay.rgb, overlay.alpha * float(rng.uniform(0.3, 0.95)))
    )


def _bars(rng: np.random.Generator, size: int, fonts: Sequence[Path]) -> Overlay:
    """Draw a letterbox, a pillarbox, or one bar with text."""
    colour = torch.zeros(3, 1, 1) if rng.random() < 0.6 else _colour(rng)
    alpha = torch.zeros(1, size, size)
    for side in (0, 1) if rng.random() < 0.5 else (int(rng.integers(2)),):
        width = max(1, round(size * rng.uniform(0.02, 0.35)))
        alpha[:, (slice(0, width), slice(size - width, size))[side]] = 1
    overlay = _over(_nothing(size), colour, alpha)
    if rng.random() < 0.4:
        letters, *_ = _letters(rng, size, fonts, _anywhere(rng, size), 2)
        overlay = _over(overlay, _colour(rng), letters * alpha)
    return Overlay(*(part.transpose(1, 2) for part in overlay)) if rng.random() < 0.4 else overlay


def _fence(rng: np.random.Generator, size: int, fonts: Sequence[Path]) -> Overlay:
    """Draw bars, or a mesh."""
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    angle = math.radians(float(rng.choice([0, 90, rng.uniform(0, 180)])))
    width = math.exp(rng.uniform(*np.log(FENCE_PX)))
    period = width * float(rng.uniform(2, 8)) + 4
    alpha = torch.zeros(size, size)
    for turned in (angle, angle + math.pi / 2)[: 1 + int(rng.random() < 0.4)]:
        across = math.cos(turned) * x + math.sin(turned) * y + float(rng.uniform(0, period))
        distance = (torch.remainder(across, period) - period / 2).abs()
        alpha = torch.maximum(alpha, (width / 2 - distance + 0.5).clamp(0, 1))
    shading = 0.15 * torch.sin(x * float(rng.uniform(0.02, 0.3)) + y * float(rng.uniform(0.02, 0.3)))
    return _over(_nothing(size), (_colour(rng) + shading).clamp(0, 1), alpha[None])


def _frame(rng: np.random.Generator, size: int, fonts: Sequence[Path]) -> Overlay:
    """Draw all but the inside of some openings: a window, a windscreen."""
    alpha = torch.ones(1, size, size)
    for _ in range(int(rng.integers(1, 4))):
        hole = _rectangle(rng, size) if rng.random() < 0.6 else blob(rng, size)[0]
        alpha = alpha * (1 - hole)
    if rng.random() < 0.5:  # the border of a part alone
        alpha = (F.max_pool2d(alpha, 9, 1, 4) * F.max_pool2d(1 - alpha, 9, 1, 4)).clamp(0, 1)
    rgb = drawing(rng, size)[0] if rng.random() < 0.5 else _colour(rng)
    return _over(_nothing(size), rgb, alpha)
