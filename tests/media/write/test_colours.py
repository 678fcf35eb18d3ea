"""Outputs have the colours, the transparency and the shape of what was given."""

from __future__ import annotations

import logging
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.conftest import MakeClip, RunFfmpeg
from tests.media.write.outputs import FAST, copy, decoded, pictures
from tests.writing import open_writer
from videoinr_cli.media.read.probe import probe
from videoinr_cli.media.read.reader import read_frames
from videoinr_cli.options import EncodeOptions, UpscaleOptions
from videoinr_cli.render.plan import Plan


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt", "matrix"),
    [
        *(("in.mp4", "libx264", "yuv420p", matrix) for matrix in ("bt709", "smpte170m", "bt2020nc")),
        *(("in.mkv", "libx264", "yuv444p", matrix) for matrix in ("bt709", "smpte170m", "bt2020nc")),
        ("in.mkv", "ffv1", "yuv420p10le", "bt2020nc"),
        ("in.mkv", "ffv1", "yuv422p12le", "bt709"),
        ("in.mkv", "ffv1", "yuva420p", "bt709"),
        ("in.mkv", "ffv1", "gray", "bt709"),
        ("in.mkv", "ffv1", "bgr0", "bt709"),
        ("in.mov", "png", "rgba64be", "bt709"),
    ],
)
@pytest.mark.parametrize("sample_range", ["tv", "pc"])
def test_pictures_pass_within_one_code_value(
    make_clip: MakeClip, name: str, codec: str, pix_fmt: str, matrix: str, sample_range: str
) -> None:
    lossless = EncodeOptions(codec=codec, crf=None, extra=(("qp", "0"),) if codec == "libx264" else ())
    noise = "geq=lum='118+random(1)*20':cb='108+random(2)*40':cr='108+random(3)*40'"
    tags = f"setparams=range={sample_range}:colorspace={matrix}:color_primaries=bt709:color_trc=bt709"
    options = ("-c:v", codec, "-qp:v", 0) if codec == "libx264" else ("-c:v", codec)
    clip = make_clip(name, *options, filters=f"format=yuv444p,{noise},{tags},format={pix_fmt}", frames=2)
    out = copy(clip, clip.with_name("out" + clip.suffix), lossless)
    for before, after in zip(decoded(clip), decoded(out), strict=True):
        assert after.format.name == before.format.name
        if pix_fmt.startswith("yuv"):
            assert (after.colorspace, after.color_range) == (before.colorspace, before.color_range)
        for one, other in zip(before.planes, after.planes, strict=True):
            dtype = ">u2" if pix_fmt.endswith("be") else "<u2" if "1" in pix_fmt else "u1"
            values = [np.frombuffer(bytes(plane), dtype).astype(int) for plane in (one, other)]
            assert np.abs(values[0] - values[1]).max() <= 1


@pytest.mark.parametrize(
    ("size", "scale", "matrix", "is_said"),
    [
        ((640, 360), 2, "smpte170m", True),
        ((720, 576), 2, "bt470bg", True),
        ((320, 180), 2, "smpte170m", False),
        ((320, 288), 2, "smpte170m", False),  # of 576 lines then, whose matrix has another name
        ((1280, 720), 1, "bt709", False),
    ],
)
def test_guessed_colours_are_said_where_the_output_alone_would_be_taken_for_others(
    size: tuple[int, int],
    scale: float,
    matrix: str,
    is_said: bool,
    make_clip: MakeClip,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    clip = make_clip("in.mp4", frames=1, size=size)
    with caplog.at_level(logging.DEBUG, "videoinr_cli"):
        Plan.make(probe(clip), tmp_path / "out.mp4", UpscaleOptions(scale=scale))
    (said,) = (record for record in caplog.records if "does not state its colours" in record.getMessage())
    assert f"taken for matrix {matrix}, " in said.getMessage()
    assert said.levelno == (logging.INFO if is_said else logging.DEBUG)


@pytest.mark.parametrize("name", ["out.mp4", "out.mkv", "out.mov", "out.webm"])
def test_colour_is_tagged(make_clip: MakeClip, name: str) -> None:
    tags = "color_primaries=bt2020:color_trc=arib-std-b67:colorspace=bt2020nc:range=tv"
    clip = make_clip("in.mp4", "-chroma_sample_location", 3, filters=f"format=yuv420p10le,setparams={tags}")
    out = copy(clip, clip.with_name(name))
    written = probe(out)
    assert written.pix_fmt == "yuv420p10le"
    assert written.colour.primaries == "bt2020"
    assert written.colour.transfer == "arib-std-b67"
    assert written.colour.matrix == "bt2020nc"
    assert written.colour.range == "limited"
    assert written.colour.chroma_location == "topleft"


@pytest.mark.parametrize(
    ("name", "codec", "transfer"),
    [
        ("out.mp4", "libx264", "smpte2084"),
        ("out.mp4", "libx265", "smpte2084"),
        ("out.mkv", "libx265", "arib-std-b67"),
        pytest.param("out.webm", "libvpx-vp9", "smpte2084", marks=pytest.mark.recent),
        pytest.param("out.mkv", "libsvtav1", "smpte2084", marks=pytest.mark.recent),
    ],
)
def test_hdr_keeps_its_metadata(make_clip: MakeClip, name: str, codec: str, transfer: str) -> None:
    display = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)"
    tags = f"color_primaries=bt2020:color_trc={transfer}:colorspace=bt2020nc:range=tv"
    clip = make_clip(
        *("in.mp4", "-c:v", "libx265", "-x265-params"),
        f"log-level=none:master-display={display}:max-cll=1000,400",
        filters=f"format=yuv420p10le,setparams={tags}",
    )
    extra = (("x265-params", "log-level=none"),) if codec == "libx265" else ()
    out = copy(clip, clip.with_name(name), EncodeOptions(codec, preset="ultrafast", extra=extra))
    written = probe(out)
    assert written.mastering_display == display
    assert written.content_light == "1000,400"
    assert written.colour.transfer == transfer
    assert written.bit_depth == 10


