"""What renders segments, seen by whoever has some: this process, others on this machine, or a cluster.

A pool decides where a segment is rendered, and `Line` in which order segments begin.
"""

from __future__ import annotations

import abc
import logging
from collections.abc import Callable
from typing import ClassVar, Protocol, TypeAlias, TypeVar

from videoinr_cli.jobs.manifest import Rendered
from videoinr_cli.jobs.segment import SegmentRequest, render_segment
from videoinr_cli.render.pipeline import Engine, Progress

Message: TypeAlias = "int | logging.LogRecord | Rendered | Exception | None"
"""What becomes of a segment: pictures rendered so far, a log record, the finished segment, or its error.
None: what was rendered there is lost or no longer needed, while the segment is rendered elsewhere."""


PoolT = TypeVar("PoolT", bound="Pool")


class Listener(Protocol):
    """Whoever has begun segments."""

    def hear(self, number: int, message: Message, node: str | None = None) -> None:
        """Take note of what becomes of a segment.

        Args:
            number: of the segment.
            message: a `Rendered` or an error is the last one.
            node: the machine of a cluster that it comes from.
        """


class Pool(abc.ABC):
    """Renders several segments at once. A context manager: what still runs at its end is ended."""

    is_elsewhere: ClassVar[bool] = False
    """Whether it costs this machine nothing, so that even a single segment goes there."""

    sharing: int = 1
    """The most segments that share the memory of one device."""

    @abc.abstractmethod
    def __len__(self) -> int:
        """Return how many segments it renders at once."""

    @property
    def shares(self) -> int:
        """Into how many segments a video is divided at least, if they do not become too short."""
        return len(self)

    @property
    @abc.abstractmethod
    def room(self) -> int:
        """How many segments more would begin at once."""

    @property
    @abc.abstractmethod
    def is_idle(self) -> bool:
        """Whether nothing that was begun is under way any more."""

    @abc.abstractmethod
    def begin(self, request: SegmentRequest, listener: Listener) -> None:
        """Begin a segment, for which there is `room`."""

    @abc.abstractmethod
    def wait(self, *, may_begin: bool = True) -> None:
        """Wait for news, but not for long, and tell the listeners.

        Args:
            may_begin: whether segments may begin anew that have failed or take long.

        Raises:
            VideoInrError: nothing can be rendered any more.
        """

    @abc.abstractmethod
    def abandon(self, listener: Listener) -> None:
        """Stop what a listener has begun, of which it hears no more."""

    def forget(self, listener: Listener) -> None:  # noqa: B027 -- most keep nothing
        """Let go of what is kept for a listener, whose video is complete."""

    def end(self) -> None:  # noqa: B027 -- not all have processes
        """End all processes, which frees their memory; they are started again when needed."""

    def __enter__(self: PoolT) -> PoolT:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()


class OwnProcess(Pool):
    """Renders one segment after another in the calling thread, while it waits."""

    def __init__(self, engine: Callable[[], Engine]) -> None:
        """Load nothing yet.

        Args:
            engine: returns what renders, when the first segment begins.
        """
        self._engine = engine
        self._begun: tuple[SegmentRequest, Listener] | None = None

    def __len__(self) -> int:
        return 1

    @property
    def room(self) -> int:
        return int(self.is_idle)

    @property
    def is_idle(self) -> bool:
        return self._begun is None

    def begin(self, request: SegmentRequest, listener: Listener) -> None:
        self._begun = request, listener

    def wait(self, *, may_begin: bool = True) -> None:
        """Render the segment that was begun.

        Raises:
            VideoInrError: see `render_segment`.
        """
        assert self._begun is not None
        request, listener = self._begun

        def report(progress: Progress) -> None:
            listener.hear(request.number, progress.frames)

        rendered = render_segment(request, engine=self._engine(), progress=report)
        self._begun = None
        listener.hear(request.number, rendered)

    def abandon(self, listener: Listener) -> None:
        self._begun = None
