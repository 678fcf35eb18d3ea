"""Degraded windows stay in place, are the same for the same seed, and are spoilt as their recipe says."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import Tensor

from videoinr_cli.training.degradations import DegradationRecipe, degrade

NOTHING = DegradationRecipe(
    blur_share=0,
    resize_share=0,
    sharpen_share=0,
    noise_share=0,
    earlier_compression_share=0,
    compression_share=0,
)
STAGES = (
    "blur_share",
    "resize_share",
    "sharpen_share",
    "noise_share",
    "earlier_compression_share",
    "compression_share",
)


def texture(count: int, height: int, width: int) -> Tensor:
    """(T, 3, h, w): random colours that slide to the left, coarse enough to survive."""
    cells = torch.rand(1, 3, 8, 10, generator=torch.Generator().manual_seed(0))
    wide = torch.nn.functional.interpolate(cells, size=(height, width + 2 * count), mode="bicubic")[0]
    return torch.stack([wide[:, :, 2 * n : 2 * n + width] for n in range(count)]).clamp(0, 1)


@pytest.mark.parametrize(("count", "height", "width"), [(1, 16, 16), (2, 33, 47), (4, 48, 48), (4, 70, 24)])
def test_any_window_keeps_its_shape_and_range(count: int, height: int, width: int) -> None:
    for seed in range(6):
        frames = degrade(texture(count, height, width), np.random.default_rng(seed))
        assert frames.shape == (count, 3, height, width)
        assert frames.dtype == torch.float32
        assert 0 <= float(frames.min()) <= float(frames.max()) <= 1


def test_the_seed_alone_decides() -> None:
    frames = texture(4, 48, 48)
    once = [degrade(frames, np.random.default_rng(seed)) for seed in range(8)]
    again = [degrade(frames, np.random.default_rng(seed)) for seed in reversed(range(8))]
    for first, second in zip(once, reversed(again), strict=True):
        assert torch.equal(first, second)
    assert not torch.equal(once[0], once[1])


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_does_something_and_moves_nothing(stage: str) -> None:
    y, x = torch.meshgrid(torch.arange(48.0), torch.arange(48.0), indexing="ij")
    blob = torch.exp(-((y - 24.4).square() + (x - 21.7).square()) / (2 * 4.0**2))
    frames = (0.1 + 0.8 * blob).expand(3, 3, -1, -1)
    recipe = dataclasses.replace(NOTHING, **{stage: 1.0})
    untouched = degrade(frames, np.random.default_rng(0), NOTHING)
    mean = torch.stack([degrade(frames, np.random.default_rng(seed), recipe) for seed in range(12)]).mean(
        dim=(0, 1, 2)
    )
    assert (mean - untouched.mean(dim=(0, 1))).abs().max() > 0.5 / 255
    weight = (mean - 0.2).clamp(min=0)
    assert float((weight.sum(1) * torch.arange(48.0)).sum() / weight.sum()) == pytest.approx(24.4, abs=0.05)
    assert float((weight.sum(0) * torch.arange(48.0)).sum() / weight.sum()) == pytest.approx(21.7, abs=0.05)


@pytest.mark.parametrize("stage", ["blur_share", "resize_share", "sharpen_share"])
def test_one_camera_for_the_whole_window(stage: str) -> None:
    frames = texture(1, 32, 32).expand(4, -1, -1, -1)
    spoilt = degrade(frames, np.random.default_rng(3), dataclasses.replace(NOTHING, **{stage: 1.0}))
    assert torch.equal(spoilt[0], spoilt[3])


def test_sharpened_edges_overshoot() -> None:
    frames = torch.full((2, 3, 32, 32), 0.3)
    frames[..., 16:] = 0.7
    recipe = dataclasses.replace(NOTHING, sharpen_share=1.0, sharpen_amount=(1.0, 1.0))
    sharpened = degrade(frames, np.random.default_rng(1), recipe)
    assert 0.1 < float(sharpened.min()) < 0.25
    assert 0.75 < float(sharpened.max()) < 0.9
    assert float(sharpened[..., :8].mean()) == pytest.approx(0.3, abs=1 / 255)


def test_noise_is_new_in_every_frame_and_as_strong_as_asked() -> None:
    recipe = dataclasses.replace(NOTHING, noise_share=1.0, noise_levels=(4.0, 4.0))
    grey = torch.full((3, 3, 64, 64), 0.5)
    deviations = []
    for seed in range(8):
        spoilt = degrade(grey, np.random.default_rng(seed), recipe)
        assert not torch.equal(spoilt[0], spoilt[1])
        assert float(spoilt.mean()) == pytest.approx(0.5, abs=1 / 255)
        deviations.append(float((spoilt * 255).mean(dim=1).std()))
    # between three independent channels averaged and one drawn for all; 4:2:0 takes chroma noise away
    assert 4 / 3**0.5 - 0.3 < min(deviations) < max(deviations) < 4.3


def test_shot_noise_grows_with_the_signal() -> None:
    recipe = dataclasses.replace(NOTHING, noise_share=1.0, noise_levels=(4.0, 4.0))
    halves = torch.full((4, 3, 64, 64), 0.15)
    halves[..., 32:] = 0.85
    ratios = []
    for seed in range(8):
        spoilt = degrade(halves, np.random.default_rng(seed), recipe)
        ratios.append(float(spoilt[..., 36:].std() / spoilt[..., :28].std()))
    assert max(ratios) > 1.5
    assert min(ratios) > 0.9


def test_untouched_means_chroma_only() -> None:
    frames = texture(2, 48, 48)
    luma = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
    spoilt = degrade(frames, np.random.default_rng(0), NOTHING)
    assert float(((spoilt - frames) * luma).sum(dim=1).abs().mean()) < 1 / 255
