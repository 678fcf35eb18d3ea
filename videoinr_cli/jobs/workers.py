"""Processes on this machine that render segments, each on a device and with its share of the cores."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

import torch

from videoinr_cli.errors import VideoInrError
from videoinr_cli.jobs.manifest import Rendered
from videoinr_cli.jobs.partition import sharing
from videoinr_cli.jobs.pool import Listener, Message, Pool
from videoinr_cli.jobs.segment import SegmentRequest, render_segment
from videoinr_cli.notes import forward_log
from videoinr_cli.render.channel import WAKE_SECONDS


class _Worker:
    """A process, the segment that it renders, and who has begun it."""

    def __init__(self, device: str) -> None:
        context = multiprocessing.get_context("spawn")  # CUDA does not survive a fork
        self.connection, other = context.Pipe()
        self.device = device
        self.busy_with: tuple[int, Listener] | None = None
        self.process: BaseProcess = context.Process(target=_serve, args=(other,), daemon=True)
        with _interrupts_held_back():
            self.process.start()
        other.close()

    def begin(self, request: SegmentRequest, listener: Listener, threads: int) -> None:
        self.busy_with = request.number, listener
        with contextlib.suppress(ConnectionError):  # it has died, which `_received` reports
            self.connection.send(request.on(self.device, threads))

    def end(self) -> None:
        self.process.terminate()
        self.process.join()
        self.connection.close()


class Workers(Pool):
    """Processes that render segments. They are started when needed and kept, with their models."""

    def __init__(self, devices: Sequence[str]) -> None:
        """Start nothing yet.

        Args:
            devices: one for each process; one device may be named more than once.
        """
        self._devices = devices
        self._workers: dict[int, _Worker] = {}  # by the place of the device
        self.sharing = sharing(devices)

    def __len__(self) -> int:
        return len(self._devices)

    @property
    def room(self) -> int:
        return len(self._devices) - len(self._busy())

    @property
    def is_idle(self) -> bool:
        return not self._busy()

    def begin(self, request: SegmentRequest, listener: Listener) -> None:
        busy = self._busy()
        place = next(place for place in range(len(self._devices)) if place not in busy)
        if place in self._workers and not self._workers[place].process.is_alive():
            self._workers.pop(place).end()
        if place not in self._workers:
            self._workers[place] = _Worker(self._devices[place])
        threads = (request.plan.options.threads or torch.get_num_threads()) // len(self._devices)
        self._workers[place].begin(request, listener, max(1, threads))

    def wait(self, *, may_begin: bool = True) -> None:
        busy = {worker.connection: worker for worker in self._busy().values()}
        for ready in wait(list(busy), WAKE_SECONDS):
            worker = busy[ready]  # type: ignore[index]
            assert worker.busy_with is not None
            number, listener = worker.busy_with
            message = _received(worker)
            if isinstance(message, (Rendered, Exception)):
                worker.busy_with = None
            listener.hear(number, message)

    def abandon(self, listener: Listener) -> None:
        for place, worker in self._busy().items():
            if worker.busy_with is not None and worker.busy_with[1] is listener:
                self._workers.pop(place).end()

    def end(self) -> None:
        for worker in self._workers.values():
            worker.process.terminate()  # all of them, before waiting for any
        for worker in self._workers.values():
            worker.end()
        self._workers.clear()

    def _busy(self) -> dict[int, _Worker]:
        return {place: worker for place, worker in self._workers.items() if worker.busy_with is not None}


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
        number = None if worker.busy_with is None else worker.busy_with[0]
        return VideoInrError(
            f"the process that rendered segment {number} was killed ({worker.process.exitcode}), "
            "perhaps for lack of memory; run the same command again with fewer --workers to continue"
        )
    return message


def _serve(connection: Connection) -> None:
    """Render requests until the connection closes; the main function of a worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # only the parent handles Ctrl-C
    threading.Thread(target=_end_with_parent, daemon=True).start()
    lock = threading.Lock()  # the decoding thread logs too

    def send_message(message: Message) -> None:
        with lock:
            connection.send(message)

    forward_log(send_message)
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


def _end_with_parent() -> None:
    """End this process when its parent ends, so that it does not go on writing."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)
