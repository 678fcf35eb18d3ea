"""torch.export takes the small network whole: nothing in it depends on what a picture shows."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from tests.tiny import TINY
from videoinr_cli.model import AnyVideoInr, Window, build


class Enlarging(nn.Module):
    """One instant of a pair, at twice its size."""

    def __init__(self, model: AnyVideoInr) -> None:
        super().__init__()
        self.model = model

    def forward(self, first: Tensor, second: Tensor, tau: Tensor) -> Tensor:
        model = self.model
        pair = model.encode_pair(model.encode_frame(first), model.encode_frame(second))
        size = (2 * first.shape[2], 2 * first.shape[3])
        window = Window(0, 0, *size)
        return model.query(model.prepare_instant(pair, tau, size, window, 1 << 40), window)


@pytest.mark.slow
@torch.no_grad()
def test_a_graph_makes_the_pictures_of_other_frames() -> None:
    torch.manual_seed(0)
    network = Enlarging(build(TINY).eval().requires_grad_(False))
    tau = torch.tensor([0.3])
    graph = torch.export.export(network, (*torch.rand(2, 1, 3, 32, 48), tau), strict=False).module()
    frames = torch.rand(2, 1, 3, 32, 48)
    torch.testing.assert_close(graph(*frames, tau), network(*frames, tau), rtol=0, atol=1e-5)
