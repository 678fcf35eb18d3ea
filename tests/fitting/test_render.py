"""What `render` and `info` make of a fitted clip: times, other streams, sizes, moments."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.command import check_one_line, run
from videoinr_cli.fitting.file import read_file
from videoinr_cli.fitting.fitted import FittedVideo
from videoinr_cli.media.read.probe import probe
from videoinr_cli.media.read.reader import read_frames


def test_a_rendered_clip_is_the_source_again(source: Path, fitted: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.mkv"
    assert run("render", fitted, "-o", output, "--codec", "ffv1", "-q") == 0
    was, now = probe(source), probe(output)
    assert (now.width, now.height, now.pix_fmt) == (64, 48, "yuv420p")
    assert [stream.codec for stream in now.streams] == ["flac"]
    assert [(one.start_seconds, dict(one.tags)["title"]) for one in now.chapters] == [(0, "First")]
    assert dict(now.file_tags)["title"] == "A clip"
    times = [frame.pts * was.time_base for frame in read_frames(was)]
    assert [frame.pts * now.time_base for frame in read_frames(now)] == times


def test_sound_is_the_same_to_the_last_packet(source: Path, fitted: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.mkv"
    assert run("render", fitted, "-o", output, "-q") == 0
    assert _sound(output) == _sound(source)


def test_pictures_are_those_of_the_fit(fitted: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.mkv"
    assert run("render", fitted, "-o", output, "--codec", "ffv1", "--pix-fmt", "bgr0", "-q") == 0
    video = FittedVideo(fitted)
    for frame, seconds in zip(read_frames(probe(output)), video.times, strict=True):
        assert np.array_equal(frame.rgb, video.frame(seconds))


def test_size_rate_and_range_can_be_chosen(fitted: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    arguments = ("--scale", 2, "--fps", 50, "--start", 0.1, "--end", 0.2)
    assert run("render", fitted, "-o", output, *arguments, "-q") == 0
    found = probe(output)
    assert (found.width, found.height, found.frame_rate) == (128, 96, 50)
    frames = list(read_frames(found))
    assert len(frames) == 4  # from the frame at 120 ms on
    assert found.duration == Fraction(4, 50)


def test_a_moment_is_a_picture(fitted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "moment.png"
    assert run("render", fitted, "-o", output, "--at", "0.1", "--size", "128x96", "-q") == 0
    expected = FittedVideo(fitted).frame(Fraction(1, 10), (128, 96))
    assert np.array_equal(np.asarray(Image.open(output)), expected)
    assert run("render", fitted, "-o", output, "--at", "0.1") == 1
    check_one_line(capsys.readouterr().err, "exists")
    assert run("render", fitted, "-o", tmp_path / "a.mp4", "--at", "0.1") == 2
    check_one_line(capsys.readouterr().err, "-o a.png")
    for name in ("-.png", "f%03d.png"):
        assert run("render", fitted, "-o", name, "--at", "0.1") == 2
        check_one_line(capsys.readouterr().err, "-o moment.png")
    assert run("render", fitted, "-o", output, "-y", "--at", "9") == 2
    check_one_line(capsys.readouterr().err, "outside")


def test_a_moment_is_framed_as_a_video_is(fitted: Path, tmp_path: Path) -> None:
    output, video = tmp_path / "moment.png", tmp_path / "out.mkv"
    for frame in (("--pad", "160x96"), ("--crop", "96x96"), ("--pad", "160x96", "--bars", "blur")):
        assert run("render", fitted, "-o", output, "-y", "--at", "0", *frame, "-q") == 0
        settings = ("--codec", "ffv1", "--pix-fmt", "bgr0", "--end", "0.01")
        assert run("render", fitted, "-o", video, "-y", *settings, *frame, "-q") == 0
        first = next(read_frames(probe(video)))
        assert np.array_equal(np.asarray(Image.open(output)), first.rgb)


@pytest.mark.parametrize(
    "arguments",
    [("--fps", 50), ("--start", 0.1), ("--end", 0.2), ("--speed", 2), ("--audio", "drop"), ("--crf", 20)],
)
def test_a_moment_takes_no_option_of_videos(
    arguments: tuple[object, ...], fitted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("render", fitted, "-o", tmp_path / "a.png", "--at", "0.1", *arguments) == 2
    check_one_line(capsys.readouterr().err, f"leave out {arguments[0]}")


def test_help_tells_the_size_that_a_fit_has_by_itself(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("render", "--help") == 0
    assert "[default: 1]" in capsys.readouterr().out
    assert run("upscale", "--help") == 0
    assert "[default: 2]" in capsys.readouterr().out


def test_a_range_without_frames_names_the_fit(fitted: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("render", fitted, "-o", fitted.with_suffix(".mkv"), "--start", "7") == 2
    check_one_line(capsys.readouterr().err, f"{str(fitted)!r} has no frame after --start 7")


def test_info_tells_of_a_fit(fitted: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("info", fitted) == 0
    said = capsys.readouterr().out
    for words in ("hinerv", "of 'clip.mkv', 64x48", "12 frames", "bits per pixel", "flac", "4 steps"):
        assert words in said
    assert run("info", "--json", fitted) == 0
    found = json.loads(capsys.readouterr().out)
    file = read_file(fitted)
    assert found["fit"]["parameters"] == file.parameters
    assert found["fit"]["network_bytes"] == file.network_bytes
    assert len(found["fit"]["times"]) == 12
    assert [stream["codec"] for stream in found["streams"]] == ["flac"]


def test_a_fit_is_a_source_like_any(
    source: Path, fitted: Path, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    renamed = tmp_path / "clip.mkv"  # it is known by its first bytes
    renamed.write_bytes(fitted.read_bytes())
    output, rendered = tmp_path / "out.mkv", tmp_path / "rendered.mkv"
    assert run("render", fitted, "-o", rendered, "--codec", "ffv1", "-q") == 0
    monkeypatch.setenv("VIDEOINR_RENDER_FPS", "60")  # which says nothing of sources
    was, now = list(read_frames(probe(rendered))), list(read_frames(probe(renamed)))
    assert [frame.pts for frame in now] == [frame.pts for frame in was]
    assert all(np.array_equal(one.rgb, other.rgb) for one, other in zip(now, was, strict=True))
    assert probe(renamed).path == renamed
    assert run("upscale", renamed, "-o", output, "--scale", 1.5, "--weights", weights, "-q") == 0
    found = probe(output)
    assert (found.width, found.height) == (96, 72)
    assert [one.start_seconds for one in found.chapters] == [0]
    assert _sound(output) == _sound(source)


def test_a_damaged_fit_is_one_line_as_a_source(
    fitted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged = tmp_path / "damaged.vinr"
    damaged.write_bytes(fitted.read_bytes()[:-1])
    assert run("upscale", damaged, "-o", tmp_path / "out.mp4", "-q") == 1
    check_one_line(capsys.readouterr().err, "damaged.vinr' cannot be used: damaged or cut short")
    assert not (tmp_path / "out.mp4").exists()


def _sound(path: Path) -> list[bytes]:
    import av

    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(audio=0) if packet.size]
