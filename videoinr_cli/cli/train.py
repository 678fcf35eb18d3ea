"""``videoinr train``: train a network on your own footage."""

from __future__ import annotations

import dataclasses
import fnmatch
import math
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from videoinr_cli.cli.messages import show_messages
from videoinr_cli.cli.parameters import without_outranked
from videoinr_cli.cli.sections import SectionedCommand, files_option, in_section
from videoinr_cli.errors import OptionError, OutputError
from videoinr_cli.options import ARCHITECTURES, PRECISIONS, Precision
from videoinr_cli.weights.manifest import SUFFIX

if TYPE_CHECKING:
    import torch

    from videoinr_cli.model import AnyVideoInr
    from videoinr_cli.training.distributed import Team
    from videoinr_cli.training.footage import Shot
    from videoinr_cli.training.recipes import Recipe, SampleRecipe
    from videoinr_cli.training.trainer import Trainer

RECIPES = ("own", "paper")
MAY_CHANGE = frozenset({"directories", "steps", "minutes"})
"""Options that a run may be resumed with otherwise than it was begun: footage that was moved is known again
by its shots, and a longer schedule is what one resumes a run for that is through."""
LENGTHS = frozenset({"steps", "minutes", "first_stage_steps"})
"""What of a recipe follows from the length."""
TRAINING_PRECISIONS = tuple(name for name in PRECISIONS if name != "fp16")
"""Small gradients vanish in fp16."""


