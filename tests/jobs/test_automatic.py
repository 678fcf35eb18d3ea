"""How many processes render where nobody has said it."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from pathlib import Path

import pytest
import torch

from tests.command import run
from tests.conftest import MakeClip
from tests.jobs.conftest import content_of
from videoinr_cli.jobs import automatic, demand, workers
from videoinr_cli.jobs.automatic import PROCESS_PIXELS, with_workers
from videoinr_cli.media.read.probe import probe
from videoinr_cli.options import JobOptions, UpscaleOptions
from videoinr_cli.render.plan import Plan

UNSAID = JobOptions(workers=None)


@pytest.fixture(autouse=True)
def _machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight threads, and memory for anything."""
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    monkeypatch.setattr(demand, "free_bytes", lambda device: 1 << 40)


@pytest.fixture
def clip(make_clip: MakeClip) -> Path:
    return make_clip("in.mp4", frames=60)


def plan_of(clip: Path, *, shares: float, threads: int | None = None) -> Plan:
    """Return a plan with as much to render as for that many processes."""
    options, source = UpscaleOptions(scale=2, device="cpu", threads=threads), probe(clip)
    pixels_a_second = source.frame_rate * 4 * source.width * source.height
    duration = Fraction(shares) * PROCESS_PIXELS / pixels_a_second
    return Plan.make(dataclasses.replace(source, duration=duration), clip.with_name("out.mp4"), options)


def with_options(plan: Plan, options: UpscaleOptions) -> Plan:
    return dataclasses.replace(plan, options=options)


@pytest.mark.parametrize(("shares", "count"), [(0.5, 1), (1.9, 1), (2.1, 2), (3.1, 3), (90, 4)])
def test_as_many_processes_as_a_video_is_long_for(clip: Path, shares: float, count: int) -> None:
    assert with_workers(UNSAID, [plan_of(clip, shares=shares)]).workers == count


def test_the_least_of_what_serves_long_videos(clip: Path) -> None:
    plans = [plan_of(clip, shares=shares) for shares in (90, 0.5, 2.1)]
    assert with_workers(UNSAID, plans).workers == 2
    assert with_workers(UNSAID, []).workers == 1


def test_memory_is_asked_once_for_videos_that_are_alike(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    monkeypatch.setattr(demand, "free_bytes", lambda device: asked.append(device) or 1 << 40)
    assert with_workers(UNSAID, [plan_of(clip, shares=shares) for shares in (90, 3.1, 50)]).workers == 3
    assert len(asked) == 1


def test_a_long_video_that_fits_in_memory_once_keeps_all_in_one(clip: Path) -> None:
    plans = [plan_of(clip, shares=90), plan_of(clip, shares=90)]
    tight = dataclasses.replace(plans[1].options, max_memory_bytes=demand.PROCESS_BYTES)
    other = dataclasses.replace(tight, weights="real")
    assert with_workers(UNSAID, [with_options(plans[1], other), plans[0]]).workers == 1
    assert with_workers(UNSAID, [plans[0], with_options(plans[1], tight)]).workers == 1


def test_threads_and_memory_limit_them(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert with_workers(UNSAID, [plan_of(clip, shares=90, threads=3)]).workers == 3
    plan = plan_of(clip, shares=90)
    monkeypatch.setattr(demand, "PROCESS_BYTES", 1 << 30)  # beside which a small frame's need is nothing
    monkeypatch.setattr(demand, "free_bytes", lambda device: 5 << 30)
    assert with_workers(UNSAID, [plan]).workers == 2
    limited = dataclasses.replace(plan.options, max_memory_bytes=(7 << 30) // 2)
    assert with_workers(UNSAID, [with_options(plan, limited)]).workers == 3


@pytest.mark.parametrize(
    "job",
    [
        JobOptions(workers=1),
        JobOptions(workers=None, segment_seconds=0),
        JobOptions(workers=None, cluster="auto"),
    ],
)
def test_one_where_it_is_asked_for(clip: Path, job: JobOptions) -> None:
    assert with_workers(job, [plan_of(clip, shares=90)]).workers == 1


def test_one_for_each_device_that_is_named_and_for_other_networks(clip: Path) -> None:
    plan = plan_of(clip, shares=90)
    devices = dataclasses.replace(plan.options, device="cpu,cpu")
    model = dataclasses.replace(plan.options, spatial=str(clip))
    for options in (devices, model):
        assert with_workers(UNSAID, [with_options(plan, options)]).workers == 1


def test_the_command_shares_a_long_video_out_by_itself(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[str] = []

    class Counted(workers._Worker):
        def __init__(self, device: str) -> None:
            started.append(device)
            super().__init__(device)

    monkeypatch.setattr(workers, "_Worker", Counted)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    asked = ["upscale", clip, "--scale", 1.5, "--device", "cpu", "--precision", "fp32", "--crf", 0, "-q"]
    assert run(*asked, "-o", tmp_path / "one.mkv") == 0
    assert started == []
    monkeypatch.setattr(automatic, "PROCESS_PIXELS", 1000)
    assert run(*asked, "-o", tmp_path / "several.mkv") == 0
    assert started == ["cpu", "cpu"]
    assert content_of(tmp_path / "one.mkv") == content_of(tmp_path / "several.mkv")
