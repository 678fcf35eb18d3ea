"""Shots are what lies between cuts, decoded once."""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from videoinr_cli.errors import InputError, OutputError
from videoinr_cli.render.scenes import WINDOW
from videoinr_cli.training.footage import Frames, load_shots, split_shots

PATCH_PX = 10
"""Side of a scene's patches: large enough that its thumbnails show them moving."""


def scene(seed: int, count: int, *, height: int = 200, width: int = 220) -> list[Frames]:
    """Frames of one textured picture that slides by two pixels a frame; odd and even seeds differ clearly."""
    level = 60 if seed % 2 else 180
    patches = np.random.default_rng(seed).integers(-30, 30, (height // PATCH_PX, 2 * width // PATCH_PX, 3))
    picture = (level + patches).astype(np.uint8).repeat(PATCH_PX, axis=0).repeat(PATCH_PX, axis=1)
    return [picture[:, 2 * i : 2 * i + width] for i in range(count)]


def write_video(path: Path, frames: list[Frames]) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt, stream.bit_rate = "yuv420p", 4_000_000
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame))))
        container.mux(stream.encode())


def write_picture(path: Path, frame: Frames) -> None:
    with av.open(str(path), "w", format="image2", options={"update": "1"}) as container:
        stream = container.add_stream(path.suffix[1:], rate=1)
        stream.height, stream.width = frame.shape[:2]
        stream.pix_fmt = {".png": "rgb24", ".bmp": "bgr24"}[path.suffix]
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame))
        container.mux(stream.encode(picture.reformat(format=stream.pix_fmt)))
        container.mux(stream.encode())


def test_shots_are_cut_and_repetitions_left_out() -> None:
    first, second = scene(1, 5), scene(2, 4)
    frames = [*first[:3], first[2], first[2], *first[3:], *second]
    shots = [list(shot) for shot in split_shots(frames)]
    assert [len(shot) for shot in shots] == [5, 4]
    np.testing.assert_array_equal(shots[0], first)
    assert [len(list(shot)) for shot in split_shots(frames, keep_repeated=True)] == [7, 4]


def test_runs_too_short_to_learn_from_are_dropped(tmp_path: Path) -> None:
    (tmp_path / "footage").mkdir()
    write_video(tmp_path / "footage" / "clip.mp4", [*scene(1, 2), *scene(2, 3), *scene(3, 1)])
    assert [len(shot.frames) for shot in load_shots([tmp_path / "footage"], tmp_path / "cache")] == [3]
    assert len(list((tmp_path / "cache").glob("*.npy"))) == 1


