"""Draw what a frozen network makes of runs of frames, to train the part of it that is not frozen.

An encoder of many frames takes far longer than what is trained on it. So each window of frames is encoded
once and kept on disk, and drawn several times; their number grows as training goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from videoinr_cli.errors import InputError, OutputError
from videoinr_cli.evaluation.resample import reduce
from videoinr_cli.model.large.network import LargePair, LargeVideoInr
from videoinr_cli.training.batches import EncodedBatch
from videoinr_cli.training.crops import draw_place, padded
from videoinr_cli.training.footage import Shot
from videoinr_cli.training.recipes import SampleRecipe
from videoinr_cli.training.samples import Sampler, to_tensor

FRAMES = 7
"""Given frames of a window: at its ends are those that pairs look at beyond themselves."""
PLACES = (2, 3)
"""Of the pairs between whose frames an instant is supervised; as many frames before them as after."""
AT_FIRST = 150
"""Windows that the first batch is drawn from."""
STEPS_PER_WINDOW = 5
"""From one window that is added to the next."""
MOVING_LEVELS = 2
"""Mean difference of neighbouring given frames, in 8-bit levels, from which on a crop is said to move."""


class EncodedSampler:
    """Draws windows from shots, encodes each once, and makes batches of them.

    Args:
        model: the network, of which only what reads encodings is trained.
        folder: where encoded windows are kept, 3 MB each.
        part: which of the processes that train together this is; each draws batches of its own.

    Raises:
        InputError: there is nothing to draw from.
    """

    def __init__(
        self,
        shots: Sequence[Shot],
        recipe: SampleRecipe,
        model: LargeVideoInr,
        folder: Path,
        *,
        seed: int,
        part: int = 0,
    ) -> None:
        self.recipe = recipe
        self.model = model
        self.folder = folder / f"encoded-{seed}-{part}"
        self.seed = (seed, part)
        self.windows = WindowSampler(shots, recipe, seed=seed)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"encoded frames cannot be kept in {str(folder)!r}: {error}") from error

    def batch(self, step: int) -> EncodedBatch:
        """Return the batch of training step `step`: any windows of those there are by then."""
        rng = np.random.default_rng((*self.seed, step, 1))
        count = max(1, self.recipe.batch_size // len(PLACES))
        drawn = rng.integers(0, AT_FIRST + step // STEPS_PER_WINDOW, size=count)
        windows = [self.encoded(int(number)) for number in drawn]
        parts = {name: torch.stack([window[name] for window in windows]) for name in windows[0]}
        features, pictures = parts["features"], parts["pictures"].float()  # (N, P + 1, ...)
        return EncodedBatch(
            (pictures[:, :-1].flatten(0, 1), pictures[:, 1:].flatten(0, 1)),
            (features[:, :-1].flatten(0, 1), features[:, 1:].flatten(0, 1)),
            parts["motion"].flatten(0, 1),
            parts["tau"].view(-1, 1, 1, 1),
            parts["target"].flatten(0, 1).float() / 255,
        )

    def encoded(self, number: int) -> dict[str, Tensor]:
        """Return a window as the network encodes it, from the disk if it is there."""
        file = self.folder / f"{number:06d}.safetensors"
        try:
            return load_file(file)
        except (OSError, SafetensorError):
            window = self._encode(self.windows.window(number))
        try:
            partial = file.with_suffix(f".{id(self)}.part")
            save_file(window, partial)
            partial.replace(file)
        except OSError as error:
            raise OutputError(f"encoded frames cannot be kept in {str(file.parent)!r}: {error}") from error
        return window

    @torch.no_grad()
    def _encode(self, window: Window) -> dict[str, Tensor]:
        model, size = self.model, self.recipe.lr_size
        given = reduce(window.given, (size, size)).to(model.device)
        run = [model.encode_frame(frame) for frame in given.split(1)]
        pairs: list[LargePair] = []
        motions: list[Tensor] = []
        for place, tau in zip(PLACES, window.taus, strict=True):
            pair = model.encode_pair_of(run, place, carry=pairs[-1].carry if pairs else None)
            pairs.append(pair)
            motions.append(model.motion_at(pair, tau.view(1, 1, 1, 1).to(model.device)))
        features = [pairs[0].features[0], *(pair.features[1] for pair in pairs)]
        pictures = [pairs[0].pictures[0], *(pair.pictures[1] for pair in pairs)]
        kept = {
            "features": torch.cat(features).to(torch.bfloat16),
            "pictures": torch.cat(pictures).to(torch.float16),
            "motion": torch.cat(motions),
            "tau": window.taus,
            "target": (window.targets * 255).round().to(torch.uint8),
        }
        return {name: tensor.cpu().contiguous() for name, tensor in kept.items()}


class Window(NamedTuple):
    """Consecutive given frames at the size of the targets, and what is there between some of them."""

    given: Tensor  # (FRAMES, 3, S, S)
    targets: Tensor  # (P, 3, S, S), one instant of each of `PLACES`
    taus: Tensor  # (P,)


class WindowSampler(Sampler):
    """Draws windows: of clips, or of pictures in synthetic motion, as `Sampler` draws pairs."""

    def __init__(self, shots: Sequence[Shot], recipe: SampleRecipe, *, seed: int, part: int = 0) -> None:
        longest = FRAMES * recipe.min_gap
        long = [shot for shot in shots if shot.is_still or len(shot.frames) > longest]
        if not long:
            raise InputError(f"no clip of more than {longest} frames without a cut to train on")
        super().__init__(long, recipe, seed=seed, part=part)

    def window(self, number: int) -> Window:
        """Draw a window, a pure function of its number."""
        rng = np.random.default_rng((self.seed, self.part, number))
        size = round(self.recipe.lr_size * self.recipe.fixed_scale)
        if self.stills and (not self.clips or rng.random() < self.recipe.still_share):
            frames, taus = self._moving(rng, size)
        else:
            frames, taus = self._filmed(rng, size)
        for axis in (-1, -2):
            if rng.random() < 0.5:
                frames = frames.flip(axis)
        if rng.random() < 0.5:
            frames = frames.transpose(-1, -2)
        given, targets = frames[:FRAMES], frames[FRAMES:]
        if rng.random() < 0.5:
            given, targets, taus = given.flip(0), targets.flip(0), 1 - taus.flip(0)
        return Window(given, targets, taus)

    def _moving(self, rng: np.random.Generator, size: int) -> tuple[Tensor, Tensor]:
        """Draw the given frames and the targets of synthetic motion, exact at every time."""
        taus = torch.from_numpy(rng.uniform(0.05, 0.95, size=len(PLACES))).float()
        middle = (FRAMES - 2) / 2  # of the window, from which motion leads evenly to either side
        times = torch.cat([torch.arange(FRAMES), torch.tensor(PLACES) + taus]) - middle
        return self._scene(rng, size, times)[0], taus

    def _filmed(self, rng: np.random.Generator, size: int) -> tuple[Tensor, Tensor]:
        """Draw from a clip; again, a few times, if nothing moves there."""
        for _ in range(6):
            least, most = self.recipe.min_gap, self.recipe.max_gap
            clip, start, top, left = draw_place(
                rng,
                self.clips,
                size,
                candidates=self.recipe.candidates,
                odds=self.clip_odds,
                spare_frames=least * (FRAMES - 1),
            )
            gap = int(rng.integers(least, min(most, (len(clip.frames) - 1 - start) // (FRAMES - 1)) + 1))
            inside = rng.integers(1, gap, size=len(PLACES))
            offsets = [gap * place for place in range(FRAMES)]
            offsets += [gap * place + int(offset) for place, offset in zip(PLACES, inside, strict=True)]
            crops = np.stack(
                [clip.frames[start + offset, top : top + size, left : left + size] for offset in offsets]
            )
            pair = crops[PLACES[0] : PLACES[0] + 2, ::4, ::4].astype(np.float32)
            if np.abs(np.diff(pair, axis=0)).mean() > MOVING_LEVELS:
                break
        return to_tensor(padded(crops, size)), torch.from_numpy(inside / gap).float()
