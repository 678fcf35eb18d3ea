"""How motion gathers speed between two frames: what is believed of the frames beside them, and its effect."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from videoinr_cli import load_model
from videoinr_cli.model.acceleration import acceleration, ahead

AREA = 3


def flow(across: float, down: float = 0.0) -> Tensor:
    return torch.tensor([across, down]).view(1, 2, 1, 1).expand(1, 2, 12, 16).clone()


def of_steps(before: float, between: float, after: float, tau: float = 0.5) -> Tensor:
    """Return the acceleration of a picture that moves by so many pixels from frame to frame."""
    flows = torch.cat([flow(-tau * between), flow((1 - tau) * between)], dim=1)
    return acceleration(flows, (flow(between), flow(-between)), (flow(-before), flow(after)), AREA)


@pytest.mark.parametrize("tau", [0.25, 0.5, 0.75])
def test_even_acceleration_is_found_and_followed(tau: float) -> None:
    """At the time t after the first frame something has come 3 t^2 + 4 t pixels."""
    found = of_steps(4 - 3, 4 + 3, 4 + 3 * 3, tau)
    torch.testing.assert_close(found, flow(6), atol=0.01, rtol=0)
    lies, uniformly = 3 * tau**2 + 4 * tau, 7 * tau
    # a picture is read where it is asked for plus the flow: what lies behind is read farther ahead
    torch.testing.assert_close(ahead(torch.tensor(tau), found), flow(uniformly - lies), atol=0.01, rtol=0)


@pytest.mark.parametrize(
    ("steps", "most"),
    [
        ((5, 5, 5), 1e-6),  # even
        ((0, 0, 20), 1e-6),  # still until the second frame
        ((4, 8, 4), 1e-6),  # a frame is missing between the two: both sides contradict each other
        ((8, 4, 4), 1.01),  # one is missing before the first: a quarter of what that alone would say
        ((-30, 1, 32), 2.01),  # no more than what it moves, twice
    ],
)
def test_no_speed_is_made_up(steps: tuple[float, float, float], most: float) -> None:
    assert float(of_steps(*steps).abs().max()) <= most


def test_frames_between_lie_where_accelerating_motion_has_come() -> None:
    """The small network's, of a texture that has come 4 t^2 + 4 t pixels at the time t: by 0, 8 and 16."""
    model = load_model("videoinr-fast")
    generator = torch.Generator().manual_seed(3)
    texture = F.interpolate(torch.rand(1, 3, 24, 40, generator=generator), (96, 160), mode="bicubic").clamp(
        0, 1
    )

    def frame(t: float) -> Tensor:
        left = 24 + round(4 * t**2 + 4 * t)
        return texture[..., left : left + 96]

    inner = (..., slice(16, -16), slice(16, -16))
    with torch.inference_mode():
        frames = [model.encode_frame(frame(t)) for t in (-1, 0, 1, 2)]
        shown, alone = (
            model.render(pair, 0.5, (96, 96))
            for pair in (model.encode_pair_of(frames, 1), model.encode_pair_of(frames[1:], 0))
        )
    truth = frame(0.5)  # at 3 pixels; by uniform motion at 4
    errors = [float((picture - truth)[inner].abs().mean()) for picture in (shown, alone)]
    assert errors[0] < 0.8 * errors[1]
