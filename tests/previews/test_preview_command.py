"""``videoinr preview``: real files in, a picture and a clip out."""

from __future__ import annotations

import dataclasses
import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from tests.command import check_one_line, run
from tests.conftest import MakeClip
from tests.tiny import TINY
from videoinr_cli.errors import FfmpegError, OptionError
from videoinr_cli.media.write import writer
from videoinr_cli.model import build
from videoinr_cli.options import PreviewOptions, Region, UpscaleOptions
from videoinr_cli.previews import preview as preview_module
from videoinr_cli.previews.moment import Moment
from videoinr_cli.previews.sheet import GAP_PX, LABEL_PX
from videoinr_cli.weights import save_model


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


def test_the_time_of_the_whole_counts_its_first_pair(
    make_clip: MakeClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    render = preview_module.render_moment

    def timed(*given: Any) -> Moment:
        return dataclasses.replace(render(*given), pair_seconds=2.0, frame_seconds=0.5)

    monkeypatch.setattr(preview_module, "render_moment", timed)
    source, options = make_clip("in.mkv", frames=20, rate="25"), UpscaleOptions(scale=2, device="cpu")
    shown = PreviewOptions(region=Region(0, 0, 64, 48), upscale=options)  # all, so that all costs as much
    model = build(TINY)
    made = preview_module.preview(source, tmp_path / "look.png", shown, model=model)
    extra = 2.0 * (model.effort().alone / model.effort().following - 1)
    assert made.whole_seconds == pytest.approx(20 * 2.5 + extra)


def test_a_preview_under_its_own_name_is_replaced_and_nothing_else(
    make_clip: MakeClip, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_clip("in.mp4", frames=4)
    monkeypatch.chdir(tmp_path)
    for seconds in (["--seconds", "0.1"], ["--seconds", "0.1"], []):
        assert run("preview", source, "--weights", weights, *seconds) == 0
    picture = tmp_path / "in-preview.png"
    with Image.open(picture) as opened:
        Image.new("RGB", opened.size).save(picture)
    before = picture.read_bytes()
    assert run("preview", source, "--weights", weights) == 1
    assert picture.read_bytes() == before


def test_two_models_show_the_same_spot_side_by_side(
    make_clip: MakeClip, weights: Path, tmp_path: Path
) -> None:
    torch.manual_seed(1)
    other = tmp_path / "other.safetensors"
    save_model(build(dataclasses.replace(TINY, restores=True)), other, {})  # not the frame as it is
    source = make_clip("in.mkv", frames=6, size=(320, 180), filters="noise=alls=20:allf=t", rate="20")

    def columns(*models: Path) -> list[NDArray[Any]]:
        """Return the columns of a sheet: a panel, and its spot below."""
        named = [word for model in models for word in ("--model", str(model))]
        picture = tmp_path / "look.png"
        arguments = ["--scale", 1, "--region", "0,0,320,180", "--strip", "--seconds", "0.1"]
        arguments += ["--deinterlace", "off"]
        assert run("preview", source, *arguments, *named, "-y", "-o", picture) == 0
        with Image.open(picture) as opened:
            sheet = np.asarray(opened.convert("RGB"))
        top = 120 + 2 * GAP_PX + LABEL_PX
        lefts = range(GAP_PX, GAP_PX + (len(models) + 2) * (320 + GAP_PX), 320 + GAP_PX)
        return [sheet[top : top + 2 * 180 + GAP_PX, left : left + 320] for left in lefts]

    nearest, bicubic, *both = columns(weights, other)
    played = decoded(tmp_path / "look.mp4")
    assert len(played) == 2
    assert played[0][1].shape[1] > 4 * 320
    for model, panel in zip((weights, other), both, strict=True):
        alone = columns(model)
        assert np.array_equal(nearest, alone[0]), "with the mark around the spot"
        assert np.array_equal(bicubic, alone[1])
        assert np.array_equal(panel, alone[2])
    assert not np.array_equal(*both)


def test_a_frame_shows_the_picture_at_its_size_there_and_nothing_that_is_cut_off(
    make_clip: MakeClip, weights: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    # What there is to see lies at the left, where a frame of half the width cuts it off.
    busy = "geq=lum='if(lt(X,60),mod(X*37+Y*91,256),if(gt(X,200),mod(X*7+Y*3,64),128))':cb=128:cr=128"
    source = make_clip("in.mkv", filters=busy, frames=2, size=(320, 90))
    arguments = ["preview", source, "--weights", weights, "-y", "-o", tmp_path / "look.png"]

    def region(*options: str) -> list[int]:
        assert run(*arguments, *options) == 0
        found = re.search(r"region (\d+),(\d+),(\d+),(\d+)", capfd.readouterr().err)
        assert found is not None
        return [int(number) for number in found.groups()]

    assert region("--pad", "640x360", "--bars", "blur") == [0, 0, 320, 90]
    left, top, width, height = region("--crop", "640x360")  # of a picture of 1280x360
    assert (left, top, width, height) == (80, 0, 160, 90)
    assert run(*arguments, "--crop", "200x60") == 2
    assert "smaller than the source's 320x90" in capfd.readouterr().err


def test_plays_a_moment(make_clip: MakeClip, weights: Path, tmp_path: Path) -> None:
    source = make_clip("in.mp4", frames=20, rate="25")
    options = ["--at", "0:00.2", "--seconds", "0.24", "--fps", "2x", "--scale", 2, "-q"]
    assert run("preview", source, *options, "--weights", weights, "-o", tmp_path / "look.png") == 0
    assert [seconds for seconds, _ in decoded(tmp_path / "look.mp4")] == [Fraction(n, 50) for n in range(12)]
    assert (tmp_path / "look.png").is_file()


RED = "drawbox=color=0xc02020:thickness=fill"

KR_KB = {1: (0.2126, 0.0722), 6: (0.299, 0.114)}
"""The weights of red and blue in luma, by the number of a matrix. **Source**: ITU-T H.273, table 4."""


@pytest.mark.parametrize(("tags", "matrix"), [((), 6), (("-colorspace", "bt709"), 1)])
def test_a_clip_shows_the_colours_of_the_picture(
    tags: tuple[str, ...], matrix: int, make_clip: MakeClip, weights: Path, tmp_path: Path
) -> None:
    """Three panels are so wide that readers would take what is not tagged for HD."""
    wide = (416, 48)
    source = make_clip("in.mp4", *tags, picture="color", filters=RED, size=wide, frames=8)
    options = ["--region", "0,0,416,48", "--seconds", "0.2", "--scale", 1, "-q"]
    assert run("preview", source, *options, "--weights", weights, "-o", tmp_path / "look.png") == 0
    with Image.open(tmp_path / "look.png") as opened:
        sheet = np.asarray(opened.convert("RGB")).astype(int)
    with av.open(str(tmp_path / "look.mp4")) as container:
        frame = next(container.decode(video=0))
    assert frame.width >= 3 * wide[0]
    assert int(frame.colorspace) == matrix
    luma, blue, red = (
        np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[plane.height // 2, plane.width // 8]
        for plane in frame.planes
    )
    weight_red, weight_blue = KR_KB[matrix]
    y, pb, pr = (float(luma) - 16) / 219, (float(blue) - 128) / 112, (float(red) - 128) / 112
    r, b = y + (1 - weight_red) * pr, y + (1 - weight_blue) * pb
    g = (y - weight_red * r - weight_blue * b) / (1 - weight_red - weight_blue)
    shown = [round(255 * level) for level in (r, g, b)]
    distances = np.abs(sheet - shown).max(axis=2)
    assert np.mean(distances <= 2) > 0.05, f"{shown} of the clip is nowhere in the picture"


def test_a_clip_that_cannot_be_begun_leaves_nothing(
    make_clip: MakeClip, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise FfmpegError("ffmpeg cannot be run")

    source = make_clip("in.mp4", frames=3)
    monkeypatch.setattr(writer, "FfmpegProcess", refuse)
    options = ["--seconds", "0.1", "--weights", weights, "-o", tmp_path / "look.png"]
    assert run("preview", source, *options) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mp4", "look.png"]


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
