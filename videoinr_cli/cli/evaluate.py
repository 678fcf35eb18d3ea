"""``videoinr evaluate``: quality and cost of weights and baselines, by the papers' protocols."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from videoinr_cli.cli.messages import show_messages
from videoinr_cli.cli.parameters import WEIGHTS_VARIABLE
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
    parse_rate,
)
from videoinr_cli.options import DEFAULT_WEIGHTS, PRECISIONS, Precision


class _WeightsOption(click.Option):
    """May be repeated; VIDEOINR_WEIGHTS is one of them, as in all commands, with any spaces in its path."""

    def value_from_envvar(self, ctx: click.Context) -> Any:
        one = os.environ.get(WEIGHTS_VARIABLE)
        return (one,) if one else super().value_from_envvar(ctx)


@click.command("evaluate", short_help="Measure quality and speed where the truth is known.")
@click.argument("path", type=click.Path(path_type=Path))
@click.option(
    "--dataset",
    type=click.Choice(DATASETS),
    default="video",
    show_default=True,
    help="Benchmark whose rate increase is the default; 'frames' and 'video' are any footage of yours.",
)
@click.option("--space", type=float, default=4.0, show_default=True, help="Enlargement, any number >= 1.")
@click.option(
    "--time",
    metavar="RATE",
    help="Frames out per frame in, such as 2, 2.5 or 7/3; default: what the papers report.",
)
@click.option(
    "--protocol",
    "context",
    type=click.Choice(CONTEXTS),
    default="video",
    show_default=True,
    help="What a method sees: the clip's given frames as they come; each pair alone, as in the papers.",
)
@click.option(
    "--downsample",
    "downsampler",
    type=click.Choice(DOWNSAMPLERS),
    default="torch",
    show_default=True,
    help="Bicubic kernel that makes the given frames.",
)
@click.option("--crf", type=float, help="Encode the given frames by x264 at this rate factor first.")
@click.option(
    "--weights",
    "--model",
    "weights",
    cls=_WeightsOption,
    multiple=True,
    default=(DEFAULT_WEIGHTS,),
    show_default=True,
    envvar=WEIGHTS_VARIABLE,
    help="Name, file, or hf:OWNER/REPO/FILE; repeat it to compare several.",
)
@click.option(
    "--baseline",
    "baselines",
    type=click.Choice([*BASELINES, "none"]),
    multiple=True,
    default=DEFAULT_BASELINES,
    show_default=True,
    help="What to measure beside the weights; repeat it for several.",
)
@click.option(
    "--steadiness",
    is_flag=True,
    help="Also measure flicker, warping error, pulsing and the border, on the first clip's first picture.",
)
@click.option("--max-frames", type=click.IntRange(min=2), help="Use the first frames of each clip only.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1, mps.")
@click.option("--precision", type=click.Choice(PRECISIONS), default="auto", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
@click.option(
    "--save-frames", type=click.Path(path_type=Path), help="Folder for every rendered frame, as PNG."
)
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but the results, unless it fails.")
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

    Every N-th frame is reduced and given (--time N), and every frame is asked for; with --time 5/2, every
    fifth is given and every second asked for. Vid4, GoPro and Adobe240 are laid out as they come: PATH holds
    one folder of pictures, or one video, for each clip. PSNR and SSIM are of luma, on unrounded values,
    without leaving out a border. docs/evaluation.md says all of it.

    \b
    videoinr evaluate holiday.mp4 --max-frames 50
    videoinr evaluate Vid4 --dataset vid4 --protocol pairs --weights videoinr-fast --weights mine.safetensors
    videoinr evaluate GOPRO_Large_all --dataset gopro --time 12 --space 6 --json
    """  # noqa: D301 -- \b is click's mark for lines to leave alone
    show_messages(quiet=quiet)
    steps, stride = (PAPER_STEPS[dataset], 1) if time is None else parse_rate(time)
    asked_for = ctx.get_parameter_source("baselines") is not ParameterSource.DEFAULT
    options = EvaluateOptions(
        dataset=dataset,
        protocol=Protocol(steps, space, downsampler, max_frames, context, crf, stride),
        weights=tuple(weights),
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
