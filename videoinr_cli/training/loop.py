"""Run a schedule: draw batches ahead, take steps, validate, report, and write checkpoints."""

from __future__ import annotations

import dataclasses
import queue
import threading
import time
from collections.abc import Callable, Generator, Sequence
from pathlib import Path

import torch

from videoinr_cli.training.batches import Batch, BatchSource
from videoinr_cli.training.indivisible import indivisible
from videoinr_cli.training.trainer import Trainer
from videoinr_cli.training.validation import Clip, validate

PREFETCHED_BATCHES = 4


@dataclasses.dataclass(frozen=True)
class TrainingProgress:
    """What the loop reports after every step."""

    step: int
    fraction: float  # of the schedule, in [0, 1]
    loss: float  # smoothed
    learning_rate: float
    seconds: float  # spent training, over all resumed runs
    waited_seconds: float  # of these, in this run, until a batch was drawn
    validation: tuple[float, float] | None = None  # dB of given and of in-between frames, when just measured


def train(
    trainer: Trainer,
    sampler: BatchSource,
    held_out: Sequence[Clip],
    *,
    checkpoint: Path,
    report: Callable[[TrainingProgress], None] = lambda progress: None,
) -> None:
    """Run the schedule to its end, writing `checkpoint` every few minutes and when interrupted.

    Where several processes train together, only the first validates, reports and writes.

    Args:
        held_out: what to validate on, every `Schedule.validate_every` steps and in the end.
        report: called after every step.
    """
    team = trainer.team
    last_saved = time.monotonic()
    waited = 0.0
    batches = prefetch(sampler, trainer.step)
    try:
        while trainer.fraction < 1:
            started = time.monotonic()
            batch = next(batches)
            waited += time.monotonic() - started
            with indivisible():  # what is saved is the state between two steps
                trainer.train_step(batch)
                trainer.seconds += time.monotonic() - started
            if trainer.schedule.minutes is not None:  # all have to end at the same step
                trainer.seconds = team.leaders(trainer.seconds, trainer.device)
            if not team.leads:
                continue
            validation = None
            is_due = trainer.step % trainer.schedule.validate_every == 0 or trainer.fraction == 1
            if held_out and is_due:
                validation = validate(
                    trainer.average, held_out, device=trainer.device, degrade=sampler.recipe.degrade
                )
            report(
                TrainingProgress(
                    trainer.step,
                    trainer.fraction,
                    trainer.loss,
                    trainer.learning_rate(),
                    trainer.seconds,
                    waited,
                    validation,
                )
            )
            if time.monotonic() - last_saved > 60 * trainer.schedule.checkpoint_minutes:
                trainer.save(checkpoint)
                last_saved = time.monotonic()
    finally:
        batches.close()
        if team.leads:
            trainer.save(checkpoint)


def prefetch(sampler: BatchSource, start: int) -> Generator[Batch, None, None]:
    """Yield batches, drawn ahead in a thread: forking is not safe once torch has started threads."""
    ready: queue.Queue[Batch | Exception] = queue.Queue(PREFETCHED_BATCHES)
    stop = threading.Event()

    def draw() -> None:
        torch.set_num_threads(1)  # for this thread only: the other cores belong to the network
        step = start
        while not stop.is_set():
            try:
                item: Batch | Exception = sampler.batch(step)
            except Exception as error:  # handed to the consumer, which raises it
                item = error
            while not stop.is_set():
                try:
                    ready.put(item, timeout=0.2)
                    break
                except queue.Full:
                    continue
            step += 1

    thread = threading.Thread(target=draw, name="batches", daemon=True)
    thread.start()
    try:
        while True:
            item = ready.get()
            if isinstance(item, Exception):
                raise item
            yield item
    finally:
        stop.set()
        thread.join()
