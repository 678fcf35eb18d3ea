"""A source worth cutting, and what tells one output from another."""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from tests.conftest import RunFfmpeg
from tests.oracle.blend import BlendVideoInr
from videoinr_cli.jobs.upscale import upscale_video
from videoinr_cli.options import EncodeOptions, JobOptions, TargetRate, UpscaleOptions
from videoinr_cli.render.pipeline import Summary

GRAIN = "noise=alls=12:allf=t"  # no two frames alike

RunJob = Callable[..., Summary]


@dataclasses.dataclass(frozen=True)
class Content:
    """All of a file that a viewer can see or hear."""

    pictures: tuple[str, ...]  # a hash of each as decoded
    times: tuple[Fraction, ...]  # seconds
    others: tuple[
        tuple[str, str], ...
    ]  # kind of each other stream, and a hash of its packets and their times
    facts: tuple[object, ...]  # of the video stream


def content_of(path: Path) -> Content:
    """Read a file by PyAV alone."""
    pictures, times = [], []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        for frame in container.decode(stream):
            assert frame.pts is not None
            assert frame.time_base is not None
            pictures.append(hashlib.sha256(b"".join(map(bytes, frame.planes))).hexdigest())
            times.append(frame.pts * frame.time_base)
        context = stream.codec_context
        facts = (
            *(stream.codec.canonical_name, context.width, context.height, context.pix_fmt),
            *(context.color_range, context.colorspace, context.color_primaries, context.color_trc),
            *(stream.sample_aspect_ratio, stream.metadata.get("language"), container.metadata.get("title")),
            *(stream.duration, stream.metadata.get("DURATION"), len(container.chapters())),
        )
    others = []
    with av.open(str(path)) as container:
        for other in container.streams:
            if other.type == "video":
                continue
            hashed = hashlib.sha256()
            container.seek(0)
            for packet in container.demux(other):
                if packet.size:
                    hashed.update(f"{packet.pts}".encode() + bytes(packet))
            others.append((other.type, hashed.hexdigest()))
    return Content(tuple(pictures), tuple(times), tuple(others), facts)


def options_for(**arguments: Any) -> tuple[UpscaleOptions, JobOptions]:
    """Divide options between the two records that take them."""
    names = {field.name for field in dataclasses.fields(JobOptions)}
    job = JobOptions(**{name: arguments.pop(name) for name in names & arguments.keys()})
    fps = arguments.pop("fps", None)
    settings = {"scale": 1.0, "encode": EncodeOptions(preset="ultrafast"), **arguments}
    return UpscaleOptions(**settings, fps=TargetRate.parse(fps) if fps else None), job


@pytest.fixture
def run() -> RunJob:
    """Return a function that runs a job with the blending network; options go where they belong."""

    def run(source: Path, destination: Path, **arguments: Any) -> Summary:
        model = arguments.pop("model", None) or BlendVideoInr()
        callbacks = {name: arguments.pop(name, None) for name in ("progress", "on_segment")}
        options, job = options_for(**arguments)
        return upscale_video(source, destination, options, job=job, model=model, **callbacks)

    return run


@pytest.fixture(scope="session")
def source_made(run_ffmpeg: RunFfmpeg, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source")
    lines, notes, path = folder / "lines.srt", folder / "notes.txt", folder / "in.mkv"
    lines.write_text("1\n00:00:00,500 --> 00:00:01,300\nHello\n")
    notes.write_text(";FFMETADATA1\ntitle=T\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=900\ntitle=One\n")
    scenes = (
        f"testsrc2=s=64x48:r=25,trim=end_frame=18,{GRAIN}[a];"
        f"color=s=64x48:r=25:c=teal,trim=end_frame=12[b];"
        f"mandelbrot=s=64x48:r=25,trim=end_frame=20,{GRAIN}[c];[a][b][c]concat=n=3,setsar=4/3,"
        "setpts=PTS+0.2/TB[v]"
    )
    run_ffmpeg(
        *("-f", "lavfi", "-i", "sine=duration=2.2", "-i", lines, "-i", notes, "-filter_complex", scenes),
        *("-map", "[v]", "-map", 0, "-map", 1, "-map_metadata", 2, "-map_chapters", 2),
        *("-c:v", "libx264", "-crf", 4, "-g", 9, "-bf", 2, "-c:a", "aac", "-metadata:s:v", "language=fra"),
        path,
    )
    return path


@pytest.fixture
def source(source_made: Path, tmp_path: Path) -> Path:
    """Two seconds with sound, subtitles, chapters, B-frames, a cut and a still; begins after its sound."""
    return Path(shutil.copy(source_made, tmp_path))
