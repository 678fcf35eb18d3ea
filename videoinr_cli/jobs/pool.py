"""Several processes on this machine that render segments, each on a device and with its share of the cores.

Another engine can stand in for `Workers`: all that it needs is `render_segment`.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import TypeAlias

import torch

from videoinr_cli.errors import VideoInrError
from videoinr_cli.jobs.manifest import Rendered
from videoinr_cli.jobs.segment import SegmentRequest, render_segment
from videoinr_cli.render.channel import WAKE_SECONDS

FramesCallback = Callable[[int, int], None]
"""Called with a segment's number and how many of its pictures are rendered."""

Message: TypeAlias = "int | logging.LogRecord | Rendered | Exception"
"""What a worker says: pictures rendered, something for the log, the segment done, why it failed."""


class _Worker:
    """A process, and what it is busy with."""

    def __init__(self, device: str) -> None:
        context = multiprocessing.get_context("spawn")  # CUDA does not survive a fork
        self.connection, other = context.Pipe()
        self.device = device
        self.busy_with: int | None = None
        self.process: BaseProcess = context.Process(target=_serve, args=(other,), daemon=True)
        with _interrupts_held_back():
            self.process.start()
        other.close()

    def begin(self, request: SegmentRequest, threads: int) -> None:
        self.busy_with = request.number
        with contextlib.suppress(ConnectionError):  # it has died; `_received` says so
            self.connection.send((request.on(self.device), threads))

    def end(self) -> None:
        self.process.terminate()
        self.process.join()
        self.connection.close()


class Workers:
    """Processes that render segments; they are started when first needed and kept, with their models.

    As a context manager, none of them is left behind.
    """

    def __init__(self, devices: Sequence[str]) -> None:
        """Take note of what is to be started.

        Args:
            devices: one for each process; one device may be named more than once.
        """
        self._devices = devices
        self._workers: dict[int, _Worker] = {}  # by the place of the device

    def __len__(self) -> int:
        """Return how many there can be."""
        return len(self._devices)

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """End all of them, and give back their memory; they can be started again."""
        for worker in self._workers.values():
            worker.process.terminate()  # all at once, and then waited for
        for worker in self._workers.values():
            worker.end()
        self._workers.clear()

    def rendered(
        self,
        requests: Sequence[SegmentRequest],
        *,
        should_stop: Callable[[], bool],
        progress: FramesCallback,
    ) -> Iterator[tuple[int, Rendered]]:
        """Render segments, and yield each with its number as it is done.

        Args:
            requests: in the order in which they are begun.
            should_stop: asked before a segment is begun.
            progress: called in this thread.

        Raises:
            VideoInrError: a segment could not be rendered; raised when all that were under way are done.
        """
        waiting = list(reversed(requests))
        workers = self._started(len(requests))
        threads = max(1, torch.get_num_threads() // max(1, len(workers)))
        failure: Exception | None = None
        try:
            while True:
                for worker in workers:
                    if worker.busy_with is None and waiting and failure is None and not should_stop():
                        worker.begin(waiting.pop(), threads)
                busy = {worker.connection: worker for worker in workers if worker.busy_with is not None}
                if not busy:
                    break
                for ready in wait(list(busy), WAKE_SECONDS):
                    worker = busy[ready]  # type: ignore[index]
                    number = worker.busy_with
                    assert number is not None
                    message = _received(worker)
                    if isinstance(message, int):
                        progress(number, message)
                    elif isinstance(message, logging.LogRecord):
                        logging.getLogger(message.name).handle(message)
                    else:
                        worker.busy_with = None
                        if isinstance(message, Rendered):
                            yield number, message
                        else:
                            failure = failure or message
        finally:
            self._dismiss_unusable()
        if failure is not None:
            raise failure

    def _started(self, count: int) -> list[_Worker]:
        """Return as many workers as there are segments for, and not more than devices."""
        self._dismiss_unusable()
        for place, device in enumerate(self._devices[:count]):
            if place not in self._workers:
                self._workers[place] = _Worker(device)
        return [self._workers[place] for place in range(min(count, len(self._devices)))]

    def _dismiss_unusable(self) -> None:
        """End the workers that died, and those whose segment nobody waits for any more."""
        for place, worker in list(self._workers.items()):
            if worker.busy_with is not None or not worker.process.is_alive():
                worker.end()
                del self._workers[place]


@contextlib.contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Let no Ctrl-C hit this thread inside the block, nor ever the processes that are started in it."""
    if os.name != "posix":
        yield
        return
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # else the first process starts it, which lets Ctrl-C in again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _received(worker: _Worker) -> Message:
    """Return what a worker says, or the error that it says no more."""
    try:
        message: Message = worker.connection.recv()
    except (EOFError, ConnectionError):
        worker.process.join()
        return VideoInrError(
            f"the process that rendered segment {worker.busy_with} was killed ({worker.process.exitcode}), "
            "perhaps for want of memory; run the same command again to go on, with fewer --workers"
        )
    return message


def _serve(connection: Connection) -> None:
    """Answer requests until there are none; the main function of a worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it reaches all processes; what is to be done, one decides
    threading.Thread(target=_end_with_parent, daemon=True).start()
    say = _locked(connection.send)  # the thread that decodes has things to say too
    _log_to(say)
    while True:
        try:
            request, threads = connection.recv()
        except EOFError:
            return
        torch.set_num_threads(threads)
        try:
            say(render_segment(request, progress=lambda done: say(done.frames)))
        except VideoInrError as error:
            say(error)
        except MemoryError:
            say(MemoryError())
        except Exception as error:
            say(RuntimeError(f"{type(error).__name__}: {error}"))


def _locked(send: Callable[[Message], None]) -> Callable[[Message], None]:
    lock = threading.Lock()

    def locked(message: Message) -> None:
        with lock:
            send(message)

    return locked


def _end_with_parent() -> None:
    """End this process with the one that started it, however that ends, lest it go on writing."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)


class _ToParent(logging.Handler):
    def __init__(self, say: Callable[[Message], None]) -> None:
        super().__init__()
        self._say = say

    def emit(self, record: logging.LogRecord) -> None:
        record.msg, record.args, record.exc_info = record.getMessage(), None, None
        self._say(record)


def _log_to(say: Callable[[Message], None]) -> None:
    logger = logging.getLogger("videoinr_cli")
    logger.addHandler(_ToParent(say))
    logger.setLevel(logging.INFO)
