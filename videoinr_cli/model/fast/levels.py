"""Flashes, fades and exposure: a pair's frames are brought to common levels, and its pictures back to theirs.

Motion is found, and frames are fused, by what is alike in them. Where brightness changes, so do all features,
and nothing is. What changes it, changes most often the whole picture, from frame to frame by a factor and a
constant: with these taken away the frames show the same things, and between them both are linear in time.
"""

from __future__ import annotations

import dataclasses

import torch
import torch.nn.functional as F
from torch import Tensor

from videoinr_cli.model.devices import has_values
from videoinr_cli.model.flow import luma

UNLIKE_MEAN = 6 / 255
"""Difference of two frames' mean luma from which on their levels are brought together."""
UNLIKE_DEVIATION = 0.1
"""The same of the logarithms of its deviations."""
EXPLAINED = 0.5
"""Share of the places' change that may be left: what comes into the picture changes its levels, too."""
PLACE_PX = 16
"""Side of a place, LR pixels."""
FLAT = 1.5 / 255
"""Deviation below which a picture shows nothing but noise."""
LEAST_DEVIATION = 2 / 255
"""By which pictures are divided at least, so that black is not divided by its noise."""


@dataclasses.dataclass(frozen=True, eq=False)
class Levels:
    """Brightness and contrast of B pictures, float32."""

    mean: Tensor  # (B, 3, 1, 1), RGB: what fades into a colour has more and more of it
    deviation: Tensor  # (B, 1, 1, 1), of luma
    places: Tensor  # (B, 1, h, w): mean luma of places, which motion hardly changes

    @staticmethod
    def of(rgb: Tensor, smooth: Tensor) -> Levels:
        """Return the levels of (B, 3, H, W) RGB and its (B, 1, H, W) luma, see `smooth_luma`."""
        mean = rgb.mean((2, 3), keepdim=True)
        deviation = smooth.std((1, 2, 3), correction=0, keepdim=True)
        return Levels(mean, deviation, F.avg_pool2d(smooth, PLACE_PX, ceil_mode=True))

    def towards(self, other: Levels, share: Tensor | float) -> Levels:
        """Return the levels at a share of the way to others."""
        pairs = ((self.mean, other.mean), (self.deviation, other.deviation), (self.places, other.places))
        return Levels(*(torch.lerp(own, others, share) for own, others in pairs))

    def moved(self, rgb: Tensor, to: Levels) -> Tensor:
        """Return (B, 3, H, W) RGB of these levels with those of `to`, not clamped."""
        return (rgb - self.mean) * self._gain(to) + to.mean

    def are_flat(self) -> bool:
        """Whether the pictures, all of B, show nothing; not where there are shapes alone."""
        return has_values(self.deviation) and bool((self.deviation < FLAT).all())

    def differ(self, other: Levels) -> bool:
        """Whether pictures, any of B, must not be compared as they are; not where there are shapes alone."""
        brighter = (luma(self.mean) - luma(other.mean)).abs()
        contrast = (self._divisor() / other._divisor()).log().abs()
        unlike = (brighter > UNLIKE_MEAN) | (contrast > UNLIKE_DEVIATION)
        if not has_values(unlike) or not unlike.any():
            return False
        change = (other.places - self.places).abs().mean((1, 2, 3), keepdim=True)
        # from that of less contrast to that of more: anything can be moved into what shows nothing
        left = torch.where(self.deviation < other.deviation, self._left(other), other._left(self))
        is_flat, other_is_flat = self.deviation < FLAT, other.deviation < FLAT
        explained = (left < EXPLAINED * change) | (is_flat ^ other_is_flat)
        return bool((unlike & explained & ~(is_flat & other_is_flat)).any())

    def _left(self, other: Levels) -> Tensor:
        """Return the mean change of places that the levels do not explain, (B, 1, 1, 1)."""
        moved = (self.places - luma(self.mean)) * self._gain(other) + luma(other.mean)
        return (other.places - moved).abs().mean((1, 2, 3), keepdim=True)

    def _gain(self, to: Levels) -> Tensor:
        return to.deviation / self._divisor()

    def _divisor(self) -> Tensor:
        return self.deviation.clamp(min=LEAST_DEVIATION)
