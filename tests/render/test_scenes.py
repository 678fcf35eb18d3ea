"""The cut detector on pictures whose relation is known by construction."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, zoom

from tests.outside import load
from videoinr_cli.options import DEFAULT_SCENE_THRESHOLD
from videoinr_cli.render.scenes import THUMBNAIL_PX, WINDOW, cut_score, thumbnail, with_cuts

Picture = NDArray[np.uint8]
SEEDS = range(8)

benchmark = load("benchmarks/cuts.py")


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


def wide_texture(seed: int) -> NDArray[np.float32]:
    """A picture with detail of several sizes, as photographs have, larger than what a camera sees of it."""
    parts = [
        texture(10 * seed + size, 260, 560, sigma=size)[..., 0].astype(np.float32) for size in (3, 8, 24)
    ]
    return np.mean(parts, axis=0, dtype=np.float32)


@pytest.mark.parametrize("name", [*benchmark.CUTS, *benchmark.NO_CUTS])
def test_what_a_scene_holds_is_told_from_what_cuts_it(name: str) -> None:
    draw = {**benchmark.CUTS, **benchmark.NO_CUTS}[name]
    wanted = [benchmark.CUT] if name in benchmark.CUTS else []
    for seed in (1, 2):
        props = benchmark.Props(wide_texture(seed), wide_texture(seed + 100), seed)
        assert benchmark.found_in(draw(props, number) for number in range(benchmark.FRAMES)) == wanted


@pytest.mark.parametrize("seed", SEEDS)
def test_a_cut_with_a_mixed_frame_is_a_cut(seed: int) -> None:
    """As where the frame rate was converted: too sudden for a dissolve."""
    props = benchmark.Props(wide_texture(seed), wide_texture(seed + 100), seed)
    pictures = [props.cut(number) for number in range(benchmark.FRAMES)]
    pictures[benchmark.CUT] = 0.3 * props.pan(benchmark.CUT) + 0.7 * pictures[benchmark.CUT]
    assert benchmark.found_in(iter(pictures)) == [benchmark.CUT]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_flash_some_frames_after_a_cut_does_not_hide_it(seed: int) -> None:
    """It changes the picture as the cut did, but not at once."""
    dark, light = (
        level * wide_texture(number)[:180, :320] for level, number in ((0.1, seed), (0.5, seed + 100))
    )
    pictures = [dark] * benchmark.CUT + [light] * 4 + [2 * light] + [light] * 4
    assert benchmark.found_in(iter(pictures)) == [benchmark.CUT]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_dissolve_whose_frames_are_shown_twice_is_no_cut(seed: int) -> None:
    props = benchmark.Props(wide_texture(seed), wide_texture(seed + 100), seed)
    twice = (benchmark.dissolve_from_dark(props, number // 2 * 2) for number in range(benchmark.FRAMES))
    assert benchmark.found_in(twice) == []


def test_footage_is_joined_with_the_cuts_that_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark, "SHOT_FRAMES", (60, 120))
    shots = [np.stack([texture(seed)[..., 0]] * 12) for seed in range(3)]
    joined = benchmark.measure_footage(shots, minutes=0.3, seed=1)
    assert joined.minutes >= 0.3
    assert joined.found == joined.cuts > 0
    assert len(joined.wrong) == joined.false


def test_a_decision_depends_on_the_window_alone() -> None:
    pictures = [texture(number // 7 * 100 + number) for number in range(30)]
    whole = [is_cut for _, is_cut in with_cuts(pictures, DEFAULT_SCENE_THRESHOLD, thumbnail)]
    for begin in range(0, 12, 3):
        part = list(with_cuts(pictures[begin:], DEFAULT_SCENE_THRESHOLD, thumbnail))
        assert [id(picture) for picture, _ in part] == [id(picture) for picture in pictures[begin:]]
        assert [is_cut for _, is_cut in part][WINDOW + 1 :] == whole[begin + WINDOW + 1 :]


def test_a_frame_waits_for_the_window_only() -> None:
    asked = iter(range(100))
    marked = with_cuts((texture(next(asked)) for _ in range(20)), DEFAULT_SCENE_THRESHOLD, thumbnail)
    next(marked)
    assert next(asked) == WINDOW + 1


def test_with_the_highest_threshold_there_is_no_cut() -> None:
    pictures = [texture(0)] * 10 + [texture(100)] * 10
    assert not any(is_cut for _, is_cut in with_cuts(pictures, 1.0, thumbnail))
    assert sum(is_cut for _, is_cut in with_cuts(pictures, DEFAULT_SCENE_THRESHOLD, thumbnail)) == 1


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
