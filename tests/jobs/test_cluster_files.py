"""What nodes are sent, and what becomes of it: a node's own code, called in this process."""

from __future__ import annotations

import dataclasses
import logging
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import MakeClip, RunFfmpeg
from tests.jobs.conftest import content_of, options_for
from videoinr_cli.errors import VideoInrError
from videoinr_cli.jobs import cluster as cluster_module
from videoinr_cli.jobs.cluster import nodes as nodes_module
from videoinr_cli.jobs.cluster.calls import Node
from videoinr_cli.jobs.cluster.nodes import KEPT_SECONDS, Files, NodeWorker, Sight
from videoinr_cli.jobs.upscale import upscale_video


class OneNode:
    """A cluster of one node, whose calls are done when they begin."""

    def __init__(self) -> None:
        self.rendered: list[Any] = []  # options of each request
        self.kept: set[tuple[str, str]] = set()  # files in its cache then, by folder and name

    def nodes(self) -> list[Node]:
        return [Node("n", "n", gpus=0, cpus=1, store_bytes=1 << 30)]

    def start(self, node: Node, device: str, *, gpus: float, cpus: float) -> NodeWorker:
        return NodeWorker(device)

    def call(self, worker: NodeWorker, method: str, *arguments: Any) -> Any:
        call = Call()
        try:
            if method == "render":
                arguments = self.noted(arguments[0]), *arguments[1:]
            call.result = getattr(worker, method)(*arguments)
        except Exception as error:
            call.result = error
        return call

    def noted(self, request: Any) -> Any:
        """Take note of a request, and return it without a model that nothing here can render with."""
        options = request.plan.options
        self.rendered.append(options)
        self.kept = {(path.parent.name, path.name) for path in cache().glob("*/*")}
        if options.spatial is not None:
            assert Path(options.spatial).read_bytes() == b"a model"
        plan = dataclasses.replace(request.plan, options=dataclasses.replace(options, spatial=None))
        return dataclasses.replace(request, plan=plan)

    def put(self, data: bytes) -> bytes:
        return data

    def ready(self, calls: Sequence[Any], seconds: float) -> list[Any]:
        return list(calls)

    def result(self, call: Any) -> Any:
        if isinstance(call.result, Exception):
            raise call.result
        return call.result

    def kill(self, worker: NodeWorker) -> None: ...

    def close(self) -> None: ...


@dataclasses.dataclass(eq=False)
class Call:
    result: Any = None


