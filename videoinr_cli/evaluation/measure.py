"""Measure a method on clips: reduce the given frames, compare the output with the truth, measure the cost."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, islice, pairwise
from statistics import fmean

import torch
from torch import Tensor

from videoinr_cli.errors import InputError
from videoinr_cli.evaluation.clips import Clip, to_levels
from videoinr_cli.evaluation.methods import Method
from videoinr_cli.evaluation.metrics import SSIM_WINDOW_PX, psnr, ssim
from videoinr_cli.evaluation.protocols import Protocol
from videoinr_cli.evaluation.resample import reduce
from videoinr_cli.media.compression import Compression, compress
from videoinr_cli.render.memory import PeakMemory, release_memory


@dataclasses.dataclass(frozen=True)
class FrameScore:
    """Quality of one output frame."""

    clip: str
    group: int  # index of its pair within the clip
    step: int  # position within the pair; 0 is the given frame
    psnr: float  # dB
    ssim: float


@dataclasses.dataclass(frozen=True)
class Quality:
    """Mean quality of some frames."""

    psnr: float  # dB
    ssim: float


@dataclasses.dataclass(frozen=True)
class MethodResult:
    """What one method reached on a set of clips."""

    method: str
    protocol: Protocol
    scores: tuple[FrameScore, ...]
    seconds_per_frame: float  # wall time, without decoding and measuring
    peak_bytes: int  # of memory; see `PeakMemory`
    threads: int = dataclasses.field(default_factory=torch.get_num_threads)  # used by torch

    @property
    def groups(self) -> int:
        return len({(score.clip, score.group) for score in self.scores})

    @property
    def clips(self) -> list[str]:
        return list(dict.fromkeys(score.clip for score in self.scores))

    def quality(self, steps: Sequence[int], clip: str | None = None) -> Quality:
        """Average the frames at the given positions within a pair, over all groups, of one clip or of all."""
        chosen = [s for s in self.scores if s.step in steps and clip in (None, s.clip)]
        return Quality(fmean(s.psnr for s in chosen), fmean(s.ssim for s in chosen))

    def given(self, clip: str | None = None) -> Quality:
        """Return the quality of the frames that were given at low resolution."""
        return self.quality([0], clip)

    def between(self, clip: str | None = None) -> Quality:
        """Return the quality of the in-between frames; of the given ones if the rate is kept."""
        return (
            self.quality(range(1, self.protocol.steps), clip) if self.protocol.steps > 1 else self.given(clip)
        )

    def center(self) -> Quality:
        """Return the papers' "Center": the given frames and those in the middle."""
        return self.quality([0, self.protocol.steps // 2])

    def average(self) -> Quality:
        """Return the papers' "Average": every frame of every group."""
        return self.quality(range(self.protocol.steps))


class Stopwatch:
    """Adds up the wall time spent inside its ``with`` blocks; `paused` blocks within them do not count."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._started = 0.0

    def __enter__(self) -> Stopwatch:
        self._started = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds += time.perf_counter() - self._started

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        self.__exit__()
        try:
            yield
        finally:
            self.__enter__()


OnFrame = Callable[[FrameScore, Tensor], None]
"""Called after each frame with its score and the picture, (1, 3, H, W)."""


def measure_quality(
    method: Method,
    clips: Sequence[Clip],
    protocol: Protocol,
    *,
    on_frame: OnFrame = lambda score, picture: None,
) -> MethodResult:
    """Measure a method on clips.

    Raises:
        InputError: a clip cannot be read, is too small, or is too short for a single group.
    """
    for clip in clips:
        _check_size(clip, protocol)
    scores: list[FrameScore] = []
    stopwatch = Stopwatch()
    release_memory(method.device)  # memory that earlier methods freed is not this one's cost
    with PeakMemory(method.device) as memory:
        for clip in clips:
            before = len(scores)
            for score, picture in _measure(method, clip, protocol, stopwatch):
                scores.append(score)
                on_frame(score, picture)
            if len(scores) == before:
                raise InputError(
                    f"clip {clip.name!r} is too short: a group and the frame after it are "
                    f"{protocol.steps + 1} frames"
                )
    rendered = len(scores) * protocol.stride  # the frames between those asked for too
    return MethodResult(method.name, protocol, tuple(scores), stopwatch.seconds / rendered, memory.bytes)


def _check_size(clip: Clip, protocol: Protocol) -> None:
    """Raise `InputError` where the first frame, reduced and enlarged again, is too small to compare."""
    for frame in islice(clip.frames(), 1):
        height, width = frame.shape[-2:]
        _, (rows, columns) = protocol.sizes(height, width)
        if min(rows, columns) < SSIM_WINDOW_PX:
            raise InputError(
                f"clip {clip.name!r} of {width}x{height} leaves {columns}x{rows} pixels to measure at space "
                f"x{protocol.space:g}, and SSIM needs {SSIM_WINDOW_PX}x{SSIM_WINDOW_PX}; "
                "try a smaller --space, or larger pictures"
            )


def _measure(
    method: Method, clip: Clip, protocol: Protocol, stopwatch: Stopwatch
) -> Iterator[tuple[FrameScore, Tensor]]:
    """Yield every output frame of one clip with its score."""
    first = next(clip.frames(), None)
    if first is None:
        return
    _, size = protocol.sizes(*first.shape[-2:])
    given = _given(clip, protocol, stopwatch)
    inputs = pairwise(given) if protocol.context == "pairs" else [given]
    rendered = chain.from_iterable(method.render(frames, protocol.steps, size) for frames in inputs)
    outputs = islice(rendered, 0, None, protocol.stride)
    asked_for = islice(enumerate(clip.frames()), 0, protocol.max_frames, protocol.stride)
    for index, frame in asked_for:
        with stopwatch:
            picture = next(outputs, None)
            if picture is not None and picture.is_cuda:
                torch.cuda.synchronize(picture.device)
        if picture is None:
            return  # the last given frame only closes the last group
        group, step = divmod(index, protocol.steps)
        truth = frame[None, :, : size[0], : size[1]].to(picture.device)
        score = FrameScore(clip.name, group, step, psnr(picture, truth).item(), ssim(picture, truth).item())
        yield score, picture


def _given(clip: Clip, protocol: Protocol, stopwatch: Stopwatch) -> Iterator[Tensor]:
    """Yield every steps-th frame at low resolution, with the stopwatch paused."""
    frames = _reduced(clip, protocol)
    if protocol.crf is not None:
        frames = compressed(frames, protocol.crf)
    while True:
        with stopwatch.paused():
            frame = next(frames, None)
        if frame is None:
            return
        yield frame


def _reduced(clip: Clip, protocol: Protocol) -> Iterator[Tensor]:
    for frame in islice(clip.frames(), 0, protocol.max_frames, protocol.steps):
        lr, size = protocol.sizes(*frame.shape[-2:])
        yield reduce(frame[None, :, : size[0], : size[1]], lr, protocol.downsampler)


def compressed(frames: Iterator[Tensor], crf: float) -> Iterator[Tensor]:
    """Encode (1, 3, h, w) frames by x264 as one 4:2:0 video, as most footage is, and decode them."""
    for rgb in compress((to_levels(frame[0]) for frame in frames), Compression("libx264", crf)):
        yield torch.from_numpy(rgb).permute(2, 0, 1)[None].float() / 255
