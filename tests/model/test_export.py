"""torch.export takes the networks whole, with a height and a width that may change."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from tests.model.test_other_devices import TINY_PUBLISHED
from tests.tiny import TINY, scattered
from videoinr_cli.model import AnyVideoInr, ModelConfig, Window

STRIDE = 8
"""Sizes are multiples of it, so that nothing is padded."""


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
@pytest.mark.parametrize("config", [TINY, TINY_PUBLISHED], ids=lambda config: config.architecture)
@torch.no_grad()
def test_a_graph_serves_for_any_height_and_width(config: ModelConfig) -> None:
    network = Enlarging(scattered(config))
    height, width = (STRIDE * torch.export.Dim(name, min=3, max=128) for name in ("rows", "columns"))
    sizes = {2: height, 3: width}
    tau = torch.tensor([0.3])
    graph = torch.export.export(
        network, (*torch.rand(2, 1, 3, 32, 48), tau), dynamic_shapes=(sizes, sizes, None), strict=False
    ).module()
    for size in ((32, 48), (40, 64)):
        frames = torch.rand(2, 1, 3, *size)
        torch.testing.assert_close(graph(*frames, tau), network(*frames, tau), rtol=0, atol=1e-5)
