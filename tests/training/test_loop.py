"""The loop learns, and a resumed run is the run that was never interrupted."""

from __future__ import annotations

import copy
import dataclasses
import math
import signal
from pathlib import Path
from types import FrameType

import numpy as np
import pytest
import torch

from tests.tiny import TINY
from videoinr_cli.errors import WeightsError
from videoinr_cli.model import build
from videoinr_cli.training.batches import WidePair
from videoinr_cli.training.footage import Shot
from videoinr_cli.training.loop import TrainingProgress, train
from videoinr_cli.training.loss import batch_loss
from videoinr_cli.training.recipes import PAPER, SampleRecipe, Schedule
from videoinr_cli.training.samples import Sampler
from videoinr_cli.training.trainer import Trainer
from videoinr_cli.training.validation import validate

SCHEDULE = Schedule(steps=6, warmup_steps=1, validate_every=3)
RECIPE = SampleRecipe(batch_size=2, lr_size=16)


def noise_clip() -> Shot:
    picture = np.random.default_rng(0).integers(0, 256, (25, 30, 3), dtype=np.uint8)
    picture = picture.repeat(8, axis=0).repeat(8, axis=1)
    return Shot("noise.mp4", np.stack([picture[:, 3 * i : 3 * i + 200] for i in range(9)]))


@pytest.fixture
def sampler() -> Sampler:
    return Sampler([noise_clip()], RECIPE, seed=0)


def new_trainer(schedule: Schedule = SCHEDULE) -> Trainer:
    torch.manual_seed(0)
    return Trainer(build(TINY), schedule, device=torch.device("cpu"), dtype=torch.float32)


def test_resumed_run_equals_an_uninterrupted_one(sampler: Sampler, tmp_path: Path) -> None:
    whole = new_trainer()
    train(whole, sampler, [], checkpoint=tmp_path / "whole.pt")

    half = new_trainer()

    def interrupt(progress: TrainingProgress) -> None:
        if progress.step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(half, sampler, [], checkpoint=tmp_path / "half.pt", report=interrupt)
    check_resumes(whole, sampler, tmp_path / "half.pt")


def test_a_run_judged_halfway_resumes_from_where_it_began(sampler: Sampler, tmp_path: Path) -> None:
    schedule = dataclasses.replace(SCHEDULE, halfway_share=0.5)
    whole = new_trainer(schedule)
    train(whole, sampler, [], checkpoint=tmp_path / "whole.pt")
    half = new_trainer(dataclasses.replace(schedule, steps=3))
    train(half, sampler, [], checkpoint=tmp_path / "half.pt")
    half = new_trainer(schedule)
    half.load(tmp_path / "half.pt")
    assert all(torch.equal(*both) for both in zip(half.start, whole.start, strict=True))


