"""Write a comparison as one HTML file that loads nothing from elsewhere."""

from __future__ import annotations

import dataclasses
import html
import importlib.resources
import json
import math
from collections.abc import Sequence

PARTS = {"style": "page.css", "script": "page.js"}


@dataclasses.dataclass(frozen=True)
class ShownVideo:
    """What a page says about a video."""

    label: str  # "A", "B" or "Reference"
    name: str
    width: int  # pixels
    height: int
    pixel_aspect: float  # width over height of a pixel
    frames_per_second: float


@dataclasses.dataclass(frozen=True)
class ShownFrame:
    """One instant: a picture of each video, in the videos' order, as ``data:`` addresses."""

    seconds: float
    pictures: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Curve:
    """One metric over time: a value per instant, None where there is none."""

    metric: str  # "PSNR" or "SSIM"
    unit: str
    label: str  # what is measured: "A", "B", or "A and B" against each other
    values: tuple[float | None, ...]  # infinite for equal pictures


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Everything that a page shows."""

    title: str
    videos: tuple[ShownVideo, ...]  # A, B and, if there is one, the reference
    frames: Sequence[ShownFrame]
    curves: tuple[Curve, ...]
    frames_per_second: float  # at which the frames play in real time
    notes: tuple[str, ...]  # sentences on what is shown and how


def render_page(comparison: Comparison) -> str:
    """Return the page's HTML."""
    folder = importlib.resources.files(__package__) / "page"
    page = (folder / "page.html").read_text(encoding="utf-8")
    for name, file in PARTS.items():
        page = page.replace(f"/*{name}*/", (folder / file).read_text(encoding="utf-8"))
    # Split before the user's text goes in, which could contain the same marker.
    before, after = page.split("/*data*/")
    title = html.escape(comparison.title)
    return f"{before.replace('<!--title-->', title)}{_json(comparison)}{after}"


def _json(comparison: Comparison) -> str:
    """Return JSON that is safe inside a script element; infinite values become "inf"."""
    data = dataclasses.asdict(comparison)
    for curve in data["curves"]:
        curve["values"] = [_number(value) for value in curve["values"]]
    return json.dumps(data, allow_nan=False, ensure_ascii=False).replace("<", "\\u003c")


def _number(value: float | None) -> float | str | None:
    if value is None or math.isnan(value):
        return None
    return round(value, 4) if math.isfinite(value) else "inf"
