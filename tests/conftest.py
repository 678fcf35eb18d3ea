"""Clips for every test that needs one, made on the spot by ffmpeg's real encoders.

The ffmpeg that comes along makes them and is the one under test, whatever the machine has;
``VIDEOINR_TEST_FFMPEG`` names another one to test with, such as a distribution's.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import hypothesis
import imageio_ffmpeg
import pytest
import torch

from tests.tiny import TINY
from videoinr_cli.media.ffmpeg import Needs, find_ffmpeg, lacks
from videoinr_cli.model import build
from videoinr_cli.weights import save_model

RunFfmpeg = Callable[..., None]
MakeClip = Callable[..., Path]

BUNDLED_FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
os.environ["FFMPEG_PATH"] = os.environ.get("VIDEOINR_TEST_FFMPEG") or BUNDLED_FFMPEG

# A busy machine is no failure.
hypothesis.settings.register_profile(
    "unhurried", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("unhurried")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what only newer ffmpegs do right where an older one is under test, and what needs spandrel."""
    if importlib.util.find_spec("spandrel") is None:
        for item in items:
            if item.get_closest_marker("models"):
                item.add_marker(pytest.mark.skip(reason="spandrel is not installed: videoinr[models]"))
    if lacks(find_ffmpeg(), Needs(hdr10=True)):
        for item in items:
            if item.get_closest_marker("recent"):
                item.add_marker(pytest.mark.skip(reason="the ffmpeg under test is too old for it"))


@pytest.fixture(scope="session")
def run_ffmpeg() -> RunFfmpeg:
    """Return a function that runs ffmpeg with the arguments it is given, and fails the test if it fails."""

    def run(*arguments: object) -> None:
        command = [BUNDLED_FFMPEG, "-hide_banner", "-nostdin", "-loglevel", "error", "-y"]
        done = subprocess.run([*command, *map(str, arguments)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    return run


@pytest.fixture
def make_clip(run_ffmpeg: RunFfmpeg, tmp_path: Path) -> MakeClip:
    """Return a function that makes a clip of a moving test picture and, if asked, a tone.

    ``make_clip("in.mp4", "-bf", "2", frames=30, audio=True)``: positional arguments after the name are
    ffmpeg's, for the output.
    """

    def make(
        name: str,
        *options: object,
        size: tuple[int, int] = (64, 48),
        frames: int = 10,
        rate: str = "25",
        audio: bool = False,
        picture: str = "testsrc2",
        filters: str = "null",
        before: tuple[object, ...] = (),  # options of the picture's input, such as -itsoffset
    ) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        source = f"{picture}=size={size[0]}x{size[1]}:rate={rate},{filters}"
        inputs: list[object] = [*before, "-f", "lavfi", "-i", source]
        if audio:
            inputs += ["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000:duration=2", "-shortest"]
        run_ffmpeg(*inputs, "-frames:v", frames, *options, path)
        return path

    return make


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file with the tiny network's weights, untrained."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_model(build(TINY), path, {})
    return path
