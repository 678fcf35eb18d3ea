"""Drawings that are shown for several frames: how the pattern is found, and where motion then is."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.oracle.blend import BlendVideoInr
from videoinr_cli import upscale_frames
from videoinr_cli.jobs.upscale import upscale_video
from videoinr_cli.media.inspection import inspect_video
from videoinr_cli.media.read.repeats import Repeats, difference, repeats_of, sample
from videoinr_cli.options import EncodeOptions, JobOptions, TargetRate, UpscaleOptions
from videoinr_cli.render.drawings import drawings
from videoinr_cli.render.pipeline import Summary
from videoinr_cli.render.renderer import GivenFrame

TWOS = [2] * 30
THREES = [3] * 20
MIXED = [2, 2, 3, 2, 2, 4, 2, 1, 2, 2, 2, 3, 3, 2, 2, 12, 2, 2, 2, 2, 2]  # with a hold of 12 frames
PULLDOWN = [3, 2] * 12
FOUR_IN_FIVE = [1, 1, 1, 2] * 12
NOISE = np.random.default_rng(7)


def picture(drawing: int) -> NDArray[np.uint8]:
    """A bright box that has moved by two pixels for each drawing, on a ground with texture."""
    rgb = np.full((48, 160, 3), 60, np.uint8)
    rgb[::4, ::4] = 90
    rgb[14:34, 10 + 2 * drawing : 30 + 2 * drawing] = 220
    return rgb


def frames_of(shown: Sequence[int], noise: float = 0.0) -> list[NDArray[np.uint8]]:
    """Return every drawing for as many frames as it is shown, each with noise of its own."""
    frames = [picture(drawing) for drawing, count in enumerate(shown) for _ in range(count)]
    return [(frame + NOISE.normal(0, noise, frame.shape)).clip(0, 255).astype(np.uint8) for frame in frames]


def found_in(frames: Sequence[NDArray[np.uint8]]) -> Repeats | None:
    samples = [sample(frame) for frame in frames]
    return repeats_of([[difference(a, b) for a, b in itertools.pairwise(samples)]])


@pytest.mark.parametrize("noise", [0.0, 2.0])
@pytest.mark.parametrize(
    ("shown", "spacing", "is_alternating"),
    [
        (TWOS, Fraction(2), False),
        (THREES, Fraction(3), False),
        (MIXED, Fraction(2), False),
        (PULLDOWN, Fraction(5, 2), True),
        (FOUR_IN_FIVE, Fraction(5, 4), True),
    ],
)
def test_a_pattern_is_found_under_noise(
    shown: list[int], spacing: Fraction, is_alternating: bool, noise: float
) -> None:
    found = found_in(frames_of(shown, noise))
    assert found is not None
    assert (found.spacing, found.is_alternating) == (spacing, is_alternating)


@pytest.mark.parametrize("noise", [0.0, 2.0])
def test_motion_at_every_frame_and_a_still_are_no_pattern(noise: float) -> None:
    assert found_in(frames_of([1] * 50, noise)) is None
    assert found_in(frames_of([50], noise)) is None
    assert found_in(frames_of([1] * 20 + [20] + [1] * 20, noise)) is None


def given(shown: Sequence[int], noise: float = 0.0) -> list[GivenFrame]:
    frames = frames_of(shown, noise)
    return [
        GivenFrame(frame, 10 * number, 10, is_repeat=number > 0 and np.array_equal(frame, frames[number - 1]))
        for number, frame in enumerate(frames)
    ]


@pytest.mark.parametrize("noise", [0.0, 2.0])
@pytest.mark.parametrize(
    ("shown", "spacing"),
    [(TWOS, Fraction(2)), (PULLDOWN, Fraction(5, 2)), (FOUR_IN_FIVE, Fraction(5, 4))],
)
def test_drawings_are_due_evenly(shown: list[int], spacing: Fraction, noise: float) -> None:
    repeats = found_in(frames_of(shown, noise))
    assert repeats is not None
    kept = list(drawings(given(shown, noise), repeats, Fraction(10)))
    assert [frame.stands_for for frame in kept] == shown
    due = [frame.pts + frame.late for frame in kept][4:]  # where the first repeat is known
    assert {after - before for before, after in itertools.pairwise(due)} == {10 * spacing}
    assert kept[-1].duration == 10 * shown[-1]


@pytest.mark.parametrize("noise", [0.0, 2.0])
def test_a_hold_stays_a_hold(noise: float) -> None:
    repeats = found_in(frames_of(MIXED, noise))
    assert repeats is not None
    kept = list(drawings(given(MIXED, noise), repeats, Fraction(10)))
    held = sum(MIXED[: MIXED.index(12)]) * 10
    times = [frame.pts for frame in kept if held <= frame.pts < held + 120]
    assert times == [held, *range(held + 40, held + 120, 10)]
    assert sum(frame.stands_for for frame in kept) == sum(MIXED)


@pytest.mark.parametrize("shown", [TWOS, MIXED, PULLDOWN, FOUR_IN_FIVE])
def test_what_is_kept_does_not_depend_on_where_reading_begins(shown: list[int]) -> None:
    frames = given(shown, 2.0)
    repeats = found_in([frame.rgb for frame in frames])
    assert repeats is not None
    whole = {frame.pts: (frame.stands_for, frame.late) for frame in drawings(frames, repeats, Fraction(10))}
    for begin in range(1, 17, 5):
        part = [
            (frame.pts, (frame.stands_for, frame.late))
            for frame in drawings(frames[begin:], repeats, Fraction(10))
        ]
        # What the first frames repeat is not known, nor where in its turn a pulldown is.
        settled = [(pts, what) for pts, what in part if pts >= 10 * (begin + 8)]
        assert settled == [(pts, what) for pts, what in whole.items() if pts >= 10 * (begin + 8)]


WriteVideo = Callable[..., Path]


@pytest.fixture
def animation(tmp_path: Path) -> WriteVideo:
    def write(
        shown: Sequence[int], *, codec: str = "ffv1", rate: int = 24, times: Sequence[int] | None = None
    ) -> Path:
        path = tmp_path / "in.mkv"
        with av.open(str(path), "w") as container:
            stream = container.add_stream(codec, rate=rate)
            stream.width, stream.height, stream.pix_fmt = 160, 48, "yuv420p"
            if codec == "libx264":
                stream.options = {"crf": "26"}
            for number, rgb in enumerate(frames_of(shown)):
                frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
                frame.pts = number if times is None else times[number]
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        return path

    return write


def upscale(source: Path, output: Path, *, job: JobOptions | None = None, **options: Any) -> Summary:
    encode = EncodeOptions(codec="ffv1", pix_fmt="bgr0", crf=None, preset=None)
    given = UpscaleOptions(scale=1.0, fps=TargetRate(Fraction(60)), encode=encode, overwrite=True, **options)
    return upscale_video(
        source, output, given, model=BlendVideoInr(), **({} if job is None else {"job": job})
    )


def pictures_of(path: Path) -> list[NDArray[np.uint8]]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def standstills(pictures: Sequence[NDArray[np.uint8]]) -> float:
    steps = [np.abs(b.astype(int) - a).max() for a, b in itertools.pairwise(pictures)]
    return float(np.mean([step < 8 for step in steps]))


@pytest.mark.parametrize("codec", ["ffv1", "libx264"])
def test_animation_on_twos_moves_at_every_frame(animation: WriteVideo, tmp_path: Path, codec: str) -> None:
    source = animation(TWOS, codec=codec)
    summary = upscale(source, tmp_path / "out.mkv")
    assert summary.frames_read == 60
    assert summary.frames_written == 150, "it lasts as long as before"
    assert standstills(pictures_of(tmp_path / "out.mkv")[:-5]) <= 0.03
    assert upscale(source, tmp_path / "off.mkv", dedupe="off").frames_written == 150
    assert standstills(pictures_of(tmp_path / "off.mkv")) > 0.3


def test_segments_leave_out_the_same(animation: WriteVideo, tmp_path: Path) -> None:
    source = animation(MIXED * 4, codec="libx264")
    whole = upscale(source, tmp_path / "whole.mkv", dedupe="on")
    parts = upscale(source, tmp_path / "parts.mkv", dedupe="on", job=JobOptions(segment_seconds=Fraction(1)))
    assert (parts.frames_read, parts.frames_written) == (whole.frames_read, whole.frames_written)
    a, b = (pictures_of(tmp_path / name) for name in ("whole.mkv", "parts.mkv"))
    assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def test_without_another_rate_every_frame_is_kept(animation: WriteVideo, tmp_path: Path) -> None:
    source = animation(TWOS)
    kept = UpscaleOptions(scale=1.0, encode=EncodeOptions(codec="ffv1", crf=None, preset=None))
    summary = upscale_video(source, tmp_path / "out.mkv", kept, model=BlendVideoInr())
    assert (summary.frames_read, summary.frames_written) == (60, 60)
    assert not any("drawings" in note for note in summary.notes)
    repeats = inspect_video(source, ()).repeats
    assert repeats is not None
    assert repeats.spacing == 2


def test_recorded_motion_has_no_drawings(animation: WriteVideo) -> None:
    assert inspect_video(animation([1] * 60, codec="libx264"), ()).repeats is None


def test_frames_in_memory_are_left_out_on_request() -> None:
    frames = frames_of(TWOS)
    given = UpscaleOptions(dedupe="on")
    outputs = upscale_frames(frames, given, input_fps=24, fps="60", scale=1, model=BlendVideoInr())
    assert standstills([np.asarray(output.picture) for output in outputs][:-5]) <= 0.03
