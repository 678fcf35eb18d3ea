"""Compare two videos: read both by time, measure each instant, and write the page."""

from __future__ import annotations

import dataclasses
import logging
import math
import os
import re
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from statistics import fmean

import torch

from videoinr_cli.comparison.embedding import Embedder
from videoinr_cli.comparison.instants import Instants, choose_instants, on_show
from videoinr_cli.comparison.page import Comparison, Curve, ShownFrame, ShownVideo, render_page
from videoinr_cli.errors import InputError, OptionError, writing
from videoinr_cli.evaluation.metrics import SSIM_WINDOW_PX, psnr, ssim
from videoinr_cli.evaluation.resample import enlarge, reduce
from videoinr_cli.media.read.prepare import prepare
from videoinr_cli.media.read.reader import SourceFrame, read_frames
from videoinr_cli.media.streams import VideoInfo
from videoinr_cli.media.write.destination import check_destination
from videoinr_cli.options import CompareOptions, ReadOptions
from videoinr_cli.render.renderer import Picture
from videoinr_cli.render.transfers import as_pixels
from videoinr_cli.sidecars import whole
from videoinr_cli.texts import command_of

SEEK_SECONDS = 2
"""Distance of two instants from which seeking is used instead of reading on."""

LABELS = ("A", "B", "Reference")

TRUTH = (
    "PSNR and SSIM take A for the truth: what is better than A lowers them. With --reference, both are "
    "measured against another video."
)
"""What the figures mean where there is no reference."""

MOST_FRAMES_LONGER = 2
"""Frames by which one of two videos may be longer before that is said: rates and containers round."""

MEGABYTE = 1_000_000

PAGE_SUFFIXES = (".html", ".htm")
"""Extensions by which browsers recognise a page."""

_NOT_UNICODE = re.compile("[\ud800-\udfff]")
"""How Python represents bytes of a file's name that are not UTF-8; a page cannot contain them."""

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Likeness:
    """PSNR and SSIM of luma."""

    psnr: float  # dB; infinite for equal pictures
    ssim: float | None  # None for pictures smaller than its window


@dataclasses.dataclass(frozen=True)
class ComparisonPage:
    """What a page holds."""

    path: Path
    bytes: int
    frames: int  # embedded
    stride: int  # frames of the video with the highest rate from one instant to the next
    is_cut_short: bool  # whether the page's size was used up before the last instant
    means: tuple[tuple[Curve, float | None], ...]  # each curve with its mean


