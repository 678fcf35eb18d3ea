"""What ``videoinr info`` says of a fitted clip."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

from videoinr_cli.fitting.file import FittedFile, read_file
from videoinr_cli.fitting.streams import unpack_streams
from videoinr_cli.media.streams import VideoInfo
from videoinr_cli.quantities import counted, lasted, size_of


def described(path: Path) -> tuple[FittedFile, VideoInfo]:
    """Return a fitted clip, and what it is as a source.

    Raises:
        InputError: it cannot be read.
    """
    file = read_file(path)
    with tempfile.TemporaryDirectory() as folder:
        return file, unpack_streams(file, Path(folder) / "streams.mkv")


def fit_lines(path: Path, file: FittedFile) -> Iterator[tuple[str, str]]:
    """Yield labels and texts of what is known of the fit alone."""
    network, clip, record = file.network, file.clip, file.record
    size, file_bytes = "{}x{}".format(*clip.size), path.stat().st_size
    yield "fit", f"of {clip.name!r}, {size}, as {network.width}x{network.height}"
    channels = f"{network.channels} channels, strides {' '.join(map(str, network.strides))}"
    yield "network", f"{network.architecture}, {counted(file.parameters, 'parameter')}, {channels}"
    yield (
        "coding",
        f"{file.coded.bits} bits a parameter before entropy coding: {size_of(file.network_bytes)}",
    )
    yield "streams", f"sound, subtitles, chapters and tags: {size_of(len(file.streams))}"
    bits = f"{file.bits_per_pixel(file_bytes):.3f} bits per pixel without streams"
    yield "file", f"{size_of(file_bytes)}, {bits}"
    frames, rate = counted(len(clip.pts), "frame"), float(clip.frame_rate)
    yield "times", f"{frames} in {clip.seconds:.3f} s, {rate:.6g} frames per second on average"
    yield "quality", f"{record.psnr:.2f} dB, after {counted(record.steps, 'step')}, {lasted(record.seconds)}"


def fit_record(path: Path, file: FittedFile) -> dict[str, Any]:
    """Return the same for JSON."""
    file_bytes = path.stat().st_size
    return {
        "source": file.clip.name,
        "source_width": file.clip.size[0],
        "source_height": file.clip.size[1],
        "architecture": file.network.architecture,
        "parameters": file.parameters,
        "bits": file.coded.bits,
        "file_bytes": file_bytes,
        "network_bytes": file.network_bytes,
        "streams_bytes": len(file.streams),
        "bits_per_pixel": round(file.bits_per_pixel(file_bytes), 6),
        "psnr": round(file.record.psnr, 4),
        "steps": file.record.steps,
        "seconds": round(file.record.seconds, 3),
        "times": [float(_since_start(file, pts)) for pts in file.clip.pts],
    }


def _since_start(file: FittedFile, pts: int) -> Fraction:
    return (pts - file.clip.pts[0]) * file.clip.time_base
