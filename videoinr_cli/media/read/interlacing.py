"""Find out whether a video is interlaced, and have it read as one picture per field.

A stream that is flagged as interlaced is believed, unless its pictures move and are whole wherever they are
looked at: film is often flagged so. One that turns interlaced later is read by the flags of its frames. In
others the pictures are examined with ffmpeg's idet. It takes any slow vertical pan for fields (such as all of
Vid4's "calendar"), so the pictures must also show the combs that moving fields make. The limits were chosen
on the four Vid4 clips and synthetic ones, both as they are and with every two frames woven into one.
"""

from __future__ import annotations

import dataclasses
import itertools
import logging
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

import av
import numpy as np
import numpy.typing as npt
from av.container import InputContainer
from av.video.stream import VideoStream

from videoinr_cli.media.read.decoding import decoded_frames, filter_graph, pulled
from videoinr_cli.media.read.source import open_source, source_frames, video_stream
from videoinr_cli.media.streams import VideoInfo
from videoinr_cli.notes import Advice, log_advised
from videoinr_cli.options import Deinterlace

Luma = npt.NDArray[np.float32]

INTERLACING_CODECS = frozenset(
    {"cfhd", "dnxhd", "dvvideo", "ffv1", "ffvhuff", "h264", "huffyuv", "lagarith", "mjpeg", "mpeg2video"}
    | {"mpeg4", "msmpeg4v3", "prores", "rawvideo", "utvideo", "v210", "vc1", "wmv3"}
)
"""Codecs, by ffmpeg's names, in which interlaced material occurs without being flagged."""

MAX_INTERLACED_RATE = Fraction(31)
"""Frames per second above which nothing is interlaced: no broadcast has more than 60 fields."""

MAX_FRAMES = 250
"""Frames examined at most, in a video that hardly moves, which does not show fields."""

VERDICT_FRAMES = 40
"""Frames with a verdict after which no more are examined."""

LEAST_VERDICTS = 5
"""Frames with a verdict by which pictures are taken to be whole against their flags, at least."""

PLACES = tuple(Fraction(place, 8) for place in range(8))
"""Where in a video flags and pictures are looked at, as shares of its length."""

PLACE_FRAMES = 60
"""Frames looked at in each place after the first."""

FLAG_FRAMES = 8
"""Frames whose flags are looked at in each place of a video that begins with whole frames."""

MIN_SHARE = 0.6
"""Share of the frames with a verdict that idet must find interlaced. Film that was stretched to 30 frames per
second has two in five."""

MIN_COMB_TO_WOVEN = 0.6
"""Least ratio of the combs within a frame to those between its last field and the next frame's first, as
fields follow each other evenly. Measured: 0.70 to 1.8 in woven clips, 0.2 to 0.5 in moving whole ones."""

PAN_LINES = 3
"""Largest vertical pan between two frames that is searched. By an odd number of lines, one frame's field
fits the other's opposite one whether or not they are of different times."""

PAN_SHARE = 0.7
"""Share of the difference between two frames that remains at most once a pan is undone."""

MIN_COMB_TO_DETAIL = 0.75
"""Least ratio of the combs within a frame to the detail within its fields. Measured: 0.81 to 1.9 in woven
clips, 0.4 to 0.94 in whole ones."""

MOVING = 12
"""Code values by which a moving pixel changes, at least."""

SEARCHED_COLUMNS = 512
"""Columns in the middle of the picture that are searched for combs."""

_FIRST = {
    "tff": "top field first",
    "bff": "bottom field first",
    "flagged": "by the flags of its frames",
    "mixed": "where its frames are flagged so",
}

log = logging.getLogger(__name__)


