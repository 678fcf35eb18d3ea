"""What is written is what was given: times, colours, pixels, and everything else of the source.

Outputs are read by PyAV directly, not by the code under test.
"""

from __future__ import annotations

import dataclasses
import itertools
import logging
import os
import sys
import threading
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest
from av.stream import Disposition

from tests.writing import open_writer
from videoinr_cli.errors import FfmpegError, OutputError
from videoinr_cli.media.read.prepare import prepare
from videoinr_cli.media.read.probe import probe
from videoinr_cli.media.read.reader import read_frames
from videoinr_cli.media.streams import VideoInfo
from videoinr_cli.media.write.containers import BY_SUFFIX, container_for
from videoinr_cli.media.write.formats import output_format
from videoinr_cli.media.write.times_fit import check_times_fit
from videoinr_cli.options import EncodeOptions, ReadOptions

MakeClip = Callable[..., Path]
RunFfmpeg = Callable[..., None]

FAST = EncodeOptions(preset="ultrafast")


def pictures(count: int, size: tuple[int, int] = (64, 48), *, seed: int = 0) -> list[npt.NDArray[np.uint8]]:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(30, 220, (count, size[1] // 8, size[0] // 8, 3), dtype=np.uint8)
    return list(coarse.repeat(8, axis=1).repeat(8, axis=2))


def copy(source: Path, destination: Path, encoding: EncodeOptions = FAST, **settings: object) -> Path:
    """Pass a video through our reader and writer unchanged."""
    info = probe(source)
    size = (info.width, info.height)
    with open_writer(
        destination, size, info.time_base, info, encoding, end_pts=info.end_pts, **settings
    ) as writer:
        for frame in read_frames(info):
            writer.write(frame.rgb, frame.pts, alpha=frame.alpha)
    return destination


def shown_at(path: Path) -> list[Fraction]:
    with av.open(str(path)) as container:
        return [frame.pts * frame.time_base for frame in container.decode(video=0)]


def video_end(path: Path) -> Fraction:
    """Return when the video ends by the container's own statement."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        if stream.duration is not None and stream.start_time is not None:
            return (stream.start_time + stream.duration) * stream.time_base
        hours, minutes, seconds = stream.metadata["DURATION"].split(":")
        return (int(hours) * 60 + int(minutes)) * 60 + Fraction(seconds)


@pytest.fixture
def source(make_clip: MakeClip) -> VideoInfo:
    return probe(make_clip("source.mp4", filters="format=yuv420p"))


TIMES = [
    (Fraction(1001, 30000), list(range(15)), 15),
    (Fraction(1, 90000), [3003 * n + (n % 3) * 97 for n in range(15)], 45045),
    (Fraction(1, 24), [0, 1, 2, 3, 10, 11, 30], 48),
    (Fraction(1, 180000), [7 + 3003 * n for n in range(12)], 7 + 36036),
    (Fraction(1, 1000), [40 * n for n in range(7)], 1000),
]


@pytest.mark.parametrize(("time_base", "times", "end"), TIMES)
@pytest.mark.parametrize("name", ["out.mp4", "out.mov", "out.mkv", "out.webm", "out.nut"])
def test_times_are_exact_as_far_as_the_container_goes(
    source: VideoInfo, tmp_path: Path, name: str, time_base: Fraction, times: list[int], end: int
) -> None:
    path = tmp_path / name
    with open_writer(path, (64, 48), time_base, source, EncodeOptions(), end_pts=end) as writer:
        for picture, pts in zip(pictures(len(times)), times, strict=True):
            writer.write(picture, pts)
    expected = [pts * time_base for pts in times]
    tolerance = Fraction(1, 2000) if path.suffix in (".mkv", ".webm") else 0
    assert max(abs(one - other) for one, other in zip(shown_at(path), expected, strict=True)) <= tolerance


@pytest.mark.parametrize(
    "encoding", [EncodeOptions(), EncodeOptions(extra=(("bf", "0"),)), EncodeOptions("libx265")], ids=str
)
@pytest.mark.parametrize("name", ["out.mp4", "out.mov", "out.mkv"])
@pytest.mark.parametrize(
    ("time_base", "times", "end"),
    [
        (Fraction(1001, 30000), list(range(20)), 20),
        (Fraction(1001, 30000), list(range(3, 23)), 24),
        (Fraction(1, 1000), [40 * n for n in range(20)], 1600),
        (Fraction(1, 1000), [0, 33, 66, 101, 133, 167, 200, 233, 267, 290], 350),
        (Fraction(1, 1000), [0], 500),
    ],
)
def test_the_last_picture_lasts_as_long_as_it_should(
    source: VideoInfo,
    tmp_path: Path,
    name: str,
    encoding: EncodeOptions,
    time_base: Fraction,
    times: list[int],
    end: int,
) -> None:
    path = tmp_path / name
    with open_writer(path, (64, 48), time_base, source, encoding, end_pts=end, last_pts=times[-1]) as writer:
        for picture, pts in zip(pictures(len(times)), times, strict=True):
            writer.write(picture, pts)
    assert abs(video_end(path) - end * time_base) <= (Fraction(1, 1000) if path.suffix == ".mkv" else 0)


B_FRAMES = [
    EncodeOptions(),
    EncodeOptions(extra=(("bf", "5"), ("b_strategy", "0"))),
    EncodeOptions(extra=(("g", "5"), ("flags", "-cgop"))),
    EncodeOptions("libx265", preset="ultrafast", extra=(("x265-params", "bframes=4:b-adapt=0"),)),
]


@pytest.mark.parametrize("encoding", B_FRAMES, ids=str)
@pytest.mark.parametrize(
    "gaps",
    [[40] * 12 + [2000] * 4, [2000] * 4 + [40] * 12, [1 + 3 * n * n for n in range(17)], [1, 1, 900] * 5],
    ids=str,
)
def test_an_uneven_track_lasts_as_long_as_its_pictures(
    source: VideoInfo, tmp_path: Path, gaps: list[int], encoding: EncodeOptions
) -> None:
    path, time_base = tmp_path / "out.mp4", Fraction(1, 1000)
    *times, end = itertools.accumulate(gaps, initial=0)
    with open_writer(path, (64, 48), time_base, source, encoding, end_pts=end, last_pts=times[-1]) as writer:
        for picture, pts in zip(pictures(len(times)), times, strict=True):
            writer.write(picture, pts)
    assert shown_at(path) == [pts * time_base for pts in times]
    assert video_end(path) == end * time_base
    with av.open(str(path)) as container:
        coded = [(packet.pts, packet.dts) for packet in container.demux(video=0) if packet.size]
    assert all(dts <= pts for pts, dts in coded)
    assert all(earlier < later for (_, earlier), (_, later) in itertools.pairwise(coded))


@pytest.mark.parametrize(
    ("name", "video", "sound"),
    [
        ("in.mp4", "libx264", "aac"),
        ("in.mov", "libx264", "pcm_s16le"),
        ("in.mkv", "libx264", "flac"),
        ("in.webm", "libvpx-vp9", "libopus"),
        ("in.ts", "libx264", "mp2"),
        ("in.avi", "mpeg4", "pcm_s16le"),
    ],
)
@pytest.mark.parametrize(("video_late", "both_late"), [(0, 0), (0.28, 0), (-0.2, 0), (0.28, 5)])
def test_sound_keeps_its_offset_to_the_picture(
    make_clip: MakeClip,
    run_ffmpeg: RunFfmpeg,
    name: str,
    video: str,
    sound: str,
    video_late: float,
    both_late: float,
) -> None:
    picture = make_clip("picture.mkv", "-c:v", "ffv1")
    clip = picture.with_name(name)
    run_ffmpeg(
        *("-itsoffset", both_late + max(video_late, 0), "-i", picture),
        *(
            "-itsoffset",
            both_late + max(-video_late, 0),
            "-f",
            "lavfi",
            "-i",
            "sine=duration=1:sample_rate=48000",
        ),
        *(
            "-map",
            0,
            "-map",
            1,
            "-c:v",
            video,
            "-c:a",
            sound,
            "-bf:v",
            0 if name == "in.avi" else 2,
            "-copyts",
            clip,
        ),
    )
    endings = [".mkv"] if name == "in.avi" else {clip.suffix, ".mkv", ".mp4"}
    for ending in endings:
        if sound == "mp2" and ending == ".mp4":
            continue  # no edit list tells where it starts
        out = copy(clip, clip.with_name(f"out{ending}"))
        assert abs(picture_to_sound(out) - picture_to_sound(clip)) <= Fraction(1, 1000), ending


def picture_to_sound(path: Path) -> Fraction:
    """Return the seconds from the first loud sample to the first picture.

    The first sample alone would not do: an encoder puts silence before it, which not every container marks.
    """
    with av.open(str(path)) as container:
        picture = next(container.decode(video=0))
    with av.open(str(path)) as container:
        sound = list(container.decode(audio=0))
    for frame in sound:
        samples = np.abs(frame.to_ndarray().astype(float)).max(axis=0)
        loud = np.flatnonzero(samples > 0.05 * (1 if frame.format.name.startswith("flt") else 32768))
        if loud.size:
            start = frame.pts * frame.time_base + Fraction(int(loud[0]), frame.sample_rate)
            return picture.pts * picture.time_base - start
    raise AssertionError("there is no sound")


def test_the_output_starts_at_zero(make_clip: MakeClip) -> None:
    out = copy(make_clip("in.ts", frames=5), make_clip("unused.mp4").with_name("out.mp4"))
    assert shown_at(out) == [Fraction(n, 25) for n in range(5)]


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt", "matrix"),
    [
        *(("in.mp4", "libx264", "yuv420p", matrix) for matrix in ("bt709", "smpte170m", "bt2020nc")),
        *(("in.mkv", "libx264", "yuv444p", matrix) for matrix in ("bt709", "smpte170m", "bt2020nc")),
        ("in.mkv", "ffv1", "yuv420p10le", "bt2020nc"),
        ("in.mkv", "ffv1", "yuv422p12le", "bt709"),
        ("in.mkv", "ffv1", "yuva420p", "bt709"),
        ("in.mkv", "ffv1", "gray", "bt709"),
        ("in.mkv", "ffv1", "bgr0", "bt709"),
        ("in.mov", "png", "rgba64be", "bt709"),
    ],
)
@pytest.mark.parametrize("sample_range", ["tv", "pc"])
def test_pictures_pass_within_one_code_value(
    make_clip: MakeClip, name: str, codec: str, pix_fmt: str, matrix: str, sample_range: str
) -> None:
    lossless = EncodeOptions(codec=codec, crf=None, extra=(("qp", "0"),) if codec == "libx264" else ())
    noise = "geq=lum='118+random(1)*20':cb='108+random(2)*40':cr='108+random(3)*40'"
    tags = f"setparams=range={sample_range}:colorspace={matrix}:color_primaries=bt709:color_trc=bt709"
    options = ("-c:v", codec, "-qp:v", 0) if codec == "libx264" else ("-c:v", codec)
    clip = make_clip(name, *options, filters=f"format=yuv444p,{noise},{tags},format={pix_fmt}", frames=2)
    out = copy(clip, clip.with_name("out" + clip.suffix), lossless)
    for before, after in zip(decoded(clip), decoded(out), strict=True):
        assert after.format.name == before.format.name
        if pix_fmt.startswith("yuv"):
            assert (after.colorspace, after.color_range) == (before.colorspace, before.color_range)
        for one, other in zip(before.planes, after.planes, strict=True):
            dtype = ">u2" if pix_fmt.endswith("be") else "<u2" if "1" in pix_fmt else "u1"
            values = [np.frombuffer(bytes(plane), dtype).astype(int) for plane in (one, other)]
            assert np.abs(values[0] - values[1]).max() <= 1


def decoded(path: Path) -> list[av.VideoFrame]:
    with av.open(str(path)) as container:
        return list(container.decode(video=0))


@pytest.mark.parametrize("name", ["out.mp4", "out.mkv", "out.mov", "out.webm"])
def test_colour_is_tagged(make_clip: MakeClip, name: str) -> None:
    tags = "color_primaries=bt2020:color_trc=arib-std-b67:colorspace=bt2020nc:range=tv"
    clip = make_clip("in.mp4", "-chroma_sample_location", 3, filters=f"format=yuv420p10le,setparams={tags}")
    out = copy(clip, clip.with_name(name))
    written = probe(out)
    assert written.pix_fmt == "yuv420p10le"
    assert written.colour.primaries == "bt2020"
    assert written.colour.transfer == "arib-std-b67"
    assert written.colour.matrix == "bt2020nc"
    assert written.colour.range == "limited"
    assert written.colour.chroma_location == "topleft"


@pytest.mark.parametrize(
    ("name", "codec", "transfer"),
    [
        ("out.mp4", "libx264", "smpte2084"),
        ("out.mp4", "libx265", "smpte2084"),
        ("out.mkv", "libx265", "arib-std-b67"),
        ("out.webm", "libvpx-vp9", "smpte2084"),
        ("out.mkv", "libsvtav1", "smpte2084"),
    ],
)
def test_hdr_keeps_its_metadata(make_clip: MakeClip, name: str, codec: str, transfer: str) -> None:
    display = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)"
    tags = f"color_primaries=bt2020:color_trc={transfer}:colorspace=bt2020nc:range=tv"
    clip = make_clip(
        *("in.mp4", "-c:v", "libx265", "-x265-params"),
        f"log-level=none:master-display={display}:max-cll=1000,400",
        filters=f"format=yuv420p10le,setparams={tags}",
    )
    extra = (("x265-params", "log-level=none"),) if codec == "libx265" else ()
    out = copy(clip, clip.with_name(name), EncodeOptions(codec, preset="ultrafast", extra=extra))
    written = probe(out)
    assert written.mastering_display == display
    assert written.content_light == "1000,400"
    assert written.colour.transfer == transfer
    assert written.bit_depth == 10


def test_a_guessed_colour_is_said_and_written_since_the_size_changes(
    make_clip: MakeClip, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Standard definition without tags, enlarged, would be taken for BT.709."""
    source = probe(make_clip("in.mkv", "-c:v", "ffv1", filters="format=yuv420p", frames=1))
    assert source.colour.matrix is None
    caplog.set_level(logging.INFO)
    with open_writer(tmp_path / "out.mp4", (1280, 960), source.time_base, source, FAST) as writer:
        writer.write(pictures(1, (1280, 960))[0], 0)
    (frame,) = decoded(tmp_path / "out.mp4")
    assert frame.colorspace == 6  # SMPTE 170M
    assert "taken for matrix smpte170m, primaries smpte170m, transfer smpte170m" in caplog.text
    assert probe(tmp_path / "out.mp4").colour.primaries == "smpte170m"


@pytest.mark.parametrize(
    ("aspect", "size", "expected"),
    [
        ("1/1", (128, 96), Fraction(1)),
        ("16/11", (128, 96), Fraction(16, 11)),
        ("1/1", (130, 96), Fraction(1)),  # rounded up to even sides
        ("1/1", (128, 48), Fraction(1, 2)),  # squeezed by --size: shown in the source's shape
        ("16/11", (64, 96), Fraction(32, 11)),
    ],
)
def test_the_shape_of_the_picture_is_kept(
    make_clip: MakeClip, tmp_path: Path, aspect: str, size: tuple[int, int], expected: Fraction
) -> None:
    picture = np.zeros((size[1], size[0], 3), np.uint8)
    source = probe(make_clip("in.mp4", filters=f"setsar={aspect}"))
    for name in ("out.mp4", "out.mkv"):
        with open_writer(tmp_path / name, size, source.time_base, source, FAST) as writer:
            writer.write(picture, 0)
        with av.open(str(tmp_path / name)) as container:
            assert container.streams.video[0].sample_aspect_ratio == expected


@pytest.fixture
def full_clip(make_clip: MakeClip, run_ffmpeg: RunFfmpeg, tmp_path: Path) -> Path:
    """Two sounds, two subtitles, chapters, tags, a font and a cover."""
    picture, cover = (
        make_clip("picture.mkv", "-bf", 0, "-c:a", "flac", audio=True, frames=25),
        make_clip("cover.png", "-update", 1, frames=1),
    )
    (tmp_path / "lines.srt").write_text(
        "1\n00:00:00,100 --> 00:00:00,300\nHello\n\n2\n00:00:00,500 --> 00:00:00,900\nBye\n"
    )
    (tmp_path / "tags.txt").write_text(
        ";FFMETADATA1\ntitle=A film\nartist=Somebody\n"
        "[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=400\ntitle=One\n"
        "[CHAPTER]\nTIMEBASE=1/1000\nSTART=400\nEND=1000\ntitle=Two\n"
    )
    lines = tmp_path / "lines.srt"
    full = tmp_path / "full.mkv"
    run_ffmpeg(
        *("-i", picture, "-i", lines, "-i", tmp_path / "tags.txt", "-i", cover),
        *("-map", "0:v", "-map", "0:a", "-map", "0:a", "-map", 1, "-map", 1, "-map", "3:v"),
        *("-map_metadata", 2, "-map_chapters", 2, "-c", "copy", "-c:a:1", "pcm_s16le", "-c:s:0", "ass"),
        *(
            "-metadata:s:v:0",
            "title=Main",
            "-metadata:s:a:0",
            "language=deu",
            "-metadata:s:a:1",
            "language=fra",
        ),
        *(
            "-metadata:s:a:1",
            "title=Commentary",
            "-disposition:a:0",
            0,
            "-disposition:a:1",
            "default+comment",
        ),
        *("-metadata:s:s:0", "language=eng", "-disposition:s:1", "forced+hearing_impaired"),
        *("-disposition:v:1", "attached_pic", "-attach", lines, "-metadata:s:t", "mimetype=font/ttf", full),
    )
    return full


def streams(path: Path) -> list[tuple[str, str, str | None, str | None]]:
    with av.open(str(path)) as container:
        return [
            (
                stream.type,
                stream.codec.canonical_name if stream.codec_context else "",
                stream.metadata.get("language"),
                stream.metadata.get("title"),
            )
            for stream in container.streams
        ]


def chapters(path: Path) -> list[tuple[Fraction, Fraction, str]]:
    with av.open(str(path)) as container:
        return [
            (
                chapter["start"] * chapter["time_base"],
                chapter["end"] * chapter["time_base"],
                chapter["metadata"]["title"],
            )
            for chapter in container.chapters()
        ]


def test_everything_else_is_kept_in_matroska(full_clip: Path) -> None:
    out = copy(full_clip, full_clip.with_name("out.mkv"))
    assert streams(out) == streams(full_clip)
    assert chapters(out) == chapters(full_clip) == [(0, Fraction(2, 5), "One"), (Fraction(2, 5), 1, "Two")]
    with av.open(str(full_clip)) as before, av.open(str(out)) as after:
        assert after.metadata["title"] == "A film"
        assert after.metadata["ARTIST"] == "Somebody"
        assert [int(stream.disposition) for stream in after.streams] == [
            int(stream.disposition) for stream in before.streams
        ]
        assert after.streams.video[0].metadata["ENCODER"].endswith("libx264")


@pytest.mark.parametrize("suffix", sorted(BY_SUFFIX))
def test_chapters_are_kept_or_named(full_clip: Path, suffix: str, caplog: pytest.LogCaptureFixture) -> None:
    out = copy(full_clip, full_clip.with_name(f"out{suffix}"))
    is_kept = [title for _, _, title in chapters(out)] == ["One", "Two"]
    assert is_kept != (" cannot hold a list of chapters: left out" in caplog.text)


def packets(path: Path, index: int) -> list[tuple[Fraction, bytes]]:
    with av.open(str(path)) as container:
        stream = container.streams[index]
        return [
            (packet.pts * packet.time_base, bytes(packet))
            for packet in container.demux(stream)
            if packet.size
        ]


def test_copied_streams_are_the_same_bytes_at_the_same_times(full_clip: Path) -> None:
    out = copy(full_clip, full_clip.with_name("out.mkv"))
    for index in (1, 2, 3, 4):
        before, after = packets(full_clip, index), packets(out, index)
        assert [content for _, content in before] == [content for _, content in after]
        assert [time for time, _ in before] == [time for time, _ in after]


def test_what_mp4_cannot_hold_is_converted_or_named(
    full_clip: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        out = copy(full_clip, full_clip.with_name("out.mp4"))
    kinds = [(kind, codec, language) for kind, codec, language, _ in streams(out) if kind != "data"]
    assert kinds == [
        ("video", "h264", "und"),
        ("audio", "flac", "deu"),
        ("audio", "aac", "fra"),
        ("subtitle", "mov_text", "eng"),
        ("subtitle", "mov_text", "und"),
        ("video", "png", "und"),
    ]
    assert [title for _, _, title in chapters(out)] == ["One", "Two"]
    said = " | ".join(caplog.messages)
    assert "audio stream 2 (pcm_s16le): it becomes aac" in said
    assert "subtitle stream 3 (ass): it becomes mov_text" in said
    assert "attachment stream 6" in said
    assert "attachment stream 6 (of unknown codec): left out" in said
    warned = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warned) == 1


@pytest.mark.parametrize(
    ("holder", "video", "sound", "in_matroska", "in_mp4"),
    [
        ("in.m2ts", "libx264", ("pcm_bluray", "-ac", 2), "flac", "aac"),
        ("in.vob", "mpeg2video", ("pcm_dvd", "-ac", 2), "flac", "aac"),
        ("in.flv", "flv", ("nellymoser", "-ar", 22050), "flac", "aac"),
        ("in.flv", "flv", ("libmp3lame", "-ar", 11025), "mp3", "aac"),
        ("in.mov", "mjpeg", ("adpcm_ima_qt",), "flac", "aac"),
        ("in.mov", "mjpeg", ("pcm_f32be",), "flac", "aac"),
        ("in.3gp", "h263", ("libopencore_amrnb", "-ar", 8000), "amr_nb", "aac"),
    ],
)
def test_sound_that_a_container_has_no_name_for_is_converted(
    make_clip: MakeClip, holder: str, video: str, sound: tuple[object, ...], in_matroska: str, in_mp4: str
) -> None:
    clip = make_clip(holder, "-c:v", video, "-c:a", *sound, audio=True, size=(128, 96), frames=25)
    for name, codec in {"out.mkv": in_matroska, "out.mp4": in_mp4}.items():
        out = copy(clip, clip.with_name(name))
        with av.open(str(out)) as container:
            (heard,) = container.streams.audio
            assert heard.codec.canonical_name == codec
            samples = sum(frame.samples for frame in container.decode(heard))
            assert samples / heard.rate == pytest.approx(1, abs=0.2)


TS_PACKET_BYTES = 188


def without_packets(path: Path, *pids: int) -> Path:
    """Return a copy of an MPEG-TS that announces streams and has no packets of them."""
    whole, emptied = path.read_bytes(), path.with_name("emptied.ts")
    packets = [whole[at : at + TS_PACKET_BYTES] for at in range(0, len(whole), TS_PACKET_BYTES)]
    emptied.write_bytes(b"".join(p for p in packets if (p[1] & 0x1F) << 8 | p[2] not in pids))
    return emptied


@pytest.mark.parametrize("name", ["out.mp4", "out.mkv", "out.ts"])
def test_streams_of_which_there_is_nothing_are_named(
    make_clip: MakeClip, run_ffmpeg: RunFfmpeg, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """As broadcasts announce languages and angles that they do not send."""
    clip = make_clip("in.ts", "-c:v", "mpeg2video", "-c:a", "mp2", audio=True)
    full = clip.with_name("full.ts")
    run_ffmpeg("-i", clip, *("-map", "0:v", "-map", "0:v", "-map", "0:a", "-map", "0:a"), "-c", "copy", full)
    emptied = without_packets(full, 257, 259)  # ffmpeg's first one has PID 256
    out = copy(emptied, clip.with_name(name))
    assert [kind for kind, *_ in streams(out)] == ["video", "audio"]
    assert "nothing of video stream 1 (mpeg2video) is in the file's first seconds" in caplog.text
    assert "nothing of audio stream 3 (mp3) is in the file's first seconds" in caplog.text
    with pytest.raises(OutputError, match="nothing of video stream 1"):
        copy(emptied, clip.with_name(f"strict-{name}"), strict=True)


def test_strict_refuses_to_leave_anything_out(full_clip: Path) -> None:
    with pytest.raises(OutputError, match="attachment stream 6"):
        copy(full_clip, full_clip.with_name("out.mp4"), strict=True)
    assert not full_clip.with_name("out.mp4").exists()


def test_webm_gets_opus_and_webvtt(full_clip: Path) -> None:
    out = copy(full_clip, full_clip.with_name("out.webm"), EncodeOptions())
    assert [codec for _, codec, _, _ in streams(out)] == ["vp9", "opus", "opus", "webvtt", "webvtt"]


def covers(path: Path) -> list[bytes]:
    """Return the pictures for the whole file, each the only packet of a stream that says so."""
    found = []
    with av.open(str(path)) as container:
        for stream in container.streams.video:
            if stream.disposition & Disposition.attached_pic:
                container.seek(0)
                (content,) = [bytes(packet) for packet in container.demux(stream) if packet.size]
                found.append(content)
    return found


@pytest.mark.parametrize("name", ["out.mkv", "out.mp4"])
@pytest.mark.parametrize(("holder", "picture"), [("in.mp4", "cover.jpg"), ("in.mkv", "cover.png")])
def test_a_cover_stays_a_cover(
    make_clip: MakeClip, run_ffmpeg: RunFfmpeg, tmp_path: Path, holder: str, picture: str, name: str
) -> None:
    """In Matroska as an attached file: a copied stream would be a second video there."""
    clip = make_clip("plain.mp4", audio=True)
    cover = make_clip(picture, "-update", 1, frames=1)
    font = make_clip("font.png", "-update", 1, frames=1)  # as good as any file
    source = tmp_path / holder
    if holder == "in.mkv":
        files = ("-attach", font, "-attach", cover, "-metadata:s:t:0", "mimetype=font/ttf")
        run_ffmpeg("-i", clip, "-c", "copy", *files, "-metadata:s:t:1", "mimetype=image/png", source)
    else:
        run_ffmpeg(
            *("-i", clip, "-i", cover, "-map", 0, "-map", 1, "-c", "copy"),
            *("-disposition:v:1", "attached_pic", source),
        )
    assert covers(source) == [cover.read_bytes()]
    out = copy(source, tmp_path / name)
    assert covers(out) == [cover.read_bytes()]
    with av.open(str(out)) as container:
        assert len(container.streams.video) == 2
        attached = [stream.metadata for stream in container.streams if "mimetype" in stream.metadata]
        expected = [("cover" + picture[-4:], {".jpg": "image/jpeg", ".png": "image/png"}[picture[-4:]])]
        if holder == "in.mkv":
            expected.insert(0, ("font.png", "font/ttf"))
        expected = expected if name == "out.mkv" else []
        assert [(tags["filename"], tags["mimetype"]) for tags in attached] == expected


@pytest.mark.parametrize(
    ("codec", "name", "is_kept"),
    [
        ("libvpx", "out.mp4", False),
        ("libvpx-vp9", "out.mov", False),
        ("libvpx-vp9", "out.mp4", True),
        ("prores_ks", "out.mp4", False),
        ("prores_ks", "out.mov", True),
        ("rawvideo", "out.mkv", False),
        ("rawvideo", "out.nut", True),
        ("libvpx", "out.mkv", True),
    ],
)
def test_a_further_video_is_kept_or_named(
    make_clip: MakeClip,
    run_ffmpeg: RunFfmpeg,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    codec: str,
    name: str,
    is_kept: bool,
) -> None:
    clip, source = make_clip("plain.mp4"), tmp_path / "in.nut"
    run_ffmpeg(*("-i", clip, "-map", "0:v", "-map", "0:v", "-c:v:1", codec, "-c:v:0", "libx264"), source)
    out = copy(source, tmp_path / name)
    with av.open(str(out)) as container:
        assert len(container.streams.video) == 1 + is_kept
    assert is_kept != (" cannot hold video stream 1 (" in caplog.text)


def test_a_cover_that_does_not_fit_is_named(
    make_clip: MakeClip, run_ffmpeg: RunFfmpeg, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clip, cover = make_clip("plain.mp4"), make_clip("cover.png", "-update", 1, frames=1)
    source = tmp_path / "in.mkv"
    run_ffmpeg("-i", clip, "-c", "copy", "-attach", cover, "-metadata:s:t", "mimetype=image/png", source)
    copy(source, tmp_path / "out.mov")
    assert "mov cannot hold video stream 1 (png): left out" in caplog.text


@pytest.mark.parametrize(
    ("name", "held", "lost"),
    [
        ("out.mov", {"make": "Apple", "model": "iPhone 15"}, "com.apple.quicktime.software are left out"),
        (
            "out.mp4",
            {},
            "com.apple.quicktime.make, com.apple.quicktime.model, com.apple.quicktime.software are",
        ),
        ("out.mkv", {"COM.APPLE.QUICKTIME.SOFTWARE": "17.4", "COM.APPLE.QUICKTIME.MAKE": "Apple"}, None),
    ],
)
def test_a_phones_tags_are_kept_or_named(
    make_clip: MakeClip, caplog: pytest.LogCaptureFixture, name: str, held: dict[str, str], lost: str | None
) -> None:
    said = {"title": "T", **{f"com.apple.quicktime.{key}": value for key, value in PHONE.items()}}
    words = [word for key, value in said.items() for word in ("-metadata", f"{key}={value}")]
    clip = make_clip("in.mov", "-movflags", "use_metadata_tags", *words)
    with caplog.at_level(logging.INFO):
        out = copy(clip, clip.with_name(name))
    if name != "out.mkv":
        held = {**held, "location": PHONE["location.ISO6709"], "date": PHONE["creationdate"]}
    with av.open(str(out)) as container:
        assert container.metadata.items() >= {"title": "T", **held}.items()
    assert ("has no place for tags" in caplog.text) == (lost is not None)
    assert lost is None or lost in caplog.text
    assert "title" not in caplog.text


PHONE = {
    "make": "Apple",
    "model": "iPhone 15",
    "software": "17.4",
    "creationdate": "2024-05-01T10:00:00+0200",
    "location.ISO6709": "+48.1000+011.5000/",
}

SLOWING = ("-fps_mode", "passthrough")


@pytest.mark.parametrize("name", ["out.y4m", "out.mkv"])
def test_a_small_sources_colours_stay_in_a_large_output(
    make_clip: MakeClip, tmp_path: Path, name: str
) -> None:
    """Where nothing says the matrix, it is that which a reader takes an output of its size for."""
    source = probe(make_clip("in.mkv", "-c:v", "ffv1", picture="smptebars", frames=1))
    out = tmp_path / name
    (frame,) = read_frames(source)
    large = frame.rgb.repeat(15, axis=0).repeat(20, axis=1)
    lossless = EncodeOptions(codec="auto" if name == "out.y4m" else "ffv1")
    with open_writer(out, (1280, 720), source.time_base, source, lossless, frame_rate=Fraction(25)) as writer:
        writer.write(large, 0)
    (shown,) = read_frames(probe(out))
    assert np.abs(shown.rgb.astype(int) - large).mean() < 1.5
    assert probe(out).colour.matrix == (None if name == "out.y4m" else source.resolved_colour.matrix)


@pytest.mark.parametrize("name", ["out.y4m", "out-%03d.png"])
def test_times_that_are_lost_are_said(
    make_clip: MakeClip, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    clip = make_clip("in.mkv", *SLOWING, filters="setpts='(N+max(0,N-5)*2)/25/TB'")
    copy(clip, clip.with_name("alright.mkv"))
    copy(clip, clip.with_name(f"rated-{name}"), frame_rate=Fraction(25))
    assert "time stamps" not in caplog.text
    copy(clip, clip.with_name(name))
    assert "has no time stamps" in caplog.text
    assert "give --fps 25 to keep its duration" in caplog.text
    with pytest.raises(OutputError, match="has no time stamps"):
        copy(clip, clip.with_name(f"strict-{name}"), strict=True)
    even = make_clip("even.mkv", rate="24000/1001")
    copy(even, clip.with_name(f"even-{name}"), strict=True)


@pytest.mark.parametrize("late", [0, 1, 2])
def test_times_that_are_lost_are_said_of_standard_input_too(
    make_clip: MakeClip, caplog: pytest.LogCaptureFixture, late: int
) -> None:
    """Which is only known as they come; a tick of a thousandth of a second is what rounding takes."""
    clip = make_clip("in.mkv", frames=1)
    piped = dataclasses.replace(probe(clip), path=Path("-"))
    assert piped.time_base == Fraction(1, 1000)
    size = (piped.width, piped.height)

    def write(name: str, *, strict: bool) -> None:
        with open_writer(clip.with_name(name), size, piped.time_base, piped, FAST, strict=strict) as writer:
            for number, picture in enumerate(pictures(4, size)):
                writer.write(picture, 40 * number + (late if number == 3 else 0))

    write("out.y4m", strict=False)
    assert ("has no time stamps" in caplog.text) == (late == 2)
    if late == 2:
        with pytest.raises(OutputError, match="has no time stamps"):
            write("strict.y4m", strict=True)
        assert not clip.with_name("strict.y4m").exists()


def test_times_outside_of_a_part_do_not_matter(make_clip: MakeClip) -> None:
    clip = make_clip("in.mkv", "-g", 1, *SLOWING, filters="setpts='(N+max(0,N-5)*2)/25/TB'")
    even, uneven = (prepare(clip, ReadOptions(end=Fraction(end))) for end in ("0.2", "0.4"))
    check_times_fit(even, container_for("out.y4m"), strict=True)
    with pytest.raises(OutputError):
        check_times_fit(uneven, container_for("out.y4m"), strict=True)


def test_a_codec_must_fit_its_container(source: VideoInfo) -> None:
    with pytest.raises(OutputError, match="webm cannot hold what libx264 makes; try --codec libvpx-vp9"):
        output_format("out.webm", source, EncodeOptions(codec="libx264"))
    with pytest.raises(OutputError, match=r"'out\.xyz' names no video format"):
        output_format("out.xyz", source, EncodeOptions())
    with pytest.raises(OutputError, match="no pixel format 'yuv999p'"):
        output_format("out.mp4", source, EncodeOptions(pix_fmt="yuv999p"))
    with pytest.raises(OutputError, match="libx264 does not take pixel format gbrp12le"):
        output_format("out.mp4", source, EncodeOptions(pix_fmt="gbrp12le"))


@pytest.mark.parametrize(
    ("name", "encoder", "pix_fmt", "multiple"),
    [
        ("out.mp4", "libx264", "yuv420p", (2, 2)),
        ("out.webm", "libvpx-vp9", "yuv420p", (2, 2)),
        ("out.gif", "gif", None, (1, 1)),
        ("out.apng", "apng", "rgb24", (1, 1)),
    ],
)
def test_each_container_has_its_customary_encoder(
    source: VideoInfo, name: str, encoder: str, pix_fmt: str | None, multiple: tuple[int, int]
) -> None:
    chosen = output_format(name, source, EncodeOptions())
    assert chosen.encoder.name == encoder
    assert pix_fmt in (None, chosen.pix_fmt)
    assert chosen.size_multiple == multiple


def test_the_name_appears_only_when_the_file_is_complete(source: VideoInfo, tmp_path: Path) -> None:
    path, partial = tmp_path / "out.mp4", tmp_path / "out.mp4.part"
    with open_writer(path, (64, 48), source.time_base, source, FAST) as writer:
        for pts, picture in enumerate(pictures(3)):
            writer.write(picture, pts * 512)
        assert partial.exists()
        assert not path.exists()
    assert not partial.exists()
    assert len(decoded(path)) == 3


def nothing_is_left(folder: Path) -> bool:
    left = [path.name for path in folder.iterdir() if path.name.startswith("out")]
    threads = [thread.name for thread in threading.enumerate() if thread.name == "ffmpeg-stderr"]
    return not left and not threads


def test_nothing_is_left_after_an_exception(source: VideoInfo, tmp_path: Path) -> None:
    def interrupted() -> None:
        with open_writer(tmp_path / "out.mp4", (64, 48), source.time_base, source, FAST) as writer:
            writer.write(pictures(1)[0], 0)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert nothing_is_left(tmp_path)


def test_what_ffmpeg_refuses_is_said_and_nothing_is_left(source: VideoInfo, tmp_path: Path) -> None:
    encoding = dataclasses.replace(FAST, extra=(("profile", "nosuch"),))

    def refused() -> None:
        with open_writer(tmp_path / "out.mp4", (64, 48), source.time_base, source, encoding) as writer:
            for pts, picture in enumerate(itertools.islice(itertools.cycle(pictures(3)), 2000)):
                writer.write(picture, pts * 512)

    with pytest.raises(FfmpegError, match="invalid profile: nosuch") as caught:
        refused()
    assert "\n" not in str(caught.value)
    assert nothing_is_left(tmp_path)


def test_an_ffmpeg_that_dies_is_an_error_and_no_hang(source: VideoInfo, tmp_path: Path) -> None:
    def killed() -> None:
        with open_writer(tmp_path / "out.mp4", (640, 480), source.time_base, source, FAST) as writer:
            for pts, picture in enumerate(itertools.islice(itertools.cycle(pictures(3, (640, 480))), 200)):
                if pts == 5:
                    writer._process._process.kill()
                writer.write(picture, pts * 512)

    with pytest.raises(FfmpegError, match="killed by SIGKILL"):
        killed()
    assert nothing_is_left(tmp_path)


def test_existing_files_are_replaced_only_on_demand(source: VideoInfo, tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    path.write_text("precious")
    with pytest.raises(OutputError, match="exists; choose another name, or replace it with -y"):
        open_writer(path, (64, 48), source.time_base, source, FAST)
    assert path.read_text() == "precious"
    with pytest.raises(KeyboardInterrupt):  # noqa: SIM117
        with open_writer(path, (64, 48), source.time_base, source, FAST, overwrite=True):
            raise KeyboardInterrupt
    assert path.read_text() == "precious"
    with open_writer(path, (64, 48), source.time_base, source, FAST, overwrite=True) as writer:
        writer.write(pictures(1)[0], 0)
    assert len(decoded(path)) == 1


def test_places_that_cannot_be_written_are_named(source: VideoInfo, tmp_path: Path) -> None:
    for path, words in [
        (tmp_path / "nowhere" / "out.mp4", "there is no folder .*nowhere"),
        (tmp_path, "is a folder"),
        (source.path, "is the source itself"),
        (Path("/proc/out.mp4"), "cannot be written|may not be written to"),
        (tmp_path / "out", "names no video format"),
    ]:
        with pytest.raises(OutputError, match=words):
            open_writer(path, (64, 48), source.time_base, source, FAST, overwrite=True)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_named(source: VideoInfo, tmp_path: Path) -> None:
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o500)
    with pytest.raises(OutputError, match="may not be written to"):
        open_writer(folder / "out.mp4", (64, 48), source.time_base, source, FAST)


def test_names_that_ffmpeg_would_misread(make_clip: MakeClip, tmp_path: Path) -> None:
    odd = tmp_path / "-a:b %d 'q' [x].mp4"
    make_clip("in.mp4", audio=True).rename(odd)
    out = copy(odd, tmp_path / "-out:%03d, 'ö'.mkv")
    assert len(decoded(out)) == 10
    assert [kind for kind, *_ in streams(out)] == ["video", "audio"]


@pytest.mark.skipif(sys.platform in ("darwin", "win32"), reason="names are text there")
@pytest.mark.parametrize("name", [b"\xe9.mp4", b"\xe9.mkv", b"\xe9-%03d.png"])
def test_names_that_are_no_utf_8(make_clip: MakeClip, tmp_path: Path, name: bytes) -> None:
    odd = tmp_path / os.fsdecode(b"lat\xe9in.mp4")
    make_clip("in.mp4", audio=True).rename(odd)
    copy(odd, tmp_path / os.fsdecode(name))
    left = [b"\xe9-%03d.png" % number for number in range(1, 11)] if name.endswith(b"png") else [name]
    assert sorted(os.fsencode(file.name) for file in tmp_path.iterdir()) == sorted([b"lat\xe9in.mp4", *left])


@pytest.mark.parametrize(
    ("holder", "codec", "name", "encoder"),
    [
        ("in.mov", "png", "out.mov", "prores_ks"),
        ("in.mov", "prores_ks", "out.webm", "auto"),
        ("in.webm", "libvpx-vp9", "out.webm", "auto"),
        ("in.webm", "libvpx", "out.mkv", "ffv1"),
        ("in.apng", "apng", "%02d.png", "auto"),
    ],
)
def test_transparency_is_kept_where_the_codec_holds_it(
    make_clip: MakeClip, run_ffmpeg: RunFfmpeg, holder: str, codec: str, name: str, encoder: str
) -> None:
    """A picture that becomes opaque from left to right; ffmpeg itself reads it again, by libvpx."""
    pix_fmt = {"prores_ks": "yuva444p10le", "libvpx": "yuva420p", "libvpx-vp9": "yuva420p"}.get(codec, "rgba")
    ramp = "format=rgba,geq=r='X':g='Y':b=9:a='X*4'"
    quality = ("-crf", 4, "-b:v", "2M", "-auto-alt-ref", 0) if "vpx" in codec else ()
    options = ("-c:v", codec, "-pix_fmt", pix_fmt, *quality)
    clip = make_clip(holder, *options, filters=ramp, frames=3)
    out = copy(clip, clip.with_name(name), EncodeOptions(codec=encoder, crf=4))
    shown = clip.with_name("shown.mkv")
    decoder = ("-c:v", "libvpx-vp9") if name == "out.webm" else ()
    run_ffmpeg(*decoder, "-i", out, "-c:v", "ffv1", "-pix_fmt", "bgra", shown)
    frames = decoded(shown)
    assert len(frames) == 3
    for frame in frames:
        alpha = frame.to_ndarray(format="rgba")[..., 3].astype(int)
        assert np.abs(alpha - np.arange(64) * 4).max() <= 6  # of lossy coding


def test_transparency_that_is_lost_is_said(make_clip: MakeClip, caplog: pytest.LogCaptureFixture) -> None:
    clip = make_clip("in.mov", "-c:v", "png", filters="format=rgba", frames=2)
    with caplog.at_level(logging.INFO):
        copy(clip, clip.with_name("out.mp4"))
    assert "libx264 holds no transparency" in caplog.text
