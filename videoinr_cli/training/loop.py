"""Fit a network to batches: loss, schedule, averaging, validation, checkpoints that resume exactly.

Knows nothing of how batches are drawn, nor of the command line: progress goes to a callback.
"""

from __future__ import annotations

import copy
import dataclasses
import math
import pickle
import queue
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from videoinr_cli.errors import WeightsError
from videoinr_cli.evaluation.metrics import psnr
from videoinr_cli.evaluation.resample import reduce
from videoinr_cli.model import AnyVideoInr, Window
from videoinr_cli.training.distributed import ALONE, Team
from videoinr_cli.training.footage import Shot
from videoinr_cli.training.indivisible import indivisible
from videoinr_cli.training.samples import Batch, Sampler, degraded

FLOW_EPSILON = 0.05
"""Pixels of the flow's grid."""
FLOW_SHARE = 0.02
"""Of the flow's mean error, in its pixels, in the loss."""
CHARBONNIER_EPSILON = 3e-2
"""Rounds the corner of the absolute difference: sqrt(d^2 + eps^2) (Lai et al., 2017). Below it (8 of 255
levels) errors count by their square, as PSNR counts them; above, an occlusion does not outweigh the rest."""
PREFETCHED_BATCHES = 4
VALIDATION_FRAMES = 7
"""Every second one is given: a pair, and a frame on either side of it."""


@dataclasses.dataclass(frozen=True)
class Schedule:
    """How the optimisation goes; every default once."""

    steps: int = 20_000
    minutes: float | None = None  # if given, the schedule follows the clock instead of `steps`
    learning_rate: float = 1e-3
    final_learning_rate: float = 1e-6
    warmup_steps: int = 200
    restarts: int = 1  # times that the cosine runs from the first rate to the last
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 1e-4
    gradient_clip: float = 1.0
    charbonnier_epsilon: float = CHARBONNIER_EPSILON
    average: float = 0.999  # of the weights, exponential; what is saved in the end
    checkpoint_minutes: float = 3.0
    validate_every: int = 500
    seed: int = 0


@dataclasses.dataclass(frozen=True)
class TrainingProgress:
    """What the loop reports after every step."""

    step: int
    fraction: float  # of the schedule, in [0, 1]
    loss: float  # smoothed
    learning_rate: float
    seconds: float  # spent training, over all resumed runs
    validation: tuple[float, float] | None = None  # dB of given and of in-between frames, when just measured


Report = Callable[[TrainingProgress], None]


class Trainer:
    """A network on its way: its weights, their average, the optimiser, and how far along they are.

    Args:
        team: the processes that train it together, their gradients averaged at every step.
        begun_with: what else makes the run what it is, kept in checkpoints for whoever resumes it: numbers,
            texts, and tuples and dictionaries of these.
    """

    def __init__(
        self,
        model: AnyVideoInr,
        schedule: Schedule,
        *,
        device: torch.device,
        dtype: torch.dtype,
        team: Team = ALONE,
        begun_with: Mapping[str, Any] | None = None,
    ) -> None:
        self.schedule = schedule
        self.begun_with = dict(begun_with or {})
        self.device = device
        self.team = team
        self.model = model.to(device).train()
        self.model.compute_dtype = dtype
        self.average = copy.deepcopy(self.model).requires_grad_(False)
        loss = BatchLoss(self.model, schedule.charbonnier_epsilon)
        self.batch_loss = DistributedDataParallel(loss) if team.size > 1 else loss
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(),
            lr=schedule.learning_rate,
            betas=schedule.betas,
            weight_decay=schedule.weight_decay,
            fused=device.type == "cuda",
        )
        self.step = 0
        self.seconds = 0.0
        self.loss = math.nan

    @property
    def fraction(self) -> float:
        if self.schedule.minutes is not None:
            return min(1.0, self.seconds / (60 * self.schedule.minutes))
        return min(1.0, self.step / self.schedule.steps)

    def learning_rate(self) -> float:
        """Linear warm-up, then half a cosine down to the final rate, begun again at each restart."""
        schedule = self.schedule
        turns = self.fraction * schedule.restarts
        cosine = 0.5 * (1 + math.cos(math.pi * (turns - min(int(turns), schedule.restarts - 1))))
        rate = schedule.final_learning_rate + (schedule.learning_rate - schedule.final_learning_rate) * cosine
        return rate * min(1.0, (self.step + 1) / schedule.warmup_steps)

    def train_step(self, batch: Batch) -> None:
        """Take one step on one batch."""
        rate = self.learning_rate()
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        loss: Tensor = self.batch_loss(batch.to(self.device))
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.schedule.gradient_clip)
        if bool(torch.isfinite(norm)):  # a step that overflowed would never be recovered from
            self.optimizer.step()
        self.step += 1
        # a young average follows quickly, so that it never holds on to the random start
        decay = min(self.schedule.average, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.average.parameters()), list(self.model.parameters()), 1 - decay)
        value = float(loss.detach())
        self.loss = value if math.isnan(self.loss) else 0.99 * self.loss + 0.01 * value

    def save(self, path: Path) -> None:
        """Write everything `load` needs; the file appears under its name only when complete."""
        state = {
            "begun_with": self.begun_with,
            "config": self.model.config.to_json(),
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
            "loss": self.loss,
        }
        partial = path.with_name(path.name + ".part")
        torch.save(state, partial)
        partial.replace(path)

    def load(self, path: Path) -> None:
        """Continue from what `save` wrote.

        Raises:
            WeightsError: not a checkpoint of this configuration.
        """
        state = _read_checkpoint(path, self.device)
        try:
            if state["config"] != self.model.config.to_json():
                raise WeightsError(f"{path} is a checkpoint of another configuration: {state['config']}")
            self.model.load_state_dict(state["model"])
            self.average.load_state_dict(state["average"])
            self.optimizer.load_state_dict(state["optimizer"])
        except (RuntimeError, KeyError, ValueError) as error:
            raise _no_checkpoint(path, error) from error
        self.step, self.seconds, self.loss = state["step"], state["seconds"], state["loss"]


