"""Read a video's pictures: every frame of its decoder, cropped and upright, as R'G'B', each at its own time.

Timestamps are the decoder's, after the shifts that `probe` found for a clock that breaks. Where they are
missing or wrong, these rules mend them, and no frame is ever dropped:

- A frame without a timestamp gets its decoding timestamp, else the end of the frame before it; so does one
  whose timestamp lies more than `CLOCK_JUMP_SECONDS` after the file's end.
- A clock that goes back by more than `DISORDER_FRAMES` frames was reset: times continue from the end of the
  frame before, until the former clock fits better again.
- A frame whose timestamp is still not after that of the frame before it is shown one tick after it.
- The last frame lasts until the end that the file states, else as long as its packet says.
"""

from __future__ import annotations

import collections
import dataclasses
import logging
from collections.abc import Generator, Iterator
from fractions import Fraction

import av
import numpy as np

from videoinr_cli.errors import InputError
from videoinr_cli.media.planes import Picture, to_rgb
from videoinr_cli.media.read.decoding import changed_aspect, filter_graph, pulled
from videoinr_cli.media.read.extent import MISSING_FRAMES, MISSING_SECONDS
from videoinr_cli.media.read.seeking import frames_from
from videoinr_cli.media.read.side_data import lost_side_data, side_data_of
from videoinr_cli.media.read.source import source_frames
from videoinr_cli.media.streams import VideoInfo

CLOCK_JUMP_SECONDS = 1
"""How far another clock may put a frame from its expected time, and how far after the file's end."""

DISORDER_FRAMES = 3
"""Frames by which timestamps may go back on the same clock, out of mere disorder; at least 0.1 s."""

SAME_SHAPE = Fraction(2, 100)
"""How much the shapes of two pictures of different sizes may differ from rounding to whole pixels."""

MAX_REPORTS = 10
"""Damaged places that are reported one by one; the rest are counted."""

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class SourceFrame:
    """One picture of the source and when it is shown."""

    rgb: Picture  # (H, W, 3), full-range R'G'B': uint8, or uint16 of sources of more than 8 bits
    pts: int  # in ticks of the source's time base
    duration: int | None = None  # in ticks, when the source says it
    alpha: Picture | None = None  # (H, W), of rgb's type, the maximum opaque; None when there is none


def read_frames(
    info: VideoInfo,
    *,
    strict: bool = False,
    begin: int | None = None,
    end: int | None = None,
    lead: int = 0,
) -> Generator[SourceFrame, None, None]:
    """Yield the frames of the video, with strictly increasing timestamps from ``info.start_pts`` on.

    A range has the same frames, to the last bit, as the whole: decoding begins at a keyframe where that is
    safe, else at the start.

    Frames that cannot be decoded are dropped. They are logged with their time, as are frames that the decoder
    concealed and an end that comes too early. Damage that decodes to a wrong picture goes unnoticed.

    Args:
        info: what `probe` returned.
        strict: whether damage is an error.
        begin: the first frame is at or after this time, in ticks; None: the source's start.
        end: the last frame is before this time, in ticks; None: the source's end.
        lead: how many frames before `begin` come too, as far as there are any.

    Raises:
        InputError: the file has gone, or `strict` is set and something in it cannot be decoded.
    """
    file = info.whole or info
    if info.is_cut:
        begin = max(info.start_pts, begin or info.start_pts)
    stop = min((pts for pts in (end, info.stop_pts) if pts is not None), default=None)
    damage = _Damage(file, strict=strict, begin=begin)
    held: SourceFrame | None = None
    for frame in _from(begin, _as_fields(_timed(file, damage, begin, lead), file), lead):
        assert frame.pts is not None
        if frame.pts < info.start_pts:  # the lead of the first frames of a part
            continue
        if stop is not None and frame.pts >= stop:
            if held is not None:
                yield held if stop != info.stop_pts else _until(held, stop)
            held = None
            break
        if held is not None:
            yield held
        rgb, alpha = to_rgb(frame, info.resolved_colour)
        held = SourceFrame(
            rgb=_upright(rgb, info),
            pts=frame.pts,
            duration=frame.duration or None,
            alpha=None if alpha is None else _upright(alpha, info),
        )
    if held is not None:
        damage.ended(held)
        yield _until_end(held, info)
    damage.summarise()


