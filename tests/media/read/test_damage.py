"""Randomly damaged copies of real clips end with a complete output or one clear line, and never hang."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from pathlib import Path

import av
import pytest

from tests.writing import open_writer
from videoinr_cli.errors import VideoInrError
from videoinr_cli.media.read.probe import probe
from videoinr_cli.media.read.reader import read_frames
from videoinr_cli.options import EncodeOptions

MakeClip = Callable[..., Path]

CLIPS = {
    "in.mp4": ("-c:v", "libx264", "-c:a", "aac"),
    "in.mkv": ("-c:v", "libx264", "-c:a", "flac"),
    "in.ts": ("-c:v", "mpeg2video", "-c:a", "mp2"),
    "in.avi": ("-c:v", "mpeg4", "-c:a", "ac3"),
    "in.webm": ("-c:v", "libvpx-vp9", "-c:a", "libopus"),
}
FRAMES = 20
MOST_FRAMES = 10 * FRAMES
"""No clip holds more; a source that gives more would give frames for ever."""


def flip_bits(content: bytearray, chance: random.Random) -> bytearray:
    for _ in range(chance.randint(1, 40)):
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    return content


def truncate(content: bytearray, chance: random.Random) -> bytearray:
    return content[: chance.randrange(len(content))]


def drop_range(content: bytearray, chance: random.Random) -> bytearray:
    start = chance.randrange(len(content))
    del content[start : start + chance.randint(1, len(content) // 4)]
    return content


DAMAGES = (flip_bits, truncate, drop_range)


def pass_through(source: Path, destination: Path) -> None:
    info = probe(source)
    size = (info.width + info.width % 2, info.height + info.height % 2)
    encoding = EncodeOptions(preset="ultrafast", pix_fmt="yuv420p")
    with open_writer(
        destination, size, info.time_base, info, encoding, end_pts=info.end_pts, overwrite=True
    ) as writer:
        for number, frame in enumerate(read_frames(info)):
            assert number < MOST_FRAMES
            if frame.rgb.shape[:2] == (size[1], size[0]):
                writer.write(frame.rgb, frame.pts)


@pytest.mark.parametrize("name", CLIPS)
@pytest.mark.parametrize(
    "seed", [*range(4), *(pytest.param(n, marks=pytest.mark.slow) for n in range(4, 40))]
)
def test_damaged_copies_end_well(make_clip: MakeClip, tmp_path: Path, name: str, seed: int) -> None:
    clip = make_clip(name, *CLIPS[name], audio=True, frames=FRAMES)
    chance = random.Random(f"{name} {seed}")
    clip.write_bytes(chance.choice(DAMAGES)(bytearray(clip.read_bytes()), chance))
    out = tmp_path / "out.mkv"
    ended: list[BaseException | None] = []

    def run() -> None:
        try:
            pass_through(clip, out)
        except BaseException as error:
            ended.append(error)
        else:
            ended.append(None)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(60)
    assert ended, "it hangs"
    (error,) = ended
    if error is None:
        with av.open(str(out), metadata_errors="replace") as container:  # tags are copied, damaged ones too
            assert list(container.decode(video=0))
    else:
        assert isinstance(error, VideoInrError), repr(error)
        assert "\n" not in str(error)
        assert not out.exists()
    assert not out.with_name("out.mkv.part").exists()
