"""Pictures that are made up show what they are made up for."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from videoinr_cli.training.synthetic import drawing, sparse


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
