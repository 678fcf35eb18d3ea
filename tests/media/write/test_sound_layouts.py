"""Converted sound keeps its channels, in a layout that its encoder stores."""

from __future__ import annotations

import logging
import re
import subprocess
from pathlib import Path

import av
import numpy as np
import pytest

from tests.conftest import BUNDLED_FFMPEG, MakeClip, RunFfmpeg
from tests.media.write.outputs import copy
from videoinr_cli.errors import OutputError
from videoinr_cli.media.read.description import describe_streams
from videoinr_cli.media.read.probe import probe
from videoinr_cli.media.write.sound_layouts import LAYOUTS, encoded_layout, layout_filters
from videoinr_cli.options import EncodeOptions

RATE = 48_000
WINDOW = RATE // 2
FAST = EncodeOptions(preset="ultrafast")


@pytest.mark.parametrize(
    ("layout", "encoder", "expected"),
    [
        ("stereo", "aac", "stereo"),
        ("5.1(side)", "aac", "5.1"),  # channel configuration 6
        ("5.1(side)", "libopus", "5.1"),
        ("5.1(side)", "flac", "5.1(side)"),
        ("5.1(side)", "ac3", "5.1(side)"),
        ("5.1(side)", "pcm_s16le", "5.1(side)"),
        ("2.1", "aac", "5.1"),  # which alone has a place for the low frequencies
        ("3.1", "libopus", "5.1"),
        ("4.0", "aac", "4.0"),
        ("4.0", "libopus", "5.1"),
        ("5.0", "libopus", "5.1"),
        ("6.0", "aac", "7.1"),
        ("6.1", "aac", "7.1"),
        ("hexagonal", "libvorbis", "6.1"),
        ("hexagonal", "libopus", "5.1"),
        ("7.1(wide)", "aac", "5.1"),  # nothing has a place for what is beside the centre
        ("7.1(wide)", "alac", "7.1(wide)"),
        ("downmix", "aac", "stereo"),
        ("7.1.4", "libopus", "7.1"),
        ("1 channels", "aac", "mono"),
        ("4 channels", "aac", "5.0"),
        ("6 channels (FC+FL+FR+SL+SR+LFE)", "aac", "5.1"),
        ("9 channels", "aac", None),
        ("9 channels", "pcm_s16le", "9 channels"),
        ("ambisonic 1", "libopus", None),
        ("", "aac", ""),
    ],
)
def test_the_smallest_layout_with_a_place_for_most_channels_is_chosen(
    layout: str, encoder: str, expected: str | None
) -> None:
    assert encoded_layout(encoder, layout) == expected


@pytest.mark.parametrize("encoder", LAYOUTS)
def test_encoders_take_the_layouts_that_are_said(encoder: str, run_ffmpeg: RunFfmpeg, tmp_path: Path) -> None:
    """And store them, which is asked of the decoder."""
    for layout in LAYOUTS[encoder]:
        out = tmp_path / "out.mov" if encoder == "alac" else tmp_path / "out.mkv"
        run_ffmpeg("-f", "lavfi", "-i", f"anullsrc=cl={layout}:d=0.1", "-c:a", encoder, out)
        with av.open(str(out)) as container:
            description = describe_streams(container)[0]
        stored = re.search("Hz, ([^,]+)", description)[1]  # type: ignore[index]
        assert stored in (layout, f"{layout}(side)")  # AC-3 knows no other place behind


def tone(channel: str, number: int) -> int:
    """Return a channel's frequency in Hz; encoders keep low ones alone of the one for low frequencies."""
    return 60 if channel == "LFE" else 200 + 100 * number


