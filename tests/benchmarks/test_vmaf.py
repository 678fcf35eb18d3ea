"""VMAF of pictures whose order is known."""

import pytest
import torch
from torch import Tensor

from tests.outside import load
from videoinr_cli.errors import FfmpegError

VMAF = load("benchmarks/vmaf.py")

SIZE = (96, 128)


def clip(count: int = 3) -> list[Tensor]:
    """A random texture that slides to the left."""
    cells = torch.rand(1, 3, 24, 40, generator=torch.Generator().manual_seed(0))
    wide = torch.nn.functional.interpolate(cells, size=(SIZE[0], SIZE[1] + 2 * count), mode="bicubic")[0]
    return [wide[:, :, 2 * n : 2 * n + SIZE[1]].clamp(0, 1) for n in range(count)]


def blurred(frames: list[Tensor], radius_px: int) -> list[Tensor]:
    side = 2 * radius_px + 1
    return [torch.nn.functional.avg_pool2d(f, side, 1, radius_px, count_include_pad=False) for f in frames]


def test_equal_frames_score_near_100_and_blur_costs() -> None:
    truth = clip()
    same, slight, strong = (
        VMAF.vmaf(frames, truth, SIZE) for frames in (truth, blurred(truth, 1), blurred(truth, 4))
    )
    assert same > 95
    assert same > slight + 5
    assert slight > strong + 5


def test_an_ffmpeg_without_it_is_an_error_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(VMAF, "find_ffmpeg", lambda: "false")
    with pytest.raises(FfmpegError, match="VMAF"):
        VMAF.vmaf(clip(), clip(), SIZE)
