"""A part of a source holds its frames and no others, and the sound, subtitles and chapters of that time."""

from __future__ import annotations

import itertools
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.conftest import MakeClip, RunFfmpeg
from tests.media.write.outputs import FAST, decoded
from tests.writing import open_writer
from videoinr_cli.errors import OptionError
from videoinr_cli.media.read.cutting import cut
from videoinr_cli.media.read.prepare import prepare
from videoinr_cli.media.read.probe import probe
from videoinr_cli.media.read.reader import read_frames
from videoinr_cli.media.streams import VideoInfo
from videoinr_cli.options import EncodeOptions, ReadOptions

BEAT = "if(lt(mod(t,1),0.02),sin(2*PI*1000*t),0)"  # a beep at every second


def seconds(frames: list[av.VideoFrame]) -> list[Fraction]:
    return [frame.pts * frame.time_base for frame in frames]


def write(info: VideoInfo, destination: Path, encoding: EncodeOptions = FAST) -> Path:
    with open_writer(
        destination, (info.width, info.height), info.time_base, info, encoding, end_pts=info.end_pts
    ) as writer:
        for frame in read_frames(info):
            writer.write(frame.rgb, frame.pts)
    return destination


@pytest.mark.parametrize("name", ["in.mp4", "in.mkv", "in.avi", "in.ts", "in.gif", "%02d.png"])
@pytest.mark.parametrize(("start", "end"), [("0.5", "1"), ("0.49", "1.01"), (None, "0.4"), ("1.4", None)])
def test_the_frames_of_a_part_are_those_of_the_whole(
    make_clip: MakeClip, name: str, start: str | None, end: str | None
) -> None:
    """At 20 frames per second: from 0.5 s on is from the 10th frame on, from 0.49 s on too."""
    lossless = {"in.mkv": ("-c:v", "ffv1"), "in.ts": ("-c:v", "mpeg2video", "-bf", 2)}.get(name, ())
    clip = make_clip(name, *lossless, rate="20", frames=40)
    whole = probe(clip, rate=Fraction(20) if "%" in name else None)
    part = cut(whole, start and Fraction(start), end and Fraction(end))  # type: ignore[arg-type]
    first, stop = (
        {"0.5": 10, "0.49": 10, None: 0, "1.4": 28}[start],
        {"1": 20, "1.01": 21, "0.4": 8}.get(end or "", 40),
    )
    expected = list(read_frames(whole))[first:stop]
    frames = list(read_frames(part))
    assert [frame.pts for frame in frames] == [frame.pts for frame in expected]
    for frame, same in zip(frames, expected, strict=True):
        np.testing.assert_array_equal(frame.rgb, same.rgb)
    assert part.start_pts == frames[0].pts
    ends = frames[-1].pts + (frames[-1].duration or 0)
    assert ends == part.end_pts
    if end is not None:
        assert abs(ends * whole.time_base - whole.origin - Fraction(end)) < whole.time_base


def test_a_part_can_be_read_in_parts(make_clip: MakeClip) -> None:
    part = cut(probe(make_clip("in.mp4", frames=30)), Fraction("0.4"), Fraction("0.8"))
    every = [frame.pts for frame in read_frames(part)]
    assert len(every) == 10
    assert [frame.pts for frame in read_frames(part, begin=every[4], end=every[7])] == every[4:7]
    assert [frame.pts for frame in read_frames(part, begin=every[0], lead=2)] == every
    assert [frame.pts for frame in read_frames(part, begin=every[1], lead=3)] == every


def test_fields_are_cut_too(make_clip: MakeClip) -> None:
    woven = "format=yuv420p,tinterlace=interleave_top"
    clip = make_clip(
        "in.mkv", "-c:v", "mpeg2video", "-flags", "+ildct+ilme", rate="50", filters=woven, frames=20
    )
    part = prepare(clip, ReadOptions(start=Fraction("0.3"), end=Fraction("0.5")))
    times = [frame.pts * part.time_base for frame in read_frames(part)]
    assert times == [Fraction(n, 50) for n in range(15, 25)]


@pytest.mark.parametrize(
    ("start", "end", "words"),
    [("9", None, "no frame after --start 9"), (None, "0.001", "no frame before --end 0.001")],
)
def test_a_part_without_frames_is_refused(
    make_clip: MakeClip, run_ffmpeg: RunFfmpeg, start: str | None, end: str | None, words: str
) -> None:
    clip = make_clip("a.mkv", "-bf", 0, audio=True)
    late = clip.with_name("late.mkv")
    run_ffmpeg("-itsoffset", "0.2", "-i", clip, "-i", clip, "-map", "0:v", "-map", "1:a", "-c", "copy", late)
    reading = ReadOptions(start=start and Fraction(start), end=end and Fraction(end))  # type: ignore[arg-type]
    with pytest.raises(OptionError, match=words):
        prepare(late, reading)


