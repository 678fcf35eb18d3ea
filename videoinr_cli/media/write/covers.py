"""Attach cover pictures to Matroska, which holds them as attached files.

ffmpeg presents a cover as a video stream; copying that stream would make a track that players play.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from videoinr_cli.errors import OutputError
from videoinr_cli.media.images import SUFFIXES
from videoinr_cli.media.read.source import open_source
from videoinr_cli.media.streams import StreamInfo, VideoInfo
from videoinr_cli.media.write.kept_streams import KeptStream

_TYPES = {"mjpeg": "jpeg"}  # MIME subtypes that differ from the codec's name

_ENDINGS = {"mjpeg": "jpg", "tiff": "tif"}


@contextlib.contextmanager
def attachments(source: VideoInfo, kept: Sequence[KeptStream]) -> Iterator[list[str]]:
    """Give ffmpeg's options that attach the covers after all other streams; their files live until the exit.

    Raises:
        InputError: the source has gone.
        OutputError: no temporary files can be written.
    """
    covers = [keep.stream for keep in kept if keep.is_attached]
    if not covers:
        yield []
        return
    with contextlib.ExitStack() as stack:
        try:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="videoinr-"))
            files = [_saved(source, stream, Path(folder)) for stream in covers]
        except OSError as error:
            raise OutputError(
                f"the source's cover cannot be put into a temporary file: {error}; set TMPDIR"
            ) from error
        words: list[str] = []
        for place, (stream, file) in enumerate(
            zip(covers, files, strict=True), start=1 + len(kept) - len(covers)
        ):
            tags = (f"mimetype=image/{_TYPES.get(stream.codec, stream.codec)}", f"filename={_name(stream)}")
            words += ["-attach", str(file), *(word for tag in tags for word in (f"-metadata:s:{place}", tag))]
        yield words


def _saved(source: VideoInfo, stream: StreamInfo, folder: Path) -> Path:
    file = folder / str(stream.index)
    with open_source(source.path) as container:
        packets = container.demux(container.streams[stream.index])
        file.write_bytes(next((bytes(packet) for packet in packets if packet.size), b""))
    return file


def _name(stream: StreamInfo) -> str:
    """Return a cover's name as an attachment: its own, else the one that players look for."""
    own = stream.title or ""
    return (
        own if Path(own).suffix.lower() in SUFFIXES else f"cover.{_ENDINGS.get(stream.codec, stream.codec)}"
    )
