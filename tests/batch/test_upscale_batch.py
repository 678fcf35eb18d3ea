"""Several videos from Python: what the call returns, whom it tells, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import MakeClip
from tests.oracle.blend import BlendVideoInr
from videoinr_cli.batch.events import Event
from videoinr_cli.batch.upscale import upscale_batch
from videoinr_cli.errors import InputError, OptionError
from videoinr_cli.options import EncodeOptions, UpscaleOptions

FAST = UpscaleOptions(scale=1.0, encode=EncodeOptions(preset="ultrafast"))


def test_each_source_is_in_one_part_of_the_result(make_clip: MakeClip, tmp_path: Path) -> None:
    clip, output = make_clip("in/a.mp4", frames=3), tmp_path / "out"
    for name in ("b.mp4", "there.mp4"):
        (tmp_path / "in" / name).write_bytes(clip.read_bytes())
    (tmp_path / "in" / "broken.mp4").write_bytes(b"no video")
    output.mkdir()
    (output / "there.mp4").touch()
    events: list[Event] = []
    result = upscale_batch(
        tmp_path / "in", output, FAST, model=BlendVideoInr(), skip_existing=True, listener=events.append
    )
    assert [summary.destination.name for summary in result.done] == ["a.mp4", "b.mp4"]
    assert [summary.frames_written for summary in result.done] == [3, 3]
    assert [item.destination for item in result.skipped] == [output / "there.mp4"]
    (broken,) = result.failed
    assert broken.source.name == "broken.mp4"
    assert isinstance(broken.error, InputError)
    assert result.left == ()
    assert [event.event for event in events if event.event not in ("progress", "segment")] == [
        *("begin", "error", "skipped", "start", "done", "start", "done", "end")
    ]


def test_the_first_failure_can_end_it_all(make_clip: MakeClip, tmp_path: Path) -> None:
    clip, broken = make_clip("a.mp4", frames=2), tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    result = upscale_batch([clip, broken], tmp_path / "out", FAST, model=BlendVideoInr(), fail_fast=True)
    assert (result.done, result.left) == ((), (clip,))
    assert [item.source for item in result.failed] == [broken]
    assert not (tmp_path / "out").exists()


def test_a_single_source_goes_into_the_folder_too(make_clip: MakeClip, tmp_path: Path) -> None:
    clip = make_clip("a.mp4", frames=2)
    result = upscale_batch(str(clip), str(tmp_path / "out"), FAST, model=BlendVideoInr(), name="{stem}-x.mkv")
    assert [summary.destination for summary in result.done] == [tmp_path / "out" / "a-x.mkv"]


def test_what_makes_no_sense_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="no sources"):
        upscale_batch([], tmp_path / "out", FAST)
    with pytest.raises(OptionError, match="exclude each other"):
        upscale_batch(tmp_path, tmp_path / "out", UpscaleOptions(overwrite=True), skip_existing=True)
    with pytest.raises(OptionError, match=r"unknown field \{nonsense\}"):
        upscale_batch(tmp_path, tmp_path / "out", FAST, name="{nonsense}")
