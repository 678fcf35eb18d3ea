"""Preview a video: find the moment and the region, render them, write a picture and, if asked, a clip."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import logging
import os
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import ffmpeg

from videoinr_cli.errors import InputError, OptionError
from videoinr_cli.media.ffmpeg import LOG_LEVEL, FfmpegProcess
from videoinr_cli.media.read.prepare import prepare
from videoinr_cli.media.read.reader import read_frames
from videoinr_cli.media.streams import VideoInfo
from videoinr_cli.media.write.destination import check_destination, destination_of
from videoinr_cli.model import AnyVideoInr
from videoinr_cli.options import PreviewOptions, Region
from videoinr_cli.preview.interest import busiest_region
from videoinr_cli.preview.moment import (
    CONTEXT_FRAMES,
    Moment,
    View,
    frames_around,
    play,
    render_moment,
)
from videoinr_cli.preview.sheet import Caption, SideBySide, draw_sheet, save_png
from videoinr_cli.quantities import roughly
from videoinr_cli.render.pipeline import compared
from videoinr_cli.render.renderer import GivenFrame, Picture
from videoinr_cli.weights import load_model

PANEL_PX = (640, 360)
"""(width, height) of a panel when the region is left to us: three beside each other fit on a screen."""

PICTURE_SUFFIX, CLIP_SUFFIX = ".png", ".mp4"

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Preview:
    """What was made of a moment, and what the whole would cost."""

    picture: Path
    clip: Path | None
    at_seconds: Fraction  # where the frame that is shown lies, from the start of the video
    region: Region
    size: tuple[int, int]  # (width, height) of the whole output, in pixels
    whole_seconds: float | None  # that rendering all of the video would take; None: its length is not known


def preview_video(
    source: str | os.PathLike[str],
    picture: str | os.PathLike[str],
    options: PreviewOptions | None = None,
    *,
    model: AnyVideoInr | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Preview:
    """Render a region of a video at one moment and write it beside what usual enlargement gives.

    Args:
        source: a video file.
        picture: the PNG's name; the clip, if one is asked for, gets the same with .mp4.
        options: what is wanted; `PreviewOptions()` by default.
        model: the network; loaded as the options say when None.
        progress: called with the pictures of the clip so far and in all.

    Raises:
        InputError: the source cannot be read.
        OptionError: the moment or the region lies outside of the source.
        OutputError: the picture or the clip cannot be written.
        WeightsError: the weights cannot be used.
        FfmpegError: ffmpeg is missing or failed.
    """
    options = options or PreviewOptions()
    upscale = options.upscale
    info = prepare(source, upscale.read)
    size = upscale.output_size(info.width, info.height)
    at_seconds = _moment_seconds(options, info)
    if options.region is not None:
        _check_region(options.region, info)
    target = Path(picture)
    if target.suffix.lower() != PICTURE_SUFFIX:
        raise OptionError(f"a preview is a {PICTURE_SUFFIX}, not {target.name!r}; try -o {target.stem}.png")
    clip = target.with_suffix(CLIP_SUFFIX) if options.seconds else None
    for path in (target, *([] if clip is None else [clip])):
        check_destination(path, info, overwrite=upscale.overwrite)
    if model is None:
        model = load_model(upscale.weights, device=upscale.device, precision=upscale.precision)

    frames, index, following = _read(info, at_seconds, upscale.scene_threshold)
    shown = frames[index]
    region = options.region or _chosen_region(frames[index:], info, size)
    view = View.of(region, (info.width, info.height), size)
    frames = [view.cropped(frame) for frame in frames]
    moment = render_moment(model, view, frames, index)
    preview = Preview(
        picture=target,
        clip=clip,
        at_seconds=(shown.pts - info.start_pts) * info.time_base,
        region=region,
        size=size,
        whole_seconds=_whole_seconds(moment, view, info, options),
    )
    caption = _caption(preview, info, options, moment)
    save_png(draw_sheet(caption, _eight_bits(shown.rgb), region, moment, strip=options.strip), target)
    if clip is not None:
        rest = itertools.chain(frames[index:], map(view.cropped, following))
        _write_clip(clip, model, view, rest, info, options, progress or (lambda done, total: None))
    return preview


def _read(
    info: VideoInfo, at_seconds: Fraction, scene_threshold: float
) -> tuple[list[GivenFrame], int, Iterator[GivenFrame]]:
    """Return the frames around an instant, the index of the one on show then, and the frames after them."""
    pts = info.start_pts + round(at_seconds / info.time_base)
    source_frames = read_frames(info, begin=pts, lead=CONTEXT_FRAMES + 1)
    until, following = frames_around(compared(source_frames, scene_threshold), pts)
    if not until:
        raise InputError(f"{str(info.path)!r} holds no frame that can be decoded; is it complete?")
    return [*until, *itertools.islice(following, CONTEXT_FRAMES)], len(until) - 1, following


def _moment_seconds(options: PreviewOptions, info: VideoInfo) -> Fraction:
    """Return the instant asked for, in seconds from the start; the middle of the video by default."""
    if options.at_seconds is None:
        return Fraction(0) if info.duration is None or not info.is_file else info.duration / 2
    if info.duration is not None and options.at_seconds >= info.duration:
        raise OptionError(
            f"--at {float(options.at_seconds):g} s is after the end of the video, at "
            f"{float(info.duration):g} s; try an earlier one"
        )
    return options.at_seconds


def _check_region(region: Region, info: VideoInfo) -> None:
    if region.x + region.width > info.width or region.y + region.height > info.height:
        raise OptionError(
            f"region {region} reaches out of the source's {info.width}x{info.height} pixels; "
            f"try --region 0,0,{min(160, info.width)},{min(90, info.height)}"
        )


def _chosen_region(frames: list[GivenFrame], info: VideoInfo, size: tuple[int, int]) -> Region:
    """Return the region of a panel's size in which there is most to see."""
    width = max(1, round(PANEL_PX[0] * Fraction(info.width, size[0])))
    height = max(1, round(PANEL_PX[1] * Fraction(info.height, size[1])))
    second = frames[1].rgb if len(frames) > 1 and not frames[1].is_cut else None
    return busiest_region(frames[0].rgb, second, width, height)


