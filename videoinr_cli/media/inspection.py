"""What a file holds, and what ``upscale`` would make of it in several containers."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence

from videoinr_cli.errors import VideoInrError
from videoinr_cli.media.read.prepare import as_read
from videoinr_cli.media.read.probe import probe
from videoinr_cli.media.read.repeats import Repeats, find_repeats
from videoinr_cli.media.read.suitability import model_advice
from videoinr_cli.media.read.timing import Timing, measure_timing
from videoinr_cli.media.streams import VideoInfo
from videoinr_cli.media.write.formats import OutputFormat, output_format
from videoinr_cli.media.write.kept_streams import OutputStreams, decide_streams
from videoinr_cli.options import UpscaleOptions

SHOWN_OUTPUTS = ("out.mp4", "out.mkv", "out.mov", "out.webm")
"""Outputs whose formats are shown when none is named."""


@dataclasses.dataclass(frozen=True)
class Forecast:
    """An output that could be written."""

    format: OutputFormat
    size: tuple[int, int]  # (width, height), pixels
    picture: tuple[int, int]  # of the picture in it, which is as large unless the options ask for a frame
    streams: OutputStreams


@dataclasses.dataclass(frozen=True)
class Inspection:
    """What is known of a video without rendering it."""

    source: VideoInfo  # as it is stored
    timing: Timing | None  # of its frames; None where two times cannot be had without decoding
    as_read: VideoInfo  # as it is rendered: a frame for each field where it is interlaced, and cut
    outputs: Mapping[str, Forecast | VideoInrError]  # by name; or why it cannot be written
    repeats: Repeats | None = None  # of drawings; None: there is no clear pattern of them
    advice: str | None = None  # on the model, where another would suit the source better


def inspect_video(
    source: str | os.PathLike[str],
    outputs: Sequence[str] = SHOWN_OUTPUTS,
    options: UpscaleOptions | None = None,
) -> Inspection:
    """Say what a video holds and what it would become.

    Args:
        source: a video file.
        outputs: names whose endings say the container; they need not exist.
        options: how the source is read, and the size and encoding of the outputs.

    Raises:
        InputError: the source cannot be read.
        OptionError: the options do not fit the source.
    """
    options = options or UpscaleOptions()
    found = probe(source, rate=options.read.rate)
    timing = measure_timing(found)
    taken = as_read(found, options.read)
    forecasts = {name: _forecast(name, taken, options) for name in outputs}
    advice = model_advice(found, options.weights)
    return Inspection(found, timing, taken, forecasts, find_repeats(taken), advice)


def _forecast(name: str, source: VideoInfo, options: UpscaleOptions) -> Forecast | VideoInrError:
    """Return what would be written to a name, or why nothing would: the file is described all the same."""
    try:
        written = output_format(name, source, options.encode)
        source_size = (source.width, source.height)
        size = options.output_size(*source_size, multiple=written.size_multiple)
        return Forecast(
            format=written,
            size=size,
            picture=options.picture_size(source_size, size, pixel_aspect=source.sample_aspect_ratio),
            streams=decide_streams(source, written.container),
        )
    except VideoInrError as error:
        return error
