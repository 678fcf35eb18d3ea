"""The ``.vinr`` file: a clip's network, when its frames are shown, and the source's other streams.

    8 bytes   `MAGIC`
    4 bytes   length of the header, little-endian
    header    JSON, zlib-compressed: version, network, times, colours, how parameters are coded, lengths
    halves    float16: steps of the quantised parameters, and values of the others
    coded     the quantised parameters, see `range_coder`
    streams   a Matroska file of sound, subtitles, chapters and tags
    32 bytes  SHA-256 of all before

Nothing in it can be executed, and what it claims is checked before memory or time is spent on it.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import itertools
import json
import math
import os
import re
import zlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch

from videoinr_cli.errors import InputError, OutputError
from videoinr_cli.fitting.coding import Coded, Shapes, halves_bytes, read_tables, unpack
from videoinr_cli.fitting.networks import FittedNetwork, NetworkConfig, build
from videoinr_cli.media.colour import CHROMA_LOCATIONS, MATRICES, PRIMARIES, RANGES, TRANSFERS, Colour
from videoinr_cli.media.read.fitted import MAGIC
from videoinr_cli.options import MAX_FPS
from videoinr_cli.sidecars import whole

VERSION = 1
MATROSKA = b"\x1a\x45\xdf\xa3"
"""What a Matroska file begins with. **Source**: RFC 8794, section 11.2.1."""
HASH_BYTES = 32
MAX_HEADER_BYTES = 64 << 20
"""Of the header unpacked: room for millions of times."""
MAX_TICKS = 1 << 62
_POINT = r"\([0-9]{1,9},[0-9]{1,9}\)"
DISPLAY, LIGHT = f"G{_POINT}B{_POINT}R{_POINT}WP{_POINT}L{_POINT}", "[0-9]{1,9},[0-9]{1,9}"
"""What HDR10's metadata look like; encoders would take more in them for options, which may name files."""
MOST_PARAMETERS_A_BYTE = 100
"""A file that claims more is hostile: with nine of ten weights pruned, a byte holds about 16."""


@dataclasses.dataclass(frozen=True)
class Clip:
    """When a fitted clip's frames are shown, and how they are to be understood."""

    name: str  # of the source's file
    size: tuple[int, int]  # (width, height) of the source's picture, in pixels
    pts: tuple[int, ...]  # of the frames, increasing, in ticks from where the clip's streams start
    end: int  # of the last frame, in ticks
    time_base: Fraction  # seconds per tick
    frame_rate: Fraction  # average, frames per second
    steady_rate: Fraction | None  # see `VideoInfo`
    usual_seconds: Fraction | None  # likewise
    pixel_aspect: Fraction  # width over height of a pixel of the fitted pictures
    colour: Colour  # resolved; of R'G'B' pictures of 8 bits
    mastering_display: str | None = None  # see `VideoInfo`
    content_light: str | None = None  # likewise

    def __post_init__(self) -> None:
        rates = (self.frame_rate, self.steady_rate or Fraction(1), 1 / (self.usual_seconds or Fraction(1)))
        is_right = (
            all(type(one) is int and abs(one) < MAX_TICKS for one in (*self.pts, self.end, *self.size))
            and isinstance(self.name, str)
            and len(self.pts) > 0
            and all(first < second for first, second in zip(self.pts, (*self.pts[1:], self.end), strict=True))
            and 0 < self.time_base <= 3600
            and all(0 < rate <= MAX_FPS * 1000 for rate in rates)
            and Fraction(1, 100) <= self.pixel_aspect <= 100
            and min(self.size) > 0
            and self.colour.matrix in MATRICES.values()
            and self.colour.primaries in PRIMARIES.values()
            and self.colour.transfer in TRANSFERS.values()
            and self.colour.range in RANGES.values()
            and self.colour.chroma_location in CHROMA_LOCATIONS
            and _is_like(DISPLAY, self.mastering_display)
            and _is_like(LIGHT, self.content_light)
        )
        if not is_right:
            raise ValueError("its times, rates or colours make no sense")

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return float((self.end - self.pts[0]) * self.time_base)

    def instant(self, ticks: float | Fraction) -> float:
        """Return a time as the network takes it: 0 at the first frame, 1 at the last one and after it."""
        length = self.pts[-1] - self.pts[0]
        return min(1.0, max(0.0, float((Fraction(ticks) - self.pts[0]) / length))) if length else 0.0


@dataclasses.dataclass(frozen=True)
class Record:
    """What came of fitting."""

    psnr: float  # of R'G'B' with a peak of 1, mean of the frames that were measured, in dB
    steps: int
    seconds: float

    def __post_init__(self) -> None:
        numbers = (self.psnr, self.steps, self.seconds)
        is_right = all(type(one) in (int, float) and math.isfinite(one) for one in numbers)
        if not is_right or type(self.steps) is not int or self.steps < 0 or self.seconds < 0:
            raise ValueError("its record makes no sense")


