"""Any model as the spatial field: its pictures at any size and instant, and how they are steadied.

The models here are written for the test, behind what every model is wrapped in: their pictures are known.
Real ones are in `tests/weights/test_enlargers.py`.
"""

from __future__ import annotations

import functools

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.tiny import TINY, scattered
from videoinr_cli.model import Window
from videoinr_cli.model.fast import FastVideoInr
from videoinr_cli.model.network import PairEncoding, Place, VideoInr
from videoinr_cli.model.spatial import Enlarger, RestoringVideoInr, SpatialVideoInr
from videoinr_cli.model.spatial.enlarger import HeldTensors
from videoinr_cli.model.spatial.steadying import agreement, steadied
from videoinr_cli.weights import load_model

SIZE = (32, 40)
ROUNDING = 2e-6
"""Of sums in another order."""


class Enlarging(nn.Module):
    """Enlarges as `F.interpolate` does, and adds noise of its own to each picture."""

    def __init__(self, factor: int, noise: float) -> None:
        super().__init__()
        self.factor, self.noise = factor, noise
        self.generator = torch.Generator().manual_seed(5)
        self.layer = nn.Conv2d(3, 3, 1)  # a model has weights, on a device
        nn.init.dirac_(self.layer.weight)
        nn.init.zeros_(self.layer.bias)

    def forward(self, picture: Tensor) -> Tensor:
        enlarged = F.interpolate(picture, scale_factor=self.factor, mode="bilinear")
        return enlarged + self.noise * torch.randn(enlarged.shape, generator=self.generator)


@functools.cache
def embedded() -> object:
    return load_model(device="cpu", precision="fp32")


def network(factor: int, *, noise: float = 0.0, steady: float = 0.0, tiny: bool = False) -> SpatialVideoInr:
    """Return a network of `Enlarging`, whose motion the embedded network tells, or a tiny one."""
    model = Enlarging(factor, noise)
    motion = scattered(TINY) if tiny else embedded()
    assert isinstance(motion, FastVideoInr)
    return SpatialVideoInr(Enlarger(model, model, name="test", factor=factor), motion, steady).eval()


@functools.cache
def texture() -> Tensor:
    coarse = torch.rand(1, 3, 20, 24, generator=torch.Generator().manual_seed(1))
    return F.interpolate(coarse, (100, 120), mode="bicubic").clamp(0, 1)


def panned(count: int, step: int = 2) -> list[Tensor]:
    """Return frames of a picture that moves by whole pixels to the upper left."""
    rows, columns = SIZE
    return [
        texture()[..., step * number : step * number + rows, step * number : step * number + columns]
        for number in range(count)
    ]


def pair_at(model: VideoInr, frames: list[Tensor], place: int) -> PairEncoding:  # type: ignore[type-arg]
    return model.encode_pair_of([model.encode_frame(frame) for frame in frames], place)


