"""Where outputs go: numbered images and standard output as well as files."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.conftest import MakeClip
from tests.media.write.outputs import FAST, copy, decoded, pictures
from tests.writing import open_writer
from videoinr_cli.errors import OutputError
from videoinr_cli.media.read.probe import probe
from videoinr_cli.media.read.reader import read_frames
from videoinr_cli.media.streams import VideoInfo
from videoinr_cli.media.write.destination import (
    check_destination,
    destination_of,
    is_image_pattern,
    is_standard_output,
    written_bytes,
)
from videoinr_cli.media.write.writer import VideoWriter
from videoinr_cli.options import EncodeOptions

PLAIN = "format=yuv444p,lutyuv=y=60+val/2:u=96+val/4:v=96+val/4,format=yuv420p"
"""Makes colours that R'G'B' holds without clipping."""


@pytest.mark.parametrize("suffix", ["png", "jpg", "tiff", "webp", "bmp"])
def test_numbered_images_are_written_whole(make_clip: MakeClip, tmp_path: Path, suffix: str) -> None:
    clip = make_clip("in.mkv", "-c:v", "ffv1", filters="format=yuv444p", frames=12)
    copy(clip, tmp_path / "out" / f"a%04d.{suffix}")
    images = sorted((tmp_path / "out").iterdir())
    assert [image.name for image in images] == [f"a{number:04d}.{suffix}" for number in range(1, 13)]
    for image, frame in zip(images, read_frames(probe(clip)), strict=True):
        (shown,) = read_frames(probe(image))
        difference = np.abs(shown.rgb.astype(int) - frame.rgb)
        if suffix in ("jpg", "webp"):  # lossy, and of 4:2:0
            assert np.median(difference) <= 6
        else:
            assert difference.max() == 0


def test_deep_sources_make_deep_images(make_clip: MakeClip, tmp_path: Path) -> None:
    clip = make_clip("in.mkv", "-c:v", "ffv1", filters="format=yuv444p10le", frames=2)
    copy(clip, tmp_path / "%d.png")
    (frame, _), (shown,) = read_frames(probe(clip)), read_frames(probe(tmp_path / "1.png"))
    assert shown.rgb.dtype == np.uint16
    np.testing.assert_array_equal(shown.rgb, frame.rgb)


def test_images_appear_together_or_not_at_all(make_clip: MakeClip, tmp_path: Path) -> None:
    source = probe(make_clip("in.mkv", "-c:v", "ffv1", frames=3))
    pattern = tmp_path / "out" / "%03d.png"

    def write(count: int, *, overwrite: bool = False) -> None:
        with open_writer(
            pattern, (64, 48), source.time_base, source, EncodeOptions(), overwrite=overwrite
        ) as writer:
            for pts, frame in enumerate(read_frames(source)):
                assert not list(pattern.parent.glob("*.png"))
                if pts == count:
                    raise KeyboardInterrupt
                writer.write(frame.rgb, pts)

    with pytest.raises(KeyboardInterrupt):
        write(2)
    assert list(pattern.parent.iterdir()) == []
    write(3)
    assert len(list(pattern.parent.iterdir())) == 3
    with pytest.raises(OutputError, match=r"images .*%03d\.png' exist; choose another name, or use -y"):
        write(3)
    copy(source.path, pattern, overwrite=True)
    assert len(list(pattern.parent.iterdir())) == 3


@pytest.mark.parametrize("name", ["out.mkv", "out/%03d.png"])
def test_one_run_alone_writes_an_output(make_clip: MakeClip, tmp_path: Path, name: str) -> None:
    source = probe(make_clip("in.mkv", "-c:v", "ffv1", frames=3))
    output = tmp_path / name

    def writer() -> VideoWriter:
        return open_writer(output, (64, 48), source.time_base, source, EncodeOptions(), overwrite=True)

    with writer() as first:
        for frame in read_frames(source):
            first.write(frame.rgb, frame.pts)
            with pytest.raises(OutputError, match=r"another run writes .*; wait for it, or choose"):
                writer()
            with pytest.raises(OutputError, match="another run"):
                check_destination(output, source, overwrite=True)
            check_destination(output.with_name("other.mkv"), source, overwrite=True)
    written = sorted(path for path in output.parent.iterdir() if path != source.path)
    if name == "out.mkv":
        assert written == [output]
        assert len(list(read_frames(probe(output)))) == 3
    else:
        assert [path.name for path in written] == ["001.png", "002.png", "003.png"]


