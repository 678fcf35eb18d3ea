"""Colour conversion against the definition in H.273, and that nothing is lost on the way there and back."""

from __future__ import annotations

import itertools

import av
import numpy as np
import numpy.typing as npt
import pytest

from videoinr_cli.media.colour import CHROMA_LOCATIONS, Colour
from videoinr_cli.media.planes import LUMA_WEIGHTS, from_rgb, layout_of, size_multiple, to_rgb

Array = npt.NDArray[np.float64]
SIZES = [(48, 64), (18, 6), (70, 34)]  # (height, width), across and below the rows converted at a time


def colour(matrix: str = "bt709", sample_range: str = "limited", location: str = "left") -> Colour:
    return Colour(matrix, "bt709", "bt709", sample_range, location)


def planes_of(frame: av.VideoFrame) -> list[npt.NDArray[np.integer]]:
    """Read planes by PyAV's rules, not by the code under test."""
    dtype = np.uint8 if layout_of(frame.format.name).bit_depth == 8 else np.uint16
    arrays = []
    for plane in frame.planes:
        rows = np.frombuffer(bytes(plane), dtype).reshape(plane.height, -1)
        arrays.append(rows[:, : plane.width])
    return arrays


def textured_frame(pix_fmt: str, size: tuple[int, int], *, seed: int = 0) -> av.VideoFrame:
    """Return a frame of noise in every plane, weak enough to stay inside R'G'B''s cube."""
    height, width = size
    rng = np.random.default_rng(seed)
    frame = av.VideoFrame(width, height, pix_fmt)
    step = 2 ** (layout_of(pix_fmt).bit_depth - 8)
    dtype = np.uint8 if step == 1 else np.uint16
    for index, plane in enumerate(frame.planes):
        low, high = [(105, 150), (98, 158), (98, 158), (0, 255)][index]
        stride = plane.line_size // np.dtype(dtype).itemsize
        plane.update(
            rng.integers(low * step, high * step + 1, (plane.height, stride)).astype(dtype).tobytes()
        )
    return frame


@pytest.mark.parametrize("matrix", ["bt709", "smpte170m", "bt2020nc", "ycgco"])
@pytest.mark.parametrize("sample_range", ["limited", "full"])
@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv422p", "yuv440p", "yuv444p", "yuva420p"])
def test_a_round_trip_of_8_bits_is_within_one_code_value(
    pix_fmt: str, sample_range: str, matrix: str
) -> None:
    for seed, (size, location) in enumerate(itertools.product(SIZES, CHROMA_LOCATIONS)):
        frame = textured_frame(pix_fmt, size, seed=seed)
        said = colour(matrix, sample_range, location)
        rgb, alpha = to_rgb(frame, said)
        back = from_rgb(rgb, pix_fmt, said, alpha=alpha)
        for before, after in zip(planes_of(frame), planes_of(back), strict=True):
            difference = np.abs(before.astype(int) - after)
            assert difference.max() <= 1
            assert difference.mean() < 0.1  # most are exact


@pytest.mark.parametrize(
    "pix_fmt", ["yuv420p10le", "yuv422p12le", "yuv444p10le", "gray", "gray10le", "gbrp", "gbrp12le", "gbrap"]
)
def test_deep_and_colourless_and_rgb_pictures_come_back_exactly(pix_fmt: str) -> None:
    frame = textured_frame(pix_fmt, (48, 64))
    for sample_range in ("limited", "full"):
        rgb, alpha = to_rgb(frame, colour(sample_range=sample_range))
        back = from_rgb(rgb, pix_fmt, colour(sample_range=sample_range), alpha=alpha)
        limits = (16, 235) if sample_range == "limited" and pix_fmt.startswith("gray") else (0, 65535)
        step = 2 ** (layout_of(pix_fmt).bit_depth - 8)
        for before, after in zip(planes_of(frame), planes_of(back), strict=True):
            np.testing.assert_array_equal(np.clip(before, limits[0] * step, limits[1] * step), after)


