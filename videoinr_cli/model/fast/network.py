"""VideoINR made small: everything that sees a neighbourhood runs at LR, a query only gathers and decodes.

A pair is encoded in three steps, each of which the next pair can take over: what a frame shows by itself, the
motion between two consecutive frames, and a frame's view, which fuses it with the frames before and after it.
What the paper's equations name is here: the encoder, a spatial field that has a feature at any point (eq. 2),
a temporal network that has a flow at any point and instant (eq. 3), backward warping of the feature by that
flow (eq. 4) and a decoder to RGB. Knows nothing of files or time stamps.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from videoinr_cli.model.config import FastConfig
from videoinr_cli.model.coords import (
    Taps,
    bilinear_corners,
    gather,
    interleaved,
    pixel_positions,
)
from videoinr_cli.model.flow import compare, refine_flow, smooth_luma, upsample_flow, warp
from videoinr_cli.model.network import Encoding, Footprint, PairEncoding, VideoInr, Window

PYRAMID_STRIDE = 8
"""Frames are padded to a multiple of this, and on the levels above it the last row and column may stand for
fewer pixels."""

POOLED_LEVELS = 3
"""Of the pyramid, above 1/8: motion is first estimated at 1/64 of the LR size."""

COARSE_REACH = 3
"""How far around each point frames are compared from 1/64 to 1/4, in pixels there: 192 to 12 at LR."""

SMALLEST_EVIDENCE = 1e-3
"""Below it what two frames say is faded out instead of being weighed."""

RGB = 3
MOTION = 5
"""Two flows of (dx, dy) and the logit of the blend."""


@dataclasses.dataclass(frozen=True, eq=False)
class FastFrame(Encoding):
    """What depends on one frame alone; H and W are padded to a multiple of `PYRAMID_STRIDE`."""

    rgb: Tensor  # (B, 3, H, W)
    luma: Tensor  # (B, 1, H, W), see `smooth_luma`
    features: Tensor  # (B, C, H, W)
    pyramid: tuple[Tensor, ...]  # (B, P, H / 2, W / 2), then 1/4 and so on to 1/64


@dataclasses.dataclass(frozen=True, eq=False)
class FastMotion:
    """The motion between two consecutive frames; the first B of a batch of 2B belong to the first of them."""

    first: FastFrame
    second: FastFrame
    flow: Tensor  # (2B, 2, H / 2, W / 2), float32, (dx, dy) in pixels of that grid: to the other frame
    coarse_flows: tuple[Tensor, ...]  # from 1/4 to 1/64, in pixels of each grid: what it was refined from
    hidden: Tensor  # (2B, P, H / 2, W / 2): the features it was read from

    def seen_from(self, frame: FastFrame) -> tuple[FastFrame, Tensor]:
        """Return the other frame, and the flow to it."""
        to_second, to_first = self.flow.chunk(2)
        return (self.second, to_second) if frame is self.first else (self.first, to_first)


@dataclasses.dataclass(frozen=True, eq=False)
class FastView:
    """A frame fused with those beside it: the spatial field, u samples per LR pixel."""

    frame: FastFrame
    beside: tuple[FastFrame, ...]  # one or two
    field: Tensor  # (B, F, u H, u W), RGB first
    rgb: Tensor  # (B, u H, u W, 4), float32: the field's RGB, exactly, and a channel of zeros
    features: Tensor  # (B, C, H, W)


@dataclasses.dataclass(frozen=True, eq=False)
class FastCarry:
    """What the next pair can take over."""

    motions: tuple[FastMotion, ...]
    view: FastView  # of the second frame


@dataclasses.dataclass(frozen=True, eq=False)
class FastPair(PairEncoding):
    """Two views, made ready for the decoder; the first B of a batch of 2B belong to the first frame.

    ``carry`` is a `FastCarry`.
    """

    field: Tensor  # (2B, u H, u W, D): the spatial field as the decoder sums it up, see `Decoder`
    rgb: Tensor  # (2B, u H, u W, 4), float32: RGB and a channel of zeros
    flow: Tensor  # (2B, 2, H / 2, W / 2), float32: see `FastMotion`
    coarse_flows: tuple[Tensor, ...]  # likewise
    coarse_motion: Tensor  # (2B, M, H / 2, W / 2): features for the flow of an instant
    fine_motion: Tensor  # (2B, M / 2, H, W): the same at full LR resolution


@dataclasses.dataclass(frozen=True)
class FastInstant:
    """One instant of a pair: the temporal network's answer, at the window's columns and all LR rows."""

    pair: FastPair
    motion: Tensor  # (B, 5, H, w), float32: flows to both frames in LR pixels, logit of the blend
    columns: Tensor  # (w,) float32: where the window's columns lie, in samples of the field
    tau: Tensor  # (B, 1, 1, 1)
    conditions: Tensor  # (B, 3) float32: see `Decoder`
    size: tuple[int, int]


class ResidualBlock(nn.Module):
    """x + conv(relu(conv(x))), without normalisation, as in EDSR (Lim et al., 2017)."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, hidden, 3, padding=1)
        self.conv2 = _start_small(nn.Conv2d(hidden, channels, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        residual: Tensor = self.conv2(F.relu(self.conv1(x)))
        return x + residual


class FlowEstimator(nn.Module):
    """Refine the flow to the other frame at one level of the pyramid, by warping (as SPyNet does).

    Args:
        reach: how far around each point the other frame is compared with it, in pixels of this level (the
            cost volume of PWC-Net); 0: it is not.
    """

    def __init__(self, channels: int, reach: int = 0) -> None:
        super().__init__()
        self.reach = reach
        compared = (2 * reach + 1) ** 2 if reach else 0
        self.layers = nn.Sequential(
            nn.Conv2d(2 * channels + 2 + compared, channels, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.ReLU(),
        )
        self.flow = _start_small(nn.Conv2d(channels, 2, 3, padding=1))

    def forward(self, here: Tensor, there: Tensor, flow: Tensor) -> tuple[Tensor, Tensor]:
        """Return the refined flow, (B, 2, h, w) float32, and the features it was read from, (B, P, h, w)."""
        there = warp(there, flow)
        compared = [compare(here, there, self.reach)] if self.reach else []
        hidden = self.layers(_concatenate(here, there, flow, *compared))
        return flow + self.flow(hidden).float(), hidden


class Encoder(nn.Module):
    """Features of one frame, the motion between two, features fused along it."""

    def __init__(self, config: FastConfig) -> None:
        super().__init__()
        channels, levels = config.channels, config.pyramid_channels
        self.stem = nn.Conv2d(RGB, channels, 3, padding=1)
        self.frame_trunk = nn.Sequential(
            *(ResidualBlock(channels, config.frame_block_channels) for _ in range(config.frame_blocks))
        )
        self.pyramid = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(channels if level == 0 else levels, levels, 4, stride=2, padding=1),
                nn.ReLU(),
                nn.Conv2d(levels, levels, 3, padding=1),
                nn.ReLU(),
            )
            for level in range(3)
        )
        reaches = (0, COARSE_REACH, COARSE_REACH)  # at 1/2, at 1/4, and from 1/8 on
        self.flow_estimators = nn.ModuleList(FlowEstimator(levels, reach) for reach in reaches)
        self.fusion = nn.Conv2d(2 * channels, channels, 3, padding=1)
        self.phase = nn.Conv2d(4, channels, 3, padding=1, bias=False)
        nn.init.zeros_(self.phase.weight)
        self.fused_trunk = nn.Sequential(
            *(ResidualBlock(channels, channels) for _ in range(config.fused_blocks))
        )

    def frame(self, rgb: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return (B, C, H, W) features and their pyramid for (B, 3, H, W) RGB."""
        features = self.frame_trunk(F.relu(self.stem(rgb - 0.5)))
        levels = [features]
        for reduce in self.pyramid:
            levels.append(reduce(levels[-1]))
        for _ in range(POOLED_LEVELS):
            levels.append(F.avg_pool2d(levels[-1], 2, ceil_mode=True))
        return features, tuple(levels[1:])

    def motion(self, first: FastFrame, second: FastFrame) -> FastMotion:
        """Estimate the motion between two frames, both ways at once, from coarse to fine."""
        coarsest = first.pyramid[-1]
        flow = coarsest.new_zeros(2 * coarsest.shape[0], 2, *coarsest.shape[2:], dtype=torch.float32)
        flows: list[Tensor] = []
        for level in reversed(range(len(first.pyramid))):
            here, there = _both_sides(first.pyramid[level], second.pyramid[level])
            if flows:
                flow = upsample_flow(flow)[..., : here.shape[2], : here.shape[3]]
            # pooled levels are as the one below them seen from afar: one estimator serves all of these
            estimator = self.flow_estimators[min(level, len(self.flow_estimators) - 1)]
            flow, hidden = estimator(here, there, flow)
            flows.insert(0, flow)
        with torch.no_grad():
            refined = refine_flow(*_both_sides(first.luma, second.luma), flow)
        # for gradients as if nothing had been refined: a solution hardly depends on where it was looked for
        flow = flow + (refined - flow).detach() if flow.requires_grad else refined
        return FastMotion(first, second, flow, tuple(flows[1:]), hidden)

    def fuse(self, frame: FastFrame, motions: Sequence[FastMotion]) -> Tensor:
        """Return a frame's features, (B, C, H, W), fused with those of the frames that `motions` lead to.

        Bilinear sampling smooths, most halfway between pixels, so it is told where that was (the positional
        encoding of Xu et al., CVPR 2024, added to what was sampled instead of replacing it).
        """
        channels = frame.features.shape[1]
        bias = self.fusion.bias
        here = F.conv2d(frame.features, self.fusion.weight[:, :channels], bias, padding=1)
        fused = []
        for other, flow in (motion.seen_from(frame) for motion in motions):
            flow = upsample_flow(flow)
            there = F.conv2d(warp(other.features, flow), self.fusion.weight[:, channels:], padding=1)
            angle = flow * (2 * math.pi)
            place = torch.cat([torch.sin(angle), torch.cos(angle)], dim=1)
            phase = self.phase(place.contiguous(memory_format=torch.channels_last))
            fused.append(F.relu((here + there).add_(phase), inplace=True))
        # of two, a contraharmonic mean: what has much to say is not silenced by what has little, and what one
        # frame beside it is worth does not depend on whether there is another
        evidence = fused[0]
        if len(fused) == 2:
            total = (fused[0] + fused[1]).clamp_(min=SMALLEST_EVIDENCE)
            evidence = (fused[0].square() + fused[1].square()) / total
        features: Tensor = self.fused_trunk(frame.features + evidence)
        return features


class SpatialField(nn.Module):
    """A feature at any point of one frame: bilinear in a table finer than the frame (eq. 2 of the paper).

    Bilinear interpolation makes the field continuous, so that no grid shows at any scale; its first three
    channels are RGB, a residual over bicubic enlargement.
    """

    def __init__(self, config: FastConfig) -> None:
        super().__init__()
        self.upsample = config.field_upsample
        self.layer = _start_small(
            nn.Conv2d(config.channels, config.field_channels * self.upsample**2, 3, padding=1)
        )

    def forward(self, features: Tensor, rgb: Tensor) -> tuple[Tensor, Tensor]:
        """Return the field's table for (B, C, H, W) features and (B, 3, H, W) RGB.

        Returns:
            The (B, F, u H, u W) table in the type convolutions run in, and its RGB in float32,
            (B, u H, u W, 4): four floats are read as fast as three.
        """
        table = F.pixel_shuffle(self.layer(features), self.upsample)
        # antialias only selects the kernel with a = -0.5 here (a = -0.75 without): enlarging needs no filter
        enlarged = F.interpolate(rgb, scale_factor=self.upsample, mode="bicubic", antialias=True)
        exact = table[:, :RGB].float() + enlarged
        table[:, :RGB] = exact
        return table, F.pad(exact.permute(0, 2, 3, 1), (0, 1))


class TemporalField(nn.Module):
    """The flows from any instant back to both frames (eq. 3 of the paper), computed at LR.

    A first guess comes from the flows between the frames under constant velocity (Super SloMo, Jiang et al.
    2018, eq. 4), and is refined twice along itself. The flow to the first frame is a multiple of tau and that
    to the second one of 1 - tau, so a given frame is never displaced.
    """

    def __init__(self, config: FastConfig) -> None:
        super().__init__()
        levels, coarse, fine = config.pyramid_channels, config.motion_channels, config.motion_channels // 2
        self.coarse_features = nn.Conv2d(2 * levels, coarse, 1)
        self.fine_features = nn.Conv2d(config.channels, fine, 1)
        self.coarse = nn.Sequential(
            nn.Conv2d(2 * coarse + MOTION + 1, levels, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(levels, levels, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(levels, levels, 3, padding=1),
            nn.ReLU(),
            _start_small(nn.Conv2d(levels, MOTION, 3, padding=1)),
        )
        self.fine = nn.Sequential(
            nn.Conv2d(2 * fine + MOTION + 1, coarse, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(coarse, coarse, 3, padding=1),
            nn.ReLU(),
            _start_small(nn.Conv2d(coarse, MOTION, 3, padding=1)),
        )

    def forward(self, pair: FastPair, tau: Tensor) -> Tensor:
        """Return (B, 5, H, W) float32: flows to both frames in LR pixels and the blend's logit."""
        forward_flow, backward_flow = pair.flow.chunk(2)
        velocity0 = tau * backward_flow - (1 - tau) * forward_flow
        velocity1 = (1 - tau) * forward_flow - tau * backward_flow
        motion = torch.cat([velocity0, velocity1, torch.zeros_like(velocity0[:, :1])], dim=1)
        motion = self._refine(self.coarse, pair.coarse_motion, motion, tau)
        motion = F.interpolate(motion, scale_factor=2, mode="bilinear", align_corners=False)
        motion = motion * motion.new_tensor([2, 2, 2, 2, 1]).view(1, MOTION, 1, 1)  # velocities in LR pixels
        motion = self._refine(self.fine, pair.fine_motion, motion, tau)
        return _along(motion, tau)

    @staticmethod
    def _refine(layers: nn.Module, features: Tensor, motion: Tensor, tau: Tensor) -> Tensor:
        """Add what `layers` read from both sides' features, warped to the instant along `motion`."""
        first, second = features.chunk(2)
        flow = _along(motion, tau)
        warped = [warp(first, flow[:, 0:2]), warp(second, flow[:, 2:4])]
        correction: Tensor = layers(_concatenate(*warped, motion, tau.expand_as(motion[:, :1])))
        return motion + correction.float()


class Decoder(nn.Module):
    """RGB from the fields of both frames where the flows lead (the paper's decoder, after eq. 4).

    A blend of both frames' RGB plus a residual; pointwise, so that any point can be decoded alone. Sampling
    is linear, so the first layer is applied to the fields before they are sampled: once per pair, on fewer
    points than any enlargement has, instead of once per instant.
    """

    CONDITIONS = 3  # tau, log2 of the scale along y and x
    PLACES = 9  # sine, then cosine, of both targets' phase in the table, along x and y; the blend's share

    def __init__(self, config: FastConfig) -> None:
        super().__init__()
        hidden = config.decoder_channels
        self.conditions = nn.Linear(self.CONDITIONS, hidden, bias=False)
        self.layer1 = nn.Conv2d(2 * config.field_channels + self.PLACES, hidden, 1)
        self.layer2 = nn.Conv2d(hidden, hidden, 1)
        self.layer3 = _start_small(nn.Conv2d(hidden, RGB, 1))

    def project(self, first: Tensor, second: Tensor) -> Tensor:
        """Apply the first layer to both frames' fields.

        Args:
            first, second: (B, F, h, w), RGB first.

        Returns:
            (2B, h, w, D): each frame's part of the hidden units' sums, the first frame's B first.
        """
        batch, channels, height, width = first.shape
        hidden = first.new_empty(2 * batch, height, width, self.layer1.out_channels)
        # one side after the other into its place: this is where a pair's encoding takes most memory
        for number, side in enumerate((first, second)):
            weight = self.layer1.weight[:, number * channels : (number + 1) * channels]
            hidden[number * batch : (number + 1) * batch] = F.conv2d(side, weight).permute(0, 2, 3, 1)
        return hidden

    def forward(self, sampled: Tensor, targets: Tensor, share0: Tensor, conditions: Tensor) -> Tensor:
        """Return the (B, h, w, 3) residual, float32.

        Args:
            sampled: (B, Q, D), the sum of both frames' projected fields where the flows lead; overwritten.
            targets: (B, 4, h, w) float32, where that is, in samples of the field: x in the first and in the
                second frame's, y likewise; h times w is Q.
            share0: (B, 1, h, w) float32, the first frame's share of the blend.
            conditions: (B, 3) float32: tau, log2 of the scale along y and x.
        """
        dtype = sampled.dtype
        phases = targets * (2 * math.pi)
        places = [torch.sin(phases), torch.cos(phases), share0, torch.ones_like(share0)]
        planes = [plane for place in places for plane in place.to(dtype).flatten(2).unbind(1)]
        weight = self.layer1.weight[:, -self.PLACES :, 0, 0].t().expand(len(sampled), -1, -1)
        constant = F.linear(conditions, self.conditions.weight, self.layer1.bias)  # (B, D)
        weights = torch.cat([weight.to(dtype), constant[:, None].to(dtype)], dim=1)
        # in place but where gradients are wanted: there it would be on a view, whose gradient is copied twice
        add_product = sampled.baddbmm if torch.is_grad_enabled() else sampled.baddbmm_
        hidden = F.relu(add_product(interleaved(planes), weights), inplace=True)
        # as a picture: 1x1 convolutions are faster than the same matrix products on a CPU
        hidden = hidden.view(len(hidden), *targets.shape[2:], -1).permute(0, 3, 1, 2)
        hidden = F.relu(self.layer2(hidden), inplace=True)
        residual: Tensor = self.layer3(hidden).float()
        return residual.permute(0, 2, 3, 1)


class FastVideoInr(VideoInr[FastFrame, FastPair, FastInstant]):
    """The `videoinr-fast` configuration."""

    halo_px = 32
    finer_below = 1.5

    def __init__(self, config: FastConfig) -> None:
        super().__init__()
        self.config: FastConfig = config
        self.encoder = Encoder(config)
        self.spatial = SpatialField(config)
        self.temporal = TemporalField(config)
        self.decoder = Decoder(config)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def encode_frame(self, frame: Tensor) -> FastFrame:
        height, width = frame.shape[-2:]
        padding = (0, -width % PYRAMID_STRIDE, 0, -height % PYRAMID_STRIDE)
        rgb = F.pad(frame, padding, mode="replicate").contiguous(memory_format=torch.channels_last)
        with self.mixed_precision():
            features, pyramid = self.encoder.frame(rgb)
        return FastFrame(height, width, rgb, smooth_luma(rgb), features, pyramid)

    def encode_pair(
        self,
        first: FastFrame,
        second: FastFrame,
        *,
        before: FastFrame | None = None,
        after: FastFrame | None = None,
        carry: FastCarry | None = None,
    ) -> FastPair:
        with self.mixed_precision():
            motion = self._motion(first, second, carry)
            earlier = [] if before is None else [self._motion(before, first, carry)]
            later = [] if after is None else [self._motion(second, after, carry)]
            views = self._view(first, [*earlier, motion], carry), self._view(second, [motion, *later], carry)
            hidden_field = self.decoder.project(views[0].field, views[1].field)
            levels = torch.cat([first.pyramid[0], second.pyramid[0]])
            coarse_motion = self.temporal.coarse_features(torch.cat([levels, motion.hidden], dim=1))
            fine_motion = self.temporal.fine_features(torch.cat([view.features for view in views]))
        return FastPair(
            first.height,
            first.width,
            carry=FastCarry((motion, *later), views[1]),
            field=hidden_field,
            rgb=torch.cat([view.rgb for view in views]),
            flow=motion.flow,
            coarse_flows=motion.coarse_flows,
            coarse_motion=coarse_motion,
            fine_motion=fine_motion,
        )

    def _motion(self, first: FastFrame, second: FastFrame, carry: FastCarry | None) -> FastMotion:
        for known in carry.motions if carry else ():
            if known.first is first and known.second is second:
                return known
        return self.encoder.motion(first, second)

    def _view(self, frame: FastFrame, motions: Sequence[FastMotion], carry: FastCarry | None) -> FastView:
        beside = tuple(motion.seen_from(frame)[0] for motion in motions)
        if carry and carry.view.frame is frame and carry.view.beside == beside:
            return carry.view
        features = self.encoder.fuse(frame, motions)
        field, rgb = self.spatial(features, frame.rgb)
        return FastView(frame, beside, field, rgb, features)

    def flows_of(self, pair: FastPair) -> Sequence[Tensor]:
        return pair.flow, *pair.coarse_flows

    def flows_between(self, first: FastFrame, second: FastFrame) -> Sequence[Tensor]:
        with self.mixed_precision():
            motion = self.encoder.motion(first, second)
        return motion.flow, *motion.coarse_flows

    def prepare_instant(
        self, pair: FastPair, tau: float | Tensor, size: tuple[int, int], window: Window, chunk_bytes: int
    ) -> FastInstant:
        batch = pair.rgb.shape[0] // 2
        tau = (
            torch.as_tensor(tau, dtype=torch.float32, device=pair.rgb.device).expand(batch).view(-1, 1, 1, 1)
        )
        with self.mixed_precision():
            motion = self.temporal(pair, tau)
        x = _positions(pair, window.left, window.right, size, 1)
        motion = _interpolate(motion, x, dim=3)  # columns are a stride apart: they are done on few rows
        enlargements = (big / small for big, small in zip(size, pair.whole, strict=True))
        scales = [math.log2(min(scale, self.config.scale_limit)) for scale in enlargements]
        conditions = torch.cat([tau[:, :, 0, 0], tau.new_tensor([scales]).expand(batch, 2)], dim=1)
        return FastInstant(pair, motion, self._in_field(x), tau, conditions, size)

    def query(self, instant: FastInstant, window: Window) -> Tensor:
        pair = instant.pair
        y = _positions(pair, window.top, window.bottom, instant.size, 0)
        motion = _interpolate(instant.motion, y, dim=2)
        # where the flows lead, (B, 2, h, w), in samples of the first and of the second frame's field
        u = self.config.field_upsample
        target_x = torch.add(instant.columns, motion[:, 0:4:2], alpha=u)
        target_y = torch.add(self._in_field(y)[:, None], motion[:, 1:4:2], alpha=u)
        # by time and by the network; exactly 1 at tau = 0 and 0 at tau = 1
        share0 = torch.sigmoid(motion[:, 4:] + torch.logit(1 - instant.tau))
        blend, sampled = _sample_both(pair, target_y, target_x, share0)
        targets = torch.cat([target_x, target_y], dim=1)
        with self.mixed_precision():
            residual = self.decoder(sampled.flatten(1, 2), targets, share0, instant.conditions)
        rgb: Tensor = blend[..., :RGB] + residual
        return rgb.permute(0, 3, 1, 2)

    def _in_field(self, position: Tensor) -> Tensor:
        """Turn positions in LR pixels into those in samples of the field."""
        return (position + 0.5) * self.config.field_upsample - 0.5

    def footprint(self) -> Footprint:
        """See `VideoInr.footprint`.

        What is kept and what a pair holds is counted, and measures the same (2.1 and 1.3 KB per pixel as
        embedded, float32). Temporaries are measured in the process's resident memory on a CPU: while a pair
        is encoded, 4.7 KB beyond what is kept; the temporal network at LR, 0.6 KB.
        """
        config, fine = self.config, self.config.field_upsample**2
        frame = RGB + 1 + config.channels + config.pyramid_channels / 3  # 1/4 and 1/16 and so on
        motion = 2 * 2 / 3 + 2 * config.pyramid_channels / 4
        view = (config.field_channels + 4) * fine + config.channels
        pair = 2 * (config.decoder_channels + 4) * fine + 1.5 * config.motion_channels
        # in half precision, about half of it: the rest are flows, colours and what sums them up
        float_bytes = 4 if self.compute_dtype is torch.float32 else 3
        return Footprint(
            kept=round(float_bytes * (4 * frame + 2 * motion + view)),
            encoding=round(float_bytes * 3.8 * pair),
            drawing=round(float_bytes * 1.7 * pair),
            instant=0,
        )

    def query_bytes(self, pair: FastPair) -> int:
        hidden = 2 * self.config.decoder_channels  # the sum of both sides, which layer 1 overwrites; layer 2
        return pair.rgb.shape[0] // 2 * (hidden * pair.field.element_size() + 128 * 4)  # and taps, places


def _sample_both(pair: FastPair, y: Tensor, x: Tensor, share0: Tensor) -> tuple[Tensor, Tensor]:
    """Sample both frames' fields where the flows lead.

    Args:
        y, x: (B, 2, h, w) positions in samples of the first and of the second frame's field.
        share0: (B, 1, h, w), the first frame's share of the blend.

    Returns:
        The blend of both frames' RGB, (B, h, w, 4) with one channel of zeros, and the sum of their projected
        fields, (B, h, w, D).
    """
    batch, rows, columns = len(y), *pair.rgb.shape[1:3]
    # the gradients of what is sampled are summed in float32
    field = pair.field.float() if torch.is_grad_enabled() else pair.field
    index: list[Tensor] = []  # four pixels of each frame, so that both are read and summed in one go
    weight: list[Tensor] = []
    weight_in_blend: list[Tensor] = []
    for side, share in enumerate((share0[:, 0], 1 - share0[:, 0])):
        picture = torch.arange(batch, device=y.device).view(-1, 1, 1) + side * batch
        corners = bilinear_corners(y[:, side], x[:, side], rows, columns, "border", picture=picture)
        index += corners.index
        weight += [part.to(field.dtype) for part in corners.weight]
        weight_in_blend += [part * share for part in corners.weight]
    both = interleaved(index).view(-1, 8)
    blend = gather(pair.rgb, Taps(both, interleaved(weight_in_blend).view(-1, 8)))
    sampled = gather(field, Taps(both, interleaved(weight).view(-1, 8))).to(pair.field.dtype)
    return blend.view(*y[:, 0].shape, -1), sampled.view(*y[:, 0].shape, -1)


def _positions(pair: FastPair, start: int, stop: int, size: tuple[int, int], axis: int) -> Tensor:
    """Return where output pixels `start` to `stop` of an axis lie in the pair, in LR pixels."""
    positions = pixel_positions(start, stop, size[axis], pair.whole[axis], device=pair.rgb.device)
    return positions - pair.origin[axis]


def _interpolate(table: Tensor, position: Tensor, dim: int) -> Tensor:
    """Interpolate a (B, C, H, W) table along one dimension at (n,) pixel positions, borders held."""
    position = position.clamp(0, table.shape[dim] - 1)
    low = position.floor()
    fraction = (position - low).view([-1 if d == dim else 1 for d in range(table.ndim)])
    low_index = low.long()
    high_index = (low_index + 1).clamp(max=table.shape[dim] - 1)
    return torch.lerp(table.index_select(dim, low_index), table.index_select(dim, high_index), fraction)


def _along(motion: Tensor, tau: Tensor) -> Tensor:
    """Turn velocities (per unit of time) into flows from the instant: times tau, and times 1 - tau."""
    return torch.cat([motion[:, :2] * tau, motion[:, 2:4] * (1 - tau), motion[:, 4:]], dim=1)


def _both_sides(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    return torch.cat([first, second]), torch.cat([second, first])


def _concatenate(features: Tensor, *others: Tensor) -> Tensor:
    """Concatenate channels, all in the type of the first: the layer that reads them computes in it anyway.

    And all channels_last: a single part that is not would make the whole of them NCHW, which is slow to read.
    """
    alike = (other.to(features.dtype, memory_format=torch.channels_last) for other in others)
    return torch.cat([features, *alike], dim=1)


def _start_small(layer: nn.Conv2d) -> nn.Conv2d:
    """Start a layer whose output is added to something at a tenth, so that training starts near the sum."""
    with torch.no_grad():
        layer.weight.mul_(0.1)
        assert layer.bias is not None
        layer.bias.zero_()
    return layer
