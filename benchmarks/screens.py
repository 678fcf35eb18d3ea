"""Make the README's screenshots: a comparison page, a preview, a terminal during a run.

    python benchmarks/screens.py docs

They show the example clip, processed by this checkout. Needs Chromium, like the tests of the page.
"""

from __future__ import annotations

import argparse
import os
import pty
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright
from rich.console import Console
from rich.text import Text

from videoinr_cli.media.ffmpeg import find_ffmpeg

ROOT = Path(__file__).resolve().parent.parent
CLIP = ROOT / "examples" / "clip.mp4"
FRAMES = 12
COLUMNS = 92
REGION = "130,20,110,62"  # of the preview
FRAME = 5
KEYS = [*["ArrowRight"] * FRAME, *["]"] * 9]  # to a frame, and the split onto the windmill
SCREENS = {  # name: width, height, colours
    "compare": (1280, 800, "light"),
    "compare-phone": (390, 844, "dark"),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="where the pictures go")
    folder = parser.parse_args().folder.resolve()
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        show_terminal(work, folder / "terminal.svg")
        videoinr(work, "compare", "in.mp4", "out.mp4", "-o", "compare.html", "--max-mb", 100)
        screenshots(work / "compare.html", folder)
        look = folder / "preview.png"
        videoinr(work, "preview", CLIP, "--at", 1.5, "--region", REGION, "--strip", "-y", "-o", look)


def ffmpeg(*arguments: object) -> None:
    subprocess.run([find_ffmpeg(), "-y", "-loglevel", "error", *map(str, arguments)], check=True)


def videoinr(folder: Path, *arguments: object) -> None:
    command = [sys.executable, "-m", "videoinr_cli", *map(str, arguments)]
    subprocess.run(command, check=True, cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)})


def show_terminal(work: Path, picture: Path) -> None:
    """Upscale a part of the clip in a terminal; draw the terminal halfway and at the end."""
    # Not copied: of the last frames, which are not stored in the order of their times, some would be missing.
    ffmpeg("-i", CLIP, "-frames:v", FRAMES, "-an", "-c:v", "libx264", "-qp", 0, work / "in.mp4")
    arguments = ["upscale", "in.mp4", "--scale", "4", "--crf", "12", "-o", "out.mp4"]
    steps = lines_shown(work, arguments)
    bars = [step for step in steps if "left" in step]
    console = Console(width=COLUMNS, record=True, file=open(os.devnull, "w"), force_terminal=True)  # noqa: SIM115, PTH123
    console.print(Text.assemble(("$ ", "bold green"), " ".join(["videoinr", *arguments])))
    console.print(Text.from_ansi(bars[len(bars) // 2]))
    console.print(
        Text.from_ansi(next(step for step in reversed(steps) if "left" not in step))
    )  # the bar goes
    svg = console.export_svg(title="videoinr")
    picture.write_text(re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL))  # fetched from elsewhere


def lines_shown(work: Path, arguments: list[str]) -> list[str]:
    """Run the command in a terminal of its own; return the lines that it shows, in order."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": str(COLUMNS), "TERM": "xterm-256color"}
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(work)
        os.execve(sys.executable, [sys.executable, "-m", "videoinr_cli", *arguments], environment)
    shown = bytearray()
    while True:
        try:
            shown += os.read(terminal, 65536)
        except OSError:  # the end, as Linux tells it
            break
    _, status = os.waitpid(child, 0)
    text = shown.decode()
    if status:
        raise SystemExit(text)
    plain = re.sub(r"\x1b\[(?:\?25[hl]|2K|1A|\d*[ABCDGJK])", "", text)
    return [line.rstrip() for line in re.split(r"[\r\n]+", plain) if line.strip()]


def screenshots(page_file: Path, folder: Path) -> None:
    with sync_playwright() as driver:
        executable = shutil.which("chromium") or shutil.which("google-chrome")
        browser = driver.chromium.launch(executable_path=executable, args=["--no-sandbox", "--disable-gpu"])
        for name, (width, height, scheme) in SCREENS.items():
            screenshot(browser, page_file, (width, height), scheme, folder / f"{name}.png")
        browser.close()


def screenshot(browser: Browser, page_file: Path, size: tuple[int, int], scheme: str, picture: Path) -> None:
    viewport = {"width": size[0], "height": size[1]}
    page = browser.new_page(viewport=viewport, color_scheme=scheme, device_scale_factor=1)
    page.set_default_timeout(120_000)
    page.goto(page_file.as_uri())
    for key in KEYS:
        page.keyboard.press(key)
    page.wait_for_selector(f'#stage[data-frame="{FRAME}"]')
    page.wait_for_timeout(500)
    page.screenshot(path=picture, full_page=True)
    page.close()


if __name__ == "__main__":
    main()
