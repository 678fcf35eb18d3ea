"""What every VideoINR network can do: encode a frame, encode a pair, render any instant at any size.

A network keeps no state between calls: its results are in the encodings that it returns, so that the next
pair can reuse a frame's.
"""

from __future__ import annotations

import abc
import contextlib
import dataclasses
import math
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from videoinr_cli.model.config import ModelConfig
from videoinr_cli.model.devices import without_tf32

DEFAULT_CHUNK_BYTES = 64 << 20
"""Temporary memory one chunk of output rows may take. Measured with the small network, 1280x720, two cores:
8 MiB 0.33 s, 16 MiB 0.23 s, 32 MiB 0.21 s, 64 MiB 0.19 s."""

DEFAULT_INSTANT_BYTES = 512 << 20
"""Memory that one instant may hold between chunks; a larger frame is rendered in bands, each an instant of
its own. Enough for 1080p at once: bands cost what warping reaches beyond them, computed twice."""


REDUCTION_MARGIN_PX = 2
"""Pixels around a window whose points have weight in it where the bicubic kernel reduces by two."""


class Window(NamedTuple):
    """A rectangle of the output grid, in output pixels; bottom and right are exclusive."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def height(self) -> int:
        return self.bottom - self.top

    @property
    def width(self) -> int:
        return self.right - self.left

    def finer(self, factors: tuple[int, int], size: tuple[int, int]) -> Window:
        """Return the same rectangle of a finer grid, with what is needed to reduce it.

        Args:
            factors: finer rows and columns for each of this grid's.
            size: (H, W) of the whole of this grid.
        """
        above, beside = (0 if factor == 1 else REDUCTION_MARGIN_PX for factor in factors)
        return Window(
            max(self.top - above, 0) * factors[0],
            max(self.left - beside, 0) * factors[1],
            min(self.bottom + above, size[0]) * factors[0],
            min(self.right + beside, size[1]) * factors[1],
        )

    def row_chunks(self, pixels: int) -> Iterator[Window]:
        """Split into whole rows of at most `pixels` pixels together, but at least one row each."""
        rows = max(1, pixels // self.width)
        for top in range(self.top, self.bottom, rows):
            yield self._replace(top=top, bottom=min(top + rows, self.bottom))


@dataclasses.dataclass(frozen=True, eq=False)
class Encoding:
    """Base of what a network computes from one frame or from a pair; equal only to itself.

    ``height`` and ``width`` are the LR size as given, before any padding inside the network.
    """

    height: int
    width: int


class Footprint(NamedTuple):
    """Memory that a network needs, in bytes per encoded LR pixel; `instant` is per output pixel."""

    kept: int  # from one pair to the next: four frames' encodings and the last pair's carry
    encoding: int  # in addition, at most, while a pair is encoded
    drawing: int  # in addition, while a pair is rendered: the pair and what its instants share
    instant: int  # by one instant, per output pixel: see `VideoInr.instant_bytes`


class Effort(NamedTuple):
    """What a network's steps cost, in microseconds of one processor core; only their ratios matter."""

    alone: float  # encoding a pair and the frames around it, for each LR pixel
    following: float  # encoding the pair after one whose encodings are kept, likewise
    again: float  # encoding a pair once more whose encodings are kept, likewise
    instant: float  # what the points of an instant share, for each LR pixel
    point: float  # each point of the output
    ahead: float = 0.0  # of `following`: what is done for all pairs of a run when it begins


class Motion(NamedTuple):
    """What a network says of the motion between two frames."""

    flows: Sequence[Tensor]
    """From the first frame to the second and back: (2B, 2, h / 2, w / 2), (dx, dy) in pixels there. Then
    the coarser ones it was refined from, at 1/4 and so on; padding may make each a little larger."""

    still: Tensor | None
    """(2B, 1, h, w), padding included: logit of a layer in front that stands still, in each of the frames."""


class Place(NamedTuple):
    """Where an encoding lies in a larger picture of which it is a part, in LR pixels."""

    top: int
    left: int
    whole_height: int
    whole_width: int


