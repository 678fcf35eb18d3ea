"""Every number of a training run: how weights are optimised, how batches are drawn, and the named recipes."""

from __future__ import annotations

import dataclasses
import math


@dataclasses.dataclass(frozen=True)
class Schedule:
    """How the weights are optimised."""

    steps: int = 20_000
    minutes: float | None = None  # if given, the schedule follows the clock instead of `steps`
    learning_rate: float = 1e-3
    final_learning_rate: float = 1e-6
    warmup_steps: int = 200
    restarts: int = 1  # times that the cosine runs from the first rate to the last
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 1e-4
    gradient_clip: float = 1.0
    charbonnier_epsilon: float = 3e-2  # see `loss`
    gradient_share: float = 0.0  # weight of the gradients' loss beside that of the pictures
    sharpening: float = (
        0.0  # of the targets, see `loss.sharpened`; half of it in steps that are judged halfway
    )
    halfway_share: float = 0.0  # of the steps: their loss is that of the mean of these weights and the first
    average: float = 0.999  # of the weights, exponential; what is saved in the end
    checkpoint_minutes: float = 3.0
    validate_every: int = 500
    seed: int = 0

    def rate(self, step: int, fraction: float) -> float:
        """Return the rate of a step: linear warm-up, then a half cosine, repeated at each restart.

        Args:
            step: how many were taken before it.
            fraction: of the run that is over.
        """
        turns = fraction * self.restarts
        cosine = 0.5 * (1 + math.cos(math.pi * (turns - min(int(turns), self.restarts - 1))))
        rate = self.final_learning_rate + (self.learning_rate - self.final_learning_rate) * cosine
        return rate * min(1.0, (step + 1) / self.warmup_steps)

    def judged_halfway(self) -> Schedule:
        """Return the schedule of weights to be mixed with those that they began as, mostly half and half."""
        return dataclasses.replace(self, halfway_share=0.6, sharpening=2 * self.sharpening)


@dataclasses.dataclass(frozen=True)
class SampleRecipe:
    """How batches are drawn."""

    batch_size: int = 12
    lr_size: int = 32  # LR patch, pixels a side
    fixed_scale: float = 4.0
    first_stage_steps: int = 0  # at `fixed_scale` alone, before other scales
    fixed_scale_share: float = 0.5  # of the batches; the others draw one from `scale_range`
    scale_range: tuple[float, float] = (1.3, 5.0)  # the least that is rendered is 1.5, see `VideoInr.render`
    scale_by_logarithm: bool = True  # uniform in the scale's logarithm; else in the scale
    still_share: float = 0.75  # of the samples, with synthetic motion
    drawn_share: float = 0.1  # of the moving layers: made-up drawings instead of photographs
    sparse_share: float = 0.2  # of the moving photographs: smoothed except for spots
    soft_share: float = 0.4  # of the moving photographs: blurred, as video is
    tiled_share: float = 0.08  # of the moving layers: repeated textures
    lettered_share: float = 0.0  # of the moving layers in front: text, bars and such, as overlays are
    tripod_share: float = 0.1  # of the samples of photographs: the undermost does not move
    overlay_share: float = 0.5  # of the samples: a layer that stands still in front
    wide_every: int = 3  # every so many batches, one has a `WidePair`; 0: none
    wide_size: int = 448  # of such a pair, LR pixels a side
    min_gap: int = 2  # frames from one given frame to the next, in a clip
    max_gap: int = 4
    instants: int = 1  # supervised ones within a gap
    supervise_given: bool = True  # the first given frame always; else like any other instant
    selective: bool = True  # prefer short clips and crops that move; else draw evenly
    candidates: int = 4  # places drawn for each crop; one is taken, by the square of its detail
    context_share: float = 0.85  # of the batches with a frame before the pair, and likewise after it
    degrade: bool = False  # blur, noise and compression on the LR frames, for real footage


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Everything about a training run except its data."""

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
        overlay_share=0.0,
        wide_every=0,
        min_gap=8,  # windows of nine frames, whose first and last are given
        max_gap=8,
        instants=3,  # any of the nine
        supervise_given=False,
        selective=False,  # every window of every clip equally likely
        candidates=1,
        context_share=0.0,
    ),
    raw_footage=True,
)
"""Chen et al., CVPR 2022, section 4.1, for footage of 240 frames per second such as Adobe240's; windows are
drawn as the authors' data/Adobe_arbitrary.py draws them."""

PAIRS = Recipe(
    architecture="videoinr-fast",
    schedule=Schedule(
        steps=2_000,
        learning_rate=3e-4,
        warmup_steps=50,
        charbonnier_epsilon=3e-3,  # about a level: what is crisp is not averaged away
        gradient_share=0.5,
        sharpening=0.75,
        average=0.995,
        validate_every=250,
    ),
    samples=SampleRecipe(batch_size=2, lr_size=48, fixed_scale_share=0.7, max_gap=2),
)
"""For pairs of clips, from weights that enlarge already: hundreds of steps tell."""

RECIPES = {"own": OWN, "paper": PAPER, "pairs": PAIRS}
