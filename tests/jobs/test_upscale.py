"""One upscale of one file looks at the file once, by whichever way it is asked for."""

from __future__ import annotations

import functools
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.command import run
from tests.conftest import MakeClip
from tests.oracle.blend import BlendVideoInr
from videoinr_cli.batch import engines
from videoinr_cli.batch.upscale import upscale_batch
from videoinr_cli.errors import InputError
from videoinr_cli.jobs import job as job_module
from videoinr_cli.jobs.fingerprint import fingerprint
from videoinr_cli.jobs.job import run_job
from videoinr_cli.jobs.upscale import upscale_video
from videoinr_cli.media.read import interlacing, prepare, probe
from videoinr_cli.options import EncodeOptions, JobOptions, UpscaleOptions
from videoinr_cli.render import plan
from videoinr_cli.render.plan import plan_video
from videoinr_cli.weights import load_model

FAST = UpscaleOptions(scale=1.0, encode=EncodeOptions(preset="ultrafast"))

Ask = Callable[[Path, Path], object]

ONCE = {"probed": 1, "read through": 1, "searched for fields": 1, "planned": 1, "streams decided": 1}


def by_call(source: Path, folder: Path) -> object:
    return upscale_video(source, folder / "out.mkv", FAST, model=BlendVideoInr())


def in_segments(source: Path, folder: Path) -> object:
    job = JobOptions(segment_seconds=0.3)
    return upscale_video(source, folder / "out.mkv", FAST, job=job, model=BlendVideoInr())


def in_a_batch(source: Path, folder: Path) -> object:
    return upscale_batch(source, folder / "all", FAST, model=BlendVideoInr(), name="{stem}.mkv")


def by_command(source: Path, folder: Path) -> object:
    return run("upscale", source, "-o", folder / "out.mkv", "--scale", 1, "--preset", "ultrafast")


def by_a_batch_command(source: Path, folder: Path) -> object:
    return run("upscale", source, "-o", f"{folder / 'all'}/", "--scale", 1, "--name", "{stem}.mkv")


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each thing is done that takes time or reads the source."""
    counted: Counter[str] = Counter()

    def count(what: str, module: Any, name: str) -> None:
        call = getattr(module, name)

        @functools.wraps(call)
        def counting(*arguments: Any, **options: Any) -> Any:
            counted[what] += 1
            return call(*arguments, **options)

        monkeypatch.setattr(module, name, counting)

    count("probed", prepare, "probe")
    count("read through", probe, "scan_clock")
    count("searched for fields", interlacing, "_shown_order")
    count("planned", plan, "OutputSpec")
    count("streams decided", plan, "decide_streams")
    for module in (job_module, engines):
        monkeypatch.setattr(module, "load_network", lambda *_, **__: BlendVideoInr())
    return counted


@pytest.mark.parametrize("ask", [by_call, in_segments, in_a_batch, by_command, by_a_batch_command])
def test_a_source_is_looked_at_once(
    ask: Ask, counts: Counter[str], make_clip: MakeClip, tmp_path: Path
) -> None:
    codecs = ("-c:v", "mpeg2video", "-g", 5, "-c:a", "mp2")
    ask(make_clip("in.ts", *codecs, frames=25, audio=True), tmp_path)
    assert counts == ONCE
    assert len(list(tmp_path.rglob("*.mkv"))) == 1


@pytest.mark.parametrize("change", ["grows", "is touched", "goes"])
def test_a_source_that_changes_after_it_was_planned_is_refused(
    change: str, make_clip: MakeClip, tmp_path: Path
) -> None:
    source = make_clip("in.mkv", frames=2)
    made = plan_video(source, tmp_path / "out.mkv", FAST)
    if change == "grows":
        before = source.stat()
        with source.open("ab") as file:
            file.write(b"more")
        os.utime(source, ns=(before.st_atime_ns, before.st_mtime_ns))
    elif change == "is touched":
        os.utime(source, (1, 1))
    else:
        source.unlink()
    with pytest.raises(InputError, match=r"in\.mkv' (has changed|cannot be read)"):
        run_job(made)
    assert not (tmp_path / "out.mkv").exists()


def test_a_loaded_network_takes_the_place_of_the_weights_named(
    make_clip: MakeClip, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As for the segments: other weights, and another network of no file, are another job."""
    planned: list[str] = []
    monkeypatch.setattr(
        "videoinr_cli.jobs.upscale.run_job", lambda plan, *_, **__: planned.append(plan.options.weights)
    )
    source, named = make_clip("in.mkv", frames=2), replace(FAST, weights=str(weights))
    loaded, other = load_model(weights), load_model("videoinr-fast")
    for options, model in ((named, None), (named, loaded), (FAST, loaded), (named, BlendVideoInr())):
        upscale_video(source, tmp_path / "out.mkv", options, model=model)
    assert planned == [str(weights)] * 4
    plan = plan_video(source, tmp_path / "out.mkv", named)
    found = [fingerprint(plan, model)["weights"] for model in (None, loaded, other, BlendVideoInr())]
    assert found[0] == found[1]
    assert len(set(found)) == 3
    changed = BlendVideoInr()
    changed.anchor.data += 1
    assert fingerprint(plan, changed)["weights"] not in found
    assert fingerprint(plan, BlendVideoInr())["weights"] == found[3]