@dataclasses.dataclass(frozen=True)
class RunOptions:
    """What the command line says of a run; kept in its checkpoint, so that --resume needs none of it again.

    None leaves a choice to the recipe.
    """

    directories: tuple[str, ...]
    recipe_name: str
    config: str | None
    init: str | None
    steps: int | None
    minutes: float | None
    learning_rate: float | None
    batch_size: int | None
    patch: int | None
    degrade: bool
    hold_out: tuple[str, ...]
    seed: int

    def __post_init__(self) -> None:
        for option, number in (("--minutes", self.minutes), ("--learning-rate", self.learning_rate)):
            if number is not None and not math.isfinite(number):
                raise OptionError(f"{option} {number} is not a length or a rate; give a positive number")
        if self.steps is not None and self.minutes is not None:
            raise OptionError("--steps and --minutes exclude each other; give one of them")
        if self.recipe_name == "paper" and self.minutes is not None:
            raise OptionError(
                "the paper's recipe has stages, which go by steps; give --steps instead of --minutes"
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
    "directories",
    type=click.Path(),
    multiple=True,
    help="Folder of videos and photographs; may be repeated.  [required without --resume]",
)
@schedule_option(
    "--recipe",
    "recipe_name",
    type=click.Choice(RECIPES),
    default=RECIPES[0],
    show_default=True,
    help="Defaults for the other options: own (small budget) or paper (cluster).",
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
@data_option(
    "--patch",
    type=click.IntRange(min=16),
    help="Side of the low-resolution patches, px.  [default: the recipe's]",
)
@data_option(
    "--degrade",
    is_flag=True,
    help="Degrade the inputs with blur, noise and real encoders, for models of unclean footage.",
)
@data_option(
    "--hold-out",
    "hold_out",
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
@click.option(
    "--device", default="auto", show_default=True, help="Where to compute: auto, cpu, cuda, cuda:1, mps."
)
@click.option(
    "--precision",
    type=click.Choice(TRAINING_PRECISIONS),
    default="auto",
    show_default=True,
    help="Floating-point precision of the network.",
)
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
def train(
    output: Path,
    resume: bool,
    cache: Path | None,
    device: str,
    precision: Precision,
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
    checkpoint = output.with_name(output.name + ".training")
    _check_destination(output, checkpoint, resume=resume, overwrite=overwrite)
    options = RunOptions(**without_outranked(given))
    begun_with: dict[str, Any] = {}
    if resume:
        from videoinr_cli.training.trainer import read_begun_with

        begun_with = read_begun_with(checkpoint)
        options = _as_begun(options, RunOptions(**begun_with["options"]))
    if not options.directories:
        raise OptionError("nothing to train on; name a folder of videos and photographs with --data")

    from videoinr_cli.model.allocator import keep_memory_mapped  # torch takes a second to import
    from videoinr_cli.model.devices import choose_device, choose_training_dtype, without_tf32
    from videoinr_cli.progress import training_display
    from videoinr_cli.training.distributed import Team
    from videoinr_cli.training.footage import load_shots
    from videoinr_cli.training.loop import train as run
    from videoinr_cli.training.recipes import RECIPES as KNOWN
    from videoinr_cli.training.samples import Sampler
    from videoinr_cli.training.trainer import Trainer
    from videoinr_cli.weights import save_model

    team = Team.from_environment()
    recipe = _adapted(KNOWN[options.recipe_name], options)
    samples = _shared(recipe.samples, team)
    chosen = choose_device(team.device(device))
    keep_memory_mapped()
    with team.joined(chosen), training_display(quiet=quiet or not team.leads) as display:
        cache = cache or output.with_name(output.name + ".frames")
        with team.in_turn():  # the first process decodes, and the others find what it has cached
            shots = load_shots(
                map(Path, options.directories), cache, raw=recipe.raw_footage, report=display.note
            )
        conditions = _conditions(recipe, team, shots)
        if resume:
            _check_unchanged(checkpoint, begun_with["conditions"], conditions)
        training, validation = _split(shots, options.hold_out)
        trainer = Trainer(
            _network(options, recipe, chosen),
            recipe.schedule,
            device=chosen,
            dtype=choose_training_dtype(precision, chosen),
            team=team,
            begun_with={"options": dataclasses.asdict(options), "conditions": conditions},
        )
        if resume:
            trainer.load(checkpoint)
        sampler = Sampler(training, samples, seed=options.seed, part=team.rank)
        with without_tf32():  # in the way back too, which the network does not see
            run(trainer, sampler, validation, checkpoint=checkpoint, report=display.update)
        if team.leads:
            save_model(trainer.average, output, _describe(trainer, samples, training))
            if not quiet:
                click.echo(f"{output}: {trainer.step} steps in {trainer.seconds / 60:.0f} minutes", err=True)


def _as_begun(given: RunOptions, begun: RunOptions) -> RunOptions:
    """Return the options that a run was begun with, but for those that may change, where they are given.

    Raises:
        OptionError: another one is given that is not as it was.
    """
    context = click.get_current_context()
    changed: dict[str, Any] = {}
    for option in context.command.params:
        name = option.name or ""
        if not hasattr(begun, name) or context.get_parameter_source(name) is ParameterSource.DEFAULT:
            continue
        now, was = getattr(given, name), getattr(begun, name)
        if name in MAY_CHANGE:
            changed[name] = now
        elif now != was:
            raise OptionError(
                f"{option.opts[0]} is {_shown(now)} and was {_shown(was)} when the run was begun; "
                "leave it out to go on, or begin again with -y"
            )
    if changed.keys() & {"steps", "minutes"}:  # either takes the other's place
        changed |= {"steps": given.steps, "minutes": given.minutes}
    return dataclasses.replace(begun, **changed)


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return " ".join(value) or "not given"
    return "not given" if value is None or value is False else str(value)


def _conditions(recipe: Recipe, team: Team, shots: Sequence[Shot]) -> dict[str, str]:
    """Return what a run's batches and steps depend on beside its options, by name."""
    settings = {**dataclasses.asdict(recipe.schedule), **dataclasses.asdict(recipe.samples)}
    return {
        "processes": str(team.size),
        **{name: str(value) for name, value in settings.items() if name not in LENGTHS},
        **{
            f"shot {number}": f"{shot.source} ({len(shot.frames)} frames)"
            for number, shot in enumerate(shots, 1)
        },
    }


def _check_unchanged(checkpoint: Path, was: Mapping[str, str], now: Mapping[str, str]) -> None:
    from videoinr_cli.jobs.fingerprint import difference

    if (how := difference(was, now)) is not None:
        raise OptionError(
            f"{checkpoint} is of a run begun with {how}; go on as it was begun, or begin again with -y"
        )


def _network(options: RunOptions, recipe: Recipe, device: torch.device) -> AnyVideoInr:
    """Return the network to begin with, of given weights or of random ones, which the seed decides."""
    import torch

    from videoinr_cli.model import build
    from videoinr_cli.model.config import CONFIGURATIONS
    from videoinr_cli.weights import load_model

    if options.init is None:
        torch.manual_seed(options.seed)
        return build(CONFIGURATIONS[options.config or recipe.architecture]())
    model = load_model(options.init, device=device).requires_grad_()
    if options.config not in (None, model.config.architecture):
        raise OptionError(
            f"--init {options.init} is a {model.config.architecture}, not the {options.config} of --config; "
            "leave one of them out"
        )
    return model


def _adapted(recipe: Recipe, options: RunOptions) -> Recipe:
    """Return the recipe with what the command line says of it."""
    recipe = recipe.of_length(options.steps or recipe.schedule.steps)
    schedule = dataclasses.replace(
        recipe.schedule,
        minutes=options.minutes,
        learning_rate=options.learning_rate or recipe.schedule.learning_rate,
        seed=options.seed,
    )
    samples = dataclasses.replace(
        recipe.samples,
        batch_size=options.batch_size or recipe.samples.batch_size,
        lr_size=options.patch or recipe.samples.lr_size,
        degrade=options.degrade,
    )
    return dataclasses.replace(recipe, schedule=schedule, samples=samples)


def _shared(samples: SampleRecipe, team: Team) -> SampleRecipe:
    """Return what one process of a team draws."""
    if samples.batch_size % team.size:
        raise OptionError(
            f"a batch of {samples.batch_size} cannot be shared evenly by {team.size} processes; "
            f"try --batch-size {-(-samples.batch_size // team.size) * team.size}"
        )
    return dataclasses.replace(samples, batch_size=samples.batch_size // team.size)


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
    try:  # what may be written can be asked for, but the answer is not always true
        with tempfile.TemporaryFile(dir=output.parent):
            pass
    except OSError as error:
        raise OutputError(f"cannot write {output}: {error.strerror or error}") from error


def _split(shots: Sequence[Shot], hold_out: Sequence[str]) -> tuple[list[Shot], list[Shot]]:
    """Separate what is trained on from what is measured on, by whole files."""
    from videoinr_cli.training.validation import VALIDATION_FRAMES

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
    validation = [shot for shot in shots if shot.source in held]
    if held and max(len(shot.frames) for shot in validation) < VALIDATION_FRAMES:
        raise OptionError(
            f"--hold-out {' '.join(hold_out)} holds out no {VALIDATION_FRAMES} frames without a cut to "
            "validate on; hold out a longer video"
        )
    return training, validation


def _describe(trainer: Trainer, samples: SampleRecipe, shots: Sequence[Shot]) -> dict[str, str]:
    """Say in the file's metadata what the weights were made of."""
    return {
        "trained_for": "degraded footage" if samples.degrade else "clean footage",
        "training": f"{trainer.step} steps, {trainer.seconds / 60:.0f} minutes on {trainer.device.type}",
        "training_data": ", ".join(sorted({shot.source for shot in shots})),
    }
