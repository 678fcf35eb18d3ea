"""Writers for tests that write pictures of their own beside a source's other streams."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path
from typing import Any

from videoinr_cli.media.streams import VideoInfo
from videoinr_cli.media.write.destination import check_destination
from videoinr_cli.media.write.formats import output_format
from videoinr_cli.media.write.kept_streams import decide_streams, log_changes, refuse_dropped
from videoinr_cli.media.write.output import OutputClock, OutputSpec, log_guesses, pixel_aspect
from videoinr_cli.media.write.times_fit import check_times_fit
from videoinr_cli.media.write.writer import VideoWriter
from videoinr_cli.options import EncodeOptions


def open_writer(
    destination: str | os.PathLike[str],
    size: tuple[int, int],
    time_base: Fraction,
    source: VideoInfo,
    encoding: EncodeOptions,
    *,
    frame_rate: Fraction | None = None,
    last_pts: int | None = None,
    strict: bool = False,
    **settings: Any,
) -> VideoWriter:
    """Decide how an output is written, as a plan does, and open its writer.

    Args:
        destination: the output's name.
        size: (width, height), pixels.
        time_base: of the pictures' timestamps.
        source: where the other streams come from.
        encoding: the user's wishes.
        frame_rate: constant; None: the pictures have the source's times.
        last_pts: of the last picture; None: the source's, if the time base is the source's too.
        strict: whether a loss is an error.
        settings: ``audio``, and other fields of `OutputSpec`.
    """
    check_destination(destination, source, overwrite=settings.get("overwrite", False))
    written = output_format(destination, source, encoding)
    speed, audio = settings.get("speed", Fraction(1)), settings.pop("audio", "keep")
    keeps_times = frame_rate is None
    log_guesses(source, written, size)
    if keeps_times:
        check_times_fit(source, written.container, strict=strict)
        if last_pts is None and time_base == source.time_base:
            last_pts = source.last_pts
    streams = decide_streams(source, written.container, audio=audio, speed=speed, frame_rate=frame_rate)
    if strict:
        refuse_dropped(streams)
    log_changes(streams)
    output = OutputSpec(
        destination=Path(destination),
        source=source,
        format=written,
        encoding=encoding,
        size=size,
        pixel_aspect=pixel_aspect(source, size),
        clock=OutputClock.of(
            time_base,
            source.origin / speed,
            start=source.start_pts * source.time_base / speed,
            steady_rate=source.steady_rate if keeps_times and time_base == source.time_base else None,
            most_ticks=written.encoder.most_ticks,
        ),
        frame_rate=frame_rate or source.frame_rate,
        kept=streams.kept,
        last_pts=last_pts,
        keeps_times=keeps_times,
        strict=strict,
        **settings,
    )
    return VideoWriter(output)
