"""What happens while videos are rendered, as records: what a display shows and a script reads.

The events' names and fields are the schema of ``--json``, described in
``docs/json.md``: to rename one breaks the scripts of others.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import ClassVar

from videoinr_cli.shares import NodeShare

SCHEMA_VERSION = 1
"""Rises when an event or a field is renamed, removed or changes its meaning, not when one is added."""


@dataclasses.dataclass(frozen=True)
class Begin:
    """All sources are checked, and rendering begins."""

    event: ClassVar[str] = "begin"
    schema: int  # `SCHEMA_VERSION`
    version: str  # of the program
    count: int  # of sources
    to_render: int  # sources to be rendered; the others have failed already, or are skipped
    frames: int | None  # to render, of all; None where a source does not say how long it is


@dataclasses.dataclass(frozen=True)
class VideoEvent:
    """An event of one source among several."""

    index: int  # of the source, from 1
    count: int  # of sources
    source: Path


@dataclasses.dataclass(frozen=True)
class Planned(VideoEvent):
    """What a video will become, as far as is known before its first frame."""

    destination: Path
    source_size: tuple[int, int]  # (width, height), pixels
    size: tuple[int, int]
    source_fps: float  # average
    fps: float | None  # None: every frame keeps its own time
    frames: int | None  # of the output; None when the source does not say how long it is
    seconds: float | None  # duration of the output; None likewise
    model: str  # as `options.model_name` has it
    strength: float | None  # of that model; None: it has none


@dataclasses.dataclass(frozen=True)
class Estimate(Planned):
    """What a dry run says of a video: what would be done, and what it would take."""

    event: ClassVar[str] = "plan"
    segments: int  # in which it is rendered; 1: in one go
    tile_size: tuple[int, int] | None  # (width, height) of tiles, source pixels; None: whole frames
    chunk_bytes: int  # of the chunks in which they are drawn
    notes: tuple[str, ...]  # what would be converted, guessed or left out
    estimated_seconds: float | None  # for rendering on this machine; None where `frames` is
    peak_memory_bytes: int  # of the GPU if there is one, else of RAM


@dataclasses.dataclass(frozen=True)
class Start(Planned):
    """A video begins."""

    event: ClassVar[str] = "start"


@dataclasses.dataclass(frozen=True)
class Progress(VideoEvent):
    """Another frame is rendered."""

    event: ClassVar[str] = "progress"
    frames: int  # rendered
    frames_before: int  # of them, by an earlier run
    total_frames: int | None  # None when the source does not say how long it is
    seconds: float  # of the video, rendered
    total_seconds: float | None
    elapsed_seconds: float  # since the video began
    left_seconds: float | None  # until it is done, at the rate so far; None when that is not known
    overall_fraction: float | None  # of all videos, by pixels of output; None when that is not known
    overall_left_seconds: float | None  # until all are done, at the rate so far
    nodes: tuple[NodeShare, ...] = ()  # of a cluster, that have worked on this video


@dataclasses.dataclass(frozen=True)
class Segment(VideoEvent):
    """A segment of a long video is complete on the disk."""

    event: ClassVar[str] = "segment"
    segment: int  # from 1, in the order of the video
    segments: int  # of the video
    frames: int  # in it
    bytes: int
    was_done: bool  # by an earlier run
    node: str | None = None  # of a cluster, that has rendered it


@dataclasses.dataclass(frozen=True)
class Done(VideoEvent):
    """A video is complete."""

    event: ClassVar[str] = "done"
    destination: Path
    source_size: tuple[int, int]  # (width, height), pixels
    size: tuple[int, int]
    frames_read: int
    frames_written: int
    frames_before: int  # of them, rendered by an earlier run
    cuts: int  # changes of scene
    elapsed_seconds: float
    frames_per_second: float  # rendered by this run
    output_bytes: int | None  # None of standard output
    notes: tuple[str, ...]  # what was converted, guessed or left out
    nodes: tuple[NodeShare, ...] = ()  # of a cluster, that have worked on it


@dataclasses.dataclass(frozen=True)
class Skipped(VideoEvent):
    """A video is not rendered, as its output exists."""

    event: ClassVar[str] = "skipped"
    destination: Path


@dataclasses.dataclass(frozen=True)
class Error(VideoEvent):
    """A video cannot be rendered."""

    event: ClassVar[str] = "error"
    destination: Path | None  # None when it was not known yet
    kind: str  # the error's class, such as "InputError"
    message: str


@dataclasses.dataclass(frozen=True)
class End:
    """All videos are done, or no further one begins."""

    event: ClassVar[str] = "end"
    done: int  # videos
    skipped: int
    failed: int
    left: tuple[Path, ...]  # not rendered: after an interruption, or a failure with --fail-fast
    interrupted: bool
    frames_written: int  # of the videos that are done
    output_bytes: int
    elapsed_seconds: float


Event = Begin | Estimate | Start | Progress | Segment | Done | Skipped | Error | End
