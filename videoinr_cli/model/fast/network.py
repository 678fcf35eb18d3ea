"""The `videoinr-fast` network: encoder, fields and decoder as one `VideoInr`.

A pair is encoded in three steps, and the next pair reuses the result of each: the features of one frame, the
motion between two consecutive frames, and a frame's view, which fuses it with the frames before and after it.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from videoinr_cli.model.acceleration import agreed, averaged, lead, told
from videoinr_cli.model.config import FastConfig
from videoinr_cli.model.coords import constants, instants, interpolate_along, pixel_positions
from videoinr_cli.model.fast.decoder import FastDecoder, sample_both, share_of_first
from videoinr_cli.model.fast.encoder import PYRAMID_STRIDE, FastEncoder, FastFrame, FastMotion
from videoinr_cli.model.fast.fields import FastPair, FastView, SpatialField, TemporalField
from videoinr_cli.model.fast.grain import as_in_first, grain_of
from videoinr_cli.model.fast.layers import RGB
from videoinr_cli.model.fast.levels import Levels
from videoinr_cli.model.fast.still import Sides, anywhere, borne_out, majority, stays
from videoinr_cli.model.flow import smooth_luma, upsample_flow, warp
from videoinr_cli.model.given import GivenVideoInr
from videoinr_cli.model.network import Effort, Footprint, Motion, Window

SMOOTH_PX, COMPARED_PX = 3, 5
"""Sides of the squares, at 1/2, over which accelerations are averaged and frames are compared."""


@dataclasses.dataclass(frozen=True, eq=False)
class FastCarry:
    """What the next pair reuses."""

    motions: tuple[FastMotion, ...]
    view: FastView  # of the second frame


@dataclasses.dataclass(frozen=True)
class FastInstant:
    """One instant of a pair: the temporal field's output, at the window's columns and all LR rows."""

    pair: FastPair
    motion: Tensor  # (B, 5 or 6, H, w), float32: see `TemporalField`
    grain: Tensor | None  # (B, 6, H, w), float32: see `grain_of`
    columns: Tensor  # (w,) float32: positions of the window's columns, in samples of the field
    tau: Tensor  # (B, 1, 1, 1)
    conditions: Tensor  # (B, 3) float32: see `FastDecoder`
    size: tuple[int, int]


class FastVideoInr(GivenVideoInr[FastFrame, FastPair, FastInstant]):
    """The `videoinr-fast` configuration."""

    halo_px = 32
    finer_below = 1.5

    def __init__(self, config: FastConfig) -> None:
        super().__init__()
        self.config: FastConfig = config
        self.encoder = FastEncoder(config)
        self.spatial = SpatialField(config)
        self.temporal = TemporalField(config)
        self.decoder = FastDecoder(config)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def encode_frame(self, frame: Tensor) -> FastFrame:
        height, width = frame.shape[-2:]
        padding = (0, -width % PYRAMID_STRIDE, 0, -height % PYRAMID_STRIDE)
        rgb = F.pad(frame, padding, mode="replicate").contiguous(memory_format=torch.channels_last)
        return self._encode(height, width, rgb)

    def _encode(self, height: int, width: int, rgb: Tensor) -> FastFrame:
        with self.mixed_precision():
            features, pyramid = self.encoder.frame(rgb)
        smooth = smooth_luma(rgb)
        return FastFrame(height, width, rgb, smooth, Levels.of(rgb, smooth), features, pyramid)

    def encode_pair(
        self,
        first: FastFrame,
        second: FastFrame,
        *,
        before: FastFrame | None = None,
        after: FastFrame | None = None,
        carry: FastCarry | None = None,
    ) -> FastPair:
        shown, common = (first.levels, second.levels), None
        given = (first.rgb, second.rgb)
        if not torch.is_grad_enabled():  # it is not trained with
            if shown[0].differ(shown[1]):
                common = shown[0].towards(shown[1], 0.5)
                first, second = self._levelled(first, second, common)
            before = None if before is None or before.levels.differ(first.levels) else before
            after = None if after is None or after.levels.differ(second.levels) else after
        with self.mixed_precision():
            motion = self._motion(first, second, carry)
            earlier = [] if before is None else [self._motion(before, first, carry)]
            later = [] if after is None else [self._motion(second, after, carry)]
            views = self._view(first, [*earlier, motion], carry), self._view(second, [motion, *later], carry)
            hidden_field = self.decoder.project(views[0].field, views[1].field)
            levels = torch.cat([first.pyramid[0], second.pyramid[0]])
            coarse_motion = self.temporal.coarse_features(torch.cat([levels, motion.hidden], dim=1))
            fine_motion = self.temporal.fine_features(torch.cat([view.features for view in views]))
            still = self._still(motion, views)
        return FastPair(
            first.height,
            first.width,
            carry=FastCarry((motion, *later), views[1]) if common is None else None,
            given=given,
            motion=motion,
            accelerations=self._accelerations(motion, [*earlier, *later]),
            field=hidden_field,
            rgb=torch.cat([view.rgb for view in views]),
            coarse_motion=coarse_motion,
            fine_motion=fine_motion,
            still=still,
            levels=None if common is None else (common, *shown),
        )

    @staticmethod
    def _accelerations(motion: FastMotion, beside: Sequence[FastMotion]) -> tuple[Tensor, Tensor] | None:
        """Return `FastPair.accelerations`; None in training, which is without.

        Args:
            motion: of the pair.
            beside: of the pairs before and after it.
        """
        if len(beside) < 2 or torch.is_grad_enabled():
            return None
        frames, flows = (motion.first, motion.second), motion.flow.chunk(2)
        found = []
        for frame, away, other in zip(frames, flows, beside, strict=True):
            neighbour, back = other.seen_from(frame)
            here, there = (F.avg_pool2d(seen.luma, 2) for seen in (frame, neighbour))
            found.append(told(here, there, away, back, COMPARED_PX))
        return found[0], found[1]

    def _levelled(self, first: FastFrame, second: FastFrame, common: Levels) -> tuple[FastFrame, FastFrame]:
        """Return frames that differ with common levels; one of them twice where the other shows nothing."""
        levelled = tuple(
            self._encode(frame.height, frame.width, frame.levels.moved(frame.rgb, common))
            for frame in (first, second)
            if not frame.levels.are_flat()
        )
        return levelled[0], levelled[-1]

    def _motion(self, first: FastFrame, second: FastFrame, carry: FastCarry | None) -> FastMotion:
        for known in carry.motions if carry else ():
            if known.first is first and known.second is second:
                return known
        return self.encoder.motion(first, second)

    def _view(self, frame: FastFrame, motions: Sequence[FastMotion], carry: FastCarry | None) -> FastView:
        beside = [motion.seen_from(frame) for motion in motions]
        neighbours = tuple(other for other, _ in beside)
        if carry and carry.view.frame is frame and carry.view.neighbours == neighbours:
            return carry.view
        features = self.encoder.fuse(frame, motions)
        field, rgb = self.spatial(features, frame.rgb)
        still = [part for part in (motion.still_in(frame) for motion in motions) if part is not None]
        layer: Tensor | None = None
        front: Tensor | None = None
        if still:
            layer = functools.reduce(torch.maximum, still)  # what comes or goes stands still beside one only
            if len(motions) == 2 and not torch.is_grad_enabled():  # it is not trained with
                sides = Sides.of(frame.rgb, [(other.rgb, flow) for other, flow in beside])
                layer, front = borne_out(layer, sides), stays(sides)
            layer = torch.sigmoid(layer)
        return FastView(frame, neighbours, field, rgb, features, layer, front)

    @staticmethod
    def _still(motion: FastMotion, views: tuple[FastView, FastView]) -> Tensor | None:
        """Return `FastPair.still`; None where nothing stands still, so that no instant looks for it."""
        layers = [torch.zeros_like(motion.frozen) if view.still is None else view.still for view in views]
        first, second = (view.stays for view in views)
        if first is not None and second is not None:
            front = majority(first & second)
            layers = [torch.where(front, 1.0, layer) for layer in layers]
        still = torch.cat([torch.cat([layer, motion.frozen], dim=1) for layer in layers])
        return still if torch.is_grad_enabled() or anywhere(still > 0.5) else None

    def motion_of(self, pair: FastPair) -> Motion:
        return _said(pair.motion)

    def motion_between(self, first: FastFrame, second: FastFrame) -> Motion:
        with self.mixed_precision():
            return _said(self.encoder.motion(first, second))

    def given_frames(self, pair: FastPair) -> tuple[Tensor, Tensor] | None:
        return None if self.config.restores else pair.given

    def motion_at(self, pair: FastPair, tau: Tensor) -> Tensor:
        with self.mixed_precision():
            motion: Tensor = self.temporal(pair, tau)
        if pair.accelerations is None:
            return motion
        flows = F.avg_pool2d(motion[:, :4], 2) / 2  # at 1/2, in pixels there
        said = [
            averaged(warp(one, flow), SMOOTH_PX)
            for one, flow in zip(pair.accelerations, flows.chunk(2, dim=1), strict=True)
        ]
        accelerating = agreed(flows, said, SMOOTH_PX)
        farther = upsample_flow(lead(tau, accelerating)).repeat(1, 2, 1, 1)
        return torch.cat([motion[:, :4] + farther, motion[:, 4:]], dim=1)

    def prepare_instant(
        self, pair: FastPair, tau: float | Tensor, size: tuple[int, int], window: Window, chunk_bytes: int
    ) -> FastInstant:
        batch = pair.rgb.shape[0] // 2
        is_given = not isinstance(tau, Tensor) and tau in (0, 1)
        tau = instants(tau, batch, pair.rgb.device).view(-1, 1, 1, 1)
        motion = self.motion_at(pair, tau)
        grain = None
        if not is_given and not torch.is_grad_enabled():  # it is not trained with
            grain = grain_of(pair.motion.first, pair.motion.second, motion, tau)
        x = _positions(pair, window.left, window.right, size, 1)
        motion = interpolate_along(motion, x, dim=3)  # first: access is strided, and LR rows few
        grain = None if grain is None else interpolate_along(grain, x, dim=3)
        enlargements = (big / small for big, small in zip(size, pair.whole, strict=True))
        scales = tuple(math.log2(min(scale, self.config.scale_limit)) for scale in enlargements)
        conditions = torch.cat([tau[:, :, 0, 0], constants(scales, tau.device).expand(batch, 2)], dim=1)
        return FastInstant(pair, motion, grain, self._in_field(x), tau, conditions, size)

    def query(self, instant: FastInstant, window: Window) -> Tensor:
        pair = instant.pair
        y = _positions(pair, window.top, window.bottom, instant.size, 0)
        motion = interpolate_along(instant.motion, y, dim=2)
        u = self.config.field_upsample
        flows, share0, later = motion[:, :4], share_of_first(motion, instant.tau), None
        if instant.grain is not None:
            grain = interpolate_along(instant.grain, y, dim=2)
            flows, share0, later = as_in_first(grain, flows, share0, instant.tau)
        still = None
        if pair.still is not None and anywhere(stands := motion[:, 5:] > 0.5):
            still = stands
            flows = flows * ~still
        # sampled positions, (B, 2, h, w), in samples of the first and of the second frame's field
        target_x = torch.add(instant.columns, flows[:, 0::2], alpha=u)
        target_y = torch.add(self._in_field(y)[:, None], flows[:, 1::2], alpha=u)
        blend, sampled = sample_both(pair, target_y, target_x, share0)
        targets = torch.cat([target_x, target_y], dim=1)
        if still is not None:  # it looks the same all the time: decoded halfway, whatever tau is
            share0 = torch.where(still, torch.sigmoid(motion[:, 4:5]), share0)
            halfway = 0.5 - instant.tau
            later = halfway * still if later is None else torch.where(still, halfway, later)
        with self.mixed_precision():
            residual = self.decoder(sampled.flatten(1, 2), targets, share0, instant.conditions, later)
        rgb: Tensor = blend[..., :RGB] + residual
        if instant.grain is not None:
            rgb += (grain[:, :1] * grain[:, 1 : 1 + RGB]).permute(0, 2, 3, 1)
        if anywhere(flat := blend[..., RGB:] == 0):
            rgb = torch.where(flat, blend[..., :RGB], rgb)
        rgb = rgb.permute(0, 3, 1, 2)
        if pair.levels is not None:
            common, first, second = pair.levels
            rgb = common.moved(rgb, first.towards(second, instant.tau))
        return rgb

    def _in_field(self, position: Tensor) -> Tensor:
        """Turn positions in LR pixels into those in samples of the field."""
        return (position + 0.5) * self.config.field_upsample - 0.5

    def footprint(self) -> Footprint:
        """See `VideoInr.footprint`.

        Encodings are counted, and measure the same (2.1 KB per pixel kept and 1.3 KB in a pair, embedded
        weights, float32). Temporaries are measured in the process's resident memory on a CPU: 4.7 KB in
        addition while a pair is encoded, 0.6 KB for the temporal field at LR.
        """
        config, fine = self.config, self.config.field_upsample**2
        frame = RGB + 1 + config.channels + config.pyramid_channels / 3  # 1/4 and 1/16 and so on
        motion = 2 * 2 / 3 + 2 * config.pyramid_channels / 4 + 3
        view = (config.field_channels + 4) * fine + config.channels + 2
        pair = 2 * (config.decoder_channels + 4) * fine + 1.5 * config.motion_channels + 4
        # half precision halves about half of it: flows, colours and sums stay float32
        float_bytes = 4 if self.compute_dtype is torch.float32 else 3
        return Footprint(
            kept=round(float_bytes * (4 * frame + 2 * motion + view)),
            encoding=round(float_bytes * 3.8 * pair),
            drawing=round(float_bytes * 1.7 * pair) + 4 * (2 * RGB + 1),  # `lost`, and accelerations at 1/2
            instant=0,
        )

    def effort(self) -> Effort:
        """See `VideoInr.effort`: processor time of one thread, float32, 320x192, at x1, x2 and x4."""
        return Effort(alone=46, following=19, again=17, instant=1.3, point=0.42)

    def query_bytes(self, pair: FastPair) -> int:
        hidden = 2 * self.config.decoder_channels  # layer 1, in place in the sampled sum; layer 2
        return pair.rgb.shape[0] // 2 * (hidden * pair.field.element_size() + 128 * 4)  # and taps, places


def telling_still(network: FastVideoInr) -> FastVideoInr:
    """Return a network, with an untrained part that tells what stands still if it has none.

    Untrained, it says that nothing does, see `UNLIKELY`.
    """
    if network.config.still_channels:
        return network
    config = dataclasses.replace(network.config, still_channels=FastConfig.still_channels)
    more = FastVideoInr(config)
    more.load_state_dict(network.state_dict(), strict=False)
    more.compute_dtype = network.compute_dtype
    return more.to(network.device)


def _said(motion: FastMotion) -> Motion:
    return Motion((motion.flow, *motion.coarse_flows), motion.still)


def _positions(pair: FastPair, start: int, stop: int, size: tuple[int, int], axis: int) -> Tensor:
    """Return where output pixels `start` to `stop` of an axis lie in the pair, in LR pixels."""
    positions = pixel_positions(start, stop, size[axis], pair.whole[axis], device=pair.rgb.device)
    return positions - pair.origin[axis]
