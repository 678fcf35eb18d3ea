"""What an output would be, without writing it: its size, its format, and the source's other streams."""

from __future__ import annotations

import dataclasses
import os

from videoinr_cli.media.streams import VideoInfo
from videoinr_cli.media.write.formats import OutputFormat, output_format
from videoinr_cli.media.write.kept_streams import OutputStreams, decide_streams
from videoinr_cli.options import UpscaleOptions


@dataclasses.dataclass(frozen=True)
class Forecast:
    """An output that could be written."""

    format: OutputFormat
    size: tuple[int, int]  # (width, height), pixels
    picture: tuple[int, int]  # of the picture in it, which is as large unless the options ask for a frame
    streams: OutputStreams


def forecast(destination: str | os.PathLike[str], source: VideoInfo, options: UpscaleOptions) -> Forecast:
    """Return what would be written to a destination.

    Args:
        destination: the output's name, whose extension names the container.
        source: as it is to be read.
        options: what is wanted.

    Raises:
        OutputError: the destination is of no known format, or the codec does not fit it.
        OptionError: the size does not fit the source.
        FfmpegError: there is no ffmpeg.
    """
    written = output_format(destination, source, options.encode)
    source_size = (source.width, source.height)
    size = options.output_size(*source_size, multiple=written.size_multiple)
    return Forecast(
        format=written,
        size=size,
        picture=options.picture_size(source_size, size, pixel_aspect=source.sample_aspect_ratio),
        streams=decide_streams(source, written.container),
    )