def test_a_shot_is_written_as_it_comes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At no time are more than a few of its frames in memory, and its file is an array like any other."""
    (tmp_path / "footage").mkdir()
    (tmp_path / "footage" / "clip.mp4").touch()
    made: list[weakref.ref[Frames]] = []
    most = 0

    def decode(path: Path, **options: object) -> Iterator[Frames]:
        nonlocal most
        for number in range(120):
            frame = np.full((200, 220, 3), number * 2 % 20, np.uint8)
            made.append(weakref.ref(frame))
            most = max(most, sum(reference() is not None for reference in made))
            yield frame

    monkeypatch.setattr("videoinr_cli.training.footage.decode", decode)
    (shot,) = load_shots([tmp_path / "footage"], tmp_path / "cache")
    assert shot.frames.shape == (120, 200, 220, 3)
    assert [int(frame[0, 0, 0]) for frame in shot.frames] == [number * 2 % 20 for number in range(120)]
    assert most <= WINDOW + 3


def test_videos_and_stills_are_decoded_once(tmp_path: Path) -> None:
    folder = tmp_path / "footage"
    folder.mkdir()
    write_video(folder / "clip.mp4", scene(1, 6) + scene(2, 5))
    (folder / "notes.txt").write_text("not footage")
    write_picture(folder / "photo.png", scene(3, 1)[0])
    decoded: list[str] = []
    shots = load_shots([folder], tmp_path / "cache", report=decoded.append)
    assert [(shot.source, len(shot.frames), shot.is_still) for shot in shots] == [
        ("clip.mp4", 6, False),
        ("clip.mp4", 5, False),
        ("photo.png", 1, True),
    ]
    assert decoded == ["decoding clip.mp4", "decoding photo.png"]
    again = load_shots([folder], tmp_path / "cache", report=decoded.append)
    assert len(decoded) == 2
    np.testing.assert_array_equal(again[0].frames, shots[0].frames)


@pytest.mark.parametrize(
    "damage", ["empty index", "other index", "no frames", "empty frames", "part of the frames"]
)
def test_a_damaged_cache_is_decoded_anew(tmp_path: Path, damage: str) -> None:
    (tmp_path / "footage").mkdir()
    write_picture(tmp_path / "footage" / "photo.bmp", scene(1, 1)[0])
    (shot,) = load_shots([tmp_path / "footage"], tmp_path / "cache")
    expected = np.array(shot.frames)
    (index,), (frames,) = (list((tmp_path / "cache").glob(f"*.{kind}")) for kind in ("json", "npy"))
    if "index" in damage:
        index.write_text("" if "empty" in damage else "[]")
    elif damage == "no frames":
        frames.unlink()
    else:
        frames.write_bytes(frames.read_bytes()[: 0 if "empty" in damage else 1000])
    decoded: list[str] = []
    (again,) = load_shots([tmp_path / "footage"], tmp_path / "cache", report=decoded.append)
    assert decoded == ["decoding photo.bmp"]
    np.testing.assert_array_equal(again.frames, expected)
    load_shots([tmp_path / "footage"], tmp_path / "cache", report=decoded.append)
    assert len(decoded) == 1


def test_a_cache_that_is_no_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    for cache in (tmp_path / "cache", tmp_path / "cache" / "below"):
        with pytest.raises(OutputError, match=rf"cannot be kept in '{cache}': .*--cache"):
            load_shots([tmp_path], cache)


def test_files_of_one_name_and_size_are_told_apart(tmp_path: Path) -> None:
    for number in (1, 2):
        folder = tmp_path / "footage" / str(number)
        folder.mkdir(parents=True)
        write_picture(folder / "0001.bmp", scene(number, 1)[0])
    first, second = load_shots([tmp_path / "footage"], tmp_path / "cache")
    assert not np.array_equal(first.frames, second.frames)
    write_picture(tmp_path / "footage" / "1" / "0001.bmp", scene(3, 1)[0])
    os.utime(tmp_path / "footage" / "1" / "0001.bmp", (1, 1))
    replaced, _ = load_shots([tmp_path / "footage"], tmp_path / "cache")
    assert not np.array_equal(first.frames, replaced.frames)


def test_a_file_that_cannot_be_decoded_is_left_out_and_reported(tmp_path: Path) -> None:
    folder = tmp_path / "footage"
    folder.mkdir()
    write_video(folder / "clip.mp4", scene(1, 6))
    (folder / "junk.mp4").write_bytes(b"not a video" * 99)
    with av.open(str(folder / "sound.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=48000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 2048), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 48000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    said: list[str] = []
    assert {shot.source for shot in load_shots([folder], tmp_path / "cache", report=said.append)} == {
        "clip.mp4"
    }
    assert [line for line in said if line.startswith("left out")] == [
        f"left out: '{folder / 'junk.mp4'}' cannot be read as a video: "
        "Invalid data found when processing input; is it a complete file?",
        f"left out: there is no video in '{folder / 'sound.mp4'}', only audio; name a video file",
    ]


def test_raw_footage_keeps_its_size_and_its_repetitions(tmp_path: Path) -> None:
    """Footage of 240 frames per second repeats nothing by mistake, and its times must stay even."""
    folder = tmp_path / "footage"
    folder.mkdir()
    still = scene(1, 1, height=720, width=800) * 5
    write_video(folder / "clip.mp4", [*still, *scene(1, 4, height=720, width=800)])
    (reduced,) = load_shots([folder], tmp_path / "cache")
    (raw,) = load_shots([folder], tmp_path / "cache", raw=True)
    assert reduced.frames.shape[1:] == (360, 400, 3)
    assert len(reduced.frames) < 9
    assert raw.frames.shape == (9, 720, 800, 3)


def test_a_large_photograph_is_trained_on_at_two_sizes(tmp_path: Path) -> None:
    folder = tmp_path / "footage"
    folder.mkdir()
    for name, width in (("large", 2400), ("middle", 1600), ("small", 1000)):
        write_picture(folder / f"{name}.bmp", scene(1, 1, height=400, width=width)[0])
    shots = load_shots([folder], tmp_path / "cache")
    assert [(shot.source, shot.frames.shape[1:3]) for shot in shots] == [
        ("large.bmp", (200, 1200)),
        ("large.bmp", (333, 2000)),
        ("middle.bmp", (300, 1200)),
        ("middle.bmp", (400, 1600)),
        ("small.bmp", (400, 1000)),
    ]


def test_nothing_to_train_on_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no videos or photographs"):
        load_shots([tmp_path], tmp_path / "cache")
    with pytest.raises(InputError, match="is not a folder"):
        load_shots([tmp_path / "missing"], tmp_path / "cache")
