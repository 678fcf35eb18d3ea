"""Grain in the frames between: where it is told, and how it is decoded."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from videoinr_cli.model.fast.encoder import FastFrame
from videoinr_cli.model.fast.grain import as_in_first, grain_of
from videoinr_cli.model.fast.levels import Levels
from videoinr_cli.model.flow import smooth_luma

HEIGHT, WIDTH = 40, 64
INSIDE = (slice(12, -12), slice(12, -12))
"""Away from borders, beyond which motion leads."""
SHIFT_PX = 3


def frame(rgb: Tensor) -> FastFrame:
    luma = smooth_luma(rgb)
    return FastFrame(HEIGHT, WIDTH, rgb, luma, Levels.of(rgb, luma), torch.empty(0), ())


def ramp(right_px: float = 0.0) -> Tensor:
    x = torch.arange(WIDTH) - right_px
    return (0.3 + 0.004 * x).expand(1, 3, HEIGHT, WIDTH)


def noise(seed: int, levels: float) -> Tensor:
    drawn = torch.randn(1, 1, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(seed))
    return drawn * (levels / 255)


def told(first: Tensor, second: Tensor, *, tau: float = 0.5, right_px: float = 0.0) -> Tensor | None:
    """Return what is told, (6, h, w) inside, of frames between which all moves to the right."""
    motion = torch.zeros(1, 5, HEIGHT, WIDTH)
    motion[:, 0], motion[:, 2] = -tau * right_px, (1 - tau) * right_px
    grain = grain_of(frame(first), frame(second), motion, torch.full((1, 1, 1, 1), tau))
    return None if grain is None else grain[0, :, INSIDE[0], INSIDE[1]]


def is_none(grain: Tensor | None) -> bool:
    return grain is None or float(grain[0].max()) == 0


@pytest.mark.parametrize("levels", [2, 5, 8])
def test_noise_of_its_own_in_each_frame_is_grain(levels: float) -> None:
    moved = ramp(SHIFT_PX)
    grain = told(ramp() + noise(0, levels), moved + noise(1, levels), right_px=SHIFT_PX)
    assert grain is not None
    assert grain[0].mean() > 0.9
    assert (grain[4:].flatten(1).mean(1) - torch.tensor([-SHIFT_PX / 2, 0])).abs().max() < 1e-5


@pytest.mark.parametrize("levels", [2, 5, 8])
def test_what_moves_along_is_no_grain(levels: float) -> None:
    texture = noise(0, levels)
    moved = texture.roll(2 * SHIFT_PX, dims=3)
    assert is_none(told(ramp() + texture, ramp(2 * SHIFT_PX) + moved, right_px=2 * SHIFT_PX))


def test_what_stands_still_is_no_grain() -> None:
    motion = torch.zeros(1, 6, HEIGHT, WIDTH)
    motion[:, 5, :, : WIDTH // 2] = 1
    frames = (frame(ramp() + noise(seed, 6)) for seed in (0, 1))
    grain = grain_of(*frames, motion, torch.full((1, 1, 1, 1), 0.5))
    assert grain is not None
    assert grain[0, 0, :, : WIDTH // 2].max() == 0
    assert grain[0, 0, :, WIDTH // 2 :].mean() > 0.8


def test_rounding_is_no_grain() -> None:
    assert told(ramp() + noise(0, 0.3), ramp() + noise(1, 0.3)) is None


def test_a_texture_whose_motion_was_missed_is_no_grain() -> None:
    assert is_none(told(ramp() + noise(0, 50), ramp() + noise(1, 50)))
    coarse = [noise(seed, 100) for seed in (0, 1)]
    for _ in range(2):
        coarse = [F.avg_pool2d(one, 9, 1, 4, count_include_pad=False) for one in coarse]
    assert is_none(told(ramp() + coarse[0], ramp() + coarse[1]))


def test_the_second_frame_shows_its_own() -> None:
    assert told(ramp() + noise(0, 6), ramp() + noise(1, 6), tau=1.0) is None
    assert not is_none(told(ramp() + noise(0, 6), ramp() + noise(1, 6), tau=0.9))


@pytest.mark.parametrize("tau", [0.25, 0.75])
def test_what_is_coarser_stays_the_blend(tau: float) -> None:
    """The first frame is darker than the blend by the second one's share of their difference."""
    difference = 0.01
    grain = told(ramp() + noise(0, 6), ramp() + difference + noise(1, 6), tau=tau)
    assert grain is not None
    assert abs(float(grain[1:4].mean()) - tau * difference) < 1e-3


@pytest.mark.parametrize("tau", [0.3, 0.6])
def test_grain_is_decoded_as_in_the_first_frame(tau: float) -> None:
    grain = torch.zeros(1, 6, 1, 2)
    grain[:, 0, :, 1] = 1
    grain[:, 4], grain[:, 5] = 1.2, -0.7
    flows, share0 = torch.full((1, 4, 1, 2), 0.9), torch.full((1, 1, 1, 2), 1 - tau)
    shown, share, later = as_in_first(grain, flows, share0, torch.full((1, 1, 1, 1), tau))
    assert shown[0, :, 0, 1].tolist() == [1, -1, pytest.approx(0.9), pytest.approx(0.9)]
    assert share.flatten().tolist() == [pytest.approx(1 - tau), 1]
    assert later.flatten().tolist() == [0, pytest.approx(-tau)]
    assert torch.equal(shown[..., 0], flows[..., 0]), "where there is none, nothing changes"
