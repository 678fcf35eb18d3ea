"""A place to run one job over and over, each time in a process of its own that may be killed.

The processes are forked from a server that has imported everything and done nothing: they begin at once, and
with none of the locks and threads that a test's process holds.
"""

from __future__ import annotations

import dataclasses
import logging
import multiprocessing
import os
import sys
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from tests.oracle.blend import BlendVideoInr
from videoinr_cli.errors import VideoInrError
from videoinr_cli.jobs import pool as pool_module
from videoinr_cli.jobs.manifest import job_folder, remove_job
from videoinr_cli.jobs.upscale import upscale_video
from videoinr_cli.media.ffmpeg import Needs, find_ffmpeg, lacks
from videoinr_cli.media.write.encoders import find_encoder
from videoinr_cli.options import EncodeOptions, JobOptions, TargetRate, UpscaleOptions

HANG_SECONDS = 300.0
"""What no run of a test's job takes."""

FAILED = 7
"""Exit code of a process whose job has ended with an error."""

Fault = Callable[[], dict[str, Any]]
"""Is called in the process, prepares what will happen to it, and returns further arguments of the job."""

# What is asked of ffmpeg only once is asked by the server, for all processes.
find_encoder("libx264", find_ffmpeg())
lacks(find_ffmpeg(), Needs(encoders=("libx264",)))


@dataclasses.dataclass
class Lab:
    """One source, one output, and what has become of the runs so far."""

    source: Path
    output: Path
    segment_seconds: float
    seconds: float = 0.0  # that the last `finish` took

    def start(self, fault: Fault | None = None, **options: Any) -> BaseProcess:
        """Begin or go on with the job; options go to `UpscaleOptions`, but `keep_temp`."""
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([__name__])
        process = context.Process(target=_run, args=(self, fault, options))
        process.start()
        return process

    def finish(self, fault: Fault | None = None, **options: Any) -> int:
        """Run the job to whatever end; return the exit code."""
        started = time.monotonic()
        process = self.start(fault, **options)
        process.join(HANG_SECONDS)
        self.seconds = time.monotonic() - started
        if process.exitcode is None:
            process.kill()
            raise AssertionError("the run has come to no end")
        return process.exitcode

    def started(self) -> int:
        """Return how many times a segment was begun."""
        return len(self._starts.read_text().splitlines())

    def forget(self) -> None:
        """Begin anew."""
        self.output.unlink(missing_ok=True)
        self._starts.unlink(missing_ok=True)
        self._warnings.unlink(missing_ok=True)
        remove_job(self.output)
        assert not job_folder(self.output).exists()

    @property
    def error(self) -> str:
        """What the last failed run said."""
        path = self.source.with_name("error.txt")
        return path.read_text() if path.exists() else ""

    @property
    def said(self) -> list[str]:
        """Warnings of the runs so far."""
        path = self._warnings
        return path.read_text().splitlines() if path.exists() else []

    @property
    def _warnings(self) -> Path:
        return self.source.with_name("warnings.txt")

    @property
    def _starts(self) -> Path:
        return self.source.with_name("starts.txt")


def _run(lab: Lab, fault: Fault | None, options: dict[str, Any]) -> None:
    """Work on the job; the main function of a process."""
    os.chdir(lab.output.parent)
    logging.basicConfig(filename=lab._warnings, format="%(message)s", level=logging.WARNING)
    render = pool_module.render_segment

    def noting(request: Any, **arguments: Any) -> Any:
        with lab._starts.open("a") as file:
            file.write(f"{request.number}\n")
        return render(request, **arguments)

    pool_module.render_segment = noting
    job = JobOptions(segment_seconds=lab.segment_seconds, keep_temp=options.pop("keep_temp", False))
    settings = {"scale": 1.0, "fps": TargetRate.parse("2x"), "encode": EncodeOptions(preset="ultrafast")}
    try:
        upscale_video(
            lab.source,
            lab.output,
            UpscaleOptions(**{**settings, **options}),
            job=job,
            **{"model": BlendVideoInr(), **(fault() if fault is not None else {})},
        )
    except (VideoInrError, MemoryError, OSError, RuntimeError) as error:
        try:
            lab.source.with_name("error.txt").write_text(f"{type(error).__name__}: {error}"[:900])
        finally:
            os._exit(FAILED)
    sys.exit(0)
