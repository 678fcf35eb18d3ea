"""When the pictures of real files are shown: files that state wrong rates, wrong ends, or other clocks."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import pytest

from tests.writing import open_writer
from videoinr_cli.media.read.interlacing import deinterlaced
from videoinr_cli.media.read.probe import probe
from videoinr_cli.media.read.reader import read_frames
from videoinr_cli.media.read.timing import measure_timing
from videoinr_cli.media.streams import VideoInfo
from videoinr_cli.options import EncodeOptions

MakeClip = Callable[..., Path]
RunFfmpeg = Callable[..., None]

FILM = Fraction(24000, 1001)
VIDEO = Fraction(30000, 1001)
FAST = EncodeOptions(preset="ultrafast")


def shown(info: VideoInfo) -> list[Fraction]:
    """Return when each frame is shown, in seconds after the first one."""
    return [(frame.pts - info.start_pts) * info.time_base for frame in read_frames(info)]


def copied(info: VideoInfo, name: str) -> Path:
    """Write a source's pictures and everything else of it into another file."""
    path = info.path.with_name(name)
    with open_writer(
        path, (info.width, info.height), info.time_base, info, FAST, end_pts=info.end_pts
    ) as out:
        for frame in read_frames(info):
            out.write(frame.rgb, frame.pts)
    return path


@pytest.mark.parametrize(
    ("name", "rate", "options"),
    [
        ("in.dv", "25", ("-s", "720x576", "-pix_fmt", "yuv420p")),
        ("in.dv", "30000/1001", ("-s", "720x480", "-pix_fmt", "yuv411p")),
        ("in.m2v", "30000/1001", ("-bf", 0)),
        ("in.m2v", "25", ("-bf", 2)),
        ("in.m2v", "50", ("-bf", 2)),
        ("in.h264", "24000/1001", ()),
        ("in.hevc", "60000/1001", ("-x265-params", "log-level=none")),
        ("in.flv", "30000/1001", ("-c:v", "libx264")),
        ("in.mkv", "24000/1001", ()),
        ("in.ts", "60000/1001", ()),
    ],
)
def test_the_rate_is_that_of_the_times(
    make_clip: MakeClip, name: str, rate: str, options: tuple[object, ...]
) -> None:
    """Of raw DV ffmpeg says 60000 frames per second, of raw MPEG-2 and H.264 always 25."""
    info = probe(make_clip(name, *options, rate=rate, frames=20))
    assert info.frame_rate == Fraction(rate)


def test_fields_of_raw_dv_are_of_twice_its_rate(make_clip: MakeClip) -> None:
    info = probe(make_clip("in.dv", "-s", "720x576", "-pix_fmt", "yuv420p", frames=4))
    fields = deinterlaced(info, "on")
    assert (fields.frame_rate, fields.steady_rate) == (50, 50)


@pytest.mark.parametrize("frames", [24, 25])
def test_film_that_is_shown_for_three_and_two_fields_has_the_rate_of_film(
    make_clip: MakeClip, run_ffmpeg: RunFfmpeg, frames: int
) -> None:
    clip = make_clip("film.ts", "-c:v", "mpeg2video", "-bf", 0, rate="30000/1001", frames=frames)
    telecined = clip.with_name("in.ts")
    setts = "setts=ts='STARTDTS+floor(N/2)*7507.5+mod(N,2)*4504.5'"
    run_ffmpeg("-i", clip, "-c", "copy", "-bsf:v", setts, telecined)
    info = probe(telecined)
    timing = measure_timing(info)
    assert timing is not None
    assert info.frame_rate == timing.average == FILM
    assert info.steady_rate is None


@pytest.mark.parametrize("name", ["in.mkv", "in.flv", "in.ts", "in.mp4"])
@pytest.mark.parametrize("rate", ["24000/1001", "30000/1001", "60"])
def test_a_steady_rate_that_was_rounded_is_written_exactly(
    make_clip: MakeClip, run_ffmpeg: RunFfmpeg, name: str, rate: str
) -> None:
    """An mp4 that was copied from Matroska has its milliseconds."""
    clip = make_clip("first.mkv", "-c:v", "libx264", "-bf", 2, rate=rate, frames=30)
    source = clip.with_name(name)
    run_ffmpeg("-i", clip, "-c", "copy", source)
    info = probe(source)
    assert info.steady_rate == Fraction(rate)
    with av.open(str(copied(info, "out.mp4"))) as container:
        stream = container.streams.video[0]
        times = [frame.pts * frame.time_base for frame in container.decode(stream)]
        assert [time - times[0] for time in times] == [number / Fraction(rate) for number in range(30)]
        assert stream.average_rate == Fraction(rate)


