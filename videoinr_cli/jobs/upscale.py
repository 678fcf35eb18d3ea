"""Upscale one video: plan it, and carry out the plan."""

from __future__ import annotations

import os
from pathlib import Path

from videoinr_cli.jobs.job import run_job
from videoinr_cli.jobs.segments import SegmentCallback
from videoinr_cli.model import AnyVideoInr
from videoinr_cli.options import JobOptions, UpscaleOptions
from videoinr_cli.render.pipeline import Engine, ProgressCallback, Summary
from videoinr_cli.render.plan import plan_video
from videoinr_cli.weights import options_with


def upscale_video(
    source: str | os.PathLike[str],
    destination: str | os.PathLike[str],
    options: UpscaleOptions | None = None,
    *,
    job: JobOptions | None = None,
    model: AnyVideoInr | None = None,
    progress: ProgressCallback | None = None,
    on_segment: SegmentCallback | None = None,
) -> Summary:
    """Render a video at another size and frame rate, and keep everything else in its file.

    A long video is rendered in segments, which are kept beside the output until it is complete: the same call
    continues where a stopped one left off. With several processes (``job.workers``, or several devices) the
    calling program's main module must be importable without side effects, as `multiprocessing` requires. The
    first Ctrl-C finishes the current segments.

    Args:
        source: a video file, ``-`` for standard input, a folder of images, or a pattern such as
            ``frames/%05d.png``.
        destination: the output's name, which it has only once it is complete.
        options: what the output is to be; `UpscaleOptions()` by default. ``device`` may name several,
            separated by commas.
        job: segments, processes, and whether to continue an earlier run; `JobOptions()` by default.
        model: a network that is loaded already, for several videos in a row; the weights that `load_model`
            made it of take the place of ``options.weights``, which are loaded here when it is None. Other
            processes load their own.
        progress: called in this thread after each output frame.
        on_segment: called in this thread when a segment is done.

    Raises:
        InputError: the source cannot be read.
        OptionError: the options do not fit the source.
        OutputError: the destination cannot be written, another run is writing it, or an earlier run began it
            with another source or other options.
        WeightsError: the weights cannot be used.
        FfmpegError: ffmpeg is missing or failed.
        MemoryLimitError: a frame does not fit in memory.
        KeyboardInterrupt: what is rendered is kept.
    """
    options = options_with(model, options or UpscaleOptions())
    plan = plan_video(source, Path(destination), options)
    engine = None if model is None else Engine(model)
    return run_job(plan, job, engine=engine, progress=progress, on_segment=on_segment)
