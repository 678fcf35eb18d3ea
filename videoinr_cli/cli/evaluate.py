"""``videoinr evaluate``: measure quality and cost of weights and baselines by the papers' protocols."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from videoinr_cli.cli.messages import show_messages
from videoinr_cli.cli.parameters import WEIGHTS_VARIABLE, device_option, precision_option, refuse_idle
from videoinr_cli.cli.sections import SectionedCommand, SectionedOption, in_section
from videoinr_cli.cli.values import parse_rate_increase
from videoinr_cli.evaluation.options import EvaluateOptions
from videoinr_cli.evaluation.protocols import (
    BASELINES,
    CONTEXTS,
    DATASETS,
    DEFAULT_BASELINES,
    DOWNSAMPLERS,
    PAPER_STEPS,
    Context,
    Dataset,
    Downsampler,
    Protocol,
)
from videoinr_cli.options import DEFAULT_STEADINESS, DEFAULT_STRENGTH, DEFAULT_WEIGHTS, Precision


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
    "--strength",
    type=float,
    multiple=True,
    help=f"Share of vivid mixed with real, 0 to 1; may be repeated.  [default: {DEFAULT_STRENGTH:g}]",
)
@methods_option(
    "--spatial",
    metavar="FILE",
    multiple=True,
    help="Single-image model that enlarges the frames, moved as by the default weights; may be repeated.",
)
@methods_option(
    "--steady",
    type=float,
    multiple=True,
    default=(DEFAULT_STEADINESS,),
    show_default=True,
    help="How much its pictures of neighbouring frames are averaged, 0 to 1; may be repeated.",
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
@device_option()
@precision_option()
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
    spatial: Sequence[str],
    steady: Sequence[float],
    strength: Sequence[float],
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
    refuse_idle({"steady": steady, "spatial": spatial})
    show_messages(quiet=quiet)
    steps, stride = (PAPER_STEPS[dataset], 1) if time is None else parse_rate_increase(time)
    asked_for = ctx.get_parameter_source("baselines") is not ParameterSource.DEFAULT
    options = EvaluateOptions(
        dataset=dataset,
        protocol=Protocol(steps, space, downsampler, max_frames, context, crf, stride),
        weights=tuple(weights),
        spatial=tuple(spatial),
        steady=tuple(steady),
        strengths=tuple(strength),
        baselines=tuple(name for name in BASELINES if name in baselines) if asked_for else None,
        steadiness=steadiness,
        device=device,
        precision=precision,
        save_frames=save_frames,
    )

    from videoinr_cli.evaluation.evaluate import Evaluation  # torch takes a second to import
    from videoinr_cli.evaluation.evaluate import evaluate as measure
    from videoinr_cli.progress import evaluation_display

    found = Evaluation()

    def keep(measured: Evaluation) -> None:
        nonlocal found
        found = measured

    try:
        with evaluation_display(quiet=quiet) as progress:
            measure(path, options, progress=progress, on_result=keep)
    finally:  # whatever fails, what was measured before may have taken hours
        if found.results:
            click.echo(found.to_json() if as_json else found)
