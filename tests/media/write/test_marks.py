"""What an output says of itself is true of it, and is what players ask for."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from tests.conftest import MakeClip, RunFfmpeg
from tests.media.write.outputs import FAST, copy, decoded, streams
from videoinr_cli.errors import OutputError
from videoinr_cli.media.read.probe import probe
from videoinr_cli.media.streams import VideoInfo
from videoinr_cli.media.write.command import ffmpeg_arguments
from videoinr_cli.media.write.formats import output_format
from videoinr_cli.media.write.output import OutputClock, OutputSpec
from videoinr_cli.options import EncodeOptions

HEVC = EncodeOptions("libx265", preset="ultrafast", extra=(("x265-params", "log-level=none"),))


def tags(path: Path) -> list[str]:
    """Return the containers' names of the videos' codecs."""
    with av.open(str(path)) as container:
        return [stream.codec_context.codec_tag for stream in container.streams.video]


@pytest.mark.parametrize("name", ["out.mp4", "out.m4v", "out.mov"])
def test_hevc_has_the_name_that_apples_players_know(
    make_clip: MakeClip, run_ffmpeg: RunFfmpeg, name: str
) -> None:
    """Encoded, and copied beside it from a container that calls it otherwise."""
    clip = make_clip("clip.mkv", "-c:v", "libx265", "-x265-params", "log-level=none")
    both = clip.with_name("in.mkv")
    run_ffmpeg("-i", clip, "-map", 0, "-map", 0, "-c", "copy", both)
    assert tags(copy(both, clip.with_name(name), HEVC)) == ["hvc1", "hvc1"]
    assert tags(copy(both, clip.with_name(f"h264-{name}"))) == ["avc1", "hvc1"]
    own = EncodeOptions("libx265", preset="ultrafast", extra=(*HEVC.extra, ("tag:0", "hev1")))
    assert tags(copy(clip, clip.with_name(f"own-{name}"), own)) == ["hev1"]


def test_joined_hevc_has_that_name_too(source: VideoInfo) -> None:
    """Of a video in segments, the encoded pictures are copied."""

    def words(name: str, encoding: EncodeOptions) -> str:
        output = OutputSpec(
            destination=Path(name),
            source=source,
            format=output_format(name, source, encoding),
            encoding=encoding,
            size=(64, 48),
            pixel_aspect=Fraction(1),
            clock=OutputClock.of(source.time_base, Fraction(0)),
            frame_rate=source.frame_rate,
        )
        return " ".join(ffmpeg_arguments(output, name, carrier="mp4"))

    assert "-tag:0 hvc1" in words("out.mp4", HEVC)
    assert "-tag:0" not in words("out.mp4", FAST)
    assert "-tag:0" not in words("out.mkv", HEVC)


def test_y_cb_cr_that_is_marked_as_rgb_is_taken_for_unmarked(
    make_clip: MakeClip, caplog: pytest.LogCaptureFixture
) -> None:
    """Read by the mark, Cb and Cr would be taken for B and R, and most colours clipped."""
    plain = make_clip("plain.mp4", "-crf", 4, filters="format=yuv420p")
    marked = make_clip(
        "marked.mp4", "-crf", 4, "-bsf:v", "h264_metadata=matrix_coefficients=0", filters="format=yuv420p"
    )
    with av.open(str(marked)) as container:
        assert next(container.decode(video=0)).colorspace == 0
    assert probe(marked).colour.matrix is None
    out = copy(marked, marked.with_name("out.mp4"), EncodeOptions(crf=4, preset="ultrafast"))
    assert probe(out).colour.matrix == "smpte170m"
    expected = [frame.to_ndarray() for frame in decoded(plain)]
    for one, other in zip(decoded(out), expected, strict=True):
        difference = one.to_ndarray().astype(float) - other
        assert np.sqrt((difference**2).mean()) < 4


def test_rgb_and_other_matrices_stay_what_they_are_marked_as(make_clip: MakeClip) -> None:
    rgb = make_clip("rgb.mkv", "-c:v", "libx264rgb", filters="format=gbrp")
    assert probe(rgb).colour.matrix == "gbr"
    bsf = ("-bsf:v", "h264_metadata=matrix_coefficients=1")
    assert probe(make_clip("709.mp4", *bsf, filters="format=yuv420p")).colour.matrix == "bt709"


def moving_box(*, alpha: bool) -> list[Image.Image]:
    box = np.full((20, 10, 3), 250, np.uint8)
    boxes = [np.pad(box, ((20, 24), (8 * k, 86 - 8 * k), (0, 0)), constant_values=90) for k in range(10)]
    images = [Image.fromarray(picture) for picture in boxes]
    for image in images:
        if alpha:
            image.putalpha(128)
    return images


@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("name", ["out.mkv", "out.mp4"])
def test_an_animated_avif_is_its_animation(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, alpha: bool
) -> None:
    """Not the still picture that is stored beside it, and nothing of it is copied as it is."""
    first, *rest = moving_box(alpha=alpha)
    first.save(tmp_path / "in.avif", save_all=True, append_images=rest, duration=40, quality=90)
    out = copy(tmp_path / "in.avif", tmp_path / name)
    assert [kind for kind, *_ in streams(out)] == ["video"]
    shown = decoded(out)
    assert len(shown) == 10
    lefts = [int(np.argmax(frame.to_ndarray(format="gray")[30] > 180)) for frame in shown]
    assert lefts == [8 * k for k in range(10)]
    assert ("no output keeps the transparency" in caplog.text) == alpha
    if alpha:
        with pytest.raises(OutputError, match="transparency"):
            copy(tmp_path / "in.avif", tmp_path / f"strict-{name}", strict=True)


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize(("name", "is_true"), [("out.mkv", False), ("out.webm", True)])
def test_transparency_is_marked_where_there_is_some(
    make_clip: MakeClip, run_ffmpeg: RunFfmpeg, name: str, is_true: bool, again: bool
) -> None:
    clip = make_clip("in.webm", "-c:v", "libvpx-vp9", filters="format=yuva420p")
    assert dict(probe(clip).tags)["alpha_mode"] == "1"
    if again:  # as ffmpeg copies the mark, in capitals
        run_ffmpeg("-i", clip, "-c", "copy", "-metadata:s:v", "alpha_mode=1", clip.with_name("again.webm"))
        clip = clip.with_name("again.webm")
        assert dict(probe(clip).tags)["ALPHA_MODE"] == "1"
    assert probe(clip).has_alpha
    out = probe(copy(clip, clip.with_name(name), EncodeOptions() if is_true else FAST))
    assert ("alpha_mode" in {tag.lower() for tag, _ in out.tags}) == is_true
    assert out.has_alpha == is_true
