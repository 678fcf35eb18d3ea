"""What can be asked of a training run, without torch: the command line shows its choices at once."""

from __future__ import annotations

import dataclasses
import math
import os
from typing import Any, Literal, get_args

from videoinr_cli.errors import OptionError
from videoinr_cli.options import ARCHITECTURES

RecipeName = Literal["own", "paper", "pairs"]
RECIPE_NAMES: tuple[RecipeName, ...] = get_args(RecipeName)
DEFAULT_RECIPE: RecipeName = "own"

TrainingPrecision = Literal["auto", "fp32", "bf16"]
"""Small gradients vanish in fp16."""
TRAINING_PRECISIONS: tuple[TrainingPrecision, ...] = get_args(TrainingPrecision)

MIN_PATCH_PX = 16

MAY_CHANGE = frozenset({"data", "pairs", "steps", "minutes"})
"""Options that may differ when a run is resumed: footage that was moved is recognised by its shots, and a run
that has come to its end is resumed for a longer schedule."""


@dataclasses.dataclass(frozen=True)
class TrainOptions:
    """What a network is trained on, and how; kept in the checkpoint, so that resuming needs none of it again.

    None leaves a choice to the recipe or, when a run is resumed, to the options that it was begun with.

    Raises:
        OptionError: a value makes no sense, or two of them exclude each other.
    """

    data: tuple[str | os.PathLike[str], ...] = ()  # folders of videos, photographs and fonts
    pairs: tuple[str | os.PathLike[str], ...] = ()  # instead: folders of lr/NAME and hr/NAME
    recipe: RecipeName | None = None  # "own" (small budget), "paper" (cluster), "pairs"; None: by the data
    config: str | None = None  # the network, one of `ARCHITECTURES`
    init: str | None = None  # name or file of the weights to start from; None: random ones
    steps: int | None = None  # length of the schedule
    minutes: float | None = None  # length of the schedule, over all resumed runs, instead of `steps`
    learning_rate: float | None = None  # the highest
    batch_size: int | None = None  # of all processes together
    patch: int | None = None  # side of the LR patches, pixels
    degrade: bool | None = None  # whether the network sees blur, noise and compression; None: it does not
    halfway: bool | None = None  # whether what lies halfway from the start is judged too; None: it is not
    hold_out: tuple[str, ...] = ()  # patterns of the names of files to validate on instead
    seed: int | None = None  # None: 0

    def __post_init__(self) -> None:
        for name in ("data", "pairs"):  # a checkpoint holds no paths
            object.__setattr__(self, name, tuple(map(os.fspath, getattr(self, name))))
        if self.pairs and (self.data or self.degrade or self.recipe not in (None, "pairs")):
            raise OptionError(
                "--pairs have their LR frames and their recipe; leave out --data, --degrade and --recipe"
            )
        if self.halfway and not self.init:
            raise OptionError("--halfway is from the weights of --init; name some")
        if self.recipe not in (None, *RECIPE_NAMES):
            raise OptionError(f"recipe {self.recipe!r} is none of {', '.join(RECIPE_NAMES)}")
        if self.config not in (None, *ARCHITECTURES):
            raise OptionError(f"config {self.config!r} is none of {', '.join(ARCHITECTURES)}")
        for option, number in (("--minutes", self.minutes), ("--learning-rate", self.learning_rate)):
            if number is not None and not 0 < number < math.inf:
                raise OptionError(f"{option} {number} is not a length or a rate; give a positive number")
        for option, count, least in (
            ("--steps", self.steps, 1),
            ("--batch-size", self.batch_size, 1),
            ("--patch", self.patch, MIN_PATCH_PX),
        ):
            if count is not None and count < least:
                raise OptionError(f"{option} {count} is not at least {least}")
        if self.steps is not None and self.minutes is not None:
            raise OptionError("--steps and --minutes exclude each other; give one of them")
        if self.recipe == "paper" and self.minutes is not None:
            raise OptionError(
                "the paper's recipe has stages, which go by steps; give --steps instead of --minutes"
            )

    def completed(self) -> TrainOptions:
        """Return the options as a run begins with them: what no recipe decides has its default."""
        recipe: RecipeName = "pairs" if self.pairs else DEFAULT_RECIPE
        return dataclasses.replace(
            self,
            recipe=self.recipe or recipe,
            degrade=bool(self.degrade),
            halfway=bool(self.halfway),
            seed=self.seed or 0,
        )

    def resuming(self, begun: TrainOptions) -> TrainOptions:
        """Return the options that a run was begun with, changed where these say so and may.

        Args:
            begun: those of the run, completed.

        Raises:
            OptionError: an option outside `MAY_CHANGE` is given another value.
        """
        changed: dict[str, Any] = {}
        for field in dataclasses.fields(self):
            now, was = getattr(self, field.name), getattr(begun, field.name)
            if now is None or now == ():
                continue
            if field.name in MAY_CHANGE:
                changed[field.name] = now
            elif now != was:
                option = f"--{field.name.replace('_', '-')}"
                raise OptionError(
                    f"{option} is {_shown(now)} and was {_shown(was)} when the run was begun; "
                    "leave it out to go on, or begin again with -y"
                )
        if changed.keys() & {"steps", "minutes"}:  # either takes the other's place
            changed |= {"steps": self.steps, "minutes": self.minutes}
        return dataclasses.replace(begun, **changed)


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return " ".join(map(str, value)) or "not given"
    return "not given" if value is None or value is False else str(value)
