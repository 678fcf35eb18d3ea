"""Whole videos through the pipeline, with a network that blends: pictures, times, and how it ends."""

from __future__ import annotations

import itertools
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.conftest import MakeClip, RunFfmpeg
from tests.oracle.blend import BlendVideoInr
from videoinr_cli.errors import FfmpegError, MemoryLimitError, OptionError, OutputError, VideoInrError
from videoinr_cli.jobs import job as job_module
from videoinr_cli.jobs.upscale import upscale_video
from videoinr_cli.media import ffmpeg as media_ffmpeg
from videoinr_cli.media.read.reader import SourceFrame, read_frames
from videoinr_cli.media.streams import VideoInfo
from videoinr_cli.media.write.writer import VideoWriter
from videoinr_cli.options import EncodeOptions, TargetRate, UpscaleOptions
from videoinr_cli.render import pipeline
from videoinr_cli.render.pipeline import Progress, Summary
from videoinr_cli.render.scenes import WINDOW
from videoinr_cli.threads import Task, run_beside

PATIENCE_SECONDS = 60
LOSSLESS = ("-c:v", "ffv1", "-pix_fmt", "gbrp")
GRAIN = "noise=alls=12:allf=t"  # no two frames alike: the test picture stands still now and then
EXACT = EncodeOptions(codec="ffv1")


