"""Preview a video: find the moment and the region, render them, write a picture and, if asked, a clip."""

from __future__ import annotations

import dataclasses
import itertools
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from statistics import median

from videoinr_cli.errors import InputError, OptionError
from videoinr_cli.media.planes import eight_bits
from videoinr_cli.media.read.prepare import prepare
from videoinr_cli.media.read.reader import read_frames
from videoinr_cli.media.read.repeats import Repeats, find_repeats
from videoinr_cli.media.read.source import STANDARD_INPUT
from videoinr_cli.media.read.suitability import with_suited_model
from videoinr_cli.media.streams import VideoInfo
from videoinr_cli.media.write.destination import check_destination
from videoinr_cli.media.write.formats import output_format
from videoinr_cli.media.write.output import OutputClock, OutputSpec
from videoinr_cli.media.write.writer import VideoWriter
from videoinr_cli.model import AnyVideoInr, ModelConfig
from videoinr_cli.model.devices import compute_threads
from videoinr_cli.model.network import Window
from videoinr_cli.options import (
    AUTO_MODEL,
    EncodeOptions,
    NetworkOptions,
    PreviewOptions,
    Region,
    UpscaleOptions,
    faithful_of,
    model_name,
    strength_of,
    weights_named,
)
from videoinr_cli.previews.interest import busiest_region
from videoinr_cli.previews.moment import (
    CONTEXT_FRAMES,
    Moment,
    View,
    frames_around,
    play,
    render_moment,
)
from videoinr_cli.previews.sheet import Caption, SideBySide, draw_sheet, is_sheet, save_png
from videoinr_cli.quantities import exact_clock, roughly
from videoinr_cli.render.drawings import drawings
from videoinr_cli.render.framing import Framing
from videoinr_cli.render.pictures import compared, lead_frames, sections_of
from videoinr_cli.render.pieces import DEFAULT_SIZES, choose_sizes, drawing_work, encoding_work
from videoinr_cli.render.renderer import GivenFrame
from videoinr_cli.render.speed import Speed
from videoinr_cli.texts import command_of
from videoinr_cli.weights import load_network

PANEL_PX = (640, 360)
"""(width, height) of a panel when no region is named: three side by side fit on a screen."""

PICTURE_SUFFIX, CLIP_SUFFIX = ".png", ".mp4"

