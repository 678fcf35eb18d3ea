"""The page in a real Chromium, by its pixels: drag, step, zoom, difference, plots; and on every screen.

Needs a Chromium on PATH, or one that ``playwright install chromium`` fetched; skipped where there is neither.
"""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.conftest import RunFfmpeg
from videoinr_cli.comparison.compare import compare

playwright = pytest.importorskip("playwright.sync_api")
pytestmark = pytest.mark.browser

FRAMES, WIDTH, HEIGHT = 12, 64, 48
PATIENCE_MS = 60_000
NAMES = ("chromium", "chromium-headless-shell", "chromium-browser", "google-chrome", "chrome", "msedge")
OPTIONS = [
    "--no-sandbox",  # containers run as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SCREENS = {"phone": (390, 844), "laptop": (1280, 800), "large": (1920, 1080)}

OpenPage = Callable[..., Any]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    executable = next(filter(None, map(shutil.which, NAMES)), None)
    with playwright.sync_playwright() as driver:
        fetched = Path(driver.chromium.executable_path)
        if executable is None and not fetched.exists():
            pytest.skip("there is no Chromium here; playwright install chromium fetches one")
        browser = driver.chromium.launch(executable_path=executable, args=OPTIONS, timeout=PATIENCE_MS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory, run_ffmpeg: RunFfmpeg) -> dict[str, Path]:
    """Return pages of A, red along x, and B, blue along x; green tells the frame of both."""
    folder = tmp_path_factory.mktemp("pages")

    def clip(name: str, red: str, blue: str) -> Path:
        picture = f"nullsrc=size={WIDTH}x{HEIGHT}:rate=25,format=gbrp,geq=r='{red}':g='10*N':b='{blue}'"
        path = folder / name
        run_ffmpeg("-f", "lavfi", "-i", picture, "-frames:v", FRAMES, "-c:v", "ffv1", path)
        return path

    a, b = clip("a.mkv", "3*X", "0"), clip("b.mkv", "0", "3*X")
    reference = clip("reference.mkv", "3*X", "30")
    compare(a, b, folder / "two.html")
    compare(a, b, folder / "three.html", reference=reference)
    wide = folder / "wide.mkv"
    run_ffmpeg("-i", a, "-frames:v", 1, "-vf", "setsar=2", "-c:v", "ffv1", wide)
    compare(wide, wide, folder / "wide.html")
    return {path.stem: path for path in folder.glob("*.html")}


@pytest.fixture
def open_page(browser: Any, pages: dict[str, Path]) -> Iterator[OpenPage]:
    """Return a function that opens a page offline; whatever it asks of a network fails the test."""
    contexts, trouble = [], []

    def opened(name: str = "two", size: tuple[int, int] = (1000, 760), **options: Any) -> Any:
        viewport = {"width": size[0], "height": size[1]}
        context = browser.new_context(viewport=viewport, offline=True, **options)
        context.set_default_timeout(PATIENCE_MS)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: trouble.append(str(error)))
        page.on("console", lambda message: trouble.append(message.text))
        page.on(
            "request",
            lambda request: request.url.startswith(("file:", "data:")) or trouble.append(request.url),
        )
        page.goto(pages[name].as_uri())
        at_frame(page, 0)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert trouble == []


def at_frame(page: Any, index: int) -> None:
    """Wait until a frame is on show."""
    page.wait_for_selector(f'#stage[data-frame="{index}"]')


def pixels(page: Any) -> NDArray[Any]:
    """Return what the stage looks like, (H, W, 3)."""
    box = page.locator("#stage").bounding_box()
    with Image.open(io.BytesIO(page.screenshot(clip=box))) as picture:
        return np.asarray(picture.convert("RGB")).astype(int)


def extent(page: Any) -> int:
    """Return how many levels of red a row in the lower part of the stage spans."""
    shown = pixels(page)
    return int(np.ptp(shown[int(0.8 * shown.shape[0]), 20:-20, 0]))


def colour(page: Any, x: float, y: float) -> list[int]:
    """Return R'G'B' at a place of the stage, in shares of its width and height."""
    shown = pixels(page)
    return [int(level) for level in shown[int(y * shown.shape[0]), int(x * shown.shape[1])]]


def stage_box(page: Any) -> dict[str, float]:
    box: dict[str, float] = page.locator("#stage").bounding_box()
    return box


