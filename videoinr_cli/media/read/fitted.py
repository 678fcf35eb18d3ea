"""A fitted clip as a source: `videoinr render` makes a video of it, once a process, that is read instead.

The fit's own program does that, as ffmpeg writes videos: this side of the package knows no networks.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from videoinr_cli.errors import InputError

MAGIC = b"\x89VINR\r\n\x1a"
"""What a fitted clip's file begins with."""

RENDER_VARIABLES = "VIDEOINR_RENDER_"
"""Begin the names of the environment variables that set options of `videoinr render`."""

_PROGRAM = """import sys
sys.path = [*filter(None, sys.path), sys.argv[1]]
from videoinr_cli.cli import main
main(sys.argv[2:])"""
"""The command line of this package, without modules of the folder that it happens to be called in."""

log = logging.getLogger(__name__)


def is_fitted(path: str | os.PathLike[str]) -> bool:
    """Whether a file is a fitted clip, whatever its name."""
    with contextlib.suppress(OSError, ValueError):
        if Path(path).is_file():  # a pipe would have to be written to before it opens
            with Path(path).open("rb") as file:
                return file.read(len(MAGIC)) == MAGIC
    return False


def readable(path: str | os.PathLike[str]) -> str:
    """Return the name of the file to open for a source: its own, or of a fitted clip the video of it.

    Raises:
        InputError: there cannot be a video of it.
    """
    if not is_fitted(path):
        return os.fspath(path)
    state = Path(path).stat()
    return str(_rendered(os.fspath(path), (state.st_size, state.st_mtime_ns)) / "clip.mkv")


@functools.cache
def _rendered(name: str, stamp: tuple[int, int]) -> Path:
    """Return the folder with the video of a fitted clip, without loss; it goes when the process ends."""
    log.info(f"the pictures of {name!r} are rendered into a temporary file first")
    folder = Path(tempfile.mkdtemp(prefix="videoinr-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    command = [sys.executable, "-c", _PROGRAM, str(Path(__file__).parents[3])]
    command += ["render", "--quiet", "--codec", "ffv1", "-o", str(folder / "clip.mkv"), "--", name]
    # Without the user's own defaults for `render`, which may be another size or rate.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(RENDER_VARIABLES)}
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        env=environment,
    )
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"its program ended with {done.returncode}"]
        raise InputError(said[-1].removeprefix("error: "))
    return folder
