"""The deformable ConvLSTM of Zooming Slow-Mo (Xiang et al., CVPR 2020), one step at a time.

What a step computes from its input alone is separate from the step, so that both directions in time share it;
the first step, from a state of zeros, depends on one frame alone.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from videoinr_cli.model.convolution import Conv3x3, convolve3x3
from videoinr_cli.model.published.alignment import Pyramid, PyramidAlignment, PyramidBuilder


class State(NamedTuple):
    """What the recurrence remembers, both (B, C, H, W)."""

    hidden: Tensor
    cell: Tensor


class Observed(NamedTuple):
    """One aligner's part of an input: its pyramid, and its share of the alignment's first convolutions."""

    pyramid: Pyramid
    started: list[Tensor]


class Observation(NamedTuple):
    """What a step reads of its input: both aligners' part, and the gates'."""

    hidden: Observed
    cell: Observed
    gates: Tensor  # (B, 4C, H, W)


class StateAligner(nn.Module):
    """Moves a state onto an input: aligns both ways and fuses."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.pyramid = PyramidBuilder(channels)
        self.align = PyramidAlignment(channels, groups)
        self.fusion = nn.Conv2d(2 * channels, channels, 1)

    def observe(self, x: Tensor) -> Observed:
        pyramid = self.pyramid(x)
        return Observed(pyramid, self.align.start_a(pyramid))

    def forward(self, observed: Observed, state: Tensor | None) -> Tensor:
        """Return the moved state (B, C, H, W); None stands for a state of zeros."""
        fine = observed.pyramid.fine
        assert fine is not None
        below = self.pyramid.of_zeros(fine) if state is None else self.pyramid(state)
        return self.fusion(self.align(observed.pyramid, below, observed.started))  # type: ignore[no-any-return]


class DeformableConvLstm(nn.Module):
    """A ConvLSTM cell whose state is aligned with the input before each step."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.channels = channels
        self.align_hidden = StateAligner(channels, groups)
        self.align_cell = StateAligner(channels, groups)
        self.gates = Conv3x3(2 * channels, 4 * channels)

    def observe(self, x: Tensor) -> Observation:
        """Compute the part of a step that depends on its input (B, C, H, W) alone."""
        gates = convolve3x3(x, self.gates.weight[:, : self.channels], self.gates.bias)
        return Observation(self.align_hidden.observe(x), self.align_cell.observe(x), gates)

    def forward(self, observed: Observation, state: State | None) -> State:
        """Take one step; None stands for a state of zeros."""
        hidden = self.align_hidden(observed.hidden, None if state is None else state.hidden)
        cell = self.align_cell(observed.cell, None if state is None else state.cell)
        gates = convolve3x3(hidden, self.gates.weight[:, self.channels :]).add_(observed.gates)
        write, keep, show, content = gates.chunk(4, 1)
        cell = keep.sigmoid() * cell + write.sigmoid() * content.tanh()
        return State(show.sigmoid() * torch.tanh(cell), cell)
