"""Open a source and yield its frames as decoded: of a file, standard input, or numbered images."""

from __future__ import annotations

import functools
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from videoinr_cli.errors import InputError
from videoinr_cli.media.read.decoding import decoded, decoded_frames, packets_of, reporting_early_end
from videoinr_cli.media.read.description import streams_of_programs
from videoinr_cli.media.read.fitted import readable
from videoinr_cli.media.streams import VideoInfo

STANDARD_INPUT = Path("-")
"""The name of standard input as a source."""

TEXT_FORMATS = ("tty", "bin", "xbin", "adf", "idf")
"""Demuxers that turn any text into a video of a terminal."""


def open_source(path: str | os.PathLike[str]) -> InputContainer:
    """Open a file for demuxing; of a fitted clip, the video of it.

    Raises:
        InputError: it is missing, a folder, unreadable, no media file, or can be read only once.
    """
    name = os.fspath(path)
    if _is_read_once(path):  # it is opened several times: to probe it, for pictures, for sound
        raise InputError(
            f"{name!r} is a pipe or a device, which can be read only once; give it as standard input, "
            f"by - < {name!r}, or write it to a file first"
        )
    # The prefix keeps ffmpeg from reading names such as "a:b.mp4" as addresses.
    return _opened(f"file:{readable(name)}", name)


def _is_read_once(path: str | os.PathLike[str]) -> bool:
    try:
        mode = Path(path).stat().st_mode
    except (OSError, ValueError):  # opening it will report the reason
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or stat.S_ISCHR(mode)


