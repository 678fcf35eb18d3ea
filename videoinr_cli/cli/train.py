"""``videoinr train``: fit a network to footage of one's own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from videoinr_cli.cli.messages import show_messages
from videoinr_cli.cli.parameters import without_outranked
from videoinr_cli.options import ARCHITECTURES
from videoinr_cli.training.options import (
    DEFAULT_RECIPE,
    MIN_PATCH_PX,
    RECIPE_NAMES,
    TRAINING_PRECISIONS,
    TrainingPrecision,
    TrainOptions,
)


@click.command("train", short_help="Train weights on your own videos and photographs.")
@click.option(
    "--data",
    type=click.Path(),
    multiple=True,
    help="Folder of videos and photographs; repeat it for several.  [required, but with --resume]",
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), required=True, help="Weights file, .safetensors."
)
@click.option(
    "--recipe",
    type=click.Choice(RECIPE_NAMES),
    default=DEFAULT_RECIPE,
    show_default=True,
    help="What the options below leave open: ours, for little compute, or the paper's, for a cluster.",
)
@click.option("--config", type=click.Choice(ARCHITECTURES), help="The network.  [default: the recipe's]")
@click.option("--init", metavar="WEIGHTS", help="Name or file to start from, not random values.")
@click.option("--resume", is_flag=True, help="Continue the run that was to write OUTPUT, with its options.")
@click.option("--steps", type=click.IntRange(min=1), help="Length of the schedule.  [default: the recipe's]")
@click.option(
    "--minutes",
    type=click.FloatRange(min=0, min_open=True),
    help="Length of the schedule by the clock, over all resumed runs, instead of --steps.",
)
@click.option(
    "--learning-rate",
    type=click.FloatRange(min=0, min_open=True),
    help="The highest.  [default: the recipe's]",
)
@click.option(
    "--batch-size", type=click.IntRange(min=1), help="Of all processes together.  [default: the recipe's]"
)
@click.option(
    "--patch",
    type=click.IntRange(min=MIN_PATCH_PX),
    help="Side of the LR patches, px.  [default: the recipe's]",
)
@click.option(
    "--degrade",
    is_flag=True,
    help="Spoil what the network sees by blur, noise and real encoders: for footage that is not clean.",
)
@click.option(
    "--hold-out",
    metavar="PATTERN",
    multiple=True,
    help="Keep files of this name from training and validate on them; repeat it for several.",
)
@click.option(
    "--cache",
    type=click.Path(path_type=Path),
    help="Folder for decoded frames, about 1 MB each.  [default: OUTPUT.frames]",
)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1, mps.")
@click.option("--precision", type=click.Choice(TRAINING_PRECISIONS), default="auto", show_default=True)
@click.option("-y", "--overwrite", is_flag=True, help="Replace OUTPUT and an earlier run's checkpoint.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing unless it fails.")
def train(
    output: Path,
    resume: bool,
    cache: Path | None,
    device: str,
    precision: TrainingPrecision,
    overwrite: bool,
    quiet: bool,
    **given: Any,
) -> None:
    """Train a network on videos and photographs and write its weights to OUTPUT.

    Videos give real motion, photographs are set in motion. A checkpoint stands beside OUTPUT
    (OUTPUT.training) from the first minutes on, and --resume goes on from it exactly. On several GPUs:

    \b
    torchrun --nproc-per-node 8 -m videoinr_cli train --data adobe240 --recipe paper -o mine.safetensors
    """  # noqa: D301 -- \b is click's mark for lines to leave alone
    show_messages(quiet=quiet)
    options = TrainOptions(**_typed(without_outranked(given)))

    from videoinr_cli.progress import training_display
    from videoinr_cli.training.distributed import Team  # torch takes a second to import
    from videoinr_cli.training.train import train as run

    quiet = quiet or not Team.from_environment().leads
    with training_display(quiet=quiet) as display:
        made = run(
            output,
            options,
            resume=resume,
            overwrite=overwrite,
            cache=cache,
            device=device,
            precision=precision,
            progress=display.update,
            note=display.note,
        )
    if not quiet:
        click.echo(f"{made.path}: {made.steps} steps in {made.seconds / 60:.0f} minutes", err=True)


def _typed(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that are given, by any means, without the defaults: a resumed run has others."""
    context = click.get_current_context()
    return {
        name: value
        for name, value in given.items()
        if context.get_parameter_source(name) is not ParameterSource.DEFAULT
    }
