"""Options: what words mean, and what makes no sense."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videoinr_cli.errors import OptionError
from videoinr_cli.options import (
    ARCHITECTURES,
    MAX_SIDE_PX,
    EncodeOptions,
    TargetRate,
    UpscaleOptions,
)


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("60", Fraction(60)),
        ("60000/1001", Fraction(60000, 1001)),
        ("59.94", Fraction(60000, 1001)),
        ("23.976", Fraction(24000, 1001)),
        ("23.98", Fraction(24000, 1001)),
        ("29.97", Fraction(30000, 1001)),
        ("119.88", Fraction(120000, 1001)),
        ("14.985", Fraction(15000, 1001)),
        ("59.9400", Fraction(60000, 1001)),
        ("59.9", Fraction(599, 10)),
        ("12.5", Fraction(25, 2)),
        ("10.99", Fraction(1099, 100)),
        (" 24 ", Fraction(24)),
        (".5", Fraction(1, 2)),
    ],
)
def test_rates(text: str, rate: Fraction) -> None:
    assert TargetRate.parse(text) == TargetRate(rate)
    assert TargetRate.parse(text).of(Fraction(24)) == rate


@pytest.mark.parametrize(("text", "factor"), [("2x", 2), ("2.5X", Fraction(5, 2)), ("3/2x", Fraction(3, 2))])
def test_multiples_of_the_sources_rate(text: str, factor: Fraction) -> None:
    assert TargetRate.parse(text).of(Fraction(24000, 1001)) == factor * Fraction(24000, 1001)


@pytest.mark.parametrize(
    "text", ["", "0", "-5", "0x", "fast", "1/0", "x", "nan", "inf", "1e3", "2xx", "5000"]
)
def test_rates_that_are_none(text: str) -> None:
    with pytest.raises(OptionError, match=r"^frame rate .*; try "):
        TargetRate.parse(text)


def test_multiples_have_a_limit_too() -> None:
    with pytest.raises(OptionError, match="100x of the source's 60 frames per second"):
        TargetRate.parse("100x").of(Fraction(60))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, (640, 360)),
        ({"scale": 3.5}, (1120, 630)),
        ({"scale": 1.0}, (320, 180)),
        ({"scale": 2.33}, (746, 419)),
        ({"size": (1000, 500)}, (1000, 500)),
        ({"height": 1080}, (1920, 1080)),
        ({"height": 200}, (356, 200)),
        ({"width": 1920}, (1920, 1080)),
        ({"fit": (1920, 1200)}, (1920, 1080)),
        ({"fit": (4000, 720)}, (1280, 720)),
    ],
)
def test_sizes(options: dict[str, Any], expected: tuple[int, int]) -> None:
    assert UpscaleOptions(**options).output_size(320, 180) == expected


def test_a_frame_is_turned_for_upright_pictures() -> None:
    assert UpscaleOptions(fit=(3840, 2160)).output_size(180, 320) == (2160, 3840)


def test_sizes_are_rounded_up_to_whole_chroma_samples() -> None:
    assert UpscaleOptions(scale=2.33).output_size(320, 180, multiple=(2, 2)) == (746, 420)
    assert UpscaleOptions(scale=1.0).output_size(33, 21, multiple=(2, 1)) == (34, 21)


@given(
    scale=st.floats(min_value=1, max_value=8),
    width=st.integers(min_value=1, max_value=2000),
    height=st.integers(min_value=1, max_value=2000),
    multiple=st.sampled_from([1, 2, 4]),
)
def test_a_size_is_the_scale_times_the_source(scale: float, width: int, height: int, multiple: int) -> None:
    size = UpscaleOptions(scale=scale).output_size(width, height, multiple=(multiple, multiple))
    for side, given_side in zip(size, (width, height), strict=True):
        assert side % multiple == 0
        assert 0 <= side - round(scale * given_side) < multiple


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"size": (319, 180)}, "319x180 is smaller than the source's 320x180"),
        ({"height": 100}, "178x100 is smaller"),
        ({"scale": 60.0}, f"19200x10800 has a side above {MAX_SIDE_PX}"),
    ],
)
def test_sizes_that_do_not_fit_the_source(options: dict[str, Any], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        UpscaleOptions(**options).output_size(320, 180)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"scale": 0.99}, "scale 0.99"),
        ({"scale": float("nan")}, "scale nan"),
        ({"scale": float("inf")}, "scale inf"),
        ({"scale": 1e308}, r"scale 1e\+308"),
        ({"height": 0}, "0 px"),
        ({"size": (640, MAX_SIDE_PX + 1)}, f"{MAX_SIDE_PX + 1} px"),
        ({"scale": 2.0, "size": (640, 480)}, "--scale and --size exclude"),
        ({"height": 480, "size": (640, 480)}, "--size and --height exclude"),
        ({"height": 480, "width": 640}, "--width and --height exclude"),
        ({"width": 0}, "0 px"),
        ({"fit": (0, 10)}, "0 px"),
        ({"scene_threshold": 0.0}, "scene threshold 0"),
        ({"dedupe": "maybe"}, "dedupe 'maybe'"),
        ({"precision": "fp8"}, "'fp8'"),
        ({"tile": 16}, "--tile"),
        ({"max_memory_bytes": 0}, "--max-memory"),
        ({"speed": Fraction(101)}, r"speed 101 is not between 1/100 and 100"),
        ({"speed": Fraction(10**400)}, r"speed 1\.00000e\+400 is not between 1/100 and 100"),
        ({"speed": Fraction(1, 10**400)}, r"speed 1e-400 is not between 1/100 and 100"),
    ],
)
def test_options_that_make_no_sense(options: dict[str, Any], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        UpscaleOptions(**options)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"codec": ""}, "codec"),
        ({"crf": -1}, "crf -1"),
        ({"crf": float("nan")}, "crf nan"),
        ({"extra": (("", "film"),)}, "=film"),
        ({"extra": (("-tune", "film"),)}, "-tune=film"),
        ({"crf": 20, "extra": (("crf", "23"),)}, "--crf 20 and -e crf=23 exclude each other"),
        ({"crf": 20, "extra": (("tune", "film"), ("cq:v", "23"))}, "--crf 20 and -e cq:v=23 exclude"),
    ],
)
def test_encoder_options_that_make_no_sense(options: dict[str, Any], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        EncodeOptions(**options)


@pytest.mark.parametrize(
    ("codec", "encoder"),
    [("H265", "libx265"), ("hevc", "libx265"), ("x264", "libx264"), ("av1", "libsvtav1"), ("ffv1", "ffv1")],
)
def test_codecs_by_the_names_they_are_known_by(codec: str, encoder: str) -> None:
    assert EncodeOptions(codec=codec).encoder == encoder
    assert EncodeOptions().encoder == "auto"


def test_architectures_are_those_that_can_be_trained() -> None:
    """The command line names them without importing torch, so the list stands twice."""
    from videoinr_cli.model.config import CONFIGURATIONS

    assert set(ARCHITECTURES) == set(CONFIGURATIONS) - {"videoinr-large"}
