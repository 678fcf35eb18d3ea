"""A bounded queue between two threads, which either of them can end with an error."""

from __future__ import annotations

import collections
import threading
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

ItemT = TypeVar("ItemT")

WAKE_SECONDS = 0.2
"""How long a wait lasts at most: on Windows, Ctrl-C cannot interrupt one without a limit."""


class Channel(Generic[ItemT]):
    """Hands items from one thread to another, and holds at most `capacity` of them.

    The producer calls `put` and at last `finish`; the consumer iterates. Either may call `fail`: then the
    other side's next call, or the one that is waiting, raises that error.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._items: collections.deque[ItemT] = collections.deque()
        self._changed = threading.Condition()
        self._is_finished = False
        self._error: BaseException | None = None

    def put(self, item: ItemT) -> None:
        """Append an item, once there is room for it.

        Raises:
            BaseException: what `fail` was called with.
        """
        with self._changed:
            self._wait_until(lambda: len(self._items) < self._capacity)
            self._items.append(item)
            self._changed.notify_all()

    def __iter__(self) -> Iterator[ItemT]:
        """Take items, in their order, until the producer finishes.

        Raises:
            BaseException: what `fail` was called with, at once, even if items are left.
        """
        while True:
            with self._changed:
                self._wait_until(lambda: bool(self._items) or self._is_finished)
                if not self._items:
                    return
                item = self._items.popleft()
                self._changed.notify_all()
            yield item
            del item  # a frame is large: do not hold it while waiting for the next

    def finish(self) -> None:
        """End the channel after the items that it holds."""
        with self._changed:
            self._is_finished = True
            self._changed.notify_all()

    def fail(self, error: BaseException) -> None:
        """End the channel with an error, and drop its items; only the first error counts."""
        with self._changed:
            if self._error is None:
                self._error = error
            self._items.clear()
            self._changed.notify_all()

    def check(self) -> None:
        """Raise the error that `fail` was called with, if there is one."""
        if self._error is not None:
            raise self._error

    def _wait_until(self, is_ready: Callable[[], bool]) -> None:
        self.check()
        while not is_ready():
            self._changed.wait(WAKE_SECONDS)
            self.check()
