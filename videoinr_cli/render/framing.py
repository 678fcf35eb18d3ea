"""Put pictures into frames of another shape: with bars around them, or with their edges cut off.

The network renders the picture; bars are added to what it has rendered.
"""

from __future__ import annotations

import dataclasses
import math
from fractions import Fraction

import numpy as np
import torch
import torch.nn.functional as F

from videoinr_cli.model.network import Window
from videoinr_cli.options import Bars, UpscaleOptions
from videoinr_cli.render.renderer import Picture, Rendering

BLUR = 24
"""A blurred background is the picture reduced by this: bicubic enlargement then shows no detail."""

BLUR_SHADE = 0.6
"""Brightness of a blurred background, so that the picture stands out."""


@dataclasses.dataclass(frozen=True)
class Framing:
    """A picture's place in its frame. A picture that fills its frame is left as it is."""

    frame: tuple[int, int]  # (width, height) of the output, in pixels
    picture: tuple[int, int]  # of what is rendered; either inside of the frame or around it
    bars: Bars = "black"

    @classmethod
    def of(
        cls,
        options: UpscaleOptions,
        source_size: tuple[int, int],
        frame: tuple[int, int],
        *,
        pixel_aspect: Fraction = Fraction(1),
    ) -> Framing:
        """Place the picture in the middle of the frame.

        Args:
            options: which ask for a frame, or for a size of the picture.
            source_size: (width, height) of the source, in pixels.
            frame: of the output.
            pixel_aspect: width over height of the source's pixels.

        Raises:
            OptionError: the picture would be smaller than the source.
        """
        return cls(frame, options.picture_size(source_size, frame, pixel_aspect=pixel_aspect), options.bars)

    @property
    def window(self) -> Window | None:
        """The part of the picture that is rendered; None: all of it."""
        left, top = (max(0, size - room) // 2 for size, room in zip(self.picture, self.frame, strict=True))
        width, height = (min(size, room) for size, room in zip(self.picture, self.frame, strict=True))
        if (width, height) == self.picture:
            return None
        return Window(top, left, top + height, left + width)

    @property
    def shown_share(self) -> float:
        """The share of the picture's pixels that the frame shows."""
        window = self.window
        return 1.0 if window is None else window.width * window.height / math.prod(self.picture)

    def framed(self, rendering: Rendering) -> Rendering:
        """Return the frame around what was rendered, which is opaque there."""
        height, width = rendering.rgb.shape[:2]
        if (width, height) == self.frame:
            return rendering
        left, top = (self.frame[0] - width) // 2, (self.frame[1] - height) // 2
        inside = slice(top, top + height), slice(left, left + width)
        rgb = self._background(rendering.rgb)
        rgb[inside] = rendering.rgb
        if rendering.alpha is None:
            return Rendering(rgb, None)
        alpha = np.full(rgb.shape[:2], np.iinfo(rgb.dtype).max, rgb.dtype)
        alpha[inside] = rendering.alpha
        return Rendering(rgb, alpha)

    def _background(self, rgb: Picture) -> Picture:
        """Return a frame without its picture: black, or the picture blurred and cut to the frame's shape."""
        width, height = self.frame
        if self.bars == "black":
            return np.zeros((height, width, 3), rgb.dtype)
        rows, columns = rgb.shape[:2]
        scale = max(width / columns, height / rows)
        covering = (round(height / scale), round(width / scale))  # the part that covers the frame
        top, left = (rows - covering[0]) // 2, (columns - covering[1]) // 2
        part = rgb[top : top + covering[0], left : left + covering[1]].astype(np.float32)
        levels = torch.from_numpy(part).permute(2, 0, 1)[None]
        reduced = F.interpolate(levels, tuple(max(1, side // BLUR) for side in covering), mode="area")
        enlarged = F.interpolate(reduced, (height, width), mode="bicubic")
        shaded = (enlarged[0].permute(1, 2, 0) * BLUR_SHADE).round().clamp(0, np.iinfo(rgb.dtype).max)
        background: Picture = shaded.numpy().astype(rgb.dtype)
        return background