def test_the_split_follows_the_pointer(open_page: OpenPage) -> None:
    page = open_page()
    red, _, none = colour(page, 0.45, 0.2)
    assert red > 60
    assert none == 0
    assert colour(page, 0.55, 0.2)[0] == 0
    assert colour(page, 0.55, 0.2)[2] > 60
    box = stage_box(page)
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.5 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.5 * box["height"], steps=4)
    page.mouse.up()
    page.mouse.move(box["x"] + 0.9 * box["width"], box["y"] + 0.5 * box["height"])  # no longer held
    assert page.locator("#split").get_attribute("aria-valuenow") == "30"
    assert colour(page, 0.27, 0.2)[2] == 0
    assert colour(page, 0.4, 0.2)[0] == 0
    page.locator("#split").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    assert page.locator("#split").get_attribute("aria-valuenow") == "41"
    assert page.locator("#stage").get_attribute("data-frame") == "0", "the split's keys are its own"


def test_steps_through_the_frames(open_page: OpenPage) -> None:
    page = open_page()
    for key, frame in [("ArrowRight", 1), ("ArrowRight", 2), ("ArrowLeft", 1), ("End", 11), ("Home", 0)]:
        page.keyboard.press(key)
        at_frame(page, frame)
        assert colour(page, 0.45, 0.2)[1] == 10 * frame
        assert f"{frame + 1}/{FRAMES}" in page.locator("#time").inner_text()
    page.keyboard.press("Shift+ArrowRight")
    at_frame(page, 10)
    page.get_by_role("button", name="Forward").click()
    at_frame(page, 11)
    page.keyboard.press("ArrowRight")
    at_frame(page, 11)
    page.locator("#scrubber").fill("4")
    at_frame(page, 4)
    assert page.locator("#time").inner_text().startswith("0:00.160")


def test_plays_and_pauses(open_page: OpenPage) -> None:
    page = open_page()
    page.keyboard.press("Space")
    page.wait_for_selector('#stage:not([data-frame="0"])')
    page.keyboard.press("Space")
    assert page.get_by_role("button", name="Play").is_visible()
    page.wait_for_timeout(100)
    held = page.locator("#time").inner_text()
    page.wait_for_timeout(300)
    assert page.locator("#time").inner_text() == held


def test_zooms_where_the_pointer_is(open_page: OpenPage) -> None:
    page = open_page()
    page.keyboard.press("a")
    box = stage_box(page)
    place = (0.4, 0.6)
    page.mouse.move(box["x"] + place[0] * box["width"], box["y"] + place[1] * box["height"])
    before, whole = colour(page, *place)[0], extent(page)
    for _ in range(3):
        page.mouse.wheel(0, -400)
    page.wait_for_selector("#zoom:has-text('3200')")  # as far as it goes
    assert colour(page, *place)[0] == pytest.approx(before, abs=4)
    assert extent(page) < whole / 2, "it shows less of the picture"
    zoomed = colour(page, 0.5, 0.5)[0]
    page.mouse.down()
    page.mouse.move(box["x"] + 0.9 * box["width"], box["y"] + place[1] * box["height"], steps=4)
    page.mouse.up()
    assert colour(page, 0.5, 0.5)[0] < zoomed - 5, "what was at the left is now in the middle"
    page.keyboard.press("0")
    assert page.locator("#zoom").inner_text() == "Fit"
    assert extent(page) == whole
    page.keyboard.press("1")
    assert page.locator("#zoom").inner_text() == "100 %"
    coloured = np.argwhere(pixels(page)[60:-20, 20:-20, 0] > 100)  # without badge and corners
    assert np.ptp(coloured[:, 0]) + 1 == HEIGHT


def test_pixels_need_not_be_square(open_page: OpenPage) -> None:
    page = open_page("wide")
    page.keyboard.press("a")
    page.keyboard.press("1")
    coloured = np.argwhere(pixels(page)[60:-20, 20:-20, 0] > 100)  # without badge and corners
    # Red passes 100 at 34 of the 64 columns, of which each is two wide.
    assert np.ptp(coloured[:, 0]) + 1 == HEIGHT
    assert np.ptp(coloured[:, 1]) + 1 == pytest.approx(2 * (WIDTH - 34), abs=2)


def test_pixels_can_be_seen_as_they_are(open_page: OpenPage) -> None:
    page = open_page()
    page.keyboard.press("a")
    smooth = len(np.unique(pixels(page)[100:-100, :, 0]))
    page.get_by_role("button", name="Pixels").click()
    row = pixels(page)[200, :, 0]
    assert set(row[row > 60]) <= set(range(0, 192, 3)), "only values that the picture has"
    assert smooth > len(np.unique(row))


