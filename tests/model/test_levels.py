"""Levels of frames: when they are brought together, and what a pair then shows."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from videoinr_cli.model.config import FastConfig
from videoinr_cli.model.fast import FastVideoInr
from videoinr_cli.model.fast.encoder import FastFrame
from videoinr_cli.model.fast.levels import Levels
from videoinr_cli.model.flow import smooth_luma

HEIGHT, WIDTH = 48, 64


def levels_of(rgb: Tensor) -> Levels:
    return Levels.of(rgb, smooth_luma(rgb))


@pytest.fixture
def noise() -> Tensor:
    return 0.2 + 0.5 * torch.rand(1, 3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(0))


def test_levels_are_the_mean_and_the_deviation() -> None:
    picture = torch.full((1, 3, 4, 8), 0.2)
    picture[..., 4:] = 0.6
    levels = Levels.of(picture, picture[:, :1])
    assert levels.mean.flatten().tolist() == pytest.approx([0.4] * 3)
    assert float(levels.deviation) == pytest.approx(0.2)


def test_moved_and_back_is_the_same(noise: Tensor) -> None:
    own, others = levels_of(noise), levels_of(0.4 * noise + 0.5)
    moved = own.moved(noise, others)
    assert (moved - (0.4 * noise + 0.5)).abs().max() < 1e-5
    assert (others.moved(moved, own) - noise).abs().max() < 1e-5


@pytest.mark.parametrize(("gain", "offset"), [(0.5, 0.5), (0.8, 0.0), (1.3, 0.0), (1.0, 0.06), (0.05, 0.0)])
def test_flashes_and_fades_differ(noise: Tensor, gain: float, offset: float) -> None:
    bright, dark = levels_of(noise), levels_of(gain * noise + offset)
    assert bright.differ(dark)
    assert dark.differ(bright)


def test_small_changes_do_not_differ(noise: Tensor) -> None:
    assert not levels_of(noise).differ(levels_of(0.97 * noise + 0.01))


def test_what_comes_into_the_picture_does_not_differ(noise: Tensor) -> None:
    """It changes brightness and contrast of the whole, which do not explain it."""
    covered = noise.clone()
    covered[..., : WIDTH // 2] = 0.02
    own, others = levels_of(noise), levels_of(covered)
    assert (own.mean - others.mean).abs().min() > 6 / 255
    assert not own.differ(others)


def test_what_shows_nothing_does_not_differ(noise: Tensor) -> None:
    black, white = (levels_of(torch.full_like(noise, level)) for level in (0, 1))
    assert not black.differ(white)
    assert black.differ(levels_of(noise))


def test_shapes_alone_do_not_differ(noise: Tensor) -> None:
    assert not levels_of(noise.to("meta")).differ(levels_of(noise.to("meta")))


@pytest.fixture
def network() -> FastVideoInr:
    torch.manual_seed(0)
    return FastVideoInr(FastConfig(frame_blocks=1, fused_blocks=1)).eval().requires_grad_(False)


@pytest.fixture
def picture() -> Tensor:
    y, x = torch.arange(HEIGHT)[:, None], torch.arange(WIDTH)
    return (0.3 + 0.2 * torch.sin(x / 9) * torch.cos(y / 7)).expand(1, 3, -1, -1)


def flashed(network: FastVideoInr, picture: Tensor) -> tuple[FastFrame, FastFrame]:
    """Return a frame as it is, and nearly white."""
    return network.encode_frame(picture), network.encode_frame(0.5 * picture + 0.45)


@torch.no_grad()
def test_a_pair_shows_its_frames_own_levels_and_their_way(network: FastVideoInr, picture: Tensor) -> None:
    pair = network.encode_pair(*flashed(network, picture))
    assert pair.levels is not None
    for tau in (0.0, 0.25, 1.0):
        due = (1 - 0.5 * tau) * picture + 0.45 * tau
        shown = network.render(pair, tau, (HEIGHT, WIDTH))
        assert float((shown - due).mean().abs()) < 2 / 255  # of 115; the network is not trained
        assert float(shown.std() / due.std()) == pytest.approx(1, abs=0.1)


@torch.no_grad()
def test_frames_beside_a_flash_are_not_fused_with_it(network: FastVideoInr, picture: Tensor) -> None:
    plain, flash = flashed(network, picture)
    beside = network.encode_pair(plain, plain, before=flash, after=flash)
    assert beside.levels is None
    assert torch.equal(beside.field, network.encode_pair(plain, plain).field)


@torch.no_grad()
def test_what_is_kept_of_a_flash_changes_nothing(network: FastVideoInr, picture: Tensor) -> None:
    plain, flash = flashed(network, picture)
    kept = network.encode_pair(plain, flash, after=flash).carry
    followed = network.encode_pair(flash, flash, before=plain, carry=kept)
    assert torch.equal(followed.field, network.encode_pair(flash, flash, before=plain).field)


@torch.no_grad()
@pytest.mark.parametrize("colour", [(0.02, 0.02, 0.02), (0.1, 0.2, 0.9)])
def test_a_picture_that_fades_into_a_colour_stays_where_it_is(
    network: FastVideoInr, picture: Tensor, colour: tuple[float, float, float]
) -> None:
    """What shows nothing has no motion, and the last instant shows it."""
    second = torch.tensor(colour).view(1, 3, 1, 1).expand_as(picture)
    for reverse in (False, True):
        frames = [network.encode_frame(frame) for frame in (picture, second)]
        pair = network.encode_pair(*(reversed(frames) if reverse else frames))
        assert pair.motion.first is pair.motion.second
        for tau in (0.0, 0.5, 1.0):
            shown = network.render(pair, 1 - tau if reverse else tau, (HEIGHT, WIDTH))
            assert (shown - torch.lerp(picture, second, tau)).abs().max() < 0.05 * (1 - tau) + 1e-6


@torch.no_grad()
def test_two_colours_are_blended(network: FastVideoInr, picture: Tensor) -> None:
    frames = (network.encode_frame(torch.full_like(picture, level)) for level in (0, 1))
    assert (network.render(network.encode_pair(*frames), 0.25, (HEIGHT, WIDTH)) - 0.25).abs().max() < 2e-3
