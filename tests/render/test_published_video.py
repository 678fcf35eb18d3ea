"""A whole video through the command line with published weights, against golden data: lossless in and out."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from click.testing import CliRunner

from tests.oracle.golden_weights import golden_state_dict
from tests.oracle.plain_port import PlainVideoInr
from videoinr_cli.cli import cli

GOLDENS = np.load(Path(__file__).parents[1] / "goldens" / "published_24x32.npz")
TOLERANCE = 2e-4 + 2 / 65535
"""What other processors' rounding may do to an output, and 16 bits to the input and the output."""


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A published checkpoint, converted as a user would."""
    folder = tmp_path_factory.mktemp("weights")
    with torch.device("meta"):
        shapes = {name: tuple(tensor.shape) for name, tensor in PlainVideoInr().state_dict().items()}
    torch.save(golden_state_dict(shapes), folder / "latest_G.pth")
    converted = folder / "videoinr.safetensors"
    invoke("weights", "convert", folder / "latest_G.pth", converted)
    return converted


def invoke(*arguments: object) -> None:
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output


def write_pair(path: Path) -> None:
    """Write the golden frames, a second apart, without loss: FFV1 in 16-bit RGB."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=1)
        stream.height, stream.width = GOLDENS["frames"].shape[2:]
        stream.pix_fmt = "gbrp16le"
        for rgb in (GOLDENS["frames"].transpose(0, 2, 3, 1) * 65535).round().astype(np.uint16):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb48le")))
        container.mux(stream.encode())


def read(path: Path) -> Iterator[tuple[Fraction, np.ndarray]]:
    """Yield each frame's time in seconds and its (3, H, W) RGB in [0, 1]."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.pix_fmt == "gbrp16le"
        for frame in container.decode(stream):
            yield frame.pts * stream.time_base, frame.to_ndarray(format="rgb48le").transpose(2, 0, 1) / 65535


@pytest.mark.parametrize("size", ["96x128", "67x89"])
def test_frames_of_a_video_are_golden(weights: Path, tmp_path: Path, size: str) -> None:
    source, output = tmp_path / "in.mkv", tmp_path / "out.mkv"
    write_pair(source)
    height, width = map(int, size.split("x"))
    options = ["--size", f"{width}x{height}", "--fps", "100/37", "--codec", "ffv1", "--weights", weights]
    invoke("upscale", source, "-o", output, *options, "--scene-threshold", "1", "--quiet")
    frames = dict(read(output))
    middle, last = GOLDENS[f"out_{size}"]
    assert GOLDENS["times"].tolist() == pytest.approx([0.37, 1.0])
    between = next(rgb for seconds, rgb in frames.items() if abs(seconds - Fraction(37, 100)) < 1e-3)
    np.testing.assert_allclose(between, middle, rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(frames[max(frames)], last, rtol=0, atol=TOLERANCE)
