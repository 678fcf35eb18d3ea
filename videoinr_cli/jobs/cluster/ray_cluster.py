"""Ray, as far as rendering needs it: nodes, processes on them, calls to these. Nothing else imports it."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import signal
import socket
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from videoinr_cli.errors import VideoInrError
from videoinr_cli.jobs.cluster.calls import Call, Lost, Node, NodeLost
from videoinr_cli.jobs.cluster.nodes import NodeWorker
from videoinr_cli.processors import usable_cores

if TYPE_CHECKING:
    from types import ModuleType

CONNECT_SECONDS = 5.0
"""How long an address may take to answer at all."""

CLIENT_SERVER_STARTS = 3
"""How often a cluster's head is asked for a server for a client: now and then one ends at its start."""

LOCAL_STORE_BYTES = 256 << 20
"""Memory for what is on its way between processes, where the cluster is this machine alone."""

CALLS_AT_ONCE = 8
"""Calls that a process on a node answers at the same time: it renders, tells news and hands over files."""


class RayCluster:
    """A connection to a cluster; ended by `close`, unless the calling program had connected before."""

    def __init__(self, address: str, *, code: str = "own") -> None:
        """Connect, or start a cluster for ``local``.

        Args:
            address: ``auto``, ``local``, ``HOST:PORT`` or ``ray://HOST:PORT``.
            code: ``own`` or ``send``: whose videoinr the nodes run.

        Raises:
            VideoInrError: Ray is not installed, or there is no such cluster.
        """
        self._ray = _imported()
        self._is_ours = not self._ray.is_initialized()
        if self._is_ours:
            _check_answers(address)
            with _own_signals(), _told(address):
                _connect(self._ray, _arguments(address, code))

    def nodes(self) -> list[Node]:
        """Return the nodes that are alive."""
        with _connection():
            alive = [node for node in self._ray.nodes() if node["Alive"]]
        given = [_name_of(node) for node in alive]
        return [
            Node(
                id=node["NodeID"],
                name=name if given.count(name) == 1 else f"{name}-{node['NodeID'][:4]}",
                gpus=int(node["Resources"].get("GPU", 0)),
                cpus=int(node["Resources"].get("CPU", 0)),
                store_bytes=int(node["Resources"].get("object_store_memory", 0)),
            )
            for node, name in zip(alive, given, strict=True)
        ]

    def start(self, node: Node, device: str, *, gpus: float, cpus: float) -> Any:
        """Start a process on a node, once these shares of its resources are free, and return it."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        worker = self._ray.remote(NodeWorker).options(
            num_gpus=gpus,
            num_cpus=cpus,
            max_concurrency=CALLS_AT_ONCE,
            max_restarts=0,
            scheduling_strategy=NodeAffinitySchedulingStrategy(node.id, soft=False),
        )
        with _connection():
            return worker.remote(device)

    def call(self, worker: Any, method: str, *arguments: object) -> Call:
        """Begin a call of a `NodeWorker`'s method."""
        with _connection():
            return getattr(worker, method).remote(*arguments)  # type: ignore[no-any-return]

    def put(self, data: bytes) -> object:
        """Return what stands for data among the arguments of calls: it goes to each node once."""
        with _connection():
            return self._ray.put(data)

    def ready(self, calls: Sequence[Call], seconds: float) -> list[Call]:
        """Wait for some calls, but not longer than that, and return those that have ended."""
        if not calls:
            time.sleep(seconds)
            return []
        with _connection():
            self._ray.wait(list(calls), num_returns=1, timeout=seconds)
            ready: list[Call] = self._ray.wait(list(calls), num_returns=len(calls), timeout=0)[0]
            return ready

    def result(self, call: Call) -> Any:
        """Return what an ended call has returned.

        Raises:
            NodeLost: its node is gone.
            Lost: its process is gone.
            Exception: what it has raised.
        """
        errors = self._ray.exceptions
        try:
            return self._ray.get(call)
        except errors.RayTaskError as error:
            raise error.cause if isinstance(error.cause, Exception) else Lost(_reason(error)) from None
        except (errors.RayError, ConnectionError) as error:
            kind = NodeLost if re.search(r"node (has )?died|node.*(dead|removed)", str(error)) else Lost
            raise kind(_reason(error)) from None

    def kill(self, worker: Any) -> None:
        """End a process, whatever it does."""
        with contextlib.suppress(Exception):  # it is gone already
            self._ray.kill(worker)

    def close(self) -> None:
        """Leave the cluster; what was started on it ends."""
        if self._is_ours:
            self._ray.shutdown()


