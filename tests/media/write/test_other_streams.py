"""What stays together at another speed or rate: pictures, sound, subtitles and chapters, by real encoders."""

from __future__ import annotations

import itertools
from fractions import Fraction
from pathlib import Path

import av
import pytest

from tests.conftest import RunFfmpeg
from tests.media.write.outputs import beeps, flashes
from tests.oracle.blend import BlendVideoInr
from videoinr_cli.jobs.upscale import upscale_video
from videoinr_cli.options import EncodeOptions, TargetRate, UpscaleOptions

FRAMES = 60
FLASHES = (1, 30, 58)  # frames that are white: near the start, in the middle, near the end
BEEP_SECONDS = Fraction(1, 10)
STRETCH_TOLERANCE = Fraction(3, 100)
"""atempo moves pieces of 43 ms by up to half of their length, to where they fit."""


def shown_at(number: int) -> Fraction:
    """Return when frame `number` is shown: 12 ms to 78 ms after the one before."""
    return Fraction(30 * number + 9 * (number % 3) + number * number // 3, 1000)


@pytest.fixture
def clapper(run_ffmpeg: RunFfmpeg, tmp_path: Path) -> Path:
    """A video of variable rate, in which a white frame and a beep come together three times."""
    times = [shown_at(number) for number in range(FRAMES)]
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert min(gaps) > 0
    assert max(gaps) > 4 * min(gaps)
    white = "+".join(f"eq(N,{number})" for number in FLASHES)
    picture = f"geq=lum='if({white},235,60+X+40*mod(N,2))':cb=128:cr=128"
    stamps = "30*N+9*mod(N,3)+floor(N*N/3)"
    starts = [float(shown_at(number)) for number in FLASHES]
    beeps = "+".join(f"between(t,{start:.6f},{start + float(BEEP_SECONDS):.6f})" for start in starts)
    path = tmp_path / "clapper.mkv"
    run_ffmpeg(
        *("-f", "lavfi", "-i", f"color=s=64x48:r=25,format=yuv420p,{picture},settb=1/1000,setpts='{stamps}'"),
        *("-f", "lavfi", "-i", f"aevalsrc='0.9*sin(4400*t)*({beeps})':s=48000:d={float(times[-1]) + 0.1}"),
        *(
            "-map",
            0,
            "-map",
            1,
            "-frames:v",
            FRAMES,
            "-fps_mode",
            "passthrough",
            "-enc_time_base:v",
            "1:1000",
        ),
        *("-c:v", "libx264", "-bf", 0, "-crf", 10, "-c:a", "pcm_s16le", path),
    )
    with av.open(str(path)) as container:
        assert [frame.pts * frame.time_base for frame in container.decode(video=0)] == times
    return path


def upscale(source: Path, destination: Path, **options: object) -> Path:
    options = {"scale": 1.0, "encode": EncodeOptions(preset="ultrafast"), **options}
    upscale_video(source, destination, UpscaleOptions(**options), model=BlendVideoInr())  # type: ignore[arg-type]
    return destination


@pytest.mark.parametrize("name", ["out.mkv", "out.mp4", "out.webm"])
@pytest.mark.parametrize("fps", ["60", "30000/1001"])
def test_a_click_and_a_flash_stay_together(clapper: Path, name: str, fps: str) -> None:
    expected = [shown_at(number) for number in FLASHES]
    rate = TargetRate.parse(fps)
    out = upscale(clapper, clapper.with_name(name), fps=rate)
    heard, seen = beeps(out), flashes(out)
    assert len(heard) == len(seen) == len(FLASHES)
    for (beep, _), flash, at in zip(heard, seen, expected, strict=True):
        assert abs(beep - at) <= Fraction(1, 1000)
        assert abs(flash - beep) <= 1 / rate.value


@pytest.mark.parametrize(("speed", "name"), [("1/4", "out.mp4"), ("1/2", "out.mkv"), ("3", "out.mkv")])
def test_they_stay_together_at_another_speed(clapper: Path, name: str, speed: str) -> None:
    expected = [shown_at(number) / Fraction(speed) for number in FLASHES]
    rate = TargetRate.parse("60")
    out = upscale(clapper, clapper.with_name(name), fps=rate, speed=Fraction(speed))
    heard, seen = beeps(out), flashes(out)
    assert len(heard) == len(seen) == len(FLASHES)
    for (_, middle), flash, at in zip(heard, seen, expected, strict=True):
        assert abs(middle - at - BEEP_SECONDS / 2 / Fraction(speed)) <= STRETCH_TOLERANCE
        assert abs(flash - at) <= 1 / rate.value
    with av.open(str(out)) as container:
        last = max((p.pts + p.duration) * p.time_base for p in container.demux(audio=0) if p.size)
    # atempo ends with its last whole piece: some hundredths of a second of the source, stretched.
    missing = (shown_at(FRAMES - 1) + Fraction(1, 10)) / Fraction(speed) - last
    assert abs(missing) <= Fraction(6, 100) * max(2, 1 / Fraction(speed))
