"""What stands still: what holds for any weights, by construction."""

from __future__ import annotations

import json

import pytest
import torch
from torch import Tensor

from tests.tiny import TINY, scattered
from videoinr_cli.model import ModelConfig
from videoinr_cli.model.fast import FastVideoInr, telling_still
from videoinr_cli.model.fast.still import (
    FROZEN_PX,
    PREFERENCE,
    WEIGHED_PX,
    Sides,
    borne_out,
    choose,
    majority,
    stays,
)

ROUNDING = 2e-5
"""Another order of float32 operations moves an output by up to 1e-5."""


def noise(seed: int, height: int = 32, width: int = 48) -> Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def network() -> FastVideoInr:
    """A network that sees no layer in front, and no motion but what least squares find."""
    network = scattered(TINY)
    assert isinstance(network, FastVideoInr)
    assert network.encoder.still is not None
    estimators = [estimator.flow for estimator in network.encoder.flow_estimators]
    for layer in (*estimators, network.temporal.coarse[-1], network.temporal.fine[-1]):
        for parameter in layer.parameters():
            parameter.zero_()
    network.encoder.still.logit.weight.zero_()
    network.encoder.still.logit.bias.fill_(-20)
    return network


def test_what_did_not_change_is_the_mean_of_both_frames_by_time(network: FastVideoInr) -> None:
    first, second = noise(0), noise(0)
    changed = 30
    second[..., changed:] = noise(1)[..., changed:]
    pair = network.encode_pair(network.encode_frame(first), network.encode_frame(second))
    size, still = (64, 96), 2 * (changed - FROZEN_PX // 2 - 1)  # a pixel more: sampled between pixels
    given = [network.render(pair, tau, size)[..., :still] for tau in (0.0, 1.0)]
    assert (given[0] - given[1]).abs().max() > 1e-3, "the frames' surroundings differ"
    for tau in (0.25, 0.5, 0.9):
        shown = network.render(pair, tau, size)[..., :still]
        assert (shown - torch.lerp(*given, tau)).abs().max() < ROUNDING


@pytest.mark.parametrize("colour", [0.0, 1.0, 0.2])
@pytest.mark.parametrize("size", [(32, 48), (75, 99)])
def test_a_flat_picture_is_flat_to_its_border(size: tuple[int, int], colour: float) -> None:
    network = scattered(TINY)
    frame = network.encode_frame(torch.full((1, 3, 29, 43), colour))
    shown = network.render(network.encode_pair(frame, frame), 0.5, size)
    assert (shown - colour).abs().max() < 1e-6


def at(point: float, *, elsewhere: float = 0.0) -> Tensor:
    """Return a row of eleven points, the middle one with a value of its own."""
    row = torch.full((1, 1, 1, 11), elsewhere)
    row[..., 5] = point
    return row


def chosen(tau: float, layers: tuple[Tensor, Tensor], frozen: Tensor, reach_px: float = 0.0) -> Tensor:
    """Return what is chosen, (6, 11), for a motion of twice `reach_px` along the row."""
    motion = torch.zeros(1, 5, 1, 11)
    motion[:, 0], motion[:, 2] = reach_px, -reach_px
    still = torch.cat([torch.cat([layer, frozen], dim=1) for layer in layers])
    return choose(motion, still, torch.full((1, 1, 1, 1), tau))[0, :, 0]


@pytest.mark.parametrize("tau", [0.2, 0.8])
def test_a_layer_stands_still_and_hides_what_is_behind_it(tau: float) -> None:
    layer, nothing = at(1), at(0)
    logit, stands = chosen(tau, (layer, layer), nothing, 2)[4:]
    assert stands.tolist() == [0] * 5 + [1] + [0] * 5
    assert logit[5] == 0, "both frames show it"
    # from point 3 the first frame is read at 5, from point 7 the second one is: there the other shows more
    assert logit[[3, 7]].tolist() == [-PREFERENCE, PREFERENCE]
    assert logit[[0, 1, 2, 4, 6, 8, 9, 10]].tolist() == [0] * 8


def test_what_is_behind_the_layer_in_both_frames_stays() -> None:
    layer = at(0, elsewhere=1)  # a gap of one point
    assert chosen(0.5, (layer, layer), at(0), 2)[5].tolist() == [1] * 11


def test_a_layer_that_appears_does_so_halfway() -> None:
    before, after = (chosen(tau, (at(0), at(1)), at(0)) for tau in (0.4, 0.6))
    assert before[5, 5] == 0
    assert after[5, 5] == 1
    assert after[4, 5] == -PREFERENCE, "the second frame alone shows it"


def test_what_did_not_change_stands_still_unless_something_passes() -> None:
    """Something passes where the motion leads to what did change, in both frames."""
    unchanged = torch.ones(1, 1, 1, 11)
    assert chosen(0.5, (at(0), at(0)), unchanged, 2)[5].tolist() == [1] * 11
    unchanged[..., [3, 7]] = 0
    stands = chosen(0.5, (at(0), at(0)), unchanged, 2)[5]
    assert stands.tolist() == [1, 1, 1, 0, 1, 0, 1, 0, 1, 1, 1]


@torch.no_grad()
def test_files_from_before_are_networks_without_it() -> None:
    fields = json.loads(TINY.to_json())
    del fields["still_channels"]
    config = ModelConfig.from_json(json.dumps(fields))
    torch.manual_seed(0)
    network = FastVideoInr(config).eval().requires_grad_(False)
    assert not [name for name, _ in network.named_parameters() if "still" in name]
    frames = [noise(seed) for seed in (0, 1)]
    before, after = (
        some.render(some.encode_pair(*map(some.encode_frame, frames)), 0.5, (64, 96))
        for some in (network, telling_still(network).requires_grad_(False))
    )
    torch.testing.assert_close(after, before, rtol=0, atol=ROUNDING)


def beside(before: Tensor, here: Tensor, after: Tensor, *, speed_px: float) -> Sides:
    """Compare a frame with the ones before and after it by flows with which all moves to the right."""
    _, _, height, width = here.shape
    flow = torch.zeros(1, 2, height // 2, width // 2)
    flow[:, 0] = speed_px / 2
    return Sides.of(here, [(before, -flow), (after, flow)])


def panned(speed_px: int) -> list[Tensor]:
    """Return three frames of a texture that moves to the right."""
    wide = noise(0, 32, 80)
    return [wide[..., 16 - speed_px * time :][..., :48].clone() for time in range(3)]


INSIDE = (..., slice(4, -4), slice(12, -12))
"""Where motion of 6 px leads to places in the picture."""


def upright(left: int, right: int) -> Tensor:
    bar = torch.zeros(1, 1, 32, 48, dtype=torch.bool)
    bar[..., left:right] = True
    return bar


def test_a_bar_before_what_moves_stays() -> None:
    bar = upright(20, 24)
    frames = [torch.where(bar, 0.5, frame) for frame in panned(6)]
    told = majority(stays(beside(*frames, speed_px=6)))[INSIDE]
    assert told[upright(21, 23)[INSIDE]].all(), "at its edges the average over squares is of both"
    assert not told[~upright(19, 25)[INSIDE]].any()


def test_a_bar_that_fades_stays() -> None:
    bar = upright(20, 24)
    frames = [
        torch.where(bar, torch.lerp(frame, torch.ones(()), 0.9 - 0.2 * time), frame)
        for time, frame in enumerate(panned(6))
    ]
    told = majority(stays(beside(*frames, speed_px=6)))[INSIDE]
    assert told[bar[INSIDE]].float().mean() > 0.7
    assert not told[~upright(19, 25)[INSIDE]].any()


def test_a_picture_that_dissolves_stays() -> None:
    one, other = noise(0, 32, 48), noise(1, 32, 48)
    frames = [torch.lerp(one, other, share) for share in (0.25, 0.5, 0.75)]
    assert majority(stays(beside(*frames, speed_px=6)))[INSIDE].all()


def test_what_hardly_moves_does_not_stay() -> None:
    """Between pixels, what motion leads to is blurred, and so less alike than the mean at the same place."""
    frames = panned(1)
    assert not stays(beside(*frames, speed_px=0.8)).any()


def test_what_passes_does_not_stay_nor_does_what_lies_beside_it() -> None:
    """The motion that is found beside something thin is that of the thin thing."""
    frames = []
    for time in range(3):
        frames.append(torch.full((1, 3, 32, 48), 0.7))
        frames[-1][..., 16 + 6 * time : 19 + 6 * time] = 0
    assert not majority(stays(beside(*frames, speed_px=6))).any()


@pytest.mark.parametrize("speed_px", [0, 6])
def test_what_motion_explains_does_not_stay(speed_px: int) -> None:
    assert not majority(stays(beside(*panned(speed_px), speed_px=speed_px)))[INSIDE].any()


def test_where_motion_explains_all_nothing_is_told_to_stand_still() -> None:
    told = borne_out(torch.full((1, 1, 32, 48), 3.0), beside(*panned(6), speed_px=6))
    assert (told[INSIDE] < 0).all()


def test_what_is_told_stays_told_where_something_stands_still_around_it() -> None:
    frames, bar = panned(6), upright(20, 24)
    sides = beside(*(torch.where(bar, 0.5, frame) for frame in frames), speed_px=6)
    told = borne_out(torch.full((1, 1, 32, 48), 3.0), sides)[INSIDE]
    assert (told > 0)[bar[INSIDE]].all()
    far = upright(20 - WEIGHED_PX, 24 + WEIGHED_PX)[INSIDE]
    assert (told < 0)[~far].all()


def test_what_frames_on_both_sides_show_to_stand_still_needs_to_look_so_less() -> None:
    frames, bar = panned(6), upright(20, 24)
    sides = beside(*(torch.where(bar, 0.5, frame) for frame in frames), speed_px=6)
    told = borne_out(torch.full((1, 1, 32, 48), -0.5), sides)[INSIDE] > 0
    assert told[bar[INSIDE]].float().mean() > 0.9
    assert told[~bar[INSIDE]].float().mean() < 0.05


def test_what_appears_between_two_frames_is_no_more_told_by_them() -> None:
    """One side alone shows it: that it does not change there says nothing."""
    before, here, after = panned(6)
    bar = upright(20, 24)
    sides = beside(before, torch.where(bar, 0.5, here), torch.where(bar, 0.5, after), speed_px=6)
    assert (borne_out(torch.full((1, 1, 32, 48), -0.5), sides)[INSIDE] < 0).all()


def test_what_stays_in_both_frames_of_a_pair_stands_still(
    network: FastVideoInr, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = [upright(16, 24), upright(20, 28)]
    said = iter(told)
    monkeypatch.setattr("videoinr_cli.model.fast.network.stays", lambda sides: next(said))
    with torch.inference_mode():
        before, first, second, after = [network.encode_frame(noise(number)) for number in range(4)]
        assert network.encode_pair(first, second, after=after).still is None, "the first has one neighbour"
        said = iter(told)
        pair = network.encode_pair(first, second, before=before, after=after)
    assert pair.still is not None
    expected = majority(told[0] & told[1]).expand(2, -1, -1, -1)
    assert expected.any()
    assert torch.equal(pair.still[:, :1] > 0.5, expected)