def _imported() -> ModuleType:
    # It prints what happens on nodes on standard output, where --json's events go; the pool tells it.
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".")
    try:
        import ray
        import ray.exceptions
    except ModuleNotFoundError as error:
        raise VideoInrError(
            f"--cluster needs Ray, which is not installed ({error.name}); pip install 'videoinr[cluster]'"
        ) from error
    return ray


def _connect(ray: ModuleType, arguments: dict[str, Any]) -> None:
    for _ in range(CLIENT_SERVER_STARTS - 1):
        try:
            ray.init(**arguments)
            return
        except ConnectionAbortedError as error:
            if not re.search("Starting Ray client server failed|Proxy failed to Connect", str(error)):
                raise
    ray.init(**arguments)


def _arguments(address: str, code: str) -> dict[str, Any]:
    """Return the arguments of `ray.init`, which is to print nothing."""
    arguments: dict[str, Any] = {
        "address": address,
        "logging_level": logging.CRITICAL,
        "log_to_driver": False,
    }
    if code == "send":
        package = Path(__file__).parents[2]
        arguments["runtime_env"] = {"py_modules": [str(package)], "excludes": ["**/__pycache__"]}
    if address == "local":
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        arguments |= {"num_cpus": usable_cores(), "include_dashboard": False}
        arguments |= {"object_store_memory": LOCAL_STORE_BYTES}
    return arguments


def _check_answers(address: str) -> None:
    """Refuse an address at which nobody answers; Ray itself takes a minute to find out.

    Raises:
        VideoInrError: nobody does, or it is none.
    """
    if address in ("auto", "local"):
        return
    match = re.fullmatch(r"(?:ray://)?(\[[^\]]+\]|[^:/\[\]]+):(\d+)", address)
    if match is None:
        raise VideoInrError(
            f"cluster {address!r} is no address; give auto, local, HOST:6379 or ray://HOST:10001"
        )
    host, port = match[1].strip("[]"), int(match[2])
    try:
        socket.create_connection((host, port), CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise VideoInrError(
            f"nobody answers at {address} ({error}); start a cluster there: ray start --head"
        ) from error


@contextlib.contextmanager
def _told(address: str) -> Iterator[None]:
    """Turn what `ray.init` raises into one line."""
    try:
        yield
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        advice = (
            "start one on this machine: ray start --head, or name its address"
            if address == "auto"
            else "a machine that is not one of its nodes connects by ray://HOST:10001"
        )
        raise VideoInrError(f"there is no cluster at {address!r}: {_reason(error)}; {advice}") from error


@contextlib.contextmanager
def _connection() -> Iterator[None]:
    """Turn what Ray raises without a cluster into one line; let through what handlers of signals raise."""
    try:
        yield
    except SystemError as error:  # such a handler was called while Ray waited
        raise error.__cause__ or error from None
    except (ConnectionError, RuntimeError) as error:  # of which Ray's own are
        raise VideoInrError(
            f"the connection to the cluster is lost ({_reason(error)}); run the same command again to go on"
        ) from error


@contextlib.contextmanager
def _own_signals() -> Iterator[None]:
    """Keep the handlers of signals, in whose place Ray puts its own."""
    numbers = [signal.SIGTERM, signal.SIGINT]
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    with contextlib.suppress(ValueError):  # this is not the main thread, where Ray puts none
        for number, handler in before.items():
            signal.signal(number, handler)


def _name_of(node: dict[str, Any]) -> str:
    """Return a node's name, if it was given one, else its host's."""
    name, address = str(node.get("NodeName") or ""), node["NodeManagerAddress"]
    return str(node["NodeManagerHostname"]) if name in ("", address) else name


def _reason(error: BaseException) -> str:
    """Return the first sentence of what Ray says, which says it in many lines."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = next(
        (line for line in lines if re.match(r"\w*(Error|Exception): ", line)), lines[0] if lines else ""
    )
    return said.rstrip(".") or type(error).__name__
