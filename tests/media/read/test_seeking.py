"""A range of frames is what the whole decode gives there, wherever it begins and whatever the file is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tests.conftest import MakeClip
from videoinr_cli.media.read import reader, seeking
from videoinr_cli.media.read.interlacing import with_fields
from videoinr_cli.media.read.probe import probe
from videoinr_cli.media.read.reader import SourceFrame, read_frames
from videoinr_cli.media.streams import VideoInfo

FRAMES = 46
GRAIN = "noise=alls=20:allf=t"  # tells every frame from every other
OPEN_GROUPS = "b-pyramid=normal:open-gop=1:keyint=12:min-keyint=4:scenecut=0"

CLIPS: dict[str, tuple[str, tuple[object, ...], dict[str, Any]]] = {
    "closed": ("in.mp4", ("-g", 10, "-bf", 0), {}),
    "open": ("in.mp4", ("-bf", 3, "-x264-params", OPEN_GROUPS), {}),
    "open-mkv": ("in.mkv", ("-bf", 3, "-x264-params", OPEN_GROUPS), {}),
    "hevc": (
        "in.mkv",
        ("-c:v", "libx265", "-x265-params", "keyint=12:bframes=4:open-gop=1:log-level=none"),
        {},
    ),
    "one-key": ("in.mp4", ("-g", 999), {}),
    "refresh": ("in.mp4", ("-g", 12, "-x264-params", "intra-refresh=1"), {}),
    "late": ("in.mkv", ("-g", 10, "-output_ts_offset", 3), {}),
    "ts": ("in.ts", ("-g", 10, "-bf", 2), {}),
    "ts-mpeg2": ("in.ts", ("-c:v", "mpeg2video", "-g", 10, "-bf", 2), {}),
    "vp9": ("in.webm", ("-c:v", "libvpx-vp9", "-g", 10, "-deadline", "realtime", "-cpu-used", 8), {}),
    "live": ("in.mkv", ("-bf", 3, "-x264-params", OPEN_GROUPS, "-live", 1), {}),  # no index, no length
    "live-vp9": ("in.webm", ("-c:v", "libvpx-vp9", "-g", 10, "-cpu-used", 8, "-live", 1), {}),
    "avi": ("in.avi", ("-c:v", "mpeg4", "-g", 10, "-bf", 2), {}),
    "every": ("in.mov", ("-c:v", "mjpeg"), {}),
    "images": ("frames/%03d.png", (), {}),
    "variable": (
        "in.mp4",
        ("-g", 10, "-bf", 2, "-fps_mode", "passthrough", "-enc_time_base", "1:90000"),
        {"filters": f"{GRAIN},settb=1/90000,setpts='1000*(N*N+3*N)'"},
    ),
}


def assert_same(found: list[SourceFrame], wanted: list[SourceFrame]) -> None:
    assert [frame.pts for frame in found] == [frame.pts for frame in wanted]
    assert [frame.duration for frame in found] == [frame.duration for frame in wanted]
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(a.rgb, b.rgb)


@pytest.mark.parametrize("kind", CLIPS)
def test_a_range_is_a_part_of_the_whole(kind: str, make_clip: MakeClip) -> None:
    name, options, settings = CLIPS[kind]
    info = probe(make_clip(name, *options, frames=FRAMES, **{"filters": GRAIN, **settings}))
    whole = list(read_frames(info))
    assert len(whole) == FRAMES
    for first, last, lead in [
        (0, 5, 1),
        (1, 7, 1),
        (11, 14, 0),
        (12, 25, 1),
        (23, 24, 2),
        (31, 46, 1),
        (45, 46, 0),
    ]:
        end = whole[last].pts if last < FRAMES else None
        found = list(read_frames(info, begin=whole[first].pts, end=end, lead=lead))
        assert_same(found, whole[max(0, first - lead) : last])


def test_a_range_between_frames_and_beyond_them(make_clip: MakeClip) -> None:
    info = probe(make_clip("in.mp4", "-g", 5, frames=20, filters=GRAIN))
    whole = list(read_frames(info))
    assert_same(list(read_frames(info, begin=whole[7].pts + 1, end=whole[9].pts + 1)), whole[8:10])
    assert list(read_frames(info, begin=whole[7].pts + 1, end=whole[8].pts)) == []
    assert list(read_frames(info, begin=whole[-1].pts + 10**6)) == []
    assert_same(list(read_frames(info, begin=whole[-1].pts + 1, lead=2)), whole[-2:])
    assert_same(list(read_frames(info, begin=-(10**6))), whole)


def test_fields_are_the_same_in_a_range(make_clip: MakeClip) -> None:
    clip = make_clip(
        "in.mp4", "-flags", "+ildct+ilme", "-g", 8, frames=30, filters=f"{GRAIN},tinterlace=interleave_top"
    )
    info = with_fields(probe(clip), "tff")
    whole = list(read_frames(info))
    for first in (21, 22, 29):
        assert_same(
            list(read_frames(info, begin=whole[first].pts, end=whole[first + 5].pts, lead=1)),
            whole[first - 1 : first + 5],
        )


def decoded_of(info: VideoInfo, begin: int, monkeypatch: pytest.MonkeyPatch) -> int:
    """Return how many frames are decoded to reach the first one of a range."""
    count = 0
    inner = seeking.decoded

    def counting(*arguments: Any) -> Iterator[av.VideoFrame]:
        nonlocal count
        for frame in inner(*arguments):
            count += 1
            yield frame

    monkeypatch.setattr(seeking, "decoded", counting)
    monkeypatch.setattr(reader, "source_frames", None)
    monkeypatch.setattr(seeking, "source_frames", lambda *_: pytest.fail("decoded from the start"))
    next(read_frames(info, begin=begin, lead=1))
    return count


@pytest.mark.parametrize(
    "kind", ["closed", "open", "open-mkv", "hevc", "late", "ts", "ts-mpeg2", "vp9", "every"]
)
def test_a_range_is_entered_near_its_beginning(
    kind: str, make_clip: MakeClip, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, options, settings = CLIPS[kind]
    info = probe(make_clip(name, *options, frames=200, **{"filters": GRAIN, **settings}))
    begin = info.start_pts + round(190 / (25 * info.time_base))
    assert decoded_of(info, begin, monkeypatch) < 60


@pytest.mark.parametrize("kind", ["closed", "open", "open-mkv", "hevc", "late", "vp9", "variable"])
def test_an_entry_is_where_a_keyframe_is_the_first_that_is_needed(
    kind: str, make_clip: MakeClip, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, options, settings = CLIPS[kind]
    info = probe(make_clip(name, *options, frames=60, **{"filters": GRAIN, **settings}))
    times = [frame.pts for frame in read_frames(info)]
    (begin,) = seeking.seek_points_before(info, [times[40]], lead=1)
    assert begin is not None
    assert times[20] < begin <= times[40]
    if kind != "variable":  # where the frame rate does not say how far apart two frames are
        decoded = decoded_of(info, begin, monkeypatch)
        assert decoded <= 2 + 3, "the keyframe, the first frame wanted, and what leads them both"


@pytest.mark.parametrize("kind", ["one-key", "ts", "avi", "images"])
def test_where_no_index_tells_of_a_keyframe_there_is_no_entry(kind: str, make_clip: MakeClip) -> None:
    name, options, settings = CLIPS[kind]
    info = probe(make_clip(name, *options, frames=FRAMES, **{"filters": GRAIN, **settings}))
    start = info.start_pts
    entries = seeking.seek_points_before(info, [start, start + round(1 / info.time_base)], lead=1)
    assert entries[0] is None
    assert entries[1] is None or (kind, entries[1]) == ("one-key", start + round(1 / (25 * info.time_base)))


def test_joined_recordings_are_entered_as_one(make_clip: MakeClip) -> None:
    """The clock starts anew, which their packets' times show no more."""
    first, second = (make_clip(name, "-g", 10, frames=40, filters=GRAIN) for name in ("a.ts", "b.ts"))
    joined = first.with_name("joined.ts")
    joined.write_bytes(first.read_bytes() + second.read_bytes())
    info = probe(joined)
    whole = list(read_frames(info))
    for place in (30, 60, 70):
        assert_same(
            list(read_frames(info, begin=whole[place].pts, end=whole[place + 4].pts)),
            whole[place : place + 4],
        )


def test_damage_before_a_range_is_none_of_its(
    make_clip: MakeClip, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clip = make_clip("in.mkv", "-c:v", "png", frames=20)
    with av.open(str(clip)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    content = bytearray(clip.read_bytes())
    position, size = packets[6].pos, packets[6].size
    assert position is not None
    content[position + size // 2 : position + size * 3 // 4] = bytes(size * 3 // 4 - size // 2)
    clip.write_bytes(content)
    info = probe(clip)
    frames = list(read_frames(info, begin=info.start_pts + 320, strict=True))
    assert len(frames) == 12
    assert caplog.messages == []
