"""Processes on this machine that render segments, each on a device and with its share of the cores.

`Workers` needs nothing but `render_segment`, and could be replaced by another pool.
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
"""Called with a segment's number and how many of its pictures are rendered so far."""

Message: TypeAlias = "int | logging.LogRecord | Rendered | Exception"
"""What a worker sends: the pictures rendered so far, a log record, the finished segment, or its error."""


class _Worker:
    """A process, and the segment that it renders."""

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
        with contextlib.suppress(ConnectionError):  # it has died, which `_received` reports
            self.connection.send(request.on(self.device, threads))

    def end(self) -> None:
        self.process.terminate()
        self.process.join()
        self.connection.close()


class Workers:
    """Processes that render segments. They are started when needed and kept, with their models.

    The context manager ends all of them.
    """

    def __init__(self, devices: Sequence[str]) -> None:
        """Start nothing yet.

        Args:
            devices: one for each process; one device may be named more than once.
        """
        self._devices = devices
        self._workers: dict[int, _Worker] = {}  # by the place of the device

    def __len__(self) -> int:
        """Return the number of processes at most."""
        return len(self._devices)

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """End all processes, which frees their memory; they are started again when needed."""
        for worker in self._workers.values():
            worker.process.terminate()  # all of them, before waiting for any
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
        """Render segments, and yield each with its number once it is done.

        Args:
            requests: in the order in which they begin.
            should_stop: called before each segment; True: no further one begins.
            progress: called in this thread.

        Raises:
            VideoInrError: a segment could not be rendered; raised when the others that had begun are done.
        """
        waiting = list(reversed(requests))
        workers = self._started(len(requests))
        threads = _threads_of_each(requests, len(workers))
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
        """Return running workers: one for each segment, but not more than devices."""
        self._dismiss_unusable()
        for place, device in enumerate(self._devices[:count]):
            if place not in self._workers:
                self._workers[place] = _Worker(device)
        return [self._workers[place] for place in range(min(count, len(self._devices)))]

    def _dismiss_unusable(self) -> None:
        """End the workers that died, and those whose segment is no longer wanted."""
        for place, worker in list(self._workers.items()):
            if worker.busy_with is not None or not worker.process.is_alive():
                worker.end()
                del self._workers[place]


def _threads_of_each(requests: Sequence[SegmentRequest], workers: int) -> int:
    """Return how many threads each worker's network has."""
    wanted = requests[0].plan.options.threads if requests else None
    return max(1, (wanted or torch.get_num_threads()) // max(1, workers))


@contextlib.contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Block SIGINT in this thread, and for good in the processes that are started inside the block."""
    if os.name != "posix":
        yield
        return
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # else the first process starts it, which unblocks SIGINT
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _received(worker: _Worker) -> Message:
    """Return a worker's next message, or an error if it has died."""
    try:
        message: Message = worker.connection.recv()
    except (EOFError, ConnectionError):
        worker.process.join()
        return VideoInrError(
            f"the process that rendered segment {worker.busy_with} was killed ({worker.process.exitcode}), "
            "perhaps for lack of memory; run the same command again with fewer --workers to continue"
        )
    return message


def _serve(connection: Connection) -> None:
    """Render requests until the connection closes; the main function of a worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # only the parent handles Ctrl-C
    threading.Thread(target=_end_with_parent, daemon=True).start()
    send_message = _locked(connection.send)  # the decoding thread logs too
    _log_to(send_message)
    while True:
        try:
            request = connection.recv()
        except EOFError:
            return
        try:
            send_message(render_segment(request, progress=lambda done: send_message(done.frames)))
        except VideoInrError as error:
            send_message(error)
        except MemoryError:
            send_message(MemoryError())
        except Exception as error:
            send_message(RuntimeError(f"{type(error).__name__}: {error}"))


def _locked(send: Callable[[Message], None]) -> Callable[[Message], None]:
    lock = threading.Lock()

    def locked(message: Message) -> None:
        with lock:
            send(message)

    return locked


def _end_with_parent() -> None:
    """End this process when its parent ends, so that it does not go on writing."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)


class _ToParent(logging.Handler):
    def __init__(self, send_message: Callable[[Message], None]) -> None:
        super().__init__()
        self._send_message = send_message

    def emit(self, record: logging.LogRecord) -> None:
        record.msg, record.args, record.exc_info = record.getMessage(), None, None
        self._send_message(record)


def _log_to(send_message: Callable[[Message], None]) -> None:
    logger = logging.getLogger("videoinr_cli")
    logger.addHandler(_ToParent(send_message))
    logger.setLevel(logging.INFO)