def test_one_dropped_frame_leaves_a_gap_of_two_exact_steps(make_clip: MakeClip) -> None:
    clip = make_clip("in.mkv", "-c:v", "ffv1", rate="24000/1001", filters="select='not(eq(n,20))'", frames=39)
    with av.open(str(copied(probe(clip), "out.mp4"))) as container:
        times = [frame.pts * frame.time_base for frame in container.decode(video=0)]
    assert times == [number / FILM for number in range(40) if number != 20]


def test_a_variable_rate_is_not_taken_for_a_steady_one(make_clip: MakeClip) -> None:
    for retimed in ("N*N+9*N", "N*12+mod(N,2)*5", "N*11+4*gt(N,12)"):
        filters = f"settb=1/300,setpts='{retimed}'"
        options = ("-c:v", "ffv1", "-fps_mode", "passthrough", "-enc_time_base", "1:300")
        clip = make_clip("in.mkv", *options, filters=filters, frames=24)
        assert probe(clip).steady_rate is None


@pytest.mark.parametrize(
    ("codec", "options"),
    [
        ("mpeg4", ("-bf", 2, "-g", 12)),
        ("libxvid", ("-bf", 2, "-g", 25)),
        ("libx264", ("-bf", 3, "-g", 25)),
        ("libx264", ("-bf", 0)),
        ("mjpeg", ("-pix_fmt", "yuvj420p")),
    ],
)
def test_pictures_of_avi_are_shown_in_their_order_from_the_start(
    make_clip: MakeClip, codec: str, options: tuple[object, ...]
) -> None:
    """AVI states when they are decoded; libxvid packs two into one packet and none into the next."""
    info = probe(make_clip("in.avi", "-c:v", codec, *options, frames=50))
    times = shown(info)
    assert times == [Fraction(number, 25) for number in range(len(times))]
    assert len(times) >= 48  # libxvid keeps two
    assert info.start_pts == info.origin == 0
    assert info.frame_rate == 25


@pytest.mark.parametrize(("codec", "late"), [("mjpeg", 0), ("libx264", 2)])
def test_a_frame_that_avi_repeats_is_shown_for_longer(make_clip: MakeClip, codec: str, late: int) -> None:
    """With B-frames, that is where the repeat is decoded, two frames later."""
    options = ("-pix_fmt", "yuvj420p") if codec == "mjpeg" else ("-bf", 2)
    repeated = ("-fps_mode", "passthrough")
    filters = "settb=1/25,setpts='N+3*gte(N,20)'"
    clip = make_clip("in.avi", "-c:v", codec, *options, *repeated, filters=filters, frames=30)
    expected = [Fraction(number + 3 * (number >= 20 + late), 25) for number in range(30)]
    assert shown(probe(clip)) == expected


@pytest.mark.parametrize("share", [0.3, 0.5, 0.99])
def test_a_download_that_broke_off_ends_where_its_data_end(
    make_clip: MakeClip, caplog: pytest.LogCaptureFixture, share: float
) -> None:
    """The index in front still states the whole length."""
    clip = make_clip("in.mp4", "-c:v", "libx264", "-g", 25, "-movflags", "+faststart", frames=200)
    content = clip.read_bytes()
    data = content.index(b"mdat")
    clip.write_bytes(content[: data + round((len(content) - data) * share)])
    info = probe(clip)
    frames = list(read_frames(info))
    *_, last = frames
    assert info.end_pts is not None
    end = (last.pts + (last.duration or 0) - info.start_pts) * info.time_base
    assert end <= (len(frames) + 13) / Fraction(25)
    assert info.duration is not None
    assert info.duration <= (len(frames) + 13) / Fraction(25)
    assert info.missing_seconds == (0 if share > 0.9 else 8 - info.duration)
    is_said = any("before its stated end" in message for message in caplog.messages)
    assert is_said == (info.missing_seconds > 0)