CLIP_CRF = 14
"""Rate factor of a clip: what it shows is compared closely."""


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A network that is shown, and how long it would take."""

    name: str  # under which it is shown
    network: NetworkOptions
    whole_seconds: float | None  # for rendering the whole video; None: its length is not known


@dataclasses.dataclass(frozen=True)
class Preview:
    """The files of a preview, and how long the whole video would take."""

    picture: Path
    clip: Path | None
    at_seconds: Fraction  # where the frame that is shown lies, from the start of the video
    region: Region
    size: tuple[int, int]  # (width, height) of the whole output, in pixels
    candidates: tuple[Candidate, ...]  # the networks that are shown, the one of the options first

    @property
    def whole_seconds(self) -> float | None:
        """How long the first network would take for the whole video; None: its length is not known."""
        return self.candidates[0].whole_seconds


def preview(
    source: str | os.PathLike[str],
    picture: str | os.PathLike[str] | None = None,
    options: PreviewOptions | None = None,
    *,
    model: AnyVideoInr | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Preview:
    """Render a region of a video at one moment, and write it beside a bicubic enlargement.

    Args:
        source: a video file.
        picture: the PNG's name; the clip, if there is one, has the same name with .mp4. None: the source's
            name with -preview.png, in the current folder, where an earlier preview is replaced.
        options: what is wanted; `PreviewOptions()` by default.
        model: the network of ``options.upscale.weights``; loaded when None.
        progress: called with the number of networks of which the moment is rendered, then with that of the
            pictures written to the clip, and the total.

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
    source_size = info.width, info.height
    size = upscale.output_size(*source_size)
    framing = Framing.of(upscale, source_size, size, pixel_aspect=info.sample_aspect_ratio)
    at_seconds = _moment_seconds(options, info)
    if options.region is not None:
        _check_region(options.region, info)
    target = _target(info, picture)
    overwrite = upscale.overwrite or (picture is None and is_sheet(target))
    check_destination(target, info, overwrite=overwrite)
    clip = target.with_suffix(CLIP_SUFFIX) if options.seconds else None
    if clip is not None:
        check_destination(clip, info, overwrite=overwrite)
    options = _with_suited_model(info, options)
    upscale = options.upscale
    networks = _networks(options)
    models = _models(networks, model)

    has_rate = upscale.rate_of(info.frame_rate) is not None
    repeats = find_repeats(info, upscale.dedupe) if has_rate else None
    # Each network's runs of frames begin elsewhere.
    reads = {
        name: _read(info, at_seconds, upscale, network.config, repeats) for name, network in models.items()
    }
    frames, index, _ = next(iter(reads.values()))
    shown = frames[index]
    region = options.region or _chosen_region(frames[index:], source_size, framing)
    view = View.of(region, source_size, framing.picture)
    moments: dict[str, Moment] = {}
    report = progress or (lambda done, total: None)
    with compute_threads(upscale.threads):
        for name, network in models.items():
            report(len(moments), len(models))
            until, place, _ = reads[name]
            moments[name] = render_moment(network, view, list(map(view.cropped, until)), place)
    measured = {
        name: _whole_seconds(moment, view, info, options, framing, models[name])
        for name, moment in moments.items()
    }
    seconds = _alike(measured, models)
    candidates = [Candidate(name, networks[name], seconds[name]) for name in models]
    made = Preview(
        picture=target,
        clip=clip,
        at_seconds=(shown.pts - info.start_pts) * info.time_base,
        region=region,
        size=size,
        candidates=tuple(candidates),
    )
    caption = _caption(made, info, next(iter(moments.values())), framing)
    labelled = {_label(made, candidate): moments[candidate.name] for candidate in candidates}
    save_png(draw_sheet(caption, eight_bits(shown.rgb), region, labelled, strip=options.strip), target)
    if clip is not None:
        following = [
            map(view.cropped, itertools.chain(frames[index:], rest)) for frames, index, rest in reads.values()
        ]
        encoding = dataclasses.replace(options, upscale=dataclasses.replace(upscale, overwrite=overwrite))
        with compute_threads(upscale.threads):
            _write_clip(clip, models, view, following, info, encoding, report)
    return made


def _target(info: VideoInfo, picture: str | os.PathLike[str] | None) -> Path:
    """Return the picture's file: the one asked for, or one that the source's name gives its own."""
    stem = "stdin" if info.path == STANDARD_INPUT else info.path.stem
    target = Path(f"{stem}-preview{PICTURE_SUFFIX}" if picture is None else picture)
    if target.suffix.lower() != PICTURE_SUFFIX:
        name = command_of([f"{target.stem}{PICTURE_SUFFIX}"])
        raise OptionError(f"a preview is a {PICTURE_SUFFIX}, not {target.name!r}; try -o {name}")
    return target


def _with_suited_model(info: VideoInfo, options: PreviewOptions) -> PreviewOptions:
    """Return options with the model that suits the source in the place of ``auto``, once."""
    upscale, more = with_suited_model(info, options.upscale), options.more_weights
    if AUTO_MODEL in more:
        auto = dataclasses.replace(upscale, weights=AUTO_MODEL, strength=None)
        suited = with_suited_model(info, auto).weights
        more = tuple(suited if weights == AUTO_MODEL else weights for weights in more)
    others = tuple(dict.fromkeys(weights for weights in more if weights != upscale.weights))
    return dataclasses.replace(options, upscale=upscale, more_weights=others)


def _networks(options: PreviewOptions) -> dict[str, NetworkOptions]:
    """Return the networks by the names under which they are shown, the one of the options first."""
    upscale = options.upscale
    networks: dict[str, NetworkOptions] = {}
    for weights in (upscale.weights, *options.more_weights):
        name = _shown_name(upscale, weights)
        if _is_another(networks.get(name), weights):
            name = weights
        has_strength = faithful_of(weights) is not None
        for strength in (options.strengths or (upscale.strength,)) if has_strength else (None,):
            shown = f"{name}, strength {strength_of(weights, strength):g}" if has_strength else name
            networks.setdefault(
                shown, dataclasses.replace(upscale.network, weights=weights, strength=strength)
            )
    return networks


