"""A batch is a pure function of its step, and its pictures belong together."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from videoinr_cli.errors import InputError
from videoinr_cli.evaluation.resample import reduce
from videoinr_cli.model.flow import warp
from videoinr_cli.training.crops import Places, in_floats
from videoinr_cli.training.footage import Shot
from videoinr_cli.training.recipes import PAPER, SampleRecipe
from videoinr_cli.training.samples import Sampler, _Drawn, in_motion

RECIPE = SampleRecipe(batch_size=6, lr_size=16)
MOVING = dataclasses.replace(
    RECIPE, drawn_share=0.0, sparse_share=0.0, tiled_share=0.0, tripod_share=0.0, overlay_share=0.0
)
"""Photographs that all move and are seen as they are."""
TIMES = np.array([-1.0, 0.0, 0.4, 1.0, 2.0])


def sliding_clip(count: int = 9, side: int = 160) -> Shot:
    """A smooth picture that moves by one pixel a frame to the left: x is read off its red channel."""
    x = np.arange(side + count)
    picture = np.zeros((side, side + count, 3), np.uint8)
    picture[..., 0] = x
    picture[..., 1] = np.arange(side)[:, None]
    picture[..., 2] = np.random.default_rng(0).integers(0, 256, picture.shape[:2])
    return Shot("sliding.mp4", np.stack([picture[:, i : i + side] for i in range(count)]))


def still(seed: int, side: int = 200) -> Shot:
    small = np.random.default_rng(seed).integers(0, 256, (1, side // 4, side // 4, 3), dtype=np.uint8)
    return Shot(f"still{seed}.jpg", small.repeat(4, axis=1).repeat(4, axis=2))


@pytest.fixture
def sampler() -> Sampler:
    return Sampler([sliding_clip(), still(1), still(2)], RECIPE, seed=7)


def test_same_step_gives_the_same_batch(sampler: Sampler) -> None:
    later = Sampler(sampler.clips + sampler.stills, RECIPE, seed=7)
    sampler.batch(0)
    for name in ("first", "second"):
        assert torch.equal(getattr(sampler.batch(5), name), getattr(later.batch(5), name))
    assert not torch.equal(sampler.batch(5).first, sampler.batch(6).first)


def test_scales_and_shapes(sampler: Sampler) -> None:
    sizes = set()
    for step in range(12):
        batch = sampler.batch(step)
        assert batch.first.shape == batch.second.shape == (6, 3, 16, 16)
        for target, tau in zip(batch.targets, batch.taus, strict=True):
            assert target.shape[:2] == (6, 3)
            assert target.shape[2] == target.shape[3]
            assert tau.shape == (6,)
            assert ((tau >= 0) & (tau <= 1)).all()
            assert ((target >= 0) & (target <= 1)).all()
        sizes.add(batch.targets[0].shape[2])
    assert 64 in sizes
    assert len(sizes) > 3


def test_first_target_is_the_first_frame(sampler: Sampler) -> None:
    batch = sampler.batch(3)
    torch.testing.assert_close(reduce(batch.targets[0], (16, 16)), batch.first)


def test_degrading_spoils_what_is_given_and_nothing_else(sampler: Sampler) -> None:
    spoiling = Sampler(
        sampler.clips + sampler.stills, dataclasses.replace(RECIPE, degrade=True, context_share=1.0), seed=7
    )
    clean = Sampler(spoiling.clips + spoiling.stills, dataclasses.replace(RECIPE, context_share=1.0), seed=7)
    before, after = clean.batch(2), spoiling.batch(2)
    assert all(map(torch.equal, before.targets, after.targets))
    assert all(map(torch.equal, before.taus, after.taus))
    for name in ("before", "first", "second", "after"):
        given, spoilt = getattr(before, name), getattr(after, name)
        assert given.shape == spoilt.shape
        difference = (given - spoilt).abs().mean(dim=(1, 2, 3)) * 255
        assert (difference > 0).all()
        assert difference.mean() < 40  # levels, of white noise: still the same pictures
        assert torch.equal(spoilt, getattr(spoiling.batch(2), name))


def test_clip_instants_are_where_tau_says() -> None:
    recipe = dataclasses.replace(RECIPE, still_share=0.0, fixed_scale_share=1.0)
    sampler = Sampler([sliding_clip()], recipe, seed=1)
    rng = np.random.default_rng(4)
    for _ in range(20):
        crops, (tau,) = sampler._from_clip(rng, 64)
        red = in_floats(crops)[:, 0].mean(dim=(1, 2)) * 255
        assert float((red[2] - red[1]) / (red[3] - red[1])) == pytest.approx(float(tau), abs=1e-3)


def test_frames_beside_the_pair_are_as_far_from_it_as_its_own_are_apart() -> None:
    sampler = Sampler([sliding_clip()], dataclasses.replace(RECIPE, still_share=0.0), seed=1)
    rng = np.random.default_rng(5)
    complete = 0
    for _ in range(20):
        crops, _ = sampler._from_clip(rng, 64)
        before, first, _, second, after = (in_floats(crops)[:, 0].mean(dim=(1, 2)) * 255).tolist()
        assert before in (pytest.approx(2 * first - second, abs=1e-3), first)
        assert after in (pytest.approx(2 * second - first, abs=1e-3), second)
        complete += before != first and after != second
    assert complete


def test_frames_beside_the_pair_are_left_out_now_and_then(sampler: Sampler) -> None:
    batches = [sampler.batch(step) for step in range(30)]
    assert {batch.before is None for batch in batches} == {True, False}
    assert {batch.after is None for batch in batches} == {True, False}


def test_still_moves_and_its_path_is_shared() -> None:
    """With the same draw, the instant at tau = 1 would be the second frame: motion is continuous in time."""
    sampler = Sampler([still(1), still(2)], MOVING, seed=1)
    frames, _ = from_still(sampler, 3, 64, 16)
    assert frames.shape == (5, 3, 64, 64)
    ends = (frames[1] - frames[3]).abs().mean()
    halves = (frames[1] - frames[2]).abs().mean(), (frames[2] - frames[3]).abs().mean()
    assert ends > 0
    assert max(halves) <= ends * 1.1


def from_still(sampler: Sampler, seed: int, size: int, lr_size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the frames of one scene and the flow between the pair's."""
    layers = sampler._scene(np.random.default_rng(seed), size, TIMES)
    drawn = _Drawn(TIMES, None, layers, [])
    frames, flow = in_motion([drawn], size, lr_size)
    return frames[0], flow[0]


