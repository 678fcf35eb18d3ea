"""VideoINR with a published encoder: a scene's frames are enlarged together, and moved to any instant.

The parts are the paper's: an encoder that others made, here BasicVSR's; a spatial field, its picture of a
frame with `ENLARGEMENT` samples per pixel and axis; a temporal field, that of the small network, whose flows
lead from an instant to both frames; a decoder, which blends what lies there. Knows nothing of files or time
stamps.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
from torch import Tensor

from videoinr_cli.model.acceleration import agreed, averaged, difference, lead, likelihood
from videoinr_cli.model.config import LargeConfig
from videoinr_cli.model.fast.encoder import FastFrame
from videoinr_cli.model.fast.fields import FastPair
from videoinr_cli.model.fast.network import FastCarry, FastVideoInr
from videoinr_cli.model.flow import warp
from videoinr_cli.model.given import GivenVideoInr
from videoinr_cli.model.large.propagation import ENLARGEMENT, RGB, Branch, Upsampling
from videoinr_cli.model.large.spynet import SpyNet
from videoinr_cli.model.network import Effort, Encoding, Footprint, PairEncoding, Window
from videoinr_cli.model.samples import SAMPLE_BYTES, SampledInstant

AROUND_PX = 9
"""Side of the area in which frames are compared, to tell which of two flows is right; LR pixels."""


@dataclasses.dataclass(frozen=True, eq=False)
class LargeFrame(Encoding):
    """A frame as it is: all that is computed of it depends on others."""

    rgb: Tensor  # (B, 3, H, W)


@dataclasses.dataclass(frozen=True, eq=False)
class LargeCarry:
    """What the next pair of the same run reuses."""

    run: tuple[LargeFrame, ...]
    place: int  # of this pair's second frame, that pair's first, in the run
    backward: tuple[Tensor, ...]  # states (B, C, H, W) of that frame and those after it
    onward: tuple[Tensor, ...]  # flows (B, 2, H, W) from that frame and those after it to their next ones
    returning: Tensor | None  # flow from that frame to the one before it
    forward: Tensor  # its state
    picture: Tensor  # of that frame
    motion_frames: tuple[FastFrame, ...]  # from the one before it on
    motion: FastCarry | None


@dataclasses.dataclass(frozen=True, eq=False)
class Beside:
    """The frame next to one of a pair, before the first or after the second."""

    rgb: Tensor  # (B, 3, H, W) float32
    flow: Tensor  # (B, 2, H, W) float32, to it from the frame of the pair


@dataclasses.dataclass(frozen=True, eq=False)
class LargePair(PairEncoding):
    """Two frames' pictures, and what tells of the motion between them; ``carry`` is a `LargeCarry`."""

    given: tuple[Tensor, Tensor]  # (B, 3, H, W) float32: the frames as they are
    frames: tuple[Tensor, Tensor]  # likewise, as the motion was found in them
    pictures: tuple[Tensor, Tensor]  # (B, 3, 4 H, 4 W) float32
    flows: tuple[Tensor, Tensor]  # (B, 2, H, W) float32, from the first to the second, and back
    beside: tuple[Beside | None, Beside | None]  # before the first, after the second
    motion: FastPair