@pytest.fixture
def long_clip(run_ffmpeg: RunFfmpeg, tmp_path: Path) -> Path:
    """50 s: a beep and a brighter frame at every second, subtitles, chapters, a cover."""
    lines, tags, cover = tmp_path / "lines.srt", tmp_path / "tags.txt", tmp_path / "cover.png"
    spans = [(1, 2), (38, 41), (42, 43), (44, 49), (49, 50)]
    lines.write_text(
        "".join(
            f"{n}\n00:00:{a:02d},000 --> 00:00:{b:02d},000\nLine {n}\n\n" for n, (a, b) in enumerate(spans, 1)
        )
    )
    tags.write_text(
        ";FFMETADATA1\ntitle=T\n"
        + "".join(
            f"[CHAPTER]\nTIMEBASE=1/1\nSTART={a}\nEND={b}\ntitle={name}\n"
            for a, b, name in [(0, 39, "One = 1"), (39, 42, "Two"), (42, 46, "Three"), (46, 50, "Four")]
        )
    )
    run_ffmpeg("-f", "lavfi", "-i", "color=s=32x32", "-frames:v", 1, cover)
    flash = "color=gray:s=64x48:r=5:d=50,format=yuv420p,geq=lum='if(eq(mod(N,5),0),220,60)':cb=128:cr=128"
    clip = tmp_path / "long.mkv"
    run_ffmpeg(
        *("-f", "lavfi", "-i", flash, "-f", "lavfi", "-i", f"aevalsrc='{BEAT}':s=48000:d=50"),
        *("-i", lines, "-i", tags, "-map", 0, "-map", 1, "-map", 1, "-map", 2, "-map", 2),
        *("-map_metadata", 3, "-map_chapters", 3, "-c:v:0", "libx264", "-bf", 0, "-g", 25, "-c:a:0", "aac"),
        *("-c:a:1", "pcm_s16le", "-c:s:0", "srt", "-c:s:1", "ass", "-attach", cover),
        *("-metadata:s:t", "mimetype=image/png", "-metadata:s:t", "filename=cover.png", clip),
    )
    return clip


def beeps(path: Path, stream: int = 0) -> list[Fraction]:
    """Return when each beep begins, in seconds."""
    with av.open(str(path)) as container:
        frames = list(container.decode(audio=stream))
    found: list[Fraction] = []
    for frame in frames:
        samples = np.abs(frame.to_ndarray().astype(float)).reshape(-1)
        loud = np.flatnonzero(samples > 0.2 * (1 if frame.format.name.startswith(("flt", "dbl")) else 32768))
        for place in loud:
            at = frame.pts * frame.time_base + Fraction(int(place), frame.sample_rate)
            if not found or at - found[-1] > Fraction(1, 10):
                found.append(at)
    return found


def flashes(path: Path) -> list[Fraction]:
    """Return when the picture becomes bright, in seconds."""
    levels = [
        (frame.pts * frame.time_base, frame.to_ndarray(format="gray").mean()) for frame in decoded(path)
    ]
    return [
        time
        for (_, before), (time, level) in itertools.pairwise([(Fraction(-1), 0.0), *levels])
        if level > 140 > before
    ]


def subtitles(path: Path, stream: int = 0) -> list[tuple[float, float]]:
    with av.open(str(path)) as container:
        chosen = container.streams.subtitles[stream]
        packets = [p for p in container.demux(chosen) if p.size > 2]  # 2: mov_text's pauses
        return [
            (round(float(p.pts * p.time_base), 3), round(float(p.duration * p.time_base), 3)) for p in packets
        ]


def chapters(path: Path) -> list[tuple[float, float, str]]:
    with av.open(str(path)) as container:
        return [
            (float(c["start"] * c["time_base"]), float(c["end"] * c["time_base"]), c["metadata"]["title"])
            for c in container.chapters()
        ]


@pytest.mark.parametrize("name", ["out.mkv", "out.mp4"])
def test_everything_beside_the_video_is_cut_with_it(long_clip: Path, name: str) -> None:
    part = prepare(long_clip, ReadOptions(start=Fraction("39.9"), end=Fraction("45.5")))
    out = write(part, long_clip.with_name(name))
    times = seconds(decoded(out))
    assert times == [Fraction(n, 5) for n in range(28)]  # from 40 s to 45.4 s
    assert flashes(out) == list(range(6))
    for stream in (0, 1):
        found = beeps(out, stream)
        # The first beep lies in the first packet of sound, of which stream copy may lose the start.
        assert [at for at in found if at > Fraction(1, 2)] == pytest.approx([1, 2, 3, 4, 5], abs=0.001)
    with av.open(str(out)) as container:
        for sound in container.streams.audio:
            ends = [(p.pts + p.duration) * p.time_base for p in container.demux(sound) if p.size]
            container.seek(0)
            assert 5.5 <= max(ends) <= 5.55
    for stream in (0, 1):
        assert subtitles(out, stream) == [(0, 1), (2, 1), (4, 1.5)]
    assert chapters(out) == [(0, 2, "Two"), (2, 5.5, "Three")]
    assert name == "out.mkv" or any("attached_pic" in stream.disposition for stream in probe(out).streams)


@pytest.mark.parametrize("name", ["out.mkv", "out.mp4", "out.webm"])
@pytest.mark.parametrize("start", [None, Fraction("0.48"), Fraction("1.6")])
def test_no_sound_is_lost_to_what_an_edit_list_hides(
    run_ffmpeg: RunFfmpeg, tmp_path: Path, name: str, start: Fraction | None
) -> None:
    full, trimmed = tmp_path / "full.mp4", tmp_path / "trimmed.mp4"
    pictures, sound = "testsrc2=s=64x48:r=25:d=6", f"aevalsrc='{BEAT}':s=48000:d=6"
    run_ffmpeg("-f", "lavfi", "-i", pictures, "-f", "lavfi", "-i", sound, "-g", 250, "-c:a", "aac", full)
    run_ffmpeg("-ss", 3, "-i", full, "-c", "copy", trimmed)
    begin = start or Fraction(0)
    part = prepare(trimmed, ReadOptions(start=start, end=Fraction("2.9")))
    out = write(part, tmp_path / name, EncodeOptions())
    expected = [at for at in range(3) if at - begin > 0]  # of the very first packet the start may be lost
    found = [at + begin for at in beeps(out) if at > Fraction(1, 10)]
    assert found == pytest.approx(expected, abs=0.005)