def read_begun_with(path: Path) -> dict[str, Any]:
    """Return what the run of a checkpoint was begun with, see `Trainer`.

    Raises:
        WeightsError: not a training checkpoint, or one of an earlier version, which did not keep it.
    """
    begun_with: dict[str, Any] = _read_checkpoint(path, torch.device("cpu")).get("begun_with", {})
    if not begun_with:
        raise WeightsError(
            f"{path} is of an earlier version, which kept no options of a run; begin again with -y"
        )
    return begun_with


def _read_checkpoint(path: Path, device: torch.device) -> dict[str, Any]:
    try:
        state = torch.load(path, map_location=device, weights_only=True)
    except (OSError, RuntimeError, KeyError, ValueError, EOFError, pickle.UnpicklingError) as error:
        raise _no_checkpoint(path, error) from error
    if not isinstance(state, dict):
        raise WeightsError(f"{path} is not a training checkpoint: it holds a {type(state).__name__}")
    return state


def _no_checkpoint(path: Path, error: Exception) -> WeightsError:
    reason = str(error).partition("\n")[0]
    return WeightsError(f"{path} is not a training checkpoint: {reason}")


class BatchLoss(torch.nn.Module):
    """`batch_loss` of a network, as the module that torch's own parallel training wraps."""

    def __init__(self, model: AnyVideoInr, epsilon: float) -> None:
        super().__init__()
        self.model = model
        self.epsilon = epsilon

    def forward(self, batch: Batch) -> Tensor:
        return batch_loss(self.model, batch, self.epsilon)


def batch_loss(model: AnyVideoInr, batch: Batch, epsilon: float = CHARBONNIER_EPSILON) -> Tensor:
    """Return the mean Charbonnier loss over a batch's supervised instants, and the flow's where it is known.

    Pictures alone hardly teach the flow between given frames. It stayed a third of a pixel off, and a network
    that fuses frames along such a flow does not learn what an exact one would show. Coarse levels that were
    not told what to find fell silent, all units of them, and what moves far was lost.
    """
    with torch.no_grad():  # frames beside the pair are encoded as its own are, which is where that is learnt
        before, after = (
            None if frame is None else model.encode_frame(frame) for frame in (batch.before, batch.after)
        )
    first, second = model.encode_frame(batch.first), model.encode_frame(batch.second)
    pair = model.encode_pair(first, second, before=before, after=after)
    height, width = batch.targets[0].shape[-2:]
    window = Window(0, 0, height, width)
    losses = []
    for target, tau in zip(batch.targets, batch.taus, strict=True):
        instant = model.prepare_instant(pair, tau, (height, width), window, 0)
        difference = model.query(instant, window) - target
        losses.append((difference.square() + epsilon**2).sqrt().mean())
    loss = torch.stack(losses).mean()
    loss = loss + FLOW_SHARE * _flow_errors(model.flows_of(pair), batch.flow)
    if batch.wide is not None:
        frames = (model.encode_frame(frame) for frame in (batch.wide.first, batch.wide.second))
        loss = loss + FLOW_SHARE * _flow_errors(model.flows_between(*frames), batch.wide.flow)
    return loss