def test_a_last_frame_that_is_held_is_not_missing(make_clip: MakeClip) -> None:
    held = "settb=1/25,setpts='N+100*gte(N,9)'"
    clip = make_clip("in.mp4", "-fps_mode", "passthrough", filters=held, frames=10)
    info = probe(clip)
    assert info.missing_seconds == 0
    assert shown(info)[-1] == Fraction(109, 25)


def test_a_clock_that_starts_below_zero_moves_nothing(make_clip: MakeClip) -> None:
    clip = make_clip("in.flv", "-c:v", "libx264", "-bf", 0, "-c:a", "aac", audio=True, frames=25)
    early = bytearray(clip.read_bytes())
    place = 13
    while place < len(early):  # every tag: 24 bits of milliseconds, then their upper 8 bits
        size = int.from_bytes(early[place + 1 : place + 4], "big")
        if early[place] in (8, 9):
            time = int.from_bytes(early[place + 4 : place + 7], "big") - 250
            early[place + 4 : place + 8] = struct.pack(">i", time)[1:] + struct.pack(">i", time)[:1]
        place += 11 + size + 4
    moved = clip.with_name("moved.flv")
    moved.write_bytes(early)
    before, after = probe(clip), probe(moved)
    assert after.origin == before.origin - Fraction(1, 4)
    offsets = []
    for info in (before, after):
        with av.open(str(copied(info, f"{info.path.stem}.mkv"))) as container:
            starts = [stream.start_time * stream.time_base for stream in container.streams]
        offsets.append(starts[0] - starts[1])
    assert offsets[0] == offsets[1]


def with_edits(source: Path, edits: list[tuple[int, int]]) -> Path:
    """Give every track of an mp4 the same edits, each a length and a start in seconds."""
    whole = source.read_bytes()
    movie = whole.index(b"mvhd")
    movie_ticks = int.from_bytes(whole[movie + 16 : movie + 20], "big")

    def rewritten(content: bytes) -> Iterator[bytes]:
        place = 0
        while place < len(content):
            size, kind = struct.unpack(">I4s", content[place : place + 8])
            box, place = content[place : place + size], place + size
            if kind == b"edts":
                continue
            if kind in (b"moov", b"trak"):
                body = b"".join(rewritten(box[8:]))
                if kind == b"trak":
                    clock = box.index(b"mdhd")
                    body = listed(int.from_bytes(box[clock + 16 : clock + 20], "big")) + body
                box = struct.pack(">I4s", 8 + len(body), kind) + body
            yield box

    def listed(ticks: int) -> bytes:
        entries = b"".join(
            struct.pack(">IiI", length * movie_ticks, start * ticks, 0x10000) for length, start in edits
        )
        elst = struct.pack(">I4sII", 16 + len(entries), b"elst", 0, len(edits)) + entries
        return struct.pack(">I4s", 8 + len(elst), b"edts") + elst

    path = source.with_name("edited.mp4")
    path.write_bytes(b"".join(rewritten(whole)))
    return path


@pytest.mark.parametrize("name", ["out.mp4", "out.mkv"])
def test_what_edits_cut_out_is_neither_seen_nor_heard(
    run_ffmpeg: RunFfmpeg, tmp_path: Path, name: str
) -> None:
    source = tmp_path / "in.mp4"
    run_ffmpeg(
        *("-f", "lavfi", "-i", "testsrc2=size=64x48:rate=25:duration=6", "-f", "lavfi", "-i"),
        *("sine=duration=6:sample_rate=48000", "-c:v", "libx264", "-g", 25, "-bf", 0, "-c:a", "aac", source),
    )
    info = probe(with_edits(source, [(1, 0), (1, 3), (1, 5)]))
    assert shown(info) == [Fraction(number, 25) for number in range(75)]
    assert len(info.streams[0].cut_out) == 2
    with av.open(str(copied(info, name))) as container:
        samples = sum(frame.samples for frame in container.decode(audio=0))
    assert abs(samples - 3 * 48000) <= 2048


def test_an_mp4_without_edits_keeps_all_its_sound(make_clip: MakeClip) -> None:
    info = probe(make_clip("in.mp4", "-c:a", "aac", audio=True, frames=40))
    assert info.streams[0].cut_out == ()


