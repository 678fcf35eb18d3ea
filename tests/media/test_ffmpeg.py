"""Which ffmpeg is run, and how its failures arrive."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import imageio_ffmpeg
import pytest

from videoinr_cli.errors import FfmpegError
from videoinr_cli.media.ffmpeg import (
    NICENESS,
    FfmpegProcess,
    Needs,
    describe,
    find_ffmpeg,
    lacks,
    passed_over,
)


@pytest.fixture(autouse=True)
def fresh_search() -> Iterator[None]:
    find_ffmpeg.cache_clear()
    yield
    find_ffmpeg.cache_clear()


def program(
    path: Path,
    script: str = "exit 0",
    *,
    encoders: tuple[str, ...] = (),
    libavcodec: str = "61.  3.100",
    banner: bool = True,
) -> Path:
    """Write a stand-in for ffmpeg, which says which encoders it has, and how new it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    listed = "".join(f" V....D {name}   an encoder\\n" for name in encoders)
    path.write_text(
        "#!/bin/sh\n"
        f"tell() {{ echo 'ffmpeg version 7.x'; echo '  libavcodec     {libavcodec}'; }}\n"
        'case "$*" in\n'
        '  *"-h long") exit;;\n'
        f"  *-encoders) {'tell >&2; ' if banner else ''}printf '{listed}'; exit;;\n"
        "  *-version) tell; exit;;\n"
        "esac\n"
        f"{script}\n"
    )
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_the_users_ffmpeg_comes_first_then_the_systems_then_the_packages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, system = program(tmp_path / "own" / "ffmpeg"), program(tmp_path / "bin" / "ffmpeg")
    monkeypatch.setenv("FFMPEG_PATH", str(own))
    monkeypatch.setenv("PATH", str(system.parent))
    assert find_ffmpeg() == str(own)
    find_ffmpeg.cache_clear()
    monkeypatch.delenv("FFMPEG_PATH")
    assert find_ffmpeg() == str(system)
    find_ffmpeg.cache_clear()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_ffmpeg() == imageio_ffmpeg.get_ffmpeg_exe()