def _flow_errors(flows: Sequence[Tensor], target: Tensor) -> Tensor:
    """Return the sum of all levels' mean errors, each in pixels of its own grid.

    Args:
        flows: as `VideoInr.flows_of` returns them.
        target: see `Batch.flow`.
    """
    known = target.flatten(0, 1)
    errors = known.new_zeros(())
    for flow in flows:
        errors = errors + _flow_error(flow, known)
        if min(known.shape[-2:]) < 2:  # a patch too small for coarser levels
            break
        known = F.avg_pool2d(known, 2) / 2
    return errors


def _flow_error(flow: Tensor, target: Tensor) -> Tensor:
    """Return the mean distance of (B, 2, h, w) flows where the target is known, which counts 0 elsewhere."""
    known = target.isfinite()
    error = torch.where(known, flow[..., : target.shape[2], : target.shape[3]] - target, 0)
    return error.square().sum(1).add(FLOW_EPSILON**2).sqrt().sub(FLOW_EPSILON).mean()


def train(
    trainer: Trainer,
    sampler: Sampler,
    held_out: list[Shot],
    *,
    checkpoint: Path,
    report: Report = lambda progress: None,
) -> None:
    """Run the schedule to its end, writing `checkpoint` every few minutes and when interrupted.

    Shots that are held out are measured every so often, and in the end.

    Of processes that train together only the first validates, reports and writes.
    """
    team = trainer.team
    last_saved = time.monotonic()
    batches = prefetch(sampler, trainer.step)
    try:
        while trainer.fraction < 1:
            started = time.monotonic()
            batch = next(batches)
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


def prefetch(sampler: Sampler, start: int) -> Generator[Batch, None, None]:
    """Draw batches ahead in a thread of its own: a process could not be forked once torch has run threads."""
    ready: queue.Queue[Batch | Exception] = queue.Queue(PREFETCHED_BATCHES)
    stop = threading.Event()

    def draw() -> None:
        torch.set_num_threads(1)  # of this thread: the others belong to the network
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


@torch.no_grad()
def validate(
    model: AnyVideoInr,
    held_out: list[Shot],
    *,
    device: torch.device,
    degrade: bool = False,
    pairs: int = 16,
    scale: int = 4,
) -> tuple[float, float]:
    """Measure PSNR-Y (dB) of given and of in-between frames, on fixed crops of shots not trained on.

    With `degrade`, what is given is spoilt as a model of real footage learns it, each crop always the same.
    """
    clips = [shot for shot in held_out if len(shot.frames) >= VALIDATION_FRAMES]
    if not clips:
        return math.nan, math.nan
    rng = np.random.default_rng(0)
    scores = []
    for number in range(pairs):
        clip = clips[number % len(clips)]
        start = int(rng.integers(0, max(1, len(clip.frames) - VALIDATION_FRAMES + 1)))
        side = min(256, *clip.frames.shape[1:3]) // (8 * scale) * (8 * scale)
        top, left = (int(rng.integers(0, length - side + 1)) for length in clip.frames.shape[1:3])
        frames = clip.frames[start : start + VALIDATION_FRAMES, top : top + side, left : left + side]
        hr = torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 3, 1, 2).float().div(255).to(device)
        given = reduce(hr[::2], (side // scale, side // scale))
        if degrade:
            given = degraded(given.cpu(), number).to(device)
        before, first, second, after = (model.encode_frame(frame) for frame in given.split(1))
        pair = model.encode_pair(first, second, before=before, after=after)
        scores.append(
            [
                float(psnr(model.render(pair, tau, (side, side)), hr[i : i + 1]))
                for i, tau in ((2, 0.0), (3, 0.5))
            ]
        )
    given, between = np.mean(scores, axis=0)
    return float(given), float(between)
