"""Threads that are kept and used again, as Python may hang when it starts one while memory is short.

`threading.Thread.start` waits without a limit for a sign from the new thread. If there is memory for that
thread's stack but not for its first call, none comes (https://github.com/python/cpython/issues/140746). Under
a limit on the address space, every start hangs that finds 4 to 24 KiB left beyond the stack, in Python 3.10
to 3.13. So threads are started here below `threading`, waited for with a limit, and used for further calls.
"""

from __future__ import annotations

import _thread
import os
from collections.abc import Callable

START_SECONDS = 60.0
"""How long a thread may take to begin, however busy the machine is."""


class Task:
    """A call that another thread is busy with, or has come to the end of."""

    def __init__(self, call: Callable[[], None]) -> None:
        self.call = call
        self.running = _thread.allocate_lock()  # unlike an event, it is released without any memory
        self.running.acquire()

    def wait(self, timeout_seconds: float = -1) -> bool:
        """Wait for the end, or that long; return whether it has come."""
        is_over = self.running.acquire(timeout=timeout_seconds)
        if is_over:
            self.running.release()
        return is_over


class _Thread:
    """A thread that waits for tasks."""

    def __init__(self) -> None:
        self._task: Task | None = None
        self._awake = _thread.allocate_lock()
        self._awake.acquire()
        begun = _thread.allocate_lock()
        begun.acquire()
        _thread.start_new_thread(self._run, (begun,))
        if not begun.acquire(timeout=START_SECONDS):
            raise MemoryError("a thread cannot begin")

    def begin(self, task: Task) -> None:
        self._task = task
        self._awake.release()

    def _run(self, begun: _thread.LockType) -> None:
        begun.release()
        while True:
            self._awake.acquire()
            task, self._task = self._task, None
            assert task is not None
            try:
                task.call()
                _idle.append(self)
            finally:
                task.running.release()
            del task  # and what it holds


_idle: list[_Thread] = []

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_idle.clear)  # only the thread that forks is there too


def run_beside(call: Callable[[], None]) -> Task:
    """Run a call in another thread, which does not keep the program from ending.

    Args:
        call: catches its own errors.

    Raises:
        MemoryError: there is not enough for another thread.
        RuntimeError: likewise, as the system says it.
    """
    try:
        thread = _idle.pop()
    except IndexError:
        thread = _Thread()
    task = Task(call)
    thread.begin(task)
    return task
