"""Find out whether a video is interlaced, and have it read as one picture per field.

What the stream says counts; where it says nothing of fields, the pictures are looked at by ffmpeg's idet.
"""

from __future__ import annotations

import dataclasses
import itertools
import logging
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from typing import Literal

import av

from videoinr_cli.media.source import decoded_frames, open_source, video_stream
from videoinr_cli.media.streams import VideoInfo

Deinterlace = Literal["auto", "on", "off"]

INTERLACING_CODECS = frozenset(
    {
        "h264",
        "mpeg2video",
        "mpeg4",
        "dvvideo",
        "vc1",
        "prores",
        "dnxhd",
        "ffv1",
        "huffyuv",
        "ffvhuff",
        "utvideo",
    }
    | {"rawvideo", "v210", "mjpeg", "lagarith", "cfhd", "wmv3", "msmpeg4v3"}
)
"""Codecs, by ffmpeg's name, in which interlaced material is found without being flagged as such."""

MAX_INTERLACED_RATE = Fraction(31)
"""Frames per second above which nothing is interlaced: no broadcast has more than 60 fields."""

MAX_FRAMES = 250
"""Frames looked at when a video hardly moves, which tells nothing of fields."""

TELLING_FRAMES = 40
"""Frames that have told; more are not needed."""

log = logging.getLogger(__name__)


def deinterlaced(info: VideoInfo, mode: Deinterlace = "auto") -> VideoInfo:
    """Return the video as it is to be read: with every field a picture of its own if it is interlaced.

    Args:
        info: what `probe` returned.
        mode: "auto" follows what the stream says or the pictures show; "on" and "off" do not ask.
    """
    if mode == "off" or info.fields is not None:
        return info
    order = info.field_order if info.field_order in ("tff", "bff") else None
    if order is None and (mode == "on" or _may_be_interlaced(info)):
        order = _shown_order(info)
        if order is not None and mode == "auto":
            log.info(f"{str(info.path)!r} is interlaced, though it does not say so")
    if order is None and mode == "on":
        order = "tff"
    if order is None:
        return info
    first = "top" if order == "tff" else "bottom"
    log.info(f"{str(info.path)!r} is deinterlaced, {first} field first; --deinterlace off keeps it as it is")
    return with_fields(info, order)


def with_fields(info: VideoInfo, order: str) -> VideoInfo:
    """Return the video with twice the rate: bwdif makes a frame of every field and halves the tick."""
    return dataclasses.replace(
        info,
        fields=order,
        time_base=info.time_base / 2,
        start_pts=2 * info.start_pts,
        last_pts=None
        if info.last_pts is None
        else 2 * info.last_pts + round(1 / (info.frame_rate * info.time_base)),
        frame_rate=2 * info.frame_rate,
        frame_count=None if info.frame_count is None else 2 * info.frame_count,
    )


def _may_be_interlaced(info: VideoInfo) -> bool:
    return info.codec in INTERLACING_CODECS and info.frame_rate <= MAX_INTERLACED_RATE and info.height >= 16


def _shown_order(info: VideoInfo) -> str | None:
    """Return "tff" or "bff" when most of the frames that tell anything are made of two fields."""
    votes: Counter[str] = Counter()
    with open_source(info.path) as container:
        stream = video_stream(container)
        frames = itertools.islice(decoded_frames(container, stream, lambda _: None), MAX_FRAMES)
        for verdict in _verdicts(frames):
            votes[verdict] += 1
            if votes.total() - votes["undetermined"] >= TELLING_FRAMES:
                break
    order = max("tff", "bff", key=lambda name: votes[name])
    telling = votes.total() - votes["undetermined"]
    # Film that was stretched to 30 frames per second has two frames in five made of two fields.
    return order if votes[order] > telling * 0.6 else None


def _verdicts(frames: Iterator[av.VideoFrame]) -> Iterator[str]:
    """Yield what idet thinks of each frame: "tff", "bff", "progressive" or "undetermined"."""
    graph: av.filter.Graph | None = None
    for frame in frames:
        if graph is None:
            graph = av.filter.Graph()
            source = graph.add_buffer(
                width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base
            )
            graph.link_nodes(source, graph.add("idet"), graph.add("buffersink")).configure()
        graph.vpush(frame)
        while True:
            try:
                judged = graph.vpull()
            except (av.BlockingIOError, av.EOFError):
                break
            yield judged.metadata.get("lavfi.idet.multiple.current_frame", "undetermined")
