"""The documentation: the tutorial does what it says, links lead somewhere, no option is stale."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import pytest

from tests.outside import load
from videoinr_cli.cli import cli
from videoinr_cli.media.ffmpeg import find_ffmpeg
from videoinr_cli.media.write.encoders import find_encoder
from videoinr_cli.options import EncodeOptions

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("weights/*.md")])
FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
NAMED_FILE = re.compile(r"`((?:benchmarks|docs|examples|scripts|tests|videoinr_cli)/[\w/-]+\.\w+)`")
LINK = re.compile(r"\]\(([^)\s]+)\)")
MEASURED = re.compile(r"\d+:\d+(:\d+)?|\d+\.\d s|\(\S+ (fps|s/frame)\)|about .*|\d+(\.\d+)? [kM]B")
"""What the machine's speed and the encoder's version decide."""

needs_bash = pytest.mark.skipif(shutil.which("bash") is None, reason="the tutorial is for a POSIX shell")


def tutorial_steps() -> Iterator[tuple[str, str]]:
    """Yield the commands of each block and the output shown for it; installation is left out."""
    text = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
    sections = re.split(r"^## ", text, flags=re.MULTILINE)
    assert sections[1].startswith("Install\n"), "the section that is not run"
    fences = [match.groups() for section in sections[2:] for match in FENCE.finditer(section)]
    assert {language for language, _ in fences} == {"bash", "text"}
    for place, (language, content) in enumerate(fences):
        if language == "bash":
            following = fences[place + 1] if place + 1 < len(fences) else ("", "")
            yield content, following[1] if following[0] == "text" else ""


def without_measures(text: str) -> list[str]:
    return [MEASURED.sub("…", line).rstrip() for line in text.splitlines()]


@pytest.fixture
def fresh_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with what the tutorial finds in a clone, and the command on the PATH."""
    (tmp_path / "examples").mkdir()
    shutil.copy(ROOT / "examples" / "clip.mp4", tmp_path / "examples")
    programs = tmp_path / "bin"
    programs.mkdir()
    command = programs / "videoinr"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m videoinr_cli "$@"\n')
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


@needs_bash
def test_the_tutorial_works_word_by_word(fresh_folder: Path) -> None:
    for commands, shown in tutorial_steps():
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", commands],
            cwd=fresh_folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{commands}{done.stdout}"
        said = without_measures(done.stdout)
        for line in without_measures(shown):
            assert line in said, f"{commands}does not say {line!r} but\n{done.stdout}"
    made = {
        "larger.mp4": (640, 360, 24, 12),
        "smoother.mp4": (320, 180, 48, 24),
        "slower.mp4": (320, 180, 24, 24),
    }
    for name, (width, height, rate, frames) in made.items():
        with av.open(str(fresh_folder / name)) as container:
            video = container.streams.video[0]
            assert (video.width, video.height) == (width, height)
            assert video.average_rate == Fraction(rate)
            assert sum(1 for _ in container.decode(video)) == frames
            assert len(container.streams.audio) == 1
    with av.open(str(fresh_folder / "clip-preview.png")) as picture:
        assert picture.streams.video[0].width > 3 * 640
    page = (fresh_folder / "compare.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert len(page) > 1_000_000  # the pictures are in it


def anchors(page: Path) -> set[str]:
    """Return what a page's headings can be linked by, as GitHub and the site name them."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def internal_links() -> Iterator[tuple[Path, str]]:
    for page in PAGES:
        for link in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
            if "://" not in link and not link.startswith("mailto:"):
                yield page, link


@pytest.mark.parametrize(
    ("page", "link"), [pytest.param(*found, id=f"{found[0].name}:{found[1]}") for found in internal_links()]
)
def test_links_lead_somewhere(page: Path, link: str) -> None:
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    assert target.exists(), f"{page.name} links to {link}"
    if anchor:
        assert anchor in anchors(target), f"{target.name} has {sorted(anchors(target))}"


def named_files() -> set[tuple[str, str]]:
    """Return each page with the files of this repository that it names."""
    return {
        (page.name, file)
        for page in PAGES
        if page.name != "CHANGELOG.md"  # tells of files that are gone
        for file in NAMED_FILE.findall(FENCE.sub("", page.read_text(encoding="utf-8")))
    }


@pytest.mark.parametrize(("page", "file"), sorted(named_files()))
def test_named_files_exist(page: str, file: str) -> None:
    assert (ROOT / file).exists(), f"{page} names {file}"


def test_the_readme_and_the_site_list_every_page() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8").splitlines()
    made_elsewhere = {"index", "options", "contributing", "changelog", "model-card"}
    for page in ROOT.glob("docs/*.md"):
        assert page.stem in {*index, "index"}
        assert f"(docs/{page.name}" in readme or page.stem in made_elsewhere, page.name


def test_the_readme_is_short_enough_to_be_read() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) < 250


def test_every_command_and_option_in_the_pages_exists() -> None:
    """Commands in the pages may not go stale, nor those that no test runs."""
    known = known_options()
    for page in PAGES:
        for language, content in FENCE.findall(page.read_text(encoding="utf-8")):
            if language != "bash":
                continue
            for line in content.replace("\\\n", " ").splitlines():
                if match := re.match(r"\s*(?:\$ )?videoinr ([a-z][\w -]*)", line.split(" #")[0]):
                    check_line(page, line.split(" #")[0], match[1], known)


def check_line(page: Path, line: str, words: str, known: dict[str, set[str]]) -> None:
    command = max((name for name in known if f"{words} ".startswith(f"{name} ")), key=len, default="")
    assert command, f"{page.name}: no such command: {line}"
    for option in re.findall(r"(?<=\s)--[a-z][a-z0-9-]*", line):
        assert option in known[command], f"{page.name}: videoinr {command} has no {option}: {line}"
    for encoder in re.findall(r"--codec (\S+)", line):
        for option in re.findall(r" -e ([\w-]+-params)=", line):
            assert option in find_encoder(EncodeOptions(codec=encoder).encoder, find_ffmpeg()).options, (
                f"{page.name}: {encoder} has no {option}: {line}"
            )


def known_options() -> dict[str, set[str]]:
    """Return the options of every command, by its name as typed."""
    return {
        context.command_path.partition(" ")[2]: {
            name
            for parameter in context.command.get_params(context)
            for name in (*parameter.opts, *parameter.secondary_opts)
        }
        for context in load("scripts/manual.py").contexts(cli)
        if context.parent is not None
    }