def _opened(address: str, name: str) -> InputContainer:
    try:
        container = av.open(address, "r", metadata_errors="replace")
    except FileNotFoundError as error:
        if re.match(r"[a-z]{2,}:/", name):  # a path keeps one of an address' slashes
            raise InputError(
                f"{name!r} is an address; download the video first, or pipe it: "
                "curl -L ADDRESS | videoinr upscale - -o out.mkv"
            ) from error
        raise InputError(f"there is no file {name!r}; check the path") from error
    except IsADirectoryError as error:
        raise InputError(f"{name!r} is a folder; name a video file in it") from error
    except PermissionError as error:
        raise InputError(f"{name!r} may not be read; check its permissions") from error
    except (av.FFmpegError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{name!r} cannot be read as a video: {reason}; is it a complete file?") from error
    if container.format.name in TEXT_FORMATS:
        container.close()
        raise InputError(f"{name!r} cannot be read as a video: it is a text file; name a video file")
    return container


def video_stream(container: InputContainer) -> VideoStream:
    """Return the video to upscale: the default one, then the one with the most pixels, never cover art.

    Of an animation in HEIF (AVIF, HEIC) it is the frames, not the still picture beside them.

    Raises:
        InputError: there is none, or no decoder for it.
    """
    name = container.name.removeprefix("file:")
    pictures = Disposition.attached_pic | Disposition.timed_thumbnails
    videos = [stream for stream in container.streams.video if not stream.disposition & pictures]
    if not videos:
        kinds = " and ".join(sorted({stream.type for stream in container.streams})) or "nothing"
        raise InputError(f"there is no video in {name!r}, only {kinds}; name a video file")
    decodable = [video for video in videos if video.codec_context is not None]
    if not decodable:
        raise InputError(f"there is no decoder for the video in {name!r}; convert it first")
    chosen = max(
        decodable,
        key=lambda video: (
            not is_still(video),
            bool(video.disposition & Disposition.default),
            video.width * video.height,
        ),
    )
    # Not threads of whole frames: they report errors some frames late, and those of the last frames never.
    chosen.thread_type = "SLICE"
    return chosen


def is_still(stream: Stream) -> bool:
    """Whether a stream is a picture of a HEIF file (AVIF, HEIC), which is not in time."""
    return stream.type == "video" and stream.frames == 1 and stream.duration is None


def companions(container: InputContainer, video: VideoStream) -> list[Stream]:
    """Return the streams beside the video that are not the same one in another form.

    Those of an animation in HEIF are all parts of it. Other variants in HLS have another size or bit rate.
    Other programs of a broadcast have nothing to do with it: see `other_programs`.
    """
    programs = streams_of_programs(container)
    elsewhere = set[int]().union(*programs)
    own = set[int]().union(*(program for program in programs if video.index in program))
    others = [
        stream
        for stream in container.streams
        if stream.index != video.index and (stream.index in own or stream.index not in elsewhere)
    ]
    is_animation = not is_still(video) and any(map(is_still, others))
    return [stream for stream in others if not (is_animation and stream.type == "video")]


def other_programs(container: InputContainer, video: VideoStream) -> int:
    """Return how many programs a broadcast holds beside the video's; variants in HLS are none."""
    if container.format.name == "hls":
        return 0
    return sum(bool(program) and video.index not in program for program in streams_of_programs(container))


def has_alpha_apart(container: InputContainer, video: VideoStream) -> bool:
    """Whether the transparency of an animation in HEIF is a stream of its own, which is not read."""
    if not any(map(is_still, container.streams)):
        return False
    parts = len(container.streams.video) - len([s for s in companions(container, video) if s.type == "video"])
    return parts > 2


class StandardInput:
    """A video on standard input: it can be read only once, so `probe` begins and the reader goes on."""

    def __init__(self) -> None:
        """Open it and decode its first frame, if it has one.

        Raises:
            InputError: it holds no video that can be read.
        """
        self._early: list[str] = []  # damage met before the first frame is there
        self._on_damage: Callable[[str], None] = self._early.append
        with reporting_early_end(self._early.append):
            self.container = _opened("pipe:0", str(STANDARD_INPUT))
        self.stream = video_stream(self.container)
        self._frames = decoded_frames(self.container, self.stream, lambda reason: self._on_damage(reason))
        self.first = next(self._frames, None)

    def frames(self, on_damage: Callable[[str], None]) -> Iterator[av.VideoFrame]:
        """Yield every frame, once, and tell of the damage that opening has met too."""
        self._on_damage = on_damage
        for reason in self._early:
            on_damage(reason)
        if self.first is not None:
            yield self.first
        yield from self._frames


@functools.cache
def standard_input() -> StandardInput:
    """Return the video on standard input; the first call opens it.

    Raises:
        InputError: it holds no video that can be read.
    """
    return StandardInput()


def source_frames(info: VideoInfo, on_damage: Callable[[str], None]) -> Iterator[av.VideoFrame]:
    """Yield every frame of a source that its decoder gives, including those that it holds back.

    Args:
        info: what `probe` returned.
        on_damage: called with what is wrong, for each packet that cannot be fully read or decoded.

    Raises:
        InputError: the source has gone.
    """
    if info.images:
        yield from image_frames(info.images, on_damage)
        return
    frames = _stream_frames(info, on_damage)
    if info.counts_frames:
        frames = _counted(frames)
    yield from frames


def _stream_frames(info: VideoInfo, on_damage: Callable[[str], None]) -> Iterator[av.VideoFrame]:
    if info.path == STANDARD_INPUT:
        yield from standard_input().frames(on_damage)
    else:
        with reporting_early_end(on_damage):
            container = open_source(info.path)
        with container:
            stream = video_stream(container)
            packets = packets_of(container, stream, on_damage, shifts=info.clock_shifts)
            yield from decoded(packets, stream, on_damage)


def _counted(frames: Iterable[av.VideoFrame]) -> Iterator[av.VideoFrame]:
    for number, frame in enumerate(frames):
        frame.pts, frame.duration = number, 1
        yield frame


def image_frames(
    images: Iterable[tuple[int, Path]], on_damage: Callable[[str], None]
) -> Iterator[av.VideoFrame]:
    """Yield numbered images as frames, each at its number."""
    for number, path in images:
        reasons = [f"{path.name} holds no image"]
        try:
            with open_source(path) as container:
                frame = next(decoded_frames(container, video_stream(container), reasons.append), None)
        except InputError as error:
            if isinstance(error.__cause__, MemoryError):
                raise
            on_damage(str(error))
            continue
        if frame is None:
            on_damage(f"{path.name}: {reasons[-1]}")
            continue
        frame.pts, frame.duration = number, 1
        yield frame
