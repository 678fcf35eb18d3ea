"""The embedded weights: what a viewer would notice first, on pictures whose right answer is known."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from videoinr_cli.evaluation.metrics import psnr
from videoinr_cli.evaluation.resample import reduce
from videoinr_cli.model import AnyVideoInr
from videoinr_cli.weights import load_model

HEIGHT, WIDTH = 48, 64
SCALES = (1.0, 1.5, 2.0, 3.0, 3.5, 4.0, 6.0, 8.0)
OVERSAMPLING = 8


@pytest.fixture(scope="module")
def network() -> AnyVideoInr:
    return load_model(precision="fp32", device="cpu")


@torch.no_grad()
def render(network: AnyVideoInr, first: Tensor, second: Tensor, tau: float, scale: float) -> Tensor:
    pair = network.encode_pair(network.encode_frame(first), network.encode_frame(second))
    return network.render(pair, tau, (round(HEIGHT * scale), round(WIDTH * scale)))


def positions(length: int, scale: float) -> Tensor:
    """Output pixel centres in LR pixels."""
    return (torch.arange(round(length * scale)) + 0.5) / scale - 0.5


@pytest.mark.parametrize("tau", [0.0, 0.5])
@pytest.mark.parametrize("scale", SCALES)
def test_smooth_ramp_shows_no_grid(network: AnyVideoInr, scale: float, tau: float) -> None:
    def ramp(y: Tensor, x: Tensor) -> Tensor:
        return (0.2 + 0.006 * x[None] + 0.004 * y[:, None]).expand(1, 3, -1, -1)

    y, x = positions(HEIGHT, 1), positions(WIDTH, 1)
    output = render(network, ramp(y, x), ramp(y, x), tau, scale)
    margin = 4 * math.ceil(scale)  # at its edges the picture is held, so the ramp bends there
    error = (output - ramp(positions(HEIGHT, scale), positions(WIDTH, scale))) * 255
    inside = error[0, :, margin:-margin, margin:-margin]
    assert inside.abs().max() < 1  # 8-bit level: nothing that could be seen
    if scale.is_integer():  # the same error at the same place of every LR pixel would be a grid
        pitch = int(scale)
        cells = inside.unfold(1, pitch, pitch).unfold(2, pitch, pitch)  # (3, rows, columns, pitch, pitch)
        pattern = cells.mean(dim=(1, 2))
        assert (pattern - pattern.mean(dim=(1, 2), keepdim=True)).abs().max() < 0.1


@pytest.mark.parametrize("tau", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("scale", SCALES)
def test_dot_stays_in_place(network: AnyVideoInr, scale: float, tau: float) -> None:
    centre_y, centre_x = 24.3, 31.7
    y, x = positions(HEIGHT, OVERSAMPLING), positions(WIDTH, OVERSAMPLING)
    dot = torch.exp(-((y[:, None] - centre_y).square() + (x[None] - centre_x).square()) / (2 * 1.2**2))
    frame = reduce((0.1 + 0.8 * dot).expand(1, 3, -1, -1), (HEIGHT, WIDTH))
    output = render(network, frame, frame, tau, scale)[0].mean(0)
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


@pytest.mark.parametrize("scale", [2.0, 3.5, 4.0])
def test_texture_is_sharper_than_bicubic_and_blending(network: AnyVideoInr, scale: float) -> None:
    size = round(HEIGHT * scale), round(WIDTH * scale)

    def truth(shift_px: float) -> Tensor:
        """Bricks and a diagonal pattern, sliding to the right by LR pixels."""
        y, x = positions(size[0] * 4, 1) / (4 * scale), positions(size[1] * 4, 1) / (4 * scale) - shift_px
        brick = ((x[None] / 7 + (y[:, None] / 4).floor() * 0.5) % 1 > 0.12) & ((y[:, None] / 4) % 1 > 0.2)
        stripes = 0.5 + 0.5 * torch.sin((x[None] + 0.6 * y[:, None]) * 1.4)
        picture = torch.stack([0.25 + 0.4 * brick, 0.2 + 0.3 * brick + 0.1 * stripes, 0.3 + 0.2 * stripes])
        return F.avg_pool2d(picture[None], 4)

    first, second = (reduce(truth(shift), (HEIGHT, WIDTH)) for shift in (0, 2))
    for tau in (0.0, 0.5):
        mixed = torch.lerp(first, second, tau)
        plain = F.interpolate(mixed, size=size, mode="bicubic", antialias=True).clamp(0, 1)
        ours = render(network, first, second, tau, scale)
        assert psnr(ours, truth(2 * tau)) > psnr(plain, truth(2 * tau)) + 0.5  # dB