@dataclasses.dataclass(frozen=True, eq=False)
class PairEncoding(Encoding):
    """Base of what a network computes from a pair.

    ``carry`` is what the next pair can reuse, far smaller than the encoding itself; None if nothing. Output
    sizes and windows refer to the whole picture; ``place`` is the pair's place in it, None if the pair covers
    all of it. ``lost`` is what the pictures of both frames lack at their own size, (B, 3, H, W) each; empty
    until it is needed, see `GivenVideoInr`.
    """

    carry: Any = dataclasses.field(default=None, kw_only=True)
    lost: list[Tensor] = dataclasses.field(default_factory=list, kw_only=True)
    place: Place | None = dataclasses.field(default=None, kw_only=True)

    @property
    def origin(self) -> tuple[int, int]:
        """(y, x) of the pair's first pixel in the whole picture."""
        return (0, 0) if self.place is None else self.place[:2]

    @property
    def whole(self) -> tuple[int, int]:
        """(H, W) of the whole picture."""
        return (self.height, self.width) if self.place is None else self.place[2:]


FrameT = TypeVar("FrameT", bound=Encoding)
PairT = TypeVar("PairT", bound=PairEncoding)
InstantT = TypeVar("InstantT")


class VideoInr(nn.Module, abc.ABC, Generic[FrameT, PairT, InstantT]):
    """A space-time implicit representation of a pair of frames (Chen et al., CVPR 2022)."""

    config: ModelConfig

    compute_dtype: torch.dtype = torch.float32
    """Dtype in which convolutions may run; flows, grids, sines and residuals of a picture stay float32."""

    halo_px: int
    """LR pixels around a part of a picture that are encoded with it, so that it looks as in the whole: to 0.1
    of an 8-bit level on average. See docs/memory.md for what was measured."""

    finer_below: ClassVar[float] = 0.0
    """Enlargement below which pictures are rendered twice as large and reduced. A network shows points, which
    are sharper than the source's pixels; near the source's size, as at x1, they must be averaged as pixels
    are."""

    rounds_by_itself_on_cpu: ClassVar[bool] = True
    """Whether convolutions run in bf16 without being asked to, on a CPU that has instructions for it."""

    @property
    def device(self) -> torch.device:
        """The device of the weights, on which everything is computed."""
        return next(self.parameters()).device

    @contextlib.contextmanager
    def mixed_precision(self) -> Iterator[None]:
        """Run convolutions in `compute_dtype`, without TF32."""
        kind, rounds = self.device.type, self.compute_dtype is not torch.float32
        # where there are shapes alone, there is nothing to round
        rounding = nullcontext() if kind == "meta" else torch.autocast(kind, self.compute_dtype, rounds)
        with rounding, without_tf32():
            yield

    @abc.abstractmethod
    def encode_frame(self, frame: Tensor) -> FrameT:
        """Compute what depends on one frame alone.

        Args:
            frame: (B, 3, H, W) float32 RGB in [0, 1]; any H and W, padding happens inside.
        """

    @abc.abstractmethod
    def encode_pair(
        self,
        first: FrameT,
        second: FrameT,
        *,
        before: FrameT | None = None,
        after: FrameT | None = None,
        carry: Any = None,
    ) -> PairT:
        """Encode two consecutive frames of equal size into a representation of the time between them.

        Args:
            before: the frame before the first one, if it belongs to the same scene; a network may read it.
            after: the frame after the second one, likewise.
            carry: of the previous pair's encoding; what still applies is reused.
        """

    def encode_pair_of(self, run: Sequence[FrameT], place: int, *, carry: Any = None) -> PairT:
        """Encode a pair of a run, which is all that its pictures depend on.

        Args:
            run: consecutive frames of one scene, as many as `ModelConfig.run_pairs` and its context say, or
                fewer.
            place: of the pair's first frame in the run.
            carry: see `encode_pair`; it changes the time this takes, but nothing of the result.
        """
        before = run[place - 1] if place else None
        after = run[place + 2] if place + 2 < len(run) else None
        return self.encode_pair(run[place], run[place + 1], before=before, after=after, carry=carry)

    def motion_of(self, pair: PairT) -> Motion:
        """Return the motion between a pair's frames, if the network estimates it."""
        return Motion((), None)

    def motion_between(self, first: FrameT, second: FrameT) -> Motion:
        """Return what `motion_of` would for the pair of two frames, without encoding the pair."""
        return Motion((), None)

    @abc.abstractmethod
    def prepare_instant(
        self, pair: PairT, tau: float | Tensor, size: tuple[int, int], window: Window, chunk_bytes: int
    ) -> InstantT:
        """Compute what all query points of one instant share.

        Args:
            tau: position within the pair, 0 at the first frame and 1 at the second; a number, or (B,) to
                give each of a batch's pairs its own, as training does.
            size: (Ho, Wo) of the whole output grid, of which `window` is to be rendered.
        """

    @abc.abstractmethod
    def query(self, instant: InstantT, window: Window) -> Tensor:
        """Decode RGB at the pixel centres of `window`: (B, 3, h, w) float32, not clamped."""

    @abc.abstractmethod
    def query_bytes(self, pair: PairT) -> int:
        """Return the temporary memory that `query` needs per output pixel, for the whole batch."""

    @abc.abstractmethod
    def footprint(self) -> Footprint:
        """Return the measured memory of encoding and rendering consecutive frames."""

    @abc.abstractmethod
    def effort(self) -> Effort:
        """Return the measured cost of encoding and rendering consecutive frames."""

    def instant_bytes(self, pair: PairT) -> int:
        """Return the memory that an instant holds per output pixel, for the whole batch."""
        return 0

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
        """Render one instant at any size, in bands and chunks of rows.

        Chunks are exact: each point is decoded by itself, so the result does not depend on their size beyond
        float rounding. A pixel is the point at its centre; where it is enlarged by less than `finer_below`, a
        mean of points instead, by an antialiased bicubic kernel.

        Args:
            tau: position within the pair, in [0, 1].
            size: (Ho, Wo), the size at which the whole frame is rendered.
            window: the part of that grid to return; the whole by default. It lies where the pair does.
            chunk_bytes: temporary memory that one chunk may take.
            instant_bytes: memory that the chunks of one band may share.

        Returns:
            (B, 3, h, w) float32 RGB, channels_last in memory, not clamped to [0, 1].
        """
        if not 0.0 <= tau <= 1.0:
            raise ValueError(f"tau must be within [0, 1], got {tau}")
        window = window or Window(0, 0, *size)
        factors = self.points_per_pixel(pair.whole, size)
        points = math.prod(factors)  # of a pixel
        grid = (factors[0] * size[0], factors[1] * size[1])
        output: Tensor | None = None
        for band in window.row_chunks(instant_bytes // (points * max(1, self.instant_bytes(pair)))):
            instant = self.prepare_instant(pair, tau, grid, band.finer(factors, size), chunk_bytes)
            for chunk in band.row_chunks(chunk_bytes // (points * self.query_bytes(pair))):
                rgb = self._pixels(instant, chunk, factors, size)
                if output is None:
                    shape = (rgb.shape[0], 3, window.height, window.width)
                    output = torch.empty(shape, device=rgb.device, memory_format=torch.channels_last)
                output[:, :, chunk.top - window.top : chunk.bottom - window.top] = rgb
        assert output is not None, "an empty window"
        return output

    def points_per_pixel(self, lr_size: tuple[int, int], size: tuple[int, int]) -> tuple[int, int]:
        """Return how many points along y and x a pixel is made of, of an (H, W) picture at (Ho, Wo)."""
        fy, fx = (
            2 if big < self.finer_below * small else 1 for big, small in zip(size, lr_size, strict=True)
        )
        return fy, fx

    def _pixels(
        self, instant: InstantT, window: Window, factors: tuple[int, int], size: tuple[int, int]
    ) -> Tensor:
        """Render a window of the (H, W) grid `size` from the points of one that is finer by `factors`."""
        fine = window.finer(factors, size)
        rgb = self.query(instant, fine)
        if factors == (1, 1):
            return rgb
        reduced = (fine.height // factors[0], fine.width // factors[1])
        rgb = F.interpolate(rgb, size=reduced, mode="bicubic", antialias=True)
        top, left = window.top - fine.top // factors[0], window.left - fine.left // factors[1]
        return rgb[:, :, top : top + window.height, left : left + window.width]
