"""What is given is given back: near its own size, a source's frames are shown as they are.

A network's pictures of given frames come close to them, but not to the last level, and least of all at the edges of
text. What they lose there is known: it is added to each, and, moved along the flows, to the frames between.
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
"""Enlargement from which on given frames are what the network makes of them. What is lost is found at the cost of two
more pictures for each pair; at x2, where those are four times as large as the frames, it would be worth 0.15 dB."""


class GivenVideoInr(VideoInr[FrameT, PairT, InstantT], abc.ABC):
    """A network whose pictures of given frames are these frames, at their own size.

    **Source**: iterative back-projection (Irani and Peleg, "Improving resolution by image registration", 1991), one step.
    """

    @abc.abstractmethod
    def given_frames(self, pair: PairT) -> tuple[Tensor, Tensor] | None:
        """Return a pair's frames, (B, 3, H, W) float32, or padded below and to the right.

        None: the network takes noise and compression away, so that its pictures are meant to differ from them.
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
            shown = given[int(tau)][..., window.top - top : window.bottom - top, window.left - left : window.right - left]
            return shown.clone(memory_format=torch.channels_last)
        if not pair.lost:
            whole = Window(top, left, top + pair.height, left + pair.width)
            pair.lost.extend(
                frame[..., : pair.height, : pair.width] - plain(pair, float(number), pair.whole, window=whole)
                for number, frame in enumerate(given)
            )
        rgb = plain(pair, tau, size, window=window)
        first, second = pair.lost
        lost = SampledInstant.of(pair, (first, second), tau, size, functools.partial(self.motion_at, pair))
        for rows in window.row_chunks(chunk_bytes // (SAMPLE_BYTES * len(rgb))):
            rgb[:, :, rows.top - window.top : rows.bottom - window.top] += lost.query(rows, 1)
        return rgb


def is_near(lr_size: tuple[int, int], size: tuple[int, int]) -> bool:
    """Tell whether (H, W) frames are shown at (Ho, Wo) as they are given."""
    return all(big < BELOW * small for big, small in zip(size, lr_size, strict=True))
