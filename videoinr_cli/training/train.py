"""Train weights from footage: check, load, run the recipe's schedule, and write what comes of it."""

from __future__ import annotations

import dataclasses
import fnmatch
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch

from videoinr_cli.errors import OptionError, OutputError, WeightsError
from videoinr_cli.jobs.fingerprint import difference
from videoinr_cli.model import AnyVideoInr, build
from videoinr_cli.model.allocator import keep_memory_mapped
from videoinr_cli.model.config import CONFIGURATIONS
from videoinr_cli.model.devices import choose_device, choose_training_dtype, without_tf32
from videoinr_cli.model.fast import FastVideoInr, telling_still
from videoinr_cli.options import ARCHITECTURES, DEFAULT_WEIGHTS
from videoinr_cli.quantities import counted
from videoinr_cli.texts import command_of
from videoinr_cli.training.batches import BATCHES_VERSION, BatchSource
from videoinr_cli.training.distributed import Team
from videoinr_cli.training.footage import CACHE_VERSION, Shot, load_shots
from videoinr_cli.training.loop import TrainingProgress
from videoinr_cli.training.loop import train as optimise
from videoinr_cli.training.options import DEFAULT_RECIPE, TrainingPrecision, TrainOptions
from videoinr_cli.training.overlays import find_fonts
from videoinr_cli.training.pairs import ClipPair, PairSampler, load_pairs
from videoinr_cli.training.recipes import RECIPES, Recipe, SampleRecipe
from videoinr_cli.training.samples import Sampler
from videoinr_cli.training.trainer import Trainer, read_run_settings
from videoinr_cli.training.validation import VALIDATION_FRAMES, VALIDATION_HR_FRAMES, Clip, can_validate
from videoinr_cli.weights import SUFFIX, load_model, save_model

LENGTHS = frozenset({"steps", "minutes", "first_stage_steps"})
"""What of a recipe follows from the length."""

FORMER_NAMES = {"directories": "data", "recipe_name": "recipe"}
"""Options that checkpoints of earlier versions call otherwise."""

CACHE = "version of decoded frames"
BATCHES = "version of drawn batches"
UNNAMED = {CACHE: "2", BATCHES: "1"}
"""Conditions of a run which checkpoints of earlier versions do not say."""


@dataclasses.dataclass(frozen=True)
class Trained:
    """What came of a training run."""

    path: Path  # of the weights
    steps: int  # over all resumed runs
    seconds: float  # likewise


