"""Draw a preview: the panels side by side, a part of each magnified, and the instants between in a strip."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from videoinr_cli.errors import writing
from videoinr_cli.options import Region
from videoinr_cli.previews.interest import busiest_region
from videoinr_cli.previews.moment import STRIP_TAUS, Moment, Panels
from videoinr_cli.render.renderer import Picture
from videoinr_cli.sidecars import whole

GAP_PX = 12
LABEL_PX = 24
OVERVIEW_PX = 120
"""Height of the whole frame in the corner, where the region is marked."""

MIN_WIDTH_PX = 840
"""Width of a sheet at least, so that its text fits."""

CLOSER = 4
"""Magnification of the row under the panels."""

MOST_COLUMNS, COLUMNS = 4, 3
"""Most panels side by side, and how many are of more than those."""

STRIP_CLOSER = 2
"""Magnification of the strip against the panels."""

BACKGROUND, TEXT, FAINT, MARK = "#17191d", "#f2f3f5", "#a3a9b3", "#ffb02e"

MARK_TEXT = ("Software", "videoinr preview")
"""Text within a PNG, by which a preview is known again."""

Size = tuple[int, int]


@dataclasses.dataclass(frozen=True)
class Caption:
    """The text of a sheet."""

    title: str
    lines: tuple[str, ...]


def draw_sheet(
    caption: Caption, whole: Picture, region: Region, moments: Mapping[str, Moment], *, strip: bool
) -> Image.Image:
    """Return the whole picture.

    Args:
        caption: its text.
        whole: (H, W, 3) uint8, the source's frame.
        region: the part of it that is shown.
        moments: what each network rendered, by its name; at least one.
        strip: whether the instants between are shown.
    """
    still = next(iter(moments.values())).still
    height, width = still.bicubic.shape[:2]
    # The same spot whichever network is shown.
    spot = busiest_region(still.bicubic, None, max(1, width // CLOSER), max(1, height // CLOSER))
    methods = {
        "nearest: the source's own pixels": still.nearest,
        "bicubic": still.bicubic,
        **{name: moment.still.ours for name, moment in moments.items()},
    }
    count = len(methods) if len(methods) <= MOST_COLUMNS else COLUMNS
    rows: list[_Row] = []
    for start in range(0, len(methods), count):
        shown = list(methods.items())[start : start + count]
        rows.append([(name, _marked(panel, spot)) for name, panel in shown])
        rows.append([("", _closer(panel, spot, CLOSER)) for _, panel in shown])
    sheet_width = max(count * width + (count - 1) * GAP_PX, MIN_WIDTH_PX) + 2 * GAP_PX
    between = {name: moment.between for name, moment in moments.items()}
    if strip and all(between.values()):
        rows += _strip_rows(between, sheet_width - 2 * GAP_PX)
    head = max(OVERVIEW_PX, 34 + 24 * len(caption.lines))
    total = head + 2 * GAP_PX + sum(_row_height(row) for row in rows)
    sheet = Image.new("RGB", (sheet_width, total), BACKGROUND)
    _draw_head(sheet, caption, _overview(whole, region))
    top = head + 2 * GAP_PX
    for row in rows:
        _draw_row(sheet, row, top)
        top += _row_height(row)
    return sheet


def save_png(picture: Image.Image, path: Path) -> None:
    """Write a PNG; the file has its name only when it is complete.

    Raises:
        OutputError: it cannot be written.
    """
    mark = PngInfo()
    mark.add_text(*MARK_TEXT)
    with writing(path), whole(path) as partial:
        picture.save(partial, format="PNG", pnginfo=mark)


def is_sheet(path: Path) -> bool:
    """Whether a file is a picture that `save_png` wrote."""
    try:
        with Image.open(path) as picture:
            return bool(picture.info.get(MARK_TEXT[0]) == MARK_TEXT[1])
    except (OSError, ValueError, SyntaxError):  # Pillow's, for what is no picture, or a damaged one
        return False


class SideBySide:
    """Puts the panels of a clip side by side, each under its name; the size is even, as encoders require."""

    def __init__(self, size: Size, names: Sequence[str]) -> None:
        """Draw what stays the same.

        Args:
            size: (width, height) of a panel, in pixels.
            names: of the networks.
        """
        width, height = size
        labels = ("nearest", "bicubic", *names)
        self._lefts = tuple(GAP_PX + index * (width + GAP_PX) for index in range(len(labels)))
        total = (self._lefts[-1] + width + GAP_PX, height + LABEL_PX + 2 * GAP_PX)
        frame = Image.new("RGB", (total[0] + total[0] % 2, total[1] + total[1] % 2), BACKGROUND)
        draw = ImageDraw.Draw(frame)
        for left, label in zip(self._lefts, labels, strict=True):
            _write(draw, (left, GAP_PX - 4), label, width, 15)
        self.size: Size = frame.size
        self._background = np.asarray(frame)

    def picture(self, panels: Sequence[Panels]) -> Picture:
        """Return (h, w, 3) uint8 of `size`, from what each network shows."""
        frame: Picture = self._background.copy()
        top = LABEL_PX + GAP_PX
        pictures = (panels[0].nearest, panels[0].bicubic, *(each.ours for each in panels))
        for left, panel in zip(self._lefts, pictures, strict=True):
            frame[top : top + panel.shape[0], left : left + panel.shape[1]] = panel
        return frame


_Row = Sequence[tuple[str, Image.Image]]  # labels, and what is under them


def _strip_rows(between: Mapping[str, Sequence[Panels]], width: int) -> list[_Row]:
    """Return rows with a column for each instant: blended, and rendered by each network."""
    shown = next(iter(between.values()))
    column = (width - (len(shown) - 1) * GAP_PX) // len(shown)
    height, panel_width = shown[0].bicubic.shape[:2]
    part = (
        max(1, min(column // STRIP_CLOSER, panel_width)),
        max(1, min(column * 9 // 16 // STRIP_CLOSER, height)),
    )
    spot = busiest_region(shown[0].bicubic, shown[-1].bicubic, *part)
    labels = ["a frame", *(f"{tau} of the way" for tau in STRIP_TAUS[1:-1]), "the next frame"]
    return [
        [
            (f"{label}, {name}", _closer(picture, spot, STRIP_CLOSER))
            for label, picture in zip(labels, pictures, strict=True)
        ]
        for name, pictures in {
            "blended": [panels.bicubic for panels in shown],
            **{network: [panels.ours for panels in each] for network, each in between.items()},
        }.items()
    ]


def _row_height(row: _Row) -> int:
    return (LABEL_PX if row[0][0] else 0) + row[0][1].height + GAP_PX


def _draw_row(sheet: Image.Image, row: _Row, top: int) -> None:
    draw = ImageDraw.Draw(sheet)
    left = GAP_PX
    for label, picture in row:
        if label:
            _write(draw, (left, top), label, picture.width, 15)
        sheet.paste(picture, (left, top + (LABEL_PX if label else 0)))
        left += picture.width + GAP_PX


def _draw_head(sheet: Image.Image, caption: Caption, overview: Image.Image) -> None:
    draw = ImageDraw.Draw(sheet)
    sheet.paste(overview, (GAP_PX, GAP_PX))
    left = overview.width + 2 * GAP_PX
    room = sheet.width - left - GAP_PX
    _write(draw, (left, GAP_PX), caption.title, room, 22)
    for number, line in enumerate(caption.lines):
        _write(draw, (left, GAP_PX + 34 + 24 * number), line, room, 16, FAINT)


def _overview(whole: Picture, region: Region) -> Image.Image:
    """Return the whole frame, small, with the region marked."""
    scale = OVERVIEW_PX / whole.shape[0]
    size = (max(1, round(whole.shape[1] * scale)), OVERVIEW_PX)
    small = Image.fromarray(np.ascontiguousarray(whole)).resize(size, Image.Resampling.LANCZOS)
    left, top = region.x * scale, region.y * scale
    right, bottom = left + region.width * scale, top + region.height * scale
    ImageDraw.Draw(small).rectangle((left, top, right - 1, bottom - 1), outline=MARK, width=2)
    return small


def _marked(panel: Picture, spot: Region) -> Image.Image:
    picture = Image.fromarray(np.ascontiguousarray(panel))
    box = (spot.x - 1, spot.y - 1, spot.x + spot.width, spot.y + spot.height)
    ImageDraw.Draw(picture).rectangle(box, outline=MARK)
    return picture


def _closer(panel: Picture, spot: Region, times: int) -> Image.Image:
    """Return a spot magnified, each pixel a square."""
    part = panel[spot.y : spot.y + spot.height, spot.x : spot.x + spot.width]
    picture = Image.fromarray(np.ascontiguousarray(part))
    return picture.resize((times * spot.width, times * spot.height), Image.Resampling.NEAREST)


def _write(
    draw: ImageDraw.ImageDraw, place: Size, text: str, width: int, size_px: int, colour: str = TEXT
) -> None:
    """Draw a text at (x, y), truncated to a width in pixels."""
    font = ImageFont.load_default(size_px)
    if font.getlength(text) > width:
        while text and font.getlength(f"{text}…") > width:
            text = text[:-1]
        text = f"{text}…"
    draw.text(place, text, colour, font)
