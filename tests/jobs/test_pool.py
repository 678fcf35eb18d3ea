"""Several processes make what one makes, and one that is killed costs no more than its segment."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
from pathlib import Path

import pytest
import torch

from tests.jobs.conftest import content_of, options_for
from tests.tiny import TINY
from videoinr_cli.errors import OptionError, VideoInrError
from videoinr_cli.jobs.run import SegmentDone, run_job
from videoinr_cli.jobs.segment import SegmentRequest
from videoinr_cli.media.probe import probe
from videoinr_cli.model import build
from videoinr_cli.options import UpscaleOptions
from videoinr_cli.parts import Part
from videoinr_cli.pipeline import Plan, Progress
from videoinr_cli.weights import save_model


@pytest.fixture
def weights(tmp_path: Path) -> str:
    torch.manual_seed(3)
    path = tmp_path / "tiny.safetensors"
    save_model(build(TINY), path, {})
    return str(path)


def test_processes_share_the_work(source: Path, tmp_path: Path, weights: str) -> None:
    wanted = {"weights": weights, "scale": 1.5, "device": "cpu", "precision": "fp32"}
    options, job = options_for(**wanted, segment_seconds=0.5)
    run_job(source, tmp_path / "one.mkv", options, job)
    options, job = options_for(**wanted, segment_seconds=0.5, workers=2)
    done: list[SegmentDone] = []
    seen: list[Progress] = []

    def kill_a_worker(progress: Progress) -> None:
        if len(done) == 1:
            victim = multiprocessing.active_children()[0]
            assert victim.pid is not None
            os.kill(victim.pid, signal.SIGKILL)

    with pytest.raises(VideoInrError, match="--workers"):
        run_job(source, tmp_path / "out.mkv", options, job, progress=kill_a_worker, on_segment=done.append)
    assert not multiprocessing.active_children()
    count = len(done)
    assert 1 <= count < done[0].total
    done.clear()
    summary = run_job(
        source, tmp_path / "out.mkv", options, job, progress=seen.append, on_segment=done.append
    )
    assert sum(event.was_done for event in done) == count
    assert content_of(tmp_path / "out.mkv") == content_of(tmp_path / "one.mkv")
    assert seen[-1].frames <= summary.frames_written


def test_a_request_can_go_anywhere(source: Path, tmp_path: Path) -> None:
    plan = Plan.make(probe(source), tmp_path / "out.mp4", UpscaleOptions())
    request = SegmentRequest(3, plan, Part(40, 400), tmp_path / "000003.mp4")
    assert pickle.loads(pickle.dumps(request)) == request  # noqa: S301 -- our own
    assert request.on("cuda:1").plan.options.device == "cuda:1"
    assert request.on("cuda:1").plan.source == plan.source


def test_every_device_is_checked(source: Path, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="abacus"):
        run_job(source, tmp_path / "out.mp4", UpscaleOptions(device="cpu,abacus"))
