"""The state of a training run: weights, their average, optimiser and progress; and its checkpoints.

A checkpoint holds all of it, so that a resumed run continues exactly.
"""

from __future__ import annotations

import copy
import math
import pickle
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from videoinr_cli.errors import WeightsError
from videoinr_cli.model import AnyVideoInr
from videoinr_cli.training.batches import Batch
from videoinr_cli.training.distributed import ALONE, Team
from videoinr_cli.training.loss import BatchLoss
from videoinr_cli.training.recipes import Schedule

RUN_SETTINGS = "run_settings"
FORMER_RUN_SETTINGS = "begun_with"
"""Their key in checkpoints, now and in those of earlier versions."""


class Trainer:
    """Training state: a network's weights, their average, the optimiser, and the progress so far.

    Args:
        model: moved to `device` and trained in place.
        dtype: type in which convolutions run.
        team: the processes that train the network together; gradients are averaged at every step.
        run_settings: options and conditions of the run, which checkpoints keep for `read_run_settings`:
            numbers, texts, and tuples and dictionaries of these.
    """

    def __init__(
        self,
        model: AnyVideoInr,
        schedule: Schedule,
        *,
        device: torch.device,
        dtype: torch.dtype,
        team: Team = ALONE,
        run_settings: Mapping[str, Any] | None = None,
    ) -> None:
        self.schedule = schedule
        self.run_settings = dict(run_settings or {})
        self.device = device
        self.team = team
        self.model = model.to(device).train()
        self.model.compute_dtype = dtype
        self.average = copy.deepcopy(self.model).requires_grad_(False)
        self.start = [parameter.detach().clone() for parameter in self.model.parameters()]
        loss = BatchLoss(self.model, schedule)
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
        """Return the rate of the next step, see `Schedule.rate`."""
        return self.schedule.rate(self.step, self.fraction)

    def train_step(self, batch: Batch) -> None:
        """Take one step on one batch."""
        rate = self.learning_rate()
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        with self._halfway() if self._is_halfway() else nullcontext():
            loss: Tensor = self.batch_loss(batch.to(self.device), halfway=self._is_halfway())
            loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.schedule.gradient_clip)
        if bool(torch.isfinite(norm)):  # an overflow would spoil the weights for good
            self.optimizer.step()
        self.step += 1
        follow(self.average, self.model, self.schedule.average, self.step)
        value = float(loss.detach())
        self.loss = value if math.isnan(self.loss) else 0.99 * self.loss + 0.01 * value

    def _is_halfway(self) -> bool:
        """Whether the next step is one that is judged halfway from the start, these being spread evenly."""
        share = self.schedule.halfway_share
        return int((self.step + 1) * share) > int(self.step * share)

    @contextmanager
    def _halfway(self) -> Iterator[None]:
        """Let the weights be halfway between those begun with and what they are, for one gradient."""
        parameters: list[Tensor] = list(self.model.parameters())
        with torch.no_grad():
            trained = [parameter.clone() for parameter in parameters]
            torch._foreach_lerp_(parameters, self.start, 0.5)
        try:
            yield
        finally:
            with torch.no_grad():
                torch._foreach_copy_(parameters, trained)

    def save(self, path: Path) -> None:
        """Write a checkpoint for `load`; the file appears under its name only when complete."""
        state = {
            RUN_SETTINGS: self.run_settings,
            "config": self.model.config.to_json(),
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "start": self.start,
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
            self.start = state.get("start", self.start)  # earlier versions did not keep it
        except (RuntimeError, KeyError, ValueError) as error:
            raise _no_checkpoint(path, error) from error
        self.step, self.seconds, self.loss = state["step"], state["seconds"], state["loss"]


@torch.no_grad()
def follow(average: torch.nn.Module, model: torch.nn.Module, decay: float, step: int) -> None:
    """Move the exponential average of a module's weights on by one step, in place.

    An early average follows fast, so that the random start does not linger in it.

    Args:
        average: what is moved.
        model: of the same shapes.
        decay: share of the average that stays.
        step: how many were taken.
    """
    decay = min(decay, (1 + step) / (10 + step))
    torch._foreach_lerp_(list(average.parameters()), list(model.parameters()), 1 - decay)


def read_run_settings(path: Path) -> dict[str, Any]:
    """Return a checkpoint's `Trainer.run_settings`.

    Raises:
        WeightsError: not a training checkpoint, or one of an earlier version, which did not keep it.
    """
    state = _read_checkpoint(path, torch.device("cpu"))
    run_settings: dict[str, Any] = state.get(RUN_SETTINGS) or state.get(FORMER_RUN_SETTINGS, {})
    if not run_settings:
        raise WeightsError(
            f"{path} is of an earlier version, which kept no options of a run; begin again with -y"
        )
    return run_settings


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