@pytest.mark.parametrize(
    ("factor", "size"), [(1, (32, 40)), (1, (50, 45)), (2, (50, 45)), (3, (131, 200)), (8, (64, 80))]
)
@torch.inference_mode()
def test_a_ramp_stays_in_its_place_at_any_size_and_instant(factor: int, size: tuple[int, int]) -> None:
    def ramp(height: int, width: int) -> Tensor:
        y = (torch.arange(height) + 0.5)[:, None] / height
        x = (torch.arange(width) + 0.5) / width
        return torch.stack([y.expand(height, width), x.expand(height, width), (x + y) / 2])[None]

    model = network(factor)
    pair = pair_at(model, [ramp(*SIZE)] * 2, 0)
    inner = (..., slice(size[0] // 4, -size[0] // 4), slice(size[1] // 4, -size[1] // 4))
    # 2.4e-4 of a kernel that is stretched over few samples; 0.0027 of a motion that is estimated
    for tau, tolerance in ((0.0, 5e-4), (1.0, 5e-4), (0.5, 4e-3)):
        rendered = model.render(pair, tau, size)
        torch.testing.assert_close(rendered[inner], ramp(*size)[inner], rtol=0, atol=tolerance)


@torch.inference_mode()
def test_a_frame_is_the_models_own_picture() -> None:
    model = network(3, noise=0.1)
    frames = [model.encode_frame(frame) for frame in panned(2)]
    pair = model.encode_pair_of(frames, 0)
    for tau, frame in zip((0.0, 1.0), frames, strict=True):
        own = model.render(pair, tau, (3 * SIZE[0], 3 * SIZE[1]))
        torch.testing.assert_close(own, frame.picture, rtol=0, atol=ROUNDING)


@torch.inference_mode()
def test_a_frame_without_neighbours_keeps_its_picture() -> None:
    model = network(2, noise=0.1, steady=1.0, tiny=True)
    (frame,) = (model.encode_frame(frame) for frame in panned(1))
    pair = model.encode_pair(frame, frame)  # as a photograph is rendered
    assert torch.equal(pair.pictures[0], frame.picture)


@pytest.mark.parametrize("step", [0, 2])
@torch.inference_mode()
def test_what_a_model_invents_anew_is_averaged_along_the_motion(step: int) -> None:
    frames = panned(4, step)
    clean, noisy, steady = (
        pair_at(network(2, noise=noise, steady=share), frames, 1).pictures  # type: ignore[attr-defined]
        for noise, share in ((0, 0), (0.03, 0), (0.03, 1))
    )
    inner = (..., slice(20, -20), slice(20, -20))

    def deviation(pictures: tuple[Tensor, Tensor]) -> float:
        return (pictures[0] - clean[0])[inner].std().item()

    def flicker(pictures: tuple[Tensor, Tensor]) -> float:
        one, other = pictures
        shifted = torch.roll(other, (2 * step, 2 * step), dims=(2, 3))
        return (one - shifted)[inner].std().item()

    # of three pictures' mean 0.58 and 1/3 are expected; motion that is estimated adds to it
    assert deviation(steady) < 0.65 * deviation(noisy)
    assert flicker(steady) < 0.5 * flicker(noisy)


@torch.inference_mode()
def test_a_neighbour_that_shows_another_thing_is_left_out() -> None:
    here, other = texture()[..., :32, :40], 1 - texture()[..., :32, :40]
    half = torch.cat([here[..., :20], other[..., 20:]], dim=-1)
    still = torch.zeros(1, 2, *SIZE)
    agrees = agreement(here, half, still)
    assert (agrees[..., :18] == 1).all()
    assert agrees[..., 22:].mean() < 0.1  # where both are grey, they agree
    assert (agreement(here, here, still + 200) == 0).all()  # beyond the picture nothing is known
    own, theirs = (F.interpolate(rgb, scale_factor=2, mode="nearest") for rgb in (here, half))
    mixed = steadied(own, here, [(1 - theirs, half, still)], 1.0)
    torch.testing.assert_close(mixed[..., :34], ((own + 1 - theirs) / 2)[..., :34], rtol=0, atol=ROUNDING)
    assert (mixed - own)[..., 46:].abs().mean() < 0.05
    assert torch.equal(steadied(own, here, [(1 - theirs, half, still)], 0.0), own)


@torch.inference_mode()
def test_what_the_pair_before_left_changes_nothing() -> None:
    model = network(2, noise=0.1, steady=0.7, tiny=True)
    frames = [model.encode_frame(frame) for frame in panned(6)]
    carry = None
    for place in range(1, 4):
        run = frames[place - 1 : place + 3]
        pair = model.encode_pair_of(run, 1, carry=carry)
        if carry is not None:
            assert torch.equal(pair.pictures[0], carry.last.picture)  # no jump from pair to pair
        carry = pair.carry
        alone = model.encode_pair_of(run, 1)
        for tau in (0.0, 0.3, 1.0):
            assert torch.equal(model.render(pair, tau, (50, 60)), model.render(alone, tau, (50, 60)))
    fewer = model.encode_pair_of(frames[3:5], 0, carry=carry)  # after a cut: nothing is taken over
    assert torch.equal(fewer.pictures[1], model.encode_pair_of(frames[3:5], 0).pictures[1])


@pytest.mark.parametrize("tau", [0.0, 0.4])
@torch.inference_mode()
def test_windows_chunks_and_tiles_do_not_show(tau: float) -> None:
    model = network(2, steady=1.0)
    whole_pair = pair_at(model, panned(2), 0)
    for size in ((45, 57), (64, 80), (90, 110)):
        whole = model.render(whole_pair, tau, size)
        torch.testing.assert_close(
            model.render(whole_pair, tau, size, chunk_bytes=1), whole, rtol=0, atol=ROUNDING
        )
        part = model.render(whole_pair, tau, size, window=Window(3, 5, 14, 21))
        torch.testing.assert_close(part, whole[:, :, 3:14, 5:21], rtol=0, atol=ROUNDING)
    frames = [texture()[..., step : 80 + step, :112] for step in (0, 2)]
    whole = model.render(pair_at(model, frames, 0), tau, (160, 224))
    tile = pair_at(model, [frame[..., 16:, :80].contiguous() for frame in frames], 0)
    tile = tile.__class__(**{**vars(tile), "place": Place(16, 0, 80, 112)})
    inner = Window(2 * 48, 0, 160, 2 * 48)
    rendered = model.render(tile, tau, (160, 224), window=inner)
    expected = whole[:, :, inner.top : inner.bottom, inner.left : inner.right]
    assert (rendered - expected).abs().mean() < 0.1 / 255  # as `VideoInr.halo_px` promises


@torch.inference_mode()
def test_a_model_that_does_not_enlarge_comes_before_the_small_network() -> None:
    class Darker(Enlarging):
        def forward(self, picture: Tensor) -> Tensor:
            return super().forward(picture) / 2

    small, model = embedded(), Darker(1, 0.0)
    assert isinstance(small, FastVideoInr)
    restoring = RestoringVideoInr(Enlarger(model, model, name="test", factor=1), small)
    frames = panned(3)
    pair = pair_at(restoring, frames, 1)
    expected = pair_at(small, [frame / 2 for frame in frames], 1)
    for tau, size in ((0.0, SIZE), (0.4, (70, 90))):
        assert torch.equal(restoring.render(pair, tau, size), small.render(expected, tau, size))


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_grey_and_opacity_become_the_models_own(channels: int) -> None:
    seen: list[Tensor] = []

    def enlarge(picture: Tensor) -> Tensor:
        seen.append(picture)
        return F.interpolate(picture, scale_factor=2, mode="bicubic", antialias=True)

    rgb = 0.2 + 0.6 * texture()[..., :32, :40]
    made = Enlarger(nn.Conv2d(1, 1, 1), enlarge, name="test", factor=2, channels=channels)(rgb)
    expected = F.interpolate(rgb, scale_factor=2, mode="bicubic", antialias=True)
    torch.testing.assert_close(made, expected, rtol=0, atol=1e-5)
    assert seen[0].shape[1] == channels
    if channels == 4:
        assert (seen[0][:, 3] == 1).all()


def test_half_precision_is_used_where_the_model_bears_it() -> None:
    layer = nn.Conv2d(3, 3, 3, padding=1).requires_grad_(False)
    types: list[torch.dtype] = []
    for halves in (frozenset({torch.bfloat16}), frozenset({torch.float16})):
        enlarger = Enlarger(layer, layer, name="test", factor=1, halves=halves)
        enlarger.use(torch.bfloat16)
        layer.register_forward_hook(lambda _module, _given, made: types.append(made.dtype))
        assert enlarger(texture()).dtype is torch.float32
    assert types[0] is torch.bfloat16
    assert types[-1] is torch.float32


@torch.inference_mode()
def test_the_memory_of_a_model_is_what_lives_at_once() -> None:
    picture = torch.zeros(1, 4, 16, 16)
    with HeldTensors() as memory:
        first = picture + 1  # 4 KiB
        second = torch.cat([first, first])  # 8 KiB
        view = second[:1].view(-1)
        del first, second  # the view holds all of the second
        third = torch.cat([picture] * 3)  # 12 KiB
        del view, third
    assert memory.most == 4 * 4 * 16 * 16 * 5


@torch.inference_mode()
def test_footprint_counts_what_is_held() -> None:
    model = network(4, steady=1.0)
    frames = [texture()[..., :64, step : step + 96] for step in range(7)]
    footprint, pixels = model.footprint(), 64 * 96
    carry = None
    with HeldTensors() as held:
        run = [model.encode_frame(frame) for frame in frames[:4]]
        for frame in frames[4:]:
            pair = model.encode_pair_of(run, 1, carry=carry)
            carry = pair.carry
            del pair
            assert 0.8 * footprint.kept * pixels < held.bytes < 1.05 * footprint.kept * pixels
            run = [*run[1:], model.encode_frame(frame)]
    assert held.most <= (footprint.kept + footprint.encoding) * pixels
    assert held.most >= 0.7 * (footprint.kept + footprint.encoding) * pixels


@torch.inference_mode()
def test_what_a_model_costs_is_measured_and_told() -> None:
    class Wide(Enlarging):
        def forward(self, picture: Tensor) -> Tensor:
            for _ in range(4):
                wide = F.conv2d(picture, self.layer.weight.repeat(100, 1, 1, 1)).relu()
            return super().forward(picture) + wide[:, :1, :1, :1] * 0

    model = Wide(2, 0.0)
    wide = SpatialVideoInr(Enlarger(model, model, name="test", factor=2), network(2, tiny=True).motion, 1.0)
    plain = network(2, tiny=True)
    assert wide.enlarger.cost.effort == pytest.approx(4 * 900 / 3e4, rel=0.01)  # its own layer is not used
    # three layers of 300 channels at once, and what libraries take
    assert 3 * 1200 <= wide.enlarger.cost.peak_bytes <= 3 * 1200 * 1.6
    assert wide.footprint().encoding > plain.footprint().encoding + 1200
    assert wide.effort().following > plain.effort().following
