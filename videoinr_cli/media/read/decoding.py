"""Read packets and decode them, skipping what is damaged and reporting it."""

from __future__ import annotations

import contextlib
import heapq
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction

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

DAMAGED_FILE = "the file is damaged"
"""What is said of an error in the file's structure, before ffmpeg's words."""

EARLY_ENDS = ("File ended prematurely", "partial file")
"""Parts of what ffmpeg logs of Matroska, and of mp4, that breaks off."""

JOINED = "Found unknown-length element with ID 0x18538067"
"""Part of what ffmpeg logs where another live recording in Matroska follows one; it reads on all the same."""

ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
"""Decoders for transparency in a second stream of pictures, which ffmpeg's own decoders ignore."""


WITHOUT_SHOWN_TIMES = frozenset({"avi"})
"""Demuxers of files that state when pictures are decoded, not when they are shown."""


MAX_DELAY = 3
"""Pictures by which an encoder's B-frames delay a file that states when pictures are decoded."""

DELAY_PLACES = 12
"""Places from the start of such a file among which some are empty for that delay."""


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
    frames = _decoded(packets, stream, on_damage)
    if stream.container.format.name in WITHOUT_SHOWN_TIMES:
        slots = _Slots(skips=stream.codec.canonical_name == "mpeg4")
        frames = slots.timed(_decoded(slots.noted(packets), stream, on_damage))
    return frames


def _decoded(
    packets: Iterable[av.Packet[VideoStream]], stream: VideoStream, on_damage: Callable[[str], None]
) -> Iterator[av.VideoFrame]:
    conceals = stream.codec.canonical_name in CONCEALING
    decoder = _decoder(stream)
    stated = stream.sample_aspect_ratio or Fraction(1)
    for packet in packets:
        if packet.has_sidedata("encryption_info"):  # some decode, to noise
            on_damage("a packet is lost: it is encrypted")
            continue
        try:
            with _reporting_log(on_damage, "a frame is damaged") if conceals else contextlib.nullcontext():
                frames = decoder.decode(packet)
        except MemoryError:  # not the file's fault
            raise
        except av.FFmpegError as error:
            if isinstance(error, av.BlockingIOError) and not decoder.is_open:  # no room for its threads
                raise
            on_damage(f"a packet is lost: {error.strerror}")
        else:
            yield from _with_aspect(frames, decoder, stated)
    yield from _with_aspect(_flushed(decoder, on_damage), decoder, stated)


def _with_aspect(
    frames: Iterable[av.VideoFrame], decoder: VideoCodecContext, stated: Fraction | None
) -> Iterator[av.VideoFrame]:
    """Note on frames that their pixels have another shape than is stated; PyAV's have no attribute for it."""
    for frame in frames:
        aspect = decoder.sample_aspect_ratio
        if aspect and aspect != stated:
            frame.opaque = aspect
        yield frame


def changed_aspect(frame: av.VideoFrame) -> Fraction | None:
    """Return width over height of a decoded frame's pixels if it is not what the file states, else None."""
    aspect = frame.opaque
    return aspect if isinstance(aspect, Fraction) else None