class LargeVideoInr(GivenVideoInr[LargeFrame, LargePair, SampledInstant]):
    """The `videoinr-large` configuration."""

    halo_px = 32

    def __init__(self, config: LargeConfig) -> None:
        super().__init__()
        self.config: LargeConfig = config
        self.flow = SpyNet()
        self.backward_branch = Branch(config.channels, config.blocks)
        self.forward_branch = Branch(config.channels, config.blocks)
        self.upsampling = Upsampling(config.channels)
        self.motion = FastVideoInr(config.motion)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @property
    def compute_dtype(self) -> torch.dtype:  # both networks'
        return self.motion.compute_dtype

    @compute_dtype.setter
    def compute_dtype(self, dtype: torch.dtype) -> None:
        self.motion.compute_dtype = dtype

    def encode_frame(self, frame: Tensor) -> LargeFrame:
        height, width = frame.shape[-2:]
        return LargeFrame(height, width, frame.contiguous(memory_format=torch.channels_last))

    def encode_pair(
        self,
        first: LargeFrame,
        second: LargeFrame,
        *,
        before: LargeFrame | None = None,
        after: LargeFrame | None = None,
        carry: LargeCarry | None = None,
    ) -> LargePair:
        run = [frame for frame in (before, first, second, after) if frame is not None]
        return self.encode_pair_of(run, 0 if before is None else 1, carry=carry)

    def encode_pair_of(
        self, run: Sequence[LargeFrame], place: int, *, carry: LargeCarry | None = None
    ) -> LargePair:
        run = tuple(run)
        if carry is None or carry.run != run or carry.place != place:
            carry = self._begin(run, place)
        second = place + 1
        backward, onward = carry.backward[1:], carry.onward[1:]
        with self.mixed_precision():
            returning = self.flow(run[second].rgb, run[place].rgb)
            forward = self.forward_branch(run[second].rgb, carry.forward, returning)
            picture = self.upsampling(run[second].rgb, backward[0], forward)
        motion, motion_frames = self._motion(run, place, carry)
        seen = motion.motion
        height, width = run[place].height, run[place].width
        return LargePair(
            height,
            width,
            carry=LargeCarry(
                run,
                second,
                backward,
                onward,
                returning,
                forward,
                picture,
                motion_frames,
                motion.carry,
            ),
            given=(run[place].rgb, run[second].rgb),
            frames=(seen.first.rgb[..., :height, :width], seen.second.rgb[..., :height, :width]),
            pictures=(carry.picture, picture),
            flows=(carry.onward[0], returning),
            beside=(
                None if carry.returning is None else Beside(run[place - 1].rgb, carry.returning),
                Beside(run[second + 1].rgb, onward[0]) if onward else None,
            ),
            motion=motion,
        )

    def _begin(self, run: tuple[LargeFrame, ...], place: int) -> LargeCarry:
        """Return what the pair before would have left, had there been one."""
        backward: list[Tensor] = []
        onward: list[Tensor] = []
        state: Tensor | None = None
        with self.mixed_precision():
            for index in reversed(range(place, len(run))):
                flow = None if state is None else self.flow(run[index].rgb, run[index + 1].rgb)
                state = self.backward_branch(run[index].rgb, state, flow)
                backward.insert(0, state)
                if flow is not None:
                    onward.insert(0, flow)
            state = flow = None
            for index in range(place + 1):
                flow = None if state is None else self.flow(run[index].rgb, run[index - 1].rgb)
                state = self.forward_branch(run[index].rgb, state, flow)
            assert state is not None
            picture = self.upsampling(run[place].rgb, backward[0], state)
        return LargeCarry(run, place, tuple(backward), tuple(onward), flow, state, picture, (), None)

    def _motion(
        self, run: tuple[LargeFrame, ...], place: int, carry: LargeCarry
    ) -> tuple[FastPair, tuple[FastFrame, ...]]:
        """Return the small network's encoding of a pair, and of its frames and the one after them."""
        begin, end = max(0, place - 1), min(place + 3, len(run))
        known = carry.motion_frames
        frames = (*known, *(self.motion.encode_frame(frame.rgb) for frame in run[begin + len(known) : end]))
        pair = self.motion.encode_pair_of(frames, place - begin, carry=carry.motion)
        return pair, frames[place - begin :]

    def given_frames(self, pair: LargePair) -> tuple[Tensor, Tensor] | None:
        return pair.given

    def prepare_instant(
        self, pair: LargePair, tau: float | Tensor, size: tuple[int, int], window: Window, chunk_bytes: int
    ) -> SampledInstant:
        return SampledInstant.of(pair, pair.pictures, tau, size, lambda taus: self.motion_at(pair, taus))

    def query(self, instant: SampledInstant, window: Window) -> Tensor:
        return instant.query(window, ENLARGEMENT)

    def motion_at(self, pair: LargePair, tau: Tensor) -> Tensor:
        """Return the motion of instants, (B, 5 or 6, H, W) float32, as `TemporalField` does.

        Its flows are between two estimates: the small network's, and those along which the encoder hands on
        its states. They err in different ways, so that their mean is better than either; and where the
        frames, moved along one of them, disagree far more than along the other, it counts for little. Fast
        motion, for one, is often beyond the encoder's.

        Both are then corrected by the motion's acceleration, which the encoder's flows tell.

        Args:
            pair: of B pictures.
            tau: (B, 1, 1, 1).
        """
        with self.mixed_precision():
            motion = self.motion.temporal(pair.motion, tau)[..., : pair.height, : pair.width]
        onward, returning = pair.flows
        course = (1 - tau) * onward - tau * returning  # from the first frame to the second, at the instant
        handed = torch.cat(
            [tau * warp(returning, (1 - tau) * course), (1 - tau) * warp(onward, -tau * course)], dim=1
        )
        own = motion[:, :4]
        wrong, handed_wrong = (_disagreement(pair.frames, flows) for flows in (own, handed))
        flows = own + likelihood(handed_wrong, wrong) * (handed - own)
        if any(pair.beside):
            flows = flows + lead(tau, _acceleration(pair, flows)).repeat(1, 2, 1, 1)
        return torch.cat([flows, motion[:, 4:]], dim=1)

    def footprint(self) -> Footprint:
        """See `VideoInr.footprint`.

        What is kept is counted: the frames of a run, a state for each that is still to come, and what the
        small network keeps. So is what encoding a pair takes: that network, or a step of a branch.
        """
        config, motion = self.config, self.motion.footprint()
        state_bytes = config.channels * (4 if self.compute_dtype is torch.float32 else 2)
        ahead = config.run_pairs + 1 + config.context_frames
        picture_bytes = 4 * RGB * ENLARGEMENT**2
        return Footprint(
            kept=(ahead + config.context_frames) * (4 + 1) * RGB  # and on the host in bytes
            + (ahead + 1) * state_bytes
            + (ahead + 1) * 2 * 4  # flows
            + picture_bytes
            + motion.kept,
            encoding=picture_bytes + max(motion.encoding, 4 * state_bytes + 3 * 4 * config.channels),
            drawing=picture_bytes + motion.drawing,
            instant=0,
        )

    def effort(self) -> Effort:
        """See `VideoInr.effort`: processor time of one thread, float32, 64x48, a run of 16 pairs.

        A pair by itself takes a whole run; so does one that is encoded again, as only the next is prepared.
        What is done ahead, the states that come from later frames, is counted in multiplications.
        """
        return Effort(alone=1450, following=190, again=1410, instant=6, point=0.1, ahead=90)

    def query_bytes(self, pair: LargePair) -> int:
        return SAMPLE_BYTES * ENLARGEMENT**2 * pair.pictures[0].shape[0]


