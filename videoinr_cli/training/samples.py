"""Draw training batches: LR pairs with the frames around them, and HR pictures of instants within each pair.

A batch is a pure function of (shots, recipe, seed, step), so that a resumed run sees exactly the batches that
an uninterrupted one would have seen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from videoinr_cli.errors import InputError
from videoinr_cli.evaluation.resample import reduce
from videoinr_cli.training.batches import Batch, WidePair
from videoinr_cli.training.crops import draw_place, padded
from videoinr_cli.training.footage import Frames, Shot
from videoinr_cli.training.overlays import draw_overlay, draw_visibility, laid_over
from videoinr_cli.training.recipes import SampleRecipe
from videoinr_cli.training.synthetic import AffineMotion, blob, drawing, soften, sparse, tiled

STILL_MARGIN_PX = 128
"""Margin around a crop for its motion; the fastest motion leaves it and sees the photograph mirrored."""

MAX_LAYERS = 3

VISIBLE_SHARE = 0.2
"""Coverage from which on an LR pixel begins to be the layer's in front, entirely at twice as much: letters
differ more from what is behind than that changes."""
HIDDEN_PX = 9
"""Side of the square, in pixels of the flow's grid, that must be covered for nothing behind to be seen."""
HIDDEN_SHARE = 0.8
"""Coverage from which on it is."""


