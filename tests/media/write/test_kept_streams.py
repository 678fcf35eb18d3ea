"""A source's other streams, chapters and tags are kept, converted, or named as left out."""

from __future__ import annotations

import logging
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition

from tests.conftest import MakeClip, RunFfmpeg
from tests.media.write.outputs import copy, decoded, streams
from videoinr_cli.errors import OutputError
from videoinr_cli.media.read.probe import probe
from videoinr_cli.media.write.containers import BY_SUFFIX
from videoinr_cli.options import EncodeOptions


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


def packets(path: Path, index: int) -> list[tuple[Fraction, bytes]]:
    with av.open(str(path)) as container:
        stream = container.streams[index]
        return [
            (packet.pts * packet.time_base, bytes(packet))
            for packet in container.demux(stream)
            if packet.size
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


@pytest.mark.parametrize("name", ["out.mp4", "out.mov"])
@pytest.mark.parametrize("shown", [None, 0, 1])
def test_subtitles_are_shown_unasked_only_if_they_were(
    make_clip: MakeClip, run_ffmpeg: RunFfmpeg, tmp_path: Path, name: str, shown: int | None
) -> None:
    """With chapters, which are a track of text as well."""
    (tmp_path / "lines.srt").write_text("1\n00:00:00,000 --> 00:00:00,300\nHello\n")
    (tmp_path / "tags.txt").write_text(
        ";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=400\ntitle=One\n"
    )
    marks = [
        word for place in (0, 1) for word in (f"-disposition:s:{place}", "default" if place == shown else 0)
    ]
    run_ffmpeg(
        *(
            "-i",
            make_clip("plain.mp4", audio=True),
            "-i",
            tmp_path / "lines.srt",
            "-i",
            tmp_path / "tags.txt",
        ),
        *("-map", 0, "-map", 1, "-map", 1, "-map_chapters", 2, *marks, tmp_path / "in.mkv"),
    )
    out = copy(tmp_path / "in.mkv", tmp_path / name)
    with av.open(str(out)) as container:
        flags = [bool(subtitle.disposition & Disposition.default) for subtitle in container.streams.subtitles]
        assert flags == [place == shown for place in (0, 1)]
        assert len(list(container.decode(container.streams.subtitles[1]))) >= 1
        assert container.streams.video[0].disposition & Disposition.default
        assert container.streams.audio[0].disposition & Disposition.default
    assert [title for _, _, title in chapters(out)] == ["One"]


def test_webm_gets_opus_and_webvtt(full_clip: Path) -> None:
    out = copy(full_clip, full_clip.with_name("out.webm"), EncodeOptions())
    assert [codec for _, codec, _, _ in streams(out)] == ["vp9", "opus", "opus", "webvtt", "webvtt"]


def test_strict_refuses_to_leave_anything_out(full_clip: Path) -> None:
    with pytest.raises(OutputError, match="attachment stream 6"):
        copy(full_clip, full_clip.with_name("out.mp4"), strict=True)
    assert not full_clip.with_name("out.mp4").exists()


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
        ("in.flv", "flv", ("adpcm_swf", "-ar", 44100, "-ac", 1), "flac", "aac"),
        ("in.ts", "mpeg2video", ("aac", "-mpegts_flags", "latm"), "flac", "aac"),  # stored as LATM
        ("in.avi", "mjpeg", ("adpcm_ms",), "adpcm_ms", "aac"),
        ("in.mov", "mjpeg", ("pcm_mulaw",), "pcm_mulaw", "aac"),
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
        ("qtrle", "out.mkv", False),
        ("qtrle", "out.mov", True),
        ("svq1", "out.mkv", False),
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
    clip = make_clip("plain.mp4")
    source = tmp_path / ("in.mov" if codec in ("qtrle", "svq1") else "in.nut")
    run_ffmpeg(*("-i", clip, "-map", "0:v", "-map", "0:v", "-c:v:1", codec, "-c:v:0", "libx264"), source)
    out = copy(source, tmp_path / name)
    with av.open(str(out)) as container:
        assert len(container.streams.video) == 1 + is_kept
    assert is_kept != (" cannot hold video stream 1 (" in caplog.text)
    can_mkv_hold_it = codec not in ("rawvideo", "qtrle", "svq1")
    assert ("left out; try an output in .mkv" in caplog.text) == (can_mkv_hold_it and not is_kept)


@pytest.mark.parametrize("is_shared", [False, True])
def test_of_a_playlist_with_variants_the_largest_is_kept_with_its_sound(
    make_clip: MakeClip, run_ffmpeg: RunFfmpeg, tmp_path: Path, is_shared: bool
) -> None:
    """The sound of each variant, or one that all share."""
    small = make_clip("small.mp4", "-c:a", "aac", audio=True, frames=25)
    large = make_clip("large.mp4", "-c:a", "aac", audio=True, frames=25, size=(128, 96))
    parts = (
        {"a": (small, "0:v"), "b": (large, "0:v"), "c": (small, "0:a")}
        if is_shared
        else {"a": (small, "0"), "b": (large, "0")}
    )
    for name, (clip, mapped) in parts.items():
        run_ffmpeg("-i", clip, "-map", mapped, "-c", "copy", "-f", "hls", tmp_path / f"{name}.m3u8")
    media = '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="c",NAME="one",DEFAULT=YES,URI="c.m3u8"\n' if is_shared else ""
    shared = ',AUDIO="c"' if is_shared else ""
    (tmp_path / "in.m3u8").write_text(
        f"#EXTM3U\n{media}#EXT-X-STREAM-INF:BANDWIDTH=90000{shared}\na.m3u8\n"
        f"#EXT-X-STREAM-INF:BANDWIDTH=90000{shared}\nb.m3u8\n"
    )
    out = copy(tmp_path / "in.m3u8", tmp_path / "out.mkv")
    assert [(kind, codec) for kind, codec, *_ in streams(out)] == [("video", "h264"), ("audio", "aac")]
    assert decoded(out)[0].width == 128


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


def test_a_cover_that_does_not_fit_is_named(
    make_clip: MakeClip, run_ffmpeg: RunFfmpeg, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clip, cover = make_clip("plain.mp4"), make_clip("cover.png", "-update", 1, frames=1)
    source = tmp_path / "in.mkv"
    run_ffmpeg("-i", clip, "-c", "copy", "-attach", cover, "-metadata:s:t", "mimetype=image/png", source)
    copy(source, tmp_path / "out.mov")
    assert "mov cannot hold video stream 1 (png): left out" in caplog.text


PHONE = {
    "make": "Apple",
    "model": "iPhone 15",
    "software": "17.4",
    "creationdate": "2024-05-01T10:00:00+0200",
    "location.ISO6709": "+48.1000+011.5000/",
}


@pytest.mark.parametrize(
    ("name", "held", "lost"),
    [
        ("out.mov", {"make": "Apple", "model": "iPhone 15"}, "com.apple.quicktime.software; an output"),
        (
            "out.mp4",
            {},
            "com.apple.quicktime.make, com.apple.quicktime.model, com.apple.quicktime.software; an",
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
    assert ("has no place for these tags" in caplog.text) == (lost is not None)
    assert lost is None or lost in caplog.text
    assert "title" not in caplog.text


def test_other_programs_of_a_broadcast_are_named_and_left_out(
    run_ffmpeg: RunFfmpeg, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clip = tmp_path / "in.ts"
    pictures = [f"testsrc2=size={size}:rate=25:duration=1" for size in ("64x48", "96x64")]
    tones = [f"sine=frequency={hz}:sample_rate=48000:duration=1" for hz in (400, 800)]
    inputs = [word for source in (*pictures, *tones) for word in ("-f", "lavfi", "-i", source)]
    maps = [word for number in range(4) for word in ("-map", number)]
    programs = ("-program", "title=One:st=0:st=2", "-program", "title=Two:st=1:st=3")
    run_ffmpeg(*inputs, *maps, "-c:v", "libx264", "-c:a", "mp2", *programs, clip)
    info = probe(clip)
    assert (info.width, info.other_programs, len(info.streams)) == (96, 1, 1)
    with av.open(str(copy(clip, tmp_path / "out.mkv"))) as container:
        assert [stream.type for stream in container.streams] == ["video", "audio"]
        frame = list(container.decode(audio=0))[20]
    spectrum = np.abs(np.fft.rfft(frame.to_ndarray()[0]))
    assert abs(int(spectrum.argmax()) * 48000 / frame.samples - 800) < 50
    assert "holds 1 more of a broadcast's programs: left out; ffmpeg -map 0:p:NUMBER" in caplog.text
    with pytest.raises(OutputError, match="more of a broadcast's programs"):
        copy(clip, tmp_path / "strict.mkv", strict=True)


@pytest.mark.parametrize("name", ["out.mkv", "out.webm", "out.nut"])
def test_tags_of_the_form_of_an_mp4_do_not_go_into_another_one(make_clip: MakeClip, name: str) -> None:
    clip = make_clip("in.mp4", "-metadata", "title=Sea", frames=3)
    with av.open(str(copy(clip, clip.with_name(name), EncodeOptions()))) as container:
        tags = {key.lower(): value for key, value in container.metadata.items()}
    assert tags["title"] == "Sea"
    assert not {"major_brand", "minor_version", "compatible_brands"}.intersection(tags)