def _acceleration(pair: LargePair, flows: Tensor) -> Tensor:
    """Return the acceleration of what lies at an instant, (B, 2, H, W), see `told`.

    The encoder's flows lead astray where motion is fast. So a frame beside the pair counts as far as it is
    met with where they lead, rather than where steady motion would; and as well as the pair's frames agree.
    One of them alone is believed, too.

    Args:
        pair: of B pictures, with a frame beside it.
        flows: (B, 4, H, W), from the instant to both frames.
    """
    leading = flows.chunk(2, dim=1)
    moved = [warp(frame, flow) for frame, flow in zip(pair.frames, leading, strict=True)]
    fit = difference(moved[0], moved[1], AROUND_PX)
    said = []
    for here, flow, other, beside in zip(moved, leading, reversed(leading), pair.beside, strict=True):
        if beside is None:
            continue
        steady, found = 2 * flow - other, flow + warp(beside.flow, flow)
        wrong, found_wrong = (
            difference(here, warp(beside.rgb, there), AROUND_PX) for there in (steady, found)
        )
        share = likelihood(found_wrong, wrong)
        said.append(share * fit / (fit + found_wrong / 4) * averaged(found - steady, AROUND_PX))
    return agreed(flows, said, AROUND_PX)


def _disagreement(frames: tuple[Tensor, Tensor], flows: Tensor) -> Tensor:
    """Return how two (B, 3, H, W) frames differ where (B, 4, H, W) flows lead, see `difference`."""
    first, second = (warp(frame, flow) for frame, flow in zip(frames, flows.chunk(2, dim=1), strict=True))
    return difference(first, second, AROUND_PX)