def compare(
    a: str | os.PathLike[str],
    b: str | os.PathLike[str],
    page: str | os.PathLike[str],
    options: CompareOptions | None = None,
    *,
    reference: str | os.PathLike[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> ComparisonPage:
    """Write a page that shows two videos side by side, and measures both against a reference.

    Args:
        a: a video.
        b: another version of it, of any size and rate.
        page: the HTML file to write.
        options: what is compared, and how large the page may become.
        reference: the video that both are measured against; None: they are measured against each other.
        progress: called with the number of instants so far and in total.

    Raises:
        InputError: a video cannot be read, or does not say how long it is.
        OptionError: there is nothing to compare at the time asked for, the page would be too small for a
            single instant, or its name is not that of a page.
        OutputError: the page cannot be written.
    """
    options = options or CompareOptions()
    videos = [prepare(path, ReadOptions()) for path in (a, b, *([] if reference is None else [reference]))]
    target = Path(page)
    if target.suffix.lower() not in PAGE_SUFFIXES:  # a browser would show its source
        raise OptionError(
            f"a comparison is an .html, not {target.name!r}; try -o {command_of([f'{target.stem}.html'])}"
        )
    for video in videos:
        check_destination(target, video, overwrite=options.overwrite)
    if lengths := _different_lengths(videos):
        log.info(lengths)
    instants = choose_instants(
        [_duration(video) for video in videos],
        [video.frame_rate for video in (videos[2:] or videos)],
        begin_seconds=options.at_seconds,
        seconds=options.seconds,
        max_count=options.max_frames,
    )
    embedder = Embedder(options.max_bytes, instants.count)
    frames: list[ShownFrame] = []
    measured: list[tuple[Likeness, ...]] = []
    shown = zip(*(_frames(video, instants) for video in videos), strict=False)
    for seconds, pictures in zip(instants.seconds, shown, strict=False):
        addresses = embedder.embed([picture.rgb for picture in pictures])
        if addresses is None:
            break
        frames.append(ShownFrame(round(float(seconds), 6), tuple(addresses)))
        measured.append(_measured([picture.rgb for picture in pictures]))
        if progress is not None:
            progress(len(frames), instants.count)
    if not frames:
        raise OptionError(
            f"one frame of these videos takes more than {options.max_bytes / MEGABYTE:g} MB; "
            "try a larger --max-mb"
        )
    curves = _curves(measured)
    comparison = Comparison(
        title=f"{_name(videos[0])} and {_name(videos[1])}",
        videos=tuple(_shown(label, video) for label, video in zip(LABELS, videos, strict=False)),
        frames=frames,
        curves=curves,
        frames_per_second=float(instants.rate / instants.stride),
        notes=tuple(_notes(videos, instants, embedder.qualities)),
    )
    return ComparisonPage(
        path=target,
        bytes=_write(render_page(comparison), target),
        frames=len(frames),
        stride=instants.stride,
        is_cut_short=len(frames) < instants.count,
        means=tuple((curve, mean_of(curve.values)) for curve in curves),
    )


def mean_of(values: Sequence[float | None]) -> float | None:
    """Return the mean of a curve's finite values; infinite if all are infinite, None if there are none."""
    known = [value for value in values if value is not None]
    finite = [value for value in known if math.isfinite(value)]
    return fmean(finite) if finite else (math.inf if known else None)


def _duration(video: VideoInfo) -> Fraction:
    if video.duration is None or not (video.is_file or video.images):
        remedy = "copy it into an .mkv first" if video.is_file else "write it to a file first"
        raise InputError(f"{str(video.path)!r} does not say how long it is; {remedy}")
    return video.duration


def _different_lengths(videos: Sequence[VideoInfo]) -> str | None:
    """Return a sentence on lengths that differ, as those of a video and a part of it; None: they do not."""
    shortest, longest = min(videos, key=_duration), max(videos, key=_duration)
    frame = 1 / min(video.frame_rate for video in videos)
    if _duration(longest) - _duration(shortest) <= MOST_FRAMES_LONGER * frame:
        return None
    return (
        f"the lengths differ: {_name(longest)} lasts {float(_duration(longest)):.3f} s, {_name(shortest)} "
        f"{float(_duration(shortest)):.3f} s; they are matched from their starts, so if one is a part that "
        "begins later, different moments are compared"
    )


def _frames(video: VideoInfo, instants: Instants) -> Iterator[SourceFrame]:
    """Yield the frame that a video shows at each instant."""
    ticks = [video.start_pts + seconds / video.time_base for seconds in instants.middles]
    if instants.stride / instants.rate < SEEK_SECONDS:
        yield from on_show(read_frames(video, begin=math.floor(ticks[0]), lead=1), ticks)
        return
    for time in ticks:
        begin = math.floor(time)
        yield from on_show(read_frames(video, begin=begin, end=begin + 1, lead=1), [time])


def _measured(pictures: Sequence[Picture]) -> tuple[Likeness, ...]:
    """Measure both against the reference, or without one the smaller against the larger."""
    if len(pictures) == len(LABELS):
        *both, reference = pictures
        return tuple(likeness(picture, reference) for picture in both)
    smaller, larger = sorted(pictures, key=lambda picture: picture.size)
    return (likeness(smaller, larger),)


@torch.inference_mode()
def likeness(picture: Picture, reference: Picture) -> Likeness:
    """Compare a picture with a reference, resized bicubically to the reference's size.

    Args:
        picture: (h, w, 3) uint8 or uint16.
        reference: (H, W, 3) uint8 or uint16.
    """
    height, width = reference.shape[:2]
    ours, theirs = as_pixels(picture), as_pixels(reference)
    if ours.shape != theirs.shape:  # may be smaller along one axis and larger along the other
        ours = reduce(ours, (min(picture.shape[0], height), min(picture.shape[1], width)))
        ours = enlarge(ours, (height, width), "bicubic")
    fits = min(height, width) >= SSIM_WINDOW_PX
    return Likeness(float(psnr(ours, theirs)), float(ssim(ours, theirs)) if fits else None)


def _curves(measured: Sequence[tuple[Likeness, ...]]) -> tuple[Curve, ...]:
    labels = LABELS[:2] if len(measured[0]) > 1 else ("A to B",)
    figures = (("PSNR", "dB"), ("SSIM", ""))
    return tuple(
        Curve(metric, unit, label, tuple(getattr(instant[place], metric.lower()) for instant in measured))
        for metric, unit in figures
        for place, label in enumerate(labels)
    )


def _shown(label: str, video: VideoInfo) -> ShownVideo:
    return ShownVideo(
        label=label,
        name=_name(video),
        width=video.width,
        height=video.height,
        pixel_aspect=float(video.sample_aspect_ratio),
        frames_per_second=round(float(video.frame_rate), 3),
    )


def _name(video: VideoInfo) -> str:
    """Return the name of a video's file, with undecodable bytes replaced."""
    return _NOT_UNICODE.sub("\N{REPLACEMENT CHARACTER}", video.path.name)


def _notes(videos: Sequence[VideoInfo], instants: Instants, qualities: Sequence[int | None]) -> Iterator[str]:
    """Yield sentences on what is shown and how."""
    begin = float(instants.begin_seconds)
    every = "Every frame" if instants.stride == 1 else f"One frame in {instants.stride}"
    yield f"{every} from {begin:.3f} s on, {len(qualities)} in all, matched by time."
    if lengths := _different_lengths(videos):
        yield f"{lengths[0].upper()}{lengths[1:]}."
    if len(qualities) < instants.count:
        yield f"The page's size was used up before {instants.count - len(qualities)} more."
    if len(videos) < len(LABELS):
        yield TRUTH
    if len({video.frame_rate for video in videos}) > 1:
        yield "The frame rates differ: shown is what each video shows at that time."
    if len({(video.width, video.height) for video in videos}) > 1:
        whose = "the reference's" if len(videos) == len(LABELS) else "the larger one's"
        yield f"The sizes differ: for PSNR and SSIM, pictures are brought to {whose} size, bicubically."
    lossy = [quality for quality in qualities if quality is not None]
    if lossy:
        span = f"{min(lossy)} to {max(lossy)}" if min(lossy) < max(lossy) else str(lossy[0])
        yield f"Pictures are JPEG of quality {span}; PSNR and SSIM were measured before that."
    else:
        yield "Pictures are lossless."


def _write(text: str, path: Path) -> int:
    """Write the page, under its name only when complete; return its size in bytes."""
    with writing(path), whole(path) as partial:
        return partial.write_bytes(text.encode())
