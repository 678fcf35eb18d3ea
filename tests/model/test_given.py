"""What is given is given back at its own size, and helps the frames between."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.tiny import TINY, TINY_LARGE, scattered
from videoinr_cli import UpscaleOptions, load_model, upscale_frames
from videoinr_cli.model import AnyVideoInr, ModelConfig, VideoInr, Window
from videoinr_cli.model.network import PairEncoding, Place

SIZE = (40, 56)


def frames(count: int = 4, *, step_px: int = 0, seed: int = 0) -> list[Tensor]:
    """Return frames of hard blocks of 4 px, moved to the left by so many pixels a frame."""
    generator = torch.Generator().manual_seed(seed)
    blocks = torch.rand(1, 3, SIZE[0] // 4, SIZE[1], generator=generator)
    wall = blocks.repeat_interleave(4, dim=2).repeat_interleave(4, dim=3)
    levels = (wall * 255).round() / 255
    return [levels[..., step_px * place : step_px * place + SIZE[1]].contiguous() for place in range(count)]


@torch.inference_mode()
def encoded(model: AnyVideoInr, given: list[Tensor]) -> PairEncoding:
    """Return the encoding of the second and third of four frames."""
    pair: PairEncoding = model.encode_pair_of([model.encode_frame(frame) for frame in given], 1)
    return pair


@torch.inference_mode()
def plainly(model: AnyVideoInr, pair: PairEncoding, tau: float, size: tuple[int, int]) -> Tensor:
    """Render what the network alone makes of a pair."""
    return VideoInr.render(model, pair, tau, size)


def error(shown: Tensor, truth: Tensor) -> float:
    return float((shown - truth).abs().mean())


@pytest.mark.parametrize("config", [TINY, TINY_LARGE], ids=lambda config: config.architecture)
def test_given_frames_are_given_back_to_the_bit(config: ModelConfig) -> None:
    model, given = scattered(config), frames(step_px=3)
    pair = encoded(model, given)
    for tau, frame in ((0.0, given[1]), (1.0, given[2])):
        assert error(plainly(model, pair, tau, SIZE), frame) > 0.01
        with torch.inference_mode():
            assert model.render(pair, tau, SIZE).equal(frame)
            part = model.render(pair, tau, SIZE, window=Window(3, 5, 20, 40))
        assert part.equal(frame[..., 3:20, 5:40])


def test_frames_of_a_flash_are_given_back_to_the_bit() -> None:
    model, given = scattered(TINY), frames(step_px=3)
    given[2] = (given[2] * 0.4 + 0.6).clamp(max=1)
    pair = encoded(model, given)
    assert pair.levels is not None  # type: ignore[attr-defined]
    with torch.inference_mode():
        assert model.render(pair, 0.0, SIZE).equal(given[1])
        assert model.render(pair, 1.0, SIZE).equal(given[2])


def test_a_given_frame_may_be_overwritten() -> None:
    model, given = scattered(TINY), frames()
    pair = encoded(model, given)
    with torch.inference_mode():
        model.render(pair, 0.0, SIZE).zero_()
        assert model.render(pair, 0.0, SIZE).equal(given[1])


def test_what_stands_still_is_given_back_between_frames() -> None:
    model, given = scattered(TINY), frames()
    pair = encoded(model, given)
    with torch.inference_mode():
        shown = model.render(pair, 0.5, SIZE)
    assert error(plainly(model, pair, 0.5, SIZE), given[1]) > 0.01
    torch.testing.assert_close(shown, given[1], atol=1e-4, rtol=0)


def test_what_restores_shows_something_else() -> None:
    model, given = scattered(dataclasses.replace(TINY, restores=True)), frames()
    pair = encoded(model, given)
    with torch.inference_mode():
        shown = model.render(pair, 0.0, SIZE)
    assert shown.equal(plainly(model, pair, 0.0, SIZE))
    assert error(shown, given[1]) > 0.01


def test_what_moves_is_nearer_to_the_truth() -> None:
    model, whole = load_model("videoinr-fast"), frames(8, step_px=1)
    pair = encoded(model, whole[::2])
    with torch.inference_mode():
        shown = model.render(pair, 0.5, SIZE)
    inner = (..., slice(8, -8), slice(8, -8))
    plain = error(plainly(model, pair, 0.5, SIZE)[inner], whole[3][inner])
    assert error(shown[inner], whole[3][inner]) < 0.9 * plain


@pytest.mark.parametrize(("size", "is_corrected"), [((50, 70), True), ((59, 83), True), ((60, 84), False)])
def test_little_enlarged_it_is_still_nearer(size: tuple[int, int], is_corrected: bool) -> None:
    model, given = scattered(TINY), frames()
    pair = encoded(model, given)
    with torch.inference_mode():
        shown = model.render(pair, 0.0, size)
    plain = plainly(model, pair, 0.0, size)
    if not is_corrected:
        assert shown.equal(plain)
        return
    truth = torch.nn.functional.interpolate(given[1], size, mode="bicubic", antialias=True)
    assert error(shown, truth) < 0.7 * error(plain, truth)


def test_windows_and_places_are_parts_of_the_whole() -> None:
    model, given = scattered(TINY), frames(step_px=3)
    pair, size = encoded(model, given), (50, 70)
    with torch.inference_mode():
        for tau in (0.0, 0.25):
            whole = model.render(pair, tau, size)
            part = model.render(pair, tau, size, window=Window(7, 9, 33, 61), chunk_bytes=1 << 15)
            torch.testing.assert_close(part, whole[..., 7:33, 9:61], atol=1e-5, rtol=0)
    placed = dataclasses.replace(encoded(model, given), place=Place(100, 200, 400, 600))
    with torch.inference_mode():
        window = Window(110, 220, 130, 250)
        shown = model.render(placed, 1.0, (400, 600), window=window)
    assert shown.equal(given[2][..., 10:30, 20:50])


@pytest.mark.parametrize("tile", [None, 48])
def test_upscaled_frames_hold_the_source_itself(tile: int | None) -> None:
    generator = np.random.default_rng(0)
    given = [generator.integers(0, 256, (60, 80, 3), np.uint8) for _ in range(3)]
    options = UpscaleOptions(tile=tile)
    shown = [frame.picture for frame in upscale_frames(iter(given), options, scale=1, fps="2x", input_fps=25)]
    for number, frame in enumerate(given):
        np.testing.assert_array_equal(shown[2 * number], frame)
    assert not np.array_equal(shown[1], given[0])
