"""What becomes of everything in a source but its pictures: copied, converted or left out, and why.

A stream is copied where the container takes it, converted where there is a customary way, else left out.
`decide_streams` decides and is silent; `refuse_dropped` raises, `log_changes` logs.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator, Sequence
from fractions import Fraction

from videoinr_cli.errors import OutputError
from videoinr_cli.media.streams import StreamInfo, VideoInfo
from videoinr_cli.media.write.containers import MATROSKA, PCM_PREFIX, TEXT_SUBTITLES, Container
from videoinr_cli.media.write.sound_layouts import encoded_layout, has_other_channels
from videoinr_cli.media.write.tags import REWRITTEN, lost_tags
from videoinr_cli.media.write.timecode import moved_timecode, timecode
from videoinr_cli.options import NORMAL_SPEED, Audio

log = logging.getLogger(__name__)

SOUND_ENCODERS = {
    "aac": "aac",
    "ac3": "ac3",
    "alac": "alac",
    "eac3": "eac3",
    "flac": "flac",
    "mp2": "mp2",
    "mp3": "libmp3lame",
    "opus": "libopus",
    "vorbis": "libvorbis",
}
"""Encoders that keep a stream's codec when its sound is stretched."""

MAX_LATE_SECONDS = Fraction(1, 50)
"""How late a copied sound may begin where only the order of its packets is stored: less than a frame."""

_ROOMY = "try an output in .mkv"


@dataclasses.dataclass(frozen=True)
class KeptStream:
    """A stream of the source that goes into the output."""

    stream: StreamInfo
    encoder: str = "copy"  # or the one that converts it
    is_attached: bool = False  # whether it becomes an attached file

    @property
    def layout(self) -> str:
        """The layout of converted sound's channels, in ffmpeg's words; "": not known."""
        return encoded_layout(self.encoder, self.stream.layout) or ""

    @property
    def becomes(self) -> str:
        """The codec afterwards, for people."""
        return self.stream.codec if self.encoder == "copy" else self.encoder.removeprefix("lib")


@dataclasses.dataclass(frozen=True)
class Dropped:
    """Something that the output leaves out; `--strict` refuses it."""

    reason: str  # for people: what is lost, and why
    remedy: str = ""  # for people: how to keep it, where there is a way
    streams: tuple[StreamInfo, ...] = ()  # which streams these are, if any


@dataclasses.dataclass(frozen=True)
class OutputStreams:
    """What becomes of everything in a source but its pictures.

    Streams that the muxer writes itself, such as QuickTime's list of chapters, are neither kept nor dropped.
    """

    kept: tuple[KeptStream, ...]
    dropped: tuple[Dropped, ...] = ()
    notes: tuple[str, ...] = ()  # for people: conversions, and tags that have no place; never refused

    @property
    def dropped_streams(self) -> tuple[StreamInfo, ...]:
        """The streams that are left out."""
        return tuple(stream for dropped in self.dropped for stream in dropped.streams)


def decide_streams(
    info: VideoInfo,
    container: Container,
    *,
    audio: Audio = "keep",
    speed: Fraction = NORMAL_SPEED,
    frame_rate: Fraction | None = None,
) -> OutputStreams:
    """Decide what becomes of everything in a source but its pictures.

    Args:
        info: the source; only its pictures are kept if it cannot be opened again.
        container: where the streams go.
        audio: whether sound is wanted; sound that is not wanted is not dropped either.
        speed: of the output against the source; at any but 1, sound is encoded again.
        frame_rate: of the output, in frames per second, which its timecode counts; the source's when None.
    """
    wanted = [stream for stream in info.streams if audio == "keep" or stream.kind != "audio"]
    side_data = [
        Dropped(f"no output keeps the {name} in the frames of {str(info.path)!r}")
        for name in info.lost_side_data
    ]
    if info.other_programs:
        reason = f"{str(info.path)!r} holds {info.other_programs} more of a broadcast's programs"
        side_data.append(Dropped(reason, "ffmpeg -map 0:p:NUMBER -c copy takes one out"))
    if not info.is_file:
        return OutputStreams((), (*side_data, *_unread(info, wanted)), tuple(_unread_tags(info)))
    encoders = [(stream, _encoder_for(stream, container, speed)) for stream in wanted]
    kept = tuple(
        KeptStream(stream, encoder, is_attached=stream.is_cover and container.attaches_covers)
        for stream, encoder in encoders
        if encoder is not None
    )
    misfits = [
        _misfit(stream, container, speed)
        for stream, encoder in encoders
        if encoder is None and not _is_rewritten(stream)
    ]
    metadata = _dropped_metadata(info, container, frame_rate or info.frame_rate)
    return OutputStreams(
        kept, (*side_data, *misfits, *metadata), tuple(_conversions(info, kept, container, speed))
    )


def refuse_dropped(streams: OutputStreams) -> None:
    """Refuse to leave anything out, as `--strict` asks.

    Raises:
        OutputError: something would be left out.
    """
    for dropped in streams.dropped:
        remedy = f"{dropped.remedy}, or " if dropped.remedy else ""
        raise OutputError(f"{dropped.reason}; {remedy}leave out --strict")


