"""A fit that is made once and looked at by many tests."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.conftest import BUNDLED_FFMPEG
from videoinr_cli.fitting.fit import fit_video
from videoinr_cli.fitting.options import FitOptions


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a clip of a variable frame rate, with sound, a chapter and tags: 12 frames of 64x48."""
    folder = tmp_path_factory.mktemp("source")
    (folder / "chapters.txt").write_text(
        ";FFMETADATA1\ntitle=A clip\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=300\ntitle=First\n"
    )
    path = folder / "clip.mkv"
    command = [BUNDLED_FFMPEG, "-nostdin", "-loglevel", "error", "-y"]
    command += ["-f", "lavfi", "-i", "testsrc2=size=64x48:rate=25,setpts='(N+gte(N,6)*3)/25/TB'"]
    command += ["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000:duration=0.6"]
    command += ["-i", str(folder / "chapters.txt"), "-map", "0:v", "-map", "1:a", "-map_metadata", "2"]
    command += ["-fps_mode", "vfr", "-frames:v", "12", "-c:v", "libx264", "-c:a", "flac", str(path)]
    subprocess.run(command, check=True)
    return path


@pytest.fixture(scope="session")
def fitted(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a short fit of it, which shows little."""
    path = tmp_path_factory.mktemp("fit") / "clip.vinr"
    fit_video(source, path, FitOptions(steps=4, bits_per_pixel=5.0), device="cpu")
    return path
