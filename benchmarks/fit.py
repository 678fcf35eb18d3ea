"""Fit a clip by each architecture at one size, beside x265 at the same bytes.

    python benchmarks/fit.py examples/clip.mp4 --max-height 90 --bits-per-pixel 0.3 --steps 1200

PSNR is of R'G'B' in 8 bits against the frames as they were fitted, the mean over all frames; x265 encodes
the same frames in 4:2:0, at the rate factor (in steps of 0.5) whose bytes come next below the fit's.
"""

from __future__ import annotations

import argparse
import math
import subprocess
import tempfile
import time
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from videoinr_cli.fitting.fit import fit_video
from videoinr_cli.fitting.fitted import FittedVideo
from videoinr_cli.fitting.frames import Frames, load_frames
from videoinr_cli.fitting.options import ARCHITECTURES, FitOptions
from videoinr_cli.media.ffmpeg import Needs, find_ffmpeg
from videoinr_cli.media.read.prepare import prepare

Pictures = NDArray[np.uint8]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("--max-height", type=int, default=90)
    parser.add_argument("--bits-per-pixel", type=float, default=0.3)
    parser.add_argument("--steps", type=int, default=1200)
    given = parser.parse_args()
    settings = {"max_height": given.max_height, "bits_per_pixel": given.bits_per_pixel, "steps": given.steps}
    frames = load_frames(prepare(given.source, FitOptions().read), FitOptions(**settings))
    truth: Pictures = frames.pictures.permute(0, 2, 3, 1).numpy()
    print(f"{given.source}: {len(frames)} frames of {frames.size[0]}x{frames.size[1]}, {given.steps} steps")
    print("| | parameters | kB | bits per pixel | PSNR | fitting, CPU s | picture, CPU s |")
    print("|---|---|---|---|---|---|---|")
    sizes = []
    with tempfile.TemporaryDirectory() as folder:
        for architecture in ARCHITECTURES:
            path = Path(folder) / f"{architecture}.vinr"
            began = time.process_time()
            made = fit_video(given.source, path, FitOptions(architecture=architecture, **settings))
            fitting = time.process_time() - began
            video = FittedVideo(path)
            began = time.process_time()
            shown = np.stack([video.frame(seconds) for seconds in video.times])
            picture = (time.process_time() - began) / len(shown)
            file_bytes = made.file_bytes - len(video.file.streams)
            sizes.append(file_bytes)
            figures = f"{made.parameters} | {_size(file_bytes, frames)} | {_psnr(truth, shown):.2f}"
            print(f"| {architecture} | {figures} | {fitting:.0f} | {picture:.4f} |", flush=True)
        for most in sorted(set(sizes), reverse=True):
            factor, file_bytes, shown = _x265(truth, most, Path(folder) / "x265.hevc")
            figures = f"{_size(file_bytes, frames)} | {_psnr(truth, shown):.2f}"
            print(f"| x265 medium, crf {factor:g} | | {figures} | | |", flush=True)


def _x265(truth: Pictures, most_bytes: int, path: Path) -> tuple[float, int, Pictures]:
    """Return the lowest rate factor whose file is not larger, its size, and its pictures."""
    low, high = 0, 102  # halves of a factor
    while low < high:
        middle = (low + high) // 2
        if _encoded(truth, middle / 2, path) <= most_bytes:
            high = middle
        else:
            low = middle + 1
    size = _encoded(truth, low / 2, path)
    with av.open(str(path)) as container:
        shown = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    return low / 2, size, np.stack(shown)


def _encoded(truth: Pictures, factor: float, path: Path) -> int:
    _, height, width, _ = truth.shape
    command = [find_ffmpeg(Needs()), "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "rgb24"]
    command += ["-s", f"{width}x{height}", "-r", "25", "-i", "-", "-pix_fmt", "yuv420p", "-c:v", "libx265"]
    command += ["-preset", "medium", "-crf", str(factor), "-x265-params", "log-level=error", str(path)]
    subprocess.run(command, input=truth.tobytes(), check=True)
    return path.stat().st_size


def _psnr(truth: Pictures, shown: Pictures) -> float:
    errors = np.square(truth.astype(float) - shown).mean(axis=(1, 2, 3)) / 255**2
    return float(np.mean([-10 * math.log10(max(error, 1e-10)) for error in errors]))


def _size(file_bytes: int, frames: Frames) -> str:
    pixels = len(frames) * math.prod(frames.size)
    return f"{file_bytes / 1000:.1f} | {8 * file_bytes / pixels:.3f}"


if __name__ == "__main__":
    main()
