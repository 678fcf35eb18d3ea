"""Black-and-white footage stays so: in tiles, in segments, and beside frames that have colour."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.conftest import MakeClip
from videoinr_cli import JobOptions, UpscaleOptions, upscale_video
from videoinr_cli.media.read.reader import SourceFrame
from videoinr_cli.render.pictures import compared, is_grey
from videoinr_cli.render.renderer import Renderer
from videoinr_cli.weights import load_model

GREY = "hue=s=0,noise=alls=20:allf=t,hue=s=0"


@pytest.mark.parametrize(("pix_fmt", "neutral"), [("yuv420p", 128), ("yuv420p10le", 512), ("yuv444p", 128)])
@pytest.mark.parametrize("tile", [None, 32])
def test_chroma_stays_neutral(
    pix_fmt: str, neutral: int, tile: int | None, make_clip: MakeClip, weights: Path, tmp_path: Path
) -> None:
    source = make_clip("in.mkv", "-c:v", "ffv1", "-pix_fmt", pix_fmt, frames=4, filters=GREY)
    options = UpscaleOptions(scale=2, weights=str(weights), tile=tile, device="cpu")
    out = tmp_path / "out.mkv"
    upscale_video(source, out, options, job=JobOptions(segment_seconds=0.1))
    with av.open(str(out)) as container:
        frames = list(container.decode(video=0))
    assert len(frames) == 4
    for frame in frames:
        assert frame.format.name == pix_fmt
        luma, *chroma = (plane(frame, index) for index in range(3))
        assert len(np.unique(luma)) > 10
        for samples in chroma:
            assert set(np.unique(samples)) == {neutral}


def plane(frame: av.VideoFrame, index: int) -> np.ndarray:
    found = frame.planes[index]
    kind = np.uint8 if "10" not in frame.format.name else np.uint16
    samples = np.frombuffer(memoryview(found), kind).reshape(found.height, -1)
    return samples[:, : found.width]


def test_colour_comes_between_a_grey_frame_and_a_coloured_one(weights: Path) -> None:
    rng = np.random.default_rng(0)
    grey = rng.integers(0, 256, (32, 40, 1), dtype=np.uint8).repeat(3, axis=2)
    coloured = rng.integers(0, 256, (32, 40, 3), dtype=np.uint8)
    first, second = compared([SourceFrame(grey, 0), SourceFrame(coloured, 1)], 1.0)
    assert (first.is_grey, second.is_grey) == (True, False)
    renderer = Renderer(load_model(weights, device="cpu"), (80, 64))
    renderer.advance(first, second)
    assert is_grey(renderer.render(Fraction(0)).rgb)
    assert not is_grey(renderer.render(Fraction(1, 2)).rgb)
    assert not is_grey(renderer.render(Fraction(1)).rgb)


@pytest.mark.parametrize(("difference", "expected"), [(0, True), (1, True), (2, False)])
def test_sixteen_bits_are_grey_up_to_their_rounding(difference: int, expected: bool) -> None:
    rgb = np.full((20, 20, 3), 1000, np.uint16)
    rgb[7, 9, 1] += difference
    assert is_grey(rgb) is expected