def deinterlaced(info: VideoInfo, mode: Deinterlace = "auto") -> VideoInfo:
    """Return the video as it is to be read: with a picture per field if it is interlaced.

    Args:
        info: what `probe` returned.
        mode: "auto" follows the flags, else the pictures; "on" and "off" force it.
    """
    if mode == "off" or info.fields is not None:
        return info
    order = info.field_order if info.field_order in ("tff", "bff", "flagged") else None
    if order is not None and mode == "auto" and _may_be_interlaced(info) and _is_whole(info):
        log_advised(
            log,
            logging.INFO,
            f"{str(info.path)!r} is flagged as interlaced, but its pictures are whole: it is read as it is",
            Advice("--deinterlace on makes a frame of every field", ("--deinterlace",)),
        )
        return info
    if order is None and _may_be_interlaced(info):
        order = _shown_order(info)
        if order is not None and mode == "auto":
            log.info(f"{str(info.path)!r} is interlaced, although not flagged so")
    if order is None and mode == "auto" and _may_be_interlaced(info) and _turns_interlaced(info):
        order = "mixed"
    if order is None and mode == "on":
        order = "tff"
    if order is None:
        return info
    said = f"{str(info.path)!r} is deinterlaced, {_FIRST[order]}"
    log_advised(log, logging.INFO, said, Advice("--deinterlace off keeps it as it is", ("--deinterlace",)))
    return with_fields(info, order)


def with_fields(info: VideoInfo, order: str) -> VideoInfo:
    """Return the video at twice the rate: bwdif makes a frame of every field and halves the tick.

    Where only some frames are interlaced, the others keep their times.
    """
    is_mixed = order == "mixed"
    return dataclasses.replace(
        info,
        fields=order,
        time_base=info.time_base / 2,
        start_pts=2 * info.start_pts,
        last_pts=None
        if info.last_pts is None or is_mixed
        else 2 * info.last_pts + round(1 / (info.frame_rate * info.time_base)),
        frame_rate=2 * info.frame_rate,
        steady_rate=None if info.steady_rate is None or is_mixed else 2 * info.steady_rate,
        usual_seconds=None if info.usual_seconds is None else info.usual_seconds / 2,
        frame_count=None if info.frame_count is None or is_mixed else 2 * info.frame_count,
    )


def _may_be_interlaced(info: VideoInfo) -> bool:
    return (
        info.is_file
        and info.codec in INTERLACING_CODECS
        and info.frame_rate <= MAX_INTERLACED_RATE
        and info.height >= 16
    )


class _Look(NamedTuple):
    """What pictures show."""

    order: str | None  # which field is first, "tff" or "bff", if they are interlaced
    judged: int  # pictures with a verdict
    whole: int  # of these, pictures that are whole


def _shown_order(info: VideoInfo) -> str | None:
    """Return which field is first, "tff" or "bff", if the pictures show fields."""
    return _look(itertools.islice(source_frames(info, lambda _: None), MAX_FRAMES), info.time_base).order


def _is_whole(info: VideoInfo) -> bool:
    """Whether the pictures of a video that is flagged as interlaced move, and show no fields anywhere."""
    whole = 0
    with open_source(info.path) as container:
        stream = video_stream(container)
        for place in PLACES[::2]:
            frames = itertools.islice(frames_at(container, stream, info, place), PLACE_FRAMES)
            look = _look(frames, info.time_base)
            if look.order is not None or look.whole < MIN_SHARE * look.judged:
                return False
            whole += look.whole
    return whole >= LEAST_VERDICTS


def _turns_interlaced(info: VideoInfo) -> bool:
    """Whether frames are flagged as interlaced in a video whose first one is not."""
    entered: set[int | None] = set()
    with open_source(info.path) as container:
        stream = video_stream(container)
        for place in PLACES[1:]:
            frames = itertools.islice(frames_at(container, stream, info, place), FLAG_FRAMES)
            first = next(frames, None)
            if first is None or first.pts in entered:  # it is entered at keyframes, which may lie far apart
                continue
            entered.add(first.pts)
            if first.interlaced_frame or any(frame.interlaced_frame for frame in frames):
                return True
    return False


