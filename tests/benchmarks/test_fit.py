"""What the fits are measured beside, and how."""

from __future__ import annotations

import numpy as np
import pytest

from tests.outside import load

fit = load("benchmarks/fit.py")


def test_smooth_filling_continues_a_slope() -> None:
    slope = np.broadcast_to(np.arange(0, 240, 10, dtype=np.uint8)[:, None], (1, 24, 24))
    pictures = np.repeat(slope[..., None], 3, axis=3)
    left_out = np.zeros((1, 24, 24), bool)
    left_out[:, 8:14, 8:14] = True
    spoilt = np.where(left_out[..., None], np.uint8(255), pictures)
    assert np.abs(fit._smoothed(spoilt, left_out).astype(int) - pictures).max() <= 1


def test_psnr_is_told_within_regions_and_elsewhere() -> None:
    truth = np.zeros((2, 4, 4, 3), np.uint8)
    shown = truth.copy()
    regions = np.zeros((2, 4, 4), bool)
    regions[:, :2] = True
    shown[:, :2] = 255  # wrong by the peak
    shown[:, 2:] = 51  # by a fifth of it
    assert [float(text) for text in fit._parted(truth, shown, regions)] == pytest.approx([0, 13.98], abs=0.01)
