"""What each output container holds, and what becomes of a source's other streams in it.

A stream is copied where the container takes it, converted where there is a customary way, else left out; the
latter two are said. Knows nothing of encoding pictures or of running ffmpeg.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import re
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

from videoinr_cli.errors import OutputError
from videoinr_cli.media.images import has_several_numbers
from videoinr_cli.media.streams import StreamInfo, VideoInfo
from videoinr_cli.media.write.destination import is_image_pattern, is_standard_output
from videoinr_cli.media.write.timecode import moved_timecode, timecode
from videoinr_cli.options import NORMAL_SPEED, Audio

log = logging.getLogger(__name__)

TEXT_SUBTITLES = frozenset({"ass", "ssa", "subrip", "mov_text", "webvtt", "text", "ttml"})
"""Subtitles made of text, which ffmpeg converts to one another."""

PCM_PREFIX = "pcm_"

_DISC_PCM = frozenset({"pcm_bluray", "pcm_dvd"})
"""PCM in packets of their own form, which hardly any muxer takes."""

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
"""Encoders of the codecs in which sound can be stretched without becoming another."""


@dataclasses.dataclass(frozen=True)
class Container:
    """An output format: ffmpeg's muxer and what it takes. Codec names are ffmpeg's."""

    muxer: str
    video_encoder: str  # used when the user names none
    video_encoders: tuple[str, ...] = ()  # words one of which an encoder's name has; empty: any encoder
    pix_fmts: tuple[str, ...] = ()  # empty: whatever the encoder takes
    audio: frozenset[str] = frozenset()  # copied; "pcm" is all of it but for discs' own
    any_audio: bool = False  # or all of them are, but for what is `foreign_audio`
    foreign_audio: frozenset[str] = _DISC_PCM
    min_mp3_rate: int = 0  # samples per second
    audio_encoder: str | None = None  # for the rest
    subtitles: frozenset[str] = frozenset()  # copied
    subtitle_encoder: str | None = None  # for the rest of the text
    videos: frozenset[str] = frozenset()  # beside the one that is upscaled: copied
    any_video: bool = False  # or all of them are, but for what is `foreign_video`
    foreign_video: frozenset[str] = frozenset()
    covers: frozenset[str] = frozenset()  # pictures that it holds as such
    attaches_covers: bool = False  # or does so as attached files, not as streams
    attachments: bool = False
    data: bool = False
    chapters: bool = False
    tags: frozenset[str] | None = None  # of the file, that it holds; None: any, or nobody expects it to
    settings: tuple[tuple[str, str], ...] = ()  # of the muxer
    counts_frames: bool = False  # whether it has no timestamps, but a rate at most
    max_rate: int | None = None  # frames per second that its players keep up with; None: any
    seeks: bool = False  # whether it is gone back in while it is written, which no pipe allows
    exact_ticks: bool = False  # whether it keeps any time base, set by -video_track_timescale
    timecode: bool = False  # whether it says the number of its first frame
    says_padding: bool = False  # whether it says of sound how much of its start is not played


_MADE_ANEW = frozenset(
    {"major_brand", "minor_version", "compatible_brands", "creation_time", "duration", "encoder", "timecode"}
)
"""Tags of a file that tell of its form, or that the muxer writes by other ways than as tags."""

_LANGUAGE = re.compile(r"-[a-z]{3}$")
"""With what the name of a tag ends that is there in several languages."""

_QUICKTIME = "com.apple.quicktime."
_QUICKTIME_NAMES = {"location.ISO6709": "location", "creationdate": "date"}
"""What iPhones call otherwise than all others do, beside what only has that in front of its name."""

# QuickTime's keys would hold any tag (use_metadata_tags). But ffmpeg then puts all of them there, where
# players look for no titles, and the time of creation twice.
_MP4_TAGS = frozenset(
    [
        "album",
        "album_artist",
        "artist",
        "comment",
        "compilation",
        "composer",
        "copyright",
        "date",
        "description",
        "disc",
        "episode_id",
        "episode_sort",
        "gapless_playback",
        "genre",
        "grouping",
        "hd_video",
        "keywords",
        "location",
        "lyrics",
        "media_type",
        "network",
        "season_number",
        "show",
        "synopsis",
        "title",
        "track",
    ]
)
_MOV_TAGS = frozenset(
    [
        "album",
        "artist",
        "author",
        "comment",
        "copyright",
        "date",
        "genre",
        "location",
        "make",
        "model",
        "title",
    ]
)

_MP4_AUDIO = frozenset({"aac", "mp3", "mp2", "ac3", "eac3", "dts", "opus", "vorbis", "flac", "alac"})

# Videos beside the one that is upscaled: what ffmpeg copies there and reads again. Of raw video, QuickTime
# has names for a few pixel formats alone.
_MP4_VIDEOS = frozenset(
    [
        "apv",
        "av1",
        "dirac",
        "ffv1",
        "h264",
        "hevc",
        "jpeg2000",
        "mjpeg",
        "mpeg1video",
        "mpeg2video",
        "mpeg4",
        "png",
        "vp9",
        "vvc",
    ]
)
_MOV_VIDEOS = _MP4_VIDEOS - {"av1", "vp9"} | {
    "cfhd",
    "cinepak",
    "dnxhd",
    "dvvideo",
    "flv1",
    "gif",
    "h261",
    "h263",
    "hap",
    "huffyuv",
    "msmpeg4v2",
    "msmpeg4v3",
    "prores",
    "qtrle",
    "r210",
    "rpza",
    "smc",
    "svq1",
    "targa",
    "theora",
    "tiff",
    "utvideo",
    "v210",
    "wmv2",
}

MP4 = Container(
    muxer="mp4",
    video_encoder="libx264",
    audio=_MP4_AUDIO,
    min_mp3_rate=16_000,  # below that it is MPEG-2.5, for which mp4 has no name
    audio_encoder="aac",
    subtitles=frozenset({"mov_text", "dvd_subtitle"}),
    subtitle_encoder="mov_text",
    videos=_MP4_VIDEOS,
    covers=frozenset({"mjpeg", "png", "bmp"}),
    chapters=True,
    tags=_MP4_TAGS,
    settings=(("movflags", "+faststart"),),
    seeks=True,
    exact_ticks=True,
    timecode=True,
)
MOV = dataclasses.replace(
    MP4,
    muxer="mov",
    audio=_MP4_AUDIO - {"opus", "vorbis", "flac"} | {"pcm", "amr_nb", "amr_wb"},
    min_mp3_rate=0,
    videos=_MOV_VIDEOS,
    subtitles=frozenset({"mov_text"}),
    covers=frozenset(),
    tags=_MOV_TAGS,
)
MATROSKA = Container(
    muxer="matroska",
    video_encoder="libx264",
    any_audio=True,
    foreign_audio=_DISC_PCM | {"adpcm_ima_qt", "nellymoser", "pcm_f32be", "pcm_f64be", "pcm_s8", "s302m"},
    audio_encoder="flac",
    subtitles=(TEXT_SUBTITLES - {"mov_text", "text", "ttml"})
    | {"dvd_subtitle", "hdmv_pgs_subtitle", "dvb_subtitle", "hdmv_text_subtitle", "arib_caption"},
    subtitle_encoder="subrip",
    any_video=True,
    foreign_video=frozenset({"rawvideo"}),
    covers=frozenset({"mjpeg", "png", "gif", "tiff", "bmp"}),
    attaches_covers=True,
    attachments=True,
    chapters=True,
    timecode=True,
    says_padding=True,
)
WEBM = Container(
    muxer="webm",
    video_encoder="libvpx-vp9",
    video_encoders=("vp8", "vpx", "vp9", "av1"),
    audio=frozenset({"opus", "vorbis"}),
    audio_encoder="libopus",
    subtitles=frozenset({"webvtt"}),
    subtitle_encoder="webvtt",
    chapters=True,
    says_padding=True,
)
MPEGTS = Container(
    muxer="mpegts",
    video_encoder="libx264",
    audio=frozenset({"aac", "mp3", "mp2", "ac3", "eac3", "dts", "opus", "truehd"}),
    audio_encoder="aac",
    subtitles=frozenset({"dvb_subtitle", "dvb_teletext"}),
    data=True,
)
M2TS = Container(
    muxer="mpegts",
    video_encoder="libx264",
    video_encoders=("264", "265", "hevc", "mpeg2"),
    audio=frozenset({"ac3", "eac3", "dts", "truehd", "pcm_bluray"}),
    foreign_audio=frozenset(),
    audio_encoder="ac3",
    subtitles=frozenset({"hdmv_pgs_subtitle", "hdmv_text_subtitle"}),
    settings=(("mpegts_m2ts_mode", "1"),),
)
# Browsers take a hundredth of a second, the shortest time that GIF can tell, for a tenth.
GIF = Container(muxer="gif", video_encoder="gif", video_encoders=("gif",), max_rate=50)
APNG = Container(muxer="apng", video_encoder="apng", video_encoders=("apng",), settings=(("plays", "0"),))
NUT = Container(
    muxer="nut",
    video_encoder="ffv1",
    audio=frozenset({"aac", "mp3", "mp2", "ac3", "eac3", "dts", "opus", "vorbis", "flac", "pcm"}),
    audio_encoder="pcm_s24le",
    # no subtitles: it does not say how long they are shown, and has no name for most
    any_video=True,
    chapters=True,
)
PIPED_NUT = dataclasses.replace(NUT, video_encoder="rawvideo")
Y4M = Container(
    muxer="yuv4mpegpipe",
    video_encoder="rawvideo",
    video_encoders=("rawvideo",),
    pix_fmts=tuple(
        f"{family}{depth}"
        for depth in ("", "10le", "12le", "16le")
        for family in ("yuv420p", "yuv422p", "yuv444p", "gray")
    ),
    settings=(("strict", "-1"),),  # of more than 8 bits
    counts_frames=True,
)

BY_SUFFIX = {
    ".mp4": MP4,
    ".m4v": MP4,
    ".mov": MOV,
    ".mkv": MATROSKA,
    ".webm": WEBM,
    ".ts": MPEGTS,
    ".m2ts": M2TS,
    ".mts": M2TS,
    ".gif": GIF,
    ".apng": APNG,
    ".nut": NUT,
    ".y4m": Y4M,
}

IMAGE_ENCODERS = {
    ".png": "png",
    ".jpg": "mjpeg",
    ".jpeg": "mjpeg",
    ".tif": "tiff",
    ".tiff": "tiff",
    ".webp": "libwebp",
    ".bmp": "bmp",
    ".ppm": "ppm",
    ".tga": "targa",
    ".dpx": "dpx",
    ".jxl": "libjxl",
}


def container_for(destination: str | os.PathLike[str]) -> Container:
    """Return the container that a name asks for.

    Raises:
        OutputError: its extension is not known, or is that of one image; standard output cannot take it; a
            pattern of images has several numbers.
    """
    path = Path(destination)
    suffix = path.suffix.lower()
    if is_standard_output(path):
        piped = BY_SUFFIX.get(suffix, PIPED_NUT)
        if piped.seeks:
            raise OutputError(
                f"{str(path)!r} is standard output, which cannot take {suffix}; "
                "pipe -.mkv or -.nut, or name a file"
            )
        return piped
    if is_image_pattern(path) and has_several_numbers(path):
        raise OutputError(f"{str(path)!r} has more than one number; leave one, such as %05d")
    if is_image_pattern(path) and suffix in IMAGE_ENCODERS:
        return Container(muxer="image2", video_encoder=IMAGE_ENCODERS[suffix], counts_frames=True)
    if suffix in IMAGE_ENCODERS:
        raise OutputError(f"{str(path)!r} is one image; number them: {path.stem}-%05d{suffix}")
    container = BY_SUFFIX.get(suffix)
    if container is None:
        raise OutputError(
            f"{str(path)!r} names no video format this tool writes; "
            f"end it with one of {', '.join(BY_SUFFIX)}, or %05d.png"
        )
    return container


CARRIERS = {
    **dict.fromkeys(("264", "265", "hevc", "av1", "vp9", "ffv1", "mjpeg", "png"), "mp4"),
    **dict.fromkeys(("prores", "dnxhd"), "mov"),
}
"""Words of encoders' names, and the muxer that keeps all of what they make: any time base, and when a picture
is decoded, which neither NUT nor Matroska says."""


def carrier_for(encoder: str) -> str | None:
    """Return the muxer in which what an encoder makes can wait to be copied into any container.

    None when no such muxer is known.
    """
    return next((muxer for word, muxer in CARRIERS.items() if word in encoder), None)


@dataclasses.dataclass(frozen=True)
class KeptStream:
    """A stream of the source that goes into the output."""

    stream: StreamInfo
    encoder: str = "copy"  # or the one that converts it
    is_attached: bool = False  # whether it becomes an attached file

    @property
    def becomes(self) -> str:
        """What it is afterwards, for people."""
        return self.stream.codec if self.encoder == "copy" else self.encoder.removeprefix("lib")


@dataclasses.dataclass(frozen=True)
class Sorted:
    """What becomes of a source's streams beside its video; those the muxer makes anew are in neither."""

    kept: tuple[KeptStream, ...]
    lost: tuple[StreamInfo, ...]


