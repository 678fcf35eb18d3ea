"""Format durations, sizes and counts for people."""

from __future__ import annotations

SLOW_FPS = 0.1
"""Frames per second below which seconds for each frame say more."""


def size_of(size_bytes: int) -> str:
    """Return a size such as "512 bytes" or "1.5 MB"."""
    value, units = float(size_bytes), ["bytes", "kB", "MB", "GB", "TB"]
    while value >= 999.95 and len(units) > 1:
        value, units = value / 1000, units[1:]
    return f"{size_bytes} bytes" if units[0] == "bytes" else f"{value:.1f} {units[0]}"


def counted(count: int, thing: str) -> str:
    """Return a number of things whose plural ends with an s, such as "1 frame" or "2 frames"."""
    return f"{count} {thing}{'' if count == 1 else 's'}"


def lasted(seconds: float) -> str:
    """Return how long something took: "3.4 s", or H:MM:SS from ten seconds on."""
    return f"{seconds:.1f} s" if seconds < 9.95 else clock(seconds)


def clock(seconds: float) -> str:
    """Return H:MM:SS."""
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}"


def exact_clock(seconds: float) -> str:
    """Return H:MM:SS.mmm."""
    minutes, rest = divmod(round(seconds, 3), 60)  # rounded first, or 59.9999 s had 60 seconds
    return f"{int(minutes) // 60}:{int(minutes) % 60:02d}:{rest:06.3f}"


def pace(frames_per_second: float) -> str:
    """Return a speed such as "2.50 fps", or "12.3 s/frame" where a frame takes more than 10 s."""
    if 0 < frames_per_second < SLOW_FPS:
        return f"{1 / frames_per_second:.1f} s/frame"
    return f"{frames_per_second:.2f} fps"


def roughly(seconds: float) -> str:
    """Return a rounded duration such as "40 s", "52 min" or "3.5 h"."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if seconds < 90 * 60:
        return f"{round(seconds / 60)} min"
    return f"{seconds / 3600:.1f} h"
