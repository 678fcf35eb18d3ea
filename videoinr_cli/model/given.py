"""What is given is given back: near its own size, a source's frames are shown as they are.

A network's pictures of given frames come close to them, but not to the last level, and least of all at the
edges of text. What they lose is known: it is added, moved along the flows, to the frames between.
"""

from __future__ import annotations

import abc
import functools

import torch
from torch import Tensor

from videoinr_cli.model.network import (
    DEFAULT_CHUNK_BYTES,
    DEFAULT_INSTANT_BYTES,
    FrameT,
    InstantT,
    PairT,
    VideoInr,
    Window,
)
from videoinr_cli.model.samples import SAMPLE_BYTES, SampledInstant

BELOW = 1.5
"""Enlargement from which on pictures are what a network makes of them. To know what they lose takes two more
for each pair. Adding it would gain 0.08 to 0.26 dB in given frames of eight clips at x2, and 0.03 to 0.06 of
four (Vid4) at x4."""


class GivenVideoInr(VideoInr[FrameT, PairT, InstantT], abc.ABC):
    """A network whose pictures of given frames are these frames, at their own size.

    **Source**: a step of iterative back-projection (Irani and Peleg, "Improving resolution by image
    registration", 1991).
    """

    @abc.abstractmethod
    def given_frames(self, pair: PairT) -> tuple[Tensor, Tensor] | None:
        """Return a pair's frames, (B, 3, H, W) float32, or padded below and to the right.

        None: the network takes noise and compression away, so its pictures are meant to differ from them.
        """

    @abc.abstractmethod
    def motion_at(self, pair: PairT, tau: Tensor) -> Tensor:
        """Return the motion of (B, 1, 1, 1) instants, as `TemporalField` does."""

    def render(
        self,
        pair: PairT,
        tau: float,
        size: tuple[int, int],
        *,
        window: Window | None = None,
        chunk_bytes: int = DEFAULT_CHUNK_BYTES,
        instant_bytes: int = DEFAULT_INSTANT_BYTES,
    ) -> Tensor:
        window = window or Window(0, 0, *size)
        plain = functools.partial(super().render, chunk_bytes=chunk_bytes, instant_bytes=instant_bytes)
        given = self.given_frames(pair) if is_near(pair.whole, size) else None
        if given is None:
            return plain(pair, tau, size, window=window)
        top, left = pair.origin
        if tau in (0, 1) and size == pair.whole:
            rows = slice(window.top - top, window.bottom - top)
            columns = slice(window.left - left, window.right - left)
            return given[int(tau)][..., rows, columns].clone(memory_format=torch.channels_last)
        if not pair.lost:
            whole = Window(top, left, top + pair.height, left + pair.width)
            pair.lost.extend(
                frame[..., : pair.height, : pair.width] - plain(pair, float(number), pair.whole, window=whole)
                for number, frame in enumerate(given)
            )
        rgb = plain(pair, tau, size, window=window)
        first, second = pair.lost
        lost = SampledInstant.of(pair, (first, second), tau, size, functools.partial(self.motion_at, pair))
        for band in window.row_chunks(chunk_bytes // (SAMPLE_BYTES * len(rgb))):
            rgb[:, :, band.top - window.top : band.bottom - window.top] += lost.query(band, 1)
        return rgb


def is_near(lr_size: tuple[int, int], size: tuple[int, int]) -> bool:
    """Tell whether (H, W) frames are shown at (Ho, Wo) as they are given."""
    return all(big < BELOW * small for big, small in zip(size, lr_size, strict=True))
