"""``videoinr preview``: real files in, a picture and a clip out."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.command import check_one_line, run
from tests.conftest import MakeClip
from videoinr_cli.errors import FfmpegError, OptionError
from videoinr_cli.options import Region
from videoinr_cli.previews import preview as preview_module
from videoinr_cli.previews.sheet import GAP_PX


def decoded(path: Path) -> list[tuple[Fraction, NDArray[Any]]]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.time_base is not None
        return [(f.pts * stream.time_base, f.to_ndarray(format="rgb24")) for f in container.decode(stream)]


def test_shows_a_moment(
    make_clip: MakeClip, weights: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source = make_clip("in.mkv", "-c:v", "ffv1", "-pix_fmt", "bgr0", frames=20, rate="25")
    picture = tmp_path / "look.png"
    arguments = [source, "--at", "0.5", "--region", "8,4,32,24", "--scale", 3, "--weights", weights]
    assert run("preview", *arguments, "--strip", "-o", picture) == 0
    assert "look.png: region 8,4,32,24; the whole video: about" in capfd.readouterr().err
    with Image.open(picture) as opened:
        sheet = np.asarray(opened.convert("RGB"))
    own = next(rgb for seconds, rgb in decoded(source) if seconds == Fraction(12, 25))[4:28, 8:40]
    enlarged = np.repeat(np.repeat(own, 3, axis=0), 3, axis=1)
    column = sheet[:, GAP_PX : GAP_PX + 96].astype(int)
    tops = range(sheet.shape[0] - 72)
    # The median: a frame is drawn around what is shown closer.
    differences = [np.median(np.abs(column[top : top + 72] - enlarged)) for top in tops]
    assert min(differences) == 0, "the source's pixels are nowhere in the first column"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mkv", "look.png"]

    assert run("preview", *arguments, "-o", picture) == 1
    assert "exists" in capfd.readouterr().err


def test_plays_a_moment(make_clip: MakeClip, weights: Path, tmp_path: Path) -> None:
    source = make_clip("in.mp4", frames=20, rate="25")
    options = ["--at", "0:00.2", "--seconds", "0.24", "--fps", "2x", "--scale", 2, "-q"]
    assert run("preview", source, *options, "--weights", weights, "-o", tmp_path / "look.png") == 0
    assert [seconds for seconds, _ in decoded(tmp_path / "look.mp4")] == [Fraction(n, 50) for n in range(12)]
    assert (tmp_path / "look.png").is_file()


def test_a_clip_that_cannot_be_begun_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: list[str]) -> None:
        raise FfmpegError("ffmpeg cannot be run")

    monkeypatch.setattr(preview_module, "FfmpegProcess", refuse)
    encoder = preview_module._encoder(tmp_path / "look.mp4", (64, 48), Fraction(25), overwrite=False)
    with pytest.raises(FfmpegError), encoder:
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--at", "soon"], "time 'soon'"),
        (["--at", "1:00:00"], "after the end"),
        (["--region", "1,2,3"], "region '1,2,3'"),
        (["--region", "60,0,10,10"], "64x48"),
        (["--seconds", "61"], "longer than 60 s"),
        (["--scale", "0.5"], "scale 0.5"),
        (["-o", "look.jpg"], "'look.jpg'"),
    ],
)
def test_wrong_usage_gets_one_line(
    arguments: list[str],
    words: str,
    make_clip: MakeClip,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    source = make_clip("in.mp4", frames=3)
    assert run("preview", source, "-o", tmp_path / "look.png", *arguments) == 2
    check_one_line(capfd.readouterr().err, words)
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]


def test_a_size_on_the_command_line_replaces_one_of_the_environment(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIDEOINR_PREVIEW_HEIGHT", "96")
    assert run("preview", tmp_path / "missing.mp4", "--scale", 2) == 1
    check_one_line(capfd.readouterr().err, "missing.mp4")


def test_regions_have_an_area() -> None:
    with pytest.raises(OptionError, match="no area"):
        Region(0, 0, 0, 5)