def _from(begin: int | None, frames: Iterator[av.VideoFrame], lead: int) -> Iterator[av.VideoFrame]:
    """Drop the frames before a time, except the last few."""
    recent: collections.deque[av.VideoFrame] = collections.deque(maxlen=lead)
    for frame in frames:
        assert frame.pts is not None
        if begin is not None and frame.pts < begin:
            recent.append(frame)
            continue
        yield from recent
        recent.clear()
        yield frame
    yield from recent


def _timed(info: VideoInfo, damage: _Damage, begin: int | None, lead: int) -> Iterator[av.VideoFrame]:
    """Yield the frames in one size and format, with increasing timestamps in the decoder's ticks."""
    if begin is None or begin <= info.start_pts:
        frames = source_frames(info, damage.found)
    else:
        frames = frames_from(info, begin, damage.found, lead=lead)
    times = _FrameTimes(info)
    uniform = _Uniform(info, damage)
    for frame in frames:
        pts = times.time_of(frame)
        damage.reached(times.seconds, is_corrupt=frame.is_corrupt)
        damage.loses(frame)
        same = uniform(frame)
        same.pts = pts
        yield same


def _as_fields(frames: Iterator[av.VideoFrame], info: VideoInfo) -> Iterator[av.VideoFrame]:
    """Yield a frame per field if the video is deinterlaced; bwdif halves the tick, as `info` does."""
    if info.fields is None:
        yield from frames
        return
    parity = info.fields if info.fields in ("tff", "bff") else "auto"
    which = "interlaced" if info.fields == "mixed" else "all"  # the others pass as they are
    bwdif = ("bwdif", f"mode=send_field:parity={parity}:deint={which}")
    graph: av.filter.Graph | None = None
    for frame in frames:
        graph = graph or filter_graph(frame, 2 * info.time_base, bwdif)
        frame.time_base = 2 * info.time_base
        graph.vpush(frame)
        yield from pulled(graph)
    if graph is not None:
        graph.vpush(None)
        yield from pulled(graph)


class _FrameTimes:
    """Gives every frame its time by the module's rules, in the decoder's ticks."""

    def __init__(self, info: VideoInfo) -> None:
        fields = 1 if info.fields is None else 2  # per frame, and per tick of the decoder
        self._time_base = info.time_base * fields
        self._jump = round(CLOCK_JUMP_SECONDS / self._time_base)
        self._step = max(1, round(fields / (info.frame_rate * self._time_base)))
        self._disorder = max(DISORDER_FRAMES * self._step, round(Fraction(1, 10) / self._time_base))
        self._start = info.start_pts // fields
        self._latest = None if info.end_pts is None else info.end_pts // fields + self._jump
        self._last: int | None = None  # time given to the frame before
        self._next = self._start  # when that frame ends
        self._shifts = (0, 0)  # added to timestamps: by the clock in use, and by the one before

    @property
    def seconds(self) -> Fraction:
        """The last frame's time, from the start of the video."""
        return ((self._last or self._start) - self._start) * self._time_base

    def time_of(self, frame: av.VideoFrame) -> int:
        """Return the time of the next frame, in ticks."""
        stated = frame.pts if frame.pts is not None else frame.dts
        time = self._next if stated is None else self._by_clocks(stated)
        if self._last is not None:
            time = max(time, self._last + 1)
        self._last, self._next = time, time + (frame.duration or self._step)
        return time

    def _by_clocks(self, stated: int) -> int:
        """Return the time of a timestamp, by the clock in use or another one."""
        current, former = (stated + shift for shift in self._shifts)
        if self._last is None:
            return current
        if abs(former - self._next) < min(abs(current - self._next), self._jump):
            self._shifts = self._shifts[::-1]
            return former
        if current < self._last - self._disorder:
            self._shifts = (self._next - stated, self._shifts[0])
            return self._next
        if self._latest is not None and current > self._latest:
            return self._next
        return current


