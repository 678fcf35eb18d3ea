"""What encoders say of themselves, and which pixel format follows the source's."""

from __future__ import annotations

from typing import Literal

import pytest

from videoinr_cli.errors import OptionError, OutputError
from videoinr_cli.media.ffmpeg import find_ffmpeg
from videoinr_cli.media.planes import layout_of
from videoinr_cli.media.write.encoders import find_encoder
from videoinr_cli.options import EncodeOptions


@pytest.mark.parametrize(
    ("encoder", "source", "expected"),
    [
        ("libx264", "yuv420p", "yuv420p"),
        ("libx264", "yuvj420p", "yuv420p"),
        ("libx264", "nv12", "yuv420p"),
        ("libx264", "yuv422p10le", "yuv422p10le"),
        ("libx264", "yuv444p12le", "yuv444p10le"),  # as deep as it goes
        ("libx264", "gray", "gray"),
        ("libx264", "bgra", "yuv420p"),
        ("libx264", "yuv411p", "yuv422p"),
        ("libx265", "yuv420p12le", "yuv420p12le"),
        ("libx265", "rgb24", "yuv420p"),
        ("libvpx-vp9", "yuva420p", "yuva420p"),
        ("libvpx-vp9", "yuva444p12le", "yuva420p"),  # all that is shown of transparency
        ("libvpx-vp9", "gray", "yuv420p"),
        ("ffv1", "rgb24", "bgr0"),
        ("ffv1", "yuv422p9le", "yuv422p9le"),
        ("ffv1", "gray12le", "gray12le"),
        ("prores_ks", "yuv420p", "yuv422p10le"),
        ("prores_ks", "yuva444p10le", "yuva444p10le"),
        ("png", "yuv420p", "rgb24"),
        ("png", "yuv420p10le", "rgb48be"),
        ("png", "gray", "gray"),
        ("mpeg4", "yuv444p", "yuv420p"),
    ],
)
def test_the_format_follows_the_source_as_far_as_the_encoder_can(
    encoder: str, source: str, expected: str
) -> None:
    assert find_encoder(encoder, find_ffmpeg()).closest_format(layout_of(source)) == expected


def test_settings_are_those_that_an_encoder_knows() -> None:
    options = EncodeOptions(crf=20, preset="medium", extra=(("tune", "film"),))
    x264 = find_encoder("libx264", find_ffmpeg()).settings(options)
    assert x264 == {"crf": "20", "preset": "medium", "tune": "film"}
    vp9 = find_encoder("libvpx-vp9", find_ffmpeg()).settings(options)
    assert vp9["crf"] == "20"
    assert vp9["b:v"] == "0"
    assert "preset" not in vp9
    assert find_encoder("ffv1", find_ffmpeg()).settings(EncodeOptions()) == {}
    assert find_encoder("mpeg4", find_ffmpeg()).settings(EncodeOptions()) == {"q:v": "2"}


@pytest.mark.parametrize(
    ("crf", "extra", "expected"),
    [
        ("auto", ("tune", "film"), {"crf": "18"}),
        ("auto", ("b:a", "96k"), {"crf": "18"}),
        ("auto", ("b:v", "20k"), {}),
        ("auto", ("b", "20k"), {}),
        ("auto", ("qp", "0"), {}),
        ("auto", ("q:v", "3"), {}),
        (20, ("b:v", "20k"), {"crf": "20"}),
        (None, ("tune", "film"), {}),
    ],
)
def test_a_rate_of_the_users_takes_the_place_of_the_default_quality(
    crf: float | Literal["auto"] | None, extra: tuple[str, str], expected: dict[str, str]
) -> None:
    options = EncodeOptions(crf=crf, preset=None, extra=(extra,))
    assert find_encoder("libx264", find_ffmpeg()).settings(options) == expected | dict([extra])


@pytest.mark.parametrize(
    ("encoder", "preset", "is_taken"),
    [
        ("libx264", "veryslow", True),
        ("libx264rgb", "slow", True),
        ("libx265", "0", True),
        ("libsvtav1", "8", True),
        ("libsvtav1", "slow", False),
        ("prores_ks", "slow", False),
    ],
)
def test_presets_that_there_are(encoder: str, preset: str, is_taken: bool) -> None:
    found = find_encoder(encoder, find_ffmpeg())
    found.check_preset(preset)
    assert found.settings(EncodeOptions(preset=preset)).get("preset") == (preset if is_taken else None)


@pytest.mark.parametrize(("encoder", "preset"), [("libx264", "ultra"), ("libx265", "10"), ("libx264rgb", "")])
def test_a_preset_that_there_is_not_is_refused_and_those_are_listed_that_there_are(
    encoder: str, preset: str
) -> None:
    names = "ultrafast, superfast, veryfast, faster, fast, medium, slow, slower, veryslow, placebo"
    with pytest.raises(OptionError) as caught:
        find_encoder(encoder, find_ffmpeg()).check_preset(preset)
    assert str(caught.value) == f"{encoder} has no preset {preset!r}; there are {names}"


def test_extra_options_win() -> None:
    options = EncodeOptions(extra=(("crf", "30"),))
    assert find_encoder("libx264", find_ffmpeg()).settings(options)["crf"] == "30"


def test_an_encoder_that_is_not_there_is_named() -> None:
    with pytest.raises(OutputError, match="'libx999'; try --codec libx264"):
        find_encoder("libx999", find_ffmpeg())