@pytest.mark.parametrize("matrix", list(LUMA_WEIGHTS))
@pytest.mark.parametrize("sample_range", ["limited", "full"])
def test_colours_are_those_of_the_standard(matrix: str, sample_range: str) -> None:
    """H.273 equations 38 to 40 and 20 to 25, in float64, each written out."""
    rng = np.random.default_rng(1)
    rgb = rng.integers(0, 256, (16, 16, 3)).astype(np.uint8)
    red, green, blue = (rgb[..., channel] / 255 for channel in range(3))
    kr, kb = LUMA_WEIGHTS[matrix]
    luma = kr * red + (1 - kr - kb) * green + kb * blue
    parts = [luma, (blue - luma) / (2 * (1 - kb)), (red - luma) / (2 * (1 - kr))]
    if sample_range == "limited":
        expected = [219 * parts[0] + 16, 224 * parts[1] + 128, 224 * parts[2] + 128]
    else:
        expected = [255 * parts[0], 255 * parts[1] + 128, 255 * parts[2] + 128]
    frame = from_rgb(rgb, "yuv444p", colour(matrix, sample_range))
    for plane, values in zip(planes_of(frame), expected, strict=True):
        # Half a code of rounding, and a thousandth for values that fall between two in float32.
        np.testing.assert_allclose(plane, np.clip(values, 0, 255), atol=0.501)
    back, _ = to_rgb(frame, colour(matrix, sample_range))
    # Half a code of luma and of both chromas, through the inverse's largest coefficients.
    assert np.abs(back.astype(int) - rgb).max() <= 3


def test_known_colours() -> None:
    rgb = np.zeros((2, 2, 3), np.uint8)
    rgb[:] = (255, 0, 0)
    planes = planes_of(from_rgb(rgb, "yuv420p", colour("bt709")))
    assert [int(plane[0, 0]) for plane in planes] == [63, 102, 240]
    planes = planes_of(from_rgb(rgb, "yuv420p", colour("smpte170m")))
    assert [int(plane[0, 0]) for plane in planes] == [81, 90, 240]
    white = np.full((2, 2, 3), 65535, np.uint16)
    planes = planes_of(from_rgb(white, "yuv420p10le", colour("bt2020nc")))
    assert [int(plane[0, 0]) for plane in planes] == [940, 512, 512]


