"""Interlaced videos become one picture per field, each at its time; others are left alone."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from videoinr_cli.media.read.interlacing import deinterlaced
from videoinr_cli.media.read.probe import probe
from videoinr_cli.media.read.reader import read_frames

MakeClip = Callable[..., Path]

# A bar that moves 8 px from field to field over a smooth background, at 50 fields per second.
BAR = "format=yuv420p,geq=lum='if(between(X,8*N,8*N+15),220,60+X/4+Y/4)':cb=128:cr=128"
WEAVE = {"tff": "tinterlace=interleave_top", "bff": "tinterlace=interleave_bottom"}


def bar_positions(clip: Path, mode: str = "auto") -> tuple[list[Fraction], list[int]]:
    """Return the time of every picture that is read, and where the bar's left edge is in its middle row."""
    info = deinterlaced(probe(clip), mode)  # type: ignore[arg-type]
    frames = list(read_frames(info))
    rows = [frame.rgb[frame.rgb.shape[0] // 2 + 1, :, 0].astype(int) for frame in frames]
    return [frame.pts * info.time_base for frame in frames], [int(np.argmax(row > 180)) for row in rows]


@pytest.mark.parametrize("order", ["tff", "bff"])
@pytest.mark.parametrize("is_flagged", [True, False])
def test_every_field_is_a_picture_at_its_time(make_clip: MakeClip, order: str, is_flagged: bool) -> None:
    flags = ("-flags", "+ildct+ilme") if is_flagged else ()
    filters = f"{BAR},{WEAVE[order]}" + ("" if is_flagged else ",setfield=prog")
    codec = ("-c:v", "mpeg2video", "-q:v", 2) if is_flagged else ("-c:v", "ffv1")
    clip = make_clip("in.mkv", *codec, *flags, size=(320, 64), rate="50", filters=filters, frames=15)
    times, places = bar_positions(clip)
    assert times == [Fraction(n, 50) for n in range(30)]
    np.testing.assert_allclose(places, 8 * np.arange(30), atol=2)  # in the order of time


def test_the_duration_stays(make_clip: MakeClip) -> None:
    filters = f"{BAR},{WEAVE['tff']}"
    info = probe(make_clip("in.mkv", "-c:v", "ffv1", size=(320, 64), rate="50", filters=filters, frames=15))
    split = deinterlaced(info)
    assert split.duration == info.duration == Fraction(3, 5)
    assert split.frame_rate == 50
    *_, last = read_frames(split)
    assert split.end_pts is not None
    assert last.pts + (last.duration or 0) == split.end_pts
    assert last.pts == split.last_pts


def test_whole_frames_are_left_alone(make_clip: MakeClip) -> None:
    for picture in ("testsrc2", "mandelbrot", "life"):
        clip = make_clip(
            f"{picture}.mkv", size=(320, 240), picture=picture, frames=30, filters="format=yuv420p"
        )
        info = probe(clip)
        assert deinterlaced(info) is info


def test_a_slow_vertical_pan_is_not_taken_for_fields(make_clip: MakeClip) -> None:
    """What idet errs at: one line down per frame, so that a field fits the next frame's other one."""
    pan = "format=gray,crop=160:120:0:n"
    clip = make_clip("in.mkv", "-c:v", "ffv1", size=(160, 240), picture="mandelbrot", filters=pan, frames=40)
    info = probe(clip)
    assert deinterlaced(info) is info


def test_the_user_decides(make_clip: MakeClip) -> None:
    woven = make_clip("woven.mkv", "-c:v", "ffv1", size=(320, 64), rate="50", filters=f"{BAR},{WEAVE['tff']}")
    assert len(list(read_frames(deinterlaced(probe(woven), "off")))) == 10
    plain = make_clip("plain.mkv")
    assert len(list(read_frames(deinterlaced(probe(plain), "on")))) == 20


def test_whole_pictures_that_are_flagged_as_interlaced_are_left_alone(make_clip: MakeClip) -> None:
    """Film on DVD and in broadcasts, whose encoders flag all frames."""
    flagged = ("-c:v", "mpeg2video", "-q:v", 2, "-flags", "+ildct+ilme")
    info = probe(make_clip("in.mpg", *flagged, size=(320, 64), filters=BAR, frames=30))
    assert info.field_order == "flagged"
    assert deinterlaced(info) is info
    assert deinterlaced(info, "on").fields == "flagged"


def test_pictures_that_rest_are_believed_to_be_what_they_are_flagged_as(make_clip: MakeClip) -> None:
    flagged = ("-c:v", "mpeg2video", "-q:v", 2, "-flags", "+ildct+ilme")
    info = probe(make_clip("in.mpg", *flagged, picture="smptebars", frames=10))
    assert deinterlaced(info).fields == "flagged"


def test_a_video_that_turns_interlaced_is_read_by_the_flags_of_its_frames(make_clip: MakeClip) -> None:
    codec = ("-c:v", "mpeg2video", "-q:v", 2, "-bf", 0, "-g", 5)
    first = make_clip("a.ts", *codec, size=(320, 64), rate="25", filters=BAR, frames=20)
    woven = ("-flags", "+ildct+ilme", "-output_ts_offset", 0.84)
    filters = f"{BAR},{WEAVE['tff']}"
    second = make_clip("b.ts", *codec, *woven, size=(320, 64), rate="50", filters=filters, frames=20)
    joined = first.with_name("in.ts")
    joined.write_bytes(first.read_bytes() + second.read_bytes())
    times, places = bar_positions(joined)
    start = times[0]
    assert [time - start for time in times] == [
        *(Fraction(number, 25) for number in range(20)),
        *(Fraction(4, 5) + Fraction(number, 50) for number in range(40)),
    ]
    np.testing.assert_allclose(places[20:], 8 * np.arange(40), atol=2)
    np.testing.assert_allclose(places[:20], 8 * np.arange(20), atol=2)
