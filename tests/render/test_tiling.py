"""Tiles: every pixel is covered, once in sum, and by what lies around it."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from videoinr_cli.options import MIN_TILE_PX
from videoinr_cli.render.tiling import ALIGNMENT_PX, BLEND_PX, tile_axis, tiles

lengths = st.integers(1, 700)
scales = st.floats(1, 9)
tile_sizes = st.integers(1, 900)
halos = st.integers(0, 80)


@given(lengths, scales, tile_sizes, halos)
def test_the_shares_of_every_pixel_sum_up_to_one(length: int, scale: float, tile_px: int, halo: int) -> None:
    output = round(length * scale)
    total = np.zeros(output)
    for span in tile_axis(length, output, tile_px, halo_px=halo):
        assert (span.weights > 0).all()
        total[span.first : span.last] += span.weights
    np.testing.assert_allclose(total, 1, atol=1e-6)


@given(lengths, scales, tile_sizes, halos)
def test_what_is_shown_has_its_surroundings_encoded(
    length: int, scale: float, tile_px: int, halo: int
) -> None:
    output = round(length * scale)
    for span in tile_axis(length, output, tile_px, halo_px=halo):
        # where the outermost pixels' centres lie, in LR pixels from the picture's edge
        first, last = ((pixel + 0.5) * length / output for pixel in (span.first, span.last - 1))
        context = max(halo, BLEND_PX) - BLEND_PX
        assert span.start <= max(0, first - context) + 1e-6
        assert span.stop >= min(length, last + context) - 1e-6


@given(lengths, scales, tile_sizes, halos)
def test_tiles_begin_on_the_grid_and_keep_to_their_size(
    length: int, scale: float, tile_px: int, halo: int
) -> None:
    most = max(MIN_TILE_PX, tile_px)
    around = 2 * (max(halo, BLEND_PX) + ALIGNMENT_PX - 1)
    for span in tile_axis(length, round(length * scale), tile_px, halo_px=halo):
        assert span.start % ALIGNMENT_PX == 0
        assert 0 <= span.start < span.stop <= length
        assert span.stop - span.start <= most + around


@given(lengths, tile_sizes)
def test_there_are_no_more_tiles_than_needed(length: int, tile_px: int) -> None:
    usable = max(MIN_TILE_PX, tile_px // ALIGNMENT_PX * ALIGNMENT_PX)
    needed = 1 if tile_px >= length else -(-length // usable)
    assert len(tile_axis(length, length, tile_px, halo_px=16)) == needed


def test_one_tile_is_the_whole_picture() -> None:
    (tile,) = tiles((90, 160), (315, 560), (96, 160), halo_px=32)
    for span, length, output in ((tile.rows, 90, 315), (tile.columns, 160, 560)):
        assert (span.start, span.stop, span.first, span.last) == (0, length, 0, output)
        assert (span.weights == 1).all()


def test_a_picture_that_fits_is_one_tile_whatever_its_size() -> None:
    for length in (33, 180, 181, 1080):
        assert len(tile_axis(length, 4 * length, length, halo_px=32)) == 1


def test_neighbours_fade_into_each_other_around_their_border() -> None:
    first, second = tile_axis(128, 256, 64, halo_px=16)
    assert (first.start, first.stop, second.start, second.stop) == (0, 80, 48, 128)
    # 8 LR pixels on each side of 64, two output pixels each; the ramp is symmetric about the border
    assert (first.last, second.first) == (144, 112)
    np.testing.assert_allclose(second.weights[:32], (np.arange(32) + 0.5) / 32, atol=1e-6)
    np.testing.assert_allclose(first.weights[-32:], second.weights[:32][::-1], atol=1e-6)
    assert (first.weights[:-32] == 1).all()


def test_tiles_come_row_by_row() -> None:
    found = tiles((64, 100), (64, 100), (32, 56), halo_px=8)
    assert [(tile.rows.start, tile.columns.start) for tile in found] == [(0, 0), (0, 48), (24, 0), (24, 48)]
