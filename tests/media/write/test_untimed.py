"""Containers and codecs that cannot state every time: sound stays with the picture, rates are right."""

from __future__ import annotations

import re
import subprocess
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.conftest import BUNDLED_FFMPEG, MakeClip, RunFfmpeg
from tests.media.write.outputs import beeps, copy, decoded, flashes, shown_at
from videoinr_cli.errors import OutputError
from videoinr_cli.media.read.probe import probe
from videoinr_cli.media.write.output import OutputClock
from videoinr_cli.options import EncodeOptions

FLASHES = (15, 40)  # white frames of 50, at 25 frames per second


@pytest.fixture
def clapper(run_ffmpeg: RunFfmpeg, tmp_path: Path) -> Path:
    """Flashes and beeps at 0.6 s and 1.6 s, without loss."""
    white = "+".join(f"eq(N,{number})" for number in FLASHES)
    loud = "+".join(f"between(t,{number / 25},{number / 25 + 0.05})" for number in FLASHES)
    path = tmp_path / "clapper.mkv"
    run_ffmpeg(
        *("-f", "lavfi", "-i", f"color=s=64x48:r=25:d=2,format=yuv420p,geq=lum='if({white},235,60)':cb=128"),
        *("-f", "lavfi", "-i", f"aevalsrc='0.9*sin(4400*t)*({loud})':s=48000:d=2"),
        *("-c:v", "ffv1", "-c:a", "pcm_s16le", path),
    )
    return path


def late(
    clapper: Path, run_ffmpeg: RunFfmpeg, name: str, codec: str, *, picture: float, sound: float
) -> Path:
    """Start its picture or its sound later than the other."""
    path = clapper.with_name(name)
    inputs = ("-itsoffset", picture, "-i", clapper, "-itsoffset", sound, "-i", clapper)
    codecs = ("-c:v", "libx264", "-bf", 0, "-c:a", codec)
    run_ffmpeg(*inputs, "-map", "0:v", "-map", "1:a", *codecs, path)
    return path


@pytest.mark.parametrize(("name", "codec"), [("in.mkv", "pcm_s16le"), ("in.mp4", "aac"), ("in.mkv", "mp3")])
@pytest.mark.parametrize(("picture", "sound"), [(0, 1), (1, 0), (0, 0.1)])
def test_in_avi_sound_stays_with_the_picture_whichever_begins_first(
    clapper: Path, run_ffmpeg: RunFfmpeg, name: str, codec: str, picture: float, sound: float
) -> None:
    """AVI starts all streams at once: the first picture is held, or silence is heard before the sound."""
    clip = late(clapper, run_ffmpeg, name, codec, picture=picture, sound=sound)
    out = copy(clip, clip.with_name("out.avi"))
    offset = Fraction(sound).limit_denominator(100) - Fraction(picture).limit_denominator(100)
    seen, heard = flashes(out), [beep for beep, _ in beeps(out)]
    assert len(seen) == len(heard) == 2
    # A frame of 40 ms is the grid of AVI; the delay of copied MP3 is not said by Matroska.
    errors = [abs(beep - flash - offset) for flash, beep in zip(seen, heard, strict=True)]
    assert max(errors) <= Fraction(30, 1000)


@pytest.mark.parametrize("name", ["out.avi", "out.mov"])
@pytest.mark.parametrize("codec", ["pcm_s16le", "aac"])
def test_a_pause_in_the_sound_stays_a_pause(
    clapper: Path, run_ffmpeg: RunFfmpeg, name: str, codec: str
) -> None:
    """Where samples are stored one after the other, what is missing becomes silence."""
    whole, clip = clapper.with_name("whole.mkv"), clapper.with_name("in.mkv")
    run_ffmpeg("-i", clapper, "-c:v", "copy", "-c:a", codec, whole)
    run_ffmpeg("-i", whole, "-c", "copy", "-bsf:a", "noise=drop='between(pts,800,1400)'", clip)
    out = copy(clip, clip.with_name(name))
    heard = [beep for beep, _ in beeps(out)]
    assert [round(beep, 2) for beep in heard] == [round(flash, 2) for flash in flashes(out)]


@pytest.mark.parametrize("codec", ["pcm_s16be", "pcm_s24le", "pcm_s32le", "pcm_f32le", "pcm_f64le"])
def test_samples_without_a_pause_are_the_same(
    clapper: Path, run_ffmpeg: RunFfmpeg, caplog: pytest.LogCaptureFixture, codec: str
) -> None:
    clip = clapper.with_name("in.nut")
    run_ffmpeg("-i", clapper, "-c:v", "copy", "-c:a", codec, clip)
    out = copy(clip, clip.with_name("out.mov"))

    def samples(path: Path) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        command = [BUNDLED_FFMPEG, "-v", "error", "-i", str(path), "-map", "0:a", "-f", "f64le", "-"]
        return np.frombuffer(subprocess.run(command, capture_output=True, check=True).stdout)

    assert np.array_equal(samples(out), samples(clip))
    assert codec in {stream.codec for stream in probe(out).streams}
    assert "it becomes" not in caplog.text


def test_a_single_picture_lasts_a_second_in_avi_too(make_clip: MakeClip) -> None:
    clip = make_clip("in.mp4", rate="1", frames=1)
    out = copy(clip, clip.with_name("out.avi"))
    with av.open(str(out)) as container:
        assert container.streams.video[0].frames == 1
        assert container.duration == 1_000_000


