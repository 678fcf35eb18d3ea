"""Convolutions on CPUs that lack what the fastest way needs."""

from __future__ import annotations

import os
import subprocess
import sys

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
