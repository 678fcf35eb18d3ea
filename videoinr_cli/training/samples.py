"""Draw training batches: two LR frames with those beside them, and HR pictures of instants between the two.

A batch is a pure function of (shots, recipe, seed, step), so that a run resumed at any step sees exactly what
an uninterrupted one would have. Knows nothing of networks or optimisation.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from videoinr_cli.errors import InputError
from videoinr_cli.evaluation.resample import reduce
from videoinr_cli.training.footage import Frames, Shot
from videoinr_cli.training.synthetic import AffineMotion, blob, drawing, soften, sparse

FloatArray = npt.NDArray[np.floating]

STILL_MARGIN_PX = 128
"""What a crop has around it to move in; the fastest move farther, and are reflected."""
MAX_LAYERS = 3


@dataclasses.dataclass(frozen=True)
class SampleRecipe:
    """What batches are made of."""

    batch_size: int = 12
    lr_size: int = 32  # LR patch, pixels a side
    fixed_scale: float = 4.0
    first_stage_steps: int = 0  # at `fixed_scale` alone, before what follows
    fixed_scale_share: float = 0.5  # of the batches; the others draw a scale below
    scale_range: tuple[float, float] = (1.3, 5.0)  # the least that is rendered is 1.5, see `VideoInr.render`
    scale_by_logarithm: bool = True  # drawn evenly by that; else by the scale itself
    still_share: float = 0.75  # of the samples, with synthetic motion
    drawn_share: float = 0.1  # of the moving layers: drawings, no photographs
    sparse_share: float = 0.2  # of the moving photographs: smoothed but for spots
    soft_share: float = 0.4  # of the moving photographs: blurred, as video is
    wide_every: int = 3  # batches, of which one has a large pair too that teaches motion alone; 0: none has
    wide_size: int = 448  # of such a pair, LR pixels a side
    min_gap: int = 2  # frames from one given frame to the next, in a clip
    max_gap: int = 4
    instants: int = 1  # supervised ones within a gap
    supervise_given: bool = True  # the first given frame too; else it may be among the instants
    selective: bool = True  # short clips are drawn more often, what stands still is drawn again; else evenly
    candidates: int = 4  # places drawn for each crop; one is taken, by the square of how much detail it has
    context_share: float = 0.85  # of the batches with a frame before the pair; likewise after it
    degrade: bool = False  # spoil the LR frames as cameras and encoders do, for a model of real footage


@dataclasses.dataclass(frozen=True)
class WidePair:
    """Two LR frames as large as those of a video, and the flow between them.

    In a patch the coarsest levels of a pyramid are a pixel or two; how motion is found there is learnt here.
    """

    first: Tensor  # (1, 3, h, w) float32 in [0, 1]
    second: Tensor  # (1, 3, h, w)
    flow: Tensor  # (2, 1, 2, h / 2, w / 2), see `Batch`

    def to(self, device: torch.device) -> WidePair:
        return WidePair(self.first.to(device), self.second.to(device), self.flow.to(device))


@dataclasses.dataclass(frozen=True)
class Batch:
    """Pairs of LR frames with supervised instants, as many for each."""

    before: Tensor | None  # (B, 3, h, w): the frame before the pair, unless it is left out
    first: Tensor  # (B, 3, h, w) float32 in [0, 1]
    second: Tensor  # (B, 3, h, w)
    after: Tensor | None  # (B, 3, h, w)
    targets: tuple[Tensor, ...]  # per instant, (B, 3, Ho, Wo)
    taus: tuple[Tensor, ...]  # per instant, (B,)
    flow: Tensor  # (2, B, 2, h / 2, w / 2), pixels of that grid: to the second frame and to the first, or NaN
    wide: WidePair | None = None

    def to(self, device: torch.device) -> Batch:
        return Batch(
            None if self.before is None else self.before.to(device),
            self.first.to(device),
            self.second.to(device),
            None if self.after is None else self.after.to(device),
            tuple(target.to(device) for target in self.targets),
            tuple(tau.to(device) for tau in self.taus),
            self.flow.to(device),
            None if self.wide is None else self.wide.to(device),
        )


class Sampler:
    """Draws batches from shots.

    Args:
        part: which of the processes that train together this is; each draws batches of its own.

    Raises:
        InputError: no clip is long enough, and there are no stills.
    """

    def __init__(self, shots: Sequence[Shot], recipe: SampleRecipe, *, seed: int, part: int = 0) -> None:
        self.recipe = recipe
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
            self._wide(rng, step) if has_wide else None,
        )

    def _wide(self, rng: np.random.Generator, step: int) -> WidePair:
        """Draw two frames of synthetic motion, as LR frames at once: an enlargement of them is not needed."""
        frames, _, flow = self._from_still(rng, self.recipe.wide_size, self.recipe.wide_size)
        if self.recipe.degrade:
            frames = degraded(frames, self.seed, step, self.part, 0)
        return WidePair(frames[1:2], frames[-2:-1], flow[:, None] / 2)

    def _sample(self, rng: np.random.Generator, size: int) -> _Sample:
        from_still = self.stills and (not self.clips or rng.random() < self.recipe.still_share)
        if from_still:
            frames, taus, flow = self._from_still(rng, size, self.recipe.lr_size)
        else:
            frames, taus, flow = self._from_clip(rng, size)
        if rng.random() < 0.5:
            frames, flow = frames.flip(-1), flow.flip(-1) * flow.new_tensor([-1, 1]).view(2, 1, 1)
        if rng.random() < 0.5:
            frames, flow = frames.flip(-2), flow.flip(-2) * flow.new_tensor([1, -1]).view(2, 1, 1)
        if rng.random() < 0.5:
            frames, flow = frames.transpose(-1, -2), flow.transpose(-1, -2).flip(1)
        if rng.random() < 0.5:
            frames, taus, flow = frames.flip(0), 1 - taus.flip(0), flow.flip(0)
        return _Sample(frames, taus, flow)

    def _from_clip(self, rng: np.random.Generator, size: int) -> _Sample:
        """Real motion: frames of a clip; a selective recipe draws again a few times if nothing moves there.

        Where the clip is too short for a frame beside the pair, the given frame stands in for it.
        """
        for _ in range(3 if self.recipe.selective else 1):
            least, most = self.recipe.min_gap, self.recipe.max_gap
            clip, start, top, left = self._place(rng, self.clips, self.clip_odds, size, spare_frames=least)
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
            _to_tensor(_padded(np.stack(crops), size)),
            torch.tensor(inside, dtype=torch.float32) / gap,
            torch.full((2, 2, side, side), math.nan),
        )

    def _inside(self, rng: np.random.Generator, gap: int) -> list[int]:
        """Draw a gap's supervised frames: between the given ones, or any where those are not."""
        count = self.recipe.instants
        if self.recipe.supervise_given:
            return [int(frame) for frame in rng.integers(1, gap, size=count)]
        return [int(frame) for frame in rng.choice(gap + 1, size=count, replace=count > gap + 1)]

    def _from_still(self, rng: np.random.Generator, size: int, lr_size: int) -> _Sample:
        """Synthetic motion, exact at every time: up to three layers, each a picture moving by itself."""
        taus = torch.from_numpy(rng.uniform(0.05, 0.95, size=self.recipe.instants)).float()
        times = torch.cat([torch.tensor([-1.0, 0.0]), taus, torch.tensor([1.0, 2.0])])
        # where the HR picture has its flow asked for: at the middle of every two by two LR pixels
        places = (2 * torch.arange(lr_size // 2) + 1) * (size / lr_size) - 0.5
        nearest = places.round().long()
        motion = AffineMotion.draw(rng, times)
        frames = self._moving_layer(rng, size, motion)
        flow = _flow_of_pair(motion, places, size)
        for _ in range(int(rng.integers(0, MAX_LAYERS))):
            motion = AffineMotion.draw(rng, times)
            layer = self._moving_layer(rng, size, motion, masked=True)
            alpha = layer[:, 3:]
            frames = torch.cat([alpha * layer[:, :3] + (1 - alpha) * frames[:, :3]], dim=1)
            covered = alpha[[1, -2]][..., nearest, :][..., nearest] > 0.5
            flow = torch.where(covered, _flow_of_pair(motion, places, size), flow)
        return _Sample(frames[:, :3].clamp(0, 1), taus, flow)

    def _moving_layer(
        self, rng: np.random.Generator, size: int, motion: AffineMotion, *, masked: bool = False
    ) -> Tensor:
        """Return (T, 3 or 4, size, size): a photograph in affine motion, with the mask that moves along."""
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
        """Return (1, 3, extent, extent) of a photograph, or a drawing."""
        if rng.random() < self.recipe.drawn_share:
            return drawing(rng, extent)
        shot, _, top, left = self._place(rng, self.stills, None, extent)
        crop = _to_tensor(_padded(shot.frames[:, top : top + extent, left : left + extent], extent))
        if rng.random() < self.recipe.soft_share:
            crop = soften(rng, crop)
        return sparse(rng, crop) if rng.random() < self.recipe.sparse_share else crop

    def _place(
        self,
        rng: np.random.Generator,
        shots: Sequence[Shot],
        odds: FloatArray | None,
        size: int,
        *,
        spare_frames: int = 0,
    ) -> _Place:
        """Draw where a crop is taken from, leaving frames after it; detailed places are likelier.

        Most of a picture is smooth, and smooth crops are what any enlargement gets right.
        """
        places = [
            _random_place(rng, shots[rng.choice(len(shots), p=odds)], size, spare_frames)
            for _ in range(self.recipe.candidates)
        ]
        detail = np.array([_detail(place.crop(size)) for place in places]) ** 2 + 1
        return places[rng.choice(len(places), p=detail / detail.sum())]


def _flow_of_pair(motion: AffineMotion, places: Tensor, size: int) -> Tensor:
    """Return (2, 2, n, n): the flow at times 0 and 1 of a window to the other one of these."""
    return torch.stack([motion.flow(here, there, places, size) for here, there in ((1, -2), (-2, 1))])


def degraded(window: Tensor, *seed: int) -> Tensor:
    """Spoil a (T, 3, h, w) window of LR frames; of a seed of its own, so that what else is drawn stays."""
    from videoinr_cli.training.degradations import degrade  # needs PyAV, which clean training does not

    return degrade(window, np.random.default_rng(seed))


class _Sample(NamedTuple):
    """One pair with what it is supervised by."""

    frames: Tensor  # (K + 4, 3, S, S) at times -1, 0, K within, 1 and 2
    taus: Tensor  # (K,)
    flow: Tensor  # (2, 2, h / 2, w / 2), HR px: to the pair's second frame and back; NaN where unknown


class _Place(NamedTuple):
    """Where a crop is taken from."""

    shot: Shot
    frame: int
    top: int
    left: int

    def crop(self, size: int) -> Frames:
        """Return (h, w, 3), at most `size` a side."""
        return self.shot.frames[self.frame, self.top : self.top + size, self.left : self.left + size]


def _random_place(rng: np.random.Generator, shot: Shot, size: int, spare_frames: int) -> _Place:
    count, height, width = shot.frames.shape[:3]
    frame = int(rng.integers(0, count - spare_frames))
    top, left = (int(rng.integers(0, max(1, length - size + 1))) for length in (height, width))
    return _Place(shot, frame, top, left)


def _detail(crop: Frames) -> float:
    """Return how far green strays within squares of 4x4 pixels, in levels: what an enlargement by 4 lacks.

    One square of sixteen is looked at: this is asked of every place that is drawn.
    """
    height, width = (length // 16 * 16 for length in crop.shape[:2])
    squares = crop[:height, :width, 1].reshape(height // 16, 16, width // 16, 16)[:, 4:8, :, 4:8]
    return float(np.sqrt(squares.astype(np.float32).var(axis=(1, 3)).mean()))


def _padded(frames: Frames, size: int) -> Frames:
    """Mirror (N, h, w, 3) crops of frames smaller than `size` up to it."""
    missing = [(0, 0), *((0, size - side) for side in frames.shape[1:3]), (0, 0)]
    return np.pad(frames, missing, mode="symmetric") if any(after for _, after in missing) else frames


def _to_tensor(frames: Frames) -> Tensor:
    """(N, H, W, 3) uint8 to (N, 3, H, W) float32 in [0, 1]."""
    return torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 3, 1, 2).float().div_(255)
