"""VMAF, Netflix's measure of how good a video looks beside its original, by an ffmpeg that has libvmaf.

Knows nothing of protocols: two streams of frames in, one number out.

Source: Li et al., "Toward a practical perceptual video quality metric", Netflix Technology Blog, 2016.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

from torch import Tensor

from videoinr_cli.errors import FfmpegError
from videoinr_cli.evaluation.clips import to_levels
from videoinr_cli.media.ffmpeg import find_ffmpeg


def vmaf(rendered: Iterable[Tensor], truth: Iterable[Tensor], size: tuple[int, int]) -> float:
    """Return the mean over frames of VMAF (model v0.6.1), from 0 to 100.

    Args:
        rendered: (3, H, W) RGB in [0, 1].
        truth: as many frames of the same size.
        size: (H, W).

    Raises:
        FfmpegError: ffmpeg has no libvmaf, or fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder, "rendered.rgb"), Path(folder, "truth.rgb")
        for path, frames in zip(files, (rendered, truth), strict=True):
            with path.open("wb") as file:
                for frame in frames:
                    file.write(to_levels(frame).tobytes())
        # the log is named without its folder: a filter's arguments would need colons and backslashes escaped
        done = subprocess.run(
            _command(files, size), cwd=folder, capture_output=True, text=True, errors="replace", check=False
        )
        if done.returncode != 0:
            raise FfmpegError(f"ffmpeg cannot measure VMAF: {done.stderr.strip()[-300:]}")
        log = json.loads(Path(folder, "vmaf.json").read_text())
    return float(log["pooled_metrics"]["vmaf"]["mean"])


def _command(files: tuple[Path, Path], size: tuple[int, int]) -> list[str]:
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{size[1]}x{size[0]}"]
    inputs = [argument for path in files for argument in (*raw, "-i", str(path))]
    graph = "[0]format=yuv444p[a];[1]format=yuv444p[b];[a][b]libvmaf=log_fmt=json:log_path=vmaf.json"
    return [find_ffmpeg(), "-v", "error", *inputs, "-lavfi", graph, "-f", "null", "-"]