@pytest.mark.parametrize(
    ("location", "offset"),  # of chroma sample 0 from pixel 0, in pixels, along (x, y)
    [
        ("left", (0, 0.5)),
        ("center", (0.5, 0.5)),
        ("topleft", (0, 0)),
        ("top", (0.5, 0)),
        ("bottomleft", (0, 1)),
        ("bottom", (0.5, 1)),
    ],
)
def test_chroma_lies_where_the_file_says(location: str, offset: tuple[float, float]) -> None:
    """A ramp is interpolated exactly, so its value at a pixel tells where the samples were taken to be."""
    height, width = 40, 40
    frame = av.VideoFrame(width, height, "yuv420p16le")
    along_x, along_y = 2 * np.arange(20) + offset[0], 2 * np.arange(20) + offset[1]
    ramp = 32768 + 256 * (along_x[None, :] - 20) + 128 * (along_y[:, None] - 20)
    values = [np.full((height, width), 32768), np.full((20, 20), 32768), ramp]
    for plane, samples in zip(frame.planes, values, strict=True):
        padded = np.zeros((plane.height, plane.line_size // 2), np.uint16)
        padded[:, : plane.width] = samples
        plane.update(padded.tobytes())
    rgb, _ = to_rgb(frame, colour(location=location))
    wide_frame = av.VideoFrame(width, height, "yuv444p16le")
    expected_ramp = 32768 + 256 * (np.arange(width)[None, :] - 20) + 128 * (np.arange(height)[:, None] - 20)
    full = [values[0], np.full((height, width), 32768), expected_ramp]
    for plane, samples in zip(wide_frame.planes, full, strict=True):
        padded = np.zeros((plane.height, plane.line_size // 2), np.uint16)
        padded[:, : plane.width] = samples
        plane.update(padded.tobytes())
    expected, _ = to_rgb(wide_frame, colour())
    inside = (slice(6, -6), slice(6, -6))  # the ramp ends at the edges
    assert np.abs(rgb[inside].astype(int) - expected[inside].astype(int)).max() <= 2


def test_every_part_of_a_picture_is_converted_alike() -> None:
    """Rows are converted in blocks; a constant picture shows any seam, and so does a shifted one."""
    rng = np.random.default_rng(3)
    rgb = rng.integers(0, 256, (300, 20, 3)).astype(np.uint8)
    whole = planes_of(from_rgb(rgb, "yuv420p", colour()))
    part = planes_of(from_rgb(rgb[90:230], "yuv420p", colour()))
    np.testing.assert_array_equal(whole[0][90:230], part[0])
    for index in (1, 2):
        np.testing.assert_array_equal(whole[index][50:110], part[index][5:65])


@pytest.mark.parametrize(
    ("pix_fmt", "planar"),
    [
        ("nv12", "yuv420p"),
        ("p010le", "yuv420p10le"),
        ("yuyv422", "yuv422p"),
        ("uyvy422", "yuv422p"),
        ("rgb24", "gbrp"),
        ("bgra", "gbrap"),
        ("rgb48be", "gbrp16le"),
        ("yuv420p10be", "yuv420p10le"),
        ("gray16be", "gray16le"),
        ("pal8", "gbrap"),
        ("ya8", "gbrap"),
        ("monob", "gray"),
        ("yuv411p", "yuv422p"),
        ("yuvj420p", "yuv420p"),
        ("nv24", "yuv444p"),
        ("x2rgb10le", "gbrp10le"),
    ],
)
def test_every_pixel_format_has_a_planar_one_that_holds_it(pix_fmt: str, planar: str) -> None:
    assert layout_of(pix_fmt).pix_fmt == planar


@pytest.mark.parametrize("pix_fmt", ["nv12", "p010le", "yuyv422", "rgb24", "bgra", "gray16be", "yuv422p10be"])
def test_packed_formats_lose_nothing_on_their_way(pix_fmt: str) -> None:
    planar = layout_of(pix_fmt).pix_fmt
    frame = textured_frame(planar, (48, 64))
    packed = frame.reformat(
        format=pix_fmt, src_color_range=frame.color_range, dst_color_range=frame.color_range
    )
    direct, _ = to_rgb(frame, colour())
    shuffled, _ = to_rgb(packed, colour())
    np.testing.assert_array_equal(direct, shuffled)


def test_sizes_that_pixel_formats_need() -> None:
    assert size_multiple("yuv420p") == (2, 2)
    assert size_multiple("p010le") == (2, 2)
    assert size_multiple("yuv422p10le") == (2, 1)
    assert size_multiple("yuv444p") == (1, 1)
    assert size_multiple("rgb24") == (1, 1)


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (2, 1), (65, 33)])
def test_odd_sizes_have_all_their_pixels(size: tuple[int, int]) -> None:
    frame = textured_frame("yuv420p", size)
    rgb, _ = to_rgb(frame, colour())
    assert rgb.shape == (*size, 3)
    back = from_rgb(rgb, "yuv420p", colour())
    difference = np.abs(planes_of(back)[0].astype(int) - planes_of(frame)[0])
    assert difference.max() <= 1


def test_deep_pictures_become_shallow_ones_when_asked() -> None:
    rng = np.random.default_rng(4)
    deep = rng.integers(0, 65536, (16, 16, 3)).astype(np.uint16)
    shallow = np.rint(deep / 257).astype(np.uint8)
    for one, other in zip(
        planes_of(from_rgb(deep, "yuv444p", colour())),
        planes_of(from_rgb(shallow, "yuv444p", colour())),
        strict=True,
    ):
        assert np.abs(one.astype(int) - other).max() <= 1


def test_transparency_is_opaque_when_nothing_is_given() -> None:
    rgb = np.zeros((4, 4, 3), np.uint8)
    assert (planes_of(from_rgb(rgb, "yuva420p", colour()))[3] == 255).all()
    assert (planes_of(from_rgb(rgb, "yuva444p10le", colour()))[3] == 1023).all()
