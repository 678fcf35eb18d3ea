"""Results as Markdown tables for people and model cards, and as JSON for scripts."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Sequence
from statistics import fmean

from videoinr_cli.evaluation.measure import MethodResult, Quality
from videoinr_cli.evaluation.steadiness import Steadiness

MAX_CLIP_COLUMNS = 6
"""With more clips, a table shows only their means."""


def to_tables(results: Sequence[MethodResult], steadiness: Sequence[Steadiness]) -> str:
    """Return all tables, with the protocol above them; nothing without a result."""
    if not results:
        return ""
    first, clips = results[0], len(results[0].clips)
    tables = [
        f"{first.protocol}: {first.groups} groups of {clips} clip{'s' if clips > 1 else ''}",
        clip_table(results),
        summary_table(results),
        f"s/frame and peak memory: torch on {first.threads} thread{'s' if first.threads > 1 else ''}",
        *([steadiness_table(steadiness)] if steadiness else []),
    ]
    return "\n\n".join(tables)


def clip_table(results: Sequence[MethodResult]) -> str:
    """Return PSNR of given / in-between frames, per clip and as their mean, one row per method."""
    clips = results[0].clips
    shown = clips if len(clips) <= MAX_CLIP_COLUMNS else []
    rows = [["PSNR-Y in dB, given / between", *shown, "mean of clips"]]
    for result in results:
        given = [result.given(clip).psnr for clip in clips]
        between = [result.between(clip).psnr for clip in clips]
        cells = [f"{a:.2f} / {b:.2f}" for a, b in zip(given, between, strict=True)]
        rows.append([result.method, *cells[: len(shown)], f"{fmean(given):.2f} / {fmean(between):.2f}"])
    return markdown(rows)


def summary_table(results: Sequence[MethodResult]) -> str:
    """Return the papers' Center and Average over all groups, and the cost, one row per method."""
    rows = [["over all groups", "Center", "SSIM", "Average", "SSIM", "s/frame", "peak memory"]]
    for result in results:
        center, average = result.center(), result.average()
        rows.append(
            [
                result.method,
                f"{center.psnr:.2f}",
                f"{center.ssim:.4f}",
                f"{average.psnr:.2f}",
                f"{average.ssim:.4f}",
                f"{result.seconds_per_frame:.3f}",
                f"{result.peak_bytes / 2**20:.0f} MiB",
            ]
        )
    return markdown(rows)


def steadiness_table(results: Sequence[Steadiness]) -> str:
    """Return every measure of `Steadiness`, one row per method."""
    rows = [["steadiness", "flicker", "warping error", "pulsing", "path error", "border - middle"]]
    for result in results:
        rows.append(
            [
                result.method,
                f"{result.flicker_levels:.2f} levels",
                f"{result.warping_levels:.2f} levels",
                f"{100 * result.pulsing:.1f} %",
                f"{result.path_px:.2f} px",
                f"{result.border_gain:+.2f} dB",
            ]
        )
    return markdown(rows)


def to_json(results: Sequence[MethodResult], steadiness: Sequence[Steadiness] = ()) -> str:
    """Return everything except the single frames; an infinite PSNR becomes null.

    Args:
        steadiness: of the same methods, as far as it was measured.
    """
    measured = {steady.method: dataclasses.asdict(steady) for steady in steadiness}
    rows = [_as_dict(result) for result in results]
    for row, result in zip(rows, results, strict=True):
        if (steady := measured.get(result.method)) is not None:
            row["steadiness"] = {name: value for name, value in steady.items() if name != "method"}
    return json.dumps(rows, indent=2, allow_nan=False)


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """Return a table with the first row as its head; the first column is flush left, the others right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "| " + " | ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) + " |"
        for row in rows
    ]
    lines.insert(1, "|" + "|".join(["-" * (widths[0] + 2), *("-" * (w + 1) + ":" for w in widths[1:])]) + "|")
    return "\n".join(lines)


def _as_dict(result: MethodResult) -> dict[str, object]:
    return {
        "method": result.method,
        "protocol": dataclasses.asdict(result.protocol),
        "groups": result.groups,
        "frames": len(result.scores),
        "given": _quality(result.given()),
        "between": _quality(result.between()),
        "center": _quality(result.center()),
        "average": _quality(result.average()),
        "clips": {
            clip: {"given": _quality(result.given(clip)), "between": _quality(result.between(clip))}
            for clip in result.clips
        },
        "seconds_per_frame": result.seconds_per_frame,
        "peak_bytes": result.peak_bytes,
        "threads": result.threads,
    }


def _quality(quality: Quality) -> dict[str, float | None]:
    return {
        "psnr": quality.psnr if math.isfinite(quality.psnr) else None,
        "ssim": quality.ssim,
    }
