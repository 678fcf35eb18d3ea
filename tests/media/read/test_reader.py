"""Every frame arrives, upright, at its time; and what damaged files and clocks give instead."""

from __future__ import annotations

import dataclasses
import errno
import itertools
import re
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import NoReturn

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.media.captions import add_captions
from videoinr_cli.errors import InputError
from videoinr_cli.media.colour import Colour
from videoinr_cli.media.read import decoding, reader
from videoinr_cli.media.read.probe import probe
from videoinr_cli.media.read.reader import SourceFrame, read_frames
from videoinr_cli.media.streams import VideoInfo

MakeClip = Callable[..., Path]
RunFfmpeg = Callable[..., None]


def times(frames: list[SourceFrame], info: VideoInfo) -> list[Fraction]:
    return [frame.pts * info.time_base for frame in frames]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("in.mp4", ("-c:v", "libx264", "-bf", 3, "-x264-params", "b-pyramid=normal:open-gop=1:keyint=7")),
        ("in.mkv", ("-c:v", "libx265", "-x265-params", "bframes=4:log-level=none")),
        ("in.webm", ("-c:v", "libvpx-vp9", "-auto-alt-ref", 1, "-lag-in-frames", 8)),
    ],
)
def test_every_frame_that_went_in_comes_out_in_order(
    make_clip: MakeClip, name: str, options: tuple[object, ...]
) -> None:
    info = probe(make_clip(name, *options, frames=23))
    frames = list(read_frames(info))
    assert len(frames) == 23
    assert frames[0].pts == info.start_pts
    steps = {later - earlier for earlier, later in itertools.pairwise(times(frames, info))}
    assert steps == {Fraction(1, 25)}
    for frame in frames:
        assert frame.rgb.shape == (48, 64, 3)
        assert frame.rgb.flags.c_contiguous


def test_variable_frame_times_are_kept(make_clip: MakeClip) -> None:
    irregular = "settb=1/90000,setpts='1000*(N*N+3*N)'"
    info = probe(
        make_clip(
            "in.mp4", "-fps_mode", "passthrough", "-enc_time_base", "1:90000", frames=12, filters=irregular
        )
    )
    assert times(list(read_frames(info)), info) == [Fraction(n * n + 3 * n, 90) for n in range(12)]


def test_the_last_frame_lasts_to_the_stated_end(make_clip: MakeClip) -> None:
    info = probe(make_clip("in.mp4", frames=5))
    longer = dataclasses.replace(info, duration=Fraction(1))
    *_, last = read_frames(longer)
    assert (last.pts + (last.duration or 0)) * info.time_base == 1


def test_deep_and_plain_sources_have_their_own_types(make_clip: MakeClip) -> None:
    deep = next(read_frames(probe(make_clip("deep.mkv", "-c:v", "ffv1", filters="format=yuv420p10le"))))
    assert deep.rgb.dtype == np.uint16
    assert deep.rgb.max() > 65000  # testsrc2 has pure colours
    plain = next(read_frames(probe(make_clip("plain.mkv", "-c:v", "ffv1", filters="format=yuv420p"))))
    assert plain.rgb.dtype == np.uint8
    assert plain.alpha is None


def test_transparency_is_read(make_clip: MakeClip) -> None:
    clip = make_clip("in.mov", "-c:v", "png", filters="format=rgba,geq=r='X':g='Y':b=9:a='X*2'", frames=2)
    frame = next(read_frames(probe(clip)))
    assert frame.alpha is not None
    np.testing.assert_array_equal(frame.alpha, np.broadcast_to(np.arange(64) * 2, (48, 64)))
    np.testing.assert_array_equal(frame.rgb[7, 11], (11, 7, 9))


@pytest.mark.parametrize(
    ("options", "rotation", "mirrored", "corner"),  # where the coded picture's top left corner is shown
    [
        (["-display_rotation", -90], 90, False, (0, -1)),
        (["-display_rotation", 180], 180, False, (-1, -1)),
        (["-display_rotation", 90], 270, False, (-1, 0)),
        (["-display_hflip"], 0, True, (0, -1)),
        (["-display_vflip"], 180, True, (-1, 0)),
        (["-display_rotation", 90, "-display_hflip"], 90, True, (-1, -1)),
    ],
)
def test_pictures_are_upright(
    make_clip: MakeClip,
    run_ffmpeg: RunFfmpeg,
    options: list[object],
    rotation: int,
    mirrored: bool,
    corner: tuple[int, int],
) -> None:
    red_corner = "format=gbrp,geq=r='255*lt(X,8)*lt(Y,8)':g=0:b=0"
    clip = make_clip("in.mov", "-c:v", "qtrle", "-pix_fmt", "rgb24", filters=red_corner, frames=1)
    turned = clip.with_name("turned.mov")
    run_ffmpeg(*options, "-i", clip, "-c", "copy", turned)
    info = probe(turned)
    assert (info.rotation, info.mirrored) == (rotation, mirrored)
    assert (info.width, info.height) == ((48, 64) if rotation in (90, 270) else (64, 48))
    (frame,) = read_frames(info)
    assert frame.rgb.shape == (info.height, info.width, 3)
    rows, columns = (slice(None, 4) if end == 0 else slice(-4, None) for end in corner)
    assert (frame.rgb[rows, columns, 0] == 255).all()
    assert np.count_nonzero(frame.rgb) == 64


