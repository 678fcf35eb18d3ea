"""Put the segments of a video end to end, without encoding anything again."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import av
from av.video.stream import VideoStream

from videoinr_cli.errors import InputError, OutputError
from videoinr_cli.jobs.manifest import Rendered
from videoinr_cli.media.read.source import open_source
from videoinr_cli.media.write.writer import PacketWriter
from videoinr_cli.render.plan import Plan


def damaged(files: Sequence[tuple[Path, Rendered]]) -> list[int]:
    """Return the places of the segments whose files do not hold what was rendered."""
    return [place for place, (path, rendered) in enumerate(files) if not _is_sound(path, rendered)]


def _is_sound(path: Path, rendered: Rendered) -> bool:
    if not rendered.frames_written:
        return True
    try:
        return path.stat().st_size == rendered.bytes and len(_shown_at(path)) == rendered.frames_written
    except (InputError, av.FFmpegError, OSError):
        return False


def misfits(rendered: Sequence[Rendered]) -> list[int]:
    """Return the places of the segments that do not begin with the frame at which the previous one ended.

    There are some if seeking in the source does not reproduce a straight decode.
    """
    found = []
    for place, (before, after) in enumerate(itertools.pairwise(rendered), start=1):
        opening = after.opening if after.frames_read else after.closing
        if opening != before.closing:
            found.append(place)
    return found


def join(plan: Plan, paths: Sequence[Path], go_on: Callable[[], None] = lambda: None) -> None:
    """Write the output from the segments' files, in their order, and take everything else from the source.

    Args:
        plan: of the whole video.
        paths: the files of the segments that have pictures.
        go_on: called before each picture; raises where nothing more is to be written.

    Raises:
        OutputError: the output cannot be written, or the segments are not of one kind.
        FfmpegError: ffmpeg is missing or failed.
    """
    coded = [pts for path in paths for pts in _shown_at(path)]
    decoding = _decoding_times(coded)
    with open_source(paths[0]) as first:
        template = first.streams.video[0]
        with PacketWriter(plan.output, template) as writer:
            times = zip(coded, decoding, strict=True)
            for packet, (pts, dts) in zip(_packets(paths, template), times, strict=True):
                go_on()
                writer.write(packet, pts, dts)


def _shown_at(path: Path) -> list[int]:
    """Return when the pictures of a segment are shown, in ticks of its file, in the order of decoding."""
    with open_source(path) as container:
        return [packet.pts for packet in container.demux(video=0) if packet.size and packet.pts is not None]


def _packets(paths: Sequence[Path], template: VideoStream) -> Iterator[av.Packet[VideoStream]]:
    """Yield the packets of all segments.

    Raises:
        OutputError: the codec parameters of a segment differ from those of the first.
    """
    for path in paths:
        with open_source(path) as container:
            stream = container.streams.video[0]
            if _parameters(stream) != _parameters(template):
                raise OutputError(
                    f"{str(path)!r} is encoded differently from the first segment; start over with "
                    "--no-resume"
                )
            for packet in container.demux(stream):
                if packet.size:
                    yield packet


def _parameters(stream: VideoStream) -> tuple[object, ...]:
    context = stream.codec_context
    return (context.name, context.width, context.height, stream.time_base, context.extradata)


def _decoding_times(coded: Sequence[int]) -> list[int]:
    """Return when each picture is decoded: when the picture is shown that comes `depth` places earlier.

    `depth` is the largest reordering in any segment. The segments' own decoding times cannot be used: the
    first ones of a segment lie before the last ones of the segment before.

    Args:
        coded: when the pictures are shown, in the order of decoding.
    """
    shown = sorted(coded)
    place = {pts: number for number, pts in enumerate(shown)}
    depth = max(number - place[pts] for number, pts in enumerate(coded))
    delay = shown[min(depth, len(shown) - 1)] - shown[0]
    return [
        shown[number - depth] if number >= depth else shown[number] - delay for number in range(len(shown))
    ]
