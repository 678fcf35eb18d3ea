"""Every kind of input a person has, made by real encoders, passed through our reader and writer unchanged.

Each clip shows the same scene, a bright block that moves 3 px a frame over a ramp of colours, so that every
frame of an output tells by itself which one it is, whether it is upright, and whether its colours are right.
Outputs are read by PyAV, not by our own reader. docs/inputs.md lists the kinds; run this file to write it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest

from tests.writing import open_writer
from videoinr_cli.media.read.interlacing import deinterlaced
from videoinr_cli.media.read.probe import probe
from videoinr_cli.media.read.reader import read_frames
from videoinr_cli.options import EncodeOptions

RunFfmpeg = Callable[..., None]

FRAMES = 12
RATE = Fraction(25)
DOCS = Path(__file__).parents[2] / "docs" / "inputs.md"


def scene(number: int, size: tuple[int, int] = (64, 48)) -> npt.NDArray[np.float64]:
    """Return frame `number` as it should be shown: (H, W, 3), R'G'B' of 0 to 255."""
    x, y = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    picture = np.stack([40 + 2 * x, 60 + 3 * y, 200 - 2 * x], axis=2).astype(float)
    picture[(x >= 3 * number) & (x < 3 * number + 14) & (y >= 8) & (y < 24)] = 225
    return np.clip(picture, 0, 255)


SCENE = (
    "nullsrc=size=64x48:rate={rate},format=gbrp,geq="
    "r='if(between(X,3*N,3*N+13)*between(Y,8,23),225,40+2*X)':"
    "g='if(between(X,3*N,3*N+13)*between(Y,8,23),225,min(255,60+3*Y))':"
    "b='if(between(X,3*N,3*N+13)*between(Y,8,23),225,200-2*X)'"
)
SOUND = ("-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000:duration=0.48")


@dataclasses.dataclass
class Workshop:
    """Makes the clips: one of the scene without loss, and from it everything else."""

    folder: Path
    run: RunFfmpeg

    def master(self, filters: str = "null", *, rate: object = 25, frames: int = FRAMES) -> Path:
        """Make the scene in R'G'B', without loss."""
        path = self.folder / "master.mkv"
        source = f"{SCENE.format(rate=rate)},{filters}"
        self.run("-f", "lavfi", "-i", source, "-frames:v", frames, "-c:v", "ffv1", "-pix_fmt", "gbrp", path)
        return path

    def clip(
        self,
        name: str,
        *options: object,
        sound: bool = False,
        filters: str = "null",
        rate: object = 25,
        frames: int = FRAMES,
        before: tuple[object, ...] = (),
    ) -> Path:
        """Encode the scene; R'G'B' becomes BT.601 of limited range, as untagged material of its size is."""
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        matrix = "scale=out_color_matrix=bt601:out_range=tv:flags=accurate_rnd+full_chroma_int+bicubic"
        inputs = (*before, "-i", self.master(rate=rate, frames=frames))
        sounds = (*SOUND, "-map", 0, "-map", 1) if sound else ()
        self.run(*inputs, *sounds, "-vf", f"{matrix},{filters}", *options, path)
        return path

    def remux(self, clip: Path, name: str, *options: object, before: tuple[object, ...] = ()) -> Path:
        """Put a clip's streams into another file."""
        path = self.folder / name
        self.run(*before, "-i", clip, "-map", 0, "-c", "copy", *options, path)
        return path


