"""Fit one clip: the best file so far always lies under its name, and a run can be interrupted and resumed."""

from __future__ import annotations

import dataclasses
import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from videoinr_cli.errors import OptionError, OutputError
from videoinr_cli.fitting.coding import pack
from videoinr_cli.fitting.file import FittedFile, Record, read_file, write_whole
from videoinr_cli.fitting.frames import Frames, load_frames
from videoinr_cli.fitting.loop import Fitter
from videoinr_cli.fitting.networks import FittedNetwork, build, sized
from videoinr_cli.fitting.options import SUFFIX, FitOptions
from videoinr_cli.fitting.streams import pack_streams
from videoinr_cli.locks import LockFile
from videoinr_cli.media.read.prepare import prepare
from videoinr_cli.media.write.destination import check_destination, is_standard_output
from videoinr_cli.model.allocator import keep_memory_mapped
from videoinr_cli.model.devices import choose_device, compute_threads
from videoinr_cli.options import check_threads
from videoinr_cli.sidecars import beside
from videoinr_cli.texts import command_of
from videoinr_cli.training.indivisible import indivisible

CHECK_SECONDS, CHECK_SHARE = 30.0, 0.1
"""Between two files that are compared, and two checkpoints, at least, and the share of time they take."""

HEADER_BYTES = 1500
"""Of a file, beside its parameters and other streams, about."""


@dataclasses.dataclass(frozen=True)
class FitProgress:
    """How far a fit is after a step."""

    step: int
    fraction: float  # of the schedule, in [0, 1]
    loss: float  # smoothed
    psnr: float  # of the best file so far, in dB; -inf before the first one
    bits_per_pixel: float  # of it, without other streams; 0 before the first one
    seconds: float  # spent, over all resumed runs


@dataclasses.dataclass(frozen=True)
class Fitted:
    """What came of a fit."""

    path: Path
    psnr: float  # see `Record`
    bits_per_pixel: float  # of the file without other streams
    file_bytes: int
    parameters: int
    steps: int  # over all resumed runs
    seconds: float  # likewise


def fit_video(
    source: str | os.PathLike[str],
    output: str | os.PathLike[str],
    options: FitOptions | None = None,
    *,
    resume: bool = False,
    overwrite: bool = False,
    device: str = "auto",
    threads: int | None = None,
    progress: Callable[[FitProgress], None] = lambda _: None,
) -> Fitted:
    """Fit a clip into a network, and write the network with the clip's other streams as one file.

    The best file so far lies under its name from the first half minute on. A checkpoint lies beside it, with
    .fitting after its name, until the fit is complete.

    Args:
        source: a video.
        output: the file's name, .vinr.
        options: what is fitted, and how; `FitOptions()` when None.
        resume: whether to go on with an interrupted run for `output`, exactly; with the same options, of
            which the length may change.
        overwrite: whether an existing output, and the checkpoint of an earlier run, may be replaced.
        device: ``auto`` or torch's name of a device.
        threads: of the network on a CPU; None: as torch is set.
        progress: called in this thread after each step.

    Raises:
        OptionError: the options do not fit the source, or change what a resumed run may not.
        InputError: the source cannot be read.
        OutputError: the file cannot be written, or exists.
        WeightsError: the checkpoint cannot be used.
        MemoryLimitError: the frames do not fit in memory.
        FfmpegError: ffmpeg is missing, or cannot copy the other streams.
    """
    output, options = Path(output), options or FitOptions()
    checkpoint = beside(output, ".fitting")
    chosen = choose_device(device)
    check_threads(threads)
    info = prepare(source, options.read)
    _check(output, checkpoint, resume=resume, overwrite=overwrite)
    check_destination(output, info, overwrite=True)
    lock = LockFile(beside(checkpoint, ".lock"))
    if not lock.acquire():
        raise OutputError(f"another run writes {str(output)!r}; wait for it, or choose another name")
    try:
        with compute_threads(threads):
            frames = load_frames(info, options)
            keep_memory_mapped()
            fitter = Fitter(initial_network(frames, options), frames, options, chosen)
            if resume:
                fitter.load(checkpoint)
            files = _Files(output, fitter, pack_streams(info), resumed=resume)
            return _run(fitter, files, checkpoint, progress)
    finally:
        lock.release()


