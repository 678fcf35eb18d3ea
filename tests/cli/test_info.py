"""What ``videoinr info`` says of files whose properties are known by construction."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.command import run
from tests.conftest import MakeClip, RunFfmpeg
from tests.media.cropping import crop_matroska
from videoinr_cli.cli import main

Info = Callable[..., str]


@pytest.fixture
def info(capfd: pytest.CaptureFixture[str]) -> Info:
    """Return a function that runs the command and returns what it prints."""

    def run(*arguments: object, code: int = 0) -> str:
        with pytest.raises(SystemExit) as left:
            main(["info", *map(str, arguments)])
        said = capfd.readouterr()
        assert left.value.code == code, said.err
        return said.out if code == 0 else said.err

    return run


def record(info: Info, *arguments: object) -> Any:
    return json.loads(info(*arguments, "--json"))


def line(text: str, label: str) -> str:
    return next(row.strip() for row in text.splitlines() if row.split()[:1] == [label])


@pytest.fixture
def full_clip(make_clip: MakeClip, run_ffmpeg: RunFfmpeg, tmp_path: Path) -> Path:
    """Variable rate, two sounds, subtitles, a chapter, a font."""
    uneven = "settb=1/1000,setpts='10*(N*N+9*N)'"
    picture = make_clip(
        *("picture.mkv", "-fps_mode", "passthrough", "-enc_time_base", "1:1000", "-c:a", "pcm_s16le"),
        filters=f"format=yuv420p,{uneven}",
        audio=True,
    )
    lines, tags = tmp_path / "lines.srt", tmp_path / "tags.txt"
    lines.write_text("1\n00:00:00,100 --> 00:00:00,300\nHello\n")
    tags.write_text(";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=400\ntitle=One\n")
    run_ffmpeg(
        *("-i", picture, "-i", lines, "-i", tags, "-map", 0, "-map", 1, "-map_chapters", 2, "-c", "copy"),
        *("-c:s", "ass", "-metadata:s:s", "language=deu", "-metadata:s:s", "title=Full"),
        *("-attach", lines, "-metadata:s:t", "mimetype=font/ttf", tmp_path / "full.mkv"),
    )
    return tmp_path / "full.mkv"


def test_a_file_is_described_in_lines(info: Info, full_clip: Path) -> None:
    said = info(full_clip, "--scale", 2)
    assert line(said, "video").endswith("stream 0, h264, 64x48, yuv420p (8 bits)")
    # From 100 ms to 260 ms between two frames.
    assert "variable, 3.846 to 10 frames per second, 5.556 on average, 10 frames" in line(said, "times")
    assert "matrix smpte170m" in line(said, "colour")
    assert "not in the file but guessed: matrix, primaries, transfer" in line(said, "colour")
    assert 'stream 2, ass, deu, "Full"' in line(said, "subtitle")
    assert line(said, "chapters").endswith("1")
    assert line(said, "out.mkv").split(None, 1)[1] == "128x96, libx264, yuv420p"
    assert "audio stream 1 (pcm_s16le) becomes aac" in line(said, "out.mp4")
    assert "subtitle stream 2 (ass) becomes mov_text" in line(said, "out.mp4")
    assert "attachment stream 3 (of unknown codec) is left out" in line(said, "out.mp4")
    assert "libvpx-vp9" in line(said, "out.webm")


def test_json_says_the_same(info: Info, full_clip: Path) -> None:
    said = record(info, full_clip, "-o", "a.mp4", "-o", "b.xyz", "--height", 100)
    timing = said["timing"]
    assert (timing["constant"], timing["lowest_rate"], timing["highest_rate"]) == (False, "50/13", "10")
    assert (timing["frames"], timing["frame_rate"]) == (10, "50/9")
    assert said["chapters"] == [{"start_seconds": 0.0, "end_seconds": 0.4, "tags": {"title": "One"}}]
    assert [stream["kind"] for stream in said["streams"]] == ["audio", "subtitle", "attachment"]
    assert said["upscale"]["outputs"]["a.mp4"] == {
        "width": 134,
        "height": 100,
        "picture_width": 134,
        "picture_height": 100,
        "encoder": "libx264",
        "pix_fmt": "yuv420p",
        "copied": [],
        "converted": {"1": "aac", "2": "mov_text"},
        "left_out": [3],
    }
    assert "names no video format" in said["upscale"]["outputs"]["b.xyz"]["error"]


def test_a_frame_is_told_with_the_picture_in_it(info: Info, make_clip: MakeClip) -> None:
    source = make_clip("in.mkv", "-vf", "setsar=2", frames=2)  # 64x48, shown as 128x48
    assert line(info(source, "-o", "a.mkv", "--pad", "160x100"), "a.mkv").startswith(
        "a.mkv     160x100, the picture 160x60, "
    )
    cropped = record(info, source, "-o", "a.mkv", "--crop", "160x100")["upscale"]["outputs"]["a.mkv"]
    sides = ("width", "height", "picture_width", "picture_height")
    assert [cropped[name] for name in sides] == [160, 100, 267, 100]
    small = record(info, source, "-o", "a.mkv", "--pad", "100x100")["upscale"]["outputs"]["a.mkv"]
    assert "would be 100x38, smaller than the source's 64x48" in small["error"]


def test_a_size_on_the_command_line_replaces_one_of_the_environment(
    info: Info, make_clip: MakeClip, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_clip("in.mkv", frames=2)
    monkeypatch.setenv("VIDEOINR_INFO_HEIGHT", "96")
    assert record(info, source, "-o", "a.mkv")["upscale"]["outputs"]["a.mkv"]["height"] == 96
    assert record(info, source, "-o", "a.mkv", "--scale", 3)["upscale"]["outputs"]["a.mkv"]["height"] == 144


def test_of_standard_input_only_the_pictures_are_kept(full_clip: Path) -> None:
    def piped(*arguments: str) -> str:
        command = [sys.executable, "-m", "videoinr_cli", "info", "-", "-o", "out.mkv", *arguments]
        done = subprocess.run(command, input=full_clip.read_bytes(), capture_output=True, check=True)
        return done.stdout.decode()

    said = piped()
    assert "only the pictures" in line(said, "input")
    assert "audio stream 1 (pcm_s16le) is left out" in line(said, "out.mkv")
    told = json.loads(piped("--json"))["upscale"]
    assert told["pictures_only"] is True
    assert told["outputs"]["out.mkv"]["copied"] == []
    assert told["outputs"]["out.mkv"]["left_out"] == [1, 2, 3]


def test_constant_rates_are_seen_through_rounded_times(info: Info, make_clip: MakeClip) -> None:
    for name, rate in {"in.mkv": "30", "in.mp4": "24000/1001", "in.ts": "60000/1001"}.items():
        timing = record(info, make_clip(name, rate=rate, frames=40))["timing"]
        assert timing["constant"] is True, name
        assert timing["frames"] == 40


def test_hdr_rotation_and_pixels(info: Info, make_clip: MakeClip, run_ffmpeg: RunFfmpeg) -> None:
    tags = "color_primaries=bt2020:color_trc=smpte2084:colorspace=bt2020nc:range=tv"
    flat = make_clip(
        *("flat.mp4", "-c:v", "libx265", "-x265-params", "log-level=none:max-cll=1000,400"),
        filters=f"format=yuv420p10le,setsar=4/3,setparams={tags}",
    )
    turned = flat.with_name("turned.mp4")
    run_ffmpeg("-display_rotation", 90, "-i", flat, "-c", "copy", turned)
    text, said = info(turned), record(info, turned)
    assert line(text, "HDR").endswith("PQ, content light 1000,400 cd/m2")
    assert "48x64, yuv420p10le (10 bits), pixels 3:4" in line(text, "video")
    assert "shown rotated by 270 degrees" in line(text, "video")
    assert said["hdr"] == {"is_hdr": True, "mastering_display": None, "content_light": "1000,400"}
    assert (said["video"]["width"], said["video"]["rotation_degrees"]) == (48, 270)


def test_cropping(info: Info, make_clip: MakeClip) -> None:
    clip = make_clip("in.mkv", "-write_crc32", 0)
    crop_matroska(clip, top=2, bottom=6, left=10, right=4)
    assert "50x40" in line(info(clip), "video")
    assert "cropped out of 64x48" in line(info(clip), "video")
    assert record(info, clip)["video"]["crop"] == {"top": 2, "bottom": 6, "left": 10, "right": 4}


def test_fields(info: Info, make_clip: MakeClip) -> None:
    woven = "format=yuv420p,tinterlace=interleave_top"
    clip = make_clip("in.mpg", "-c:v", "mpeg2video", "-flags", "+ildct+ilme", rate="50", filters=woven)
    said = info(clip)
    assert "fields    interlaced, according to its frames" in said
    assert "each becomes a frame, as flagged" in said
    assert record(info, clip)["upscale"] | {"outputs": None} == {
        "deinterlaced": True, "pictures_only": False, "frame_rate": "50", "advice": None, "outputs": None,
            "drawings_per_second": None,
    }  # fmt: skip
    assert record(info, clip, "--deinterlace", "off")["upscale"]["deinterlaced"] is False


def test_images_have_the_rate_that_is_given(info: Info, make_clip: MakeClip, tmp_path: Path) -> None:
    make_clip("%02d.png", frames=4)
    (tmp_path / "02.png").unlink()
    timing = record(info, tmp_path / "%02d.png", "--input-fps", 10)["timing"]
    assert (timing["constant"], timing["lowest_rate"], timing["highest_rate"]) == (False, "5", "10")


def test_what_cannot_be_read_is_one_line(info: Info, tmp_path: Path) -> None:
    assert info(tmp_path / "none.mp4", code=1).count("\n") == 1


def test_it_waits_for_no_torch(make_clip: MakeClip) -> None:
    program = (
        "import sys\nfrom videoinr_cli.cli import main\n"
        "try: main(sys.argv[1:])\nfinally: assert 'torch' not in sys.modules"
    )
    clip = make_clip("in.mp4", frames=2)
    subprocess.run([sys.executable, "-c", program, "info", str(clip)], check=True, stdout=subprocess.DEVNULL)


@pytest.mark.skipif(sys.platform in ("darwin", "win32"), reason="names are text there")
def test_a_name_that_is_no_utf_8_is_printed_as_it_is(make_clip: MakeClip) -> None:
    """As on a terminal of UTF-8, where Python's own standard output takes nothing else."""
    clip = make_clip("in.mp4", frames=2)
    odd = clip.rename(clip.with_name(os.fsdecode(b"lat\xe9in.mp4")))
    command = [sys.executable, "-m", "videoinr_cli", "info", odd]
    strict = {**os.environ, "PYTHONIOENCODING": "utf-8:strict"}
    done = subprocess.run(command, env=strict, capture_output=True, check=True)
    assert done.stdout.startswith(os.fsencode(odd) + b"\n")
    told = subprocess.run([*command, "--json"], env=strict, capture_output=True, check=True)
    assert os.fsencode(json.loads(told.stdout)["path"]) == os.fsencode(odd)


def test_several_files_and_a_folder(
    make_clip: MakeClip, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in ("a.mp4", "folder/b.mp4", "folder/c.mkv"):
        make_clip(name, frames=2, size=(32, 24))
    assert run("info", tmp_path / "a.mp4", tmp_path / "folder") == 0
    said = capfd.readouterr().out
    assert said.count("upscale would write") == 3
    assert run("info", tmp_path / "folder", "--json") == 0
    told = json.loads(capfd.readouterr().out)
    assert [Path(record["path"]).name for record in told] == ["b.mp4", "c.mkv"]
    (tmp_path / "bad.mp4").write_text("nothing")
    assert run("info", tmp_path / "bad.mp4", tmp_path / "a.mp4") == 1
    shown = capfd.readouterr()
    assert shown.out.count("upscale would write") == 1
    assert "bad.mp4" in shown.err
