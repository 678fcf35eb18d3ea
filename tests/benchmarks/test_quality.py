"""What the benchmark of the embedded models' quality makes of several pictures."""

from __future__ import annotations

from tests.outside import load
from videoinr_cli.evaluation.steadiness import Steadiness

quality = load("benchmarks/quality.py")


def test_several_pictures_are_averaged() -> None:
    results = [Steadiness("m", value, 1.0, 0.5 * value, 0.0, -value) for value in (1.0, 3.0)]
    assert quality.mean_of(results) == Steadiness("m", 2.0, 1.0, 1.0, 0.0, -2.0)
