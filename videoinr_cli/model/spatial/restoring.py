"""VideoINR on frames that a model has restored without enlarging them: the small network enlarges them.

A sample a pixel would make a poor spatial field; the small network's own is a better one, and its fusion of
neighbouring frames steadies what the model made of each.
"""

from __future__ import annotations

import torch
from torch import Tensor

from videoinr_cli.model.fast import FastVideoInr
from videoinr_cli.model.fast.encoder import FastFrame
from videoinr_cli.model.fast.fields import FastPair
from videoinr_cli.model.fast.network import FastCarry, FastInstant
from videoinr_cli.model.given import GivenVideoInr
from videoinr_cli.model.network import Effort, Footprint, Motion, Window
from videoinr_cli.model.spatial.enlarger import Enlarger


class RestoringVideoInr(GivenVideoInr[FastFrame, FastPair, FastInstant]):
    """The small network behind a model that restores."""

    finer_below = FastVideoInr.finer_below

    def __init__(self, restorer: Enlarger, network: FastVideoInr) -> None:
        """Join a model whose factor is 1, and the network that renders what it makes of the frames."""
        super().__init__()
        self.restorer = restorer
        self.network = network
        self.config = network.config
        self.halo_px = network.halo_px + restorer.halo_px

    @property
    def compute_dtype(self) -> torch.dtype:  # of the network; the model may not bear it
        return self.network.compute_dtype

    @compute_dtype.setter
    def compute_dtype(self, dtype: torch.dtype) -> None:
        self.network.compute_dtype = dtype
        self.restorer.use(dtype)

    def encode_frame(self, frame: Tensor) -> FastFrame:
        return self.network.encode_frame(self.restorer(frame))

    def encode_pair(
        self,
        first: FastFrame,
        second: FastFrame,
        *,
        before: FastFrame | None = None,
        after: FastFrame | None = None,
        carry: FastCarry | None = None,
    ) -> FastPair:
        return self.network.encode_pair(first, second, before=before, after=after, carry=carry)

    def motion_of(self, pair: FastPair) -> Motion:
        return self.network.motion_of(pair)

    def given_frames(self, pair: FastPair) -> tuple[Tensor, Tensor] | None:
        return pair.given  # as the model has restored them

    def motion_at(self, pair: FastPair, tau: Tensor) -> Tensor:
        return self.network.motion_at(pair, tau)

    def prepare_instant(
        self, pair: FastPair, tau: float | Tensor, size: tuple[int, int], window: Window, chunk_bytes: int
    ) -> FastInstant:
        return self.network.prepare_instant(pair, tau, size, window, chunk_bytes)

    def query(self, instant: FastInstant, window: Window) -> Tensor:
        return self.network.query(instant, window)

    def query_bytes(self, pair: FastPair) -> int:
        return self.network.query_bytes(pair)

    def footprint(self) -> Footprint:
        """See `VideoInr.footprint`: the network's, and while a frame is encoded, the model's."""
        own = self.network.footprint()
        return own._replace(encoding=max(own.encoding, round(self.restorer.cost.peak_bytes)))

    def effort(self) -> Effort:
        """See `VideoInr.effort`: the network's, and the model's for each frame."""
        return with_model(self.network.effort(), self.restorer.cost.effort, self.config.context_frames)


def with_model(effort: Effort, model: float, context_frames: int) -> Effort:
    """Add what a model takes for each LR pixel of a frame: for every frame of a run, or for the one new."""
    return effort._replace(
        alone=effort.alone + (2 + 2 * context_frames) * model, following=effort.following + model
    )
