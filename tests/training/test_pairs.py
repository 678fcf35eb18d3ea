"""What a network is given and what it is to make of that belong together, at any scale."""

from __future__ import annotations

import dataclasses
import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.training.test_footage import scene, write_picture, write_video
from tests.training.test_loop import new_trainer
from videoinr_cli.errors import InputError, OutputError
from videoinr_cli.training.footage import Frames
from videoinr_cli.training.loop import train
from videoinr_cli.training.loss import BatchLoss, batch_loss, picture_loss, sharpened
from videoinr_cli.training.pairs import ClipPair, PairSampler, load_pairs
from videoinr_cli.training.recipes import PAIRS, SampleRecipe
from videoinr_cli.training.validation import validate

RECIPE = SampleRecipe(batch_size=4, lr_size=16, fixed_scale_share=1.0, max_gap=2, context_share=1.0)


def clip(count: int, height: int, width: int, *, pixel: Fraction, first: int = 0) -> Frames:
    """Red and green say where a pixel is, in sixths of an LR pixel; blue which frame it is of."""
    frames = np.zeros((count, height, width, 3), np.uint8)
    for axis, channel in ((1, 1), (2, 0)):
        positions = [round(6 * (index + 0.5) * pixel) for index in range(frames.shape[axis])]
        frames[..., channel] = np.reshape(positions, (-1, 1) if axis == 1 else (1, -1))
    frames[..., 2] = 20 * (first + np.arange(count))[:, None, None]
    return frames


def pair_of(scale: Fraction = Fraction(4), lr_count: int = 7, hr_count: int = 3) -> ClipPair:
    first = (lr_count - hr_count) // 2
    lr = clip(lr_count, 24, 36, pixel=Fraction(1))
    return ClipPair("a", lr, clip(hr_count, int(24 * scale), int(36 * scale), pixel=1 / scale, first=first))


@pytest.mark.parametrize("scale", [Fraction(4), Fraction(2), Fraction(3, 2)])
def test_pictures_show_what_is_given_when_they_say(scale: Fraction) -> None:
    sampler = PairSampler([pair_of(scale)], RECIPE, seed=1)
    gaps = set()
    for step in range(8):
        batch = sampler.batch(step)
        assert batch.before is not None
        assert batch.after is not None
        for number in range(RECIPE.batch_size):
            before, first, second, after = (
                255 * frames[number] for frames in (batch.before, batch.first, batch.second, batch.after)
            )
            moment = [float(frame[2].mean()) / 20 for frame in (before, first, second, after)]
            gap = moment[2] - moment[1]
            gaps.add(round(abs(gap)))
            assert np.allclose(np.diff(moment), gap, atol=1e-3)  # what is beside the pair is as far from it
            for target, tau in zip(batch.targets, batch.taus, strict=True):
                picture = 255 * target[number]
                assert float(picture[2].mean()) / 20 == pytest.approx(moment[1] + gap * float(tau[number]))
                assert picture.shape[-1] == 16 * scale
                for channel in (0, 1):  # the middle of the patch is the middle of the picture
                    middle = float(first[channel].mean())
                    assert float(picture[channel].mean()) == pytest.approx(middle, abs=0.5)
                    spread = float(picture[channel].std()) / float(first[channel].std())
                    assert spread == pytest.approx(1, abs=0.02)
    assert gaps == {1, 2}


def test_some_batches_are_of_lesser_scales() -> None:
    sampler = PairSampler([pair_of()], dataclasses.replace(RECIPE, fixed_scale_share=0.0), seed=1)
    sizes = {sampler.batch(step).targets[0].shape[-1] for step in range(12)}
    assert len(sizes) > 4
    assert 16 * RECIPE.scale_range[0] - 1 <= min(sizes) < max(sizes) <= 64


def test_a_batch_is_of_one_scale_and_the_same_every_time() -> None:
    pairs = [pair_of(), pair_of(Fraction(2))]
    one, other = (PairSampler(pairs, RECIPE, seed=3) for _ in range(2))
    one.batch(0)
    assert torch.equal(one.batch(5).targets[1], other.batch(5).targets[1])
    assert {one.batch(step).targets[0].shape[-1] for step in range(8)} == {32, 64}


def test_single_pictures_are_pairs_too() -> None:
    batch = PairSampler([pair_of(lr_count=1, hr_count=1)], RECIPE, seed=0).batch(0)
    assert torch.equal(batch.first, batch.second)
    assert len(batch.targets) == 1
    assert batch.taus[0].isfinite().all()


def test_a_single_picture_within_a_clip_is_a_given_frame_or_between_two() -> None:
    sampler = PairSampler([pair_of(hr_count=1)], RECIPE, seed=1)
    shown = set()
    for step in range(8):
        batch = sampler.batch(step)
        (target,), (taus,) = batch.targets, batch.taus
        for number, tau in enumerate(taus.tolist()):
            first, second = (
                255 * float(frame[number, 2].mean()) / 20 for frame in (batch.first, batch.second)
            )
            assert 255 * float(target[number, 2].mean()) / 20 == pytest.approx(first + tau * (second - first))
            shown.add((tau, round(abs(second - first))))
    assert shown == {(0, 1), (0, 2), (1, 1), (1, 2), (0.5, 2)}


