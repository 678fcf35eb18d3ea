"""Pictures that are made up show what they are made up for."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from videoinr_cli.training.synthetic import SOFTNESS_PX, drawing, soften, sparse


def unchanged(picture: Tensor) -> float:
    """Return the share of pixels that look like their neighbour, to half a level."""
    return float(((picture[..., 1:] - picture[..., :-1]).abs().amax(1) < 0.5 / 255).float().mean())


@pytest.mark.parametrize("seed", range(6))
def test_a_drawing_is_of_even_colours_and_sharp_lines(seed: int) -> None:
    picture = drawing(np.random.default_rng(seed), 300)
    assert picture.shape == (1, 3, 300, 300)
    assert 0 <= picture.min() < picture.max() <= 1
    assert unchanged(picture) > 0.5
    steps = (picture[..., 1:] - picture[..., :-1]).abs().amax(1)
    assert steps.max() > 0.1
    assert torch.equal(picture, drawing(np.random.default_rng(seed), 300))


@pytest.mark.parametrize("seed", range(6))
def test_a_sparse_picture_is_smooth_but_for_spots(seed: int) -> None:
    photograph = torch.rand(1, 3, 300, 300, generator=torch.Generator().manual_seed(0))
    made = sparse(np.random.default_rng(seed), photograph)
    kept = (made - photograph).abs().amax(1) < 1e-2
    assert 0 < kept.float().mean() < 0.25
    slow = (made[..., 1:] - made[..., :-1]).abs().amax(1) < 0.02
    assert slow.float().mean() > 0.5


@pytest.mark.parametrize("seed", range(4))
def test_a_softened_picture_is_one_of_a_lens_that_is_so_soft(seed: int) -> None:
    """An edge keeps its place and its height, and is as wide as a Gaussian of some deviation drawn."""
    edge = (torch.arange(64) >= 32).float().expand(1, 3, 64, 64)
    made = soften(np.random.default_rng(seed), edge)
    assert made.shape == edge.shape
    assert made.min() >= 0
    assert made[..., :20].max() < 1e-6
    assert made[..., -20:].min() > 1 - 1e-6
    slope = made[0, 0, 32].diff()
    place = torch.arange(63) - 31.0
    assert float((slope * place).sum()) == pytest.approx(0, abs=1e-3)
    deviation = float((slope * place.square()).sum().sqrt())
    assert SOFTNESS_PX[0] - 0.15 < deviation < SOFTNESS_PX[1] + 0.01  # a narrow one is sampled coarsely
