"""Which node renders what, on a clock of its own: failures, slow nodes, and videos one after the other."""

from __future__ import annotations

import dataclasses
import math
import random
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import MakeClip
from tests.outside import load
from videoinr_cli.errors import FfmpegError, InputError, MemoryLimitError, VideoInrError
from videoinr_cli.jobs.cluster import pool as pool_module
from videoinr_cli.jobs.cluster.calls import Lost
from videoinr_cli.jobs.cluster.pool import ClusterPool
from videoinr_cli.jobs.line import Line
from videoinr_cli.jobs.manifest import Manifest
from videoinr_cli.jobs.segment import SegmentRequest
from videoinr_cli.jobs.segments import SegmentDone, Segments
from videoinr_cli.options import JobOptions, UpscaleOptions
from videoinr_cli.render.parts import Part
from videoinr_cli.render.plan import Plan, plan_video

benchmark = load("benchmarks/cluster.py")
Machine, SimulatedCluster = benchmark.Machine, benchmark.SimulatedCluster

SEGMENTS, TICKS = 24, 240  # of a video; of each segment, at 24 a second

MakeSegments = Callable[[str], Segments]
Rendering = Callable[[Any, list[Segments]], list[SegmentDone]]


@pytest.fixture
def make_segments(make_clip: MakeClip, tmp_path: Path, weights: Path) -> MakeSegments:
    """Return a function that makes the segments of a video that is longer than its file."""
    source = make_clip("in.mkv", frames=3)

    def make(name: str) -> Segments:
        options = UpscaleOptions(weights=str(weights), device="cpu")
        plan: Plan = plan_video(source, tmp_path / f"{name}.mkv", options)
        info = dataclasses.replace(
            plan.source,
            time_base=Fraction(1, 24),
            duration=Fraction(SEGMENTS * TICKS, 24),
            frame_count=SEGMENTS * TICKS,
        )
        plan = dataclasses.replace(plan, output=dataclasses.replace(plan.output, source=info))
        folder = tmp_path / name
        folder.mkdir()
        begins = [None, *(number * TICKS for number in range(1, SEGMENTS))]
        parts = tuple(Part(begin, end) for begin, end in zip(begins, [*begins[1:], None], strict=True))
        return Segments(plan, Manifest(folder, {}, parts, {}))

    return make


def render(cluster: Any, *videos: Segments) -> tuple[list[list[SegmentDone]], float]:
    """Render videos one after the other; return the segments of each, and how long all took."""
    with ClusterPool(cluster, UpscaleOptions(device="cpu"), JobOptions(), now=cluster.now) as pool:
        pool.open()
        begun = cluster.now()
        line = Line(pool, iter(videos[1:]) if len(videos) > 1 else None)
        heard: list[list[SegmentDone]] = []
        for segments in videos:
            heard.append([])
            segments.present(None, heard[-1].append)
            line.render(segments)
            assert sorted(done.number for done in heard[-1]) == list(range(1, SEGMENTS + 1))
        return heard, cluster.now() - begun


MACHINES = [Machine("a"), Machine("b"), Machine("c"), Machine("d")]


def test_the_next_video_begins_before_the_last_segment_of_one_is_done(make_segments: MakeSegments) -> None:
    long = 5 * 10.0  # of the last segment

    def seconds(request: SegmentRequest) -> float:
        is_last = request.number == SEGMENTS - 1 and request.path.parent.name == "one"
        return long if is_last else 10.0

    cluster = SimulatedCluster(MACHINES, seconds)
    _, took = render(cluster, make_segments("one"), make_segments("two"))
    work = (2 * SEGMENTS - 1) * 10.0 + long
    assert took < work / len(MACHINES) + 10.0 + 2.0


def test_a_slow_node_does_not_keep_the_others_waiting(make_segments: MakeSegments) -> None:
    machines = [*MACHINES[:3], Machine("slow", slowness=30.0)]
    cluster = SimulatedCluster(machines, lambda _: 10.0)
    (done,), took = render(cluster, make_segments("one"))
    assert took < SEGMENTS * 10.0 / 3 + 10.0 + 5.0, "less than without it, or hardly more"
    numbers = [number for _, number in cluster.rendered]
    assert len(numbers) - len(set(numbers)) == 1, "only what it was rendering at the end was begun twice"
    assert len(done) == SEGMENTS


def test_a_node_that_dies_costs_what_it_was_rendering(make_segments: MakeSegments) -> None:
    moments = random.Random(1)
    for dies_at in (moments.uniform(5, 50) for _ in range(4)):
        cluster = SimulatedCluster([*MACHINES, Machine("mortal", dies_at=dies_at)], lambda _: 10.0)
        render(cluster, make_segments(f"{dies_at:.3f}"))
        begun = [number for _, number in cluster.rendered]
        assert len(begun) - len(set(begun)) <= 1
        assert benchmark.HEARTBEAT_SECONDS > 10


