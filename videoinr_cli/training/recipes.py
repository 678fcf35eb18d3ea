"""The two ways to train that `videoinr train` knows by name: ours, made for little compute, and the paper's.

Knows nothing of files or devices: a recipe is numbers.
"""

from __future__ import annotations

import dataclasses
import math

from videoinr_cli.training.loop import Schedule
from videoinr_cli.training.samples import SampleRecipe


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Everything about a training run but its data."""

    architecture: str
    schedule: Schedule
    samples: SampleRecipe
    raw_footage: bool = False  # take videos at their own size and rate, repeated frames included

    def of_length(self, steps: int) -> Recipe:
        """Return the same recipe over another number of steps, its stages in proportion."""
        first_stage = round(self.samples.first_stage_steps * steps / self.schedule.steps)
        return dataclasses.replace(
            self,
            schedule=dataclasses.replace(self.schedule, steps=steps),
            samples=dataclasses.replace(self.samples, first_stage_steps=first_stage),
        )


OWN = Recipe(architecture="videoinr-fast", schedule=Schedule(), samples=SampleRecipe())

PAPER = Recipe(
    architecture="videoinr",
    schedule=Schedule(
        steps=600_000,
        learning_rate=1e-4,
        final_learning_rate=1e-7,
        warmup_steps=1,  # none
        restarts=4,  # of the cosine, every 150 000 steps
        betas=(0.9, 0.999),
        weight_decay=0.0,  # which makes AdamW Adam
        gradient_clip=math.inf,
        average=0.0,  # the weights themselves
        charbonnier_epsilon=1e-3,
        validate_every=5_000,
    ),
    samples=SampleRecipe(
        batch_size=24,
        lr_size=32,
        first_stage_steps=450_000,  # at x4, then U(1, 4)
        fixed_scale_share=0.0,
        scale_range=(1.0, 4.0),
        scale_by_logarithm=False,
        still_share=0.0,
        wide_every=0,
        min_gap=8,  # windows of nine frames, whose first and last are given
        max_gap=8,
        instants=3,  # any of the nine
        supervise_given=False,
        selective=False,  # every window of every clip as likely
        candidates=1,
        context_share=0.0,
    ),
    raw_footage=True,
)
"""Chen et al., CVPR 2022, section 4.1, for footage of 240 frames per second such as Adobe240's; windows are
drawn as the authors' data/Adobe_arbitrary.py draws them."""

RECIPES = {"own": OWN, "paper": PAPER}
