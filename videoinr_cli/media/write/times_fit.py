"""Whether the source's own frame times survive in a container that has no timestamps."""

from __future__ import annotations

import logging
import math

from videoinr_cli.errors import OutputError
from videoinr_cli.media.read.timing import measure_timing, rounding_ticks
from videoinr_cli.media.streams import VideoInfo
from videoinr_cli.media.write.containers import Container
from videoinr_cli.notes import Advice, log_advised

log = logging.getLogger(__name__)


def check_times_fit(info: VideoInfo, container: Container, *, strict: bool) -> None:
    """Warn if a container without timestamps loses the source's own times, and they are uneven.

    Args:
        info: the source.
        container: where its frames go, each at its own time.
        strict: whether losing them is an error.

    Raises:
        OutputError: `strict` is set and the times are lost.
    """
    timing = measure_timing(info) if container.counts_frames else None
    if timing is not None and not timing.is_constant:
        _say_lost(info, container, strict=strict)


class TimesWatch:
    """`check_times_fit` for standard input, whose times are known only as its frames come."""

    def __init__(self, info: VideoInfo, container: Container, *, strict: bool) -> None:
        self._info = info
        self._container = container
        self._strict = strict
        self._is_over = not container.counts_frames or info.is_file or info.counts_frames
        self._before: int | None = None
        self._gaps: tuple[int, int] | None = None  # the shortest and the longest

    def see(self, pts: int) -> None:
        """Check the time of the next frame, in ticks of the source.

        Raises:
            OutputError: `strict` is set and the times are lost.
        """
        if self._is_over:
            return
        if self._before is not None:
            gap = pts - self._before
            shortest, longest = self._gaps or (gap, gap)
            self._gaps = min(shortest, gap), max(longest, gap)
            if self._gaps[1] - self._gaps[0] > rounding_ticks(self._info.time_base):
                self._is_over = True
                _say_lost(self._info, self._container, strict=self._strict)
        self._before = pts


def _say_lost(info: VideoInfo, container: Container, *, strict: bool) -> None:
    rate = math.ceil(info.frame_rate) if info.usual_seconds is None else round(1 / info.usual_seconds)
    said = f"{container.muxer} has no time stamps, and not all frames of {str(info.path)!r} last equally long"
    advice = Advice(f"give --fps {rate} to keep its duration", ("--fps",))
    if strict:
        raise OutputError(f"{said}; {advice.text}")
    log_advised(log, logging.WARNING, said, advice)
