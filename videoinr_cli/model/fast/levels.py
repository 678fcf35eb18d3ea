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
    """Brightness and contrast of B pictures, by their luma, float32."""

    mean: Tensor  # (B, 1, 1, 1)
    deviation: Tensor  # (B, 1, 1, 1)
    places: Tensor  # (B, 1, h, w): means of places, which motion hardly changes

    @staticmethod
    def of(luma: Tensor) -> Levels:
        """Return the levels of (B, 1, H, W) luma."""
        deviation, mean = torch.std_mean(luma, dim=(1, 2, 3), keepdim=True, correction=0)
        places = F.avg_pool2d(luma, PLACE_PX, ceil_mode=True, count_include_pad=False)
        return Levels(mean, deviation, places)

    def towards(self, other: Levels, share: Tensor | float) -> Levels:
        """Return the levels at a share of the way to others."""
        pairs = ((self.mean, other.mean), (self.deviation, other.deviation), (self.places, other.places))
        return Levels(*(torch.lerp(own, others, share) for own, others in pairs))

    def moved(self, picture: Tensor, to: Levels) -> Tensor:
        """Return a (B, C, H, W) picture of these levels with those of `to`, not clamped."""
        return (picture - self.mean) * (to.deviation / self._divisor()) + to.mean

    def are_flat(self) -> bool:
        """Whether the pictures, all of B, show nothing; not where there are shapes alone."""
        return has_values(self.deviation) and bool((self.deviation < FLAT).all())

    def differ(self, other: Levels) -> bool:
        """Whether pictures, any of B, must not be compared as they are; not where there are shapes alone."""
        contrast = (self._divisor() / other._divisor()).log().abs()
        unlike = ((self.mean - other.mean).abs() > UNLIKE_MEAN) | (contrast > UNLIKE_DEVIATION)
        if not has_values(unlike) or not unlike.any():
            return False
        change, left = (
            (other.places - places).abs().mean((1, 2, 3), keepdim=True)
            for places in (self.places, self.moved(self.places, other))
        )
        return bool((unlike & (left < EXPLAINED * change)).any())

    def _divisor(self) -> Tensor:
        return self.deviation.clamp(min=LEAST_DEVIATION)
