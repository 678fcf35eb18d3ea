"""The picture of several models: what lies where in it."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import MakeClip
from tests.outside import load
from videoinr_cli.media.read.probe import probe
from videoinr_cli.media.read.reader import read_frames

picture = load("benchmarks/picture.py")


def test_rows_are_views_and_columns_are_models(
    make_clip: MakeClip, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other.safetensors"
    other.write_bytes(weights.read_bytes())
    views = []
    regions = []
    for name, place in (("a.mkv", (2, 80, 8)), ("b.mkv", (0, 3, 30))):
        clip = make_clip(name, "-c:v", "ffv1", "-pix_fmt", "bgr0", frames=4, size=(160, 64))
        frames = [frame.rgb for frame in read_frames(probe(clip))]
        views += ["--view", str(clip), *map(str, (*place, 16, 12))]
        frame, x, y = place
        regions.append(frames[frame][y : y + 12, x : x + 16])
    output = tmp_path / "out.png"
    arguments = ["picture.py", str(output), "--weights", str(weights), str(other), *views]
    monkeypatch.setattr(sys, "argv", arguments)
    picture.main()
    with Image.open(output) as opened:
        sheet = np.asarray(opened.convert("RGB"))
    width, height, gap = 16 * picture.SCALE, 12 * picture.SCALE, picture.GAP_PX
    assert sheet.shape == (2 * height + gap, 4 * width + 3 * gap, 3)
    for row, region in enumerate(regions):
        panels = [
            sheet[row * (height + gap) :, column * (width + gap) :][:height, :width] for column in range(4)
        ]
        assert np.array_equal(panels[0][:: picture.SCALE, :: picture.SCALE], region)
        bicubic, *ours = (panel.astype(float).mean(axis=(0, 1)) for panel in panels[1:])
        assert np.abs(bicubic - region.mean(axis=(0, 1))).max() < 4  # ringing at the borders
        assert np.array_equal(*ours), "the same weights"
