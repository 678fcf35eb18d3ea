"""Folders and patterns of images, and standard input, as videos."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms, ImageOps

from tests.media.read.test_reader import cut_last_packet
from videoinr_cli.errors import InputError
from videoinr_cli.media.images import find_images
from videoinr_cli.media.read.probe import probe
from videoinr_cli.media.read.reader import read_frames

MakeClip = Callable[..., Path]
RunFfmpeg = Callable[..., None]


def names(path: Path) -> list[tuple[int, str]]:
    return [(number, file.name) for number, file in find_images(path)]


def test_a_folders_images_come_in_natural_order(tmp_path: Path) -> None:
    for name in ("a10.png", "a9.PNG", "a1.jpg", "notes.txt", "b2.png", "._a1.jpg"):
        (tmp_path / name).touch()
    assert names(tmp_path) == [(0, "a1.jpg"), (1, "a9.PNG"), (2, "a10.png"), (3, "b2.png")]


def test_a_pattern_takes_the_files_of_its_form_with_their_gaps(tmp_path: Path) -> None:
    for name in ("f0007.png", "f0008.png", "f0010.png", "f11.png", "g0009.png", "f12345.png"):
        (tmp_path / name).touch()
    assert names(tmp_path / "f%04d.png") == [
        (0, "f0007.png"),
        (1, "f0008.png"),
        (3, "f0010.png"),
        (12338, "f12345.png"),
    ]
    assert [file for _, file in names(tmp_path / "f%d.png")][:2] == ["f0007.png", "f0008.png"]


def test_a_doubled_percent_sign_of_a_pattern_is_one(tmp_path: Path) -> None:
    for name in ("50%_001.png", "50%%_002.png", "50%_003.png"):
        (tmp_path / name).touch()
    assert names(tmp_path / "50%%_%03d.png") == [(0, "50%_001.png"), (2, "50%_003.png")]
    assert find_images(tmp_path / "50%%d.png") == ()  # no number, but a name with %d in it


def test_two_numbers_in_a_pattern_are_refused(tmp_path: Path) -> None:
    (tmp_path / "00001001.png").touch()
    with pytest.raises(InputError, match=r"%05d%03d\.png' has more than one number"):
        find_images(tmp_path / "%05d%03d.png")


def test_two_images_of_one_number_are_refused(tmp_path: Path) -> None:
    for name in ("f1.png", "f01.png", "f2.png"):
        (tmp_path / name).touch()
    with pytest.raises(InputError, match=r"'.*f01\.png' and '.*f1\.png' .* number 1"):
        find_images(tmp_path / "f%d.png")


def test_other_paths_are_no_images(tmp_path: Path) -> None:
    (tmp_path / "clip %d.mp4").touch()
    assert find_images(tmp_path / "clip %d.mp4") == ()  # a file of that very name
    assert find_images(tmp_path / "clip.mp4") == ()


def test_nothing_found_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a folder without images"):
        find_images(tmp_path)
    with pytest.raises(InputError, match=r"there are no files .*%03d\.png"):
        find_images(tmp_path / "%03d.png")
    with pytest.raises(InputError, match="there are no files"):
        find_images(tmp_path / "nowhere" / "%03d.png")


@pytest.mark.parametrize(
    ("suffix", "codec"), [("png", "png"), ("jpg", "mjpeg"), ("tif", "tiff"), ("webp", "libwebp")]
)
def test_images_are_read_as_a_video(
    make_clip: MakeClip, run_ffmpeg: RunFfmpeg, tmp_path: Path, suffix: str, codec: str
) -> None:
    clip = make_clip("in.mkv", "-c:v", "ffv1", frames=12)
    (tmp_path / "frames").mkdir()
    run_ffmpeg("-i", clip, "-c:v", codec, "-f", "image2", tmp_path / "frames" / f"%03d.{suffix}")
    for path in (tmp_path / "frames", tmp_path / "frames" / f"%03d.{suffix}"):
        info = probe(path, rate=Fraction(24000, 1001))
        assert info.frame_rate == Fraction(24000, 1001)
        assert info.duration == 12 * Fraction(1001, 24000)
        assert (info.width, info.height, info.frame_count) == (64, 48, 12)
        frames = list(read_frames(info))
        assert [frame.pts for frame in frames] == list(range(12))
        assert frames[-1].duration == 1
        reference = [frame.rgb for frame in read_frames(probe(clip))]
        assert max(np.abs(a.rgb.astype(int) - b).mean() for a, b in zip(frames, reference, strict=True)) < 20


def test_a_missing_image_leaves_a_gap_and_a_damaged_one_is_said(
    make_clip: MakeClip, run_ffmpeg: RunFfmpeg, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run_ffmpeg("-i", make_clip("in.mkv", "-c:v", "ffv1", frames=6), tmp_path / "%02d.png")
    (tmp_path / "03.png").unlink()
    (tmp_path / "05.png").write_bytes(b"no image")
    frames = list(read_frames(probe(tmp_path / "%02d.png")))
    assert [frame.pts for frame in frames] == [0, 1, 3, 5]
    assert "05.png" in caplog.text


READ_STANDARD_INPUT = """
from videoinr_cli.media.read.probe import probe
from videoinr_cli.media.read.reader import read_frames
info = probe("-")
frames = list(read_frames(info))
print(info.container, info.width, info.height, info.frame_rate, len(frames), frames[0].rgb.mean().round(2))
print([float(frame.pts * info.time_base) for frame in frames])
"""


@pytest.mark.parametrize(
    ("name", "codec", "container"),
    [
        ("in.y4m", "wrapped_avframe", "yuv4mpegpipe"),
        ("in.nut", "rawvideo", "nut"),
        ("in.mkv", "libx264", "matroska,webm"),
    ],
)
def test_standard_input_is_read_as_it_comes(
    make_clip: MakeClip, name: str, codec: str, container: str
) -> None:
    clip = make_clip(name, "-c:v", codec, filters="format=yuv420p", frames=15)
    mean = next(read_frames(probe(clip))).rgb.mean().round(2)
    done = subprocess.run(
        [sys.executable, "-c", READ_STANDARD_INPUT], input=clip.read_bytes(), capture_output=True, check=True
    )
    described, times = done.stdout.decode().splitlines()
    assert described == f"{container} 64 48 25 15 {mean}"
    assert times == str([n / 25 for n in range(15)])


def test_standard_input_that_ends_before_its_first_frame_is_decoded_is_said(make_clip: MakeClip) -> None:
    clip = make_clip("in.mkv", "-c:v", "libx264", "-bf", 2, frames=4)
    cut_last_packet(clip)
    done = subprocess.run(
        [sys.executable, "-c", READ_STANDARD_INPUT],
        input=clip.read_bytes(),
        capture_output=True,
        check=True,
    )
    assert b"the file is damaged: File ended prematurely" in done.stderr


@pytest.mark.parametrize("name", ["in.h264", "in.mjpeg"])
def test_raw_streams_get_the_rate_that_is_given(make_clip: MakeClip, name: str) -> None:
    info = probe(make_clip(name, frames=9), rate=Fraction(50))
    assert info.frame_rate == 50
    assert [frame.pts * info.time_base for frame in read_frames(info)] == [Fraction(n, 50) for n in range(9)]


def test_standard_input_without_a_video_is_said(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", READ_STANDARD_INPUT], input=b"no video", capture_output=True, check=False
    )
    assert b"InputError: '-' cannot be read as a video" in done.stderr


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_shown_as_cameras_held_them(orientation: int, suffix: str, tmp_path: Path) -> None:
    cells = np.random.default_rng(0).integers(60, 196, (6, 8, 3), np.uint8)
    picture = Image.fromarray(cells).resize((64, 48), Image.Resampling.BICUBIC)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    picture.save(tmp_path / f"1{suffix}", exif=exif, quality=95)
    with Image.open(tmp_path / f"1{suffix}") as saved:
        upright = np.asarray(ImageOps.exif_transpose(saved).convert("RGB"))
    (frame,) = read_frames(probe(tmp_path))
    shown = np.asarray(frame.rgb)
    assert shown.shape == upright.shape
    levels = 255 / np.iinfo(shown.dtype).max
    assert np.abs(shown * levels - upright).mean() < 3


def test_a_colour_profile_does_no_harm(tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for number in range(2):
        Image.new("RGB", (64, 48), (200, 100, 50)).save(tmp_path / f"{number}.png", icc_profile=profile)
    program = (
        "import sys; from videoinr_cli.media.read.probe import probe; print(probe(sys.argv[1]).frame_count)"
    )
    told = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True)
    assert (told.returncode, told.stdout.strip()) == (0, "2"), told.stderr
