"""Metrics against answers known by construction and against an independent computation in scipy."""

import math

import numpy as np
import pytest
import torch
from scipy.ndimage import correlate1d

from videoinr_cli.evaluation.metrics import luma, psnr, ssim


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def test_luma_spans_the_studio_range() -> None:
    black_white = torch.tensor([0.0, 1.0]).view(2, 1, 1, 1).expand(2, 3, 1, 1)
    torch.testing.assert_close(luma(black_white).flatten() * 255, torch.tensor([16.0, 235.0]))


def test_luma_weighs_each_primary() -> None:
    primaries = torch.eye(3).view(3, 3, 1, 1)
    expected = torch.tensor([65.481, 128.553, 24.966]) + 16
    torch.testing.assert_close(luma(primaries).flatten() * 255, expected)


@pytest.mark.parametrize("offset", [0.1, 0.01, 0.001])
def test_psnr_of_a_grey_offset(offset: float) -> None:
    a = noise(2, 3, 16, 16) * 0.8
    expected = -20 * math.log10(offset * 219 / 255)  # white minus black is 219 levels of luma
    # 1e-3 dB: an offset of 0.001 keeps four digits of float32 at 0.8.
    torch.testing.assert_close(psnr(a, a + offset), torch.full((2,), expected).double(), atol=1e-3, rtol=0)


def test_psnr_is_per_picture() -> None:
    a = torch.full((2, 3, 8, 8), 0.5)
    b = a.clone()
    b[1] += 0.1
    assert math.isinf(psnr(a, b)[0])
    assert psnr(a, b)[1] == pytest.approx(-20 * math.log10(0.1 * 219 / 255), abs=1e-4)


def test_psnr_counts_the_border() -> None:
    a = torch.full((1, 3, 10, 10), 0.5)
    b = a.clone()
    b[..., 0, :] += 0.1
    assert psnr(a, b).item() == pytest.approx(-10 * math.log10((0.1 * 219 / 255) ** 2 / 10), abs=1e-4)


def test_values_outside_the_displayable_range_are_clamped() -> None:
    a = torch.ones(1, 3, 12, 12)
    assert math.isinf(psnr(a, a * 1.5).item())
    assert ssim(a, a * 1.5).item() == 1.0


def scipy_ssim(a: torch.Tensor, b: torch.Tensor) -> float:
    """SSIM in float64, its window built and applied by scipy, cropped to the valid region."""
    weights = np.array([65.481, 128.553, 24.966])
    x, y = (np.tensordot(weights, image.double().numpy()[0], axes=1) + 16 for image in (a, b))
    window = np.exp(-(np.arange(-5, 6) ** 2) / 4.5)
    window /= window.sum()

    def mean(image: np.ndarray) -> np.ndarray:
        for axis in (0, 1):
            image = correlate1d(image, window, axis=axis)
        return image[5:-5, 5:-5]

    mx, my = mean(x), mean(y)
    vx, vy, cov = mean(x * x) - mx**2, mean(y * y) - my**2, mean(x * y) - mx * my
    c1, c2 = 6.5025, 58.5225
    index = (2 * mx * my + c1) * (2 * cov + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))
    return float(index.mean())


@pytest.mark.parametrize("strength", [0.0, 0.02, 0.3])
def test_ssim_agrees_with_scipy(strength: float) -> None:
    smooth = torch.nn.functional.interpolate(noise(1, 3, 6, 8), size=(37, 50), mode="bicubic").clamp(0, 1)
    noisy = (smooth + strength * (noise(1, 3, 37, 50, seed=1) - 0.5)).clamp(0, 1)
    # 1e-5: float32 variances of 8-bit levels err by about 1e-3 of SSIM's constant 58.5.
    assert ssim(smooth, noisy).item() == pytest.approx(scipy_ssim(smooth, noisy), abs=1e-5)


def test_ssim_of_equal_pictures_is_one() -> None:
    a = noise(3, 3, 20, 24)
    torch.testing.assert_close(ssim(a, a), torch.ones(3).double(), atol=1e-6, rtol=0)


def test_ssim_of_two_flat_pictures_is_the_luminance_term() -> None:
    a, b = torch.full((1, 3, 11, 11), 0.2), torch.full((1, 3, 11, 11), 0.6)
    x, y = 16 + 219 * 0.2, 16 + 219 * 0.6
    expected = (2 * x * y + 6.5025) / (x * x + y * y + 6.5025)
    # 1e-5: see test_ssim_agrees_with_scipy.
    assert ssim(a, b).item() == pytest.approx(expected, abs=1e-5)


def test_ssim_needs_room_for_its_window() -> None:
    small = torch.zeros(1, 3, 10, 64)
    with pytest.raises(ValueError, match="11 px"):
        ssim(small, small)
