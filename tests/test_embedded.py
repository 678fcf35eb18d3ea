"""The embedded weights: what a viewer would notice first, on pictures whose right answer is known."""

from __future__ import annotations

import functools
import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from tests.outside import load
from videoinr_cli.evaluation.baselines import PerFrame
from videoinr_cli.evaluation.clips import find_clips
from videoinr_cli.evaluation.measure import measure_quality
from videoinr_cli.evaluation.methods import ModelMethod
from videoinr_cli.evaluation.metrics import LUMA_WEIGHTS, psnr
from videoinr_cli.evaluation.protocols import Protocol
from videoinr_cli.evaluation.resample import reduce
from videoinr_cli.evaluation.steadiness import NOISE_LEVELS, measure_steadiness
from videoinr_cli.model import AnyVideoInr
from videoinr_cli.weights import load_model

EMBEDDED = ("clean", "real")
MODELS = (*EMBEDDED, pytest.param("large", marks=pytest.mark.network))
EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "clip.mp4"
HEIGHT, WIDTH = 48, 64
SCALES = (1.0, 1.25, 1.5, 1.75, 2.0, 2.25, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0, 7.0, 8.0)
OVERSAMPLING = 8
RAMP_LIMITS = {"clean": 1, "real": 2, "vivid": 2, "large": 1}
"""Levels of 255 by which a smooth ramp may be off anywhere."""
PLATE_LIMITS = {"clean": 4, "real": 14, "large": 1}
"""Levels by which rings of an amplitude of 76 may be off on average. The model of real footage takes the
finest of them for noise."""


@functools.cache
def embedded(name: str) -> AnyVideoInr:
    return load_model(name, precision="fp32", device="cpu")


@pytest.fixture
def network() -> AnyVideoInr:
    return embedded("clean")


@torch.no_grad()
def render(network: AnyVideoInr, first: Tensor, second: Tensor, tau: float, scale: float) -> Tensor:
    pair = network.encode_pair(network.encode_frame(first), network.encode_frame(second))
    return network.render(pair, tau, (round(HEIGHT * scale), round(WIDTH * scale)))


def positions(length: int, scale: float) -> Tensor:
    """Output pixel centres in LR pixels."""
    return (torch.arange(round(length * scale)) + 0.5) / scale - 0.5


@pytest.mark.parametrize("tau", [0.0, 0.5])
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("model", [*MODELS, "vivid"])
def test_smooth_ramp_shows_no_grid(model: str, scale: float, tau: float) -> None:
    def ramp(y: Tensor, x: Tensor) -> Tensor:
        return (0.2 + 0.006 * x[None] + 0.004 * y[:, None]).expand(1, 3, -1, -1)

    y, x = positions(HEIGHT, 1), positions(WIDTH, 1)
    output = render(embedded(model), ramp(y, x), ramp(y, x), tau, scale)
    margin = 4 * math.ceil(scale)  # at its edges the picture is held, so the ramp bends there
    error = (output - ramp(positions(HEIGHT, scale), positions(WIDTH, scale))) * 255
    inside = error[0, :, margin:-margin, margin:-margin]
    assert inside.abs().max() < RAMP_LIMITS[model]
    assert grid(inside, scale) < 0.25


@pytest.mark.parametrize("tau", [0.0, 0.5])
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("model", MODELS)
def test_zone_plate_shows_no_grid(model: str, scale: float, tau: float) -> None:
    """Rings from coarse to a quarter of the sampling rate, in every direction: where aliasing would show."""

    def plate(y: Tensor, x: Tensor) -> Tensor:
        square_px = (y[:, None] - 23.4).square() + (x[None] - 31.7).square()
        rings = torch.cos(math.pi * 0.25 / 40 * square_px)  # 0.25 cycles per LR pixel at 40 px
        return (0.5 + 0.3 * rings).expand(1, 3, -1, -1)

    fine = plate(positions(HEIGHT, OVERSAMPLING), positions(WIDTH, OVERSAMPLING))
    frame = reduce(fine, (HEIGHT, WIDTH))
    output = render(embedded(model), frame, frame, tau, scale)
    error = (output - plate(positions(HEIGHT, scale), positions(WIDTH, scale))) * 255
    margin = 4 * math.ceil(scale)
    inside = error[0, :, margin:-margin, margin:-margin]
    assert inside.square().mean().sqrt() < PLATE_LIMITS[model]  # the rings are there
    assert grid(inside, scale) < max(0.75, by_chance(inside, scale))


