"""Baselines without a network: enlarge each frame; repeat, blend or interpolate frames for the rate."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import IO, Literal

import ffmpeg
import torch
from torch import Tensor

from videoinr_cli.errors import FfmpegError, OptionError
from videoinr_cli.evaluation.methods import Method
from videoinr_cli.evaluation.protocols import Baseline
from videoinr_cli.evaluation.resample import Upsampler, enlarge
from videoinr_cli.media.ffmpeg import find_ffmpeg

MINTERPOLATE = {"mi_mode": "mci", "mc_mode": "aobmc", "me_mode": "bidir", "vsbmc": 1}
"""ffmpeg's motion-compensated interpolation at its best settings."""

MINTERPOLATE_SIDE_PX = 32
"""Smallest side of a frame that minterpolate accepts."""

FLUSH_FRAMES = 2
"""Repetitions of the last frame appended: minterpolate reads ahead and ends early without them."""


def make_baseline(name: Baseline) -> Method:
    """Return the baseline of that name."""
    match name:
        case "minterpolate+bicubic":
            return Minterpolate("bicubic")
        case "minterpolate+lanczos":
            return Minterpolate("lanczos")
        case "bicubic+blend":
            return PerFrame("bicubic", "blend")
        case "bicubic+nearest":
            return PerFrame("bicubic", "nearest")
        case "lanczos+blend":
            return PerFrame("lanczos", "blend")
        case "lanczos+nearest":
            return PerFrame("lanczos", "nearest")


class PerFrame:
    """Enlarge each given frame; between two, blend by time, or show the nearer one (the first on a tie)."""

    def __init__(self, upsampler: Upsampler, between: Literal["blend", "nearest"]) -> None:
        self.name = f"{upsampler}+{between}"
        self.device = torch.device("cpu")
        self.upsampler: Upsampler = upsampler
        self.between = between

    @torch.inference_mode()
    def render(self, given: Iterable[Tensor], steps: int, size: tuple[int, int]) -> Iterator[Tensor]:
        for first, second in pairwise(given):
            for step in range(steps):
                tau = step / steps
                if self.between == "nearest":
                    tau = float(tau > 0.5)
                # Blending first is equivalent, since both are linear, and costs one enlargement instead of
                # two.
                yield enlarge(torch.lerp(first, second, tau), size, self.upsampler)


class Minterpolate:
    """ffmpeg alone, as a user would run it: minterpolate at LR, then scale, in 8 bits throughout."""

    def __init__(self, upsampler: Upsampler) -> None:
        self.name = f"minterpolate+{upsampler}"
        self.device = torch.device("cpu")
        self.upsampler: Upsampler = upsampler

    def render(self, given: Iterable[Tensor], steps: int, size: tuple[int, int]) -> Iterator[Tensor]:
        """See `Method.render`.

        Raises:
            OptionError: the given frames are too small for ffmpeg.
            FfmpegError: ffmpeg fails.
        """
        with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as log:
            count, lr_size = _write_raw(given, source)
            command = _minterpolate_command(lr_size, steps, size, self.upsampler)
            with subprocess.Popen(command, stdin=source, stdout=subprocess.PIPE, stderr=log) as process:
                assert process.stdout is not None
                try:
                    for _ in range((count - 1) * steps):
                        yield _read_raw(process.stdout, size, log)
                finally:
                    process.kill()


def _minterpolate_command(
    lr_size: tuple[int, int], steps: int, size: tuple[int, int], upsampler: Upsampler
) -> list[str]:
    source = ffmpeg.input("pipe:", f="rawvideo", pix_fmt="rgb24", s=f"{lr_size[1]}x{lr_size[0]}", r=1)
    frames = source.filter("format", "yuv444p").filter("minterpolate", fps=steps, **MINTERPOLATE)
    frames = frames.filter("scale", size[1], size[0], flags=upsampler)
    output = frames.output("pipe:", f="rawvideo", pix_fmt="rgb24")
    return [str(part) for part in output.global_args("-v", "error").compile(cmd=find_ffmpeg())]


def _write_raw(given: Iterable[Tensor], file: IO[bytes]) -> tuple[int, tuple[int, int]]:
    """Write frames as 8-bit RGB and rewind; return their number and size.

    Raises:
        OptionError: they are too small for minterpolate.
    """
    count, levels = 0, b""
    size = (0, 0)
    for frame in given:
        size = (frame.shape[2], frame.shape[3])
        if min(size) < MINTERPOLATE_SIDE_PX:
            raise OptionError(
                f"ffmpeg's minterpolate needs given frames of {MINTERPOLATE_SIDE_PX}x{MINTERPOLATE_SIDE_PX} "
                f"pixels or more, not {size[1]}x{size[0]}; try a smaller --space, or another --baseline"
            )
        levels = (frame[0].permute(1, 2, 0) * 255).round().to("cpu", torch.uint8).numpy().tobytes()
        file.write(levels)
        count += 1
    file.write(levels * FLUSH_FRAMES)
    file.seek(0)
    return count, size


def _read_raw(stream: IO[bytes], size: tuple[int, int], log: IO[bytes]) -> Tensor:
    levels = bytearray(stream.read(3 * size[0] * size[1]))
    if len(levels) < 3 * size[0] * size[1]:
        log.seek(0)
        # The cause comes first, its consequences after it.
        reason = " ".join(log.read().decode(errors="replace").split())[:300]
        raise FfmpegError(f"ffmpeg minterpolate failed: {reason}")
    picture = torch.frombuffer(levels, dtype=torch.uint8).view(1, *size, 3)
    return picture.permute(0, 3, 1, 2).float() / 255