class Sampler:
    """Draws batches from shots.

    Args:
        part: which of the processes that train together this is; each draws batches of its own.
        fonts: files, of the text that is laid over pictures; none: Pillow's own.

    Raises:
        InputError: no clip is long enough, and there are no stills.
    """

    def __init__(
        self,
        shots: Sequence[Shot],
        recipe: SampleRecipe,
        *,
        seed: int,
        part: int = 0,
        fonts: Sequence[Path] = (),
    ) -> None:
        self.recipe = recipe
        self.fonts = fonts
        self.seed = seed
        self.part = part
        self.clips = [shot for shot in shots if len(shot.frames) > recipe.min_gap]
        self.stills = [shot for shot in shots if shot.is_still]
        if not self.clips and not self.stills:
            raise InputError(f"no clip of more than {recipe.min_gap} frames without a cut to train on")
        lengths = np.array([len(clip.frames) for clip in self.clips], np.float64)
        # long clips have more to show, but not in proportion
        weight = np.sqrt(lengths) if recipe.selective else lengths - recipe.min_gap
        self.clip_odds = weight / weight.sum()

    def batch(self, step: int) -> Batch:
        """Draw the batch of training step `step`."""
        recipe = self.recipe
        shared = np.random.default_rng((self.seed, step))  # the scale, so that all parts take as long
        scale = recipe.fixed_scale
        if step >= recipe.first_stage_steps and shared.random() > recipe.fixed_scale_share:
            if recipe.scale_by_logarithm:
                scale = math.exp(shared.uniform(*np.log(recipe.scale_range)))
            else:
                scale = shared.uniform(*recipe.scale_range)
        rng = shared if self.part == 0 else np.random.default_rng((self.seed, step, self.part))
        hr_size = round(recipe.lr_size * scale)
        samples = [self._sample(rng, hr_size) for _ in range(recipe.batch_size)]
        has_wide = self.stills and recipe.wide_every and step % recipe.wide_every == 0
        frames = torch.stack([sample.frames for sample in samples])  # (B, K + 4, 3, S, S)
        taus = torch.stack([sample.taus for sample in samples])  # (B, K)
        flow = torch.stack([sample.flow for sample in samples], dim=1)  # (2, B, 2, h / 2, w / 2)
        still = torch.stack([sample.still for sample in samples], dim=1)  # (2, B, 1, h, w)
        has_before, has_after = rng.random(2) < recipe.context_share
        given = reduce(frames[:, [0, 1, -2, -1]].flatten(0, 1), (recipe.lr_size, recipe.lr_size))
        given = given.unflatten(0, (-1, 4))  # (B, 4, 3, h, w): before, first, second, after
        if recipe.degrade:
            seeds = ((self.seed, step, self.part, 1 + number) for number in range(recipe.batch_size))
            given = torch.stack([degraded(lr, *seed) for lr, seed in zip(given, seeds, strict=True)])
        supervised = slice(1 if recipe.supervise_given else 2, -2)
        if recipe.supervise_given:
            taus = torch.cat([torch.zeros_like(taus[:, :1]), taus], dim=1)
        return Batch(
            given[:, 0] if has_before else None,
            given[:, 1],
            given[:, 2],
            given[:, 3] if has_after else None,
            frames[:, supervised].unbind(1),
            taus.unbind(1),
            flow * (recipe.lr_size / hr_size / 2),
            still,
            self._wide(rng, step) if has_wide else None,
        )

    def _wide(self, rng: np.random.Generator, step: int) -> WidePair:
        """Draw two frames of synthetic motion, directly at LR: no HR target is needed."""
        size = self.recipe.wide_size
        times = torch.tensor([0.0, 1.0])
        sample = self._covered(rng, self._from_still(rng, size, size, times), times, size)
        frames = sample.frames
        if self.recipe.degrade:
            frames = degraded(frames, self.seed, step, self.part, 0)
        return WidePair(frames[:1], frames[1:], sample.flow[:, None] / 2, sample.still[:, None])

    def _sample(self, rng: np.random.Generator, size: int) -> _Sample:
        from_still = self.stills and (not self.clips or rng.random() < self.recipe.still_share)
        if from_still:
            taus = torch.from_numpy(rng.uniform(0.05, 0.95, size=self.recipe.instants)).float()
            sample = self._from_still(rng, size, self.recipe.lr_size, _around(taus))
        else:
            sample = self._from_clip(rng, size)
        frames, taus, flow, still = sample
        if rng.random() < 0.5:
            frames, flow = frames.flip(-1), flow.flip(-1) * flow.new_tensor([-1, 1]).view(2, 1, 1)
        if rng.random() < 0.5:
            frames, flow = frames.flip(-2), flow.flip(-2) * flow.new_tensor([1, -1]).view(2, 1, 1)
        if rng.random() < 0.5:
            frames, flow = frames.transpose(-1, -2), flow.transpose(-1, -2).flip(1)
        if rng.random() < 0.5:
            frames, taus, flow = frames.flip(0), 1 - taus.flip(0), flow.flip(0)
        return self._covered(rng, _Sample(frames, taus, flow, still), _around(taus), size)

    def _covered(self, rng: np.random.Generator, sample: _Sample, times: Tensor, size: int) -> _Sample:
        """Lay something that stands still over a share of the samples; the flow stays that of what is behind.

        Except where nothing of that is seen: there, standing still is what both frames show.
        """
        if rng.random() >= self.recipe.overlay_share:
            return sample
        frames, taus, flow, _ = sample
        first, second = _ends(times)
        shared = torch.zeros(1, 1, size, size)
        for _ in range(1 + int(rng.random() < 0.4)):
            overlay, visible = draw_overlay(rng, size, self.fonts), draw_visibility(rng, times)
            frames = laid_over(frames, overlay, visible)
            stays = visible[first] * visible[second]
            shared = torch.maximum(shared, overlay.alpha[None] * stays)
        lr_size = sample.still.shape[-1]
        seen = F.adaptive_avg_pool2d(shared, lr_size)
        hidden = F.avg_pool2d(F.avg_pool2d(seen, 2), HIDDEN_PX, 1, HIDDEN_PX // 2, count_include_pad=False)
        flow = torch.where(hidden[0] > HIDDEN_SHARE, 0, flow)
        still = ((seen[0] - VISIBLE_SHARE) / VISIBLE_SHARE).clamp(0, 1)
        return _Sample(frames, taus, flow, still.expand(2, 1, -1, -1))

    def _from_clip(self, rng: np.random.Generator, size: int) -> _Sample:
        """Draw real motion from a clip; a selective recipe draws again, a few times, if nothing moves there.

        Where the clip has no frame before or after the pair, the pair's own frame stands in for it.
        """
        for _ in range(3 if self.recipe.selective else 1):
            least, most = self.recipe.min_gap, self.recipe.max_gap
            clip, start, top, left = draw_place(
                rng,
                self.clips,
                size,
                candidates=self.recipe.candidates,
                odds=self.clip_odds,
                spare_frames=least,
            )
            gap = int(rng.integers(least, min(most, len(clip.frames) - 1 - start) + 1))
            inside = self._inside(rng, gap)
            before = -gap if start >= gap else 0
            after = 2 * gap if start + 2 * gap < len(clip.frames) else gap
            crops = [
                clip.frames[start + offset, top : top + size, left : left + size]
                for offset in (before, 0, *inside, gap, after)
            ]
            if np.abs(crops[1][::4, ::4].astype(np.float32) - crops[-2][::4, ::4]).mean() > 2:
                break
        side = self.recipe.lr_size // 2
        return _Sample(
            to_tensor(padded(np.stack(crops), size)),
            torch.tensor(inside, dtype=torch.float32) / gap,
            torch.full((2, 2, side, side), math.nan),
            torch.zeros(2, 1, self.recipe.lr_size, self.recipe.lr_size),
        )

    def _inside(self, rng: np.random.Generator, gap: int) -> list[int]:
        """Draw the supervised frames of a gap: between the given ones, or any if these are not supervised."""
        count = self.recipe.instants
        if self.recipe.supervise_given:
            return [int(frame) for frame in rng.integers(1, gap, size=count)]
        return [int(frame) for frame in rng.choice(gap + 1, size=count, replace=count > gap + 1)]

    def _from_still(self, rng: np.random.Generator, size: int, lr_size: int, times: Tensor) -> _Sample:
        """Draw synthetic motion, exact at every time: up to three pictures, each with its own motion.

        Args:
            size: of the pictures, HR pixels a side.
            lr_size: the same in LR pixels.
            times: of the pictures, the pair's frames at 0 and 1.
        """
        ends = _ends(times)
        # flow is supervised at the middle of every two by two LR pixels, here in HR pixels
        places = (2 * torch.arange(lr_size // 2) + 1) * (size / lr_size) - 0.5
        nearest = places.round().long()
        frames, layers = self._scene(rng, size, times)
        flow = _flow_of_pair(layers[0].motion, ends, places, size)
        for motion, alpha in layers[1:]:
            covered = alpha[list(ends)][..., nearest, :][..., nearest] > 0.5
            flow = torch.where(covered, _flow_of_pair(motion, ends, places, size), flow)
        taus = times[ends[0] + 1 : ends[1]]
        return _Sample(frames, taus, flow, torch.zeros(2, 1, lr_size, lr_size))

    def _scene(self, rng: np.random.Generator, size: int, times: Tensor) -> tuple[Tensor, list[_Layer]]:
        """Draw up to three pictures, each with its own motion, one over the other.

        Returns:
            (T, 3, size, size) frames at T times, and what they are made of, from behind.
        """
        is_tripod = rng.random() < self.recipe.tripod_share
        motion = AffineMotion.none(times) if is_tripod else AffineMotion.draw(rng, times)
        frames = self._moving_layer(rng, size, motion)
        layers = [_Layer(motion, torch.ones_like(frames[:, :1]))]
        for _ in range(int(rng.integers(0, MAX_LAYERS))):
            motion = AffineMotion.draw(rng, times)
            layer = self._moving_layer(rng, size, motion, masked=True)
            alpha = layer[:, 3:]
            frames = torch.cat([alpha * layer[:, :3] + (1 - alpha) * frames[:, :3]], dim=1)
            layers.append(_Layer(motion, alpha))
        return frames[:, :3].clamp(0, 1), layers

    def _moving_layer(
        self, rng: np.random.Generator, size: int, motion: AffineMotion, *, masked: bool = False
    ) -> Tensor:
        """Return (T, 3 or 4, size, size): a picture in affine motion, and the mask that moves with it."""
        extent = size + 2 * STILL_MARGIN_PX
        crop = self._picture(rng, extent)
        if masked:
            crop = torch.cat([crop, blob(rng, extent)], dim=1)
        axis = torch.arange(size, dtype=torch.float32)
        moved = F.grid_sample(
            crop.expand(len(motion.shift), -1, -1, -1),
            motion.positions(axis, size) * (2 / extent),
            mode="bicubic",
            padding_mode="reflection",
            align_corners=False,
        )
        return moved.clamp(0, 1)

    def _picture(self, rng: np.random.Generator, extent: int) -> Tensor:
        """Return (1, 3, extent, extent): part of a photograph, or a drawing."""
        if rng.random() < self.recipe.drawn_share:
            return drawing(rng, extent)
        shot, _, top, left = draw_place(rng, self.stills, extent, candidates=self.recipe.candidates)
        crop = to_tensor(padded(shot.frames[:, top : top + extent, left : left + extent], extent))
        if rng.random() < self.recipe.soft_share:
            crop = soften(rng, crop)
        if rng.random() < self.recipe.tiled_share:
            return tiled(rng, crop)
        return sparse(rng, crop) if rng.random() < self.recipe.sparse_share else crop


def _around(taus: Tensor) -> Tensor:
    """Return the times of a sample's frames: before the pair, the pair with instants within, after it."""
    return torch.cat([taus.new_tensor([-1, 0]), taus, taus.new_tensor([1, 2])])


def _ends(times: Tensor) -> tuple[int, int]:
    """Return which of a sample's frames are the pair's; an instant within may be at the same time."""
    return int((times == 0).nonzero()[0]), int((times == 1).nonzero()[-1])


def _flow_of_pair(motion: AffineMotion, ends: tuple[int, int], places: Tensor, size: int) -> Tensor:
    """Return (2, 2, n, n): the flow from one of a motion's times to another, and back."""
    first, second = ends
    return torch.stack([motion.flow(*way, places, size) for way in ((first, second), (second, first))])


def degraded(window: Tensor, *seed: int) -> Tensor:
    """Degrade a (T, 3, h, w) window of LR frames, by a seed of its own so that other draws do not change."""
    from videoinr_cli.training.degradations import degrade  # needs PyAV, which clean training does not

    return degrade(window, np.random.default_rng(seed))


class _Layer(NamedTuple):
    """A picture that moves, and where it covers those behind it."""

    motion: AffineMotion
    alpha: Tensor  # (T, 1, S, S)


class _Sample(NamedTuple):
    """One pair, the frames around it, and what it is supervised by."""

    frames: Tensor  # (K + 4, 3, S, S) at times -1, 0, K within, 1 and 2
    taus: Tensor  # (K,)
    flow: Tensor  # (2, 2, h / 2, w / 2), HR px: to the pair's second frame and back; NaN where unknown
    still: Tensor  # (2, 1, h, w): where a layer in front stands still, in each of the pair's frames


def to_tensor(frames: Frames) -> Tensor:
    """(N, H, W, 3) uint8 to (N, 3, H, W) float32 in [0, 1]."""
    copied = torch.from_numpy(np.array(frames))  # what is mapped from disk cannot be written to
    return copied.permute(0, 3, 1, 2).float().div_(255)
