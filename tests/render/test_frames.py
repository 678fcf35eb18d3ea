"""Frames in, frames out: the pictures and times of `upscale_video`, for what any decoder hands over."""

from __future__ import annotations

import itertools
import tracemalloc
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from tests.conftest import MakeClip, RunFfmpeg
from tests.oracle.blend import BlendVideoInr
from videoinr_cli.errors import InputError, MemoryLimitError, OptionError, VideoInrError, WeightsError
from videoinr_cli.jobs.upscale import upscale_video
from videoinr_cli.media.read.probe import probe
from videoinr_cli.options import EncodeOptions, TargetRate, UpscaleOptions
from videoinr_cli.render.frames import UpscaledFrame, upscale_frames
from videoinr_cli.render.scenes import WINDOW
from videoinr_cli.weights import load_model

GRAIN = "noise=alls=12:allf=t"
LOSSLESS = ("-c:v", "ffv1", "-pix_fmt", "gbrp")


def decoded(path: Path) -> tuple[list[NDArray[np.uint8]], list[Fraction], Fraction]:
    """Return every picture as R'G'B', its time in seconds, and the file's clock, by PyAV alone."""
    with av.open(str(path)) as container:
        time_base = container.streams.video[0].time_base
        assert time_base is not None
        frames = [(f.to_ndarray(format="rgb24"), f.pts * time_base) for f in container.decode(video=0)]
    return [picture for picture, _ in frames], [seconds for _, seconds in frames], time_base


def noise(count: int, size: tuple[int, int] = (24, 32)) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (count, *size, 3), dtype=np.uint8)


def upscaled(frames: Any, **arguments: Any) -> list[UpscaledFrame]:
    """Upscale with the blending network."""
    return list(upscale_frames(frames, **{"model": BlendVideoInr(), "scale": 1.0, **arguments}))


@pytest.fixture
def clips(make_clip: MakeClip, run_ffmpeg: RunFfmpeg, tmp_path: Path) -> dict[str, Path]:
    """Return clips on a clock of milliseconds, of variable rate, with repeated frames, and with a cut."""
    parts = [
        make_clip(f"{name}.mkv", *LOSSLESS, picture=name, frames=4) for name in ("testsrc2", "mandelbrot")
    ]
    cut = tmp_path / "cut.mkv"
    inputs = itertools.chain.from_iterable(("-i", part) for part in parts)
    run_ffmpeg(*inputs, "-filter_complex", "concat", *LOSSLESS, cut)
    skipping = "select='not(between(n,3,6))+eq(n,5)'"
    return {
        "milliseconds": make_clip("ms.mkv", *LOSSLESS, frames=7, rate="30", filters=GRAIN),
        "variable": make_clip("vfr.mkv", *LOSSLESS, "-fps_mode", "vfr", frames=8, filters=skipping),
        "repeated": make_clip("repeated.mkv", *LOSSLESS, frames=8, filters="fps=12.5,fps=25"),
        "cut": cut,
    }


@pytest.mark.parametrize("clip", ["milliseconds", "variable", "repeated", "cut"])
@pytest.mark.parametrize("fps", [None, "2x", "40"])
def test_frames_of_a_file_become_what_the_file_does(
    clip: str, fps: str | None, clips: dict[str, Path], weights: Path, tmp_path: Path
) -> None:
    source, output = clips[clip], tmp_path / "out.mkv"
    model = load_model(weights)
    target = None if fps is None else TargetRate.parse(fps)
    options = UpscaleOptions(scale=1.5, fps=target, encode=EncodeOptions(codec="ffv1"))
    summary = upscale_video(source, output, options, model=model)
    assert summary.cuts == (clip == "cut")
    wanted, when, tick = decoded(output)

    pictures, times, time_base = decoded(source)
    average = probe(source).frame_rate
    made = list(
        upscale_frames(
            pictures, times=times, time_base=time_base, input_fps=average, scale=1.5, fps=fps, model=model
        )
    )
    # The file states its end; frames alone last as long as the one before, and may go on from there.
    assert clip == "variable" or len(made) == len(wanted)
    for frame, picture, seconds in zip(made, wanted, when, strict=False):
        np.testing.assert_array_equal(frame.picture, picture)
        assert abs(frame.seconds - seconds) <= tick


def test_times_are_those_of_the_frames() -> None:
    times = [Fraction(7, 2), Fraction(18, 5), Fraction(5)]
    made = upscaled(noise(3), times=times)
    assert [frame.seconds for frame in made] == times
    for frame, given in zip(made, noise(3), strict=True):
        np.testing.assert_array_equal(frame.picture, given)


@pytest.mark.parametrize("rate", ["24000/1001", "25", "30", "60000/1001", "90"])
def test_floating_point_seconds_are_exact_at_the_rates_in_use(rate: str) -> None:
    period = 1 / Fraction(rate)
    made = upscaled(noise(6), times=[float(3600 + n * period) for n in range(6)], fps=TargetRate(2 / period))
    for frame, given in zip(made[::2], noise(6), strict=True):  # none is a hair before its frame
        np.testing.assert_array_equal(frame.picture, given)
    assert [frame.seconds for frame in made] == [3600 + n * period / 2 for n in range(12)]


def test_without_times_frames_come_at_a_rate() -> None:
    assert [frame.seconds for frame in upscaled(noise(3))] == [Fraction(n, 25) for n in range(3)]
    made = upscaled(noise(3), input_fps=10, fps="2x")
    assert [frame.seconds for frame in made] == [Fraction(n, 20) for n in range(6)]
    slow = upscaled(noise(3), input_fps=10, options=UpscaleOptions(speed=Fraction(1, 2)))
    assert [frame.seconds for frame in slow] == [Fraction(n, 10) for n in range(6)]


