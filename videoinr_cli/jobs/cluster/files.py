"""The files that a segment is rendered from, and a request for it with the paths of another machine."""

from __future__ import annotations

import dataclasses
import functools
import secrets
import tempfile
from pathlib import Path

from videoinr_cli.jobs.cluster.nodes import Files
from videoinr_cli.jobs.cluster.records import Place, Worker
from videoinr_cli.jobs.fingerprint import digest_of_source
from videoinr_cli.jobs.segment import SegmentRequest
from videoinr_cli.media.streams import VideoInfo
from videoinr_cli.options import faithful_of, strength_of
from videoinr_cli.weights import find_enlarger, find_weights, load_model, save_model, weights_digest
from videoinr_cli.weights.manifest import sha256_of


@dataclasses.dataclass(frozen=True)
class WeightsFile:
    """The weights that segments are rendered with."""

    name: str  # under which a node looks for them: a known name, or a path
    sha256: str  # of what has that name; see `weights_digest`
    is_path: bool  # whether the name is one
    strength: float | None = None  # of a mixture

    @classmethod
    def of(cls, name: str, strength: float | None = None) -> WeightsFile:
        """Find weights.

        Raises:
            WeightsError: there are none of that name.
        """
        path = find_weights(name).absolute()
        is_path = Path(name).absolute() == path
        return cls(str(path) if is_path else name, weights_digest(name), is_path, strength)

    @property
    def key(self) -> str:
        """What tells the file that is sent from others."""
        strength = strength_of(self.name, self.strength)
        return self.sha256 if strength is None else f"{self.sha256}-{strength}"

    @functools.cached_property
    def path(self) -> Path:
        """The file that is sent to nodes that have none: of a mixture, a new one with its weights."""
        if faithful_of(self.name) is None:
            return find_weights(self.name).absolute()
        path = Path(tempfile.mkdtemp(prefix="videoinr-")) / "mixture.safetensors"
        save_model(load_model(self.name, device="cpu", precision="fp32", strength=self.strength), path, {})
        return path


TOKEN = "cluster"
"""Name of a file in a job's folder by which a node knows that it sees the same folder."""


def files_of(request: SegmentRequest) -> Files:
    """Return what a segment, and all others of its video, are rendered from; leave a token beside them."""
    plan = request.plan
    token = request.path.parent.absolute() / TOKEN
    text = secrets.token_hex(16)
    token.write_text(text)
    spatial = plan.options.spatial
    enlarger = None if spatial is None else find_enlarger(spatial).absolute()
    return Files(
        source=_moved_source(plan.source, None),
        stamps=plan.stamps,
        digest=digest_of_source(plan.source),
        enlarger=enlarger,
        enlarger_sha256=None if enlarger is None else sha256_of(enlarger),
        token=token,
        token_text=text,
    )


def moved(request: SegmentRequest, path: Path, place: Place, worker: Worker) -> SegmentRequest:
    """Return a request for another machine.

    Args:
        request: with the paths of this one.
        path: of the segment's file.
        place: of what it is rendered from, there.
        worker: that renders it.
    """
    plan = request.plan.on(worker.device, worker.threads or None)
    output = dataclasses.replace(plan.output, source=_moved_source(plan.source, place.source_folder))
    is_mixed = place.weights != plan.options.weights  # already
    options = dataclasses.replace(
        plan.options,
        weights=place.weights,
        strength=None if is_mixed else plan.options.strength,
        spatial=place.enlarger,
    )
    plan = dataclasses.replace(plan, output=output, options=options, processes=worker.sharing)
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
