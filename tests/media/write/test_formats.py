"""Which format a name and the options ask for."""

from __future__ import annotations

import pytest

from videoinr_cli.errors import OutputError
from videoinr_cli.media.streams import VideoInfo
from videoinr_cli.media.write.formats import output_format
from videoinr_cli.options import EncodeOptions

SEEKING = ["-.mp4", "-.m4v", "-.MOV"]  # standard output cannot be gone back in


@pytest.mark.parametrize(
    ("name", "wanted", "words"),
    [
        ("out.webm", {"codec": "libx264"}, "webm cannot hold what libx264 makes; try --codec libvpx-vp9"),
        ("out.mp4", {"pix_fmt": "yuv999p"}, "no pixel format 'yuv999p'"),
        ("out.mp4", {"pix_fmt": "gbrp12le"}, "libx264 does not take pixel format gbrp12le"),
        ("out", {}, "'out' names no video format"),
        ("out.xyz", {}, r"'out\.xyz' names no video format"),
        ("out.png", {}, r"'out\.png' is one image; number them: out-%05d\.png"),
        ("%05d%03d.png", {}, r"'%05d%03d\.png' has more than one number"),
        *((name, {}, r"cannot take \.\w+; pipe -\.mkv or -\.nut, or name a file") for name in SEEKING),
    ],
)
def test_what_does_not_go_together_is_refused(
    source: VideoInfo, name: str, wanted: dict[str, str], words: str
) -> None:
    with pytest.raises(OutputError, match=words):
        output_format(name, source, EncodeOptions(**wanted))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "encoder", "pix_fmt", "multiple"),
    [
        ("out.mp4", "libx264", "yuv420p", (2, 2)),
        ("out.webm", "libvpx-vp9", "yuv420p", (2, 2)),
        ("out.gif", "gif", None, (1, 1)),
        ("out.apng", "apng", "rgb24", (1, 1)),
    ],
)
def test_each_container_has_its_customary_encoder(
    source: VideoInfo, name: str, encoder: str, pix_fmt: str | None, multiple: tuple[int, int]
) -> None:
    chosen = output_format(name, source, EncodeOptions())
    assert chosen.encoder.name == encoder
    assert pix_fmt in (None, chosen.pix_fmt)
    assert chosen.size_multiple == multiple