KILLED_WHILE_WRITING = """
import os, signal, sys
from pathlib import Path
from videoinr_cli.media.write.destination import destination_of
destination = destination_of(sys.argv[1], overwrite=False)
destination.reserve()
partial = Path(destination.address.removeprefix("file:"))
(partial if partial.exists() else partial.with_name("011.png")).write_bytes(b"half a picture")
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
@pytest.mark.parametrize("name", ["out.mkv", "out/%03d.png"])
def test_what_a_killed_run_left_is_no_obstacle(make_clip: MakeClip, tmp_path: Path, name: str) -> None:
    clip = make_clip("in.mkv", "-c:v", "ffv1", frames=3)
    output = tmp_path / name
    killed = subprocess.run([sys.executable, "-c", KILLED_WHILE_WRITING, output], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert [path.name for path in output.parent.iterdir() if path.name.endswith(".lock")]
    copy(clip, output)
    assert len(list(read_frames(probe(output)))) == 3
    assert not [path for path in output.parent.iterdir() if ".part" in path.name]
    assert not (output.parent / "011.png").exists(), "it is no image of this run"


def test_images_replace_all_of_an_older_video(make_clip: MakeClip, tmp_path: Path) -> None:
    pattern = tmp_path / "out" / "%03d.png"
    copy(make_clip("long.mkv", "-c:v", "ffv1", frames=5), pattern)
    others = ["a001.png", "001.jpg", "notes.txt", "04.png"]
    for name in others:
        (tmp_path / "out" / name).write_text("precious")
    copy(make_clip("short.mkv", "-c:v", "ffv1", frames=2), pattern, overwrite=True)
    left = {path.name for path in (tmp_path / "out").iterdir()}
    assert left == {"001.png", "002.png", *others}


def test_a_percent_sign_in_the_names_of_images_is_doubled(make_clip: MakeClip, tmp_path: Path) -> None:
    source, pattern = make_clip("in.mkv", "-c:v", "ffv1", frames=2), tmp_path / "out" / "50%%_%03d.png"
    copy(source, pattern)
    assert {path.name for path in pattern.parent.iterdir()} == {"50%_001.png", "50%_002.png"}
    assert written_bytes(pattern) == sum(path.stat().st_size for path in pattern.parent.iterdir())
    with pytest.raises(OutputError, match="exist; choose another name"):
        check_destination(pattern, probe(source), overwrite=False)


def test_images_are_not_written_over_their_source(
    make_clip: MakeClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy(make_clip("in.mkv", "-c:v", "ffv1", frames=3), tmp_path / "%03d.png")
    link = tmp_path / "link"
    link.symlink_to(tmp_path, target_is_directory=True)
    monkeypatch.chdir(tmp_path)
    for path in (tmp_path / "%03d.png", Path("%03d.png"), tmp_path, Path("001.png")):
        for folder in (tmp_path, Path(), link):
            with pytest.raises(OutputError, match="the source's own images"):
                check_destination(folder / "%03d.png", probe(path), overwrite=True)


def test_what_names_mean() -> None:
    assert is_standard_output("-")
    assert is_standard_output(Path("-.y4m"))
    assert not is_standard_output("a/-")
    assert not is_standard_output("-o.mp4")
    assert is_image_pattern(Path("out/%06d.png"))
    assert not is_image_pattern(Path("100%d.mp4"))


def test_a_closed_standard_output_is_said(make_clip: MakeClip, monkeypatch: pytest.MonkeyPatch) -> None:
    source = probe(make_clip("in.mkv", frames=1))
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(OutputError, match="standard output is closed"):
        check_destination("-", source, overwrite=False)


WRITE_STANDARD_OUTPUT = """
import sys
from videoinr_cli.media.read.probe import probe
from videoinr_cli.media.read.reader import read_frames
from tests.writing import open_writer
from videoinr_cli.options import EncodeOptions
info = probe(sys.argv[1])
size = (info.width, info.height)
with open_writer(sys.argv[2], size, info.time_base, info, EncodeOptions(), end_pts=info.end_pts) as writer:
    for frame in read_frames(info):
        writer.write(frame.rgb, frame.pts)
"""


@pytest.mark.parametrize(("name", "container", "streams"), [("-", "nut", 2), ("-.y4m", "yuv4mpegpipe", 1)])
def test_standard_output_takes_a_stream(
    make_clip: MakeClip, tmp_path: Path, name: str, container: str, streams: int
) -> None:
    codecs = ("-c:v", "ffv1", "-c:a", "flac")
    clip = make_clip("in.mkv", *codecs, audio=True, picture="mandelbrot", filters=PLAIN, frames=12)
    done = subprocess.run(
        [sys.executable, "-c", WRITE_STANDARD_OUTPUT, clip, name], capture_output=True, check=True
    )
    (tmp_path / "out").write_bytes(done.stdout)
    with av.open(str(tmp_path / "out")) as opened:
        assert opened.format.name == container
        assert len(opened.streams) == streams
        frames = list(opened.decode(video=0))
        assert [frame.pts * frame.time_base for frame in frames] == [Fraction(n, 25) for n in range(12)]
    with av.open(str(clip)) as opened:
        for one, other in zip(opened.decode(video=0), frames, strict=True):
            difference = one.to_ndarray().astype(int) - other.to_ndarray()
            assert np.abs(difference).max() <= 1


def test_existing_files_are_replaced_only_on_demand(source: VideoInfo, tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    path.write_text("precious")
    with pytest.raises(OutputError, match="exists; choose another name, or replace it with -y"):
        open_writer(path, (64, 48), source.time_base, source, FAST)
    assert path.read_text() == "precious"
    with pytest.raises(KeyboardInterrupt):  # noqa: SIM117
        with open_writer(path, (64, 48), source.time_base, source, FAST, overwrite=True):
            raise KeyboardInterrupt
    assert path.read_text() == "precious"
    with open_writer(path, (64, 48), source.time_base, source, FAST, overwrite=True) as writer:
        writer.write(pictures(1)[0], 0)
    assert len(decoded(path)) == 1


def test_places_that_cannot_be_written_are_named(source: VideoInfo, tmp_path: Path) -> None:
    for path, words in [
        (tmp_path / "nowhere" / "out.mp4", "there is no folder .*nowhere"),
        (tmp_path, "is a folder"),
        (source.path, "is the source itself"),
        (Path("/proc/out.mp4"), "cannot be written|may not be written to"),
    ]:
        destination = destination_of(path, overwrite=True)
        with pytest.raises(OutputError, match=words):  # noqa: PT012 -- either may find out
            destination.check(source)
            destination.reserve()


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_named(source: VideoInfo, tmp_path: Path) -> None:
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o500)
    with pytest.raises(OutputError, match="may not be written to"):
        open_writer(folder / "out.mp4", (64, 48), source.time_base, source, FAST)
