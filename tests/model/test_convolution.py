"""Convolutions on CPUs that lack what the fastest way needs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from videoinr_cli.model import convolution
from videoinr_cli.model.convolution import residual_block

PROGRAM = """
import torch
from videoinr_cli.model.convolution import dense
x, weight = torch.ones(1, 2, 2, 64), torch.ones(32, 64)
for dtype in (torch.float32, torch.bfloat16):
    with torch.inference_mode():
        assert torch.equal(dense(x.to(dtype), weight.to(dtype)), torch.full((1, 2, 2, 32), 64, dtype=dtype))
"""


def test_half_precision_needs_no_instructions_of_its_own() -> None:
    environment = os.environ | {"ONEDNN_MAX_CPU_ISA": "AVX2"}  # read when torch is imported
    subprocess.run([sys.executable, "-c", PROGRAM], env=environment, check=True)


def block() -> tuple[torch.Tensor, nn.Conv2d, nn.Conv2d]:
    torch.manual_seed(0)
    layers = [nn.Conv2d(16, 16, 3, padding=1).requires_grad_(False) for _ in range(2)]
    return torch.randn(1, 16, 9, 11).contiguous(memory_format=torch.channels_last), layers[0], layers[1]


@pytest.mark.parametrize("fuses", [True, False])
@torch.inference_mode()
def test_a_residual_block_is_what_its_layers_say(monkeypatch: pytest.MonkeyPatch, fuses: bool) -> None:
    if not fuses:
        monkeypatch.setattr(convolution, "_onednn_fuses", lambda dtype: False)
    x, first, second = block()
    expected = x + second(F.relu(first(x)))
    torch.testing.assert_close(residual_block(x.clone(), first, second), expected)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = residual_block(x.bfloat16(), first, second)
    assert rounded.dtype is torch.bfloat16
    # bf16 has eight bits: 2 ** -8 of values up to 4, at the input, within and at the output
    torch.testing.assert_close(rounded.float(), expected, rtol=0, atol=0.05)


def broken(*_: object) -> torch.Tensor:
    raise RuntimeError("no such overload")


def wrong(x: torch.Tensor, *_: object) -> torch.Tensor:
    return x


@pytest.mark.parametrize("other", [broken, wrong])
def test_a_torch_that_fuses_otherwise_is_found_out(
    monkeypatch: pytest.MonkeyPatch, other: Callable[..., torch.Tensor]
) -> None:
    monkeypatch.setattr(convolution, "_fused_block", other)
    convolution._onednn_fuses.cache_clear()
    try:
        assert not convolution._onednn_fuses(torch.bfloat16)
    finally:
        convolution._onednn_fuses.cache_clear()


def test_a_residual_block_has_gradients() -> None:
    x, first, second = block()
    x.requires_grad_()
    residual_block(x, first, second).sum().backward()
    assert x.grad is not None
    assert not torch.equal(x.grad, torch.ones_like(x))