def damage(path: Path, *numbers: int) -> None:
    """Overwrite the middle of some of the video's packets."""
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    content = bytearray(path.read_bytes())
    for packet in (packets[number] for number in numbers):
        assert packet.pos is not None
        middle = packet.pos + packet.size // 2
        content[middle : middle + packet.size // 4] = bytes(packet.size // 4)
    path.write_bytes(content)


def test_damage_is_passed_over_and_said_with_its_time(
    make_clip: MakeClip, caplog: pytest.LogCaptureFixture
) -> None:
    clip = make_clip("in.mkv", "-c:v", "png", frames=20)
    damage(clip, 5, 11)
    info = probe(clip)
    frames = list(read_frames(info))
    assert [frame.pts for frame in frames] == [40 * n for n in range(20) if n not in (5, 11)]
    assert len(caplog.messages) == 2
    assert re.search(r"in.mkv' near 0\.\d+ s: a packet is lost", caplog.messages[0])
    with pytest.raises(InputError, match="leave out --strict"):
        list(read_frames(info, strict=True))


def test_damage_that_a_decoder_patches_up_is_said_too(
    make_clip: MakeClip, caplog: pytest.LogCaptureFixture
) -> None:
    clip = make_clip("in.mkv", "-c:v", "mpeg2video", frames=20, size=(320, 240))
    damage(clip, 3, 8, 12)
    info = probe(clip)
    assert len(list(read_frames(info))) == 20
    assert any("a frame is damaged" in message for message in caplog.messages)
    with pytest.raises(InputError, match="leave out --strict"):
        list(read_frames(info, strict=True))


def test_damage_that_a_decoder_only_logs_is_said_too(
    make_clip: MakeClip, caplog: pytest.LogCaptureFixture
) -> None:
    clip = make_clip("in.mkv", "-c:v", "ffv1", "-slicecrc", 1, frames=10)
    damage(clip, 5)
    info = probe(clip)
    assert len(list(read_frames(info))) == 10
    (said,) = caplog.messages
    assert re.search(r"near 0\.(16|20)0 s: a frame is damaged: slice CRC mismatch", said)
    with pytest.raises(InputError, match="slice CRC mismatch"):
        list(read_frames(info, strict=True))


def test_frames_made_without_their_references_are_said(
    make_clip: MakeClip, caplog: pytest.LogCaptureFixture
) -> None:
    """HEVC of which packets are missing, as after a broken transmission."""
    clip = make_clip("in.mkv", "-c:v", "libx265", "-x265-params", "log-level=none:bframes=0", frames=12)
    with av.open(str(clip)) as whole, av.open(str(clip.with_name("holes.mkv")), "w") as holes:
        stream = holes.add_stream_from_template(whole.streams.video[0])
        for number, packet in enumerate(whole.demux(video=0)):
            if packet.size and number not in (4, 5):
                packet.stream = stream
                holes.mux(packet)
    frames = list(read_frames(probe(clip.with_name("holes.mkv"))))
    assert 0 < len(frames) < 12
    assert any("Could not find ref" in message for message in caplog.messages)


def cut_last_packet(path: Path) -> None:
    """Let a file break off within its last packet."""
    with av.open(str(path)) as container:
        last = max(packet.pos or 0 for packet in container.demux(video=0))
    path.write_bytes(path.read_bytes()[: last + 8])


@pytest.mark.parametrize(
    ("name", "codec", "words"),
    [
        ("in.mkv", "libx264", "the file is damaged: File ended prematurely"),
        ("in.mp4", "libx264", "partial file"),
        ("in.mp4", "libx264", r"the video ends \d\.\d+ s before its stated end"),
    ],
)
def test_an_end_that_comes_too_early_is_said(
    make_clip: MakeClip, caplog: pytest.LogCaptureFixture, name: str, codec: str, words: str
) -> None:
    options = ("-movflags", "+faststart") if name == "in.mp4" else ()
    clip = make_clip(name, "-c:v", codec, "-g", 5, *options, frames=50)
    assert list(read_frames(probe(clip)))
    assert not caplog.messages
    content = clip.read_bytes()
    clip.write_bytes(content[: len(content) * 6 // 10])
    list(read_frames(probe(clip)))
    assert any(re.search(words, message) for message in caplog.messages), caplog.messages
    with pytest.raises(InputError, match="leave out --strict"):
        list(read_frames(probe(clip), strict=True))


@pytest.mark.parametrize("frames", [4, 24])
def test_an_early_end_is_said_each_time_that_a_file_is_read(
    make_clip: MakeClip, caplog: pytest.LogCaptureFixture, frames: int
) -> None:
    """Probing, and even opening, meets the end of a short file too; PyAV would not repeat the message."""
    clip = make_clip("in.mkv", "-c:v", "libx264", "-bf", 2, frames=frames)
    cut_last_packet(clip)
    info = probe(clip)
    for _ in range(3):
        caplog.clear()
        assert len(list(read_frames(info))) == frames - 1
        assert any("the file is damaged: File ended prematurely" in message for message in caplog.messages)
        with pytest.raises(InputError, match="File ended prematurely"):
            list(read_frames(info, strict=True))


def test_a_file_cut_short_gives_what_it_holds(make_clip: MakeClip) -> None:
    clip = make_clip("in.mkv", "-c:v", "ffv1", frames=20)
    whole = clip.read_bytes()
    clip.write_bytes(whole[: len(whole) * 6 // 10])
    frames = list(read_frames(probe(clip)))
    assert 8 <= len(frames) <= 13


def test_joined_recordings_of_two_sizes_go_on(make_clip: MakeClip, caplog: pytest.LogCaptureFixture) -> None:
    """Two transport streams end to end: the clock starts anew, and so does the size."""
    first = make_clip("first.ts", frames=50)
    second = make_clip("second.ts", frames=50, size=(96, 80))
    joined = first.with_name("joined.ts")
    joined.write_bytes(first.read_bytes() + second.read_bytes())
    info = probe(joined)
    frames = list(read_frames(info))
    assert len(frames) >= 99  # H.264's decoder drops one at the change
    assert {frame.rgb.shape for frame in frames} == {(48, 64, 3)}
    seconds = times(frames, info)
    assert all(0 < later - earlier <= Fraction(1, 10) for earlier, later in itertools.pairwise(seconds))
    assert any("changes to 96x80" in message for message in caplog.messages)


# The clock alone, at 40 ticks a frame and 1000 a second.
INFO = VideoInfo(
    path=Path("in.mkv"),
    container="matroska,webm",
    stream_index=0,
    codec="h264",
    width=64,
    height=48,
    pix_fmt="yuv420p",
    colour=Colour(),
    time_base=Fraction(1, 1000),
    start_pts=0,
    frame_rate=Fraction(25),
    duration=Fraction(1000),
)


def clocked(stamps: list[int | None], info: VideoInfo = INFO) -> list[int]:
    times = reader._FrameTimes(info)
    return [times.time_of(SimpleNamespace(pts=stamp, dts=None, duration=40)) for stamp in stamps]  # type: ignore[arg-type]


@given(st.lists(st.none() | st.integers(-(10**7), 10**7), max_size=50))
def test_times_increase_whatever_the_file_says(stamps: list[int | None]) -> None:
    given_times = clocked(stamps)
    assert len(given_times) == len(stamps)
    assert all(earlier < later for earlier, later in itertools.pairwise(given_times))


@given(st.lists(st.integers(0, 10**6), unique=True, min_size=1, max_size=50))
def test_times_that_increase_are_kept_as_they_are(stamps: list[int]) -> None:
    assert clocked(sorted(stamps)) == sorted(stamps)


def test_the_stated_rules() -> None:
    assert clocked([0, 40, None, 120]) == [0, 40, 80, 120]  # missing: the end of the frame before
    assert clocked([None, None, 80]) == [0, 40, 80]
    assert clocked([0, 40, 40, 120]) == [0, 40, 41, 120]  # twice: one tick after
    assert clocked([0, 40, 20, 120]) == [0, 40, 41, 120]  # back a little: the same
    assert clocked([0, 5000, 10_000]) == [0, 5000, 10_000]  # a long still is no error
    assert clocked([5000, 5040, 0, 40, 80]) == [5000, 5040, 5080, 5120, 5160]  # a new clock
    assert clocked([0, 40, 80, 120, 160, 0, 40, 80]) == [
        0,
        40,
        80,
        120,
        160,
        200,
        240,
        280,
    ]  # short recordings
    assert clocked([5000, 5040, 100, 5120, 5160]) == [5000, 5040, 5080, 5120, 5160]  # one stray time
    assert clocked([0, 40, 2**33, 120]) == [0, 40, 80, 120]  # far after the end


@pytest.mark.parametrize(
    "error",
    [
        av.error.MemoryError(errno.ENOMEM, "Cannot allocate memory"),
        av.error.BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"),  # of pthread_create
    ],
)
def test_a_shortage_of_memory_is_no_damage(
    error: Exception, make_clip: MakeClip, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frames that a decoder had no memory for would be lost, and the job taken for done."""

    class Starved:
        is_open = False

        def decode(self, packet: object) -> NoReturn:
            raise error

    info = probe(make_clip("in.mkv", frames=3))
    monkeypatch.setattr(decoding, "_decoder", lambda _: Starved())
    with pytest.raises(type(error)):
        list(read_frames(info))


def test_a_recording_that_begins_small_has_its_lasting_size(
    make_clip: MakeClip, run_ffmpeg: RunFfmpeg, tmp_path: Path
) -> None:
    """As browsers record calls: the file states the size, the first frames are smaller."""
    bars = ("-c:v", "libvpx", "-crf", 4, "-b:v", "1M")
    small = make_clip("small.ivf", *bars, picture="smptebars", filters="scale=32:24", frames=5)
    large = make_clip("large.ivf", *bars, picture="smptebars", frames=20)
    ramp = tmp_path / "ramp.webm"
    with av.open(str(large)) as template, av.open(str(ramp), "w") as out:
        stream = out.add_stream_from_template(template.streams.video[0])
        number = 0
        for path in (small, large):
            with av.open(str(path)) as container:
                for packet in container.demux(video=0):
                    if packet.size:
                        packet.pts = packet.dts = 40 * number
                        packet.time_base, packet.stream = Fraction(1, 1000), stream
                        out.mux(packet)
                        number += 1
    info = probe(ramp)
    assert (info.width, info.height, info.start_pts) == (64, 48, 0)
    frames = list(read_frames(info))
    assert len(frames) == 25
    assert {frame.rgb.shape for frame in frames} == {(48, 64, 3)}
    # The small frames show the same picture; enlarged, they are like the large ones.
    assert np.abs(frames[0].rgb.astype(float) - frames[5].rgb.astype(float)).mean() < 20


@pytest.mark.parametrize("is_cut", [False, True])
def test_pixels_that_change_their_shape_keep_the_shape_of_what_they_show(
    make_clip: MakeClip, caplog: pytest.LogCaptureFixture, is_cut: bool
) -> None:
    """A broadcast that switches from 4:3 to 16:9 in the same coded size; a square stays a square."""
    parts = []
    for aspect, width, offset in (("4:3", 94, 0), ("16:9", 70, 0.8)):
        square = f"drawbox=c=gray:t=fill,drawbox=x=(180-{width})/2:y=22:w={width}:h=100:c=white:t=fill"
        codec = ("-c:v", "mpeg2video", "-q:v", 2, "-bf", 0, "-aspect", aspect, "-output_ts_offset", offset)
        name = f"{width}.ts"
        parts.append(make_clip(name, *codec, size=(180, 144), picture="smptebars", filters=square, frames=20))
    source = parts[0].with_name("in.ts")
    source.write_bytes(b"".join(part.read_bytes() for part in parts))
    info = probe(source)
    assert info.sample_aspect_ratio == Fraction(16, 15)
    begin = info.start_pts + round(Fraction(1) / info.time_base) if is_cut else None
    frames = list(read_frames(info, begin=begin))
    for frame in (frames[-1],) if is_cut else (frames[0], frames[-1]):
        rows, columns = np.nonzero(frame.rgb[..., 1] > 200)
        wide = (columns.max() - columns.min() + 1) * info.sample_aspect_ratio
        assert abs(float(wide / (rows.max() - rows.min() + 1)) - 1) < 0.06
    if not is_cut:
        assert any("pixels 64:45" in message for message in caplog.messages)


def test_captions_that_begin_later_are_said(make_clip: MakeClip, caplog: pytest.LogCaptureFixture) -> None:
    clip = make_clip("in.h264", "-threads", 1, "-x264-params", "slices=1", "-bf", 0, frames=20)
    captioned = clip.with_name("captioned.h264")
    add_captions(clip, captioned, first=10)
    info = probe(captioned)
    assert not info.lost_side_data
    assert len(list(read_frames(info))) == 20
    assert sum("closed captions begin" in message for message in caplog.messages) == 1
    with pytest.raises(InputError, match="closed captions begin, which no output keeps; leave out --strict"):
        list(read_frames(info, strict=True))


def test_pictures_whose_last_row_comes_first_in_memory_are_upright(make_clip: MakeClip) -> None:
    """As those of AMV's decoder."""
    options = ("-pix_fmt", "yuvj420p", "-q:v", 1)
    read = [
        next(read_frames(probe(make_clip(name, "-c:v", codec, *options, frames=2)))).rgb.astype(float)
        for name, codec in (("amv.avi", "amv"), ("mjpeg.avi", "mjpeg"))
    ]
    assert np.abs(read[0] - read[1]).mean() < 12  # AMV's encoder is always coarse
    assert np.abs(read[0] - read[1][::-1]).mean() > 40
