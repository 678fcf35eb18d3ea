"""Flow is made as precise as the frames allow, and left alone where they show nothing."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from videoinr_cli.evaluation.resample import reduce
from videoinr_cli.model.flow import FARTHEST, compare, refine_flow, smooth_luma, upsample_flow, warp


def pan(dx: int, dy: int, side: int = 48) -> tuple[Tensor, Tensor]:
    """Return the luma of two LR frames; what they show moves by (dx, dy) quarters of a pixel."""
    cells = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(1))
    picture = F.interpolate(cells, scale_factor=8, mode="bicubic").clamp(0, 1)
    crops = [picture[..., 8 - y : 8 - y + 4 * side, 8 - x : 8 - x + 4 * side] for x, y in ((0, 0), (dx, dy))]
    first, second = (smooth_luma(reduce(crop, (side, side))) for crop in crops)
    return first, second


@pytest.mark.parametrize(("dx", "dy"), [(0, 0), (1, 0), (2, 2), (3, -1), (-6, 5)])
def test_refining_finds_a_pan(dx: int, dy: int) -> None:
    first, second = pan(dx, dy)
    exact = torch.tensor([dx, dy]).view(1, 2, 1, 1) / 8  # pixels of the flow's grid
    noise = torch.randn(1, 2, 24, 24, generator=torch.Generator().manual_seed(2))
    rough = exact + 0.1 * noise + torch.tensor([-0.15, 0.1]).view(1, 2, 1, 1)
    flows = rough, refine_flow(first, second, rough)[0]
    errors = [(flow - exact)[..., 3:-3, 3:-3].norm(dim=1) for flow in flows]
    assert errors[1].median() < 0.04  # a twelfth of an LR pixel
    assert errors[1].mean() < errors[0].mean() / 4


def test_refining_keeps_the_flow_of_what_has_no_texture() -> None:
    flat = torch.full((1, 1, 32, 32), 0.5)
    flow = torch.zeros(1, 2, 16, 16) + torch.tensor([3.0, -2.0]).view(1, 2, 1, 1)
    assert torch.allclose(refine_flow(flat, flat, flow)[0], flow, atol=1e-5)


def test_refining_moves_a_flow_by_no_more_than_what_is_near() -> None:
    first, second = pan(-6, 5)
    flow = torch.full((1, 2, 24, 24), 4.0)
    refined, _ = refine_flow(first, second, flow)
    assert refined.isfinite().all()
    assert (refined - flow).abs().max() <= FARTHEST + 1e-6


def test_comparing_finds_where_a_point_has_moved() -> None:
    features = torch.randn(2, 8, 10, 12, generator=torch.Generator().manual_seed(4))
    moved = torch.roll(features, shifts=(2, -3), dims=(2, 3)) * 5  # how strong features are does not count
    likeness = compare(features, moved, reach=3)
    assert likeness.shape == (2, 49, 10, 12)
    inside = likeness[:, :, 3:-3, 3:-3]
    assert (inside.argmax(dim=1) == (2 + 3) * 7 + (-3 + 3)).all()
    torch.testing.assert_close(inside.amax(dim=1), torch.ones(2, 4, 6))


def test_comparing_finds_nothing_outside_of_the_picture() -> None:
    likeness = compare(torch.ones(1, 4, 5, 5), torch.ones(1, 4, 5, 5), reach=1)
    assert (likeness[0, :3, 0] == 0).all()  # upwards, from the uppermost row


def test_doubling_keeps_where_a_flow_leads() -> None:
    """Half a coarse pixel to the right is one fine pixel."""
    picture = torch.rand(1, 1, 8, 8, generator=torch.Generator().manual_seed(3))
    flow = torch.zeros(1, 2, 4, 4)
    flow[:, 0] = 0.5
    assert torch.equal(warp(picture, upsample_flow(flow))[..., :-1], picture[..., 1:])


def test_warp_moves_by_whole_pixels() -> None:
    features = torch.arange(30.0).view(1, 1, 5, 6)
    flow = torch.zeros(1, 2, 5, 6)
    flow[:, 0], flow[:, 1] = 2, 1
    torch.testing.assert_close(warp(features, flow)[:, :, :4, :4], features[:, :, 1:, 2:])


def test_warp_holds_the_border() -> None:
    features = torch.arange(30.0).view(1, 1, 5, 6)
    flow = torch.full((1, 2, 5, 6), 1000.0)
    assert (warp(features, flow) == 29).all()
