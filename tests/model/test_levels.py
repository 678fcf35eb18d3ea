"""Levels of frames: when they are brought together, and what a pair then shows."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from videoinr_cli.model.config import FastConfig
from videoinr_cli.model.fast import FastVideoInr
from videoinr_cli.model.fast.encoder import FastFrame
from videoinr_cli.model.fast.levels import Levels

HEIGHT, WIDTH = 48, 64


@pytest.fixture
def luma() -> Tensor:
    return 0.2 + 0.5 * torch.rand(1, 1, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(0))


def test_levels_are_the_mean_and_the_deviation() -> None:
    levels = Levels.of(torch.tensor([0.2, 0.6]).view(1, 1, 1, 2).expand(1, 1, 4, 2))
    assert float(levels.mean) == pytest.approx(0.4)
    assert float(levels.deviation) == pytest.approx(0.2)


def test_moved_and_back_is_the_same(luma: Tensor) -> None:
    own, others = Levels.of(luma), Levels.of(0.4 * luma + 0.5)
    moved = own.moved(luma, others)
    assert float(moved.mean()) == pytest.approx(float(others.mean), abs=1e-6)
    assert (others.moved(moved, own) - luma).abs().max() < 1e-6


@pytest.mark.parametrize(("gain", "offset"), [(0.5, 0.5), (0.8, 0.0), (1.3, 0.0), (1.0, 0.06), (0.05, 0.0)])
def test_flashes_and_fades_differ(luma: Tensor, gain: float, offset: float) -> None:
    bright, dark = Levels.of(luma), Levels.of(gain * luma + offset)
    assert bright.differ(dark)
    assert dark.differ(bright)


def test_small_changes_do_not_differ(luma: Tensor) -> None:
    assert not Levels.of(luma).differ(Levels.of(0.97 * luma + 0.01))


def test_what_comes_into_the_picture_does_not_differ(luma: Tensor) -> None:
    """It changes brightness and contrast of the whole, which do not explain it."""
    covered = luma.clone()
    covered[..., : WIDTH // 2] = 0.02
    own, others = Levels.of(luma), Levels.of(covered)
    assert (own.mean - others.mean).abs() > 6 / 255
    assert not own.differ(others)


def test_shapes_alone_do_not_differ(luma: Tensor) -> None:
    assert not Levels.of(luma.to("meta")).differ(Levels.of(luma.to("meta")))


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
def test_a_picture_that_fades_into_nothing_stays_where_it_is(network: FastVideoInr, picture: Tensor) -> None:
    """What shows nothing has no motion, and the last instant shows nothing."""
    pair = network.encode_pair(network.encode_frame(picture), network.encode_frame(0.02 + 0 * picture))
    assert pair.motion.first is pair.motion.second
    for tau in (0.0, 0.5, 1.0):
        shown = network.render(pair, tau, (HEIGHT, WIDTH))
        assert (shown - torch.lerp(picture, torch.tensor(0.02), tau)).abs().max() < 0.05 * (1 - tau) + 1e-6
