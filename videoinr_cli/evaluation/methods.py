"""What is measured: anything that turns given LR frames into HR frames at more instants.

A method gets the frames one by one, as a video would give them, and never the ground truth.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

from videoinr_cli.model import VideoInr

T = TypeVar("T")


class Method(Protocol):
    """A way to upscale in space and time."""

    name: str
    device: torch.device  # where it computes

    def render(self, given: Iterable[Tensor], steps: int, size: tuple[int, int]) -> Iterator[Tensor]:
        """Yield `steps` HR frames for each pair of consecutive given frames: at 0, 1/steps, 2/steps ...

        Args:
            given: (1, 3, h, w) float32 RGB in [0, 1], all of one size.
            steps: frames per pair, the second given frame not included.
            size: (H, W) of the frames to render.

        Returns:
            (1, 3, H, W) float32 RGB, on any device.
        """
        ...


class ModelMethod:
    """A VideoINR network."""

    def __init__(self, name: str, model: VideoInr[Any, Any, Any]) -> None:
        self.name = name
        self.model = model
        self.device = model.device

    @torch.inference_mode()
    def render(self, given: Iterable[Tensor], steps: int, size: tuple[int, int]) -> Iterator[Tensor]:
        encoded = (self.model.encode_frame(frame.to(self.device)) for frame in given)
        carry = None
        for before, first, second, after in _windows(encoded):
            pair = self.model.encode_pair(first, second, before=before, after=after, carry=carry)
            carry = pair.carry
            for step in range(steps):
                yield self.model.render(pair, step / steps, size)


def _windows(items: Iterable[T]) -> Iterator[tuple[T | None, T, T, T | None]]:
    """Yield each pair of consecutive items with the items before and after it, None at the ends."""
    before: T | None = None
    first: T | None = None
    second: T | None = None
    for after in itertools.chain(items, [None]):
        if first is not None and second is not None:
            yield before, first, second, after
        before, first, second = first, second, after