class _Damage:
    """Logs what cannot be decoded, or raises if nothing may be lost."""

    def __init__(self, info: VideoInfo, *, strict: bool, begin: int | None) -> None:
        self._info = info
        self._strict = strict
        self._seconds = Fraction(0)
        self._begin = Fraction(0) if begin is None else (begin - info.start_pts) * info.time_base
        self._count = 0
        self._lost = set(info.lost_side_data)

    def reached(self, seconds: Fraction, *, is_corrupt: bool) -> None:
        """Record the time of a decoded frame."""
        self._seconds = seconds
        if is_corrupt:
            self.found("a frame is damaged")

    def loses(self, frame: av.VideoFrame) -> None:
        """Report side data that no output keeps where it begins, unless it was there from the first frame."""
        for name in lost_side_data(side_data_of(frame, self._info.codec)):
            if name not in self._lost:
                self._lost.add(name)
                self.found(f"{name} begin, which no output keeps")

    def found(self, what: str) -> None:
        """Report damage at the time reached, unless it lies before the range that is read.

        Raises:
            InputError: damage is an error.
        """
        if self._seconds < self._begin:
            return
        message = f"{str(self._info.path)!r} near {float(self._seconds):.3f} s: {what}"
        if self._strict:
            raise InputError(f"{message}; leave out --strict to go on without it")
        self._count += 1
        if self._count <= MAX_REPORTS:
            log.warning(message)

    def ended(self, last: SourceFrame) -> None:
        """Compare the last frame with the end that the file states."""
        if self._info.end_pts is None:
            return
        step = last.duration or round(1 / (self._info.frame_rate * self._info.time_base))
        missing = (self._info.end_pts - last.pts - step) * self._info.time_base + self._info.missing_seconds
        if missing > max(MISSING_SECONDS, MISSING_FRAMES / self._info.frame_rate):
            self.found(f"the video ends {float(missing):.3f} s before its stated end")

    def summarise(self) -> None:
        """Log how many more damaged places there were."""
        if self._count > MAX_REPORTS:
            log.warning(f"{str(self._info.path)!r}: {self._count - MAX_REPORTS} more damaged places")


class _Uniform:
    """Converts frames to the leading size, shape and format, after a change within the file."""

    def __init__(self, info: VideoInfo, damage: _Damage) -> None:
        self._format = info.pix_fmt
        self._size = info.coded_size
        self._aspect = info.coded_aspect
        self._follows_aspect = info.follows_aspect
        self._damage = damage
        self._graph: av.filter.Graph | None = None
        self._seen: tuple[int, int, str, Fraction] | None = None

    def __call__(self, frame: av.VideoFrame) -> av.VideoFrame:
        aspect = (self._follows_aspect and changed_aspect(frame)) or self._aspect
        kind = (frame.width, frame.height, frame.format.name, aspect)
        if kind == (*self._size, self._format, self._aspect):
            return frame
        if self._graph is None or kind != self._seen:
            self._seen = kind
            shape = "" if aspect == self._aspect else f", pixels {aspect.numerator}:{aspect.denominator}"
            size = f"{frame.width}x{frame.height}"
            self._damage.found(f"the video changes to {size} {frame.format.name}{shape}")
            self._graph = self._fitting(frame, aspect)
        self._graph.vpush(frame)
        return self._graph.vpull()

    def _fitting(self, frame: av.VideoFrame, aspect: Fraction) -> av.filter.Graph:
        """Return a graph that fits frames into the leading shape, between black bars where theirs differs."""
        width, height = self._size
        shape = Fraction(frame.width, frame.height) * aspect / (Fraction(width, height) * self._aspect)
        inner = (width, height)
        if abs(shape - 1) > SAME_SHAPE and width % 2 == height % 2 == 0:
            inner = (width, _even(height / shape)) if shape > 1 else (_even(width * shape), height)
        scale = ("scale", f"{inner[0]}:{inner[1]}:flags=bicubic+accurate_rnd")
        bars = [("pad", f"{width}:{height}:-1:-1:black")] if inner != (width, height) else []
        return filter_graph(frame, Fraction(1, 1000), scale, ("format", self._format), *bars)


def _even(pixels: Fraction) -> int:
    return max(2, 2 * round(pixels / 2))


def _upright(picture: Picture, info: VideoInfo) -> Picture:
    """Crop, mirror and turn a coded picture to be upright."""
    crop, (height, width) = info.crop, picture.shape[:2]
    picture = picture[crop.top : height - crop.bottom, crop.left : width - crop.right]
    if info.mirrored:
        picture = picture[:, ::-1]
    return np.ascontiguousarray(np.rot90(picture, -(info.rotation // 90)))


def _until_end(last: SourceFrame, info: VideoInfo) -> SourceFrame:
    """Extend the last frame to the video's stated end."""
    return last if info.end_pts is None or info.end_pts <= last.pts else _until(last, info.end_pts)


def _until(last: SourceFrame, end: int) -> SourceFrame:
    return dataclasses.replace(last, duration=end - last.pts)