def test_a_segment_that_hangs_is_rendered_elsewhere(make_segments: MakeSegments) -> None:
    hung: list[str] = []

    def seconds(request: SegmentRequest) -> float:
        if request.number == 5 and not hung:
            hung.append(cluster.rendered[-1][0])
            return math.inf
        return 10.0

    cluster = SimulatedCluster(MACHINES, seconds)
    render(cluster, make_segments("one"))
    assert next(name for name, number in cluster.rendered if number == 5) == hung[0]
    assert len([name for name, number in cluster.rendered if number == 5]) == 2


def test_a_segment_that_waits_for_a_busy_node_keeps_no_other_one_idle(make_segments: MakeSegments) -> None:
    """It has failed on one of two, while the other renders a long one."""
    long, tried = 100.0, []

    def seconds(request: SegmentRequest) -> float:
        return long if request.number == 1 else 10.0

    def fail(name: str, request: SegmentRequest, _: int) -> Exception | None:
        if request.number != 0:
            return None
        tried.append(name)
        return FfmpegError("no space") if len(tried) == 1 else None

    cluster = SimulatedCluster(MACHINES[:2], seconds, fail)
    _, took = render(cluster, make_segments("one"))
    assert len(set(tried)) == 2
    assert took < (long + SEGMENTS * 10.0) / 2 + 10.0 + 5.0


@pytest.mark.parametrize("error", [MemoryLimitError("too large"), Lost("killed"), MemoryError()])
def test_what_lacks_memory_is_rendered_elsewhere_in_smaller_pieces(
    error: Exception, make_segments: MakeSegments
) -> None:
    tried: list[tuple[str, int]] = []

    def fail(name: str, request: SegmentRequest, halvings: int) -> Exception | None:
        if request.number != 7:
            return None
        tried.append((name, halvings))
        return None if halvings else error

    render(SimulatedCluster(MACHINES, lambda _: 10.0, fail), make_segments("one"))
    (first, none), (second, halved) = tried
    assert (none, halved) == (0, 1)
    assert first != second


def test_a_segment_that_fails_on_two_nodes_is_told_with_both_reasons(make_segments: MakeSegments) -> None:
    tried: list[str] = []

    def fail(name: str, request: SegmentRequest, _: int) -> Exception | None:
        if request.number != 7:
            return None
        tried.append(name)
        return InputError("it is damaged") if len(tried) == 1 else FfmpegError("it has crashed")

    segments = make_segments("one")
    with pytest.raises(InputError) as caught:
        render(SimulatedCluster(MACHINES, lambda _: 10.0, fail), segments)
    first, second = tried
    said = f"segment 8 cannot be rendered on {first}: it is damaged; on {second}: it has crashed"
    assert str(caught.value) == said


def test_one_node_alone_is_given_another_try(make_segments: MakeSegments) -> None:
    tried: list[int] = []

    def fail(name: str, request: SegmentRequest, halvings: int) -> Exception | None:
        if request.number == 7:
            tried.append(halvings)
        return Lost("killed") if request.number == 7 and not halvings else None

    render(SimulatedCluster(MACHINES[:1], lambda _: 1.0, fail), make_segments("one"))
    assert tried == [0, 1]


def test_a_node_on_which_everything_fails_is_left_out(
    make_segments: MakeSegments, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(name: str, request: SegmentRequest, _: int) -> Exception | None:
        return FfmpegError("no space") if name == "b" else None

    cluster = SimulatedCluster(MACHINES, lambda _: 10.0, fail)
    render(cluster, make_segments("one"))
    assert [name for name, _ in cluster.rendered].count("b") == pool_module.FAILURES_IN_A_ROW
    assert "node b is left out: 3 segments in a row have failed there" in caplog.text


def test_a_cluster_that_loses_all_its_nodes_is_told(make_segments: MakeSegments) -> None:
    machines = [Machine(name, dies_at=25.0) for name in "ab"]
    segments = make_segments("one")
    with pytest.raises(VideoInrError, match=r"no node .* 300 s.*run the same command again"):
        render(SimulatedCluster(machines, lambda _: 10.0), segments)
    assert segments.missing > 0


def test_a_node_that_comes_later_is_used(make_segments: MakeSegments) -> None:
    machines = [Machine("a"), Machine("late", born_at=30.0)]
    cluster = SimulatedCluster(machines, lambda _: 10.0)
    _, took = render(cluster, make_segments("one"))
    assert took < 30 + (SEGMENTS - 3) * 10 / 2 + 10 + 5
