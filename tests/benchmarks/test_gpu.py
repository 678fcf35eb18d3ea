"""What is measured on a GPU is measured at tiny sizes on a CPU, and what fails there is named."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.outside import load

gpu = load("benchmarks/gpu.py")

PATIENCE = 900
"""Seconds: a busy machine is no failure."""


@pytest.fixture
def arguments(tmp_path: Path) -> argparse.Namespace:
    return argparse.Namespace(output=tmp_path / "gpu", device="cpu", tiny=True)


def test_rows_are_measured_and_those_that_fail_named(arguments: argparse.Namespace) -> None:
    """A process that dies, and one that hangs, are followed by another."""
    measured: dict[str, dict[str, Any]] = {}
    with gpu.Worker(arguments) as worker:
        for row in (
            gpu.Row("limit", ("fp32",)),
            gpu.Row("network", ("fast", "24x16", "fp32", "graph")),  # without CUDA
            gpu.Row("network", ("fast", "24x16", "fp32", "eager")),
        ):
            measured[str(row)] = worker.measure(row, PATIENCE)
        assert worker._process is not None
        worker._process.kill()
        dead = worker.measure(gpu.Row("tests"), PATIENCE)
    rates, failed, network = measured.values()
    assert all(rate > 0 for rate in rates.values())
    assert "failed" in failed
    assert network["frames_per_second"] > 0
    assert network["operations_per_second"] > 0
    assert "its process ended" in dead["failed"]
    table = gpu.table(measured | {"tests": dead})
    assert "| network fast 24x16 fp32 eager | " in table
    assert "%" in table
    assert "- tests: its process ended" in table


def test_every_row_has_a_budget_and_is_measured_once() -> None:
    rows = list(gpu.rows(gpu.SIZES))
    assert len({str(row) for row in rows}) == len(rows)
    networks = {row.of for row in rows if row.kind == "network"}
    sizes = [f"{width}x{height}" for height, width in gpu.SIZES]
    for name in gpu.NETWORKS:
        for size in sizes:
            for precision in ("fp16", "bf16", "fp32"):
                assert (name, size, precision, "eager") in networks
            for mode in gpu.MODES:
                assert (name, size, "fp16", mode) in networks
    assert all(row.budget_seconds > 0 and row.kind in gpu.MEASURES for row in rows)


def test_what_there_was_no_time_for_is_named(
    arguments: argparse.Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "sys.argv", ["gpu.py", str(arguments.output), "--device", "cpu", "--tiny", "--minutes", "0"]
    )
    gpu.main()
    results = json.loads(arguments.output.with_suffix(".json").read_text())
    assert set(results) == {str(row) for row in gpu.rows(gpu.TINY_SIZES)}
    assert all(result == {"failed": "no time was left"} for result in results.values())


def test_a_file_is_upscaled_and_its_stages_drawn(arguments: argparse.Namespace) -> None:
    result = gpu.measure_files(arguments, "fast", "64x48", "libx264")
    assert result["frames_per_second"] > 0
    assert all(result[stage].endswith("%") for stage in gpu.STAGES)
    with Image.open(arguments.output.with_name("gpu-timeline-libx264.png")) as picture:
        colours = {colour for _, colour in picture.convert("RGB").getcolors(1 << 20)}
    assert len(colours) > 2  # lanes, their names, and what was at work
