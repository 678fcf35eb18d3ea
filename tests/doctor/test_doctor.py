"""``videoinr doctor``: it finds what is there, says how to fix what is not, and measures real speeds."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import imageio_ffmpeg
import pytest
import torch

from tests.command import check_one_line, run
from tests.tiny import TINY
from videoinr_cli.doctor import findings, speed
from videoinr_cli.doctor.speed import Workload, measure
from videoinr_cli.media.ffmpeg import find_ffmpeg
from videoinr_cli.model import build
from videoinr_cli.render.renderer import GivenFrame, Renderer

SMALL = Workload("small", (32, 24), (64, 48), 2)


@pytest.fixture(autouse=True)
def _small_jobs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv(
        "VIDEOINR_WEIGHTS_DIR", str(tmp_path / "weights")
    )  # not what this machine has downloaded
    monkeypatch.setattr(speed, "WORKLOADS", (SMALL,))
    monkeypatch.setattr(speed, "MEASURED_SECONDS", 0.2)
    find_ffmpeg.cache_clear()
    yield
    find_ffmpeg.cache_clear()


def read(capfd: pytest.CaptureFixture[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(capfd.readouterr().out)
    return found


def test_finds_what_is_there(weights: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run("doctor", "--json", "--weights", weights) == 0
    found = read(capfd)
    assert found["is_well"]
    assert found["python"] == sys.version.split()[0]
    assert {"name": "torch", "version": torch.__version__} in found["libraries"]
    assert found["devices"][-1]["name"] == "cpu"
    assert "fp32" in found["devices"][-1]["precisions"]
    assert Path(found["ffmpeg"]["path"]).is_file()
    assert "libx264" in found["ffmpeg"]["encoders"]
    assert found["disk_free_bytes"] > 0
    assert any(entry["name"] == "videoinr-fast" for entry in found["weights"])
    (measured,) = found["speeds"]
    assert measured["job"] == "small"
    assert measured["frames"] > 0
    assert not [problem for problem in found["problems"] if problem["is_essential"]]


def test_says_it_in_words(weights: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run("doctor", "--weights", weights) == 0
    said = capfd.readouterr().out
    for words in (f"torch {torch.__version__}", "device cpu", "libx264", "GiB free", "frames/s"):
        assert words in said


def test_missing_ffmpeg_is_essential(
    weights: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FFMPEG_PATH", "no-such-program")
    assert run("doctor", "--weights", weights) == 1
    said = capfd.readouterr()
    assert "frames/s" in said.out, "the rest is still told"
    check_one_line(
        said.err, "error: FFMPEG_PATH is 'no-such-program', which is not a program; correct it or unset it\n"
    )


@pytest.mark.skipif(sys.platform == "win32", reason="a shell script stands for ffmpeg")
def test_an_old_ffmpeg_on_path_is_told_and_not_used(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    script = tmp_path / "ffmpeg"
    script.write_text("#!/bin/sh\necho '-vsync <mode>'\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("FFMPEG_PATH", raising=False)
    assert run("doctor", "--json", "--weights", weights) == 0
    found = read(capfd)
    assert found["ffmpeg"]["path"] == imageio_ffmpeg.get_ffmpeg_exe()
    assert f"ffmpeg at {script} is older than 5.1 or cannot be run; " in found["problems"][0]["what"]


@pytest.mark.skipif(sys.platform == "win32", reason="a shell script stands for ffmpeg")
def test_encoders_must_work_to_be_told(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """An ffmpeg without x264 that lists a GPU's encoder, which fails."""
    script = tmp_path / "ffmpeg"
    script.write_text(
        "#!/bin/sh\n"
        'case "$*" in\n'
        "  *-encoders*) echo ' V....D libx265   x265'; echo ' V....D h264_nvenc   NVENC'\n"
        "    echo 'ffmpeg version 7.1-test Copyright' >&2; echo '  libavcodec  59. 37.100' >&2;;\n"
        "  *) exit 1;;\n"
        "esac\n"
    )
    script.chmod(0o755)
    monkeypatch.setenv("FFMPEG_PATH", str(script))
    assert run("doctor", "--json", "--weights", weights) == 1
    found = read(capfd)
    assert found["ffmpeg"] == {"path": str(script), "version": "7.1-test", "encoders": ["libx265"]}
    missing = "libvpx-vp9, libsvtav1, libaom-av1, ffv1, prores_ks, aac, ac3, flac, libopus"
    aged = "HDR10's metadata with every encoder (since 9), exact times (since 7)"
    assert [problem["what"] for problem in found["problems"]] == [
        f"ffmpeg at {script} lacks {missing}, {aged}",
        f"ffmpeg at {script} has no working libx264",
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="a shell script stands for ffmpeg")
def test_what_the_systems_ffmpeg_lacks_is_told_and_the_other_used(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """As the build of a distribution without patented encoders."""
    script = tmp_path / "ffmpeg"
    names = " ".join(findings.SOFTWARE_ENCODERS[2:])
    script.write_text(
        "#!/bin/sh\n"
        'case "$*" in\n'
        "  *'-h long') echo '-mastering_display <value>';;\n"
        "  *-encoders*) echo '  libavcodec     62.  3.100' >&2;\n"
        f'    for name in {names}; do echo " V....D $name x"; done;;\n'
        "esac\n"
    )
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("FFMPEG_PATH", raising=False)
    assert run("doctor", "--json", "--weights", weights) == 0
    found = read(capfd)
    assert found["ffmpeg"]["path"] == imageio_ffmpeg.get_ffmpeg_exe()
    (problem,) = found["problems"]
    assert problem["what"] == f"ffmpeg at {script} lacks libx264, libx265"
    assert problem["remedy"] == f"{imageio_ffmpeg.get_ffmpeg_exe()} is used instead"


@pytest.mark.skipif(sys.platform == "win32", reason="a shell script stands for ffmpeg")
def test_an_encoder_that_hangs_does_not_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(findings, "TRIAL_SECONDS", 0.2)
    script = tmp_path / "ffmpeg"
    script.write_text("#!/bin/sh\nexec sleep 60\n")
    script.chmod(0o755)
    assert not findings.encodes(str(script), "h264_qsv")
    assert not findings.encodes(str(tmp_path / "missing"), "h264_qsv")


def test_damaged_weights_are_said(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(b"nothing of use")
    assert run("doctor", "--weights", damaged) == 1
    assert "damaged.safetensors" in capfd.readouterr().err


def test_an_error_keeps_its_own_remedy(weights: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run("doctor", "--weights", weights, "--device", "cuda:99") == 1
    check_one_line(
        capfd.readouterr().err,
        "error: device 'cuda:99' is not available on this machine; try --device auto\n",
    )


def test_what_was_fetched_is_mended_by_fetching_it_again(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VIDEOINR_WEIGHTS_DIR", str(tmp_path))
    assert run("weights", "download", "mine", "--from", weights, "-q") == 0
    (tmp_path / "mine.safetensors").write_bytes(b"nothing of use")
    assert run("doctor", "--weights", weights) == 0, "nothing else needs them"
    said = capfd.readouterr().err
    check_one_line(
        said, f"delete it and download it again: videoinr weights download mine --from {weights}\n"
    )
    assert said.startswith("warning: ")
    (tmp_path / "mine.record.json").write_text("{}")
    assert run("doctor", "--weights", weights) == 0
    said = capfd.readouterr()
    assert "videoinr-fast" in said.out
    record = f"the record '{tmp_path / 'mine.record.json'}' is damaged"
    check_one_line(said.err, f"warning: {record}; delete it and download the weights again\n")
    assert run("doctor", "--weights", "mine") == 1, "they are asked for"
    check_one_line(capfd.readouterr().err, f"error: {record}; delete it and download the weights again\n")


def test_works_without_torch() -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from videoinr_cli.cli import main; main(['doctor', '--json'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    found = json.loads(done.stdout)
    assert found["ffmpeg"] is not None
    assert found["speeds"] == []
    assert any("torch" in problem["what"] and problem["remedy"] for problem in found["problems"])
    assert "Traceback" not in done.stderr


def test_measures_frames_for_about_the_time_given() -> None:
    torch.manual_seed(0)
    measured = measure(build(TINY).eval(), SMALL, 1.0)
    assert 0 < measured.share <= 1
    assert measured.frames % SMALL.pictures == 0
    assert measured.frames_per_second > 0
    assert (
        measured.frames / measured.frames_per_second < 10
    )  # of which other work on the machine may be the most


def test_estimates_from_smaller_frames_where_whole_ones_take_too_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With a clock that goes by pixels, the estimate is the rate of whole frames to within the rounding."""
    now = [0.0]

    class Drawing(Renderer):
        def advance(
            self, first: GivenFrame, second: GivenFrame | None, after: GivenFrame | None = None
        ) -> None:
            now[0] += first.rgb.size * 1e-3

        def render(self, tau: Fraction) -> None:
            now[0] += self._size[0] * self._size[1] * 2e-3

    monkeypatch.setattr("videoinr_cli.render.renderer.Renderer", Drawing)
    monkeypatch.setattr(speed, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    job = Workload("large", (160, 120), (320, 240), 2)
    whole_seconds = 160 * 120 * 3 * 1e-3 + 2 * 320 * 240 * 2e-3
    for seconds, at_least in ((0.0, 1 / 16), (whole_seconds, 0.2), (10 * whole_seconds, 1.0)):
        now[0] = 0.0
        measured = measure(build(TINY).eval(), job, seconds)
        assert measured.frames_per_second == pytest.approx(2 / whole_seconds, rel=0.02)
        assert measured.share == pytest.approx(at_least, rel=0.5)
        assert now[0] <= seconds + 2.1 * whole_seconds / 16, "it takes the time it is given"