def _is_another(network: NetworkOptions | None, weights: str) -> bool:
    """Whether a network is not that of weights, which may have two names."""
    known = None if network is None else weights_named(network.weights)
    return known is not None and known != weights_named(weights)


def _models(networks: Mapping[str, NetworkOptions], first: AnyVideoInr | None) -> dict[str, AnyVideoInr]:
    """Return the networks, of which the first one may be loaded already."""
    return {
        name: load_network(network) if place or first is None else first
        for place, (name, network) in enumerate(networks.items())
    }


def _shown_name(upscale: UpscaleOptions, weights: str) -> str:
    if upscale.spatial is not None and weights == upscale.weights:
        return Path(upscale.spatial).stem
    return model_name(weights)


def _read(
    info: VideoInfo,
    at_seconds: Fraction,
    upscale: UpscaleOptions,
    config: ModelConfig,
    repeats: Repeats | None,
) -> tuple[list[GivenFrame], int, Iterator[GivenFrame]]:
    """Return the frames around an instant, the index of the one shown then, and the frames after them."""
    pts = info.start_pts + round(at_seconds / info.time_base)
    # from where the run of frames begins that the network encodes together
    sections = sections_of(info, config)
    begin = min(pts, sections.begin(sections.of(pts)))
    context = max(CONTEXT_FRAMES, config.run_pairs + config.context_frames)
    source_frames = read_frames(info, begin=begin, lead=CONTEXT_FRAMES + lead_frames(config, repeats))
    given = compared(source_frames, upscale.scene_threshold, sections)
    if repeats is not None:
        given = drawings(given, repeats, sections.frame_ticks)
    until, following = frames_around(given, pts, context)
    if not until:
        raise InputError(f"{str(info.path)!r} holds no frame that can be decoded; is it complete?")
    return [*until, *itertools.islice(following, context)], len(until) - 1, following


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
            f"region {region} reaches beyond the source's {info.width}x{info.height} pixels; "
            f"try --region 0,0,{min(160, info.width)},{min(90, info.height)}"
        )


def _chosen_region(frames: list[GivenFrame], source_size: tuple[int, int], framing: Framing) -> Region:
    """Return the region of a panel's size with the most to see, of what the output's frame shows."""
    picture = framing.picture
    scale = [Fraction(length, own) for length, own in zip(picture, source_size, strict=True)]
    window = framing.window or Window(0, 0, picture[1], picture[0])
    left, top = math.floor(window.left / scale[0]), math.floor(window.top / scale[1])
    visible = Region(left, top, round(window.width / scale[0]), round(window.height / scale[1]))
    width, height = (max(1, round(px / factor)) for px, factor in zip(PANEL_PX, scale, strict=True))
    first, *following = (frame.cropped(visible) for frame in frames[:2])
    second = following[0].rgb if following and not following[0].is_cut else None
    found = busiest_region(first.rgb, second, width, height)
    return dataclasses.replace(found, x=left + found.x, y=top + found.y)


