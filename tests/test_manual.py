"""Man pages: complete, sound to the program that reads them, part of the wheel; and completion in shells."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import click
import pytest

from tests.outside import ROOT, load
from videoinr_cli.cli import cli

MANUAL = load("scripts/manual.py")

ONLY_CLICK = """
import sys

class OnlyClick:
    def find_spec(self, name, path=None, target=None):
        known = {*sys.stdlib_module_names, "click", "colorama", "videoinr_cli", "manual"}
        if name.partition(".")[0] not in known:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, OnlyClick())
import manual
from videoinr_cli.cli import cli
manual.manual(cli, "1.2.3")
"""
"""What the wheel's build does, in an environment as bare as its own."""


def test_every_command_has_a_page_with_every_option_and_its_help() -> None:
    files = MANUAL.manual(cli, "1.2.3")
    pages = set()
    for context in MANUAL.contexts(cli):
        path = f"man/man1/{context.command_path.replace(' ', '-')}.1"
        pages.add(path)
        page = files[path].replace("\\-", "-")
        assert "videoinr 1.2.3" in page
        for parameter in context.command.get_params(context):
            if isinstance(parameter, click.Option):
                assert max(parameter.opts, key=len) in page
                assert " ".join((parameter.help or "").split()) in page
    assert pages == set(files)
    assert "VIDEOINR_WEIGHTS" in files["man/man1/videoinr-preview.1"]


@pytest.mark.skipif(shutil.which("groff") is None, reason="there is no groff")
def test_groff_has_nothing_to_complain_of(tmp_path: Path) -> None:
    for path, text in MANUAL.manual(cli, "1.2.3").items():
        file = tmp_path / Path(path).name
        file.write_text(text, encoding="utf-8")
        command = ["groff", "-man", "-K", "utf-8", "-T", "utf8", "-ww", "-Wbreak", str(file)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert done.stderr == ""
        assert "Interrupted by Ctrl-C." in done.stdout


def test_the_manual_needs_nothing_but_click() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "scripts")])}
    subprocess.run([sys.executable, "-c", ONLY_CLICK], env=environment, check=True)


DRIVERS = {
    "bash": """
        source {script}; COMP_WORDS=({words}); COMP_CWORD={last}
        _videoinr_completion videoinr; printf '%s\\n' "${{COMPREPLY[@]}}"
    """,
    "zsh": """
        compdef() {{ }}; _describe() {{ print -l -- ${{(P)3}} }}; compadd() {{ print -l -- ${{(P)5}} }}
        source {script}; words=({words}); (( CURRENT = {last} + 1 )); _videoinr_completion
    """,
    "fish": 'source {script}; complete -C "{words}"',
}
"""Have each shell complete words by what it does when somebody presses the key."""


@pytest.mark.parametrize("shell", DRIVERS)
@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("up", "upscale"),
        ("upscale in.mp4 --sc", "--scale"),
        ("upscale --deinterlace o", "off"),
        ("weights ver", "verify"),
    ],
)
def test_shells_complete_words(shell: str, words: str, completed: str, tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell}")
    script = tmp_path / "completion"
    command = tmp_path / "videoinr"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m videoinr_cli "$@"\n')
    command.chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)}
    with script.open("wb") as file:
        asked = {**environment, "_VIDEOINR_COMPLETE": f"{shell}_source"}
        subprocess.run(["videoinr"], env=asked, stdout=file, check=True)
    code = DRIVERS[shell].format(script=script, words=f"videoinr {words}", last=len(words.split()))
    done = subprocess.run([shell, "-c", code], env=environment, capture_output=True, text=True, check=True)
    offered = [re.split(r"[\t:]", line)[0] for line in done.stdout.splitlines()]
    assert completed in offered, done.stdout + done.stderr


@pytest.fixture
def container_context(tmp_path: Path) -> Path:
    """Return a folder with nothing but what .dockerignore lets through."""
    context = tmp_path / "context"
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        if line.startswith("!"):
            source, copy = ROOT / line[1:], context / line[1:]
            copy.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, copy)
    return context


def test_the_wheel_holds_what_it_should_even_if_built_in_a_container(
    container_context: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=container_context, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    package = {name for name in names if name.startswith("videoinr_cli/")}
    sources = {path.relative_to(ROOT).as_posix() for path in ROOT.glob("videoinr_cli/**/*.py")}
    assert {name for name in package if name.endswith(".py")} == sources
    assert {"videoinr_cli/py.typed", "videoinr_cli/embedded/manifest.json"} < package
    assert "videoinr_cli/embedded/videoinr-fast.safetensors" in package
    shared = {name.partition(".data/data/share/")[2] for name in names - package if ".data/" in name}
    assert shared == set(MANUAL.manual(cli, "1.2.3"))
    assert {name.split("/")[0].split("-")[0] for name in names - package} == {"videoinr"}