def grid(error: Tensor, scale: float) -> float:
    """Return the largest deviation, over (C, H, W), of what repeats wherever LR pixels lie the same way."""
    pattern = _cells(error, scale).mean(dim=(1, 2))
    return float((pattern - pattern.mean(dim=(1, 2), keepdim=True)).abs().max())


def by_chance(error: Tensor, scale: float) -> float:
    """Return what `grid` finds at the most where nothing repeats: six deviations of a mean of all cells."""
    cells = _cells(error, scale)
    return float(6 * error.std() / math.sqrt(cells.shape[1] * cells.shape[2]))


def _cells(error: Tensor, scale: float) -> Tensor:
    pitch = Fraction(scale).numerator  # output pixels after which positions within an LR pixel recur
    return error.unfold(1, pitch, pitch).unfold(2, pitch, pitch)  # (C, rows, columns, pitch, pitch)


def test_a_grid_would_be_found() -> None:
    """The measure itself: one pixel of every pitch brighter by 1.5 levels, under noise of 2."""
    noise = 2 * torch.randn(3, 140, 210, generator=torch.Generator().manual_seed(0))
    for scale in (2.0, 3.5, 4.0):
        pitch = Fraction(scale).numerator
        marked = noise.clone()
        marked[:, ::pitch, ::pitch] += 1.5
        assert grid(marked, scale) > 0.75 > by_chance(marked, scale) > grid(noise, scale)


