"""Draw training batches from pairs of clips: what a network is given, beside what it is to make of that.

A pair is two files of the same name, one below `lr`, one below `hr`: of a teacher, or of two cameras.
Footage makes its own LR frames (see `samples`); here both sides are given.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
import os
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from videoinr_cli.errors import InputError, OutputError
from videoinr_cli.evaluation.resample import reduce
from videoinr_cli.media.suffixes import PICTURE_SUFFIXES, VIDEO_SUFFIXES, is_among
from videoinr_cli.training.batches import Batch
from videoinr_cli.training.footage import Frames
from videoinr_cli.training.recipes import SampleRecipe
from videoinr_cli.training.samples import to_tensor

SIDES = ("lr", "hr")
"""Folders below a folder of pairs."""
COARSEST_STEP_PX = 16
"""Where LR and HR pixels begin together at the least: every so many LR pixels."""
GIVEN_SHARE = 0.75
"""Of the samples of clips with one HR frame: it belongs to a given frame, else halfway between two."""


@dataclasses.dataclass(frozen=True)
class ClipPair:
    """A clip and its enlargement; HR frames belong to the middle ones of the LR frames, in time."""

    source: str  # file name
    lr: Frames  # (N, h, w, 3) RGB
    hr: Frames  # (M, H, W, 3)

    def __post_init__(self) -> None:
        beyond = len(self.lr) - len(self.hr)
        if beyond < 0 or beyond % 2:
            raise InputError(
                f"{self.source}: {len(self.lr)} LR and {len(self.hr)} HR frames; there must be as many, or "
                "as many more LR frames before the HR frames as after"
            )
        rows, columns = (Fraction(self.hr.shape[axis], self.lr.shape[axis]) for axis in (1, 2))
        if rows != columns or rows < 1 or rows.denominator > COARSEST_STEP_PX:
            raise InputError(
                f"{self.source}: {_size(self.lr)} and {_size(self.hr)} pixels; HR must enlarge LR, both "
                "sides alike"
            )

    def __str__(self) -> str:
        return f"{self.source} ({len(self.lr)} LR and {len(self.hr)} HR frames)"

    @property
    def scale(self) -> Fraction:
        return Fraction(self.hr.shape[1], self.lr.shape[1])

    @property
    def first(self) -> int:
        """Number of the LR frame that the first HR frame belongs to."""
        return (len(self.lr) - len(self.hr)) // 2


def _size(frames: Frames) -> str:
    return f"{frames.shape[2]}x{frames.shape[1]}"


def load_pairs(
    directories: Iterable[Path], cache: Path, *, report: Callable[[str], None] = lambda message: None
) -> list[ClipPair]:
    """Return all pairs of folders, decoding what `cache` lacks; frames are mapped from disk.

    Raises:
        InputError: there are none, or a file has no partner, or the two do not belong together.
        OutputError: decoded frames cannot be kept in `cache`.
    """
    try:
        cache.mkdir(parents=True, exist_ok=True)
        return [pair for directory in directories for pair in _pairs(directory, cache, report)]
    except OSError as error:
        raise OutputError(
            f"decoded frames cannot be kept in {str(cache)!r}: {error.strerror or error}; "
            "name another folder with --cache"
        ) from error


def _pairs(directory: Path, cache: Path, report: Callable[[str], None]) -> Iterator[ClipPair]:
    lr, hr = (_files(directory / side) for side in SIDES)
    if not lr or lr.keys() ^ hr.keys():
        lonely = min(lr.keys() ^ hr.keys(), default=None)
        what = f"{lonely!r} is on one side only" if lonely else "there is nothing in it"
        raise InputError(f"{directory} is no folder of pairs, lr/NAME beside hr/NAME: {what}")
    for name in sorted(lr):
        yield ClipPair(name, _frames(lr[name], cache, report), _frames(hr[name], cache, report))


def _files(directory: Path) -> dict[str, Path]:
    """Return the clips of one side by their names, without suffixes: LR may be H.264 where HR is lossless."""
    if not directory.is_dir():
        return {}
    found = (path for path in sorted(directory.iterdir()) if not path.name.startswith("."))
    return {path.stem: path for path in found if is_among(path, PICTURE_SUFFIXES | VIDEO_SUFFIXES)}


def _frames(path: Path, cache: Path, report: Callable[[str], None]) -> Frames:
    status = path.stat()
    known_by = f"{path.resolve()} {status.st_size} {status.st_mtime_ns}"
    kept = cache / f"{hashlib.sha256(os.fsencode(known_by)).hexdigest()[:16]}.npy"
    if not kept.is_file():
        report(f"decoding {path.name}")
        partial = kept.with_suffix(".part.npy")
        np.save(partial, np.stack(list(_decode(path))))
        partial.replace(kept)
    frames: Frames = np.load(kept, mmap_mode="r")
    return frames


def _decode(path: Path) -> Iterator[Frames]:
    from videoinr_cli.media.planes import eight_bits  # cached frames can be trained on without PyAV
    from videoinr_cli.media.read.probe import probe
    from videoinr_cli.media.read.reader import read_frames

    yield from (eight_bits(frame.rgb) for frame in read_frames(probe(path)))


class PairSampler:
    """Draws batches from pairs, see `samples.Sampler`, whose recipe applies where it can.

    The pictures are those of the HR clips, at their own scale for `fixed_scale_share` of the batches, else
    reduced to one down to the least of `scale_range`. Given frames lie up to `max_gap` apart; of neighbours
    both are supervised. If a clip has a single HR frame, one instant of each sample is.

    Raises:
        InputError: LR frames smaller than the recipe's patches.
    """

    def __init__(self, pairs: list[ClipPair], recipe: SampleRecipe, *, seed: int, part: int = 0) -> None:
        self.recipe = recipe
        self.seed = seed
        self.part = part
        small = min(pairs, key=lambda pair: min(pair.lr.shape[1:3]))
        if min(small.lr.shape[1:3]) < recipe.lr_size:
            raise InputError(
                f"{small.source} has {_size(small.lr)} LR pixels, fewer than a patch of {recipe.lr_size}; "
                "try a smaller --patch"
            )
        self.pairs = pairs
        self.instants = min(2, *(len(pair.hr) for pair in pairs))  # supervised ones of a sample
        self.by_scale: dict[Fraction, list[ClipPair]] = {}
        for pair in pairs:
            self.by_scale.setdefault(pair.scale, []).append(pair)

    def batch(self, step: int) -> Batch:
        """Draw the batch of training step `step`."""
        recipe = self.recipe
        shared = np.random.default_rng((self.seed, step))  # the scale, so that all parts take as long
        own = self.pairs[int(shared.integers(len(self.pairs)))].scale
        least = min(recipe.scale_range[0], float(own))
        scale = float(own)
        if shared.random() > recipe.fixed_scale_share:
            scale = math.exp(shared.uniform(math.log(least), math.log(float(own))))
        side = recipe.lr_size // own.denominator * own.denominator
        size = round(side * scale)
        rng = shared if self.part == 0 else np.random.default_rng((self.seed, step, self.part))
        candidates = self.by_scale[own]
        samples = [
            self._sample(rng, candidates[int(rng.integers(len(candidates)))], side, size)
            for _ in range(recipe.batch_size)
        ]
        lr = torch.stack([sample.lr for sample in samples], dim=1)  # (4, B, 3, h, w)
        has_before, has_after = rng.random(2) < recipe.context_share
        return Batch(
            lr[0] if has_before else None,
            lr[1],
            lr[2],
            lr[3] if has_after else None,
            torch.stack([sample.hr for sample in samples], dim=1).unbind(),
            torch.stack([sample.taus for sample in samples], dim=1).unbind(),
            torch.full((2, recipe.batch_size, 2, side // 2, side // 2), math.nan),
            torch.full((2, recipe.batch_size, 1, side, side), math.nan),
        )

    def _sample(self, rng: np.random.Generator, pair: ClipPair, side: int, size: int) -> _Sample:
        """Draw two given frames of one clip, what is beside them, and one or two of its HR frames.

        Args:
            side: of the LR patches, a multiple of what the scale's denominator asks for.
            size: of the HR pictures.
        """
        if len(pair.hr) == 1:
            given, shown, taus = self._around(rng, pair)
        else:
            given, shown, taus = self._within(rng, pair)
        step = pair.scale.denominator
        top, left = (int(rng.integers((n - side) // step + 1)) * step for n in pair.lr.shape[1:3])
        lr = to_tensor(pair.lr[given, top : top + side, left : left + side])
        corner = [int(place * pair.scale) for place in (top, left, top + side, left + side)]
        hr = to_tensor(pair.hr[shown[: self.instants], corner[0] : corner[2], corner[1] : corner[3]])
        if size < hr.shape[-1]:
            hr = reduce(hr, (size, size))
        taus = taus[: self.instants]
        for axis in (-1, -2):
            if rng.random() < 0.5:
                lr, hr = lr.flip(axis), hr.flip(axis)
        if rng.random() < 0.5:
            lr, hr = lr.transpose(-1, -2), hr.transpose(-1, -2)
        if rng.random() < 0.5:
            lr, taus = lr.flip(0), 1 - taus
        return _Sample(lr, hr, taus)

    def _within(self, rng: np.random.Generator, pair: ClipPair) -> tuple[list[int], list[int], Tensor]:
        """Draw the numbers of four given frames, those of two HR frames, and these frames' instants."""
        gap = int(rng.integers(1, min(self.recipe.max_gap, len(pair.hr) - 1) + 1))
        start = int(rng.integers(len(pair.hr) - gap))
        inside = int(rng.integers(1, gap)) if gap > 1 else gap
        last, here = len(pair.lr) - 1, pair.first + start
        given = [max(here - gap, 0), here, here + gap, min(here + 2 * gap, last)]
        return given, [start, start + inside], torch.tensor([0.0, inside / gap])

    def _around(self, rng: np.random.Generator, pair: ClipPair) -> tuple[list[int], list[int], Tensor]:
        """Draw likewise around the only HR frame, which is a given frame or halfway between two."""
        last, here = len(pair.lr) - 1, pair.first
        if here == 0 or rng.random() < GIVEN_SHARE:
            gap = int(rng.integers(1, self.recipe.max_gap + 1))
            given = [here - gap, here, here + gap, here + 2 * gap]
            tau = 0.0
        else:
            given = [here - 3, here - 1, here + 1, here + 3]
            tau = 0.5
        return [min(max(number, 0), last) for number in given], [0, 0], torch.tensor([tau, tau])


@dataclasses.dataclass(frozen=True)
class _Sample:
    """One pair of given frames with what it is supervised by."""

    lr: Tensor  # (4, 3, h, w): before, first, second, after
    hr: Tensor  # (N, 3, S, S)
    taus: Tensor  # (N,)
