"""Where a file's clock breaks, as where recordings were joined end to end, and by how much.

Uses only the times and byte positions of packets.
"""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from typing import NamedTuple

import av
from av.container import InputContainer
from av.stream import Disposition, Stream

from videoinr_cli.media.streams import ClockShift, shift_at

BREAKABLE = ("mpegts", "mpeg", "flv", "hls")
"""Demuxers of what is often joined end to end, or recorded across a restart of its clock. In others, such as
Matroska, a break is looked for where the end of the file shows signs of one."""

SPARSELY_TIMED = ("mpeg",)
"""Demuxers of files in which not every picture has a time; each of `BREAKABLE`. ffmpeg counts on from the
last one that has, which it cannot after a seek, and takes the duration of a stream from what it counts there:
it may be off by some frames, or half a frame."""

WITHOUT_DECODING_TIMES = ("matroska,webm",)
"""Demuxers of files that state only when packets are shown; ffmpeg guesses when some are decoded."""

MAX_BACK_SECONDS = Fraction(1, 10)
"""How far the decoding times of a stream may go back on one clock.
**Source**: ``ts_discontinuity_detect`` in ffmpeg's program, as for `MAX_AHEAD_SECONDS`."""

MAX_AHEAD_SECONDS = 10
"""How far they may jump ahead of the previous packet's end."""


@dataclasses.dataclass
class _Run:
    """Packets of one stream on one clock; times are in ticks."""

    stream: int
    tick_seconds: Fraction
    first: int  # byte position of the first packet
    last: int  # byte position of the last packet
    start: int  # when the first packet is decoded
    decoded: int  # when the last packet is
    end: int  # when the last packet ends
    key: int  # when the last keyframe is
    shown: tuple[int, int] | None = None  # start and end of the packet that is shown last


class ClockScan(NamedTuple):
    """What the packets of a file show about its clock."""

    shifts: tuple[ClockShift, ...]
    end: tuple[Fraction, Fraction] | None  # when the video's last packet is shown and ends, in seconds
    streams: frozenset[int]  # indices of the sounds and videos that have packets


def scan_clock(container: InputContainer, video: int) -> ClockScan:
    """Read a file to its end, and return how to bring all of it onto its first clock.

    The clock breaks where no sound or video continues on it; a gap in a single stream is only a gap. What
    comes after a break begins where the streams before it ended, late enough that none overlaps with itself.

    Args:
        container: the file, just opened.
        video: index of the stream whose end is wanted.

    Returns:
        The shifts, and the end of `video` by the shifted clock.
    """
    runs = _runs_of(container)
    shifts: list[ClockShift] = []
    ends: dict[int, Fraction] = {}  # of each stream so far, in seconds on the first clock
    shift = Fraction(0)
    for group in _grouped(runs):
        starts = {run.stream: run.start * run.tick_seconds for run in reversed(group)}
        overlaps = [ends[stream] - start for stream, start in starts.items() if stream in ends]
        if overlaps:
            shift = max(overlaps)
            shifts.append(ClockShift(group[0].first, shift))
        ends |= {run.stream: run.end * run.tick_seconds + shift for run in group}
    streams = frozenset(run.stream for run in runs)
    last = next((run for run in reversed(runs) if run.stream == video), None)
    if last is None or last.shown is None:
        return ClockScan(tuple(shifts), None, streams)
    seconds = shift_at(shifts, last.first)
    shown, end = (tick * last.tick_seconds + seconds for tick in last.shown)
    return ClockScan(tuple(shifts), (shown, end), streams)


def sounds_and_videos(container: InputContainer) -> list[Stream]:
    """Return a file's streams that are in time, without covers."""
    return [
        stream
        for stream in container.streams
        if stream.type in ("video", "audio") and not stream.disposition & Disposition.attached_pic
    ]


def _runs_of(container: InputContainer) -> list[_Run]:
    """Return the runs of all sounds and videos, sorted by where they begin."""
    is_shown = container.format.name in WITHOUT_DECODING_TIMES
    runs: list[_Run] = []
    latest: dict[int, _Run] = {}
    try:
        for packet in container.demux(sounds_and_videos(container)):
            at = packet.pts if is_shown else packet.dts
            if not packet.size or at is None:
                continue
            run = latest.get(packet.stream_index)
            if run is None or _breaks(run, at, packet, is_shown=is_shown):
                if packet.pos is None:  # it begins in the same packet of the file as the one before
                    continue
                run = _Run(packet.stream_index, packet.time_base, packet.pos, packet.pos, at, at, at, at)
                latest[run.stream] = run
                runs.append(run)
            if packet.pos is not None:
                run.last = packet.pos
            length = packet.duration or 0
            run.decoded = at
            run.end = max(run.end, at + length) if is_shown else at + length
            if packet.is_keyframe:
                run.key = at
            shown = at if packet.pts is None else packet.pts
            if run.shown is None or shown > run.shown[0]:
                run.shown = (shown, shown + length)
    except av.FFmpegError:
        pass  # a damaged end: what came before it is known
    return sorted(runs, key=lambda run: run.first)


def _breaks(run: _Run, at: int, packet: av.Packet[Stream], *, is_shown: bool) -> bool:
    """Whether the clock breaks before a packet.

    Times of showing go back and forth between two keyframes, from one keyframe to the next they do not.
    """
    back = MAX_BACK_SECONDS / run.tick_seconds
    if at > run.end + MAX_AHEAD_SECONDS / run.tick_seconds:
        return True
    if not is_shown:
        return at < run.decoded - back
    if packet.stream.type == "video":
        return packet.is_keyframe and packet.pos != run.first and at <= run.key
    return at < run.key - back


def _grouped(runs: list[_Run]) -> list[list[_Run]]:
    """Group sorted runs: a group ends at a place in the file that no run reaches across."""
    groups: list[list[_Run]] = []
    reached = -1
    for run in runs:
        if run.first > reached:
            groups.append([])
        groups[-1].append(run)
        reached = max(reached, run.last)
    return groups
