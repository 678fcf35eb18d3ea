"""Pans: what a method makes of the instant between two frames that lie far apart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tests.outside import load
from videoinr_cli.errors import InputError
from videoinr_cli.evaluation.baselines import PerFrame

reach = load("benchmarks/reach.py")


@pytest.fixture(scope="module")
def picture() -> Tensor:
    """A texture that is smooth enough to survive its reduction."""
    cells = torch.rand(1, 3, 16, 48, generator=torch.Generator().manual_seed(0))
    return F.interpolate(cells, size=(128, 384), mode="bicubic").clamp(0, 1)[0]


class KnowsTheMotion:
    """Moves the frame before by half of the way that it is told; the picture moves to the left."""

    name = "knows"
    device = torch.device("cpu")

    def __init__(self, speed_px: int) -> None:
        self.half_px = speed_px * reach.ENLARGEMENT // 2

    def render(self, given: Iterable[Tensor], steps: int, size: tuple[int, int]) -> Iterator[Tensor]:
        for index, frame in enumerate(PerFrame("bicubic", "nearest").render(given, steps, size)):
            yield frame.roll(-self.half_px, dims=-1) if index % steps else frame


def test_a_method_that_follows_the_motion_is_as_good_at_every_speed(picture: Tensor) -> None:
    for speed in (2, 10):
        (followed,) = reach.measure_reach(KnowsTheMotion(speed), picture, [speed])
        assert followed > 35  # dB: no more than the reduction has cost


def test_blending_is_the_worse_the_faster(picture: Tensor) -> None:
    slow, fast = reach.measure_reach(PerFrame("bicubic", "blend"), picture, [1, 4])
    assert slow > fast + 5


def test_a_picture_has_to_have_room(picture: Tensor) -> None:
    with pytest.raises(InputError, match="384x128 is too small"):
        reach.measure_reach(PerFrame("bicubic", "blend"), picture, [30])
