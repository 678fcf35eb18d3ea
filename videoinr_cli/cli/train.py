"""``videoinr train``: train a network on your own footage."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from videoinr_cli.cli.messages import show_messages
from videoinr_cli.cli.parameters import device_option, precision_option, without_outranked
from videoinr_cli.cli.sections import SectionedCommand, files_option, in_section
from videoinr_cli.options import ARCHITECTURES
from videoinr_cli.quantities import counted, roughly
from videoinr_cli.training.options import (
    DEFAULT_RECIPE,
    MIN_PATCH_PX,
    RECIPE_NAMES,
    TRAINING_PRECISIONS,
    TrainingPrecision,
    TrainOptions,
)

data_option = in_section("Data")
network_option = in_section("Network")
schedule_option = in_section("Schedule")


@click.command("train", cls=SectionedCommand, short_help="Train weights on your own videos and photographs.")
@files_option(
    "-o", "--output", type=click.Path(path_type=Path), required=True, help="Output weights, .safetensors."
)
@files_option("-y", "--overwrite", is_flag=True, help="Replace OUTPUT and the checkpoint of an earlier run.")
@data_option(
    "--data",
    type=click.Path(),
    multiple=True,
    help="Folder of videos and photographs, and of fonts (.ttf) for text laid over them; may be repeated.  "
    "[this or --pairs required without --resume]",
)
@data_option(
    "--pairs",
    type=click.Path(),
    multiple=True,
    help="Folder of clips lr/NAME with their enlargements hr/NAME, instead of --data; may be repeated.",
)
@schedule_option(
    "--recipe",
    type=click.Choice(RECIPE_NAMES),
    default=DEFAULT_RECIPE,
    show_default=True,
    help="Defaults for the other options: own (small budget), paper (cluster) or pairs (with --pairs).",
)
@network_option(
    "--config", type=click.Choice(ARCHITECTURES), help="Network architecture.  [default: the recipe's]"
)
@network_option(
    "--init", metavar="WEIGHTS", help="Weights to start from, by name or file, instead of random values."
)
@click.option("--resume", is_flag=True, help="Continue an earlier run for OUTPUT, with its options.")
@schedule_option(
    "--steps", type=click.IntRange(min=1), help="Length of the schedule in steps.  [default: the recipe's]"
)
@schedule_option(
    "--minutes",
    type=click.FloatRange(min=0, min_open=True),
    help="Length of the schedule in minutes, instead of --steps; counts all resumed runs.",
)
@schedule_option(
    "--learning-rate",
    type=click.FloatRange(min=0, min_open=True),
    help="Highest learning rate.  [default: the recipe's]",
)
@schedule_option(
    "--batch-size", type=click.IntRange(min=1), help="Batch size over all processes.  [default: the recipe's]"
)
@schedule_option(
    "--halfway",
    is_flag=True,
    help="Judge most steps halfway between the weights of --init and those trained, to mix the two in use.",
)
@data_option(
    "--patch",
    type=click.IntRange(min=MIN_PATCH_PX),
    help="Side of the low-resolution patches, px.  [default: the recipe's]",
)
@data_option(
    "--degrade",
    is_flag=True,
    help="Degrade the inputs with blur, noise and real encoders, for models of unclean footage.",
)
@data_option(
    "--hold-out",
    metavar="PATTERN",
    multiple=True,
    help="Validate on files with this name instead of training on them; may be repeated.",
)
@data_option(
    "--cache",
    type=click.Path(path_type=Path),
    help="Folder for decoded frames, about 1 MB each.  [default: OUTPUT.frames]",
)
@schedule_option("--seed", type=int, default=0, show_default=True, help="Seed of all random choices.")
@device_option()
@precision_option(TRAINING_PRECISIONS)
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
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
    """Train a network on videos and photographs, and write its weights to OUTPUT.

    Videos provide real motion; photographs are moved synthetically. From the first minutes on there is a
    checkpoint, OUTPUT.training, from which --resume continues exactly. On several GPUs:

    \b
    torchrun --nproc-per-node 8 -m videoinr_cli train --data adobe240 --recipe paper -o mine.safetensors
    """  # noqa: D301 -- \b is click's mark for lines to leave alone
    show_messages(quiet=quiet)
    options = TrainOptions(**_given(without_outranked(given)))

    from videoinr_cli.progress import training_display
    from videoinr_cli.training.distributed import Team  # torch takes a second to import
    from videoinr_cli.training.train import train as run

    quiet = quiet or not Team.from_environment().leads
    with training_display(quiet=quiet) as (update, note):
        made = run(
            output,
            options,
            resume=resume,
            overwrite=overwrite,
            cache=cache,
            device=device,
            precision=precision,
            progress=update,
            note=note,
        )
    if not quiet:
        click.echo(f"{made.path}: {counted(made.steps, 'step')} in {roughly(made.seconds)}", err=True)


def _given(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that are given, by any means, without the defaults: a resumed run has others."""
    context = click.get_current_context()
    return {
        name: value
        for name, value in given.items()
        if context.get_parameter_source(name) is not ParameterSource.DEFAULT
    }