def sort_streams(
    info: VideoInfo, container: Container, *, audio: Audio = "keep", speed: Fraction = NORMAL_SPEED
) -> Sorted:
    """Decide what becomes of every stream beside the video.

    Args:
        info: the source; beside its pictures, nothing is kept of what cannot be opened again.
        container: where the streams go.
        audio: whether sound is wanted; what is not wanted is not lost either.
        speed: of the output against the source; sound is coded anew at any but 1.
    """
    wanted = [stream for stream in info.streams if audio == "keep" or stream.kind != "audio"]
    if not info.is_file:
        return Sorted(kept=(), lost=tuple(wanted))
    encoders = [(stream, _encoder_for(stream, container, speed)) for stream in wanted]
    return Sorted(
        kept=tuple(
            KeptStream(stream, encoder, is_attached=stream.is_cover and container.attaches_covers)
            for stream, encoder in encoders
            if encoder is not None
        ),
        lost=tuple(stream for stream, encoder in encoders if encoder is None and not _is_made_anew(stream)),
    )


def kept_streams(
    info: VideoInfo,
    container: Container,
    *,
    audio: Audio = "keep",
    speed: Fraction = NORMAL_SPEED,
    frame_rate: Fraction | None = None,
    strict: bool = False,
) -> tuple[KeptStream, ...]:
    """Decide what becomes of every stream beside the video, and say in the log what is not simply copied.

    What rides in the frames themselves is not kept by any container, chapters and some tags not by every one,
    which is said too.

    Args:
        info: the source.
        container: where the streams go.
        audio: whether sound is wanted.
        speed: of the output against the source.
        frame_rate: of the output, in frames per second; the source's when None.
        strict: whether leaving one out is an error.

    Raises:
        OutputError: `strict` is set and a stream, the chapters, the timecode, or what rides in the frames,
            cannot be kept.
    """
    for rider in info.riders:
        message = f"the {rider} within the frames of {str(info.path)!r} cannot be kept"
        if strict:
            raise OutputError(f"{message}; leave out --strict to go on without")
        log.warning(message)
    streams = sort_streams(info, container, audio=audio, speed=speed)
    if not info.is_file:
        _say_unread(info, streams.lost, strict=strict)
        return ()
    for stream in streams.lost:
        if stream.is_empty:
            _leave_out(f"nothing of {stream.name} is in the file's first seconds", strict=strict)
        else:
            _leave_out(f"{container.muxer} cannot hold {stream.name}", strict=strict, remedy=_ROOMY)
    if info.chapters and not container.chapters:
        _leave_out(f"{container.muxer} cannot hold a list of chapters", strict=strict, remedy=_ROOMY)
    said = timecode(info)
    rate = frame_rate or info.frame_rate
    if said and container.timecode and moved_timecode(info, rate) is None:
        _leave_out(
            f"the timecode {said} of {str(info.path)!r} has no number for the output's first frame at "
            f"{float(rate):g} frames per second",
            strict=strict,
        )
    for kept in streams.kept:
        if kept.stream.kind == "audio" and speed != 1:
            log.info(
                f"{kept.stream.name} is played at {float(speed):g} of its speed: it becomes {kept.becomes}"
            )
        elif kept.encoder != "copy":
            log.info(f"{container.muxer} cannot hold {kept.stream.name}: it becomes {kept.becomes}")
    if lost := lost_tags(info, container):
        log.info(
            f"{container.muxer} has no place for tags of {str(info.path)!r}: {', '.join(lost)} are left out; "
            "an output in .mkv holds any"
        )
    return streams.kept


