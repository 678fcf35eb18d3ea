"""Pass small clips through our reader and writer, and read what comes out by PyAV, not by our own code."""

from __future__ import annotations

import itertools
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

from tests.writing import open_writer
from videoinr_cli.media.read.probe import probe
from videoinr_cli.media.read.reader import read_frames
from videoinr_cli.options import EncodeOptions

FAST = EncodeOptions(preset="ultrafast")


def pictures(count: int, size: tuple[int, int] = (64, 48), *, seed: int = 0) -> list[npt.NDArray[np.uint8]]:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(30, 220, (count, size[1] // 8, size[0] // 8, 3), dtype=np.uint8)
    return list(coarse.repeat(8, axis=1).repeat(8, axis=2))


def copy(source: Path, destination: Path, encoding: EncodeOptions = FAST, **settings: object) -> Path:
    """Pass a video through our reader and writer unchanged."""
    info = probe(source)
    size = (info.width, info.height)
    with open_writer(
        destination, size, info.time_base, info, encoding, end_pts=info.end_pts, **settings
    ) as writer:
        for frame in read_frames(info):
            writer.write(frame.rgb, frame.pts, alpha=frame.alpha)
    return destination


def shown_at(path: Path) -> list[Fraction]:
    with av.open(str(path)) as container:
        return [frame.pts * frame.time_base for frame in container.decode(video=0)]


def decoded(path: Path) -> list[av.VideoFrame]:
    with av.open(str(path)) as container:
        return list(container.decode(video=0))


def streams(path: Path) -> list[tuple[str, str, str | None, str | None]]:
    with av.open(str(path)) as container:
        return [
            (
                stream.type,
                stream.codec.canonical_name if stream.codec_context else "",
                stream.metadata.get("language"),
                stream.metadata.get("title"),
            )
            for stream in container.streams
        ]


def flashes(path: Path) -> list[Fraction]:
    """Return when the picture is whitest, once for each row of frames that are nearly as white."""
    with av.open(str(path)) as container:
        levels = [
            (f.pts * f.time_base, f.to_ndarray(format="gray").mean()) for f in container.decode(video=0)
        ]
    rows = itertools.groupby(levels, key=lambda level: level[1] > 200)
    return [max(row, key=lambda level: round(level[1]))[0] for is_white, row in rows if is_white]


def beeps(path: Path) -> list[tuple[Fraction, Fraction]]:
    """Return when each beep begins, and its middle."""
    with av.open(str(path)) as container:
        blocks = [(f.pts * f.time_base, f.sample_rate, f.to_ndarray()) for f in container.decode(audio=0)]
    full = 32768 if blocks[0][2].dtype == np.int16 else 1
    found: list[list[Fraction]] = []
    for start, rate, samples in blocks:
        for place in np.flatnonzero(np.abs(samples.astype(float)).max(axis=0) > 0.4 * full):
            at = start + Fraction(int(place), rate)
            if found and at - found[-1][-1] < Fraction(1, 20):
                found[-1].append(at)
            else:
                found.append([at])
    return [(times[0], sum(times) / len(times)) for times in found]