def _check(output: Path, checkpoint: Path, *, resume: bool, overwrite: bool) -> None:
    if is_standard_output(output):
        raise OptionError("a fit is written as a file, not to standard output; try -o clip.vinr")
    if output.suffix.lower() != SUFFIX:
        raise OptionError(
            f"a fit is written as {SUFFIX}, not {output.name!r}; try -o {command_of([output.stem + SUFFIX])}"
        )
    if resume and not checkpoint.is_file():
        remedy = "begin again with -y" if output.exists() else "leave out --resume to begin"
        raise OptionError(f"nothing to resume: there is no {str(checkpoint)!r}; {remedy}")
    if not resume and not overwrite:
        for path, remedy in ((checkpoint, "go on with --resume, or begin again"), (output, "replace it")):
            if path.exists():
                raise OutputError(f"{str(path)!r} exists; choose another name, or {remedy} with -y")


def initial_network(frames: Frames, options: FitOptions, **settings: Any) -> FittedNetwork:
    """Return a network of the size asked for, with random parameters that follow from the seed.

    Args:
        frames: of the clip.
        options: the architecture, the size of the file, the seed.
        settings: fields of `NetworkConfig` that are not as usual.

    Raises:
        OptionError: the smallest network is larger.
    """
    target_bits = 8 * (options.target_bytes(*frames.size, len(frames)) - HEADER_BYTES)
    parameters = max(0.0, target_bits / (options.bits * (1 - options.prune / 2)))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.seed)
        return build(sized(options.architecture, frames.size, len(frames), parameters, **settings))


class _Files:
    """Writes what is fitted so far, if it is better than the file that is there."""

    def __init__(self, path: Path, fitter: Fitter, streams: bytes, *, resumed: bool) -> None:
        self._path, self._fitter, self._streams = path, fitter, streams
        self._bytes, self._bits_per_pixel = 0, 0.0
        if not resumed or not path.exists():
            fitter.best_psnr = -math.inf
        elif fitter.best_psnr > -math.inf:
            self._tell(read_file(path))

    def keep_better(self) -> None:
        """Measure the parameters as a file would hold them, and write that file if it is the best one."""
        fitter = self._fitter
        if not fitter.step or not (psnr := fitter.psnr()) > fitter.best_psnr:  # not a number is not better
            return
        coded = pack(fitter.parameters(), fitter.options.bits)
        record = Record(psnr, fitter.step, fitter.seconds)
        file = FittedFile(fitter.network.config, fitter.frames.clip, record, coded, self._streams)
        write_whole(self._path, file.to_bytes())
        fitter.best_psnr = psnr
        self._tell(file)

    def _tell(self, file: FittedFile) -> None:
        self._bytes = self._path.stat().st_size
        self._bits_per_pixel = file.bits_per_pixel(self._bytes)

    def progress(self) -> FitProgress:
        fitter = self._fitter
        return FitProgress(
            fitter.step,
            fitter.fraction,
            fitter.loss,
            fitter.best_psnr,
            self._bits_per_pixel,
            fitter.seconds,
        )

    def result(self) -> Fitted:
        fitter = self._fitter
        count = sum(value.numel() for value in fitter.parameters().values())
        return Fitted(
            self._path,
            fitter.best_psnr,
            self._bits_per_pixel,
            self._bytes,
            count,
            fitter.step,
            fitter.seconds,
        )


def _run(fitter: Fitter, files: _Files, checkpoint: Path, progress: Callable[[FitProgress], None]) -> Fitted:
    """Take all steps that are left; whatever ends the run, it can be resumed from its last step."""
    wait, checked = CHECK_SECONDS, time.monotonic()
    try:
        while fitter.fraction < 1:
            with indivisible():  # what is saved is the state between two steps
                fitter.train_step()
            if time.monotonic() - checked > wait:
                began = time.monotonic()
                files.keep_better()
                fitter.save(checkpoint)
                checked = time.monotonic()
                wait = max(CHECK_SECONDS, (checked - began) / CHECK_SHARE)
            progress(files.progress())
    finally:
        with indivisible():
            files.keep_better()
            fitter.save(checkpoint)
    if fitter.best_psnr == -math.inf:
        raise OptionError("the fit lost itself in numbers that are none; try another --seed")
    checkpoint.unlink(missing_ok=True)
    return files.result()