class _Slots:
    """Times for the pictures of a file that only states when they are decoded.

    The first picture that the decoder gives is shown in the first of these places, the second one in the
    second, and so on: decoding only changes their order. An empty place repeats the picture before it. Those
    at the start are an exception: encoders leave them for their own delay, until it is `MAX_DELAY` pictures.
    """

    def __init__(self, *, skips: bool) -> None:
        """Begin.

        Args:
            skips: whether there may be packets without a picture, which repeat the one before.
        """
        self._skips = skips
        self._first: int | None = None  # place
        self._last: int | None = None
        self._free: list[int] | None = None  # places without a picture yet; None: before the first one
        self._waiting: int | None = None  # how many are free after each picture

    def noted(self, packets: Iterable[av.Packet[VideoStream]]) -> Iterator[av.Packet[VideoStream]]:
        """Yield the packets, and note the place of each."""
        for packet in packets:
            if packet.dts is not None:
                self._note(packet.dts)
            yield packet

    def _note(self, place: int) -> None:
        if self._first is None or self._last is None:
            self._first = self._last = place
        if self._free is not None and self._waiting is not None:
            empty = range(self._last + 1, place)
            is_delay = self._waiting > 0 and self._waiting + len(empty) <= MAX_DELAY
            if empty and is_delay and place - self._first < DELAY_PLACES:
                self._waiting += len(empty)
                self._free += empty
            heapq.heappush(self._free, place)
        self._last = place

    def timed(self, frames: Iterable[av.VideoFrame]) -> Iterator[av.VideoFrame]:
        """Yield the frames, each at its place."""
        for frame in frames:
            frame.pts = self._next()
            yield frame

    def _next(self) -> int | None:
        if self._free is None:
            if self._first is None or self._last is None:
                return None
            self._free = list(range(self._first, self._last + 1))
        if self._skips and self._waiting is not None:
            while len(self._free) > self._waiting + 1:
                heapq.heappop(self._free)
        place = heapq.heappop(self._free) if self._free else None
        self._waiting = len(self._free) if self._waiting is None else self._waiting
        return place


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
    on_damage: Callable[[str], None] | None,
    *,
    shifts: Sequence[ClockShift] = (),
    repeats: bool = False,
) -> Iterator[av.Packet[VideoStream]]:
    """Yield the stream's packets from the file's position on, skipping what cannot be read.

    Args:
        container: an open file.
        stream: its video.
        on_damage: called with what is wrong, for each packet that cannot be fully read. None: nobody wants to
            know.
        shifts: bring all packets onto one clock.
        repeats: whether empty packets come too, which repeat the picture before (AVI, Theora).
    """
    packets = _packets_of(container, stream, on_damage, repeats=repeats)
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
    container: InputContainer,
    stream: VideoStream,
    on_damage: Callable[[str], None] | None,
    *,
    repeats: bool,
) -> Iterator[av.Packet[VideoStream]]:
    demuxed = container.demux(stream)
    failures = 0
    while failures < MAX_READ_FAILURES:
        try:
            with _reporting_log(on_damage, DAMAGED_FILE) if on_damage else contextlib.nullcontext():
                packet = next(demuxed, None)
        except MemoryError:
            raise
        except av.FFmpegError as error:
            failures += 1
            if on_damage:
                on_damage(f"a packet is lost: {error.strerror}")
            demuxed = container.demux(stream)
            continue
        if packet is None:
            return
        if packet.size or (repeats and packet.dts is not None):  # PyAV ends with one to flush the decoder
            failures = 0
            if container.format.name in WITHOUT_SHOWN_TIMES:
                packet.pts = packet.dts  # else ffmpeg's guess, which is late
            yield packet


class _LogSwitch:
    """Turns ffmpeg's log on during captures; reference-counted, for any thread.

    PyAV hands each message to Python. A decoder's thread that logs while another thread waits for it and
    holds Python's lock would deadlock. So the log is on only during calls that release the lock, and no
    decoder here has threads that outlive a call.

    PyAV drops a message that is the same as the one before, even if another opening of the file has logged
    that; so a file that was probed would seem whole to its reader. During captures it drops none.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._captures = 0
        self._level: int | None = None
        self._skips = True

    def __enter__(self) -> None:
        with self._lock:
            if not self._captures:
                self._level = av.logging.get_level()
                self._skips = av.logging.get_skip_repeated()
                av.logging.set_skip_repeated(False)
                av.logging.set_level(av.logging.ERROR)
            self._captures += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._captures -= 1
            if not self._captures:
                av.logging.set_level(self._level)
                av.logging.set_skip_repeated(self._skips)


_LOG_SWITCH = _LogSwitch()


def reporting_early_end(on_damage: Callable[[str], None]) -> contextlib.AbstractContextManager[None]:
    """Report that a file which is opened inside the block ends too early.

    ffmpeg reads a short file whole to open it, and says so only then. What else it says is not damage.
    """
    return _reporting_log(on_damage, DAMAGED_FILE, among=EARLY_ENDS)


@contextlib.contextmanager
def _reporting_log(
    on_damage: Callable[[str], None], what: str, *, among: Sequence[str] = ("",)
) -> Iterator[None]:
    """Report the first error that ffmpeg logs during a call that raises none, if it has one of some parts."""
    with _LOG_SWITCH, av.logging.Capture(local=False) as logged:
        yield
    errors = [message.strip() for level, _, message in logged if level <= av.logging.ERROR]
    errors = [error for error in errors if JOINED not in error and any(part in error for part in among)]
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


def filter_graph(frame: av.VideoFrame, time_base: Fraction, *filters: tuple[str, str]) -> av.filter.Graph:
    """Return a graph that takes frames like one through filters, given by their names and arguments."""
    graph = av.filter.Graph()
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=time_base
    )
    nodes = [graph.add(name, arguments) for name, arguments in filters]
    graph.link_nodes(source, *nodes, graph.add("buffersink")).configure()
    return graph


def pulled(graph: av.filter.Graph) -> Iterator[av.VideoFrame]:
    """Yield the frames that a filter graph has ready."""
    while True:
        try:
            yield graph.vpull()
        except (av.BlockingIOError, av.EOFError):
            return
