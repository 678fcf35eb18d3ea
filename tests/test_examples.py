"""What lies in examples/ and benchmarks/ does what its comments and the README say."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import av
import pytest

from tests.outside import ROOT, load

SCRIPT = ROOT / "examples" / "upscale_folder.sh"

FAKE = f"""#!{sys.executable}
import json, pathlib, sys
pathlib.Path("called.json").write_text(json.dumps(sys.argv[1:]))
print(json.dumps({{"event": "begin"}}))
print(json.dumps({{"event": "done", "destination": "out put/a b.mp4"}}))
print("error: broken", file=sys.stderr)
sys.exit(int(pathlib.Path("code").read_text()))
"""


def run_script(folder: Path, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    (folder / "code").write_text(str(code))
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
@pytest.mark.parametrize("code", [0, 1, 130])
def test_a_folder_is_one_call_whose_exit_code_is_kept(tmp_path: Path, code: int) -> None:
    (tmp_path / "my videos").mkdir()
    run = run_script(tmp_path, "my videos", "out put", "--scale", "3.5", "-e", "tune=film x", code=code)
    assert run.returncode == code
    assert (run.stdout, run.stderr) == ("out put/a b.mp4\n", "error: broken\n")
    called = json.loads((tmp_path / "called.json").read_text())
    assert called[:4] == ["upscale", "my videos", "-o", "out put/"]
    assert called[4:] == ["--scale", "3.5", "-e", "tune=film x", "--recursive", "--skip-existing", "--json"]


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
    tables = load("benchmarks/tables.py")
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- quality -->\nold\n<!-- /quality -->\nafter")
    for _ in range(2):  # writing again changes nothing more
        tables.write_tables(page, {"quality": "| new |", "sweep": "| not asked for |"})
        assert page.read_text() == "before\n<!-- quality -->\n| new |\n<!-- /quality -->\nafter"
    with pytest.raises(ValueError, match="no marker"):
        tables.write_tables(page, {"speed": "| new |"})
