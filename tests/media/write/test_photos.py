"""A photograph in, a photograph out; and AVI, which stores no times."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from tests.command import check_one_line, run
from tests.conftest import MakeClip
from videoinr_cli import UpscaleOptions, upscale_video


@pytest.mark.parametrize("source", ["a.jpg", "a.png", "a.webp"])
@pytest.mark.parametrize("name", ["big.png", "50%.jpg", "big.webp", "big.tif"])
def test_a_photo_becomes_a_photo(
    source: str, name: str, make_clip: MakeClip, weights: Path, tmp_path: Path
) -> None:
    photo = make_clip(source, "-update", 1, frames=1)
    output = tmp_path / name
    summary = upscale_video(photo, output, UpscaleOptions(scale=3, weights=str(weights)))
    assert summary.frames_written == 1
    with av.open(str(output)) as container:
        (frame,) = container.decode(video=0)
    assert (frame.width, frame.height) == (192, 144)
    assert len(np.unique(frame.to_ndarray(format="rgb24"))) > 30


def test_photos_keep_their_kind_in_a_folder_and_without_a_name(
    make_clip: MakeClip, weights: Path, tmp_path: Path
) -> None:
    photos = [make_clip(name, "-update", 1, frames=1, size=(32, 24)) for name in ("a.jpg", "b.png")]
    assert run("upscale", *photos, "--weights", weights, "-o", f"{tmp_path}/big/") == 0
    assert sorted(path.name for path in (tmp_path / "big").iterdir()) == ["a.jpg", "b.png"]
    assert run("upscale", photos[0], "--weights", weights) == 0
    assert (tmp_path / "a-2x.jpg").exists()


def test_a_video_does_not_become_a_photo(
    make_clip: MakeClip, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run("upscale", make_clip("in.mp4", frames=2), "-o", tmp_path / "out.png") == 1
    check_one_line(capfd.readouterr().err, "is one image; number them: out-%05d.png")


def test_avi_holds_every_frame_in_its_place_and_the_sound(
    make_clip: MakeClip, weights: Path, tmp_path: Path
) -> None:
    source = make_clip("in.mp4", frames=25, audio=True)
    upscale_video(source, tmp_path / "out.avi", UpscaleOptions(weights=str(weights)))
    with av.open(str(tmp_path / "out.avi")) as container:
        video, sound = container.streams.video[0], container.streams.audio[0]
        assert (video.codec_context.name, sound.codec_context.name) == ("mpeg4", "pcm_s16le")
        assert [round(frame.time * 25) for frame in container.decode(video)] == list(range(25))
        container.seek(0)
        samples = sum(frame.samples for frame in container.decode(sound))
    assert samples / 48000 == pytest.approx(1.0, abs=0.05)