def frames_at(
    container: InputContainer, stream: VideoStream, info: VideoInfo, place: Fraction
) -> Iterator[av.VideoFrame]:
    """Yield frames from about a place in a video on, a share of its length; none where it cannot be found."""
    if place:
        if info.duration is None:
            return
        seconds = info.start_pts * info.time_base + place * info.duration
        try:
            container.seek(round(seconds * 1_000_000))
        except av.FFmpegError:
            return
    yield from decoded_frames(container, stream, lambda _: None)


def _look(frames: Iterator[av.VideoFrame], time_base: Fraction) -> _Look:
    """Look at successive frames until `VERDICT_FRAMES` of them have a verdict."""
    votes: Counter[str] = Counter()
    judged_lumas: list[Luma] = []
    for frame, verdict in _verdicts(frames, time_base):
        votes[verdict] += 1
        if verdict != "undetermined":
            judged_lumas.append(_middle(frame))
        if len(judged_lumas) >= VERDICT_FRAMES:
            break
    order = max("tff", "bff", key=lambda name: votes[name])
    is_seen = votes[order] > MIN_SHARE * len(judged_lumas) and _are_combed(judged_lumas, order)
    return _Look(order if is_seen else None, len(judged_lumas), votes["progressive"])


def _verdicts(frames: Iterator[av.VideoFrame], time_base: Fraction) -> Iterator[tuple[av.VideoFrame, str]]:
    """Yield frames and idet's verdict on each: "tff", "bff", "progressive" or "undetermined"."""
    graph: av.filter.Graph | None = None
    for frame in frames:
        graph = graph or filter_graph(frame, time_base, ("idet", ""))
        frame.time_base = time_base  # which PyAV leaves unset on frames that the decoder held back
        graph.vpush(frame)
        for judged in pulled(graph):
            yield judged, judged.metadata.get("lavfi.idet.multiple.current_frame", "undetermined")


def _middle(frame: av.VideoFrame) -> Luma:
    """Return the middle columns of the luma, in 8 bits: (rows, columns), an even number of rows."""
    grey = frame.reformat(format="gray")
    plane = grey.planes[0]
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
    left = max(0, (plane.width - SEARCHED_COLUMNS) // 2)
    return rows[: plane.height // 2 * 2, left : min(plane.width, left + SEARCHED_COLUMNS)].astype(np.float32)


def _are_combed(frames: list[Luma], order: str) -> bool:
    """Whether lines stand out from their neighbours as fields of different times make them.

    Args:
        frames: successive lumas, (rows, columns) each.
        order: which field is first, "tff" or "bff".
    """
    within = between = detail = 0.0
    last, first = (1, 0) if order == "tff" else (0, 1)  # offset of the last field's lines, and the first's
    for frame, following in itertools.pairwise(frames):
        if _is_panned(frame, following):
            continue
        moves = np.abs(frame - following)[1:-1] > MOVING
        woven, halves = np.empty_like(frame), np.empty_like(frame)
        woven[last::2], woven[first::2] = frame[last::2], following[first::2]
        for offset in (0, 1):
            field = frame[offset::2]
            halves[offset::2][1:-1] = np.abs(field[1:-1] - (field[:-2] + field[2:]) / 2)
            halves[offset::2][[0, -1]] = 0
        within += float(_combs(frame)[moves].sum())
        between += float(_combs(woven)[moves].sum())
        detail += float(halves[1:-1][moves].sum())
    return within > MIN_COMB_TO_WOVEN * between and within > MIN_COMB_TO_DETAIL * detail


def _is_panned(frame: Luma, following: Luma) -> bool:
    """Whether the second frame is the first one moved up or down by a few lines."""
    margin = PAN_LINES
    inner = frame[margin:-margin]
    differences = {
        lines: float(np.abs(inner - following[margin + lines : following.shape[0] - margin + lines]).mean())
        for lines in range(-margin, margin + 1)
    }
    return min(differences.values()) < PAN_SHARE * differences[0]


def _combs(picture: Luma) -> Luma:
    """Return how much each inner line stands out from its two neighbours: (rows - 2, columns)."""
    stands_out: Luma = np.abs(picture[1:-1] - (picture[:-2] + picture[2:]) / 2)
    return stands_out
