"""Networks small enough for a test to run it many times."""

from __future__ import annotations

from typing import ClassVar

import torch

from videoinr_cli.model import AnyVideoInr, FastConfig, LargeConfig, ModelConfig, build

TINY = FastConfig(
    channels=8,
    frame_blocks=1,
    fused_blocks=1,
    pyramid_channels=8,
    field_channels=8,
    motion_channels=8,
    decoder_channels=16,
)

TINY_LARGE = LargeConfig(channels=8, blocks=1, motion=TINY)


class ShortRuns(LargeConfig):
    """Of a network that looks at few frames, as tests have few."""

    run_pairs: ClassVar[int] = 3
    context_frames: ClassVar[int] = 2


SHORT_RUNS = ShortRuns(channels=4, blocks=1, motion=TINY)


def scattered(config: ModelConfig) -> AnyVideoInr:
    """Return a network of random weights under which all that it looks at shows."""
    torch.manual_seed(1)
    model = build(config)
    for name, parameter in model.named_parameters():
        # flows that lead out of the picture would hand on nothing
        torch.nn.init.normal_(parameter, std=0.02 if name.startswith("flow.") else 0.2)
    return model.eval().requires_grad_(False)
