"""Which segments a video is divided into, and how many processes render them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

from videoinr_cli.media.read.seeking import seek_points_before
from videoinr_cli.media.streams import VideoInfo
from videoinr_cli.media.write.containers import carrier_for
from videoinr_cli.media.write.destination import is_image_pattern, is_standard_output
from videoinr_cli.model import ModelConfig
from videoinr_cli.options import MIN_SEGMENT_SECONDS, JobOptions, UpscaleOptions
from videoinr_cli.render.parts import Part
from videoinr_cli.render.pictures import lead_frames, sections_of
from videoinr_cli.render.plan import Plan

SEGMENT_PIXELS = 500_000_000
"""Output pixels of a segment: some 500 pictures of 1280x720, which take a small CPU many minutes and a large
GPU seconds. A crash loses one segment at most; opening a segment takes about a second."""

SEGMENT_SECONDS = (Fraction(2), Fraction(60))
"""Bounds of the automatic segment length, in seconds of the video."""


def plan_parts(plan: Plan, options: JobOptions, config: ModelConfig, *, workers: int = 1) -> tuple[Part, ...]:
    """Return the parts in which a video is rendered: a single one if segments are not worth it.

    They are of similar length. A part begins where a run of frames does that the network encodes together; if
    that can be any frame, and a keyframe is near, where the keyframe is the first frame that the part needs.
    """
    source = plan.source
    seconds = segment_seconds(plan, options, workers)
    if seconds is None or source.duration is None or not can_be_cut(plan):
        return (Part(),)
    count = math.ceil(source.duration / seconds)
    if count < 2:
        return (Part(),)
    step = source.duration / count / source.time_base
    even = [source.start_pts + round(number * step) for number in range(1, count)]
    if config.run_pairs > 1:
        sections = sections_of(source, config)
        begun = {sections.begin(sections.of(border)) for border in even}
        borders = sorted(border for border in begun if border > source.start_pts)
    else:
        borders = _eased(source, even, step, lead=lead_frames(config, plan.repeats))
    return tuple(Part(begin, end) for begin, end in zip([None, *borders], [*borders, None], strict=True))


def _eased(source: VideoInfo, even: Sequence[int], step: Fraction, *, lead: int) -> list[int]:
    """Move borders, by half a `step` at most, so that what is read first, `lead` before, is a keyframe."""
    borders: list[int] = []
    for border, entry in zip(even, seek_points_before(source, even, lead=lead), strict=True):
        is_near = entry is not None and entry > border - step / 2
        borders.append(entry if entry is not None and is_near else border)
    return borders


def devices_of(options: UpscaleOptions, job: JobOptions) -> list[str]:
    """Return the device of every process: the named devices in turn, each at least once."""
    devices = options.device.split(",")
    return [devices[number % len(devices)] for number in range(max(job.workers or 1, len(devices)))]


def sharing(workers: Sequence[str]) -> int:
    """Return the most processes that share the memory of one device."""
    return max(map(workers.count, workers))


def segment_seconds(plan: Plan, options: JobOptions, workers: int = 1) -> Fraction | None:
    """Return the approximate length of a segment in seconds; None: no segments."""
    if options.segment_seconds is not None:
        return Fraction(options.segment_seconds).limit_denominator(10**6) or None
    width, height = plan.size
    rate = output_rate(plan)
    shortest, longest = SEGMENT_SECONDS
    if plan.source.duration is not None:
        longest = min(longest, plan.source.duration / workers)  # something for each of them
    return max(min(SEGMENT_PIXELS / (width * height * rate), longest), shortest)


def output_rate(plan: Plan) -> Fraction:
    """Return how many pictures are rendered for each second of the source."""
    return (plan.timeline.rate or plan.source.frame_rate) / plan.options.speed


def shorter_advice(plan: Plan, options: JobOptions) -> str | None:
    """Say which segment length would let an interruption keep more; None: there is none."""
    current, duration = segment_seconds(plan, options), plan.source.duration
    if current is None or duration is None or not can_be_cut(plan):
        return None
    shorter = min(Fraction(2), current / 2, duration / 4)
    if shorter * plan.source.frame_rate <= 2 or shorter < MIN_SEGMENT_SECONDS:
        return None
    return f"with --segment-seconds {float(shorter):.1g}, finished parts are kept"


def can_be_cut(plan: Plan) -> bool:
    """Whether the source can be read from any point, and its segments joined without loss."""
    written = plan.format
    return (
        (plan.source.is_file or bool(plan.source.images))
        and not is_standard_output(plan.destination)
        and not is_image_pattern(plan.destination)
        and written.pix_fmt != "pal8"
        and not written.container.counts_frames
        and written.container.muxer not in ("apng", "gif")
        and carrier_for(written.encoder.name) is not None
        # WebM holds transparency beside the pictures, where no carrier does.
        and not (plan.writes_alpha and written.encoder.name.startswith("libvpx"))
    )