def test_an_old_ffmpeg_is_passed_over_unless_it_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ubuntu 22.04 has ffmpeg 4.4, without the option that keeps frames at their times."""
    old = program(tmp_path / "bin" / "ffmpeg", libavcodec="58.134.100")
    monkeypatch.delenv("FFMPEG_PATH", raising=False)
    monkeypatch.setenv("PATH", str(old.parent))
    assert find_ffmpeg() == imageio_ffmpeg.get_ffmpeg_exe()
    assert passed_over() == str(old)
    find_ffmpeg.cache_clear()
    monkeypatch.setenv("FFMPEG_PATH", str(old))
    with pytest.raises(FfmpegError, match=r"bin/ffmpeg', which is not ffmpeg 5\.1 or later; .*unset it"):
        find_ffmpeg()
    assert passed_over() is None


@pytest.mark.parametrize(
    ("encoders", "libavcodec", "needs", "is_used"),
    [
        (("libx264",), "61.  3.100", Needs(encoders=("libx264",)), True),
        (("libx264rgb",), "61.  3.100", Needs(encoders=("libx264",)), False),  # a build without x264
        ((), "62.  3.100", Needs(hdr10=True), False),
        ((), "59. 37.100", Needs(), False),  # Debian 12's
        (
            ("hevc_other",),
            "59. 37.100",
            Needs(encoders=("hevc_other",)),
            True,
        ),  # hardware that no other program reaches
        (("hevc_other",), "61.  3.100", Needs(encoders=("libx264", "hevc_other")), True),  # none has both
    ],
)
def test_the_one_that_comes_along_is_used_where_the_systems_lacks_more(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    encoders: tuple[str, ...],
    libavcodec: str,
    needs: Needs,
    is_used: bool,
) -> None:
    system = program(tmp_path / "bin" / "ffmpeg", encoders=encoders, libavcodec=libavcodec)
    monkeypatch.delenv("FFMPEG_PATH")
    monkeypatch.setenv("PATH", str(system.parent))
    assert find_ffmpeg(needs) == (str(system) if is_used else imageio_ffmpeg.get_ffmpeg_exe())
    find_ffmpeg.cache_clear()
    monkeypatch.setenv("FFMPEG_PATH", str(system))
    assert find_ffmpeg(needs) == str(system), "it was asked for"


def test_what_an_ffmpeg_lacks_is_said(tmp_path: Path) -> None:
    old = str(program(tmp_path / "ffmpeg", encoders=("aac", "libx264"), libavcodec="59. 37.100"))
    assert lacks(old, Needs(encoders=("libx264", "libopus"), hdr10=True)) == (
        "libopus",
        "HDR10's metadata with every encoder (since 9)",
        "exact times (since 7)",
    )
    assert lacks(imageio_ffmpeg.get_ffmpeg_exe(), Needs(encoders=("libx264",), hdr10=True)) == ()


def test_an_ffmpeg_says_what_it_is_even_without_its_banner(tmp_path: Path) -> None:
    described = describe(str(program(tmp_path / "ffmpeg", encoders=("aac",), banner=False)))
    assert (described.version, described.libavcodec, described.encoders) == ("7.x", (61, 3), {"aac"})


def test_a_program_that_cannot_be_run_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "ffmpeg"
    broken.write_bytes(b"\x7fELF of another machine")
    broken.chmod(0o755)
    monkeypatch.delenv("FFMPEG_PATH", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_ffmpeg() == imageio_ffmpeg.get_ffmpeg_exe()


def test_a_wrong_path_and_no_ffmpeg_at_all_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FFMPEG_PATH", "/nowhere/ffmpeg")
    with pytest.raises(FfmpegError, match=r"FFMPEG_PATH is '/nowhere/ffmpeg'.*unset it"):
        find_ffmpeg()
    monkeypatch.delenv("FFMPEG_PATH")
    monkeypatch.setenv("PATH", "/nowhere")

    def missing() -> str:
        raise RuntimeError("No ffmpeg exe could be found.")

    monkeypatch.setattr(imageio_ffmpeg, "get_ffmpeg_exe", missing)
    with pytest.raises(FfmpegError, match="install it"):
        find_ffmpeg()


def test_a_failure_says_the_cause_in_one_line_and_leaves_no_thread() -> None:
    process = FfmpegProcess(
        find_ffmpeg(), ["-loglevel", "level+warning", "-i", "/nowhere/in.mp4", "-f", "null", "-"]
    )
    with pytest.raises(FfmpegError, match=r"code \d+: .*No such file or directory") as caught:
        process.finish()
    assert "\n" not in str(caught.value)
    assert " @ 0x" not in str(caught.value)
    assert process._drain.wait(0)


def test_a_talkative_ffmpeg_does_not_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Much more than a pipe holds on its standard error, while its input is written to."""
    lines = "i=0; while [ $i -lt 20000 ]; do echo 'a line of warning' >&2; i=$((i+1)); done"
    script = f"{lines}; cat >/dev/null; exit 3"
    monkeypatch.setenv("FFMPEG_PATH", str(program(tmp_path / "ffmpeg", script)))
    process = FfmpegProcess(find_ffmpeg(), [])
    process.stdin.write(bytes(1 << 20))
    with pytest.raises(FfmpegError, match=r"failed with code 3: a line of warning \| a line"):
        process.finish()


def test_an_ffmpeg_that_hangs_can_be_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FFMPEG_PATH", str(program(tmp_path / "ffmpeg", "exec sleep 60")))
    process = FfmpegProcess(find_ffmpeg(), [])
    process.stop()
    assert process._drain.wait(0)
    process.stop()  # twice does no harm


@pytest.mark.skipif(not hasattr(os, "setpriority"), reason="the system has other priorities")
def test_low_priority_yields_to_others_and_ctrl_c_reaches_neither(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FFMPEG_PATH", str(program(tmp_path / "ffmpeg", "exec sleep 60")))
    usual = os.getpriority(os.PRIO_PROCESS, 0)
    for low_priority in (False, True):
        process = FfmpegProcess(find_ffmpeg(), [], low_priority=low_priority)
        pid = process._process.pid
        assert os.getpriority(os.PRIO_PROCESS, pid) == (min(usual + NICENESS, 19) if low_priority else usual)
        assert os.getpgid(pid) != os.getpgid(0)
        process.stop()