def cache() -> Path:
    return Path(os.environ["XDG_CACHE_HOME"]) / "videoinr" / "cluster"


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OneNode]:
    """A node whose process is this one, which is left as it was."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(nodes_module, "NEWS_SECONDS", 0.0)
    monkeypatch.setattr(nodes_module, "openmp_settings", lambda _: {})
    monkeypatch.setattr(nodes_module, "forward_log", lambda _: None)  # what it says is heard here
    logger = logging.getLogger("videoinr_cli")
    level, handlers = logger.level, tuple(logger.handlers)
    one = OneNode()
    monkeypatch.setattr(cluster_module, "RayCluster", lambda *_, **__: one)
    yield one
    logger.setLevel(level)
    logger.handlers[:] = handlers


def upscale(source: Path, output: Path, weights: Path, way: str | None, **more: Any) -> None:
    """Render by the node, or by this process where no way of sending is given."""
    cluster = {} if way is None else {"cluster": "local", "cluster_files": way}
    given = {"weights": str(weights), "device": "cpu", "precision": "fp32", "segment_seconds": 0.2}
    options, job = options_for(**given, **cluster, **more)
    upscale_video(source, output, options, job=job)


def test_images_are_sent(node: OneNode, run_ffmpeg: RunFfmpeg, tmp_path: Path, weights: Path) -> None:
    source = tmp_path / "images"
    source.mkdir()
    run_ffmpeg("-f", "lavfi", "-i", "testsrc2=size=64x48:rate=25", "-frames:v", 8, source / "%03d.png")
    upscale(source, tmp_path / "one.mkv", weights, None)
    upscale(source, tmp_path / "out.mkv", weights, "send")
    assert content_of(tmp_path / "out.mkv") == content_of(tmp_path / "one.mkv")
    assert len({name for _, name in node.kept if name.endswith(".png")}) == 8
    assert {path.name for path in cache().glob("[!s]*/*")} == {weights.name}, "the images are forgotten"


def test_files_of_the_same_content_are_found_by_each_name(
    node: OneNode, make_clip: MakeClip, tmp_path: Path, weights: Path
) -> None:
    """As are those of another command, which is done sooner."""
    source = make_clip("in.mkv", frames=8)
    upscale(source, tmp_path / "one.mkv", weights, "send")
    assert {name for _, name in node.kept if ".try-" not in name} == {"in.mkv", weights.name}
    others = shutil.copy(source, tmp_path / "film.mkv"), shutil.copy(weights, tmp_path / "w.safetensors")
    upscale(Path(others[0]), tmp_path / "two.mkv", Path(others[1]), "send")
    assert content_of(tmp_path / "two.mkv") == content_of(tmp_path / "one.mkv")
    mine = {folder for folder, name in node.kept if name == "film.mkv"}
    upscale(Path(others[0]), tmp_path / "three.mkv", Path(others[1]), "send")
    assert not mine & {folder for folder, name in node.kept if name == "film.mkv"}


def test_the_model_that_enlarges_is_seen_or_sent(
    node: OneNode,
    make_clip: MakeClip,
    tmp_path: Path,
    weights: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Named relative to the folder that the driver is in."""
    source = make_clip("in.mkv", frames=8)
    monkeypatch.chdir(tmp_path)
    Path("x2.pth").write_bytes(b"a model")
    upscale(source, tmp_path / "one.mkv", weights, "shared", spatial="x2.pth")
    assert {options.spatial for options in node.rendered} == {str(tmp_path / "x2.pth")}
    node.rendered.clear()
    upscale(source, tmp_path / "two.mkv", weights, "send", spatial="x2.pth")
    (sent,) = {Path(options.spatial) for options in node.rendered}
    assert sent.parent.parent == cache()
    look = NodeWorker.look

    def look_at_another(worker: NodeWorker, files: Files) -> Sight:
        return look(worker, dataclasses.replace(files, enlarger_sha256="0"))

    monkeypatch.setattr(NodeWorker, "look", look_at_another)
    node.rendered.clear()
    upscale(source, tmp_path / "three.mkv", weights, "auto", spatial="x2.pth")
    assert {Path(options.spatial) for options in node.rendered} == {sent}
    with pytest.raises(VideoInrError, match=r"does not see the model '.*x2.pth'; --cluster-files auto"):
        upscale(source, tmp_path / "four.mkv", weights, "shared", spatial="x2.pth")


def test_what_was_sent_is_kept_while_it_is_used(
    node: OneNode, make_clip: MakeClip, tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though a video, or many, may take longer than files of nobody are kept."""
    source, old = make_clip("in.mkv", frames=20), time.time() - KEPT_SECONDS - 60
    stray = cache() / "stray"
    stray.mkdir(parents=True)
    os.utime(stray, (old, old))
    render = NodeWorker.render

    def late(worker: NodeWorker, *arguments: Any) -> Any:
        used = [folder for folder in cache().iterdir() if not folder.name.startswith("segments-")]
        for folder in used:
            os.utime(folder, (old, old))
        rendered = render(worker, *arguments)
        NodeWorker("cpu")  # another process, which tidies up
        assert all(folder.is_dir() for folder in used)
        assert len(used) == 2
        return rendered

    monkeypatch.setattr(NodeWorker, "render", late)
    upscale(source, tmp_path / "out.mkv", weights, "send")
    assert len(node.rendered) > 1
    assert not stray.exists()
