"""How motion gathers speed between two frames: what is believed of the frames beside them, and its effect."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from videoinr_cli import load_model
from videoinr_cli.model.acceleration import agreed, lead, told

AREA = 3


def flow(across: float, down: float = 0.0) -> Tensor:
    return torch.tensor([across, down]).view(1, 2, 1, 1).expand(1, 2, 12, 16).clone()


def of_steps(before: float, between: float, after: float, tau: float = 0.5) -> Tensor:
    """Return what is believed of a picture that moves by so many pixels from frame to frame."""
    flows = torch.cat([flow(-tau * between), flow((1 - tau) * between)], dim=1)
    return agreed(flows, (flow(between - before), flow(after - between)), AREA)


def texture(left: float) -> Tensor:
    """Return a picture, (1, 1, 12, 40), that lies so many pixels to the left of its place."""
    x = torch.arange(40) + left
    return (0.5 + 0.4 * torch.sin(x * 0.9) * torch.sin(x * 0.23)).expand(1, 1, 12, 40).clone()


def told_by(shown: float, said: float) -> Tensor:
    """Return what a frame beside tells of motion by 2 pixels to the left.

    Args:
        shown: by how many pixels more to the right what it shows lies than if motion were steady.
        said: by how many its flow says so.
    """
    away, back = (flow(pixels)[..., :1].expand(1, 2, 12, 40) for pixels in (-2.0, 2.0 + said))
    return told(texture(0), texture(-2 - shown), away, back, 5)[..., 2:-2, 12:-12]


def test_a_frame_beside_is_believed_where_it_is_met_with() -> None:
    right, wrong = told_by(3, 3), told_by(0, 3)
    torch.testing.assert_close(right[:, 0], torch.full_like(right[:, 0], 3.0), atol=0.2, rtol=0)
    assert float(wrong.abs().max()) < 0.2
    assert not told_by(0, 0).any()


def test_where_a_flow_leaves_the_picture_it_tells_nothing() -> None:
    away, back = flow(4), flow(-9)
    found = told(torch.rand(1, 1, 12, 16), torch.rand(1, 1, 12, 16), away, back, 5)
    assert not found[..., :9].any()
    assert found[:, 0, :, 9:].all()


@pytest.mark.parametrize("tau", [0.25, 0.5, 0.75])
def test_even_acceleration_is_found_and_followed(tau: float) -> None:
    """At the time t after the first frame something has come 3 t^2 + 4 t pixels."""
    found = of_steps(4 - 3, 4 + 3, 4 + 3 * 3, tau)
    torch.testing.assert_close(found, flow(6), atol=0.01, rtol=0)
    lies, uniformly = 3 * tau**2 + 4 * tau, 7 * tau
    # a picture is read where it is asked for plus the flow: what lies behind is read farther ahead
    torch.testing.assert_close(lead(torch.tensor(tau), found), flow(uniformly - lies), atol=0.01, rtol=0)


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