@dataclasses.dataclass(frozen=True)
class FittedFile:
    """What a file holds."""

    network: NetworkConfig
    clip: Clip
    record: Record
    coded: Coded
    streams: bytes  # a Matroska file

    @property
    def network_bytes(self) -> int:
        """Of the parameters."""
        return len(self.coded.halves) + len(self.coded.coded)

    def bits_per_pixel(self, file_bytes: int) -> float:
        """Return the bits of everything in a file but its streams, for each pixel of the clip."""
        pixels = self.network.width * self.network.height * len(self.clip.pts)
        return 8 * (file_bytes - len(self.streams)) / pixels

    def to_bytes(self) -> bytes:
        """Return the file."""
        clip = {**dataclasses.asdict(self.clip), "pts": list(_differences(self.clip.pts))}
        header = {
            "version": VERSION,
            "network": dataclasses.asdict(self.network),
            "clip": clip,
            "record": dataclasses.asdict(self.record),
            "coding": {"bits": self.coded.bits, "tables": self.coded.tables},
            "bytes": [len(self.coded.halves), len(self.coded.coded), len(self.streams)],
        }
        packed = zlib.compress(json.dumps(header, default=str).encode(), 9)
        parts = (packed, self.coded.halves, self.coded.coded, self.streams)
        whole = MAGIC + len(packed).to_bytes(4, "little") + b"".join(parts)
        return whole + hashlib.sha256(whole).digest()

    @classmethod
    def from_bytes(cls, data: bytes) -> FittedFile:
        """Return what a file holds.

        Raises:
            ValueError: it is damaged, or of a later version; the message says which.
        """
        if not data.startswith(MAGIC):
            raise ValueError("not a file that videoinr fit wrote")
        if len(data) < len(MAGIC) + 4 + HASH_BYTES:
            raise ValueError("cut short")
        body = memoryview(data)[:-HASH_BYTES]
        if hashlib.sha256(body).digest() != data[-HASH_BYTES:]:
            raise ValueError("damaged or cut short: its bytes do not have the hash that it states")
        start = len(MAGIC) + 4
        end = start + int.from_bytes(data[start - 4 : start], "little")
        header = _header(bytes(body[start:end]))
        try:
            lengths = header["bytes"]
            if not all(type(one) is int and one >= 0 for one in lengths) or sum(lengths) != len(body) - end:
                raise ValueError("its parts do not have the lengths that it states")
            halves, coded, streams = lengths
            if bytes(body[len(body) - streams :][: len(MATROSKA)]) != MATROSKA:
                raise ValueError("its streams are no Matroska file")  # a playlist could name other files
            tables = read_tables(header["coding"]["tables"], header["coding"]["bits"])
            parameters = bytes(body[end : end + halves]), bytes(body[end + halves : end + halves + coded])
            return cls(
                NetworkConfig.of(header["network"]),
                _clip(header["clip"]),
                Record(**header["record"]),
                Coded(header["coding"]["bits"], tables, *parameters),
                bytes(body[len(body) - streams :]),
            )
        except (TypeError, KeyError, AttributeError, ZeroDivisionError, OverflowError) as error:
            raise ValueError(f"its header makes no sense ({type(error).__name__})") from error

    @functools.cached_property
    def parameters(self) -> int:
        """How many the network has."""
        return sum(map(math.prod, self._shapes().values()))

    def _shapes(self) -> Shapes:
        with torch.device("meta"):
            return {name: tuple(value.shape) for name, value in build(self.network).state_dict().items()}

    def load(self) -> FittedNetwork:
        """Return the network.

        Raises:
            ValueError: the parameters do not fit it.
        """
        shapes = self._shapes()
        most = MOST_PARAMETERS_A_BYTE * len(self.coded.coded)
        if halves_bytes(shapes) != len(self.coded.halves) or self.parameters > most:
            raise ValueError("its parameters do not fit its network")
        network = build(self.network)
        network.load_state_dict(unpack(self.coded, shapes))
        return network.eval().requires_grad_(False)


def read_file(path: Path) -> FittedFile:
    """Read a fitted clip.

    Raises:
        InputError: it cannot be read, or is damaged.
    """
    try:
        return FittedFile.from_bytes(path.read_bytes())
    except OSError as error:
        raise InputError(f"{str(path)!r} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise unusable(path, error) from error


def unusable(path: Path, error: ValueError) -> InputError:
    """Return the error that says on one line what is wrong with a fitted clip."""
    return InputError(f"{str(path)!r} cannot be used: {error}; fit the clip again, or copy the file again")


def write_whole(path: Path, data: bytes) -> None:
    """Write a file, which has its name only when it is complete; an older one is replaced.

    Raises:
        OutputError: it cannot be written.
    """
    try:
        with whole(path) as partial, partial.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise OutputError(f"{str(path)!r} cannot be written: {error.strerror}") from error


def _header(packed: bytes) -> dict[str, Any]:
    unpacker = zlib.decompressobj()
    try:
        text = unpacker.decompress(packed, MAX_HEADER_BYTES)
        header = json.loads(text) if unpacker.eof else None
    except (zlib.error, ValueError, RecursionError) as error:
        raise ValueError("its header cannot be read") from error
    if not isinstance(header, dict):
        raise ValueError("its header cannot be read")
    if header.get("version") != VERSION:
        raise ValueError(
            f"of version {str(header.get('version'))[:20]!r}, where this videoinr reads {VERSION}"
        )
    return header


def _clip(values: dict[str, Any]) -> Clip:
    total, pts = 0, []
    for difference in values["pts"]:
        total += difference
        pts.append(total)
    fractions = {
        name: None if values[name] is None else _fraction(str(values[name]))
        for name in ("time_base", "frame_rate", "steady_rate", "usual_seconds", "pixel_aspect")
    }
    width, height = values["size"]
    colour = Colour(**values["colour"])
    return Clip(**{**values, **fractions, "size": (width, height), "pts": tuple(pts), "colour": colour})


def _is_like(pattern: str, text: object) -> bool:
    return text is None or (isinstance(text, str) and re.fullmatch(pattern, text) is not None)


def _fraction(text: str) -> Fraction:
    """Read 30 or 30000/1001. Exponents are refused: those of a hostile file would take forever."""
    if re.fullmatch(r"[0-9]{1,100}(/[0-9]{1,100})?", text) is None:
        raise ValueError(f"{text[:20]!r} is no fraction")
    return Fraction(text)


def _differences(pts: tuple[int, ...]) -> Iterator[int]:
    yield pts[0]
    yield from (second - first for first, second in itertools.pairwise(pts))