def _whole_seconds(
    moment: Moment,
    view: View,
    info: VideoInfo,
    options: PreviewOptions,
    framing: Framing,
    model: AnyVideoInr,
) -> float | None:
    """Return how long rendering the whole video would take, from what the region took.

    Both are counted as work: the whole in the pieces in which it would be rendered now.
    """
    if info.duration is None:
        return None
    rate = _rate(info, options)
    frames, pairs = float(info.duration * rate), float(info.duration * info.frame_rate)
    instants = float(rate / info.frame_rate)
    lr_size, size = (info.height, info.width), framing.picture[::-1]
    sizes = choose_sizes(model, lr_size, size, instants=instants)
    crop, crop_size = (view.crop.height, view.crop.width), view.rendered_size[::-1]
    shown = view.window.height * view.window.width / (crop_size[0] * crop_size[1])
    encoding = encoding_work(model, lr_size, sizes, instants)
    encoding /= encoding_work(model, crop, DEFAULT_SIZES, within_run=True)
    drawing = drawing_work(model, lr_size, size, sizes, shown=framing.shown_share)
    drawing /= drawing_work(model, crop, crop_size, DEFAULT_SIZES, shown=shown)
    pair_seconds, effort = moment.pair_seconds * encoding, model.effort()
    first = effort.alone - effort.following - effort.ahead * (model.config.run_pairs - 1)
    start_seconds = pair_seconds * first / effort.following if sizes.keeps else 0.0
    speed = Speed(moment.frame_seconds * drawing, pair_seconds, start_seconds)
    return speed.seconds(frames, min(pairs, frames))


def _alike(
    measured: Mapping[str, float | None], models: Mapping[str, AnyVideoInr]
) -> dict[str, float | None]:
    """Return the same time for all networks of a kind, as they cost the same: the median of theirs."""
    kinds = {name: (type(network), network.config) for name, network in models.items()}
    alike: dict[str, float | None] = {}
    for name, kind in kinds.items():
        known = [one for other in models if kinds[other] == kind and (one := measured[other]) is not None]
        alike[name] = median(known) if known else None
    return alike


def _rate(info: VideoInfo, options: PreviewOptions) -> Fraction:
    """Return the frames per second of the clip, and of the whole output."""
    wanted = options.upscale.fps
    return info.frame_rate if wanted is None else wanted.of(info.frame_rate)


def _caption(preview: Preview, info: VideoInfo, moment: Moment, framing: Framing) -> Caption:
    region = preview.region
    whole = preview.whole_seconds if len(preview.candidates) == 1 else None
    lines = [
        exact_clock(float(preview.at_seconds)).zfill(len("HH:MM:SS.mmm"))
        + ("" if moment.between else ", the last frame: nothing is in between"),
        f"{info.width}x{info.height} to {'{}x{}'.format(*framing.picture)}"
        + ("" if framing.picture == preview.size else " in {}x{}".format(*preview.size))
        + ", "
        f"shown: {region.width}x{region.height} px at {region.x},{region.y}",
        "" if whole is None else f"the whole video: about {roughly(whole)} of rendering on this machine",
    ]
    return Caption(info.path.name, tuple(line for line in lines if line))


def _label(preview: Preview, candidate: Candidate) -> str:
    """Return what stands above a network's picture: of several, the time of each too."""
    if candidate.whole_seconds is None or len(preview.candidates) == 1:
        return candidate.name
    return f"{candidate.name}: about {roughly(candidate.whole_seconds)}"


def _write_clip(
    path: Path,
    models: Mapping[str, AnyVideoInr],
    view: View,
    frames: Sequence[Iterable[GivenFrame]],  # for each of the models
    info: VideoInfo,
    options: PreviewOptions,
    report: Callable[[int, int], None],
) -> None:
    """Write what the view shows for some seconds as a video that everything plays."""
    rate = _rate(info, options)
    count = max(1, round(options.seconds * rate))
    layout = SideBySide(view.size, tuple(models))
    upscale = options.upscale
    encoding = EncodeOptions(codec="libx264", crf=CLIP_CRF, pix_fmt="yuv420p")
    output = OutputSpec(
        destination=path,
        source=info,
        format=output_format(path, info, encoding),
        encoding=encoding,
        size=layout.size,
        pixel_aspect=Fraction(1) if upscale.pad or upscale.crop else info.sample_aspect_ratio,
        clock=OutputClock.of(1 / rate, Fraction(0), steady_rate=rate),
        frame_rate=rate,
        pictures_only=True,
        overwrite=upscale.overwrite,
    )
    with VideoWriter(output) as writer:
        given = zip(models.values(), frames, strict=True)
        plays = [play(model, view, each, info.time_base, rate) for model, each in given]
        for number, panels in enumerate(itertools.islice(zip(*plays, strict=True), count)):
            writer.write(layout.picture(panels), number)
            report(number + 1, count)
