"""Have nodes see what a video is rendered from, and bring back what they have rendered.

What a node sees under the driver's own paths is used where it lies; what it does not see is sent, in pieces.
"""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import os
import secrets
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

from videoinr_cli.errors import OutputError
from videoinr_cli.jobs.cluster.calls import Call, Cluster, Steps
from videoinr_cli.jobs.cluster.files import WeightsFile, files_of
from videoinr_cli.jobs.cluster.nodes import Files, Sight
from videoinr_cli.jobs.cluster.records import Attempt, NodeState, Place, Unfit
from videoinr_cli.jobs.manifest import Rendered, room_for
from videoinr_cli.options import ClusterFiles
from videoinr_cli.quantities import size_of

log = logging.getLogger(__name__)

PIECE_BYTES = 8 << 20
"""Most of a file that travels at once."""

STORE_SHARE = 4
"""Part of a node's object store, as its inverse, that files on their way take up."""

LATE_SECONDS = 60.0
"""How long a network drive may take to show here what a node has written to it."""


@dataclasses.dataclass
class _Piece:
    reference: object
    users: int = 0


class Transfers:
    """Files on their way. Its methods are generators: see `calls.Steps`."""

    def __init__(
        self, cluster: Cluster, way: ClusterFiles, weights: WeightsFile, now: Callable[[], float]
    ) -> None:
        """Send nothing yet.

        Args:
            cluster: between whose nodes files travel.
            way: ``shared``, ``send`` or ``auto``.
            weights: that all videos are rendered with.
            now: returns the time in seconds.
        """
        self._cluster, self._way, self._weights, self._now = cluster, way, weights, now
        self._files: dict[Path, Files] = {}  # by the video's folder
        self._pieces: dict[tuple[Path, int], _Piece] = {}

    def placed(self, attempt: Attempt) -> Generator[Call | None, Any, Place]:
        """Have a node see all files of a video, and return where.

        Raises:
            Unfit: it cannot.
        """
        node, request = attempt.worker.node, attempt.task.request
        folder = request.path.parent
        while folder in node.places and node.places[folder] is None:  # another worker sees to it
            attempt.heard = self._now()
            yield None
        place = node.places.get(folder)
        if place is None:
            node.places[folder] = None
            try:
                if folder not in self._files:
                    self._files[folder] = files_of(request)
                place = yield from self._prepared(attempt, self._files[folder])
                node.places[folder] = place
            finally:
                if node.places.get(folder) is None:
                    node.places.pop(folder, None)
        return place

    def fetched(self, attempt: Attempt, path: Path, rendered: Rendered, place: Place) -> Steps:
        """Put a segment's file, which a node has written or keeps, where it belongs: whole or not at all.

        Args:
            attempt: that has rendered it.
            path: its name until then.
            rendered: what is in it.
            place: of the node's files.

        Raises:
            OutputError: it cannot be written.
        """
        process, wanted = attempt.process, attempt.task.request.path
        if place.writes_there:
            deadline = self._now() + LATE_SECONDS
            while not path.exists() and self._now() < deadline:
                yield None
        else:
            with room_for(path), path.open("wb") as file:
                while data := (
                    yield self._cluster.call(process, "read", path.name, file.tell(), PIECE_BYTES)
                ):
                    file.write(data)
                    attempt.heard = self._now()
                file.flush()
                os.fsync(file.fileno())
        if attempt.is_dropped:
            path.unlink(missing_ok=True)
            return
        with room_for(path):
            if path.stat().st_size != rendered.bytes:
                node = attempt.worker.node.facts.name
                raise OutputError(f"{str(path)!r} has not come whole from node {node}")
            path.replace(wanted)

    def forget(self, folder: Path, nodes: list[NodeState]) -> None:
        """Have nodes remove what was sent to them for the video of a folder."""
        self._files.pop(folder, None)
        for node in nodes:
            place = node.places.pop(folder, None)
            if place is not None and place.source_folder is not None and node.workers:
                self._cluster.call(node.workers[0].process, "forget", Path(place.source_folder).name)

    def _prepared(self, attempt: Attempt, files: Files) -> Generator[Call | None, Any, Place]:
        node, weights, is_sent = attempt.worker.node, self._weights, self._way == "send"
        sight: Sight = yield self._cluster.call(attempt.process, "look", files)
        self._check_sight(node, files, sight)
        enlarger, sha256 = files.enlarger, files.enlarger_sha256
        place = Place(
            None,
            weights.name,
            enlarger=None if enlarger is None else str(enlarger),
            writes_there=sight.writes_there and not is_sent,
        )
        if is_sent or sight.source != "":
            # Another command, which is done sooner, may render the same source.
            owner = f"{files.digest} for {files.token.parent!r}"
            place.source_folder = yield from self._sent(attempt, owner, files.source.files, sight)
        if (is_sent and weights.is_path) or not node.has_weights:
            folder = yield from self._sent(attempt, weights.key, [weights.path], sight)
            place.weights = f"{folder}/{weights.path.name}"
        if enlarger is not None and sha256 is not None and (is_sent or not sight.has_enlarger):
            folder = yield from self._sent(attempt, sha256, [enlarger], sight)
            place.enlarger = f"{folder}/{enlarger.name}"
        return place

    def _check_sight(self, node: NodeState, files: Files, sight: Sight) -> None:
        """Refuse a node that sees other files, or too few of them, where nothing is to be sent.

        Raises:
            Unfit: it does.
        """
        name = repr(str(files.source.path))
        if self._way == "auto" and sight.source:
            log.warning(
                f"node {node.facts.name} has another file {name} ({sight.source}); it is sent the right one"
            )
        if self._way != "shared":
            return
        if sight.source:
            raise Unfit(f"it has another file {name} ({sight.source})")
        for what, is_seen in (
            (name, sight.source is not None),
            (f"the weights {self._weights.name!r}", node.has_weights),
            (f"the model {str(files.enlarger)!r}", sight.has_enlarger),
            (f"the folder {str(files.token.parent)!r}", sight.writes_there),
        ):
            if not is_seen:
                raise Unfit(f"it does not see {what}; --cluster-files auto sends what is missing")

    def _sent(
        self, attempt: Attempt, content: str, paths: list[Path], sight: Sight
    ) -> Generator[Call | None, Any, str]:
        """Send files to a node, unless it has them from before, and return the folder they are in.

        Args:
            attempt: that needs them.
            content: what tells them from other files of the same names.
            paths: the files.
            sight: what the node has.

        Raises:
            Unfit: it has no room for them.
        """
        sender, process = secrets.token_hex(4), attempt.process
        key = _key(content, paths)
        states = [] if key in sight.cached else [(path, path.stat()) for path in paths]
        total = sum(state.st_size for _, state in states)
        if total > sight.free_bytes:
            raise Unfit(f"it has {size_of(sight.free_bytes)} of disk for files of {size_of(total)}")
        most = max(1, attempt.worker.node.facts.store_bytes // STORE_SHARE // PIECE_BYTES)
        for path, state in states:
            for offset in range(0, max(1, state.st_size), PIECE_BYTES):
                piece = yield from self._taken(path, offset, most)
                try:
                    yield self._cluster.call(
                        process, "receive", key, sender, path.name, state.st_mtime_ns, piece.reference
                    )
                finally:
                    piece.users -= 1
                    if not piece.users:
                        del self._pieces[path, offset]
                attempt.heard = self._now()
        return str((yield self._cluster.call(process, "accept", key, sender)))

    def _taken(self, path: Path, offset: int, most: int) -> Generator[None, Any, _Piece]:
        """Return a piece of a file in the cluster's memory: the same one for all nodes that are as far."""
        key = path, offset
        while key not in self._pieces and len(self._pieces) >= most:
            yield None
        if key not in self._pieces:
            with path.open("rb") as file:
                file.seek(offset)
                self._pieces[key] = _Piece(self._cluster.put(file.read(PIECE_BYTES)))
        self._pieces[key].users += 1
        return self._pieces[key]


def _key(content: str, paths: list[Path]) -> str:
    return hashlib.sha256(
        b"\n".join([content.encode(), *(os.fsencode(path.name) for path in paths)])
    ).hexdigest()
