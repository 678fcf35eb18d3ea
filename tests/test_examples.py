"""What lies in examples/ and benchmarks/ does what its comments and the README say."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import av
import pytest

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = ROOT / "examples" / "upscale_folder.sh"

FAKE = f"""#!{sys.executable}
import pathlib, sys
command, source, *options, flag, target = sys.argv[1:]
assert (command, flag) == ("upscale", "-o"), sys.argv
if "interrupted" in source:
    sys.exit(130)
if "broken" in source:
    sys.exit("cannot read " + source)
pathlib.Path(target).write_text(" ".join(options))
"""


def run_script(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    fake = folder / "fake-videoinr"
    fake.write_text(FAKE)
    fake.chmod(0o755)
    return subprocess.run(
        ["bash", str(SCRIPT), *arguments],
        cwd=folder,
        env={**os.environ, "VIDEOINR": str(fake)},
        capture_output=True,
        text=True,
        check=False,
    )


needs_bash = pytest.mark.skipif(shutil.which("bash") is None, reason="the script is for bash")


@needs_bash
def test_a_folder_goes_on_after_a_failure(tmp_path: Path) -> None:
    source = tmp_path / "my videos"
    source.mkdir()
    for name in ("a b.mp4", "broken.MKV", "old.avi", "-dash.mov", "done.mp4", "notes.txt"):
        (source / name).touch()
    target = tmp_path / "out put"
    target.mkdir()
    (target / "done.mp4").write_text("kept")

    run = run_script(tmp_path, "my videos/", "out put", "--scale", "3.5", "-e", "tune=film x")

    assert run.returncode == 1
    assert run.stderr.splitlines()[-1] == "failed: my videos/broken.MKV"
    written = {path.name: path.read_text() for path in target.iterdir()}
    options = "--scale 3.5 -e tune=film x"
    assert written == {"a b.mp4": options, "old.avi.mkv": options, "-dash.mov": options, "done.mp4": "kept"}


@needs_bash
def test_a_folder_without_failures_and_an_empty_one_succeed(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    assert run_script(tmp_path, "in", "out").returncode == 0
    (tmp_path / "in" / "a.mp4").touch()
    assert run_script(tmp_path, "in", "out").returncode == 0
    assert (tmp_path / "out" / "a.mp4").exists()


@needs_bash
def test_an_interruption_ends_the_folder(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("a-interrupted.mp4", "b.mp4"):
        (tmp_path / "in" / name).touch()
    assert run_script(tmp_path, "in", "out").returncode == 130
    assert not (tmp_path / "out" / "b.mp4").exists()


@needs_bash
@pytest.mark.parametrize("arguments", [[], ["in"], ["missing", "out"]])
def test_a_wrong_call_is_a_usage_error(tmp_path: Path, arguments: list[str]) -> None:
    run = run_script(tmp_path, *arguments)
    assert run.returncode == 2
    assert run.stderr.startswith("usage:")


def test_the_example_clip_is_what_the_readme_says() -> None:
    path = ROOT / "examples" / "clip.mp4"
    assert path.stat().st_size < 500_000
    with av.open(str(path)) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert (video.codec_context.name, audio.codec_context.name) == ("h264", "aac")
        assert (video.width, video.height, video.average_rate) == (320, 180, 24)
        assert audio.duration is not None
        assert audio.time_base is not None
        assert float(audio.duration * audio.time_base) == pytest.approx(3, abs=0.05)
        assert sum(1 for _ in container.decode(video=0)) == 72


def test_tables_are_written_between_their_markers(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("tables", ROOT / "benchmarks" / "tables.py")
    assert spec is not None
    assert spec.loader is not None
    tables = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tables)
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- quality -->\nold\n<!-- /quality -->\nafter")
    for _ in range(2):  # writing again changes nothing more
        tables.write_tables(page, {"quality": "| new |", "sweep": "| not asked for |"})
        assert page.read_text() == "before\n<!-- quality -->\n| new |\n<!-- /quality -->\nafter"
    with pytest.raises(ValueError, match="no marker"):
        tables.write_tables(page, {"speed": "| new |"})
