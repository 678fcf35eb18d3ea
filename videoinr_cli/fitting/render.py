"""Render a fitted clip into a video, as `upscale` writes one, or one moment of it into a picture."""

from __future__ import annotations

import dataclasses
import io
import os
import tempfile
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

from PIL import Image

from videoinr_cli.errors import InputError, OptionError, OutputError
from videoinr_cli.fitting.file import Clip, write_whole
from videoinr_cli.fitting.fitted import FittedVideo
from videoinr_cli.fitting.streams import unpack_streams
from videoinr_cli.media.planes import Picture
from videoinr_cli.media.streams import VideoInfo
from videoinr_cli.media.suffixes import PICTURE_SUFFIXES, is_among
from videoinr_cli.media.write.destination import (
    check_destination,
    is_image_pattern,
    is_standard_output,
    written_bytes,
)
from videoinr_cli.media.write.writer import VideoWriter
from videoinr_cli.model.devices import compute_threads
from videoinr_cli.options import SIZE_OPTIONS, UpscaleOptions
from videoinr_cli.render.framing import Framing
from videoinr_cli.render.plan import Plan
from videoinr_cli.render.renderer import Rendering
from videoinr_cli.texts import command_of


@dataclasses.dataclass(frozen=True)
class Rendered:
    """What was written."""

    path: Path
    size: tuple[int, int]  # (width, height) in pixels
    frames: int
    file_bytes: int | None  # None of standard output


@dataclasses.dataclass(frozen=True)
class _Shown:
    """A frame of the clip, for `Timeline`."""

    pts: int
    duration: int | None


def render_fitted(
    source: str | os.PathLike[str],
    output: str | os.PathLike[str],
    options: UpscaleOptions | None = None,
    *,
    at_seconds: Fraction | float | None = None,
    progress: Callable[[int, int | None], None] = lambda done, total: None,
) -> Rendered:
    """Render a fitted clip with its sound, subtitles, chapters and tags; or one moment of it.

    Args:
        source: a file that `fit_video` wrote.
        output: a video, or a picture with `at_seconds`.
        options: size, frame rate, speed, encoder and range, as for `upscale_video`; without a size, the
            fitted pictures' own. What concerns networks and reading is not looked at.
        at_seconds: a moment, in seconds from the clip's first frame; None: the whole clip.
        progress: called with the number of frames that are written, and of all.

    Raises:
        InputError: the fitted clip cannot be read.
        OptionError: the options do not fit the clip.
        OutputError: the output cannot be written, or exists.
        FfmpegError: ffmpeg is missing or failed.
    """
    options, output = options or UpscaleOptions(), Path(output)
    if at_seconds is not None and (others := list(_of_videos(options))):
        raise OptionError(f"--at writes one picture, not a video: leave out {', '.join(others)}")
    if all(getattr(options, name) is None for name in SIZE_OPTIONS):
        options = dataclasses.replace(options, scale=1.0)
    fitted = FittedVideo(source, device=options.device)
    with tempfile.TemporaryDirectory() as folder, compute_threads(options.threads):
        streams = Path(folder) / f"{Path(source).stem[:100]}.mkv"
        reading = options.read
        try:
            info = unpack_streams(fitted.file, streams, start=reading.start, end=reading.end)
        except (InputError, OptionError) as error:  # names the temporary file, which nobody knows
            raise type(error)(str(error).replace(str(streams), os.fspath(source))) from error
        check_destination(output, info, overwrite=options.overwrite)
        if at_seconds is not None:
            return _write_moment(fitted, output, options, Fraction(at_seconds))
        plan = Plan.make(info, output, options)
        frames = 0
        with VideoWriter(plan.output, low_priority=True) as writer:
            for ticks, pts in _instants(plan, fitted.file.clip):
                picture = fitted.picture(ticks, plan.framing.picture)
                writer.write(_framed(picture, plan.framing), pts)
                frames += 1
                progress(frames, plan.total_frames)
    return Rendered(output, plan.size, frames, written_bytes(output))


def _framed(picture: Picture, framing: Framing) -> Picture:
    if (window := framing.window) is not None:
        picture = picture[window.top : window.bottom, window.left : window.right]
    return framing.framed(Rendering(picture, None)).rgb


def _instants(plan: Plan, clip: Clip) -> Iterator[tuple[Fraction, int]]:
    """Yield the output's instants: ticks of the clip's clock, and timestamps of the output's."""
    for span in plan.timeline.spans(_within(clip, plan.source), source_rate=clip.frame_rate):
        length = 0 if span.second is None else span.second.pts - span.first.pts
        for instant in span.instants:
            yield span.first.pts + instant.tau * length, instant.pts


def _within(clip: Clip, info: VideoInfo) -> Iterator[_Shown]:
    stop = clip.end if info.stop_pts is None else min(clip.end, info.stop_pts)
    pts = [pts for pts in clip.pts if info.start_pts <= pts < stop]
    for first, following in zip(pts, [*pts[1:], stop], strict=True):
        yield _Shown(first, following - first)


def _of_videos(options: UpscaleOptions) -> Iterator[str]:
    """Yield the options that are given and concern videos alone."""
    usual = UpscaleOptions()
    for name in ("fps", "speed", "audio"):
        if getattr(options, name) != getattr(usual, name):
            yield f"--{name}"
    for name in ("start", "end"):
        if getattr(options.read, name) is not None:
            yield f"--{name}"
    for field in dataclasses.fields(options.encode):
        if getattr(options.encode, field.name) != getattr(usual.encode, field.name):
            yield "-e" if field.name == "extra" else f"--{field.name.replace('_', '-')}"


def _write_moment(fitted: FittedVideo, path: Path, options: UpscaleOptions, seconds: Fraction) -> Rendered:
    if is_standard_output(path) or is_image_pattern(path):
        raise OptionError(f"a moment is one picture in a file, not {path.name!r}; try -o moment.png")
    if not is_among(path, PICTURE_SUFFIXES):
        raise OptionError(
            f"a moment is written as a picture, not {path.name!r}; try -o {command_of([f'{path.stem}.png'])}"
        )
    aspect = fitted.file.clip.pixel_aspect
    size = options.output_size(*fitted.size)
    framing = Framing.of(options, fitted.size, size, pixel_aspect=aspect)
    picture = _framed(fitted.frame(seconds, framing.picture), framing)
    coded = io.BytesIO()
    try:
        Image.fromarray(picture).save(coded, Image.registered_extensions()[path.suffix.lower()])
    except (OSError, ValueError) as error:  # formats have limits of their own
        raise OutputError(f"{str(path)!r} cannot hold {size[0]}x{size[1]} pixels: {error}") from error
    write_whole(path, coded.getvalue())
    return Rendered(path, size, 1, path.stat().st_size)
