"""Output containers: what each one holds, and which file name asks for it."""

from __future__ import annotations

import dataclasses
import os
from fractions import Fraction
from pathlib import Path

from videoinr_cli.errors import OutputError
from videoinr_cli.media.images import has_several_numbers
from videoinr_cli.media.write.destination import is_image_pattern, is_standard_output

TEXT_SUBTITLES = frozenset({"ass", "ssa", "subrip", "mov_text", "webvtt", "text", "ttml"})
"""Text subtitles, which ffmpeg converts to each other."""

PCM_PREFIX = "pcm_"

DISC_PCM = frozenset({"pcm_bluray", "pcm_dvd"})
"""PCM in packets of a special form, which few muxers take."""


@dataclasses.dataclass(frozen=True)
class Container:
    """ffmpeg's muxer and what it takes; codec names are ffmpeg's."""

    muxer: str
    video_encoder: str  # unless the user names one
    video_wrapper: str | None = None  # that ffmpeg calls the encoder here, where older ones take no other
    # name
    video_encoders: tuple[str, ...] = ()  # an encoder's name contains one of these; empty: any encoder
    pix_fmts: tuple[str, ...] = ()  # empty: all that the encoder takes
    audio: frozenset[str] = frozenset()  # copied; "pcm": all PCM but that of discs
    min_mp3_rate: int = 0  # samples per second
    audio_encoder: str | None = None  # for other sound
    subtitles: frozenset[str] = frozenset()  # copied
    subtitle_encoder: str | None = None  # for other text
    videos: frozenset[str] = frozenset()  # further videos: copied
    any_video: bool = False  # whether all are copied, except `foreign_video`
    foreign_video: frozenset[str] = frozenset()
    covers: frozenset[str] = frozenset()  # cover pictures: copied
    attaches_covers: bool = False  # whether covers are attached files, not streams
    attachments: bool = False
    data: bool = False
    chapters: bool = False
    tags: frozenset[str] | None = None  # of the file, that it holds; None: any, or none are expected
    settings: tuple[tuple[str, str], ...] = ()  # of the muxer
    experimental: frozenset[str] = frozenset()  # sound that older muxers take by -strict -2 only
    untimed_sound: frozenset[str] = frozenset()  # stored without times; "pcm": all PCM but that of discs
    counts_frames: bool = False  # whether it has no timestamps, at most a frame rate
    max_rate: int | None = None  # frames per second that its players can show; None: any
    seeks: bool = False  # whether writing it seeks back, which no pipe allows
    shows_first_subtitle: bool = False  # whether ffmpeg makes its first subtitle one that is shown unasked
    hevc_tag: str | None = None  # what HEVC is called there, where players ask for another name than ffmpeg's
    tick: Fraction | None = None  # seconds, where it always has the same; None: that of the pictures
    exact_ticks: bool = False  # whether -video_track_timescale gives it any time base
    timecode: bool = False  # whether it stores the number of its first frame
    plays_all: bool = False  # whether it cannot say that packets of sound are not played
    says_padding: bool = False  # whether it stores how much of a sound's start is not played
    is_photo: bool = False  # whether it holds a single picture

    def takes_sound(self, codec: str) -> bool:
        """Whether sound is copied there."""
        return _is_among(codec, self.audio)

    def times_sound(self, codec: str) -> bool:
        """Whether it stores when each packet of a sound is played, not only one after the other."""
        return not _is_among(codec, self.untimed_sound)


def _is_among(codec: str, sounds: frozenset[str]) -> bool:
    is_plain_pcm = codec.startswith(PCM_PREFIX) and codec not in DISC_PCM
    return codec in sounds or (is_plain_pcm and "pcm" in sounds)


# QuickTime's keys would hold any tag (use_metadata_tags), but ffmpeg then puts all of them there, where
# players do not look for titles, and writes the time of creation twice.
_MP4_TAGS = frozenset(
    {"album", "album_artist", "artist", "comment", "compilation", "composer", "copyright", "date"}
    | {"description", "disc", "episode_id", "episode_sort", "gapless_playback", "genre", "grouping"}
    | {"hd_video", "keywords", "location", "lyrics", "media_type", "network", "season_number", "show"}
    | {"synopsis", "title", "track"}
)
_MOV_TAGS = frozenset(
    {"album", "artist", "author", "comment", "copyright", "date", "genre", "location", "make", "model"}
    | {"title"}
)

