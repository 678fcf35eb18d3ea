"""Pictures in frames of another shape: where they are, and what is around them."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.command import check_one_line, run
from tests.conftest import MakeClip
from videoinr_cli import JobOptions, UpscaleOptions, upscale_frames, upscale_video
from videoinr_cli.errors import OptionError
from videoinr_cli.model.network import Window
from videoinr_cli.render.framing import BLUR_SHADE, Framing
from videoinr_cli.render.renderer import Rendering
from videoinr_cli.weights import load_model

LOSSLESS = ("-c:v", "ffv1", "-pix_fmt", "bgr0")


def frames_of(path: Path) -> NDArray[np.uint8]:
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


@pytest.mark.parametrize(
    ("options", "picture", "window"),
    [
        (UpscaleOptions(pad=(400, 100)), (133, 100), None),
        (UpscaleOptions(pad=(128, 96)), (128, 96), None),
        (UpscaleOptions(crop=(400, 100)), (400, 300), Window(100, 0, 200, 400)),
        (UpscaleOptions(crop=(60, 96)), (128, 96), Window(0, 34, 96, 94)),
    ],
)
def test_the_picture_is_in_the_middle(
    options: UpscaleOptions, picture: tuple[int, int], window: Window | None
) -> None:
    frame = options.output_size(64, 48)
    framing = Framing.of(options, (64, 48), frame)
    assert (framing.frame, framing.picture, framing.window) == (frame, picture, window)


def test_pixels_that_are_not_square_keep_the_shape_of_the_picture() -> None:
    framing = Framing.of(
        UpscaleOptions(pad=(1920, 1080)), (720, 576), (1920, 1080), pixel_aspect=Fraction(16, 15)
    )
    assert framing.picture == (1440, 1080)


def test_bars_are_black_or_the_picture_blurred() -> None:
    levels = np.full((100, 100, 3), 200, np.uint8)
    shown = Rendering(levels, levels[..., 0] // 2)
    for bars, around in (("black", 0), ("blur", round(200 * BLUR_SHADE))):
        framing = Framing((300, 100), (100, 100), bars)  # type: ignore[arg-type]
        made = framing.framed(shown)
        assert made.alpha is not None
        assert made.rgb.shape == (100, 300, 3)
        assert (made.rgb[:, 100:200] == 200).all()
        assert (made.alpha[:, 100:200] == 100).all()
        for side in (slice(0, 100), slice(200, 300)):
            assert (made.rgb[:, side] == around).all()
            assert (made.alpha[:, side] == 255).all()


def test_a_blurred_background_shows_no_detail() -> None:
    noise = np.random.default_rng(0).integers(0, 65536, (240, 240, 3), dtype=np.uint16)
    made = Framing((720, 240), (240, 240), "blur").framed(Rendering(noise, None)).rgb
    assert made[:, :240].std() < noise.std() / 8


@pytest.mark.parametrize("tile", [None, 32])
def test_frames_hold_the_picture_that_is_rendered_without_them(
    tile: int | None, make_clip: MakeClip, weights: Path, tmp_path: Path
) -> None:
    source = make_clip("in.mkv", *LOSSLESS, frames=4)

    def made(**options: tuple[int, int]) -> NDArray[np.uint8]:
        wanted = UpscaleOptions(weights=str(weights), tile=tile, device="cpu", **options)  # type: ignore[arg-type]
        output = tmp_path / f"{'-'.join(options)}.apng"
        upscale_video(source, output, wanted, job=JobOptions(segment_seconds=0))
        return frames_of(output)

    whole = made(size=(128, 96))
    padded, cropped = made(pad=(160, 96)), made(crop=(100, 96))
    assert (padded[:, :, 16:144] == whole).all()
    assert not padded[:, :, :16].any()
    assert not padded[:, :, 144:].any()
    assert np.abs(cropped.astype(int) - whole[:, :, 14:114]).max() <= 1


def test_frames_in_memory_are_framed_too(weights: Path) -> None:
    given = np.full((24, 32, 3), 255, np.uint8)
    (made,) = upscale_frames([given], UpscaleOptions(pad=(64, 100)), model=load_model(weights, device="cpu"))
    assert np.asarray(made.picture).shape == (100, 64, 3)


def test_the_command(
    make_clip: MakeClip, weights: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source = make_clip("in.mp4", "-vf", "setsar=2", frames=2)
    command = ["upscale", source, "--weights", weights, "-o", tmp_path / "out.mp4"]
    assert run(*command, "--pad", "160x96", "--bars", "blur") == 0
    with av.open(str(tmp_path / "out.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height) == (160, 96)
        assert stream.sample_aspect_ratio in (None, 1)
    capfd.readouterr()
    assert run(*command, "-y", "--pad", "70x48") == 2
    check_one_line(capfd.readouterr().err, "smaller than the source's 64x48")
    assert run(*command, "-y", "--pad", "720p", "--scale", 2) == 2
    check_one_line(capfd.readouterr().err, "--scale and --pad exclude each other")


def test_a_frame_smaller_than_the_picture_cuts_it() -> None:
    assert UpscaleOptions(crop=(48, 48)).output_size(64, 48) == (48, 48)
    with pytest.raises(OptionError, match="only enlarges"):
        UpscaleOptions(crop=(40, 40)).picture_size((64, 48), (40, 40))