@pytest.mark.parametrize(
    ("codec", "name"), [("mpeg2video", "out.mkv"), ("mpeg2video", "out.mp4"), ("mpeg1video", "out.ts")]
)
def test_codecs_that_state_a_rate_alone_take_a_picture_that_starts_off_the_sound(
    clapper: Path, run_ffmpeg: RunFfmpeg, codec: str, name: str
) -> None:
    """Its time is no multiple of a frame's; everything is then shown a little later."""
    clip = clapper.with_name("in.ts")
    run_ffmpeg("-i", clapper, "-c:v", "libx264", "-bf", 2, "-c:a", "mp2", clip)
    info = probe(clip)
    assert ((info.start_pts * info.time_base - info.origin) * 25).denominator > 1
    out = copy(clip, clip.with_name(name), EncodeOptions(codec))
    offsets = [
        [flash - beep for flash, (beep, _) in zip(flashes(path), beeps(path), strict=True)]
        for path in (clip, out)
    ]
    assert max(abs(one - other) for one, other in zip(*offsets, strict=True)) <= Fraction(1, 1000)
    times = shown_at(out)
    assert all(abs(time - times[0] - Fraction(n, 25)) <= Fraction(1, 1000) for n, time in enumerate(times))


@pytest.mark.parametrize(("name", "rate"), [("out.avi", "240000/1001"), ("out.mp4", "120000/1001")])
def test_mpeg_4_takes_rates_that_it_can_only_state_nearly(make_clip: MakeClip, name: str, rate: str) -> None:
    clip = make_clip("in.mp4", rate=rate, frames=30)
    times = shown_at(copy(clip, clip.with_name(name), EncodeOptions("mpeg4")))
    assert len(times) == 30
    tolerance = Fraction(1, 1_000_000)
    assert all(abs(time - number / Fraction(rate)) <= tolerance for number, time in enumerate(times))


def test_mpeg_4_takes_uneven_times_as_near_as_it_can_state_them() -> None:
    clock = OutputClock.of(Fraction(1, 90_000), Fraction(0), most_ticks=65_535)
    assert clock.tick == Fraction(1, 65_535)
    assert clock.ticks(90_001) == 65_536
    assert clock.delay == 0


@pytest.mark.parametrize(
    ("codec", "name", "rate"),
    [("libx264", "out.ts", "25"), ("libx264", "out.mp4", "24000/1001"), ("libx265", "out.mkv", "24000/1001")],
)
def test_the_pictures_state_their_rate_when_they_start_off_the_sound(
    make_clip: MakeClip, codec: str, name: str, rate: str
) -> None:
    clip = make_clip("in.ts", "-c:v", "libx264", "-c:a", "aac", audio=True, rate=rate, frames=30)
    out = copy(clip, clip.with_name(name), EncodeOptions(codec, preset="ultrafast"))
    assert stated_rate(out) == pytest.approx(Fraction(rate), rel=1e-3)


def stated_rate(path: Path) -> Fraction:
    """Return the frames per second that the pictures' own header states."""
    command = [BUNDLED_FFMPEG, "-i", str(path), "-map", "0:v", "-c", "copy", "-bsf:v", "trace_headers"]
    done = subprocess.run([*command, "-frames:v", "1", "-f", "null", "-"], capture_output=True, text=True)
    ticks, scale = (
        int(re.findall(rf"{name}\s+[01]+ = (\d+)", done.stderr)[-1])
        for name in ("num_units_in_tick", "time_scale")
    )
    fields = 2 if "Sequence Parameter Set" in done.stderr and "hevc" not in done.stderr.lower() else 1
    return Fraction(scale, ticks * fields)


@pytest.mark.parametrize("codec", ["libvpx-vp9", "libaom-av1", "prores_ks", "ffv1", "mjpeg", "png"])
def test_a_transport_stream_refuses_what_nobody_could_read_there(make_clip: MakeClip, codec: str) -> None:
    clip = make_clip("in.mp4")
    with pytest.raises(OutputError, match=f"mpegts cannot hold what {codec} makes; try --codec libx264"):
        copy(clip, clip.with_name("out.ts"), EncodeOptions(codec))


@pytest.mark.parametrize("codec", ["libx264", "libx265", "mpeg1video", "mpeg2video", "mpeg4"])
def test_what_it_takes_is_read_again(make_clip: MakeClip, codec: str) -> None:
    clip = make_clip("in.mp4")
    assert len(decoded(copy(clip, clip.with_name("out.ts"), EncodeOptions(codec)))) == 10


def test_sound_of_windows_media_stays_with_the_picture(clapper: Path, run_ffmpeg: RunFfmpeg) -> None:
    """The picture begins 43 ms after the first packet of sound, of which the decoder gives nothing."""
    clip = clapper.with_name("in.wmv")
    run_ffmpeg("-i", clapper, "-c:v", "wmv2", "-c:a", "wmav2", clip)
    out = copy(clip, clip.with_name("out.mp4"))
    offsets = [beep - flash for flash, (beep, _) in zip(flashes(out), beeps(out), strict=True)]
    assert max(map(abs, offsets)) <= Fraction(1, 1000)
