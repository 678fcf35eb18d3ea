"""Draw training batches: LR pairs with the frames around them, and HR pictures of instants within each pair.

A batch is a pure function of (shots, recipe, seed, step), so that a resumed run sees exactly the batches that
an uninterrupted one would have seen. What is random is drawn on the CPU, sample by sample; pictures are cut,
moved and laid over one another on any device, for all samples at once, and nothing is read back from there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from videoinr_cli.errors import InputError
from videoinr_cli.evaluation.resample import reduce
from videoinr_cli.training.batches import Batch, WidePair
from videoinr_cli.training.crops import Places, cut, in_floats, pixels_of
from videoinr_cli.training.footage import Shot
from videoinr_cli.training.overlays import Overlay, draw_overlay, draw_visibility
from videoinr_cli.training.recipes import SampleRecipe
from videoinr_cli.training.synthetic import (
    AffineMotion,
    FloatArray,
    blob,
    drawing,
    flows,
    moving,
    soften,
    sparse,
    tiled,
)

CPU = torch.device("cpu")
AS_IT_IS = np.eye(2)

STILL_MARGIN_PX = 128
"""Margin around a crop for its motion; the fastest motion leaves it and sees the photograph mirrored."""

MAX_LAYERS = 3

VISIBLE_SHARE = 0.15
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
        device: where batches are made; other than the CPU it holds all shots.

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
        device: torch.device = CPU,
    ) -> None:
        self.recipe = recipe
        self.fonts = fonts
        self.seed = seed
        self.part = part
        self.device = device
        self.clips = [shot for shot in shots if len(shot.frames) > recipe.min_gap]
        self.stills = [shot for shot in shots if shot.is_still]
        if not self.clips and not self.stills:
            raise InputError(f"no clip of more than {recipe.min_gap} frames without a cut to train on")
        lengths = np.array([len(clip.frames) for clip in self.clips], np.float64)
        # long clips have more to show, but not in proportion
        weight = np.sqrt(lengths) if recipe.selective else lengths - recipe.min_gap
        self.clip_odds = weight / weight.sum()
        self._in_clips = Places(self.clips, candidates=recipe.candidates, odds=self.clip_odds)
        self._in_stills = Places(self.stills, candidates=recipe.candidates)
        self._pixels = {id(shot): pixels_of(shot.frames, device) for shot in self.clips + self.stills}

    def batch(self, step: int) -> Batch:
        """Draw the batch of training step `step`."""
        with nullcontext() if self.device == CPU else self.device:
            return self._batch(step)

    def _batch(self, step: int) -> Batch:
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
        drawn = [self._draw(rng, hr_size) for _ in range(recipe.batch_size)]
        has_wide = self.stills and recipe.wide_every and step % recipe.wide_every == 0
        frames, taus, flow, still = self._made(drawn, hr_size, recipe.lr_size)
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
            flow.transpose(0, 1) * (recipe.lr_size / hr_size / 2),
            still.transpose(0, 1),
            self._wide(rng, step) if has_wide else None,
        )

    def _wide(self, rng: np.random.Generator, step: int) -> WidePair:
        """Draw two frames of synthetic motion, directly at LR: no HR target is needed."""
        size = self.recipe.wide_size
        times = np.array([0.0, 1.0])
        layers = self._scene(rng, size, times)
        drawn = _Drawn(times, None, layers, self._overlays(rng, times, size))
        frames, _, flow, still = self._made([drawn], size, size)
        frames = frames[0]
        if self.recipe.degrade:
            frames = degraded(frames, self.seed, step, self.part, 0)
        return WidePair(frames[:1], frames[1:], flow.transpose(0, 1) / 2, still.transpose(0, 1))

    def _draw(self, rng: np.random.Generator, size: int) -> _Drawn:
        """Draw what a sample is made of, pictures of `size` HR pixels a side."""
        from_still = self.stills and (not self.clips or rng.random() < self.recipe.still_share)
        crops: Tensor | None = None
        layers: list[_Layer] = []
        if from_still:
            times = around(rng.uniform(0.05, 0.95, size=self.recipe.instants))
            layers = self._scene(rng, size, times, mirroring(rng))
        else:
            crops, taus = self._from_clip(rng, size)
            turns = draw_turns(rng)
            crops, times = turned(crops, turns), around(1 - taus[::-1] if turns.backwards else taus)
        return _Drawn(times, crops, layers, self._overlays(rng, times, size))

    def _overlays(
        self, rng: np.random.Generator, times: FloatArray, size: int
    ) -> list[tuple[Overlay, FloatArray]]:
        """Draw what stands still over a sample, with how much of it is visible at each time."""
        if rng.random() >= self.recipe.overlay_share:
            return []
        count = 1 + int(rng.random() < 0.4)
        return [(draw_overlay(rng, size, self.fonts), draw_visibility(rng, times)) for _ in range(count)]

    def _made(self, drawn: list[_Drawn], size: int, lr_size: int) -> _Samples:
        """Make samples of what was drawn for them; those of clips become the first."""
        drawn = sorted(drawn, key=lambda sample: -len(sample.layers) if sample.crops is None else -math.inf)
        clips = [sample.crops for sample in drawn if sample.crops is not None]
        stills = drawn[len(clips) :]
        side = lr_size // 2
        parts: list[tuple[Tensor, Tensor]] = []
        if clips:
            unknown = torch.full((len(clips), 2, 2, side, side), math.nan, device=self.device)
            parts.append((in_floats(torch.stack(clips)), unknown))
        if stills:
            parts.append(in_motion(stills, size, lr_size))
        frames, flow = (torch.cat(both) for both in zip(*parts, strict=True))
        taus = self._sent(np.array([sample.times[2:-2] for sample in drawn], np.float32))
        return _Samples(frames, taus, *self._covered(drawn, frames, flow, lr_size))

    def _covered(
        self, drawn: Sequence[_Drawn], frames: Tensor, flow: Tensor, lr_size: int
    ) -> tuple[Tensor, Tensor]:
        """Lay over (B, T, 3, S, S) frames, in place, what stands still; return the flow and where that is.

        The flow stays that of what is behind, except where nothing of that is seen: there, standing still is
        what both frames show.
        """
        first, second = _ends(drawn[0].times)
        shared = frames.new_zeros(len(drawn), 1, *frames.shape[-2:])
        for depth in range(max(len(sample.overlays) for sample in drawn)):
            numbers = [number for number, sample in enumerate(drawn) if len(sample.overlays) > depth]
            overlays, visible = zip(*(drawn[number].overlays[depth] for number in numbers), strict=True)
            rgb, alpha = (torch.stack(part) for part in zip(*overlays, strict=True))
            share = self._sent(np.array(visible, np.float32))[..., None, None, None]  # (M, T, 1, 1, 1)
            places = self._sent(np.array(numbers))
            frames[places] = torch.lerp(frames[places], rgb[:, None], alpha[:, None] * share)
            stays = alpha * share[:, first] * share[:, second]
            shared[places] = torch.maximum(shared[places], stays)
        seen = F.adaptive_avg_pool2d(shared, lr_size)
        hidden = F.avg_pool2d(F.avg_pool2d(seen, 2), HIDDEN_PX, 1, HIDDEN_PX // 2, count_include_pad=False)
        flow = torch.where(hidden[:, None] > HIDDEN_SHARE, 0, flow)
        still = ((seen - VISIBLE_SHARE) / VISIBLE_SHARE).clamp(0, 1)
        return flow, still[:, None].expand(-1, 2, -1, -1, -1)

    def _sent(self, values: npt.NDArray[Any]) -> Tensor:
        return torch.from_numpy(values).to(self.device, non_blocking=True)

    def _from_clip(self, rng: np.random.Generator, size: int) -> tuple[Tensor, FloatArray]:
        """Draw real motion from a clip; a selective recipe draws again, a few times, if nothing moves there.

        Where the clip has no frame before or after the pair, the pair's own frame stands in for it.

        Returns:
            (K + 4, size, size, 3) uint8 and the K instants within the pair.
        """
        for _ in range(3 if self.recipe.selective else 1):
            least, most = self.recipe.min_gap, self.recipe.max_gap
            clip, start, top, left = self._in_clips.draw(rng, size, spare_frames=least)
            gap = int(rng.integers(least, min(most, len(clip.frames) - 1 - start) + 1))
            inside = self._inside(rng, gap)
            before = -gap if start >= gap else 0
            after = 2 * gap if start + 2 * gap < len(clip.frames) else gap
            some = (slice(top, top + size, 4), slice(left, left + size, 4))
            first, second = (clip.frames[start + offset][some] for offset in (0, gap))
            if np.abs(first.astype(np.float32) - second).mean() > 2:
                break
        numbers = [start + offset for offset in (before, 0, *inside, gap, after)]
        return cut(self._pixels[id(clip)], numbers, top, left, size), np.array(inside) / gap

    def _inside(self, rng: np.random.Generator, gap: int) -> list[int]:
        """Draw the supervised frames of a gap: between the given ones, or any if these are not supervised."""
        count = self.recipe.instants
        if self.recipe.supervise_given:
            return [int(frame) for frame in rng.integers(1, gap, size=count)]
        return [int(frame) for frame in rng.choice(gap + 1, size=count, replace=count > gap + 1)]

    def _scene(
        self, rng: np.random.Generator, size: int, times: FloatArray, mirror: FloatArray = AS_IT_IS
    ) -> list[_Layer]:
        """Draw up to three pictures from behind, each with its own motion, exact at every time.

        Args:
            mirror: how all of it is seen, see `mirroring`.
        """
        is_tripod = rng.random() < self.recipe.tripod_share
        motion = AffineMotion.none(times) if is_tripod else AffineMotion.draw(rng, times)
        extent = size + 2 * STILL_MARGIN_PX
        layers = [_Layer(motion.seen(mirror), self._picture(rng, extent))]
        for _ in range(int(rng.integers(0, MAX_LAYERS))):
            motion = AffineMotion.draw(rng, times)
            layers.append(_Layer(motion.seen(mirror), self._front(rng, extent)))
        return layers

    def _front(self, rng: np.random.Generator, extent: int) -> Tensor:
        """Return (1, 4, extent, extent): a picture within an outline, or text, bars and such."""
        if self.recipe.lettered_share and rng.random() < self.recipe.lettered_share:
            return torch.cat(draw_overlay(rng, extent, self.fonts))[None]
        picture = self._picture(rng, extent)
        return torch.cat([picture, blob(rng, extent)], dim=1)

    def _picture(self, rng: np.random.Generator, extent: int) -> Tensor:
        """Return (1, 3, extent, extent): part of a photograph, or a drawing."""
        if rng.random() < self.recipe.drawn_share:
            return drawing(rng, extent)
        shot, frame, top, left = self._in_stills.draw(rng, extent)
        crop = in_floats(cut(self._pixels[id(shot)], [frame], top, left, extent))
        if rng.random() < self.recipe.soft_share:
            crop = soften(rng, crop)
        if rng.random() < self.recipe.tiled_share:
            return tiled(rng, crop)
        return sparse(rng, crop) if rng.random() < self.recipe.sparse_share else crop


def in_motion(drawn: Sequence[_Drawn], size: int, lr_size: int) -> tuple[Tensor, Tensor]:
    """Return samples of synthetic motion: of pictures that move, each in its way, one over the other.

    Args:
        drawn: those of most layers first.
        size: of the pictures, HR pixels a side.
        lr_size: the same in LR pixels.

    Returns:
        (B, T, 3, size, size) frames, and the (B, 2, 2, h / 2, w / 2) flow between the pair's, HR px, which is
        known at the middle of every two by two LR pixels.
    """
    device = drawn[0].layers[0].picture.device
    places = (2 * torch.arange(lr_size // 2, device=device) + 1) * (size / lr_size) - 0.5
    nearest = places.round().long()
    ends = _ends(drawn[0].times)
    frames, flow = torch.empty(0), torch.empty(0)
    for depth in range(len(drawn[0].layers)):
        layers = [sample.layers[depth] for sample in drawn if len(sample.layers) > depth]
        motions, pictures = zip(*layers, strict=True)
        seen = moving(torch.cat(pictures), motions, size)
        led = flows(motions, ends, places, size)
        if depth == 0:
            frames, flow = seen, led
            continue
        count, alpha = len(layers), seen[:, :, 3:]
        frames[:count] = torch.lerp(frames[:count], seen[:, :, :3], alpha)
        covered = alpha[:, list(ends)][..., nearest, :][..., nearest] > 0.5
        flow[:count] = torch.where(covered, led, flow[:count])
    return frames, flow


class Turns(NamedTuple):
    """How a clip's crops are seen."""

    across: bool  # mirrored from left to right
    down: bool  # upside down
    transposed: bool
    backwards: bool  # in time