@pytest.mark.parametrize(
    ("lr", "hr", "says"),
    [
        ((6, 24, 36), (3, 96, 144), "6 LR and 3 HR frames"),
        ((1, 24, 36), (3, 96, 144), "1 LR and 3 HR frames"),
        ((3, 24, 36), (3, 96, 143), "36x24 and 143x96"),
        ((3, 24, 36), (3, 12, 18), "36x24 and 18x12"),
    ],
)
def test_clips_that_do_not_belong_together_are_refused(
    lr: tuple[int, ...], hr: tuple[int, ...], says: str
) -> None:
    with pytest.raises(InputError, match=says):
        ClipPair("a", np.zeros((*lr, 3), np.uint8), np.zeros((*hr, 3), np.uint8))


def test_a_patch_larger_than_the_clips_is_refused() -> None:
    with pytest.raises(InputError, match="--patch"):
        PairSampler([pair_of()], dataclasses.replace(RECIPE, lr_size=32), seed=0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for side, factor in (("lr", 1), ("hr", 2)):
        (tmp_path / side).mkdir()
        write_video(tmp_path / side / "a.mp4", scene(1, 3, height=32 * factor, width=48 * factor))
        picture = scene(2, 1, height=32 * factor, width=48 * factor)[0]
        write_picture(tmp_path / side / f"b.{'bmp' if factor == 1 else 'png'}", picture)
    return tmp_path


def test_a_folder_is_decoded_once(folder: Path) -> None:
    said: list[str] = []
    pairs = load_pairs([folder], folder / "cache", report=said.append)
    assert [(pair.source, len(pair.lr), pair.scale) for pair in pairs] == [("a", 3, 2), ("b", 1, 2)]
    assert len(said) == 4
    assert np.array_equal(pairs[1].hr[0], scene(2, 1, height=64, width=96)[0])
    load_pairs([folder], folder / "cache", report=said.append)
    assert len(said) == 4


def test_a_folder_of_something_else_is_refused(folder: Path) -> None:
    with pytest.raises(InputError, match="there is nothing in it"):
        load_pairs([folder / "lr"], folder / "cache")
    (folder / "hr" / "b.png").unlink()
    with pytest.raises(InputError, match="'b' is on one side only"):
        load_pairs([folder], folder / "cache")


def test_a_clip_that_cannot_be_decoded_is_refused(folder: Path) -> None:
    (folder / "lr" / "a.mp4").write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"a\.mp4"):
        load_pairs([folder], folder / "cache")


def test_a_cache_that_cannot_be_written_is_refused(folder: Path) -> None:
    with pytest.raises(OutputError, match="--cache"):
        load_pairs([folder], folder / "lr" / "a.mp4")


PLAIN = dataclasses.replace(PAIRS.schedule, charbonnier_epsilon=0.0, gradient_share=0.0)


def test_edges_count_by_their_share() -> None:
    schedule = dataclasses.replace(PLAIN, gradient_share=0.5)
    black, grey, edge = torch.zeros(1, 3, 8, 8), torch.full((1, 3, 8, 8), 0.1), torch.zeros(1, 3, 8, 8)
    edge[..., 4:] = 0.2
    assert float(picture_loss(grey, black, schedule)) == pytest.approx(0.1)
    # a step of 0.2 between two of eight columns, seen along one of two axes
    assert float(picture_loss(edge, black, schedule)) == pytest.approx(0.1 + 0.5 * (0.2 / 7) / 2)


def test_sharpened_pictures_keep_flat_areas_and_ramps_and_overshoot_at_edges() -> None:
    ramp = torch.linspace(0.2, 0.8, 64).expand(1, 3, 64, 64)
    inner = (..., slice(16, 48), slice(16, 48))
    torch.testing.assert_close(sharpened(ramp, 2.0, 2.0)[inner], ramp[inner])
    edge = torch.full((1, 3, 64, 64), 0.3)
    edge[..., 32:] = 0.7
    sharp = sharpened(edge, 1.0, 2.0)
    torch.testing.assert_close(sharp[..., :16], edge[..., :16])
    row = sharp[0, 0, 32]
    # at a pixel's distance from the step, a Gaussian takes away the share of it that lies beyond
    beyond = 0.5 * (1 - math.erf(0.5 / 2 / math.sqrt(2)))
    assert float(row[32] - row[31]) == pytest.approx(0.4 * (1 + 2 * beyond), abs=0.01)
    assert float(sharpened(edge, 9.0, 2.0).amax()) == 1.0


def test_targets_are_sharpened_half_as_much_in_steps_judged_halfway() -> None:
    trainer = new_trainer(PAIRS.schedule)
    batch = PairSampler([pair_of()], RECIPE, seed=0).batch(0)
    half = dataclasses.replace(PAIRS.schedule, sharpening=PAIRS.schedule.sharpening / 2)
    told = BatchLoss(trainer.model, PAIRS.schedule)(batch, halfway=True)
    assert told == batch_loss(trainer.model, batch, half)
    assert told != batch_loss(trainer.model, batch, PAIRS.schedule)


def test_pairs_are_trained_on_and_measured(tmp_path: Path) -> None:
    trainer = new_trainer(dataclasses.replace(PAIRS.schedule, steps=2, validate_every=1))
    sampler = PairSampler([pair_of()], RECIPE, seed=0)
    reports = []
    train(trainer, sampler, [pair_of()], checkpoint=tmp_path / "run.pt", report=reports.append)
    assert reports[-1].validation == validate(trainer.average, [pair_of()], device=trainer.device)
    assert 5 < reports[-1].validation[0] < 60
