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
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from videoinr_cli.errors import InputError, OutputError
from videoinr_cli.evaluation.resample import reduce
from videoinr_cli.media.suffixes import PICTURE_SUFFIXES, VIDEO_SUFFIXES, is_among
from videoinr_cli.training.batches import Batch
from videoinr_cli.training.crops import cut, in_floats, pixels_of
from videoinr_cli.training.footage import Frames
from videoinr_cli.training.recipes import SampleRecipe
from videoinr_cli.training.samples import CPU, draw_turns, turned

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
    frames: Frames = np.load(kept, mmap_mode="c")
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

    Args:
        device: where batches are made; other than the CPU it holds all pairs.

    Raises:
        InputError: LR frames smaller than the recipe's patches.
    """

    def __init__(
        self,
        pairs: list[ClipPair],
        recipe: SampleRecipe,
        *,
        seed: int,
        part: int = 0,
        device: torch.device = CPU,
    ) -> None:
        self.recipe = recipe
        self.seed = seed
        self.part = part
        self.device = device
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
        self._pixels = {id(pair): (pixels_of(pair.lr, device), pixels_of(pair.hr, device)) for pair in pairs}

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
        drawn = [
            self._draw(rng, candidates[int(rng.integers(len(candidates)))], side)
            for _ in range(recipe.batch_size)
        ]
        lr = in_floats(torch.stack([sample.lr for sample in drawn]))  # (B, 4, 3, h, w)
        hr = in_floats(torch.stack([sample.hr for sample in drawn]))  # (B, N, 3, S, S)
        taus = torch.tensor([sample.taus for sample in drawn]).to(self.device)
        if size < hr.shape[-1]:
            hr = reduce(hr.flatten(0, 1), (size, size)).unflatten(0, hr.shape[:2])
        has_before, has_after = rng.random(2) < recipe.context_share
        return Batch(
            lr[:, 0] if has_before else None,
            lr[:, 1],
            lr[:, 2],
            lr[:, 3] if has_after else None,
            hr.unbind(1),
            taus.unbind(1),
            torch.full((2, recipe.batch_size, 2, side // 2, side // 2), math.nan, device=self.device),
            torch.full((2, recipe.batch_size, 1, side, side), math.nan, device=self.device),
        )

    def _draw(self, rng: np.random.Generator, pair: ClipPair, side: int) -> _Drawn:
        """Draw two given frames of one clip, what is beside them, and one or two of its HR frames.

        Args:
            side: of the LR patches, a multiple of what the scale's denominator asks for.
        """
        given, shown, taus = self._around(rng, pair) if len(pair.hr) == 1 else self._within(rng, pair)
        step = pair.scale.denominator
        top, left = (int(rng.integers((n - side) // step + 1)) * step for n in pair.lr.shape[1:3])
        lr, hr = self._pixels[id(pair)]
        place = [int(length * pair.scale) for length in (top, left, side)]
        turns = draw_turns(rng)
        return _Drawn(
            turned(cut(lr, given, top, left, side), turns),
            turned(cut(hr, shown[: self.instants], *place), turns._replace(backwards=False)),
            [1 - tau if turns.backwards else tau for tau in taus[: self.instants]],
        )

    def _within(self, rng: np.random.Generator, pair: ClipPair) -> tuple[list[int], list[int], list[float]]:
        """Draw the numbers of four given frames, those of two HR frames, and these frames' instants."""
        gap = int(rng.integers(1, min(self.recipe.max_gap, len(pair.hr) - 1) + 1))
        start = int(rng.integers(len(pair.hr) - gap))
        inside = int(rng.integers(1, gap)) if gap > 1 else gap
        last, here = len(pair.lr) - 1, pair.first + start
        given = [max(here - gap, 0), here, here + gap, min(here + 2 * gap, last)]
        return given, [start, start + inside], [0.0, inside / gap]

    def _around(self, rng: np.random.Generator, pair: ClipPair) -> tuple[list[int], list[int], list[float]]:
        """Draw likewise around the only HR frame, which is a given frame or halfway between two."""
        last, here = len(pair.lr) - 1, pair.first
        if here == 0 or rng.random() < GIVEN_SHARE:
            gap = int(rng.integers(1, self.recipe.max_gap + 1))
            given = [here - gap, here, here + gap, here + 2 * gap]
            tau = 0.0
        else:
            given = [here - 3, here - 1, here + 1, here + 3]
            tau = 0.5
        return [min(max(number, 0), last) for number in given], [0, 0], [tau, tau]


class _Drawn(NamedTuple):
    """One pair of given frames with what it is supervised by."""

    lr: Tensor  # (4, h, w, 3) uint8: before, first, second, after
    hr: Tensor  # (N, S, S, 3) uint8
    taus: list[float]  # N
