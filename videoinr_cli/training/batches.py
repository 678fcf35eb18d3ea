"""A training batch: what a network is given, and what it should make of it."""

from __future__ import annotations

import dataclasses
from typing import Protocol

import torch
from torch import Tensor

from videoinr_cli.training.recipes import SampleRecipe

BATCHES_VERSION = 4
"""Raise it whenever the same seed and step draw another batch.

1 drew detail, turns and motion one by one; 2 took fainter overlays for none; 3 drew few thin fences.
"""


@dataclasses.dataclass(frozen=True)
class WidePair:
    """Two large LR frames and the flow between them.

    In a patch the coarsest pyramid levels are a pixel or two; large frames teach how motion is found there.
    """

    first: Tensor  # (1, 3, h, w) float32 in [0, 1]
    second: Tensor  # (1, 3, h, w)
    flow: Tensor  # (2, 1, 2, h / 2, w / 2), see `Batch`
    still: Tensor  # (2, 1, 1, h, w), see `Batch`

    def to(self, device: torch.device) -> WidePair:
        return WidePair(
            self.first.to(device), self.second.to(device), self.flow.to(device), self.still.to(device)
        )


@dataclasses.dataclass(frozen=True)
class Batch:
    """Pairs of LR frames, each with the same number of supervised instants."""

    before: Tensor | None  # (B, 3, h, w): the frame before the pair, or None
    first: Tensor  # (B, 3, h, w) float32 in [0, 1]
    second: Tensor  # (B, 3, h, w)
    after: Tensor | None  # (B, 3, h, w)
    targets: tuple[Tensor, ...]  # per instant, (B, 3, Ho, Wo)
    taus: tuple[Tensor, ...]  # per instant, (B,)
    flow: Tensor  # (2, B, 2, h / 2, w / 2), pixels of that grid: to the second frame and to the first, or NaN
    still: Tensor  # (2, B, 1, h, w) in [0, 1]: where a layer in front stands still in both frames, or NaN
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
            self.still.to(device),
            None if self.wide is None else self.wide.to(device),
        )


class BatchSource(Protocol):
    """Draws batches: from footage (`samples.Sampler`) or from pairs of clips (`pairs.PairSampler`)."""

    @property
    def recipe(self) -> SampleRecipe: ...

    def batch(self, step: int) -> Batch:
        """Return the batch of training step `step`, a pure function of it."""
