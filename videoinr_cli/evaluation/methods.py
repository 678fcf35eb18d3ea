"""What is measured: anything that turns given LR frames into HR frames at more instants.

A method gets the frames one by one, as a video would give them, and never the ground truth.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Iterator
from typing import Any, Protocol

import torch
from torch import Tensor

from videoinr_cli.model import VideoInr
from videoinr_cli.model.network import Encoding
from videoinr_cli.render.runs import Runs


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
        carry = None
        for run, place in _runs(self.model, (frame.to(self.device) for frame in given)):
            pair = self.model.encode_pair_of(run, place, carry=carry)
            carry = pair.carry
            for step in range(steps):
                yield self.model.render(pair, step / steps, size)


@dataclasses.dataclass(frozen=True, eq=False)
class _Given:
    """A frame of a clip, which is one scene."""

    encoding: Encoding
    section: int = 0
    starts_scene: bool = False


def _runs(model: VideoInr[Any, Any, Any], frames: Iterable[Tensor]) -> Iterator[tuple[list[Encoding], int]]:
    """Yield for each pair of consecutive frames the run in which it lies, and its place there."""
    runs: Runs[_Given] = Runs(model.config.run_pairs, model.config.context_frames)
    coming = (_Given(model.encode_frame(frame)) for frame in frames)
    while True:
        runs.advance(itertools.islice(coming, 2 + runs.lookahead - len(runs.known[1:])))
        if len(runs.known) < 2:
            return
        yield [frame.encoding for frame in runs.run], runs.place