def smooth_still(side: int = 200) -> Shot:
    """Smooth at the size of an LR pixel, so that bilinear sampling hardly errs."""
    cells = torch.rand(1, 3, side // 25, side // 25, generator=torch.Generator().manual_seed(0))
    picture = F.interpolate(cells, size=(side, side), mode="bicubic").clamp(0, 1) * 255
    return Shot("smooth.jpg", picture.permute(0, 2, 3, 1).byte().numpy())


def test_flow_leads_from_each_frame_of_a_pair_to_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """However the sample was flipped, transposed and turned around in time; the border may lead outside."""
    monkeypatch.setattr("videoinr_cli.training.samples.MAX_LAYERS", 1)
    monkeypatch.setattr("videoinr_cli.training.synthetic.REACH_PX", 10)
    recipe = dataclasses.replace(MOVING, lr_size=32, batch_size=8)
    sampler = Sampler([smooth_still()], recipe, seed=0)
    errors = torch.zeros(2, 2)  # of each way; along the flow, and without
    for step in range(4):
        batch = sampler.batch(step)
        first, second = (F.avg_pool2d(frame, 2) for frame in (batch.first, batch.second))
        ways = ((first, second, batch.flow[0]), (second, first, batch.flow[1]))
        for way, (here, there, flow) in enumerate(ways):
            assert flow.shape == (8, 2, 16, 16)
            for number, to in enumerate((flow, 0 * flow)):
                errors[way, number] += (warp(there, to) - here)[..., 4:-4, 4:-4].abs().mean()
    assert (errors[:, 0] < errors[:, 1] / 3).all()


def test_flow_is_that_of_the_layer_in_front() -> None:
    """Layers of one colour each: where a colour is seen, the flow is one affine motion."""
    photographs = [Shot(f"{v}.jpg", np.full((1, 200, 200, 3), v, np.uint8)) for v in range(0, 250, 8)]
    recipe = dataclasses.replace(MOVING, lr_size=64, sparse_share=RECIPE.sparse_share)
    sampler = Sampler(photographs, recipe, seed=0)
    checked = 0
    for seed in range(6):
        frames, flow = from_still(sampler, seed, 128, 64)
        # the flow's points lie between four pixels
        grey = F.avg_pool2d(frames[1, :1], 4)[0] * 255
        points = torch.stack(torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij"), -1)
        points = F.pad(points, (0, 1), value=1.0)
        for colour in grey.unique():
            seen = grey == colour
            if seen.sum() > 40:
                there = flow[0].permute(1, 2, 0)[seen]
                fit = torch.linalg.lstsq(points[seen], there).solution
                assert (points[seen] @ fit - there).abs().max() < 0.01
                checked += 1
    assert checked > 6  # several layers in some


def test_some_batches_have_a_large_pair_whose_flow_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("videoinr_cli.training.samples.MAX_LAYERS", 1)
    monkeypatch.setattr("videoinr_cli.training.synthetic.REACH_PX", 10)
    recipe = dataclasses.replace(MOVING, batch_size=1, wide_every=2, wide_size=96)
    batches = [Sampler([smooth_still(400)], recipe, seed=0).batch(step) for step in range(8)]
    assert [batch.wide is not None for batch in batches] == [True, False] * 4
    for wide in (batch.wide for batch in batches[::2]):
        assert wide is not None
        assert wide.first.shape == wide.second.shape == (1, 3, 96, 96)
        assert wide.flow.shape == (2, 1, 2, 48, 48)
        first, second = (F.avg_pool2d(frame, 2) for frame in (wide.first, wide.second))
        for here, there, flow in ((first, second, wide.flow[0]), (second, first, wide.flow[1])):
            errors = [(warp(there, to) - here)[..., 8:-8, 8:-8].abs().mean() for to in (flow, 0 * flow)]
            assert errors[0] < errors[1] / 3


def test_clips_alone_have_no_large_pair() -> None:
    assert Sampler([sliding_clip()], RECIPE, seed=0).batch(0).wide is None


def test_drawings_and_sparse_pictures_are_among_what_moves() -> None:
    """Noise has hardly two neighbours alike; drawings and what is smooth have."""
    noise = np.random.default_rng(0).integers(0, 256, (1, 400, 400, 3), dtype=np.uint8)
    alike = {}
    for drawn, spread in ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0)):
        recipe = dataclasses.replace(RECIPE, drawn_share=drawn, sparse_share=spread, soft_share=0.0)
        sampler = Sampler([Shot("noise.jpg", noise)], recipe, seed=0)
        crops = torch.cat([sampler._picture(np.random.default_rng(seed), 300) for seed in range(4)])
        alike[drawn, spread] = float(((crops[..., 1:] - crops[..., :-1]).abs() < 0.02).float().mean())
    assert alike[0.0, 0.0] < 0.1
    assert alike[1.0, 0.0] > 0.5
    assert alike[0.0, 1.0] > 0.5


