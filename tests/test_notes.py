"""What is said while a video is rendered can be read afterwards too."""

from __future__ import annotations

import logging
import multiprocessing
from pathlib import Path
from typing import Literal

import pytest

from tests.conftest import MakeClip
from tests.tiny import TINY
from videoinr_cli.jobs.upscale import upscale_video
from videoinr_cli.model import build
from videoinr_cli.notes import Advice, Note, collected_notes, log_advised, note_of
from videoinr_cli.options import EncodeOptions, UpscaleOptions

MULTIPLES = "yuv420p takes widths that are multiples of 2 and heights that are multiples of 2"


def test_each_message_is_kept_once_and_only_within_the_block() -> None:
    log = logging.getLogger("videoinr_cli.media.anything")
    log.warning("before")
    with collected_notes() as notes:
        for _ in range(2):
            log.warning("%s frames are lost", 3)
        logging.getLogger("elsewhere").warning("of no interest")
    log.warning("after")
    assert notes == [Note(logging.WARNING, "3 frames are lost")]


def test_advice_is_told_where_its_options_are_and_nothing_else_is_taken_for_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log = logging.getLogger("videoinr_cli.media.anything")
    advice = Advice("--tile or --max-memory makes it small", ("--tile", "--max-memory"))
    with collected_notes() as notes:
        log_advised(log, logging.WARNING, "it is large", advice)
        log.warning("the file is 'a; --tile b.mp4'")
    large, other = notes
    assert large.text == caplog.messages[0] == "it is large; --tile or --max-memory makes it small"
    assert large.text_for({"--max-memory", "--tile", "--scale"}) == large.text
    assert large.text_for({"--tile"}) == "it is large"
    assert other.text_for(()) == other.text == "the file is 'a; --tile b.mp4'"


def test_advice_comes_back_from_another_process() -> None:
    """Workers and nodes send what they log, as records whose message is text."""
    records: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = records.append  # type: ignore[method-assign]
    log = logging.getLogger("videoinr_cli.render.anything")
    advice = Advice("--tile makes it small", ("--tile",))
    log.addHandler(handler)
    log_advised(log, logging.WARNING, "it is large", advice)
    log.removeHandler(handler)
    (record,) = records
    record.msg, record.args = record.getMessage(), None
    sending, receiving = multiprocessing.Pipe()
    sending.send(record)
    assert note_of(receiving.recv()) == Note(logging.WARNING, "it is large", advice)


def test_a_summary_tells_what_was_converted_and_how_large_the_output_is(
    make_clip: MakeClip, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = make_clip("in.mkv", "-c:a", "pcm_s16le", frames=3, audio=True)
    with caplog.at_level(logging.INFO, "videoinr_cli"):
        summary = upscale_video(source, tmp_path / "out.mp4", UpscaleOptions(scale=1), model=build(TINY))
    (note,) = (note for note in summary.notes if "colours" not in note)
    assert note == "mp4 cannot hold audio stream 1 (pcm_s16le): it becomes aac"
    assert summary.output_bytes == (tmp_path / "out.mp4").stat().st_size


@pytest.mark.parametrize(
    ("options", "size"),
    [
        (UpscaleOptions(size=(97, 65)), "98x66"),
        (UpscaleOptions(height=65), "88x66"),
        (UpscaleOptions(size=(98, 66)), None),
        (UpscaleOptions(height=66), None),
        (UpscaleOptions(scale=1.02), None),  # which names no number of pixels
        (UpscaleOptions(size=(97, 65), encode=EncodeOptions(pix_fmt="yuv444p")), None),
    ],
)
def test_a_size_that_the_format_cannot_have_is_said_once(
    options: UpscaleOptions,
    size: str | None,
    make_clip: MakeClip,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    source = make_clip("in.mkv", frames=2)
    with caplog.at_level(logging.INFO, "videoinr_cli"):
        summary = upscale_video(source, tmp_path / "out.mp4", options, model=build(TINY))
    said = [note for note in summary.notes if "multiples of" in note]
    assert said == ([f"{MULTIPLES}: the output is {size}"] if size else [])
    assert sum("multiples of" in message for message in caplog.messages) == len(said)


@pytest.mark.parametrize(
    ("codec", "crf", "is_said"),
    [("prores_ks", 18, True), ("mpeg4", 18, True), ("prores_ks", "auto", False), ("libx264", 18, False)],
)
def test_a_rate_factor_that_an_encoder_has_not_is_said(
    codec: str,
    crf: float | Literal["auto"],
    is_said: bool,
    make_clip: MakeClip,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    encode = EncodeOptions(codec=codec, crf=crf)
    options = UpscaleOptions(scale=1, encode=encode)
    with caplog.at_level(logging.INFO, "videoinr_cli"):
        upscale_video(make_clip("in.mkv", frames=2), tmp_path / "out.mov", options, model=build(TINY))
    note = f"{codec} has no constant rate factor: --crf 18 changes nothing"
    assert [message for message in caplog.messages if "rate factor:" in message] == [note] * is_said


@pytest.mark.parametrize(
    ("codec", "preset", "is_said"),
    [("prores_ks", "slow", True), ("prores_ks", "medium", False), ("libx264", "fast", False)],
)
def test_a_preset_that_an_encoder_has_not_is_said(
    codec: str,
    preset: str,
    is_said: bool,
    make_clip: MakeClip,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    options = UpscaleOptions(scale=1, encode=EncodeOptions(codec=codec, preset=preset))
    with caplog.at_level(logging.INFO, "videoinr_cli"):
        upscale_video(make_clip("in.mkv", frames=2), tmp_path / "out.mov", options, model=build(TINY))
    note = f"{codec} has no preset {preset!r}: --preset changes nothing"
    assert [message for message in caplog.messages if "--preset" in message] == [note] * is_said


@pytest.mark.parametrize("name", ["images/%03d.png", "-.y4m"])
def test_the_size_of_images_is_that_of_all_and_of_standard_output_unknown(
    name: str, make_clip: MakeClip, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    output = name if name.startswith("-") else tmp_path / name
    summary = upscale_video(make_clip("in.mp4", frames=3), output, UpscaleOptions(scale=1), model=build(TINY))
    written = sum(file.stat().st_size for file in tmp_path.glob("images/*.png"))
    assert summary.output_bytes == (written or None)
