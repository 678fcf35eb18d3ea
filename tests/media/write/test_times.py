"""Outputs have the times that were given: of pictures, of the end, and of sound beside them."""

from __future__ import annotations

import dataclasses
import itertools
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.conftest import MakeClip, RunFfmpeg
from tests.media.write.outputs import FAST, copy, pictures, shown_at
from tests.writing import open_writer
from videoinr_cli.errors import OutputError
from videoinr_cli.media.read.prepare import prepare
from videoinr_cli.media.read.probe import probe
from videoinr_cli.media.streams import VideoInfo
from videoinr_cli.media.write.containers import container_for
from videoinr_cli.media.write.times_fit import check_times_fit
from videoinr_cli.options import EncodeOptions, ReadOptions

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


def video_end(path: Path) -> Fraction:
    """Return when the video ends by the container's own statement."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        if stream.duration is not None and stream.start_time is not None:
            return (stream.start_time + stream.duration) * stream.time_base
        hours, minutes, seconds = stream.metadata["DURATION"].split(":")
        return (int(hours) * 60 + int(minutes)) * 60 + Fraction(seconds)


@pytest.mark.parametrize(
    ("name", "video", "sound"),
    [
        ("in.mp4", "libx264", "aac"),
        ("in.mov", "libx264", "pcm_s16le"),
        ("in.mkv", "libx264", "flac"),
        ("in.webm", "libvpx-vp9", "libopus"),
        pytest.param("in.ts", "libx264", "mp2", marks=pytest.mark.recent),
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


SLOWING = ("-fps_mode", "passthrough")


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