def train(
    output: str | os.PathLike[str],
    options: TrainOptions | None = None,
    *,
    resume: bool = False,
    overwrite: bool = False,
    cache: str | os.PathLike[str] | None = None,
    device: str = "auto",
    precision: TrainingPrecision = "auto",
    progress: Callable[[TrainingProgress], None] = lambda _: None,
    note: Callable[[str], None] = lambda _: None,
) -> Trained:
    """Train a network on videos and photographs and write its weights.

    A checkpoint is written beside the weights (their name with .training) every few minutes and when the run
    is interrupted. Each of several processes that torchrun starts calls this with the same arguments; the
    first one writes and reports.

    Args:
        output: the weights' name, .safetensors.
        options: what is trained on, and how.
        resume: whether to continue the run that was to write `output`, exactly. Its options are those it was
            begun with; `options` need to name only what is to change: the data's place, or the length.
        overwrite: whether the weights and the checkpoint of an earlier run may be replaced.
        cache: folder for decoded frames, about 1 MB each; `output` with .frames when None.
        device: ``auto`` or torch's name of a device.
        precision: the type that convolutions run in.
        progress: called in this thread after each step.
        note: called with a line about each file that is decoded or left out.

    Raises:
        OptionError: the options make no sense, do not fit the data, or change what a resumed run may not.
        InputError: there is nothing to train on.
        OutputError: weights, checkpoint or frames cannot be written, or exist.
        WeightsError: the weights to start from, or the checkpoint, cannot be used.
    """
    output, options = Path(output), options or TrainOptions()
    checkpoint = output.with_name(output.name + ".training")
    _check_destination(output, checkpoint, resume=resume, overwrite=overwrite)
    was: Mapping[str, str] | None = None
    if resume:
        begun, was = _read_begun(checkpoint)
        options = options.resuming(begun)
    options = options.completed()
    if not options.data and not options.pairs:
        raise OptionError("nothing to train on; name a folder of videos and photographs with --data")
    if options.recipe == "pairs" and not options.pairs:
        raise OptionError("this recipe is for pairs of clips; name a folder of them with --pairs")

    team = Team.from_environment()
    recipe = _adapted(RECIPES[options.recipe or DEFAULT_RECIPE], options)
    samples = _shared(recipe.samples, team)
    chosen = choose_device(team.device(device))
    keep_memory_mapped()
    with team.joined(chosen):
        frames = output.with_name(output.name + ".frames") if cache is None else Path(cache)
        with team.in_turn():  # the first process decodes, and the others find what it has cached
            clips = _load(options, recipe, frames, note)
        fonts = find_fonts(map(Path, options.data))
        conditions = _conditions(recipe, team, clips, fonts)
        if was is not None:
            _check_unchanged(checkpoint, was, conditions)
        training, validation = _split(clips, options.hold_out)
        trainer = Trainer(
            _network(options, recipe, chosen),
            recipe.schedule,
            device=chosen,
            dtype=choose_training_dtype(precision, chosen),
            team=team,
            run_settings={"options": dataclasses.asdict(options), "conditions": conditions},
        )
        if resume:
            trainer.load(checkpoint)
        sampler = _sampler(training, samples, fonts, seed=recipe.schedule.seed, part=team.rank)
        with without_tf32():  # in the way back too, which the network does not see
            optimise(trainer, sampler, validation, checkpoint=checkpoint, report=progress)
        if team.leads:
            save_model(trainer.average, output, _describe(trainer, options, training))
    return Trained(output, trainer.step, trainer.seconds)


def _load(options: TrainOptions, recipe: Recipe, frames: Path, note: Callable[[str], None]) -> Sequence[Clip]:
    """Return footage or pairs, decoded into the folder `frames`."""
    if options.pairs:
        return load_pairs(map(Path, options.pairs), frames, report=note)
    return load_shots(map(Path, options.data), frames, raw=recipe.raw_footage, report=note)


def _check_destination(output: Path, checkpoint: Path, *, resume: bool, overwrite: bool) -> None:
    if output.is_dir():
        raise OutputError(f"{output} is a folder; give a file in it: -o {output / f'mine{SUFFIX}'}")
    if output.suffix != SUFFIX:
        name = command_of([str(output.with_suffix(SUFFIX))])
        raise OptionError(f"weights are written as {SUFFIX}, not {output.name!r}; try -o {name}")
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


def _read_begun(checkpoint: Path) -> tuple[TrainOptions, Mapping[str, str]]:
    """Return the options and the conditions that the run of a checkpoint was begun with.

    Raises:
        WeightsError: not a training checkpoint, or one of another version.
    """
    begun = read_run_settings(checkpoint)
    conditions = {**UNNAMED, **begun["conditions"]}
    options = {FORMER_NAMES.get(name, name): value for name, value in begun["options"].items()}
    try:
        return TrainOptions(**options), conditions
    except TypeError as error:
        raise WeightsError(
            f"{checkpoint} is of another version of videoinr: {error}; begin again with -y"
        ) from error