@pytest.mark.parametrize("tau", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("model", MODELS)
def test_dot_stays_in_place(model: str, scale: float, tau: float) -> None:
    centre_y, centre_x = 24.3, 31.7
    y, x = positions(HEIGHT, OVERSAMPLING), positions(WIDTH, OVERSAMPLING)
    dot = torch.exp(-((y[:, None] - centre_y).square() + (x[None] - centre_x).square()) / (2 * 1.2**2))
    frame = reduce((0.1 + 0.8 * dot).expand(1, 3, -1, -1), (HEIGHT, WIDTH))
    output = render(embedded(model), frame, frame, tau, scale)[0].mean(0)
    weight = (output - 0.12).clamp(min=0)  # what rises from the background
    found_y = (weight.sum(1) * positions(HEIGHT, scale)).sum() / weight.sum()
    found_x = (weight.sum(0) * positions(WIDTH, scale)).sum() / weight.sum()
    assert float(found_y) == pytest.approx(centre_y, abs=0.05)  # LR pixels
    assert float(found_x) == pytest.approx(centre_x, abs=0.05)


@pytest.mark.parametrize("tau", [0.25, 0.5, 0.75])
def test_moving_dot_is_where_it_should_be(network: AnyVideoInr, tau: float) -> None:
    def frame(centre_x: float) -> Tensor:
        y, x = positions(HEIGHT, OVERSAMPLING), positions(WIDTH, OVERSAMPLING)
        dot = torch.exp(-((y[:, None] - 24).square() + (x[None] - centre_x).square()) / (2 * 2.0**2))
        return reduce((0.1 + 0.8 * dot).expand(1, 3, -1, -1), (HEIGHT, WIDTH))

    output = render(network, frame(30), frame(34), tau, 4)[0].mean(0)
    weight = (output - 0.15).clamp(min=0)
    found = (weight.sum(0) * positions(WIDTH, 4)).sum() / weight.sum()
    assert float(found) == pytest.approx(30 + 4 * tau, abs=0.3)
    assert float(output.max()) > 0.8  # one dot, not two halves of one


def test_steadier_than_blending(network: AnyVideoInr) -> None:
    """Over time: hardly more flicker than the given frames have, motion on its path, sound edges."""
    cells = torch.rand(1, 3, 40, 48, generator=torch.Generator().manual_seed(1))
    picture = F.interpolate(cells, size=(160, 192), mode="bicubic").clamp(0, 1)[0]
    protocol = Protocol(steps=2, space=4)
    ours = measure_steadiness(ModelMethod("ours", network), picture, protocol)
    blend = measure_steadiness(PerFrame("bicubic", "blend"), picture, protocol)
    assert ours.warping_levels < 0.8 * blend.warping_levels
    assert ours.pulsing < 0.5 * blend.pulsing
    assert ours.path_px < 0.2  # output pixels; 0.05 of the source's
    noise_levels = NOISE_LEVELS / 255 * math.hypot(*LUMA_WEIGHTS)  # deviation in luma
    change_levels = noise_levels * 2 / math.sqrt(math.pi)  # mean, from one given frame to the next
    assert ours.flicker_levels < 1.1 * change_levels
    assert ours.border_gain > -3  # dB; a pan brings in at the edges what only one frame shows


@pytest.mark.parametrize(("speed_px", "gain"), [(1, 2), (8, 10), (16, 10), (20, 8)])
def test_fast_motion_is_followed(network: AnyVideoInr, speed_px: int, gain: float) -> None:
    picture = octaves(200, 800)[0]
    measure_reach = load("benchmarks/reach.py").measure_reach
    (ours,) = measure_reach(ModelMethod("ours", network), picture, [speed_px])
    (blend,) = measure_reach(PerFrame("bicubic", "blend"), picture, [speed_px])
    assert ours > blend + gain  # dB


@pytest.mark.parametrize("scale", [2.0, 3.5, 4.0])
def test_texture_is_sharper_than_bicubic_and_blending(network: AnyVideoInr, scale: float) -> None:
    first, second = (reduce(texture(shift, scale), (HEIGHT, WIDTH)) for shift in (0, 2))
    for tau in (0.0, 0.5):
        mixed = torch.lerp(first, second, tau)
        truth = texture(2 * tau, scale)
        plain = F.interpolate(mixed, size=truth.shape[2:], mode="bicubic", antialias=True).clamp(0, 1)
        ours = render(network, first, second, tau, scale)
        assert psnr(ours, truth) > psnr(plain, truth) + 0.5  # dB


def test_each_model_is_the_better_one_for_its_footage() -> None:
    """The example clip as it is, and after x264 at a low rate."""
    clips = find_clips(EXAMPLE)
    for crf, better, worse in ((None, "clean", "real"), (28.0, "real", "clean")):
        protocol = Protocol(space=2, max_frames=5, crf=crf)
        measured = {
            name: measure_quality(ModelMethod(name, embedded(name)), clips, protocol) for name in EMBEDDED
        }
        plain = measure_quality(PerFrame("bicubic", "blend"), clips, protocol)
        assert measured[better].average().psnr > measured[worse].average().psnr
        assert measured[better].average().psnr > plain.average().psnr


def test_at_the_sources_size_its_pixels_are_kept(network: AnyVideoInr) -> None:
    """Who wants more frames only gets them beside the frames there are."""
    first, middle, second = (reduce(texture(shift, 4), (HEIGHT, WIDTH)) for shift in (0, 1, 2))
    assert psnr(render(network, first, second, 0.0, 1), first) > 44  # dB
    between = psnr(render(network, first, second, 0.5, 1), middle)
    assert between > psnr((first + second) / 2, middle) + 6


def texture(shift_px: float, scale: float) -> Tensor:
    """Bricks and a diagonal pattern, enlarged, that slide to the right by source pixels."""
    height, width = round(HEIGHT * scale), round(WIDTH * scale)
    y, x = positions(height * 4, 1) / (4 * scale), positions(width * 4, 1) / (4 * scale) - shift_px
    brick = ((x[None] / 7 + (y[:, None] / 4).floor() * 0.5) % 1 > 0.12) & ((y[:, None] / 4) % 1 > 0.2)
    stripes = 0.5 + 0.5 * torch.sin((x[None] + 0.6 * y[:, None]) * 1.4)
    picture = torch.stack([0.25 + 0.4 * brick, 0.2 + 0.3 * brick + 0.1 * stripes, 0.3 + 0.2 * stripes])
    return F.avg_pool2d(picture[None], 4)


@pytest.mark.parametrize(("model", "speed_px"), [("clean", 4), ("clean", 12), ("real", 4)])
@torch.no_grad()
def test_a_subtitle_stands_before_a_pan(model: str, speed_px: int) -> None:
    """Halfway between two frames, letters and outlines are by 1 dB better than blended ones at least."""
    scenery = octaves(100, 400)
    letters, outlined = (subtitle(100, 200, width) for width in (0, 3))

    def seen(time: float) -> Tensor:
        left = round(2 * speed_px * time) + 100
        return scenery[..., left : left + 200] * (1 - outlined) + letters

    given = [F.avg_pool2d(seen(time), 2) for time in (-1.5, -0.5, 0.5, 1.5)]
    network = embedded(model)
    frames = [network.encode_frame(frame) for frame in given]
    pair = network.encode_pair(frames[1], frames[2], before=frames[0], after=frames[3])
    between = network.render(pair, 0.5, (100, 200))
    blend = F.interpolate((given[1] + given[2]) / 2, scale_factor=2, mode="bicubic", antialias=True)
    errors = [((shown - seen(0)) * outlined).square().mean() for shown in (between, blend)]
    assert errors[0] < 0.79 * errors[1]


def octaves(height: int, width: int) -> Tensor:
    """Return (1, 3, height, width): noise of several sizes, as strong at each."""
    generator = torch.Generator().manual_seed(2)
    sides = [(height // px, width // px) for px in (4, 10, 25, 50)]
    cells = [torch.rand(1, 3, *side, generator=generator) for side in sides]
    octaves = [F.interpolate(octave, (height, width), mode="bicubic") for octave in cells]
    return torch.stack(octaves).mean(dim=0).clamp(0, 1)


def subtitle(height: int, width: int, outline_px: int) -> Tensor:
    """Return the mask of a line of text, with an outline."""
    image = Image.new("L", (width, height))
    ImageDraw.Draw(image).text(
        (width // 2, height // 2),
        "I shall wait.",
        fill=255,
        font=ImageFont.load_default(28),
        anchor="mm",
        stroke_width=outline_px,
        stroke_fill=255,
    )
    return torch.from_numpy(np.array(image)).float().div(255).expand(1, 3, -1, -1)


@pytest.mark.parametrize("scale", [1.0, 2.0, 3.5])
def test_grain_does_not_pulse(network: AnyVideoInr, scale: float) -> None:
    """There is as much fine detail between as in a given frame; a blend would have 71 % at most."""
    height, width = 96, 128
    generator = torch.Generator().manual_seed(0)
    y, x = positions(height, 1)[:, None], positions(width, 1)

    def grainy(right_px: float) -> Tensor:
        noise = torch.randn((1, 1, height, width), generator=generator) * 6 / 255
        waves = 0.5 + 0.2 * torch.sin((x - right_px) / 9) * torch.cos(y / 7)
        return (waves + noise).expand(-1, 3, -1, -1).clamp(0, 1)

    @torch.no_grad()
    def detail(tau: float) -> float:
        shown = network.render(pair, tau, (round(height * scale), round(width * scale)))[..., 16:-16, 16:-16]
        return float((shown - F.avg_pool2d(shown, 5, 1, 2, count_include_pad=False)).std())

    with torch.no_grad():
        pair = network.encode_pair(network.encode_frame(grainy(0)), network.encode_frame(grainy(2.6)))
    given = detail(0)
    for tau in (0.2, 0.5, 0.8):
        assert 0.85 < detail(tau) / given < 1.05


@pytest.mark.parametrize(("gain", "offset"), [(0.45, 0.55), (0.3, 0.0)])
def test_a_flash_leaves_what_moves_whole(network: AnyVideoInr, gain: float, offset: float) -> None:
    """Structure halfway to a brighter or darker frame is as near to the truth as between two equal ones."""
    y, x = positions(HEIGHT, 2)[:, None], positions(WIDTH, 2)

    def drawn(right_px: float) -> Tensor:
        waves = (
            0.5 + 0.2 * torch.sin((x - right_px) / 2) * torch.cos(y / 3) + 0.1 * torch.sin(y + x - right_px)
        )
        return waves.expand(1, 3, -1, -1)

    def error(gain: float, offset: float) -> float:
        first, second = (F.avg_pool2d(frame, 2) for frame in (drawn(0), gain * drawn(3) + offset))
        shown = render(network, first, second, 0.5, 2)
        due = (1 + gain) / 2 * drawn(1.5) + offset / 2
        return float((shown - due)[..., 12:-12, 12:-12].abs().mean()) * 2 / (1 + gain)

    assert error(gain, offset) < 1.5 * error(1, 0)


@pytest.mark.parametrize("level", [0.0, 1.0])
def test_what_fades_into_black_or_white_stays_where_it_is(network: AnyVideoInr, level: float) -> None:
    y, x = positions(HEIGHT, 1)[:, None], positions(WIDTH, 1)
    first = (0.5 + 0.2 * torch.sin(x / 2) * torch.cos(y / 3)).expand(1, 3, -1, -1)
    second = torch.full_like(first, level)
    whole, half = (render(network, first, second, tau, 2) for tau in (0.0, 0.5))
    assert (half - (whole + level) / 2).abs().max() < 2 / 255
    assert (render(network, first, second, 1.0, 2) - level).abs().max() < 1e-5
