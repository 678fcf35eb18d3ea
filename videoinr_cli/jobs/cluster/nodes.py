"""What runs on a node of a cluster: it describes the node, takes files, renders segments and hands them over.

Paths are the node's own. It knows neither Ray nor what the other nodes do.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import platform
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from videoinr_cli.notes import forward_log
from videoinr_cli.processors import openmp_settings
from videoinr_cli.version import __version__

if TYPE_CHECKING:
    from videoinr_cli.jobs.manifest import Rendered
    from videoinr_cli.jobs.segment import SegmentRequest
    from videoinr_cli.media.streams import VideoInfo

NEWS_SECONDS = 1.0
"""How often a node tells how far its segment is."""

KEPT_SECONDS = 7 * 24 * 3600
"""How long a node keeps the files of a driver that never came back for them."""


class Cancelled(Exception):
    """A segment is no longer needed: another node was faster."""


@dataclasses.dataclass(frozen=True)
class Description:
    """What a node is, as far as it matters for rendering."""

    videoinr: str  # its version
    python: str
    torch: str
    ffmpeg: str  # name and version; "" where there is none
    device: str  # the kind that this process has been given, such as "cuda"; "" where that does not work
    device_name: str
    weights_sha256: str | None  # digest of its weights of that name; None: it has none
    problem: str | None = None  # why nothing can be rendered
    gpu_bytes: int | None = None  # memory of the GPU; None: the device is none


@dataclasses.dataclass(frozen=True)
class Files:
    """What a video's segments are made of, as the driver has it."""

    source: VideoInfo
    stamps: tuple[tuple[int, int], ...]  # of its files: size, and time of the last change in nanoseconds
    digest: str  # of the source, see `fingerprint.digest_of_source`
    enlarger: Path | None  # `UpscaleOptions.spatial`
    enlarger_sha256: str | None
    token: Path  # a file in the folder where segments go
    token_text: str  # what is in it


@dataclasses.dataclass(frozen=True)
class Sight:
    """How much of `Files` a node sees."""

    source: str | None  # None: nothing; "": the driver's; else how it differs
    has_enlarger: bool
    writes_there: bool  # whether segments can be written where the driver wants them
    cached: frozenset[str]  # keys of what has been sent before
    free_bytes: int


class NodeWorker:
    """A process on a node. Its methods may be called while another one renders."""

    def __init__(self, device: str) -> None:
        """Set up how threads wait, before torch is loaded.

        Args:
            device: that it renders on.
        """
        os.environ.update(openmp_settings(os.environ))
        self._device = device
        self._frames = 0
        self._records: list[logging.LogRecord] = []
        self._is_cancelled = False
        _remove_strays()
        self._folder = Path(tempfile.mkdtemp(prefix="segments-", dir=_cache()))
        forward_log(self._records.append)

    def describe(self, weights: str) -> Description:
        """Say what this node is, and which weights of that name or path it has."""
        return described(self._device, weights)

    def look(self, files: Files) -> Sight:
        """Say which of the files can be used where they are."""
        try:
            is_shared = files.token.read_text() == files.token_text and os.access(files.token.parent, os.W_OK)
        except OSError:
            is_shared = False
        cache = _cache()
        return Sight(
            source=_source_here(files),
            has_enlarger=_has_enlarger(files),
            writes_there=is_shared,
            cached=frozenset(kept.name for kept in cache.iterdir()),
            free_bytes=shutil.disk_usage(cache).free,
        )

    def receive(self, key: str, sender: str, name: str, time_ns: int, data: bytes) -> None:
        """Append a piece to a file that is being sent.

        Args:
            key: of the files that belong together.
            sender: tells this transfer from others of the same files.
            name: of the file.
            time_ns: when it was last changed.
            data: the piece.
        """
        folder = _cache() / f"{key}.{sender}"
        folder.mkdir(exist_ok=True)
        with (folder / name).open("ab") as file:
            file.write(data)
        os.utime(folder / name, ns=(time_ns, time_ns))

    def accept(self, key: str, sender: str) -> str:
        """Keep files that have come completely, and return their folder."""
        cache = _cache()
        with contextlib.suppress(OSError):  # they were there already
            (cache / f"{key}.{sender}").rename(cache / key)
        shutil.rmtree(cache / f"{key}.{sender}", ignore_errors=True)
        os.utime(cache / key)  # they are kept for some time from now on
        return str(cache / key)

    def forget(self, key: str) -> None:
        """Remove files that are not needed any more."""
        shutil.rmtree(_cache() / key, ignore_errors=True)

    def render(self, request: SegmentRequest, halvings: int, is_sent: bool) -> Rendered:
        """Render a segment.

        Args:
            request: with this node's paths.
            halvings: how often the memory that rendering may use is halved.
            is_sent: whether the file is kept here, for `read`.

        Raises:
            Cancelled: it is not needed any more.
            VideoInrError: see `render_segment`.
        """
        from videoinr_cli.errors import VideoInrError
        from videoinr_cli.jobs.segment import render_segment
        from videoinr_cli.render.pipeline import Progress

        self._frames, self._is_cancelled = 0, False
        _keep(request)
        if is_sent:
            request = dataclasses.replace(request, path=self._folder / request.path.name)
        if halvings:
            request = _with_less_memory(request, halvings)

        def report(progress: Progress) -> None:
            self._frames = progress.frames
            if self._is_cancelled:
                raise Cancelled

        try:
            return render_segment(request, progress=report)
        except (VideoInrError, Cancelled, MemoryError):
            raise
        except Exception as error:  # which may not survive the way to the driver
            raise RuntimeError(f"{type(error).__name__}: {error}") from None

    def cancel(self) -> None:
        """Give up the segment that is being rendered, after its current picture."""
        self._is_cancelled = True

    def news(self) -> tuple[int, list[logging.LogRecord]]:
        """Wait a little, and return how many pictures are rendered, and what was logged meanwhile."""
        time.sleep(NEWS_SECONDS)
        records = [self._records.pop(0) for _ in range(len(self._records))]
        return self._frames, records

    def read(self, name: str, offset: int, size: int) -> bytes:
        """Return a piece of a segment that is kept here; an empty one at its end removes the file."""
        path = self._folder / name
        with path.open("rb") as file:
            file.seek(offset)
            data = file.read(size)
        if not data:
            path.unlink()
        return data