def test_shows_the_difference(open_page: OpenPage) -> None:
    page = open_page()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    at_frame(page, 3)
    page.keyboard.press("d")
    for _ in range(7):
        page.keyboard.press(",")
    assert page.locator("#gain-value").inner_text() == "1×"
    red, green, blue = colour(page, 0.5, 0.5)
    assert green == 0, "what both have in common cancels"
    assert [red, blue] == pytest.approx([3 * 32] * 2, abs=3)
    page.keyboard.press(".")
    assert colour(page, 0.5, 0.5)[0] == pytest.approx(2 * red, abs=3)


def test_equal_pictures_leave_nothing(open_page: OpenPage) -> None:
    page = open_page("wide")
    page.keyboard.press("d")
    for _ in range(24):
        page.keyboard.press(".")
    page.keyboard.press("+")
    assert page.locator("#gain-value").inner_text() == "32×"
    shown = pixels(page)
    middle = shown[60:-20, shown.shape[1] // 4 : -shown.shape[1] // 4]
    assert middle.max() == 0


def test_with_a_reference_each_side_shows_its_own_error(open_page: OpenPage) -> None:
    page = open_page("three")
    page.keyboard.press("r")
    assert colour(page, 0.5, 0.5)[2] == pytest.approx(30, abs=1)
    page.keyboard.press("d")
    for _ in range(7):
        page.keyboard.press(",")
    assert colour(page, 0.4, 0.2) == pytest.approx([0, 0, 30], abs=1)
    assert colour(page, 0.6, 0.2)[0] > 90
    assert page.locator("#badge-left").inner_text().split() == ["A", "\u2212", "Reference"]


def test_plots_lead_to_frames(open_page: OpenPage, pages: dict[str, Path]) -> None:
    page = open_page("three")
    data = json.loads(page.locator("#data").inner_text())
    assert page.locator(".plot").count() == 2
    first = page.locator(".plot").first
    assert first.locator("path").count() == 2
    page.locator("#scrubber").fill("7")
    at_frame(page, 7)
    values = {c["label"]: c["values"][7] for c in data["curves"] if c["metric"] == "PSNR"}
    words = first.locator(".legend").inner_text()
    for label, value in values.items():
        assert f"PSNR {label} {value:.2f} dB" in words
    box = first.locator("svg").bounding_box()
    page.mouse.click(box["x"] + box["width"] - 9, box["y"] + 50)
    at_frame(page, FRAMES - 1)
    page.mouse.click(box["x"] + 45, box["y"] + 50)
    at_frame(page, 0)


def test_keys_are_explained(open_page: OpenPage) -> None:
    page = open_page()
    page.keyboard.press("?")
    assert page.locator("#help").is_visible()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Escape")
    assert not page.locator("#help").is_visible()
    assert page.locator("#stage").get_attribute("data-frame") == "0"


def test_touch_moves_the_split(open_page: OpenPage) -> None:
    page = open_page(size=SCREENS["phone"], has_touch=True)
    box = stage_box(page)
    page.touchscreen.tap(box["x"] + 0.75 * box["width"], box["y"] + box["height"] / 2)
    assert page.locator("#split").get_attribute("aria-valuenow") == "75"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("screen", SCREENS)
def test_fits_every_screen(open_page: OpenPage, screen: str, scheme: str) -> None:
    width, height = SCREENS[screen]
    page = open_page("three", (width, height), color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    if screen != "phone":
        assert page.evaluate("document.documentElement.scrollHeight") <= height, "all of it is in sight"
    box = stage_box(page)
    assert box["width"] >= 0.9 * width
    assert box["height"] >= (0.45 * height if screen != "phone" else 0.7 * width * HEIGHT / WIDTH)
    for control in page.locator("button:visible, input:visible, .plot").all():
        place = control.bounding_box()
        assert place["x"] >= 0
        assert place["x"] + place["width"] <= width
        assert place["height"] >= 30, "a finger must hit it"
    for words in ("body", "#time", "footer", ".legend .mean", "#videos small", ".key.A", ".key.B", "button"):
        assert contrast(page, words) >= 4.5, words  # WCAG 2.2, AA


def contrast(page: Any, selector: str) -> float:
    """Return the contrast ratio of an element's text to what is behind it, by WCAG 2.2."""
    colours = page.evaluate(
        """(selector) => {
            const found = document.querySelector(selector);
            const behind = [];
            for (let at = found; at; at = at.parentElement) behind.push(getComputedStyle(at).backgroundColor);
            return [getComputedStyle(found).color, behind.find((c) => c !== "rgba(0, 0, 0, 0)")];
        }""",
        selector,
    )
    light, dark = sorted(map(_luminance, colours), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(text: str) -> float:
    levels = np.array([float(part) for part in text[text.index("(") + 1 : -1].split(",")[:3]]) / 255
    linear = np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])