def loud(path: Path) -> dict[str, list[int]]:
    """Return the frequencies that each channel holds, in Hz.

    Read by ffmpeg: PyAV ends the process at some layouts.
    """
    (sound,) = [stream for stream in probe(path).streams if stream.kind == "audio"]
    names = channels_of(sound.layout)
    command = [BUNDLED_FFMPEG, "-v", "error", "-i", str(path), "-map", "0:a", "-f", "f32le", "-"]
    raw = subprocess.run(command, capture_output=True, check=True).stdout
    samples = np.frombuffer(raw, np.float32).reshape(-1, len(names))[:WINDOW]
    spectra = np.abs(np.fft.rfft(samples * np.hanning(WINDOW)[:, None], axis=0)) / WINDOW
    return {
        name: [hz for hz in range(50, 2000, 10) if spectra[hz * WINDOW // RATE, place] > 0.01]
        for place, name in enumerate(names)
    }


def channels_of(layout: str) -> list[str]:
    return [channel.name for channel in av.AudioLayout(layout).channels]


@pytest.mark.parametrize(
    ("layout", "name", "moved", "places"),
    [
        ("2.1", "out.mp4", {}, 6),
        ("5.1(side)", "out.mp4", {"SL": "BL", "SR": "BR"}, 6),
        ("5.1(side)", "out.webm", {"SL": "BL", "SR": "BR"}, 6),
        ("4.0", "out.webm", {"BC": "BL BR"}, 6),
        ("5.0", "out.webm", {}, 6),
        ("6.1", "out.mp4", {"BC": "BL BR"}, 8),
        ("6.1", "out.webm", {"BC": "BL BR"}, 8),
        ("downmix", "out.mp4", {"DL": "FL", "DR": "FR"}, 2),
    ],
)
def test_each_channel_arrives_in_its_place(
    make_clip: MakeClip, layout: str, name: str, moved: dict[str, str], places: int
) -> None:
    tones = {channel: tone(channel, number) for number, channel in enumerate(channels_of(layout))}
    waves = "|".join(f"0.25*sin(2*PI*{hz}*t)" for hz in tones.values())
    clip = make_clip(
        *("in.mov", "-map", 1, "-map", 0, "-c:a", "pcm_s16le"),
        before=("-f", "lavfi", "-i", f"aevalsrc={waves}:c={layout}:s={RATE}:d=1.2"),
        frames=25,
    )
    out = copy(clip, clip.with_name(name), FAST if name == "out.mp4" else EncodeOptions())
    heard = loud(out)
    expected: dict[str, list[int]] = {channel: [] for channel in heard}
    for channel, hz in tones.items():
        for place in moved.get(channel, channel).split():
            expected[place] = [hz]
    assert heard == expected
    assert len(heard) == places


def test_mixed_sound_keeps_what_has_no_place(make_clip: MakeClip) -> None:
    """In 5.1 there is no place between the front and the centre: it is heard in front."""
    wave = "|".join(["0"] * 6 + ["0.5*sin(2*PI*500*t)", "0"])
    clip = make_clip(
        *("in.mov", "-map", 1, "-map", 0, "-c:a", "pcm_s16le"),
        before=("-f", "lavfi", "-i", f"aevalsrc={wave}:c=7.1(wide):s={RATE}:d=1.2"),
        frames=25,
    )
    heard = loud(copy(clip, clip.with_name("out.mp4")))
    assert heard["FL"] == [500]
    assert len(heard) == 6


@pytest.mark.parametrize("channels", [9, 16])
def test_channels_without_names_that_are_too_many_are_named_as_left_out(
    make_clip: MakeClip, caplog: pytest.LogCaptureFixture, channels: int
) -> None:
    """Ambisonics of 360° cameras: 9 channels, of the second order."""
    waves = "|".join(["0.1*sin(440*t)"] * channels)
    clip = make_clip(
        *("in.mov", "-map", 1, "-map", 0, "-c:a", "pcm_s16le"),
        before=("-f", "lavfi", "-i", f"aevalsrc={waves}:s={RATE}:d=0.4"),
    )
    out = copy(clip, clip.with_name("out.mp4"))
    with av.open(str(out)) as container:
        assert not container.streams.audio
    assert "mp4 cannot hold audio stream 1 (pcm_s16le): left out; try an output in .mkv" in caplog.text
    with pytest.raises(OutputError, match="cannot hold audio stream 1"):
        copy(clip, clip.with_name("strict.mp4"), strict=True)
    with av.open(str(copy(clip, clip.with_name("out.mkv")))) as container:
        assert container.streams.audio[0].codec.canonical_name == "pcm_s16le"


def test_another_number_of_channels_is_said(make_clip: MakeClip, caplog: pytest.LogCaptureFixture) -> None:
    clip = make_clip("in.mov", "-c:a", "pcm_s16le", "-ac", 3, audio=True)
    with caplog.at_level(logging.INFO):
        copy(clip, clip.with_name("out.mp4"))
    assert "mp4 cannot hold audio stream 1 (pcm_s16le): it becomes aac, 2.1 as 5.1" in caplog.text
    caplog.clear()
    side = make_clip("side.mkv", "-c:a", "ac3", "-ac", 6, audio=True)
    with caplog.at_level(logging.INFO):
        copy(side, side.with_name("out.webm"), EncodeOptions())
    assert caplog.messages[-1] == "webm cannot hold audio stream 1 (ac3): it becomes opus"


def test_channels_without_names_are_taken_in_the_usual_order() -> None:
    assert layout_filters("3 channels", "3.0") == ("pan=3.0|FL=1*c0|FR=1*c1|FC=1*c2",)
    assert layout_filters("1 channels", "mono") == ("pan=mono|FC=1*c0",)
    assert layout_filters("5.1", "5.1") == ()
    assert layout_filters("", "") == ()