_ROOMY = "try an output in .mkv, or "


def _leave_out(message: str, *, strict: bool, remedy: str = "") -> None:
    """Say that something is left out, and why.

    Raises:
        OutputError: `strict` is set.
    """
    if strict:
        raise OutputError(f"{message}; {remedy}leave out --strict")
    log.warning(f"{message}: it is left out")


def _say_unread(info: VideoInfo, lost: Sequence[StreamInfo], *, strict: bool) -> None:
    """Say what a source that is read only once holds beside its pictures.

    Raises:
        OutputError: `strict` is set and there is any, but for tags of the file.
    """
    names = [stream.name for stream in lost] + (["chapters"] if info.chapters else [])
    if names:
        message = (
            f"of standard input only the pictures are read, not {', '.join(names)}; name a file to keep all"
        )
        if strict:
            raise OutputError(f"{message}, or leave out --strict")
        log.warning(message)
    if tags := [name for name, _ in info.file_tags if name.lower() not in _MADE_ANEW]:
        log.info(f"of standard input only the pictures are read, not its tags {', '.join(tags)}")


def renamed_tags(info: VideoInfo, container: Container) -> dict[str, str]:
    """Return those of a file's tags that a container holds under another name, by that name."""
    present = {name.lower() for name, _ in info.file_tags}
    common = {_common_name(name): said for name, said in info.file_tags}
    return {
        name: said for name, said in common.items() if name in (container.tags or ()) and name not in present
    }


