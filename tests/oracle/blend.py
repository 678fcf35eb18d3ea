"""A VideoINR network whose every answer is known: it blends the two frames, sampled at the nearest pixel."""

from __future__ import annotations

import dataclasses
from fractions import Fraction

import torch
from torch import Tensor, nn

from videoinr_cli.model import VideoInr, Window
from videoinr_cli.model.config import ModelConfig
from videoinr_cli.model.network import Effort, Encoding, Footprint, PairEncoding


@dataclasses.dataclass(frozen=True)
class BlendFrame(Encoding):
    rgb: Tensor  # (B, 3, H, W)


@dataclasses.dataclass(frozen=True)
class BlendPair(PairEncoding):
    first: Tensor
    second: Tensor


class BlendVideoInr(VideoInr[BlendFrame, BlendPair, Tensor]):
    """Counts what it is asked for."""

    halo_px = 8

    def __init__(self) -> None:
        super().__init__()
        self.config = ModelConfig()
        self.anchor = nn.Parameter(torch.zeros(1))  # says which device the network is on
        self.frames_encoded = 0
        self.pairs_encoded = 0
        self.rendered: list[Fraction] = []
        self.context: list[tuple[int | None, ...]] = []  # levels of the four frames of each pair encoded
        self.windows: list[Window] = []
        self.carried: list[int | None] = []  # for each pair, which one it could take over from

    def encode_frame(self, frame: Tensor) -> BlendFrame:
        self.frames_encoded += 1
        return BlendFrame(*frame.shape[2:], frame)

    def encode_pair(
        self,
        first: BlendFrame,
        second: BlendFrame,
        *,
        before: BlendFrame | None = None,
        after: BlendFrame | None = None,
        carry: int | None = None,
    ) -> BlendPair:
        self.pairs_encoded += 1
        self.context.append((_level(before), _level(first), _level(second), _level(after)))
        self.carried.append(carry)
        return BlendPair(first.height, first.width, first.rgb, second.rgb, carry=self.pairs_encoded)

    def prepare_instant(
        self, pair: BlendPair, tau: float | Tensor, size: tuple[int, int], window: Window, chunk_bytes: int
    ) -> Tensor:
        self.rendered.append(Fraction(float(tau)).limit_denominator(1000))
        mixed = torch.lerp(pair.first, pair.second, float(tau))
        rows, columns = (
            # the LR pixel in which an output pixel's centre lies, in whole numbers
            ((2 * torch.arange(size[axis]) + 1) * pair.whole[axis] // (2 * size[axis]) - pair.origin[axis])
            for axis in (0, 1)
        )
        assert rows[window.top] >= 0 <= columns[window.left]
        self.windows.append(window)
        return mixed[:, :, rows[window.top : window.bottom]][..., columns[window.left : window.right]]

    def query(self, instant: Tensor, window: Window) -> Tensor:
        band = next(band for band in reversed(self.windows) if band.top <= window.top < band.bottom)
        return instant[:, :, window.top - band.top : window.bottom - band.top]

    def footprint(self) -> Footprint:
        return Footprint(kept=4 * 12, encoding=0, drawing=24, instant=12)

    def effort(self) -> Effort:
        return Effort(alone=4, following=1, again=1, instant=1, point=1)

    def query_bytes(self, pair: BlendPair) -> int:
        return 12


def _level(frame: BlendFrame | None) -> int | None:
    """Return the 8-bit level of a frame's first pixel."""
    return None if frame is None else round(float(frame.rgb.flatten()[0]) * 255)
