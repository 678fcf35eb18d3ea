"""The geometry of tiles: how a picture is cut into overlapping ones, and how they are blended into one."""

from __future__ import annotations

import dataclasses
import itertools
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from videoinr_cli.options import MIN_TILE_PX

ALIGNMENT_PX = 8
"""Tiles begin at multiples of this, so that the networks' grids down to 1/8 of the LR size lie in a tile as
in the whole picture. On coarser grids motion is only estimated roughly."""

BLEND_PX = 8
"""LR pixels on each side of a border over which one tile fades into the other: enough to hide a difference,
and few, as both tiles are rendered there."""


class AxisTile(NamedTuple):
    """A tile along one axis."""

    start: int  # first LR pixel that is encoded, the halo included
    stop: int  # exclusive
    first: int  # first output pixel in which the tile has a share
    weights: NDArray[np.float32]  # the shares of that pixel and the following ones, in (0, 1]

    @property
    def last(self) -> int:
        """Behind the last output pixel in which the tile has a share (exclusive)."""
        return self.first + len(self.weights)


@dataclasses.dataclass(frozen=True, eq=False)
class Tile:
    """A part of the picture that is encoded separately."""

    rows: AxisTile
    columns: AxisTile


def tiles(
    lr_size: tuple[int, int], size: tuple[int, int], tile_px: tuple[int, int], halo_px: int
) -> list[Tile]:
    """Cut a picture into tiles of about equal size, row by row.

    Args:
        lr_size: (H, W) of the picture that is encoded.
        size: (Ho, Wo) of the one that is rendered.
        tile_px: the most LR rows and columns of a tile, without its halo.
        halo_px: LR pixels encoded around each tile, as far as the picture has them.
    """
    rows, columns = (
        tile_axis(*lengths, halo_px=halo_px) for lengths in zip(lr_size, size, tile_px, strict=True)
    )
    return [Tile(row, column) for row in rows for column in columns]


def axis_spans(length: int, tile_px: int, *, halo_px: int) -> list[tuple[int, int]]:
    """Return the LR pixels of each tile along an axis, as (start, stop) with its halo; see `tile_axis`."""
    halo_px = max(halo_px, BLEND_PX)
    halo_px += -halo_px % ALIGNMENT_PX
    return [
        (max(0, start - halo_px), min(length, stop + halo_px))
        for start, stop in itertools.pairwise(_borders(length, tile_px))
    ]


def tile_axis(length: int, output_length: int, tile_px: int, *, halo_px: int) -> list[AxisTile]:
    """Cut one axis into tiles whose weights sum up to 1 at every output pixel.

    Args:
        length: of the axis, in LR pixels.
        output_length: in output pixels.
        tile_px: longest tile, without its halo; rounded down to a multiple of `ALIGNMENT_PX`, but not below
            `MIN_TILE_PX`.
        halo_px: see `tiles`; at least `BLEND_PX`, within which the blending happens.
    """
    borders = _borders(length, tile_px)
    positions = (np.arange(output_length) + 0.5) * (length / output_length)  # in LR pixels, from the edge
    # for each inner border, 0 on the near side of the blending to 1 on the far side
    passed = [
        np.clip((positions - border) / (2 * BLEND_PX) + 0.5, 0, 1).astype(np.float32)
        for border in borders[1:-1]
    ]
    passed = [np.ones(output_length, np.float32), *passed, np.zeros(output_length, np.float32)]
    found = []
    for index, (start, stop) in enumerate(axis_spans(length, tile_px, halo_px=halo_px)):
        weights = passed[index] - passed[index + 1]  # at most one of the two is neither 0 nor 1
        (shares,) = np.nonzero(weights)
        first, last = int(shares[0]), int(shares[-1]) + 1
        found.append(AxisTile(start, stop, first, weights[first:last]))
    return found


def _borders(length: int, tile_px: int) -> list[int]:
    """Return 0, the LR pixels where one tile meets the next, and `length`."""
    longest = length if tile_px >= length else max(MIN_TILE_PX, tile_px // ALIGNMENT_PX * ALIGNMENT_PX)
    count = -(-length // longest)
    step = -(-length // (count * ALIGNMENT_PX)) * ALIGNMENT_PX  # at most `longest`
    return [*range(0, length, step), length]