def test_what_is_said_to_stand_still_is_the_same_in_both_frames_and_stays_so_between() -> None:
    recipe = dataclasses.replace(MOVING, overlay_share=1.0, batch_size=16, lr_size=32, fixed_scale_share=1.0)
    batch = Sampler([still(1), still(2)], recipe, seed=0).batch(0)
    _, between = batch.targets
    assert batch.still.shape == (2, 16, 1, 32, 32)
    covered = (batch.still[0] == 1).expand(-1, 3, -1, -1)
    assert 0.02 < float(covered.float().mean()) < 0.6
    apart = (batch.first - batch.second).abs()
    assert apart[covered].mean() < apart[~covered].mean() / 4  # some are half transparent
    away = (reduce(between, (32, 32)) - batch.first).abs()
    assert away[covered].mean() < away[~covered].mean() / 4


def test_what_appears_does_so_halfway_and_is_not_said_to_stand_still(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("videoinr_cli.training.overlays.SHARED_SHARE", 0.0)
    recipe = dataclasses.replace(MOVING, overlay_share=1.0, tripod_share=1.0, batch_size=16, lr_size=32)
    monkeypatch.setattr("videoinr_cli.training.samples.MAX_LAYERS", 1)
    batch = Sampler([still(1), still(2)], recipe, seed=0).batch(0)
    assert not batch.still.any()
    between = reduce(batch.targets[1], (32, 32))
    tau = batch.taus[1]
    nearer = torch.where((tau > 0.5).view(-1, 1, 1, 1), batch.second, batch.first)
    assert (between - nearer).abs().max() < 1e-4
    assert (batch.first - batch.second).abs().max() > 0.5


def test_text_may_move_and_is_not_said_to_stand_still() -> None:
    plain = Shot("plain", np.full((1, 400, 400, 3), 128, np.uint8))
    recipe = dataclasses.replace(MOVING, tripod_share=1.0, batch_size=8, lr_size=32)
    frames = [
        torch.cat([batch.first, batch.second])
        for batch in (
            Sampler([plain], dataclasses.replace(recipe, lettered_share=share), seed=0).batch(0)
            for share in (0.0, 1.0)
        )
        if not batch.still.any()
    ]
    assert (frames[0] - 0.5).abs().max() < 0.01, "pictures of one colour"
    apart = (frames[1][:8] - frames[1][8:]).abs()
    assert apart.max() > 0.3


def test_flow_of_a_clip_is_unknown() -> None:
    batch = Sampler([sliding_clip()], RECIPE, seed=0).batch(0)
    assert batch.flow.shape == (2, 6, 2, 8, 8)
    assert batch.flow.isnan().all()


def test_detailed_places_are_drawn_more_often() -> None:
    rng = np.random.default_rng(6)
    flat = Shot("flat", np.full((1, 200, 200, 3), 90, np.uint8))
    noisy = Shot("noisy", rng.integers(0, 256, (1, 200, 200, 3), dtype=np.uint8))
    for candidates, share in ((1, 0.5), (4, 1 - 0.5**4)):
        places = Places([flat, noisy], candidates=candidates)
        drawn = [places.draw(rng, 64).shot is noisy for _ in range(400)]
        assert np.mean(drawn) == pytest.approx(share, abs=0.1)


@pytest.mark.parametrize("frames", [3, 5])
def test_short_clips_are_not_read_beyond_their_end(frames: int) -> None:
    """A place leaves two frames after it, so that there is an instant between the given ones."""
    clip = Shot("short", sliding_clip().frames[:frames])
    sampler = Sampler([clip], dataclasses.replace(RECIPE, still_share=0.0), seed=1)
    rng = np.random.default_rng(7)
    for _ in range(20):
        crops, (tau,) = sampler._from_clip(rng, 64)
        assert crops.shape[0] == 5
        assert 0 < tau < 1


PAPERS = dataclasses.replace(
    PAPER.samples, batch_size=3, lr_size=16, first_stage_steps=4
)  # as it is, but for its size


def test_the_papers_windows_have_three_of_nine_frames() -> None:
    sampler = Sampler([sliding_clip(count=24), sliding_clip(count=6)], PAPERS, seed=2)
    seen = set()
    for step in range(12):
        batch = sampler.batch(step)
        assert batch.before is None
        assert batch.after is None
        assert len(batch.targets) == len(batch.taus) == 3
        ninths = torch.stack(batch.taus) * 8
        torch.testing.assert_close(ninths, ninths.round())
        seen |= {round(float(ninth)) for ninth in ninths.flatten()}
        for sample in range(3):
            assert len({round(float(ninth)) for ninth in ninths[:, sample]}) == 3
    assert seen == set(range(9))


def test_the_papers_instants_lie_where_tau_says() -> None:
    sampler = Sampler([sliding_clip(count=24)], PAPERS, seed=2)
    rng = np.random.default_rng(4)
    for _ in range(10):
        crops, taus = sampler._from_clip(rng, 64)
        red = in_floats(crops)[:, 0].mean(dim=(1, 2)) * 255
        shown = (red[2:-2] - red[1]) / (red[-2] - red[1])
        torch.testing.assert_close(shown, torch.tensor(taus).float(), atol=1e-3, rtol=0)


def test_the_papers_scale_is_4_first_and_any_later() -> None:
    sampler = Sampler([sliding_clip(count=24)], PAPERS, seed=2)
    sizes = [sampler.batch(step).targets[0].shape[-1] for step in range(16)]
    assert sizes[:4] == [64] * 4
    assert len(set(sizes[4:])) > 5
    assert min(sizes) >= 16
    assert max(sizes) <= 64


def test_the_papers_scale_is_uniform_and_ours_by_its_logarithm() -> None:
    """Half of the scales lie below the middle of the range, or of its logarithm."""
    every = dataclasses.replace(
        RECIPE, batch_size=1, lr_size=16, scale_range=(1.0, 4.0), fixed_scale_share=0.0, candidates=1
    )
    for by_logarithm, middle in ((PAPER.samples.scale_by_logarithm, 2.5), (RECIPE.scale_by_logarithm, 2.0)):
        recipe = dataclasses.replace(every, scale_by_logarithm=by_logarithm)
        sampler = Sampler([sliding_clip()], recipe, seed=0)
        scales = [sampler.batch(step).targets[0].shape[-1] / 16 for step in range(200)]
        below = np.mean(np.array(scales) < middle)
        assert below == pytest.approx(0.5, abs=0.08)  # two deviations of 200 draws


def test_the_papers_windows_are_all_as_likely() -> None:
    """In a clip that stands still, too; ours prefers what moves, and a long clip less than by its length."""
    resting = Shot("resting", np.full((28, 160, 160, 3), 90, np.uint8))
    moving = sliding_clip(count=13)
    for recipe, odds in ((PAPERS, [20 / 25, 5 / 25]), (RECIPE, [28**0.5, 13**0.5] / np.sqrt([28, 13]).sum())):
        sampler = Sampler([resting, moving], dataclasses.replace(recipe, candidates=1), seed=0)
        assert sampler.clip_odds == pytest.approx(odds)
        rng = np.random.default_rng(0)
        rests = [len(sampler._from_clip(rng, 64)[0].unique()) == 1 for _ in range(200)]
        share = odds[0] if recipe is PAPERS else odds[0] ** 3  # three draws that all rest
        assert np.mean(rests) == pytest.approx(share, abs=0.08)  # two deviations


def test_parts_share_the_scale_and_nothing_else() -> None:
    shots = [sliding_clip(), still(1), still(2)]
    first, second = (Sampler(shots, RECIPE, seed=7, part=part) for part in (0, 1))
    for step in range(8):
        one, other = first.batch(step), second.batch(step)
        assert one.targets[0].shape == other.targets[0].shape
        assert not torch.equal(one.first, other.first)


def test_footage_without_a_long_enough_clip_is_refused() -> None:
    with pytest.raises(InputError, match="more than 8 frames"):
        Sampler([sliding_clip(count=8)], PAPERS, seed=0)
