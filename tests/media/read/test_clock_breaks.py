"""Recordings joined end to end: sound and picture stay together, whatever their clocks did at the joint."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.conftest import RunFfmpeg
from tests.oracle.blend import BlendVideoInr
from videoinr_cli.errors import FfmpegError
from videoinr_cli.jobs.upscale import upscale_video
from videoinr_cli.media.ffmpeg import find_ffmpeg
from videoinr_cli.media.read.clock_breaks import scan_clock
from videoinr_cli.media.read.probe import probe
from videoinr_cli.media.read.reader import read_frames
from videoinr_cli.media.read.timing import measure_timing
from videoinr_cli.options import EncodeOptions, ReadOptions, UpscaleOptions

Record = Callable[..., Path]

WHITE = "between(t,1,1.2)"
"""When a recording of two seconds is white and beeps."""

PACKET_SECONDS = Fraction(4, 100)
"""By how much sound may be off: a packet of it, and the frame that the picture goes on with after a joint."""


@pytest.fixture
def record(run_ffmpeg: RunFfmpeg, tmp_path: Path) -> Record:
    """Return a function that makes a recording of two seconds whose clock starts anywhere."""

    def make(name: str, start_seconds: int, *options: object, filters: str = "anull") -> Path:
        path = tmp_path / name
        white = f"drawbox=c=white:t=fill:enable='{WHITE}'"
        beep = f"volume=8,volume=enable='not({WHITE})':volume=0"
        codecs = ("-c:v", "mpeg2video", "-q:v", 4, "-bf", 2, "-c:a", "mp2")
        run_ffmpeg(
            *("-f", "lavfi", "-i", f"color=black:s=64x48:r=25:d=2,{white}"),
            *("-f", "lavfi", "-i", f"sine=f=880:d=2:r=48000,{beep},{filters}"),
            *(*codecs, *options, "-output_ts_offset", start_seconds, path),
        )
        return path

    return make


def joined(*recordings: Path) -> Path:
    path = recordings[0].with_stem("joined")
    path.write_bytes(b"".join(recording.read_bytes() for recording in recordings))
    return path


def upscaled(source: Path, name: str, **options: object) -> tuple[list[Fraction], list[Fraction]]:
    """Return when the output becomes white, and when it beeps, in seconds from its start."""
    out = source.with_name(name)
    wanted = {"scale": 1.0, "encode": EncodeOptions(preset="ultrafast"), "strict": True, **options}
    upscale_video(source, out, UpscaleOptions(**wanted), model=BlendVideoInr())  # type: ignore[arg-type]
    with av.open(str(out)) as container:
        light = [(f.pts * f.time_base, f.to_ndarray(format="gray").mean()) for f in container.decode(video=0)]
    with av.open(str(out)) as container:
        sound = [(f.pts * f.time_base, np.abs(f.to_ndarray()).max()) for f in container.decode(audio=0)]
    loud = max(level for _, level in sound) / 4
    return (
        _beginnings([at for at, level in light if level > 180]),
        _beginnings([at for at, level in sound if level > loud]),
    )


def _beginnings(times: list[Fraction]) -> list[Fraction]:
    before = [Fraction(-1), *times]
    return [time for earlier, time in itertools.pairwise(before) if time - earlier > Fraction(1, 2)]


def assert_together(found: tuple[list[Fraction], list[Fraction]], expected: list[float]) -> None:
    for times in found:
        assert len(times) == len(expected), found
        assert all(abs(time - at) <= PACKET_SECONDS for time, at in zip(times, expected, strict=True)), found


@pytest.mark.parametrize("name", ["out.mkv", "out.mp4", "out.webm"])
@pytest.mark.parametrize("second_start", [3, 500])
def test_sound_stays_with_the_picture_when_the_clock_starts_anew_or_jumps_ahead(
    record: Record, second_start: int, name: str
) -> None:
    """Copied, in mkv and mp4, and converted, in webm."""
    source = joined(record("a.ts", 10), record("b.ts", second_start))
    assert_together(upscaled(source, name), [1, 3])


@pytest.mark.parametrize("name", ["out.mkv", "out.mp4"])
def test_so_it_does_in_parts_of_a_disc(record: Record, name: str) -> None:
    part = record("a.vob", 0, "-c:a", "ac3", "-f", "vob")
    assert_together(upscaled(joined(part, part), name), [1, 3])


@pytest.mark.parametrize(
    ("name", "codecs"),
    [
        ("a.flv", ("-c:v", "libx264", "-bf", 2, "-c:a", "aac")),
        ("a.webm", ("-c:v", "libvpx", "-b:v", "1M", "-c:a", "libopus")),
        ("a.mkv", ("-c:v", "libx264", "-bf", 2, "-c:a", "aac")),
        ("live.mkv", ("-c:v", "libx264", "-bf", 2, "-c:a", "aac", "-live", 1)),
    ],
)
def test_so_it_does_beyond_mpeg(record: Record, name: str, codecs: tuple[object, ...]) -> None:
    """Flash video whose recorder connected anew, and joined WebM, with an index and without."""
    part = record(name, 0, *codecs)
    content = part.read_bytes()
    whole = part.with_stem("joined")
    whole.write_bytes(content + content[13 if name.endswith(".flv") else 0 :])  # one header is enough
    late = 0.02 if name.endswith(".flv") else 0  # the picture, so that the second part begins after both
    assert_together(upscaled(whole, "out.mkv"), [1 + late, 3 + 2 * late])


def test_so_it_does_in_a_playlist_with_a_discontinuity(record: Record) -> None:
    part = record("a.ts", 5)
    playlist = part.with_name("in.m3u8")
    lines = ["#EXTM3U", "#EXT-X-VERSION:3", "#EXT-X-TARGETDURATION:3"]
    lines += ["#EXTINF:2.0,", "a.ts", "#EXT-X-DISCONTINUITY", "#EXTINF:2.0,", "a.ts", "#EXT-X-ENDLIST"]
    playlist.write_text("\n".join(lines) + "\n")
    assert_together(upscaled(playlist, "out.mp4"), [1, 3])


@pytest.mark.parametrize("name", ["out.mkv", "out.webm"])
@pytest.mark.parametrize(
    ("start", "end", "speed", "expected"),
    [
        ("2.5", None, "1", [0.5]),
        (None, "3.1", "1", [1, 3]),
        ("0.5", "2.5", "1", [0.5]),
        ("2.5", "3.5", "2", [0.25]),
    ],
)
@pytest.mark.parametrize("second_start", [3, 500])
def test_so_it_does_in_a_range_of_the_whole(
    record: Record,
    second_start: int,
    start: str | None,
    end: str | None,
    speed: str,
    expected: list[float],
    name: str,
) -> None:
    source = joined(record("a.ts", 10), record("b.ts", second_start))
    read = ReadOptions(start=start and Fraction(start), end=end and Fraction(end))  # type: ignore[arg-type]
    assert_together(upscaled(source, name, read=read, speed=Fraction(speed)), expected)
    length = (Fraction(end or 4) - Fraction(start or 0)) / Fraction(speed)
    with av.open(str(source.with_name(name))) as container:
        sound = [packet.pts * packet.time_base for packet in container.demux(audio=0) if packet.size]
    assert abs(sound[-1] - length) <= 2 * PACKET_SECONDS


@pytest.mark.parametrize("name", ["out.mkv", "out.webm"])
@pytest.mark.parametrize("start", [None, "0.5"])
def test_sound_stays_with_the_picture_where_the_clock_runs_over(
    record: Record, start: str | None, name: str
) -> None:
    """A clock of 33 bits, which begins anew 1.7 s after the recording: its start is told as before zero."""
    source = record("a.ts", 95_442)
    assert probe(source).origin < 0
    read = ReadOptions(start=start and Fraction(start))  # type: ignore[arg-type]
    assert_together(upscaled(source, name, read=read), [1 - float(start or 0)])


def test_a_file_of_many_recordings_is_as_long_as_they_are(record: Record) -> None:
    first, second = record("a.ts", 10), record("b.ts", 3)
    source = probe(joined(first, second, second, first, second))
    assert len(source.clock_shifts) == 3  # from 5 to 10 s it is not far ahead enough to be another clock
    frames = [frame.pts * source.time_base for frame in read_frames(source)]
    assert len(frames) == 250
    gaps = [later - earlier for earlier, later in itertools.pairwise(frames)]
    assert sorted(gaps)[-2] < Fraction(1, 10)
    assert source.duration is not None
    assert abs(frames[-1] + Fraction(1, 25) - frames[0] - source.duration) <= Fraction(1, 100)


def test_frames_of_joined_recordings_are_at_a_constant_rate(record: Record) -> None:
    timing = measure_timing(probe(joined(record("a.ts", 10, "-an"), record("b.ts", 3, "-an"))))
    assert timing is not None
    assert timing.is_constant
    assert timing.average == 25


def test_one_recording_has_one_clock(record: Record) -> None:
    for name, options in (("a.ts", ()), ("a.vob", ("-f", "vob")), ("b.ts", ("-c:v", "libx264"))):
        source = record(name, 5, *options)
        with av.open(str(source)) as container:
            assert scan_clock(container, 0).shifts == ()


def test_a_hole_in_the_sound_alone_is_no_break(run_ffmpeg: RunFfmpeg, tmp_path: Path) -> None:
    source = tmp_path / "in.ts"
    run_ffmpeg(
        *("-f", "lavfi", "-i", "color=black:s=64x48:r=5:d=14", "-f", "lavfi", "-i", "sine=d=14"),
        *("-af", "aselect='lt(t,1)+gt(t,13)'", "-c:v", "mpeg2video", "-r", 25, "-c:a", "mp2", source),
    )
    with av.open(str(source)) as container:
        sound = [packet.pts * packet.time_base for packet in container.demux(audio=0) if packet.size]
    assert max(later - earlier for earlier, later in itertools.pairwise(sound)) > 10
    assert probe(source).clock_shifts == ()


def test_sound_that_only_the_second_recording_has_begins_with_it(record: Record) -> None:
    source = joined(record("a.ts", 10, "-an"), record("b.ts", 3))
    flashes, beeps = upscaled(source, "out.mkv")
    assert_together((flashes, flashes), [1, 3])
    assert_together((beeps, beeps), [3])


def test_it_is_said(record: Record, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "videoinr_cli")
    upscaled(joined(record("a.ts", 10), record("b.ts", 3)), "out.mkv")
    assert any("breaks (places: 1)" in message for message in caplog.messages)


@pytest.mark.skipif(sys.platform == "win32", reason="a shell script stands for ffmpeg")
def test_an_ffmpeg_that_cannot_is_told_with_one_that_can(
    record: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = joined(record("a.ts", 10), record("b.ts", 3))
    old = tmp_path / "ffmpeg"
    old.write_text(
        f'#!/bin/sh\ncase "$*" in *-encoders) "{find_ffmpeg()}" "$@" 2>/dev/null; '
        'echo "libavcodec     59. 37.100" >&2; exit;; esac\n'
        f'exec "{find_ffmpeg()}" "$@"\n'
    )
    old.chmod(0o755)
    find_ffmpeg.cache_clear()
    monkeypatch.setenv("FFMPEG_PATH", str(old))
    try:
        with pytest.raises(
            FfmpegError,
            match=r"joined\.ts' consists of several recordings: only ffmpeg 7 or later .* such as /",
        ):
            upscaled(source, "out.mkv")
        assert not (tmp_path / "out.mkv").exists()
        silent = UpscaleOptions(scale=1.0, audio="drop")
        upscale_video(source, tmp_path / "silent.mkv", silent, model=BlendVideoInr())
    finally:
        find_ffmpeg.cache_clear()