@pytest.fixture(autouse=True)
def no_deadlock(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fail a test that hangs, and one that leaves calls running beside it."""
    tasks: list[Task] = []

    def run_noted(call: Callable[[], None]) -> Task:
        tasks.append(run_beside(call))
        return tasks[-1]

    def running() -> list[Callable[[], None]]:
        return [task.call for task in tasks if not task.wait(0)]

    def expire(*_: object) -> None:
        raise TimeoutError(f"the pipeline hung; beside it: {running()}")

    for module in (pipeline, media_ffmpeg):
        monkeypatch.setattr(module, "run_beside", run_noted)

    previous = signal.signal(signal.SIGALRM, expire)
    signal.alarm(PATIENCE_SECONDS)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, previous)
    assert running() == []


def upscale(source: Path, destination: Path, **arguments: Any) -> Summary:
    """Upscale losslessly with the blending network; options go to `UpscaleOptions`."""
    model = arguments.pop("model", None) or BlendVideoInr()
    progress = arguments.pop("progress", None)
    fps = arguments.pop("fps", None)
    options = UpscaleOptions(
        **{"scale": 1.0, "encode": EXACT, **arguments}, fps=TargetRate.parse(fps) if fps else None
    )
    return upscale_video(source, destination, options, model=model, progress=progress)


def decode(path: Path) -> tuple[list[NDArray[np.uint8]], list[Fraction]]:
    """Return every picture as R'G'B' and its time in seconds, by PyAV alone."""
    pictures, times = [], []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            assert frame.pts is not None
            assert frame.time_base is not None
            pictures.append(frame.to_ndarray(format="rgb24"))
            times.append(frame.pts * frame.time_base)
    return pictures, times


def blended(first: NDArray[np.uint8], second: NDArray[np.uint8], tau: float) -> NDArray[np.uint8]:
    exact = first * (1 - tau) + second * tau
    assert not np.any(np.abs(exact % 1 - 0.5) < 1e-4), "choose tau so that no value lies between two levels"
    return np.round(exact).astype(np.uint8)


def test_every_instant_is_the_right_picture(make_clip: MakeClip, tmp_path: Path) -> None:
    source = make_clip("in.nut", *LOSSLESS, frames=5, rate="24", filters=GRAIN)
    summary = upscale(source, tmp_path / "out.nut", fps="72")
    given, _ = decode(source)
    pictures, times = decode(tmp_path / "out.nut")
    assert (summary.frames_read, summary.frames_written) == (5, 15)
    between = [blended(*pair, tau / 3) for pair in itertools.pairwise(given) for tau in range(3)]
    for n, (picture, wanted) in enumerate(zip(pictures, between + 3 * given[-1:], strict=True)):
        np.testing.assert_array_equal(picture, wanted, err_msg=f"output frame {n}")
    assert times == [Fraction(k, 72) for k in range(15)]


def test_given_frames_stay_themselves_in_rounded_milliseconds(make_clip: MakeClip, tmp_path: Path) -> None:
    source = make_clip("in.mkv", *LOSSLESS, frames=7, rate="30", filters=GRAIN)
    upscale(source, tmp_path / "out.mkv", fps="2x")
    for given, picture in zip(decode(source)[0], decode(tmp_path / "out.mkv")[0][::2], strict=True):
        np.testing.assert_array_equal(picture, given)


def test_film_at_24000_1001_becomes_60_exactly(make_clip: MakeClip, tmp_path: Path) -> None:
    source = make_clip("in.mp4", frames=24, rate="24000/1001")
    upscale(source, tmp_path / "out.mp4", fps="60", encode=EncodeOptions(preset="ultrafast"))
    _, times = decode(tmp_path / "out.mp4")
    # 24 frames last 1.001 s, in which 61 instants at 60 per second begin.
    assert times == [Fraction(k, 60) for k in range(61)]


def test_the_sources_own_times_are_kept(make_clip: MakeClip, tmp_path: Path) -> None:
    source = make_clip("in.mp4", "-fps_mode", "vfr", frames=9, filters="select='not(between(n,3,6))+eq(n,5)'")
    given, stated = decode(source)
    assert len({b - a for a, b in itertools.pairwise(stated)}) > 1, "a variable rate"
    upscale(source, tmp_path / "out.mp4", scale=2.0, encode=EncodeOptions(preset="ultrafast"))
    pictures, times = decode(tmp_path / "out.mp4")
    assert times == stated
    assert pictures[0].shape == (2 * given[0].shape[0], 2 * given[0].shape[1], 3)


def test_sound_is_copied(make_clip: MakeClip, tmp_path: Path) -> None:
    source = make_clip("in.mp4", frames=20, audio=True)
    upscale(source, tmp_path / "out.mp4", fps="2x", encode=EncodeOptions(preset="ultrafast"))

    def packets(path: Path) -> list[bytes]:
        with av.open(str(path)) as container:
            return [bytes(packet) for packet in container.demux(audio=0) if packet.size]

    assert packets(tmp_path / "out.mp4") == packets(source) != []


def test_sizes_follow_the_pixel_format(make_clip: MakeClip, tmp_path: Path) -> None:
    odd = "format=gbrp,crop=33:21:exact=1"
    source = make_clip("in.mkv", *LOSSLESS, filters=odd, frames=2)
    assert upscale(source, tmp_path / "a.mkv", scale=1.5).size == (50, 32)  # round(49.5), round(31.5)
    chroma = EncodeOptions(preset="ultrafast", pix_fmt="yuv420p")
    assert upscale(source, tmp_path / "b.mp4", scale=1.0, encode=chroma).size == (34, 22)
    for name, size in {"a.mkv": (50, 32), "b.mp4": (34, 22)}.items():
        assert decode(tmp_path / name)[0][0].shape == (size[1], size[0], 3)


def test_10_bits_stay_10_bits(make_clip: MakeClip, tmp_path: Path) -> None:
    source = make_clip("in.mkv", "-c:v", "ffv1", "-pix_fmt", "gbrp10le", frames=3)
    upscale(source, tmp_path / "out.mkv")
    with av.open(str(source)) as a, av.open(str(tmp_path / "out.mkv")) as b:
        for first, second in zip(a.decode(video=0), b.decode(video=0), strict=True):
            assert second.format.name == "gbrp10le"
            np.testing.assert_array_equal(first.to_ndarray(), second.to_ndarray())


def test_transparency_is_kept(make_clip: MakeClip, tmp_path: Path) -> None:
    fade = "format=gbrap,geq=r='r(X,Y)':g='g(X,Y)':b='b(X,Y)':a='100+40*N'"
    source = make_clip("in.mkv", "-c:v", "ffv1", "-pix_fmt", "gbrap", frames=3, filters=fade)
    upscale(source, tmp_path / "out.mkv", fps="2x")
    with av.open(str(tmp_path / "out.mkv")) as container:
        alphas = [frame.to_ndarray(format="rgba")[..., 3] for frame in container.decode(video=0)]
    assert [set(alpha.ravel().tolist()) for alpha in alphas] == [{a} for a in (100, 120, 140, 160, 180, 180)]


def test_a_cut_is_not_morphed(run_ffmpeg: RunFfmpeg, tmp_path: Path) -> None:
    source = tmp_path / "in.mkv"
    scenes = "testsrc2=s=64x48:r=25:d=0.16[a];mandelbrot=s=64x48:r=25,trim=end_frame=4[b];[a][b]concat"
    run_ffmpeg("-filter_complex", scenes, *LOSSLESS, source)
    given, _ = decode(source)
    summary = upscale(source, tmp_path / "out.mkv", fps="100")
    pictures, _ = decode(tmp_path / "out.mkv")
    assert (summary.frames_read, summary.cuts) == (8, 1)
    for picture, wanted in zip(pictures[12:17], [given[3]] * 4 + [given[4]], strict=True):
        np.testing.assert_array_equal(picture, wanted)
    assert not np.array_equal(pictures[2], given[0]), "elsewhere there are instants in between"
    # Without detection, the same place is a blend.
    assert upscale(source, tmp_path / "blend.mkv", fps="100", scene_threshold=1.0).cuts == 0
    assert not np.array_equal(decode(tmp_path / "blend.mkv")[0][14], given[3])


def test_a_still_is_rendered_once(make_clip: MakeClip, tmp_path: Path) -> None:
    source = make_clip("in.mkv", *LOSSLESS, picture="color", frames=12)
    model = BlendVideoInr()
    summary = upscale(source, tmp_path / "out.mkv", fps="2x", model=model)
    assert (summary.frames_read, summary.frames_written) == (12, 24)
    assert (model.frames_encoded, model.pairs_encoded, len(model.rendered)) == (1, 1, 1)


def test_a_video_of_one_frame(make_clip: MakeClip, tmp_path: Path) -> None:
    source = make_clip("in.mkv", *LOSSLESS, frames=1)
    assert upscale(source, tmp_path / "out.mkv", fps="100").frames_written == 4
    assert upscale(source, tmp_path / "kept.mkv").frames_written == 1


def test_progress_comes_after_every_frame_and_ends_at_the_end(make_clip: MakeClip, tmp_path: Path) -> None:
    source = make_clip("in.mp4", frames=10)
    seen: list[Progress] = []
    for options in ({"fps": "60"}, {}):
        seen.clear()
        summary = upscale(source, tmp_path / "out.mkv", progress=seen.append, overwrite=True, **options)
        assert [p.frames for p in seen] == list(range(1, summary.frames_written + 1))
        assert {p.total_frames for p in seen} == {summary.frames_written}
        assert seen[-1].seconds == pytest.approx(0.4)
        assert seen[-1].total_seconds == pytest.approx(0.4)
        assert all(a.elapsed_seconds <= b.elapsed_seconds for a, b in itertools.pairwise(seen))


def test_an_existing_output_is_refused_or_replaced(make_clip: MakeClip, tmp_path: Path) -> None:
    source, output = make_clip("in.mkv", *LOSSLESS, frames=2), tmp_path / "out.mkv"
    output.write_text("precious")
    with pytest.raises(OutputError, match="-y"):
        upscale(source, output)
    assert output.read_text() == "precious"
    upscale(source, output, overwrite=True)
    assert len(decode(output)[0]) == 2


def test_what_cannot_be_done_is_said_before_the_weights_are_loaded(
    make_clip: MakeClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(*_: object, **__: object) -> None:
        raise AssertionError("too early")

    monkeypatch.setattr(job_module, "load_network", load)
    source = make_clip("in.mkv", *LOSSLESS, frames=2)
    with pytest.raises(OptionError, match="smaller than the source"):
        upscale_video(source, tmp_path / "out.mkv", UpscaleOptions(height=20))
    with pytest.raises(OutputError, match="no folder"):
        upscale_video(source, tmp_path / "nowhere" / "out.mkv")
    assert list(tmp_path.iterdir()) == [source]


@pytest.mark.parametrize(("rate", "fps"), [("25", "100"), ("60", "2x"), ("120", None), ("60", None)])
def test_a_gif_plays_no_slower_than_asked(
    rate: str, fps: str | None, make_clip: MakeClip, tmp_path: Path
) -> None:
    source = make_clip("in.nut", *LOSSLESS, frames=10, rate=rate)
    with pytest.raises(OptionError, match=r"50 frames per second at most.*try --fps 50"):
        upscale(source, tmp_path / "out.gif", fps=fps, encode=EncodeOptions())
    upscale(source, tmp_path / "out.gif", fps="50", encode=EncodeOptions())
    times = decode(tmp_path / "out.gif")[1]
    assert times == [Fraction(k, 50) for k in range(math.ceil(500 / int(rate)))]


class Broken(Exception):
    """An error that only a test raises."""


FRAMES = 14
MOMENTS = [0, 1, 4, FRAMES - 1]


class Failing:
    """Makes one stage of the pipeline raise at its n-th frame."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        self.model = BlendVideoInr()

    def arrange(self, stage: str, moment: int, error: BaseException) -> None:
        count = itertools.count()

        def step() -> None:
            if next(count) == moment:
                raise error

        if stage == "decode":

            def failing(info: VideoInfo, **options: Any) -> Iterator[SourceFrame]:
                for frame in read_frames(info, **options):
                    step()
                    yield frame

            self._monkeypatch.setattr(pipeline, "read_frames", failing)
        elif stage == "render":

            class FailingModel(BlendVideoInr):
                def prepare_instant(self, *arguments: Any) -> torch.Tensor:
                    step()
                    return super().prepare_instant(*arguments)

            self.model = FailingModel()
        else:
            write = VideoWriter.write

            def failing_write(writer: VideoWriter, *arguments: Any, **options: Any) -> None:
                step()
                write(writer, *arguments, **options)

            self._monkeypatch.setattr(VideoWriter, "write", failing_write)


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Failing:
    return Failing(monkeypatch)


@pytest.mark.parametrize("error", [Broken("broken"), KeyboardInterrupt()], ids=["error", "interrupt"])
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("stage", ["decode", "render", "encode"])
def test_an_error_in_any_stage_ends_all_with_that_error(
    stage: str, moment: int, error: BaseException, make_clip: MakeClip, tmp_path: Path, failing: Failing
) -> None:
    source = make_clip("in.mkv", *LOSSLESS, frames=FRAMES, filters=GRAIN)
    failing.arrange(stage, moment, error)
    with pytest.raises(type(error)) as caught:
        upscale(source, tmp_path / "out.mkv", model=failing.model)
    assert caught.value is error
    assert list(tmp_path.iterdir()) == [source], "nothing is left"


@pytest.mark.parametrize("stage", ["decode", "encode"])
def test_an_error_while_the_others_wait(
    stage: str, make_clip: MakeClip, tmp_path: Path, failing: Failing
) -> None:
    """A slow network: one queue is full and the other one empty when the error comes."""

    class Slow(BlendVideoInr):
        def prepare_instant(self, *arguments: Any) -> torch.Tensor:
            time.sleep(0.05)
            return super().prepare_instant(*arguments)

    source = make_clip("in.mkv", *LOSSLESS, frames=FRAMES, filters=GRAIN)
    failing.arrange(stage, 6, Broken("broken"))
    with pytest.raises(Broken):
        upscale(source, tmp_path / "out.mkv", model=Slow())
    assert list(tmp_path.iterdir()) == [source]


def test_an_error_of_the_callback_ends_everything(make_clip: MakeClip, tmp_path: Path) -> None:
    def refuse(progress: Progress) -> None:
        if progress.frames == 3:
            raise Broken

    source = make_clip("in.mkv", *LOSSLESS, frames=FRAMES, filters=GRAIN)
    with pytest.raises(Broken):
        upscale(source, tmp_path / "out.mkv", progress=refuse)
    assert list(tmp_path.iterdir()) == [source]


def test_an_ffmpeg_that_dies_ends_everything(make_clip: MakeClip, tmp_path: Path) -> None:
    def kill(progress: Progress) -> None:
        if progress.frames == 3:
            for process in Path("/proc").glob("[0-9]*"):
                if f"{tmp_path}/out.mkv.part".encode() in _command_line(process):
                    os.kill(int(process.name), signal.SIGKILL)

    source = make_clip("in.mkv", *LOSSLESS, size=(320, 240), frames=60)
    with pytest.raises(FfmpegError):
        upscale(source, tmp_path / "out.mkv", progress=kill)
    assert list(tmp_path.iterdir()) == [source]


def _command_line(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except OSError:
        return b""


def test_an_ffmpeg_that_cannot_be_run_leaves_nothing(
    make_clip: MakeClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object, **settings: object) -> None:
        raise FfmpegError("cannot be run")

    source = make_clip("in.mkv", *LOSSLESS, frames=FRAMES, filters=GRAIN)
    monkeypatch.setattr("videoinr_cli.media.write.writer.FfmpegProcess", refuse)
    with pytest.raises(FfmpegError, match="cannot be run"):
        upscale(source, tmp_path / "out.mkv")
    assert list(tmp_path.iterdir()) == [source]


def test_an_ffmpeg_that_refuses_says_why(make_clip: MakeClip, tmp_path: Path) -> None:
    source = make_clip("in.mkv", *LOSSLESS, frames=FRAMES, filters=GRAIN)
    wrong = EncodeOptions(codec="libx264", extra=(("profile:v", "nonsense"),))
    with pytest.raises(FfmpegError, match=r"nonsense|profile"):
        upscale(source, tmp_path / "out.mp4", encode=wrong)
    assert list(tmp_path.iterdir()) == [source]


def test_an_interrupt_does_not_wait_for_a_stuck_ffmpeg(
    make_clip: MakeClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An ffmpeg that has stopped reading blocks the encoding thread; Ctrl-C still ends it all at once."""
    stuck = tmp_path / "stuck"
    stuck.write_text('#!/bin/sh\ncase "$*" in *pipe:*) exec sleep 600;; esac\nexec "$REAL_FFMPEG" "$@"\n')
    stuck.chmod(0o755)
    from videoinr_cli.media.ffmpeg import find_ffmpeg

    source = make_clip("in.mkv", *LOSSLESS, size=(320, 240), frames=40)
    monkeypatch.setenv("REAL_FFMPEG", find_ffmpeg())
    find_ffmpeg.cache_clear()
    monkeypatch.setenv("FFMPEG_PATH", str(stuck))
    timer = threading.Timer(1.5, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    started = time.monotonic()
    try:
        with pytest.raises(KeyboardInterrupt):
            upscale(source, tmp_path / "out.mkv")
    finally:
        find_ffmpeg.cache_clear()
        timer.join()
    assert time.monotonic() - started < 10
    assert sorted(tmp_path.iterdir()) == [source, stuck]


def test_few_frames_are_under_way(
    make_clip: MakeClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However slow the encoder is, the decoder does not run ahead of it by more than the queues hold."""
    read, written, furthest = 0, 0, 0

    def counting(info: VideoInfo, **options: Any) -> Iterator[SourceFrame]:
        nonlocal read, furthest
        for frame in read_frames(info, **options):
            read += 1
            furthest = max(furthest, read - written)
            yield frame

    write = VideoWriter.write

    def slow_write(writer: VideoWriter, *arguments: Any, **options: Any) -> None:
        nonlocal written
        time.sleep(0.01)
        write(writer, *arguments, **options)
        written += 1

    monkeypatch.setattr(pipeline, "read_frames", counting)
    monkeypatch.setattr(VideoWriter, "write", slow_write)
    upscale(make_clip("in.mkv", *LOSSLESS, frames=40), tmp_path / "out.mkv")
    assert read == written == 40
    # Two queues, at most two frames in the hands of each of the three stages, and those that tell of cuts.
    assert furthest <= 2 * pipeline.QUEUED_FRAMES + 6 + WINDOW


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.cuda.OutOfMemoryError("CUDA out of memory."),
        RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("MPS backend out of memory (MPS allocated: 1 GB)"),
    ],
)
def test_running_out_of_memory_outside_of_the_network_is_said_with_the_sizes(
    error: Exception, make_clip: MakeClip, tmp_path: Path, failing: Failing
) -> None:
    failing.arrange("decode", 1, error)
    source = make_clip("in.mkv", *LOSSLESS, frames=3, filters=GRAIN)
    with pytest.raises(MemoryLimitError, match=r"64x48 to 128x96 .* free; .*--max-memory") as caught:
        upscale(source, tmp_path / "out.mkv", scale=2.0, model=failing.model)
    assert caught.value.__cause__ is error


def test_running_out_of_memory_while_rendering_costs_no_frame(
    make_clip: MakeClip, tmp_path: Path, failing: Failing, caplog: pytest.LogCaptureFixture
) -> None:
    source = make_clip("in.mkv", *LOSSLESS, frames=5, filters=GRAIN)
    upscale(source, tmp_path / "calm.mkv", fps="2x")
    failing.arrange("render", 3, torch.cuda.OutOfMemoryError("CUDA out of memory."))
    summary = upscale(source, tmp_path / "out.mkv", fps="2x", model=failing.model)
    np.testing.assert_array_equal(decode(tmp_path / "out.mkv")[0], decode(tmp_path / "calm.mkv")[0])
    assert ["out of memory" in note for note in summary.notes] == [True]


def test_a_limit_that_nothing_fits_in_is_refused(make_clip: MakeClip, tmp_path: Path) -> None:
    source = make_clip("in.mkv", *LOSSLESS, frames=2)
    with pytest.raises(MemoryLimitError, match="--max-memory 1M"):
        upscale(source, tmp_path / "out.mkv", max_memory_bytes=1 << 20)
    assert list(tmp_path.iterdir()) == [source]


def test_other_errors_of_torch_stay_what_they_are(
    make_clip: MakeClip, tmp_path: Path, failing: Failing
) -> None:
    failing.arrange("render", 1, RuntimeError("shapes do not match"))
    source = make_clip("in.mkv", *LOSSLESS, frames=3, filters=GRAIN)
    with pytest.raises(RuntimeError, match="shapes do not match"):
        upscale(source, tmp_path / "out.mkv", model=failing.model)


def test_public_names() -> None:
    import videoinr_cli

    assert videoinr_cli.upscale_video is upscale_video
    assert videoinr_cli.VideoInrError is VideoInrError
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        videoinr_cli.nonsense  # noqa: B018


def test_every_frame_reaches_the_network_once(make_clip: MakeClip, tmp_path: Path) -> None:
    model = BlendVideoInr()
    source = make_clip("in.mp4", "-bf", "2", "-crf", "1", frames=17, filters=GRAIN)
    summary = upscale(source, tmp_path / "out.mkv", model=model, fps="3x")
    assert summary.frames_read == model.frames_encoded == 17
    assert model.pairs_encoded == 17, "16 pairs, and the last frame once more in a pair that nothing follows"
    assert summary.frames_written == 51