def lost_tags(info: VideoInfo, container: Container) -> list[str]:
    """Return the names of a file's tags that a container has no place for, by whatever name."""
    if container.tags is None or not info.is_file:
        return []
    held = container.tags | _MADE_ANEW
    return [name for name, _ in info.file_tags if _LANGUAGE.sub("", _common_name(name).lower()) not in held]


def _common_name(tag: str) -> str:
    """Return the name under which others than QuickTime have what a tag says."""
    name = tag.removeprefix(_QUICKTIME)
    return tag if name == tag else _QUICKTIME_NAMES.get(name, name)


def _encoder_for(stream: StreamInfo, container: Container, speed: Fraction) -> str | None:
    """Return "copy", the encoder that makes the stream fit, or None when nothing does."""
    codec = stream.codec
    if stream.is_empty:  # no muxer takes what it cannot describe
        return None
    if stream.kind == "audio":
        if codec and _takes_sound(container, stream):
            return "copy" if speed == 1 else _same_sound(stream.codec) or container.audio_encoder
        return container.audio_encoder if codec else None
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
    family = "pcm" if codec.startswith(PCM_PREFIX) else codec
    is_known = container.any_audio or codec in container.audio or family in container.audio
    return is_known and codec not in container.foreign_audio


def _takes_video(container: Container, codec: str) -> bool:
    is_known = (container.any_video and codec != "") or codec in container.videos
    return is_known and codec not in container.foreign_video


def _same_sound(codec: str) -> str | None:
    """Return the encoder that makes again what a stream was, if it is one of every ffmpeg's."""
    return codec if codec.startswith(PCM_PREFIX) else SOUND_ENCODERS.get(codec)


def _is_made_anew(stream: StreamInfo) -> bool:
    """Whether the muxer writes this stream itself: QuickTime's chapters and time codes, from the metadata."""
    return stream.kind == "data" and stream.tag in ("tmcd", "text")