_MP4_AUDIO = frozenset({"aac", "mp3", "mp2", "ac3", "eac3", "dts", "opus", "vorbis", "flac", "alac"})

# Further videos that ffmpeg copies there and reads again. QuickTime has names for few pixel formats of raw
# video.
_MP4_VIDEOS = frozenset(
    {"apv", "av1", "dirac", "ffv1", "h264", "hevc", "jpeg2000", "mjpeg", "mpeg1video", "mpeg2video"}
    | {"mpeg4", "png", "vp9", "vvc"}
)
_MOV_VIDEOS = (
    _MP4_VIDEOS - {"av1", "vp9"}
    | {"cfhd", "cinepak", "dnxhd", "dvvideo", "flv1", "gif", "h261", "h263", "hap", "huffyuv", "msmpeg4v2"}
    | {"msmpeg4v3", "prores", "qtrle", "r210", "rpza", "smc", "svq1", "targa", "theora", "tiff", "utvideo"}
    | {"v210", "wmv2"}
)

# Source: https://www.matroska.org/technical/codec_specs.html; then those that WAVE has a number for, which
# ffmpeg reads again. Others are refused, or written under a number that players do not know (AAC in LATM).
_MATROSKA_AUDIO = frozenset(
    {"aac", "ac3", "alac", "atrac1", "atrac3", "cook", "dts", "eac3", "flac", "mlp", "mp1", "mp2", "mp3"}
    | {"pcm_f32le", "pcm_f64le", "pcm_s16be", "pcm_s16le", "pcm_s24be", "pcm_s24le", "pcm_s32be", "pcm_s32le"}
    | {"opus", "pcm_u8", "qdm2", "qdmc", "ra_144", "ra_288", "sipr", "truehd", "tta", "vorbis", "wavpack"}
    | {"adpcm_g722", "adpcm_g726", "adpcm_ima_wav", "adpcm_ms", "adpcm_yamaha", "amr_nb", "g723_1", "gsm_ms"}
    | {"pcm_alaw", "pcm_mulaw", "wmalossless", "wmapro", "wmav1", "wmav2", "wmavoice"}
)

MP4 = Container(
    muxer="mp4",
    video_encoder="libx264",
    audio=_MP4_AUDIO,
    min_mp3_rate=16_000,  # lower rates are MPEG-2.5, for which mp4 has no name
    audio_encoder="aac",
    subtitles=frozenset({"mov_text", "dvd_subtitle"}),
    subtitle_encoder="mov_text",
    videos=_MP4_VIDEOS,
    covers=frozenset({"mjpeg", "png", "bmp"}),
    chapters=True,
    tags=_MP4_TAGS,
    settings=(("movflags", "+faststart"),),
    experimental=frozenset({"flac", "truehd"}),
    seeks=True,
    shows_first_subtitle=True,
    hevc_tag="hvc1",  # Apple's players show nothing of hev1
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
    untimed_sound=frozenset({"pcm"}),
)
MATROSKA = Container(
    muxer="matroska",
    video_encoder="libx264",
    audio=_MATROSKA_AUDIO,
    audio_encoder="flac",
    subtitles=(TEXT_SUBTITLES - {"mov_text", "text", "ttml"})
    | {"dvd_subtitle", "hdmv_pgs_subtitle", "dvb_subtitle", "hdmv_text_subtitle", "arib_caption"},
    subtitle_encoder="subrip",
    any_video=True,
    foreign_video=frozenset(  # refused, or not read again
        {"avui", "bmp", "flashsv2", "qtrle", "rawvideo", "rv10", "rv20", "rv30", "rv40", "svq1"}
    ),
    covers=frozenset({"mjpeg", "png", "gif", "tiff", "bmp"}),
    attaches_covers=True,
    attachments=True,
    chapters=True,
    tick=Fraction(1, 1000),
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
    tick=Fraction(1, 1000),
    says_padding=True,
)
# It has numbers for these alone; others are written, and not read again.
_MPEGTS_ENCODERS = ("264", "265", "hevc", "kvazaar", "mpeg1", "mpeg2", "mpeg4", "xvid")

