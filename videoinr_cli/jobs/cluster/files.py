"""The files that a segment is rendered from, and a request for it with the paths of another machine."""

from __future__ import annotations

import dataclasses
import secrets
from pathlib import Path

from videoinr_cli.jobs.cluster.nodes import Files
from videoinr_cli.jobs.fingerprint import digest_of_source
from videoinr_cli.jobs.segment import SegmentRequest
from videoinr_cli.media.streams import VideoInfo
from videoinr_cli.weights import find_weights
from videoinr_cli.weights.manifest import sha256_of


@dataclasses.dataclass(frozen=True)
class WeightsFile:
    """The weights that segments are rendered with."""

    name: str  # under which a node looks for them: a known name, or a path
    path: Path  # on this machine
    sha256: str
    is_path: bool  # whether the name is one

    @classmethod
    def of(cls, name: str) -> WeightsFile:
        """Find weights.

        Raises:
            WeightsError: there are none of that name.
        """
        path = find_weights(name).absolute()
        is_path = Path(name).absolute() == path
        return cls(str(path) if is_path else name, path, sha256_of(path), is_path)


TOKEN = "cluster"
"""Name of a file in a job's folder by which a node knows that it sees the same folder."""


def files_of(request: SegmentRequest, weights_sha256: str) -> Files:
    """Return what a segment, and all others of its video, are rendered from; leave a token beside them."""
    plan = request.plan
    token = request.path.parent.absolute() / TOKEN
    text = secrets.token_hex(16)
    token.write_text(text)
    return Files(
        source=_moved_source(plan.source, None),
        stamps=plan.stamps,
        digest=digest_of_source(plan.source),
        weights_sha256=weights_sha256,
        token=token,
        token_text=text,
    )


def paths_of(source: VideoInfo) -> list[Path]:
    """Return the files of a source."""
    return [source.path] if source.is_file else [path for _, path in source.images]


def moved(
    request: SegmentRequest, path: Path, *, source_folder: str | None, weights: str, device: str, threads: int
) -> SegmentRequest:
    """Return a request for another machine.

    Args:
        request: with the paths of this one.
        path: of the segment's file.
        source_folder: where the source's files are there; None: they have the same paths.
        weights: their name or path there.
        device: that it is rendered on.
        threads: of the network; 0: torch's own number.
    """
    plan = request.plan.on(device, threads or None)
    output = dataclasses.replace(plan.output, source=_moved_source(plan.source, source_folder))
    options = dataclasses.replace(plan.options, weights=weights)
    plan = dataclasses.replace(plan, output=output, options=options)
    return dataclasses.replace(request, plan=plan, path=path)


def _moved_source(source: VideoInfo, folder: str | None) -> VideoInfo:
    def there(path: Path) -> Path:
        return path.absolute() if folder is None else Path(folder) / path.name

    return dataclasses.replace(
        source,
        path=there(source.path),
        images=tuple((number, there(path)) for number, path in source.images),
        whole=None if source.whole is None else _moved_source(source.whole, folder),
    )
