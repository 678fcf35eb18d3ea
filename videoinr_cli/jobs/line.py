"""In which order segments begin: those of a video in theirs, then those of the videos after it.

So a pool is busy from one video to the next: it begins the next while the last segments of one are rendered,
and goes on with it while they are joined.
"""

from __future__ import annotations

import collections
import logging
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TypeVar

from videoinr_cli.jobs.pool import Pool
from videoinr_cli.jobs.segment import SegmentRequest
from videoinr_cli.jobs.segments import Segments
from videoinr_cli.render.channel import WAKE_SECONDS
from videoinr_cli.threads import run_beside

T = TypeVar("T")

log = logging.getLogger(__name__)


class Interrupts:
    """Ctrl-C in two steps inside a block: the first finishes the current segments, the second stops at once.

    It does nothing outside of the main thread, or where Ctrl-C is ignored.
    """

    def __init__(self) -> None:
        self.is_asked_to_stop = False
        self._previous: signal._HANDLER = None

    def __enter__(self) -> Interrupts:
        is_ours = threading.current_thread() is threading.main_thread()
        if is_ours and signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            self._previous = signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.is_asked_to_stop:
            raise KeyboardInterrupt
        self.is_asked_to_stop = True
        log.warning("finishing the current segment; press Ctrl-C again to stop at once")


class Line:
    """The segments that wait for a pool."""

    def __init__(self, pool: Pool, following: Iterator[Segments | None] | None = None) -> None:
        """Begin nothing yet.

        Args:
            pool: renders the segments.
            following: the videos after the first, opened when there is room for their segments; None where
                the next one cannot be opened yet.
        """
        self.pool = pool
        self._has_following = following is not None
        self._following = following or iter(())
        self._opened: collections.deque[Segments] = collections.deque()

    def render(self, segments: Segments) -> None:
        """Render what is missing of a video.

        The first Ctrl-C lets what was begun be finished, that of following videos included.

        Raises:
            VideoInrError: a segment could not be rendered; raised when those that had begun are done.
            KeyboardInterrupt: it was interrupted.
        """
        with Interrupts() as interrupts:
            try:
                while not (self.pool.is_idle if interrupts.is_asked_to_stop else segments.is_over):
                    if not interrupts.is_asked_to_stop:
                        self._fill(segments)
                    self.pool.wait(may_begin=not interrupts.is_asked_to_stop)
            except BaseException:
                self.pool.abandon(segments)
                raise
        if segments.failure is not None:
            raise segments.failure
        if interrupts.is_asked_to_stop:
            raise KeyboardInterrupt

    def beside(self, call: Callable[[Callable[[], None]], T]) -> T:
        """Return what a call returns, while the pool goes on with what follows.

        Args:
            call: is given a function to call often, which raises where the call is to end.
        """
        if not self._has_following:
            return call(lambda: None)
        returned: list[T] = []
        failures: list[BaseException] = []
        interruption: list[BaseException] = []

        def go_on() -> None:
            if interruption:
                raise interruption[0]

        def run() -> None:
            try:
                returned.append(call(go_on))
            except BaseException as error:  # handed to the calling thread
                failures.append(error)

        task = run_beside(run)
        try:
            while not task.wait(0.0):
                self._fill(None)
                if self.pool.is_idle:
                    task.wait(WAKE_SECONDS)
                else:
                    self.pool.wait()
        except BaseException as error:
            interruption.append(error)
            while not task.wait(WAKE_SECONDS):
                pass
            raise
        if failures:
            raise failures[0]
        return returned[0]

    def _fill(self, segments: Segments | None) -> None:
        """Begin what there is room for."""
        while self.pool.room and (found := self._next(segments)):
            self.pool.begin(*found)

    def _next(self, first: Segments | None) -> tuple[SegmentRequest, Segments] | None:
        if first is not None and (request := first.next_request()):
            return request, first
        while self._opened and self._opened[0].is_begun:
            self._opened.popleft()
        for segments in self._opened:
            if request := segments.next_request():
                return request, segments
        while (opened := next(self._following, None)) is not None:
            self._opened.append(opened)
            if request := opened.next_request():
                return request, opened
        return None
