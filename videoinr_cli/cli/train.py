"""``videoinr train``: fit a network to footage of one's own."""

from __future__ import annotations

import dataclasses
import fnmatch
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from videoinr_cli.cli.messages import show_messages
from videoinr_cli.cli.parameters import without_outranked
from videoinr_cli.errors import OptionError, OutputError
from videoinr_cli.options import ARCHITECTURES, PRECISIONS, Precision
from videoinr_cli.weights.manifest import SUFFIX

if TYPE_CHECKING:
    from videoinr_cli.training.distributed import Team
    from videoinr_cli.training.footage import Shot
    from videoinr_cli.training.loop import Trainer
    from videoinr_cli.training.recipes import Recipe
    from videoinr_cli.training.samples import SampleRecipe

RECIPES = ("own", "paper")


@click.command("train", short_help="Train weights on your own videos and photographs.")
@click.option(
    "--data",
    "directories",
    type=click.Path(path_type=Path),
    multiple=True,
    required=True,
    help="Folder of videos and photographs; repeat it for several.",
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), required=True, help="Weights file, .safetensors."
)
@click.option(
    "--recipe",
    "recipe_name",
    type=click.Choice(RECIPES),
    default=RECIPES[0],
    show_default=True,
    help="What the options below leave open: ours, for little compute, or the paper's, for a cluster.",
)
@click.option("--config", type=click.Choice(ARCHITECTURES), help="The network.  [default: the recipe's]")
@click.option("--init", metavar="WEIGHTS", help="Name or file to start from, not random values.")
@click.option("--resume", is_flag=True, help="Continue the interrupted run that was to write OUTPUT.")
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
    "--patch", type=click.IntRange(min=16), help="Side of the LR patches, px.  [default: the recipe's]"
)
@click.option(
    "--degrade",
    is_flag=True,
    help="Spoil what the network sees by blur, noise and real encoders: for footage that is not clean.",
)
@click.option(
    "--hold-out",
    "hold_out",
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
@click.option("--precision", type=click.Choice(PRECISIONS), default="auto", show_default=True)
@click.option("-y", "--overwrite", is_flag=True, help="Replace OUTPUT and an earlier run's checkpoint.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing unless it fails.")
def train(
    directories: Sequence[Path],
    output: Path,
    recipe_name: str,
    config: str | None,
    init: str | None,
    resume: bool,
    steps: int | None,
    minutes: float | None,
    learning_rate: float | None,
    batch_size: int | None,
    patch: int | None,
    degrade: bool,
    hold_out: Sequence[str],
    cache: Path | None,
    seed: int,
    device: str,
    precision: Precision,
    overwrite: bool,
    quiet: bool,
) -> None:
    """Train a network on videos and photographs and write its weights to OUTPUT.

    Videos give real motion, photographs are set in motion. A checkpoint stands beside OUTPUT
    (OUTPUT.training) from the first minutes on, and --resume goes on from it exactly. On several GPUs:

    \b
    torchrun --nproc-per-node 8 -m videoinr_cli train --data adobe240 --recipe paper -o mine.safetensors
    """  # noqa: D301 -- \b is click's mark for lines to leave alone
    show_messages(quiet=quiet)
    checkpoint = output.with_name(output.name + ".training")
    _check_destination(output, checkpoint, resume=resume, overwrite=overwrite)
    for option, number in (("--minutes", minutes), ("--learning-rate", learning_rate)):
        if number is not None and not math.isfinite(number):
            raise OptionError(f"{option} {number} is not a length or a rate; give a positive number")
    length = without_outranked({"steps": steps, "minutes": minutes})
    steps, minutes = length["steps"], length["minutes"]
    if steps is not None and minutes is not None:
        raise OptionError("--steps and --minutes exclude each other; give one of them")
    if recipe_name == "paper" and minutes is not None:
        raise OptionError(
            "the paper's recipe has stages, which go by steps; give --steps instead of --minutes"
        )

    from videoinr_cli.model import build  # torch takes a second to import: nothing above needs it
    from videoinr_cli.model.allocator import keep_memory_mapped
    from videoinr_cli.model.config import CONFIGURATIONS
    from videoinr_cli.model.devices import choose_device, choose_training_dtype, without_tf32
    from videoinr_cli.progress import training_display
    from videoinr_cli.training.distributed import Team
    from videoinr_cli.training.footage import load_shots
    from videoinr_cli.training.loop import Trainer
    from videoinr_cli.training.loop import train as run
    from videoinr_cli.training.recipes import RECIPES as KNOWN
    from videoinr_cli.training.samples import Sampler
    from videoinr_cli.weights import load_model, save_model

    team = Team.from_environment()
    recipe = KNOWN[recipe_name]
    recipe = _adapted(recipe.of_length(steps or recipe.schedule.steps), minutes, learning_rate, seed)
    samples = _samples(recipe.samples, batch_size, patch, degrade, team)
    chosen = choose_device(team.device(device))
    keep_memory_mapped()
    with team.joined(chosen), training_display(quiet=quiet or not team.leads) as display:
        cache = cache or output.with_name(output.name + ".frames")
        with team.in_turn():  # the first process decodes, and the others find what it has cached
            shots = load_shots(directories, cache, raw=recipe.raw_footage, report=display.note)
        training, validation = _split(shots, hold_out)
        if init:
            model = load_model(init, device=chosen).requires_grad_()
            if config not in (None, model.config.architecture):
                raise OptionError(
                    f"--init {init} is a {model.config.architecture}, not the {config} of --config; "
                    "leave one of them out"
                )
        else:
            model = build(CONFIGURATIONS[config or recipe.architecture]())
        dtype = choose_training_dtype(precision, chosen)
        trainer = Trainer(model, recipe.schedule, device=chosen, dtype=dtype, team=team)
        if resume:
            trainer.load(checkpoint)
        sampler = Sampler(training, samples, seed=seed, part=team.rank)
        with without_tf32():  # in the way back too, which the network does not see
            run(trainer, sampler, validation, checkpoint=checkpoint, report=display.update)
        if team.leads:
            save_model(trainer.average, output, _describe(trainer, samples, training))
            if not quiet:
                click.echo(f"{output}: {trainer.step} steps in {trainer.seconds / 60:.0f} minutes", err=True)


def _adapted(recipe: Recipe, minutes: float | None, learning_rate: float | None, seed: int) -> Recipe:
    """Return the recipe with what the command line says of its schedule."""
    rate = learning_rate or recipe.schedule.learning_rate
    schedule = dataclasses.replace(recipe.schedule, minutes=minutes, learning_rate=rate, seed=seed)
    return dataclasses.replace(recipe, schedule=schedule)


def _samples(
    samples: SampleRecipe, batch_size: int | None, patch: int | None, degrade: bool, team: Team
) -> SampleRecipe:
    """Return what one process draws, with what the command line says of it."""
    whole = batch_size or samples.batch_size
    if whole % team.size:
        raise OptionError(
            f"a batch of {whole} cannot be shared evenly by {team.size} processes; "
            f"try --batch-size {-(-whole // team.size) * team.size}"
        )
    return dataclasses.replace(
        samples, batch_size=whole // team.size, lr_size=patch or samples.lr_size, degrade=degrade
    )


def _check_destination(output: Path, checkpoint: Path, *, resume: bool, overwrite: bool) -> None:
    if output.is_dir():
        raise OutputError(f"{output} is a folder; give a file in it: -o {output / f'mine{SUFFIX}'}")
    if output.suffix != SUFFIX:
        raise OptionError(
            f"weights are written as {SUFFIX}, not {output.name!r}; try -o {output.with_suffix(SUFFIX)}"
        )
    if not output.parent.is_dir():
        raise OutputError(f"cannot write {output}: no folder {output.parent}")
    if resume:
        if not checkpoint.is_file():
            raise OptionError(f"nothing to resume: there is no {checkpoint}; leave out --resume to begin")
    elif not overwrite:
        for path in (output, checkpoint):
            if path.exists():
                raise OutputError(f"{path} exists; use --resume to go on with a run, or -y to begin again")


def _split(shots: Sequence[Shot], hold_out: Sequence[str]) -> tuple[list[Shot], list[Shot]]:
    """Separate what is trained on from what is measured on, by whole files."""
    sources = {shot.source for shot in shots}
    held: set[str] = set()
    for pattern in hold_out:
        matching = set(fnmatch.filter(sources, pattern))
        if not matching:
            raise OptionError(f"--hold-out {pattern}: no file of this name; there is {min(sources)!r}")
        held |= matching
    training = [shot for shot in shots if shot.source not in held]
    if not training:
        raise OptionError(f"--hold-out {' '.join(hold_out)} leaves nothing to train on")
    return training, [shot for shot in shots if shot.source in held]


def _describe(trainer: Trainer, samples: SampleRecipe, shots: Sequence[Shot]) -> dict[str, str]:
    """Say in the file's metadata what the weights were made of."""
    return {
        "trained_for": "degraded footage" if samples.degrade else "clean footage",
        "training": f"{trainer.step} steps, {trainer.seconds / 60:.0f} minutes on {trainer.device.type}",
        "training_data": ", ".join(sorted({shot.source for shot in shots})),
    }
