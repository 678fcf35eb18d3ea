"""Resampling kernels against each other, and against answers known by construction."""

import pytest
import torch

from videoinr_cli.evaluation.protocols import DOWNSAMPLERS, Downsampler
from videoinr_cli.evaluation.resample import _apply, enlarge, reduce


def noise(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("downsampler", DOWNSAMPLERS)
@pytest.mark.parametrize("size", [(12, 16), (9, 11)])
def test_a_flat_picture_stays_flat(downsampler: Downsampler, size: tuple[int, int]) -> None:
    flat = torch.full((2, 3, 48, 64), 51 / 255)
    torch.testing.assert_close(reduce(flat, size, downsampler), torch.full((2, 3, *size), 51 / 255))


def test_our_cubic_is_torchs_antialiased_one() -> None:
    frames = noise(1, 3, 48, 64)
    for size in [(12, 16), (7, 20)]:
        ours = _apply(frames, size, "cubic", mirrored=False).clamp(0, 1)
        torch.testing.assert_close(ours, reduce(frames, size), atol=1e-5, rtol=0)


def test_matlab_differs_from_torch_at_the_border_only() -> None:
    frames = noise(1, 3, 48, 64)
    difference = (reduce(frames, (12, 16), "matlab") - reduce(frames, (12, 16))).abs()
    half_level = 0.5 / 255 + 1e-6  # rounding to 8 bits
    assert difference[..., 2:-2, 2:-2].max() <= half_level
    assert difference.max() > 2 * half_level


def test_matlab_mirrors_the_border() -> None:
    frames = noise(1, 3, 16, 16)
    padded = torch.cat([frames.flip(-1), frames, frames.flip(-1)], dim=-1)
    padded = torch.cat([padded.flip(-2), padded, padded.flip(-2)], dim=-2)
    inside = reduce(padded, (12, 12), "matlab")[..., 4:8, 4:8]
    torch.testing.assert_close(reduce(frames, (4, 4), "matlab"), inside)


def test_pil_is_8_bit_and_close_to_torch() -> None:
    frames = (noise(1, 3, 48, 64) * 255).round() / 255
    levels = reduce(frames, (12, 16), "pil") * 255
    torch.testing.assert_close(levels, levels.round(), atol=1e-4, rtol=0)
    # Two roundings of half a level, the first spread by weights whose absolute sum is below 1.3.
    assert (levels - reduce(frames, (12, 16)) * 255).abs().max() <= 0.5 + 0.5 * 1.3 + 0.01


@pytest.mark.parametrize("upsampler", ["bicubic", "lanczos"])
def test_enlarging_keeps_a_dot_in_place(upsampler: str) -> None:
    dot = torch.zeros(1, 3, 15, 15)
    dot[..., 7, 6] = 0.5
    large = enlarge(dot, (60, 60), upsampler)[0, 0]  # type: ignore[arg-type]
    at = torch.arange(60) + 0.5
    centroid = [(large.sum(dim=axis) * at).sum() / large.sum() for axis in (1, 0)]
    # A thousandth: clamping cuts negative lobes, which are symmetric.
    assert centroid[0].item() == pytest.approx(4 * 7.5, abs=1e-3)
    assert centroid[1].item() == pytest.approx(4 * 6.5, abs=1e-3)


def test_lanczos_keeps_samples_of_an_odd_enlargement() -> None:
    frames = noise(1, 3, 12, 12) * 0.5 + 0.25
    large = _apply(frames, (36, 36), "lanczos", mirrored=False)
    torch.testing.assert_close(large[..., 1::3, 1::3], frames, atol=1e-6, rtol=0)
