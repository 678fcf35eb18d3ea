"""A file is complete under its name or not there, and no name is misread."""

from __future__ import annotations

import dataclasses
import itertools
import os
import sys
import threading
from pathlib import Path

import pytest

from tests.conftest import MakeClip
from tests.media.write.outputs import FAST, copy, decoded, pictures, streams
from tests.writing import open_writer
from videoinr_cli.errors import FfmpegError
from videoinr_cli.media.streams import VideoInfo


def test_the_name_appears_only_when_the_file_is_complete(source: VideoInfo, tmp_path: Path) -> None:
    path, partial = tmp_path / "out.mp4", tmp_path / "out.mp4.part"
    with open_writer(path, (64, 48), source.time_base, source, FAST) as writer:
        for pts, picture in enumerate(pictures(3)):
            writer.write(picture, pts * 512)
        assert partial.exists()
        assert not path.exists()
    assert not partial.exists()
    assert len(decoded(path)) == 3


def nothing_is_left(folder: Path) -> bool:
    left = [path.name for path in folder.iterdir() if path.name.startswith("out")]
    threads = [thread.name for thread in threading.enumerate() if thread.name == "ffmpeg-stderr"]
    return not left and not threads


def test_nothing_is_left_after_an_exception(source: VideoInfo, tmp_path: Path) -> None:
    def interrupted() -> None:
        with open_writer(tmp_path / "out.mp4", (64, 48), source.time_base, source, FAST) as writer:
            writer.write(pictures(1)[0], 0)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert nothing_is_left(tmp_path)


def test_what_ffmpeg_refuses_is_said_and_nothing_is_left(source: VideoInfo, tmp_path: Path) -> None:
    encoding = dataclasses.replace(FAST, extra=(("profile", "nosuch"),))

    def refused() -> None:
        with open_writer(tmp_path / "out.mp4", (64, 48), source.time_base, source, encoding) as writer:
            for pts, picture in enumerate(itertools.islice(itertools.cycle(pictures(3)), 2000)):
                writer.write(picture, pts * 512)

    with pytest.raises(FfmpegError, match="invalid profile: nosuch") as caught:
        refused()
    assert "\n" not in str(caught.value)
    assert nothing_is_left(tmp_path)


def test_an_ffmpeg_that_dies_is_an_error_and_no_hang(source: VideoInfo, tmp_path: Path) -> None:
    def killed() -> None:
        with open_writer(tmp_path / "out.mp4", (640, 480), source.time_base, source, FAST) as writer:
            for pts, picture in enumerate(itertools.islice(itertools.cycle(pictures(3, (640, 480))), 200)):
                if pts == 5:
                    writer._process._process.kill()
                writer.write(picture, pts * 512)

    with pytest.raises(FfmpegError, match="killed by SIGKILL"):
        killed()
    assert nothing_is_left(tmp_path)


def test_names_that_ffmpeg_would_misread(make_clip: MakeClip, tmp_path: Path) -> None:
    odd = tmp_path / "-a:b %d 'q' [x].mp4"
    make_clip("in.mp4", audio=True).rename(odd)
    out = copy(odd, tmp_path / "-out:%03d, 'ö'.mkv")
    assert len(decoded(out)) == 10
    assert [kind for kind, *_ in streams(out)] == ["video", "audio"]


@pytest.mark.skipif(sys.platform in ("darwin", "win32"), reason="names are text there")
@pytest.mark.parametrize("name", [b"\xe9.mp4", b"\xe9.mkv", b"\xe9-%03d.png"])
def test_names_that_are_no_utf_8(make_clip: MakeClip, tmp_path: Path, name: bytes) -> None:
    odd = tmp_path / os.fsdecode(b"lat\xe9in.mp4")
    make_clip("in.mp4", audio=True).rename(odd)
    copy(odd, tmp_path / os.fsdecode(name))
    left = [b"\xe9-%03d.png" % number for number in range(1, 11)] if name.endswith(b"png") else [name]
    assert sorted(os.fsencode(file.name) for file in tmp_path.iterdir()) == sorted([b"lat\xe9in.mp4", *left])