def described(device: str, weights: str) -> Description:
    """Say what this machine is.

    Args:
        device: that is to be used on it.
        weights: that are to be used, by their name or path.
    """
    import torch

    from videoinr_cli.errors import VideoInrError
    from videoinr_cli.media.ffmpeg import describe, find_ffmpeg
    from videoinr_cli.model.devices import choose_device
    from videoinr_cli.weights import weights_digest

    ffmpeg = kind = problem = ""
    try:
        kind = choose_device(device).type
        ffmpeg = describe(find_ffmpeg()).version
    except VideoInrError as error:
        problem = str(error)
    try:
        weights_sha256 = weights_digest(weights)
    except (VideoInrError, OSError):
        weights_sha256 = None
    return Description(
        videoinr=__version__,
        python=platform.python_version(),
        torch=torch.__version__,
        ffmpeg=ffmpeg,
        device=kind,
        device_name=torch.cuda.get_device_name() if kind == "cuda" else platform.machine(),
        weights_sha256=weights_sha256,
        problem=problem or None,
        gpu_bytes=total_gpu_bytes() if kind == "cuda" else None,
    )


def total_gpu_bytes() -> int:
    """Return the memory of the GPU, used or not; asking for it takes none of it."""
    import torch

    return int(torch.cuda.get_device_properties("cuda").total_memory)


def _cache() -> Path:
    """Return the folder for files that are sent."""
    folder = Path(platformdirs.user_cache_dir("videoinr")) / "cluster"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _remove_strays() -> None:
    """Remove the files of drivers that never came back."""
    for kept in _cache().iterdir():
        with contextlib.suppress(OSError):  # another process has removed it
            if time.time() - kept.stat().st_mtime > KEPT_SECONDS:
                shutil.rmtree(kept)


def _keep(request: SegmentRequest) -> None:
    """Have files that were sent kept, however long a video takes."""
    cache, plan = _cache(), request.plan
    for name in (plan.source.path, plan.options.weights, plan.options.spatial):
        if name is not None and Path(name).parent.parent == cache:
            os.utime(Path(name).parent)


def _source_here(files: Files) -> str | None:
    from videoinr_cli.jobs.fingerprint import digest_of_source

    source = files.source
    try:
        states = [path.stat() for path in source.files]
        for state, (size, time_ns) in zip(states, files.stamps, strict=True):
            if state.st_size != size:
                return f"of {state.st_size} bytes, not {size}"
            if state.st_mtime_ns // 1000 != time_ns // 1000:  # some network drives know no nanoseconds
                return f"changed at {_moment(state.st_mtime_ns)}, not {_moment(time_ns)}"
        return "" if digest_of_source(source) == files.digest else "of other content"
    except OSError:
        return None


def _has_enlarger(files: Files) -> bool:
    from videoinr_cli.weights.manifest import sha256_of

    try:
        return files.enlarger is None or sha256_of(files.enlarger) == files.enlarger_sha256
    except OSError:
        return False


def _moment(time_ns: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(time_ns / 1e9))


def _with_less_memory(request: SegmentRequest, halvings: int) -> SegmentRequest:
    from videoinr_cli.model.devices import choose_device
    from videoinr_cli.render.memory import free_bytes, held_bytes

    options, device = request.plan.options, choose_device(request.plan.options.device)
    held = held_bytes(device) * request.plan.processes
    limit = options.max_memory_bytes or held + free_bytes(device)
    options = dataclasses.replace(options, max_memory_bytes=held + max(1, (limit - held) >> halvings))
    return dataclasses.replace(request, plan=dataclasses.replace(request.plan, options=options))
