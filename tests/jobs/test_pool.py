"""Several processes make what one makes, and one that is killed costs no more than its segment."""

from __future__ import annotations

import logging
import multiprocessing
import pickle
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
import torch

from tests.conftest import MakeClip
from tests.jobs.conftest import content_of, options_for
from tests.tiny import TINY
from videoinr_cli.errors import OptionError, VideoInrError
from videoinr_cli.jobs import job as job_module
from videoinr_cli.jobs import partition
from videoinr_cli.jobs.job import open_pool, run_job
from videoinr_cli.jobs.line import Line
from videoinr_cli.jobs.partition import plan_parts, segment_seconds, shorter_advice
from videoinr_cli.jobs.segment import SegmentRequest
from videoinr_cli.jobs.segments import SegmentDone
from videoinr_cli.jobs.upscale import upscale_video
from videoinr_cli.jobs.workers import Workers
from videoinr_cli.media.read.probe import probe
from videoinr_cli.model import FastConfig, build
from videoinr_cli.options import JobOptions, UpscaleOptions
from videoinr_cli.render.parts import Part
from videoinr_cli.render.pipeline import Progress, Summary
from videoinr_cli.render.plan import Plan, plan_video
from videoinr_cli.weights import save_model


@pytest.fixture
def weights(tmp_path: Path) -> str:
    torch.manual_seed(3)
    path = tmp_path / "tiny.safetensors"
    save_model(build(TINY), path, {})
    return str(path)


def test_processes_share_the_work(source: Path, tmp_path: Path, weights: str) -> None:
    """They are kept from one video to the next; after a death only that one is started again."""
    wanted = {"weights": weights, "scale": 1.5, "device": "cpu", "precision": "fp32"}
    options, job = options_for(**wanted, segment_seconds=0.2, workers=2)
    upscale_video(source, tmp_path / "one.mkv", options, job=replace(job, workers=1))
    done: list[SegmentDone] = []
    processes: list[set[int | None]] = []
    seen: list[Progress] = []

    def note(event: SegmentDone) -> None:
        done.append(event)
        processes.append({child.pid for child in multiprocessing.active_children()})

    def kill_a_worker(event: SegmentDone) -> None:
        note(event)
        if len(done) == 1:
            multiprocessing.active_children()[0].kill()

    with Workers(["cpu", "cpu"]) as workers:

        def render(name: str, on_segment: Callable[[SegmentDone], None] = note) -> Summary:
            done.clear()
            plan = plan_video(source, tmp_path / name, options)
            return run_job(plan, job, line=Line(workers), progress=seen.append, on_segment=on_segment)

        render("a.mkv")
        with pytest.raises(VideoInrError, match="--workers"):
            render("b.mkv", kill_a_worker)
        count = len(done)
        assert 1 <= count < done[0].total
        summary = render("b.mkv")
    assert not multiprocessing.active_children()
    assert sum(event.was_done for event in done) == count
    before, after = processes[0], processes[-1]
    assert (len(before), len(after), len(before & after)) == (2, 2, 1)
    assert {content_of(tmp_path / name) for name in ("a.mkv", "b.mkv")} == {content_of(tmp_path / "one.mkv")}
    assert seen[-1].frames <= summary.frames_written


def test_a_short_video_is_cut_for_all_that_are_to_work_on_it(make_clip: MakeClip, tmp_path: Path) -> None:
    plan = Plan.make(probe(make_clip("in.mp4", frames=125)), tmp_path / "out.mp4", UpscaleOptions())
    assert [len(plan_parts(plan, JobOptions(), FastConfig(), workers=count)) for count in (1, 2, 9)] == [
        1,
        2,
        3,
    ]