def _whole_seconds(moment: Moment, view: View, info: VideoInfo, options: PreviewOptions) -> float | None:
    """Return what rendering the whole video would take, from what the region took."""
    if info.duration is None:
        return None
    pairs = float(info.duration * info.frame_rate)
    rate = info.frame_rate if options.upscale.fps is None else options.upscale.fps.of(info.frame_rate)
    pictures = float(info.duration * rate)
    crops = info.width * info.height / (view.crop.width * view.crop.height)
    regions = info.width * info.height / (view.region.width * view.region.height)
    return min(pairs, pictures) * crops * moment.pair_seconds + pictures * regions * moment.frame_seconds


def _caption(preview: Preview, info: VideoInfo, options: PreviewOptions, moment: Moment) -> Caption:
    seconds = float(preview.at_seconds)
    minutes, rest = divmod(seconds, 60)
    region = preview.region
    whole = preview.whole_seconds
    lines = [
        f"{int(minutes // 60):02d}:{int(minutes % 60):02d}:{rest:06.3f}"
        + ("" if moment.between else ", the last frame: nothing is in between"),
        f"{info.width}x{info.height} to {preview.size[0]}x{preview.size[1]}, "
        f"shown: {region.width}x{region.height} px at {region.x},{region.y}",
        "" if whole is None else f"the whole video: about {roughly(whole)} of rendering on this machine",
    ]
    return Caption(info.path.name, tuple(line for line in lines if line), Path(options.upscale.weights).stem)


def _eight_bits(rgb: Picture) -> Picture:
    narrow: Picture = rgb if rgb.dtype == "uint8" else (rgb >> 8).astype("uint8")
    return narrow


def _write_clip(
    path: Path,
    model: AnyVideoInr,
    view: View,
    frames: Iterable[GivenFrame],
    info: VideoInfo,
    options: PreviewOptions,
    report: Callable[[int, int], None],
) -> None:
    """Write what the view shows for some seconds as a video that everything plays."""
    wanted = options.upscale.fps
    rate = info.frame_rate if wanted is None else wanted.of(info.frame_rate)
    count = max(1, round(options.seconds * rate))
    layout = SideBySide(view.size, Path(options.upscale.weights).stem)
    with _encoder(path, layout.size, rate, overwrite=options.upscale.overwrite) as process:
        for number, panels in enumerate(
            itertools.islice(play(model, view, frames, info.time_base, rate), count)
        ):
            try:
                process.stdin.write(layout.picture(panels).tobytes())
            except BrokenPipeError:
                raise process.failure() from None
            report(number + 1, count)


@contextlib.contextmanager
def _encoder(
    path: Path, size: tuple[int, int], rate: Fraction, *, overwrite: bool
) -> Iterator[FfmpegProcess]:
    """Run an ffmpeg that takes raw R'G'B' frames; the file has its name when the block ends well."""
    destination = destination_of(path, overwrite=overwrite)
    pictures = ffmpeg.input("pipe:", f="rawvideo", pix_fmt="rgb24", s="{}x{}".format(*size), r=str(rate))
    output = pictures.output("-", f="mp4", vcodec="libx264", pix_fmt="yuv420p", crf=14, movflags="+faststart")
    destination.reserve()
    with contextlib.ExitStack() as undoing:
        undoing.callback(destination.discard)
        process = FfmpegProcess([*LOG_LEVEL, "-y", *ffmpeg.get_args(output)[:-1], destination.address])
        undoing.callback(process.stop)
        yield process
        process.finish()
        destination.commit()
        undoing.pop_all()
