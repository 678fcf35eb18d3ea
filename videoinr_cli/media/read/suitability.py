"""Which of the embedded models suits a source: how strongly it is compressed, how noisy and how soft it is.

Keyframes tell it, by their quantiser where the decoder knows that, by their size in bytes, and by their luma.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import itertools
import logging
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from videoinr_cli.errors import InputError
from videoinr_cli.media.read.quantiser import COARSE_STEP, FINE_STEP, quantiser_step
from videoinr_cli.media.read.source import open_source, video_stream
from videoinr_cli.media.streams import VideoInfo
from videoinr_cli.options import AUTO_MODEL, MODELS, UpscaleOptions, weights_named

log = logging.getLogger(__name__)

PLACES = 4
"""Keyframes that are looked at, evenly over the source."""

BLOCK_PX = 16
"""Side of the blocks in which luma is measured."""

MIN_BLOCKS = 20
"""Blocks with enough contrast without which nothing is said of a picture: it is black, or hardly larger than
a stamp."""

ENOUGH_LEVELS = 40
"""Contrast of a block, in 8-bit levels, from which its edges tell how sharp the picture is."""

JPEG_QUALITY = 50

FEW_BYTES = 0.9
"""Bytes of a keyframe over those of its luma as a JPEG of `JPEG_QUALITY`, up to which it looks strongly
compressed. Four clips at 320 px came to 1.4 to 1.9, 0.9 to 1.3 and 0.6 to 0.7 with x264 at --crf 23, 28 and
34, to 1.3 to 1.9, 0.8 to 1.3 and 0.4 to 0.7 with x265 at the same, and to 1.2 to 1.8 and 0.4 to 0.7 with VP9
at 40 and 55."""

COMPRESSED_STEP, COMPRESSED_BYTES = 10.0, 1.3
"""The quantiser's mean step from which, and the bytes likewise up to which, a source looks compressed, if not
strongly; x264 has them at --crf 26 or so, where `videoinr-real` is ahead of `videoinr-fast` already."""

NOISY_LEVELS = 2.5
"""Standard deviation of the noise, in 8-bit levels, from which a picture looks noisy. The same clips came to
0.3 to 0.8, and to 5.7 to 7.1 with grain added (ffmpeg's noise=12)."""

SOFT_PX = 2.5
"""Width of the sharpest edges, in pixels, from which a picture looks soft. The same clips came to 1.4 to 1.8,
to 2.2 to 2.5 once enlarged by two, and to 2.7 to 3.1 by three."""

DEGRADED = "real"
"""The model for what is strongly compressed, noisy or soft."""

STRONGLY, HARDLY = "looks strongly compressed", "looks hardly compressed"

Luma = NDArray[Any]


@dataclasses.dataclass(frozen=True)
class Suited:
    """A model that suits a source."""

    model: str  # one of `MODELS`
    why: str  # such as "looks noisy", of the source


@dataclasses.dataclass(frozen=True)
class Look:
    """What a keyframe looks like."""

    spent: float | None  # its bytes, over those of a JPEG of it; None: not known
    noise_levels: float  # standard deviation of the noise, in 8-bit levels
    edge_px: float  # width of its sharpest edges


def with_suited_model(source: VideoInfo, options: UpscaleOptions) -> UpscaleOptions:
    """Return options with the model that suits a source in the place of ``auto``, and log which and why.

    Where a model is named, and another of the embedded ones would suit the source better, that is logged.
    """
    if options.weights != AUTO_MODEL:
        if advice := model_advice(source, options.weights):
            log.info(advice)
        return options
    suited = suited_model(source)
    log.info(f"--model auto takes {suited.model}: {str(source.path)!r} {suited.why}")
    return dataclasses.replace(options, weights=suited.model)


def model_advice(source: VideoInfo, weights: str) -> str | None:
    """Return a sentence about the embedded model that would suit a source better; None where none would.

    Args:
        source: the video; it is opened.
        weights: what was asked for; nothing is said of weights other than the embedded ones.
    """
    name = weights_named(weights)
    step = quantiser_step(source) if name in MODELS.values() else None
    if step is not None and step >= COARSE_STEP and name == MODELS["clean"]:
        return f"{str(source.path)!r} {STRONGLY}: try --model {_suited(step, []).model}"
    if step is not None and step <= FINE_STEP and name == MODELS["real"]:
        return f"{str(source.path)!r} {HARDLY}: --model clean keeps more of its detail"
    return None


def suited_model(source: VideoInfo) -> Suited:
    """Return the embedded model that suits a source, by a few of its keyframes; it is opened."""
    if not source.is_file and not source.images:
        return Suited("clean", "cannot be looked at beforehand")
    return _suited(quantiser_step(source), list(_looks(source)))


def _suited(step: float | None, looks: list[Look]) -> Suited:
    spent = [look.spent for look in looks if look.spent is not None]
    bytes_spent = median(spent) if step is None and spent else None
    if (step or 0) >= COARSE_STEP or (bytes_spent is not None and bytes_spent <= FEW_BYTES):
        return Suited(DEGRADED, STRONGLY)
    if (step or 0) >= COMPRESSED_STEP or (bytes_spent is not None and bytes_spent <= COMPRESSED_BYTES):
        return Suited(DEGRADED, "looks compressed")
    if looks and median(look.noise_levels for look in looks) >= NOISY_LEVELS:
        return Suited(DEGRADED, "looks noisy")
    if looks and median(look.edge_px for look in looks) >= SOFT_PX:
        return Suited(DEGRADED, "looks soft")
    if step is None and not looks:
        return Suited("clean", "suits most videos, and this one shows too little to tell")
    return Suited("clean", "looks neither compressed nor noisy or soft")


def _looks(source: VideoInfo) -> Iterator[Look]:
    """Yield what keyframes of a source look like; none where they show too little to judge by."""
    for luma, size in _keyframes(source):
        # Every second line of a picture of two fields belongs to one of them.
        if (look := look_of(luma[:: 1 if source.fields is None else 2], size)) is not None:
            yield look


def look_of(luma: Luma, size_bytes: int | None) -> Look | None:
    """Return what a picture looks like; None where it shows too little to judge by.

    Args:
        luma: (H, W) uint8.
        size_bytes: of the picture in its file.
    """
    height, width = (side // BLOCK_PX * BLOCK_PX for side in luma.shape)
    shape = (height // BLOCK_PX, BLOCK_PX, width // BLOCK_PX, BLOCK_PX)
    blocks = luma[:height, :width].astype(np.float32).reshape(shape).swapaxes(1, 2).reshape(-1, *shape[1::2])
    contrast = np.ptp(blocks, axis=(1, 2)) if len(blocks) else np.zeros(0)
    if np.sum(contrast >= ENOUGH_LEVELS) < MIN_BLOCKS:
        return None
    jpeg = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(luma)).save(jpeg, "JPEG", quality=JPEG_QUALITY)
    return Look(
        spent=None if size_bytes is None else size_bytes / jpeg.tell(),
        noise_levels=_noise_levels(blocks),
        edge_px=_edge_px(blocks[contrast >= ENOUGH_LEVELS]),
    )


def _noise_levels(blocks: Luma) -> float:
    """Return the noise in the flattest tenth of the blocks that are neither black nor white.

    **Source**: the mask of Immerkær, Fast Noise Variance Estimation, CVIU 64(2), 1996; its gain is 6.
    """
    mean = blocks.mean(axis=(1, 2))
    lit = blocks[(mean > 24) & (mean < 232)]
    if not len(lit):
        return 0.0
    rows = lit[:, 2:] - 2 * lit[:, 1:-1] + lit[:, :-2]
    masked = (rows[..., 2:] - 2 * rows[..., 1:-1] + rows[..., :-2]) / 6
    return float(np.percentile(np.sqrt(np.mean(masked**2, axis=(1, 2))), 10))


def _edge_px(blocks: Luma) -> float:
    """Return the width of the sharpest quarter of edges along rows.

    An edge of height h rises by h in all and by h / width at most, and its slope changes by twice that.
    """
    slopes = np.abs(np.diff(blocks, axis=2)).sum(axis=(1, 2))
    bends = np.abs(np.diff(blocks, n=2, axis=2)).sum(axis=(1, 2))
    return float(np.percentile(2 * slopes / np.maximum(bends, 1), 25))


def _keyframes(source: VideoInfo) -> Iterator[tuple[Luma, int | None]]:
    """Yield the luma and the size in bytes of a few keyframes, as far as they can be had."""
    if source.images:
        chosen = source.images[:: max(1, len(source.images) // PLACES)][:PLACES]
        for _, path in chosen:
            yield from _read(path, [None])
    elif source.is_file:
        length = 0 if source.duration is None else round(source.duration / source.time_base)
        later = [source.start_pts + length * place // PLACES for place in range(1, PLACES) if length]
        yield from _read(source.path, [source.start_pts if source.is_cut else None, *later])


def _read(path: Path, places: list[int | None]) -> Iterator[tuple[Luma, int | None]]:
    # What cannot be read is reported by who reads it.
    with contextlib.suppress(av.FFmpegError, InputError), open_source(path) as file:
        stream = video_stream(file)
        stream.codec_context.skip_frame = "NONKEY"
        for place in places:
            if place is not None:
                file.seek(place, stream=stream)
            keyframes = (packet for packet in file.demux(stream) if packet.is_keyframe and packet.size)
            for packet in itertools.islice(keyframes, 1):
                # What a decoder holds back, to put frames in their order, comes when there are no more.
                for frame in (packet.decode() or stream.codec_context.decode(None))[:1]:
                    yield frame.to_ndarray(format="gray"), packet.size