def test_halfway_the_gradient_is_that_of_the_mean_of_the_weights(sampler: Sampler) -> None:
    trainer = new_trainer(dataclasses.replace(SCHEDULE, halfway_share=1.0))
    mean = copy.deepcopy(trainer.model)
    for parameter, mixed in zip(trainer.model.parameters(), mean.parameters(), strict=True):
        parameter.data += 0.01
        mixed.data += 0.005
    was = copy.deepcopy(trainer.model)
    seen = []
    trainer.optimizer.step = lambda: seen.extend(p.grad.clone() for p in trainer.model.parameters())
    trainer.schedule = dataclasses.replace(trainer.schedule, gradient_clip=math.inf)
    batch = sampler.batch(0)
    trainer.train_step(batch)
    batch_loss(mean, batch, trainer.schedule).backward()
    for gradient, mixed in zip(seen, mean.parameters(), strict=True):
        assert torch.allclose(gradient, mixed.grad, atol=1e-4)
    for after, before in zip(trainer.model.parameters(), was.parameters(), strict=True):
        assert torch.equal(after, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_within_a_step_waits_for_its_end(
    sampler: Sampler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    class Ended(BaseException): ...

    def end(number: int, frame: FrameType | None) -> None:
        raise Ended

    whole = new_trainer()
    train(whole, sampler, [], checkpoint=tmp_path / "whole.pt")

    half = new_trainer()
    take_step = half.optimizer.step

    def interrupted_step() -> None:
        take_step()  # the weights are new, and neither their average nor the count of steps is
        if half.step == 2:
            signal.raise_signal(number)

    monkeypatch.setattr(half.optimizer, "step", interrupted_step)
    before = signal.signal(number, end)
    try:
        with pytest.raises(Ended):
            train(half, sampler, [], checkpoint=tmp_path / "half.pt")
        assert signal.getsignal(number) is end
    finally:
        signal.signal(number, before)
    check_resumes(whole, sampler, tmp_path / "half.pt")


def check_resumes(whole: Trainer, sampler: Sampler, checkpoint: Path) -> None:
    """Check that a run that ended after three steps becomes the whole one."""
    resumed = new_trainer()
    resumed.load(checkpoint)
    assert resumed.step == 3
    train(resumed, sampler, [], checkpoint=checkpoint)
    for one, other in ((whole.model, resumed.model), (whole.average, resumed.average)):
        for (name, expected), actual in zip(
            one.state_dict().items(), other.state_dict().values(), strict=True
        ):
            assert torch.equal(expected, actual), name


def test_loss_falls_on_what_it_sees(sampler: Sampler) -> None:
    trainer = new_trainer(dataclasses.replace(SCHEDULE, steps=60, learning_rate=3e-3))
    batch = sampler.batch(0)
    before = float(batch_loss(trainer.average, batch))
    for _ in range(40):
        trainer.train_step(batch)
    assert float(batch_loss(trainer.average, batch)) < 0.8 * before


def test_a_large_pair_teaches_motion_alone(sampler: Sampler) -> None:
    """What it adds to the loss has a gradient where motion is found, none where pictures are drawn."""
    model = new_trainer().model
    frame = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    flow = torch.tensor([-4.0, 0.0]).view(1, 1, 2, 1, 1).expand(2, 1, 2, 32, 32)
    moved = frame.roll(-8, dims=3)
    batch = sampler.batch(1)
    wide = WidePair(frame, moved, torch.cat([flow[:1], -flow[:1]]), torch.zeros(2, 1, 1, 64, 64))
    without, both = (
        torch.autograd.grad(batch_loss(model, some), list(model.parameters()), allow_unused=True)
        for some in (batch, dataclasses.replace(batch, wide=wide))
    )
    changed = {
        name.split(".")[0] + "." + name.split(".")[1]
        for (name, _), before, after in zip(model.named_parameters(), without, both, strict=True)
        if before is not None and after is not None and not torch.allclose(before, after, atol=1e-9)
    }
    assert {"encoder.flow_estimators", "encoder.pyramid", "encoder.still"} <= changed
    assert not any(name.startswith(("spatial", "temporal", "decoder")) for name in changed)


def test_learning_rate_warms_up_and_ends_at_its_last_value() -> None:
    trainer = new_trainer(Schedule(steps=100, warmup_steps=10))
    assert trainer.learning_rate() == pytest.approx(1e-4)
    trainer.step = 50
    assert trainer.learning_rate() == pytest.approx(0.5e-3, rel=1e-2)
    trainer.step = 100
    assert trainer.learning_rate() == pytest.approx(1e-6)


def test_the_papers_rate_restarts_four_times() -> None:
    trainer = new_trainer(PAPER.schedule)
    for step, rate in ((0, 1e-4), (75_000, 0.5e-4), (149_999, 1e-7), (150_000, 1e-4), (599_999, 1e-7)):
        trainer.step = step
        assert trainer.learning_rate() == pytest.approx(rate, rel=0.01)
    trainer.step = 600_000
    assert trainer.learning_rate() == pytest.approx(1e-7)
    assert trainer.optimizer.defaults["betas"] == (0.9, 0.999)


def test_without_averaging_the_weights_themselves_are_kept(sampler: Sampler) -> None:
    trainer = new_trainer(dataclasses.replace(PAPER.schedule, steps=4))
    trainer.train_step(sampler.batch(0))
    for last, kept in zip(trainer.model.parameters(), trainer.average.parameters(), strict=True):
        assert torch.equal(last, kept)


def test_a_shorter_run_keeps_the_papers_proportions() -> None:
    recipe = PAPER.of_length(6_000)
    assert (recipe.schedule.steps, recipe.samples.first_stage_steps) == (6_000, 4_500)
    assert PAPER.of_length(600_000) == PAPER


def test_clock_can_stand_for_steps(sampler: Sampler, tmp_path: Path) -> None:
    trainer = new_trainer(dataclasses.replace(SCHEDULE, minutes=1e-9))
    train(trainer, sampler, [], checkpoint=tmp_path / "run.pt")
    assert trainer.step == 1
    assert trainer.fraction == 1


def test_validation_is_reported_and_reproducible(sampler: Sampler, tmp_path: Path) -> None:
    trainer = new_trainer()
    reports: list[TrainingProgress] = []
    train(trainer, sampler, [noise_clip()], checkpoint=tmp_path / "run.pt", report=reports.append)
    measured = [report.step for report in reports if report.validation]
    assert measured == [3, 6]
    given, between = validate(trainer.average, [noise_clip()], device=trainer.device)
    assert (given, between) == reports[-1].validation
    assert 5 < between <= 60


@pytest.mark.parametrize("length", [{"steps": 2}, {"minutes": 1e-9}])
def test_a_run_is_validated_in_the_end(sampler: Sampler, tmp_path: Path, length: dict[str, float]) -> None:
    trainer = new_trainer(dataclasses.replace(SCHEDULE, **length))
    reports: list[TrainingProgress] = []
    train(trainer, sampler, [noise_clip()], checkpoint=tmp_path / "run.pt", report=reports.append)
    assert reports[-1].validation
    assert not any(report.validation for report in reports[:-1])


def test_validation_is_of_what_is_trained(tmp_path: Path) -> None:
    clip = noise_clip()
    degrading = Sampler([clip], dataclasses.replace(RECIPE, degrade=True), seed=0)
    trainer = new_trainer(dataclasses.replace(SCHEDULE, steps=3))
    reports: list[TrainingProgress] = []
    train(trainer, degrading, [clip], checkpoint=tmp_path / "run.pt", report=reports.append)
    assert reports[-1].validation == validate(trainer.average, [clip], device=trainer.device, degrade=True)
    assert reports[-1].validation != validate(trainer.average, [clip], device=trainer.device)


def test_checkpoint_of_another_configuration_is_refused(tmp_path: Path) -> None:
    new_trainer().save(tmp_path / "run.pt")
    other = Trainer(
        build(dataclasses.replace(TINY, channels=16)),
        SCHEDULE,
        device=torch.device("cpu"),
        dtype=torch.float32,
    )
    with pytest.raises(WeightsError, match="another configuration"):
        other.load(tmp_path / "run.pt")
    (tmp_path / "text.pt").write_text("not a checkpoint")
    with pytest.raises(WeightsError, match="not a training checkpoint"):
        other.load(tmp_path / "text.pt")