@pytest.mark.parametrize("name", ["out.mp4", "out.mkv"])
def test_chapters_end_with_the_pictures_and_sounds(
    make_clip: MakeClip, run_ffmpeg: RunFfmpeg, name: str
) -> None:
    clip = make_clip("plain.mp4", frames=25)
    notes = clip.with_name("notes.txt")
    chapters = ((0, 500), (500, 9000), (5000, 9000))
    notes.write_text(
        ";FFMETADATA1\n"
        + "".join(
            f"[CHAPTER]\nTIMEBASE=1/1000\nSTART={start}\nEND={end}\ntitle=From {start}\n"
            for start, end in chapters
        )
    )
    source = clip.with_name("in.mp4")
    run_ffmpeg("-i", clip, "-i", notes, "-map_metadata", 1, "-c", "copy", source)
    info = probe(source)
    assert len(info.chapters) == 3
    assert info.content_end == 1
    with av.open(str(copied(info, name))) as container:
        assert container.duration is not None
        assert container.duration <= 1_050_000
        found = [
            (chapter["start"] * chapter["time_base"], chapter["metadata"]["title"])
            for chapter in container.chapters()
        ]
    assert found == [(0, "From 0"), (Fraction(1, 2), "From 500")]


def test_the_rate_that_the_user_gives_a_raw_stream_is_no_other_one(make_clip: MakeClip) -> None:
    info = probe(make_clip("in.m2v", rate="30000/1001"), rate=Fraction(25))
    assert (info.frame_rate, info.steady_rate) == (25, None)


def test_frames_that_state_the_same_time_are_all_kept(make_clip: MakeClip, run_ffmpeg: RunFfmpeg) -> None:
    """As in recordings whose clock stood still for a moment."""
    clip = make_clip("steady.mkv", "-c:v", "ffv1", frames=40)
    same = clip.with_name("in.mkv")
    run_ffmpeg("-i", clip, "-c", "copy", "-bsf:v", "setts=ts='if(between(N,10,12),400,PTS)'", same)
    info = probe(same)
    assert (info.frame_rate, info.steady_rate) == (25, None)
    times = [40 * number for number in range(40)]
    times[11:13] = 401, 402
    with av.open(str(copied(info, "out.mp4"))) as container:
        assert [frame.pts * frame.time_base * 1000 for frame in container.decode(video=0)] == times


def test_repeated_pictures_do_not_lower_the_rate(make_clip: MakeClip) -> None:
    """Theora has empty packets for them: a film of a still scene is at 25 frames per second too."""
    still = "trim=end_frame=1,loop=-1:1"
    info = probe(make_clip("in.ogv", "-c:v", "libtheora", filters=still, frames=40))
    assert len(shown(info)) < 20
    assert info.frame_rate == info.steady_rate == 25


@pytest.mark.parametrize("rate", ["25", "30000/1001"])
@pytest.mark.parametrize("sound", [False, True])
def test_flash_video_with_b_frames_ends_with_its_last_picture(
    make_clip: MakeClip, rate: str, sound: bool
) -> None:
    info = probe(
        make_clip("in.flv", "-c:v", "libx264", "-bf", 3, "-c:a", "aac", rate=rate, audio=sound, frames=40)
    )
    assert info.duration is not None
    assert abs(info.duration - 40 / Fraction(rate)) <= Fraction(1, 1000)
    with av.open(str(copied(info, "out.mp4"))) as container:
        stream = container.streams.video[0]
        assert stream.duration * stream.time_base == 40 / Fraction(rate)


@pytest.mark.parametrize("name", ["out.ts", "out.nut", "out.mkv", "out.mp4"])
def test_sound_that_a_cut_hides_is_not_heard_where_nothing_can_be_hidden(
    make_clip: MakeClip, run_ffmpeg: RunFfmpeg, name: str
) -> None:
    """An mp4 that was cut without being encoded begins with a keyframe, long before its first picture."""
    whole = make_clip("whole.mp4", "-c:v", "libx264", "-g", 50, "-c:a", "aac", audio=True, frames=50)
    clip = whole.with_name("in.mp4")
    run_ffmpeg("-ss", 1.2, "-i", whole, "-c", "copy", clip)
    info = probe(clip)
    assert len(shown(info)) == 20
    out, starts = copied(info, name), []
    for kind in ("video", "audio"):
        with av.open(str(out)) as container:
            frame = next(container.decode(**{kind: 0}))
            starts.append(frame.pts * frame.time_base)
    assert abs(starts[0] - starts[1]) <= Fraction(50, 1000)  # two packets of 21 ms
