"""The small network: what holds for any weights, by construction."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tests.tiny import TINY
from videoinr_cli.model import Window
from videoinr_cli.model.fast import FastVideoInr
from videoinr_cli.model.fast.encoder import FastFrame, FastMotion
from videoinr_cli.model.fast.fields import FastPair

ROUNDING = 2e-5
"""Another order of float32 operations moves an output by up to 1e-5."""

SIZES = [(67, 95), (24, 30), (23, 95)]
"""Enlarged so far that a pixel is a point, hardly enlarged, and each along one axis."""


@pytest.fixture
def network() -> FastVideoInr:
    torch.manual_seed(0)
    network = FastVideoInr(TINY).eval()
    with torch.no_grad():
        for parameter in network.parameters():  # away from the small start, so that every path shows
            parameter.mul_(2)
    return network


@pytest.fixture
def frames() -> Tensor:
    """Two frames of a size that has to be padded: (2, 3, 19, 27)."""
    return torch.rand(2, 3, 19, 27, generator=torch.Generator().manual_seed(1))


def encode(network: FastVideoInr, frames: Tensor) -> FastPair:
    return network.encode_pair(network.encode_frame(frames[:1]), network.encode_frame(frames[1:]))


def four_frames() -> tuple[Tensor, ...]:
    """Four frames of (1, 3, 16, 24)."""
    return torch.rand(4, 3, 16, 24, generator=torch.Generator().manual_seed(2)).split(1)


@torch.no_grad()
@pytest.mark.parametrize("size", [(19, 27), (38, 54), (67, 95), (76, 108), (152, 216), (50, 100)])
def test_renders_any_size_finite(network: FastVideoInr, frames: Tensor, size: tuple[int, int]) -> None:
    output = network.render(encode(network, frames), 0.3, size)
    assert output.shape == (1, 3, *size)
    assert output.isfinite().all()


@torch.no_grad()
def test_the_fields_samples_are_those_of_a_pixel_shuffle(network: FastVideoInr) -> None:
    features = torch.rand(2, TINY.channels, 5, 7).contiguous(memory_format=torch.channels_last)
    expected = F.pixel_shuffle(network.spatial.layer(features), TINY.field_upsample)
    torch.testing.assert_close(network.spatial._table(features), expected)


@pytest.mark.parametrize("size", SIZES)
@torch.no_grad()
def test_chunks_do_not_show(network: FastVideoInr, frames: Tensor, size: tuple[int, int]) -> None:
    pair = encode(network, frames)
    whole = network.render(pair, 0.3, size)
    rows = network.render(pair, 0.3, size, chunk_bytes=1)
    torch.testing.assert_close(rows, whole, rtol=0, atol=ROUNDING)


@pytest.mark.parametrize("size", SIZES)
@torch.no_grad()
def test_window_is_part_of_the_whole(network: FastVideoInr, frames: Tensor, size: tuple[int, int]) -> None:
    pair = encode(network, frames)
    whole = network.render(pair, 0.7, size)
    window = Window(top=11, left=20, bottom=20, right=29)
    part = network.render(pair, 0.7, size, window=window)
    torch.testing.assert_close(part, whole[:, :, 11:20, 20:29], rtol=0, atol=ROUNDING)


@torch.no_grad()
@pytest.mark.parametrize(("tau", "given"), [(0.0, 0), (1.0, 1)])
def test_given_frame_is_never_displaced(
    network: FastVideoInr, frames: Tensor, tau: float, given: int
) -> None:
    network.decoder.layer3.weight.zero_()  # leave the blend alone
    network.spatial.layer.weight.zero_()
    network.decoder.layer3.bias.zero_()
    network.spatial.layer.bias.zero_()
    u = TINY.field_upsample
    rgb = network.encode_frame(frames).rgb
    enlarged = F.interpolate(rgb, scale_factor=u, mode="bicubic", antialias=True)[:, :, : 19 * u, : 27 * u]
    output = network.render(encode(network, frames), tau, (19 * u, 27 * u))
    torch.testing.assert_close(output, enlarged[given : given + 1], rtol=0, atol=ROUNDING)


@torch.no_grad()
def test_flat_pair_stays_flat_at_untrained_start() -> None:
    torch.manual_seed(0)
    network = FastVideoInr(TINY).eval()
    network.decoder.layer3.weight.zero_()
    network.spatial.layer.weight.zero_()
    frames = torch.full((2, 3, 16, 16), 0.25)
    output = network.render(encode(network, frames), 0.5, (56, 56))
    torch.testing.assert_close(output, torch.full_like(output, 0.25), rtol=0, atol=1e-5)


@torch.no_grad()
def test_each_pair_of_a_batch_has_its_own_instant(network: FastVideoInr, frames: Tensor) -> None:
    batch = torch.cat([frames[:1], frames[:1]]), torch.cat([frames[1:], frames[1:]])
    pair = network.encode_pair(network.encode_frame(batch[0]), network.encode_frame(batch[1]))
    window = Window(0, 0, 38, 54)
    taus = torch.tensor([0.2, 0.9])
    both = network.query(network.prepare_instant(pair, taus, (38, 54), window, 0), window)
    for index, tau in enumerate((0.2, 0.9)):
        alone = network.render(encode(network, frames), tau, (38, 54))
        torch.testing.assert_close(both[index : index + 1], alone, rtol=0, atol=ROUNDING)


@torch.no_grad()
def test_frames_beside_the_pair_are_used(network: FastVideoInr) -> None:
    before, first, second, after = (network.encode_frame(frame) for frame in four_frames())
    alone = network.render(network.encode_pair(first, second), 0.3, (32, 40))
    for beside in ({"before": before}, {"after": after}):
        fused = network.render(network.encode_pair(first, second, **beside), 0.3, (32, 40))
        assert (fused - alone).abs().max() > 1e-3


@torch.no_grad()
def test_a_frame_beside_counts_once_however_often_it_is_there(network: FastVideoInr) -> None:
    _, first, second, _ = (network.encode_frame(frame) for frame in four_frames())
    pair = network.encode_pair(first, second)
    again = network.encode_pair(first, second, before=second, after=first)
    again = dataclasses.replace(again, accelerations=None)  # which random flows say there is
    torch.testing.assert_close(
        network.render(again, 0.3, (32, 40)), network.render(pair, 0.3, (32, 40)), rtol=0, atol=ROUNDING
    )


@torch.no_grad()
def test_taking_over_from_the_pair_before_changes_nothing(network: FastVideoInr) -> None:
    frames = [network.encode_frame(frame) for frame in four_frames()]
    earlier = network.encode_pair(frames[0], frames[1], after=frames[2])
    beside = {"before": frames[0], "after": frames[3]}
    carried = network.encode_pair(frames[1], frames[2], **beside, carry=earlier.carry)
    fresh = network.encode_pair(frames[1], frames[2], **beside)
    assert torch.equal(network.render(carried, 0.3, (32, 40)), network.render(fresh, 0.3, (32, 40)))
    assert carried.carry.motions[0] is earlier.carry.motions[1], "the motion was known"
    assert earlier.carry.view.frame is frames[1]


@torch.no_grad()
def test_a_view_is_fused_once(network: FastVideoInr, monkeypatch: pytest.MonkeyPatch) -> None:
    fused: list[FastFrame] = []
    fuse = network.encoder.fuse

    def counted(frame: FastFrame, motions: Sequence[FastMotion]) -> Tensor:
        fused.append(frame)
        return fuse(frame, motions)

    monkeypatch.setattr(network.encoder, "fuse", counted)
    frames = [network.encode_frame(frame) for frame in four_frames()]
    earlier = network.encode_pair(frames[0], frames[1], after=frames[2])
    network.encode_pair(frames[1], frames[2], before=frames[0], after=frames[3], carry=earlier.carry)
    assert [frames.index(frame) for frame in fused] == [0, 1, 2]


def test_gradient_reaches_every_weight(network: FastVideoInr, frames: Tensor) -> None:
    pair = encode(network, frames)
    window = Window(0, 0, 38, 54)
    network.query(network.prepare_instant(pair, 0.4, (38, 54), window, 0), window).square().mean().backward()
    without = [
        name for name, weight in network.named_parameters() if weight.grad is None or not weight.grad.any()
    ]
    assert without == []


@torch.no_grad()
def test_half_precision_stays_close(network: FastVideoInr, frames: Tensor) -> None:
    exact = network.render(encode(network, frames), 0.5, (76, 108))
    network.compute_dtype = torch.bfloat16
    rounded = network.render(encode(network, frames), 0.5, (76, 108))
    assert not torch.equal(rounded, exact)
    assert (rounded - exact).square().mean().sqrt() < 0.01 * exact.std()


def test_training_samples_as_inference_does(network: FastVideoInr, frames: Tensor) -> None:
    trained = network.render(encode(network, frames), 0.4, (67, 95)).detach()
    with torch.no_grad():
        inferred = network.render(encode(network, frames), 0.4, (67, 95))
    torch.testing.assert_close(trained, inferred, rtol=0, atol=ROUNDING)