def test_a_guessed_colour_is_said_and_written_since_the_size_changes(
    make_clip: MakeClip, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Standard definition without tags, enlarged, would be taken for BT.709."""
    source = probe(make_clip("in.mkv", "-c:v", "ffv1", filters="format=yuv420p", frames=1))
    assert source.colour.matrix is None
    caplog.set_level(logging.INFO)
    with open_writer(tmp_path / "out.mp4", (1280, 960), source.time_base, source, FAST) as writer:
        writer.write(pictures(1, (1280, 960))[0], 0)
    (frame,) = decoded(tmp_path / "out.mp4")
    assert frame.colorspace == 6  # SMPTE 170M
    assert "taken for matrix smpte170m, primaries smpte170m, transfer smpte170m" in caplog.text
    assert probe(tmp_path / "out.mp4").colour.primaries == "smpte170m"


@pytest.mark.parametrize("name", ["out.y4m", "out.mkv"])
def test_a_small_sources_colours_stay_in_a_large_output(
    make_clip: MakeClip, tmp_path: Path, name: str
) -> None:
    """Where nothing says the matrix, it is that which a reader takes an output of its size for."""
    source = probe(make_clip("in.mkv", "-c:v", "ffv1", picture="smptebars", frames=1))
    out = tmp_path / name
    (frame,) = read_frames(source)
    large = frame.rgb.repeat(15, axis=0).repeat(20, axis=1)
    lossless = EncodeOptions(codec="auto" if name == "out.y4m" else "ffv1")
    with open_writer(out, (1280, 720), source.time_base, source, lossless, frame_rate=Fraction(25)) as writer:
        writer.write(large, 0)
    (shown,) = read_frames(probe(out))
    assert np.abs(shown.rgb.astype(int) - large).mean() < 1.5
    assert probe(out).colour.matrix == (None if name == "out.y4m" else source.resolved_colour.matrix)


@pytest.mark.parametrize(
    ("aspect", "size", "expected"),
    [
        ("1/1", (128, 96), Fraction(1)),
        ("16/11", (128, 96), Fraction(16, 11)),
        ("1/1", (130, 96), Fraction(1)),  # rounded up to even sides
        ("1/1", (128, 48), Fraction(1, 2)),  # squeezed by --size: shown in the source's shape
        ("16/11", (64, 96), Fraction(32, 11)),
    ],
)
def test_the_shape_of_the_picture_is_kept(
    make_clip: MakeClip, tmp_path: Path, aspect: str, size: tuple[int, int], expected: Fraction
) -> None:
    picture = np.zeros((size[1], size[0], 3), np.uint8)
    source = probe(make_clip("in.mp4", filters=f"setsar={aspect}"))
    for name in ("out.mp4", "out.mkv"):
        with open_writer(tmp_path / name, size, source.time_base, source, FAST) as writer:
            writer.write(picture, 0)
        with av.open(str(tmp_path / name)) as container:
            assert container.streams.video[0].sample_aspect_ratio == expected


@pytest.mark.parametrize(
    ("holder", "codec", "name", "encoder"),
    [
        ("in.mov", "png", "out.mov", "prores_ks"),
        ("in.mov", "prores_ks", "out.webm", "auto"),
        ("in.webm", "libvpx-vp9", "out.webm", "auto"),
        ("in.webm", "libvpx", "out.mkv", "ffv1"),
        ("in.apng", "apng", "%02d.png", "auto"),
    ],
)
def test_transparency_is_kept_where_the_codec_holds_it(
    make_clip: MakeClip, run_ffmpeg: RunFfmpeg, holder: str, codec: str, name: str, encoder: str
) -> None:
    """A picture that becomes opaque from left to right; ffmpeg itself reads it again, by libvpx."""
    pix_fmt = {"prores_ks": "yuva444p10le", "libvpx": "yuva420p", "libvpx-vp9": "yuva420p"}.get(codec, "rgba")
    ramp = "format=rgba,geq=r='X':g='Y':b=9:a='X*4'"
    quality = ("-crf", 4, "-b:v", "2M", "-auto-alt-ref", 0) if "vpx" in codec else ()
    options = ("-c:v", codec, "-pix_fmt", pix_fmt, *quality)
    clip = make_clip(holder, *options, filters=ramp, frames=3)
    out = copy(clip, clip.with_name(name), EncodeOptions(codec=encoder, crf=4))
    shown = clip.with_name("shown.mkv")
    decoder = ("-c:v", "libvpx-vp9") if name == "out.webm" else ()
    run_ffmpeg(*decoder, "-i", out, "-c:v", "ffv1", "-pix_fmt", "bgra", shown)
    frames = decoded(shown)
    assert len(frames) == 3
    for frame in frames:
        alpha = frame.to_ndarray(format="rgba")[..., 3].astype(int)
        assert np.abs(alpha - np.arange(64) * 4).max() <= 6  # of lossy coding


def test_transparency_that_is_lost_is_said(make_clip: MakeClip, caplog: pytest.LogCaptureFixture) -> None:
    clip = make_clip("in.mov", "-c:v", "png", filters="format=rgba", frames=2)
    with caplog.at_level(logging.INFO):
        copy(clip, clip.with_name("out.mp4"))
    assert "libx264 holds no transparency" in caplog.text
