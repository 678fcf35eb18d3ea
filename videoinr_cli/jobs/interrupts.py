"""Ctrl-C in two steps: the first finishes the current segments, the second stops at once."""

from __future__ import annotations

import logging
import signal
import threading
from types import FrameType, TracebackType

log = logging.getLogger(__name__)


class Interrupts:
    """A context manager; it does nothing outside of the main thread, or where Ctrl-C is ignored."""

    def __init__(self) -> None:
        self.is_asked_to_stop = False
        self._previous: signal._HANDLER = None

    def __enter__(self) -> Interrupts:
        is_ours = threading.current_thread() is threading.main_thread()
        if is_ours and signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            self._previous = signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.is_asked_to_stop:
            raise KeyboardInterrupt
        self.is_asked_to_stop = True
        log.warning("finishing the current segment; press Ctrl-C again to stop at once")
