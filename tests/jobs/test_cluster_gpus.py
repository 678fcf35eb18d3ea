"""How many processes share a GPU: in numbers, and on a simulated cluster."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch

from tests.conftest import MakeClip
from tests.outside import load
from videoinr_cli.batch.upscale import upscale_batch
from videoinr_cli.errors import VideoInrError, WeightsError
from videoinr_cli.jobs import cluster as cluster_module
from videoinr_cli.jobs import demand as demand_module
from videoinr_cli.jobs.cluster import nodes as nodes_module
from videoinr_cli.jobs.cluster.nodes import described
from videoinr_cli.jobs.cluster.pool import ClusterPool
from videoinr_cli.jobs.demand import CONTEXT_BYTES, Demand
from videoinr_cli.jobs.line import Line
from videoinr_cli.jobs.manifest import Manifest
from videoinr_cli.jobs.segment import SegmentRequest
from videoinr_cli.jobs.segments import Segments
from videoinr_cli.jobs.upscale import upscale_video
from videoinr_cli.options import JobOptions, UpscaleOptions
from videoinr_cli.render.memory import FREE_SHARE
from videoinr_cli.render.parts import Part
from videoinr_cli.render.pieces import DEFAULT_SIZES, device_bytes
from videoinr_cli.render.plan import Plan, plan_video
from videoinr_cli.weights import load_model

benchmark = load("benchmarks/cluster.py")
Machine, SimulatedCluster = benchmark.Machine, benchmark.SimulatedCluster

SEGMENTS = 16

MakePlan = Callable[..., Plan]


@pytest.fixture
def make_plan(make_clip: MakeClip, tmp_path: Path) -> MakePlan:
    """Return a function that plans a small clip, enlarged by so much."""

    def make(scale: float = 2.0, size: tuple[int, int] = (64, 48), **more: object) -> Plan:
        source = make_clip(f"{size[0]}.mkv", frames=3, size=size)
        options = UpscaleOptions(scale=scale, **more)  # type: ignore[arg-type]
        return plan_video(source, tmp_path / f"out{scale:g}.mkv", options)

    return make


def memory_for(count: float, demand: Demand) -> int:
    """Return the memory of a GPU that has room for so many processes."""
    assert demand.process_bytes is not None
    return round(count * demand.process_bytes / FREE_SHARE)


# In numbers


def test_a_process_needs_what_the_loaded_network_says(make_plan: MakePlan) -> None:
    plan = make_plan(precision="fp32")
    network = load_model(device="cpu", precision="fp32")
    values = 4 * sum(tensor.numel() for tensor in network.state_dict().values())
    whole = device_bytes(network, plan.lr_size, plan.framing.picture[::-1], DEFAULT_SIZES)
    assert Demand(plan.options, [plan]).process_bytes == CONTEXT_BYTES + values + whole


def test_on_a_gpu_the_network_computes_in_half_precision(make_plan: MakePlan) -> None:
    plan = make_plan()
    needs = {
        precision: Demand(dataclasses.replace(plan.options, precision=precision), [plan]).process_bytes
        for precision in ("auto", "fp16", "fp32")
    }
    assert needs["auto"] == needs["fp16"]
    assert needs["auto"] < needs["fp32"]  # type: ignore[operator]


def test_the_video_that_needs_most_decides(make_plan: MakePlan) -> None:
    small, large = make_plan(1.0), make_plan(8.0)
    needs = [Demand(small.options, plans).process_bytes for plans in ([small], [large], [small, large])]
    assert needs[0] < needs[1] == needs[2]  # type: ignore[operator]


def test_tiles_that_are_asked_for_need_less(make_plan: MakePlan) -> None:
    plan = make_plan(size=(640, 480))
    in_tiles = Demand(dataclasses.replace(plan.options, tile=96), [plan]).process_bytes
    assert in_tiles < Demand(plan.options, [plan]).process_bytes  # type: ignore[operator]


@pytest.mark.parametrize(("room", "fitting"), [(0.5, 1), (1.01, 1), (2.99, 2), (3.01, 3), (64.5, 64)])
def test_as_many_fit_as_there_is_room_for_and_one_always(
    room: float, fitting: int, make_plan: MakePlan
) -> None:
    plan = make_plan()
    demand = Demand(plan.options, [plan])
    assert demand.fitting(memory_for(room, demand)) == fitting


def test_a_limit_on_memory_is_shared_like_the_memory(make_plan: MakePlan) -> None:
    plan = make_plan()
    one = Demand(plan.options, [plan]).process_bytes
    assert one is not None
    limited = Demand(dataclasses.replace(plan.options, max_memory_bytes=2 * one + 1), [plan])
    assert limited.fitting(100 * one) == 2


def test_a_pool_is_opened_for_all_the_videos_that_it_renders(
    make_plan: MakePlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[list[tuple[int, int]]] = []

    def connect(options: UpscaleOptions, job: JobOptions, plans: Sequence[Plan]) -> None:
        opened.append([plan.size for plan in plans])
        raise VideoInrError("nobody answers")

    monkeypatch.setattr(cluster_module, "connect", connect)
    sources = [make_plan(size=(width, 48)).source.path for width in (64, 80)]
    job = JobOptions(cluster="auto")
    with pytest.raises(VideoInrError, match="nobody answers"):
        upscale_video(sources[0], tmp_path / "out.mkv", UpscaleOptions(scale=2.0), job=job)
    with pytest.raises(VideoInrError, match="nobody answers"):
        upscale_batch(sources, tmp_path / "out", UpscaleOptions(scale=2.0), job=job)
    assert opened == [[(128, 96)], [(128, 96), (160, 96)]]


def test_where_nothing_is_known_nothing_is_said(make_plan: MakePlan) -> None:
    plan = make_plan()
    assert Demand(plan.options, []).fitting(1 << 40) is None
    assert Demand(plan.options, [plan]).fitting(None) is None


def test_what_only_the_nodes_can_load_is_not_known(
    make_plan: MakePlan, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise WeightsError("--spatial needs the package spandrel")

    monkeypatch.setattr(demand_module, "load_network", fail)
    plan = make_plan()
    demand = Demand(dataclasses.replace(plan.options, spatial="model.pth"), [plan])
    assert demand.fitting(1 << 40) is demand.fitting(1 << 40) is None
    assert caplog.text.count("needs the package spandrel") == 1


def test_a_node_says_how_much_memory_its_gpu_has(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert described("cpu", str(weights)).gpu_bytes is None
    monkeypatch.setattr("videoinr_cli.model.devices.choose_device", lambda _: torch.device("cuda"))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "a GPU")
    monkeypatch.setattr(nodes_module, "total_gpu_bytes", lambda: 24 << 30)
    assert described("cuda", str(weights)).gpu_bytes == 24 << 30


# On a cluster


@dataclasses.dataclass
class Seen:
    """What a cluster has done."""

    shares: dict[str, list[float]]  # of a GPU: of the processes on each node at the end
    started: dict[str, int]  # processes
    dividing: dict[str, set[int]]  # processes among which a segment divides the memory
    killed_rendering: int
    seconds: float


def render(plan: Plan, folder: Path, asked: int, *machines: object, knows: bool = True) -> Seen:
    """Render a video on a cluster by so many processes for each GPU."""
    dividing: dict[str, set[int]] = {}
    killed: list[object] = []

    class Cluster(SimulatedCluster):  # type: ignore[misc, valid-type]
        def kill(self, process: object) -> None:
            if process.rendering is not None and process.rendering.ends > self.now():  # type: ignore[attr-defined]
                killed.append(process)
            super().kill(process)

    def note(name: str, request: SegmentRequest, halvings: int) -> None:
        dividing.setdefault(name, set()).add(request.plan.processes)

    cluster = Cluster(machines, lambda _: 10.0, note)
    job, known = JobOptions(workers=asked), [plan] if knows else []
    parts = tuple(Part(24 * number or None, 24 * number + 24) for number in range(SEGMENTS))
    plan = dataclasses.replace(plan, processes=asked)
    with ClusterPool(cluster, plan.options, job, plans=known, now=cluster.now) as pool:
        pool.open()
        while len(pool) < len(pool._crew.workers):
            pool.wait()
        begun = cluster.now()
        folder.mkdir()
        segments = Segments(plan, Manifest(folder, {}, parts, {}))
        Line(pool).render(segments)
        took = cluster.now() - begun
        alive = [process for process in cluster.processes if not process.is_killed]
    names = [machine.name for machine in machines]  # type: ignore[attr-defined]
    return Seen(
        {name: [one.gpus for one in alive if one.machine.name == name] for name in names},
        {name: sum(one.machine.name == name for one in cluster.processes) for name in names},
        dividing,
        len(killed),
        took,
    )


def test_a_gpu_with_room_for_three_of_four_is_shared_by_three(
    make_plan: MakePlan, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    plan = make_plan()
    machine = Machine("a", gpus=1, gpu_bytes=memory_for(3.5, Demand(plan.options, [plan])))
    seen = render(plan, tmp_path / "job", 4, machine)
    assert seen.shares == {"a": [1 / 3] * 3}
    assert seen.dividing == {"a": {3}}
    assert seen.killed_rendering == 0
    assert seen.seconds < 10.0 * (SEGMENTS / 3 + 1) + 1
    assert "3 of 4 processes share each GPU of node a" in caplog.text
    assert "left out" not in caplog.text


def test_a_gpu_with_room_for_none_is_used_by_one_as_a_whole(make_plan: MakePlan, tmp_path: Path) -> None:
    plan = make_plan()
    machine = Machine("a", gpus=1, gpu_bytes=memory_for(0.5, Demand(plan.options, [plan])))
    seen = render(plan, tmp_path / "job", 4, machine)
    assert (seen.shares, seen.dividing) == ({"a": [1.0]}, {"a": {1}})


def test_a_gpu_with_room_for_more_is_shared_by_those_asked_for(make_plan: MakePlan, tmp_path: Path) -> None:
    plan = make_plan()
    machine = Machine("a", gpus=1, gpu_bytes=memory_for(9.5, Demand(plan.options, [plan])))
    seen = render(plan, tmp_path / "job", 4, machine)
    assert (seen.shares, seen.dividing) == ({"a": [0.25] * 4}, {"a": {4}})
    assert seen.started == {"a": 4}, "none of them anew"


def test_each_node_has_its_own_number(make_plan: MakePlan, tmp_path: Path) -> None:
    """Nodes of two small GPUs, of a large one, and of none, which is as it would be without them."""
    plan = make_plan()
    demand = Demand(plan.options, [plan])
    machines = [
        Machine("small", gpus=2, gpu_bytes=memory_for(2.5, demand)),
        Machine("large", gpus=1, gpu_bytes=memory_for(8.5, demand)),
        Machine("none"),
    ]
    seen = render(plan, tmp_path / "job", 4, *machines)
    assert seen.shares == {"small": [0.5] * 4, "large": [0.25] * 4, "none": [0]}
    assert seen.dividing == {"small": {2}, "large": {4}, "none": {4}}
    assert seen.started["none"] == 1


def test_where_no_video_is_known_there_are_those_asked_for(make_plan: MakePlan, tmp_path: Path) -> None:
    seen = render(make_plan(), tmp_path / "job", 4, Machine("a", gpus=1, gpu_bytes=1), knows=False)
    assert (seen.shares, seen.dividing) == ({"a": [0.25] * 4}, {"a": {4}})


def test_one_process_that_is_asked_for_has_the_whole_gpu(make_plan: MakePlan, tmp_path: Path) -> None:
    seen = render(make_plan(), tmp_path / "job", 1, Machine("a", gpus=2, gpu_bytes=1))
    assert (seen.shares, seen.dividing) == ({"a": [1.0, 1.0]}, {"a": {1}})
    assert seen.started == {"a": 2}
