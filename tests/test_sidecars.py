"""Names beside long names, texts of any system, and what the system refuses: none of it is a surprise."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from videoinr_cli.cli.preset_file import read_preset_file
from videoinr_cli.cli.upscale import upscale
from videoinr_cli.errors import OptionError, OutputError, is_expected, one_line, writing
from videoinr_cli.jobs.manifest import job_folder
from videoinr_cli.media.ffmpeg import _ending
from videoinr_cli.media.suffixes import SEGMENTS_SUFFIX
from videoinr_cli.media.write.destination import destination_of
from videoinr_cli.sidecars import NAME_BYTES, beside, whole
from videoinr_cli.texts import decoded
from videoinr_cli.weights.catalogue import all_weights, download_weights


@pytest.mark.parametrize("letter", ["a", "ä", "日"])
@pytest.mark.parametrize("bytes_", [5, 240, 249, 255])
def test_a_name_beside_a_long_one_fits(letter: str, bytes_: int, tmp_path: Path) -> None:
    stem = letter * ((bytes_ - 4) // len(letter.encode()))
    path = tmp_path / f"{stem}.mp4"
    for suffix in (".part", ".part.lock", SEGMENTS_SUFFIX):
        made = beside(path, suffix)
        assert len(os.fsencode(made.name)) <= NAME_BYTES
        assert made.name.endswith(suffix)
        made.touch()
        if bytes_ == 5:
            assert made.name == path.name + suffix
        if bytes_ == 255:
            assert made != beside(path.with_name(f"{stem[:-1]}b.mp4"), suffix), "they begin alike"


def test_outputs_of_long_names_are_written(tmp_path: Path) -> None:
    path = tmp_path / f"{'x' * 251}.mp4"
    assert job_folder(path).name.endswith(SEGMENTS_SUFFIX)
    destination = destination_of(path, overwrite=False)
    destination.reserve()
    destination.commit()
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_a_file_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    path, elsewhere = tmp_path / "a.txt", tmp_path / "missing" / "a.txt"

    def write(text: str, error: BaseException | None = None) -> None:
        with whole(path) as partial:
            partial.write_text(text)
            if error is not None:
                raise error

    write("before")
    with pytest.raises(KeyboardInterrupt):
        write("aft", KeyboardInterrupt())
    assert [file.read_text() for file in tmp_path.iterdir()] == ["before"]
    with pytest.raises(OutputError, match=r"cannot write .*a\.txt': No such file"), writing(elsewhere):
        elsewhere.write_text("after")


def test_a_name_that_is_too_long_itself_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="choose a shorter name"):
        destination_of(tmp_path / f"{'x' * 260}.mp4", overwrite=False).reserve()


def test_texts_of_any_system_are_read() -> None:
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        assert decoded("höhe".encode(encoding)) == "höhe"
    with pytest.raises(UnicodeDecodeError):
        decoded(b"caf\xe9")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_presets_as_windows_writes_them_are_read(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "preset.toml"
    path.write_bytes("height = 1080\r\ncrf = 20\r\n".encode(encoding))
    assert read_preset_file(path, upscale) == {"height": 1080, "crf": 20}
    path.write_bytes(b"name = '\xe9'")
    with pytest.raises(OptionError, match="is not TOML"):
        read_preset_file(path, upscale)


def test_letters_that_standard_output_lacks_are_printed_as_numbers() -> None:
    assert "é日\udce9".encode("cp1252", "videoinr-printable") == b"\xe9\\u65e5\xe9"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"), "ulimit -u, -v"),
        (BlockingIOError(errno.EAGAIN, "unavailable", 'avcodec_open2("h264", {})'), "ulimit -u, -v"),
        (OSError(errno.ENOSPC, "No space left on device"), "make room"),
        (OSError(errno.EFBIG, "File too large"), "ulimit -f"),
        (MemoryError(), "end other programs, or raise the limit"),
        (RuntimeError("could not create a primitive"), "ulimit -v"),
        (RuntimeError("unable to mmap 570 bytes from file <a>: Cannot allocate memory (12)"), "ulimit -v"),
        (ImportError("libtorch_cpu.so: failed to map segment from shared object"), "ulimit -v"),
        (OSError(errno.ENAMETOOLONG, "File name too long", "a.mp4"), "'a.mp4' is too long for the name"),
        (PermissionError(errno.EACCES, "Permission denied", "a.mp4"), "'a.mp4' cannot be used"),
    ],
)
def test_what_the_system_refuses_is_no_surprise(error: Exception, words: str) -> None:
    assert is_expected(error)
    assert words in one_line(error)
    assert "unexpected" not in one_line(error)


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals")
def test_an_encoder_that_reached_a_limit_says_which() -> None:
    assert "ulimit -f" in _ending(-signal.SIGXFSZ)
    assert "memory" in _ending(-signal.SIGKILL)


def test_a_user_without_a_home_has_the_embedded_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("XDG_CACHE_HOME", "VIDEOINR_WEIGHTS_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # as without HOME and passwd entry
    assert {weights.origin for weights in all_weights() if weights.path is not None} == {"embedded"}
    with pytest.raises(OutputError, match="VIDEOINR_WEIGHTS_DIR"):
        download_weights("mine", source="any.safetensors")


EVENTS = """
import dataclasses, sys
from videoinr_cli.cli.json_lines import JsonLines
from videoinr_cli.cli.messages import show_messages

@dataclasses.dataclass
class Event:
    event: str = "begin"

show_messages()
tell = JsonLines()
sys.stdin.readline()
for _ in range(3):
    tell(Event())
print("made")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="a closed pipe is another error there")
def test_work_goes_on_when_nobody_reads_its_events() -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", EVENTS], env=environment, **pipes) as process:  # type: ignore[call-overload]
        process.stdout.close()
        process.stdin.write(b"\n")
        process.stdin.close()
        said = process.stderr.read()
    assert process.returncode == 0, said
    assert said.count(b"the reader of the events is gone") == 1
