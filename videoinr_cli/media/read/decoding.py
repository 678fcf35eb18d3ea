"""Read packets and decode them, skipping what is damaged and reporting it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence

import av
from av.codec.codec import UnknownCodecError
from av.container import InputContainer
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from videoinr_cli.media.streams import ClockShift, shift_at

MAX_READ_FAILURES = 32
"""Failed reads in a row after which the rest of a damaged file is given up."""

CONCEALING = frozenset({"hevc", "vp9", "ffv1"})
"""Codecs whose decoders conceal damage without flagging the frame; they only log it."""

ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
"""Decoders for transparency in a second stream of pictures, which ffmpeg's own decoders ignore."""


def decoded_frames(
    container: InputContainer, stream: VideoStream, on_damage: Callable[[str], None]
) -> Iterator[av.VideoFrame]:
    """Yield every frame of the stream that its decoder gives, including those that it holds back.

    Args:
        container: an open file.
        stream: its video.
        on_damage: called with what is wrong, for each packet that cannot be fully read or decoded.
    """
    return decoded(packets_of(container, stream, on_damage), stream, on_damage)


def decoded(
    packets: Iterable[av.Packet[VideoStream]], stream: VideoStream, on_damage: Callable[[str], None]
) -> Iterator[av.VideoFrame]:
    """Yield every frame that the stream's decoder makes of packets, including those that it holds back."""
    conceals = stream.codec.canonical_name in CONCEALING
    decoder = _decoder(stream)
    for packet in packets:
        try:
            with _reporting_log(on_damage, "a frame is damaged") if conceals else contextlib.nullcontext():
                frames = decoder.decode(packet)
        except MemoryError:  # not the file's fault
            raise
        except av.FFmpegError as error:
            on_damage(f"a packet is lost: {error.strerror}")
        else:
            yield from frames
    yield from _flushed(decoder, on_damage)


def _decoder(stream: VideoStream) -> VideoCodecContext:
    # In capitals where a muxer has stored it as a tag, too.
    if "1" in (stream.metadata.get("alpha_mode"), stream.metadata.get("ALPHA_MODE")):
        with contextlib.suppress(KeyError, UnknownCodecError):
            decoder = av.CodecContext.create(ALPHA_DECODERS[stream.codec.canonical_name], "r")
            assert isinstance(decoder, VideoCodecContext)
            return decoder
    return stream.codec_context


def packets_of(
    container: InputContainer,
    stream: VideoStream,
    on_damage: Callable[[str], None],
    *,
    shifts: Sequence[ClockShift] = (),
) -> Iterator[av.Packet[VideoStream]]:
    """Yield the stream's packets from the file's position on, skipping what cannot be read.

    Args:
        container: an open file.
        stream: its video.
        on_damage: called with what is wrong, for each packet that cannot be fully read.
        shifts: bring all packets onto one clock.
    """
    packets = _packets_of(container, stream, on_damage)
    return _shifted(packets, shifts) if shifts else packets


def _shifted(
    packets: Iterable[av.Packet[VideoStream]], shifts: Sequence[ClockShift]
) -> Iterator[av.Packet[VideoStream]]:
    position = 0
    for packet in packets:
        if packet.pos is not None:  # else it begins in the same packet of the file as the one before
            position = packet.pos
        assert packet.time_base is not None
        ticks = round(shift_at(shifts, position) / packet.time_base)
        if packet.pts is not None:
            packet.pts += ticks
        if packet.dts is not None:
            packet.dts += ticks
        yield packet


def _packets_of(
    container: InputContainer, stream: VideoStream, on_damage: Callable[[str], None]
) -> Iterator[av.Packet[VideoStream]]:
    demuxed = container.demux(stream)
    failures = 0
    while failures < MAX_READ_FAILURES:
        try:
            with _reporting_log(on_damage, "the file is damaged"):
                packet = next(demuxed, None)
        except MemoryError:
            raise
        except av.FFmpegError as error:
            failures += 1
            on_damage(f"a packet is lost: {error.strerror}")
            demuxed = container.demux(stream)
            continue
        if packet is None:
            return
        if packet.size:  # PyAV ends with an empty one to flush the decoder; AVI has them for repeats
            failures = 0
            yield packet


class _LogSwitch:
    """Turns ffmpeg's log on during captures; reference-counted, for any thread.

    PyAV hands each message to Python. A decoder's thread that logs while another thread waits for it and
    holds Python's lock would deadlock. So the log is on only during calls that release the lock, and no
    decoder here has threads that outlive a call.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._captures = 0
        self._level: int | None = None

    def __enter__(self) -> None:
        with self._lock:
            if not self._captures:
                self._level = av.logging.get_level()
                av.logging.set_level(av.logging.ERROR)
            self._captures += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._captures -= 1
            if not self._captures:
                av.logging.set_level(self._level)


_LOG_SWITCH = _LogSwitch()


@contextlib.contextmanager
def _reporting_log(on_damage: Callable[[str], None], what: str) -> Iterator[None]:
    """Report the first error that ffmpeg logs during a call that raises none."""
    with _LOG_SWITCH, av.logging.Capture(local=False) as logged:
        yield
    errors = [message.strip() for level, _, message in logged if level <= av.logging.ERROR]
    if errors:
        on_damage(f"{what}: {errors[0]}")


def _flushed(decoder: VideoCodecContext, on_damage: Callable[[str], None]) -> Iterator[av.VideoFrame]:
    """Yield the frames that the decoder still holds for reordering and in its threads."""
    for _ in range(MAX_READ_FAILURES):
        try:
            frames = decoder.decode(None)
        except av.EOFError:
            return
        except MemoryError:
            raise
        except av.FFmpegError as error:
            on_damage(f"a packet is lost: {error.strerror}")
        else:
            yield from frames
            return


def pulled(graph: av.filter.Graph) -> Iterator[av.VideoFrame]:
    """Yield the frames that a filter graph has ready."""
    while True:
        try:
            yield graph.vpull()
        except (av.BlockingIOError, av.EOFError):
            return
