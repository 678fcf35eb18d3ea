"""The cut detector on pictures whose relation is known by construction."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, zoom

from videoinr_cli.options import DEFAULT_SCENE_THRESHOLD
from videoinr_cli.render.scenes import THUMBNAIL_PX, cut_score, thumbnail

Picture = NDArray[np.uint8]
SEEDS = range(8)


def texture(seed: int, height: int = 180, width: int = 320, sigma: float = 6) -> Picture:
    """A smooth random picture with contrast like a photograph's."""
    noise = np.random.default_rng(seed).standard_normal((height, width, 3))
    smooth = gaussian_filter(noise, (sigma, sigma, 0), mode="wrap")
    return np.clip(128 + 50 * smooth / smooth.std(), 0, 255).astype(np.uint8)


def score(first: NDArray[Any], second: NDArray[Any]) -> float:
    return cut_score(thumbnail(first), thumbnail(second))


@pytest.mark.parametrize("seed", SEEDS)
def test_another_scene_is_a_cut(seed: int) -> None:
    assert score(texture(seed), texture(seed + 100)) > DEFAULT_SCENE_THRESHOLD


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("dy", "dx"), [(0, 6), (0, 24), (12, -20), (-15, 0)])
def test_a_pan_is_no_cut(seed: int, dy: int, dx: int) -> None:
    wide = texture(seed, 240, 400)
    first = wide[30:210, 40:360]
    second = wide[30 + dy : 210 + dy, 40 + dx : 360 + dx]
    assert score(first, second) < DEFAULT_SCENE_THRESHOLD - 0.1


@pytest.mark.parametrize("seed", SEEDS)
def test_a_fast_zoom_is_no_cut(seed: int) -> None:
    first = texture(seed)
    second = zoom(first, (1.15, 1.15, 1), order=1)[13:193, 24:344]
    assert score(first, second) < DEFAULT_SCENE_THRESHOLD - 0.1


@pytest.mark.parametrize("seed", SEEDS)
def test_a_flash_is_no_cut(seed: int) -> None:
    """A third brighter and washed out by light from everywhere, with some highlights clipped."""
    first = texture(seed)
    flash = np.clip(first * 0.9 + 90.0, 0, 255).astype(np.uint8)
    assert float(np.mean(flash == 255)) > 0.01
    assert score(first, flash) < DEFAULT_SCENE_THRESHOLD - 0.1
    assert score(flash, first) < DEFAULT_SCENE_THRESHOLD - 0.1


@pytest.mark.parametrize("seed", SEEDS)
def test_a_fade_to_black_is_no_cut(seed: int) -> None:
    first = texture(seed)
    faded = [(first * level).astype(np.uint8) for level in np.linspace(1, 0, 16)]
    assert max(map(score, faded, faded[1:])) < DEFAULT_SCENE_THRESHOLD


@pytest.mark.parametrize("seed", SEEDS)
def test_a_dissolve_is_no_cut(seed: int) -> None:
    first, second = texture(seed), texture(seed + 100)
    mixed = [(first * (1 - a) + second * a).astype(np.uint8) for a in np.linspace(0, 1, 13)]
    assert max(map(score, mixed, mixed[1:])) < DEFAULT_SCENE_THRESHOLD - 0.1


@pytest.mark.parametrize("seed", SEEDS)
def test_a_cut_to_or_from_black_is_a_cut(seed: int) -> None:
    black = np.zeros((180, 320, 3), np.uint8)
    assert score(texture(seed), black) > DEFAULT_SCENE_THRESHOLD
    assert score(black, texture(seed)) > DEFAULT_SCENE_THRESHOLD


def test_noise_on_a_dark_picture_is_no_cut() -> None:
    rng = np.random.default_rng(0)
    first, second = (rng.integers(0, 24, (180, 320, 3), dtype=np.uint8) for _ in range(2))
    assert score(first, second) == 0


def test_equal_pictures_score_nothing() -> None:
    assert score(texture(0), texture(0)) == 0


def test_plain_colours_have_no_structure_to_lose() -> None:
    dark, light = (np.full((48, 64, 3), level, np.uint8) for level in (20, 220))
    assert score(dark, light) == 0


@pytest.mark.parametrize("size", [(1, 1), (7, 5), (32, 48), (33, 1000)])
def test_a_thumbnail_has_one_size_and_the_mean_of_its_frame(size: tuple[int, int]) -> None:
    small = thumbnail(np.full((*size, 3), 77, np.uint8))
    assert small.shape == THUMBNAIL_PX
    np.testing.assert_allclose(small, 77, rtol=1e-5)


def test_16_bit_frames_mean_the_same() -> None:
    frame = texture(3)
    np.testing.assert_allclose(thumbnail(frame.astype(np.uint16) * 257), thumbnail(frame), atol=1e-3)


def test_a_thumbnail_lies_where_its_frame_does() -> None:
    frame = np.zeros((320, 480, 3), np.uint8)
    frame[100:110, 200:210] = 255  # thumbnail pixels are 10 x 10 here
    small = thumbnail(frame)
    assert small[10, 20] == pytest.approx(255, rel=1e-5)
    assert small.sum() == pytest.approx(255, rel=1e-5)
