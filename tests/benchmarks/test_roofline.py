"""What a network needs is what its convolutions multiply, and its parts make up the whole."""

from __future__ import annotations

import argparse

import pytest
import torch

from tests.outside import load
from tests.tiny import TINY
from videoinr_cli.model import build

roofline = load("benchmarks/roofline.py")


def test_operations_are_those_of_the_layers() -> None:
    once = roofline.operations(TINY, (32, 48), (64, 96), (0.0,))
    twice = roofline.operations(TINY, (32, 48), (64, 96), (0.0, 0.5))
    larger = roofline.operations(TINY, (64, 48), (128, 96), (0.0,))
    assert 0 < once["rendering"] < once["all"]
    assert twice["rendering"] == 2 * once["rendering"]
    assert twice["all"] - once["all"] == once["rendering"]
    assert larger["fusing"] == 2 * once["fusing"]
    # two neighbours: their warped features and phases, the frame's own, then the residual blocks
    channels, pixels = TINY.channels, 32 * 48
    convolutions = 9 * (3 * channels**2 + 2 * 4 * channels + 2 * TINY.fused_blocks * channels**2)
    assert once["fusing"] == 2 * pixels * convolutions


def test_shares_are_told_for_every_size() -> None:
    torch.manual_seed(0)
    arguments = argparse.Namespace(sizes=["24x16:48x32"], seconds=0.0, frames=3, processor_time=True)
    table = roofline.shares(build(TINY).eval(), arguments, limit=1e12)
    rows = table.splitlines()[2:]
    assert [row.split("|")[1:3] for row in rows] == [[" 24x16 to 48x32 ", f" {n} "] for n in (1, 2)]
    assert all(row.count("%") == 5 and row.count("frames/s") == 2 for row in rows)


def test_what_a_device_lacks_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def lacking(name: str, device: torch.device) -> object:
        raise RuntimeError(f"no {name} on {device}")

    cpu = torch.device("cpu")
    assert roofline.peak("matrix product", "fp32", cpu, 0.0) > 1e6
    monkeypatch.setitem(roofline.KINDS, "matrix product", lacking)
    assert roofline.peak("matrix product", "fp32", cpu, 0.0) == "none"
