"""``videoinr evaluate``: measure quality and cost of weights and baselines by the papers' protocols."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from videoinr_cli.cli.messages import show_messages
from videoinr_cli.cli.parameters import WEIGHTS_VARIABLE
from videoinr_cli.cli.sections import SectionedCommand, SectionedOption, in_section
from videoinr_cli.errors import FfmpegError, OptionError
from videoinr_cli.evaluation.protocols import (
    BASELINES,
    CLIPS_AND_GROUPS,
    CONTEXTS,
    DATASETS,
    DEFAULT_BASELINES,
    DOWNSAMPLERS,
    PAPER_STEPS,
    ROOTS,
    Context,
    Dataset,
    Downsampler,
    Protocol,
    parse_rate,
)
from videoinr_cli.options import DEFAULT_WEIGHTS, PRECISIONS, Precision

if TYPE_CHECKING:
    from videoinr_cli.evaluation.clips import Clip
    from videoinr_cli.evaluation.measure import Result
    from videoinr_cli.evaluation.methods import Method
    from videoinr_cli.evaluation.steadiness import Steadiness

log = logging.getLogger(__name__)


class _WeightsOption(SectionedOption):
    """--weights, repeatable; VIDEOINR_WEIGHTS is one path, which may contain spaces, as in all commands."""

    def value_from_envvar(self, ctx: click.Context) -> Any:
        one = os.environ.get(WEIGHTS_VARIABLE)
        return (one,) if one else super().value_from_envvar(ctx)


footage_option = in_section("Footage")
methods_option = in_section("Methods")
results_option = in_section("Results")


@click.command("evaluate", cls=SectionedCommand, short_help="Measure quality and speed against ground truth.")
@click.argument("path", type=click.Path(path_type=Path))
@footage_option(
    "--dataset",
    type=click.Choice(DATASETS),
    default="video",
    show_default=True,
    help="Benchmark, which decides the default of --time; 'frames' and 'video' are your own footage.",
)
@footage_option(
    "--space", type=float, default=4.0, show_default=True, help="Enlargement factor, any number >= 1."
)
@footage_option(
    "--time",
    metavar="RATE",
    help="Output frames per given frame: 2, 2.5 or 7/3.  [default: the papers' for the dataset]",
)
@footage_option(
    "--protocol",
    "context",
    type=click.Choice(CONTEXTS),
    default="video",
    show_default=True,
    help="What a method sees: all given frames of a clip, or only one pair at a time, as in the papers.",
)
@footage_option(
    "--downsample",
    "downsampler",
    type=click.Choice(DOWNSAMPLERS),
    default="torch",
    show_default=True,
    help="Bicubic kernel that reduces the given frames.",
)
@footage_option("--crf", type=float, help="First encode the given frames with x264 at this rate factor.")
@methods_option(
    "--weights",
    "--model",
    "weights",
    metavar="NAME",
    cls=_WeightsOption,
    multiple=True,
    default=(DEFAULT_WEIGHTS,),
    show_default=True,
    envvar=WEIGHTS_VARIABLE,
    help="Name, file, or hf:OWNER/REPO/FILE; may be repeated.",
)
@methods_option(
    "--baseline",
    "baselines",
    type=click.Choice([*BASELINES, "none"]),
    multiple=True,
    default=DEFAULT_BASELINES,
    show_default=True,
    help="Method to compare with; may be repeated.",
)
@results_option(
    "--steadiness",
    is_flag=True,
    help="Also measure flicker, warping error, pulsing and borders, on the first picture of the first clip.",
)
@footage_option("--max-frames", type=click.IntRange(min=2), help="Use only this many frames of each clip.")
@click.option(
    "--device", default="auto", show_default=True, help="Where to compute: auto, cpu, cuda, cuda:1, mps."
)
@click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    default="auto",
    show_default=True,
    help="Floating-point precision of the networks.",
)
@results_option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
@results_option(
    "--save-frames", type=click.Path(path_type=Path), help="Folder to write every rendered frame to, as PNG."
)
@click.option("-q", "--quiet", is_flag=True, help="Print results and errors only.")
@click.pass_context
def evaluate(
    ctx: click.Context,
    path: Path,
    dataset: Dataset,
    space: float,
    time: str | None,
    context: Context,
    downsampler: Downsampler,
    crf: float | None,
    weights: Sequence[str],
    baselines: Sequence[str],
    steadiness: bool,
    max_frames: int | None,
    device: str,
    precision: Precision,
    as_json: bool,
    save_frames: Path | None,
    quiet: bool,
) -> None:
    """Measure quality and cost at PATH: a video, a folder of pictures, or a folder of such clips.

    With --time N, methods are given every N-th frame, reduced, and render all frames; with --time 5/2, they
    are given every fifth and render every second. Vid4, GoPro and Adobe240 are read as published: PATH has
    one folder of pictures, or one video, per clip. PSNR and SSIM are measured on luma, on unrounded values,
    including the borders. See docs/evaluation.md for details.

    \b
    videoinr evaluate holiday.mp4 --max-frames 50
    videoinr evaluate Vid4 --dataset vid4 --protocol pairs --weights videoinr-fast --weights mine.safetensors
    videoinr evaluate GOPRO_Large_all --dataset gopro --time 12 --space 6 --json
    """  # noqa: D301 -- \b is click's mark for lines to leave alone
    show_messages(quiet=quiet)
    steps, stride = (PAPER_STEPS[dataset], 1) if time is None else parse_rate(time)
    protocol = Protocol(steps, space, downsampler, max_frames, context, crf, stride)

    from videoinr_cli.evaluation.clips import find_clips, make_folder
    from videoinr_cli.evaluation.report import to_json
    from videoinr_cli.evaluation.steadiness import check_picture, measure_steadiness
    from videoinr_cli.model.devices import choose_device, choose_dtype
    from videoinr_cli.weights import inspect_weights

    if save_frames is not None and len({Path(name).stem for name in weights}) < len(weights):
        raise OptionError("--save-frames needs weights of different names: each has a folder of its own")
    clips = find_clips(path, ROOTS.get(dataset))
    if not protocol.is_of(dataset, [clip.length() for clip in clips]):
        known, groups = CLIPS_AND_GROUPS[dataset]
        log.warning(
            "%s is not %s, which has %d groups of %d clips at time x%d: the papers measured other frames",
            *(path, dataset, groups, known, PAPER_STEPS[dataset]),
        )
    # What no network could be loaded by is found before anything is measured.
    choose_dtype(precision, choose_device(device))
    for name in weights:
        inspect_weights(name)
    if save_frames is not None:
        make_folder(save_frames)
    picture = next(clips[0].frames()) if steadiness else None
    if picture is not None:
        check_picture(picture, protocol)
    results: list[Result] = []
    steady: list[Steadiness] = []

    def take_turn(name: str) -> None:
        """Measure one method, which is alone in memory and let go before the next."""
        method = _method(name, device, precision)
        results.append(_measure(method, clips, protocol, save_frames, quiet))
        if picture is not None:
            steady.append(measure_steadiness(method, picture, protocol))

    asked_for = ctx.get_parameter_source("baselines") is not ParameterSource.DEFAULT
    try:
        for name in [*(name for name in BASELINES if name in baselines), *weights]:
            with _left_out_if_unable(name, asked_for):
                take_turn(name)
    finally:  # whatever fails, what was measured before may have taken hours
        if results:
            click.echo(to_json(results, steady) if as_json else _tables(results, steady))


def _tables(results: Sequence[Result], steady: Sequence[Steadiness]) -> str:
    from videoinr_cli.evaluation.report import clip_table, steadiness_table, summary_table

    first, clips = results[0], len(results[0].clips)
    tables = [f"{first.protocol}: {first.groups} groups of {clips} clip{'s' if clips > 1 else ''}"]
    cost = f"s/frame and peak memory: torch on {first.threads} thread{'s' if first.threads > 1 else ''}"
    tables += [clip_table(results), summary_table(results), cost]
    tables += [steadiness_table(steady)] if steady else []
    return "\n\n".join(tables)


def _method(name: str, device: str, precision: Precision) -> Method:
    from videoinr_cli.evaluation.baselines import make_baseline
    from videoinr_cli.evaluation.methods import ModelMethod
    from videoinr_cli.weights import load_model

    for baseline in BASELINES:
        if name == baseline:
            return make_baseline(baseline)
    return ModelMethod(name, load_model(name, device=device, precision=precision))


@contextlib.contextmanager
def _left_out_if_unable(name: str, asked_for: bool) -> Iterator[None]:
    """Go on, and say so, without a baseline that cannot work here and nobody asked for."""
    try:
        yield
    except (OptionError, FfmpegError) as error:
        if asked_for or name not in BASELINES:
            raise
        log.warning("%s is left out: %s", name, error)


def _measure(
    method: Method, clips: Sequence[Clip], protocol: Protocol, save_frames: Path | None, quiet: bool
) -> Result:
    from torch import Tensor

    from videoinr_cli.evaluation.clips import save_picture
    from videoinr_cli.evaluation.measure import FrameScore
    from videoinr_cli.evaluation.measure import evaluate as measure
    from videoinr_cli.progress import evaluation_display

    total = sum(protocol.frames_of(clip.length()) for clip in clips)
    with evaluation_display(method.name, total, quiet=quiet) as update:

        def on_frame(score: FrameScore, picture: Tensor) -> None:
            if save_frames is not None:
                number = score.group * protocol.steps + score.step
                name = f"{Path(method.name).stem}/{score.clip}/{number:06d}.png"
                save_picture(picture[0], save_frames / name)
            update(score)

        return measure(method, clips, protocol, on_frame=on_frame)