def test_a_segment_is_as_much_work_at_any_speed(
    make_clip: MakeClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partition, "SEGMENT_PIXELS", 64 * 48 * 12)
    source = probe(make_clip("in.mp4", frames=20, rate="1"))
    for speed, seconds in ((1, 12), (Fraction(1, 4), 3)):
        options = UpscaleOptions(scale=1, speed=Fraction(speed))
        plan = Plan.make(source, tmp_path / "out.mp4", options)
        assert segment_seconds(plan, JobOptions()) == seconds


@pytest.mark.parametrize(
    ("rate", "seconds", "advised"),
    [
        (25, Fraction(40), "2"),
        (25, Fraction(4, 5), "0.2"),
        (60, Fraction(3, 10), None),
        (2, Fraction(4), None),
    ],
)
def test_shorter_segments_are_advised_where_there_can_be_any(
    rate: int, seconds: Fraction, advised: str | None, make_clip: MakeClip, tmp_path: Path
) -> None:
    source = probe(make_clip("in.mp4", frames=round(rate * seconds), rate=str(rate)))
    plan = Plan.make(source, tmp_path / "out.mp4", UpscaleOptions())
    said = None if advised is None else f"with --segment-seconds {advised}, finished parts are kept"
    assert shorter_advice(plan, JobOptions()) == said
    if advised is not None:
        assert len(plan_parts(plan, JobOptions(segment_seconds=float(advised)), FastConfig())) > 1


@pytest.mark.parametrize(("name", "is_said"), [("out.gif", True), ("out.mp4", False)])
def test_a_segment_length_that_has_no_effect_is_said(
    name: str, is_said: bool, make_clip: MakeClip, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    options, job = UpscaleOptions(scale=1.0), JobOptions(segment_seconds=10.0)
    with caplog.at_level(logging.INFO, "videoinr_cli"):
        summary = upscale_video(
            make_clip("in.mp4", frames=3), tmp_path / name, options, model=build(TINY), job=job
        )
    said = f"'{tmp_path / name}' cannot be made in segments: --segment-seconds 10 has no effect"
    assert (said in summary.notes) == is_said


def test_segments_meet_behind_keyframes(make_clip: MakeClip, tmp_path: Path) -> None:
    """One that lies near, or they would differ much in length."""
    source = probe(make_clip("in.mp4", "-g", 10, "-sc_threshold", 0, frames=100))
    plan = Plan.make(source, tmp_path / "out.mp4", UpscaleOptions())
    for seconds, frames in ((1.0, [20, 50, 70]), (0.25, [6, 10, 19, 25, 30, 38])):
        parts = plan_parts(plan, JobOptions(segment_seconds=seconds), FastConfig())
        borders = [round(part.begin * source.time_base * 25) for part in parts if part.begin is not None]
        assert borders[: len(frames)] == frames


def test_a_request_can_go_anywhere(source: Path, tmp_path: Path) -> None:
    plan = Plan.make(probe(source), tmp_path / "out.mp4", UpscaleOptions())
    request = SegmentRequest(3, plan, Part(40, 400), tmp_path / "000003.mp4")
    assert pickle.loads(pickle.dumps(request)) == request  # noqa: S301 -- our own
    moved = request.on("cuda:1", threads=3).plan
    assert (moved.options.device, moved.options.threads) == ("cuda:1", 3)
    assert moved.source == plan.source


def test_every_device_is_checked(source: Path, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="abacus"):
        upscale_video(source, tmp_path / "out.mp4", UpscaleOptions(device="cpu,abacus"))


@pytest.mark.parametrize(("kinds", "is_said"), [(("cuda",), True), (("cuda", "cpu"), False)])
def test_threads_that_no_network_computes_on_are_said(
    kinds: tuple[str, ...], is_said: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(job_module, "choose_device", torch.device)
    caplog.set_level(logging.INFO)
    open_pool(UpscaleOptions(device=",".join(kinds), threads=3), JobOptions(), [])
    said = "the network computes on cuda, not on a CPU: --threads 3 changes nothing"
    assert (said in caplog.text) == is_said