def _adapted(recipe: Recipe, options: TrainOptions) -> Recipe:
    """Return the recipe with what the options say of it."""
    recipe = recipe.of_length(options.steps or recipe.schedule.steps)
    schedule = dataclasses.replace(
        recipe.schedule,
        minutes=options.minutes,
        learning_rate=options.learning_rate or recipe.schedule.learning_rate,
        seed=options.seed or 0,
    )
    if options.halfway:
        schedule = schedule.judged_halfway()
    samples = dataclasses.replace(
        recipe.samples,
        batch_size=options.batch_size or recipe.samples.batch_size,
        lr_size=options.patch or recipe.samples.lr_size,
        degrade=bool(options.degrade),
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


def _conditions(recipe: Recipe, team: Team, clips: Sequence[Clip], fonts: Sequence[Path]) -> dict[str, str]:
    """Return what a run's batches and steps depend on beside its options, by name."""
    settings = {**dataclasses.asdict(recipe.schedule), **dataclasses.asdict(recipe.samples)}
    return {
        "processes": str(team.size),
        CACHE: str(CACHE_VERSION),
        BATCHES: str(BATCHES_VERSION),
        **{name: str(value) for name, value in settings.items() if name not in LENGTHS},
        **{f"shot {number}": str(clip) for number, clip in enumerate(clips, 1)},
        **{f"font {number}": font.name for number, font in enumerate(fonts, 1)},
    }


def _check_unchanged(checkpoint: Path, was: Mapping[str, str], now: Mapping[str, str]) -> None:
    if (how := difference(was, now)) is not None:
        raise OptionError(
            f"{checkpoint} is of a run begun with {how}; go on as it was begun, or begin again with -y"
        )


def _split(clips: Sequence[Clip], hold_out: Sequence[str]) -> tuple[list[Clip], list[Clip]]:
    """Separate what is trained on from what is measured on, by whole files."""
    sources = {clip.source for clip in clips}
    held: set[str] = set()
    for pattern in hold_out:
        matching = set(fnmatch.filter(sources, pattern))
        if not matching:
            raise OptionError(f"--hold-out {pattern}: no file of this name; there is {min(sources)!r}")
        held |= matching
    training = [clip for clip in clips if clip.source not in held]
    if not training:
        raise OptionError(f"--hold-out {' '.join(hold_out)} leaves nothing to train on")
    validation = [clip for clip in clips if clip.source in held]
    if held and not any(map(can_validate, validation)):
        raise OptionError(
            f"--hold-out {' '.join(hold_out)} holds out no {VALIDATION_FRAMES} frames without a cut to "
            f"validate on, nor a pair with {VALIDATION_HR_FRAMES} HR frames; hold out a longer video"
        )
    return training, validation


def _network(options: TrainOptions, recipe: Recipe, device: torch.device) -> AnyVideoInr:
    """Return the network to begin with, of given weights or of random ones, which the seed decides."""
    torch.manual_seed(recipe.schedule.seed)
    if options.init is None:
        model = build(CONFIGURATIONS[options.config or recipe.architecture]())
    else:
        model = _initial(options, options.init, device)
    if isinstance(model, FastVideoInr):
        model = telling_still(model).requires_grad_()
        model.config = dataclasses.replace(model.config, restores=bool(options.degrade or options.pairs))
    return model


def _initial(options: TrainOptions, init: str, device: torch.device) -> AnyVideoInr:
    """Return the network of given weights."""
    model = load_model(init, device=device).requires_grad_()
    if model.config.architecture not in ARCHITECTURES:
        raise OptionError(
            f"--init {init} is a {model.config.architecture}, which is used as it was published and "
            f"not trained here; try --init {DEFAULT_WEIGHTS}"
        )
    if options.config not in (None, model.config.architecture):
        raise OptionError(
            f"--init {init} is a {model.config.architecture}, not the {options.config} of --config; "
            "leave one of them out"
        )
    return model


def _sampler(
    clips: Sequence[Clip], samples: SampleRecipe, fonts: Sequence[Path], *, seed: int, part: int
) -> BatchSource:
    pairs = [clip for clip in clips if isinstance(clip, ClipPair)]
    if pairs:
        return PairSampler(pairs, samples, seed=seed, part=part)
    shots = [clip for clip in clips if isinstance(clip, Shot)]
    return Sampler(shots, samples, seed=seed, part=part, fonts=fonts)


def _describe(trainer: Trainer, options: TrainOptions, clips: Sequence[Clip]) -> dict[str, str]:
    """Say in the file's metadata what the weights were made of."""
    footage = "degraded footage" if options.degrade else "clean footage"
    return {
        "trained_for": "what is in its pairs of clips" if options.pairs else footage,
        "training": f"{counted(trainer.step, 'step')}, {counted(round(trainer.seconds / 60), 'minute')} on "
        f"{trainer.device.type}",
        "training_data": ", ".join(sorted({clip.source for clip in clips})),
    }
