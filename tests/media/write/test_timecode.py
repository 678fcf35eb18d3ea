"""The timecode of an output is that of its first frame, at its rate, or is left out aloud."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import pytest

from tests.conftest import RunFfmpeg
from tests.writing import open_writer
from videoinr_cli.errors import OutputError
from videoinr_cli.media.read.prepare import prepare
from videoinr_cli.media.read.reader import read_frames
from videoinr_cli.media.write.timecode import timecode
from videoinr_cli.options import EncodeOptions, ReadOptions


@pytest.mark.parametrize("name", ["out.mov", "out.mp4", "out.mkv"])
@pytest.mark.parametrize(
    ("rate", "said", "start", "wanted", "expected"),
    [
        ("25", "01:00:00:00", None, None, "01:00:00:00"),
        ("25", "01:00:00:00", "0.48", None, "01:00:00:12"),
        ("25", "23:59:59:20", "0.48", None, "00:00:00:07"),
        ("25", "01:00:00:10", "0.48", "50", "01:00:00:44"),
        ("30000/1001", "01:00:00;10", None, None, "01:00:00;10"),
        ("30000/1001", "01:00:00;10", None, "60000/1001", "01:00:00;20"),
        ("30000/1001", "01:00:00;10", None, "50", None),
        ("30000/1001", "01:00:00;10", "0.5", None, None),
        ("30000/1001", "01:00:00:10", "0.5", None, None),
    ],
)
def test_the_timecode_follows_the_first_frame(
    run_ffmpeg: RunFfmpeg,
    tmp_path: Path,
    name: str,
    rate: str,
    said: str,
    start: str | None,
    wanted: str | None,
    expected: str | None,
) -> None:
    clip, out = tmp_path / "in.mov", tmp_path / name
    run_ffmpeg("-f", "lavfi", "-i", f"testsrc2=s=64x48:r={rate}:d=1", "-timecode", said, clip)
    part = prepare(clip, ReadOptions(start=start and Fraction(start)))  # type: ignore[arg-type]
    assert timecode(part) == said

    def write(*, strict: bool) -> None:
        size, frame_rate = (part.width, part.height), Fraction(wanted) if wanted else None
        fast = EncodeOptions(preset="ultrafast")
        with open_writer(
            out, size, part.time_base, part, fast, frame_rate=frame_rate, overwrite=True, strict=strict
        ) as writer:
            for frame in read_frames(part):
                writer.write(frame.rgb, frame.pts)

    if expected is None:
        with pytest.raises(OutputError, match="timecode"):
            write(strict=True)
    write(strict=expected is not None)
    with av.open(str(out)) as container:
        tags = {key.lower(): text for key, text in container.streams.video[0].metadata.items()}
    assert tags.get("timecode") == expected
