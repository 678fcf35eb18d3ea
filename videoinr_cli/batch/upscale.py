"""Upscale several videos into a folder: plan all of them, and carry out the plans, or estimate their cost."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from videoinr_cli.batch.batch import BatchResult, Listener, run_batch
from videoinr_cli.batch.estimate import estimate_batch
from videoinr_cli.batch.events import Error, Estimate, Skipped
from videoinr_cli.batch.names import DEFAULT_NAME
from videoinr_cli.batch.request import Request
from videoinr_cli.errors import OptionError
from videoinr_cli.model import AnyVideoInr
from videoinr_cli.options import JobOptions, UpscaleOptions
from videoinr_cli.weights import options_with


def upscale_batch(
    sources: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    folder: str | os.PathLike[str],
    options: UpscaleOptions | None = None,
    *,
    job: JobOptions | None = None,
    model: AnyVideoInr | None = None,
    name: str = DEFAULT_NAME,
    recursive: bool = False,
    skip_existing: bool = False,
    fail_fast: bool = False,
    listener: Listener | None = None,
) -> BatchResult:
    """Render several videos into a folder, one after the other with one network.

    All sources are checked before the first one is rendered. One that fails does not stop the others: its
    error is in the result.

    Args:
        sources: video files, and folders that stand for the videos in them.
        folder: where the outputs go; made when needed.
        options: for all videos; `UpscaleOptions()` by default.
        job: segments, processes, and whether to continue an earlier run; `JobOptions()` by default.
        model: a network that is loaded already, as for `upscale_video`; loaded here when None.
        name: pattern of the outputs' names, with ``{stem}``, ``{ext}``, ``{parent}``, ``{width}``,
            ``{height}``, ``{fps}`` and ``{index}``.
        recursive: whether folders within folders are searched.
        skip_existing: whether a source whose output exists is left out; it is an error otherwise, unless
            ``options.overwrite`` is set.
        fail_fast: whether the first failure ends everything.
        listener: called in this thread with every event, such as `Start`, `Progress` and `Done` of
            `videoinr_cli.batch.events`.

    Raises:
        OptionError: the options exclude each other, two outputs would have the same name, or there is no such
            device.
        WeightsError: the weights cannot be used.
        KeyboardInterrupt: what is rendered is kept.
    """
    options = options_with(model, options or UpscaleOptions())
    paths = _paths(sources)
    if skip_existing and options.overwrite:
        raise OptionError("skip_existing and overwrite exclude each other; give one of them")
    request = Request(
        paths=paths,
        output=os.path.join(folder, ""),  # noqa: PTH118 -- a Path has no slash at its end
        is_list=True,
        name=name,
        recursive=recursive,
        skip_existing=skip_existing,
    )
    items = request.plan(options, lambda done, total: None)
    return run_batch(
        items, options, listener or (lambda event: None), job=job, model=model, fail_fast=fail_fast
    )


def estimate_upscale(
    sources: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    output: str | os.PathLike[str],
    options: UpscaleOptions | None = None,
    *,
    job: JobOptions | None = None,
    name: str | None = None,
    recursive: bool = False,
    skip_existing: bool = False,
) -> list[Estimate | Error | Skipped]:
    """Estimate what `upscale_video` or `upscale_batch` would do and take, and write nothing.

    Each kind of video is rendered for a few seconds, and the result thrown away.

    Args:
        sources: one video, or video files and folders of them.
        output: the output's name, or the folder of several; a folder ends with a slash unless it exists.
        options: see `upscale_batch`, as the others.

    Returns:
        What would become of each source, in their order.

    Raises:
        OptionError: see `upscale_batch`.
        WeightsError: the weights cannot be used.
    """
    options = options or UpscaleOptions()
    request = Request(
        paths=_paths(sources),
        output=os.fspath(output),
        name=name,
        recursive=recursive,
        skip_existing=skip_existing,
    )
    items = request.plan(options, lambda done, total: None)
    return list(estimate_batch(items, options, job or JobOptions(), failures=[]))


def _paths(sources: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]) -> tuple[Path, ...]:
    paths = [sources] if isinstance(sources, (str, os.PathLike)) else sources
    if found := tuple(map(Path, paths)):
        return found
    raise OptionError("a batch has no sources; name a video or a folder")
