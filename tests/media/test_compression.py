"""Frames come back from real encoders in order, in their colours, and with those encoders' artefacts."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest

from videoinr_cli.media import compression
from videoinr_cli.media.compression import DECODERS, Codec, Compression

Frames = npt.NDArray[np.uint8]

COARSE: dict[Codec, float] = {"libx264": 38, "libx265": 38, "mpeg4": 14, "mjpeg": 16}
FINE: dict[Codec, float] = {"libx264": 12, "libx265": 12, "mpeg4": 1, "mjpeg": 1}


def texture(count: int, *, step_px: int, side: int = 96) -> Frames:
    """A smooth random picture that moves to the left."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (12, 24, 3)).astype(np.float32)
    y, x = np.linspace(0, 11, side), np.linspace(0, 23, 2 * side)
    rows = np.stack([[np.interp(y, range(12), coarse[:, k, c]) for k in range(24)] for c in range(3)])
    wide = np.stack([[np.interp(x, range(24), row) for row in channel.T] for channel in rows], axis=-1)
    return np.stack([wide[:, n * step_px : n * step_px + side] for n in range(count)]).astype(np.uint8)


def compress(frames: Frames, encoding: Compression) -> Frames:
    return np.stack(list(compression.compress(frames, encoding)))


def subsample_chroma(frames: Frames, pix_fmt: str) -> Frames:
    return np.stack(list(compression.subsample_chroma(frames, pix_fmt)))


def error(a: Frames, b: Frames) -> float:
    """Root mean square difference, 8-bit levels."""
    return float(np.sqrt(np.square(a.astype(np.float64) - b).mean()))


@pytest.mark.parametrize("codec", DECODERS)
def test_quality_goes_with_the_setting(codec: Codec) -> None:
    frames = texture(4, step_px=2)
    fine = error(compress(frames, Compression(codec, FINE[codec])), frames)
    coarse = error(compress(frames, Compression(codec, COARSE[codec])), frames)
    assert fine < 3  # levels: little beyond what 4:2:0 takes
    assert coarse > 1.5 * fine


@pytest.mark.parametrize("codec", DECODERS)
def test_frames_keep_their_order_and_grey(codec: Codec) -> None:
    levels = [0, 60, 255, 120, 30, 200]
    frames = np.stack([np.full((80, 96, 3), level, np.uint8) for level in levels])
    decoded = compress(frames, Compression(codec, FINE[codec]))
    assert decoded.shape == frames.shape
    assert decoded.mean(axis=(1, 2, 3)) == pytest.approx(levels, abs=2)  # of 8-bit levels, after rounding


@pytest.mark.parametrize("codec", DECODERS)
def test_colours_survive(codec: Codec) -> None:
    frame = np.empty((80, 96, 3), np.uint8)
    frame[:, :32], frame[:, 32:64], frame[:, 64:] = (200, 40, 60), (30, 180, 90), (60, 70, 220)
    decoded = compress(frame[None], Compression(codec, FINE[codec]))[0]
    for column in (16, 48, 80):
        assert decoded[32, column] == pytest.approx(frame[32, column], abs=5)


@pytest.mark.parametrize(
    ("codec", "pix_fmt"),
    [(codec, f"yuv{sampling}p") for codec in ("libx264", "libx265", "mjpeg") for sampling in (420, 422, 444)],
)
def test_every_chroma_subsampling_is_taken(codec: Codec, pix_fmt: str) -> None:
    frames = texture(2, step_px=1)
    assert error(compress(frames, Compression(codec, FINE[codec], pix_fmt=pix_fmt)), frames) < 4


def test_jpeg_shows_its_blocks() -> None:
    frames = texture(1, step_px=0)
    decoded = compress(frames, Compression("mjpeg", 24))[0].astype(np.float64)
    jumps = np.abs(np.diff(decoded, axis=1)).mean(axis=(0, 2))
    assert jumps[7::8].mean() > 1.3 * jumps[3::8].mean()


def test_a_still_scene_is_skipped_rather_than_coded() -> None:
    """What intra coding would give each frame its own noise is carried over from frame to frame."""
    noise = np.random.default_rng(1).normal(0, 3, (6, 96, 96, 3))
    frames = np.clip(texture(1, step_px=0) + noise, 0, 255).astype(np.uint8)
    decoded = compress(frames, Compression("libx264", 34))
    assert error(decoded[3:5], decoded[4:6]) < 0.3 * error(frames[3:5], frames[4:6])


@pytest.mark.parametrize("codec", DECODERS)
def test_same_frames_give_the_same_result(codec: Codec) -> None:
    frames = texture(5, step_px=3)
    first = compress(frames, Compression(codec, COARSE[codec]))
    for _ in range(3):
        scattered = [np.zeros(size, np.uint8) + 255 for size in (5_000, 20_000, 70_000)]  # other memory
        assert np.array_equal(compress(frames, Compression(codec, COARSE[codec])), first)
        del scattered


@pytest.mark.parametrize("codec", DECODERS)
def test_any_size_is_encoded(codec: Codec) -> None:
    frames = texture(3, step_px=1)[:, :33, :47]
    assert error(compress(frames, Compression(codec, FINE[codec])), frames) < 5
    assert list(compression.compress([], Compression(codec, 20))) == []


def test_frames_come_back_while_others_are_still_to_come() -> None:
    """A long clip need not fit into memory."""
    given = 0

    def endless() -> Iterator[npt.NDArray[np.uint8]]:
        nonlocal given
        for given in range(10_000):
            yield np.full((80, 80, 3), given % 256, np.uint8)

    next(compression.compress(endless(), Compression("libx264", 30)))
    assert given < 200  # what an encoder looks ahead


def test_subsampling_takes_chroma_only() -> None:
    rng = np.random.default_rng(2)
    grey = np.repeat(rng.integers(0, 256, (1, 16, 16, 1), dtype=np.uint8), 3, axis=-1)
    assert error(subsample_chroma(grey, "yuv420p"), grey) < 1
    coloured = rng.integers(0, 256, (1, 16, 16, 3), dtype=np.uint8)
    assert error(subsample_chroma(coloured, "yuv420p"), coloured) > 10
    assert error(subsample_chroma(coloured, "yuv444p"), coloured) < 2
