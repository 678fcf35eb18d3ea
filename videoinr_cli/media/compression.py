"""Give frames the artefacts of real footage: encode and decode them by a video codec, in memory."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Literal

import av
import numpy as np
import numpy.typing as npt

from videoinr_cli.media.colour import Colour
from videoinr_cli.media.planes import from_rgb, to_rgb

Picture = npt.NDArray[np.uint8]

Codec = Literal["libx264", "libx265", "mpeg4", "mjpeg"]
DECODERS: dict[Codec, str] = {"libx264": "h264", "libx265": "hevc", "mpeg4": "mpeg4", "mjpeg": "mjpeg"}

MIN_SIDE_PX = 80
"""x265 writes past its buffers if a picture is smaller than its largest coding block, 64 px, and at 64 px its
result still depends on the previous content of memory (build 216)."""


@dataclasses.dataclass(frozen=True)
class Compression:
    """How frames are encoded."""

    codec: Codec
    quality: float  # constant rate factor of libx264 and libx265, quantiser scale of mpeg4 and mjpeg
    preset: str = "medium"  # of libx264 and libx265
    pix_fmt: str = "yuv420p"

    def options(self) -> dict[str, str]:
        """Return ffmpeg's options, including those that make the result reproducible."""
        if self.codec == "libx264":
            # x264's macroblock tree with AVX-512 otherwise differs from run to run
            exact = "cpu-independent=1"
            return {"crf": f"{self.quality:g}", "preset": self.preset, "x264-params": exact}
        if self.codec == "libx265":
            quiet = "log-level=none:pools=none:frame-threads=1"
            return {"crf": f"{self.quality:g}", "preset": self.preset, "x265-params": quiet}
        # not -qscale: the encoder reads it from each frame, where PyAV cannot set it
        return {"qmin": f"{self.quality:.0f}", "qmax": f"{self.quality:.0f}"}

    def colour(self) -> Colour:
        """Return the frames' colour: JPEG's convention for mjpeg, else that of standard definition."""
        stated = Colour(range="full", chroma_location="center") if self.codec == "mjpeg" else Colour()
        return stated.resolved(0, 0)


def compress(frames: Iterable[Picture], encoding: Compression) -> Iterator[Picture]:
    """Encode and decode frames as one video, one after the other.

    Args:
        frames: (H, W, 3) RGB, all of one size; if it is too small for the encoder, they are mirrored at the
            edges and cropped afterwards.

    Yields:
        (H, W, 3).
    """
    colour = encoding.colour()
    encoder = decoder = None
    height = width = 0

    def decoded(packets: Iterable[av.Packet[av.VideoStream] | None]) -> Iterator[Picture]:
        assert decoder is not None
        for packet in packets:
            for frame in decoder.decode(packet):
                yield to_rgb(frame, colour)[0][:height, :width]

    for number, rgb in enumerate(frames):
        if encoder is None or decoder is None:
            height, width = rgb.shape[:2]
            encoder, decoder = _encoder(encoding, _padded(height), _padded(width)), _decoder(encoding)
        padding = ((0, encoder.height - height), (0, encoder.width - width), (0, 0))
        frame = from_rgb(np.pad(rgb, padding, mode="symmetric"), encoding.pix_fmt, colour)
        frame.color_range = encoder.color_range
        frame.pts = number
        yield from decoded(encoder.encode(frame))
    if encoder is not None:
        yield from decoded([*encoder.encode(None), None])


def subsample_chroma(frames: Iterable[Picture], pix_fmt: str) -> Iterator[Picture]:
    """Convert (H, W, 3) frames of an even size to a pixel format and back, without encoding them."""
    colour = Colour().resolved(0, 0)
    for rgb in frames:
        yield to_rgb(from_rgb(rgb, pix_fmt, colour), colour)[0]


def _padded(length: int) -> int:
    """Return the next greater length that every encoder takes."""
    return max(MIN_SIDE_PX, length + length % 2)


def _decoder(encoding: Compression) -> av.VideoCodecContext:
    decoder = av.CodecContext.create(DECODERS[encoding.codec], "r")
    assert isinstance(decoder, av.VideoCodecContext)
    decoder.thread_count = 1
    return decoder


def _encoder(encoding: Compression, height: int, width: int) -> av.VideoCodecContext:
    encoder = av.CodecContext.create(encoding.codec, "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.height, encoder.width, encoder.pix_fmt = height, width, encoding.pix_fmt
    encoder.framerate, encoder.time_base = Fraction(25), Fraction(1, 25)
    encoder.color_range = 2 if encoding.codec == "mjpeg" else 1  # full, limited
    encoder.thread_count = 1
    encoder.options = encoding.options()
    return encoder
