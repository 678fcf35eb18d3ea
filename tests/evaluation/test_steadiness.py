"""Steadiness of methods whose faults are known: perfect, blending, and wrong on purpose."""

from collections.abc import Iterable, Iterator
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from videoinr_cli.errors import InputError
from videoinr_cli.evaluation.baselines import PerFrame
from videoinr_cli.evaluation.protocols import Protocol
from videoinr_cli.evaluation.steadiness import (
    DOT_PATH_PX,
    PAN_PX,
    measure_steadiness,
)

PROTOCOL = Protocol(steps=2, space=2)


@pytest.fixture(scope="module")
def picture() -> Tensor:
    """A smooth random texture that even a coarse grid holds."""
    cells = torch.rand(1, 3, 14, 16, generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.interpolate(cells, size=(112, 128), mode="bicubic").clamp(0, 1)[0]


class Fault:
    """Nearest given frame, enlarged, and then spoilt."""

    name = "fault"
    device = torch.device("cpu")

    def __init__(self, fault: str) -> None:
        self.fault = fault

    def render(self, given: Iterable[Tensor], steps: int, size: tuple[int, int]) -> Iterator[Tensor]:
        for index, frame in enumerate(PerFrame("bicubic", "blend").render(given, steps, size)):
            if self.fault == "pulse" and index % steps:
                frame = torch.nn.functional.avg_pool2d(frame, 9, 1, 4, count_include_pad=False)
            if self.fault == "border":
                frame = frame.clone()
                frame[..., :8, :] = 0.5
            if self.fault == "shift" and index % steps:
                frame = frame.roll(2, dims=-1)
            if self.fault == "brightness" and index % 2:
                frame = frame + 0.04
            yield frame


@pytest.fixture(scope="module")
def honest(picture: Tensor) -> Fault:
    return Fault("none")


def test_repeating_frames_lets_the_motion_stutter(picture: Tensor) -> None:
    blend = measure_steadiness(PerFrame("bicubic", "blend"), picture, PROTOCOL)
    nearest = measure_steadiness(PerFrame("bicubic", "nearest"), picture, PROTOCOL)
    assert nearest.warping_levels > 1.5 * blend.warping_levels
    # Every second frame lags a whole step behind, so the RMS is that step over the square root of two.
    lag = (DOT_PATH_PX[0] ** 2 + DOT_PATH_PX[1] ** 2) ** 0.5
    assert nearest.path_px == pytest.approx(lag / 2**0.5, abs=0.05)


def test_blending_follows_a_straight_path_but_pulses(picture: Tensor) -> None:
    blend = measure_steadiness(PerFrame("bicubic", "blend"), picture, PROTOCOL)
    assert blend.path_px < 0.1
    assert blend.pulsing > 0.02


def test_a_method_that_knows_the_motion_is_steady(picture: Tensor) -> None:
    class Oracle(Fault):
        def render(self, given: Iterable[Tensor], steps: int, size: tuple[int, int]) -> Iterator[Tensor]:
            """Move the first frame along the pan, and blend where that leads out of it."""
            for first, second in pairwise(super().render(given, 1, size)):
                for step in range(steps):
                    dy, dx = (step * pan for pan in PAN_PX)
                    frame = second.clone()
                    frame[..., : size[0] - dy, : size[1] - dx] = first[..., dy:, dx:]
                    yield frame

    steady = measure_steadiness(Oracle("none"), picture, PROTOCOL)
    blend = measure_steadiness(PerFrame("bicubic", "blend"), picture, PROTOCOL)
    assert steady.warping_levels < 0.5 * blend.warping_levels
    assert steady.pulsing < 0.5 * blend.pulsing


@pytest.mark.parametrize(
    ("fault", "field"),
    [
        ("pulse", "pulsing"),
        ("shift", "path_px"),
        ("shift", "warping_levels"),
        ("brightness", "flicker_levels"),
    ],
)
def test_each_fault_shows_in_its_measure(picture: Tensor, honest: Fault, fault: str, field: str) -> None:
    spoilt = getattr(measure_steadiness(Fault(fault), picture, PROTOCOL), field)
    assert spoilt > 1.5 * getattr(measure_steadiness(honest, picture, PROTOCOL), field)


def test_a_bad_border_shows(picture: Tensor, honest: Fault) -> None:
    spoilt = measure_steadiness(Fault("border"), picture, PROTOCOL).border_gain
    assert spoilt < measure_steadiness(honest, picture, PROTOCOL).border_gain - 5


def test_flicker_of_repeated_noise_is_that_of_the_noise() -> None:
    """Enlarged by 1, consecutive frames differ by two independent Gaussians; luma sums three channels."""
    flat = torch.full((3, 96, 110), 0.5)
    result = measure_steadiness(PerFrame("lanczos", "nearest"), flat, Protocol(steps=1, space=1))
    luma_deviation = 3.0 / 255 * (65.481**2 + 128.553**2 + 24.966**2) ** 0.5
    expected = 2**0.5 * luma_deviation * (2 / torch.pi) ** 0.5
    assert result.flicker_levels == pytest.approx(expected, rel=0.02)


def test_a_picture_needs_room_to_pan() -> None:
    with pytest.raises(InputError, match="too small"):
        measure_steadiness(PerFrame("bicubic", "blend"), torch.zeros(3, 40, 40), PROTOCOL)
