"""An output's container, encoder, pixel format and colour, from its name and the options."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

from videoinr_cli.errors import OutputError
from videoinr_cli.media.colour import Colour
from videoinr_cli.media.ffmpeg import Needs, describe, find_ffmpeg
from videoinr_cli.media.planes import layout_of, size_multiple
from videoinr_cli.media.streams import VideoInfo
from videoinr_cli.media.write.containers import Container, container_for
from videoinr_cli.media.write.encoders import HDR_OPTIONS, VideoEncoder, find_encoder
from videoinr_cli.options import EncodeOptions

_FIXED_COLOURS: dict[str, dict[str, str]] = {
    "mjpeg": {"matrix": "smpte170m", "range": "full", "chroma_location": "center"},
    "libwebp": {"matrix": "smpte170m", "range": "limited", "chroma_location": "center"},
}
"""Colour that the formats of some encoders prescribe, and therefore do not store."""

_UNTAGGED = frozenset({"nut", "yuv4mpegpipe"})
"""Muxers that do not store the matrix of raw pictures."""


@dataclasses.dataclass(frozen=True)
class OutputFormat:
    """The output's container, encoder and pixel format."""

    container: Container
    encoder: VideoEncoder
    pix_fmt: str  # ffmpeg's name
    needs: Needs  # what the ffmpeg that writes it should have

    @property
    def program(self) -> str:
        """The ffmpeg that writes it."""
        return find_ffmpeg(self.needs)

    @property
    def hastens_opus(self) -> bool:
        """Whether its Opus comes early by its padding: ffmpeg before 7 subtracts that twice in Matroska."""
        return self.container.says_padding and not describe(self.program).is_exact

    def colour(self, source: VideoInfo, size: tuple[int, int]) -> Colour:
        """Return the output's colour: the source's, as far as the format holds it.

        Args:
            size: (width, height) of the output, by which readers guess a matrix that is not stored.
        """
        colour = source.resolved_colour
        if layout_of(self.pix_fmt).kind == "rgb":
            return dataclasses.replace(colour, matrix="gbr", range="full", chroma_location=None)
        if layout_of(source.pix_fmt).kind == "rgb":
            colour = dataclasses.replace(colour, range="limited")
        fixed = _FIXED_COLOURS.get(self.encoder.name, {})
        if self.encoder.name == "rawvideo" and self.container.muxer in _UNTAGGED:
            fixed = {"matrix": Colour().resolved(*size).matrix or ""}
        return dataclasses.replace(colour, **fixed)

    @property
    def size_multiple(self) -> tuple[int, int]:
        """What the output's (width, height) must be multiples of."""
        return size_multiple(self.pix_fmt)


def output_format(
    destination: str | os.PathLike[str], source: VideoInfo, encoding: EncodeOptions
) -> OutputFormat:
    """Return an output's format, by its extension and the user's wishes, else like the source's.

    Raises:
        OptionError: the encoder has no such preset.
        OutputError: the extension, the codec or the pixel format is unknown, or they do not fit together.
        FfmpegError: there is no ffmpeg.
    """
    container = container_for(destination)
    if container.is_photo and not source.is_photo:
        path = Path(destination)
        raise OutputError(f"{str(path)!r} is one image; number them: {path.stem}-%05d{path.suffix}")
    codec = container.video_encoder if encoding.encoder == "auto" else encoding.encoder
    if container.video_encoders and not any(word in codec for word in container.video_encoders):
        raise OutputError(
            f"{container.muxer} cannot hold what {codec} makes; try --codec {container.video_encoder}, "
            "or an output in .mkv"
        )
    needs = _needs(source, codec, container)
    encoder = find_encoder(codec, find_ffmpeg(needs))
    if encoding.preset is not None:
        encoder.check_preset(encoding.preset)
    if encoding.pix_fmt == "auto" and codec == "gif":
        return OutputFormat(container, encoder, "pal8", needs)
    if encoding.pix_fmt == "auto":
        chosen = encoder.closest_format(layout_of(source.pix_fmt), among=container.pix_fmts)
        return OutputFormat(container, encoder, chosen, needs)
    try:
        layout_of(encoding.pix_fmt)
    except ValueError as error:
        raise OutputError(f"there is no pixel format {encoding.pix_fmt!r}; try --pix-fmt auto") from error
    if encoder.pix_fmts and encoding.pix_fmt not in encoder.pix_fmts:
        raise OutputError(
            f"{codec} does not take pixel format {encoding.pix_fmt}; try --pix-fmt auto, "
            f"or one of {', '.join(encoder.pix_fmts)}"
        )
    return OutputFormat(container, encoder, encoding.pix_fmt, needs)


def _needs(source: VideoInfo, codec: str, container: Container) -> Needs:
    """Return what is needed of the ffmpeg that writes a source's output, as far as the source tells."""
    has_sound = any(stream.kind == "audio" for stream in source.streams)
    converter = [container.audio_encoder] if has_sound and container.audio_encoder else []
    is_hdr10 = source.mastering_display is not None or source.content_light is not None
    return Needs(
        encoders=(codec, *converter),
        hdr10=is_hdr10 and codec not in HDR_OPTIONS,
    )