def draw_turns(rng: np.random.Generator) -> Turns:
    """Draw each with even odds."""
    return Turns(*(bool(chance < 0.5) for chance in rng.random(4)))


def turned(crops: Tensor, turns: Turns) -> Tensor:
    """Turn (T, S, S, C) crops."""
    flips = ((0, turns.backwards), (1, turns.down), (2, turns.across))
    crops = crops.flip([axis for axis, is_flipped in flips if is_flipped])
    return crops.transpose(1, 2) if turns.transposed else crops


def mirroring(rng: np.random.Generator) -> FloatArray:
    """Draw the same, as a (2, 2) matrix of points (x, y), but for time: motion is as likely backwards."""
    turns = draw_turns(rng)
    mirror = np.diag([-1.0 if turns.across else 1.0, -1.0 if turns.down else 1.0])
    return mirror[::-1] if turns.transposed else mirror


def around(taus: FloatArray) -> FloatArray:
    """Return the times of a sample's frames: before the pair, the pair with instants within, after it."""
    return np.concatenate([[-1, 0], taus, [1, 2]])


def _ends(times: FloatArray) -> tuple[int, int]:
    """Return which of a sample's frames are the pair's; an instant within may be at the same time."""
    return int((times == 0).nonzero()[0][0]), int((times == 1).nonzero()[0][-1])