@pytest.mark.parametrize(
    "dtype", [np.uint8, np.uint16, np.float16, np.float32, np.float64], ids=lambda dtype: dtype.__name__
)
def test_arrays_come_back_as_they_are_given(dtype: type[Any]) -> None:
    floating = np.issubdtype(dtype, np.floating)
    frames = (
        (noise(2) / 255).astype(dtype)
        if floating
        else noise(2).astype(dtype) * (257 if dtype == np.uint16 else 1)
    )
    for made, given in zip(upscaled(frames), frames, strict=True):
        assert isinstance(made.picture, np.ndarray)
        assert made.picture.dtype == dtype
        # half a level of 16 bits, and what float16 can tell apart below 1
        tolerance = {np.float16: 2**-11, np.float32: 2**-17, np.float64: 2**-17}.get(dtype, 0)
        np.testing.assert_allclose(made.picture, given, rtol=0, atol=tolerance)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float16, torch.bfloat16, torch.float32])
def test_tensors_come_back_as_they_are_given(dtype: torch.dtype) -> None:
    levels = torch.from_numpy(noise(2)).permute(0, 3, 1, 2)
    frames = (levels / 255 if dtype.is_floating_point else levels).to(dtype)
    for made, given in zip(upscaled(frames), frames, strict=True):
        assert isinstance(made.picture, Tensor)
        assert (made.picture.dtype, made.picture.shape) == (dtype, given.shape)
        assert made.picture.is_contiguous()
        torch.testing.assert_close(made.picture, given, rtol=0, atol=2**-17 if dtype == torch.float32 else 0)


def test_a_decoder_may_write_into_its_frame_again() -> None:
    frames, buffer = noise(5), np.empty((24, 32, 3), np.uint8)

    def reused() -> Iterator[NDArray[np.uint8]]:
        for frame in frames:
            buffer[:] = frame
            yield buffer

    for made, wanted in zip(upscaled(reused(), fps="2x"), upscaled(frames, fps="2x"), strict=True):
        np.testing.assert_array_equal(made.picture, wanted.picture)


def test_what_comes_out_is_the_callers_own() -> None:
    still = np.stack([noise(1)[0]] * 4)
    for made in upscale_frames(still, model=BlendVideoInr(), scale=1.0):
        np.testing.assert_array_equal(made.picture, still[0])
        made.picture[:] = 0  # the same rendering is shown four times


def test_a_bounded_number_of_frames_is_held() -> None:
    taken, size = 0, (240, 320)

    def endless() -> Iterator[NDArray[np.uint8]]:
        nonlocal taken
        for taken in itertools.count(1):
            yield np.full((*size, 3), taken % 251, np.uint8)

    frames = upscale_frames(endless(), model=BlendVideoInr(), scale=1.0, fps="2x")
    held = []
    tracemalloc.start()
    try:
        for number, _ in enumerate(itertools.islice(frames, 60)):
            # no earlier than needed: a pair, one more, and those by which cuts are known
            assert taken <= number // 2 + 3 + WINDOW
            held.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert max(held[30:]) < max(held[:30]) + 3 * size[0] * size[1]


@pytest.mark.parametrize(
    ("frames", "arguments", "error", "said"),
    [
        ([], {}, InputError, "no frames"),
        ([np.zeros((24, 32), np.uint8)], {}, InputError, r"frame 1 has the shape \(24, 32\)"),
        ([np.zeros((3, 24, 32), np.uint8)], {}, InputError, r"give \(H, W, 3\) arrays"),
        ([torch.zeros(24, 32, 3)], {}, InputError, r"\(3, H, W\) tensors"),
        ([np.zeros((0, 32, 3), np.uint8)], {}, InputError, "shape"),
        ([np.zeros((24, 32, 3), np.int64)], {}, InputError, "int64"),
        ([np.full((24, 32, 3), np.nan)], {}, InputError, "not finite"),
        (["frame.png"], {}, InputError, "a str"),
        ([*noise(2), noise(1, (24, 30))[0]], {}, InputError, r"frame 3 is uint8 of \(24, 30, 3\)"),
        ([noise(1)[0], noise(1)[0] / 255], {}, InputError, "frame 2 is float64"),
        (noise(3), {"times": [0, 1]}, InputError, "frame 3 has no time"),
        (noise(3), {"times": []}, InputError, "frame 1 has no time"),
        (noise(3), {"times": [0, 2, 1]}, InputError, "frame 3, at 1 s, does not come after the one at 2 s"),
        (noise(3), {"times": [0, float("nan")]}, InputError, "nan is not a number of seconds"),
        (noise(3), {"times": [0, 1, 2], "fps": "2x"}, OptionError, "input_fps"),
        (noise(3), {"input_fps": "2x"}, OptionError, "multiple of nothing"),
        (noise(3), {"fps": "fast"}, OptionError, "'fast' is not a number"),
        (noise(3), {"height": 48}, OptionError, "exclude each other"),
        (noise(3), {"scale": 0.5}, OptionError, "between 1"),
        (noise(3), {"model": "no such weights"}, WeightsError, "no such weights"),
        (
            noise(3),
            {"options": UpscaleOptions(max_memory_bytes=1)},
            MemoryLimitError,
            "--max-memory",
        ),
    ],
)
def test_what_makes_no_sense_is_an_error_of_ours(
    frames: Any, arguments: dict[str, Any], error: type[VideoInrError], said: str
) -> None:
    with pytest.raises(error, match=said):
        upscaled(iter(frames), **arguments)
