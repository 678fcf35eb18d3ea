"""A job in segments ends in what one run gives, and goes on after whatever stopped it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.jobs.conftest import RunJob, content_of
from videoinr_cli.options import EncodeOptions

LOSSLESS = EncodeOptions(preset="ultrafast", crf=None, extra=(("qp", "0"),))
WHOLE: dict[str, Any] = {"segment_seconds": 0}


@pytest.mark.parametrize(
    ("name", "encode", "fps"),
    [
        ("out.mp4", LOSSLESS, "60"),
        ("out.mkv", LOSSLESS, None),
        ("out.mkv", EncodeOptions(codec="ffv1"), "30000/1001"),
        ("out.ts", LOSSLESS, "2x"),
        ("out.mov", EncodeOptions(codec="prores_ks"), None),
        ("out.nut", EncodeOptions(), "24"),
    ],
)
def test_segments_end_in_what_one_run_gives(
    name: str, encode: EncodeOptions, fps: str | None, source: Path, tmp_path: Path, run: RunJob
) -> None:
    one, many = tmp_path / f"one-{name}", tmp_path / f"many-{name}"
    summary = run(source, one, encode=encode, fps=fps, **WHOLE)
    assert content_of(one).pictures
    in_parts = run(source, many, encode=encode, fps=fps, segment_seconds=0.3)
    assert content_of(many) == content_of(one)
    assert (in_parts.frames_read, in_parts.frames_written, in_parts.cuts) == (
        summary.frames_read,
        summary.frames_written,
        summary.cuts,
    )
    assert sorted(tmp_path.iterdir()) == sorted([source, one, many]), "nothing else is left"