MPEGTS = Container(
    muxer="mpegts",
    video_encoder="libx264",
    video_encoders=_MPEGTS_ENCODERS,
    audio=frozenset({"aac", "mp3", "mp2", "ac3", "eac3", "dts", "opus", "truehd"}),
    audio_encoder="aac",
    subtitles=frozenset({"dvb_subtitle", "dvb_teletext"}),
    data=True,
    tick=Fraction(1, 90_000),
    plays_all=True,
)
M2TS = Container(
    muxer="mpegts",
    video_encoder="libx264",
    video_encoders=("264", "265", "hevc", "mpeg2"),
    audio=frozenset({"ac3", "eac3", "dts", "truehd", "pcm_bluray"}),
    audio_encoder="ac3",
    subtitles=frozenset({"hdmv_pgs_subtitle", "hdmv_text_subtitle"}),
    settings=(("mpegts_m2ts_mode", "1"),),
    tick=Fraction(1, 90_000),
    plays_all=True,
)
_AVI_AUDIO = frozenset({"mp3", "mp2", "ac3", "pcm_u8", "pcm_s16le", "pcm_s24le"})

# AVI stores no times: pictures must be coded in the order in which they are shown, and what an encoder of
# sound puts before its start would delay them.
AVI = Container(
    muxer="avi",
    video_encoder="mpeg4",
    video_encoders=("mpeg4", "xvid", "mjpeg", "ffv1", "huffyuv", "utvideo", "rawvideo"),
    audio=_AVI_AUDIO,
    audio_encoder="pcm_s16le",
    untimed_sound=_AVI_AUDIO,
    plays_all=True,
    counts_frames=True,
)
# Browsers take a hundredth of a second, the shortest duration in GIF, for a tenth.
GIF = Container(muxer="gif", video_encoder="gif", video_encoders=("gif",), max_rate=50)
APNG = Container(muxer="apng", video_encoder="apng", video_encoders=("apng",), settings=(("plays", "0"),))
NUT = Container(
    muxer="nut",
    video_encoder="ffv1",
    audio=frozenset({"aac", "mp3", "mp2", "ac3", "eac3", "dts", "opus", "vorbis", "flac", "pcm"}),
    audio_encoder="pcm_s24le",
    # no subtitles: it does not store their durations, and has no name for most
    any_video=True,
    chapters=True,
    plays_all=True,
)
PIPED_NUT = dataclasses.replace(NUT, video_encoder="rawvideo")
Y4M = Container(
    muxer="yuv4mpegpipe",
    video_encoder="rawvideo",
    video_wrapper="wrapped_avframe",
    video_encoders=("rawvideo",),
    pix_fmts=tuple(
        f"{family}{depth}"
        for depth in ("", "10le", "12le", "16le")
        for family in ("yuv420p", "yuv422p", "yuv444p", "gray")
    ),
    settings=(("strict", "-1"),),  # for more than 8 bits
    counts_frames=True,
)

BY_SUFFIX = {
    ".mp4": MP4,
    ".m4v": MP4,
    ".mov": MOV,
    ".mkv": MATROSKA,
    ".webm": WEBM,
    ".ts": MPEGTS,
    ".avi": AVI,
    ".m2ts": M2TS,
    ".mts": M2TS,
    ".gif": GIF,
    ".apng": APNG,
    ".nut": NUT,
    ".y4m": Y4M,
}

SOUND_SUFFIXES = (".aac", ".ac3", ".flac", ".m4a", ".mka", ".mp3", ".ogg", ".opus", ".wav")
"""Extensions of what holds sound alone."""

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
    """Return the container that an output's name asks for.

    Raises:
        OutputError: the extension is unknown; standard output cannot take the container; a pattern of images
            has several numbers.
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
    if suffix in IMAGE_ENCODERS:
        images = Container(muxer="image2", video_encoder=IMAGE_ENCODERS[suffix], counts_frames=True)
        if is_image_pattern(path):
            return images
        return dataclasses.replace(images, settings=(("update", "1"),), is_photo=True)
    container = BY_SUFFIX.get(suffix)
    if suffix in SOUND_SUFFIXES:
        raise OutputError(
            f"{str(path)!r} is the name of a sound file; name a video, or copy the sound alone with ffmpeg: "
            "ffmpeg -i SOURCE -vn -c copy sound.mka"
        )
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
"""Words in encoders' names, and the muxer that keeps everything about their packets: any time base, and
decoding times, which neither NUT nor Matroska stores."""


def carrier_for(encoder: str) -> str | None:
    """Return the muxer that can hold an encoder's packets until they are copied into any container.

    None if no such muxer is known.
    """
    return next((muxer for word, muxer in CARRIERS.items() if word in encoder), None)