Make = Callable[[Workshop], Path]
LOSSLESS = EncodeOptions(crf=None, preset="ultrafast", extra=(("qp", "0"),))


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of input, how to make it, and what has to come out of it."""

    description: str
    make: Make
    out: str = "out.mkv"
    encoding: EncodeOptions = LOSSLESS
    frames: int = FRAMES
    times: tuple[Fraction, ...] | None = None  # seconds from the first frame; None: at 25 frames per second
    size: tuple[int, int] = (64, 48)
    pix_fmt: str = "yuv420p"
    streams: tuple[str, ...] = ()  # kinds and codecs beside the video, in the output
    error: float = 6.0  # root mean square of what coding may change, of 255
    duration: Fraction | None = None  # seconds; None: until the end of the last frame's time


def lossless(codec: str) -> EncodeOptions:
    return EncodeOptions(codec=codec, crf=None)


def h264(shop: Workshop, name: str = "in.mp4", *options: object, **settings: object) -> Path:
    codecs = ("-c:v", "libx264", "-crf", 8, "-pix_fmt", "yuv420p", "-c:a", "aac")
    return shop.clip(name, *codecs, *options, **settings)  # type: ignore[arg-type]


def plain(
    name: str, codec: str, *options: object, sound: str | None = None, pix_fmt: str = "yuv420p"
) -> Make:
    def make(shop: Workshop) -> Path:
        sounds = () if sound is None else ("-c:a", sound)
        return shop.clip(
            name,
            "-c:v",
            codec,
            "-pix_fmt",
            pix_fmt,
            *options,
            *sounds,
            "-strict",
            -2,
            sound=sound is not None,
        )

    return make


def turned(*options: object) -> Make:
    """Code the picture so that the display matrix, applied, shows the scene again."""
    undo = {"90": "transpose=clock", "180": "hflip,vflip", "270": "transpose=cclock", "hflip": "hflip"}

    def make(shop: Workshop) -> Path:
        key = str(options[-1]).removeprefix("-display_")
        return shop.remux(h264(shop, "flat.mp4", filters=undo[key]), "in.mp4", before=options)

    return make


def images(name: str, codec: str, pix_fmt: str) -> Make:
    def make(shop: Workshop) -> Path:
        shop.clip(f"frames/{name}", "-c:v", codec, "-pix_fmt", pix_fmt, "-q:v", 2)
        return shop.folder / "frames" / name

    return make


def many_streams(shop: Workshop) -> Path:
    lines, notes = shop.folder / "lines.srt", shop.folder / "notes.txt"
    lines.write_text("1\n00:00:00,100 --> 00:00:00,300\nHello\n")
    notes.write_text(";FFMETADATA1\ntitle=T\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=200\ntitle=One\n")
    clip = h264(shop, "plain.mkv", "-bf", 0, "-c:a", "flac", sound=True)
    path = shop.folder / "in.mkv"
    shop.run(
        *("-i", clip, "-i", lines, "-i", notes, "-map", 0, "-map", "0:a", "-map", 1, "-map", 1),
        *("-map_metadata", 2, "-map_chapters", 2, "-c", "copy", "-c:s:1", "ass", "-attach", lines),
        *("-metadata:s:t", "mimetype=font/ttf", "-metadata:s:a:1", "language=fra", path),
    )
    return path


def joined(shop: Workshop) -> Path:
    """End to end, two recordings that each start their clock anew."""
    first = h264(shop, "first.ts", "-bf", 0, frames=6)
    second = h264(shop, "second.ts", "-bf", 0, filters="trim=start_frame=6,setpts=PTS-STARTPTS")
    path = shop.folder / "in.ts"
    path.write_bytes(first.read_bytes() + second.read_bytes())
    return path


def cut_short(shop: Workshop) -> Path:
    """A file that ends in the middle of its ninth frame."""
    clip = shop.clip("whole.mkv", "-c:v", "ffv1", "-pix_fmt", "yuv420p", "-g", 1)
    with av.open(str(clip)) as container:
        ninth = [packet for packet in container.demux(video=0) if packet.size][8]
    assert ninth.pos is not None
    path = shop.folder / "in.mkv"
    path.write_bytes(clip.read_bytes()[: ninth.pos + ninth.size // 2])
    return path


def written_to_a_pipe(name: str, *options: object) -> Make:
    """A file whose header could not be completed: no duration, no index."""

    def make(shop: Workshop) -> Path:
        clip = h264(shop, "whole.mkv", "-bf", 0)
        return shop.remux(clip, name, *options)

    return make


def elementary(name: str, codec: str) -> Make:
    def make(shop: Workshop) -> Path:
        quiet = ("-x265-params", "log-level=none") if codec == "libx265" else ()
        return shop.clip(name, "-c:v", codec, "-crf", 8, "-pix_fmt", "yuv420p", *quiet)

    return make


def variable(name: str) -> Make:
    def make(shop: Workshop) -> Path:
        retimed = "settb=1/90000,setpts='300*(N*N+9*N)'"
        return h264(shop, name, "-fps_mode", "passthrough", "-enc_time_base", "1:90000", filters=retimed)

    return make


def high_dynamic_range(transfer: str) -> Make:
    def make(shop: Workshop) -> Path:
        matrix = "scale=in_color_matrix=bt601:out_color_matrix=bt2020"
        tags = f"setparams=color_primaries=bt2020:color_trc={transfer}:colorspace=bt2020nc:range=tv"
        return shop.clip(
            "in.mp4", "-c:v", "libx265", *X265, "-pix_fmt", "yuv420p10le", filters=f"{matrix},{tags}"
        )

    return make


VARIABLE = tuple(Fraction(n * n + 9 * n, 300) for n in range(FRAMES))
FIFTY = tuple(Fraction(n, 50) for n in range(FRAMES))
MATRIX_709 = "scale=in_color_matrix=bt601:out_color_matrix=bt709,setparams=colorspace=bt709:range=tv"
X265 = ("-x265-params", "log-level=none", "-crf", 6)
PALETTE = "split[a][b];[a]palettegen[p];[b][p]paletteuse"
WOVEN = "tinterlace=interleave_top"

KINDS = {
    "mp4-h264-aac": Kind(
        "MP4, H.264, AAC", lambda shop: h264(shop, sound=True), streams=("audio aac",), out="out.mp4"
    ),
    "mp4-hevc": Kind("MP4, HEVC", plain("in.mp4", "libx265", *X265)),
    "mp4-av1-opus": Kind(
        "MP4, AV1, Opus",
        plain("in.mp4", "libaom-av1", "-cpu-used", 8, "-crf", 8, sound="libopus"),
        streams=("audio opus",),
        out="out.mp4",
    ),
    "mp4-mpeg4-mp3": Kind(
        "MP4, MPEG-4 part 2, MP3",
        plain("in.mp4", "mpeg4", "-q:v", 2, sound="libmp3lame"),
        streams=("audio mp3",),
    ),
    "mp4-fragmented": Kind(
        "MP4 in fragments, no index",
        lambda shop: shop.remux(h264(shop, "a.mp4"), "in.mp4", "-movflags", "frag_keyframe+empty_moov"),
    ),
    "mp4-edit-list": Kind(
        "MP4 cut by an edit list",
        lambda shop: shop.remux(h264(shop, "a.mp4", "-g", 3, "-bf", 0), "in.mp4", before=("-ss", "0.12")),
        frames=9,
    ),
    "mp4-b-pyramid": Kind(
        "H.264 with B-frames as references and open groups",
        lambda shop: h264(shop, "in.mp4", "-bf", 3, "-x264-params", "b-pyramid=normal:open-gop=1:keyint=6"),
    ),
    "mp4-rotated-90": Kind("phone video, rotated by 90 degrees", turned("-display_rotation", 90)),
    "mp4-rotated-180": Kind("phone video, rotated by 180 degrees", turned("-display_rotation", 180)),
    "mp4-rotated-270": Kind("phone video, rotated by 270 degrees", turned("-display_rotation", 270)),
    "mp4-mirrored": Kind("selfie video, mirrored", turned("-display_hflip")),
    "mp4-variable-rate": Kind(
        "MP4 of variable frame rate", variable("in.mp4"), times=VARIABLE, out="out.mp4"
    ),
    "mkv-variable-rate": Kind("Matroska of variable frame rate", variable("in.mkv"), times=VARIABLE),
    "mov-prores-pcm": Kind(
        "QuickTime, ProRes, PCM",
        plain("in.mov", "prores_ks", sound="pcm_s16le", pix_fmt="yuv422p10le"),
        pix_fmt="yuv422p10le",
        streams=("audio pcm_s16le",),
        out="out.mov",
    ),
    "mov-prores-4444": Kind(
        "QuickTime, ProRes 4444 with transparency",
        plain("in.mov", "prores_ks", pix_fmt="yuva444p10le"),
        pix_fmt="yuva444p12le",  # so it is decoded
        encoding=lossless("prores_ks"),
        out="out.mov",
    ),
    "mov-png-deep": Kind(
        "QuickTime, PNG of 16 bits",
        plain("in.mov", "png", pix_fmt="rgb48be"),
        pix_fmt="gbrp16le",
        encoding=lossless("ffv1"),
    ),
    "mov-timecode": Kind(
        "QuickTime with a time code track",
        lambda shop: h264(shop, "in.mov", "-timecode", "01:00:00:00"),
        out="out.mov",
        streams=("data ",),
    ),
    "mkv-h264-flac": Kind(
        "Matroska, H.264, FLAC",
        lambda shop: h264(shop, "in.mkv", "-c:a", "flac", sound=True),
        streams=("audio flac",),
    ),
    "mkv-hevc-10-bit": Kind(
        "Matroska, HEVC of 10 bits",
        plain("in.mkv", "libx265", *X265, pix_fmt="yuv420p10le"),
        pix_fmt="yuv420p10le",
    ),
    "mkv-ffv1-12-bit-422": Kind(
        "Matroska, FFV1, 4:2:2 of 12 bits",
        plain("in.mkv", "ffv1", pix_fmt="yuv422p12le"),
        pix_fmt="yuv422p12le",
        encoding=lossless("ffv1"),
    ),
    "mkv-444": Kind(
        "H.264, 4:4:4", plain("in.mkv", "libx264", "-qp", 0, pix_fmt="yuv444p"), pix_fmt="yuv444p"
    ),
    "mkv-rgb": Kind(
        "H.264 of R'G'B'",
        plain("in.mkv", "libx264rgb", "-qp", 0, pix_fmt="bgr0"),
        pix_fmt="bgr0",
        encoding=lossless("ffv1"),
    ),
    "mkv-grey": Kind(
        "FFV1, grey", plain("in.mkv", "ffv1", pix_fmt="gray"), pix_fmt="gray", encoding=lossless("ffv1")
    ),
    "mkv-many-streams": Kind(
        "two sounds, two subtitles, chapters, a font",
        many_streams,
        streams=("audio flac", "audio flac", "subtitle subrip", "subtitle ass", "attachment "),
    ),
    "mkv-many-streams-to-mp4": Kind(
        "the same into MP4: subtitles converted, the font named as lost",
        many_streams,
        out="out.mp4",
        streams=("audio flac", "audio flac", "subtitle mov_text", "subtitle mov_text", "data bin_data"),
    ),
    "mkv-no-duration": Kind(
        "Matroska written to a pipe: no duration, no index", written_to_a_pipe("in.mkv", "-live", 1)
    ),
    "mkv-vp8-vorbis": Kind(
        "Matroska, VP8, Vorbis",
        plain("in.mkv", "libvpx", "-b:v", "2M", "-crf", 4, sound="libvorbis"),
        streams=("audio vorbis",),
    ),
    "webm-vp9-opus": Kind(
        "WebM, VP9, Opus",
        plain("in.webm", "libvpx-vp9", "-crf", 8, "-b:v", 0, sound="libopus"),
        out="out.webm",
        encoding=EncodeOptions(crf=8),
        streams=("audio opus",),
    ),
    "webm-av1": Kind("WebM, AV1", plain("in.webm", "libaom-av1", "-cpu-used", 8, "-crf", 8)),
    "ts-h264-aac": Kind(
        "MPEG-TS, H.264, AAC",
        lambda shop: h264(shop, "in.ts", sound=True),
        streams=("audio aac",),
        out="out.mp4",
    ),
    "ts-mpeg2-mp2": Kind(
        "MPEG-TS, MPEG-2, MP2",
        plain("in.ts", "mpeg2video", "-q:v", 2, "-bf", 2, sound="mp2"),
        streams=("audio mp2",),
    ),
    "ts-joined": Kind("two recordings joined end to end, without sound", joined),
    "mpg-mpeg1": Kind(
        "MPEG program stream, MPEG-1, MP2",
        plain("in.mpg", "mpeg1video", "-q:v", 2, sound="mp2"),
        streams=("audio mp2",),
    ),
    "vob-mpeg2-ac3": Kind(
        "VOB, MPEG-2, AC-3", plain("in.vob", "mpeg2video", "-q:v", 2, sound="ac3"), streams=("audio ac3",)
    ),
    "avi-mpeg4-ac3": Kind(
        "AVI, MPEG-4 part 2, AC-3",
        plain("in.avi", "mpeg4", "-q:v", 2, "-bf", 2, sound="ac3"),
        streams=("audio ac3",),
    ),
    "avi-mjpeg-pcm": Kind(
        "AVI, Motion JPEG, PCM; full range",
        plain("in.avi", "mjpeg", "-q:v", 2, sound="pcm_s16le", pix_fmt="yuvj420p"),
        streams=("audio pcm_s16le",),
    ),
    "avi-huffyuv": Kind(
        "AVI, HuffYUV, 4:2:2", plain("in.avi", "huffyuv", pix_fmt="yuv422p"), pix_fmt="yuv422p"
    ),
    "avi-raw": Kind("AVI, raw pictures", plain("in.avi", "rawvideo", pix_fmt="yuyv422"), pix_fmt="yuv422p"),
    "flv-h264": Kind(
        "Flash video, H.264, AAC", lambda shop: h264(shop, "in.flv", sound=True), streams=("audio aac",)
    ),
    "wmv": Kind("Windows Media", plain("in.wmv", "wmv2", "-q:v", 2, sound="wmav2"), streams=("audio wmav2",)),
    "ogv-theora": Kind(
        "Ogg, Theora, Vorbis",
        plain("in.ogv", "libtheora", "-q:v", 10, sound="libvorbis"),
        streams=("audio vorbis",),
    ),
    "mxf-mpeg2": Kind(
        "MXF, MPEG-2, PCM",
        plain("in.mxf", "mpeg2video", "-q:v", 2, sound="pcm_s16le"),
        streams=("audio pcm_s16le",),
    ),
    "nut-ffv1": Kind("NUT, FFV1", plain("in.nut", "ffv1"), out="out.nut", encoding=lossless("ffv1")),
    "y4m": Kind("YUV4MPEG", plain("in.y4m", "wrapped_avframe")),
    "h264-elementary": Kind("H.264 without a container", elementary("in.h264", "libx264")),
    "hevc-elementary": Kind("HEVC without a container", elementary("in.hevc", "libx265")),
    "gif": Kind("GIF", lambda shop: shop.clip("in.gif", filters=PALETTE), error=8),
    "gif-to-gif": Kind(
        "GIF to GIF",
        lambda shop: shop.clip("in.gif", filters=PALETTE),
        out="out.gif",
        encoding=EncodeOptions(),
        pix_fmt="bgra",
        error=8,
    ),
    "apng": Kind("APNG", plain("in.apng", "apng", pix_fmt="rgb24")),
    "png-pattern": Kind("numbered PNG images", images("%04d.png", "png", "rgb24")),
    "jpeg-pattern": Kind("numbered JPEG images", images("a%d.jpg", "mjpeg", "yuvj420p")),
    "tiff-folder": Kind(
        "a folder of TIFF images", lambda shop: images("%d.tif", "tiff", "rgb24")(shop).parent
    ),
    "late-picture": Kind(
        "the picture starts 0.2 s after the sound",
        lambda shop: h264(shop, "in.mkv", "-c:a", "flac", sound=True, before=("-itsoffset", 0.2)),
        streams=("audio flac",),
        out="out.mp4",
    ),
    "late-file": Kind(
        "everything starts at 5 s",
        lambda shop: shop.remux(
            h264(shop, "a.mkv", "-bf", 0, "-c:a", "flac", sound=True),
            "in.mkv",
            "-copyts",
            before=("-itsoffset", 5),
        ),
        streams=("audio flac",),
    ),
    "anamorphic": Kind(
        "pixels that are not square", lambda shop: h264(shop, "in.mkv", filters="setsar=16/11")
    ),
    "odd-size": Kind(
        "an odd width and height",
        lambda shop: shop.clip(
            "in.mkv", "-c:v", "ffv1", "-pix_fmt", "yuv420p", filters="crop=63:47:0:0:exact=1"
        ),
        size=(63, 47),
        encoding=lossless("ffv1"),
    ),
    "full-range": Kind(
        "H.264 of full range",
        lambda shop: h264(
            shop, filters="scale=in_range=tv:out_range=pc:flags=accurate_rnd,setparams=range=pc"
        ),
    ),
    "bt709": Kind("H.264 of BT.709", lambda shop: h264(shop, filters=MATRIX_709)),
    "hdr10": Kind("HDR10", high_dynamic_range("smpte2084"), pix_fmt="yuv420p10le"),
    "hlg": Kind("HLG", high_dynamic_range("arib-std-b67"), pix_fmt="yuv420p10le"),
    "interlaced-flagged": Kind(
        "interlaced, by its flags: a frame for every field",
        lambda shop: shop.clip(
            "in.mpg", "-c:v", "mpeg2video", "-q:v", 2, "-flags", "+ildct+ilme", rate=50, filters=WOVEN
        ),
        times=FIFTY,
        error=14,
    ),
    "one-frame": Kind("one frame", lambda shop: h264(shop, frames=1), frames=1, out="out.mp4"),
    "cut-short": Kind("Matroska cut short", cut_short, frames=8),
}


@pytest.mark.parametrize("name", KINDS)
def test_kind(name: str, tmp_path: Path, run_ffmpeg: RunFfmpeg) -> None:
    kind = KINDS[name]
    clip = kind.make(Workshop(tmp_path, run_ffmpeg))
    out = tmp_path / kind.out
    info = deinterlaced(probe(clip))
    with open_writer(
        out, (info.width, info.height), info.time_base, info, kind.encoding, end_pts=info.end_pts
    ) as writer:
        read = []
        for frame in read_frames(info):
            assert frame.rgb.shape == (info.height, info.width, 3)
            assert frame.rgb.flags.c_contiguous
            read.append(frame.pts)
            writer.write(frame.rgb, frame.pts, alpha=frame.alpha)
    assert read[0] == info.start_pts
    check_times(kind, [pts * info.time_base for pts in read], tick=info.time_base)
    with av.open(str(out)) as container:
        video = container.streams.video[0]
        beside = tuple(
            f"{stream.type} {stream.codec.canonical_name if stream.codec_context else stream.name or ''}"
            for stream in container.streams
            if stream is not video
        )
        frames = list(container.decode(video))
    assert tuple(name for name in beside if name.split()[0] != "attachment") == tuple(
        name for name in kind.streams if name.split()[0] != "attachment"
    )
    assert [name.split()[0] for name in beside] == [name.split()[0] for name in kind.streams]
    # PyAV's FFmpeg names the range of H.264 in its pixel formats.
    formats = {(frame.width, frame.height, frame.format.name.replace("yuvj", "yuv")) for frame in frames}
    assert formats == {(*kind.size, kind.pix_fmt)}
    # The tick of the output's container.
    tick = Fraction(1, 100) if kind.out.endswith(".gif") else Fraction(1, 1000)
    check_times(kind, [frame.pts * frame.time_base for frame in frames], tick=tick)
    check_pictures(kind, frames)
    if any(stream.kind == "audio" for stream in info.streams):
        # AVI does not say when pictures are shown; the first one is when the sound begins.
        offset = 0 if clip.suffix == ".avi" else sound_offset(clip)
        assert abs(sound_offset(out) - offset) <= Fraction(1, 1000)


def check_times(kind: Kind, shown: list[Fraction], *, tick: Fraction) -> None:
    expected = kind.times or tuple(n / RATE for n in range(kind.frames))
    assert len(shown) == len(expected)
    assert max(abs(time - shown[0] - wanted) for time, wanted in zip(shown, expected, strict=True)) <= tick


def check_pictures(kind: Kind, frames: list[av.VideoFrame]) -> None:
    first = FRAMES - kind.frames if kind.description.endswith("edit list") else 0
    for number, frame in enumerate(frames, start=first):
        matrix = frame.colorspace if frame.colorspace in (1, 9) else 5
        rgb = frame.to_ndarray(format="rgb24", src_colorspace=matrix, interpolation="BICUBIC").astype(float)
        if kind.pix_fmt == "gray":
            rgb = rgb.mean(axis=2, keepdims=True)
        wanted = scene(number, kind.size)
        if kind.pix_fmt == "gray":
            wanted = (wanted @ (0.299, 0.587, 0.114))[..., None]
        assert np.sqrt(np.mean((rgb - wanted) ** 2)) <= kind.error


def sound_offset(path: Path) -> Fraction:
    """Return the seconds from the first packet of sound that is played to the first picture."""
    starts = []
    for kind in ("video", "audio"):
        with av.open(str(path)) as container:
            frame = next(container.decode(**{kind: 0}))
            starts.append(frame.pts * frame.time_base)
    return starts[0] - starts[1]


JOINED = """\
## Recordings joined end to end

