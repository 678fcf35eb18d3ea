"""Two processes that train together are one process with both their batches."""

from __future__ import annotations

import datetime
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.tiny import TINY
from tests.training.test_loop import noise_clip
from videoinr_cli.model import build
from videoinr_cli.training.distributed import Team
from videoinr_cli.training.loop import train
from videoinr_cli.training.loss import batch_loss
from videoinr_cli.training.recipes import SampleRecipe, Schedule
from videoinr_cli.training.samples import Sampler
from videoinr_cli.training.trainer import Trainer

RECIPE = SampleRecipe(batch_size=2, lr_size=16, context_share=1.0)
SCHEDULE = Schedule(
    steps=4, warmup_steps=1, final_learning_rate=1e-3, gradient_clip=float("inf")
)  # a steady rate, whatever the number of steps
TIMEOUT_SECONDS = 600


def run_worker(checkpoint: Path, stop_after: int) -> None:
    """Train as one of a team, from the checkpoint if there is one, and end the process early if asked to."""
    torch.set_num_threads(1)
    team = Team.from_environment()
    assert team.size == 2
    torch.manual_seed(team.rank)  # different weights at first: the leader's must win
    with team.joined(torch.device("cpu")):
        trainer = Trainer(build(TINY), SCHEDULE, device=torch.device("cpu"), dtype=torch.float32, team=team)
        with team.in_turn():
            if checkpoint.exists():
                trainer.load(checkpoint)
        trainer.schedule = Schedule(**{**vars(SCHEDULE), "steps": stop_after})
        sampler = Sampler([noise_clip()], RECIPE, seed=0, part=team.rank)
        train(trainer, sampler, [], checkpoint=checkpoint)


def torchrun(checkpoint: Path, stop_after: int = SCHEDULE.steps) -> dict[str, torch.Tensor]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*command, __file__, str(checkpoint), str(stop_after)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    state: dict[str, torch.Tensor] = torch.load(checkpoint, weights_only=True)["model"]
    return state


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="torchrun needs libuv there")
def test_two_processes_are_one_with_both_batches_and_resume_exactly(tmp_path: Path) -> None:
    together = torchrun(tmp_path / "whole.pt")

    torch.manual_seed(0)
    alone = Trainer(build(TINY), SCHEDULE, device=torch.device("cpu"), dtype=torch.float32)
    samplers = [Sampler([noise_clip()], RECIPE, seed=0, part=part) for part in (0, 1)]
    for step in range(SCHEDULE.steps):
        for group in alone.optimizer.param_groups:
            group["lr"] = alone.learning_rate()
        alone.optimizer.zero_grad()
        sum(batch_loss(alone.model, sampler.batch(step)) / 2 for sampler in samplers).backward()
        alone.optimizer.step()
        alone.step += 1
    for name, expected in alone.model.state_dict().items():
        # steps are of 1e-3 at most; gradients are averaged in another order of float sums
        torch.testing.assert_close(together[name], expected, atol=1e-6, rtol=0, msg=name)

    torchrun(tmp_path / "half.pt", stop_after=2)
    resumed = torchrun(tmp_path / "half.pt")
    assert all(torch.equal(resumed[name], tensor) for name, tensor in together.items())


def test_the_first_may_decode_for_hours_while_the_others_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, datetime.timedelta] = {}
    monkeypatch.setattr(
        "torch.distributed.init_process_group", lambda backend, **options: asked.update(options)
    )
    monkeypatch.setattr("torch.distributed.destroy_process_group", lambda: None)
    with Team(rank=1, size=2).joined(torch.device("cpu")):
        assert asked["timeout"] >= datetime.timedelta(hours=24)


def test_alone_without_torchrun(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    team = Team.from_environment()
    assert team == Team()
    assert team.leads
    assert team.device("auto") == "auto"
    assert team.leaders(3.5, torch.device("cpu")) == 3.5


if __name__ == "__main__":
    run_worker(Path(sys.argv[1]), int(sys.argv[2]))
