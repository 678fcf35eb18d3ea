"""VideoINR with any single-image model: its pictures of the frames, moved to any instant and steadied.

The parts are the paper's: a spatial field, the model's picture of a frame with as many samples per pixel and
axis as the model enlarges by; a temporal field, that of the small network; a decoder, which blends what lies
where its flows lead. Knows nothing of files or time stamps.
"""

from __future__ import annotations

import dataclasses
import functools

import torch
from torch import Tensor

from videoinr_cli.model.fast.encoder import FastFrame, FastMotion
from videoinr_cli.model.fast.fields import FastPair
from videoinr_cli.model.fast.layers import RGB
from videoinr_cli.model.fast.network import FastCarry, FastVideoInr
from videoinr_cli.model.flow import upsample_flow
from videoinr_cli.model.network import Effort, Encoding, Footprint, PairEncoding, VideoInr, Window
from videoinr_cli.model.samples import SAMPLE_BYTES, SampledInstant
from videoinr_cli.model.spatial.enlarger import Enlarger
from videoinr_cli.model.spatial.restoring import with_model
from videoinr_cli.model.spatial.steadying import STEADYING_BYTES, steadied


@dataclasses.dataclass(frozen=True, eq=False)
class SpatialFrame(Encoding):
    """What depends on one frame alone."""

    rgb: Tensor  # (B, 3, H, W)
    picture: Tensor  # (B, 3, s H, s W) float32, the model's
    motion: FastFrame


@dataclasses.dataclass(frozen=True, eq=False)
class SteadyFrame:
    """A frame's picture, averaged with those of its neighbours."""

    frame: SpatialFrame
    neighbours: tuple[SpatialFrame, ...]  # none to two
    picture: Tensor  # (B, 3, s H, s W) float32


@dataclasses.dataclass(frozen=True, eq=False)
class SpatialCarry:
    """What the next pair reuses."""

    last: SteadyFrame  # that pair's first
    motion: FastCarry | None


@dataclasses.dataclass(frozen=True, eq=False)
class SpatialPair(PairEncoding):
    """Two frames' pictures, and what tells of the motion between them; ``carry`` is a `SpatialCarry`."""

    pictures: tuple[Tensor, Tensor]  # (B, 3, s H, s W) float32
    motion: FastPair


class SpatialVideoInr(VideoInr[SpatialFrame, SpatialPair, SampledInstant]):
    """Any single-image model as the spatial field."""

    def __init__(self, enlarger: Enlarger, motion: FastVideoInr, steadiness: float) -> None:
        """Join a model and the network that tells the motion.

        Args:
            enlarger: the model.
            motion: the network.
            steadiness: how much of a neighbour's picture is added to a frame's, where they agree: 0 to 1.
        """
        super().__init__()
        self.enlarger = enlarger
        self.motion = motion
        self.steadiness = steadiness
        self.config = motion.config  # for it looks at the same frames
        self.halo_px = max(motion.halo_px, enlarger.halo_px)

    @property
    def compute_dtype(self) -> torch.dtype:  # of the motion; the model may not bear it
        return self.motion.compute_dtype

    @compute_dtype.setter
    def compute_dtype(self, dtype: torch.dtype) -> None:
        self.motion.compute_dtype = dtype
        self.enlarger.use(dtype)

    def encode_frame(self, frame: Tensor) -> SpatialFrame:
        height, width = frame.shape[-2:]
        rgb = frame.contiguous(memory_format=torch.channels_last)
        return SpatialFrame(height, width, rgb, self.enlarger(rgb), self.motion.encode_frame(rgb))

    def encode_pair(
        self,
        first: SpatialFrame,
        second: SpatialFrame,
        *,
        before: SpatialFrame | None = None,
        after: SpatialFrame | None = None,
        carry: SpatialCarry | None = None,
    ) -> SpatialPair:
        motion = self.motion.encode_pair(
            first.motion,
            second.motion,
            before=None if before is None else before.motion,
            after=None if after is None else after.motion,
            carry=None if carry is None else carry.motion,
        )
        kept: FastCarry | None = motion.carry
        motions = kept.motions if kept else ()
        neighbours = _beside(first, before, second)
        if carry and carry.last.frame is first and carry.last.neighbours == neighbours:
            begin = carry.last
        else:
            begin = self._steady(first, neighbours, motions)
        end = self._steady(second, _beside(second, first, after), motions)
        return SpatialPair(
            first.height,
            first.width,
            carry=SpatialCarry(end, kept),
            pictures=(begin.picture, end.picture),
            motion=motion,
        )

    def _steady(
        self, frame: SpatialFrame, neighbours: tuple[SpatialFrame, ...], motions: tuple[FastMotion, ...]
    ) -> SteadyFrame:
        if not self.steadiness:
            return SteadyFrame(frame, neighbours, frame.picture)
        around = ((other.picture, other.rgb, self._flow(frame, other, motions)) for other in neighbours)
        picture = steadied(frame.picture, frame.rgb, around, self.steadiness)
        return SteadyFrame(frame, neighbours, picture)

    def _flow(self, frame: SpatialFrame, other: SpatialFrame, motions: tuple[FastMotion, ...]) -> Tensor:
        """Return the flow from a frame to one beside it, (B, 2, H, W) in LR pixels."""
        pair = {frame.motion, other.motion}
        known = next((motion for motion in motions if {motion.first, motion.second} == pair), None)
        if known is None:  # of the frame before a pair, whose motion no later pair asks for
            with self.mixed_precision():
                known = self.motion.encoder.motion(other.motion, frame.motion)
        _, flow = known.seen_from(frame.motion)
        return upsample_flow(flow)[..., : frame.height, : frame.width]

    def prepare_instant(
        self, pair: SpatialPair, tau: float | Tensor, size: tuple[int, int], window: Window, chunk_bytes: int
    ) -> SampledInstant:
        motion_at = functools.partial(self.motion.motion_at, pair.motion)
        return SampledInstant.of(pair, pair.pictures, tau, size, motion_at)

    def query(self, instant: SampledInstant, window: Window) -> Tensor:
        return instant.query(window, self.enlarger.factor)

    def footprint(self) -> Footprint:
        """See `VideoInr.footprint`: the model's is measured by a trial, the rest is counted."""
        motion, factor = self.motion.footprint(), self.enlarger.factor
        picture_bytes = 4 * RGB * factor**2
        frames = 2 + 2 * self.config.context_frames
        steadying = STEADYING_BYTES * factor**2 if self.steadiness else 0
        return Footprint(
            kept=motion.kept + frames * (4 * RGB + picture_bytes) + picture_bytes,
            encoding=picture_bytes + max(motion.encoding, round(self.enlarger.cost.peak_bytes), steadying),
            drawing=picture_bytes + motion.drawing,
            instant=0,
        )

    def effort(self) -> Effort:
        """See `VideoInr.effort`: the model's is counted in a trial, the rest as of the small network."""
        drawing = self.motion.effort()._replace(instant=6, point=0.1)  # the same as the large network's
        return with_model(drawing, self.enlarger.cost.effort, self.config.context_frames)

    def query_bytes(self, pair: SpatialPair) -> int:
        return SAMPLE_BYTES * self.enlarger.factor**2 * pair.pictures[0].shape[0]


def _beside(frame: SpatialFrame, *others: SpatialFrame | None) -> tuple[SpatialFrame, ...]:
    """Return what there is beside a frame; one that stands alone is paired with itself."""
    return tuple(other for other in others if other is not None and other is not frame)
