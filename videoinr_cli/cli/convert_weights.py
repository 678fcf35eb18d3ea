"""``videoinr convert-weights``: turn a published PyTorch checkpoint into a weights file of ours."""

from __future__ import annotations

from pathlib import Path

import click

from videoinr_cli.errors import OptionError, OutputError


@click.command("convert-weights", short_help="Convert a checkpoint of the published VideoINR.")
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.argument("output", type=click.Path(path_type=Path))
@click.option(
    "--enlargement",
    type=click.IntRange(min=1, max=16),
    default=1,
    show_default=True,
    help="Enlarge RGB so many times before it is sampled: 1 as in training, 4 as in the authors' demo.",
)
@click.option("-y", "--overwrite", is_flag=True, help="Replace OUTPUT if it exists.")
def convert_weights(checkpoint: Path, output: Path, enlargement: int, overwrite: bool) -> None:
    """Convert CHECKPOINT, a published state_dict of VideoINR (latest_G.pth), to OUTPUT (.safetensors).

    Nothing in the checkpoint is executed. --weights OUTPUT works everywhere afterwards.
    """
    from videoinr_cli.weights import SUFFIX, convert_checkpoint  # torch takes a second to import

    if output.suffix != SUFFIX:
        raise OptionError(f"weights are written as {SUFFIX}, not {output.suffix or 'without a suffix'!r}")
    if output.exists() and not overwrite:
        raise OutputError(f"{output} exists; use -y to replace it")
    info = convert_checkpoint(checkpoint, output, rgb_enlargement=enlargement)
    click.echo(f"{output}: {info.config.architecture}, {info.parameters / 1e6:.1f} M parameters", err=True)