In MPEG-TS and MPEG program streams (`.ts`, `.m2ts`, `.MTS`, `.mpg`, `.vob`), as `cat` joins them, in Flash
video of a recorder that connected anew, and in HLS playlists with a discontinuity, each recording may have
a clock of its own. Such a file is read through first, as is Matroska or WebM whose clock goes back near its
end; where the clock goes back, or more than 10 s ahead, pictures, sound and subtitles go on together right
after what came before. A hole of less, or in one stream alone, stays one, as with ffmpeg itself. This needs
ffmpeg 7 or newer, such as the one that comes along; an older one is said before anything is rendered.
`tests/media/read/test_clock_breaks.py` joins such files, with sound.

## What files state wrongly

`tests/media/read/test_real_times.py`, `test_interlacing.py` and `test_reader.py` make these:

- an average rate that is none: raw DV, MPEG-2 and H.264, film on DVD shown for three and two fields in turn;
- times of a steady rate that Matroska, Flash video or a copy from there rounded to milliseconds;
- AVI with B-frames, packed or not: it states when pictures are decoded, not when they are shown;
- a download that broke off behind its index, which still states the whole length;
- several edits in one mp4, chapters beyond the end, a clock that starts below zero;
- progressive pictures that are flagged as interlaced, and a video that turns interlaced later;
- recordings of calls that begin small, a pixel shape that changes, captions that begin later;
- frames that state the same time, and empty packets of Theora, which repeat a picture;
- an mp4 that was cut without being encoded, which hides sound before its start.
"""


OTHERS = (
    (
        "surround sound that is converted (5.1 of AC-3, E-AC-3, DTS; 2.1, 4.0, 6.1, 7.1)",
        "every channel in its place, in a layout that the encoder stores",
        "`tests/media/write/test_sound_layouts.py`",
    ),
    (
        "channels without names (Speex, ambisonics)",
        ("up to 8 in the usual order; more are named as left out where they would have to be converted"),
        "the same",
    ),
    (
        "sound that Matroska has no name for (GSM, ADPCM of Flash video, AAC in LATM)",
        "converted",
        "`tests/media/write/test_kept_streams.py`",
    ),
    (
        "an HLS playlist with variants",
        "the largest, with its sound",
        "the same",
    ),
    (
        "animated AVIF",
        "the animation; transparency, a stream of its own, is named as lost",
        "`tests/media/write/test_marks.py`",
    ),
    (
        "Y'CbCr that is marked as R'G'B'",
        "taken for unmarked",
        "the same",
    ),
    (
        "VP9 with transparency whose mark is a tag",
        "transparency is read, and marked where the output has it",
        "the same",
    ),
    (
        "encrypted mp4, animated WebP",
        "refused by name",
        "`tests/media/read/test_probe.py`",
    ),
    (
        "a broadcast of several programs",
        "the one with the largest picture; the others are named as left out",
        "`tests/media/write/test_kept_streams.py`",
    ),
    (
        "sound that begins later, or has pauses, into AVI; PCM with pauses into QuickTime",
        "silence where there is none; a late picture is held from the start",
        "`tests/media/write/test_untimed.py`",
    ),
    (
        "a picture that starts off the sound, into MPEG-1, MPEG-2 or MPEG-4",
        "everything up to a frame later, sound and picture together",
        "the same",
    ),
    (
        "rates that MPEG-4 cannot state, such as 240000/1001, into AVI or mp4",
        "the nearest one that it can",
        "the same",
    ),
    (
        "AMV, whose pictures lie upside down in memory",
        "upright",
        "`tests/media/read/test_reader.py`",
    ),
)
"""Other kinds, what comes out of them, and the tests that make them."""


def test_there_are_enough_kinds_and_the_docs_list_them() -> None:
    assert len(KINDS) >= 40
    assert DOCS.read_text() == table()


def table() -> str:
    """Return the text of docs/inputs.md."""
    lines = [
        "# Inputs that are tested",
        "",
        f"`tests/media/test_input_kinds.py` makes a clip of each of these {len(KINDS)} kinds, passes it",
        "through and compares what comes out: streams, sizes, pixel formats, times and pictures.",
        "",
        "| kind | what it is |",
        "| --- | --- |",
        *(f"| `{name}` | {kind.description} |" for name, kind in KINDS.items()),
        "",
        *JOINED.splitlines(),
        "",
        "## Other kinds, each with a test of its own",
        "",
        "| kind | what comes out | tested in |",
        "| --- | --- | --- |",
        *(f"| {kind} | {result} | {test} |" for kind, result, test in OTHERS),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    DOCS.write_text(table())