def degraded(window: Tensor, *seed: int) -> Tensor:
    """Degrade a (T, 3, h, w) window of LR frames, by a seed of its own so that other draws do not change."""
    from videoinr_cli.training.degradations import degrade  # needs PyAV, which clean training does not

    with CPU:  # where the encoders are
        spoilt = degrade(window.cpu(), np.random.default_rng(seed))
    return spoilt.to(window.device)


class _Layer(NamedTuple):
    """A picture that moves."""

    motion: AffineMotion
    picture: Tensor  # (1, 3, E, E); in front of others (1, 4, E, E), with where it covers them


class _Drawn(NamedTuple):
    """What one sample is made of."""

    times: FloatArray  # (T,), -1, 0, K within, 1 and 2; or the pair's alone
    crops: Tensor | None  # (T, S, S, 3) uint8, of a clip
    layers: list[_Layer]  # else, from behind
    overlays: list[tuple[Overlay, FloatArray]]  # with the share of each that is visible at each time


class _Samples(NamedTuple):
    """Pairs, the frames around them, and what they are supervised by."""

    frames: Tensor  # (B, T, 3, S, S)
    taus: Tensor  # (B, K)
    flow: Tensor  # (B, 2, 2, h / 2, w / 2), HR px: to the pair's second frame and back; NaN where unknown
    still: Tensor  # (B, 2, 1, h, w): where a layer in front stands still, in each of the pair's frames