def log_changes(streams: OutputStreams) -> None:
    """Warn of everything that is left out, and note what is not simply copied."""
    for dropped in streams.dropped:
        log.warning(f"{dropped.reason}: left out" + (f"; {dropped.remedy}" if dropped.remedy else ""))
    for note in streams.notes:
        log.info(note)


def _unread(info: VideoInfo, wanted: Sequence[StreamInfo]) -> Iterator[Dropped]:
    """Yield what a source that is read only once holds besides its pictures."""
    names = [stream.name for stream in wanted] + (["chapters"] if info.chapters else [])
    if names:
        reason = f"from standard input only the pictures are read, not {', '.join(names)}"
        yield Dropped(reason, "name a file to keep all", tuple(wanted))


def _unread_tags(info: VideoInfo) -> Iterator[str]:
    if tags := [name for name, _ in info.file_tags if name.lower() not in REWRITTEN]:
        yield f"from standard input only the pictures are read, not its tags {', '.join(tags)}"


def _misfit(stream: StreamInfo, container: Container, speed: Fraction) -> Dropped:
    if stream.is_empty:
        return Dropped(f"nothing of {stream.name} is in the file's first seconds", streams=(stream,))
    remedy = _ROOMY if _encoder_for(stream, MATROSKA, speed) is not None else ""
    return Dropped(f"{container.muxer} cannot hold {stream.name}", remedy, (stream,))


def _dropped_metadata(info: VideoInfo, container: Container, frame_rate: Fraction) -> Iterator[Dropped]:
    if info.chapters and not container.chapters:
        yield Dropped(f"{container.muxer} cannot hold a list of chapters", _ROOMY)
    source_timecode = timecode(info)
    if source_timecode and container.timecode and moved_timecode(info, frame_rate) is None:
        yield Dropped(
            f"the timecode {source_timecode} of {str(info.path)!r} has no number for the output's first "
            f"frame at {float(frame_rate):g} frames per second"
        )


def _conversions(
    info: VideoInfo, kept: Sequence[KeptStream], container: Container, speed: Fraction
) -> Iterator[str]:
    for keep in kept:
        name = keep.stream.name
        if keep.stream.kind == "audio" and speed != 1:
            yield f"{name} is played at {float(speed):g} of its speed: it becomes {keep.becomes}"
        elif keep.becomes != keep.stream.codec:
            layout = keep.stream.layout
            mixed = f", {layout} as {keep.layout}" if has_other_channels(layout, keep.layout) else ""
            yield f"{container.muxer} cannot hold {name}: it becomes {keep.becomes}{mixed}"
    if lost := lost_tags(info, container):
        yield (
            f"{container.muxer} has no place for these tags of {str(info.path)!r}: {', '.join(lost)}; "
            "an output in .mkv holds any"
        )


def _encoder_for(stream: StreamInfo, container: Container, speed: Fraction) -> str | None:
    """Return "copy", the encoder that makes the stream fit, or None when nothing does."""
    codec = stream.codec
    if stream.is_empty:  # no muxer takes what it cannot describe
        return None
    if stream.kind == "audio":
        if codec and _takes_sound(container, stream):
            if speed == 1 and not _is_displaced(container, stream):
                return "copy"
            # Where no times are stored, what an encoder puts before the start of sound would delay it.
            keeps_codec = codec.startswith(PCM_PREFIX) or container.times_sound(codec)
            encoder = (_same_sound(codec) if keeps_codec else None) or container.audio_encoder
        else:
            encoder = container.audio_encoder if codec else None
        can_be_encoded = encoder is not None and encoded_layout(encoder, stream.layout) is not None
        return encoder if can_be_encoded else None
    if stream.kind == "subtitle":
        if codec in container.subtitles:
            return "copy"
        return container.subtitle_encoder if codec in TEXT_SUBTITLES else None
    if stream.kind == "video":
        fits = codec in container.covers if stream.is_cover else _takes_video(container, codec)
        return "copy" if fits else None
    if stream.kind == "attachment":
        return "copy" if container.attachments else None
    return "copy" if container.data and codec else None


def _takes_sound(container: Container, stream: StreamInfo) -> bool:
    codec = stream.codec
    if codec == "mp3" and stream.sample_rate is not None and stream.sample_rate < container.min_mp3_rate:
        return False
    return container.takes_sound(codec)


def _is_displaced(container: Container, stream: StreamInfo) -> bool:
    """Whether copied sound would lose its pauses there, or the one before it begins."""
    if container.times_sound(stream.codec):
        return False
    has_pauses = stream.codec.startswith(PCM_PREFIX) and not stream.is_gapless
    return has_pauses or stream.late_seconds > MAX_LATE_SECONDS


def _takes_video(container: Container, codec: str) -> bool:
    is_known = (container.any_video and codec != "") or codec in container.videos
    return is_known and codec not in container.foreign_video


def _same_sound(codec: str) -> str | None:
    """Return the encoder of a sound's own codec, if every ffmpeg has it."""
    return codec if codec.startswith(PCM_PREFIX) else SOUND_ENCODERS.get(codec)


def _is_rewritten(stream: StreamInfo) -> bool:
    """Whether the muxer writes this stream from the metadata: QuickTime's chapters and timecodes."""
    return stream.kind == "data" and stream.tag in ("tmcd", "text")
