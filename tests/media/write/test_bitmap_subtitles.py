"""Subtitles that are pictures, as on discs: kept where the output holds them, and at their times."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path

import av
import pytest

from tests.conftest import MakeClip, RunFfmpeg
from tests.writing import open_writer
from videoinr_cli.media.read.prepare import prepare
from videoinr_cli.media.read.reader import read_frames
from videoinr_cli.options import EncodeOptions, ReadOptions

SPANS = [(0.0, 0.4), (0.8, 1.2)]  # seconds


def segment(seconds: float, kind: int, content: bytes) -> bytes:
    return b"PG" + struct.pack(">IIBH", round(seconds * 90_000), 0, kind, len(content)) + content


def presentation(number: int, begin: float, end: float) -> bytes:
    """Show and remove a white box of 8x4 pixels, as a Blu-ray disc does."""
    window = struct.pack(">BBHHHH", 1, 0, 4, 4, 8, 4)
    palette = bytes([0, 0, 1, 235, 128, 128, 255])
    lines = (b"\x01" * 8 + b"\0\0") * 4
    picture = struct.pack(">HBB", 0, 0, 0xC0) + (len(lines) + 4).to_bytes(3, "big")
    picture += struct.pack(">HH", 8, 4) + lines
    placed = struct.pack(">HBBHH", 0, 0, 0, 4, 4)
    shown = struct.pack(">HHBHBBBB", 64, 48, 0x10, number, 0x80, 0, 0, 1) + placed
    cleared = struct.pack(">HHBHBBBB", 64, 48, 0x10, number + 1, 0, 0, 0, 0)
    parts = [(0x16, shown), (0x17, window), (0x14, palette), (0x15, picture), (0x80, b"")]
    first = b"".join(segment(begin, kind, content) for kind, content in parts)
    return first + b"".join(
        segment(end, kind, content) for kind, content in [(0x16, cleared), (0x17, window), (0x80, b"")]
    )


@pytest.fixture
def disc(make_clip: MakeClip, run_ffmpeg: RunFfmpeg, tmp_path: Path) -> Path:
    """Two seconds with subtitles of a Blu-ray disc and, made from them by ffmpeg, of a DVD."""
    clip = make_clip("plain.mkv", "-c:v", "libx264", "-bf", 0, "-g", 10, "-c:a", "aac", audio=True, frames=50)
    (tmp_path / "lines.sup").write_bytes(b"".join(presentation(2 * n, *s) for n, s in enumerate(SPANS)))
    run_ffmpeg(
        *("-i", clip, "-i", tmp_path / "lines.sup", "-map", 0, "-map", 1, "-map", 1),
        *("-c", "copy", "-c:s:1", "dvdsub", tmp_path / "in.mkv"),
    )
    return tmp_path / "in.mkv"


def upscale(source: Path, name: str, reading: ReadOptions | None = None) -> Path:
    info = prepare(source, reading or ReadOptions())
    encoding = EncodeOptions(preset="ultrafast")
    destination = source.with_name(name)
    with open_writer(destination, (64, 48), info.time_base, info, encoding, end_pts=info.end_pts) as writer:
        for frame in read_frames(info):
            writer.write(frame.rgb, frame.pts)
    return destination


def subtitles(path: Path) -> dict[str, list[tuple[float, bytes]]]:
    """Return when each picture begins, in seconds, and its bytes, by codec."""
    found = {}
    with av.open(str(path)) as container:
        for stream in container.streams.subtitles:
            container.seek(0)
            packets = [packet for packet in container.demux(stream) if packet.size]
            name = stream.codec.canonical_name
            found[name] = [(round(float(p.pts * p.time_base), 3), bytes(p)) for p in packets]
    return found


@pytest.mark.recent
def test_matroska_keeps_them(disc: Path) -> None:
    given = subtitles(disc)
    assert [time for time, _ in given["hdmv_pgs_subtitle"]] == [0, 0.4, 0.8, 1.2]
    assert [time for time, _ in given["dvd_subtitle"]] == [0, 0.8]
    assert subtitles(upscale(disc, "out.mkv")) == given


def test_mp4_keeps_those_of_dvds(disc: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Though ffmpeg has said of them that they last for 50 days, which mp4 does not take."""
    assert subtitles(upscale(disc, "out.mp4")) == {"dvd_subtitle": subtitles(disc)["dvd_subtitle"]}
    assert "mp4 cannot hold subtitle stream 2 (hdmv_pgs_subtitle): left out" in caplog.text


def test_m2ts_keeps_those_of_blu_ray_discs(disc: Path) -> None:
    out = upscale(disc, "out.m2ts")
    with av.open(str(out)) as container:
        assert [stream.codec.canonical_name for stream in container.streams] == [
            "h264", "ac3", "hdmv_pgs_subtitle"
        ]  # fmt: skip
    (kept,) = subtitles(out).values()
    given = subtitles(disc)["hdmv_pgs_subtitle"]
    assert [content for _, content in kept] == [content for _, content in given]
    starts = [time - kept[0][0] for time, _ in kept]
    assert starts == pytest.approx([time for time, _ in given], abs=0.001)


@pytest.mark.recent
def test_they_stay_with_the_picture_where_recordings_are_joined(disc: Path, tmp_path: Path) -> None:
    """Two files of two seconds, whose clocks start alike."""
    part = upscale(disc, "part.m2ts")
    (tmp_path / "joined.m2ts").write_bytes(2 * part.read_bytes())
    (once,) = subtitles(upscale(part, "once.mkv")).values()
    (twice,) = subtitles(upscale(tmp_path / "joined.m2ts", "twice.mkv")).values()
    assert [content for _, content in twice] == 2 * [content for _, content in once]
    starts = [time for time, _ in once]
    expected = [*starts, *(time + 2 for time in starts)]
    assert [time for time, _ in twice] == pytest.approx(expected, abs=0.05)


@pytest.mark.recent
def test_what_begins_with_a_part_is_in_it(disc: Path) -> None:
    out = upscale(disc, "out.mkv", ReadOptions(start=Fraction("0.8")))
    assert [time for time, _ in subtitles(out)["hdmv_pgs_subtitle"]] == [0, 0.4]
